//! Files that decide where keys go and what is overwritten: nobody else may write them.
//!
//! The rule is that of ssh(1): a file belongs to the user who runs or to root, and neither its group
//! nor others may write it; the superuser may read anybody's. A link in the last component is refused
//! at the open itself where we write, so that there is no moment between the look and the open. Links
//! further up are fine: systemd's state directory is one.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{Error, ErrorKind, Read, Result};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{OFlags, StatVfsMountFlags, fstatvfs};
use rustix::io::Errno;
use rustix::process::geteuid;

/// Of group and others.
const FOREIGN_WRITE: u32 = 0o022;
const STICKY: u32 = 0o1000;
/// Where the caller hands descriptors over by name, pipes among them.
const DEVICES: &str = "/dev";

/// Opens a regular file. A link in the last component is refused, and nothing is waited for: a
/// FIFO would hold us up until somebody comes to its other end.
pub(crate) fn open(path: &Path, options: &mut OpenOptions) -> Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = options.custom_flags(flags.bits() as i32).open(path).map_err(name_link)?;
    regular(file)
}

/// Opens for reading what only we or root may write; no link.
pub(crate) fn open_own(path: &Path) -> Result<File> {
    let file = open(path, OpenOptions::new().read(true))?;
    check_file(path, &file)?;
    Ok(file)
}

/// Reads what only we or root may write, its directory included; a link is followed.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    if path.starts_with(DEVICES) {
        return fs::read(path);
    }
    let flags = OFlags::NONBLOCK.bits() as i32;
    let mut file = regular(OpenOptions::new().read(true).custom_flags(flags).open(path)?)?;
    check_file(path, &file)?;
    // Whoever may rename in it may put another file there. Not so where it is sticky, like /tmp.
    let real = fs::canonicalize(path)?;
    for directory in [path.parent(), real.parent()].into_iter().flatten() {
        let open = File::open(directory)?;
        let found = open.metadata()?;
        if found.mode() & STICKY == 0 {
            check(directory, &found, &open)?;
        }
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The same as text.
pub(crate) fn read_to_string(path: &Path) -> Result<String> {
    String::from_utf8(read(path)?)
        .map_err(|_| Error::new(ErrorKind::InvalidData, "it is not UTF-8"))
}

/// Whether nobody else may write in this directory; one that is not there is fine. Sticky is not
/// enough: files that are not there yet could be made by others.
pub(crate) fn check_directory(path: &Path) -> Result<()> {
    match File::open(path) {
        Ok(directory) => check_file(path, &directory),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Whether nobody else may write what is open, which `path` has led to.
pub(crate) fn check_file(path: &Path, file: &File) -> Result<()> {
    check(path, &file.metadata()?, file)
}

fn check(path: &Path, found: &Metadata, open: impl AsFd) -> Result<()> {
    let (owner, we, path) = (found.uid(), geteuid().as_raw(), path.display());
    if owner != 0 && owner != we && we != 0 {
        return Err(refusal(format!("{path} belongs to uid {owner}; chown {we} {path}")));
    }
    if found.mode() & FOREIGN_WRITE == 0 || is_read_only(open) {
        return Ok(());
    }
    Err(refusal(format!("others may write {path}; chmod go-w {path}")))
}

/// What is mounted so is not written, whatever the modes say: volumes of containers have any.
fn is_read_only(open: impl AsFd) -> bool {
    fstatvfs(open).is_ok_and(|mount| mount.f_flag.contains(StatVfsMountFlags::RDONLY))
}

fn regular(file: File) -> Result<File> {
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(refusal("it is not a regular file")),
    }
}

fn name_link(error: Error) -> Error {
    match error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) {
        true => refusal("it is a symbolic link"),
        false => error,
    }
}

fn refusal(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::PermissionDenied, what.into())
}
