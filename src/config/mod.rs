//! Every setting, once: default < file < environment < flag.
//!
//! One table drives all four layers, so that an error can name the layer it comes from and a new
//! setting is one row. Nothing else reads the environment or the configuration file.

mod address;
mod change;
mod edit;
mod effective;
mod environment;
mod limit;
mod lines;
mod origin;
mod parse;
mod price_list;
mod settings;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use crate::compress::{Level, Mode};
use crate::error::Error;
use crate::prices::Prices;
use crate::rewrite::Plan;
use crate::safe_path;
use address::AllowHttp;
pub(crate) use address::is_near;
pub(crate) use change::{faults_of_change, may_set};
pub(crate) use edit::Edit;
pub(crate) use effective::EffectiveSettings;
pub(crate) use environment::{Environment, ProxyVariables};
pub(crate) use origin::{Origin, Value};
pub(crate) use price_list::{price_list, price_of};
use settings::SETTINGS;
pub(crate) use settings::{TEST_VARIABLE, nearest};

/// Where a client's requests may go: the provider's name and its base URL.
pub(crate) type Providers = BTreeMap<String, String>;

/// The settings in force.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) port: u16,
    /// `localhost` or an address.
    pub(crate) bind: String,
    /// A socket in the file system, beside the port; absolute.
    pub(crate) socket: Option<PathBuf>,
    /// Names under which clients may reach us besides localhost (tunnels, containers).
    pub(crate) hosts: Vec<String>,
    pub(crate) passthrough_url: Option<String>,
    pub(crate) providers: Providers,
    /// Whose address may be `http://` although it leads to another machine.
    pub(crate) allow_http: AllowHttp,
    /// Whose requests for our own pages are answered.
    pub(crate) endpoints: Endpoints,
    /// What every client must bring.
    pub(crate) auth_token: Option<Secret>,
    /// Whether other users of this machine are refused.
    pub(crate) same_user: bool,
    pub(crate) workers: usize,
    pub(crate) max_body_mb: usize,
    pub(crate) body_memory_mb: usize,
    /// Where that was said.
    pub(crate) body_memory_by: String,
    pub(crate) connect_timeout_s: u64,
    pub(crate) first_byte_timeout_s: u64,
    pub(crate) stream_idle_timeout_s: u64,
    pub(crate) mode: Mode,
    pub(crate) enabled: bool,
    /// `None`: the level of the mode.
    pub(crate) level: Option<Level>,
    pub(crate) threshold_tokens: u64,
    pub(crate) preserve_code: bool,
    pub(crate) preserve_json: bool,
    /// Conversations that are not known were begun by a peer with the same settings.
    pub(crate) shares_history: bool,
    /// Memory for what is known of prompts that were rewritten before.
    pub(crate) memo_mb: usize,
    /// Where everything is that belongs to one set of proxies; absolute.
    pub(crate) home: PathBuf,
    /// Absolute.
    pub(crate) database: PathBuf,
    /// How long single requests are kept; 0: for ever.
    pub(crate) retention_days: u32,
    pub(crate) flush_ms: u64,
    /// Whether answers for readers get the one line; ask for the usage of OpenAI's streams.
    pub(crate) stats_footer: bool,
    pub(crate) ask_usage: bool,
    pub(crate) prices: Prices,
    pub(crate) tls_roots: TlsRoots,
    /// What the environment says of a proxy for `https` upstreams.
    pub(crate) forward_proxy: Option<ProxyVariables>,
    pub(crate) log: LogLevel,
    /// The configuration file, and whether it was there.
    pub(crate) file: (PathBuf, bool),
}

/// Whose signature on a provider's certificate is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TlsRoots {
    /// Mozilla's list, as it was when this program was built.
    Bundled,
    /// The system's list, or the file that `SSL_CERT_FILE` names in its place.
    System(Option<PathBuf>),
    /// A PEM file; absolute.
    File(PathBuf),
}

/// Whose requests for our own pages (`/health`) are answered; all others go upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoints {
    /// Those of programs on this machine.
    Local,
    All,
    Off,
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("set")
    }
}

/// How much `serve` says on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}

/// One setting given on the command line: key and value.
pub(crate) type Flag<'a> = (&'static str, &'a str);

/// Reads all layers. Every fault is reported, not only the first; warnings come beside.
pub(crate) fn load(
    around: &Environment,
    file: Option<&Path>,
    flags: &[Flag],
) -> Result<(Config, Vec<String>), Error> {
    let mut loader = Loader::new(around);
    loader.layers(around, file)?;
    for (key, value) in flags {
        let name = match *key {
            "log.level" => "log",
            key => key.rsplit('.').next().unwrap_or(key),
        };
        let applied = loader.apply(key, value, &around.directory);
        applied.map_err(|what| Error::usage(format!("--{name}: {what}")))?;
    }
    loader.find_roots(around);
    loader.config.forward_proxy = around.forward_proxy();
    loader.warnings.extend(price_list::load(&mut loader.config));
    loader.config.body_memory_by = loader.origin("proxy.body_memory_mb");
    loader.finish().map(|loader| (loader.config, loader.warnings))
}

