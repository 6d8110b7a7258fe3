//! Pass 5: a text that repeats an earlier one from end to end becomes a line that points at it.

use std::borrow::Cow;

use super::earlier::Earlier;
use super::marker;

/// The marker for `text`, if it was there before.
pub(super) fn refer<'t>(text: &'t str, earlier: &Earlier) -> Cow<'t, str> {
    let source = earlier.whole(text);
    source.map_or(Cow::Borrowed(text), |source| Cow::Owned(marker::repeats(source, text)))
}

/// What `refer` wrote, undone: a marker is ours if we would write the same for its target.
pub(super) fn expand(text: &str, earlier: &Earlier) -> Option<String> {
    let source = marker::read_repeats(text)?;
    let target = earlier.text(earlier.find(&source)?);
    (marker::repeats(&source, target) == text).then(|| target.to_owned())
}
