//! The lines of a text: where they begin, their running numbers, and what they are found by.

use std::cell::OnceCell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

use super::hash::hash;
use super::leading::Leading;
use super::marker;
use super::passes::numbers::Numbered;

/// So many lines whose numbers run on are taken for numbered lines.
const BLOCK_LINES_MIN: usize = 3;

/// Lines with running numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// Counted from 0.
    pub(super) first: usize,
    /// The number that this line shows.
    pub(super) number: u64,
    pub(super) lines: usize,
}

impl Block {
    /// The line that shows this number.
    fn line(&self, number: u64) -> Option<usize> {
        let offset = usize::try_from(number.checked_sub(self.number)?).ok()?;
        (offset < self.lines).then_some(self.first + offset)
    }

    /// The first number that is not in it.
    fn end(&self) -> u64 {
        self.number + self.lines as u64
    }
}

/// All of a text, in their order.
#[derive(Default)]
pub(super) struct Blocks {
    list: Vec<Block>,
    /// From these numbers on, up to the next, the first block that shows them.
    by_number: OnceCell<Vec<(u64, Option<usize>)>>,
}

impl Blocks {
    /// So many are looked through one by one.
    const FEW: usize = 8;

    /// The number that a line shows, if it is one of several with running numbers.
    pub(super) fn shown_number(&self, line: usize) -> Option<u64> {
        let after = self.list.partition_point(|block| block.first <= line);
        let block = self.list[..after].last()?;
        let offset = line - block.first;
        (offset < block.lines).then(|| block.number + offset as u64)
    }

    /// The first line that shows this number.
    pub(super) fn line_shown(&self, number: u64) -> Option<usize> {
        if self.list.len() <= Blocks::FEW {
            return self.list.iter().find_map(|block| block.line(number));
        }
        let by_number = self.by_number.get_or_init(|| first_by_number(&self.list));
        let after = by_number.partition_point(|(from, _)| *from <= number);
        let (_, block) = by_number[..after].last()?;
        self.list[(*block)?].line(number)
    }
}

/// Goes through all numbers at which a block begins or ends, with those that are open there.
fn first_by_number(blocks: &[Block]) -> Vec<(u64, Option<usize>)> {
    let mut bounds: Vec<u64> =
        blocks.iter().flat_map(|block| [block.number, block.end()]).collect();
    bounds.sort_unstable();
    bounds.dedup();
    let mut starts: Vec<usize> = (0..blocks.len()).collect();
    starts.sort_unstable_by_key(|block| blocks[*block].number);
    let mut starts = starts.into_iter().peekable();
    let mut open = BinaryHeap::new();
    let first_at = |bound: u64| {
        while let Some(block) = starts.next_if(|block| blocks[*block].number == bound) {
            open.push(Reverse(block));
        }
        while open.peek().is_some_and(|Reverse(block)| blocks[*block].end() <= bound) {
            open.pop();
        }
        (bound, open.peek().map(|Reverse(block)| *block))
    };
    bounds.into_iter().map(first_at).collect()
}

/// Texts of more lines are not looked at line by line: a list of their lines would take many times as much
/// memory as they do.
const LINES_MAX: usize = 1 << 19;

/// Whether a text has no more lines than are looked at.
pub(super) fn are_few(text: &str) -> bool {
    text.len() < LINES_MAX || memchr::memchr_iter(b'\n', text.as_bytes()).count() < LINES_MAX
}

pub(super) struct Lines<'t> {
    pub(super) text: &'t str,
    pub(super) starts: Vec<u32>,
    /// Of each line without its running number; 0 for markers.
    pub(super) hashes: Vec<u32>,
    /// The running numbers; `None` for lines that have none.
    pub(super) numbers: Vec<Option<u64>>,
}

