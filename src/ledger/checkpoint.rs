//! Moves what is in the log into the database, beside the thread that writes rows.
//!
//! A checkpoint waits for the disk, for seconds on a slow one, and SQLite does it inside the commit that
//! fills the log: that held rows up for longer than `storage.flush_ms`. Any connection may do it, and the
//! one that writes goes on meanwhile. The thread lives for one checkpoint, so that an idle proxy has none.

use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use rusqlite::{Connection, OpenFlags};

/// Pages in the log that are not in the database yet: SQLite's own measure.
const PAGES: i64 = 1000;
/// With so many (64 MB) the disk cannot keep up, and the writer does it itself: the log must not grow
/// for ever.
pub(super) const PAGES_MAX: u32 = 16_384;
/// SQLite alone, which works in place.
const STACK_BYTES: usize = 128 * 1024;

pub(super) struct Checkpoints {
    path: PathBuf,
    running: Option<JoinHandle<()>>,
}

impl Checkpoints {
    pub(super) fn new(path: &Path) -> Checkpoints {
        Checkpoints { path: path.to_owned(), running: None }
    }

    /// Starts one if it is worth it and none runs.
    pub(super) fn after_commit(&mut self, connection: &Connection) {
        let is_running = self.running.as_ref().is_some_and(|thread| !thread.is_finished());
        if is_running || pages_left(connection).unwrap_or(0) < PAGES {
            return;
        }
        let path = self.path.clone();
        let thread = std::thread::Builder::new().name("checkpoint".into());
        // Without the thread the log grows, until the writer does it.
        self.running = thread.stack_size(STACK_BYTES).spawn(move || checkpoint(&path)).ok();
    }
}

impl Drop for Checkpoints {
    /// An orderly end leaves no log behind, which takes that nobody else has it open.
    fn drop(&mut self) {
        if let Some(thread) = self.running.take() {
            let _ = thread.join();
        }
    }
}

/// Pages of the log that are not in the database.
fn pages_left(connection: &Connection) -> rusqlite::Result<i64> {
    let mut ask = connection.prepare_cached("PRAGMA wal_checkpoint(NOOP)")?;
    ask.query_row([], |row| Ok(row.get::<_, i64>(1)? - row.get::<_, i64>(2)?))
}

/// What does not work now is tried again after the next commit.
fn checkpoint(path: &Path) {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if let Ok(connection) = Connection::open_with_flags(path, flags) {
        let _ = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    }
}
