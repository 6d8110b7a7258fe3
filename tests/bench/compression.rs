//! What compression does to the request bodies beside the repository: `make bench`.
//!
//! Two tables. Tokens, time and passes of each body in each mode; and the bill of each session, all
//! of its requests played through the providers' prompt caches, as a share of the bill without
//! tokenpak. Ends with status 1 if a session gets dearer.

#![allow(dead_code, unused_imports, unreachable_pub)] // The product's own modules, of which this uses a part.

#[path = "../../src/compress/mod.rs"]
mod compress;
#[path = "../../src/json/mod.rs"]
mod json;
#[path = "../money/mod.rs"]
mod money;
#[path = "../../src/number.rs"]
mod number;
#[path = "../../src/pack/mod.rs"]
mod pack;
#[path = "../../src/tokens/mod.rs"]
mod tokens;
#[path = "../../src/wire/mod.rs"]
mod wire;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use compress::Mode;
use money::{Block, Blocks, CACHES, Cache, READS, Session};
use pack::{Packed, Plan};
use tokens::Counter;
use wire::Format;

const MODES: [Mode; 3] = [Mode::Strict, Mode::Hybrid, Mode::Aggressive];

struct Request {
    name: String,
    body: Vec<u8>,
    format: Format,
}

fn main() -> ExitCode {
    let Some(corpus) = corpus() else {
        println!("SKIPPED: no ../shared/corpus; TOKENPAK_CORPUS names another place");
        return ExitCode::SUCCESS;
    };
    sizes(&corpus);
    println!();
    if bills(&corpus) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The corpus in the order of its names.
fn corpus() -> Option<Vec<Request>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let named = std::env::var_os("TOKENPAK_CORPUS").map(PathBuf::from);
    let beside = ["../shared/corpus", "../../shared/corpus"].map(|folder| root.join(folder));
    let mut folders = named.into_iter().chain(beside);
    let entries = folders.find_map(|folder| folder.read_dir().ok())?;
    let read = |path: PathBuf| {
        let name = path.file_name()?.to_str()?.strip_suffix(".json")?.to_owned();
        let body = std::fs::read(&path).ok()?;
        let format = Format::of_body(&body)?;
        Some(Request { name, body, format })
    };
    let mut corpus: Vec<Request> =
        entries.flatten().filter_map(|entry| read(entry.path())).collect();
    corpus.sort_by(|a, b| a.name.cmp(&b.name));
    Some(corpus)
}

fn sizes(corpus: &[Request]) {
    println!("{:24}{:>9}{:>22}{:>22}{:>22}", "", "tokens", "strict", "hybrid", "aggressive");
    println!(
        "{:24}{:>9}{:>8}{:>7}{:>7}{:>8}{:>7}{:>7}{:>8}{:>7}{:>7}",
        "request", "before", "saved", "ms", "MB/s", "saved", "ms", "MB/s", "saved", "ms", "MB/s"
    );
    let mut passes: BTreeMap<&str, [u64; 3]> = BTreeMap::new();
    let mut totals = (0, [0; 3], [Duration::ZERO; 3], 0);
    for request in corpus {
        let mut line = String::new();
        let mut before = 0;
        for (at, mode) in MODES.into_iter().enumerate() {
            let (packed, took) = timed(request, mode);
            before = packed.before;
            line += &cell(packed.before, packed.after, took, request.body.len());
            for (pass, saved) in &packed.per_pass {
                passes.entry(pass).or_default()[at] += saved;
            }
            totals.1[at] += packed.after;
            totals.2[at] += took;
        }
        (totals.0, totals.3) = (totals.0 + before, totals.3 + request.body.len());
        println!("{:24.24}{before:>9}{line}", request.name);
    }
    let cells = (0..3).map(|at| cell(totals.0, totals.1[at], totals.2[at], totals.3));
    println!("{:24}{:>9}{}\n", "all", totals.0, cells.collect::<String>());
    println!(
        "{:24}{:>9}{:>8}{:>22}{:>22}",
        "tokens saved by pass", "", "strict", "hybrid", "aggressive"
    );
    for (pass, [strict, hybrid, aggressive]) in passes {
        println!("{pass:33}{strict:>8}{hybrid:>22}{aggressive:>22}");
    }
}

fn cell(before: u64, after: u64, took: Duration, bytes: usize) -> String {
    let saved = 100.0 * (before as f64 - after as f64) / before as f64;
    let ms = took.as_secs_f64() * 1e3;
    format!("{saved:>7.1}%{ms:>7.2}{:>7.0}", bytes as f64 / ms / 1e3)
}

/// The best of several runs, which leaves out what else the machine does.
fn timed(request: &Request, mode: Mode) -> (Packed, Duration) {
    let mut counter = Counter::new();
    let mut run = || {
        let started = Instant::now();
        let packed = pack::pack(&mut counter, &Plan::of(mode), request.format, &request.body);
        (packed, started.elapsed())
    };
    let (packed, first) = run();
    let best = (0..5).map(|_| run().1).min().unwrap_or(first);
    (packed, best.min(first))
}

/// Whether no session gets dearer in any mode, at any price.
fn bills(corpus: &[Request]) -> bool {
    println!(
        "The bill as a share of the bill without tokenpak, at read prices of 10, 5 and 2.5 %, with"
    );
    println!("the cache of all that fit (minimum prefix, price of writing) where it is highest.\n");
    println!(
        "{:24}{:>9}{:>9}{:>18}{:>18}{:>18}",
        "session", "requests", "tokens", "strict", "hybrid", "aggressive"
    );
    let mut is_held = true;
    for request in corpus {
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
        let packed = mode
            .and_then(|mode| pack::pack(&mut counter, &Plan::of(mode), request.format, &body).body);
        blocks.of(packed.as_deref().unwrap_or(&body))
    };
    session.cuts.iter().map(one).collect()
}
