//! Speed of the token counter in MB/s, beside the oracle: `cargo run --release --example
//! token-speed`.
//!
//! The texts are the strings of the request bodies next to the repository, counted one by one as
//! the proxy does, and generated ones that are hard for a tokenizer. First pass: a new counter.
//! Steady: the best of several more, which leaves out what else the machine does.

use std::path::Path;
use std::time::{Duration, Instant};

use bpe_openai::o200k_base;
use serde_json::Value;

// Counts only: what a model makes of a count is not for it.
#[allow(dead_code, unused_imports)]
#[path = "../../src/tokens/mod.rs"]
mod tokens;

/// A name and the beginnings of the names of the files that belong to it.
const CORPUS: &[(&str, &[&str])] = &[
    ("prose", &["prose"]),
    ("code", &["code", "diff"]),
    ("json", &["json"]),
    ("logs", &["log", "ci"]),
    ("agent", &["agent"]),
];

fn main() {
    o200k_base().count("load it");
    println!("{:14} {:>8} {:>8} {:>8} {:>8}", "text", "KB", "first", "steady", "oracle");
    for (name, files) in CORPUS {
        measure(name, &corpus(files));
    }
    for (name, text) in generated() {
        measure(name, &[text]);
    }
}

fn measure(name: &str, texts: &[String]) {
    let bytes: usize = texts.iter().map(String::len).sum();
    if bytes == 0 {
        println!("{name:14} skipped: no ../shared/corpus");
        return;
    }
    let speed = |took: Duration| bytes as f64 / took.as_secs_f64() / 1e6;
    let mut counter = tokens::Counter::new();
    let mut pass = || timed(texts, |text| counter.count(text));
    let (first, count) = pass();
    let best = (0..15).map(|_| pass().0).min().unwrap_or(first);
    let (oracle, want) = timed(texts, |text| o200k_base().count(text));
    assert_eq!(count, want, "{name}");
    let kilobytes = bytes / 1000;
    let (first, best, oracle) = (speed(first), speed(best), speed(oracle));
    println!("{name:14} {kilobytes:8} {first:8.1} {best:8.1} {oracle:8.1}");
}

fn timed(texts: &[String], mut count: impl FnMut(&str) -> usize) -> (Duration, usize) {
    let started = Instant::now();
    let total = texts.iter().map(|text| count(text)).sum();
    (started.elapsed(), total)
}

fn corpus(beginnings: &[&str]) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["../shared/corpus", "../../shared/corpus"].map(|folder| root.join(folder));
    let files = folders.iter().find_map(|folder| folder.read_dir().ok()).into_iter().flatten();
    let mut strings = Vec::new();
    for file in files.flatten() {
        let name = file.file_name().into_string().unwrap_or_default();
        if beginnings.iter().any(|beginning| name.starts_with(beginning)) {
            let body = std::fs::read(file.path()).expect("the corpus is readable");
            collect(serde_json::from_slice(&body).expect("the corpus is JSON"), &mut strings);
        }
    }
    strings
}

fn collect(value: Value, strings: &mut Vec<String>) {
    match value {
        Value::String(string) => strings.push(string),
        Value::Array(items) => items.into_iter().for_each(|item| collect(item, strings)),
        Value::Object(members) => {
            members.into_iter().for_each(|(_, member)| collect(member, strings));
        }
        _ => {}
    }
}

fn generated() -> Vec<(&'static str, String)> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut of = |alphabet: &str, bytes: usize| {
        let alphabet: Vec<char> = alphabet.chars().collect();
        let mut text = String::new();
        while text.len() < bytes {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            text.push(alphabet[(state >> 33) as usize % alphabet.len()]);
        }
        text
    };
    let ideographs: String = ('\u{4e00}'..'\u{8000}').collect();
    let base64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    vec![
        ("base64", of(base64, 1_000_000)),
        ("hex", of("0123456789abcdef", 1_000_000)),
        ("letters", of(&base64[..52], 1_000_000)),
        ("ideographs", of(&ideographs, 1_000_000)),
        ("punctuation", of("!#$%&()*+,-./:;<=>?@[]^_{|}~", 1_000_000)),
        ("white space", of(" \t\r\u{a0}", 1_000_000)),
        ("lines", of("  \n", 1_000_000)),
        ("a", "a".repeat(1_000_000)),
        ("spaces", " ".repeat(1_000_000)),
        ("dashes", "-".repeat(1_000_000)),
        ("ab", of("ab", 1_000_000)),
    ]
}
