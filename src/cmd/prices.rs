//! `tokenpak prices`: what a token costs, and why. The table, or all that applies to one model.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use super::{print, settings};
use crate::cli;
use crate::error::Error;
use crate::ledger::{self, Except, PRICES_AS_OF, PRICES_SOURCE, Quote, Rates};
use crate::name::clean;
use crate::number::commas;
use crate::tokens;

pub(crate) fn run(args: &cli::Prices) -> Result<(), Error> {
    let config = settings(None, &[])?;
    let Some(model) = &args.model else {
        return print(&table(config.prices.all()));
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs() as i64);
    let quote = config.prices.quote(model);
    let said = clean(model);
    let mut text = match &quote {
        Some(quote) => of_model(&said, quote, now),
        None => format!("{said}: no price; set one with prices.{said} in the configuration\n"),
    };
    text += &ratio(ledger::learnt(&config.database, model), model);
    print(&text)?;
    quote.map(|_| ()).ok_or_else(|| Error::answer(""))
}

/// One row a model, those of the configuration marked.
fn table<'a>(quotes: impl Iterator<Item = Quote<'a>>) -> String {
    let mut quotes: Vec<_> = quotes.collect();
    quotes.sort_by(|a, b| (a.name, b.is_own).cmp(&(b.name, a.is_own)));
    quotes.dedup_by(|later, first| later.name == first.name);
    let mut text = format!(
        "dollars per million tokens, list prices of {PRICES_AS_OF} ({PRICES_SOURCE})\n\n\
         model                         input  output  cache read  written   (1 h)\n{}\n",
        "-".repeat(72)
    );
    for quote in quotes {
        let Rates { input, output, write_5m, write_1h, read } = quote.base;
        let said = |rate: Option<u32>| rate.map_or("-".to_owned(), dollars);
        let note = match quote {
            Quote { is_own: true, .. } => "  configured",
            Quote { except: [_, ..], .. } => "  *",
            _ => "",
        };
        let (input, output) = (dollars(input), dollars(output));
        let (read, write_5m, write_1h) = (said(read), said(write_5m), said(write_1h));
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{:<28} {input:>6} {output:>7} {read:>11} {write_5m:>8} {write_1h:>7}{note}",
            clean(quote.name)
        );
    }
    text + "\n-: at the input's price, an hour's writes at those of five minutes.\n\
            *: other prices for large requests, from a date on, or by the hour: tokenpak prices MODEL\n"
}

fn of_model(model: &str, quote: &Quote, now: i64) -> String {
    let source = match quote.is_own {
        true => "configuration".to_owned(),
        false => format!("list prices of {PRICES_AS_OF}, {PRICES_SOURCE}"),
    };
    let mut text = format!("{model}: the price of {} ({source})\n", clean(quote.name));
    let mut line = |when: &str, rates: &Rates| {
        let _ = writeln!(text, "  {when:<30} {}", said(rates));
    };
    line("now, per million tokens", &quote.at(now, 0));
    for except in quote.except {
        match except {
            Except::Above(limit, rates) => {
                line(&format!("over {} input tokens", commas(*limit)), rates);
            }
            Except::From(ts, rates) if *ts > now => line(&format!("from {}", date(*ts)), rates),
            Except::From(..) => {}
            Except::Daily(from, to, rates) => {
                line(&format!("from {} to {} UTC", clock(*from), clock(*to)), rates);
            }
        }
    }
    if quote.except.iter().any(|except| matches!(except, Except::Daily(..))) {
        line("at other hours", &quote.base);
    }
    text
}

fn said(rates: &Rates) -> String {
    let mut text = format!("input ${}, output ${}", dollars(rates.input), dollars(rates.output));
    for (name, rate) in [
        ("cache read", rates.read),
        ("cache write", rates.write_5m),
        ("cache write for an hour", rates.write_1h),
    ] {
        if let Some(rate) = rate {
            let _ = write!(text, ", {name} ${}", dollars(rate));
        }
    }
    text
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

/// The day of a Unix time, UTC, by days since 1 March of year 0 (400 years are 146,097 days).
fn date(ts: i64) -> String {
    let days = ts.div_euclid(86_400) + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
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
        for (ts, want) in [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (1_796_083_200, "2026-12-01"),
            (1_798_761_599, "2026-12-31"),
        ] {
            assert_eq!(date(ts), want);
        }
        assert_eq!((clock(30), clock(990)), ("00:30".to_owned(), "16:30".to_owned()));
    }
}
