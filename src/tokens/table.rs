//! Ranks of tokens, read in place from the tables the build script made.

use std::ops::Range;

use super::layout::{
    BYTE_NAMES, ENTRY, FILTER_BITS, NAME_BITS, NO_RANK, PAIR_NAMES, PAIRS_GROUP, RANK_BITS,
    SEED_BITS, SLOT_BYTES, SLOTS, SPELT_BYTES_MAX, filter_place, hash, hash_short, parts,
    seed_place, slot, spelling, spelt_len, word,
};

/// The longest token of o200k.
pub(crate) const TOKEN_BYTES_MAX: usize = 128;

/// With the padding of the last slot.
const SLOTS_BYTES: usize = SLOTS * SLOT_BYTES + 1;
const FILTER_BYTES: usize = 1 << (FILTER_BITS - 3);
const NAME: u32 = (1 << NAME_BITS) - 1;

/// A token as merges see it: its rank decides about the order, by its name tokens made of it know it.
#[derive(Clone, Copy, Default)]
pub(crate) struct Token {
    /// `NO_RANK` if there is no such token.
    pub(crate) rank: u32,
    pub(crate) name: u32,
}

impl Token {
    pub(crate) const NONE: Token = Token { rank: NO_RANK, name: 0 };
}

/// Embedded bytes have no alignment of their own; so each table begins with a cache line.
#[repr(align(64))]
struct Aligned<T>(T);

static ENTRIES: Aligned<[u8; SLOTS_BYTES]> =
    Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/slots.bin")));
static SEEDS: Aligned<[u8; 1 << SEED_BITS]> =
    Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/seeds.bin")));
static FILTER: Aligned<[u8; FILTER_BYTES]> =
    Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/filter.bin")));
/// Which group of ranks is that of these pairs, and the groups.
static PAIR_INDEX: Aligned<[u8; (2 << 16) / PAIRS_GROUP]> =
    Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/pair_index.bin")));
static PAIR_GROUPS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/pair_groups.bin"));

/// The rank of a token, `NO_RANK` if the bytes are none; of two bytes and more.
pub(crate) fn rank(bytes: &[u8]) -> u32 {
    match *bytes {
        [first, second] => pair(first, second).rank,
        _ if bytes.len() > TOKEN_BYTES_MAX => NO_RANK,
        _ => rank_of(hash(bytes), bytes, bytes.len()),
    }
}

/// The same for the first bytes of a window, at most 16.
#[inline(always)]
pub(crate) fn rank_in(window: &[u8; 16], len: usize) -> u32 {
    if len <= 2 {
        return pair(window[0], window[1]).rank;
    }
    let bytes = first_bytes(window, len);
    let mut padded = [0; 16 + 8];
    padded[..16].copy_from_slice(&bytes.to_le_bytes());
    rank_of(hash_short(bytes, len), &padded, len)
}

/// Of the first bytes of a text.
#[inline(always)]
fn rank_of(hash: u64, text: &[u8], len: usize) -> u32 {
    let Some(token) = find(hash) else { return NO_RANK };
    let is_it = match spelling_of(text, len) {
        Some(spelling) => what(token) == spelling,
        None => strip(token, text).is_some_and(|rest| text.len() - rest.len() == len),
    };
    if is_it { entry(token) as u32 & NO_RANK } else { NO_RANK }
}

/// The token that two neighbours make, three bytes and more of a text: exactly that of these two.
/// Faster than `rank`, also because it may read beyond them.
#[inline(always)]
pub(crate) fn joined(text: &[u8], at: Range<usize>, left: u32, right: u32) -> Token {
    let len = at.len();
    let hash = match text[at.start..].first_chunk() {
        Some(window) if len <= 16 => hash_short(first_bytes(window, len), len),
        _ if len <= TOKEN_BYTES_MAX => hash(&text[at.clone()]),
        _ => return Token::NONE,
    };
    let Some(name) = find(hash) else { return Token::NONE };
    let wanted = spelling_of(&text[at.start..], len).unwrap_or_else(|| parts(left, right));
    if what(name) != wanted {
        return Token::NONE;
    }
    Token { rank: entry(name) as u32 & NO_RANK, name }
}

