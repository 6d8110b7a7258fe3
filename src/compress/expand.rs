//! The way back: gives the texts of a compressed prompt as they were before.
//!
//! It needs nothing but the prompt itself. White space that json-minify took, redraws that the
//! terminal pass played to their end and what lossy passes took are not in it and do not come
//! back. The walk decodes whatever it is about to send and compares: so no pass can break a text,
//! and a line that only looks like one of ours fools nobody.

use std::borrow::Cow;

use super::earlier::Earlier;
use super::passes::{PASSES, Work};
use super::{Place, Source, marker};

/// Fed the candidates of a compressed prompt from front to back.
pub(crate) struct Expander<'t> {
    earlier: Earlier<'t>,
}

impl<'t> Expander<'t> {
    pub(crate) fn new() -> Expander<'t> {
        Expander { earlier: Earlier::new(false) }
    }

    /// The counterpart of `Walk::reset`.
    pub(crate) fn reset(&mut self) {
        self.earlier = Earlier::new(false);
    }

    /// The counterpart of `Walk::visible`.
    pub(crate) fn visible(&mut self, text: Cow<'t, str>, source: Source) {
        self.earlier.remember(text.into(), source, 0);
    }

    /// What this text was; `None` if it stands for itself.
    pub(crate) fn text(&mut self, text: Cow<'t, str>, place: Place) -> Option<String> {
        let expanded = match decode(&text, place, &self.earlier) {
            Cow::Borrowed(same) => (same.len() != text.len()).then(|| same.to_owned()),
            Cow::Owned(longer) => Some(longer),
        };
        self.earlier.remember(text.into(), Source::Text(place), 0);
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
            Work::Renders(_) | Work::Loses(_) | Work::Strips(_) => None,
            Work::Encodes { undo, .. } => undo(&decoded),
            Work::Points { undo, .. } => undo(&decoded, earlier),
        };
        decoded = longer.map_or(decoded, Cow::Owned);
    }
    decoded
}
