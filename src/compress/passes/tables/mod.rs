//! Pass 7: arrays of like objects as one template and their rows.
//!
//! The output is JSON that explains itself: what the objects share is written once, as an object
//! with `$1`, `$2` where they differ, and each object is the list of its own values. A large value
//! that comes again is named where it first stands. Keys keep their order and values their
//! spelling, so the minified text comes back byte for byte. JSON lines are one table, in which
//! lines about errors stay whole.

mod read;
mod shape;
mod tree;
mod write;

use std::borrow::Cow;
use std::collections::HashMap;

use self::tree::Tree;
use self::write::{Literal, Writer};
use super::json_minify::minify;
use super::severity;
use crate::compress::budget::Budget;

/// Begins the key of a template; the number of rows and their kind follow.
const TEMPLATE: &str = "template of ";
const ROWS: &str = "rows";
/// Begin the keys of templates within templates; their slot follows.
const EACH: &str = "each of ";
const PART: &str = "with ";
/// The key whose slot holds further members.
const MORE: &str = "...";
const ABSENT: &str = "(absent)";
/// Ends the key under which a value has a name.
const BELOW_MEANS: &str = " below means";

/// What a text may not contain to be encoded: it would be taken for ours.
const OURS: &[&str] =
    &["\"$", "\"@", "\"template of ", "\"(absent)\"", "\"...\"", "\"each of $", "\"with $"];

/// JSON lines in a row that are worth a table.
const LINES_MIN: usize = 4;

/// The part of the bytes that must go.
const GAIN_PERCENT_MIN: usize = 10;

/// White space in JSON. There is more in Unicode, and a text that begins with such is no JSON.
const BLANKS: [char; 4] = [' ', '\n', '\r', '\t'];

/// Tables instead of objects; borrowed if the text is not JSON or gains too little.
pub(crate) fn encode(text: &str) -> Cow<'_, str> {
    let start = text.trim_start_matches(BLANKS);
    if !start.starts_with(['{', '[']) && !text.contains("\n{\"") {
        return Cow::Borrowed(text);
    }
    if OURS.iter().any(|mark| is_mark_in(mark, text)) {
        return Cow::Borrowed(text);
    }
    let core = text.trim_matches(BLANKS);
    let encoded = match start.starts_with(['{', '[']) && crate::json::is_value(core) {
        true => document(core).map(|short| text.replacen(core, &short, 1)),
        false => lines(text),
    };
    match encoded {
        Some(shorter) if shorter.len() * 100 <= text.len() * (100 - GAIN_PERCENT_MIN) => {
            Cow::Owned(shorter)
        }
        _ => Cow::Borrowed(text),
    }
}

/// The text that `encode` was given. `None` if the text holds nothing of ours.
pub(crate) fn decode(text: &str, budget: &mut Budget) -> Option<String> {
    if ![TEMPLATE, BELOW_MEANS].iter().any(|mark| text.contains(mark)) {
        return None;
    }
    let core = text.trim_matches(BLANKS);
    if crate::json::is_value(core) {
        let written = read::read(&minify(core), budget)?;
        if written.lines.is_none() {
            let before = text.len() - text.trim_start_matches(BLANKS).len();
            let mut out = budget.room(text.len() + written.text.len());
            budget.push(&mut out, &text[..before])?;
            spacing_of_encoded(core).write(&written.text, &mut out, budget)?;
            budget.push(&mut out, &text[before + core.len()..])?;
            return Some(out);
        }
    }
    let mut out = budget.room(text.len() * 2);
    for line in text.split_inclusive('\n') {
        let content = line.strip_suffix('\n').unwrap_or(line);
        if line_block(content, &mut out, budget).is_none() {
            budget.push(&mut out, content)?;
        }
        budget.push(&mut out, &line[content.len()..])?;
    }
    Some(out)
}

/// Slots and names end in a number; the other marks are words.
fn is_mark_in(mark: &str, text: &str) -> bool {
    let is_name = mark.ends_with(['$', '@']) && mark.len() == 2;
    memchr::memmem::find_iter(text.as_bytes(), mark)
        .any(|at| !is_name || text.as_bytes().get(at + mark.len()).is_some_and(u8::is_ascii_digit))
}

fn document(text: &str) -> Option<String> {
    let minified = minify(text);
    let spacing = Spacing::of(text, &minified)?;
    let tree = Tree::parse(&minified)?;
    spacing.mark(Writer::new(&tree, &HashMap::new()).write("objects"))
}

