//! Pass 9: of a long result, its beginning and end, and every line about an error in between.
//!
//! What is left out is counted, line by line or element by element, and nothing pretends to be
//! whole. Only where thousands of lines are errors, those of the same kind are thinned out as
//! well; the count says how many errors are among the lines left out. Of a JSON list the first
//! elements and the last stay whole, and the text stays JSON.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;

use super::folding::kind_of;
use super::json_minify::minify;
use super::severity::is_severe;
use crate::number::commas;

mod lists;

/// Shorter texts stay whole: about 2,000 tokens.
const BYTES_MIN: usize = 7000;

/// How much of a text stays.
struct Limits {
    /// At each end, in bytes; the line that crosses the limit stays.
    head_bytes: usize,
    tail_bytes: usize,
    /// Of the elements of one list.
    list_bytes: usize,
}

const NARROW: Limits = Limits { head_bytes: 2000, tail_bytes: 1600, list_bytes: 8000 };
const WIDE: Limits = Limits { head_bytes: 12_000, tail_bytes: 12_000, list_bytes: 32_000 };

/// Errors in between stay up to so many bytes, lines around them included.
const ERROR_BYTES_MAX: usize = 8000;

/// How many errors of a kind stay where there are too many; the first that suits is taken.
const ERRORS_OF_A_KIND: [usize; 6] = [usize::MAX, 50, 20, 8, 3, 1];

/// Lines shown around an error.
const LINES_BEFORE: usize = 1;
const LINES_BEHIND: usize = 2;

/// Gaps of fewer lines are not worth a marker.
const GAP_LINES_MIN: usize = 4;

/// Longer lines lose their middle.
const LINE_BYTES_MAX: usize = 4000;
const LINE_HEAD_BYTES: usize = 1500;
const LINE_TAIL_BYTES: usize = 500;

/// The ends of a text; borrowed if it is short.
pub(crate) fn shorten(text: &str) -> Cow<'_, str> {
    shorten_to(text, &NARROW)
}

/// The same with long ends, for a prompt that would become too short for the provider's cache.
pub(crate) fn shorten_less(text: &str) -> Cow<'_, str> {
    shorten_to(text, &WIDE)
}

fn shorten_to<'t>(text: &'t str, limits: &Limits) -> Cow<'t, str> {
    if text.len() < BYTES_MIN {
        return Cow::Borrowed(text);
    }
    if text.trim_start().starts_with(['{', '[']) && crate::json::is_value(text) {
        let short = lists::shorten(&minify(text), limits.list_bytes);
        return short.map_or(Cow::Borrowed(text), Cow::Owned);
    }
    let lines: Vec<&str> = text.split('\n').collect();
    let keep = keep(&lines, limits);
    let out = write(&lines, &keep);
    if out.len() < text.len() { Cow::Owned(out) } else { Cow::Borrowed(text) }
}

/// Which lines stay.
fn keep(lines: &[&str], limits: &Limits) -> Vec<bool> {
    let size = |line: &&str| line.len().min(LINE_HEAD_BYTES + LINE_TAIL_BYTES) + 1;
    let head = count(lines.iter().map(size), limits.head_bytes);
    let tail = count(lines.iter().rev().map(size), limits.tail_bytes);
    let mut keep = vec![false; lines.len()];
    keep[..head].fill(true);
    keep[lines.len() - tail..].fill(true);
    if head + tail < lines.len() {
        // Code that changed may well be about errors.
        let must_stay = match lines.iter().any(|line| is_file(line)) {
            true => is_file,
            false => is_severe,
        };
        let middle = head..lines.len() - tail;
        let errors: Vec<usize> = middle.filter(|index| must_stay(lines[*index])).collect();
        keep_errors(lines, &errors, &mut keep);
    }
    close_gaps(&mut keep);
    keep
}

/// How many lines of these sizes reach the limit.
fn count(sizes: impl Iterator<Item = usize>, limit: usize) -> usize {
    sizes
        .scan(0, |sum, size| {
            let before = *sum;
            *sum += size;
            (before < limit).then_some(())
        })
        .count()
}

/// Where a diff comes to the next file.
fn is_file(line: &str) -> bool {
    line.starts_with("diff --git ")
}

