//! Cuts text into the pieces that o200k encodes one by one.
//!
//! By hand what the encoding defines as a regular expression with alternatives, the first that
//! matches wins:
//!
//! ```text
//! 1  [^\r\n\p{L}\p{N}]? [upper caseless mark]* [lower caseless mark]+ ('s 't 're 've 'm 'll 'd)?
//! 2  [^\r\n\p{L}\p{N}]? [upper caseless mark]+ [lower caseless mark]* ('s 't 're 've 'm 'll 'd)?
//! 3  \p{N}{1,3}
//! 4  space? [^\s\p{L}\p{N}]+ [\r\n/]*
//! 5  \s* [\r\n]+
//! 6  \s+ before the end or before another white space
//! 7  \s+
//! ```
//!
//! A regular expression engine tries and goes back; here one character of look-ahead decides, but
//! for one place (`lower_word`). Each character is looked at three times at most.

use super::layout::{BLOCK_BITS, CASELESS, LOWER, MARK, NEWLINE, NUMBER, OTHER, SPACE, UPPER};

const BLOCK: usize = 1 << BLOCK_BITS;

static INDEX: &[u8; 0x11_0000 >> BLOCK_BITS] =
    include_bytes!(concat!(env!("OUT_DIR"), "/class_index.bin"));
static BLOCKS: &[u8; 256 << BLOCK_BITS] =
    include_bytes!(concat!(env!("OUT_DIR"), "/class_blocks.bin"));

/// Classes of ASCII, the first block; a byte of a longer character is in none.
pub(crate) static ASCII: [u8; 256] = {
    let mut classes = [0; 256];
    let mut at = 0;
    while at < 0x80 {
        classes[at] = BLOCKS[at];
        at += 1;
    }
    classes
};

/// Where the piece ends that starts at a place in the text.
pub(crate) fn piece_end(text: &str, start: usize) -> usize {
    let (class, len) = class_at(text, start);
    let after = start + len;
    match class {
        UPPER | LOWER | CASELESS => word(text, start).unwrap_or(after),
        NUMBER => number(text, after),
        NEWLINE => white_space(text, start),
        // The character before a word that ends in lower case, else the beginning of a word.
        MARK => match lower_word(text, after) {
            Ok(end) => contraction(text, end),
            Err(_) => word(text, start).unwrap_or(after),
        },
        SPACE => word(text, after).unwrap_or_else(|| spaced(text, start, after)),
        _ => word(text, after).unwrap_or_else(|| punctuation(text, after)),
    }
}

/// Alternatives 1 and 2 without the character before: the end of the word that starts here, if one
/// does.
fn word(text: &str, start: usize) -> Option<usize> {
    let (Ok(end) | Err(end)) = lower_word(text, start);
    (end > start).then(|| contraction(text, end))
}

/// Alternative 1 alone; the error is how far its first half got, which is what alternative 2
/// matches. Where no lower case follows the first half, that gives back characters until its last
/// caseless one can be the second half: `漢A` is cut before the `A`.
fn lower_word(text: &str, start: usize) -> Result<usize, usize> {
    let mut at = start;
    let mut caseless_end = None;
    loop {
        let (class, len) = class_at(text, at);
        if class & (UPPER | CASELESS | MARK) == 0 {
            return match class {
                LOWER => Ok(run(text, at + len, LOWER | CASELESS | MARK)),
                _ => caseless_end.ok_or(at),
            };
        }
        at += len;
        if class != UPPER {
            caseless_end = Some(at);
        }
    }
}

/// The end of a contraction if one starts here. `ſ` is an `s` to a regular expression that ignores
/// case.
fn contraction(text: &str, start: usize) -> usize {
    let Some(b'\'') = text.as_bytes().get(start) else { return start };
    match text.as_bytes()[start + 1..] {
        [b's' | b'S' | b't' | b'T' | b'm' | b'M' | b'd' | b'D', ..] => start + 2,
        [b'r' | b'R' | b'v' | b'V', b'e' | b'E', ..] | [b'l' | b'L', b'l' | b'L', ..] => start + 3,
        [0xc5, 0xbf, ..] => start + 3,
        _ => start,
    }
}

/// Alternative 3 after its first character.
fn number(text: &str, mut at: usize) -> usize {
    for _ in 0..2 {
        match class_at(text, at) {
            (NUMBER, len) => at += len,
            _ => break,
        }
    }
    at
}

/// A white space character before anything but a word.
fn spaced(text: &str, start: usize, after: usize) -> usize {
    match class_at(text, after) {
        (OTHER, _) if text.as_bytes()[start] == b' ' => punctuation(text, after),
        _ => white_space(text, start),
    }
}

/// Alternative 4 after its space and, or, its first character.
fn punctuation(text: &str, at: usize) -> usize {
    let end = run(text, at, OTHER | MARK);
    let tail =
        text.as_bytes()[end..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n' | b'/'));
    end + tail.count()
}

/// Alternatives 5 to 7. The last white space character is left to the word it stands before.
fn white_space(text: &str, start: usize) -> usize {
    let (mut at, mut last, mut newline_end) = (start, start, start);
    loop {
        let (class, len) = class_at(text, at);
        if class & (SPACE | NEWLINE) == 0 {
            break;
        }
        last = at;
        at += len;
        if class == NEWLINE {
            newline_end = at;
        }
    }
    if newline_end > start {
        newline_end
    } else if at == text.len() || last == start {
        at
    } else {
        last
    }
}

/// The end of the longest run of characters of these classes.
fn run(text: &str, start: usize, classes: u8) -> usize {
    let mut at = start;
    loop {
        let ascii = text.as_bytes()[at..].iter();
        at += ascii.take_while(|&&byte| ASCII[usize::from(byte)] & classes != 0).count();
        if text.as_bytes().get(at).is_none_or(u8::is_ascii) {
            return at;
        }
        let (class, len) = class_of_wide(text, at);
        if class & classes == 0 {
            return at;
        }
        at += len;
    }
}

/// Class and bytes of the character at a place; at the end of the text, no class.
fn class_at(text: &str, at: usize) -> (u8, usize) {
    match text.as_bytes().get(at) {
        None => (0, 0),
        Some(&byte) if byte < 0x80 => (ASCII[usize::from(byte)], 1),
        Some(_) => class_of_wide(text, at),
    }
}

fn class_of_wide(text: &str, at: usize) -> (u8, usize) {
    let Some(char) = text[at..].chars().next() else { return (0, 0) };
    let block = usize::from(INDEX[char as usize >> BLOCK_BITS]);
    (BLOCKS[block * BLOCK + char as usize % BLOCK], char.len_utf8())
}
