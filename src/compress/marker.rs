//! The lines that stand for text: how they are written, and how they are read.
//!
//! One form for all, `[... WHAT ...]` on a line of its own, in plain English that names lines and
//! where they are, because the model that reads them has never heard of us. Nothing here says
//! whether such a line is ours; that shows when it is read back (`expand.rs`).

use std::fmt::Write as _;

use super::Source;

/// How every marker begins.
pub(crate) const OPEN: &str = "[... ";
const CLOSE: &str = " ...]";

/// Stands above a text that would otherwise be read as if it held lines of ours.
const AS_IT_CAME: &str = "[... the text below is as it came ...]";

/// At the end of every marker for lines that come again.
const MORE_TIMES: &str = " more times";

/// In every marker for lines that stand further up.
const SAME_AS_LINE: &str = ", the same as line";

/// Before numbers that the lines show; without it, lines are counted.
const NUMBERED: &str = "numbered ";

/// Where the lines are in the text itself.
const HERE: &str = "this text";

/// The most that is quoted of a line, in characters.
const QUOTE_CHARS_MAX: usize = 60;

/// What stands in a line's brackets.
pub(super) fn words(line: &str) -> Option<&str> {
    // Most lines are none by their first byte.
    match line.as_bytes() {
        [b'[', ..] => line.strip_prefix(OPEN)?.strip_suffix(CLOSE),
        _ => None,
    }
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
pub(super) fn repeats(source: &Source, text: &str) -> String {
    let mut filled = text.lines().filter(|line| !line.trim().is_empty());
    let first = quote(filled.next().unwrap_or_default());
    match (text.lines().count(), filled.next_back()) {
        (0 | 1, _) | (_, None) => {
            line(&format!("1 line, the same as all of {source} above, beginning \"{first}\""))
        }
        (lines, Some(last)) => {
            let last = quote(last);
            line(&format!(
                "{lines} lines, the same as all of {source} above, from \"{first}\" to \"{last}\""
            ))
        }
    }
}

/// The place at which a marker of `repeats` points, if this is one.
pub(super) fn read_repeats(text: &str) -> Option<Source> {
    let (_, rest) = words(text)?.split_once(", the same as all of ")?;
    let (source, _) = rest.split_once(" above, ")?;
    Source::parse(source)
}

/// Lines that stand further up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) lines: usize,
    /// `None` for the text itself.
    pub(super) source: Option<Source>,
    /// The first of them there, from 1.
    pub(super) first: u64,
    /// Whether `first` is the number that the line shows, or the lines are counted.
    pub(super) by_number: bool,
}

/// The marker for such lines.
pub(super) fn run(run: &Run) -> String {
    let mut out = String::new();
    write_run(run, &mut out);
    out
}

/// The same at the end of a text. A session has hundreds, which are written in each of its turns.
pub(super) fn write_run(run: &Run, out: &mut String) {
    let last = run.first.saturating_add(run.lines as u64 - 1);
    let is_one = last == run.first;
    out.push_str(OPEN);
    write_number(if is_one { 1 } else { run.lines as u64 }, out);
    out.push_str(if is_one { " line" } else { " lines" });
    out.push_str(SAME_AS_LINE);
    out.push_str(if is_one { " " } else { "s " });
    out.push_str(if run.by_number { NUMBERED } else { "" });
    write_number(run.first, out);
    if !is_one {
        out.push('-');
        write_number(last, out);
    }
    out.push_str(" of ");
    _ = match &run.source {
        Some(source) => write!(out, "{source}"),
        None => out.write_str(HERE),
    };
    out.push_str(" above");
    out.push_str(CLOSE);
}

fn write_number(number: u64, out: &mut String) {
    if number > 9 {
        write_number(number / 10, out);
    }
    out.push(char::from(b'0' + (number % 10) as u8));
}

/// Whether some line of a text might be one of `run`: a cheap look before a thorough one.
pub(super) fn may_hold_run(text: &str) -> bool {
    memchr::memmem::find(text.as_bytes(), SAME_AS_LINE.as_bytes()).is_some()
}

/// What `run` wrote, if this is such a line.
pub(super) fn read_run(text: &str) -> Option<Run> {
    let (_, rest) = words(text)?.split_once(SAME_AS_LINE)?;
    let (range, source) = rest.strip_suffix(" above")?.split_once(" of ")?;
    let range = range.strip_prefix("s ").or_else(|| range.strip_prefix(' '))?;
    let numbers = range.strip_prefix(NUMBERED);
    let range = numbers.unwrap_or(range);
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    let lines = usize::try_from(last.checked_sub(first)?.checked_add(1)?).ok()?;
    let source = if source == HERE { None } else { Some(Source::parse(source)?) };
    let found = Run { lines, source, first, by_number: numbers.is_some() };
    (run(&found) == text).then_some(found)
}

/// The marker for a block of lines that comes `times` more after it was there once.
pub(super) fn again(period: usize, times: usize) -> String {
    match period {
        1 => line(&format!("the line above {times}{MORE_TIMES}")),
        _ => line(&format!("the {period} lines above {times}{MORE_TIMES}")),
    }
}

/// Whether some line of a text might be one of `again`: a cheap look before a thorough one.
pub(super) fn may_hold_again(text: &str) -> bool {
    memchr::memmem::find(text.as_bytes(), MORE_TIMES.as_bytes()).is_some()
}

/// The block and the times of `again`, if this is such a line.
pub(super) fn read_again(text: &str) -> Option<(usize, usize)> {
    let (block, times) = words(text)?.strip_suffix(MORE_TIMES)?.split_once(" above ")?;
    let period = match block.strip_prefix("the ")? {
        "line" => 1,
        lines => lines.strip_suffix(" lines")?.parse().ok()?,
    };
    let times = times.parse().ok()?;
    (again(period, times) == text).then_some((period, times))
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
    use super::super::Place;
    use super::*;

    const RESULT: Source = Source::Text(Place::Result { number: 7, part: None });
    const PART: Source = Source::Text(Place::Result { number: 7, part: Some(2) });
    const TYPED: Source = Source::Text(Place::Typed { number: 2 });

    #[test]
    fn markers_say_what_they_stand_for() {
        assert_eq!(
            repeats(&RESULT, "\n  defmodule A do\n  x\n  end \n"),
            "[... 4 lines, the same as all of tool result 7 above, from \"defmodule A do\" to \"end\" ...]"
        );
        assert_eq!(
            repeats(&PART, &format!("{}\nend", "\u{e9}".repeat(99))),
            format!(
                "[... 2 lines, the same as all of part 2 of tool result 7 above, from \"{}...\" to \"end\" ...]",
                "\u{e9}".repeat(60)
            )
        );
        assert_eq!(
            repeats(&TYPED, "{\"a\":1}"),
            "[... 1 line, the same as all of user text 2 above, beginning \"{\"a\":1}\" ...]"
        );
    }

    #[test]
    fn markers_name_their_target() {
        for source in [RESULT, PART, TYPED] {
            assert_eq!(read_repeats(&repeats(&source, "a\nb")).as_ref(), Some(&source));
            assert_eq!(read_repeats(&repeats(&source, "a")).as_ref(), Some(&source));
        }
        for text in ["", "[... ", "[... 2 lines, the same as all of tool result x above, a ...]"] {
            assert_eq!(read_repeats(text), None, "{text}");
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
