//! The ledger on real files: what a record becomes, what reports read, and what happens to the
//! file when the world is unkind.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
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
        let folder = std::env::temp_dir().join(format!("tokenpak-ledger-{}-{number}", std::process::id()));
        fs::create_dir(&folder).unwrap();
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
    (Ledger::start(path, FLUSH_MS, move |line| hear.lock().unwrap().push(line.into())), said)
}

/// Records the entries and closes.
fn write(path: &Path, entries: impl IntoIterator<Item = Entry>) {
    let (ledger, said) = start(path);
    entries.into_iter().for_each(|entry| ledger.record(entry));
    ledger.close();
    assert_eq!((ledger.lost(), ledger.failing()), (0, false), "{said:?}");
}

fn entry(id: &str) -> Entry {
    Entry {
        request_id: id.into(),
        ts: NOW,
        provider: "anthropic".into(),
        api: "messages",
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
        }),
        cuts: vec![(100, 400), (800, 100)],
        mode: "hybrid",
        level: "balanced",
        skip_reason: None,
        proxy_us: 500,
        ttfb_ms: Some(300),
        total_ms: 2000,
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

#[test]
fn a_record_becomes_a_row() {
    let scratch = Scratch::new();
    write(&scratch.db(), [entry("m3k9qf0a1b2c0004")]);
    // Billed twice what we counted: 800 saved at the read price of $0.30, 200 at the input's $3;
    // 1,000 read, 1,000 plain, 100 of output at $15.
    assert_eq!(
        read(&scratch.db(), "SELECT * FROM requests"),
        ["1 m3k9qf0a1b2c0004 1795435200 anthropic messages claude-sonnet-4-5 - claude-cli/2.1 200 - 1 \
          1500 1000 2000 1000 0 - 100 - 4800000 840000 usage hybrid balanced - 500 300 2000"]
    );
    let header = "SELECT group_concat(name) FROM pragma_table_info('daily')";
    assert_eq!(
        read(&scratch.db(), header),
        ["date,requests,errors,tokens_before,tokens_after,tokens_saved,input_tokens,cache_read_tokens,\
          cache_write_tokens,output_tokens,cost_usd,saved_usd"]
    );
    assert_eq!(
        read(&scratch.db(), "SELECT * FROM by_model"),
        ["claude-sonnet-4-5 1 0 1500 1000 500 2000 1000 0 100 0.0048 0.00084"]
    );
}

#[test]
fn rows_reach_the_file_in_time_without_closing() {
    let scratch = Scratch::new();
    let (ledger, _) = start(&scratch.db());
    until("the file is made at the start", || scratch.db().exists());
    for number in 0..1000 {
        ledger.record(entry(&format!("id{number}")));
    }
    until("1,000 rows", || rows(&scratch.db()) == Some(1000));
    ledger.record(entry("late"));
    let recorded = Instant::now();
    until("one more row", || rows(&scratch.db()) == Some(1001));
    assert!(recorded.elapsed() < Duration::from_millis(FLUSH_MS * 20), "{:?}", recorded.elapsed());
    ledger.close();
    ledger.record(entry("too late"));
    assert_eq!(ledger.lost(), 1);
}

/// Rows as a reader sees them while the ledger is open.
fn rows(path: &Path) -> Option<i64> {
    let connection = file::open_for_reading(path).ok()?;
    connection.query_row("SELECT count(*) FROM requests", [], |row| row.get(0)).ok()
}

#[test]
fn closing_writes_everything() {
    let scratch = Scratch::new();
    write(&scratch.db(), (0..3000).map(|number| entry(&format!("id{number}"))));
    assert_eq!(rows(&scratch.db()), Some(3000));
    assert_eq!(read(&scratch.db(), "PRAGMA integrity_check"), ["ok"]);
}

#[test]
fn only_the_owner_may_read() {
    let scratch = Scratch::new();
    let (ledger, _) = start(&scratch.db());
    ledger.record(entry("a"));
    until("a row", || rows(&scratch.db()) == Some(1));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for name in ["monitor.db", "monitor.db-wal", "monitor.db-shm"] {
        assert_eq!(mode(&scratch.db().with_file_name(name)), 0o600, "{name}");
    }
    assert_eq!(mode(&scratch.0.join("home")), 0o700);
    assert_eq!(mode(&scratch.0.join("home/.ocp")), 0o700);
    ledger.close();
}

#[test]
fn a_second_record_of_an_id_is_lost_and_the_others_are_not() {
    let scratch = Scratch::new();
    let (ledger, said) = start(&scratch.db());
    for id in ["a", "b", "a", "c"] {
        ledger.record(entry(id));
    }
    ledger.close();
    assert_eq!((ledger.lost(), ledger.failing()), (1, false));
    assert_eq!(rows(&scratch.db()), Some(3));
    assert_eq!(*said.lock().unwrap(), [""; 0]);
}

