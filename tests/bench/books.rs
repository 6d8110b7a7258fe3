//! Rows that the ledger's writer gets into its file, everything on: indexes, roll-up, calibration,
//! traces; and what a record costs the thread that hands it over.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::Means;
use crate::ledger::{Entry, Ledger, Ratio, WriterSettings};
use crate::measure::{process_time, thread_time};
use crate::prices::Money;
use crate::prices::bill::Source;
use crate::trace::Trace;
use crate::wire::Usage;

/// As many rows a file gets, in steps: whether it gets slower as it grows.
const STEPS: [usize; 4] = [50_000, 50_000, 200_000, 700_000];

/// Records that are handed over at once: what the queue holds.
const BURST: usize = 4096;

/// Seconds between two requests of a quiet year, of which a million are 400 days.
pub(crate) const QUIET_S: f64 = 34.5;

pub(crate) fn table(_: &Means) -> bool {
    println!(
        "{:26}{:>10}{:>12}{:>16}{:>20}",
        "ledger", "rows so far", "rows/s", "rows/CPU s", "CPU us of sender"
    );
    // Rows of one quarter of an hour and name add up to one row of sums; the second case has hardly
    // two such rows.
    for (name, apart) in [("1,000 requests a second", 0.001), ("400 days", QUIET_S)] {
        let folder = Scratch::new("ledger");
        let mut made = 0;
        for rows in STEPS {
            let path = folder.0.join("monitor.db");
            let [clock, all, sender] = write(&path, made..made + rows, apart);
            made += rows;
            let per = |time: Duration| rows as f64 / time.as_secs_f64();
            let each = 1e6 / per(sender);
            println!("{name:26}{made:>10}{:>12.0}{:>16.0}{each:>20.2}", per(clock), per(all));
        }
    }
    true
}

/// What these rows took from the first hand-over until the last was in the file: by the clock, of
/// processor time, and of that for the thread that handed them over.
pub(crate) fn write(path: &Path, numbers: Range<usize>, apart_s: f64) -> [Duration; 3] {
    let keeping = WriterSettings { flush_ms: 500, retention_days: 0 };
    let ledger = Ledger::start(path, keeping, |line| println!("{line}"));
    let mut spent = [Duration::ZERO; 3];
    let mut reader = None;
    for start in numbers.clone().step_by(BURST) {
        let end = numbers.end.min(start + BURST);
        let burst: Vec<Entry> = (start..end).map(|number| entry(number, apart_s)).collect();
        let (started, all, before) = (Instant::now(), process_time(), thread_time());
        burst.into_iter().for_each(|entry| ledger.record(entry));
        let sending = thread_time() - before;
        if end < numbers.end {
            let reader = reader.get_or_insert_with(|| open(path));
            let last = "SELECT ifnull(max(id), 0) FROM requests";
            while reader.query_row(last, [], |row| row.get(0)) != Ok(end as i64) {
                std::thread::sleep(Duration::from_micros(500));
            }
        } else {
            ledger.close();
        }
        let now = [started.elapsed(), process_time() - all, sending];
        spent.iter_mut().zip(now).for_each(|(spent, now)| *spent += now);
    }
    assert_eq!((ledger.lost(), ledger.failing()), (0, false));
    spent
}

/// Once the writer has made the file.
fn open(path: &Path) -> Connection {
    while !path.exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let connection = Connection::open(path).expect("a database");
    connection.busy_timeout(Duration::from_secs(10)).expect("a number");
    connection
}

/// A request like those of coding agents, with some models, projects and clients.
pub(crate) fn entry(number: usize, apart_s: f64) -> Entry {
    const MODELS: [&str; 4] = ["claude-sonnet-4-5", "claude-haiku-4-5", "gpt-5", "gpt-4o"];
    let pick = |from: usize| (number.wrapping_mul(0x9e37_79b9) >> 7) & (from - 1);
    let usage = Usage {
        input: Some(20_000 + pick(1024) as u64),
        cache_read: Some(18_000),
        cache_write: Some(500),
        output: Some(300),
        ..Usage::default()
    };
    Entry {
        request_id: format!("{number:016x}"),
        ts: 1_760_000_000 + (number as f64 * apart_s) as i64,
        provider: if pick(4) < 2 { "anthropic" } else { "openai" }.into(),
        api: if pick(4) < 2 { "messages" } else { "chat" },
        served_model: None,
        model: Some(MODELS[pick(4)].into()),
        project: (pick(8) > 2).then(|| format!("project-{}", pick(8))),
        client: Some("claude-cli/2.1.4".into()),
        status: Some(if pick(64) == 0 { 529 } else { 200 }),
        error: None,
        stream: true,
        tokens_before: Some(20_000 + pick(1024) as u64),
        tokens_after: Some(15_000 + pick(512) as u64),
        usage: Some(usage),
        cuts: vec![(12_000, 5000)],
        ratio: Ratio::of_hundredths(110),
        is_calibrated: true,
        is_text_only: pick(2) == 0,
        rare: None,
        money: Some(Money { cost_nano: 12_345_678, saved_nano: 1_234_567, source: Source::Listed }),
        mode: "hybrid",
        level: "balanced",
        skip_reason: None,
        footer: Some("added"),
        proxy_us: 40 + (pick(4096) * pick(64)) as u64,
        ttfb_ms: Some(700),
        total_ms: 5000,
        trace: Some(Box::new(Trace {
            method: "POST".into(),
            path: "/v1/messages".into(),
            route_by: "path".into(),
            upstream: "https://api.anthropic.com".into(),
            passes: vec![("line-runs".into(), 5000)],
            ..Trace::default()
        })),
        handed_over: std::time::Instant::now(),
    }
}

/// A folder for the databases of one table; it goes at the end.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Scratch {
        let folder = std::env::temp_dir().join(format!("tokenpak-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder for temporary files");
        Scratch(folder)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
