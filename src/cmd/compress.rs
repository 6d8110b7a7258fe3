//! `tokenpak compress`: one request body in, a shorter one out, or a text as if it were a tool's
//! result; `--expand` is the way back.
//!
//! `--report` is for whoever asks where the savings come from, or why there are none: by pass, by
//! place, and what was left alone for which reason.

use std::collections::BTreeMap;
use std::io::IsTerminal;

use serde_json::{Value, json};

use super::{read, settings, write};
use crate::cli;
use crate::compress::{Level, Mode, Unchanged};
use crate::error::{Error, json_reason, say_lines};
use crate::number::{commas, saved_percent};
use crate::rewrite::{self, Plan, Rewritten, TextOutcome, Unexpanded};
use crate::tokens::Counter;
use crate::wire::Format;

/// What the texts of a body may become unless `--expand-max` says more: no provider takes a larger prompt.
const EXPAND_MB_MAX: usize = 64;
/// Places in a text are counted in 32 bits.
const EXPAND_MB_LIMIT: usize = 4000;

pub(crate) fn run(args: &cli::Compress) -> Result<(), Error> {
    let plan = plan(args)?;
    let name = args.file.as_deref().unwrap_or("standard input");
    let (body, format) = request(args.text, name, read(args.file.as_deref())?)?;
    let shown = |body| if args.text { text_of(body) } else { body };
    if args.expand {
        let megabytes = expand_max(args)?;
        let expanded = rewrite::expand(format, &body, megabytes << 20);
        return write(&shown(expanded.map_err(|reason| match reason {
            Unexpanded::Unreadable => not_a_request(name),
            Unexpanded::TooLong => stands_for_more(name, megabytes),
        })?));
    }
    let mut rewritten = rewrite::rewrite(&mut Counter::new(), &plan, format, &body);
    if args.text {
        // Less what stands around a text in a request.
        let frame =
            rewritten.before - rewritten.texts.iter().map(|looked| looked.before).sum::<u64>();
        (rewritten.before, rewritten.after) = (rewritten.before - frame, rewritten.after - frame);
    }
    write(&shown(rewritten.body.take().unwrap_or(body)))?;
    if args.report || std::io::stderr().is_terminal() {
        say_lines(summary(&rewritten).trim_end());
    }
    if args.report {
        say_lines(report(&rewritten).trim_end());
    }
    Ok(())
}

/// The request body that was given, or one whose only tool result is the text that was given: no
/// prompt stands before that, and no cache asks for a length.
fn request(is_text: bool, name: &str, input: Vec<u8>) -> Result<(Vec<u8>, Format), Error> {
    if !is_text {
        let format = format_of(name, &input)?;
        return Ok((input, format));
    }
    let text = String::from_utf8(input).map_err(|_| Error::input(name, None, "not UTF-8"))?;
    let call = json!({"type": "tool_use", "id": "1", "name": "text", "input": {}});
    let result = json!({"type": "tool_result", "tool_use_id": "1", "content": text});
    let turn = |role: &str, part| json!({"role": role, "content": [part]});
    let body = json!({"messages": [turn("assistant", call), turn("user", result)]});
    Ok((body.to_string().into_bytes(), Format::Messages))
}

/// The text in such a body.
fn text_of(body: Vec<u8>) -> Vec<u8> {
    let body = serde_json::from_slice::<Value>(&body).unwrap_or_default();
    let text = body.pointer("/messages/1/content/0/content").and_then(Value::as_str);
    text.unwrap_or_default().as_bytes().to_vec()
}

/// What the settings and the options say about compression.
fn plan(args: &cli::Compress) -> Result<Plan, Error> {
    let mut plan = settings(None, &[])?.plan(asked_mode(args)?);
    if let Some(level) = &args.level {
        let what =
            || format!("--level: unknown value \"{level}\"; one of light, balanced, aggressive");
        plan.level = Level::parse(level).ok_or_else(|| Error::usage(what()))?;
    }
    if args.text {
        // Thresholds are about prompts.
        plan.threshold = 0;
    }
    Ok(plan)
}

fn asked_mode(args: &cli::Compress) -> Result<Option<Mode>, Error> {
    let Some(name) = &args.mode else { return Ok(None) };
    let mode = Mode::parse(name).filter(|mode| *mode != Mode::Off);
    let what = || format!("--mode: unknown value \"{name}\"; one of strict, hybrid, aggressive");
    mode.map(Some).ok_or_else(|| Error::usage(what()))
}

/// The wire format of a body without a path: by its shape.
fn format_of(name: &str, body: &[u8]) -> Result<Format, Error> {
    if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(body) {
        let place = Some((error.line(), error.column()));
        return Err(Error::input(name, place, json_reason(&error)));
    }
    Format::of_body(body).ok_or_else(|| not_a_request(name))
}

fn not_a_request(name: &str) -> Error {
    let formats = "Anthropic Messages, OpenAI Chat Completions, OpenAI Responses or Gemini";
    Error::input(name, None, format!("not a request body of {formats}"))
}

