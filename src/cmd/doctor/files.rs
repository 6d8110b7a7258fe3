//! Whether a service can read and write its files, when root asks for it: root itself always can.

use std::path::{Path, PathBuf};

use super::{Case, Finding};
use crate::config::{self, TlsRoots};
use crate::ownership::Account;

/// What a proxy must be able to do, as sums of 4 to read, 2 to write and 1 to enter.
const READ: u32 = 4;
const WRITE: u32 = 6;
const ENTER: u32 = 7;

/// Files in the home that a proxy writes, if they are there.
const WRITTEN: &[&str] = &["tokenpak.pid", "tokenpak.log", "debug.json"];

pub(super) fn check(case: &Case) -> Vec<Finding> {
    let home = &case.config.home;
    let mut files = vec![(home.clone(), ENTER), (home.join("debug"), ENTER)];
    files.extend(WRITTEN.iter().map(|name| (home.join(name), WRITE)));
    files.push((config::path(&case.around).0, READ));
    if let TlsRoots::File(path) | TlsRoots::System(Some(path)) = &case.config.tls_roots {
        files.push((path.clone(), READ));
    }
    let closed = closed(case, &files);
    match Account::of(home) {
        Some(account) if closed.is_empty() => {
            vec![Finding::ok(format!("open to uid {}, who has {}", account.uid, home.display()))]
        }
        _ => closed,
    }
}

/// A database, its companions and its directory.
pub(super) fn of_database(path: &Path) -> Vec<(PathBuf, u32)> {
    let beside = |suffix: &str| (format!("{}{suffix}", path.display()).into(), WRITE);
    let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
    [(folder, ENTER)].into_iter().chain(["", "-wal", "-shm"].map(beside)).collect()
}

/// Those of the files that the account which has the home cannot use so. None if we are not root, or
/// the home is root's: then we see what the proxy sees.
pub(super) fn closed(case: &Case, files: &[(PathBuf, u32)]) -> Vec<Finding> {
    let home = &case.config.home;
    let Some(account) = Account::of(home) else { return Vec::new() };
    let one = |(path, wanted): &(PathBuf, u32)| {
        let found = std::fs::metadata(path).ok()?;
        if account.may(*wanted, &found) {
            return None;
        }
        let (Account { uid, gid }, path) = (account, path.display());
        let what = if *wanted == READ { "read" } else { "write" };
        let text = format!("{path}: uid {uid}, who has {}, cannot {what} it", home.display());
        Some(Finding::fail(text).hint(format!("chown {uid}:{gid} {path}")))
    };
    files.iter().filter_map(one).collect()
}
