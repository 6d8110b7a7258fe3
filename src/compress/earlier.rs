//! The texts above in the prompt, as they are sent: what pointers point at.

use std::collections::HashMap;

use super::{Place, is_large, marker};

/// Large texts so far. The walk and the expander keep the same ones, or a pointer would mean one
/// thing to one of them and another to the other.
#[derive(Default)]
pub(super) struct Earlier {
    at: HashMap<Place, String>,
    places: HashMap<String, Place>,
}

impl Earlier {
    /// Notes a text as it is sent. One that points as a whole is not pointed at, since a model
    /// should have to look once; nor is one that says that it is as it came.
    pub(super) fn remember(&mut self, text: &str, place: Place) {
        let is_pointer = marker::repeated(text).is_some();
        if is_large(text) && !is_pointer && marker::below_as_it_came(text).is_none() {
            self.places.entry(text.to_owned()).or_insert(place);
            self.at.insert(place, text.to_owned());
        }
    }

    /// Where this text stands; the first of equals.
    pub(super) fn place_of(&self, text: &str) -> Option<Place> {
        self.places.get(text).copied()
    }

    pub(super) fn text(&self, place: Place) -> Option<&str> {
        self.at.get(&place).map(String::as_str)
    }
}