/// What texts may become together, in megabytes of 1,048,576 bytes.
fn expand_max(args: &cli::Compress) -> Result<usize, Error> {
    let Some(given) = &args.expand_max else { return Ok(EXPAND_MB_MAX) };
    let number = given.parse().ok().filter(|megabytes| (1..=EXPAND_MB_LIMIT).contains(megabytes));
    number.ok_or_else(|| {
        Error::usage(format!("--expand-max: not a number from 1 to {EXPAND_MB_LIMIT}: {given}"))
    })
}

fn stands_for_more(name: &str, megabytes: usize) -> Error {
    let what = format!("stands for more than {megabytes} MB; --expand-max allows more");
    Error::input(name, None, what)
}

fn summary(rewritten: &Rewritten) -> String {
    let saved = rewritten.before.saturating_sub(rewritten.after);
    let percent = saved_percent(rewritten.before, rewritten.after);
    let (before, after) = (commas(rewritten.before), commas(rewritten.after));
    format!("{before} -> {after} tokens, saved {} ({percent}%)\n", commas(saved))
}

/// The width that every terminal has, less one: some break the line in the last column.
const COLUMNS: usize = 79;

/// Three tables; each only if it has rows. Lines of at most `COLUMNS`.
fn report(rewritten: &Rewritten) -> String {
    let mut text = String::new();
    if let Some(skip) = rewritten.skip {
        text += &format!("unchanged: {}\n", skip.name());
    }
    if !rewritten.per_pass.is_empty() {
        text += &format!("\n{:31}{:>11}\n", "saved by", "tokens");
    }
    for (pass, tokens) in &rewritten.per_pass {
        text += &format!("{pass:31}{:>11}\n", commas(*tokens));
    }
    let changed = || rewritten.texts.iter().filter(|looked| looked.before != looked.after);
    if changed().next().is_some() {
        text += &format!("\n{:31}{:>11}{:>11}  by\n", "changed", "before", "after");
    }
    changed().for_each(|looked| text += &row(looked));
    text + &left_alone(rewritten)
}

/// Where, how much, and by which passes, as many to a line as there is room for.
fn row(looked: &TextOutcome) -> String {
    let (before, after) = (commas(looked.before), commas(looked.after));
    let place = looked.place.to_string();
    let mut line = format!("{place:31}{before:>11}{after:>11} ");
    let indent = line.len();
    let mut text = String::new();
    let passes = looked.saved.iter().enumerate();
    let mut words: Vec<String> = passes
        .map(|(at, (pass, saved))| {
            let comma = if at + 1 < looked.saved.len() { "," } else { "" };
            format!("{pass} {}{comma}", commas(*saved))
        })
        .collect();
    if words.is_empty() {
        // It could be taken for compressed text, and grew by the line that says it is not.
        words.push("marked as it came".to_owned());
    }
    for word in words {
        if line.len() > indent && line.len() + 1 + word.len() > COLUMNS {
            text += &format!("{line}\n");
            line = " ".repeat(indent);
        }
        line += &format!(" {word}");
    }
    text + &line + "\n"
}

/// Why the rest of the prompt is as it was.
fn left_alone(rewritten: &Rewritten) -> String {
    let mut groups: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for looked in &rewritten.texts {
        if let Some(left) = looked.left {
            let (tokens, texts) = groups.entry(reason(left)).or_default();
            (*tokens, *texts) = (*tokens + looked.before, *texts + 1);
        }
    }
    let mut text = format!("\n{:31}{:>11}{:>11}\n", "left alone", "tokens", "texts");
    for (reason, (tokens, texts)) in groups {
        text += &format!("{reason:31}{:>11}{:>11}\n", commas(tokens), commas(texts));
    }
    let candidates: u64 = rewritten.texts.iter().map(|looked| looked.before).sum();
    let rest = commas(rewritten.before.saturating_sub(candidates));
    text + &format!("{:31}{rest:>11}\n", "neither result nor user text")
}

/// In at most 30 characters.
fn reason(left: Unchanged) -> &'static str {
    match left {
        Unchanged::Error => "error result",
        Unchanged::Small => "under 400 characters",
        Unchanged::Threshold => "before the threshold",
        Unchanged::Floor => "too short for a prompt cache",
        Unchanged::FileRead => "file that was read",
        Unchanged::NothingToGain => "nothing to gain",
        Unchanged::Unclear => "would not have read back",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compress::Place;

    #[test]
    fn passes_of_one_place_are_broken_into_lines() {
        let place = Place::Result { number: 1234, part: Some(12) };
        let row = |saved: &[(&'static str, u64)]| {
            let saved = saved.to_vec();
            row(&TextOutcome { place, before: 45_678, after: 1234, saved, left: None })
        };
        let one = "part 12 of tool result 1234         45,678      1,234  terminal 44,444\n";
        assert_eq!(row(&[("terminal", 44_444)]), one);
        let many = row(&[("terminal", 40_000), ("json-minify", 4000), ("repeat", 444)]);
        let first = "part 12 of tool result 1234         45,678      1,234  terminal 40,000,\n";
        let indent = " ".repeat(53);
        assert_eq!(many, format!("{first}{indent}  json-minify 4,000,\n{indent}  repeat 444\n"));
        let grown = "part 12 of tool result 1234         45,678      1,234  marked as it came\n";
        assert_eq!(row(&[]), grown);
    }
}
