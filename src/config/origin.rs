//! A setting's value and where it was said, for people.

use std::fmt;

use super::settings;

/// Which layer a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Default,
    /// A default that is less than usual, because the process may not have more memory.
    Limit(String),
    /// Name of the file and line: `config.json:7`.
    File(String),
    /// An environment variable.
    Variable(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::Limit(what) => write!(f, "default below {what}"),
            Origin::File(place) => f.write_str(place),
            Origin::Variable(name) => write!(f, "env {name}"),
        }
    }
}

/// A setting in force: its key, its value as text, and where that was said.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    pub(crate) key: String,
    /// `None`: no value.
    text: Option<String>,
    pub(crate) origin: Origin,
}

impl Value {
    pub(super) fn new(key: &str, text: Option<&str>, origin: Origin) -> Value {
        Value { key: key.to_owned(), text: text.map(str::to_owned), origin }
    }

    /// What may be shown of it. A token of our own is never more than `set`.
    pub(crate) fn shown(&self) -> Option<&str> {
        match self.text.as_deref() {
            Some(_) if settings::is_secret(&self.key) => Some("set"),
            text => text,
        }
    }
}
