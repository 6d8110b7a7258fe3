//! gzip (RFC 1952) around deflated data.

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

use super::{Output, PIECE_BYTES, Size};

/// Deflated data stands for at most so many times its size.
const RATIO_MAX: usize = 1032;

/// What the end says. It is proved by decoding: nothing is decoded beyond it.
pub(super) fn size(encoded: &[u8]) -> Option<Size> {
    let end = encoded.last_chunk::<4>()?;
    let size = u32::from_le_bytes(*end) as usize;
    // More comes of an end that was counted modulo 2^32, or was made up.
    (size <= encoded.len().saturating_mul(RATIO_MAX)).then_some(Size { least: size, most: size })
}

/// One member (RFC 1952), which must fill the body; its sum and length must be right.
// A worker keeps what its stack has touched once, and most never need this much.
#[inline(never)]
pub(super) fn decode(encoded: &[u8], out: &mut Output) -> Option<()> {
    let data = &encoded[member_head(encoded)?..];
    let mut state = DecompressorOxide::new();
    // The decoder looks back into its output, of which it needs the last 32 KiB: a ring.
    let mut ring = vec![0; 2 * PIECE_BYTES];
    let (mut at, mut place) = (0, 0);
    loop {
        let (status, taken, written) = decompress(&mut state, &data[at..], &mut ring, place, 0);
        out.push(&ring[place..place + written])?;
        at += taken;
        place = (place + written) % ring.len();
        match status {
            TINFLStatus::Done => break,
            TINFLStatus::HasMoreOutput => {}
            _ => return None,
        }
    }
    let end: &[u8; 8] = data[at..].try_into().ok()?;
    let decoded = &out.held.bytes;
    let expected = [crc32(decoded).to_le_bytes(), (decoded.len() as u32).to_le_bytes()].concat();
    (end[..] == expected[..]).then_some(())
}

/// The length of a gzip header.
fn member_head(bytes: &[u8]) -> Option<usize> {
    const HEADER_CRC: u8 = 2;
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;
    const RESERVED: u8 = 0xe0;
    let &[0x1f, 0x8b, 8, flags, ..] = bytes else { return None };
    let mut at = 10;
    if flags & EXTRA != 0 {
        let length = bytes.get(at..at + 2)?;
        at += 2 + usize::from(u16::from_le_bytes([length[0], length[1]]));
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            at += memchr::memchr(0, bytes.get(at..)?)? + 1;
        }
    }
    at += if flags & HEADER_CRC != 0 { 2 } else { 0 };
    (flags & RESERVED == 0 && at <= bytes.len()).then_some(at)
}

/// The sum of RFC 1952, four bits at a time.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 16] = crc_table();
    let step = |sum: u32| (sum >> 4) ^ TABLE[(sum & 15) as usize];
    !bytes.iter().fold(!0, |sum, byte| step(step(sum ^ u32::from(*byte))))
}

const fn crc_table() -> [u32; 16] {
    let mut table = [0; 16];
    let mut at = 0;
    while at < 16 {
        let mut sum = at as u32;
        let mut bit = 0;
        while bit < 4 {
            sum = if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 };
            bit += 1;
        }
        table[at] = sum;
        at += 1;
    }
    table
}
