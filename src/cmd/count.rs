//! `tokenpak count`: tokens as wc counts words. Request bodies count as requests, other files as
//! text.

use super::{print, read};
use crate::cli;
use crate::compress::Mode;
use crate::error::{Error, say, say_lines};
use crate::name::clean;
use crate::rewrite::{self, Plan};
use crate::tokens::Counter;
use crate::tokens::model::{Family, Vocabulary};
use crate::wire::Format;

/// What cannot be read is complained about, and the rest is counted; the exit status is that of
/// the last complaint.
pub(crate) fn run(args: &cli::Count) -> Result<(), Error> {
    let family = args.model.as_deref().map(Family::of);
    let mut counter = Counter::new();
    let (mut total, mut fault, mut models) = (0, None, Vec::new());
    for name in &args.files {
        match count(&mut counter, Some(name)) {
            Ok((tokens, model)) => {
                let tokens = family.map_or(tokens, |family| family.tokens(tokens));
                total += tokens;
                models.extend(model);
                let is_alone = args.files.len() == 1;
                let line = if is_alone { bare(tokens) } else { named(tokens, name) };
                print(&line)?;
            }
            // `main` prints the last one.
            Err(error) => {
                if let Some(earlier) = fault.replace(error) {
                    say_lines(&earlier);
                }
            }
        }
    }
    if args.files.is_empty() {
        let (tokens, model) = count(&mut counter, None)?;
        models.extend(model);
        print(&bare(family.map_or(tokens, |family| family.tokens(tokens))))?;
    } else if args.files.len() > 1 {
        print(&named(total, "total"))?;
    }
    match &args.model {
        Some(model) => note(model, true),
        None => {
            models.sort_unstable();
            models.dedup();
            models.iter().for_each(|model| note(model, false));
        }
    }
    fault.map_or(Ok(()), Err)
}

fn bare(tokens: u64) -> String {
    format!("{tokens}\n")
}

fn named(tokens: u64, name: &str) -> String {
    format!("{tokens:>7} {}\n", clean(name))
}

/// Says so where the count is an estimate: for the model that was asked for, whose factor is in it,
/// or for one that a request names.
fn note(model: &str, is_asked: bool) {
    let family = Family::of(model);
    let why = match family.vocabulary {
        Vocabulary::O200k => return,
        Vocabulary::Cl100k => "its vocabulary is cl100k".to_owned(),
        Vocabulary::Own => {
            let factor = format!("{}.{:02}", family.percent / 100, family.percent % 100);
            match is_asked {
                true => format!("o200k tokens times {factor}"),
                false => format!("o200k tokens; --model {model} would take them times {factor}"),
            }
        }
    };
    say(format_args!("tokenpak: note: an estimate for {model}: {why}"));
}

/// The o200k tokens of a file, and the model if it is a request that names one. What is not UTF-8
/// counts as the text that a reader would see, with a replacement character for each fault.
fn count(counter: &mut Counter, name: Option<&str>) -> Result<(u64, Option<String>), Error> {
    let bytes = read(name)?;
    if let Some(format) = Format::of_body(&bytes) {
        let rewritten = rewrite::rewrite(counter, &Plan::of(Mode::Off), format, &bytes);
        return Ok((rewritten.before, rewritten.model));
    }
    Ok((counter.count(&String::from_utf8_lossy(&bytes)) as u64, None))
}
