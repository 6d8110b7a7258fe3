//! The time of day where we are. The standard library has no zones, and SQLite asks libc.

use rusqlite::Connection;

/// Tells the local time.
pub(crate) struct Clock {
    connection: Connection,
}

impl Clock {
    /// `None` if there is no memory for it.
    pub(crate) fn new() -> Option<Clock> {
        Connection::open_in_memory().ok().map(|connection| Clock { connection })
    }

    /// `08:14:02`
    pub(crate) fn time_of_day(&self) -> String {
        self.ask("select strftime('%H:%M:%S', 'now', 'localtime')")
    }

    /// `2026-11-22 08:14:02`
    pub(crate) fn date_and_time(&self) -> String {
        self.ask("select strftime('%Y-%m-%d %H:%M:%S', 'now', 'localtime')")
    }

    fn ask(&self, question: &str) -> String {
        let mut statement = match self.connection.prepare_cached(question) {
            Ok(statement) => statement,
            Err(_) => return String::new(),
        };
        statement.query_row([], |row| row.get(0)).unwrap_or_default()
    }
}
