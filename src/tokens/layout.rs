//! What the build script and the counter must agree on: the hash of a token and the sizes of the
//! tables.
//!
//! The vocabulary is a hash table of entries of seven bytes, fingerprint above rank, without the
//! tokens' bytes, so that a look-up touches one place in memory. A string that is no token is taken
//! for one only if the filter lets it pass and 38 more bits of its hash agree with those of a token
//! near its slot, about 5 in 10^11; the build script checks that no two tokens are confused.

/// Ranks are below 2^18: o200k has 199,998.
pub(crate) const RANK_BITS: u32 = 18;
/// The rank of what is not a token; above every real one.
pub(crate) const NO_RANK: u32 = (1 << RANK_BITS) - 1;
/// Eleven in twelve are full. A quarter more slots would be some per cent faster, and 0.4 MB larger.
pub(crate) const SLOTS: usize = 218_182;
/// Behind them, for what found no place in the last ones: so a look-up need not begin anew at the first.
pub(crate) const SLOTS_BEYOND: usize = 128;
/// Of a slot, little-endian.
pub(crate) const SLOT_BYTES: usize = 7;
/// What an entry may have set. An empty slot has it all, and so reads as `NO_RANK`.
pub(crate) const ENTRY: u64 = (1 << (8 * SLOT_BYTES)) - 1;
/// One bit per hash, one in six set, says "no token" from a table that stays in the second-level
/// cache.
pub(crate) const FILTER_BITS: u32 = 20;
/// Pairs of bytes whose ranks stand together.
pub(crate) const PAIRS_GROUP: usize = 16;

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

/// The home slot of a hash: its highest bits, as a fraction of all slots.
pub(crate) fn slot(hash: u64) -> usize {
    (((hash >> 32) * SLOTS as u64) >> 32) as usize
}

/// The bits of a hash that an entry keeps, in their place above the rank: between those that choose
/// the slot and eight that only the filter looks at.
pub(crate) fn fingerprint(hash: u64) -> u64 {
    (hash >> 8 << RANK_BITS) & ENTRY
}

/// Byte and bit of a hash in the filter.
pub(crate) fn filter_place(hash: u64) -> (usize, u8) {
    let bit = hash as usize & ((1 << FILTER_BITS) - 1);
    (bit >> 3, 1 << (bit & 7))
}

/// The hash of a token.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    if bytes.len() > 16 {
        return hash_long(bytes);
    }
    let mut word = [0; 16];
    word[..bytes.len()].copy_from_slice(bytes);
    hash_short(u128::from_le_bytes(word), bytes.len())
}

/// The same for at most sixteen bytes, which are the lowest of a word that is zero above.
pub(crate) fn hash_short(word: u128, len: usize) -> u64 {
    fold(word as u64, (word >> 64) as u64 ^ len as u64)
}

/// Reads whole words, the last one overlapping the one before.
fn hash_long(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<16>();
    let last = bytes.last_chunk::<16>().filter(|_| !rest.is_empty());
    words.iter().chain(last).fold(bytes.len() as u64, |state, word| {
        let word = u128::from_le_bytes(*word);
        fold(word as u64 ^ state, (word >> 64) as u64).wrapping_add(state.rotate_left(23))
    })
}

fn fold(low: u64, high: u64) -> u64 {
    let low = low ^ 0x9e37_79b9_7f4a_7c15;
    let product = u128::from(low) * u128::from(high ^ 0xd6e8_feb8_6659_fd93);
    product as u64 ^ (product >> 64) as u64
}