#[test]
fn a_locked_database_delays_nobody_and_recording_resumes() {
    let scratch = Scratch::new();
    write(&scratch.db(), []);
    let other = Connection::open(scratch.db()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();

    let (ledger, said) = start(&scratch.db());
    until("it is noticed", || ledger.failing());
    let started = Instant::now();
    let sent = QUEUE_RECORDS_MAX as u64 + 5000;
    for number in 0..sent {
        ledger.record(entry(&format!("id{number}")));
    }
    assert!(started.elapsed() < Duration::from_millis(500), "{:?}", started.elapsed());
    let lost = ledger.lost();
    assert!((4000..=5000).contains(&lost), "the queue holds its part, the rest is lost: {lost}");

    other.execute_batch("COMMIT").unwrap();
    until("it works again", || !ledger.failing());
    ledger.close();
    assert_eq!(rows(&scratch.db()), Some((sent - lost) as i64));
    let said = said.lock().unwrap();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].contains("locked; requests go on"), "{said:?}");
    assert!(said[1].contains(&format!("recording again; {lost} records lost")), "{said:?}");
}

#[test]
fn a_damaged_file_is_moved_aside_and_recording_goes_on() {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.db().parent().unwrap()).unwrap();
    fs::write(scratch.db(), "this is no database".repeat(500)).unwrap();
    let (ledger, said) = start(&scratch.db());
    ledger.record(entry("a"));
    ledger.close();
    assert_eq!((ledger.lost(), rows(&scratch.db())), (0, Some(1)));
    let aside: Vec<PathBuf> = beside(&scratch.db(), ".corrupt-");
    assert_eq!(aside.len(), 1);
    assert!(fs::read_to_string(&aside[0]).unwrap().starts_with("this is no database"));
    let said = said.lock().unwrap();
    assert!(said.len() == 1 && said[0].contains("moved to"), "{said:?}");
}

#[test]
fn damage_during_work_is_noticed_too() {
    let scratch = Scratch::new();
    write(&scratch.db(), (0..2000).map(|number| entry(&format!("id{number}"))));
    // A header that is fine, and pages that are not.
    let mut bytes = fs::read(scratch.db()).unwrap();
    bytes[4096..].fill(0xa5);
    fs::write(scratch.db(), bytes).unwrap();
    write(&scratch.db(), [entry("after")]);
    assert_eq!(rows(&scratch.db()), Some(1));
    assert_eq!(beside(&scratch.db(), ".corrupt-").len(), 1);
}

/// Files whose name is that of the database with a suffix that begins so.
fn beside(path: &Path, suffix: &str) -> Vec<PathBuf> {
    let start = format!("{}{suffix}", path.file_name().unwrap().to_str().unwrap());
    let files = fs::read_dir(path.parent().unwrap()).into_iter().flatten();
    files.map(|file| file.unwrap().path()).filter(|file| file.file_name().unwrap().to_str().unwrap().starts_with(&start)).collect()
}

#[test]
fn a_deleted_file_is_made_again() {
    let scratch = Scratch::new();
    let (ledger, said) = start(&scratch.db());
    ledger.record(entry("a"));
    until("a row", || rows(&scratch.db()) == Some(1));
    fs::remove_dir_all(scratch.0.join("home")).unwrap();
    ledger.record(entry("b"));
    until("a row in a new file", || rows(&scratch.db()) == Some(1));
    ledger.close();
    assert_eq!(read(&scratch.db(), "SELECT request_id FROM requests"), ["b"]);
    assert_eq!(*said.lock().unwrap(), [""; 0]);
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let scratch = Scratch::new();
    let file = |name: &str, sql: &str| {
        let path = scratch.0.join(name);
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        path
    };
    let foreign = file("foreign.db", "CREATE TABLE notes (text TEXT)");
    let newer = scratch.0.join("newer.db");
    write(&newer, []);
    Connection::open(&newer).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let link = scratch.0.join("link.db");
    symlink(&foreign, &link).unwrap();
    check(&foreign, "is not a database of tokenpak's");
    check(&newer, "has schema 99, this tokenpak knows up to 1; use a newer tokenpak");
    check(&link, "is a symbolic link");
    check(&scratch.0, "unable to open database file");
    check(Path::new("/proc/tokenpak/monitor.db"), "");

    #[track_caller]
    fn check(path: &Path, why: &str) {
        let before = fs::read(path).ok();
        let (ledger, said) = start(path);
        ledger.record(entry("a"));
        ledger.close();
        assert_eq!((ledger.lost(), ledger.failing()), (1, true));
        let said = said.lock().unwrap();
        assert!(said.len() == 1 && said[0].starts_with(&format!("{}: {why}", path.display())), "{said:?}");
        assert_eq!(fs::read(path).ok(), before);
        assert_eq!(beside(path, ".corrupt-"), [""; 0].map(PathBuf::from));
    }
}

