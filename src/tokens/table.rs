//! Ranks of tokens, read in place from the tables the build script made.

use super::layout::{
    ENTRY, FILTER_BITS, NO_RANK, PAIRS_GROUP, RANK_BITS, SLOT_BYTES, SLOTS, filter_place,
    fingerprint, hash, hash_short, slot,
};

/// The longest token of o200k.
pub(crate) const TOKEN_BYTES_MAX: usize = 128;

/// With the padding of the last slot.
const RANKS_BYTES: usize = SLOTS * SLOT_BYTES + 1;
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
pub(crate) fn rank_at(text: &[u8], start: usize, end: usize) -> u32 {
    let len = end - start;
    match text[start..].first_chunk() {
        Some(window) if len <= 16 => rank_of_hash(hash_short(first_bytes(window, len), len)),
        _ => rank(&text[start..end]),
    }
}

/// The first bytes, at most 16, as a number.
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

fn rank_of_hash(hash: u64) -> u32 {
    let (byte, bit) = filter_place(hash);
    if FILTER.0[byte] & bit == 0 { NO_RANK } else { find(hash) }
}

/// The rank of a token of two bytes.
pub(crate) fn rank_of_pair(first: u8, second: u8) -> u32 {
    let at = usize::from(first) << 8 | usize::from(second);
    let group = u16::from_le_bytes(PAIR_INDEX.0.as_chunks().0[at / PAIRS_GROUP]);
    let at = usize::from(group) * PAIRS_GROUP + at % PAIRS_GROUP;
    let [low, middle, high] = PAIR_GROUPS.as_chunks().0[at];
    u32::from_le_bytes([low, middle, high, 0])
}

/// A tenth of the slots is empty, so that this ends.
fn find(hash: u64) -> u32 {
    let wanted = fingerprint(hash);
    let mut at = slot(hash) * SLOT_BYTES;
    loop {
        let Some(bytes) = RANKS.0[at..].first_chunk() else {
            at = 0;
            continue;
        };
        let entry = u64::from_le_bytes(*bytes) & ENTRY;
        let rank = entry as u32 & NO_RANK;
        if rank == NO_RANK || entry >> RANK_BITS == wanted >> RANK_BITS {
            return rank;
        }
        at += SLOT_BYTES;
    }
}
