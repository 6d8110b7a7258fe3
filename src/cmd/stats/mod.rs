//! `tokenpak stats`: reads the ledger and prints a report. Works with and without a running proxy.

mod ask;
mod gather;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::cli;
use crate::error::{Error, say};
use crate::ledger::{Reasons, Sums};
use crate::name::clean_lines;
use crate::report::{self, Page, alert::Alert, overview::Overview};
use ask::{Form, Query};
use gather::Ledgers;
pub(super) use gather::zone_name;

/// Prints what was asked for; an alert that fired is an `Error` without words.
pub(crate) fn run(args: &cli::Stats) -> Result<(), Error> {
    let ask = Query::of(args)?;
    let paths = match args.db.as_slice() {
        [] => vec![super::settings(None, &[])?.database],
        named => distinct(named),
    };
    let ledgers = Ledgers::open(&paths)?;
    let report = match ask.is_overview() {
        true => of_windows(&ledgers, &ask)?,
        false => of_range(&ledgers, &ask)?,
    };
    if !ask.quiet || !report.alerts.is_empty() {
        super::print(&report.text)?;
        // In these forms a line of another kind would be in the way.
        if matches!(ask.form, Form::Csv | Form::Oneline) {
            report.alerts.iter().for_each(say);
        }
    }
    match report.alerts.is_empty() {
        true => Ok(()),
        false => Err(Error::answer("")),
    }
}

/// A file that is named twice, by a link perhaps, is one machine's all the same.
fn distinct(named: &[String]) -> Vec<PathBuf> {
    let mut seen = HashSet::new();
    let paths = named.iter().map(PathBuf::from);
    paths.filter(|path| seen.insert(path.canonicalize().unwrap_or_else(|_| path.clone()))).collect()
}

/// A report for whoever asks the running proxy: the default one as JSON, or the page.
pub(crate) fn of_database(database: &Path, json: bool) -> Result<String, Error> {
    let ledgers = Ledgers::open(&[database.to_path_buf()])?;
    let form = if json { Form::Json } else { Form::Html };
    of_windows(&ledgers, &Query::usual(form)).map(|report| clean_lines(&report.text).into_owned())
}

/// What the ledger knows of the present day.
pub(crate) struct Today {
    pub(crate) sums: Sums,
    pub(crate) reasons: Reasons,
    /// The zone's short name.
    pub(crate) zone: String,
    /// Requests of all time that are kept.
    pub(crate) rows: i64,
}

/// The same figures as in the first column of the default report, and why they are what they are.
pub(crate) fn today(database: &Path) -> Result<Today, Error> {
    let ledgers = Ledgers::open(&[database.to_path_buf()])?;
    let overview = ledgers.overview()?;
    let (reasons, rows) = ledgers.decisions()?;
    let sums = overview.windows[0].sums.clone();
    Ok(Today { sums, reasons, zone: overview.zone, rows })
}

struct Report {
    text: String,
    alerts: Vec<String>,
}

fn of_windows(ledgers: &Ledgers, ask: &Query) -> Result<Report, Error> {
    let overview = ledgers.overview()?;
    let today = overview.windows[0].sums.clone();
    let now = ledgers.now();
    let unpriced = match (ask.limits.no_unpriced && today.no_price > 0, now.when("today")) {
        (true, Some(range)) => ledgers.table(&[], &range)?.unpriced,
        _ => Vec::new(),
    };
    let alerts = ask.limits.passed(&today, &unpriced);
    let day = format!("({}, {})", report::calendar::date(now.today()), overview.zone);
    let lines: Vec<String> = alerts.iter().map(|alert| alert.line(&day)).collect();
    let text = match ask.form {
        Form::Text => report::overview::text(&overview, &lines),
        Form::Json => report::overview_json(&overview, &alerts),
        Form::Csv => report::overview_csv(&overview),
        Form::Oneline => report::oneline(&today),
        Form::Html => page(ledgers, ask, &overview, &lines)?,
    };
    Ok(Report { text, alerts: lines })
}

fn of_range(ledgers: &Ledgers, ask: &Query) -> Result<Report, Error> {
    let now = ledgers.now();
    let range = ask.range(now, ledgers.first())?;
    let table = ledgers.table(&ask.keys, &range)?;
    let alerts: Vec<Alert> = ask.limits.passed(&table.total, &table.unpriced);
    let title = match table.days.0 == table.days.1 {
        true => format!("({}, {})", table.days.0, table.zone),
        false => format!("({} .. {}, {})", table.days.0, table.days.1, table.zone),
    };
    let lines: Vec<String> = alerts.iter().map(|alert| alert.line(&title)).collect();
    let text = match ask.form {
        Form::Text if table.total.requests == 0 => report::nothing(&table),
        Form::Text => report::table(&table, &lines),
        Form::Json => report::table_json(&table, &alerts),
        Form::Csv => report::table_csv(&table),
        Form::Oneline => report::oneline(&table.total),
        Form::Html => page(ledgers, ask, &ledgers.overview()?, &lines)?,
    };
    Ok(Report { text, alerts: lines })
}

fn page(
    ledgers: &Ledgers,
    ask: &Query,
    overview: &Overview,
    alerts: &[String],
) -> Result<String, Error> {
    let range = ask.range(ledgers.now(), ledgers.first())?;
    let days = ledgers.table(&[ask::DAY], &range)?;
    let groups = match ask.keys.as_slice() {
        [] => ledgers.table(&[ask::MODEL], &range)?,
        keys => ledgers.table(keys, &range)?,
    };
    Ok(report::html(&Page { overview, days: &days, groups: &groups, alerts }))
}
