//! Requests that are too old are deleted; the roll-up keeps what reports say of them.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::Connection;

use super::forms;

/// Rows and free pages that are dealt with at once: some milliseconds, even on a slow disk.
const ROWS_AT_ONCE: u32 = 500;
const PAGES_AT_ONCE: u32 = 500;

/// Time for this work at a time, at the most. What is left over waits for the next occasion.
const WORK: Duration = Duration::from_millis(100);
/// Between two looks, once nothing was left.
const REST: Duration = Duration::from_secs(3600);

/// When to look again.
pub(super) struct Retention {
    next: Instant,
}

impl Retention {
    pub(super) fn new() -> Retention {
        Retention { next: Instant::now() }
    }

    /// Deletes some of what is older than so many days, if it is time to. 0: nothing is. No step begins
    /// after `idle_until`, when new rows are due.
    pub(super) fn apply(
        &mut self,
        connection: &Connection,
        days: u32,
        idle_until: Instant,
    ) -> rusqlite::Result<()> {
        if Instant::now() < self.next {
            return Ok(());
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let oldest = now as i64 - i64::from(days) * 86_400;
        let until = idle_until.min(Instant::now() + WORK);
        while Instant::now() < until {
            let forms = forms::forget(connection, ROWS_AT_ONCE)?;
            let requests = if days == 0 { 0 } else { forget(connection, oldest)? };
            if forms + requests + give_back(connection)? == 0 {
                self.next = Instant::now() + REST;
                break;
            }
        }
        Ok(())
    }
}

/// Deletes requests from before `oldest`. Returns how many there were.
fn forget(connection: &Connection, oldest: i64) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM requests WHERE id IN
        (SELECT id FROM requests WHERE ts < ? ORDER BY ts LIMIT ?)";
    connection.prepare_cached(sql)?.execute((oldest, ROWS_AT_ONCE))
}

/// Gives free pages back to the file system. Returns how many. SQLite takes one for each row that
/// it is asked for, so all of them are.
fn give_back(connection: &Connection) -> rusqlite::Result<usize> {
    let sql = format!("PRAGMA incremental_vacuum({PAGES_AT_ONCE})");
    connection
        .prepare_cached(&sql)?
        .query_map([], |_| Ok(()))?
        .try_fold(0, |pages, row| row.map(|()| pages + 1))
}
