//! Pass 6: runs of lines that stand further up, in other texts or in this one, become a line that
//! says where.
//!
//! The first and the last line of a run stay, so that a reader sees what he is looking for. Where
//! lines are numbered, as in files that were read, they are compared without their numbers: a file
//! that is read again after an edit is found again although its numbers have moved, and so is a
//! file that was written by a tool and then read. The numbers of the lines that are left out are
//! those that follow the line above; that is how they come back.

use std::ops::Range;

use super::numbers::Numbered;
use crate::compress::Leading;
use crate::compress::budget::Budget;
use crate::compress::earlier::{Earlier, Spot};
use crate::compress::index::{Index, WINDOW};
use crate::compress::lines::{self, Blocks, Lines};
use crate::compress::marker::{self, Run};
use crate::compress::pointing::{Cut, Pointing};

/// What a run must leave out to be worth its marker, in bytes.
const HIDDEN_BYTES_MIN: usize = 120;

/// Steps to see how far lines are the same, for each line of a text: a run of short lines between many
/// blank ones is followed in vain from each of its lines, and in long logs from many.
const STEPS_PER_LINE: usize = 64;

/// The runs of lines that can be left out.
pub(super) fn refer(text: &str, leading: Leading, earlier: &Earlier) -> Option<Pointing> {
    let mut search = Search::of(Lines::of(text, leading), earlier);
    let mut cuts = Vec::new();
    // Lines before `from` are settled; the last of them may begin another run.
    let (mut at, mut from) = (0, 0);
    while at + WINDOW <= search.new.len() && search.steps > 0 {
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
pub(super) fn expand(
    text: &str,
    (leading, earlier): (Leading, &Earlier),
    budget: &mut Budget,
) -> Option<String> {
    if !marker::may_hold_run(text) || !lines::are_few(text) {
        return None;
    }
    let sent = Lines::of(text, leading);
    let blocks = sent.blocks();
    let mut out: Option<String> = None;
    let mut copied = 0;
    for line in 1..sent.len() {
        let above = Above { sent: &sent, blocks: &blocks, leading, line };
        let run = if sent.hashes[line] == 0 { marker::read_run(sent.line(line)) } else { None };
        let Some(run) = run else { continue };
        let hidden = hidden(&run, &above, earlier, budget);
        if budget.is_spent() {
            return None;
        }
        if let Some(hidden) = hidden {
            let out = out.get_or_insert_with(|| budget.room(text.len()));
            budget.push(out, sent.text(copied..line))?;
            budget.push(out, &hidden)?;
            copied = line + 1;
        }
    }
    let mut out = out?;
    budget.push(&mut out, sent.text(copied..sent.len()))?;
    Some(out)
}

/// What stands above a line of the text that is expanded.
struct Above<'t> {
    sent: &'t Lines<'t>,
    blocks: &'t Blocks,
    leading: Leading,
    line: usize,
}

/// The lines that a marker stands for, each with its end.
fn hidden(run: &Run, above: &Above, earlier: &Earlier, budget: &mut Budget) -> Option<String> {
    let text = match &run.source {
        Some(source) => Some(earlier.find(source)?),
        None => None,
    };
    let first = match (run.by_number, text) {
        (true, Some(text)) => earlier.line_shown(text, run.first)?.line,
        (true, None) => above.blocks.line_shown(run.first)?,
        (false, _) => usize::try_from(run.first).ok()?.checked_sub(1)?,
    };
    let line = |line: usize| match text {
        Some(text) => earlier.line(Spot { text, line }),
        None => (line < above.line).then(|| above.sent.line(line)),
    };
    // What is not there to its end is not looked at.
    line(first.checked_add(run.lines)?.checked_sub(1)?)?;
    let leading = [above.leading, text.map_or(above.leading, |text| earlier.leading(text))];
    let mate = line(first.checked_sub(1)?)?;
    let mut copy = Copy::of(above.sent.line(above.line - 1), mate, leading)?;
    let mut out = String::new();
    for offset in 0..run.lines {
        let line = line(first + offset)?;
        budget.spend(line.len())?;
        copy.line(line, &mut out)?;
        out.push('\n');
        budget.take(out.len(), 1)?;
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
    /// From two lines that are the same but for their numbers, and what numbers are in their texts.
    fn of(above: &'t str, mate: &str, leading: [Leading; 2]) -> Option<Copy<'t>> {
        if above == mate {
            return Some(Copy::AsItIs);
        }
        let theirs = Numbered::of(mate, leading[1]).map(|line| line.content);
        let Some(ours) = Numbered::of(above, leading[0]) else {
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
    blocks: Blocks,
    earlier: &'t Earlier<'e>,
    /// This text's own lines, as far as they have been passed.
    own: Index,
    /// Lines that are left out, in their order, and by how many that makes the text shorter so far.
    hidden: Vec<(Range<usize>, usize)>,
    /// How often two lines may still be compared.
    steps: usize,
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
    fn of(new: Lines<'t>, earlier: &'t Earlier<'e>) -> Search<'t, 'e> {
        let blocks = new.blocks();
        let steps = STEPS_PER_LINE * new.len();
        Search { new, blocks, earlier, own: Index::default(), hidden: Vec::new(), steps }
    }

    /// The longest run that was there before and has line `at` in it; nothing before `from`.
    fn longest(&mut self, at: usize, from: usize) -> Option<Found> {
        // Three lines that end before this one can be pointed at.
        while self.own.len() < at {
            self.pass_line(true);
        }
        // Blank lines say nothing, and going over many of them for each of them would take for ever.
        if self.is_blank(at) {
            return None;
        }
        let window = self.new.hashes[at..at + WINDOW].try_into().ok()?;
        let mut longest: Option<(Range<usize>, usize, bool)> = None;
        let mut steps = 0;
        let above = self.earlier.index().map(|index| (index, from, false));
        for (index, from, is_here) in above.into_iter().chain([(&self.own, from, true)]) {
            for line in index.matches(window) {
                let (lines, first, more) = self.extend(at, from, (index, line), is_here);
                steps += more;
                // The first of equals stays, which is the furthest up.
                if longest.as_ref().is_none_or(|(longest, ..)| lines.len() > longest.len()) {
                    longest = Some((lines, first, is_here));
                }
            }
        }
        self.steps = self.steps.saturating_sub(steps);
        let (lines, first, is_here) = longest.filter(|(lines, ..)| lines.len() >= WINDOW)?;
        let hidden = self.new.bytes(lines.start + 1..lines.end - 1);
        let (text, first) = match is_here {
            true => (None, first),
            false => {
                let spot = self.earlier.spot(first);
                (Some(spot.text), spot.line)
            }
        };
        (hidden.len() >= HIDDEN_BYTES_MIN).then_some(Found { lines, text, first })
    }

    /// As far as lines are the same in both directions, where the first of them was, and how many were
    /// compared. Lines are told by their hashes: what is sent is read back and compared before it goes out.
    fn extend(
        &self,
        at: usize,
        from: usize,
        (index, line): (&Index, usize),
        is_here: bool,
    ) -> (Range<usize>, usize, usize) {
        let is_same = |new: usize, old: usize| {
            let hash = self.new.hashes[new];
            hash != 0 && hash == index.hash(old)
        };
        let (mut end, mut old_end) = (at + 1, line + 1);
        // What is pointed at in this text ends before the run.
        let old_end_max = if is_here { at } else { index.len() };
        while end < self.new.len()
            && old_end < old_end_max
            && self.runs_on(end)
            && is_same(end, old_end)
        {
            (end, old_end) = (end + 1, old_end + 1);
        }
        let from = if is_here { from.max(old_end) } else { from };
        let (mut start, mut first) = (at, line);
        while start > from && first > 0 && self.runs_on(start) && is_same(start - 1, first - 1) {
            (start, first) = (start - 1, first - 1);
        }
        let steps = end - start;
        // What stays to be seen must say something.
        while start < end && self.is_blank(start) {
            (start, first) = (start + 1, first + 1);
        }
        while start < end && self.is_blank(end - 1) {
            end -= 1;
        }
        (start..end, first, steps)
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
        let text = self.content(line);
        match text.bytes().find(|byte| !matches!(byte, b' ' | b'\t')) {
            Some(first) if first.is_ascii_graphic() => false,
            _ => text.trim_start().is_empty(),
        }
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

    /// Where a line of this text stands in what is sent of it: each run became one line.
    fn line_as_sent(&self, line: usize) -> usize {
        line - self.hidden_above(line).map_or(0, |(_, fewer)| *fewer)
    }

    /// Adds the next line to those of this text that can be pointed at, if it stays.
    fn pass_line(&mut self, stays: bool) {
        let line = self.own.len();
        self.own.push(if stays { self.new.hashes[line] } else { 0 });
        self.own.insert((line + 1).saturating_sub(WINDOW));
    }

    fn hide(&mut self, lines: Range<usize>) {
        // Some of them may have been passed before the run was found.
        (lines.start..self.own.len().min(lines.end)).for_each(|line| self.own.forget(line));
        while self.own.len() < lines.end {
            self.pass_line(self.own.len() < lines.start);
        }
        let fewer = self.hidden.last().map_or(0, |(_, fewer)| *fewer) + lines.len() - 1;
        self.hidden.push((lines, fewer));
    }

    fn run(&self, found: &Found) -> Run {
        let (first, lines) = (found.first + 1, found.lines.len() - 2);
        let (source, blocks) = match found.text {
            Some(text) => (Some(self.earlier.source(text).clone()), self.earlier.blocks(text)),
            None => (None, &self.blocks),
        };
        let number = blocks.shown_number(first).filter(|number| {
            // What is shown may be shown twice, or not to the end; then lines are counted.
            let last = blocks.shown_number(first + lines - 1);
            last == Some(number + lines as u64 - 1) && blocks.line_shown(*number) == Some(first)
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
