//! Fills the rows of tables into their templates again.

use std::collections::HashMap;

use super::tree::{Kind, Tree, plain};
use super::{ABSENT, BELOW_MEANS, EACH, MORE, PART, ROWS, TEMPLATE};
use crate::compress::budget::Budget;

/// The digits of a slot's last number; a row has no more cells than fit into memory.
const DIGITS_MAX: usize = 20;

/// A value written out.
pub(super) struct Written {
    pub(super) text: String,
    /// Where the lines begin, if it was a table of lines.
    pub(super) lines: Option<Vec<u32>>,
}

/// `None` if the text is not JSON, or has a template and rows that do not fit.
pub(super) fn read(minified: &str, budget: &mut Budget) -> Option<Written> {
    let tree = Tree::parse(minified)?;
    let mut reader =
        Filler { tree: &tree, named: HashMap::new(), out: String::new(), budget, lines: None };
    // A template may stand before the rows that use a name, and be filled after them.
    for node in 0..tree.len() as u32 {
        reader.define(node)?;
    }
    reader.value(0)?;
    Some(Written { text: reader.out, lines: reader.lines })
}

struct Filler<'a, 't> {
    tree: &'a Tree<'t>,
    named: HashMap<&'t str, String>,
    out: String,
    budget: &'a mut Budget,
    lines: Option<Vec<u32>>,
}

