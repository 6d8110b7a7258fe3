//! The texts above in the prompt as they are sent: what pointers point at.
//!
//! What is known of them (where their lines are found, by hashes) is kept apart from the texts: it
//! can be taken along to the next turn of a conversation, where the texts come again and are only
//! looked at if something points at them.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::HashMap;
use std::ops::Deref;
use std::rc::Rc;

use super::hash::hash;
use super::index::Index;
use super::lines::{self, Blocks, Lines};
use super::{Leading, Source, footprint, marker};

/// Shorter texts are not worth pointing at, in bytes.
const TEXT_BYTES_MIN: usize = 160;

/// Whether a text, as it is sent, can be pointed at. One that points as a whole cannot, since a
/// model should have to look once; nor can one that says that it is as it came.
pub(crate) fn can_be_pointed_at(text: &str) -> bool {
    text.len() >= TEXT_BYTES_MIN
        && marker::read_repeats(text).is_none()
        && marker::below_as_it_came(text).is_none()
}

/// Gives a text above as it is sent, by its part and its source.
pub(crate) type Loader<'t> = Box<dyn Fn(usize, &Source) -> Option<Cow<'t, str>> + 't>;

/// Texts above. The walk and the expander keep the same ones, or a pointer would mean one thing to
/// one of them and another to the other.
pub(super) struct Earlier<'t> {
    known: Known,
    /// One for each that is known.
    texts: Vec<OnceCell<Text<'t>>>,
    load: Option<Loader<'t>>,
}

/// What is known of the texts above, without any text.
#[derive(Clone)]
pub(super) struct Known {
    entries: Vec<EarlierText>,
    of_source: HashMap<Source, usize>,
    of_hash: HashMap<u64, usize>,
    /// The lines of all texts, with one that is never found after each of them. Without lines
    /// where nothing looks them up.
    index: Option<Index>,
}

#[derive(Clone)]
struct EarlierText {
    source: Source,
    part: usize,
    leading: Leading,
    /// Its first line in the index.
    first: usize,
}

struct Text<'t> {
    text: Kept<'t>,
    shape: OnceCell<Shape>,
    /// The marker for all of it.
    marker: OnceCell<String>,
}

/// A text as it is sent.
pub(super) enum Kept<'t> {
    AsItCame(Cow<'t, str>),
    /// Whoever sends it holds it, too.
    Changed(Rc<String>),
}

impl<'t, T: Into<Cow<'t, str>>> From<T> for Kept<'t> {
    fn from(text: T) -> Kept<'t> {
        Kept::AsItCame(text.into())
    }
}

impl Deref for Kept<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Kept::AsItCame(text) => text,
            Kept::Changed(text) => text,
        }
    }
}

/// Where the lines of a text begin, and which have running numbers. One more begins where another
/// line would.
struct Shape {
    starts: Vec<u32>,
    blocks: Blocks,
}

/// A line of an earlier text, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) text: usize,
    pub(super) line: usize,
}

impl Known {
    /// What it takes in memory beside itself.
    pub(super) fn bytes(&self) -> usize {
        // The map shares them.
        let sources = self.entries.iter().map(|entry| entry.source.bytes()).sum::<usize>();
        let maps = footprint::of_map(&self.of_source) + footprint::of_map(&self.of_hash);
        let index = self.index.as_ref().map_or(0, Index::bytes);
        footprint::of_vec(&self.entries) + sources + maps + index
    }
}

