//! The lines of a text: where they begin, their running numbers, and what they are found by.

use std::ops::Range;

use super::hash::hash;
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

/// The number that a line shows, if it is one of several with running numbers.
pub(super) fn shown_number(blocks: &[Block], line: usize) -> Option<u64> {
    let block = blocks[..blocks.partition_point(|block| block.first <= line)].last()?;
    let offset = line - block.first;
    (offset < block.lines).then(|| block.number + offset as u64)
}

/// The first line that shows this number.
pub(super) fn line_shown(blocks: &[Block], number: u64) -> Option<usize> {
    blocks.iter().find_map(|block| {
        let offset = usize::try_from(number.checked_sub(block.number)?).ok()?;
        (offset < block.lines).then_some(block.first + offset)
    })
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
    pub(super) fn of(text: &'t str) -> Lines<'t> {
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
            let numbered = Numbered::parse(line);
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

    pub(super) fn blocks(&self) -> Vec<Block> {
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
        blocks
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
        let plain = Lines::of("x\ny\nz");
        let numbered = Lines::of("head\n     9\u{2192}x\n10\u{2192}y\n11\u{2192}z\n7:x");
        assert_eq!(plain.hashes, numbered.hashes[1..4]);
        assert_eq!(numbered.numbers, [None, Some(9), Some(10), Some(11), None]);
        let blocks = numbered.blocks();
        assert_eq!(blocks, [Block { first: 1, number: 9, lines: 3 }]);
        assert_eq!(line_shown(&blocks, 11), Some(3));
        assert_eq!(line_shown(&blocks, 12), None);
        assert_eq!(shown_number(&blocks, 3), Some(11));
        assert_eq!(shown_number(&blocks, 4), None);
        assert_eq!(shown_number(&blocks, 0), None);
    }

    #[test]
    fn times_of_day_are_no_line_numbers() {
        let log = Lines::of("12:30 start\n12:31 end\n12:32 end");
        assert!(log.blocks().is_empty());
        assert_ne!(log.hashes[1], log.hashes[2]);
    }

    #[test]
    fn lines_are_those_between_line_ends() {
        let lines = Lines::of("a\n\n[... the line above 2 more times ...]\nb\n");
        assert_eq!((lines.len(), lines.hashes[2]), (5, 0));
        assert_eq!(
            (lines.line(0), lines.line(1), lines.line(3), lines.line(4)),
            ("a", "", "b", "")
        );
        assert_eq!((lines.text(0..2), lines.text(3..5)), ("a\n\n", "b\n"));
    }
}
