//! Pass 8: lines that say the same but for a few words become a pattern and those words.
//!
//! The patterns stand at the top, each with numbered slots; below, a line of its kind is the
//! pattern's name and the words for the slots, in order. All lines keep their place, and those
//! about errors their wording. The text comes back byte for byte.

mod kind;
mod pattern;

use std::borrow::Cow;
use std::fmt::Write as _;

use self::pattern::Pattern;
pub(crate) use self::pattern::kind_of;
use crate::compress::budget::Budget;

/// What the names of patterns may begin with; the first that no line of the text begins with.
const SIGILS: [char; 4] = ['#', '~', '%', '^'];

const HEADER: &str = "[... below, a line such as \"";
const PATTERN_END: &str = " ...]";

/// What a pattern takes in memory, about; each that we write stands for four long lines and more.
const PATTERN_COST: usize = 200;

/// The text with its patterns at the top; borrowed if it is no log or gains too little.
pub(crate) fn fold(text: &str) -> Cow<'_, str> {
    if !kind::is_log(text) || text.starts_with(HEADER) {
        return Cow::Borrowed(text);
    }
    let lines: Vec<&str> = text.split('\n').collect();
    let (patterns, choice) = pattern::find(&lines);
    let sigil = SIGILS.iter().find(|sigil| !lines.iter().any(|line| is_row_like(line, **sigil)));
    let Some(sigil) = sigil.filter(|_| !patterns.is_empty()) else {
        return Cow::Borrowed(text);
    };
    let mut out = String::with_capacity(text.len() / 2);
    write_header(*sigil, &patterns, &mut out);
    for (line, choice) in lines.iter().zip(&choice) {
        out.push('\n');
        match choice {
            Some(index) => write_row(*sigil, *index, &patterns[*index], line, &mut out),
            None => out.push_str(line),
        }
    }
    if out.len() < text.len() { Cow::Owned(out) } else { Cow::Borrowed(text) }
}

/// The text that was folded. `None` if it was not.
pub(crate) fn unfold(text: &str, budget: &mut Budget) -> Option<String> {
    let mut lines = text.split('\n');
    let (sigil, count) = read_header(lines.next()?)?;
    let mut patterns = Vec::new();
    for number in 1..=count {
        budget.spend(PATTERN_COST)?;
        let line = lines.next()?.strip_prefix(&format!("[... {sigil}{number}: "))?;
        patterns.push(Pattern::read(line.strip_suffix(PATTERN_END)?)?);
    }
    let mut out = budget.room(text.len() * 2);
    for (index, line) in lines.enumerate() {
        if index > 0 {
            budget.push(&mut out, "\n")?;
        }
        match line.strip_prefix(sigil).filter(|_| is_row_like(line, sigil)) {
            Some(row) => {
                let (number, words) = row.split_once(' ').unwrap_or((row, ""));
                let index = number.parse::<usize>().ok()?.checked_sub(1)?;
                patterns.get(index)?.fill(words, &mut out, budget)?;
            }
            None => budget.push(&mut out, line)?,
        }
    }
    Some(out)
}

fn is_row_like(line: &str, sigil: char) -> bool {
    line.strip_prefix(sigil)
        .is_some_and(|rest| rest.starts_with(|digit: char| digit.is_ascii_digit()))
}

fn write_header(sigil: char, patterns: &[Pattern], out: &mut String) {
    let count = patterns.len();
    _ = write!(
        out,
        "{HEADER}{sigil}1 x y\" is short for pattern {sigil}1 of these {count}, with {{1}} = x and {{2}} = y ...]"
    );
    for (index, pattern) in patterns.iter().enumerate() {
        _ = write!(out, "\n[... {sigil}{}: ", index + 1);
        pattern.write(out);
        out.push_str(PATTERN_END);
    }
}

fn read_header(line: &str) -> Option<(char, usize)> {
    let sigil = line.strip_prefix(HEADER)?.chars().next()?;
    let (_, rest) = line.split_once(" of these ")?;
    let (count, _) = rest.split_once(',')?;
    Some((sigil, count.parse().ok()?))
}

fn write_row(sigil: char, index: usize, pattern: &Pattern, line: &str, out: &mut String) {
    _ = write!(out, "{sigil}{}", index + 1);
    for word in pattern.row(line) {
        out.push(' ');
        out.push_str(word);
    }
}

#[cfg(test)]
mod tests;
