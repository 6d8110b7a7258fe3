//! String literals: where they end, what they say, and how a text is written as one.

use std::borrow::Cow;

use wide::u8x16;

/// The text of a string literal, quotes included. `None` if it holds a lone surrogate, which no
/// text can, or is no string.
pub(crate) fn decode(literal: &str) -> Option<Cow<'_, str>> {
    let inner = literal.strip_prefix('"')?.strip_suffix('"')?;
    unescape(inner)
}

/// Appends `text` as a string literal. Only what must be escaped is; other characters stay as they are.
pub(crate) fn encode(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let plain = first_special(rest, 0);
        out.extend_from_slice(&rest[..plain]);
        let Some(&special) = rest.get(plain) else {
            break;
        };
        out.push(b'\\');
        match short_escape(special) {
            Some(letter) => out.push(letter),
            None => out.extend_from_slice(format!("u{special:04x}").as_bytes()),
        }
        rest = &rest[plain + 1..];
    }
    out.push(b'"');
}

/// The length of what `encode` appends, in bytes.
pub(crate) fn encoded_len(text: &str) -> usize {
    let (blocks, rest) = text.as_bytes().as_chunks();
    let more = |byte: &u8| match byte {
        b'"' | b'\\' => 1,
        0..0x20 if short_escape(*byte).is_some() => 1,
        0..0x20 => 5,
        _ => 0,
    };
    let mut len = 2 + text.len() + rest.iter().map(more).sum::<usize>();
    for block in blocks {
        let mut special = special(block);
        while special != 0 {
            len += more(&block[special.trailing_zeros() as usize]);
            special &= special - 1;
        }
    }
    len
}

/// The first byte after the string that opens at `start`.
pub(crate) fn string_end(bytes: &[u8], start: usize) -> Option<usize> {
    if bytes.get(start) != Some(&b'"') {
        return None;
    }
    let mut at = start + 1;
    // Most keys end here, and most texts do not.
    if let Some(near) = bytes[at..].first_chunk() {
        let hits = special_in(near);
        at += if hits == 0 { near.len() } else { hits.trailing_zeros() as usize };
    }
    while bytes.get(at) != Some(&b'"') {
        at = match bytes.get(at..).and_then(|rest| rest.first_chunk()) {
            Some(block) => pass_block(bytes, at, special(block))?,
            None => pass_special(bytes, first_special(bytes, at))?,
        };
    }
    Some(at + 1)
}

/// Bytes that are looked at together. Escapes lie close together in code and logs: one look finds
/// all of a block's, where a search for the next one would begin anew behind each.
const BLOCK_BYTES: usize = 64;

/// Quotes, backslashes and control characters, a bit each, the first byte lowest.
fn special(block: &[u8; BLOCK_BYTES]) -> u64 {
    let (parts, _) = block.as_chunks::<16>();
    let bits = |at: usize| u64::from(special_in(&parts[at]));
    bits(0) | bits(1) << 16 | bits(2) << 32 | bits(3) << 48
}

/// The same for fewer.
#[inline(always)]
fn special_in(bytes: &[u8; 16]) -> u16 {
    let part = u8x16::from(*bytes);
    let is = |byte| part.simd_eq(u8x16::splat(byte));
    let control = part.min(u8x16::splat(0x1f)).simd_eq(part);
    (is(b'"') | is(b'\\') | control).to_bitmask() as u16
}

/// Where the string's closing quote is, if that is in the block; else where to go on.
fn pass_block(bytes: &[u8], at: usize, mut special: u64) -> Option<usize> {
    while special != 0 {
        let found = at + special.trailing_zeros() as usize;
        let after = pass_special(bytes, found)?;
        if after == found || after >= at + BLOCK_BYTES {
            return Some(after);
        }
        special &= u64::MAX << (after - at);
    }
    Some(at + BLOCK_BYTES)
}

/// The first byte after an escape; a quote stays where it is.
#[inline(always)]
fn pass_special(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at)? {
        b'"' => Some(at),
        b'\\' => escape_end(bytes, at),
        _ => None,
    }
}

