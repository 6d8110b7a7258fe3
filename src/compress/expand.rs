//! The way back: gives the texts of a compressed prompt as they were before.
//!
//! It needs nothing but the prompt itself. White space that json-minify took, redraws that the
//! terminal pass played to their end and what lossy passes took are not in it and do not come
//! back. The walk decodes whatever it is about to send and compares: so no pass can break a text,
//! and a line that only looks like one of ours fools nobody.

use std::borrow::Cow;

use super::earlier::Earlier;
use super::passes::{PASSES, Work};
use super::{Place, marker};

/// Fed the candidates of a compressed prompt from front to back.
#[derive(Default)]
pub(crate) struct Expander {
    earlier: Earlier,
}

impl Expander {
    /// The counterpart of `Walk::reset`.
    pub(crate) fn reset(&mut self) {
        self.earlier = Earlier::default();
    }

    /// What this text was.
    pub(crate) fn text(&mut self, text: &str, place: Place) -> String {
        let expanded = decode(text, place, &self.earlier).into_owned();
        self.earlier.remember(text, place);
        expanded
    }
}

/// What a text that is sent at `place` stands for. It is borrowed where it stands for itself.
pub(super) fn decode<'t>(text: &'t str, place: Place, earlier: &Earlier) -> Cow<'t, str> {
    if let Some(below) = marker::below_as_it_came(text) {
        return Cow::Borrowed(below);
    }
    let mut decoded = Cow::Borrowed(text);
    for pass in PASSES.iter().rev().filter(|pass| pass.typed || !place.is_typed()) {
        let longer = match pass.work {
            Work::Renders(_) | Work::Loses(_) => None,
            Work::Encodes { undo, .. } => undo(&decoded),
            Work::Points { undo, .. } => undo(&decoded, earlier),
        };
        decoded = longer.map_or(decoded, Cow::Owned);
    }
    decoded
}
