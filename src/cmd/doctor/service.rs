//! Whether the unit that systemd has, if any, can start this program.

use std::path::Path;

use super::{Case, Finding};
use crate::cmd::service::{ask, units};

pub(super) fn check(_: &Case) -> Vec<Finding> {
    let found: Vec<Finding> =
        units().into_iter().filter_map(|(path, system)| one(&path, system)).collect();
    match found.is_empty() {
        true => vec![Finding::ok("no unit; tokenpak service install writes one")],
        false => found,
    }
}

fn one(path: &Path, system: bool) -> Option<Finding> {
    let unit = std::fs::read_to_string(path).ok()?;
    let kind = if system { "system unit" } else { "user unit" };
    let program = unit.lines().find_map(|line| line.strip_prefix("ExecStart="))?;
    let program = match program.strip_prefix('"') {
        Some(rest) => rest.split('"').next()?,
        None => program.split_whitespace().next()?,
    };
    // What systemd would take for a specifier is written twice.
    let program = program.replace("%%", "%");
    if !Path::new(&program).is_file() {
        let text = format!("{kind} {} starts {program}, which is not there", path.display());
        return Some(Finding::fail(text).hint("tokenpak service install --force"));
    }
    let (enabled, active) = (ask("is-enabled", system), ask("is-active", system));
    Some(match (enabled.as_deref(), active.as_deref()) {
        (Some("enabled"), Some("active")) => Finding::ok(format!("{kind} enabled and active")),
        (None, None) => {
            Finding::ok(format!("{kind} is there; systemctl does not say whether it is active"))
        }
        (enabled, active) => {
            let word = |word: Option<&str>| word.unwrap_or("unknown").to_owned();
            let user = if system { "" } else { " --user" };
            Finding::warn(format!("{kind} is {} and {}", word(enabled), word(active)))
                .hint(format!("systemctl{user} enable --now tokenpak"))
        }
    })
}
