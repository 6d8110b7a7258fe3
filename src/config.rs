//! Every setting, once: default < file < environment < flag.
//!
//! One table drives all four layers, so that an error can name the layer it comes from and a new
//! setting is one row. Nothing else reads the environment or the configuration file.

mod lines;
mod settings;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::compress::{Level, Mode};
use crate::error::Error;
use crate::pack::Plan;
pub(crate) use settings::nearest;
use settings::{SETTINGS, Setting};

/// Where a client's requests may go: the provider's name and its base URL.
pub(crate) type Providers = BTreeMap<String, String>;

/// The settings in force.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) port: u16,
    /// `localhost` or an address of the loopback interface.
    pub(crate) bind: String,
    /// Names under which clients may reach us besides localhost (tunnels, containers).
    pub(crate) hosts: Vec<String>,
    pub(crate) passthrough_url: Option<String>,
    pub(crate) providers: Providers,
    pub(crate) allow_http: bool,
    pub(crate) workers: usize,
    pub(crate) max_body_mb: usize,
    pub(crate) body_memory_mb: usize,
    pub(crate) connect_timeout_s: u64,
    pub(crate) first_byte_timeout_s: u64,
    pub(crate) stream_idle_timeout_s: u64,
    pub(crate) mode: Mode,
    pub(crate) enabled: bool,
    /// `None`: the level of the mode.
    pub(crate) level: Option<Level>,
    pub(crate) threshold_tokens: u64,
    pub(crate) preserve_json: bool,
    /// Absolute.
    pub(crate) database: PathBuf,
    pub(crate) flush_ms: u64,
    pub(crate) log: LogLevel,
    /// The configuration file, and whether it was there.
    pub(crate) file: (PathBuf, bool),
}

/// How much `serve` says on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}

/// What the world around the process says: the only place where it is looked at.
pub(crate) struct Surroundings {
    variables: Vec<(String, String)>,
    directory: PathBuf,
}

impl Surroundings {
    /// The environment and the current directory of this process.
    pub(crate) fn of_process() -> Surroundings {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Surroundings {
            variables: std::env::vars_os().filter_map(text).collect(),
            directory: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
        }
    }

    fn variable(&self, name: &str) -> Option<&str> {
        let found = self.variables.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Where tokenpak keeps its files: `TOKENPAK_HOME`, else `~/.tokenpak`.
    fn home(&self) -> PathBuf {
        match (self.variable("TOKENPAK_HOME"), self.variable("HOME")) {
            (Some(home), _) => self.directory.join(home),
            (None, Some(home)) => Path::new(home).join(".tokenpak"),
            (None, None) => self.directory.join(".tokenpak"),
        }
    }
}

/// One setting given on the command line: key and value.
pub(crate) type Flag<'a> = (&'static str, &'a str);

/// Reads all layers. Every fault is reported, not only the first; warnings come beside.
pub(crate) fn load(
    around: &Surroundings,
    file: Option<&Path>,
    flags: &[Flag],
) -> Result<(Config, Vec<String>), Error> {
    let mut loader = Loader::new(around);
    let (path, named) = match (file, around.variable("TOKENPAK_CONFIG")) {
        (Some(path), _) => (around.directory.join(path), true),
        (None, Some(path)) => (around.directory.join(path), true),
        (None, None) => (around.home().join("config.json"), false),
    };
    loader.file(&path, named)?;
    loader.environment(around);
    for (key, value) in flags {
        let name = key.rsplit('.').next().unwrap_or(key);
        let applied = loader.apply(key, value, &around.directory);
        applied.map_err(|what| Error::usage(format!("--{name}: {what}")))?;
    }
    loader.finish()
}

struct Loader {
    config: Config,
    home: PathBuf,
    faults: Vec<String>,
    warnings: Vec<String>,
}

impl Loader {
    fn new(around: &Surroundings) -> Loader {
        let home = around.home();
        let mut loader = Loader {
            config: settings::blank(),
            home: home.clone(),
            faults: Vec::new(),
            warnings: Vec::new(),
        };
        for setting in SETTINGS.iter().filter(|setting| !setting.default.is_empty()) {
            loader.set(setting.key, setting.default, "default", &home);
        }
        loader
    }

