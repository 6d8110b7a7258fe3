//! `tokenpak prices reprice`: stored requests at the prices in force.

use std::fmt::Write;
use std::path::Path;

use super::{now, print, settings};
use crate::cli;
use crate::error::Error;
use crate::ledger::{self, Fault, Reader, Repriced};
use crate::name::clean;
use crate::number::commas;
use crate::report::calendar::Zone;
use crate::report::range::{Now, WHEN};
use crate::report::text::dollars;

pub(super) fn run(args: &cli::PricesReprice) -> Result<(), Error> {
    let config = settings(None, &[])?;
    let since = match &args.since {
        Some(word) => Some(start(&config.database, word)?),
        None => None,
    };
    // Not made where there is none.
    Reader::open(&config.database).map_err(error)?;
    let outcome = ledger::reprice(&config.database, &config.prices, since).map_err(error)?;
    print(&text(&outcome, true))
}

fn error(fault: Fault) -> Error {
    Error::ledger(fault.exit_code(), fault.to_string())
}

/// The Unix time that a word stands for, where the reader is.
fn start(database: &Path, word: &str) -> Result<i64, Error> {
    let reader = Reader::open(database).map_err(error)?;
    let zone = Zone::of(now(), |ts| reader.offset(ts)).map_err(error)?;
    let found = Now { now: now(), zone: &zone }.when(word);
    found
        .map(|range| range.start)
        .ok_or_else(|| Error::usage(format!("--since: {word} is no time; {WHEN}")))
}

/// What has changed; with `all` also what has no price still.
pub(super) fn text(outcome: &Repriced, all: bool) -> String {
    let mut text = String::new();
    let requests = |count: u64| match count {
        1 => "1 request".to_owned(),
        count => format!("{} requests", commas(count)),
    };
    let money = |nano: Option<i64>| nano.map_or("no price".to_owned(), dollars);
    for (model, change) in &outcome.models {
        let (before, after) = (money(change.before_nano), money(change.after_nano));
        // Writing to a string does not fail.
        let _ =
            writeln!(text, "{}: {}: {before} -> {after}", said(model), requests(change.requests));
    }
    if all && outcome.models.is_empty() {
        text += "no request has another price now\n";
    }
    for (model, count) in outcome.unpriced.iter().filter(|_| all) {
        let _ = writeln!(text, "{}: {} without a price", said(model), requests(*count));
    }
    text
}

fn said(model: &str) -> String {
    if model.is_empty() { "unknown model".to_owned() } else { clean(model).into_owned() }
}
