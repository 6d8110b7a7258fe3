//! What reports ask the database. Reads the views only, in one transaction, so that the numbers
//! belong together while a proxy goes on writing.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, Row, params};

use super::fault::Fault;
use super::file;

/// Totals over a range. `None` is "nothing known", never zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) requests: i64,
    pub(crate) errors: i64,
    /// Our own counts of the prompt as received, as sent, and the difference.
    pub(crate) tokens_before: Option<i64>,
    pub(crate) tokens_after: Option<i64>,
    pub(crate) tokens_saved: Option<i64>,
    /// As billed; cached tokens are part of the input.
    pub(crate) input_tokens: Option<i64>,
    pub(crate) cache_read_tokens: Option<i64>,
    pub(crate) cache_write_tokens: Option<i64>,
    pub(crate) output_tokens: Option<i64>,
    /// Nano-dollars; requests without a price are not in them.
    pub(crate) cost_nano: Option<i64>,
    pub(crate) saved_nano: Option<i64>,
}

/// Whole local days up to today, or all time.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub(crate) name: &'static str,
    /// Local times with offset; since is included, until is not. `None`: there are no requests.
    pub(crate) since: Option<String>,
    pub(crate) until: String,
    pub(crate) sums: Sums,
    /// Requests that are not in the costs.
    pub(crate) unpriced: i64,
    /// Added latency in microseconds: the median, and what one in twenty exceeds.
    pub(crate) p50_us: Option<i64>,
    pub(crate) p95_us: Option<i64>,
}

/// Requests that are not in the costs, of all time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unpriced {
    /// `None`: the answer brought no usage. Else the model that has no price, `""` if unnamed.
    pub(crate) model: Option<String>,
    pub(crate) requests: i64,
}

/// The default report: the same numbers over four windows.
#[derive(Clone, Debug)]
pub(crate) struct Overview {
    /// Local time with offset, to the second.
    pub(crate) at: String,
    /// Seconds east of Greenwich at that time.
    pub(crate) offset_s: i64,
    pub(crate) windows: Vec<Window>,
    pub(crate) unpriced: Vec<Unpriced>,
}

/// Name, and first day counted back from today.
const WINDOWS: &[(&str, Option<&str>)] = &[
    ("today", Some("+0 days")),
    ("7 days", Some("-6 days")),
    ("30 days", Some("-29 days")),
    ("all time", None),
];

/// Reads the default report as of a Unix time, with whole days of the reader's `TZ`.
pub(crate) fn overview(path: &Path, now: i64) -> Result<Overview, Fault> {
    let connection = file::open_for_reading(path)?;
    read(&connection, now).map_err(|err| Fault::new(path, err))
}

fn read(connection: &Connection, now: i64) -> rusqlite::Result<Overview> {
    let moment = connection.unchecked_transaction()?;
    let days = days(&moment)?;
    let missing = unpriced_by_day(&moment)?;
    let latencies = latencies(&moment)?;
    let until = midnight(&moment, &local_day(&moment, now, "+1 day")?)?;
    let mut windows = Vec::new();
    for (name, back) in WINDOWS {
        let since = match back {
            Some(back) => Some(local_day(&moment, now, back)?),
            None => days.first().map(|(day, _)| day.clone()),
        };
        let start = since.as_ref().map(|day| midnight(&moment, day)).transpose()?;
        let first_day = since.unwrap_or_default();
        let first_ts = start.unwrap_or(i64::MIN);
        let mut added: Vec<i64> = latencies
            .iter()
            .filter(|(ts, _)| *ts >= first_ts)
            .map(|(_, proxy_us)| *proxy_us)
            .collect();
        windows.push(Window {
            name,
            since: start.map(|ts| local_time(&moment, ts)).transpose()?,
            until: local_time(&moment, until)?,
            sums: total(days.iter().filter(|(day, _)| *day >= first_day).map(|(_, sums)| sums)),
            unpriced: missing
                .iter()
                .filter(|(day, _)| *day >= first_day)
                .map(|(_, row)| row.requests)
                .sum(),
            p50_us: percentile(&mut added, 50),
            p95_us: percentile(&mut added, 95),
        });
    }
    Ok(Overview {
        at: local_time(&moment, now)?,
        offset_s: offset(&moment, now)?,
        windows,
        unpriced: by_reason(missing),
    })
}

fn days(connection: &Connection) -> rusqlite::Result<Vec<(String, Sums)>> {
    let sql =
        "SELECT date, requests, errors, tokens_before, tokens_after, tokens_saved, input_tokens,
        cache_read_tokens, cache_write_tokens, output_tokens, cost_usd, saved_usd
        FROM daily ORDER BY date";
    connection.prepare(sql)?.query_map([], |row| Ok((row.get(0)?, sums(row)?)))?.collect()
}