impl<'t> Lines<'t> {
    pub(super) fn of(text: &'t str, leading: Leading) -> Lines<'t> {
        let count = memchr::memchr_iter(b'\n', text.as_bytes()).count() + 1;
        let mut lines = Lines {
            text,
            starts: Vec::with_capacity(count),
            hashes: Vec::with_capacity(count),
            numbers: vec![None; count],
        };
        let mut start = 0;
        let mut above: Option<Numbered> = None;
        for end in memchr::memchr_iter(b'\n', text.as_bytes()).chain([text.len()]) {
            let line = &text[start..end];
            let numbered = Numbered::of(line, leading);
            lines.starts.push(start as u32);
            let is_marker = marker::words(line).is_some();
            lines.hashes.push(if is_marker { 0 } else { hash_of(line) });
            if let (Some(line), Some(before)) = (numbered, above)
                && line.follows(&before)
            {
                lines.number(&before, &line);
            }
            above = numbered;
            start = end + 1;
        }
        lines
    }

    /// The numbers of the last two lines run on: they are found without them.
    fn number(&mut self, before: &Numbered, line: &Numbered) {
        let at = self.starts.len() - 1;
        if self.numbers[at - 1].is_none() {
            self.numbers[at - 1] = Some(before.number);
            self.hashes[at - 1] = hash_of(before.content);
        }
        self.numbers[at] = Some(line.number);
        self.hashes[at] = hash_of(line.content);
    }

    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    /// From the first of these lines to the end of the last.
    pub(super) fn bytes(&self, lines: Range<usize>) -> Range<usize> {
        let start = |line: usize| self.starts.get(line).map_or(self.text.len(), |at| *at as usize);
        start(lines.start)..start(lines.end)
    }

    pub(super) fn text(&self, lines: Range<usize>) -> &'t str {
        &self.text[self.bytes(lines)]
    }

    /// A line, without its end.
    pub(super) fn line(&self, line: usize) -> &'t str {
        let text = self.text(line..line + 1);
        text.strip_suffix('\n').unwrap_or(text)
    }

    pub(super) fn blocks(&self) -> Blocks {
        let mut blocks: Vec<Block> = Vec::new();
        for (line, number) in self.numbers.iter().enumerate() {
            let Some(number) = *number else { continue };
            match blocks.last_mut() {
                Some(block)
                    if block.first + block.lines == line
                        && block.number + block.lines as u64 == number =>
                {
                    block.lines += 1;
                }
                _ => blocks.push(Block { first: line, number, lines: 1 }),
            }
        }
        blocks.retain(|block| block.lines >= BLOCK_LINES_MIN);
        Blocks { list: blocks, by_number: OnceCell::new() }
    }
}

/// Never 0.
fn hash_of(line: &str) -> u32 {
    (hash(line.as_bytes()) >> 32) as u32 | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbered_lines_are_found_without_their_numbers() {
        let plain = Lines::of("x\ny\nz", Leading::Data);
        let text = "head\n     9\u{2192}x\n10\u{2192}y\n11\u{2192}z\n7:x";
        let data = Lines::of(text, Leading::Data);
        assert!(data.blocks().list.is_empty() && data.hashes[1] != plain.hashes[0]);
        let numbered = Lines::of(text, Leading::LineNumbers);
        assert_eq!(plain.hashes, numbered.hashes[1..4]);
        assert_eq!(numbered.numbers, [None, Some(9), Some(10), Some(11), None]);
        let blocks = numbered.blocks();
        assert_eq!(blocks.list, [Block { first: 1, number: 9, lines: 3 }]);
        assert_eq!(blocks.line_shown(11), Some(3));
        assert_eq!(blocks.line_shown(12), None);
        assert_eq!(blocks.shown_number(3), Some(11));
        assert_eq!(blocks.shown_number(4), None);
        assert_eq!(blocks.shown_number(0), None);
    }

    /// By whatever way they are found.
    #[test]
    fn the_first_of_many_lines_that_show_a_number_is_found() {
        let mut random = crate::compress::tests::Random(11);
        for count in 0..60 {
            let mut first = 0;
            let mut block = |_| {
                first += 3 + random.below(4);
                let (number, lines) = (1 + random.below(40) as u64, 3 + random.below(12));
                let block = Block { first, number, lines };
                first += lines;
                block
            };
            let list: Vec<Block> = (0..count).map(&mut block).collect();
            let blocks = Blocks { list, by_number: OnceCell::new() };
            for number in 0..60 {
                let want = blocks.list.iter().find_map(|block| block.line(number));
                assert_eq!(blocks.line_shown(number), want, "{number} in {:?}", blocks.list);
            }
        }
    }

    #[test]
    fn times_of_day_are_no_line_numbers() {
        let log = Lines::of("12:30 start\n12:31 end\n12:32 end", Leading::LineNumbers);
        assert!(log.blocks().list.is_empty());
        assert_ne!(log.hashes[1], log.hashes[2]);
    }

    #[test]
    fn lines_are_those_between_line_ends() {
        let lines = Lines::of("a\n\n[... the line above 2 more times ...]\nb\n", Leading::Data);
        assert_eq!((lines.len(), lines.hashes[2]), (5, 0));
        assert_eq!(
            (lines.line(0), lines.line(1), lines.line(3), lines.line(4)),
            ("a", "", "b", "")
        );
        assert_eq!((lines.text(0..2), lines.text(3..5)), ("a\n\n", "b\n"));
    }
}
