//! A fast hash of bytes, the same in every process: what is sent must not depend on which one it
//! was. Whoever looks something up by it compares what he finds.

const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
const OTHER_FACTOR: u64 = 0xa076_1d64_78bd_642f;

pub(super) fn hash(bytes: &[u8]) -> u64 {
    let mut state = FACTOR ^ bytes.len() as u64;
    let (words, rest) = bytes.as_chunks();
    for word in words {
        state = mix(state ^ u64::from_le_bytes(*word));
    }
    let rest = match bytes.last_chunk() {
        // The last bytes as a number; those before them are shifted out.
        Some(last) if !rest.is_empty() => u64::from_le_bytes(*last) >> (64 - 8 * rest.len()),
        _ => number(rest),
    };
    mix(state ^ rest).wrapping_mul(OTHER_FACTOR)
}

/// Both halves of a long product: all bits of the input reach all bits of the output.
pub(super) fn mix(word: u64) -> u64 {
    let product = u128::from(word ^ OTHER_FACTOR) * u128::from(FACTOR);
    (product >> 64) as u64 ^ product as u64
}

/// Fewer than eight bytes as a number.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}
