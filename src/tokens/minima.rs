//! The place of the least of many ranks that change: a tree of minima, sixteen to a node.
//!
//! Sixteen, because the least of sixteen numbers side by side is a handful of vector instructions
//! and no branch; a binary heap takes a mispredicted branch at every level.

use super::layout::NO_RANK;

const PLACE_BITS: usize = 4;
const NODE: usize = 1 << PLACE_BITS;

/// Each number is a rank above the place in its node, which finds the way down and decides ties for
/// the left. Signed, because the oldest x86-64 compares only signed vectors.
type Node = [i32; NODE];

const EMPTY: Node = [(NO_RANK << PLACE_BITS) as i32; NODE];

pub(crate) struct Minima {
    /// All levels end to end, the ranks first, the root last.
    nodes: Vec<Node>,
    /// Where each level begins.
    levels: Vec<usize>,
}

impl Minima {
    pub(crate) fn new() -> Minima {
        Minima { nodes: Vec::new(), levels: Vec::new() }
    }

    /// Begins anew with these ranks, of which `NO_RANK` is never the least, and a place after the
    /// last.
    pub(crate) fn reset(&mut self, ranks: impl ExactSizeIterator<Item = u32>) {
        self.nodes.clear();
        self.levels.clear();
        self.levels.push(0);
        self.nodes.resize(ranks.len() / NODE + 1, EMPTY);
        for (at, rank) in ranks.enumerate() {
            self.nodes[at / NODE][at % NODE] = number(rank, at);
        }
        let mut below = 0..self.nodes.len();
        while below.len() > 1 {
            let level = below.end;
            self.levels.push(level);
            self.nodes.resize(level + below.len().div_ceil(NODE), EMPTY);
            for (at, node) in below.enumerate() {
                self.nodes[level + at / NODE][at % NODE] = raised(&self.nodes[node], at);
            }
            below = level..self.nodes.len();
        }
    }

    /// Neighbours are mostly in one node, whose least is then told upwards once.
    pub(crate) fn set<const N: usize>(&mut self, changes: [(usize, u32); N]) {
        for (at, rank) in changes {
            self.nodes[at / NODE][at % NODE] = number(rank, at);
        }
        for (done, (at, _)) in changes.iter().enumerate() {
            if changes[..done].iter().all(|(earlier, _)| earlier / NODE != at / NODE) {
                self.raise(at / NODE);
            }
        }
    }

    /// Tells the levels above what the least of a node of the lowest level is now.
    fn raise(&mut self, node: usize) {
        let (mut at, mut below) = (node, 0);
        for &level in &self.levels[1..] {
            let new = raised(&self.nodes[below + at], at);
            let node = &mut self.nodes[level + at / NODE];
            if node[at % NODE] == new {
                return;
            }
            node[at % NODE] = new;
            (at, below) = (at / NODE, level);
        }
    }

    /// The place of the lowest rank, the leftmost of equals; `None` if there is none but `NO_RANK`.
    pub(crate) fn least(&self) -> Option<usize> {
        let mut at = 0;
        for &level in self.levels.iter().rev() {
            let least = least_of(&self.nodes[level + at]);
            if least >= EMPTY[0] {
                return None;
            }
            at = at * NODE + least as usize % NODE;
        }
        Some(at)
    }
}

fn number(rank: u32, at: usize) -> i32 {
    (rank << PLACE_BITS) as i32 | (at % NODE) as i32
}

/// What a node is to the level above, where it is at this place.
fn raised(node: &Node, at: usize) -> i32 {
    least_of(node) & EMPTY[0] | (at % NODE) as i32
}

fn least_of(node: &Node) -> i32 {
    node.iter().copied().fold(i32::MAX, i32::min)
}
