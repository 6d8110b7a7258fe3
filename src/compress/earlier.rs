//! The texts above in the prompt as they are sent, and where each of their lines is found again.
//!
//! Lines are looked up by three of them in a row: fewer would find every closing brace, more would
//! miss what stands between two edits. Of equal places the first four are kept and no search goes
//! further than a fixed number of steps, so that time stays linear in the prompt whatever it
//! holds; an entry is eight bytes, and four to eight in the table.

use std::borrow::Cow;
use std::collections::HashMap;

use super::hash::{hash, mix};
use super::numbers::Numbered;
use super::{Source, is_large, marker};

/// How many lines in a row are looked up together.
pub(super) const WINDOW: usize = 3;

/// Of equal places, how many are kept.
const PLACES_MAX: usize = 4;

/// Slots of the table that are looked at for one window.
const STEPS_MAX: usize = 32;

/// Lines with running numbers that belong together must be at least this many.
const BLOCK_LINES_MIN: u32 = 3;

/// Texts above, lines of all of them in one list. The walk and the expander keep the same ones, or
/// a pointer would mean one thing to one of them and another to the other.
#[derive(Default)]
pub(super) struct Earlier<'t> {
    texts: Vec<Text<'t>>,
    of_source: HashMap<Source, usize>,
    of_hash: HashMap<u64, usize>,
    lines: Vec<Line>,
    /// Line numbers plus 1, where three lines begin that are found by their hash; 0 is free.
    table: Vec<u32>,
    filled: usize,
}

struct Text<'t> {
    source: Source,
    text: Cow<'t, str>,
    /// Where its lines are in the list. One more follows them, which begins where the text ends.
    lines: std::ops::Range<usize>,
    blocks: Vec<Block>,
}

/// A line: where it begins, and a hash of it without its number. 0: never found.
#[derive(Clone, Copy)]
struct Line {
    start: u32,
    hash: u32,
}

/// Lines with running numbers.
struct Block {
    /// Counted from the text's first.
    first: usize,
    number: u64,
    lines: u32,
}

/// Lines of an earlier text, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) text: usize,
    pub(super) line: usize,
}

impl<'t> Earlier<'t> {
    /// Notes a text as it is sent. One that points as a whole is not pointed at, since a model
    /// should have to look once; nor is one that says that it is as it came.
    pub(super) fn remember(&mut self, text: Cow<'t, str>, source: Source) {
        let is_pointer = marker::read_repeats(&text).is_some();
        if !is_large(&text) || is_pointer || marker::below_as_it_came(&text).is_some() {
            return;
        }
        let number = self.texts.len();
        self.of_hash.entry(hash(text.as_bytes())).or_insert(number);
        self.of_source.insert(source.clone(), number);
        let first = self.lines.len();
        let scan = Scan::of(&text);
        self.lines.extend(scan.hashes.iter().zip(&scan.starts).map(|(hash, start)| Line {
            start: *start,
            hash: *hash,
        }));
        self.lines.push(Line { start: text.len() as u32 + 1, hash: 0 });
        let lines = first..self.lines.len() - 1;
        self.texts.push(Text { source, text, lines: lines.clone(), blocks: scan.blocks() });
        self.reserve(lines.len());
        for line in lines {
            self.insert(line);
        }
    }

    /// Where this text stands as a whole; the first of equals.
    pub(super) fn whole(&self, text: &str) -> Option<&Source> {
        let found = &self.texts[*self.of_hash.get(&hash(text.as_bytes()))?];
        (found.text == text).then_some(&found.source)
    }

    pub(super) fn find(&self, source: &Source) -> Option<usize> {
        self.of_source.get(source).copied()
    }

    pub(super) fn text(&self, number: usize) -> &str {
        &self.texts[number].text
    }

    pub(super) fn source(&self, number: usize) -> &Source {
        &self.texts[number].source
    }

    /// A line, without its end.
    pub(super) fn line(&self, spot: Spot) -> Option<&str> {
        let text = &self.texts[spot.text];
        let at = text.lines.start + spot.line;
        let range = self.lines[at].start as usize..self.lines.get(at + 1)?.start as usize - 1;
        (at < text.lines.end).then(|| &text.text[range])
    }

    /// The number that a line shows, if it is one of several with running numbers.
    pub(super) fn shown_number(&self, spot: Spot) -> Option<u64> {
        let blocks = &self.texts[spot.text].blocks;
        let block = blocks[..blocks.partition_point(|block| block.first <= spot.line)].last()?;
        let offset = spot.line - block.first;
        (offset < block.lines as usize).then(|| block.number + offset as u64)
    }

