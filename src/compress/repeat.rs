//! Pass 5: a text that repeats an earlier one from end to end becomes a line that points at it.
//!
//! Only texts that are literally in the prompt are pointed at, never one that is itself such a
//! line: a model should have to look once.

use std::borrow::Cow;
use std::collections::HashMap;

use super::marker::{self, Place};

/// The large texts so far, as they are sent. The first of equals stays.
#[derive(Default)]
pub(crate) struct Earlier {
    places: HashMap<String, Place>,
}

impl Earlier {
    pub(crate) fn remember(&mut self, text: &str, place: Place) {
        // Lines that look like markers are spelled in one way for a tool and in another for a person.
        if !marker::is_in(text) {
            self.places.entry(text.to_owned()).or_insert(place);
        }
    }
}

/// The marker for `text`, if it was there before; else if the client's own spelling of it was,
/// which stays in the prompt where an earlier pass did not pay.
pub(crate) fn refer<'t>(text: &'t str, original: &str, earlier: &Earlier) -> Cow<'t, str> {
    let marker = |text: &str| earlier.places.get(text).map(|place| marker::repeats(*place, text));
    let marker = marker(text).or_else(|| if original == text { None } else { marker(original) });
    marker.map_or(Cow::Borrowed(text), Cow::Owned)
}
