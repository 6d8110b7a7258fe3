//! Frames of zstd (RFC 8878).
//!
//! Blocks say what they take, and all but the compressed ones what they give; of those it is known
//! that they give no more than a block may. So the headers alone tell most bombs.

use std::io::Read;

use ruzstd::decoding::StreamingDecoder;

use super::{Output, PIECE_BYTES, Size};

/// The window that every decoder must support (3.1.1.1.2), and more than the usual levels use.
const WINDOW_BYTES_MAX: usize = 8 * 1024 * 1024;
/// What a block may stand for (3.1.1.2.4).
const BLOCK_BYTES_MAX: usize = 128 * 1024;

/// All frames, of which there must be one and which must fill the body.
pub(super) fn size(mut encoded: &[u8]) -> Option<Size> {
    let mut size = Size { least: 0, most: 0 };
    loop {
        let frame = frame_size(&mut encoded)?;
        size.least = size.least.saturating_add(frame.least);
        size.most = size.most.saturating_add(frame.most);
        if encoded.is_empty() {
            return Some(size);
        }
    }
}

/// Takes one frame.
fn frame_size(rest: &mut &[u8]) -> Option<Size> {
    const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
    const RAW: usize = 0;
    const REPEATED: usize = 1;
    const COMPRESSED: usize = 2;
    let &[descriptor] = take(rest, MAGIC.len() + 1)?.strip_prefix(&MAGIC)? else { return None };
    let (is_single, has_sum) = (descriptor & 0x20 != 0, descriptor & 4 != 0);
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    take(rest, usize::from(!is_single) + dictionary)?;
    let announced = match descriptor >> 6 {
        0 if !is_single => 0,
        0 => number(take(rest, 1)?),
        1 => number(take(rest, 2)?) + 256,
        2 => number(take(rest, 4)?),
        _ => number(take(rest, 8)?),
    };
    let mut size = Size { least: 0, most: 0 };
    loop {
        let header = number(take(rest, 3)?);
        let (is_last, kind, length) = (header & 1 == 1, header >> 1 & 3, header >> 3);
        take(rest, if kind == REPEATED { 1 } else { length })?;
        let (least, most) = match kind {
            RAW | REPEATED => (length, length),
            COMPRESSED => (0, BLOCK_BYTES_MAX),
            _ => return None,
        };
        size.least += least;
        size.most += most;
        if is_last {
            break;
        }
    }
    take(rest, if has_sum { 4 } else { 0 })?;
    Some(match announced {
        // Not at all, or by who did not know.
        0 => size,
        _ if (size.least..=size.most).contains(&announced) => {
            Size { least: announced, most: announced }
        }
        _ => return None,
    })
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, others) = rest.split_at_checked(count)?;
    *rest = others;
    Some(taken)
}

fn number(bytes: &[u8]) -> usize {
    bytes.iter().rfold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// Decodes what `size` has found whole.
// A worker keeps what its stack has touched once, and most never need this much.
#[inline(never)]
pub(super) fn decode(mut encoded: &[u8], out: &mut Output) -> Option<()> {
    // The decoder keeps all that fits into its window; while that grows, twice.
    out.window.reserve(2 * out.max.min(WINDOW_BYTES_MAX)).then_some(())?;
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