/// Whether settings that were changed since they were read go together.
pub(crate) fn consistent(config: &Config) -> Result<(), Error> {
    match settings::contradictions(config) {
        faults if faults.is_empty() => Ok(()),
        faults => Err(Error::config(faults)),
    }
}

/// Keeps of `running` what a running proxy cannot change. Returns which settings were to change.
pub(crate) fn keep_fixed(
    config: &mut Config,
    running: &Config,
) -> Result<Vec<&'static str>, Error> {
    settings::keep_fixed(config, running).map_err(Error::config)
}

/// Every setting with its origin, in the manual's order.
pub(crate) fn values(around: &Environment) -> Result<Vec<Value>, Error> {
    let mut loader = Loader::new(around);
    loader.layers(around, None)?;
    Ok(loader.finish()?.values)
}

/// The variables that are set for settings, right or wrong.
fn variables(around: &Environment) -> Vec<Value> {
    let mut loader = Loader::new(around);
    loader.environment(around);
    let is_variable = |value: &Value| matches!(value.origin, Origin::Variable(_));
    loader.values.into_iter().filter(is_variable).collect()
}

/// The configuration file, there or not, and whether somebody named it.
pub(crate) fn path(around: &Environment) -> (PathBuf, bool) {
    match around.variable("TOKENPAK_CONFIG") {
        Some(path) => (around.directory.join(path), true),
        None => (around.home().join("config.json"), false),
    }
}

/// Whether nobody else may write where tokenpak keeps its files, the configuration among them.
pub(crate) fn check_home(around: &Environment) -> Result<(), Error> {
    let home = around.home();
    safe_path::check_directory(&home).map_err(|error| Error::config_file(&home, &error))
}

/// Checks one file alone, without the environment. Faults are an error, warnings are given back.
pub(crate) fn check(around: &Environment, file: Option<&Path>) -> Result<Vec<String>, Error> {
    let (path, named) = match file {
        Some(file) => (around.directory.join(file), true),
        None => path(around),
    };
    let mut loader = Loader::new(around);
    loader.file(&path, named)?;
    loader.finish().map(|loader| loader.warnings)
}

struct Loader {
    config: Config,
    home: PathBuf,
    values: Vec<Value>,
    faults: Vec<String>,
    warnings: Vec<String>,
}

impl Loader {
    fn new(around: &Environment) -> Loader {
        let home = around.home();
        let mut loader = Loader {
            config: Config { home: home.clone(), ..settings::blank() },
            home: home.clone(),
            values: Vec::new(),
            faults: Vec::new(),
            warnings: Vec::new(),
        };
        for setting in SETTINGS {
            match setting.default {
                "" => loader.note(setting.key, None, Origin::Default),
                text => loader.set(setting.key, text, Origin::Default, &home),
            }
        }
        loader.fit(limit::of_process());
        for (name, url) in loader.config.providers.clone() {
            loader.note(&format!("proxy.providers.{name}.url"), Some(&url), Origin::Default);
        }
        loader
    }

    /// The file and the environment.
    fn layers(&mut self, around: &Environment, file: Option<&Path>) -> Result<(), Error> {
        let (path, named) = match file {
            Some(file) => (around.directory.join(file), true),
            None => path(around),
        };
        check_home(around)?;
        self.file(&path, named)?;
        self.environment(around);
        Ok(())
    }

    /// Remembers where a value comes from.
    fn note(&mut self, key: &str, text: Option<&str>, origin: Origin) {
        let value = Value::new(key, text, origin);
        match self.values.iter_mut().find(|known| known.key == key) {
            Some(known) => *known = value,
            None => self.values.push(value),
        }
    }

    fn origin(&self, key: &str) -> String {
        let value = self.values.iter().find(|value| value.key == key);
        value.map_or(String::new(), |value| value.origin.to_string())
    }

    /// Applies one value; `base` is what a relative path counts from.
    fn set(&mut self, key: &str, value: &str, origin: Origin, base: &Path) {
        let place = match &origin {
            Origin::Default | Origin::Limit(_) => "default".to_owned(),
            Origin::File(place) => format!("{place}: {key}"),
            Origin::Variable(name) => name.clone(),
        };
        match self.apply(key, value, base) {
            Ok(()) => self.note(key, Some(value), origin),
            Err(what) => self.faults.push(format!("{place}: {what}")),
        }
    }

