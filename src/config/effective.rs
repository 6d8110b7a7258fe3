//! The settings of a running proxy that `status` shows, as the proxy writes them down.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Config, Environment, Flag, Origin, Providers, variables};

/// No secret is among them; a URL here has no user, password or query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EffectiveSettings {
    pub(crate) compression: bool,
    pub(crate) mode: String,
    pub(crate) level: String,
    pub(crate) threshold_tokens: u64,
    pub(crate) footer: bool,
    pub(crate) providers: Providers,
    pub(crate) passthrough_url: Option<String>,
    pub(crate) config: PathBuf,
    pub(crate) config_exists: bool,
    /// Variables and flags that override the file, as they were given.
    pub(crate) overrides: Vec<String>,
    pub(crate) database: PathBuf,
    #[serde(default)]
    pub(crate) body_memory_mb: usize,
    /// Where that was said, or which limit it follows.
    #[serde(default)]
    pub(crate) body_memory_by: String,
}

impl EffectiveSettings {
    /// What these settings are, and what of them comes from the environment and from flags.
    pub(crate) fn of(config: &Config, around: &Environment, flags: &[Flag]) -> EffectiveSettings {
        let plan = config.plan(None);
        let variables = variables(around).into_iter().filter_map(|value| match &value.origin {
            Origin::Variable(name) => Some(format!("{name}={}", value.shown().unwrap_or(""))),
            _ => None,
        });
        let flags = flags.iter().map(|(key, value)| match *key {
            "proxy.stats_footer" => "--no-footer".to_owned(),
            key => format!("--{} {value}", key.rsplit('.').next().unwrap_or(key)),
        });
        EffectiveSettings {
            compression: config.enabled,
            mode: config.mode.name().to_owned(),
            level: plan.level.name().to_owned(),
            threshold_tokens: plan.threshold,
            footer: config.stats_footer,
            providers: config.providers.clone(),
            passthrough_url: config.passthrough_url.clone(),
            config: config.file.0.clone(),
            config_exists: config.file.1,
            overrides: variables.chain(flags).collect(),
            database: config.database.clone(),
            body_memory_mb: config.body_memory_mb,
            body_memory_by: config.body_memory_by.clone(),
        }
    }

    /// What `here`, the settings as they would be read now, has otherwise; each as `name: value`.
    pub(crate) fn differences(&self, here: &EffectiveSettings) -> Vec<String> {
        let word = |on: bool| if on { "on" } else { "off" }.to_owned();
        let lines = |all: &EffectiveSettings| {
            let mut lines = vec![
                format!("compression: {}", word(all.compression)),
                format!("mode: {}", all.mode),
                format!("level: {}", all.level),
                format!("threshold: {}", all.threshold_tokens),
                format!("footer: {}", word(all.footer)),
                format!("config: {}", all.config.display()),
                format!("database: {}", all.database.display()),
                format!("passthrough: {}", all.passthrough_url.as_deref().unwrap_or("none")),
            ];
            lines.extend(all.providers.iter().map(|(name, url)| format!("{name}: {url}")));
            lines
        };
        let (ours, theirs) = (lines(self), lines(here));
        let gone = |name: &&String| !here.providers.contains_key(name.as_str());
        let gone = self.providers.keys().filter(gone).map(|name| format!("{name}: none"));
        theirs.into_iter().filter(|line| !ours.contains(line)).chain(gone).collect()
    }
}
