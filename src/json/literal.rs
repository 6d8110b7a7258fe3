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
    let mut at = start + 1;
    loop {
        at = first_special(bytes, at);
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at = escape_end(bytes, at)?,
            _ => return None,
        }
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