    fn apply(&mut self, key: &str, value: &str, base: &Path) -> Result<(), String> {
        if let Some(name) = settings::provider_of(key) {
            return settings::set_provider(&mut self.config, name, value);
        }
        let setting = SETTINGS.iter().find(|setting| setting.key == key);
        let setting = setting.ok_or_else(|| settings::unknown(key))?;
        (setting.set)(&mut self.config, value)?;
        match (key, &mut self.config.tls_roots) {
            ("proxy.socket", _) => self.config.socket = Some(base.join(value)),
            ("storage.path", _) => self.config.database = base.join(value),
            ("tls.roots", TlsRoots::File(path)) => *path = base.join(value),
            _ => {}
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, named: bool) -> Result<(), Error> {
        self.config.file = (path.to_owned(), true);
        let text = match safe_path::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !named => {
                self.config.file.1 = false;
                return Ok(());
            }
            Err(error) => return Err(Error::config_file(path, &error)),
        };
        self.text(path, &text);
        Ok(())
    }

    /// What the file says.
    fn text(&mut self, path: &Path, text: &str) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match lines::parse(&name, text) {
            Ok((value, origins)) => {
                self.faults.extend(origins.repeated());
                self.object(&value, "", &origins);
            }
            Err(fault) => self.faults.push(fault),
        }
    }

    /// Walks the file's object; `path` is the dotted key so far.
    fn object(&mut self, value: &Json, path: &str, origins: &lines::Origins) {
        let Json::Object(members) = value else {
            self.faults.push(format!("{}: not an object", origins.of(path)));
            return;
        };
        for (name, value) in members {
            let key = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let place = origins.of(&key);
            match value {
                Json::Object(_) if settings::is_section(&key) => self.object(value, &key, origins),
                _ if settings::is_section(&key) => {
                    self.faults.push(format!("{place}: {key}: not an object"));
                }
                // null is "as if it were not there".
                Json::Null if settings::is_known(&key) => {}
                value => {
                    let home = self.home.clone();
                    self.set(&key, &text_of(value), Origin::File(place), &home);
                }
            }
        }
    }

    fn environment(&mut self, around: &Environment) {
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
                Some(key) => {
                    let origin = Origin::Variable(name.clone());
                    self.set(&key.key, value, origin, &around.directory);
                }
                None if settings::OTHER_VARIABLES.contains(&name.as_str()) => {}
                None if cfg!(debug_assertions) && name == TEST_VARIABLE => {}
                None => self.warnings.push(settings::unknown_variable(name)),
            }
        }
    }

    /// Where the system's roots are, if somebody has moved them.
    fn find_roots(&mut self, around: &Environment) {
        if let (TlsRoots::System(file), Some(name)) =
            (&mut self.config.tls_roots, around.variable("SSL_CERT_FILE"))
        {
            *file = Some(around.directory.join(name));
        }
    }

    fn finish(mut self) -> Result<Loader, Error> {
        self.faults.extend(settings::contradictions(&self.config));
        match self.faults.is_empty() {
            true => Ok(self),
            false => Err(Error::config(self.faults)),
        }
    }
}

/// A value as the text that the environment would hold.
fn text_of(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Array(items) => items.iter().map(text_of).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

impl Config {
    /// Upstreams that are ourselves, as faults.
    pub(crate) fn loops(&self) -> Vec<String> {
        settings::loops(self)
    }

    /// Whether only programs on this machine can reach us.
    pub(crate) fn is_loopback(&self) -> bool {
        // All that is no address is `localhost`.
        self.bind.parse::<IpAddr>().map_or(true, |address| address.to_canonical().is_loopback())
    }

    /// The size, in bytes, above which a body is not compressed: the work needs twice as much, and
    /// a share of the memory for all bodies must do.
    pub(crate) fn large_bytes(&self) -> usize {
        const LARGE_SHARE: usize = 8;
        self.body_memory_mb * 1024 * 1024 / LARGE_SHARE
    }

    /// What the settings say about compression; a mode that the request asks for comes first.
    pub(crate) fn plan(&self, asked: Option<Mode>) -> Plan {
        let mode = asked.unwrap_or(if self.enabled { self.mode } else { Mode::Off });
        let plan = Plan::of(mode);
        let threshold = if plan.threshold == 0 { 0 } else { self.threshold_tokens };
        Plan {
            level: self.level.unwrap_or(plan.level),
            threshold,
            preserve_json: self.preserve_json,
            preserve_code: self.preserve_code,
            ..plan
        }
    }
}

/// Whether `key` is a setting.
pub(crate) fn is_known(key: &str) -> bool {
    settings::is_known(key)
}

/// Whether its value must not be shown.
pub(crate) fn is_secret(key: &str) -> bool {
    settings::is_secret(key)
}

/// Whether a running proxy cannot take a new value of `key`.
pub(crate) fn needs_restart(key: &str) -> bool {
    settings::FIXED.iter().any(|(fixed, _)| *fixed == key)
}

/// The error for a key that is none.
pub(crate) fn unknown(key: &str) -> Error {
    Error::usage(format!("{key}: {}", settings::unknown(key)))
}
