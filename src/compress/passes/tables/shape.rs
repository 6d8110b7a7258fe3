//! What like objects have in common: the members that all of them spell alike, and those that
//! differ, nested objects and lists of objects included.
//!
//! Costs are bytes of what would be written, about. They choose between forms, nothing else
//! depends on them.

use std::collections::{HashMap, HashSet};

use super::tree::{Kind, Tree};

/// Objects with more different members are dictionaries, not rows.
const MEMBERS_MAX: usize = 128;

/// A reader has to count values to find one in a row.
const SLOTS_MAX: usize = 32;

/// The share of rows that may stay as they are because they do not fit, one in this many.
const ODD_SHARE: usize = 3;

/// What a slot costs in its template, and an absent value in its row.
const SLOT_COST: usize = 12;
const ABSENT_COST: usize = 11;

/// What a value that was written before costs; see `write`.
const REFERENCE_COST: usize = 6;

/// Shorter values are written out each time.
pub(super) const REFERENCE_BYTES_MIN: usize = 80;

/// A value as it is in every row.
#[derive(Debug)]
pub(super) enum Shape<'t> {
    /// Spelled the same in all rows.
    Same(u32),
    /// A slot for the value.
    Cell,
    /// In every row the same as the member before it with this index: its slot again.
    Like(usize),
    /// An object with the same members in all rows.
    Object(Objects<'t>),
    /// A slot for a row of its own; other values than objects are written out.
    Part(Objects<'t>),
    /// A slot for a list of rows; other values than arrays are written out.
    Each(Objects<'t>),
}

impl Shape<'_> {
    fn slots(&self) -> usize {
        match self {
            Shape::Same(_) | Shape::Like(_) => 0,
            Shape::Cell | Shape::Part(_) | Shape::Each(_) => 1,
            Shape::Object(objects) => {
                objects.members.iter().map(|member| member.shape.slots()).sum()
            }
        }
    }
}

/// What objects have in common.
#[derive(Debug, Default)]
pub(super) struct Objects<'t> {
    pub(super) members: Vec<Member<'t>>,
    /// Whether rows may end with members of their own.
    pub(super) more: bool,
}

#[derive(Debug)]
pub(super) struct Member<'t> {
    pub(super) key: &'t str,
    pub(super) shape: Shape<'t>,
    optional: bool,
}

/// The members of one object beside those that it shares.
pub(super) struct Aligned {
    /// In the order of `Objects::members`; `None` where it has no such member.
    pub(super) values: Vec<Option<u32>>,
    pub(super) more: Vec<u32>,
}

impl<'t> Objects<'t> {
    /// `None` if the object does not fit in.
    pub(super) fn align(&self, tree: &Tree<'t>, object: u32) -> Option<Aligned> {
        let mut values = vec![None; self.members.len()];
        let mut more = Vec::new();
        let mut at = 0;
        for child in tree.children(object) {
            let key = tree.key(child);
            let ahead = &self.members[at..];
            match ahead.iter().position(|member| member.key == key) {
                Some(skipped) if more.is_empty() => {
                    if ahead[..skipped].iter().any(|member| !member.optional) {
                        return None;
                    }
                    values[at + skipped] = Some(child);
                    at += skipped + 1;
                }
                _ if self.more => more.push(child),
                _ => return None,
            }
        }
        let is_whole = self.members[at..].iter().all(|member| member.optional);
        let is_new = |key| self.members.iter().all(|member| member.key != key);
        let are_new = more.iter().all(|child| is_new(tree.key(*child)));
        (is_whole && are_new).then_some(Aligned { values, more })
    }
}

/// Finds shapes, with a limit on the work.
pub(super) struct Finder<'a, 't> {
    pub(super) tree: &'a Tree<'t>,
    /// Values that may still be looked at.
    pub(super) budget: usize,
}

