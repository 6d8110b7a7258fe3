//! What the build script and the counter must agree on: the hash of a token and the sizes of the
//! tables.
//!
//! The vocabulary is a hash table of 64-bit entries, fingerprint above rank, without the tokens'
//! bytes, so that a look-up touches one place in memory. A string that is no token is
//! taken for one only if 46 more bits of its hash agree with those of a token near its slot, about
//! 3 in 10^14; the build script checks that no two tokens are confused.

/// Ranks are below 2^18: o200k has 199,998.
pub(crate) const RANK_BITS: u32 = 18;
/// The rank of what is not a token; above every real one.
pub(crate) const NO_RANK: u32 = (1 << RANK_BITS) - 1;
/// 2^18 slots: three quarters full.
pub(crate) const SLOT_BITS: u32 = 18;
/// One bit per hash, one in ten set, says "no token" from a table that stays in the second-level
/// cache.
pub(crate) const FILTER_BITS: u32 = 21;

/// Characters per block of the class table.
pub(crate) const BLOCK_BITS: u32 = 7;
/// Classes as bits, so that a set of classes is a mask. Bit and name in `classes.txt`.
pub(crate) const UPPER: u8 = 1;
pub(crate) const LOWER: u8 = 2;
pub(crate) const CASELESS: u8 = 4;
pub(crate) const MARK: u8 = 8;
pub(crate) const NUMBER: u8 = 16;
pub(crate) const NEWLINE: u8 = 32;
pub(crate) const SPACE: u8 = 64;
pub(crate) const OTHER: u8 = 128;

/// The home slot of a hash: its highest bits.
pub(crate) fn slot(hash: u64) -> usize {
    (hash >> (64 - SLOT_BITS)) as usize
}

/// The bits of a hash that an entry keeps, in their place above the rank.
pub(crate) fn fingerprint(hash: u64) -> u64 {
    hash << RANK_BITS
}

/// Byte and bit of a hash in the filter.
pub(crate) fn filter_place(hash: u64) -> (usize, u8) {
    let bit = hash as usize & ((1 << FILTER_BITS) - 1);
    (bit >> 3, 1 << (bit & 7))
}

/// Reads whole words, the last one overlapping the one before, so that no length needs a byte loop.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let len = bytes.len();
    let mut state = (len as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    if let Some(last) = bytes.last_chunk::<8>() {
        for chunk in bytes.as_chunks::<8>().0 {
            state = mix(state ^ u64::from_le_bytes(*chunk));
        }
        if !len.is_multiple_of(8) {
            state = mix(state ^ u64::from_le_bytes(*last));
        }
    } else if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let low = u64::from(u32::from_le_bytes(*first));
        let high = u64::from(u32::from_le_bytes(*last));
        state = mix(state ^ (low | high << 32));
    } else if len > 0 {
        let ends = u64::from(bytes[0]) | u64::from(bytes[len - 1]) << 16;
        state = mix(state ^ (ends | u64::from(bytes[len / 2]) << 8));
    }
    let state = state.wrapping_mul(0xd6e8_feb8_6659_fd93);
    state ^ state >> 32
}

fn mix(state: u64) -> u64 {
    let state = state.wrapping_mul(0xff51_afd7_ed55_8ccd);
    state ^ state >> 32
}
