//! Debug mode on disk: the switch, a file in the home that every proxy there obeys, and the bodies
//! that it may ask for.
//!
//! A file, because a command must reach proxies of other users and those that start later. It holds
//! how many requests are left, so that a restart forgets nothing.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

use crate::ownership;
use crate::safe_path;

const SWITCH: &str = "debug.json";
const BODIES: &str = "debug";

/// What is to be recorded of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Switch {
    /// For how many more; `None`: until it is switched off.
    pub(crate) requests: Option<u32>,
    /// The bodies, too.
    pub(crate) bodies: bool,
}

impl Switch {
    /// `None` if debug is off.
    pub(crate) fn read(home: &Path) -> io::Result<Option<Switch>> {
        let path = home.join(SWITCH);
        match safe_path::open_own(&path) {
            Ok(mut file) => {
                let mut bytes = Vec::new();
                file.read_to_end(&mut bytes)?;
                Ok(Some(serde_json::from_slice(&bytes)?))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces the file in one step.
    pub(crate) fn write(self, home: &Path) -> io::Result<()> {
        ownership::make_directory(home)?;
        let path = home.join(SWITCH);
        refuse_link(&path)?;
        ownership::replace(&path, &serde_json::to_vec(&self)?, 0o600)
    }

    /// Says whether it was there.
    pub(crate) fn remove(home: &Path) -> io::Result<bool> {
        match fs::remove_file(home.join(SWITCH)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Where the switch is.
pub(crate) fn path(home: &Path) -> PathBuf {
    home.join(SWITCH)
}

/// Where bodies are.
pub(crate) fn bodies(home: &Path) -> PathBuf {
    home.join(BODIES)
}

/// The files of a request's body, as received and as sent.
pub(crate) fn files(home: &Path, request_id: &str) -> [PathBuf; 2] {
    ["received", "sent"].map(|side| bodies(home).join(format!("{request_id}.{side}")))
}

/// Deletes all bodies.
pub(crate) fn clear(home: &Path) -> io::Result<()> {
    let directory = bodies(home);
    // Of a link the target would be emptied.
    match refuse_link(&directory).and_then(|()| fs::remove_dir_all(&directory)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Debug mode as a proxy sees it.
pub(crate) struct Debug {
    home: PathBuf,
    /// Somebody tells us when the switch changes, so that nobody has to look.
    is_watched: AtomicBool,
    is_on: AtomicBool,
    /// Requests count down one after the other.
    turn: Mutex<()>,
}

impl Debug {
    pub(crate) fn new(home: PathBuf) -> Debug {
        Debug {
            home,
            is_watched: AtomicBool::new(false),
            is_on: AtomicBool::new(true),
            turn: Mutex::new(()),
        }
    }

    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// The switch may have changed, and every later change will be told.
    pub(crate) fn refresh(&self) {
        self.is_on.store(path(&self.home).exists(), Ordering::Release);
        self.is_watched.store(true, Ordering::Release);
    }

    /// What is to be recorded of this request, which counts as one. While debug is off and the
    /// switch is watched, this is one load from memory.
    pub(crate) fn take(&self) -> Option<Switch> {
        let is_watched = self.is_watched.load(Ordering::Acquire);
        if is_watched && !self.is_on.load(Ordering::Acquire) {
            return None;
        }
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let switch = Switch::read(&self.home).ok()??;
        let left = switch.requests.map(|requests| requests.saturating_sub(1));
        // A switch that cannot be counted down would record for ever.
        match left {
            None => {}
            Some(0) => drop(Switch::remove(&self.home).ok()?),
            Some(_) => Switch { requests: left, ..switch }.write(&self.home).ok()?,
        }
        Some(switch)
    }

    /// Stores what came and what was sent; whether it worked.
    pub(crate) fn store(&self, request_id: &str, received: &[u8], sent: &[u8]) -> bool {
        let store = || {
            let directory = open_bodies(&self.home)?;
            for (path, bytes) in files(&self.home, request_id).iter().zip([received, sent]) {
                let name = path.file_name().unwrap_or_default();
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                let file = rustix::fs::openat(&directory, name, flags, Mode::RUSR | Mode::WUSR)?;
                let mut file = File::from(file);
                ownership::give(&file, path);
                file.write_all(bytes)?;
            }
            io::Result::Ok(())
        };
        store().is_ok()
    }
}

/// Makes the directory of bodies if need be. Files are made in what was opened, so a link that takes
/// its place leads nobody away.
fn open_bodies(home: &Path) -> io::Result<File> {
    let path = bodies(home);
    ownership::make_directory(&path)?;
    let flags = OFlags::NOFOLLOW | OFlags::DIRECTORY;
    let directory = OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(&path)?;
    safe_path::check_file(&path, &directory)?;
    Ok(directory)
}

/// Whoever made it chooses what is read or overwritten.
fn refuse_link(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => {
            Err(io::Error::new(ErrorKind::PermissionDenied, "it is a symbolic link"))
        }
        _ => Ok(()),
    }
}
