//! Pass 6: runs of lines that stand further up become a line that says where.
//!
//! The first and the last line of a run stay, so that a reader sees what he is looking for. Where
//! lines are numbered, as in files that were read, they are compared without their numbers: a file
//! that is read again after an edit is found again although its numbers have moved, and so is a
//! file that was written by a tool and then read. The numbers of the lines that are left out are
//! those that follow the line above; that is how they come back.

use std::borrow::Cow;
use std::ops::Range;

use super::earlier::{Earlier, Scan, Spot, WINDOW};
use super::marker::{self, Run};
use super::numbers::Numbered;

/// What a run must leave out to be worth its marker, in bytes.
const HIDDEN_BYTES_MIN: usize = 240;

/// The text with runs of earlier lines left out.
pub(super) fn refer<'t>(text: &'t str, earlier: &Earlier) -> Cow<'t, str> {
    let new = New::of(text);
    let mut out: Option<String> = None;
    // Lines before `copied` are in the output; the last of them may begin another run.
    let (mut at, mut copied) = (0, 0);
    while at + WINDOW <= new.lines() {
        let Some(found) = new.longest(at, copied, earlier) else {
            at += 1;
            continue;
        };
        let out = out.get_or_insert_with(|| String::with_capacity(text.len()));
        out.push_str(new.text(copied..found.lines.start + 1));
        out.push_str(&marker::run(&found.run(earlier)));
        out.push('\n');
        (at, copied) = (found.lines.end - 1, found.lines.end - 1);
    }
    let Some(mut out) = out else { return Cow::Borrowed(text) };
    out.push_str(&text[new.scan.starts[copied] as usize..]);
    Cow::Owned(out)
}

/// What `refer` did, undone.
pub(super) fn expand(text: &str, earlier: &Earlier) -> Option<String> {
    let mut out: Option<String> = None;
    let (mut above, mut copied, mut at) = ("", 0, 0);
    for line in text.split_inclusive('\n') {
        let words = line.strip_suffix('\n').unwrap_or(line);
        if let Some(lines) = marker::read_run(words).and_then(|run| hidden(&run, above, earlier)) {
            let out = out.get_or_insert_default();
            out.push_str(&text[copied..at]);
            out.push_str(&lines);
            copied = at + line.len();
        }
        above = words;
        at += line.len();
    }
    let mut out = out?;
    out.push_str(&text[copied..]);
    Some(out)
}

/// The lines that a marker below the line `above` stands for, each with its end.
fn hidden(run: &Run, above: &str, earlier: &Earlier) -> Option<String> {
    let text = earlier.find(&run.source)?;
    let first = match run.by_number {
        true => earlier.line_shown(text, run.first)?,
        false => Spot { text, line: usize::try_from(run.first).ok()?.checked_sub(1)? },
    };
    let at = |offset: usize| earlier.line(Spot { line: first.line + offset, ..first });
    let mate = earlier.line(Spot { line: first.line.checked_sub(1)?, ..first })?;
    let mut copy = Copy::of(above, mate)?;
    let mut out = String::new();
    for offset in 0..run.lines {
        copy.line(at(offset)?, &mut out)?;
        out.push('\n');
    }
    Some(out)
}

/// How lines are copied: as they are, or with other numbers.
enum Copy<'t> {
    AsItIs,
    /// The number last given, what stands between number and line, and whether the lines that are
    /// copied have numbers of their own.
    Numbered { number: u64, mark: &'t str, has_numbers: bool },
    WithoutNumbers,
}

impl<'t> Copy<'t> {
    /// From two lines that are the same but for their numbers.
    fn of(above: &'t str, mate: &str) -> Option<Copy<'t>> {
        if above == mate {
            return Some(Copy::AsItIs);
        }
        let theirs = Numbered::parse(mate).map(|line| line.content);
        let Some(ours) = Numbered::parse(above) else {
            return (theirs == Some(above)).then_some(Copy::WithoutNumbers);
        };
        let has_numbers = theirs == Some(ours.content);
        let (number, mark) = (ours.number, ours.mark);
        (has_numbers || ours.content == mate).then_some(Copy::Numbered { number, mark, has_numbers })
    }

    fn line(&mut self, line: &str, out: &mut String) -> Option<()> {
        let content = || Numbered::parse(line).map(|line| line.content);
        match self {
            Copy::AsItIs => out.push_str(line),
            Copy::WithoutNumbers => out.push_str(content()?),
            Copy::Numbered { number, mark, has_numbers } => {
                *number += 1;
                out.push_str(&number.to_string());
                out.push_str(mark);
                out.push_str(if *has_numbers { content()? } else { line });
            }
        }
        Some(())
    }
}

/// The text that is looked at.
struct New<'t> {
    text: &'t str,
    scan: Scan,
}

