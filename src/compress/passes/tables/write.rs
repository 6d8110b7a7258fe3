//! Writes a tree with its tables as templates and rows, and large values that come again once.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::shape::{Aligned, Finder, Objects, REFERENCE_BYTES_MIN, Shape};
use super::tree::{Kind, Tree};
use super::{ABSENT, BELOW_MEANS, EACH, MORE, PART, ROWS, TEMPLATE};

/// What a template and its rows need beside their contents, in bytes; tables must be smaller than
/// what they stand for by a tenth beside that.
const FRAME_COST: usize = 60;

/// Members that a plain object must have to be read as a table of its members.
const NAMED_ROWS_MIN: usize = 3;

/// How often each value may be looked at while shapes are searched, on average.
const WORK: usize = 12;

/// The rows that must be written as they are, by their index in the outermost array.
pub(super) type Literal<'l> = HashMap<u32, &'l str>;

/// Writes one value and all below it.
pub(super) struct Writer<'a, 't> {
    tree: &'a Tree<'t>,
    finder: Finder<'a, 't>,
    /// The containers that are tables; `None` for one that is being written.
    tables: HashMap<u32, Option<Objects<'t>>>,
    /// The containers of which that is known, a bit for each value.
    known: Vec<u64>,
    literal: &'a Literal<'a>,
    /// How often a large value is written; the number of those that have one.
    times: HashMap<&'t str, (u32, Option<u32>)>,
    references: u32,
    /// The first time nothing is written, only counted.
    is_counting: bool,
    out: String,
}

impl<'a, 't> Writer<'a, 't> {
    pub(super) fn new(tree: &'a Tree<'t>, literal: &'a Literal<'a>) -> Writer<'a, 't> {
        Writer {
            tree,
            finder: Finder { tree, budget: WORK * tree.len() + 1000 },
            tables: HashMap::new(),
            known: vec![0; tree.len().div_ceil(64)],
            literal,
            times: HashMap::new(),
            references: 0,
            is_counting: true,
            out: String::new(),
        }
    }

    /// The whole tree, whose outermost array holds `unit`.
    pub(super) fn write(mut self, unit: &str) -> String {
        for is_counting in [true, false] {
            self.is_counting = is_counting;
            self.out.clear();
            match unit {
                "objects" => self.value(0),
                _ => self.plain(0, unit),
            }
        }
        self.out
    }

    fn value(&mut self, node: u32) {
        let text = self.tree.value(node);
        if self.tree.kind(node) == Kind::Scalar || text.len() < REFERENCE_BYTES_MIN {
            return self.plain(node, "objects");
        }
        let times = self.times.entry(text).or_default();
        if self.is_counting {
            times.0 += 1;
            if times.0 == 1 {
                self.plain(node, "objects");
            }
            return;
        }
        match *times {
            (_, Some(number)) => _ = write!(self.out, "\"@{number}\""),
            (1, _) => self.plain(node, "objects"),
            _ => {
                self.references += 1;
                times.1 = Some(self.references);
                _ = write!(self.out, "{{\"@{}{BELOW_MEANS}\":", self.references);
                self.plain(node, "objects");
                self.out.push('}');
            }
        }
    }

    /// A value that has not been written before.
    fn plain(&mut self, node: u32, unit: &str) {
        let tree = self.tree;
        if tree.kind(node) == Kind::Scalar {
            self.out.push_str(tree.value(node));
            return;
        }
        let (word, bit) = (node as usize / 64, 1 << (node % 64));
        if self.known[word] & bit == 0 {
            self.known[word] |= bit;
            if let Some(table) = self.table(node) {
                self.tables.insert(node, Some(table));
            }
        }
        if let Some(Some(objects)) = self.tables.get_mut(&node).map(std::mem::take) {
            self.rows(node, &objects, unit);
            self.tables.insert(node, Some(objects));
            return;
        }
        let is_object = tree.kind(node) == Kind::Object;
        self.out.push(if is_object { '{' } else { '[' });
        for (index, child) in tree.children(node).enumerate() {
            self.comma(index);
            if is_object {
                self.key(tree.key(child));
            }
            self.value(child);
        }
        self.out.push(if is_object { '}' } else { ']' });
    }

