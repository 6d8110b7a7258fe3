//! Speed of the token counter beside its oracle, in MB/s of processor time.
//!
//! The texts are the files named on the command line, the strings of the corpus as the proxy counts
//! them, one by one, and generated ones that are hard for a tokenizer. Cold: a new counter. Warm: the
//! same text again. Again: the same with the memo that the proxy's workers share. All of them and the
//! oracle take turns, and the middle of several turns is printed.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use bpe_openai::o200k_base;
use serde_json::Value;

use crate::Means;
use crate::measure::{Random, Request, thread_time};
use crate::tokens;

const TURNS: usize = 7;

/// A name and the beginnings of the names of the files that belong to it.
const CORPUS: &[(&str, &[&str])] = &[
    ("prose", &["prose"]),
    ("code", &["code", "diff"]),
    ("json", &["json"]),
    ("logs", &["log", "ci"]),
    ("agent", &["agent"]),
];

pub(crate) fn table(means: &Means) -> bool {
    o200k_base().count("load it");
    println!("counting, MB/s   KB    cold    warm   again  oracle  cold/oracle");
    for file in &means.texts {
        let text = std::fs::read(file).expect("a text named on the command line");
        let name = file.rsplit('/').next().unwrap_or(file);
        measure(name, &[String::from_utf8_lossy(&text).into_owned()]);
    }
    for (name, files) in CORPUS {
        measure(name, &strings(&means.corpus, files));
    }
    for (name, text) in generated() {
        measure(name, &[text]);
    }
    true
}

fn measure(name: &str, texts: &[String]) {
    let bytes: usize = texts.iter().map(String::len).sum();
    if bytes == 0 {
        return;
    }
    let random = RandomState::new();
    let memo = Arc::new(tokens::Memo::new(|at| random.hash_one(at)));
    let mut known = tokens::Counter::with_memo(memo);
    let mut turns: [Vec<Duration>; 4] = Default::default();
    let want = timed(texts, |text| known.count(text)).1;
    for _ in 0..TURNS {
        let mut counter = tokens::Counter::new();
        for turn in &mut turns[..2] {
            turn.push(checked(timed(texts, |text| counter.count(text)), want));
        }
        turns[2].push(checked(timed(texts, |text| known.count(text)), want));
        turns[3].push(checked(timed(texts, |text| o200k_base().count(text)), want));
    }
    let [cold, warm, again, oracle] = turns.map(|mut turn| {
        turn.sort_unstable();
        bytes as f64 / turn[TURNS / 2].as_secs_f64() / 1e6
    });
    let (kilobytes, ratio) = (bytes / 1000, cold / oracle);
    println!("{name:12} {kilobytes:6} {cold:7.1} {warm:7.1} {again:7.0} {oracle:7.1} {ratio:8.1}");
}

fn checked((took, count): (Duration, usize), want: usize) -> Duration {
    assert_eq!(count, want, "the counters disagree");
    took
}

fn timed(texts: &[String], mut count: impl FnMut(&str) -> usize) -> (Duration, usize) {
    let started = thread_time();
    let total = texts.iter().map(|text| count(text)).sum();
    (thread_time() - started, total)
}

fn strings(corpus: &[Request], beginnings: &[&str]) -> Vec<String> {
    let mut strings = Vec::new();
    for request in corpus {
        if beginnings.iter().any(|beginning| request.name.starts_with(beginning)) {
            let body = serde_json::from_slice(&request.body).expect("the corpus is JSON");
            collect(body, &mut strings);
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
    let mut random = Random::new();
    let mut of = |alphabet: &str, bytes: usize| {
        let alphabet: Vec<char> = alphabet.chars().collect();
        let mut text = String::new();
        while text.len() < bytes {
            text.push(alphabet[random.below(alphabet.len() as u64) as usize]);
        }
        text
    };
    let range = |first: char, last: char| -> String { (first..=last).collect() };
    let base64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut texts = Vec::new();
    for (name, alphabet) in [
        ("base64", base64),
        ("hex", "0123456789abcdef"),
        ("letters", &base64[..52]),
        ("lower", &base64[26..52]),
        ("etaoin", "etaoinshrdlu"),
        ("ideographs", &range('\u{4e00}', '\u{9f9f}')),
        ("hangul", &range('\u{ac00}', '\u{d7a3}')),
        ("thai", &range('\u{e01}', '\u{e39}')),
        ("khmer", &range('\u{1780}', '\u{17d2}')),
        ("emoji", "😀🎉🚀👩\u{200d}💻👍🏽\u{fe0f}🇩🇪✨🔥"),
        ("marks", "\u{300}\u{301}\u{308}\u{20dd}\u{fe0f}\u{e0100}"),
        ("punctuation", "!#$%&()*+,-./:;<=>?@[]^_{|}~"),
        ("white space", " \t\r\u{a0}"),
        ("lines", "  \n"),
        ("tabs", "\t "),
        ("ab", "ab"),
        ("a", "a"),
        ("spaces", " "),
        ("dashes", "-"),
    ] {
        texts.push((name, of(alphabet, 1_000_000)));
    }
    let bytes = of(&range('\0', '\u{ff}'), 2_000_000);
    let bytes: Vec<u8> = bytes.chars().map(|char| char as u8).collect();
    texts.push(("random bytes", String::from_utf8_lossy(&bytes).into_owned()));
    texts
}
