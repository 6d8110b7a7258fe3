//! `serve --daemon`: starts the same command again in a session of its own, and waits for it.
//!
//! A second process instead of a fork: it begins clean, and whatever ends it early has words and a
//! status that can be passed on.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::cmd::ask;
use crate::config::Surroundings;
use crate::error::{Error, say};

/// Tells the second process that it is the one; see `config::settings::OTHER_VARIABLES`.
const CHILD: &str = "TOKENPAK_DAEMON_CHILD";
/// How long the child may take until it answers.
const START: Duration = Duration::from_secs(10);
/// Between two looks at a child and its log, neither of which can wake us.
const LOOK: Duration = Duration::from_millis(10);

/// Whether this process is the one in the background. It then leaves the terminal behind.
pub(super) fn is_child(around: &Surroundings) -> bool {
    let is_child = around.variable(CHILD).is_some();
    if is_child {
        // Fails only for the leader of a group, which a child is not.
        let _ = rustix::process::setsid();
    }
    is_child
}

/// Opens the log for appending.
fn open_log(home: &Path) -> Result<(PathBuf, File), Error> {
    let path = home.join("tokenpak.log");
    let failed = |error| Error::create(&path, error);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(home).map_err(failed)?;
    if fs::symlink_metadata(&path).is_ok_and(|meta| meta.file_type().is_symlink()) {
        let what = "it is a symbolic link";
        return Err(failed(std::io::Error::new(std::io::ErrorKind::PermissionDenied, what)));
    }
    let mut options = OpenOptions::new();
    let log = options.append(true).read(true).create(true).mode(0o600).open(&path);
    Ok((path.clone(), log.map_err(failed)?))
}

/// Puts the log that is named so now in the place of the one that is open, which may be called
/// otherwise by now.
pub(super) fn reopen_log(home: &Path) -> Result<(), Error> {
    let (path, log) = open_log(home)?;
    let failed = |error: rustix::io::Errno| Error::create(&path, error.into());
    rustix::stdio::dup2_stdout(&log).map_err(failed)?;
    rustix::stdio::dup2_stderr(&log).map_err(failed)
}

/// Starts the child and says where it listens, or what it said before it ended.
pub(super) fn start(around: &Surroundings) -> Result<(), Error> {
    let (path, mut log) = open_log(&around.home())?;
    let read = |error| Error::read(&path, error);
    let begin = log.seek(SeekFrom::End(0)).map_err(read)?;
    let mut child = spawn(&log).map_err(|error| Error::system("cannot start", error))?;
    let deadline = Instant::now() + START;
    loop {
        let ended = child.try_wait().map_err(|error| Error::system("the child", error))?;
        let mut said = String::new();
        log.seek(SeekFrom::Start(begin)).map_err(read)?;
        log.read_to_string(&mut said).map_err(read)?;
        if let Some(status) = ended {
            return Err(Error::child(status, said.trim_end()));
        }
        if let Some(address) = address(&said)
            && ask::page(address, "/health", None).is_ok()
        {
            let pid = child.id();
            say(format_args!("tokenpak: running in the background, pid {pid}, http://{address}"));
            return Ok(());
        }
        if Instant::now() >= deadline {
            // It is our child, it does not serve, and nobody else would end it.
            let _ = child.kill().and_then(|()| child.wait());
            let what = format!("it did not answer within {} s", START.as_secs());
            return Err(Error::idle_child(format!("{what}; see {}", path.display())));
        }
        std::thread::sleep(LOOK);
    }
}

fn spawn(log: &File) -> std::io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .env(CHILD, "1")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log.try_clone()?)
        .spawn()
}

/// Where the child says that it listens.
fn address(log: &str) -> Option<SocketAddr> {
    let (_, rest) = log.rsplit_once("listening addr=")?;
    rest.split_whitespace().next()?.parse().ok()
}