impl<'t> Earlier<'t> {
    /// `finds_lines`: whether there is an index.
    pub(super) fn new(finds_lines: bool) -> Earlier<'t> {
        let known = Known {
            entries: Vec::new(),
            of_source: HashMap::new(),
            of_hash: HashMap::new(),
            index: finds_lines.then(Index::default),
        };
        Earlier { known, texts: Vec::new(), load: None }
    }

    pub(super) fn resume(known: &Known, load: Loader<'t>) -> Earlier<'t> {
        let texts = known.entries.iter().map(|_| OnceCell::new()).collect();
        Earlier { known: known.clone(), texts, load: Some(load) }
    }

    pub(super) fn known(self) -> Known {
        self.known
    }

    /// Notes a text as it is sent.
    pub(super) fn remember(
        &mut self,
        text: Kept<'t>,
        source: Source,
        part: usize,
        leading: Leading,
    ) {
        // One name, one text: a call may say the same key twice.
        if !can_be_pointed_at(&text) || self.known.of_source.contains_key(&source) {
            return;
        }
        let number = self.texts.len();
        let known = &mut self.known;
        known.of_hash.entry(hash(text.as_bytes())).or_insert(number);
        known.of_source.insert(source.clone(), number);
        let shape = OnceCell::new();
        let first = known.index.as_ref().map_or(0, Index::len);
        if let Some(index) = known.index.as_mut().filter(|index| index.has_room())
            && lines::are_few(&text)
        {
            let found = Lines::of(&text, leading);
            found.hashes.iter().chain([&0]).for_each(|hash| index.push(*hash));
            (first..index.len()).for_each(|line| index.insert(line));
            let _ = shape.set(Shape::of(found));
        }
        known.entries.push(EarlierText { source, part, leading, first });
        self.texts.push(OnceCell::from(Text { text, shape, marker: OnceCell::new() }));
    }

    /// Where this text stands as a whole; the first of equals.
    pub(super) fn whole(&self, text: &str) -> Option<&Source> {
        let found = *self.known.of_hash.get(&hash(text.as_bytes()))?;
        (self.text(found) == text).then_some(self.source(found))
    }

    pub(super) fn find(&self, source: &Source) -> Option<usize> {
        self.known.of_source.get(source).copied()
    }

    pub(super) fn text(&self, number: usize) -> &str {
        &self.loaded(number).text
    }

    /// The marker for all of a text. It takes a look at all of it, once.
    pub(super) fn marker(&self, number: usize) -> &str {
        let loaded = self.loaded(number);
        loaded.marker.get_or_init(|| marker::repeats(self.source(number), &loaded.text))
    }

    pub(super) fn source(&self, number: usize) -> &Source {
        &self.known.entries[number].source
    }

    /// What integers at the starts of its lines are.
    pub(super) fn leading(&self, number: usize) -> Leading {
        self.known.entries[number].leading
    }

    /// A line, without its end.
    pub(super) fn line(&self, spot: Spot) -> Option<&str> {
        let starts = &self.shape(spot.text).starts;
        let end = *starts.get(spot.line.checked_add(1)?)?;
        Some(&self.text(spot.text)[starts[spot.line] as usize..end as usize - 1])
    }

    /// Lines with running numbers in a text.
    pub(super) fn blocks(&self, text: usize) -> &Blocks {
        &self.shape(text).blocks
    }

    /// The first line of a text that shows this number.
    pub(super) fn line_shown(&self, text: usize, number: u64) -> Option<Spot> {
        let line = self.blocks(text).line_shown(number)?;
        Some(Spot { text, line })
    }

    /// The lines of all texts, with one that is never found after each.
    pub(super) fn index(&self) -> Option<&Index> {
        self.known.index.as_ref()
    }

    /// Where a line of that list is.
    pub(super) fn spot(&self, line: usize) -> Spot {
        let entries = &self.known.entries;
        let text = entries.partition_point(|entry| entry.first <= line) - 1;
        Spot { text, line: line - entries[text].first }
    }

    fn loaded(&self, number: usize) -> &Text<'t> {
        self.texts[number].get_or_init(|| {
            let EarlierText { part, source, .. } = &self.known.entries[number];
            let text = self.load.as_ref().and_then(|load| load(*part, source));
            let text = text.unwrap_or_default().into();
            Text { text, shape: OnceCell::new(), marker: OnceCell::new() }
        })
    }

    fn shape(&self, number: usize) -> &Shape {
        let text = self.loaded(number);
        text.shape.get_or_init(|| match lines::are_few(&text.text) {
            true => Shape::of(Lines::of(&text.text, self.leading(number))),
            false => Shape { starts: Vec::new(), blocks: Blocks::default() },
        })
    }
}

impl Shape {
    fn of(lines: Lines) -> Shape {
        let blocks = lines.blocks();
        let mut starts = lines.starts;
        starts.push(lines.text.len() as u32 + 1);
        Shape { starts, blocks }
    }
}
