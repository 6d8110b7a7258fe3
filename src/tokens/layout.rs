//! What the build script and the counter must agree on: the hash of a token and the sizes of the
//! tables.
//!
//! The vocabulary is a perfect hash table: a hash leads to one place, where at most one token is. Its
//! entry of seven bytes spells a short token out, and says of another by name of which two tokens it
//! is made, and so on down: so a look-up is exact, without the tokens' bytes (1.4 MB) in the table.
//! What the hash is decides about speed alone: strings with equal hashes, which anybody can find, are
//! told apart all the same.

/// Ranks are below 2^18: o200k has 199,998.
pub(crate) const RANK_BITS: u32 = 18;
/// The rank of what is not a token; above every real one.
pub(crate) const NO_RANK: u32 = (1 << RANK_BITS) - 1;
/// Places for the 195,089 tokens of three bytes and more: ninety-nine in a hundred are full.
pub(crate) const SLOTS: usize = 197_000;
/// The name of a token of three bytes and more is its place; then come single bytes, and then pairs, by
/// their places in the table of pairs. All together they are below 2^18.
pub(crate) const NAME_BITS: u32 = 18;
pub(crate) const BYTE_NAMES: u32 = SLOTS as u32;
pub(crate) const PAIR_NAMES: u32 = BYTE_NAMES + 256;
/// Of an entry, little-endian: the rank, and above it what the token is.
pub(crate) const SLOT_BYTES: usize = 7;
/// What an entry may have set. An empty slot has it all, and so is no token.
pub(crate) const ENTRY: u64 = (1 << (8 * SLOT_BYTES)) - 1;
/// Tokens whose hashes agree in so many bits, three on average, are placed by one seed, a byte, which
/// the build script found by trying.
pub(crate) const SEED_BITS: u32 = 16;
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

/// Which seed places the tokens of a hash.
#[inline(always)]
pub(crate) fn seed_place(hash: u64) -> usize {
    (hash >> (64 - SEED_BITS)) as usize
}

/// The slot of a hash under its seed.
#[inline(always)]
pub(crate) fn slot(hash: u64, seed: u8) -> usize {
    let mixed = (hash ^ u64::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15))
        .wrapping_mul(0xff51_afd7_ed55_8ccd);
    (((mixed >> 32) * SLOTS as u64) >> 32) as usize
}

/// What a token is: of two others, by their names.
#[inline(always)]
pub(crate) fn parts(left: u32, right: u32) -> u64 {
    u64::from(right) << NAME_BITS | u64::from(left)
}

/// Above the names, in what is spelt out: bytes as they are; or one and letters, of five bits each.
pub(crate) const BYTES: u64 = 1 << (2 * NAME_BITS);
pub(crate) const LETTERS: u64 = 2 << (2 * NAME_BITS);
/// Between them and three bytes: there is a fourth.
const FOURTH: u64 = 1 << 32;

pub(crate) const SPELT_BYTES_MAX: usize = 7;

/// What a token of three to seven bytes is, if it can be spelt out: three or four bytes, or one of ASCII
/// and up to six of 0x61 to 0x7f, lower-case letters above all. The word is zero above them.
#[inline(always)]
pub(crate) fn spelling(word: u64, len: usize) -> Option<u64> {
    const EACH: u64 = 0x0101_0101_0101;
    if len <= 4 {
        return Some(BYTES | word | (FOURTH * (len as u64 - 3)));
    }
    let rest = word >> 8;
    let each = EACH >> (8 * (SPELT_BYTES_MAX - len));
    let low = rest & (0x1f * EACH);
    let are_letters = rest & (0xe0 * EACH) == 0x60 * each;
    // None has only zeros below: that is the end.
    let all = are_letters && word & 0x80 == 0 && (low + 0x1f * each) & (0x20 * EACH) == 0x20 * each;
    let pairs = low & 0x001f_001f_001f | low >> 3 & 0x03e0_03e0_03e0;
    let rewritten = pairs & 0x3ff | pairs >> 6 & 0x3ff << 10 | pairs >> 12 & 0x3ff << 20;
    all.then_some(LETTERS | rewritten << 7 | word & 0x7f)
}

/// How many bytes are spelt out; `None` if it is made of two tokens.
#[inline(always)]
pub(crate) fn spelt_len(what: u64) -> Option<usize> {
    match what & (BYTES | LETTERS) {
        0 => None,
        BYTES => Some(3 + usize::from(what & FOURTH != 0)),
        _ => Some(1 + (64 - ((what ^ LETTERS) >> 7).leading_zeros() as usize).div_ceil(5)),
    }
}

/// At most eight bytes as a word.
pub(crate) fn word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

/// Byte and bit of a hash in the filter.
#[inline(always)]
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
#[inline(always)]
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

#[inline(always)]
fn fold(low: u64, high: u64) -> u64 {
    let low = low ^ 0x9e37_79b9_7f4a_7c15;
    let product = u128::from(low) * u128::from(high ^ 0xd6e8_feb8_6659_fd93);
    product as u64 ^ (product >> 64) as u64
}
