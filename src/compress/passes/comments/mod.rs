//! Pass 12: comments and docstrings of files that were read, where they fill whole lines.
//!
//! Code keeps its spelling, and a comment behind code stays with it: what is left can be quoted
//! to an edit tool line by line. A numbered file keeps its numbers, any other one gets a line that
//! counts those left out. Notes to tools and to readers in a hurry stay (`noqa`, `SAFETY`, `TODO`),
//! and so does everything where a string might run over several lines in a way not known here.

mod language;
mod lines;

use std::borrow::Cow;

use crate::number::commas;
use language::Language;

/// Comments with one of these stay: they say something to a tool, or what must not be missed.
const KEPT: &[&str] = &[
    "eslint",
    "prettier",
    "ts-ignore",
    "ts-expect-error",
    "ts-nocheck",
    "@ts-",
    "@flow",
    "@jsx",
    "<reference",
    "sourceMappingURL",
    "istanbul",
    "c8 ignore",
    "v8 ignore",
    "biome-ignore",
    "type: ignore",
    "type:ignore",
    "noqa",
    "pylint",
    "pyright:",
    "mypy",
    "pragma",
    "fmt: ",
    "fmt:",
    "isort",
    "coding:",
    "coding=",
    "-*-",
    "vim:",
    "nosec",
    "nolint",
    "NOLINT",
    "go:",
    "+build",
    "clang-format",
    "IWYU",
    "rustfmt",
    "SAFETY",
    "swiftlint",
    "rubocop",
    "frozen_string_literal",
    "shellcheck",
    "phpcs",
    "@phpstan",
    "@psalm",
    "noinspection",
    "CHECKSTYLE",
    "ktlint",
    "#region",
    "#endregion",
    "syntax=",
    "escape=",
    "TODO",
    "FIXME",
    "XXX",
    "HACK",
    "BUG",
    "WARNING",
    "DANGER",
    "DO NOT",
    "Deprecated",
    "@deprecated",
];

/// What a line that counts costs beside its comments, in bytes.
const MARKER_BYTES: usize = 48;

const NUMBERED: &str = "[... comments are left out below, where line numbers are missing ...]";

/// The language of the file at `path`, if its comments are known.
pub(crate) fn language(path: &str) -> Option<&'static str> {
    language::of_path(path)
}

/// A file in `language` without its comments; borrowed if there is nothing to gain.
pub(crate) fn strip<'t>(text: &'t str, language: &str) -> Cow<'t, str> {
    let Some(language) = Language::of(language) else {
        return Cow::Borrowed(text);
    };
    let lines: Vec<&str> = text.split('\n').collect();
    let numbers = Numbers::of(&lines);
    let codes: Vec<&str> = lines.iter().map(|line| numbers.code(line)).collect();
    let Some(comments) = lines::comments(language, &codes, numbers.first) else {
        return Cow::Borrowed(text);
    };
    let out = match numbers.are_shown {
        true => without_numbered(&lines, &comments),
        false => without(&lines, &comments),
    };
    if out.len() < text.len() { Cow::Owned(out) } else { Cow::Borrowed(text) }
}

/// Whether a comment must stay.
fn is_kept(comment: &str) -> bool {
    KEPT.iter().any(|word| comment.contains(word))
}

/// How a tool numbers the lines of a file.
struct Numbers {
    are_shown: bool,
    /// The number of the first line, if it is shown.
    first: Option<usize>,
}

impl Numbers {
    fn of(lines: &[&str]) -> Numbers {
        let first = lines.iter().find_map(|line| split_number(line)).map(|(number, _)| number);
        let filled = lines.iter().filter(|line| !line.trim().is_empty());
        let numbered = lines.iter().filter(|line| split_number(line).is_some()).count();
        let are_shown = numbered > 1 && numbered * 10 >= filled.count() * 8;
        Numbers { are_shown, first: first.filter(|_| are_shown) }
    }

    fn code<'t>(&self, line: &'t str) -> &'t str {
        let code = match self.are_shown {
            true => split_number(line).map_or(line, |(_, code)| code),
            false => line,
        };
        code.strip_suffix('\r').unwrap_or(code)
    }
}

/// The number before a line and the line: `  12->x`, `12<tab>x`, `12|x`, `12: x`.
fn split_number(line: &str) -> Option<(usize, &str)> {
    let start = line.trim_start_matches(' ');
    let digits = start.bytes().take_while(u8::is_ascii_digit).count();
    let number = start[..digits].parse().ok()?;
    let rest = &start[digits..];
    let code =
        ["\u{2192}", "->", "\t", "|", ":"].iter().find_map(|mark| rest.strip_prefix(mark))?;
    Some((number, code))
}

fn without_numbered(lines: &[&str], comments: &[bool]) -> String {
    let kept = lines.iter().zip(comments).filter(|(_, is_comment)| !**is_comment);
    let mut out = vec![NUMBERED];
    out.extend(kept.map(|(line, _)| *line));
    out.join("\n")
}

fn without(lines: &[&str], comments: &[bool]) -> String {
    let mut out: Vec<Cow<str>> = Vec::with_capacity(lines.len());
    let mut at = 0;
    while at < lines.len() {
        let run = comments[at..].iter().take_while(|is_comment| **is_comment).count();
        let part = &lines[at..at + run.max(1)];
        if run > 0 && part.iter().map(|line| line.len() + 1).sum::<usize>() > MARKER_BYTES {
            let what = if run == 1 { "line" } else { "lines" };
            out.push(Cow::Owned(format!(
                "[... {} {what} of comments left out ...]",
                commas(run as u64)
            )));
        } else {
            out.extend(part.iter().map(|line| Cow::Borrowed(*line)));
        }
        at += run.max(1);
    }
    out.join("\n")
}

#[cfg(test)]
mod tests;
