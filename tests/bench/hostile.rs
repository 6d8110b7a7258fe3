//! Prompts that are hard on whatever looks into them, at three sizes: time and memory grow with the bytes,
//! whatever the texts say. The table fails where the time of a family grows with a power above 1.3.
//!
//! What is measured is all of a request's way through tokenpak but the sockets: footers of the history taken
//! out, the prompt read, counted, compressed and checked, and the next turn, which begins with it.

use allocation_counter::measure;

use crate::Means;
use crate::compress::Mode;
use crate::footer;
use crate::hostile_prompts::families;
use crate::measure::{exponent, thread_time};
use crate::rewrite::{self, Plan};
use crate::speed::memos;
use crate::wire::Format;

const SIZES: [usize; 3] = [100_000, 1_000_000, 8_000_000];

/// Growth that is still called linear: a cache that a large text does not fit into costs as well.
const EXPONENT_MAX: f64 = 1.3;

/// Slower than this at one size, the next is not tried, and the table fails, in seconds.
const SECONDS_MAX: f64 = 20.0;

/// Below this nothing is said of growth, in seconds: clocks and caches are.
const SECONDS_MIN: f64 = 0.002;

const MODES: [Mode; 2] = [Mode::Hybrid, Mode::Aggressive];

/// What one run took.
#[derive(Clone, Copy)]
struct Cost {
    bytes: usize,
    seconds: f64,
    /// At once, in bytes.
    memory: u64,
}

pub(crate) fn table(_: &Means) -> bool {
    println!(
        "{:34}{:>12}{:>10}{:>10}{:>10}{:>9}{:>8}",
        "hostile", "", "0.1 MB", "1 MB", "8 MB", "memory", "growth"
    );
    println!("{:34}{:>12}{:>10}{:>10}{:>10}{:>9}", "", "", "ms", "ms", "ms", "x bytes");
    let mut is_held = true;
    for (name, path, body) in families() {
        let Some(format) = Format::of_path(path) else { continue };
        for mode in MODES {
            is_held &= row(name, mode, format, body);
        }
    }
    is_held
}

fn row(name: &str, mode: Mode, format: Format, body: fn(usize) -> String) -> bool {
    let mut costs: Vec<Cost> = Vec::new();
    for size in SIZES {
        if costs.last().is_none_or(|cost| cost.seconds < SECONDS_MAX / 8.0) {
            costs.push(cost(mode, format, body(size).as_bytes()));
        }
    }
    let cells: String = costs.iter().map(|cost| format!("{:>10.2}", cost.seconds * 1e3)).collect();
    let memory = costs.iter().map(|cost| cost.memory as f64 / cost.bytes as f64);
    let memory = memory.skip(1).fold(0.0, f64::max);
    let points: Vec<(f64, f64)> =
        costs.iter().map(|cost| (cost.bytes as f64, cost.seconds.max(SECONDS_MIN))).collect();
    let growth = exponent(&points);
    let is_held = costs.len() == SIZES.len() && growth <= EXPONENT_MAX;
    let verdict = if is_held { "" } else { "  TOO STEEP" };
    println!("{name:34}{:>12}{cells:30}{memory:>9.1}{growth:>8.2}{verdict}", mode.name());
    is_held
}

/// The better of two runs; each of two turns, the second of which finds the first in the memo.
fn cost(mode: Mode, format: Format, body: &[u8]) -> Cost {
    let plan = Plan::of(mode);
    let mut best = Cost { bytes: body.len(), seconds: f64::MAX, memory: 0 };
    for _ in 0..2 {
        let started = thread_time();
        let spent = measure(|| {
            let stripped = footer::strip_footers(format, body);
            let body = stripped.as_deref().unwrap_or(body);
            let (memo, mut counter) = memos();
            for _ in 0..2 {
                let scope = memo.scope(std::iter::empty());
                drop(rewrite::rewrite_in(scope, &mut counter, &plan, format, body));
            }
        });
        best.seconds = best.seconds.min((thread_time() - started).as_secs_f64());
        best.memory = spent.bytes_max;
    }
    best
}