impl<'t> Filler<'_, 't> {
    fn value(&mut self, node: u32) -> Option<()> {
        let tree = self.tree;
        match tree.kind(node) {
            Kind::Scalar => {
                let text = tree.value(node);
                let named = plain(text).and_then(|name| self.named.get(name));
                // To look a name up costs its length.
                self.budget.spend(if named.is_some() { text.len() } else { 1 })?;
                self.budget.push(&mut self.out, named.map_or(text, String::as_str))
            }
            Kind::Array => self.list(node, Self::value),
            Kind::Object => self.object(node),
        }
    }

    fn push(&mut self, text: &str) -> Option<()> {
        self.budget.push(&mut self.out, text)
    }

    /// Reads what a name means, if it is said here.
    fn define(&mut self, node: u32) -> Option<()> {
        let tree = self.tree;
        let first = (tree.size(node) == 1).then(|| tree.children(node).next()).flatten();
        let Some((value, name)) = first.and_then(|first| Some((first, name_in(tree.key(first))?)))
        else {
            return Some(());
        };
        if !self.named.contains_key(name) {
            for inner in tree.below(value) {
                self.define(inner)?;
            }
            let start = self.out.len();
            self.value(value)?;
            let value = self.out.split_off(start);
            self.named.insert(name, value);
        }
        Some(())
    }

    fn list(
        &mut self,
        node: u32,
        mut element: impl FnMut(&mut Self, u32) -> Option<()>,
    ) -> Option<()> {
        let tree = self.tree;
        let is_object = tree.kind(node) == Kind::Object;
        self.push(if is_object { "{" } else { "[" })?;
        for (index, child) in tree.children(node).enumerate() {
            if index > 0 {
                self.push(",")?;
            }
            if is_object {
                self.key(tree.key(child))?;
            }
            element(self, child)?;
        }
        self.push(if is_object { "}" } else { "]" })
    }

    fn object(&mut self, node: u32) -> Option<()> {
        let tree = self.tree;
        let mut children = tree.children(node);
        let Some(first) = children.next() else {
            return self.push("{}");
        };
        let key = tree.key(first);
        self.budget.spend(key.len())?;
        let second = children.next();
        if let Some(value) = name_in(key).and_then(|name| self.named.get(name)) {
            return self.budget.push(&mut self.out, value);
        }
        let unit = key.strip_prefix(TEMPLATE).and_then(|rest| rest.split_once(' '));
        match (unit, second) {
            (Some((_, unit)), Some(rows)) if tree.key(rows) == ROWS => {
                self.table(first, rows, unit == "lines" && node == 0)?;
                children.next().is_none().then_some(())
            }
            _ => self.list(node, Self::value),
        }
    }

    /// `is_lines`: the whole value is the table, and its rows are lines.
    fn table(&mut self, template: u32, rows: u32, is_lines: bool) -> Option<()> {
        let mut starts = Vec::new();
        self.list(rows, |filler, row| {
            starts.extend(is_lines.then_some(filler.out.len() as u32));
            filler.row(template, row)
        })?;
        if is_lines {
            self.lines = Some(starts);
        }
        Some(())
    }

    /// A row is an array; anything else stands for itself.
    fn row(&mut self, template: u32, row: u32) -> Option<()> {
        if self.tree.kind(row) != Kind::Array {
            return self.value(row);
        }
        self.budget.spend(self.tree.size(row))?;
        let cells: Vec<u32> = self.tree.children(row).collect();
        self.fill(template, &cells)?.then_some(())
    }

    /// Writes a template with `cells` in its slots; false if it is a slot for an absent value.
    fn fill(&mut self, template: u32, cells: &[u32]) -> Option<bool> {
        let tree = self.tree;
        let is_scalar = tree.kind(template) == Kind::Scalar;
        self.budget.spend(if is_scalar { tree.value(template).len() } else { 1 })?;
        let slot = |name: &str| cell_of(name, cells);
        let is_absent = |cell: u32| plain(tree.value(cell)) == Some(ABSENT);
        match tree.kind(template) {
            Kind::Scalar => match plain(tree.value(template)).filter(|name| is_slot(name)) {
                Some(name) => {
                    let cell = slot(name)?;
                    if is_absent(cell) {
                        return Some(false);
                    }
                    self.value(cell)?;
                }
                None => self.value(template)?,
            },
            Kind::Array => self.value(template)?,
            Kind::Object => match self.inner(template) {
                Some((name, inner, is_list)) => {
                    let cell = slot(name)?;
                    if is_absent(cell) {
                        return Some(false);
                    }
                    match is_list && tree.kind(cell) == Kind::Array {
                        true => self.list(cell, |filler, row| filler.row(inner, row))?,
                        false => self.row(inner, cell)?,
                    }
                }
                None => self.members(template, cells)?,
            },
        }
        Some(true)
    }

    fn members(&mut self, template: u32, cells: &[u32]) -> Option<()> {
        let tree = self.tree;
        // A constant may hold a table or a name of its own.
        let is_constant = tree.children(template).next().is_none_or(|first| {
            let key = tree.key(first);
            key.starts_with(TEMPLATE) || name_in(key).is_some()
        });
        if is_constant {
            return self.value(template);
        }
        self.push("{")?;
        let mut is_first = true;
        for child in tree.children(template) {
            let start = self.out.len();
            let was_first = std::mem::take(&mut is_first);
            if !was_first {
                self.push(",")?;
            }
            if tree.key(child) == MORE {
                self.budget.spend(tree.value(child).len())?;
                // A row without further members ends before their slot.
                let slot = plain(tree.value(child)).and_then(|name| cell_of(name, cells));
                let more = slot.into_iter().flat_map(|cell| tree.children(cell));
                is_first = true;
                for child in more {
                    if !std::mem::take(&mut is_first) {
                        self.push(",")?;
                    }
                    self.key(tree.key(child))?;
                    self.value(child)?;
                }
            } else {
                self.key(tree.key(child))?;
                is_first = !self.fill(child, cells)?;
            }
            if is_first {
                self.out.truncate(start);
                is_first = was_first;
            }
        }
        self.push("}")
    }

    /// The slot, the template and whether it is for a list, if rows of their own go there.
    fn inner(&self, template: u32) -> Option<(&'t str, u32, bool)> {
        let tree = self.tree;
        let child = tree.children(template).next().filter(|_| tree.size(template) == 1)?;
        let key = tree.key(child);
        let each = key.strip_prefix(EACH).map(|name| (name, child, true));
        each.or_else(|| key.strip_prefix(PART).map(|name| (name, child, false)))
            .filter(|(name, ..)| is_slot(name))
    }

    fn key(&mut self, key: &str) -> Option<()> {
        self.push("\"")?;
        self.push(key)?;
        self.push("\":")
    }
}

/// The name in a key that says what it means.
fn name_in(key: &str) -> Option<&str> {
    key.strip_suffix(BELOW_MEANS).filter(|name| name.starts_with('@'))
}

/// The cell for a slot: its last number counts the values of the row.
fn cell_of(name: &str, cells: &[u32]) -> Option<u32> {
    // Slots lie as deep as objects, and their names are as long.
    let name = name.get(name.len().saturating_sub(DIGITS_MAX)..)?;
    let number: usize = name.rsplit(['$', '.']).next()?.parse().ok()?;
    cells.get(number.checked_sub(1)?).copied()
}

fn is_slot(name: &str) -> bool {
    name.strip_prefix('$')
        .is_some_and(|rest| rest.starts_with(|digit: char| digit.is_ascii_digit()))
}