impl<'t> Finder<'_, 't> {
    /// What `rows`, all of them objects, have in common, and what writing them costs.
    pub(super) fn objects(&mut self, rows: &[u32]) -> Option<(Objects<'t>, usize)> {
        let mut objects = self.members(rows)?;
        let mut columns: Vec<Vec<Option<u32>>> = vec![Vec::new(); objects.members.len()];
        let mut cost = 0;
        let mut odd = 0;
        for row in rows {
            let Some(aligned) = objects.align(self.tree, *row) else {
                cost += self.tree.value(*row).len() + 1;
                odd += 1;
                continue;
            };
            cost += 3;
            if objects.more {
                let size =
                    |child: &u32| self.tree.key(*child).len() + self.tree.value(*child).len();
                cost += aligned.more.iter().map(|child| size(child) + 4).sum::<usize>();
            }
            for (column, value) in columns.iter_mut().zip(aligned.values) {
                column.push(value);
            }
        }
        if odd * ODD_SHARE > rows.len() || rows.len() - odd < 2 {
            return None;
        }
        let mut slots = 0;
        for index in 0..columns.len() {
            let (mut shape, mut bytes) = self.column(&columns[index])?;
            if let Shape::Cell = shape
                && let Some(twin) = self.twin(&objects.members[..index], &columns, index)
            {
                (shape, bytes) = (Shape::Like(twin), SLOT_COST);
            }
            slots += shape.slots();
            let member = &mut objects.members[index];
            cost += member.key.len() + 4 + bytes;
            member.shape = shape;
        }
        (slots <= SLOTS_MAX).then_some((objects, cost))
    }

    /// The first of the members before it that has the same value in every row.
    fn twin(
        &self,
        before: &[Member<'t>],
        columns: &[Vec<Option<u32>>],
        index: usize,
    ) -> Option<usize> {
        let text = |value: &Option<u32>| value.map(|node| self.tree.value(node));
        let is_twin = |(one, other): (&Option<u32>, &Option<u32>)| text(one) == text(other);
        before.iter().enumerate().position(|(earlier, member)| {
            matches!(member.shape, Shape::Cell)
                && columns[earlier].iter().zip(&columns[index]).all(is_twin)
        })
    }

    /// The members of `rows` in an order that suits all of them, the rare ones left out.
    fn members(&mut self, rows: &[u32]) -> Option<Objects<'t>> {
        let mut keys = Keys::default();
        for row in rows {
            self.budget = self.budget.checked_sub(self.tree.size(*row) + 1)?;
            keys.add(self.tree, *row)?;
        }
        let is_rare = |key: &Key| {
            let absent = rows.len() - key.count;
            absent * ABSENT_COST > key.count * (key.name.len() + 4)
        };
        let more = keys.order.iter().any(|key| is_rare(&keys.list[*key]));
        let members = keys.order.iter().map(|key| &keys.list[*key]).filter(|key| !is_rare(key));
        let member = |key: &Key<'t>| {
            let optional = key.count < rows.len();
            Member { key: key.name, shape: Shape::Cell, optional }
        };
        Some(Objects { members: members.map(member).collect(), more })
    }

    /// The shape of one member, and what it costs with its values in all rows.
    fn column(&mut self, values: &[Option<u32>]) -> Option<(Shape<'t>, usize)> {
        self.budget = self.budget.checked_sub(values.len())?;
        let tree = self.tree;
        let text = |value: &Option<u32>| value.map(|node| tree.value(node));
        let first = text(values.first()?);
        if let Some(Some(node)) = values.first()
            && values.iter().all(|value| text(value) == first)
        {
            return Some((Shape::Same(*node), tree.value(*node).len()));
        }
        let cell = SLOT_COST + self.cells(values);
        let is = |kind| move |node: &&u32| tree.kind(**node) == kind;
        let present: Vec<u32> = values.iter().copied().flatten().collect();
        let absent = values.len() - present.len();
        let objects: Vec<u32> = present.iter().filter(is(Kind::Object)).copied().collect();
        let arrays: Vec<u32> = present.iter().filter(is(Kind::Array)).copied().collect();
        let scalars =
            present.iter().filter(is(Kind::Scalar)).map(|node| tree.value(*node).len() + 1);
        let others = absent * ABSENT_COST + scalars.sum::<usize>();
        let (shape, cost) = if objects.len() == values.len() && self.are_alike(&objects) {
            let Some((objects, cost)) = self.objects(&objects) else {
                return Some((Shape::Cell, cell));
            };
            (Shape::Object(objects), cost.saturating_sub(3 * values.len()))
        } else if objects.len() > 1 && arrays.is_empty() {
            let Some((objects, cost)) = self.objects(&objects) else {
                return Some((Shape::Cell, cell));
            };
            (Shape::Part(objects), cost + SLOT_COST + others)
        } else if !arrays.is_empty() && objects.is_empty() {
            let elements: Vec<u32> = arrays.iter().flat_map(|node| tree.children(*node)).collect();
            let are_objects = elements.iter().all(|node| tree.kind(*node) == Kind::Object);
            let Some((objects, cost)) =
                (are_objects && elements.len() > 1).then(|| self.objects(&elements)).flatten()
            else {
                return Some((Shape::Cell, cell));
            };
            (Shape::Each(objects), cost + SLOT_COST + 8 + 3 * arrays.len() + others)
        } else {
            return Some((Shape::Cell, cell));
        };
        Some(if cost < cell { (shape, cost) } else { (Shape::Cell, cell) })
    }

    /// What values cost one by one; a large one counts once.
    fn cells(&self, values: &[Option<u32>]) -> usize {
        let mut seen = HashSet::new();
        let mut cost = |value: &Option<u32>| {
            let Some(node) = *value else { return ABSENT_COST };
            let text = self.tree.value(node);
            let is_repeated = text.len() >= REFERENCE_BYTES_MIN
                && self.tree.kind(node) != Kind::Scalar
                && !seen.insert(text);
            if is_repeated { REFERENCE_COST } else { text.len() + 1 }
        };
        values.iter().map(&mut cost).sum()
    }

    /// Whether all objects have the same members in the same order, and at least one.
    fn are_alike(&self, objects: &[u32]) -> bool {
        let tree = self.tree;
        let first = objects[0];
        tree.size(first) > 0
            && objects.iter().all(|object| {
                tree.size(*object) == tree.size(first)
                    && tree
                        .children(*object)
                        .zip(tree.children(first))
                        .all(|(one, other)| tree.key(one) == tree.key(other))
            })
    }
}

