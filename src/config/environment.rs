//! What a process is told by the system that starts it.

use std::path::{Path, PathBuf};

/// What the world around the process says: the only place where it is looked at.
pub(crate) struct Environment {
    pub(super) variables: Vec<(String, String)>,
    pub(super) directory: PathBuf,
}

impl Environment {
    /// The environment and the current directory of this process.
    pub(crate) fn of_process() -> Environment {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        // Daemons start without one, and the user database knows it all the same.
        let home = std::env::home_dir().filter(|_| std::env::var_os("HOME").is_none());
        let home = home.map(|home| ("HOME".into(), home.into_os_string()));
        Environment {
            variables: std::env::vars_os().chain(home).filter_map(text).collect(),
            directory: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
        }
    }

    /// The same with another home, such as that of a service.
    pub(crate) fn in_home(mut self, home: &str) -> Environment {
        self.variables.retain(|(name, _)| name != "TOKENPAK_HOME" && name != "TOKENPAK_CONFIG");
        self.variables.push(("TOKENPAK_HOME".into(), home.into()));
        self
    }

    /// A variable that is set and not empty.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        let found = self.variables.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
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
