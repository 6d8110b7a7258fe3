//! What compression saves and how long it takes, per request of the corpus and per mode: `cargo run
//! --release --example compress-speed [WORD]`, where WORD is in the names of the files to measure.
//!
//! `ms`: a new request, counting included. `added`: without what it takes to read and count it; that
//! is what compression costs. `again`: the same request once more, with a memo, which is what the
//! history costs in the next turn.

// Whole modules of the program are here, and not all of them is used.
#![allow(dead_code, unused_imports)]

use std::path::Path;
use std::time::{Duration, Instant};

#[path = "../../src/compress/mod.rs"]
mod compress;
#[path = "../../src/json/mod.rs"]
mod json;
#[path = "../../src/number.rs"]
mod number;
#[path = "../../src/pack/mod.rs"]
mod pack;
#[path = "../../src/tokens/mod.rs"]
mod tokens;
#[path = "../../src/wire/mod.rs"]
mod wire;

use compress::{Left, Mode};
use pack::Plan;
use tokens::Counter;
use wire::Format;

const MODES: [Mode; 3] = [Mode::Strict, Mode::Hybrid, Mode::Aggressive];

/// Runs of each request.
const RUNS: usize = 15;

fn main() {
    println!(
        "{:22} {:10} {:>8} {:>6} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "request", "mode", "tokens", "saved", "ms", "added", "MB/s", "again", "MB/s"
    );
    let wanted = std::env::args().nth(1).unwrap_or_default();
    for (name, format, body) in corpus().into_iter().chain(generated()) {
        if name.contains(&wanted) {
            for mode in MODES {
                measure(&name, format, &Plan::of(mode), &body);
            }
        }
    }
}

/// The shortest of several runs, in seconds: what else the machine does is left out.
fn best<T>(mut run: impl FnMut() -> T) -> (f64, Option<T>) {
    let mut best = Duration::MAX;
    let mut last = None;
    for _ in 0..RUNS {
        let started = Instant::now();
        last = Some(run());
        best = best.min(started.elapsed());
    }
    (best.as_secs_f64(), last)
}

fn measure(name: &str, format: Format, plan: &Plan, body: &[u8]) {
    let new = |plan: &Plan| best(|| pack::pack(&mut Counter::new(), plan, format, body));
    let (counting, _) = new(&Plan::of(Mode::Off));
    let (all, packed) = new(plan);
    let memo = pack::Memo::new(
        16 << 20,
        [1, 2, 3, 5].map(|seed: u64| seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
    );
    let scope = memo.scope(std::iter::empty());
    let mut counter = Counter::new();
    let (again, _) = best(|| pack::pack_in(scope, &mut counter, plan, format, body));
    let Some(packed) = packed else { return };
    let percent = 100.0 * (packed.before as f64 - packed.after as f64) / packed.before as f64;
    let unclear = packed.texts.iter().filter(|text| text.left == Some(Left::Unclear)).count();
    println!(
        "{name:22} {:10} {:>8} {percent:5.1}% {:8.2} {:8.2} {:8.1} {:8.2} {:8.1} {unclear:3} {:?}",
        plan.mode.name(),
        packed.before,
        all * 1e3,
        (all - counting) * 1e3,
        body.len() as f64 / (all - counting) / 1e6,
        again * 1e3,
        body.len() as f64 / again / 1e6,
        packed.per_pass,
    );
}

/// Texts that are hard on a compressor, each as the result of a tool: none may take longer per byte
/// than ten times what the requests above take.
fn generated() -> impl Iterator<Item = (String, Format, Vec<u8>)> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut random = move |limit: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) % limit
    };
    let mut many = |count: usize, one: &mut dyn FnMut(u64) -> String| -> String {
        (0..count).map(|_| one(random(1 << 20))).collect()
    };
    let texts = [
        ("one character", "a".repeat(1_000_000)),
        ("one bracket", "{".repeat(1_000_000)),
        ("nested", format!("{}{}", "[".repeat(500_000), "]".repeat(500_000))),
        ("equal lines", "x\n".repeat(300_000)),
        ("blank lines", "\n".repeat(1_000_000)),
        ("two lines", "ab\ncd\nab\nab\ncd\n".repeat(60_000)),
        ("few lines", many(300_000, &mut |word| format!("{}\n", word % 3))),
        ("many lines", many(100_000, &mut |word| format!("{}\n", word % 5000))),
        (
            "long repeats",
            many(3000, &mut |word| format!("line {} {}\n", word % 40, "-".repeat(300))),
        ),
        ("numbers", (1..100_000).map(|line| format!("{line:6}\u{2192}}}\n")).collect()),
        ("code in one line", many(60_000, &mut |word| format!("function f{word}(a){{return a}};"))),
        ("base64", many(250_000, &mut |word| format!("{:04x}", word % 65_536))),
        ("returns", many(100_000, &mut |word| format!("\r{word} %"))),
        ("escapes", many(100_000, &mut |word| format!("\u{1b}[{}A\u{1b}[Kx", word % 30))),
        ("our own markers", "a\n[... the line above 9 more times ...]\n".repeat(25_000)),
    ];
    texts.into_iter().map(|(name, text)| {
        let call = serde_json::json!({"name": "Bash", "arguments": "{\"command\":\"make\"}"});
        let calls = serde_json::json!([{"id": "a", "function": call}]);
        let body = serde_json::json!({"messages": [
            {"role": "system", "content": "word ".repeat(5000)},
            {"role": "assistant", "tool_calls": calls},
            {"role": "tool", "tool_call_id": "a", "content": text},
        ]});
        (name.to_owned(), Format::Chat, body.to_string().into_bytes())
    })
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
