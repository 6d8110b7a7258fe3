//! Why providers' caches were missed, as far as they have said it.

use std::path::Path;

use rusqlite::{Connection, Row};

use super::file;

/// Requests with one reason.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Misses {
    pub(crate) reason: String,
    pub(crate) requests: u64,
    /// Of these, those whose prompt was shortened.
    pub(crate) shortened: u64,
}

/// The reasons since a Unix time; none where there is no database, or one of before.
pub(crate) fn cache_misses(path: &Path, since: i64) -> Vec<Misses> {
    let connection = file::open_for_reading(path).ok();
    connection.and_then(|connection| read(&connection, since).ok()).unwrap_or_default()
}

fn read(connection: &Connection, since: i64) -> rusqlite::Result<Vec<Misses>> {
    let sql = "SELECT cache_miss, count(*), total(tokens_before > tokens_after) FROM requests
        WHERE ts >= ? AND cache_miss NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1";
    let row = |row: &Row<'_>| {
        let [requests, shortened] =
            [row.get::<_, i64>(1)? as f64, row.get(2)?].map(|sum| sum as u64);
        Ok(Misses { reason: row.get(0)?, requests, shortened })
    };
    connection.prepare(sql)?.query_map([since], row)?.collect()
}
