//! What compression saves: tokens by request, mode and pass; and the bill of each session, all of its
//! requests played through the providers' prompt caches, as a share of the bill without tokenpak. It
//! fails if a session gets dearer.

use std::collections::BTreeMap;

use crate::Means;
use crate::compress::Mode;
use crate::measure::Request;
use crate::money::{self, Block, Blocks, CACHES, Cache, READS, Session};
use crate::rewrite::{self, Plan};
use crate::tokens::Counter;

const MODES: [Mode; 3] = [Mode::Strict, Mode::Hybrid, Mode::Aggressive];

pub(crate) fn table(means: &Means) -> bool {
    println!("{:26}{:>9}{:>9}{:>9}{:>12}", "savings", "tokens", "strict", "hybrid", "aggressive");
    let mut passes: BTreeMap<&str, [u64; 3]> = BTreeMap::new();
    let (mut all_before, mut all_after) = (0, [0; 3]);
    for request in &means.corpus {
        let rewritten = MODES.map(|mode| {
            rewrite::rewrite(&mut Counter::new(), &Plan::of(mode), request.format, &request.body)
        });
        for (at, rewritten) in rewritten.iter().enumerate() {
            all_after[at] += rewritten.after;
            for (pass, saved) in &rewritten.per_pass {
                passes.entry(pass).or_default()[at] += saved;
            }
        }
        let (before, after) = (rewritten[0].before, rewritten.map(|rewritten| rewritten.after));
        all_before += before;
        line(&request.name, before, after);
    }
    line("all", all_before, all_after);
    println!("\n{:35}{:>9}{:>9}{:>12}", "tokens saved by pass", "strict", "hybrid", "aggressive");
    for (pass, [strict, hybrid, aggressive]) in passes {
        println!("{pass:35}{strict:>9}{hybrid:>9}{aggressive:>12}");
    }
    true
}

fn line(name: &str, before: u64, after: [u64; 3]) {
    let [strict, hybrid, aggressive] =
        after.map(|after| 100.0 * (before as f64 - after as f64) / before as f64);
    println!("{name:26.26}{before:>9}{strict:>8.1}%{hybrid:>8.1}%{aggressive:>11.1}%");
}

/// Whether no session gets dearer in any mode, at any price.
pub(crate) fn bills(means: &Means) -> bool {
    println!(
        "The bill as a share of the bill without tokenpak, at read prices of 10, 5 and 2.5 %, with"
    );
    println!("the cache of all that fit (minimum prefix, price of writing) where it is highest.\n");
    println!(
        "{:24}{:>9}{:>9}{:>18}{:>18}{:>18}",
        "session", "requests", "tokens", "strict", "hybrid", "aggressive"
    );
    let mut is_held = true;
    for request in &means.corpus {
        let session = Session::of(&request.body);
        let plain = requests(request, &session, None);
        let last: u64 = plain.last().into_iter().flatten().map(|block| block.tokens).sum();
        let mut line = format!("{:24.24}{:>9}{last:>9}", request.name, session.cuts.len());
        for mode in MODES {
            let sent = requests(request, &session, Some(mode));
            let caches = CACHES.iter().filter(|(_, cache)| fits(*cache, &session));
            let all: Vec<[f64; 3]> =
                caches.map(|(_, cache)| shares(*cache, &plain, &sent)).collect();
            let worst = [0, 1, 2].map(|read| all.iter().map(|it| it[read]).fold(0.0, f64::max));
            is_held &= worst.iter().all(|share| *share <= 100.0);
            line += "  ";
            worst.iter().for_each(|share| line += &format!("{share:>5.1} "));
            line.pop();
        }
        println!("{line}");
    }
    is_held
}

fn fits(cache: Cache, session: &Session) -> bool {
    matches!(cache, Cache::Marks { .. }) == session.marks
}

/// In per cent, for each read price.
fn shares(cache: Cache, plain: &[Vec<Block>], sent: &[Vec<Block>]) -> [f64; 3] {
    let [plain, sent] = [plain, sent].map(|requests| money::bill(cache, requests));
    READS.map(|read| 100.0 * sent.cost(cache, read) as f64 / plain.cost(cache, read) as f64)
}

/// All requests of a session as the provider gets them; without a mode, as the client sends them.
fn requests(request: &Request, session: &Session, mode: Option<Mode>) -> Vec<Vec<Block>> {
    let (mut counter, mut sizes) = (Counter::new(), Counter::new());
    let mut count = |text: &str| sizes.count(text) as u64;
    let mut blocks = Blocks::new(&mut count);
    let one = |end: &usize| {
        let body = session.request(*end);
        let rewritten = mode.and_then(|mode| {
            rewrite::rewrite(&mut counter, &Plan::of(mode), request.format, &body).body
        });
        blocks.of(rewritten.as_deref().unwrap_or(&body))
    };
    session.cuts.iter().map(one).collect()
}
