//! Minified JSON as a tree of spans: every value keeps its spelling.

use crate::json::{self, Reader};

/// Deeper texts are left alone: nobody reads them, and the passes over a tree recurse.
const DEPTH_MAX: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Object,
    Array,
    Scalar,
}

/// Texts with more values are left alone: each takes as many bytes as a `Node`, and two in the text.
const NODES_MAX: usize = 1 << 20;

/// A value. Its children lie behind it in the list, so a subtree is a stretch of it.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    start: u32,
    end: u32,
    /// The member's key as it is spelled, quotes apart; empty elsewhere.
    key: (u32, u32),
    /// The index behind the subtree.
    next: u32,
    pub(super) children: u32,
}

pub(super) struct Tree<'t> {
    pub(super) text: &'t str,
    nodes: Vec<Node>,
}

impl<'t> Tree<'t> {
    /// `None` if the text is not one value without white space outside strings, or too deep.
    pub(super) fn parse(text: &'t str) -> Option<Tree<'t>> {
        u32::try_from(text.len()).ok()?;
        let mut tree = Tree { text, nodes: Vec::with_capacity(text.len() / 16) };
        let mut reader = Reader::new(text);
        tree.read(&mut reader, "", 0)?;
        reader.end()?;
        Some(tree)
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn kind(&self, node: u32) -> Kind {
        self.nodes[node as usize].kind
    }

    /// How many members or elements it has.
    pub(super) fn size(&self, node: u32) -> usize {
        self.nodes[node as usize].children as usize
    }

    /// The value as it is spelled.
    pub(super) fn value(&self, node: u32) -> &'t str {
        let node = &self.nodes[node as usize];
        &self.text[node.start as usize..node.end as usize]
    }

    pub(super) fn key(&self, node: u32) -> &'t str {
        let (start, end) = self.nodes[node as usize].key;
        &self.text[start as usize..end as usize]
    }

    /// All values below it, in the order of the text.
    pub(super) fn below(&self, node: u32) -> std::ops::Range<u32> {
        node + 1..self.nodes[node as usize].next
    }

    pub(super) fn children(&self, node: u32) -> Children<'_> {
        Children { nodes: &self.nodes, at: node + 1, end: self.nodes[node as usize].next }
    }

    fn read(&mut self, reader: &mut Reader<'t>, key: &'t str, depth: usize) -> Option<()> {
        let kind = match reader.peek() {
            b'{' => Kind::Object,
            b'[' => Kind::Array,
            _ => Kind::Scalar,
        };
        if depth > DEPTH_MAX || self.nodes.len() == NODES_MAX {
            return None;
        }
        let index = self.nodes.len();
        let key = (self.offset(key), self.offset(key) + key.len() as u32);
        let start = reader.at() as u32;
        self.nodes.push(Node { kind, start, end: 0, key, next: 0, children: 0 });
        let mut children = 0;
        match kind {
            Kind::Object => reader.object(|reader, key| {
                children += 1;
                self.read(reader, key, depth + 1)
            })?,
            Kind::Array => reader.array(|reader| {
                children += 1;
                self.read(reader, "", depth + 1)
            })?,
            Kind::Scalar => _ = reader.value()?,
        }
        let next = self.nodes.len() as u32;
        let node = &mut self.nodes[index];
        (node.end, node.next, node.children) = (reader.at() as u32, next, children);
        Some(())
    }

    fn offset(&self, part: &str) -> u32 {
        match part {
            "" => 0,
            _ => (part.as_ptr() as usize - self.text.as_ptr() as usize) as u32,
        }
    }
}

pub(super) struct Children<'n> {
    nodes: &'n [Node],
    at: u32,
    end: u32,
}

impl Iterator for Children<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        if self.at == self.end {
            return None;
        }
        let child = self.at;
        self.at = self.nodes[child as usize].next;
        Some(child)
    }
}

/// What a string literal of plain characters says; `None` for anything else.
pub(super) fn plain(literal: &str) -> Option<&str> {
    let inner = literal.strip_prefix('"')?.strip_suffix('"')?;
    (!inner.contains('\\')).then_some(inner)
}

/// Whether a text is one object.
pub(super) fn is_object(text: &str) -> bool {
    text.starts_with('{') && text.ends_with('}') && json::is_value(text)
}
