//! A fast hash of bytes, the same in every process: what is sent must not depend on which one it
//! was. Whoever looks something up by it compares what he finds.

const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
const OTHER_FACTOR: u64 = 0xa076_1d64_78bd_642f;

pub(super) fn hash(bytes: &[u8]) -> u64 {
    let mut state = FACTOR ^ bytes.len() as u64;
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        state = mix(state ^ number(word));
    }
    mix(state ^ number(words.remainder())).wrapping_mul(OTHER_FACTOR)
}

/// Both halves of a long product: all bits of the input reach all bits of the output.
pub(super) fn mix(word: u64) -> u64 {
    let product = u128::from(word ^ OTHER_FACTOR) * u128::from(FACTOR);
    (product >> 64) as u64 ^ product as u64
}

/// Up to eight bytes as a number.
fn number(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}
