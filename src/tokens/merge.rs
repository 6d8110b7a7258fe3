//! Counts the tokens of a piece that is no token itself: byte pair merging.
//!
//! From single bytes, the two neighbours that together are the token of lowest rank are joined, the
//! leftmost on a tie, until no two neighbours are a token. A heap of candidates makes that n log n,
//! whatever the piece.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::layout::NO_RANK;
use super::table::{rank, rank_of_pair};

/// A position before the first or after the last byte.
const NONE: usize = usize::MAX;

/// Parts are named by the position of their first byte.
struct Parts<'a> {
    piece: &'a [u8],
    /// Where the next part begins; the length of the piece after the last.
    next: Vec<usize>,
    /// Where the part before begins, `NONE` before the first.
    prev: Vec<usize>,
    /// Rank of a part joined with the next; what the heap holds is stale unless it agrees.
    joined: Vec<u32>,
    heap: BinaryHeap<Reverse<(u32, usize)>>,
}

pub(crate) fn count(piece: &[u8]) -> usize {
    let len = piece.len();
    let mut parts = Parts {
        piece,
        next: (1..=len).collect(),
        prev: (0..len).map(|at| at.wrapping_sub(1)).collect(),
        joined: vec![NO_RANK; len],
        heap: BinaryHeap::new(),
    };
    for (at, pair) in piece.windows(2).enumerate() {
        parts.set(at, rank_of_pair(pair[0], pair[1]));
    }
    let mut count = len;
    while let Some(Reverse((rank, at))) = parts.heap.pop() {
        if parts.joined[at] == rank {
            parts.join(at);
            count -= 1;
        }
    }
    count
}

impl Parts<'_> {
    fn set(&mut self, at: usize, rank: u32) {
        self.joined[at] = rank;
        if rank != NO_RANK {
            self.heap.push(Reverse((rank, at)));
        }
    }

    /// Joins a part with the next, which ceases to be one.
    fn join(&mut self, at: usize) {
        let gone = self.next[at];
        let end = self.next[gone];
        self.joined[gone] = NO_RANK;
        self.next[at] = end;
        match self.next.get(end) {
            Some(&next_end) => {
                self.prev[end] = at;
                self.set(at, rank(&self.piece[at..next_end]));
            }
            None => self.joined[at] = NO_RANK,
        }
        if self.prev[at] != NONE {
            let before = self.prev[at];
            self.set(before, rank(&self.piece[before..end]));
        }
    }
}
