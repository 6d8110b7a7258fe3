//! Pass 5: a text that repeats an earlier one from end to end becomes a line that points at it.

use crate::compress::earlier::Earlier;
use crate::compress::marker;
use crate::compress::recipe::Pointing;

/// Where all of `text` stands already.
pub(super) fn refer(text: &str, earlier: &Earlier) -> Option<Pointing> {
    earlier.whole(text).cloned().map(Pointing::Whole)
}

/// What `refer` wrote, undone: a marker is ours if we would write the same for its target.
pub(super) fn expand(text: &str, earlier: &Earlier) -> Option<String> {
    let source = marker::read_repeats(text)?;
    let target = earlier.text(earlier.find(&source)?);
    (marker::repeats(&source, target) == text).then(|| target.to_owned())
}
