//! `tokenpak prices`: what a token costs, and why. The table, or all that applies to one model.

mod reprice;
pub(super) mod set;
mod update;

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, Signal, kill_process};

use super::{print, settings};
use crate::cli::{self, PricesCommand};
use crate::config::{self, Environment};
use crate::error::{Error, say};
use crate::instance;
use crate::ledger;
use crate::name::clean;
use crate::number::commas;
use crate::prices::{self, Kind, List, Price, Prices, Quote, Terms, sections};
use crate::tokens;

pub(crate) fn run(args: &cli::Prices) -> Result<(), Error> {
    match &args.what {
        None => show(args.model.as_deref()),
        Some(_) if args.model.is_some() => {
            Err(Error::usage("prices takes a model or a command; try: tokenpak prices --help"))
        }
        Some(PricesCommand::Update(args)) => update::run(args),
        Some(PricesCommand::Set(args)) => set::run(args),
        Some(PricesCommand::Unset(args)) => set::run_unset(args),
        Some(PricesCommand::Reprice(args)) => reprice::run(args),
    }
}

/// The present, in Unix seconds.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs() as i64)
}

/// Prices have changed: stored requests that had none get theirs, and the running proxy is told.
fn arrived(around: &Environment) -> Result<(), Error> {
    let (config, _) = config::load(around, None, &[])?;
    if config.database.exists() {
        // What is wrong with the database is said where it matters; the prices are in force.
        match ledger::reprice(&config.database, &config.prices, None) {
            Ok(outcome) => print(&reprice::text(&outcome, false))?,
            Err(fault) => say(format_args!(
                "tokenpak: warning: {fault}; stored requests wait for: tokenpak prices reprice"
            )),
        }
    }
    if let Some(running) = instance::running(&around.home()) {
        let told = Pid::from_raw(running.pid).map(|pid| kill_process(pid, Signal::HUP));
        if !matches!(told, Some(Ok(()))) {
            let pid = running.pid;
            say(format_args!(
                "tokenpak: note: the running proxy (pid {pid}) reads this after: kill -HUP {pid}"
            ));
        }
    }
    Ok(())
}

/// The table, or one model.
fn show(model: Option<&str>) -> Result<(), Error> {
    let config = settings(None, &[])?;
    let prices = &config.prices;
    let Some(model) = model else {
        return print(&table(prices.all(), &source(prices, |_| true)));
    };
    let quote = prices.quote(model, "");
    let said = clean(model);
    let mut text = match &quote {
        Some(quote) => {
            let source = source(prices, |list| list.has(quote.name, quote.host));
            of_model(&said, quote, &source, now())
        }
        None => format!(
            "{said}: no price; set one with: tokenpak prices set {said} input=DOLLARS output=DOLLARS\n"
        ),
    };
    text += &ratio(ledger::learnt(&config.database, model), model);
    print(&text)?;
    quote.map(|_| ()).ok_or_else(|| Error::answer(""))
}

/// A day, and what says so.
struct Source(String, String);

/// Where prices are from: the list that was taken over, if they are from there, else the built-in one.
fn source(prices: &Prices, is_from: impl Fn(&List) -> bool) -> Source {
    match prices.list().filter(|list| is_from(list)) {
        Some(list) => Source(list.as_of.clone(), clean(&list.source).into_owned()),
        None => Source(prices::as_of().to_owned(), prices::source().to_owned()),
    }
}

/// One row a model and host, those of the configuration marked.
fn table<'a>(quotes: impl Iterator<Item = Quote<'a>>, source: &Source) -> String {
    let mut quotes: Vec<_> = quotes.collect();
    quotes.sort_by(|a, b| (a.name, b.is_own(), a.host).cmp(&(b.name, a.is_own(), b.host)));
    quotes.dedup_by(|later, first| first.is_own() && later.name == first.name);
    let mut text = format!(
        "dollars per million tokens, list prices of {}\n({})\n\n\
         model                            host        input  output  cache read  written\n{}\n",
        source.0,
        source.1,
        "-".repeat(79)
    );
    for quote in quotes {
        let Some(rates) = quote.rates(&Terms::default()) else { continue };
        let said = |rate: Option<u32>| rate.map_or("-".to_owned(), dollars);
        let (host, more) = match quote.price {
            Price::Own(_) => ("configured", ""),
            Price::Listed(spec) => (quote.host, if spec.contains('[') { " *" } else { "" }),
        };
        let name = [&clean(quote.name), more].concat();
        let (input, output) = (dollars(rates.input()), dollars(rates.output()));
        let (read, write) = (said(rates[Kind::CacheRead]), said(rates[Kind::CacheWrite]));
        // Writing to a string does not fail.
        let _ =
            writeln!(text, "{name:<32} {host:<10} {input:>6} {output:>7} {read:>11} {write:>8}");
    }
    text + "\n-: at the input's price.\n\
            *: other prices for large requests, tiers, days or hours: tokenpak prices MODEL\n"
}

