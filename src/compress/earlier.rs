//! The texts above in the prompt as they are sent: what pointers point at.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use super::hash::hash;
use super::index::{Index, WINDOW};
use super::lines::{self, Block, Lines};
use super::{Source, marker};

/// Shorter texts are not worth pointing at, in bytes.
const TEXT_BYTES_MIN: usize = 160;

/// Texts above, lines of all of them in one index. The walk and the expander keep the same ones,
/// or a pointer would mean one thing to one of them and another to the other.
#[derive(Default)]
pub(super) struct Earlier<'t> {
    texts: Vec<Text<'t>>,
    of_source: HashMap<Source, usize>,
    of_hash: HashMap<u64, usize>,
    index: Index,
    /// Where each line in the index begins in its text. A line of hash 0 follows each text; it
    /// begins where another line of that text would.
    starts: Vec<u32>,
}

struct Text<'t> {
    source: Source,
    text: Cow<'t, str>,
    /// Where its lines are in the index.
    lines: Range<usize>,
    blocks: Vec<Block>,
}

/// A line of an earlier text, counted from 0.
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
        if text.len() < TEXT_BYTES_MIN || is_pointer || marker::below_as_it_came(&text).is_some() {
            return;
        }
        let number = self.texts.len();
        self.of_hash.entry(hash(text.as_bytes())).or_insert(number);
        self.of_source.insert(source.clone(), number);
        let found = Lines::of(&text);
        let lines = self.index.len()..self.index.len() + found.len();
        self.starts.extend_from_slice(&found.starts);
        self.starts.push(text.len() as u32 + 1);
        found.hashes.iter().chain([&0]).for_each(|hash| self.index.push(*hash));
        lines.clone().for_each(|line| self.index.insert(line));
        let blocks = found.blocks();
        self.texts.push(Text { source, text, lines, blocks });
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
        if spot.line >= text.lines.len() {
            return None;
        }
        let at = text.lines.start + spot.line;
        Some(&text.text[self.starts[at] as usize..self.starts[at + 1] as usize - 1])
    }

    /// Lines with running numbers in a text.
    pub(super) fn blocks(&self, text: usize) -> &[Block] {
        &self.texts[text].blocks
    }

    /// The first line of a text that shows this number.
    pub(super) fn line_shown(&self, text: usize, number: u64) -> Option<Spot> {
        let line = lines::line_shown(self.blocks(text), number)?;
        Some(Spot { text, line })
    }

    /// Where lines with these hashes begin.
    pub(super) fn spots(&self, window: [u32; WINDOW]) -> impl Iterator<Item = Spot> {
        self.index.matches(window).map(|line| {
            let text = self.texts.partition_point(|text| text.lines.start <= line) - 1;
            Spot { text, line: line - self.texts[text].lines.start }
        })
    }
}
