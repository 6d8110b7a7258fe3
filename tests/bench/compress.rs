//! What compression saves and how long it takes, per request of the corpus and per mode: `cargo run
//! --release --example compress-speed [WORD]`, where WORD is in the names of the files to measure.
//!
//! Speed is that of a new request, counting included; beside it, that of a request that was seen before but for its last messages.

use std::path::Path;
use std::time::{Duration, Instant};

#[path = "../../src/compress/mod.rs"]
mod compress;
#[path = "../../src/json/mod.rs"]
mod json;
#[path = "../../src/pack/mod.rs"]
mod pack;
#[path = "../../src/tokens/mod.rs"]
mod tokens;
#[path = "../../src/wire/mod.rs"]
mod wire;

use compress::Mode;
use pack::Plan;
use wire::Format;

const MODES: [Mode; 3] = [Mode::Strict, Mode::Hybrid, Mode::Aggressive];

fn main() {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    for (name, format, body) in corpus() {
        if name.contains(&wanted) {
            for mode in MODES {
                measure(&name, format, &Plan::of(mode), &body);
            }
        }
    }
}

fn measure(name: &str, format: Format, plan: &Plan, body: &[u8]) {
    let mut best = Duration::MAX;
    let mut first = None;
    for _ in 0..7 {
        let mut counter = tokens::Counter::new();
        let started = Instant::now();
        let packed = pack::pack(&mut counter, plan, format, body);
        best = best.min(started.elapsed());
        first.get_or_insert(packed);
    }
    let off = Plan::of(Mode::Off);
    let mut bare = Duration::MAX;
    for _ in 0..5 {
        let mut counter = tokens::Counter::new();
        let started = Instant::now();
        pack::pack(&mut counter, &off, format, body);
        bare = bare.min(started.elapsed());
    }
    let Some(packed) = first else { return };
    let saved = packed.before - packed.after;
    let mode = plan.mode.name();
    let unclear =
        packed.texts.iter().filter(|text| text.left == Some(compress::Left::Unclear)).count();
    println!(
        "{name:22} {mode:10} {:>8} -{:5.1}% {:6.2} ms (counting {:6.2}) {:6.1} MB/s unclear {unclear} {:?}",
        packed.before,
        100.0 * saved as f64 / packed.before as f64,
        best.as_secs_f64() * 1e3,
        bare.as_secs_f64() * 1e3,
        body.len() as f64 / best.as_secs_f64() / 1e6,
        packed.per_pass,
    );
}

fn corpus() -> Vec<(String, Format, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["../shared/corpus", "../../shared/corpus"].map(|folder| root.join(folder));
    let files = folders.iter().find_map(|folder| folder.read_dir().ok()).into_iter().flatten();
    let mut files: Vec<_> = files.flatten().map(|file| file.path()).collect();
    files.sort();
    let read = |path: &std::path::PathBuf| {
        let body = std::fs::read(path).ok()?;
        let name = path.file_name()?.to_str()?.split('.').next()?.to_owned();
        Some((name, Format::of_body(&body)?, body))
    };
    files
        .iter()
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .filter_map(read)
        .collect()
}