fn of_model(model: &str, quote: &Quote, source: &Source, ts: i64) -> String {
    let source = match quote.price {
        Price::Own(_) => "configuration".to_owned(),
        Price::Listed(_) => {
            format!("at {}, list prices of {}, {}", quote.host, source.0, source.1)
        }
    };
    let mut text = format!("{model}: the price of {} ({source})\n", clean(quote.name));
    let mut line = |when: &str, rates: &str| {
        let _ = writeln!(text, "  {when:<30} {rates}");
    };
    let now = quote.rates(&Terms { ts, ..Terms::default() });
    line(
        "now, per million tokens",
        &now.map_or(String::new(), |rates| {
            listed(rates.list().map(|(kind, rate)| (Some(kind), rate)))
        }),
    );
    if let Price::Listed(spec) = quote.price {
        for (conditions, words) in sections(spec).skip(1) {
            line(&when(conditions), &listed(prices::words(words)));
        }
    }
    text
}

/// The conditions of a section, for people.
fn when(conditions: &str) -> String {
    let said = conditions.split(',').map(|condition| {
        if let Some(limit) = condition.strip_prefix('>') {
            return format!("over {} input tokens", commas(limit.parse().unwrap_or(0)));
        }
        match condition.split_once('=') {
            Some(("daily", minutes)) => {
                let clock = |minute: &str| clock(minute.parse().unwrap_or(0));
                let (from, to) = minutes.split_once('-').unwrap_or((minutes, minutes));
                format!("from {} to {} UTC", clock(from), clock(to))
            }
            Some((_, day)) => format!("from {day}"),
            None if condition == "us" => "in the US only".to_owned(),
            None => condition.to_owned(),
        }
    });
    said.collect::<Vec<_>>().join(", ")
}

/// Rates, for people; of a factor what it is.
fn listed(rates: impl Iterator<Item = (Option<Kind>, u32)>) -> String {
    let said = rates.map(|(kind, rate)| match kind {
        Some(kind) => format!("{} ${}", kind.name(), dollars(rate)),
        None => format!("all times {}", dollars(rate)),
    });
    said.collect::<Vec<_>>().join(", ")
}

/// What one of our tokens is in the model's, for the money saved.
fn ratio(learnt: Option<ledger::Learned>, model: &str) -> String {
    let thousandths = |billed: u64, counted: u64| (billed * 1000 + counted / 2) / counted;
    let ratio = learnt.and_then(|learnt| Some((learnt, learnt.ratio()?)));
    let (factor, why) = match ratio {
        Some((learnt, ratio)) => (
            thousandths(ratio.billed, ratio.counted),
            format!("learnt from {} requests", commas(learnt.requests)),
        ),
        None => (
            tokens::model::Family::of(model).percent * 10,
            "start value, nothing learnt yet".to_owned(),
        ),
    };
    format!("  a counted token is {}.{:03} billed ones ({why})\n", factor / 1000, factor % 1000)
}

/// Pico-dollars per token as dollars per million: at least two places, and no needless ones.
fn dollars(rate: u32) -> String {
    let text = format!("{}.{:06}", rate / 1_000_000, rate % 1_000_000);
    let short = text.trim_end_matches('0').len();
    text[..short.max(text.len() - 4)].to_owned()
}

fn clock(minute: i64) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        for (rate, want) in [
            (0, "0.00"),
            (3_000_000, "3.00"),
            (228_800, "0.2288"),
            (75_000_000, "75.00"),
            (3, "0.000003"),
        ] {
            assert_eq!(dollars(rate), want);
        }
        assert_eq!((clock(30), clock(990)), ("00:30".to_owned(), "16:30".to_owned()));
    }
}
