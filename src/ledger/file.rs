//! The database file: made private, opened for writing or for reading, put aside when damaged.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OpenFlags};

use super::checkpoint;
use super::fault::{Fault, Kind};
use super::schema;
use crate::ownership;

/// How long to wait for a lock that another process holds: longer than any statement of ours.
const BUSY: Duration = Duration::from_millis(1000);

/// The log of changes that SQLite leaves behind after a checkpoint: bounded, for small disks.
const JOURNAL_BYTES_MAX: i64 = 4 * 1024 * 1024;

/// Suffix of the log of changes that are not in the database yet.
const LOG: &str = "-wal";

/// What SQLite keeps beside a database.
const COMPANIONS: &[&str] = &[LOG, "-shm"];

/// SQLite then refuses links anywhere in the path, at the open itself: it gets a path whose
/// directories have been resolved (`real`).
const NO_LINK: OpenFlags = OpenFlags::SQLITE_OPEN_NOFOLLOW;

/// Device and inode: tells whether a name still means the same file.
type Identity = (u64, u64);

/// A database open for writing, and which files it and its log were when it was opened.
pub(super) struct LedgerFile {
    pub(super) connection: Connection,
    file: Identity,
    log: Option<Identity>,
}

impl LedgerFile {
    /// Opens for writing; makes what is missing: directories, file, tables.
    pub(super) fn open(path: &Path) -> Result<LedgerFile, Fault> {
        let fault = |kind| Fault::new(path, kind);
        make_private(path).map_err(fault)?;
        let file = identity(path).map_err(|err| fault(err.into()))?;
        let connection = connect(&real(path)).map_err(fault)?;
        let log = identity(&with_suffix(path, LOG)).ok();
        Ok(LedgerFile { connection, file, log })
    }

    /// Opens for writing what is there, and makes nothing.
    pub(super) fn open_present(path: &Path) -> Result<Connection, Fault> {
        let fault = |kind| Fault::new(path, kind);
        refuse_odd(path).map_err(fault)?;
        connect(&real(path)).map_err(fault)
    }

    /// Whether the path still leads to the file that is open, and its log's to the log. Rows
    /// written to a file that was deleted or replaced would be lost without an error.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        let log = identity(&with_suffix(path, LOG)).ok();
        identity(path).is_ok_and(|now| now == self.file) && log == self.log
    }

    /// Closes a database whose file was deleted or replaced. Its log must not stay: SQLite would
    /// apply it to whatever has the name now.
    pub(super) fn abandon(self, path: &Path) -> Result<(), Fault> {
        drop(self.connection);
        let log = identity(&with_suffix(path, LOG)).ok();
        if log.is_some() && log == self.log {
            move_all(path, COMPANIONS).map_err(|err| Fault::new(path, err))?;
        }
        Ok(())
    }
}

fn connect(path: &Path) -> Result<Connection, Kind> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | NO_LINK;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    schema::bring_up(&mut connection)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    // In WAL mode this is safe against a killed process; only a power cut may cost the last rows.
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.pragma_update(None, "journal_size_limit", JOURNAL_BYTES_MAX)?;
    connection.pragma_update(None, "wal_autocheckpoint", checkpoint::PAGES_MAX)?;
    // Any reading opens the log.
    schema::check(&connection)?;
    Ok(connection)
}

/// Opens for reading only. Works while a proxy writes and while none runs, and from a medium that
/// cannot be written.
pub(super) fn open_for_reading(path: &Path) -> Result<Connection, Fault> {
    let fault = |kind| Fault::new(path, kind);
    // SQLite's own message would not tell these cases apart.
    refuse_odd(path).map_err(fault)?;
    File::open(path).map_err(|err| fault(err.into()))?;
    let path = &real(path);
    match open_plainly(path) {
        // Nobody writes, and SQLite could not make its own files beside this one.
        Err(kind) if kind.is_write_protected() && is_empty(&with_suffix(path, LOG)) => {
            open_unchanging(path).map_err(fault)
        }
        other => other.map_err(fault),
    }
}

/// A database that is sound.
pub(crate) struct Examined {
    pub(crate) schema: i64,
    /// With its log.
    pub(crate) bytes: u64,
}

pub(super) fn examine(path: &Path) -> Result<Option<Examined>, Fault> {
    let fault = |kind| Fault::new(path, kind);
    let file_fault = |error: io::Error| fault(error.into());
    if path.symlink_metadata().is_err() {
        // The directories that are missing would be made in the last one that is not.
        let parent = path.ancestors().skip(1).find(|parent| parent.exists());
        return match parent {
            Some(parent) if !parent.is_dir() => {
                Err(file_fault(io::ErrorKind::NotADirectory.into()))
            }
            _ => Ok(None),
        };
    }
    refuse_odd(path).map_err(fault)?;
    // Nothing is written: whether it could be is what counts.
    OpenOptions::new().append(true).open(path).map_err(file_fault)?;
    let connection = open_for_reading(path)?;
    let look = || -> rusqlite::Result<(i64, String)> {
        let schema = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        Ok((schema, connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?))
    };
    let (schema, verdict) = look().map_err(|error| fault(error.into()))?;
    if verdict != "ok" {
        return Err(fault(Kind::Damaged(verdict)));
    }
    let size = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
    Ok(Some(Examined { schema, bytes: size(path) + size(&with_suffix(path, LOG)) }))
}

