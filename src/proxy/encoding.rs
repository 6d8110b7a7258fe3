//! Prompts that come encoded are decoded, so that they can be counted and compressed, and sent on
//! plain. Codex sends zstd.
//!
//! A small body can stand for a huge one, so nothing is decoded beyond the size that would be
//! compressed, and the result takes its share of the memory for bodies as it grows, as does what the
//! decoder keeps of it. On any doubt, down to a byte behind the end, the body goes upstream as it
//! came.

use std::io::Read;
use std::sync::{Arc, MutexGuard};

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};
use ruzstd::decoding::StreamingDecoder;

use super::front::client::Incoming;
use super::front::memory::{Held, Memory};
use super::mishap::caught;
use super::request::Head;
use crate::wire::Format;

/// The window that every zstd decoder must support (RFC 8878 3.1.1.1.2), and more than its usual
/// levels use.
const WINDOW_BYTES_MAX: usize = 8 * 1024 * 1024;
/// What decodes to more waits for its turn.
const MUCH_BYTES: usize = 256 * 1024;
/// Bytes that are decoded between two looks at the limits.
const PIECE_BYTES: usize = 32 * 1024;

/// The request with its body decoded, if it is a prompt, encoded in a way that we know, and decodes
/// to at most `max` bytes; else as it came.
pub(crate) fn open(head: &mut Head, body: Incoming, memory: &Arc<Memory>, max: usize) -> Incoming {
    let Incoming::Whole(encoded) = body else { return body };
    let is_prompt = head.method() == "POST" && Format::of_path(head.target()).is_some();
    let Some(coding) = coding(head).filter(|_| is_prompt) else { return Incoming::Whole(encoded) };
    let mut out = Output::new(memory, max);
    let run = || match coding {
        Coding::Gzip => gunzip(&encoded.bytes, &mut out),
        Coding::Zstd => unzstd(&encoded.bytes, &mut out),
    };
    // A decoder that panics is a doubt like any other.
    if caught(run).flatten().is_none() {
        return Incoming::Whole(encoded);
    }
    head.drop_headers(|name, _| name.eq_ignore_ascii_case("content-encoding"));
    Incoming::Whole(out.held)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Gzip,
    Zstd,
}

/// The one coding of the body; `None` if there is none, more than one, or one that we do not know.
fn coding(head: &Head) -> Option<Coding> {
    let mut values = head.values("content-encoding");
    let (value, None) = (values.next()?, values.next()) else { return None };
    let is = |name: &str| value.eq_ignore_ascii_case(name.as_bytes());
    if is("zstd") {
        return Some(Coding::Zstd);
    }
    // RFC 9110 8.4.1.3: the older name means the same.
    (is("gzip") || is("x-gzip")).then_some(Coding::Gzip)
}

/// What has been decoded, within its limits.
struct Output<'a> {
    held: Held,
    /// Nothing but the share of the memory that is the decoder's.
    window: Held,
    memory: &'a Memory,
    /// Held by the one that decodes much.
    turn: Option<MutexGuard<'a, ()>>,
    max: usize,
}

impl<'a> Output<'a> {
    fn new(memory: &'a Arc<Memory>, max: usize) -> Output<'a> {
        Output { held: Held::new(memory), window: Held::new(memory), memory, turn: None, max }
    }

    fn push(&mut self, piece: &[u8]) -> Option<()> {
        let total = self.held.bytes.len() + piece.len();
        (total <= self.max && self.held.grow(piece.len()))
            .then(|| self.held.bytes.extend_from_slice(piece))
    }

    /// The decoder keeps all of `total` bytes that fit into its window; while that grows, twice.
    fn is_window_granted(&mut self, total: usize) -> bool {
        if total > MUCH_BYTES && self.turn.is_none() {
            self.turn = Some(self.memory.turn());
        }
        self.window.reserve(2 * total.min(WINDOW_BYTES_MAX))
    }
}

/// All frames, of which there must be one and which must fill the body.
// A worker keeps what its stack has touched once, and most never need this much.
#[inline(never)]
fn unzstd(mut encoded: &[u8], out: &mut Output) -> Option<()> {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let before = out.held.bytes.len();
        let mut decoder =
            StreamingDecoder::new_with_max_window_size(&mut encoded, WINDOW_BYTES_MAX as u64)
                .ok()?;
        loop {
            match decoder.read(&mut piece).ok()? {
                0 => break,
                count => out.push(&piece[..count])?,
            }
            out.is_window_granted(out.held.bytes.len() - before).then_some(())?;
        }
        let frame = decoder.into_frame_decoder();
        // Sum and length are optional; where they are, they must be right.
        let sum = frame.get_checksum_from_data();
        let is_sum = sum.is_none() || sum == frame.get_calculated_checksum();
        let length = (out.held.bytes.len() - before) as u64;
        let is_length = [0, length].contains(&frame.content_size());
        (frame.is_finished() && is_sum && is_length).then_some(())?;
        if encoded.is_empty() {
            return Some(());
        }
    }
}

