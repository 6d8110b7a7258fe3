//! A keyed hash of texts, at several gigabytes a second, of which nobody who lacks the key can force
//! a collision.
//!
//! A sum of products (NH) makes sixteen bytes of 128, a polynomial modulo 2^127 - 1 one value of
//! these: the construction of VMAC. For two texts chosen without the key, the share of keys under
//! which they meet is at most 2^-64 plus 2^-118 for each 128 bytes. The hashes in use as tables'
//! (foldhash, rapidhash, ahash) are as fast, but promise no such bound.

const WORDS: usize = 16;
const BLOCK_BYTES: usize = WORDS * 8;
const PRIME: u128 = (1 << 127) - 1;

pub(crate) struct Digest {
    sum: [u64; WORDS],
    point: [u64; 2],
}

impl Digest {
    /// Random numbers that make a key.
    pub(crate) const KEY_WORDS: usize = WORDS + 2;

    /// With a key of random numbers, asked for by index.
    pub(crate) fn new(random: impl Fn(usize) -> u64) -> Digest {
        let key: [u64; Digest::KEY_WORDS] = std::array::from_fn(random);
        // Without their highest bits, so that products do not overflow.
        let point = [key[WORDS] >> 5, key[WORDS + 1] >> 5];
        Digest { sum: std::array::from_fn(|at| key[at]), point }
    }

    /// 127 bits.
    pub(crate) fn of(&self, bytes: &[u8]) -> u128 {
        self.after(1, bytes)
    }

    /// Of all that led to a state, and these bytes: each piece ends with its length, so that pieces
    /// cut in another way are others. The state to begin with is 1.
    pub(crate) fn after(&self, state: u128, bytes: &[u8]) -> u128 {
        let (blocks, rest) = bytes.as_chunks();
        let mut state = blocks.iter().fold(state, |state, block| self.next(state, self.nh(block)));
        if !rest.is_empty() {
            let mut block = [0; BLOCK_BYTES];
            block[..rest.len()].copy_from_slice(rest);
            state = self.next(state, self.nh(&block));
        }
        self.next(state, bytes.len() as u128)
    }

    fn nh(&self, block: &[u8; BLOCK_BYTES]) -> u128 {
        let (words, _) = block.as_chunks::<8>();
        let keyed = |at: usize| u64::from_le_bytes(words[at]).wrapping_add(self.sum[at]);
        let product = |at: usize| u128::from(keyed(at)) * u128::from(keyed(at + 1));
        (0..WORDS).step_by(2).map(product).fold(0, u128::wrapping_add)
    }

    /// The state after one number below 2^127, which is `state * point + value` modulo the prime.
    pub(crate) fn next(&self, state: u128, value: u128) -> u128 {
        let [low, high] = [state as u64, (state >> 64) as u64].map(u128::from);
        let [point_low, point_high] = self.point.map(u128::from);
        let middle = low * point_high + high * point_low;
        // 2^128 is 2, and 2^127 is 1.
        let top = 2 * (high * point_high) + 2 * (middle >> 64);
        let sum = reduced(low * point_low) + reduced(middle << 64);
        let product = reduced(sum) + reduced(top);
        reduced(reduced(product) + reduced(value))
    }
}

/// The same modulo the prime, and at most 2^127.
fn reduced(value: u128) -> u128 {
    (value & PRIME) + (value >> 127)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest() -> Digest {
        Digest::new(|at| random(at as u64))
    }

    /// Numbers without a pattern (splitmix64); with one, sums of products collide.
    fn random(at: u64) -> u64 {
        let mixed = (at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// Against the definition, by slow arithmetic.
    #[test]
    fn polynomial_is_computed_modulo_the_prime() {
        let digest = digest();
        let point = u128::from(digest.point[1]) << 64 | u128::from(digest.point[0]);
        for state in [0, 1, 2, u128::from(u64::MAX), 1 << 64, PRIME / 3, PRIME - 1, PRIME, 1 << 127]
        {
            for value in [0, 1, PRIME, u128::MAX, u128::MAX << 64] {
                let want = add(times(state, point), value);
                assert_eq!(digest.next(state, value) % PRIME, want, "{state:x} {value:x}");
            }
        }

        fn add(one: u128, two: u128) -> u128 {
            (one % PRIME + two % PRIME) % PRIME
        }

        fn times(one: u128, mut two: u128) -> u128 {
            let (mut product, mut power) = (0, one);
            while two > 0 {
                if two & 1 == 1 {
                    product = add(product, power);
                }
                (power, two) = (add(power, power), two >> 1);
            }
            product
        }
    }

    #[test]
    fn each_bit_the_length_and_the_key_matter() {
        let digest = digest();
        let text = [0; 300];
        let mut seen: Vec<u128> = (0..=text.len()).map(|len| digest.of(&text[..len])).collect();
        for bit in 0..8 * text.len() {
            let mut text = text;
            text[bit / 8] |= 1 << (bit % 8);
            seen.push(digest.of(&text));
        }
        seen.push(Digest::new(|at| random(at as u64 + 100)).of(&text));
        // Pieces of the same text, cut in different ways.
        let pieces = |cut: usize| digest.after(digest.after(1, &text[..cut]), &text[cut..]);
        seen.extend((0..=text.len()).map(pieces));
        let all = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), all);
    }
}
