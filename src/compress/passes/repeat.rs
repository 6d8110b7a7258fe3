//! Pass 5: a text that repeats an earlier one from end to end becomes a line that points at it.

use crate::compress::Leading;
use crate::compress::budget::Budget;
use crate::compress::earlier::Earlier;
use crate::compress::marker;
use crate::compress::pointing::Pointing;

/// Where all of `text` stands already.
pub(super) fn refer(text: &str, _: Leading, earlier: &Earlier) -> Option<Pointing> {
    earlier.whole(text).cloned().map(Pointing::Whole)
}

/// What `refer` wrote, undone: a marker is ours if we would write the same for its target.
pub(super) fn expand(
    text: &str,
    (_, earlier): (Leading, &Earlier),
    budget: &mut Budget,
) -> Option<String> {
    let source = marker::read_repeats(text)?;
    let found = earlier.find(&source)?;
    if earlier.marker(found) != text {
        return None;
    }
    let target = earlier.text(found);
    budget.take(0, target.len())?;
    Some(target.to_owned())
}