struct Key<'t> {
    name: &'t str,
    count: usize,
    /// The last object that had it, from 1.
    last: usize,
}

/// The keys of some objects, merged into one order.
#[derive(Default)]
struct Keys<'t> {
    list: Vec<Key<'t>>,
    index: HashMap<&'t str, usize>,
    order: Vec<usize>,
    objects: usize,
}

impl<'t> Keys<'t> {
    /// `None` if a key occurs twice, or there are too many.
    fn add(&mut self, tree: &Tree<'t>, object: u32) -> Option<()> {
        self.objects += 1;
        let mut at = 0;
        for child in tree.children(object) {
            let name = tree.key(child);
            // Nearly always the next one.
            let expected = self.order.get(at).copied();
            let known = expected
                .filter(|key| self.list[*key].name == name)
                .or_else(|| self.index.get(name).copied());
            let key = match known {
                Some(key) => key,
                None => {
                    if self.list.len() == MEMBERS_MAX {
                        return None;
                    }
                    self.list.push(Key { name, count: 0, last: 0 });
                    self.index.insert(name, self.list.len() - 1);
                    self.order.insert(at, self.list.len() - 1);
                    self.list.len() - 1
                }
            };
            let entry = &mut self.list[key];
            if entry.last == self.objects {
                return None;
            }
            entry.last = self.objects;
            entry.count += 1;
            // A key that stands before its place makes its object odd; `align` will say so.
            if let Some(ahead) = self.order[at..].iter().position(|other| *other == key) {
                at += ahead + 1;
            }
        }
        Some(())
    }
}