fn short_escape(byte: u8) -> Option<u8> {
    match byte {
        b'"' | b'\\' => Some(byte),
        b'\n' => Some(b'n'),
        b'\r' => Some(b'r'),
        b'\t' => Some(b't'),
        8 => Some(b'b'),
        12 => Some(b'f'),
        _ => None,
    }
}

/// Where the next quote, backslash or control character is, or the end. Sixteen bytes at a time:
/// strings are nearly all of a body.
pub(super) fn first_special(bytes: &[u8], from: usize) -> usize {
    let mut at = from.min(bytes.len());
    while let Some(part) = bytes[at..].first_chunk() {
        let hits = special_in(part);
        if hits != 0 {
            return at + hits.trailing_zeros() as usize;
        }
        at += part.len();
    }
    let special = |byte: &u8| *byte == b'"' || *byte == b'\\' || *byte < 0x20;
    bytes[at..].iter().position(special).map_or(bytes.len(), |offset| at + offset)
}

#[inline(always)]
fn escape_end(bytes: &[u8], backslash: usize) -> Option<usize> {
    match bytes.get(backslash + 1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(backslash + 2),
        b'u' => {
            let digits = bytes.get(backslash + 2..backslash + 6)?;
            digits.iter().all(u8::is_ascii_hexdigit).then_some(backslash + 6)
        }
        _ => None,
    }
}

/// What stands between a literal's quotes, with its escapes resolved. Escapes lie close together in code
/// and logs: sixteen bytes are copied whatever is in them, and what was too much is written over.
pub(crate) fn unescape(inner: &str) -> Option<Cow<'_, str>> {
    let bytes = inner.as_bytes();
    let Some(first) = memchr::memchr(b'\\', bytes) else {
        return Some(Cow::Borrowed(inner));
    };
    // No escape is shorter than what it means.
    let mut out = vec![0; bytes.len()];
    out[..first].copy_from_slice(&bytes[..first]);
    let (mut from, mut to) = (first, first);
    while from < bytes.len() {
        let plain = match (bytes[from..].first_chunk::<16>(), out[to..].first_chunk_mut()) {
            (Some(part), Some(room)) => {
                *room = *part;
                let hits = u8x16::from(*part).simd_eq(u8x16::splat(b'\\')).to_bitmask();
                hits.trailing_zeros().min(16) as usize
            }
            _ => {
                out[to] = bytes[from];
                usize::from(bytes[from] != b'\\')
            }
        };
        (from, to) = (from + plain, to + plain);
        if plain < 16 && bytes.get(from) == Some(&b'\\') {
            if let Some(meant) = bytes.get(from + 1).and_then(|letter| meant_by(*letter)) {
                out[to] = meant;
                (from, to) = (from + 2, to + 1);
                continue;
            }
            let (character, after) = unicode_escape(&inner[from + 1..])?;
            to += character.encode_utf8(&mut out[to..]).len();
            from = inner.len() - after.len();
        }
    }
    out.truncate(to);
    String::from_utf8(out).ok().map(Cow::Owned)
}

/// What an escape of one letter means.
fn meant_by(letter: u8) -> Option<u8> {
    match letter {
        b'n' => Some(b'\n'),
        b't' => Some(b'\t'),
        b'r' => Some(b'\r'),
        b'b' => Some(8),
        b'f' => Some(12),
        b'"' | b'\\' | b'/' => Some(letter),
        _ => None,
    }
}

/// The character that an escape means, and what follows it. `text` begins after the backslash.
fn unicode_escape(text: &str) -> Option<(char, &str)> {
    let unit = |text: &str| {
        let digits = text.strip_prefix('u')?.get(..4)?;
        u32::from_str_radix(digits, 16).ok()
    };
    let high = unit(text)?;
    let after = &text[5..];
    if !(0xd800..0xdc00).contains(&high) {
        return Some((char::from_u32(high)?, after));
    }
    let low = unit(after.strip_prefix('\\')?)?;
    if !(0xdc00..0xe000).contains(&low) {
        return None;
    }
    let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    Some((char::from_u32(code)?, &after[6..]))
}
