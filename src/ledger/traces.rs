//! The last requests with what is known of how they were passed on.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Entry;
use super::fault::Fault;
use super::file;
use crate::trace::{KEPT, Trace};

/// A request as the ledger has it, and how it was passed on.
pub(crate) struct Traced {
    /// Number of the row in `requests`.
    pub(crate) id: i64,
    pub(crate) request_id: String,
    /// Unix seconds, and seconds east of Greenwich where the reader is.
    pub(crate) ts: i64,
    pub(crate) offset_s: i64,
    /// The same as local date and time.
    pub(crate) at: String,
    pub(crate) provider: String,
    pub(crate) api: String,
    pub(crate) model: Option<String>,
    pub(crate) client: Option<String>,
    pub(crate) status: Option<u16>,
    pub(crate) error: Option<String>,
    pub(crate) stream: bool,
    pub(crate) tokens_before: Option<u64>,
    pub(crate) tokens_after: Option<u64>,
    pub(crate) input: Option<u64>,
    pub(crate) cache_read: Option<u64>,
    pub(crate) cache_write: Option<u64>,
    pub(crate) output: Option<u64>,
    pub(crate) cost_nano: Option<i64>,
    pub(crate) saved_nano: Option<i64>,
    pub(crate) skip: Option<String>,
    pub(crate) footer: Option<String>,
    pub(crate) proxy_us: u64,
    pub(crate) ttfb_ms: Option<u64>,
    pub(crate) total_ms: u64,
    pub(crate) trace: Trace,
}

/// Which requests to look for.
pub(crate) enum Which<'a> {
    /// The last so many.
    Last(u32),
    /// By number of the row or by `x-tokenpak-request-id`.
    Named(&'a str),
}

/// Writes what is known of requests beside their rows, and deletes what is older than the last ones:
/// those that would go at once are not written.
pub(super) fn keep(change: &Connection, entries: &[&Entry]) -> rusqlite::Result<()> {
    let mut last: Vec<_> =
        entries.iter().rev().filter(|it| it.trace.is_some()).take(KEPT).collect();
    last.reverse();
    for entry in last {
        let detail = entry.trace.as_ref().and_then(|trace| serde_json::to_string(trace).ok());
        let sql = "INSERT INTO traces (request_id, detail) VALUES (?, ?)";
        change.prepare_cached(sql)?.execute(params![entry.request_id, detail])?;
    }
    let sql = "DELETE FROM traces WHERE id <= (SELECT max(id) FROM traces) - ?";
    change.prepare_cached(sql)?.execute([KEPT as i64]).map(drop)
}

const SELECT: &str = "SELECT requests.id, requests.request_id, ts,
    unixepoch(ts, 'unixepoch', 'localtime') - ts,
    datetime(ts, 'unixepoch', 'localtime'),
    provider, api, model, client, status, error, stream, tokens_before, tokens_after,
    input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, cost_nano, saved_nano,
    skip_reason, footer, proxy_us, ttfb_ms, total_ms, detail
    FROM traces JOIN requests ON requests.request_id = traces.request_id";

/// The requests that are asked for and still known, in the order in which they ended.
pub(crate) fn traces(path: &Path, which: &Which<'_>) -> Result<Vec<Traced>, Fault> {
    let connection = file::open_for_reading(path)?;
    let found = match which {
        Which::Last(count) => last(&connection, *count),
        Which::Named(name) => named(&connection, name).map(|found| found.into_iter().collect()),
    };
    found.map_err(|err| Fault::new(path, err))
}

fn last(connection: &Connection, count: u32) -> rusqlite::Result<Vec<Traced>> {
    let sql = format!("{SELECT} ORDER BY traces.id DESC LIMIT ?");
    let mut statement = connection.prepare(&sql)?;
    let found = statement.query_map([count], traced)?.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(found.into_iter().rev().collect())
}

fn named(connection: &Connection, name: &str) -> rusqlite::Result<Option<Traced>> {
    let sql = format!(
        "{SELECT} WHERE requests.request_id = ?1 OR CAST(requests.id AS TEXT) = ?1
        ORDER BY requests.request_id = ?1 DESC LIMIT 1"
    );
    connection.prepare(&sql)?.query_row([name], traced).optional()
}

fn traced(row: &Row<'_>) -> rusqlite::Result<Traced> {
    let detail: String = row.get(25)?;
    Ok(Traced {
        id: row.get(0)?,
        request_id: row.get(1)?,
        ts: row.get(2)?,
        offset_s: row.get(3)?,
        at: row.get(4)?,
        provider: row.get(5)?,
        api: row.get(6)?,
        model: row.get(7)?,
        client: row.get(8)?,
        status: row.get(9)?,
        error: row.get(10)?,
        stream: row.get(11)?,
        tokens_before: count(row, 12)?,
        tokens_after: count(row, 13)?,
        input: count(row, 14)?,
        cache_read: count(row, 15)?,
        cache_write: count(row, 16)?,
        output: count(row, 17)?,
        cost_nano: row.get(18)?,
        saved_nano: row.get(19)?,
        skip: row.get(20)?,
        footer: row.get(21)?,
        proxy_us: count(row, 22)?.unwrap_or(0),
        ttfb_ms: count(row, 23)?,
        total_ms: count(row, 24)?.unwrap_or(0),
        // Written by another version, perhaps: what it has and we do not know is left out.
        trace: serde_json::from_str(&detail).unwrap_or_default(),
    })
}

fn count(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<u64>> {
    let number: Option<i64> = row.get(at)?;
    Ok(number.and_then(|number| number.try_into().ok()))
}
