//! `tokenpak compress`: one request body in, a shorter one out; `--expand` is the way back.

use std::io::IsTerminal;

use super::{read, settings, write};
use crate::cli;
use crate::compress::{Level, Mode};
use crate::error::Error;
use crate::number::{commas, saved_percent};
use crate::pack::{self, Packed, Plan};
use crate::tokens::Counter;
use crate::wire::Format;

pub(crate) fn run(args: &cli::Compress) -> Result<(), Error> {
    let plan = plan(args)?;
    let body = read(args.file.as_deref())?;
    let name = args.file.as_deref().unwrap_or("standard input");
    let format = format_of(name, &body)?;
    if args.expand {
        let expanded = pack::expand(format, &body).ok_or_else(|| not_a_request(name))?;
        return write(&expanded);
    }
    let packed = pack::pack(&mut Counter::new(), &plan, format, &body);
    write(packed.body.as_deref().unwrap_or(&body))?;
    if args.report || std::io::stderr().is_terminal() {
        eprint!("{}", summary(&packed, args.report));
    }
    Ok(())
}

/// What the settings and the options say about compression.
fn plan(args: &cli::Compress) -> Result<Plan, Error> {
    let mut plan = settings(None, &[])?.plan(asked_mode(args)?);
    if let Some(level) = &args.level {
        let what =
            || format!("--level: unknown value \"{level}\"; one of light, balanced, aggressive");
        plan.level = Level::parse(level).ok_or_else(|| Error::usage(what()))?;
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
        let what = error.to_string();
        let what = what.split(" at line ").next().unwrap_or_default().to_owned();
        return Err(Error::input(name, Some((error.line(), error.column())), what));
    }
    Format::of_body(body).ok_or_else(|| not_a_request(name))
}

fn not_a_request(name: &str) -> Error {
    let formats = "Anthropic Messages, OpenAI Chat Completions, OpenAI Responses or Gemini";
    Error::input(name, None, format!("not a request body of {formats}"))
}

fn summary(packed: &Packed, by_pass: bool) -> String {
    let saved = packed.before.saturating_sub(packed.after);
    let percent = saved_percent(packed.before, packed.after);
    let (before, after) = (commas(packed.before), commas(packed.after));
    let mut text = format!("{before} -> {after} tokens, saved {} ({percent}%)\n", commas(saved));
    if let Some(skip) = packed.skip.filter(|_| by_pass) {
        text += &format!("  unchanged: {}\n", skip.name());
    }
    for (pass, tokens) in packed.per_pass.iter().filter(|_| by_pass) {
        text += &format!("  {pass:<14} {:>12}\n", commas(*tokens));
    }
    text
}
