//! Ranks of tokens, read in place from the tables the build script made.

use super::layout::{
    ENTRY, FILTER_BITS, NO_RANK, PAIRS_GROUP, SLOT_BYTES, SLOTS, SLOTS_BEYOND, filter_place,
    fingerprint, hash, hash_short, slot,
};

/// The longest token of o200k.
pub(crate) const TOKEN_BYTES_MAX: usize = 128;

/// With the padding of the last slot.
const RANKS_BYTES: usize = (SLOTS + SLOTS_BEYOND) * SLOT_BYTES + 1;
const FILTER_BYTES: usize = 1 << (FILTER_BITS - 3);

/// Embedded bytes have no alignment of their own; so each table begins with a cache line.
#[repr(align(64))]
struct Aligned<T>(T);

static RANKS: Aligned<[u8; RANKS_BYTES]> =
    Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/ranks.bin")));
static FILTER: Aligned<[u8; FILTER_BYTES]> =
    Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/filter.bin")));
/// Which group of ranks is that of these pairs, and the groups.
static PAIR_INDEX: Aligned<[u8; (2 << 16) / PAIRS_GROUP]> =
    Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/pair_index.bin")));
static PAIR_GROUPS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/pair_groups.bin"));

/// The rank of a token, `NO_RANK` if the bytes are none.
pub(crate) fn rank(bytes: &[u8]) -> u32 {
    if bytes.len() > TOKEN_BYTES_MAX {
        return NO_RANK;
    }
    rank_of_hash(hash(bytes))
}

/// The same for a part of a text, faster because it may read beyond that part.
#[inline(always)]
pub(crate) fn rank_at(text: &[u8], start: usize, end: usize) -> u32 {
    let len = end - start;
    match text[start..].first_chunk() {
        Some(window) if len <= 16 => rank_in(window, len),
        _ => rank(&text[start..end]),
    }
}

/// The same for the first bytes of a window, at most 16.
#[inline(always)]
pub(crate) fn rank_in(window: &[u8; 16], len: usize) -> u32 {
    rank_of_hash(hash_short(first_bytes(window, len), len))
}

/// The first bytes, at most 16, as a number.
#[inline(always)]
pub(crate) fn first_bytes(window: &[u8; 16], len: usize) -> u128 {
    u128::from_le_bytes(*window) & MASKS[len % 32]
}

static MASKS: [u128; 32] = {
    let mut masks = [u128::MAX; 32];
    masks[0] = 0;
    let mut len = 1;
    while len < 16 {
        masks[len] = u128::MAX >> (128 - 8 * len);
        len += 1;
    }
    masks
};

#[inline(always)]
fn rank_of_hash(hash: u64) -> u32 {
    let (byte, bit) = filter_place(hash);
    if FILTER.0[byte] & bit == 0 { NO_RANK } else { find(hash) }
}

/// The rank of a token of two bytes.
#[inline(always)]
pub(crate) fn rank_of_pair(first: u8, second: u8) -> u32 {
    let at = usize::from(first) << 8 | usize::from(second);
    let group = u16::from_le_bytes(PAIR_INDEX.0.as_chunks().0[at / PAIRS_GROUP]);
    let at = usize::from(group) * PAIRS_GROUP + at % PAIRS_GROUP;
    let [low, middle, high] = PAIR_GROUPS.as_chunks().0[at];
    u32::from_le_bytes([low, middle, high, 0])
}

/// The last slot is empty, so that this ends.
fn find(hash: u64) -> u32 {
    let wanted = fingerprint(hash);
    let mut at = slot(hash) * SLOT_BYTES;
    while let Some(bytes) = RANKS.0.get(at..at + 8).and_then(|slot| slot.first_chunk()) {
        let entry = u64::from_le_bytes(*bytes);
        let rank = entry as u32 & NO_RANK;
        if (entry ^ wanted) & (ENTRY - u64::from(NO_RANK)) == 0 || rank == NO_RANK {
            return rank;
        }
        at += SLOT_BYTES;
    }
    NO_RANK
}