/// Of the first bytes of a text, three and more.
#[inline(always)]
fn spelling_of(text: &[u8], len: usize) -> Option<u64> {
    if len > SPELT_BYTES_MAX {
        return None;
    }
    let first = text.first_chunk().map_or_else(|| word(text), |first| u64::from_le_bytes(*first));
    spelling(first & !(u64::MAX << (8 * len)), len)
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

/// The slot of a hash, unless the filter knows that it is no token's.
#[inline(always)]
fn find(hash: u64) -> Option<u32> {
    let (byte, bit) = filter_place(hash);
    (FILTER.0[byte] & bit != 0).then(|| slot(hash, SEEDS.0[seed_place(hash)]) as u32)
}

/// What is in a slot, and above it a byte of the next.
#[inline(always)]
fn entry(slot: u32) -> u64 {
    let at = slot as usize * SLOT_BYTES;
    let bytes = ENTRIES.0.get(at..at + 8).and_then(|bytes| bytes.first_chunk());
    bytes.map_or(u64::MAX, |bytes| u64::from_le_bytes(*bytes)) & ENTRY
}

/// What a slot says that its token is.
#[inline(always)]
fn what(slot: u32) -> u64 {
    entry(slot) >> RANK_BITS
}

/// What follows a token, if the bytes begin with it: it is taken apart, the left part first, until the
/// parts are spelt out, pairs or single bytes.
fn strip(mut token: u32, mut bytes: &[u8]) -> Option<&[u8]> {
    while token < BYTE_NAMES {
        let what = what(token);
        if let Some(len) = spelt_len(what) {
            let rest = bytes.get(len..)?;
            return (spelling_of(bytes, len) == Some(what)).then_some(rest);
        }
        bytes = strip(what as u32 & NAME, bytes)?;
        token = (what >> NAME_BITS) as u32;
    }
    match *bytes {
        [first, ref rest @ ..] if token == of_byte(first) => Some(rest),
        [first, second, ref rest @ ..] if token == pair(first, second).name => Some(rest),
        _ => None,
    }
}

/// The name of a single byte, each of which is a token.
#[inline(always)]
pub(crate) fn of_byte(byte: u8) -> u32 {
    BYTE_NAMES + u32::from(byte)
}

/// The token of two bytes.
#[inline(always)]
pub(crate) fn pair(first: u8, second: u8) -> Token {
    let at = usize::from(first) << 8 | usize::from(second);
    let group = u16::from_le_bytes(PAIR_INDEX.0.as_chunks().0[at / PAIRS_GROUP]);
    let at = usize::from(group) * PAIRS_GROUP + at % PAIRS_GROUP;
    let [low, middle, high] = PAIR_GROUPS.as_chunks().0[at];
    let rank = u32::from_le_bytes([low, middle, high, 0]);
    Token { rank, name: PAIR_NAMES + at as u32 }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use bpe_openai::o200k_base;

    use super::super::Counter;
    use super::*;

    /// What the tables were made of, in another form.
    struct Oracle(HashMap<&'static [u8], u32>);

    impl Oracle {
        fn new() -> Oracle {
            let bpe = &o200k_base().bpe;
            let ranks = 0..bpe.num_tokens() as u32;
            Oracle(ranks.map(|rank| (bpe.token_bytes(rank), rank)).collect())
        }

        /// Of two to sixteen bytes, always in the same order.
        fn short(&self) -> Vec<&'static [u8]> {
            let mut tokens: Vec<_> = self.0.keys().copied().collect();
            tokens.retain(|token| (2..=16).contains(&token.len()));
            tokens.sort_unstable();
            tokens
        }

        #[track_caller]
        fn check(&self, bytes: &[u8]) {
            if bytes.len() < 2 {
                return;
            }
            let want = self.0.get(bytes).copied().unwrap_or(NO_RANK);
            assert_eq!(rank(bytes), want, "{:?}", String::from_utf8_lossy(bytes));
            if bytes.len() <= 16 {
                // What stands behind it must not matter.
                let mut window = [b'x'; 16];
                window[..bytes.len()].copy_from_slice(bytes);
                assert_eq!(rank_in(&window, bytes.len()), want, "{bytes:?}");
            }
        }

        /// Alone and among other text.
        #[track_caller]
        fn check_counts(&self, counter: &mut Counter, bytes: &[u8]) {
            let Ok(text) = std::str::from_utf8(bytes) else { return };
            for text in [text.to_owned(), format!("a{text}b"), format!(" {text}{text}\n")] {
                assert_eq!(counter.count(&text), o200k_base().count(&text), "{text:?}");
            }
        }
    }

    /// Longer than eight bytes and of the same hash as a token of at most eight: zeros, and a byte that
    /// makes up for the length.
    fn of_the_same_hash(token: &[u8], len: usize) -> Vec<u8> {
        let mut other = vec![0; len];
        other[..token.len()].copy_from_slice(token);
        other[8] = (token.len() ^ len) as u8;
        assert_eq!(hash(token), hash(&other));
        other
    }

    #[test]
    fn text_of_the_same_hash_as_a_token_is_not_that_token() {
        let (oracle, mut counter) = (Oracle::new(), Counter::new());
        assert_eq!(counter.count("();\0\0\0\0\0\n"), 5);
        for (at, token) in oracle.short().into_iter().filter(|token| token.len() <= 8).enumerate() {
            for len in 9..=16 {
                let other = of_the_same_hash(token, len);
                oracle.check(&other);
                if (at + len) % 64 == 0 {
                    oracle.check_counts(&mut counter, &other);
                }
            }
        }
        // Each constant of the hash makes its product zero, whatever else the string is.
        for (constant, place) in [(0x9e37_79b9_7f4a_7c15_u64, 0), (0xd6e8_feb8_6659_fd93, 8)] {
            for len in 8 + place..=16 {
                let mut other = vec![7; len];
                let constant = if place == 0 { constant } else { constant ^ len as u64 };
                other[place..place + 8].copy_from_slice(&constant.to_le_bytes());
                assert_eq!(hash(&other), 0);
                oracle.check(&other);
            }
        }
    }

    /// Every token and its neighbours in all directions; and what the entries spell out, where a length,
    /// a class or an end could be mistaken.
    #[test]
    fn neighbours_of_tokens_are_told_apart() {
        let oracle = Oracle::new();
        let (tokens, mut counter) = (oracle.short(), Counter::new());
        for (at, &token) in tokens.iter().enumerate() {
            let mut others: Vec<Vec<u8>> = vec![token.to_vec()];
            others.extend((1..=8).map(|zeros| [token, &vec![0; zeros]].concat()));
            others.extend(
                [0, b' ', b'`', b'a', b'~', 0x80, 0xff].map(|end| [token, &[end]].concat()),
            );
            others.extend([b' ', b'A', 0xc3].map(|first| [&[first], token].concat()));
            others.extend((1..token.len()).map(|cut| token[..cut].to_vec()));
            others.extend((1..token.len()).map(|cut| [&token[cut..], &token[..cut]].concat()));
            others.push([token, tokens[(at * 7919 + 13) % tokens.len()]].concat());
            others.extend((1..token.len()).map(|place| {
                let mut other = token.to_vec();
                other.swap(place - 1, place);
                other
            }));
            others.extend((0..token.len()).map(|place| {
                let mut other = token.to_vec();
                other[place] ^= 1 << ((at + place) % 8);
                other
            }));
            others.iter().for_each(|other| oracle.check(other));
            oracle.check_counts(&mut counter, &others[(at * 31) % others.len()]);
        }
    }
}
