//! Remembers the counts of short pieces: a text uses few words, again and again.
//!
//! Direct mapped and exact: an entry holds the piece itself, and a new piece takes the place of the
//! old. An entry is one 16-byte word, so that it lies in one cache line and compares at once: up to
//! fifteen bytes of the piece, and in the last one length and count, neither of which exceeds 15.

use super::table::first_bytes;

/// 96 KB of entries.
const ENTRIES: usize = 6144;
pub(crate) const PIECE_BYTES_MAX: usize = 15;

const COUNT_SHIFT: u32 = 124;
const LEN_SHIFT: u32 = 120;

pub(crate) struct Cache {
    /// Zero is no entry.
    entries: Vec<u128>,
}

/// A piece as the cache compares it: the bytes and the length.
#[derive(Clone, Copy)]
pub(crate) struct Key(u128);

impl Key {
    /// Of the first bytes of a window of text; at most 15.
    #[inline(always)]
    pub(crate) fn new(bytes: &[u8; 16], len: usize) -> Key {
        Key(first_bytes(bytes, len) | (len as u128) << LEN_SHIFT)
    }

    #[inline(always)]
    fn place(self) -> usize {
        let mixed = (self.0 as u64) ^ ((self.0 >> 64) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let hash = mixed.wrapping_mul(0xff51_afd7_ed55_8ccd) >> 32;
        ((hash * ENTRIES as u64) >> 32) as usize
    }
}

impl Cache {
    pub(crate) fn new() -> Cache {
        Cache { entries: vec![0; ENTRIES] }
    }

    /// The count of a piece, if it is at hand.
    #[inline(always)]
    pub(crate) fn find(&self, key: Key) -> Option<usize> {
        let entry = self.entries[key.place()];
        let is_it = (entry ^ key.0) << (128 - COUNT_SHIFT) == 0;
        is_it.then_some((entry >> COUNT_SHIFT) as usize)
    }

    pub(crate) fn keep(&mut self, key: Key, count: usize) {
        self.entries[key.place()] = key.0 | (count as u128) << COUNT_SHIFT;
    }
}
