//! The file that says which proxy runs in a home: `tokenpak.pid`, locked as long as it does.
//!
//! The lock says whether it runs, the content who it is: a file left by a process that was killed
//! is not locked and deceives nobody. It also says with which settings, which may be others than
//! those that the next command finds: the proxy may have been started with flags, in another
//! environment, or before a file was changed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::config::EffectiveSettings;
use crate::error::Error;
use crate::ownership;
use crate::safe_path;

/// A proxy that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Running {
    pub(crate) pid: i32,
    /// `None` for the moment between its start and its first connection.
    pub(crate) address: Option<SocketAddr>,
}

/// What came of locking the file.
pub(crate) enum Lock {
    Ours(PidFile),
    /// Another proxy's, if it could be read whose.
    Theirs(Option<Running>),
}

/// This process's claim on the file. Ends with the process, however it ends.
#[derive(Debug)]
pub(crate) struct PidFile {
    file: File,
    path: PathBuf,
    /// Where the settings begin.
    head_bytes: u64,
}

/// The proxy that holds the file in `home`, if any.
pub(crate) fn running(home: &Path) -> Option<Running> {
    let mut file = safe_path::open_own(&path(home)).ok()?;
    match file.try_lock_shared() {
        Err(fs::TryLockError::WouldBlock) => read(&mut file),
        _ => None,
    }
}

/// Whether what the file says can be believed, so that nobody else chooses who is stopped. One that
/// is not there says nothing.
///
/// # Errors
///
/// It is a link, or somebody else may write it.
pub(crate) fn check(home: &Path) -> Result<(), Error> {
    let path = path(home);
    match safe_path::open_own(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::read(&path, error)),
        _ => Ok(()),
    }
}

/// The settings of the proxy that runs in `home`. `None` if they cannot be read.
pub(crate) fn effective(home: &Path) -> Option<EffectiveSettings> {
    let mut text = String::new();
    safe_path::open_own(&path(home)).ok()?.read_to_string(&mut text).ok()?;
    serde_json::from_str(text.lines().nth(2)?).ok()
}

/// Claims the file for this process.
///
/// # Errors
///
/// It cannot be made.
pub(crate) fn claim(home: &Path) -> io::Result<Lock> {
    ownership::make_directory(home)?;
    let path = path(home);
    let mut file = ownership::open_or_create(&path, OpenOptions::new().read(true).write(true))?;
    safe_path::check_file(&path, &file)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Ok(Lock::Theirs(read(&mut file))),
        Err(fs::TryLockError::Error(error)) => return Err(error),
    }
    file.set_len(0)?;
    let line = format!("{}\n", std::process::id());
    file.write_all_at(line.as_bytes(), 0)?;
    Ok(Lock::Ours(PidFile { file, path, head_bytes: line.len() as u64 }))
}

impl PidFile {
    /// Says where this proxy listens.
    pub(crate) fn listening(&mut self, address: SocketAddr) -> io::Result<()> {
        let line = format!("{address}\n");
        self.file.write_all_at(line.as_bytes(), self.head_bytes)?;
        self.head_bytes += line.len() as u64;
        Ok(())
    }

    /// Says with which settings, in the place of what it said before.
    pub(crate) fn running_with(&self, settings: &EffectiveSettings) -> io::Result<()> {
        let line = format!("{}\n", serde_json::to_string(settings)?);
        // In one piece: whoever reads meanwhile finds a whole line, old or new.
        self.file.write_all_at(line.as_bytes(), self.head_bytes)?;
        self.file.set_len(self.head_bytes + line.len() as u64)
    }

    /// Takes the file away at an orderly end, while it is still locked.
    pub(crate) fn release(&self) {
        // If it stays, it is unlocked and says nothing.
        let _ = fs::remove_file(&self.path);
    }
}

fn path(home: &Path) -> PathBuf {
    home.join("tokenpak.pid")
}

/// First line the process, second line the address, third line the settings.
fn read(file: &mut File) -> Option<Running> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    let mut lines = text.lines();
    let pid = lines.next()?.parse().ok()?;
    Some(Running { pid, address: lines.next().and_then(|line| line.parse().ok()) })
}