fn open_plainly(path: &Path) -> Result<Connection, Kind> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | NO_LINK)?;
    connection.busy_timeout(BUSY)?;
    schema::check_for_reading(&connection)?;
    Ok(connection)
}

/// Opens for reading one table that is known to be there, or not: the rest is not looked at.
pub(super) fn open_as_it_is(path: &Path) -> Result<Connection, Kind> {
    refuse_odd(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | NO_LINK;
    let connection = Connection::open_with_flags(real(path), flags)?;
    // A request waits for this.
    connection.busy_timeout(BUSY / 20)?;
    Ok(connection)
}

/// SQLite takes this option in a URI only, in which odd bytes are escaped.
pub(super) fn open_unchanging(path: &Path) -> Result<Connection, Kind> {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' => uri.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => uri.push(char::from(*byte)),
            byte => uri.push_str(&format!("%{byte:02x}")),
        }
    }
    uri.push_str("?immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | NO_LINK;
    let connection = Connection::open_with_flags(uri, flags)?;
    schema::check_for_reading(&connection)?;
    Ok(connection)
}

/// Whether a damaged file may be ours to move: it begins like a database, or is named like one.
/// Anything else is a slip in the configuration, and somebody's notes.
pub(super) fn may_be_database(path: &Path) -> bool {
    const MAGIC: &[u8] = b"SQLite format 3\0";
    let mut start = [0; MAGIC.len()];
    let begins = File::open(path).and_then(|mut file| file.read_exact(&mut start));
    (begins.is_ok() && start == MAGIC) || path.extension().is_some_and(|suffix| suffix == "db")
}

/// Moves a damaged database out of the way, its companions with it, and puts an empty file in its place
/// that may be read and written by the same accounts. Returns its new name.
pub(super) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let old = fs::metadata(path)?;
    let aside = move_all(path, &["", COMPANIONS[0], COMPANIONS[1]])?;
    ownership::create_new(path, 0o600, Some(&old))?;
    Ok(aside)
}

/// Gives those files that exist a new name, of which the suffixes remain. Returns it without one.
fn move_all(path: &Path, suffixes: &[&str]) -> io::Result<PathBuf> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let mut aside = with_suffix(path, &format!(".corrupt-{now}"));
    for again in 1.. {
        if !suffixes.iter().any(|suffix| with_suffix(&aside, suffix).exists()) {
            break;
        }
        aside = with_suffix(path, &format!(".corrupt-{now}.{again}"));
    }
    for suffix in suffixes {
        match fs::rename(with_suffix(path, suffix), with_suffix(&aside, suffix)) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err),
            _ => {}
        }
    }
    Ok(aside)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(suffix);
    PathBuf::from(name)
}

fn is_empty(path: &Path) -> bool {
    fs::metadata(path).map_or(true, |file| file.len() == 0)
}

fn identity(path: &Path) -> io::Result<Identity> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

/// Makes directories (0700) and file (0600) that are not there, whatever the umask. SQLite gives
/// its companions the mode of the file. A link in the last component is refused: whoever can
/// plant one would choose what we overwrite.
fn make_private(path: &Path) -> Result<(), Kind> {
    match refuse_odd(path) {
        Err(Kind::Missing) => {}
        found => return found,
    }
    ownership::make_directory(path.parent().unwrap_or(Path::new("")))?;
    if COMPANIONS.iter().any(|suffix| with_suffix(path, suffix).exists()) {
        // Left over from a database that was deleted; not to be taken for the new one's.
        move_all(path, COMPANIONS)?;
    }
    ownership::create_new(path, 0o600, None)?;
    Ok(())
}

/// A link would choose what is read or overwritten, and a FIFO would hold us up for ever.
fn refuse_odd(path: &Path) -> Result<(), Kind> {
    let kind = fs::symlink_metadata(path)?.file_type();
    match kind.is_file() || kind.is_dir() {
        true => Ok(()),
        false if kind.is_symlink() => Err(Kind::Link),
        false => Err(Kind::File(io::Error::other("it is not a regular file"))),
    }
}

/// The same file by a path without links above it.
fn real(path: &Path) -> PathBuf {
    let directory = path.parent().and_then(|parent| fs::canonicalize(parent).ok());
    match (directory, path.file_name()) {
        (Some(directory), Some(name)) => directory.join(name),
        _ => path.to_owned(),
    }
}