/// The text with its runs of JSON lines as tables.
fn lines(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len() / 2);
    let mut run: Vec<&str> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = memchr::memchr(b'\n', rest.as_bytes()).unwrap_or(rest.len());
        let line = &rest[..end];
        let is_member = line.starts_with("{\"") && tree::is_object(line);
        if is_member {
            run.push(line);
        } else {
            flush(&mut run, &mut out);
            out.push_str(line);
        }
        rest = &rest[end..];
        if let Some(after) = rest.strip_prefix('\n') {
            if !is_member {
                out.push('\n');
            } else if !after.starts_with("{\"") {
                flush(&mut run, &mut out);
                out.push('\n');
            }
            rest = after;
        }
    }
    flush(&mut run, &mut out);
    Some(out)
}

fn flush(run: &mut Vec<&str>, out: &mut String) {
    let lines = std::mem::take(run);
    match (lines.len() >= LINES_MIN).then(|| table_of_lines(&lines)).flatten() {
        Some(table) => out.push_str(&table),
        None => out.push_str(&lines.join("\n")),
    }
}

/// How the members of JSON are set apart. A table in which a blank follows the first colon stands
/// for JSON with blanks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spacing {
    None,
    /// A blank after each comma and colon, as Python writes it.
    Blanks,
}

impl Spacing {
    /// `None` if the text is spaced in another way.
    fn of(text: &str, minified: &str) -> Option<Spacing> {
        match text == minified {
            true => Some(Spacing::None),
            false => (text == spaced(minified)).then_some(Spacing::Blanks),
        }
    }

    fn mark(self, mut encoded: String) -> Option<String> {
        if self == Spacing::Blanks {
            let colon = encoded.find("\":")?;
            encoded.insert(colon + 2, ' ');
        }
        Some(encoded)
    }

    fn write(self, minified: &str, out: &mut String, budget: &mut Budget) -> Option<()> {
        match self {
            Spacing::None => budget.push(out, minified),
            Spacing::Blanks => space(minified, |part| budget.push(out, part)),
        }
    }
}

fn spacing_of_encoded(encoded: &str) -> Spacing {
    let is_marked = encoded.find("\":").is_some_and(|at| encoded[at + 2..].starts_with(' '));
    if is_marked { Spacing::Blanks } else { Spacing::None }
}

fn table_of_lines(lines: &[&str]) -> Option<String> {
    let minified: Vec<Cow<str>> = lines.iter().map(|line| minify(line)).collect();
    let spacing = Spacing::of(lines[0], &minified[0])?;
    let is_odd = |(line, short): (&&str, &Cow<str>)| Spacing::of(line, short) != Some(spacing);
    if lines.iter().zip(&minified).any(is_odd) {
        return None;
    }
    let literal: Literal = (0..lines.len())
        .filter(|index| severity::is_severe(lines[*index]))
        .map(|index| (index as u32, lines[index]))
        .collect();
    let array = format!("[{}]", minified.join(","));
    let tree = Tree::parse(&array)?;
    let table = Writer::new(&tree, &literal).write("lines");
    let table = spacing.mark(table).filter(|table| table.starts_with("{\"template of "))?;
    (table.len() * 10 < lines.iter().map(|line| line.len() + 1).sum::<usize>() * 9).then_some(table)
}

/// Adds the lines that a table of lines stands for; `None` if it is none, or the budget is spent.
fn line_block(line: &str, out: &mut String, budget: &mut Budget) -> Option<()> {
    if !line.starts_with("{\"template of ") {
        return None;
    }
    let spacing = spacing_of_encoded(line);
    let written = read::read(&minify(line), budget)?;
    let starts = written.lines?;
    let text = &written.text;
    let ends = starts.iter().skip(1).map(|start| *start as usize - 1).chain([text.len() - 1]);
    for (index, (start, end)) in starts.iter().zip(ends).enumerate() {
        if index > 0 {
            budget.push(out, "\n")?;
        }
        spacing.write(&text[*start as usize..end], out, budget)?;
    }
    Some(())
}

/// Minified JSON with a blank after each comma and colon.
fn spaced(minified: &str) -> String {
    let mut out = String::with_capacity(minified.len() * 9 / 8);
    _ = space(minified, |part| {
        out.push_str(part);
        Some(())
    });
    out
}

/// The same piece by piece, as long as `each` wants more.
fn space<'t>(minified: &'t str, mut each: impl FnMut(&'t str) -> Option<()>) -> Option<()> {
    let bytes = minified.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'"' => crate::json::string_end(bytes, at).unwrap_or(bytes.len()),
            _ => at + 1,
        };
        each(&minified[at..end])?;
        if matches!(bytes[at], b',' | b':') {
            each(" ")?;
        }
        at = end;
    }
    Some(())
}

#[cfg(test)]
mod tests;
