//! Whether the file system of the database is about to be full: told while there is still time.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Below so much free space: days of rows, or one download of somebody else's.
const LOW_BYTES: u64 = 64 * 1024 * 1024;
/// Between two looks.
const PAUSE: Duration = Duration::from_secs(60);

pub(super) struct Disk {
    folder: PathBuf,
    last: Option<Instant>,
}

impl Disk {
    pub(super) fn new(database: &Path) -> Disk {
        Disk { folder: database.parent().unwrap_or(Path::new(".")).to_owned(), last: None }
    }

    /// What to say if it is, at most once a minute.
    pub(super) fn is_low(&mut self) -> Option<String> {
        if self.last.is_some_and(|last| last.elapsed() < PAUSE) {
            return None;
        }
        self.last = Some(Instant::now());
        let free = free_bytes(&self.folder)?;
        let (path, free_mb) = (self.folder.display(), free / 1_000_000);
        (free < LOW_BYTES).then(|| format!("low disk path={path} free_mb={free_mb}"))
    }
}

/// What is left for us; `None` where it cannot be asked.
fn free_bytes(folder: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(folder).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}
