//! The database's shape: an open format, described in tokenpak-db(5).
//!
//! Columns and views are only ever added. Reports read the views and never the tables, so that
//! whoever looks with `sqlite3` sees the same numbers. Money is kept in nano-dollars, whole
//! numbers, so that sums agree in every grouping; the views give dollars.

use rusqlite::{Connection, TransactionBehavior};

use super::fault::Kind;
use super::patience;

/// "tokp": tells our files from other SQLite files.
const APPLICATION_ID: i64 = 0x746f_6b70;

/// Step i makes version i + 1 of a database of version i. What has been released never changes.
pub(super) const STEPS: &[&str] = &[
    include_str!("schema/requests.sql"),
    include_str!("schema/roll-up.sql"),
    include_str!("schema/calibration.sql"),
    include_str!("schema/traces.sql"),
];

/// Made anew by every version, since they hold nothing.
const VIEWS: &str = include_str!("schema/views.sql");

/// Views of sums: name, the column that tells rows apart, and what they are made from. A week has
/// the name of its Monday.
const SUM_VIEWS: &[(&str, &str, &str)] = &[
    ("hourly", "strftime('%Y-%m-%d %H:00', start, 'unixepoch', 'localtime') AS hour", "quarterly"),
    ("daily", "date(start, 'unixepoch', 'localtime') AS date", "quarterly"),
    (
        "weekly",
        "date(start, 'unixepoch', 'localtime', 'weekday 0', '-6 days') AS week",
        "quarterly",
    ),
    ("monthly", "strftime('%Y-%m', start, 'unixepoch', 'localtime') AS month", "quarterly"),
    ("by_model", "model", "utc_parts"),
    ("by_provider", "provider", "utc_parts"),
    ("by_project", "project", "utc_parts"),
    ("by_client", "client", "utc_parts"),
    ("by_mode", "mode", "utc_parts"),
    ("by_status", "status", "utc_parts"),
];

/// What each of them says.
const SUMS: &str = "sum(requests) AS requests,
    sum(errors) AS errors,
    sum(tokens_before) AS tokens_before,
    sum(tokens_after) AS tokens_after,
    sum(tokens_before) - sum(tokens_after) AS tokens_saved,
    sum(input_tokens) AS input_tokens,
    sum(cache_read_tokens) AS cache_read_tokens,
    sum(cache_write_tokens) AS cache_write_tokens,
    sum(output_tokens) AS output_tokens,
    sum(cost_nano) / 1e9 AS cost_usd,
    sum(saved_nano) / 1e9 AS saved_usd";

/// The views of earlier versions, and of ours.
const OLD_VIEWS: &str = "SELECT name FROM sqlite_schema WHERE type = 'view' AND name <> 'measured'";

/// The version that this program writes.
pub(super) const VERSION: i64 = STEPS.len() as i64;

/// Brings a database to `VERSION`; an empty file becomes one. What is not ours is left alone.
pub(super) fn bring_up(connection: &mut Connection) -> Result<(), Kind> {
    if is_empty(connection)? {
        // Space that old requests leave can be given back later; it must be said before anything.
        connection.pragma_update(None, "auto_vacuum", "incremental")?;
    }
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version = if is_empty(&change)? { 0 } else { check(&change)? };
    if version < VERSION {
        let what = format!("bringing the database from schema {version} to {VERSION}");
        patience::while_waiting(&what, || migrate(&change, version))?;
    }
    Ok(change.commit()?)
}

fn migrate(change: &Connection, version: i64) -> rusqlite::Result<()> {
    let mut views = change.prepare(OLD_VIEWS)?;
    let names =
        views.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    for name in names {
        change.execute_batch(&format!("DROP VIEW \"{name}\""))?;
    }
    for step in &STEPS[usize::try_from(version).unwrap_or(0)..] {
        change.execute_batch(step)?;
    }
    change.execute_batch(VIEWS)?;
    for (name, key, source) in SUM_VIEWS {
        change.execute_batch(&format!(
            "CREATE VIEW {name} AS SELECT {key},
    {SUMS}
    FROM {source} GROUP BY 1"
        ))?;
    }
    change.pragma_update(None, "application_id", APPLICATION_ID)?;
    change.pragma_update(None, "user_version", VERSION)
}

/// The version of a database that is ours and that we understand.
pub(super) fn check(connection: &Connection) -> Result<i64, Kind> {
    if number(connection, "PRAGMA application_id")? != APPLICATION_ID {
        return Err(Kind::Foreign);
    }
    match number(connection, "PRAGMA user_version")? {
        version if version > VERSION => Err(Kind::Newer(version)),
        version => Ok(version),
    }
}

/// For those who only read: an older database lacks the views that reports are made from.
pub(super) fn check_for_reading(connection: &Connection) -> Result<(), Kind> {
    match check(connection)? {
        VERSION => Ok(()),
        version => Err(Kind::Older(version)),
    }
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    Ok(number(connection, "SELECT count(*) FROM sqlite_schema")? == 0)
}

fn number(connection: &Connection, sql: &str) -> rusqlite::Result<i64> {
    connection.query_row(sql, [], |row| row.get(0))
}
