//! What each turn of a session costs the proxy, whose client sends the whole history again: all of its
//! requests in turn, with the memos of the proxy's workers.

use crate::Means;
use crate::compress::Mode;
use crate::measure::{Request, exponent, thread_time};
use crate::money::Session;
use crate::rewrite::{self, Plan};
use crate::speed::memos;

/// The session is played as often, and of each turn the least is taken.
const RUNS: usize = 5;

/// Sessions with fewer turns say nothing of growth.
const TURNS_MIN: usize = 8;

pub(crate) fn table(means: &Means) -> bool {
    println!(
        "{:26}{:>6}{:>8}{:>10}{:>10}{:>10}{:>10}{:>10}",
        "sessions, hybrid", "turns", "KB", "middle", "last", "all new", "new part", "exponent"
    );
    println!("{:26}{:>14}{:>10}{:>10}{:>10}{:>10}{:>10}", "", "", "us", "us", "us", "KB/turn", "");
    for request in &means.corpus {
        let session = Session::of(&request.body);
        if session.cuts.len() >= TURNS_MIN {
            row(request, &session);
        }
    }
    true
}

/// Growth is taken over the later half of the turns, where the history outweighs what is new.
fn row(request: &Request, session: &Session) {
    let bodies: Vec<Vec<u8>> = session.cuts.iter().map(|end| session.request(*end)).collect();
    let mut costs = vec![f64::INFINITY; bodies.len()];
    let mut fresh = f64::INFINITY;
    for _ in 0..RUNS {
        let runs = play(request, &bodies);
        costs.iter_mut().zip(runs).for_each(|(cost, run)| *cost = cost.min(run));
        fresh = play(request, &bodies[bodies.len() - 1..]).into_iter().fold(fresh, f64::min);
    }
    let points: Vec<(f64, f64)> =
        bodies.iter().zip(&costs).map(|(body, cost)| (body.len() as f64, *cost)).collect();
    let last = bodies.len() - 1;
    let grown = (bodies[last].len() - bodies[0].len()) as f64 / last as f64;
    println!(
        "{:26.26}{:>6}{:>8}{:>10.0}{:>10.0}{fresh:>10.0}{:>10.1}{:>10.2}",
        request.name,
        bodies.len(),
        bodies[last].len() / 1000,
        costs[last / 2],
        costs[last],
        grown / 1e3,
        exponent(&points[last / 2..]),
    );
}

/// Microseconds of each request, one after the other.
fn play(request: &Request, bodies: &[Vec<u8>]) -> Vec<f64> {
    let (memo, mut counter) = memos();
    let scope = memo.scope(std::iter::empty());
    let plan = Plan::of(Mode::Hybrid);
    let mut turn = |body: &Vec<u8>| {
        let started = thread_time();
        let rewritten = rewrite::rewrite_in(scope, &mut counter, &plan, request.format, body);
        let took = thread_time() - started;
        drop(rewritten);
        took.as_secs_f64() * 1e6
    };
    bodies.iter().map(&mut turn).collect()
}