/// One member (RFC 1952), which must fill the body; its sum and length must be right.
#[inline(never)]
fn gunzip(encoded: &[u8], out: &mut Output) -> Option<()> {
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
fn crc32(bytes: &[u8]) -> u32 {
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

#[cfg(test)]
mod tests {
    use super::*;
    use miniz_oxide::deflate::compress_to_vec;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec as zstd_to_vec};

    const MAX: usize = 100_000;

    fn output(memory: &Arc<Memory>) -> Output<'_> {
        Output::new(memory, MAX)
    }

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let end = [crc32(plain).to_le_bytes(), (plain.len() as u32).to_le_bytes()].concat();
        [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255], &compress_to_vec(plain, 6)[..], &end].concat()
    }

    #[test]
    fn what_was_encoded_is_decoded_up_to_the_limit() {
        let memory = Memory::new(1 << 20);
        let text: Vec<u8> =
            (0..MAX as u32 + 1).map(|n| (n.wrapping_mul(n) / 97) as u8 & 63).collect();
        for length in [0, 1, 1000, PIECE_BYTES, 2 * PIECE_BYTES, 3 * PIECE_BYTES + 1, MAX, MAX + 1]
        {
            let plain = &text[..length];
            let zstd = zstd_to_vec(plain, CompressionLevel::Fastest);
            for (encoded, is_zstd) in [(gzip(plain), false), (zstd, true)] {
                let mut out = output(&memory);
                let decode = if is_zstd { unzstd } else { gunzip };
                let decoded = decode(&encoded, &mut out);
                assert_eq!(decoded.is_some(), length <= MAX, "{length}");
                assert!(decoded.is_none() || out.held.bytes == plain, "{length}");
            }
        }
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926, "the check value of this sum");
    }

    #[test]
    fn decoders_share_the_memory() {
        let plain = vec![b'a'; MAX];
        let encoded = zstd_to_vec(plain.as_slice(), CompressionLevel::Fastest);
        // Its output, the window twice, and no more.
        for (share, works) in [(3, false), (5, true)] {
            let memory = Memory::new(share * MAX);
            assert_eq!(unzstd(&encoded, &mut output(&memory)).is_some(), works, "{share}");
            assert!(Held::new(&memory).reserve(MAX), "it is given back");
        }
    }

    #[test]
    fn damage_neither_panics_nor_passes_for_the_original() {
        let memory = Memory::new(1 << 20);
        let plain: Vec<u8> = b"the quick brown fox, ".repeat(60);
        let zstd = include_bytes!("../../fixtures/wire/prompt-check.json.zst");
        for (sound, is_zstd) in [(gzip(&plain), false), (zstd.to_vec(), true)] {
            let mut whole = output(&memory);
            let decode = if is_zstd { unzstd } else { gunzip };
            assert!(decode(&sound, &mut whole).is_some());
            for at in 0..sound.len() {
                for flip in [1, 2, 4, 8, 16, 32, 64, 128, 255] {
                    let mut damaged = sound.clone();
                    damaged[at] ^= flip;
                    let mut out = output(&memory);
                    let decoded = decode(&damaged, &mut out);
                    // Time, system and level say nothing about the content.
                    let is_same = out.held.bytes == whole.held.bytes;
                    assert!(decoded.is_none() || is_same, "byte {at} ^ {flip}");
                }
                assert!(decode(&sound[..at], &mut output(&memory)).is_none(), "cut at {at}");
            }
        }
    }
}
