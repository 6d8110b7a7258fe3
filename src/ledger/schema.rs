//! The database's shape: an open format, described in tokenpak-db(5).
//!
//! Columns and views are only ever added. Reports read the views and never the table, so that
//! whoever looks with `sqlite3` sees the same numbers. Money is kept in nano-dollars, whole
//! numbers, so that sums agree in every grouping; the views give dollars.

use rusqlite::{Connection, TransactionBehavior};

use super::fault::Kind;

/// "tokp": tells our files from other SQLite files.
const APPLICATION_ID: i64 = 0x746f_6b70;

/// A view that sums up requests by a key. A status of 400 or more is an error whoever left first.
macro_rules! view {
    ($name:literal, $key:literal) => {
        concat!(
            "CREATE VIEW ",
            $name,
            " AS SELECT ",
            $key,
            ",
            count(*) AS requests,
            sum(CASE WHEN status >= 400 THEN 1 WHEN error IS 'client_gone' THEN 0
                ELSE error IS NOT NULL OR status IS NULL END) AS errors,
            sum(tokens_before) AS tokens_before,
            sum(tokens_after) AS tokens_after,
            sum(tokens_before - tokens_after) AS tokens_saved,
            sum(input_tokens) AS input_tokens,
            sum(cache_read_tokens) AS cache_read_tokens,
            sum(cache_write_tokens) AS cache_write_tokens,
            sum(output_tokens) AS output_tokens,
            sum(cost_nano) / 1e9 AS cost_usd,
            sum(saved_nano) / 1e9 AS saved_usd
            FROM requests WHERE api <> 'other' GROUP BY 1;\n"
        )
    };
}
/// Step i makes version i + 1 of a database of version i.
const STEPS: &[&str] = &[concat!(
    "
    CREATE TABLE requests (
        id INTEGER PRIMARY KEY,
        request_id TEXT NOT NULL UNIQUE,
        ts INTEGER NOT NULL,
        provider TEXT NOT NULL,
        api TEXT NOT NULL,
        model TEXT,
        project TEXT,
        client TEXT,
        status INTEGER,
        error TEXT,
        stream INTEGER NOT NULL,
        tokens_before INTEGER,
        tokens_after INTEGER,
        input_tokens INTEGER,
        cache_read_tokens INTEGER,
        cache_write_tokens INTEGER,
        cache_write_1h_tokens INTEGER,
        output_tokens INTEGER,
        reasoning_tokens INTEGER,
        cost_nano INTEGER,
        saved_nano INTEGER,
        basis TEXT NOT NULL,
        mode TEXT NOT NULL,
        level TEXT NOT NULL,
        skip_reason TEXT,
        proxy_us INTEGER NOT NULL,
        ttfb_ms INTEGER,
        total_ms INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX requests_ts ON requests (ts);

    -- Why a request is missing from the costs: its model has no price, or its answer no usage.
    CREATE VIEW unpriced AS SELECT
        date(ts, 'unixepoch', 'localtime') AS date,
        model,
        CASE WHEN input_tokens IS NULL OR output_tokens IS NULL
            THEN 'usage' ELSE 'price' END AS missing,
        count(*) AS requests
        FROM requests WHERE api <> 'other' AND cost_nano IS NULL GROUP BY 1, 2, 3;

    -- A row per request: percentiles cannot be summed up.
    CREATE VIEW latency AS SELECT ts, provider, model, proxy_us, ttfb_ms, total_ms
        FROM requests WHERE api <> 'other';
    ",
    view!("hourly", "strftime('%Y-%m-%d %H:00', ts, 'unixepoch', 'localtime') AS hour"),
    view!("daily", "date(ts, 'unixepoch', 'localtime') AS date"),
    view!("by_model", "model"),
    view!("by_provider", "provider"),
    view!("by_project", "project"),
    view!("by_client", "client"),
    view!("by_mode", "mode"),
    view!("by_status", "status"),
)];

/// The version that this program writes.
pub(super) const VERSION: i64 = STEPS.len() as i64;

/// Brings a database to `VERSION`; an empty file becomes one. What is not ours is left alone.
pub(super) fn bring_up(connection: &mut Connection) -> Result<(), Kind> {
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version = if is_empty(&change)? { 0 } else { check(&change)? };
    for step in &STEPS[usize::try_from(version).unwrap_or(0)..] {
        change.execute_batch(step)?;
    }
    if version < VERSION {
        change.pragma_update(None, "application_id", APPLICATION_ID)?;
        change.pragma_update(None, "user_version", VERSION)?;
    }
    Ok(change.commit()?)
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

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    Ok(number(connection, "SELECT count(*) FROM sqlite_schema")? == 0)
}

fn number(connection: &Connection, sql: &str) -> rusqlite::Result<i64> {
    connection.query_row(sql, [], |row| row.get(0))
}
