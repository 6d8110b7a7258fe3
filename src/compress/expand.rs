//! The way back: gives the texts of a compressed prompt as they were before.
//!
//! It needs nothing but the prompt itself. White space that json-minify took and redraws that the
//! terminal pass played to their end are not in it and do not come back.

use std::collections::HashMap;

use super::marker::{self, Place};

/// Fed the candidates of a compressed prompt from front to back.
#[derive(Default)]
pub(crate) struct Expander {
    earlier: HashMap<Place, String>,
}

impl Expander {
    /// The counterpart of `Walk::reset`.
    pub(crate) fn reset(&mut self) {
        self.earlier.clear();
    }

    /// What this text was.
    pub(crate) fn text(&mut self, text: &str, place: Place) -> String {
        if let Some(earlier) = marker::target(text).and_then(|place| self.pointed_at(text, place)) {
            return earlier;
        }
        self.earlier.insert(place, text.to_owned());
        marker::unescape(text, place).into_owned()
    }

    /// A marker is ours if we would write the same for the text that it points at.
    fn pointed_at(&self, text: &str, place: Place) -> Option<String> {
        let earlier = self.earlier.get(&place)?;
        (marker::repeats(place, earlier) == text).then(|| earlier.clone())
    }
}