    /// Applies one value. `origin` names its layer in an error; `base` is what a relative path
    /// counts from.
    fn set(&mut self, key: &str, value: &str, origin: &str, base: &Path) {
        match self.apply(key, value, base) {
            Ok(true) => {}
            Ok(false) => self.warnings.push(format!("{origin}: not used by this version")),
            Err(what) => self.faults.push(format!("{origin}: {what}")),
        }
    }

    /// `Ok(false)`: known, but without effect in this version.
    fn apply(&mut self, key: &str, value: &str, base: &Path) -> Result<bool, String> {
        if let Some(name) = settings::provider_of(key) {
            return settings::set_provider(&mut self.config, name, value).map(|()| true);
        }
        match SETTINGS.iter().find(|setting| setting.key == key) {
            Some(Setting { set: Some(set), .. }) => {
                set(&mut self.config, value)?;
                if key == "storage.path" {
                    self.config.database = base.join(value);
                }
                Ok(true)
            }
            Some(Setting { set: None, .. }) => Ok(false),
            None => Err(settings::unknown(key)),
        }
    }

    fn file(&mut self, path: &Path, named: bool) -> Result<(), Error> {
        self.config.file = (path.to_owned(), true);
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !named => {
                self.config.file.1 = false;
                return Ok(());
            }
            Err(error) => return Err(Error::config_file(path, &error)),
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match serde_json::from_str::<Value>(&text) {
            Ok(value) => self.object(&value, "", &lines::Origins::new(&name, &text)),
            Err(error) => self.faults.push(lines::syntax_fault(&name, &text, &error)),
        }
        Ok(())
    }

    /// Walks the file's object; `path` is the dotted key so far.
    fn object(&mut self, value: &Value, path: &str, origins: &lines::Origins) {
        let Value::Object(members) = value else {
            self.faults.push(format!("{}: not an object", origins.of(path)));
            return;
        };
        for (name, value) in members {
            let key = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let place = origins.of(&key);
            match value {
                Value::Object(_) if settings::is_section(&key) => self.object(value, &key, origins),
                _ if settings::is_section(&key) => {
                    self.faults.push(format!("{place}: {key}: not an object"));
                }
                // null is "as if it were not there".
                Value::Null if settings::is_known(&key) => {}
                value => {
                    let home = self.home.clone();
                    self.set(&key, &text_of(value), &format!("{place}: {key}"), &home);
                }
            }
        }
    }

    fn environment(&mut self, around: &Surroundings) {
        // The guide's short names come last, so that they win over the long ones.
        let mut ours: Vec<_> = around
            .variables
            .iter()
            .filter(|(name, value)| name.starts_with("TOKENPAK_") && !value.is_empty())
            .map(|(name, value)| (settings::key_of_variable(name), name, value))
            .collect();
        ours.sort_by_key(|(key, name, _)| (key.as_ref().is_some_and(|key| key.short), *name));
        for (key, name, value) in ours {
            match key {
                Some(key) => self.set(&key.key, value, name, &around.directory),
                None if settings::OTHER_VARIABLES.contains(&name.as_str()) => {}
                None => self.warnings.push(settings::unknown_variable(name)),
            }
        }
    }

    fn finish(mut self) -> Result<(Config, Vec<String>), Error> {
        self.faults.extend(settings::contradictions(&self.config));
        match self.faults.is_empty() {
            true => Ok((self.config, self.warnings)),
            false => Err(Error::config(self.faults)),
        }
    }
}

/// A value as the text that the environment would hold.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text_of).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

impl Config {
    /// What the settings say about compression; a mode that the request asks for comes first.
    pub(crate) fn plan(&self, asked: Option<Mode>) -> Plan {
        let mode = asked.unwrap_or(if self.enabled { self.mode } else { Mode::Off });
        let plan = Plan::of(mode);
        let threshold = if plan.threshold == 0 { 0 } else { self.threshold_tokens };
        Plan {
            level: self.level.unwrap_or(plan.level),
            threshold,
            preserve_json: self.preserve_json,
            ..plan
        }
    }
}
