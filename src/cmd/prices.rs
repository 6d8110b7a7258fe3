//! `tokenpak prices`: what a token costs, and why. The table, or all that applies to one model.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use super::{print, settings};
use crate::cli;
use crate::error::Error;
use crate::ledger;
use crate::name::clean;
use crate::number::commas;
use crate::prices::{self, Kind, Price, Quote, Terms, sections};
use crate::tokens;

pub(crate) fn run(args: &cli::Prices) -> Result<(), Error> {
    let config = settings(None, &[])?;
    let Some(model) = &args.model else {
        return print(&table(config.prices.all()));
    };
    let ts = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs() as i64);
    let quote = config.prices.quote(model, "");
    let said = clean(model);
    let mut text = match &quote {
        Some(quote) => of_model(&said, quote, ts),
        None => format!("{said}: no price; set one with prices.{said} in the configuration\n"),
    };
    text += &ratio(ledger::learnt(&config.database, model), model);
    print(&text)?;
    quote.map(|_| ()).ok_or_else(|| Error::answer(""))
}

/// One row a model and host, those of the configuration marked.
fn table<'a>(quotes: impl Iterator<Item = Quote<'a>>) -> String {
    let mut quotes: Vec<_> = quotes.collect();
    quotes.sort_by(|a, b| (a.name, b.is_own(), a.host).cmp(&(b.name, a.is_own(), b.host)));
    quotes.dedup_by(|later, first| first.is_own() && later.name == first.name);
    let mut text = format!(
        "dollars per million tokens, list prices of {}\n({})\n\n\
         model                            host        input  output  cache read  written\n{}\n",
        prices::as_of(),
        prices::source(),
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

fn of_model(model: &str, quote: &Quote, ts: i64) -> String {
    let source = match quote.price {
        Price::Own(_) => "configuration".to_owned(),
        Price::Listed(_) => {
            format!("at {}, list prices of {}, {}", quote.host, prices::as_of(), prices::source())
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
