//! The ledger on real files.

mod faults;
mod learning;
mod manual;
mod reports;
mod rows;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::*;

const FLUSH_MS: u64 = 100;

/// Noon of 2026-11-23, UTC.
const NOW: i64 = 1_795_435_200;

const DAY: i64 = 86_400;

/// A folder of its own that goes when the test ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("tokenpak-ledger-{}-{number}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        Scratch(folder)
    }

    fn db(&self) -> PathBuf {
        self.0.join("home/.ocp/monitor.db")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What the ledger said.
type Said = Arc<Mutex<Vec<String>>>;

fn start(path: &Path) -> (Ledger, Said) {
    let said = Said::default();
    let hear = Arc::clone(&said);
    let keeping = WriterSettings { flush_ms: FLUSH_MS, retention_days: 0 };
    (Ledger::start(path, keeping, move |line| hear.lock().unwrap().push(line.into())), said)
}

/// Records the entries and closes.
fn write(path: &Path, entries: impl IntoIterator<Item = Entry>) {
    let (ledger, said) = start(path);
    entries.into_iter().for_each(|entry| ledger.record(priced(entry)));
    ledger.close();
    assert_eq!((ledger.lost(), ledger.failing()), (0, false), "{said:?}");
}

/// As a worker hands it over.
fn priced(entry: Entry) -> Entry {
    let money = entry.usage.and_then(|usage| entry.price(&Prices::default(), &usage));
    Entry { money, ..entry }
}

/// A request of a coding agent that went well.
pub(crate) fn entry(id: &str) -> Entry {
    Entry {
        request_id: id.into(),
        ts: NOW,
        provider: "anthropic".into(),
        api: "messages",
        served_model: None,
        model: Some("claude-sonnet-4-5".into()),
        project: None,
        client: Some("claude-cli/2.1".into()),
        status: Some(200),
        error: None,
        stream: true,
        tokens_before: Some(1500),
        tokens_after: Some(1000),
        usage: Some(Usage {
            input: Some(2000),
            cache_read: Some(1000),
            cache_write: Some(0),
            cache_write_1h: None,
            output: Some(100),
            reasoning: None,
            ..Usage::default()
        }),
        cuts: vec![(100, 400), (800, 100)],
        ratio: Ratio::of_hundredths(200),
        is_calibrated: false,
        is_text_only: false,
        money: None,
        rare: None,
        mode: "hybrid",
        level: "balanced",
        skip_reason: None,
        footer: None,
        proxy_us: 500,
        ttfb_ms: Some(300),
        total_ms: 2000,
        trace: None,
        handed_over: Instant::now(),
    }
}

fn read(path: &Path, sql: &str) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection.prepare(sql).unwrap();
    let row = |row: &rusqlite::Row<'_>| {
        let columns = row.as_ref().column_count();
        let value = |at| match row.get_ref(at).unwrap() {
            rusqlite::types::ValueRef::Null => "-".to_string(),
            rusqlite::types::ValueRef::Integer(number) => number.to_string(),
            rusqlite::types::ValueRef::Real(number) => number.to_string(),
            other => other.as_str().unwrap().to_string(),
        };
        Ok((0..columns).map(value).collect::<Vec<_>>().join(" "))
    };
    statement.query_map([], row).unwrap().map(Result::unwrap).collect()
}

/// Waits until a condition holds; the limit is only for a broken program.
#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Rows as a reader sees them while the ledger is open.
fn rows(path: &Path) -> Option<i64> {
    let connection = file::open_for_reading(path).ok()?;
    connection.query_row("SELECT count(*) FROM requests", [], |row| row.get(0)).ok()
}

/// Files whose name is that of the database with a suffix that begins so.
fn beside(path: &Path, suffix: &str) -> Vec<PathBuf> {
    let start = format!("{}{suffix}", path.file_name().unwrap().to_str().unwrap());
    let files = fs::read_dir(path.parent().unwrap()).into_iter().flatten();
    files
        .map(|file| file.unwrap().path())
        .filter(|file| file.file_name().unwrap().to_str().unwrap().starts_with(&start))
        .collect()
}

const AGAIN: &str = "TOKENPAK_TEST_AGAIN";

fn is_started_again() -> bool {
    std::env::var_os(AGAIN).is_some()
}

/// Runs one test in a process of its own: `command` is this program, in other surroundings.
#[track_caller]
fn start_again(mut command: Command, test: &str) {
    command.args(["--exact", &format!("ledger::tests::{test}")]).env(AGAIN, "1");
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