#[test]
fn a_link_above_the_last_component_is_fine() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.0.join("real")).unwrap();
    symlink(scratch.0.join("real"), scratch.0.join("state")).unwrap();
    write(&scratch.0.join("state/monitor.db"), [entry("a")]);
    assert_eq!(rows(&scratch.0.join("real/monitor.db")), Some(1));
}

#[test]
fn readers_say_why_they_cannot_read() {
    let scratch = Scratch::new();
    let home = scratch.0.join("home");
    let fault = overview(&scratch.db(), NOW).unwrap_err();
    assert_eq!(fault.exit_code(), 66);
    let text = fault.seen_from(&home).to_string();
    assert_eq!(text, "~/.ocp/monitor.db: not there yet; it is made by the first 'tokenpak serve'");
    assert!(!scratch.db().exists(), "looking must not make a file");

    let garbage = scratch.0.join("garbage.db");
    fs::write(&garbage, "no database".repeat(100)).unwrap();
    let fault = overview(&garbage, NOW).unwrap_err();
    assert_eq!(fault.exit_code(), 65);
    assert!(fault.to_string().ends_with("garbage.db: is damaged or not a database"), "{fault}");

    let empty = scratch.0.join("empty.db");
    fs::write(&empty, "").unwrap();
    assert_eq!(overview(&empty, NOW).unwrap_err().exit_code(), 65);
}

#[test]
fn a_report_reads_beside_a_writer_and_from_a_copy() {
    let scratch = Scratch::new();
    let (ledger, _) = start(&scratch.db());
    ledger.record(entry("a"));
    until("a row", || overview(&scratch.db(), NOW).is_ok_and(|report| report.windows[0].sums.requests == 1));
    ledger.close();
    assert_eq!(overview(&scratch.db(), NOW).unwrap().windows[3].sums.requests, 1);
    let copy = scratch.0.join("a copy?#%41.db");
    fs::copy(scratch.db(), &copy).unwrap();
    assert_eq!(file::open_unchanging(&copy).unwrap().query_row("SELECT count(*) FROM daily", [], |row| row.get(0)), Ok(1));
}

#[test]
fn windows_count_whole_days_and_agree_with_the_views() {
    let scratch = Scratch::new();
    let mut entries = Vec::new();
    for (number, days) in [0, 0, 1, 6, 7, 29, 30, 400].into_iter().enumerate() {
        entries.push(Entry { ts: NOW - days * DAY, proxy_us: 100 * (number as u64 + 1), ..entry(&format!("d{number}")) });
    }
    entries.push(Entry { model: Some("local-llama".into()), ..entry("unpriced") });
    entries.push(Entry { api: "other", ..entry("other") });
    write(&scratch.db(), entries);

    let report = overview(&scratch.db(), NOW).unwrap();
    let requests: Vec<i64> = report.windows.iter().map(|window| window.sums.requests).collect();
    assert_eq!(requests, [3, 5, 7, 9]);
    let costs: Vec<Option<i64>> = report.windows.iter().map(|window| window.sums.cost_nano).collect();
    assert_eq!(costs, [2, 4, 6, 8].map(|priced| Some(priced * 4_800_000)));
    let (today, all) = (&report.windows[0], &report.windows[3]);
    assert_eq!((today.sums.tokens_before, today.sums.tokens_saved), (Some(4500), Some(1500)));
    assert_eq!((today.p50_us, today.p95_us), (Some(200), Some(500)));
    assert_eq!((all.p50_us, all.p95_us), (Some(500), Some(800)));
    assert_eq!(report.unpriced, [Unpriced { model: Some("local-llama".into()), requests: 1 }]);
    assert_eq!((today.unpriced, report.windows[1].unpriced), (1, 1));

    let total = "sum(requests), sum(tokens_saved), round(sum(cost_usd) * 1e9)";
    for view in ["hourly", "daily", "by_model", "by_provider", "by_project", "by_client", "by_mode", "by_status"] {
        assert_eq!(read(&scratch.db(), &format!("SELECT {total} FROM {view}")), ["9 4500 38400000"], "{view}");
    }
}

