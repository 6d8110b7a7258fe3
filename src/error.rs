//! The one error type: what could not be done, to what, and why; and the exit status it means.
//!
//! All wording is in `Display`, and only `main` prints it. Exit statuses follow sysexits(3), the
//! convention cron and mail tools know, and are listed in tokenpak(1).

use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use crate::name::{clean, clean_lines};

/// Exit status of what should not have happened: EX_SOFTWARE of sysexits(3).
pub(crate) const BUG: u8 = 70;

/// Anything that ends a command. One or more lines, each complete without the others.
#[derive(Debug)]
pub(crate) struct Error(Kind);

#[derive(Debug)]
enum Kind {
    Usage(String),
    Input { name: String, place: Option<(usize, usize)>, what: String },
    Missing { path: PathBuf, hint: Option<&'static str> },
    Unreadable { path: PathBuf, source: io::Error },
    Output(io::Error),
    Create { path: PathBuf, source: io::Error },
    Answer(String),
    NotRunning(String),
    ListenAt { place: String, source: io::Error },
    Listen { address: SocketAddr, source: io::Error, holder: Option<String> },
    Fetch { url: String, what: String },
    Child { status: u8, said: String },
    Ledger { status: u8, what: String },
    System { what: &'static str, source: io::Error },
    Config(Vec<String>),
}

impl Error {
    /// A wrong command, option or value on the command line. Without words if all was said.
    pub(crate) fn usage(what: impl Into<String>) -> Error {
        Error(Kind::Usage(what.into()))
    }

    /// Input that is not what it should be; `place` is line and column, both from 1.
    pub(crate) fn input(
        name: &str,
        place: Option<(usize, usize)>,
        what: impl Into<String>,
    ) -> Error {
        Error(Kind::Input { name: name.to_owned(), place, what: what.into() })
    }

    /// A file that was named, but is not there.
    pub(crate) fn missing(path: &Path, hint: Option<&'static str>) -> Error {
        Error(Kind::Missing { path: path.to_owned(), hint })
    }

    /// A file that is there, but cannot be read.
    pub(crate) fn read(path: &Path, source: io::Error) -> Error {
        match source.kind() {
            io::ErrorKind::NotFound => Error::missing(path, None),
            _ => Error(Kind::Unreadable { path: path.to_owned(), source }),
        }
    }

    /// A configuration file that cannot be read, or was named and is not there.
    pub(crate) fn config_file(path: &Path, source: &io::Error) -> Error {
        Error::config(vec![format!("cannot read {}: {}", path.display(), reason(source))])
    }

    /// Standard output failed. A closed pipe is success (`tokenpak stats | head`), see `status`.
    pub(crate) fn output(source: io::Error) -> Error {
        Error(Kind::Output(source))
    }

    /// A file that cannot be written.
    pub(crate) fn create(path: &Path, source: io::Error) -> Error {
        Error(Kind::Create { path: path.to_owned(), source })
    }

    /// The question was understood, and the answer is bad. Without words if all was said.
    pub(crate) fn answer(what: impl Into<String>) -> Error {
        Error(Kind::Answer(what.into()))
    }

    /// There is no proxy to stop or to ask. Without words if all was said.
    pub(crate) fn not_running(what: impl Into<String>) -> Error {
        Error(Kind::NotRunning(what.into()))
    }

    /// The address cannot be listened on.
    pub(crate) fn listen(address: SocketAddr, source: io::Error) -> Error {
        Error(Kind::Listen { address, source, holder: None })
    }

    /// Another socket than one of an address cannot be listened on.
    pub(crate) fn listen_at(place: &str, source: io::Error) -> Error {
        Error(Kind::ListenAt { place: place.to_owned(), source })
    }

    /// What an address should give cannot be had.
    pub(crate) fn fetch(url: &str, what: impl Into<String>) -> Error {
        Error(Kind::Fetch { url: url.to_owned(), what: what.into() })
    }

    /// Adds who listens there.
    pub(crate) fn held_by(mut self, who: String) -> Error {
        if let Kind::Listen { holder, .. } = &mut self.0 {
            *holder = Some(who);
        }
        self
    }

    /// A process of ours ended too early; `said` is all that it said.
    pub(crate) fn child(ended: ExitStatus, said: &str) -> Error {
        let status = ended.code().and_then(|status| u8::try_from(status).ok());
        let status = status.filter(|&code| code > 0).unwrap_or(BUG);
        let said = match said {
            "" => format!("the proxy ended as it began ({ended})"),
            said => said.to_owned(),
        };
        Error(Kind::Child { status, said })
    }

    /// A process of ours does not do what it was started for.
    pub(crate) fn idle_child(said: String) -> Error {
        Error(Kind::Child { status: BUG, said })
    }

    /// The ledger cannot be reported on; `status` is its exit status.
    pub(crate) fn ledger(status: u8, what: impl Into<String>) -> Error {
        Error(Kind::Ledger { status, what: what.into() })
    }

    /// The operating system refused something that the proxy cannot run without.
    pub(crate) fn system(what: &'static str, source: impl Into<io::Error>) -> Error {
        Error(Kind::System { what, source: source.into() })
    }

    /// All faults of the configuration at once, each with its place.
    pub(crate) fn config(faults: Vec<String>) -> Error {
        Error(Kind::Config(faults))
    }

    /// The exit status (tokenpak(1), EXIT STATUS).
    pub(crate) fn status(&self) -> u8 {
        match &self.0 {
            Kind::Answer(_) => 1,
            Kind::NotRunning(_) => 3,
            Kind::Usage(_) => 64,
            Kind::Input { .. } => 65,
            Kind::Missing { .. } => 66,
            Kind::Listen { .. } | Kind::ListenAt { .. } | Kind::Fetch { .. } => 69,
            Kind::Output(source) if source.kind() == io::ErrorKind::BrokenPipe => 0,
            Kind::Unreadable { source, .. } | Kind::Create { source, .. }
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                77
            }
            Kind::Create { .. } => 73,
            Kind::Output(_) | Kind::Unreadable { .. } | Kind::System { .. } => 74,
            Kind::Ledger { status, .. } | Kind::Child { status, .. } => *status,
            Kind::Config(_) => 78,
        }
    }

    /// What there is to say, for a sentence of its own.
    pub(crate) fn words(&self) -> String {
        let text = self.to_string();
        text.strip_prefix("tokenpak: ").unwrap_or(&text).to_owned()
    }

    /// Where we want to listen and somebody else does.
    pub(crate) fn address_in_use(&self) -> Option<SocketAddr> {
        match &self.0 {
            Kind::Listen { address, source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
                Some(*address)
            }
            _ => None,
        }
    }

    /// Whether a file cannot be written because there is no room for it.
    pub(crate) fn is_full_disk(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(&self.0, Kind::Create { source, .. }
            if matches!(source.kind(), StorageFull | QuotaExceeded))
    }

    /// Whether there is nothing to say: the reader of our output has left.
    pub(crate) fn is_silent(&self) -> bool {
        self.status() == 0
            || matches!(&self.0, Kind::Answer(what) | Kind::NotRunning(what) | Kind::Usage(what)
                if what.is_empty())
    }
}

impl Error {
    /// The whole of it, in words that may come from outside.
    fn text(&self) -> String {
        match &self.0 {
            Kind::Usage(what)
            | Kind::Answer(what)
            | Kind::NotRunning(what)
            | Kind::Ledger { what, .. } => what.clone(),
            Kind::Input { name, place: Some((line, column)), what } => {
                format!("{name}:{line}:{column}: {what}")
            }
            Kind::Input { name, place: None, what } => format!("{name}: {what}"),
            Kind::Missing { path, hint: None } => {
                format!("{}: no such file", path.display())
            }
            Kind::Missing { path, hint: Some(hint) } => {
                format!("{}: not there yet; {hint}", path.display())
            }
            Kind::Unreadable { path, source } => {
                format!("cannot read {}: {}", path.display(), reason(source))
            }
            Kind::Create { path, source } => {
                format!("cannot write {}: {}", path.display(), reason(source))
            }
            Kind::Fetch { url, what } => format!("{url}: {what}"),
            Kind::ListenAt { place, source } => format!("{place}: {}", reason(source)),
            Kind::Output(source) => format!("cannot write: {}", reason(source)),
            Kind::Listen { address, source, holder } => {
                let by = holder.as_ref().map_or(String::new(), |who| format!(" (by {who})"));
                format!("{address}: {}{by}", reason(source))
            }
            Kind::System { what, source } => format!("{what}: {}", reason(source)),
            Kind::Child { said, .. } => said.clone(),
            Kind::Config(faults) => faults.join("; "),
        }
    }
}

/// What is repeated of arguments, files and the system's answers does no harm to a terminal, and only
/// several faults, or what another process said, are more than a line.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Config(faults) => {
                let line = |fault: &String| format!("tokenpak: {}", clean(fault));
                f.write_str(&faults.iter().map(line).collect::<Vec<_>>().join("\n"))
            }
            Kind::Child { said, .. } => {
                let start = if said.starts_with("tokenpak: ") { "" } else { "tokenpak: " };
                write!(f, "{start}{}", clean_lines(said))
            }
            _ => write!(f, "tokenpak: {}", clean(&self.text())),
        }
    }
}

/// Says a line on standard error. That it is full or closed changes nothing of what is done.
pub(crate) fn say(line: impl fmt::Display) {
    say_lines(clean(&line.to_string()));
}

/// Says lines that are known to be such.
pub(crate) fn say_lines(lines: impl fmt::Display) {
    let _ = io::stderr().write_all(clean_lines(&format!("{lines}\n")).as_bytes());
}

/// What is wrong with a text that should be JSON, in words for people and without the place.
pub(crate) fn json_reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.split(" at line ").next().unwrap_or_default() {
        "expected ident" => "a word that is not true, false or null, and has no quotes".to_owned(),
        "expected value" => "no value where one must be".to_owned(),
        what => what.to_owned(),
    }
}

/// The operating system's words, in our style: lower case, without "(os error 98)".
pub(crate) fn reason(error: &io::Error) -> String {
    // C libraries have different words for these.
    let text = match error.kind() {
        io::ErrorKind::AddrInUse => "address already in use".to_owned(),
        io::ErrorKind::TimedOut if error.raw_os_error().is_some() => {
            "connection timed out".to_owned()
        }
        _ => error.to_string(),
    };
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => text.to_owned(),
    }
}
