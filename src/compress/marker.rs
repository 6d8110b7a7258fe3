//! The lines that stand for text: how they are written, told from text that looks like them, and read.
//!
//! They are plain English in brackets and name lines and where they are, because the model that
//! reads them has never heard of us. A text that holds such a line of its own gets a backslash
//! before it, so that whoever expands a prompt cannot be fooled.

use std::borrow::Cow;

/// What every marker begins with, one for each kind.
const OPENINGS: [&str; 1] = ["[Repeats "];

/// The most that is quoted of a line, in characters.
const QUOTE_CHARS_MAX: usize = 60;

/// Where a text stands, in words that a model can count by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// The `number`th result of a tool, from 1; its `part`th text if it has several.
    Result { number: u64, part: Option<u64> },
    /// The `number`th text of the user, from 1.
    Typed { number: u64 },
}

impl Place {
    fn words(self) -> String {
        match self {
            Place::Result { number, part: None } => format!("tool result {number} above"),
            Place::Result { number, part: Some(part) } => {
                format!("part {part} of tool result {number} above")
            }
            Place::Typed { number } => format!("user text {number} above"),
        }
    }

    fn parse(words: &str) -> Option<Place> {
        let words = words.strip_suffix(" above")?;
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

/// The marker for a text that is the same as the one at `place`.
pub(crate) fn repeats(place: Place, text: &str) -> String {
    let opening = OPENINGS[0];
    let place = place.words();
    let mut filled = text.lines().filter(|line| !line.trim().is_empty());
    let first = quote(filled.next().unwrap_or_default());
    match (text.lines().count(), filled.next_back()) {
        (0 | 1, _) | (_, None) => {
            format!("{opening}{place} in full: the same text, which begins \"{first}\"]")
        }
        (lines, Some(last)) => {
            let last = quote(last);
            format!(
                "{opening}{place} in full: the same {lines} lines, from \"{first}\" to \"{last}\"]"
            )
        }
    }
}

/// The place that a marker points at; whether it is one of ours shows when it is written again.
pub(crate) fn target(text: &str) -> Option<Place> {
    let (words, _) = text.strip_prefix(OPENINGS[0])?.split_once(" in full: ")?;
    Place::parse(words)
}

/// Whether some line begins like a marker, backslashes before it or not.
pub(crate) fn is_in(text: &str) -> bool {
    OPENINGS.iter().any(|opening| {
        memchr::memmem::find_iter(text.as_bytes(), opening).any(|at| {
            let before = text[..at].trim_end_matches('\\');
            before.is_empty() || before.ends_with('\n')
        })
    })
}

/// The text with a backslash before each line of its own that begins like a marker; `None` if it
/// has none. What a person typed is touched only if all of it could be taken for a marker.
pub(crate) fn escape(text: &str, place: Place) -> Option<String> {
    if !is_in(text) || is_left_alone(text, place) {
        return None;
    }
    let mut out = String::with_capacity(text.len() + 8);
    for line in text.split_inclusive('\n') {
        if opens(line).is_some() {
            out.push('\\');
        }
        out.push_str(line);
    }
    Some(out)
}

/// What `escape` made, undone.
pub(crate) fn unescape(text: &str, place: Place) -> Cow<'_, str> {
    if !is_in(text) || is_left_alone(text, place) {
        return Cow::Borrowed(text);
    }
    let lines = text.split_inclusive('\n');
    Cow::Owned(lines.map(|line| if opens(line) > Some(0) { &line[1..] } else { line }).collect())
}

fn is_left_alone(text: &str, place: Place) -> bool {
    matches!(place, Place::Typed { .. }) && (text.contains('\n') || !text.ends_with(']'))
}

/// How many backslashes stand before the opening with which this line begins.
fn opens(line: &str) -> Option<usize> {
    let plain = line.trim_start_matches('\\');
    let is_opening = OPENINGS.iter().any(|opening| plain.starts_with(opening));
    is_opening.then(|| line.len() - plain.len())
}

fn quote(line: &str) -> String {
    let line = line.trim();
    match line.char_indices().nth(QUOTE_CHARS_MAX) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESULT: Place = Place::Result { number: 7, part: None };
    const TYPED: Place = Place::Typed { number: 2 };

    #[test]
    fn markers_say_what_they_stand_for() {
        assert_eq!(
            repeats(RESULT, "\n  defmodule A do\n  x\n  end \n"),
            "[Repeats tool result 7 above in full: the same 4 lines, from \"defmodule A do\" to \"end\"]"
        );
        assert_eq!(
            repeats(
                Place::Result { number: 7, part: Some(2) },
                &format!("{}\nend", "\u{e9}".repeat(99))
            ),
            format!(
                "[Repeats part 2 of tool result 7 above in full: the same 2 lines, from \"{}...\" to \"end\"]",
                "\u{e9}".repeat(60)
            )
        );
        assert_eq!(
            repeats(TYPED, "{\"a\":1}"),
            "[Repeats user text 2 above in full: the same text, which begins \"{\"a\":1}\"]"
        );
    }

    #[test]
    fn markers_name_their_target() {
        for place in [RESULT, TYPED, Place::Result { number: 12, part: Some(3) }] {
            assert_eq!(target(&repeats(place, "a\nb")), Some(place));
        }
        for text in ["", "[Repeats ", "[Repeats tool result x above in full: ", "see [Repeats it]"]
        {
            assert_eq!(target(text), None, "{text}");
        }
    }

    #[test]
    fn text_that_looks_like_a_marker_is_escaped_and_comes_back() {
        check("[Repeats x", RESULT, Some("\\[Repeats x"));
        check(
            "a\n\\\\[Repeats x\nb\n[Repeats ",
            RESULT,
            Some("a\n\\\\\\[Repeats x\nb\n\\[Repeats "),
        );
        check("a [Repeats x\n [Repeats y\n[Repeat z\n[repeats ", RESULT, None);
        check("\\a[Repeats x", RESULT, None);
        check("[Repeats after me:", TYPED, None);
        check("look:\n[Repeats tool result 7 above in full]", TYPED, None);
        check(
            "[Repeats tool result 7 above in full]",
            TYPED,
            Some("\\[Repeats tool result 7 above in full]"),
        );

        #[track_caller]
        fn check(text: &str, place: Place, want: Option<&str>) {
            assert_eq!(escape(text, place).as_deref(), want);
            assert_eq!(unescape(want.unwrap_or(text), place), text);
        }
    }
}