    /// Whether a container is a table, and of what.
    fn table(&mut self, node: u32) -> Option<Objects<'t>> {
        let tree = self.tree;
        let rows: Vec<u32> = tree.children(node).collect();
        let is_list = tree.kind(node) == Kind::Array;
        let (least, unit_cost) = match tree.kind(node) {
            Kind::Object => (NAMED_ROWS_MIN, rows.iter().map(|row| tree.key(*row).len() + 3).sum()),
            _ => (2, 0),
        };
        let is_row = |row: &u32| tree.kind(*row) == Kind::Object;
        let is_note = |row: &u32| is_list && tree.value(*row).starts_with('"');
        if rows.len() < least || !rows.iter().all(|row| is_row(row) || is_note(row)) {
            return None;
        }
        let bytes = tree.value(node).len();
        let frame: usize = FRAME_COST + unit_cost;
        if bytes < frame {
            return None;
        }
        let is_literal = |index: &usize| node == 0 && self.literal.contains_key(&(*index as u32));
        let literal: usize =
            self.literal.values().filter(|_| node == 0).map(|line| line.len()).sum();
        let (rows, notes): (Vec<u32>, Vec<u32>) = (0..rows.len())
            .filter(|index| !is_literal(index))
            .map(|index| rows[index])
            .partition(is_row);
        if notes.len() > 1 || rows.len() < least {
            return None;
        }
        let (objects, cost) = self.finder.objects(&rows)?;
        ((cost + frame + literal) * 10 < bytes * 9 && !objects.members.is_empty())
            .then_some(objects)
    }

    fn rows(&mut self, node: u32, objects: &Objects<'t>, unit: &str) {
        let tree = self.tree;
        let is_named = tree.kind(node) == Kind::Object;
        let unit = if is_named { "members" } else { unit };
        _ = write!(self.out, "{{\"{TEMPLATE}{} {unit}\":", tree.size(node));
        self.template(objects, "");
        self.out.push(',');
        self.key(ROWS);
        self.out.push(if is_named { '{' } else { '[' });
        for (index, child) in tree.children(node).enumerate() {
            self.comma(index);
            if is_named {
                self.key(tree.key(child));
            }
            match self.literal.get(&(index as u32)).filter(|_| node == 0) {
                Some(literal) => self.out.push_str(literal),
                None => self.row(child, objects),
            }
        }
        self.out.push_str(if is_named { "}}" } else { "]}" });
    }

    /// What the rows have in common, with slots named `$1`, `$2` behind `prefix`.
    fn template(&mut self, objects: &Objects<'t>, prefix: &str) {
        self.members(objects, prefix, &mut 0);
    }

    fn members(&mut self, objects: &Objects<'t>, prefix: &str, slots: &mut u32) {
        self.out.push('{');
        let mut numbers = Vec::with_capacity(objects.members.len());
        for (index, member) in objects.members.iter().enumerate() {
            self.comma(index);
            self.key(member.key);
            match member.shape {
                Shape::Like(twin) => _ = write!(self.out, "\"${prefix}{}\"", numbers[twin]),
                _ => self.shape(&member.shape, prefix, slots),
            }
            numbers.push(*slots);
        }
        if objects.more {
            self.comma(objects.members.len());
            self.key(MORE);
            self.shape(&Shape::Cell, prefix, slots);
        }
        self.out.push('}');
    }

    fn shape(&mut self, shape: &Shape<'t>, prefix: &str, slots: &mut u32) {
        let (objects, word) = match shape {
            Shape::Same(node) => return self.value(*node),
            Shape::Object(objects) => return self.members(objects, prefix, slots),
            Shape::Cell | Shape::Like(_) => {
                *slots += 1;
                _ = write!(self.out, "\"${prefix}{slots}\"");
                return;
            }
            Shape::Part(objects) => (objects, PART),
            Shape::Each(objects) => (objects, EACH),
        };
        *slots += 1;
        let name = format!("{prefix}{slots}");
        _ = write!(self.out, "{{\"{word}${name}\":");
        self.template(objects, &format!("{name}."));
        self.out.push('}');
    }

    /// The values of one object in the order of the slots; all of it if it does not fit.
    fn row(&mut self, object: u32, objects: &Objects<'t>) {
        let is_object = self.tree.kind(object) == Kind::Object;
        let aligned = objects.align(self.tree, object).filter(|_| is_object);
        let Some(aligned) = aligned else {
            return self.value(object);
        };
        self.out.push('[');
        let mut count = 0;
        self.cells(objects, &aligned, &mut count);
        self.out.push(']');
    }

    fn cells(&mut self, objects: &Objects<'t>, aligned: &Aligned, count: &mut usize) {
        for (member, value) in objects.members.iter().zip(&aligned.values) {
            self.cell(&member.shape, *value, count);
        }
        if objects.more && !aligned.more.is_empty() {
            self.comma(*count);
            *count += 1;
            self.out.push('{');
            for (index, child) in aligned.more.iter().enumerate() {
                self.comma(index);
                self.key(self.tree.key(*child));
                self.value(*child);
            }
            self.out.push('}');
        }
    }

    fn cell(&mut self, shape: &Shape<'t>, value: Option<u32>, count: &mut usize) {
        let tree = self.tree;
        match (shape, value) {
            (Shape::Same(_) | Shape::Like(_), _) => return,
            (Shape::Object(objects), Some(node)) => {
                // Its rows were alike when the shape was found.
                if let Some(aligned) = objects.align(tree, node) {
                    self.cells(objects, &aligned, count);
                }
                return;
            }
            _ => {}
        }
        self.comma(*count);
        *count += 1;
        match (shape, value) {
            (_, None) => _ = write!(self.out, "\"{ABSENT}\""),
            (Shape::Part(objects), Some(node)) if tree.kind(node) == Kind::Object => {
                self.row(node, objects);
            }
            (Shape::Each(objects), Some(node)) if tree.kind(node) == Kind::Array => {
                self.out.push('[');
                for (index, element) in tree.children(node).enumerate() {
                    self.comma(index);
                    self.row(element, objects);
                }
                self.out.push(']');
            }
            (_, Some(node)) => self.value(node),
        }
    }

    fn key(&mut self, key: &str) {
        _ = write!(self.out, "\"{key}\":");
    }

    fn comma(&mut self, index: usize) {
        if index > 0 {
            self.out.push(',');
        }
    }
}