fn keep_errors(lines: &[&str], errors: &[usize], keep: &mut [bool]) {
    let kinds: Vec<u64> = errors.iter().map(|index| kind_of(lines[*index]).unwrap_or(0)).collect();
    let chosen = |limit: usize| {
        let mut seen: HashMap<u64, usize> = HashMap::new();
        let is_chosen = |(_, kind): &(&usize, &u64)| {
            let times = seen.entry(**kind).or_default();
            *times += 1;
            *times <= limit
        };
        errors.iter().zip(&kinds).filter(is_chosen).map(|(index, _)| *index).collect::<Vec<_>>()
    };
    let bytes =
        |chosen: &[usize]| chosen.iter().map(|index| lines[*index].len() + 1).sum::<usize>();
    let fits = |chosen: &Vec<usize>| bytes(chosen) <= ERROR_BYTES_MAX;
    let all = ERRORS_OF_A_KIND.iter().map(|limit| chosen(*limit)).find(fits);
    let mut left = ERROR_BYTES_MAX;
    for index in all.unwrap_or_else(|| chosen(1)) {
        let around =
            index.saturating_sub(LINES_BEFORE)..(index + LINES_BEHIND + 1).min(lines.len());
        let cost: usize = around.clone().map(|index| lines[index].len() + 1).sum();
        match left.checked_sub(cost) {
            Some(rest) => {
                left = rest;
                keep[around].fill(true);
            }
            None => keep[index] = left > 0,
        }
    }
}

/// Keeps what is not worth leaving out.
fn close_gaps(keep: &mut [bool]) {
    let mut start = 0;
    while start < keep.len() {
        let same = keep[start..].iter().take_while(|kept| **kept == keep[start]).count();
        if same < GAP_LINES_MIN {
            keep[start..start + same].fill(true);
        }
        start += same;
    }
}

fn write(lines: &[&str], keep: &[bool]) -> String {
    let mut out = String::new();
    let mut at = 0;
    while at < lines.len() {
        if at > 0 {
            out.push('\n');
        }
        if keep[at] {
            write_line(lines[at], &mut out);
            at += 1;
            continue;
        }
        let gap = keep[at..].iter().take_while(|kept| !**kept).count();
        let (mut left, mut errors) = (0, 0);
        for line in &lines[at..at + gap] {
            match counted(line) {
                Some(counted) => (left, errors) = (left + counted.0, errors + counted.1),
                None => (left, errors) = (left + 1, errors + usize::from(is_severe(line))),
            }
        }
        out.push_str(&left_out(left, errors));
        at += gap;
    }
    out
}

fn write_line(line: &str, out: &mut String) {
    if line.len() <= LINE_BYTES_MAX {
        return out.push_str(line);
    }
    let boundary = |from: usize| (from..=line.len()).find(|at| line.is_char_boundary(*at));
    let head = boundary(LINE_HEAD_BYTES).unwrap_or(line.len());
    let tail = boundary(line.len() - LINE_TAIL_BYTES).unwrap_or(line.len());
    let characters = line[head..tail].chars().count();
    _ = write!(
        out,
        "{}\n[... {} characters of this line left out ...]\n{}",
        &line[..head],
        commas(characters as u64),
        &line[tail..]
    );
}

/// The marker for lines that are not there.
fn left_out(lines: usize, errors: usize) -> String {
    let lines = commas(lines as u64);
    match errors {
        0 => format!("[... {lines} lines left out ...]"),
        _ => format!(
            "[... {lines} lines left out, {} of them like the errors shown ...]",
            commas(errors as u64)
        ),
    }
}

/// The lines and the errors that such a marker counts.
fn counted(line: &str) -> Option<(usize, usize)> {
    let words = line.strip_prefix("[... ")?.strip_suffix(" ...]")?;
    let (lines, rest) = words.split_once(" lines left out")?;
    let errors = match rest {
        "" => 0,
        rest => number(rest.strip_prefix(", ")?.strip_suffix(" of them like the errors shown")?)?,
    };
    Some((number(lines)?, errors))
}

/// A number without its commas.
fn number(text: &str) -> Option<usize> {
    text.replace(',', "").parse().ok()
}

#[cfg(test)]
mod tests;
