//! `tokenpak count`: tokens as wc counts words. Request bodies count as requests, other files as text.

use super::{read, write};
use crate::cli;
use crate::compress::Mode;
use crate::error::Error;
use crate::pack::{self, Plan};
use crate::tokens::Counter;
use crate::wire::Format;

/// Model families whose tokenizer is not the one used here: their counts are estimates.
const OTHER_TOKENIZERS: &[&str] = &[
    "claude",
    "gemini",
    "gpt-4-",
    "gpt-3.5",
    "grok",
    "mistral",
    "codestral",
    "deepseek",
    "llama",
    "qwen",
];

pub(crate) fn run(args: &cli::Count) -> Result<(), Error> {
    let mut counter = Counter::new();
    if args.files.is_empty() {
        let tokens = count(&mut counter, "standard input", &read(None)?)?;
        return finish(args, &format!("{tokens}\n"));
    }
    let mut rows = Vec::with_capacity(args.files.len() + 1);
    for name in &args.files {
        rows.push((count(&mut counter, name, &read(Some(name))?)?, name.as_str()));
    }
    if rows.len() > 1 {
        rows.push((rows.iter().map(|(tokens, _)| tokens).sum(), "total"));
    }
    let lines: String = rows.iter().map(|(tokens, name)| format!("{tokens:>7} {name}\n")).collect();
    finish(args, &lines)
}

fn finish(args: &cli::Count, text: &str) -> Result<(), Error> {
    let model = args.model.as_deref().unwrap_or_default().to_ascii_lowercase();
    let other = OTHER_TOKENIZERS.iter().any(|family| model.contains(family)) || model == "gpt-4";
    write(text.as_bytes())?;
    if other {
        eprintln!("tokenpak: note: {model} has a tokenizer of its own; this is an estimate");
    }
    Ok(())
}

fn count(counter: &mut Counter, name: &str, bytes: &[u8]) -> Result<u64, Error> {
    if let Some(format) = Format::of_body(bytes) {
        return Ok(pack::pack(counter, &Plan::of(Mode::Off), format, bytes).before);
    }
    let text = std::str::from_utf8(bytes);
    let text =
        text.map_err(|_| Error::input(name, None, "neither a request body nor UTF-8 text"))?;
    Ok(counter.count(text) as u64)
}