#[test]
fn errors_are_what_the_manual_says() {
    check(Some(200), None, 0);
    check(Some(399), None, 0);
    check(Some(400), None, 1);
    check(Some(529), Some("client_gone"), 1);
    check(Some(200), Some("cut"), 1);
    check(None, Some("upstream-unreachable"), 1);
    check(None, None, 1);
    check(None, Some("client_gone"), 0);
    check(Some(200), Some("client_gone"), 0);

    #[track_caller]
    fn check(status: Option<u16>, error: Option<&'static str>, errors: i64) {
        let scratch = Scratch::new();
        write(&scratch.db(), [Entry { status, error, ..entry("a") }]);
        let sums = overview(&scratch.db(), NOW).unwrap().windows.remove(0).sums;
        assert_eq!((sums.requests, sums.errors), (1, errors));
    }
}

#[test]
fn unknown_is_not_zero_and_nothing_is() {
    let scratch = Scratch::new();
    write(&scratch.db(), [Entry { usage: None, cuts: vec![], tokens_before: None, tokens_after: None, ..entry("a") }]);
    let report = overview(&scratch.db(), NOW).unwrap();
    let sums = &report.windows[0].sums;
    let unknown = Sums { requests: 1, ..Sums::default() };
    assert_eq!(*sums, unknown);
    assert_eq!(report.unpriced, [Unpriced { model: None, requests: 1 }]);
    assert_eq!(read(&scratch.db(), "SELECT basis FROM requests"), ["estimate"]);

    let yesterday = overview(&scratch.db(), NOW + 2 * DAY).unwrap().windows.remove(0).sums;
    assert_eq!((yesterday.requests, yesterday.tokens_before, yesterday.cost_nano), (0, Some(0), Some(0)));

    write(&scratch.0.join("fresh.db"), []);
    let fresh = overview(&scratch.0.join("fresh.db"), NOW).unwrap();
    assert_eq!((fresh.windows[3].since.as_ref(), fresh.windows[3].p50_us), (None, None));
    assert!(fresh.unpriced.is_empty());
}

#[test]
fn nonsense_from_a_provider_or_client_does_no_harm() {
    let scratch = Scratch::new();
    let huge = Usage { input: Some(u64::MAX), output: Some(u64::MAX), ..Usage::default() };
    let entries = (0..100).map(|number| Entry {
        usage: Some(huge),
        client: Some("é".repeat(10_000)),
        cuts: vec![(u64::MAX, i64::MIN)],
        total_ms: u64::MAX,
        ..entry(&format!("id{number}"))
    });
    write(&scratch.db(), entries);
    let report = overview(&scratch.db(), NOW).unwrap();
    assert_eq!((report.windows[0].sums.requests, report.windows[0].sums.cost_nano), (100, None));
    assert_eq!(read(&scratch.db(), "SELECT max(length(client)) FROM requests"), ["100"]);
}

/// A process has one zone, so the test starts itself again with the zone to be tested.
#[test]
fn days_are_those_of_the_readers_zone() {
    const AGAIN: &str = "TOKENPAK_TEST_IN_ZONE";
    if std::env::var_os(AGAIN).is_none() {
        let mut again = std::process::Command::new(std::env::current_exe().unwrap());
        again.args(["--exact", "ledger::tests::days_are_those_of_the_readers_zone"]);
        let output = again.env(AGAIN, "1").env("TZ", "CET-1CEST,M3.5.0,M10.5.0/3").output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    let scratch = Scratch::new();
    let midnight = NOW - 13 * 3600;
    let entries = [midnight - 1, midnight].map(|ts| Entry { ts, ..entry(&format!("at {ts}")) });
    write(&scratch.db(), entries);
    assert_eq!(read(&scratch.db(), "SELECT date, requests FROM daily"), ["2026-11-22 1", "2026-11-23 1"]);
    let hours = "SELECT hour, requests FROM hourly";
    assert_eq!(read(&scratch.db(), hours), ["2026-11-22 23:00 1", "2026-11-23 00:00 1"]);
    let report = overview(&scratch.db(), NOW).unwrap();
    assert_eq!((report.at.as_str(), report.offset_s), ("2026-11-23T13:00:00+01:00", 3600));
    assert_eq!(report.windows[0].sums.requests, 1);
    let since: Vec<&str> = report.windows.iter().map(|window| window.since.as_deref().unwrap()).collect();
    // The clocks went back on the first of the thirty days.
    let first_days = ["2026-11-23T00:00:00+01:00", "2026-11-17T00:00:00+01:00", "2026-10-25T00:00:00+02:00"];
    assert_eq!((&since[..3], since[3]), (&first_days[..], "2026-11-22T00:00:00+01:00"));
    assert!(report.windows.iter().all(|window| window.until == "2026-11-24T00:00:00+01:00"));
}
