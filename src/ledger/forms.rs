//! Forms of conversations (see `crate::forms`): digests under a key that is elsewhere, and what stands
//! for settings. No text, no name.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension, Row, Transaction};

use super::file;

/// Forms are kept for so long after the last request that was sent in them.
const DAYS: i64 = 30;

/// Forms that may wait for a disk that fails.
const WAITING_MAX: usize = 16 * 1024;

/// A form as it is written down.
pub(crate) const FORM_BYTES: usize = 32;

/// What of it stands for settings, in front.
pub(crate) const SETTINGS_BYTES: usize = 8;

pub(super) type Form = [u8; FORM_BYTES];

/// What waits to be written, in the order in which it came.
#[derive(Default)]
pub(super) struct Waiting {
    forms: Mutex<Vec<(u128, Form)>>,
    /// There is a form in the file.
    pub(super) has_any: AtomicBool,
    /// The writer sleeps until it is woken.
    pub(super) is_resting: AtomicBool,
}

impl Waiting {
    pub(super) fn push(&self, digest: u128, form: Form) {
        let mut forms = self.forms.lock().unwrap_or_else(PoisonError::into_inner);
        if forms.len() < WAITING_MAX {
            forms.push((digest, form));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.forms.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Writes what waits, and forgets it once it is safe.
    pub(super) fn write(&self, connection: &mut Connection) -> rusqlite::Result<()> {
        let taken = std::mem::take(&mut *self.forms.lock().unwrap_or_else(PoisonError::into_inner));
        if taken.is_empty() {
            return Ok(());
        }
        let written = connection.transaction().and_then(|change| {
            insert(&change, &taken)?;
            change.commit()
        });
        match written {
            Ok(()) => self.has_any.store(true, Ordering::Relaxed),
            Err(_) => {
                let mut forms = self.forms.lock().unwrap_or_else(PoisonError::into_inner);
                let later = std::mem::replace(&mut *forms, taken);
                forms.extend(later);
                forms.truncate(WAITING_MAX);
            }
        }
        written
    }
}

fn insert(change: &Transaction, forms: &[(u128, Form)]) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO forms (digest, day, form) VALUES (?, ?, ?)";
    let mut statement = change.prepare_cached(sql)?;
    let today = today();
    for (digest, form) in forms {
        statement.execute((digest.to_be_bytes(), today, form))?;
    }
    Ok(())
}

/// Whether there are any.
pub(super) fn has_any(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT EXISTS (SELECT 1 FROM forms)", [], |row| row.get(0))
}

/// The first of these digests that is known: its place among them, and its form. Whatever is wrong with
/// the file, the history is unknown then.
pub(super) fn find(path: &Path, digests: &mut dyn Iterator<Item = u128>) -> Option<(usize, Form)> {
    let connection = file::open_as_it_is(path).ok()?;
    let mut statement = connection.prepare("SELECT form FROM forms WHERE digest = ?").ok()?;
    for (place, digest) in digests.enumerate() {
        let found = statement.query_row([digest.to_be_bytes()], |row| row.get(0)).optional();
        if let Some(form) = found.ok()? {
            return Some((place, form));
        }
    }
    None
}

/// How many there are, by the first bytes of each, which stand for its settings.
pub(crate) fn forms(path: &Path) -> Vec<([u8; SETTINGS_BYTES], u64)> {
    let read = || -> Option<Vec<_>> {
        let connection = file::open_as_it_is(path).ok()?;
        let sql = "SELECT substr(form, 1, ?), count(*) FROM forms GROUP BY 1";
        let mut statement = connection.prepare(sql).ok()?;
        let row = |row: &Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs()));
        statement.query_map([SETTINGS_BYTES as i64], row).ok()?.collect::<Result<_, _>>().ok()
    };
    read().unwrap_or_default()
}

/// Deletes some that are too old. Returns how many.
pub(super) fn forget(connection: &Connection, rows: u32) -> rusqlite::Result<usize> {
    let sql = "DELETE FROM forms WHERE digest IN (SELECT digest FROM forms WHERE day < ? LIMIT ?)";
    connection.prepare_cached(sql)?.execute((today() - DAYS, rows))
}

fn today() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    (now / 86_400) as i64
}
