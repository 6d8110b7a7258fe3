//! How long reports take over a ledger of many rows, as a program of its own each: start, reading and
//! printing. The file is taken out of the kernel's cache before the runs that are called cold.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::fs::{Advice, fadvise};

use crate::Means;
use crate::books::{self, Scratch};
use crate::measure::{exponent, quickest};

const ROWS: [usize; 3] = [10_000, 100_000, 1_000_000];

const REPORTS: &[&[&str]] = &[
    &[],
    &["--json"],
    &["--html"],
    &["--by-model"],
    &["--daily"],
    &["--hourly", "--since", "7d"],
    &["--monthly"],
    &["--by", "model,status,project"],
    &["--on", "2026-11-01"],
];

const RUNS: usize = 5;

pub(crate) fn table(means: &Means) -> bool {
    if !means.binary.exists() {
        println!("reports SKIPPED: {} is not there", means.binary.display());
        return true;
    }
    let folder = Scratch::new("reports");
    let bases = ROWS.map(|rows| {
        let path = folder.0.join(format!("{rows}.db"));
        books::write(&path, 0..rows, books::QUIET_S);
        path
    });
    println!(
        "{:34}{:>8}{:>8}{:>8}{:>10}{:>9}",
        "reports, ms", "10k", "100k", "1M", "1M cold", "exponent"
    );
    for report in REPORTS {
        let times = bases
            .each_ref()
            .map(|base| quickest(RUNS, || run(&means.binary, base, report)).as_secs_f64() * 1e3);
        let points: Vec<(f64, f64)> =
            ROWS.iter().zip(times).map(|(rows, time)| (*rows as f64, time)).collect();
        let cold = (0..RUNS).map(|_| cold(&means.binary, &bases[2], report)).min();
        println!(
            "{:34}{:>8.1}{:>8.1}{:>8.1}{:>10.1}{:>9.2}",
            format!("stats {}", report.join(" ")),
            times[0],
            times[1],
            times[2],
            cold.unwrap_or_default().as_secs_f64() * 1e3,
            exponent(&points),
        );
    }
    true
}

fn cold(binary: &Path, base: &Path, report: &[&str]) -> Duration {
    let file = std::fs::File::open(base).expect("a database that was made");
    // What was never written to disk would not be dropped.
    file.sync_all().expect("a disk");
    fadvise(&file, 0, None, Advice::DontNeed).expect("a file");
    quickest(1, || run(binary, base, report))
}

fn run(binary: &Path, base: &Path, report: &[&str]) {
    let mut command = Command::new(binary);
    command.arg("stats").args(report).arg("--db").arg(base);
    let status = command.stdout(Stdio::null()).status();
    assert!(status.is_ok_and(|status| status.success()), "stats {report:?}");
}