    /// The first line of a text that shows this number.
    pub(super) fn line_shown(&self, text: usize, number: u64) -> Option<Spot> {
        self.texts[text].blocks.iter().find_map(|block| {
            let offset = number.checked_sub(block.number)?;
            let line = block.first + offset as usize;
            (offset < u64::from(block.lines)).then_some(Spot { text, line })
        })
    }

    /// Where lines with these hashes begin.
    pub(super) fn spots(&self, window: &[u32]) -> impl Iterator<Item = Spot> {
        self.matches(window).map(|line| {
            let text = self.texts.partition_point(|text| text.lines.start <= line) - 1;
            Spot { text, line: line - self.texts[text].lines.start }
        })
    }

    fn matches(&self, window: &[u32]) -> impl Iterator<Item = usize> {
        self.steps(window)
            .map(|slot| self.table[slot] as usize)
            .take_while(|entry| *entry > 0)
            .map(|entry| entry - 1)
            .filter(|line| self.is_at(*line, window))
            .take(PLACES_MAX)
    }

    fn is_at(&self, line: usize, window: &[u32]) -> bool {
        self.lines[line..line + WINDOW].iter().map(|line| line.hash).eq(window.iter().copied())
    }

    /// The slots at which a window may be, nearest first; none while there is no table.
    fn steps(&self, window: &[u32]) -> impl Iterator<Item = usize> + use<'t> {
        let is_found = window.len() == WINDOW && !window.contains(&0);
        let mask = self.table.len().wrapping_sub(1);
        let start = window.iter().fold(0, |state, hash| mix(state ^ u64::from(*hash))) as usize;
        let steps = if is_found { STEPS_MAX.min(self.table.len()) } else { 0 };
        (0..steps).map(move |step| start.wrapping_add(step) & mask)
    }

    fn insert(&mut self, line: usize) {
        let Some(lines) = self.lines.get(line..line + WINDOW) else { return };
        let window = [lines[0].hash, lines[1].hash, lines[2].hash];
        if self.matches(&window).count() == PLACES_MAX {
            return;
        }
        let free = self.steps(&window).find(|slot| self.table[*slot] == 0);
        if let Some(slot) = free {
            self.table[slot] = line as u32 + 1;
            self.filled += 1;
        }
    }

    /// Makes room for more entries; they are put in again in their order.
    fn reserve(&mut self, more: usize) {
        let wanted = (self.filled + more) * 3 / 2;
        if wanted > self.table.len() {
            let mut old: Vec<u32> = std::mem::take(&mut self.table);
            old.retain(|entry| *entry > 0);
            old.sort_unstable();
            self.table = vec![0; wanted.next_power_of_two()];
            self.filled = 0;
            for entry in old {
                self.insert(entry as usize - 1);
            }
        }
    }
}

/// The lines of a text.
pub(super) struct Scan {
    pub(super) starts: Vec<u32>,
    /// Of each line without its running number; 0 for markers.
    pub(super) hashes: Vec<u32>,
    /// The running numbers; `None` for lines that have none.
    pub(super) numbers: Vec<Option<u64>>,
}

impl Scan {
    pub(super) fn of(text: &str) -> Scan {
        let lines = text.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let mut scan = Scan {
            starts: Vec::with_capacity(lines),
            hashes: Vec::with_capacity(lines),
            numbers: Vec::new(),
        };
        let mut start = 0;
        for line in text.split('\n') {
            scan.starts.push(start as u32);
            let is_marker = marker::words(line).is_some();
            scan.hashes.push(if is_marker { 0 } else { hash_of(line) });
            start += line.len() + 1;
        }
        scan.number(text);
        scan
    }

    /// Finds the lines whose numbers run on, and hashes them without.
    fn number(&mut self, text: &str) {
        self.numbers = vec![None; self.starts.len()];
        let mut above: Option<Numbered> = None;
        for (at, line) in text.split('\n').enumerate() {
            let numbered = Numbered::parse(line);
            if let (Some(line), Some(before)) = (numbered, above)
                && line.follows(&before)
            {
                self.numbers[at - 1] = Some(before.number);
                self.hashes[at - 1] = hash_of(before.content);
                self.numbers[at] = Some(line.number);
                self.hashes[at] = hash_of(line.content);
            }
            above = numbered;
        }
    }

    fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        for (line, number) in self.numbers.iter().enumerate() {
            let Some(number) = *number else { continue };
            match blocks.last_mut() {
                Some(block)
                    if block.first + block.lines as usize == line
                        && block.number + u64::from(block.lines) == number =>
                {
                    block.lines += 1;
                }
                _ => blocks.push(Block { first: line, number, lines: 1 }),
            }
        }
        blocks.retain(|block| block.lines >= BLOCK_LINES_MIN);
        blocks
    }
}

/// Never 0.
fn hash_of(line: &str) -> u32 {
    (hash(line.as_bytes()) >> 32) as u32 | 1
}
