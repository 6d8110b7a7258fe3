//! Where a text stands in the prompt, in words that a model can count by.

use std::fmt;
use std::sync::Arc;

use super::footprint;

/// The place of a text. Numbers count from 1, anew after a compaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// The `number`th result of a tool; its `part`th text if it has several.
    Result { number: u64, part: Option<u64> },
    /// The `number`th text of the user.
    Typed { number: u64 },
}

impl Place {
    /// Whether a person wrote it.
    pub(super) fn is_typed(self) -> bool {
        matches!(self, Place::Typed { .. })
    }
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

/// A text that may be pointed at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    Text(Place),
    /// A string in the arguments of the `number`th tool call: its key, or the keys on the way to
    /// it with dots between; none if the whole input is text.
    Input {
        number: u64,
        key: Option<Arc<str>>,
    },
}

impl Source {
    /// What it takes in memory beside itself.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Source::Input { key: Some(key), .. } => footprint::of_text(key),
            _ => 0,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Source::Text(place) => place.fmt(out),
            Source::Input { number, key: None } => write!(out, "tool call {number}"),
            Source::Input { number, key: Some(key) } => {
                write!(out, "\"{key}\" in tool call {number}")
            }
        }
    }
}

impl Source {
    /// What `Display` wrote.
    pub(super) fn parse(words: &str) -> Option<Source> {
        if let Some(words) = words.strip_prefix("tool call ") {
            return Some(Source::Input { number: words.parse().ok()?, key: None });
        }
        if let Some(words) = words.strip_prefix('"') {
            let (key, number) = words.rsplit_once("\" in tool call ")?;
            let key = Some(key.into());
            return Some(Source::Input { number: number.parse().ok()?, key });
        }
        let place = |number, part| Some(Source::Text(Place::Result { number, part }));
        if let Some(words) = words.strip_prefix("tool result ") {
            return place(words.parse().ok()?, None);
        }
        if let Some(words) = words.strip_prefix("user text ") {
            return Some(Source::Text(Place::Typed { number: words.parse().ok()? }));
        }
        let (part, number) = words.strip_prefix("part ")?.split_once(" of tool result ")?;
        place(number.parse().ok()?, Some(part.parse().ok()?))
    }
}
