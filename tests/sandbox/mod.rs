//! A scratch home, a clean environment and the real binary in it: everything the tests and the demo
//! need to use tokenpak as a person would.

// Shared by the tests and the demo, neither of which uses all of it.
#![allow(dead_code, unused_imports)]

mod client;
mod ledger;
mod process;

pub(crate) use client::{Answer, Client, Head};
pub(crate) use ledger::{Made, Row};
pub(crate) use process::Proxy;

use crate::provider::{DEADLINE, Provider};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A home of its own for one tokenpak; it is removed at the end.
pub(crate) struct Sandbox {
    binary: PathBuf,
    home: PathBuf,
    environment: Vec<(String, String)>,
    /// A program with its first arguments that runs the binary.
    runner: Vec<String>,
}

/// What a verb that ends by itself left behind.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Sandbox {
    pub(crate) fn of(binary: &Path) -> Sandbox {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name =
            format!("tokenpak-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let home = std::env::temp_dir().join(name);
        fs::create_dir_all(&home).unwrap();
        let sandbox = Sandbox {
            binary: binary.to_owned(),
            home,
            environment: Vec::new(),
            runner: Vec::new(),
        };
        let home = sandbox.home.display().to_string();
        let sandbox = sandbox.set("TOKENPAK_HOME", &home).set("HOME", &home).set("TZ", "UTC");
        // Most tests compare answers byte for byte; those of the footer switch it on.
        sandbox.set("TOKENPAK_STATS_FOOTER", "0")
    }

    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// An environment variable of every program that is started from here.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Sandbox {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Shorter deadlines than those of a release: `body=3000`, in milliseconds.
    pub(crate) fn deadlines(self, list: &str) -> Sandbox {
        self.set("TOKENPAK_TEST_DEADLINES", list)
    }

    /// Sends what is meant for the three built-in providers to the stand-in.
    pub(crate) fn providers(self, provider: &Provider) -> Sandbox {
        ["ANTHROPIC", "OPENAI", "GOOGLE"].iter().fold(self, |sandbox, name| {
            sandbox.set(&format!("TOKENPAK_PROXY_PROVIDERS_{name}_URL"), &provider.url())
        })
    }

    /// Starts the program by way of another one: `chroot`, an emulator, a shell with limits.
    pub(crate) fn by(mut self, runner: &[&str]) -> Sandbox {
        self.runner = runner.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Another program in the place of the one that is tested, as seen by its runner.
    pub(crate) fn running(mut self, binary: &Path) -> Sandbox {
        self.binary = binary.to_owned();
        self
    }

    /// Writes `config.json`.
    pub(crate) fn config(self, text: &str) -> Sandbox {
        self.write("config.json", text);
        self
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.home.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.home.join(".ocp/monitor.db")
    }

    /// The program with this home and nothing else around it.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut words = self.runner.iter().map(PathBuf::from).chain([self.binary.clone()]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).args(arguments).current_dir(&self.home).env_clear();
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// A program of this home that the test starts itself.
    pub(crate) fn command_for(&self, arguments: &[&str]) -> Command {
        self.command(arguments)
    }

    /// Runs a verb to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, b"")
    }

    /// Runs a verb to its end, with something to read.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &[u8]) -> Output {
        process::run(self.command(arguments), input)
    }

    /// Starts the proxy on a free port and waits until it listens.
    #[track_caller]
    pub(crate) fn serve(&self) -> Proxy {
        self.serve_with(&[])
    }

    #[track_caller]
    pub(crate) fn serve_with(&self, arguments: &[&str]) -> Proxy {
        let mut command = self.command(&["serve", "--port", "0"]);
        command.args(arguments);
        const FLUSH_MS: &str = "TOKENPAK_STORAGE_FLUSH_MS";
        if !self.environment.iter().any(|(name, _)| name == FLUSH_MS) {
            // Rows are waited for all the time: the shortest that is allowed.
            command.env(FLUSH_MS, "100");
        }
        Proxy::start(command.stdin(Stdio::null()))
    }

    /// An empty database, filled with requests of one's own.
    #[track_caller]
    pub(crate) fn fill<'a>(&self, requests: impl IntoIterator<Item = Made<'a>>) {
        if !self.database().exists() {
            // The proxy opens it before it says anything, and closes it in order.
            assert_eq!(self.serve().stop(), 0);
        }
        ledger::fill(&self.database(), requests);
    }

    /// The first row of a query, as text with bars.
    #[track_caller]
    pub(crate) fn ask(&self, sql: &str) -> String {
        ledger::ask(&self.database(), sql)
    }

    /// The row of a request, once it is on disk.
    #[track_caller]
    pub(crate) fn row(&self, request_id: &str) -> Row {
        let rows = || ledger::rows(&self.database()).into_iter();
        wait("the request's row", || rows().find(|row| row.text("request_id") == request_id))
    }

    /// All rows, once there are `n` of them.
    #[track_caller]
    pub(crate) fn rows(&self, n: usize) -> Vec<Row> {
        wait("rows", || Some(ledger::rows(&self.database())).filter(|rows| rows.len() >= n))
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.home);
    }
}

/// Asks again until there is an answer: only for what cannot tell by itself that it is there.
#[track_caller]
pub(crate) fn wait<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + DEADLINE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < until, "waited {DEADLINE:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
