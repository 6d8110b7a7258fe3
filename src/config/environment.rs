//! What the world around the process says: the only place where it is looked at.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::Secret;

/// The first of them that is set names a proxy. `HTTP_PROXY` is for `http`, which goes through none: it is
/// for this machine and for private names.
const PROXIES: &[&str] = &["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
/// The first of them that is set names hosts that need none.
const EXEMPTIONS: &[&str] = &["NO_PROXY", "no_proxy"];

/// What is said of a proxy between us and `https` upstreams.
#[derive(Clone, Debug)]
pub(crate) struct ProxyVariables {
    /// Which variable names it.
    pub(crate) variable: &'static str,
    /// May hold a password.
    pub(crate) url: Secret,
    /// Hosts that need none, between commas.
    pub(crate) exempt: String,
}

/// The variables and the current directory of a process.
pub(crate) struct Environment {
    pub(super) variables: Vec<(String, String)>,
    pub(super) directory: PathBuf,
}

impl Environment {
    /// The environment and the current directory of this process.
    pub(crate) fn of_process() -> Environment {
        let text = |(name, value): (OsString, OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        // Daemons start without one, and the user database knows it all the same.
        let home = env::home_dir().filter(|_| env::var_os("HOME").is_none());
        let home = home.map(|home| ("HOME".into(), home.into_os_string()));
        Environment {
            variables: env::vars_os().chain(home).filter_map(text).collect(),
            directory: env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
        }
    }

    /// The same with another home, such as that of a service.
    pub(crate) fn in_home(mut self, home: &str) -> Environment {
        self.variables.retain(|(name, _)| name != "TOKENPAK_HOME" && name != "TOKENPAK_CONFIG");
        self.variables.push(("TOKENPAK_HOME".into(), home.into()));
        self
    }

    /// A variable that is set, if only to nothing.
    pub(crate) fn set_variable(&self, name: &str) -> Option<&str> {
        let found = self.variables.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// A variable that is set and not empty.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.set_variable(name).filter(|value| !value.is_empty())
    }

    /// The proxy for `https` upstreams, if one is named.
    pub(super) fn forward_proxy(&self) -> Option<ProxyVariables> {
        let (variable, url) = self.first(PROXIES)?;
        let exempt = self.first(EXEMPTIONS).map_or(String::new(), |(_, hosts)| hosts.to_owned());
        Some(ProxyVariables { variable, url: Secret(url.to_owned()), exempt })
    }

    /// The first of these variables that is set and not blank, and its value.
    fn first(&self, names: &[&'static str]) -> Option<(&'static str, &str)> {
        let value = |name: &&'static str| Some((*name, self.variable(name)?.trim()));
        names.iter().filter_map(value).find(|(_, value)| !value.is_empty())
    }

    /// Where tokenpak keeps its files: `TOKENPAK_HOME`, else `~/.tokenpak`.
    pub(crate) fn home(&self) -> PathBuf {
        match (self.variable("TOKENPAK_HOME"), self.variable("HOME")) {
            (Some(home), _) => self.directory.join(home),
            (None, Some(home)) => Path::new(home).join(".tokenpak"),
            (None, None) => self.directory.join(".tokenpak"),
        }
    }
}
