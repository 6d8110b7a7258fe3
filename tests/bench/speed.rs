//! What compression costs in processor time, by request of the corpus and by mode.
//!
//! `added` is what it takes beyond reading and counting a new request. `again` is the same request
//! once more, with the memos of the proxy's workers: what a history costs in the next turn.

use std::sync::Arc;

use crate::Means;
use crate::compress::Mode;
use crate::measure::{Request, best, median};
use crate::rewrite::{self, Memo, Plan};
use crate::tokens::{self, Counter};
use crate::wire::Format;

pub(crate) const MODES: [Mode; 3] = [Mode::Strict, Mode::Hybrid, Mode::Aggressive];

/// Runs of each request.
const RUNS: usize = 15;

/// What one request costs in one mode, in seconds.
pub(crate) struct Cost {
    pub(crate) added: f64,
    pub(crate) again: f64,
}

pub(crate) fn table(means: &Means) -> bool {
    println!("{:26}{:>6}{:>27}{:>27}{:>27}", "speed", "", "strict", "hybrid", "aggressive");
    let columns = format!("{:>9}{:>6}{:>12}", "added ms", "MB/s", "again GB/s");
    println!("{:26}{:>6}{}", "", "KB", columns.repeat(3));
    let mut added: [Vec<f64>; 3] = Default::default();
    let mut again: [Vec<f64>; 3] = Default::default();
    for Request { name, body, format } in &means.corpus {
        let mut line = format!("{name:26.26}{:>6}", body.len() / 1000);
        for (at, mode) in MODES.into_iter().enumerate() {
            let cost = cost(*format, mode, body);
            let per_second = |seconds: f64, unit: f64| body.len() as f64 / seconds / unit;
            line += &format!("{:>9.2}{:>6.0}", cost.added * 1e3, per_second(cost.added, 1e6));
            line += &format!("{:>12.2}", per_second(cost.again, 1e9));
            added[at].push(cost.added * 1e3);
            again[at].push(per_second(cost.again, 1e9));
        }
        println!("{line}");
    }
    for (name, of) in [("median", median as fn(_) -> _), ("largest, least", largest)] {
        let cells = (0..3).map(|at| {
            let least =
                if name == "median" { median(again[at].clone()) } else { least(&again[at]) };
            format!("{:>9.2}{:>6}{least:>12.2}", of(added[at].clone()), "")
        });
        println!("{name:26}{:>6}{}", "", cells.collect::<String>());
    }
    true
}

fn largest(values: Vec<f64>) -> f64 {
    values.into_iter().fold(f64::NAN, f64::max)
}

fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NAN, f64::min)
}

pub(crate) fn cost(format: Format, mode: Mode, body: &[u8]) -> Cost {
    let new = |mode| {
        best(RUNS, || rewrite::rewrite(&mut Counter::new(), &Plan::of(mode), format, body))
            .0
            .as_secs_f64()
    };
    let (counting, all) = (new(Mode::Off), new(mode));
    let (memo, mut counter) = memos();
    let scope = memo.scope(std::iter::empty());
    let plan = Plan::of(mode);
    let (again, _) = best(RUNS, || rewrite::rewrite_in(scope, &mut counter, &plan, format, body));
    Cost { added: (all - counting).max(1e-6), again: again.as_secs_f64() }
}

/// As the proxy's workers share them: of prompts in the default size, and of counts.
pub(crate) fn memos() -> (Memo, Counter) {
    let word = |seed: usize| (seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let memo = Memo::new(4 << 20, word);
    (memo, Counter::with_memo(Arc::new(tokens::Memo::new(word))))
}
