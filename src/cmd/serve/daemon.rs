//! `serve --daemon`: starts the same command again in a session of its own, and waits for it.
//!
//! A second process instead of a fork: it begins clean, and whatever ends it early has words and a
//! status that can be passed on. It says how far it is on a socket that it inherits as its standard
//! input: a log may be silent at its level, or its disk full.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::config::Environment;
use crate::error::{Error, say};
use crate::ownership;

/// Tells the second process that it is the one; see `config::settings::OTHER_VARIABLES`.
const CHILD: &str = "TOKENPAK_DAEMON_CHILD";
/// How long the child may take until it serves.
const START: Duration = Duration::from_secs(10);
/// What the child says before the address at which it serves.
const READY: &str = "ready ";

/// Whether this process is the one in the background.
pub(super) fn is_child(around: &Environment) -> bool {
    around.variable(CHILD).is_some()
}

/// The process that started this one, and waits for its first word.
pub(super) struct Starter(Option<UnixStream>);

impl Starter {
    /// Leaves the terminal behind, and takes the socket from where no other library looks for it.
    pub(super) fn of_child() -> Starter {
        // Fails only for the leader of a group, which a child is not.
        let _ = rustix::process::setsid();
        let socket = io::stdin().as_fd().try_clone_to_owned();
        if let Ok(null) = File::open("/dev/null") {
            let _ = rustix::stdio::dup2_stdin(null);
        }
        Starter(socket.ok().map(UnixStream::from))
    }

    /// The proxy serves there, and reports can read its database.
    pub(super) fn ready(&mut self, address: impl std::fmt::Display) {
        self.say(format_args!("{READY}{address}"));
    }

    /// It ends, and why.
    pub(super) fn failed(&mut self, error: &Error) {
        self.say(format_args!("{error}"));
    }

    /// The first word is the last one. The starter may have gone; then nobody needs it.
    fn say(&mut self, text: std::fmt::Arguments) {
        if let Some(mut socket) = self.0.take() {
            let _ = socket.write_fmt(text);
        }
    }
}

/// Opens the log for appending.
fn open_log(home: &Path) -> Result<(PathBuf, File), Error> {
    let path = home.join("tokenpak.log");
    let failed = |error| Error::create(&path, error);
    ownership::make_directory(home).map_err(failed)?;
    let log = ownership::open_or_create(&path, OpenOptions::new().append(true).read(true));
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

/// The log; where there is no room for one, a proxy without it is better than none.
fn log_or_nothing(home: &Path) -> Result<(PathBuf, File), Error> {
    match open_log(home) {
        Err(error) if error.is_full_disk() => {
            say(format_args!("tokenpak: warning: {}; nothing is logged", error.words()));
            let nothing = PathBuf::from("/dev/null");
            let file = OpenOptions::new().append(true).read(true).open(&nothing);
            Ok((nothing.clone(), file.map_err(|error| Error::create(&nothing, error))?))
        }
        other => other,
    }
}

/// Starts the child and says where it listens, or what it said before it ended.
pub(super) fn start(around: &Environment) -> Result<(), Error> {
    let (path, mut log) = log_or_nothing(&around.home())?;
    let failed = |error| Error::system("cannot start", error);
    let begin = log.seek(SeekFrom::End(0)).map_err(failed)?;
    let (mut socket, theirs) = UnixStream::pair().map_err(failed)?;
    let mut child = spawn(&log, theirs).map_err(failed)?;
    let said = first_word(&mut socket);
    let Ok(said) = said else {
        // It is our child, it does not serve, and nobody else would end it.
        let _ = child.kill().and_then(|()| child.wait());
        let what = format!("it did not serve within {} s", START.as_secs());
        return Err(Error::idle_child(format!("{what}; see {}", path.display())));
    };
    if let Some(address) = said.strip_prefix(READY) {
        let pid = child.id();
        say(format_args!("tokenpak: running in the background, pid {pid}, http://{address}"));
        return Ok(());
    }
    let ended = child.wait().map_err(|error| Error::system("the child", error))?;
    match said.is_empty() {
        // It had no time to say why; somebody else may have written it down.
        true => Err(Error::child(ended, since(&mut log, begin).trim_end())),
        false => Err(Error::child(ended, &said)),
    }
}

/// All that the child says before it closes its end.
///
/// # Errors
///
/// It says nothing for too long.
fn first_word(socket: &mut UnixStream) -> io::Result<String> {
    socket.set_read_timeout(Some(START))?;
    let mut said = String::new();
    socket.read_to_string(&mut said)?;
    Ok(said)
}

/// What was written to the log from here on.
fn since(log: &mut File, begin: u64) -> String {
    let mut text = String::new();
    let read = log.seek(SeekFrom::Start(begin)).and_then(|_| log.read_to_string(&mut text));
    read.map_or(String::new(), |_| text)
}

fn spawn(log: &File, socket: UnixStream) -> io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .env(CHILD, "1")
        .stdin(Stdio::from(OwnedFd::from(socket)))
        .stdout(log.try_clone()?)
        .stderr(log.try_clone()?)
        .spawn()
}
