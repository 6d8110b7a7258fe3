//! Prompts that come encoded are decoded, so that they can be counted and compressed, and sent on
//! plain. Codex sends zstd.
//!
//! A small body can stand for a huge one. What it says of its size is looked at first, and nothing is
//! decoded beyond the size that would be compressed. The result takes its share of the memory for
//! bodies as it grows, as does what the decoder keeps of it; much is decoded on the one thread for
//! large bodies. On any doubt, down to a byte behind the end, the body goes upstream as it came.

mod gzip;
mod zstd;

use std::sync::Arc;

use super::catch_panic::catch_panic;
use super::event_loop::client::Incoming;
use super::event_loop::memory::{BodyBuffer, Memory};
use super::large_bodies::LargeBodyThread;
use super::request::Head;
use crate::wire::Format;

/// What decoding takes, as a multiple of what comes out: that, and the decoder's window, which grows.
const ROOM: usize = 4;
/// Bytes that are decoded between two looks at the limits.
const PIECE_BYTES: usize = 32 * 1024;
/// The first room for what is decoded, as a multiple of the encoded size: prompts take four to eight.
const USUAL_RATIO: usize = 8;

/// What a body says of itself: how many bytes it decodes to, at least and at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size {
    least: usize,
    most: usize,
}

/// The request with its body decoded, if it is a prompt, encoded in a way that we know, and decodes
/// to at most `max` bytes; else as it came.
pub(crate) fn open(
    head: &mut Head,
    body: Incoming,
    (memory, large): (&Arc<Memory>, &LargeBodyThread),
    max: usize,
) -> Incoming {
    let Incoming::Whole(encoded) = body else { return body };
    let is_prompt = head.method() == "POST" && Format::of_path(head.target()).is_some();
    let Some(coding) = coding(head).filter(|_| is_prompt) else { return Incoming::Whole(encoded) };
    let size = coding.size(&encoded.bytes).filter(|size| size.least <= max);
    let Some(Size { most, .. }) = size else { return Incoming::Whole(encoded) };
    let memory = Arc::clone(memory);
    let run = move || {
        let decoded = decode(coding, &encoded.bytes, &memory, most.min(max));
        (encoded, decoded)
    };
    match if large.is_large(most.saturating_mul(ROOM)) { large.run(run) } else { run() } {
        (_, Some(decoded)) => {
            head.drop_headers(|name, _| name.eq_ignore_ascii_case("content-encoding"));
            Incoming::Whole(decoded)
        }
        (encoded, None) => Incoming::Whole(encoded),
    }
}

fn decode(coding: Coding, encoded: &[u8], memory: &Arc<Memory>, max: usize) -> Option<BodyBuffer> {
    let mut out = Output::new(memory, max);
    let run = || {
        let usual = encoded.len().saturating_mul(USUAL_RATIO);
        out.held.reserve(max.min(usual)).then_some(())?;
        match coding {
            Coding::Gzip => gzip::decode(encoded, &mut out),
            Coding::Zstd => zstd::decode(encoded, &mut out),
        }
    };
    // A decoder that panics is a doubt like any other.
    catch_panic(run).flatten()?;
    Some(out.held)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Gzip,
    Zstd,
}

impl Coding {
    /// `None`: it is not what it is said to be.
    fn size(self, encoded: &[u8]) -> Option<Size> {
        match self {
            Coding::Gzip => gzip::size(encoded),
            Coding::Zstd => zstd::size(encoded),
        }
    }
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
struct Output {
    held: BodyBuffer,
    /// Nothing but the share of the memory that is the decoder's.
    window: BodyBuffer,
    max: usize,
}

impl Output {
    fn new(memory: &Arc<Memory>, max: usize) -> Output {
        Output { held: BodyBuffer::new(memory), window: BodyBuffer::new(memory), max }
    }

    fn push(&mut self, piece: &[u8]) -> Option<()> {
        let total = self.held.bytes.len() + piece.len();
        (total <= self.max && self.held.grow(piece.len()))
            .then(|| self.held.bytes.extend_from_slice(piece))
    }
}

#[cfg(test)]
mod tests {
    use super::gzip::crc32;
    use super::*;
    use miniz_oxide::deflate::compress_to_vec;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec as zstd_to_vec};

