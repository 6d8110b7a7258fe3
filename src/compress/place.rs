//! Where a text stands in the prompt, in words that a model can count by.

use std::fmt;

/// The place of a text. Numbers count from 1, anew after a compaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// The `number`th result of a tool; its `part`th text if it has several.
    Result { number: u64, part: Option<u64> },
    /// The `number`th text of the user.
    Typed { number: u64 },
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Place::Result { number, part: None } => write!(out, "tool result {number}"),
            Place::Result { number, part: Some(part) } => {
                write!(out, "part {part} of tool result {number}")
            }
            Place::Typed { number } => write!(out, "user text {number}"),
        }
    }
}

impl Place {
    /// Whether a person wrote it.
    pub(super) fn is_typed(self) -> bool {
        matches!(self, Place::Typed { .. })
    }

    /// What `Display` wrote.
    pub(super) fn parse(words: &str) -> Option<Place> {
        if let Some(number) = words.strip_prefix("tool result ") {
            return Some(Place::Result { number: number.parse().ok()?, part: None });
        }
        if let Some(number) = words.strip_prefix("user text ") {
            return Some(Place::Typed { number: number.parse().ok()? });
        }
        let (part, number) = words.strip_prefix("part ")?.split_once(" of tool result ")?;
        Some(Place::Result { number: number.parse().ok()?, part: Some(part.parse().ok()?) })
    }
}
