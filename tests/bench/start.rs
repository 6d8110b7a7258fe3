//! How long the program takes to say its version, its help, and to serve.

use std::process::{Command, Stdio};
use std::time::Instant;

use crate::Means;
use crate::measure::quickest;
use crate::sandbox::{Client, Sandbox};

const RUNS: usize = 20;

pub(crate) fn table(means: &Means) -> bool {
    if !means.binary.exists() {
        println!("start SKIPPED: {} is not there", means.binary.display());
        return true;
    }
    println!("{:34}{:>8}", "start, ms of the clock", "least");
    for flag in ["--version", "--help"] {
        let run = || {
            let status = Command::new(&means.binary).arg(flag).stdout(Stdio::null()).status();
            assert!(status.is_ok_and(|status| status.success()), "{flag}");
        };
        row(&format!("tokenpak {flag}"), quickest(RUNS, run).as_secs_f64());
    }
    let first = (0..RUNS).map(|_| serve(means)).fold(f64::INFINITY, f64::min);
    row("serve to the first 200 of /health", first);
    true
}

fn row(name: &str, seconds: f64) {
    println!("{name:34}{:>8.1}", seconds * 1e3);
}

/// With a new home, so that the database is made, too; seconds.
fn serve(means: &Means) -> f64 {
    let sandbox = Sandbox::of(&means.binary);
    let started = Instant::now();
    let proxy = sandbox.serve();
    let mut client = Client::connect(proxy.port());
    client.send("GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let status = client.answer().status();
    let took = started.elapsed().as_secs_f64();
    assert_eq!(status, 200);
    took
}
