//! Remembers the counts of short pieces: a text uses few words, again and again.
//!
//! Direct mapped and exact: an entry holds the piece itself, and a new piece takes the place of the
//! old. Pieces up to 16 bytes, because these compare as two words; longer ones are rare.

/// 96 KB of entries: four times as many gain 0 to 8 % on prompts and crowd the second-level cache.
const ENTRY_BITS: u32 = 12;
const PIECE_BYTES_MAX: usize = 16;

/// The piece, and its length and count, neither of which exceeds 16. Zero is no entry.
type Entry = [u64; 3];

pub(crate) struct Cache {
    entries: Vec<Entry>,
}

/// A piece as the cache compares it.
pub(crate) struct Key {
    words: [u64; 2],
    len: u64,
}

impl Key {
    /// `None` for a piece too long for the cache. Reads past the piece where the text goes on.
    pub(crate) fn new(text: &[u8], start: usize, end: usize) -> Option<Key> {
        let len = end - start;
        if len > PIECE_BYTES_MAX {
            return None;
        }
        let bytes = match text[start..].first_chunk::<PIECE_BYTES_MAX>() {
            Some(bytes) => *bytes,
            None => {
                let mut bytes = [0; PIECE_BYTES_MAX];
                bytes[..len].copy_from_slice(&text[start..end]);
                bytes
            }
        };
        let piece = u128::from_le_bytes(bytes) & (u128::MAX >> (128 - 8 * len));
        Some(Key { words: [piece as u64, (piece >> 64) as u64], len: len as u64 })
    }

    fn place(&self) -> usize {
        let mixed = self.words[0] ^ self.words[1].wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed.wrapping_mul(0xff51_afd7_ed55_8ccd) >> (64 - ENTRY_BITS)) as usize
    }
}

impl Cache {
    pub(crate) fn new() -> Cache {
        Cache { entries: vec![[0; 3]; 1 << ENTRY_BITS] }
    }

    /// The count of a piece, computed if it is not at hand.
    pub(crate) fn count(&mut self, key: &Key, compute: impl FnOnce() -> usize) -> usize {
        let entry = &mut self.entries[key.place()];
        let [low, high, numbers] = *entry;
        if [low, high] == key.words && numbers >> 32 == key.len {
            return numbers as u32 as usize;
        }
        let count = compute();
        *entry = [key.words[0], key.words[1], key.len << 32 | count as u64];
        count
    }
}
