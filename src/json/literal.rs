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
    let bytes = text.as_bytes();
    let mut len = 2 + bytes.len();
    let mut at = first_special(bytes, 0);
    while at < bytes.len() {
        len += if short_escape(bytes[at]).is_some() { 1 } else { 5 };
        at = first_special(bytes, at + 1);
    }
    len
}

/// The first byte after the string that opens at `start`.
pub(crate) fn string_end(bytes: &[u8], start: usize) -> Option<usize> {
    if bytes.get(start) != Some(&b'"') {
        return None;
    }
    // Most keys end here, and most texts do not.
    let mut at = start + 1;
    let near = &bytes[..bytes.len().min(at + 16)];
    at = first_special(near, at);
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
    let bits = |at: usize| {
        let part = u8x16::from(parts[at]);
        let is = |byte| part.simd_eq(u8x16::splat(byte));
        let control = part.min(u8x16::splat(0x1f)).simd_eq(part);
        u64::from((is(b'"') | is(b'\\') | control).to_bitmask() as u16)
    };
    bits(0) | bits(1) << 16 | bits(2) << 32 | bits(3) << 48
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
    for chunk in bytes[at..].chunks_exact(16) {
        let chunk: [u8; 16] = chunk.try_into().expect("chunks of sixteen");
        let block = u8x16::from(chunk);
        let quote = block.simd_eq(u8x16::splat(b'"'));
        let backslash = block.simd_eq(u8x16::splat(b'\\'));
        let control = block.min(u8x16::splat(0x1f)).simd_eq(block);
        let hits = (quote | backslash | control).to_bitmask();
        if hits != 0 {
            return at + hits.trailing_zeros() as usize;
        }
        at += 16;
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

/// What stands between a literal's quotes, with its escapes resolved.
pub(super) fn unescape(inner: &str) -> Option<Cow<'_, str>> {
    let Some(first) = memchr::memchr(b'\\', inner.as_bytes()) else {
        return Some(Cow::Borrowed(inner));
    };
    let mut out = String::with_capacity(inner.len());
    out.push_str(&inner[..first]);
    let mut rest = &inner[first..];
    while let Some(escape) = rest.strip_prefix('\\') {
        let (character, after) = escaped(escape)?;
        out.push(character);
        let plain = first_backslash(after);
        out.push_str(&after[..plain]);
        rest = &after[plain..];
    }
    Some(Cow::Owned(out))
}

/// Escapes lie close together in code and logs: a plain loop over a few bytes beats a call.
fn first_backslash(text: &str) -> usize {
    let bytes = text.as_bytes();
    match bytes.iter().take(16).position(|byte| *byte == b'\\') {
        Some(near) => near,
        None => memchr::memchr(b'\\', bytes).unwrap_or(bytes.len()),
    }
}

/// The character that an escape means, and what follows it. `text` begins after the backslash.
fn escaped(text: &str) -> Option<(char, &str)> {
    let character = match text.as_bytes().first()? {
        b'n' => '\n',
        b't' => '\t',
        b'r' => '\r',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        other @ (b'"' | b'\\' | b'/') => char::from(*other),
        _ => return unicode_escape(text),
    };
    Some((character, &text[1..]))
}

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
