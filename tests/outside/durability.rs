//! Killed under full load: a request that was answered longer than `storage.flush_ms` ago is on disk.
//!
//! Three kills in every run of the suite; `TOKENPAK_TEST_KILLS=30` for as many as one likes.

use crate::provider::Provider;
use crate::sandbox::{Proxy, Sandbox};
use crate::support::{Api, sandbox, say};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const FLUSH_MS: u64 = 500;
const CLIENTS: usize = 16;
const KILLS: usize = 3;
/// Of load before the end: time for some transactions and checkpoints.
const LOAD: Duration = Duration::from_millis(2500);
/// On a machine that is busy with something else the writer may have to wait for a processor; what holds
/// it up for longer than this is ours.
const SLACK: u32 = 2;

/// Requests a second, by turns: about as many as fill one transaction while a row may wait, more than
/// that, and as many as there can be.
const RATES: [u32; 4] = [2_500, 3_000, 5_000, u32::MAX];

/// Ids of answered requests, each with the time of its answer.
type Answered = Vec<(String, Instant)>;

/// Asks on one connection, every `gap` if it can, until the proxy is gone.
fn ask_on(proxy: &Proxy, gap: Duration, is_over: &AtomicBool) -> Answered {
    let (headers, body) = (Api::Messages.headers(), Api::Messages.small(false));
    let mut client = proxy.connect();
    let mut answered = Vec::new();
    let mut next = Instant::now();
    while !is_over.load(Ordering::Relaxed) {
        next += gap;
        thread::sleep(next.saturating_duration_since(Instant::now()));
        client.request(("POST", "/v1/messages"), &headers, &body);
        let Some(head) = client.try_head() else { break };
        if !client.body().1 {
            break;
        }
        answered.push((head.request_id(), Instant::now()));
    }
    answered
}

/// Loads a proxy, kills it, and says what is missing and how long before the end it was answered.
fn kill_under_load(sandbox: &Sandbox, rate: u32) -> (usize, Vec<Duration>) {
    let mut proxy = sandbox.serve();
    let is_over = AtomicBool::new(false);
    let gap = Duration::from_secs(1) * CLIENTS as u32 / rate;
    let (answered, killed) = thread::scope(|scope| {
        let asking: Vec<_> =
            (0..CLIENTS).map(|_| scope.spawn(|| ask_on(&proxy, gap, &is_over))).collect();
        thread::sleep(LOAD);
        let killed = Instant::now();
        proxy.kill_now();
        is_over.store(true, Ordering::Relaxed);
        let answered = asking.into_iter().flat_map(|one| one.join().unwrap());
        (answered.collect::<Answered>(), killed)
    });
    proxy.kill();
    let rows = sandbox.rows(1);
    let kept: HashSet<&str> = rows.iter().map(|row| row.text("request_id")).collect();
    let lost = answered.iter().filter(|(id, _)| !kept.contains(id.as_str()));
    let ages = lost.map(|(_, at)| killed.saturating_duration_since(*at)).collect();
    (answered.len(), ages)
}

#[test]
fn kill_under_full_load_loses_nothing_older_than_flush_ms() {
    let wanted = std::env::var("TOKENPAK_TEST_KILLS").ok().and_then(|text| text.parse().ok());
    let bound = Duration::from_millis(FLUSH_MS) * if wanted.is_some() { 1 } else { SLACK };
    let provider = Provider::start();
    let mut late = 0;
    for round in 1..=wanted.unwrap_or(KILLS) {
        let sandbox = sandbox().providers(&provider);
        let sandbox = sandbox.set("TOKENPAK_STORAGE_FLUSH_MS", &FLUSH_MS.to_string());
        let (answered, lost) = kill_under_load(&sandbox, RATES[round % RATES.len()]);
        let oldest = lost.iter().max().copied().unwrap_or_default();
        let old = lost.iter().filter(|age| **age > bound).count();
        say(&format!(
            "kill {round}: {answered} answered, {} not on disk, {old} of them too old, the oldest {} ms",
            lost.len(),
            oldest.as_millis()
        ));
        late += usize::from(old > 0);
    }
    assert_eq!(late, 0, "kills that lost rows that were answered longer than {bound:?} before");
}
