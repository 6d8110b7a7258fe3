//! Whether a text is the output of a program that says much the same again and again.
//!
//! Only the beginnings of lines decide. Files and diffs are not meant: people quote them.

use std::collections::HashMap;

use super::pattern::kind_of;

/// Shorter texts have nothing to fold.
const LINES_MIN: usize = 8;

/// So many lines are looked at, spread over the text.
const SAMPLE_LINES: usize = 64;

/// One line in so many makes a kind of lines common.
const REGULAR_SHARE: usize = 10;

/// A time stands within so many bytes of the beginning of a line.
const TIME_WITHIN: usize = 64;

/// How lines of programs begin that write no times.
const OPENINGS: &[&str] = &[
    "npm ",
    "yarn ",
    "pnpm ",
    "Compiling ",
    "Downloading ",
    "Downloaded ",
    "Fetching ",
    "Installing ",
    "Collecting ",
    "Requirement already",
    "Using cached ",
    "Building ",
    "Get:",
    "Unpacking ",
    "Selecting previously",
    "Preparing to unpack",
    "Setting up ",
    "Processing ",
    "Step ",
    "--->",
    "[INFO]",
    "> Task ",
    "test ",
    "ok ",
    "PASS",
    "=== RUN",
    "--- PASS",
    "remote:",
    "Pulling ",
    "Extracting ",
    "copying ",
    "creating ",
    "adding ",
    "removing ",
    "level=",
    "ts=",
    "time=",
];

/// Words that name a level, as programs write them.
const LEVELS: &[&str] =
    &["INFO", "DEBUG", "TRACE", "NOTICE", "WARN", "WARNING", "ERROR", "info", "debug"];

pub(super) fn is_log(text: &str) -> bool {
    let lines = memchr::memchr_iter(b'\n', text.as_bytes()).take(LINES_MIN).count();
    if lines + 1 < LINES_MIN {
        return false;
    }
    let sample = sample(text);
    let count = |is: fn(&str) -> bool| sample.iter().filter(|line| is(line)).count();
    if count(is_diff) > 0 || count(is_quoted) * 5 > sample.len() {
        return false;
    }
    count(is_log_line) * 2 >= sample.len() || is_regular(&sample)
}

/// Whether most lines are of a few kinds, and not short ones: braces make no log.
fn is_regular(sample: &[&str]) -> bool {
    let long = sample.iter().filter(|line| has_three_words(line));
    let mut kinds: HashMap<u64, usize> = HashMap::new();
    long.filter_map(|line| kind_of(line)).for_each(|kind| *kinds.entry(kind).or_default() += 1);
    let common = kinds.values().filter(|count| **count * REGULAR_SHARE >= sample.len());
    common.sum::<usize>() * 10 >= sample.len() * 6
}

fn has_three_words(line: &str) -> bool {
    let is_blank = |byte: &u8| matches!(byte, b'\t'..=b'\r' | b' ');
    match line.is_ascii() {
        true => line.as_bytes().split(is_blank).filter(|word| !word.is_empty()).nth(2).is_some(),
        false => line.split_whitespace().nth(2).is_some(),
    }
}

/// Some lines, blank ones apart: from the beginning, and from places all over the text.
fn sample(text: &str) -> Vec<&str> {
    let half = SAMPLE_LINES / 2;
    let is_filled = |line: &&str| !line.trim().is_empty();
    let mut sample: Vec<&str> = text.lines().filter(is_filled).take(half).collect();
    for place in 0..half {
        let from = text.len() * place / half;
        let Some(start) = memchr::memchr(b'\n', &text.as_bytes()[from..]) else { break };
        sample.extend(text[from + start + 1..].lines().take(4).find(is_filled));
    }
    sample
}

fn is_diff(line: &str) -> bool {
    line.starts_with("diff --git ") || line.starts_with("@@ -") || line.starts_with("+++ ")
}

/// A line of a file behind its number, or behind its path and number.
fn is_quoted(line: &str) -> bool {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let start = line.trim_start();
    let count = digits(start);
    if count > 0 && start[count..].starts_with(['\t', '\u{2192}', ':', '|', '-']) {
        // `12:` numbers a line; `12:30` is a time, and `2026-11` a date.
        return !rest_of(&start[count..]).starts_with(|digit: char| digit.is_ascii_digit());
    }
    let Some(end) = memchr::memchr2(b':', b'-', start.as_bytes()) else { return false };
    let (path, rest) = (&start[..end], &start[end + 1..]);
    let count = digits(rest);
    count > 0
        && memchr::memchr2(b'.', b'/', path.as_bytes()).is_some()
        && !path.contains(' ')
        && rest[count..].starts_with([':', '-'])
}

/// Behind the first character.
fn rest_of(text: &str) -> &str {
    let mut letters = text.chars();
    letters.next();
    letters.as_str()
}

fn is_log_line(line: &str) -> bool {
    let start = line.trim_start();
    let start = start.strip_prefix(['[', '<', '(', '|']).unwrap_or(start);
    has_time(line)
        || OPENINGS.iter().any(|opening| begins(start, opening))
        || is_step(line)
        || words(start).take(4).any(|word| LEVELS.contains(&word))
}

/// `starts_with` that mostly looks at one byte.
fn begins(line: &str, opening: &str) -> bool {
    line.as_bytes().first() == opening.as_bytes().first() && line.starts_with(opening)
}

/// What stands between characters that are neither letters nor digits of ASCII.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = text.bytes().position(|byte| !byte.is_ascii_alphanumeric());
        let (word, behind) = text.split_at(end.unwrap_or(text.len()));
        rest = end.map(|_| rest_of(behind));
        Some(word)
    })
}

/// `#12 0.5 ...`, `[12/340] ...`, `[ 12%] ...`: a step of a build.
fn is_step(line: &str) -> bool {
    let Some(rest) = line.strip_prefix(['#', '[']) else { return false };
    let rest = rest.trim_start();
    let count = rest.bytes().take_while(u8::is_ascii_digit).count();
    count > 0 && rest[count..].starts_with([' ', '/', '%'])
}

/// `12:30`, or `2026-11-22`, near the beginning.
fn has_time(line: &str) -> bool {
    let bytes = &line.as_bytes()[..line.len().min(TIME_WITHIN)];
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    memchr::memchr3_iter(b':', b'-', b'/', bytes).any(|at| match bytes[at] {
        b':' => {
            at >= 1
                && is_digit(at - 1)
                && is_digit(at + 1)
                && is_digit(at + 2)
                && (at < 2 || is_digit(at - 2))
        }
        _ => at >= 4 && (at - 4..at).all(is_digit) && is_digit(at + 1) && is_digit(at + 2),
    })
}
