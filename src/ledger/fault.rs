//! Why a database cannot be used: one type, all wording in its `Display`.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// What is wrong, with which file.
#[derive(Debug)]
pub(crate) struct Fault {
    path: PathBuf,
    kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Missing,
    /// The last component is a symbolic link.
    Link,
    /// A SQLite file of somebody else's.
    Foreign,
    /// A schema version from the future.
    Newer {
        version: i64,
        known: i64,
    },
    /// Of an earlier version, which only `serve` can bring up to ours.
    Older,
    /// What SQLite's own check found.
    Damaged(String),
    File(io::Error),
    Sqlite(rusqlite::Error),
}

impl Fault {
    pub(super) fn new(path: &Path, kind: impl Into<Kind>) -> Fault {
        Fault { path: path.to_path_buf(), kind: kind.into() }
    }

    /// Exit status of a command that needed the database.
    pub(crate) fn exit_code(&self) -> u8 {
        match &self.kind {
            Kind::Missing => 66,
            Kind::Damaged(_) | Kind::Link | Kind::Foreign | Kind::Newer { .. } | Kind::Older => 65,
            Kind::File(err) if err.kind() == io::ErrorKind::PermissionDenied => 77,
            Kind::File(_) => 74,
            Kind::Sqlite(_) if self.is_damage() => 65,
            Kind::Sqlite(err) => match err.sqlite_error_code() {
                Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => 77,
                _ => 74,
            },
        }
    }

    /// The file's content is no database, or is one no more.
    pub(super) fn is_damage(&self) -> bool {
        let Kind::Sqlite(err) = &self.kind else { return false };
        matches!(
            err.sqlite_error_code(),
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt)
        )
    }

    /// The same fault with `~` for the home directory.
    pub(crate) fn seen_from(mut self, home: &Path) -> Fault {
        if let Ok(below) = self.path.strip_prefix(home) {
            self.path = Path::new("~").join(below);
        }
        self
    }
}

impl Kind {
    /// What SQLite says when it may not write where it must.
    pub(super) fn is_write_protected(&self) -> bool {
        let Kind::Sqlite(err) = self else { return false };
        matches!(err.sqlite_error_code(), Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: ", self.path.display())?;
        match &self.kind {
            Kind::Missing => write!(out, "not there yet; it is made by the first 'tokenpak serve'"),
            Kind::Link => write!(out, "is a symbolic link; name the file that it points to"),
            Kind::Foreign => write!(out, "is not a database of tokenpak's"),
            Kind::Newer { version, known } => {
                write!(
                    out,
                    "has schema {version}, this tokenpak knows up to {known}; use a newer tokenpak"
                )
            }
            Kind::Older => write!(
                out,
                "was made by an earlier version; the next 'tokenpak serve' brings it up to date"
            ),
            Kind::Damaged(what) => write!(out, "is damaged: {what}"),
            Kind::File(err) => match err.kind() {
                io::ErrorKind::PermissionDenied => write!(out, "permission denied"),
                _ => write!(out, "{err}"),
            },
            Kind::Sqlite(_) if self.is_damage() => write!(out, "is damaged or not a database"),
            Kind::Sqlite(err) => write!(out, "{err}"),
        }
    }
}

impl From<io::Error> for Kind {
    fn from(err: io::Error) -> Kind {
        match err.kind() {
            io::ErrorKind::NotFound => Kind::Missing,
            _ => Kind::File(err),
        }
    }
}

impl From<rusqlite::Error> for Kind {
    fn from(err: rusqlite::Error) -> Kind {
        Kind::Sqlite(err)
    }
}
