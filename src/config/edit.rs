//! Changes to the configuration file: one member in or out, all others and their order kept.
//!
//! The file is replaced in one step, so that a proxy that reads it meanwhile, or a machine that
//! loses power, sees the old file or the new one.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::lines;
use crate::error::Error;
use crate::ownership;
use crate::safe_path;

/// The file's content while it is being changed.
pub(crate) struct Edit {
    path: PathBuf,
    content: Map<String, Value>,
}

impl Edit {
    /// Reads the file; one that is not there is empty.
    pub(crate) fn open(path: &Path) -> Result<Edit, Error> {
        let text = match safe_path::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => "{}".to_owned(),
            Err(error) => return Err(Error::config_file(path, &error)),
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (value, origins) =
            lines::parse(&name, &text).map_err(|fault| Error::config(vec![fault]))?;
        // Which of the two was meant is not ours to decide, and one of them would be gone.
        let repeated: Vec<String> = origins.repeated().collect();
        match value {
            _ if !repeated.is_empty() => Err(Error::config(repeated)),
            Value::Object(content) => Ok(Edit { path: path.to_owned(), content }),
            _ => Err(Error::config(vec![format!("{name}: not an object")])),
        }
    }

    /// What is at a key of the outermost section of that name.
    pub(crate) fn section(&self, name: &str) -> Option<&Map<String, Value>> {
        self.content.get(name)?.as_object()
    }

    /// Puts `value` at the dotted key.
    pub(crate) fn set(&mut self, key: &str, value: Value) -> Result<(), Error> {
        let (sections, name) = split(key);
        let mut section = &mut self.content;
        for part in sections {
            let inner = section.entry(part).or_insert_with(|| Value::Object(Map::new()));
            let Value::Object(inner) = inner else {
                return Err(Error::config(vec![format!("{part}: not an object")]));
            };
            section = inner;
        }
        section.insert(name.to_owned(), value);
        Ok(())
    }

    /// Takes the dotted key out, and sections that are empty then. `false`: it was not there.
    pub(crate) fn unset(&mut self, key: &str) -> bool {
        let (sections, name) = split(key);
        remove(&mut self.content, &sections, name)
    }

    /// The file as it will be.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{:#}", Value::Object(self.content.clone()));
        text.push('\n');
        text
    }

    /// Writes the file, with owner, group and mode that it had; a new one with mode 0600, in a directory
    /// with 0700.
    pub(crate) fn save(self) -> Result<(), Error> {
        let failed = |error| Error::create(&self.path, error);
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        ownership::make_directory(directory).map_err(failed)?;
        let text = self.text();
        // A link stays a link: what it points at is replaced.
        let target = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        ownership::replace(&target, text.as_bytes(), 0o600).map_err(failed)
    }
}

/// Sections and last name of a dotted key. A provider's name may have dots of its own.
fn split(key: &str) -> (Vec<&str>, &str) {
    if let Some(provider) = super::settings::provider_of(key) {
        return (vec!["proxy", "providers", provider], "url");
    }
    // So may a model's.
    if let Some(model) = super::price_of(key) {
        return (vec!["prices"], model);
    }
    let mut parts: Vec<&str> = key.split('.').collect();
    let name = parts.pop().unwrap_or_default();
    (parts, name)
}

fn remove(section: &mut Map<String, Value>, sections: &[&str], name: &str) -> bool {
    let Some((first, rest)) = sections.split_first() else {
        return section.shift_remove(name).is_some();
    };
    let Some(Value::Object(inner)) = section.get_mut(*first) else {
        return false;
    };
    let found = remove(inner, rest, name);
    if found && inner.is_empty() {
        section.shift_remove(*first);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_come_and_go_and_others_stay() {
        check("{}", "proxy.mode", "strict", r#"{"proxy":{"mode":"strict"}}"#);
        check(r#"{"z":1,"proxy":{"b":2}}"#, "proxy.a", "3", r#"{"z":1,"proxy":{"b":2,"a":"3"}}"#);
        check(
            "{}",
            "proxy.providers.a.b.url",
            "u",
            r#"{"proxy":{"providers":{"a.b":{"url":"u"}}}}"#,
        );

        #[track_caller]
        fn check(before: &str, key: &str, value: &str, after: &str) {
            let content = serde_json::from_str(before).unwrap();
            let mut edit = Edit { path: PathBuf::new(), content };
            edit.set(key, Value::String(value.to_owned())).unwrap();
            assert_eq!(Value::Object(edit.content.clone()).to_string(), after);
            assert!(edit.unset(key));
            assert_eq!(Value::Object(edit.content.clone()).to_string(), before);
            assert!(!edit.unset(key));
        }
    }

    #[test]
    fn a_section_that_is_a_value_is_refused() {
        let content = serde_json::from_str(r#"{"proxy":1}"#).unwrap();
        let mut edit = Edit { path: PathBuf::new(), content };
        assert!(edit.set("proxy.mode", Value::Null).is_err());
        assert!(!edit.unset("proxy.mode"));
    }
}
