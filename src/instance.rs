//! The file that says which proxy runs in a home: `tokenpak.pid`, locked as long as it does.
//!
//! The lock says whether it runs, the content who it is: a file left by a process that was killed
//! is not locked and deceives nobody.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A proxy that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Running {
    pub(crate) pid: i32,
    /// `None` for the moment between its start and its first connection.
    pub(crate) address: Option<SocketAddr>,
}

/// This process's claim on the file. Ends with the process, however it ends.
#[derive(Debug)]
pub(crate) struct Claim {
    file: File,
    path: PathBuf,
}

/// The proxy that holds the file in `home`, if any.
pub(crate) fn running(home: &Path) -> Option<Running> {
    let mut file = File::open(path(home)).ok()?;
    match file.try_lock_shared() {
        Err(fs::TryLockError::WouldBlock) => read(&mut file),
        _ => None,
    }
}

/// Claims the file for this process.
///
/// # Errors
///
/// `Ok(Err(running))` if another proxy holds it, `Err` if it cannot be made.
pub(crate) fn claim(home: &Path) -> io::Result<Result<Claim, Option<Running>>> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(home)?;
    let path = path(home);
    let is_link = fs::symlink_metadata(&path).is_ok_and(|meta| meta.file_type().is_symlink());
    if is_link {
        // Whoever made it chooses what is overwritten.
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is a symbolic link"));
    }
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false);
    let mut file = options.mode(0o600).open(&path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Ok(Err(read(&mut file))),
        Err(fs::TryLockError::Error(error)) => return Err(error),
    }
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())?;
    Ok(Ok(Claim { file, path }))
}

impl Claim {
    /// Says where this proxy listens.
    pub(crate) fn listening(&mut self, address: SocketAddr) -> io::Result<()> {
        writeln!(self.file, "{address}")
    }

    /// Takes the file away at an orderly end, while it is still locked.
    pub(crate) fn release(self) {
        // If it stays, it is unlocked and says nothing.
        let _ = fs::remove_file(&self.path);
    }
}

fn path(home: &Path) -> PathBuf {
    home.join("tokenpak.pid")
}

/// First line the process, second line the address.
fn read(file: &mut File) -> Option<Running> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    let mut lines = text.lines();
    let pid = lines.next()?.parse().ok()?;
    Some(Running { pid, address: lines.next().and_then(|line| line.parse().ok()) })
}
