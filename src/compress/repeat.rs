//! Pass 5: a text that repeats an earlier one from end to end becomes a line that points at it.

use std::borrow::Cow;

use super::earlier::Earlier;
use super::marker;

/// The marker for `text`, if it was there before.
pub(super) fn refer<'t>(text: &'t str, earlier: &Earlier) -> Cow<'t, str> {
    let place = earlier.place_of(text);
    place.map_or(Cow::Borrowed(text), |place| Cow::Owned(marker::repeats(place, text)))
}

/// What `refer` wrote, undone: a marker is ours if we would write the same for its target.
pub(super) fn expand(text: &str, earlier: &Earlier) -> Option<String> {
    let place = marker::repeated(text)?;
    let target = earlier.text(place)?;
    (marker::repeats(place, target) == text).then(|| target.to_owned())
}