    const MAX: usize = 100_000;

    fn output(memory: &Arc<Memory>) -> Output {
        Output::new(memory, MAX)
    }

    fn gzipped(plain: &[u8]) -> Vec<u8> {
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
            let frame = zstd_to_vec(plain, CompressionLevel::Fastest);
            for (encoded, is_zstd) in [(gzipped(plain), false), (frame, true)] {
                let size = if is_zstd { zstd::size } else { gzip::size }(&encoded).unwrap();
                assert!((size.least..=size.most).contains(&length), "{length}: {size:?}");
                let mut out = output(&memory);
                let decode = if is_zstd { zstd::decode } else { gzip::decode };
                let decoded = decode(&encoded, &mut out);
                assert_eq!(decoded.is_some(), length <= MAX, "{length}");
                assert!(decoded.is_none() || out.held.bytes == plain, "{length}");
            }
        }
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926, "the check value of this sum");
    }

    #[test]
    fn headers_tell_most_bombs() {
        // 128 KiB of one byte in four bytes, ten thousand times; then as its header announces it.
        let block = |is_last: u8| [2 | is_last, 0, 0x10, b'x'];
        let blocks = [block(0).repeat(9999), block(1).to_vec()].concat();
        let bomb = [&[0x28, 0xb5, 0x2f, 0xfd, 0, 0x38], &blocks[..]].concat();
        let all = 10_000 * 128 * 1024;
        assert_eq!(zstd::size(&bomb), Some(Size { least: all, most: all }));
        let announced = |size: u32| {
            let size = size.to_le_bytes();
            [&[0x28, 0xb5, 0x2f, 0xfd, 0x80, 0x38][..], &size, &blocks].concat()
        };
        assert_eq!(zstd::size(&announced(all as u32)), Some(Size { least: all, most: all }));
        assert_eq!(zstd::size(&announced(1000)), None, "not what its blocks say");
        for cut in [1, 4, 6, bomb.len() - 1] {
            assert_eq!(zstd::size(&bomb[..cut]), None, "{cut}");
        }
        let small = gzipped(&[0; 1000]);
        assert_eq!(gzip::size(&small), Some(Size { least: 1000, most: 1000 }));
        let liar = [&small[..small.len() - 4], &u32::MAX.to_le_bytes()].concat();
        assert_eq!(gzip::size(&liar), None, "more than so few bytes can stand for");
    }

    #[test]
    fn decoders_share_the_memory() {
        let plain = vec![b'a'; MAX];
        let encoded = zstd_to_vec(plain.as_slice(), CompressionLevel::Fastest);
        // Its output, the window twice, and no more.
        for (share, works) in [(3, false), (5, true)] {
            let memory = Memory::new(share * MAX);
            assert_eq!(zstd::decode(&encoded, &mut output(&memory)).is_some(), works, "{share}");
            assert!(BodyBuffer::new(&memory).reserve(MAX), "it is given back");
        }
    }

    #[test]
    fn damage_neither_panics_nor_passes_for_the_original() {
        let memory = Memory::new(1 << 20);
        let plain: Vec<u8> = b"the quick brown fox, ".repeat(60);
        let frame = include_bytes!("../../../fixtures/wire/prompt-check.json.zst");
        for (sound, is_zstd) in [(gzipped(&plain), false), (frame.to_vec(), true)] {
            let mut whole = output(&memory);
            let decode = if is_zstd { zstd::decode } else { gzip::decode };
            assert!(decode(&sound, &mut whole).is_some());
            for at in 0..sound.len() {
                for flip in [1, 2, 4, 8, 16, 32, 64, 128, 255] {
                    let mut damaged = sound.clone();
                    damaged[at] ^= flip;
                    let mut out = output(&memory);
                    let size = if is_zstd { zstd::size } else { gzip::size };
                    let decoded = size(&damaged).and_then(|_| decode(&damaged, &mut out));
                    // Time, system and level say nothing about the content.
                    let is_same = out.held.bytes == whole.held.bytes;
                    assert!(decoded.is_none() || is_same, "byte {at} ^ {flip}");
                }
                assert!(decode(&sound[..at], &mut output(&memory)).is_none(), "cut at {at}");
            }
        }
    }
}
