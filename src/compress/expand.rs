//! The way back: gives the texts of a compressed prompt as they were before.
//!
//! It needs nothing but the prompt itself. White space that json-minify took, redraws that the
//! terminal pass played to their end and what lossy passes took are not in it and do not come
//! back. The walk decodes whatever it is about to send and compares: so no pass can break a text,
//! and a line that only looks like one of ours fools nobody.

use std::borrow::Cow;

use super::budget::Budget;
use super::earlier::Earlier;
use super::passes::{PASSES, Pass, Work};
use super::{Leading, Place, Source, marker};

/// Fed the candidates of a compressed prompt from front to back.
pub(crate) struct Expander<'t> {
    earlier: Earlier<'t>,
    /// For all texts together.
    budget: Budget,
    /// Bytes that they may still become.
    left: usize,
}

/// The texts stand for more than was asked for.
#[derive(Debug)]
pub(crate) struct TooLong;

impl<'t> Expander<'t> {
    /// All texts together may become `bytes_max` bytes.
    pub(crate) fn new(bytes_max: usize) -> Expander<'t> {
        Expander { earlier: Earlier::new(false), budget: Budget::new(bytes_max), left: bytes_max }
    }

    /// The counterpart of `Walk::reset`.
    pub(crate) fn reset(&mut self) {
        self.earlier = Earlier::new(false);
    }

    /// The counterpart of `Walk::visible`.
    pub(crate) fn visible(&mut self, text: Cow<'t, str>, source: Source) {
        self.earlier.remember(text.into(), source, 0, Leading::Data);
    }

    /// What this text was; `None` if it stands for itself. `leading` is what the walk was told.
    pub(crate) fn text(
        &mut self,
        text: Cow<'t, str>,
        place: Place,
        leading: Leading,
    ) -> Result<Option<String>, TooLong> {
        let decoded = decode(&text, (place, leading), &self.earlier, &mut self.budget);
        let expanded = match decoded.ok_or(TooLong)? {
            Cow::Borrowed(same) => (same.len() != text.len()).then(|| same.to_owned()),
            Cow::Owned(longer) => Some(longer),
        };
        let bytes = expanded.as_ref().map_or(0, String::len);
        self.left = self.left.checked_sub(bytes).ok_or(TooLong)?;
        self.earlier.remember(text.into(), Source::Text(place), 0, leading);
        Ok(expanded)
    }
}

/// What a text that is sent at `place` stands for. It is borrowed where it stands for itself. `None`: it
/// would be longer than the budget allows.
pub(super) fn decode<'t>(
    text: &'t str,
    (place, leading): (Place, Leading),
    earlier: &Earlier,
    budget: &mut Budget,
) -> Option<Cow<'t, str>> {
    if let Some(below) = marker::below_as_it_came(text) {
        return Some(Cow::Borrowed(below));
    }
    let mut decoded = Cow::Borrowed(text);
    let may_be = |pass: &&Pass| (pass.typed || !place.is_typed()) && pass.may_read(leading);
    for pass in PASSES.iter().rev().filter(may_be) {
        let longer = match pass.work {
            Work::Renders(_) | Work::Loses(_) | Work::Strips(_) => None,
            Work::Encodes { undo, .. } => undo(&decoded, budget),
            Work::Points { undo, .. } => undo(&decoded, (leading, earlier), budget),
        };
        if budget.is_spent() {
            return None;
        }
        decoded = longer.map_or(decoded, Cow::Owned);
    }
    Some(decoded)
}
