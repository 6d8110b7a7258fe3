//! Pass 6: runs of lines that stand further up, in other texts or in this one, become a line that
//! says where.
//!
//! The first and the last line of a run stay, so that a reader sees what he is looking for. Where
//! lines are numbered, as in files that were read, they are compared without their numbers: a file
//! that is read again after an edit is found again although its numbers have moved, and so is a
//! file that was written by a tool and then read. The numbers of the lines that are left out are
//! those that follow the line above; that is how they come back.

use std::ops::Range;

use super::earlier::{Earlier, Spot};
use super::index::{Index, WINDOW};
use super::lines::{self, Block, Lines};
use super::marker::{self, Run};
use super::numbers::Numbered;
use super::recipe::{Cut, Pointing};

/// What a run must leave out to be worth its marker, in bytes.
const HIDDEN_BYTES_MIN: usize = 120;

/// The runs of lines that can be left out.
pub(super) fn refer(text: &str, earlier: &Earlier) -> Option<Pointing> {
    let mut search = Search::of(text, earlier);
    let mut cuts = Vec::new();
    // Lines before `from` are settled; the last of them may begin another run.
    let (mut at, mut from) = (0, 0);
    while at + WINDOW <= search.new.len() {
        let Some(found) = search.longest(at, from) else {
            at += 1;
            continue;
        };
        let lines = found.lines.start + 1..found.lines.end - 1;
        let bytes = search.new.bytes(lines.clone());
        cuts.push(Cut { bytes, run: search.run(&found) });
        search.hide(lines);
        from = found.lines.end - 1;
        at = from.max(at + 1);
    }
    (!cuts.is_empty()).then_some(Pointing::Runs(cuts))
}

/// What `refer` did, undone.
pub(super) fn expand(text: &str, earlier: &Earlier) -> Option<String> {
    if !marker::may_hold_run(text) {
        return None;
    }
    let sent = Lines::of(text);
    let blocks = sent.blocks();
    let mut out: Option<String> = None;
    let mut copied = 0;
    for line in 1..sent.len() {
        let above = Above { sent: &sent, blocks: &blocks, line };
        let run = if sent.hashes[line] == 0 { marker::read_run(sent.line(line)) } else { None };
        if let Some(hidden) = run.and_then(|run| hidden(&run, &above, earlier)) {
            let out = out.get_or_insert_default();
            out.push_str(sent.text(copied..line));
            out.push_str(&hidden);
            copied = line + 1;
        }
    }
    let mut out = out?;
    out.push_str(sent.text(copied..sent.len()));
    Some(out)
}

/// What stands above a line of the text that is expanded.
struct Above<'t> {
    sent: &'t Lines<'t>,
    blocks: &'t [Block],
    line: usize,
}

/// The lines that a marker stands for, each with its end.
fn hidden(run: &Run, above: &Above, earlier: &Earlier) -> Option<String> {
    let text = match &run.source {
        Some(source) => Some(earlier.find(source)?),
        None => None,
    };
    let first = match (run.by_number, text) {
        (true, Some(text)) => earlier.line_shown(text, run.first)?.line,
        (true, None) => lines::line_shown(above.blocks, run.first)?,
        (false, _) => usize::try_from(run.first).ok()?.checked_sub(1)?,
    };
    let line = |line: usize| match text {
        Some(text) => earlier.line(Spot { text, line }),
        None => (line < above.line).then(|| above.sent.line(line)),
    };
    let mut copy = Copy::of(above.sent.line(above.line - 1), line(first.checked_sub(1)?)?)?;
    let mut out = String::new();
    for offset in 0..run.lines {
        copy.line(line(first.checked_add(offset)?)?, &mut out)?;
        out.push('\n');
    }
    Some(out)
}

/// How lines are copied: as they are, or with other numbers.
enum Copy<'t> {
    AsItIs,
    /// The number last given, what stands between number and line, and whether the lines that are
    /// copied have numbers of their own.
    Numbered {
        number: u64,
        mark: &'t str,
        has_numbers: bool,
    },
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
        (has_numbers || ours.content == mate).then_some(Copy::Numbered {
            number,
            mark,
            has_numbers,
        })
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

/// The text that is looked at, and where its lines may have been before.
struct Search<'t, 'e> {
    new: Lines<'t>,
    blocks: Vec<Block>,
    earlier: &'t Earlier<'e>,
    /// This text's own lines, as far as they have been passed.
    own: Index,
    /// Lines that are left out, in their order, and by how many that makes the text shorter so far.
    hidden: Vec<(Range<usize>, usize)>,
}

/// Lines of the text that were there before.
struct Found {
    lines: Range<usize>,
    /// The earlier text; `None` for this one.
    text: Option<usize>,
    /// Where the first of them was, counted from 0.
    first: usize,
}

impl<'t, 'e> Search<'t, 'e> {
    fn of(text: &'t str, earlier: &'t Earlier<'e>) -> Search<'t, 'e> {
        let new = Lines::of(text);
        let blocks = new.blocks();
        Search { new, blocks, earlier, own: Index::default(), hidden: Vec::new() }
    }

