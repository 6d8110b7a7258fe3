//! What is asked before the file is changed.

use serde_json::Value as Json;

use super::{Edit, Environment, Loader, Origin, path, settings, text_of};
use crate::error::Error;

/// Whether `key` could have this value, as JSON; and the variable that would override it.
pub(crate) fn may_set(
    around: &Environment,
    key: &str,
    value: &Json,
) -> Result<Option<String>, Error> {
    let mut loader = Loader::new(around);
    let applied = match value {
        Json::Object(_) => Err("an object; set its members one by one".to_owned()),
        Json::Null if settings::is_known(key) => Ok(()),
        value => loader.apply(key, &text_of(value), &loader.home.clone()),
    };
    applied.map_err(|what| Error::usage(format!("{key}: {what}")))?;
    loader.environment(around);
    let value = loader.values.into_iter().find(|value| value.key == key);
    Ok(value.and_then(|value| match value.origin {
        Origin::Variable(name) => Some(name),
        _ => None,
    }))
}

/// What would contradict itself if the file became `edit` that does not do so already: the reason
/// not to write it. A file with faults can thus be mended one by one.
///
/// `value` is judged as if nothing overrode it, since the file outlives the variables of this shell.
pub(crate) fn faults_of_change(
    around: &Environment,
    edit: &Edit,
    key: &str,
    value: Option<&Json>,
) -> Vec<String> {
    let mut before = Loader::new(around);
    // A file that cannot be read was found out when it was opened for the change.
    let _ = before.layers(around, None);
    let mut after = Loader::new(around);
    after.text(&path(around).0, &edit.text());
    after.environment(around);
    if let Some(value) = value.filter(|value| !value.is_null()) {
        let home = after.home.clone();
        let _ = after.apply(key, &text_of(value), &home);
    }
    let faults = |config| [settings::contradictions(config), settings::loops(config)].concat();
    let known = faults(&before.config);
    faults(&after.config).into_iter().filter(|fault| !known.contains(fault)).collect()
}
