//! What the command line asks `stats` for.

use std::ops::Range;

use crate::cli;
use crate::config::nearest;
use crate::error::Error;
use crate::ledger::Column;
use crate::report::alert::Limits;
use crate::report::calendar::Unit;
use crate::report::group::Key;
use crate::report::range::{Now, PERIOD, WHEN};

pub(super) const DAY: Key = Key::Time(Unit::Day);
pub(super) const MODEL: Key = Key::Name(Column::Model);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Form {
    #[default]
    Text,
    Json,
    Csv,
    Html,
    Oneline,
}

#[derive(Debug, Default)]
pub(super) struct Query {
    /// Empty: none were named.
    pub(super) keys: Vec<Key>,
    pub(super) form: Form,
    pub(super) quiet: bool,
    pub(super) limits: Limits,
    since: Option<String>,
    until: Option<String>,
    on: Option<String>,
}

impl Query {
    pub(super) fn of(args: &cli::Stats) -> Result<Query, Error> {
        let mut ask = Query {
            keys: keys(args)?,
            form: form(args)?,
            quiet: args.quiet,
            limits: Limits {
                cost_nano: limit("--alert-cost", &args.alert_cost)?
                    .map(|usd| (usd * 1e9).round() as i64),
                errors_percent: limit("--alert-errors", &args.alert_errors)?,
                no_unpriced: args.alert_unpriced || args.alert_cost.is_some(),
            },
            since: args.since.clone(),
            until: args.until.clone(),
            on: args.on.clone(),
        };
        if ask.on.is_some() && (ask.since.is_some() || ask.until.is_some()) {
            return Err(Error::usage("--on stands for --since and --until; give one or the other"));
        }
        // A range alone is told day by day; the page has its own idea.
        if ask.keys.is_empty() && ask.has_range() && ask.form != Form::Html {
            ask.keys.push(DAY);
        }
        Ok(ask)
    }

    /// The default report.
    pub(super) fn usual(form: Form) -> Query {
        Query { form, ..Query::default() }
    }

    fn has_range(&self) -> bool {
        self.since.is_some() || self.until.is_some() || self.on.is_some()
    }

    /// Nothing but the default report was asked for.
    pub(super) fn is_overview(&self) -> bool {
        self.keys.is_empty() && !self.has_range()
    }

    /// The Unix times that the report is about. Where nothing is said, a report by time goes back
    /// as far as is usual for it, and one by name to the first request.
    pub(super) fn range(&self, now: Now, first: Option<i64>) -> Result<Range<i64>, Error> {
        if let Some(word) = &self.on {
            let range = now.period(word).ok_or_else(|| unknown("--on", word, PERIOD))?;
            return Ok(now.aligned(range));
        }
        let end = now.days(now.today(), now.today()).end;
        let until = match &self.until {
            Some(word) => now.when(word).ok_or_else(|| unknown("--until", word, WHEN))?.end,
            None => end,
        };
        let first = first.unwrap_or(now.now).min(now.now);
        let first_day = now.zone.midnight(now.zone.day(first));
        let since = match &self.since {
            Some(word) => now.when(word).ok_or_else(|| unknown("--since", word, WHEN))?.start,
            None => match (self.unit(), &self.until) {
                (Some(unit), None) => now.usual_start(unit).max(first_day),
                _ => first_day.min(until - 1),
            },
        };
        if since >= until {
            return Err(Error::usage("--since is not before --until"));
        }
        Ok(now.aligned(since..until))
    }

    fn unit(&self) -> Option<Unit> {
        let named = self.keys.iter().find_map(|key| key.as_unit());
        // The page has a chart by day.
        named.or((self.form == Form::Html).then_some(Unit::Day))
    }
}

/// The switches are short forms of `--by`, and come first.
fn keys(args: &cli::Stats) -> Result<Vec<Key>, Error> {
    let switches = [
        (args.hourly, "hour"),
        (args.daily, "day"),
        (args.weekly, "week"),
        (args.monthly, "month"),
        (args.by_model, "model"),
        (args.by_provider, "provider"),
    ];
    let by = args.by.iter().flat_map(|words| words.split(','));
    let words = switches.iter().filter(|(on, _)| *on).map(|(_, word)| *word).chain(by);
    let mut keys = Vec::new();
    for word in words {
        let key = Key::parse(word).ok_or_else(|| unknown_key(word))?;
        let is_time = |key: &Key| matches!(key, Key::Time(_));
        match keys.contains(&key) {
            true => continue,
            false if is_time(&key) && keys.iter().any(is_time) => {
                return Err(Error::usage("only one of hour, day, week and month at a time"));
            }
            false => keys.push(key),
        }
    }
    Ok(keys)
}

fn unknown_key(word: &str) -> Error {
    let all: Vec<&str> = Key::words().collect();
    Error::usage(match nearest(word, Key::words()) {
        Some(near) => format!("--by: unknown key \"{word}\"; did you mean {near}?"),
        None => format!("--by: unknown key \"{word}\"; one of {}", all.join(", ")),
    })
}

fn form(args: &cli::Stats) -> Result<Form, Error> {
    let forms = [
        (args.json, Form::Json),
        (args.csv, Form::Csv),
        (args.html, Form::Html),
        (args.oneline, Form::Oneline),
    ];
    let mut asked = forms.iter().filter(|(on, _)| *on).map(|(_, form)| *form);
    match (asked.next(), asked.next()) {
        (_, Some(_)) => Err(Error::usage("only one of --json, --csv, --html and --oneline")),
        (form, None) => Ok(form.unwrap_or_default()),
    }
}

fn limit(option: &str, value: &Option<String>) -> Result<Option<f64>, Error> {
    /// More than anybody can spend, and exact in nano-dollars.
    const LIMIT_MAX: f64 = 9e9;
    let Some(text) = value else { return Ok(None) };
    match text.parse::<f64>() {
        Ok(limit) if (0.0..=LIMIT_MAX).contains(&limit) => Ok(Some(limit)),
        _ => Err(Error::usage(format!("{option}: \"{text}\" is not a number of 0 or more"))),
    }
}

fn unknown(option: &str, word: &str, words: &str) -> Error {
    Error::usage(format!("{option}: unknown time \"{word}\"; {words}"))
}