/// Lines of it that were there before.
struct Found {
    lines: Range<usize>,
    /// Where the first of them was.
    spot: Spot,
}

impl Found {
    fn run(&self, earlier: &Earlier) -> Run {
        let first = Spot { line: self.spot.line + 1, ..self.spot };
        let lines = self.lines.len() - 2;
        let last = Spot { line: first.line + lines - 1, ..first };
        let source = earlier.source(first.text).clone();
        let shown = earlier.shown_number(first).zip(earlier.shown_number(last));
        // What is shown may be shown twice; then it is counted.
        let shown = shown.filter(|(number, end)| {
            end - number == lines as u64 - 1
                && earlier.line_shown(first.text, *number) == Some(first)
        });
        let (by_number, first) = match shown {
            Some((number, _)) => (true, number),
            None => (false, first.line as u64 + 1),
        };
        Run { lines, source, first, by_number }
    }
}

impl<'t> New<'t> {
    fn of(text: &'t str) -> New<'t> {
        New { text, scan: Scan::of(text) }
    }

    fn lines(&self) -> usize {
        self.scan.starts.len()
    }

    /// These lines, each with its end.
    fn text(&self, lines: Range<usize>) -> &'t str {
        let start = |line: usize| self.scan.starts.get(line).map_or(self.text.len(), |at| *at as usize);
        &self.text[start(lines.start)..start(lines.end)]
    }

    fn line(&self, line: usize) -> &'t str {
        let text = self.text(line..line + 1);
        text.strip_suffix('\n').unwrap_or(text)
    }

    /// The longest run that was there before and has line `at` in it; none before `from`.
    fn longest(&self, at: usize, from: usize, earlier: &Earlier) -> Option<Found> {
        let runs = earlier.spots(&self.scan.hashes[at..at + WINDOW]);
        let runs = runs.filter_map(|spot| self.extend(at, from, spot, earlier));
        // The first of equals, which is the furthest up.
        let longest = runs.reduce(|best, run| if run.lines.len() > best.lines.len() { run } else { best })?;
        let hidden = self.text(longest.lines.start + 1..longest.lines.end - 1);
        (hidden.len() >= HIDDEN_BYTES_MIN).then_some(longest)
    }

    /// As far as lines are the same in both directions.
    fn extend(&self, at: usize, from: usize, spot: Spot, earlier: &Earlier) -> Option<Found> {
        let old = |line: usize| earlier.line(Spot { line, ..spot });
        let is_same = |line: usize, other: usize| {
            self.scan.hashes[line] != 0 && old(other).is_some_and(|old| self.is_same(line, old))
        };
        let is_next = |line: usize| self.runs_on(line);
        let mut start = (at, spot.line);
        let mut end = (at, spot.line);
        while end.0 < self.lines() && is_same(end.0, end.1) && (end.0 == at || is_next(end.0)) {
            end = (end.0 + 1, end.1 + 1);
        }
        while start.0 > from && start.1 > 0 && is_same(start.0 - 1, start.1 - 1) && is_next(start.0) {
            start = (start.0 - 1, start.1 - 1);
        }
        let lines = start.0..end.0;
        (lines.len() >= WINDOW).then_some(Found { lines, spot: Spot { line: start.1, ..spot } })
    }

    /// Whether a line is an earlier one, numbers apart.
    fn is_same(&self, line: usize, old: &str) -> bool {
        let new = self.line(line);
        if self.scan.numbers[line].is_none() {
            return new == old || Numbered::parse(old).is_some_and(|old| old.content == new);
        }
        let new = Numbered::parse(new).map_or(new, |line| line.content);
        new == old || Numbered::parse(old).is_some_and(|old| old.content == new)
    }

    /// Whether a line's number is the one after that of the line above it; or neither has one.
    fn runs_on(&self, line: usize) -> bool {
        let numbers = &self.scan.numbers;
        numbers[line] == numbers[line - 1].map(|number| number + 1)
    }
}