    /// The longest run that was there before and has line `at` in it; nothing before `from`.
    fn longest(&mut self, at: usize, from: usize) -> Option<Found> {
        // Three lines that end before this one can be pointed at.
        while self.own.len() < at {
            self.own.push(self.new.hashes[self.own.len()]);
            self.own.insert(self.own.len().saturating_sub(WINDOW));
        }
        // Blank lines say nothing, and going over many of them for each of them would take for ever.
        if self.is_blank(at) {
            return None;
        }
        let window = self.new.hashes[at..at + WINDOW].try_into().ok()?;
        let above = self.earlier.spots(window).map(|spot| (Some(spot.text), spot.line));
        let here = self.own.matches(window).map(|line| (None, line));
        let runs = above.chain(here).filter_map(|(text, line)| self.extend(at, from, text, line));
        // The first of equals, which is the furthest up.
        let longest =
            runs.reduce(|best, run| if run.lines.len() > best.lines.len() { run } else { best })?;
        let hidden = self.new.text(longest.lines.start + 1..longest.lines.end - 1);
        (hidden.len() >= HIDDEN_BYTES_MIN).then_some(longest)
    }

    /// As far as lines are the same in both directions.
    fn extend(&self, at: usize, from: usize, text: Option<usize>, line: usize) -> Option<Found> {
        let old = |line: usize| match text {
            Some(text) => self.earlier.line(Spot { text, line }),
            // What is pointed at ends before the run, and is there to be seen.
            None => (line < at && !self.is_hidden(line)).then(|| self.new.line(line)),
        };
        let is_same = |new: usize, other: usize| {
            self.new.hashes[new] != 0 && old(other).is_some_and(|old| self.is_same(new, old))
        };
        let mut end = (at, line);
        while end.0 < self.new.len()
            && (end.0 == at || self.runs_on(end.0))
            && is_same(end.0, end.1)
        {
            end = (end.0 + 1, end.1 + 1);
        }
        let mut start = (at, line);
        let first = if text.is_none() { from.max(end.1) } else { from };
        while start.0 > first
            && start.1 > 0
            && self.runs_on(start.0)
            && is_same(start.0 - 1, start.1 - 1)
        {
            start = (start.0 - 1, start.1 - 1);
        }
        // What stays to be seen must say something.
        while start.0 < end.0 && self.is_blank(start.0) {
            start = (start.0 + 1, start.1 + 1);
        }
        while start.0 < end.0 && self.is_blank(end.0 - 1) {
            end.0 -= 1;
        }
        let lines = start.0..end.0;
        (lines.len() >= WINDOW).then_some(Found { lines, text, first: start.1 })
    }

    /// Whether a line is an earlier one, numbers apart.
    fn is_same(&self, line: usize, old: &str) -> bool {
        let content = self.content(line);
        self.new.line(line) == old
            || content == old
            || Numbered::parse(old).is_some_and(|old| old.content == content)
    }

    /// A line without its number.
    fn content(&self, line: usize) -> &'t str {
        let whole = self.new.line(line);
        match self.new.numbers[line] {
            Some(_) => Numbered::parse(whole).map_or(whole, |line| line.content),
            None => whole,
        }
    }

    fn is_blank(&self, line: usize) -> bool {
        self.content(line).trim().is_empty()
    }

    /// Whether a line's number is the one after that of the line above it; or neither has one.
    fn runs_on(&self, line: usize) -> bool {
        let numbers = &self.new.numbers;
        numbers[line] == numbers[line - 1].map(|number| number + 1)
    }

    /// The last run of hidden lines that begins at or above this line.
    fn hidden_above(&self, line: usize) -> Option<&(Range<usize>, usize)> {
        let after = self.hidden.partition_point(|(lines, _)| lines.start <= line);
        self.hidden[..after].last()
    }

    fn is_hidden(&self, line: usize) -> bool {
        self.hidden_above(line).is_some_and(|(lines, _)| lines.contains(&line))
    }

    /// Where a line of this text stands in what is sent of it: each run became one line.
    fn line_as_sent(&self, line: usize) -> usize {
        line - self.hidden_above(line).map_or(0, |(_, fewer)| *fewer)
    }

    fn hide(&mut self, lines: Range<usize>) {
        while self.own.len() < lines.end {
            let line = self.own.len();
            let is_seen = line < lines.start;
            self.own.push(if is_seen { self.new.hashes[line] } else { 0 });
            self.own.insert(self.own.len().saturating_sub(WINDOW));
        }
        let fewer = self.hidden.last().map_or(0, |(_, fewer)| *fewer) + lines.len() - 1;
        self.hidden.push((lines, fewer));
    }

    fn run(&self, found: &Found) -> Run {
        let (first, lines) = (found.first + 1, found.lines.len() - 2);
        let (source, blocks) = match found.text {
            Some(text) => (Some(self.earlier.source(text).clone()), self.earlier.blocks(text)),
            None => (None, &self.blocks[..]),
        };
        let number = lines::shown_number(blocks, first).filter(|number| {
            // What is shown may be shown twice, or not to the end; then lines are counted.
            let last = lines::shown_number(blocks, first + lines - 1);
            last == Some(number + lines as u64 - 1)
                && lines::line_shown(blocks, *number) == Some(first)
        });
        let counted = match found.text {
            Some(_) => first,
            None => self.line_as_sent(first),
        };
        let first = number.unwrap_or(counted as u64 + 1);
        Run { lines, source, first, by_number: number.is_some() }
    }
}

#[cfg(test)]
mod tests;
