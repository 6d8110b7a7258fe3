//! Pass 11: long runs of base64 and hexadecimal digits become their length and their beginning.
//!
//! Nobody reads them; what tells two of them apart is a hash. In JSON the text stays JSON.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::number::commas;

/// Shorter runs stay: keys and digests are read and compared.
const RUN_CHARS_MIN: usize = 256;

/// Lines of a wrapped run, its last one apart.
const WRAPPED_CHARS: std::ops::RangeInclusive<usize> = 60..=76;

/// What is shown of a run, in characters.
const SHOWN_CHARS: usize = 12;

/// A run of fewer different characters is a drawing or a test pattern.
const DIFFERENT_MIN_BASE64: usize = 32;
const DIFFERENT_MIN_HEX: usize = 12;

/// Borrowed if there are no such runs.
pub(crate) fn shorten(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut out = String::new();
    let mut written = 0;
    let mut at = RUN_CHARS_MIN - 1;
    // A run that is long enough covers one of these places.
    while at < bytes.len() {
        if !is_digit(bytes[at]) && !is_break(bytes[at]) {
            at += RUN_CHARS_MIN;
            continue;
        }
        let inner = |byte: &u8| is_digit(*byte) || is_break(*byte);
        let start = at - bytes[written..at].iter().rev().take_while(|byte| inner(byte)).count();
        let end = at + bytes[at..].iter().take_while(|byte| inner(byte)).count();
        let mut from = start;
        while let Some(run) = next_run(bytes, from, end) {
            if let Some(kind) = kind(&bytes[run.clone()]) {
                out.push_str(&text[written..run.start]);
                write(&text[run.clone()], kind, &mut out);
                written = run.end;
            }
            from = run.end;
        }
        at = end + RUN_CHARS_MIN;
    }
    if written == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[written..]);
    Cow::Owned(out)
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_')
}

fn is_break(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// The next run that is long enough: one line, or several of the same length and a rest.
fn next_run(bytes: &[u8], from: usize, end: usize) -> Option<std::ops::Range<usize>> {
    let mut at = from;
    while at < end {
        at += bytes[at..end].iter().take_while(|byte| is_break(**byte)).count();
        let start = at;
        let length = line_length(bytes, at, end);
        at += length;
        if length >= RUN_CHARS_MIN {
            return Some(start..at);
        }
        let is_line = start == 0 || is_break(bytes[start - 1]);
        while is_line && WRAPPED_CHARS.contains(&length) {
            let below = at + bytes[at..end].iter().take_while(|byte| is_break(**byte)).count();
            let next = line_length(bytes, below, end);
            let is_whole = bytes.get(below + next).is_none_or(|byte| is_break(*byte));
            if below == at || next == 0 || next > length || !is_whole || below - at > 2 {
                break;
            }
            at = below + next;
            if next < length {
                break;
            }
        }
        if at - start >= RUN_CHARS_MIN {
            return Some(start..at);
        }
    }
    None
}

fn line_length(bytes: &[u8], at: usize, end: usize) -> usize {
    bytes[at..end].iter().take_while(|byte| is_digit(**byte)).count()
}

/// What a run is; `None` if it may be something to read.
fn kind(run: &[u8]) -> Option<&'static str> {
    let mut seen = [false; 256];
    run.iter().for_each(|byte| seen[usize::from(*byte)] = true);
    let has = |is: fn(&u8) -> bool| (0..=255u8).any(|byte| seen[usize::from(byte)] && is(&byte));
    let is_hex = |byte: &&u8| byte.is_ascii_hexdigit();
    let different = seen.iter().filter(|seen| **seen).count();
    if run.iter().filter(is_hex).count() == run.len() {
        return (different >= DIFFERENT_MIN_HEX).then_some("hexadecimal digits");
    }
    let signs = run.iter().filter(|byte| matches!(byte, b'/' | b'-' | b'_' | b'=')).count();
    let is_mixed =
        has(u8::is_ascii_digit) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
    // Paths and names with dashes have more signs.
    (is_mixed && different >= DIFFERENT_MIN_BASE64 && signs * 10 < run.len()).then_some("base64")
}

fn write(run: &str, kind: &str, out: &mut String) {
    let characters = run.bytes().filter(|byte| !is_break(*byte)).count();
    let (shown, _) = run.split_at(SHOWN_CHARS);
    let hash = hash(run.as_bytes());
    _ = write!(
        out,
        "[... {} characters of {kind} left out, beginning {shown}, hash {hash:08x} ...]",
        commas(characters as u64)
    );
}

/// FNV-1a, folded: the same run has the same hash in every process.
fn hash(bytes: &[u8]) -> u32 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, step);
    (hash ^ hash >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compress::tests::Random;

    fn run(length: usize, digits: &str) -> String {
        let mut random = Random(7);
        (0..length).map(|_| char::from(digits.as_bytes()[random.below(digits.len())])).collect()
    }

    const BASE64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    #[test]
    fn long_runs_become_their_length() {
        let blob = run(3000, BASE64);
        let text = format!("{{\"image\":\"data:image/png;base64,{blob}==\",\"a\":1}}");
        let short = shorten(&text);
        let want = "{\"image\":\"data:image/png;base64,[... 3,002 characters of base64 left out, beginning ";
        assert!(short.starts_with(want) && short.ends_with(" ...]\",\"a\":1}"), "{short}");
        assert!(crate::json::is_value(&short));
        assert_eq!(shorten(&short), short, "a second run must change nothing");
        let hex = run(300, "0123456789abcdef");
        assert!(
            shorten(&format!("x {hex} y"))
                .starts_with("x [... 300 characters of hexadecimal digits")
        );
    }

    #[test]
    fn wrapped_runs_are_one() {
        let line = run(64, BASE64);
        let text = format!(
            "-----BEGIN X-----\n{line}\n{line}\n{line}\n{line}\n{line}\nAbc=\n-----END X-----\n"
        );
        let short = shorten(&text);
        let lines: Vec<&str> = short.lines().collect();
        assert_eq!((lines.len(), lines[0], lines[2]), (3, "-----BEGIN X-----", "-----END X-----"));
        assert!(lines[1].starts_with("[... 324 characters of base64"), "{short}");
    }

    #[test]
    fn what_may_be_read_stays() {
        let digests: String = (0..20).map(|_| run(64, "0123456789abcdef") + "\n").collect();
        for text in [
            "",
            &"=".repeat(500),
            &"abc/def-ghi/".repeat(60),
            &run(255, BASE64),
            &digests,
            &"a".repeat(2000),
            &"the quick brown fox ".repeat(40),
        ] {
            assert!(matches!(shorten(text), Cow::Borrowed(_)), "{text}");
        }
    }
}
