//! The lines that stand for text: how they are written, and how they are read.
//!
//! One form for all, `[... WHAT ...]` on a line of its own, in plain English that names lines and
//! where they are, because the model that reads them has never heard of us. Nothing here says
//! whether such a line is ours; that shows when it is read back (`expand.rs`).

use super::Place;

const OPEN: &str = "[... ";
const CLOSE: &str = " ...]";

/// Stands above a text that would otherwise be read as if it held lines of ours.
const AS_IT_CAME: &str = "[... the text below is as it came ...]";

/// The most that is quoted of a line, in characters.
const QUOTE_CHARS_MAX: usize = 60;

/// What stands in a line's brackets.
pub(super) fn words(line: &str) -> Option<&str> {
    line.strip_prefix(OPEN)?.strip_suffix(CLOSE)
}

fn line(words: &str) -> String {
    format!("{OPEN}{words}{CLOSE}")
}

/// The text with the line above it that says that no other line is a marker.
pub(super) fn as_it_came(text: &str) -> String {
    format!("{AS_IT_CAME}\n{text}")
}

/// The text below such a line.
pub(super) fn below_as_it_came(text: &str) -> Option<&str> {
    text.strip_prefix(AS_IT_CAME)?.strip_prefix('\n')
}

/// The marker for a text that is the same as the one at `place`.
pub(super) fn repeats(place: Place, text: &str) -> String {
    let mut filled = text.lines().filter(|line| !line.trim().is_empty());
    let first = quote(filled.next().unwrap_or_default());
    match (text.lines().count(), filled.next_back()) {
        (0 | 1, _) | (_, None) => {
            line(&format!("1 line, the same as all of {place} above, beginning \"{first}\""))
        }
        (lines, Some(last)) => {
            let last = quote(last);
            line(&format!(
                "{lines} lines, the same as all of {place} above, from \"{first}\" to \"{last}\""
            ))
        }
    }
}

/// The place at which a marker of `repeats` points, if this is one.
pub(super) fn repeated(text: &str) -> Option<Place> {
    let (_, rest) = words(text)?.split_once(", the same as all of ")?;
    let (place, _) = rest.split_once(" above, ")?;
    Place::parse(place)
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
    const PART: Place = Place::Result { number: 7, part: Some(2) };
    const TYPED: Place = Place::Typed { number: 2 };

    #[test]
    fn markers_say_what_they_stand_for() {
        assert_eq!(
            repeats(RESULT, "\n  defmodule A do\n  x\n  end \n"),
            "[... 4 lines, the same as all of tool result 7 above, from \"defmodule A do\" to \"end\" ...]"
        );
        assert_eq!(
            repeats(PART, &format!("{}\nend", "\u{e9}".repeat(99))),
            format!(
                "[... 2 lines, the same as all of part 2 of tool result 7 above, from \"{}...\" to \"end\" ...]",
                "\u{e9}".repeat(60)
            )
        );
        assert_eq!(
            repeats(TYPED, "{\"a\":1}"),
            "[... 1 line, the same as all of user text 2 above, beginning \"{\"a\":1}\" ...]"
        );
    }

    #[test]
    fn markers_name_their_target() {
        for place in [RESULT, PART, TYPED] {
            assert_eq!(repeated(&repeats(place, "a\nb")), Some(place));
            assert_eq!(repeated(&repeats(place, "a")), Some(place));
        }
        for text in ["", "[... ", "[... 2 lines, the same as all of tool result x above, a ...]"] {
            assert_eq!(repeated(text), None, "{text}");
        }
    }

    #[test]
    fn a_text_as_it_came_is_told_from_others() {
        for text in ["", "a\nb", "[... the text below is as it came ...]\nx"] {
            assert_eq!(below_as_it_came(&as_it_came(text)), Some(text));
        }
        assert_eq!(below_as_it_came("[... the text below is as it came ...]"), None);
        assert_eq!(below_as_it_came(" [... the text below is as it came ...]\nx"), None);
    }
}
