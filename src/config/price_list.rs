//! The price list that `prices update` has left in the home.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::Config;
use crate::error::reason;
use crate::prices::{List, list};
use crate::safe_path;

/// Where the list is, or would be.
pub(crate) fn price_list(home: &Path) -> PathBuf {
    home.join(list::FILE)
}

/// The model whose own price is at this key.
pub(crate) fn price_of(key: &str) -> Option<&str> {
    key.strip_prefix("prices.").filter(|model| !model.is_empty())
}

/// Puts the list into force, if there is one. Without it the built-in prices are: a bad one is a
/// warning, and keeps nothing from being served.
pub(super) fn load(config: &mut Config) -> Option<String> {
    let path = price_list(&config.home);
    let read = match safe_path::read_to_string(&path) {
        Ok(text) => List::parse(&text),
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => Err(reason(&error)),
    };
    match read {
        Ok(list) => {
            config.prices = std::mem::take(&mut config.prices).over(list);
            None
        }
        Err(what) => Some(format!("{}: {what}; the built-in prices hold", path.display())),
    }
}
