//! Whom files belong to that we write: as before where they replace others, else whoever has the folder.
//!
//! Root gives commands for a service that runs under another account, and may start a proxy in its home.
//! What that leaves behind must be the service's to read and to write. New files only are given away, by
//! their descriptor: of one that was there before, its owner may have chosen what it is.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{
    DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown, lchown,
};
use std::path::{Path, PathBuf};

use crate::safe_path;

/// Puts `bytes` in the place of a file, in one step where that keeps its owner, group and mode. A file
/// that is not there gets `mode`.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut name = OsString::from(path);
    name.push(format!(".new-{}", std::process::id()));
    let fresh = PathBuf::from(name);
    let old = fs::metadata(path).ok();
    let written = create_new(&fresh, mode, old.as_ref()).and_then(|file| write(file, bytes));
    match written.and_then(|()| fs::rename(&fresh, path)) {
        // It is somebody else's, who lets us write it and not more.
        Err(error) if error.kind() == ErrorKind::PermissionDenied && old.is_some() => {
            let _ = fs::remove_file(&fresh);
            write(OpenOptions::new().write(true).truncate(true).open(path)?, bytes)
        }
        // The half-written file is of no use; that it stays is no second error.
        outcome => outcome.inspect_err(|_| drop(fs::remove_file(&fresh))),
    }
}

fn write(mut file: File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes a file that must not be there yet: like `old`, else with this mode for whoever has the folder.
pub(crate) fn create_new(path: &Path, mode: u32, old: Option<&Metadata>) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode & 0o600).open(path)?;
    match old {
        Some(old) => {
            let own = file.metadata()?;
            if (own.uid(), own.gid()) != (old.uid(), old.gid()) {
                fchown(&file, Some(old.uid()), Some(old.gid()))?;
            }
            file.set_permissions(Permissions::from_mode(old.mode() & 0o7777))?;
        }
        None => {
            give(&file, path);
            file.set_permissions(Permissions::from_mode(mode))?;
        }
    }
    Ok(file)
}

/// Opens a regular file as `options` say, no link; one that is not there is made, with mode 0600.
pub(crate) fn open_or_create(path: &Path, options: &OpenOptions) -> io::Result<File> {
    let file = match safe_path::open(path, options.clone().create_new(true).mode(0o600)) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return safe_path::open(path, &mut options.clone());
        }
        made => made?,
    };
    give(&file, path);
    Ok(file)
}

/// Makes a directory and those above it that are missing (0700, whatever the umask).
pub(crate) fn make_directory(path: &Path) -> io::Result<()> {
    if path.as_os_str().is_empty() || path.exists() {
        return Ok(());
    }
    let parent = path.parent().unwrap_or(Path::new(""));
    make_directory(parent)?;
    match DirBuilder::new().mode(0o700).create(path) {
        // Another process made it in the meantime.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        made => made?,
    }
    fs::set_permissions(path, Permissions::from_mode(0o700))?;
    if let Some((uid, gid)) = heir(path) {
        let _ = lchown(path, Some(uid), Some(gid));
    }
    Ok(())
}

/// A file of root's is still better than none: where it cannot be given away, it stays.
pub(crate) fn give(file: &File, path: &Path) {
    if let Some((uid, gid)) = heir(path) {
        let _ = fchown(file, Some(uid), Some(gid));
    }
}

/// Whom root leaves a new file at `path` to, if not to itself.
fn heir(path: &Path) -> Option<(u32, u32)> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    Account::of(parent.unwrap_or(Path::new("."))).map(|account| (account.uid, account.gid))
}

/// The account that files are for, where it is not ours: root acts for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Account {
    /// Who has this directory, if we are root and it is another one.
    pub(crate) fn of(directory: &Path) -> Option<Account> {
        let is_root = rustix::process::geteuid().is_root();
        let found = is_root.then(|| fs::metadata(directory).ok()).flatten()?;
        (found.uid() != 0).then_some(Account { uid: found.uid(), gid: found.gid() })
    }

    /// Whether the account may do this with a file: 4 read, 2 write, 1 enter, as sums. By owner, group
    /// and mode of the file alone: what is above a service's home, systemd puts into its view.
    pub(crate) fn may(self, wanted: u32, file: &Metadata) -> bool {
        let allowed = match file.mode() {
            mode if file.uid() == self.uid => mode >> 6,
            mode if file.gid() == self.gid => mode >> 3,
            mode => mode,
        };
        allowed & wanted == wanted
    }
}