fn sums(row: &Row<'_>) -> rusqlite::Result<Sums> {
    // Back to whole nano-dollars: exact up to nine million dollars a day.
    let nano = |usd: Option<f64>| usd.map(|usd| (usd * 1e9).round() as i64);
    Ok(Sums {
        requests: row.get("requests")?,
        errors: row.get("errors")?,
        tokens_before: row.get("tokens_before")?,
        tokens_after: row.get("tokens_after")?,
        tokens_saved: row.get("tokens_saved")?,
        input_tokens: row.get("input_tokens")?,
        cache_read_tokens: row.get("cache_read_tokens")?,
        cache_write_tokens: row.get("cache_write_tokens")?,
        output_tokens: row.get("output_tokens")?,
        cost_nano: nano(row.get("cost_usd")?),
        saved_nano: nano(row.get("saved_usd")?),
    })
}

/// What is unknown for every part is unknown for the whole; of no requests everything is zero.
fn total<'a>(parts: impl Iterator<Item = &'a Sums>) -> Sums {
    let none = Some(0);
    let sum = parts.fold(Sums::default(), |sum, part| Sums {
        requests: sum.requests + part.requests,
        errors: sum.errors + part.errors,
        tokens_before: add(sum.tokens_before, part.tokens_before),
        tokens_after: add(sum.tokens_after, part.tokens_after),
        tokens_saved: add(sum.tokens_saved, part.tokens_saved),
        input_tokens: add(sum.input_tokens, part.input_tokens),
        cache_read_tokens: add(sum.cache_read_tokens, part.cache_read_tokens),
        cache_write_tokens: add(sum.cache_write_tokens, part.cache_write_tokens),
        output_tokens: add(sum.output_tokens, part.output_tokens),
        cost_nano: add(sum.cost_nano, part.cost_nano),
        saved_nano: add(sum.saved_nano, part.saved_nano),
    });
    if sum.requests > 0 {
        return sum;
    }
    Sums {
        requests: 0,
        errors: 0,
        tokens_before: none,
        tokens_after: none,
        tokens_saved: none,
        input_tokens: none,
        cache_read_tokens: none,
        cache_write_tokens: none,
        output_tokens: none,
        cost_nano: none,
        saved_nano: none,
    }
}

fn add(sum: Option<i64>, part: Option<i64>) -> Option<i64> {
    match (sum, part) {
        (Some(sum), Some(part)) => Some(sum.saturating_add(part)),
        (sum, part) => sum.or(part),
    }
}

fn unpriced_by_day(connection: &Connection) -> rusqlite::Result<Vec<(String, Unpriced)>> {
    let sql = "SELECT date, CASE missing WHEN 'price' THEN coalesce(model, '') END, requests
        FROM unpriced";
    let row =
        |row: &Row<'_>| Ok((row.get(0)?, Unpriced { model: row.get(1)?, requests: row.get(2)? }));
    connection.prepare(sql)?.query_map([], row)?.collect()
}

/// One row per model or reason, the most frequent first.
fn by_reason(days: Vec<(String, Unpriced)>) -> Vec<Unpriced> {
    let mut counts = BTreeMap::new();
    for (_, row) in days {
        *counts.entry(row.model).or_insert(0) += row.requests;
    }
    let mut rows: Vec<Unpriced> =
        counts.into_iter().map(|(model, requests)| Unpriced { model, requests }).collect();
    rows.sort_by_key(|row| Reverse(row.requests));
    rows
}

/// Unix seconds and added microseconds of every request.
fn latencies(connection: &Connection) -> rusqlite::Result<Vec<(i64, i64)>> {
    let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    connection.prepare("SELECT ts, proxy_us FROM latency")?.query_map([], row)?.collect()
}

/// The smallest value that `percent` of all values do not exceed.
fn percentile(values: &mut [i64], percent: usize) -> Option<i64> {
    let rank = (values.len() * percent).div_ceil(100).checked_sub(1)?;
    Some(*values.select_nth_unstable(rank).1)
}

/// The local day of a Unix time, moved by something like `-6 days`.
fn local_day(connection: &Connection, now: i64, moved: &str) -> rusqlite::Result<String> {
    let sql = "SELECT date(?, 'unixepoch', 'localtime', ?)";
    connection.query_row(sql, params![now, moved], |row| row.get(0))
}

/// The Unix time at which a local day begins.
fn midnight(connection: &Connection, day: &str) -> rusqlite::Result<i64> {
    connection.query_row("SELECT unixepoch(?, 'utc')", [day], |row| row.get(0))
}

/// Seconds east of Greenwich at a Unix time.
fn offset(connection: &Connection, ts: i64) -> rusqlite::Result<i64> {
    let sql = "SELECT unixepoch(?1, 'unixepoch', 'localtime') - ?1";
    connection.query_row(sql, [ts], |row| row.get(0))
}

/// Local time with offset, `2026-11-22T21:15:03+01:00`.
fn local_time(connection: &Connection, ts: i64) -> rusqlite::Result<String> {
    let sql = "SELECT strftime('%Y-%m-%dT%H:%M:%S', ?, 'unixepoch', 'localtime')";
    let clock: String = connection.query_row(sql, [ts], |row| row.get(0))?;
    let east = offset(connection, ts)?;
    let (sign, minutes) = if east < 0 { ('-', -east / 60) } else { ('+', east / 60) };
    Ok(format!("{clock}{sign}{:02}:{:02}", minutes / 60, minutes % 60))
}
