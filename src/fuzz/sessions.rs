//! Sessions whose results are made of our own markers, longer than 100 KB: the laws hold, and memory is
//! bounded by a multiple of the body.

use allocation_counter::measure;
use arbtest::arbitrary::Unstructured;
use serde_json::{Value, json};

use super::{below, cut, fuzz, pick};
use crate::compress::Mode;
use crate::compress::tests::renderings;
use crate::rewrite::{self, Plan};
use crate::tokens::Counter;
use crate::wire::Format;

#[path = "../../tests/hostile/mod.rs"]
mod hostile;

/// A result is longer than this.
const RESULT_BYTES_MIN: usize = 100_000;
/// What a piece of it is made from, in bytes.
const PIECE_BYTES: usize = 30_000;
const SESSIONS: u64 = 12;

/// What packing takes at once, as a multiple of the body, and beside it, in bytes. Most take four times its
/// size; a list of numbers with one digit becomes a tree with a node for each.
const MEMORY_PER_BYTE: u64 = 48;
const MEMORY_BESIDE: u64 = 2_000_000;
/// What it allocates in all.
const ALLOCATED_PER_BYTE: u64 = 150;

#[test]
fn long_hostile_sessions_keep_the_laws() {
    let pieces = hostile::marked(PIECE_BYTES);
    let mut counter = Counter::new();
    fuzz(SESSIONS, |source| {
        let count = 2 + below(source, 2);
        let texts: Vec<String> = (0..count).map(|_| text(source, &pieces)).collect();
        let mode = *pick(source, &[Mode::Hybrid, Mode::Strict, Mode::Aggressive]);
        let kept = below(source, count);
        laws(&mut counter, mode, &texts, kept);
        Ok(())
    });
}

/// Every family as it is, at a size at which a product of two sizes would show.
#[test]
fn every_hostile_family_keeps_the_laws() {
    let mut counter = Counter::new();
    for (name, path, body) in hostile::families() {
        let format = Format::of_path(path).expect("a prompt");
        let body = body(150_000);
        for mode in [Mode::Strict, Mode::Hybrid, Mode::Aggressive] {
            let sent = rewrite_within(&mut counter, mode, format, &body, name);
            if mode != Mode::Aggressive {
                let back = rewrite::expand(format, &sent, 4 * body.len());
                assert!(back.is_ok(), "{name} {mode:?}: {back:?}");
            }
        }
    }
}

/// Pieces, cut and put together, with other numbers and words of ours between.
fn text(source: &mut Unstructured, pieces: &[String]) -> String {
    let mut text = String::new();
    while text.len() < RESULT_BYTES_MIN {
        let piece = pick(source, pieces);
        let (from, to) = (cut(source, piece), cut(source, piece));
        let part =
            if below(source, 3) > 0 { &piece[..] } else { &piece[from.min(to)..from.max(to)] };
        match below(source, 6) {
            0 => text = part.to_owned() + &text,
            1 => text.insert_str(cut(source, &text), part),
            2 => text += &part.replace("tool result 1", "this text"),
            3 => text += &part.replacen("the same as lines 2-", "the same as lines 3-", 9),
            _ => text += part,
        }
        text +=
            *pick(source, &["", "\n", "\nline 0 of the text\n", "\n#1 9\n", "\"]}", "\u{1b}[1A\r"]);
    }
    text
}

fn body(texts: &[String]) -> String {
    let turn = |(at, text): (usize, &String)| {
        let id = format!("c{at}");
        let call = json!({"type": "tool_use", "id": id, "name": "WebFetch", "input": {}});
        let result = json!({"type": "tool_result", "tool_use_id": id, "content": text});
        let message = |role: &str, part: Value| json!({"role": role, "content": [part]});
        [message("assistant", call), message("user", result)]
    };
    let turns: Vec<Value> = texts.iter().enumerate().flat_map(turn).collect();
    json!({"model": "m", "messages": turns}).to_string()
}

fn laws(counter: &mut Counter, mode: Mode, texts: &[String], kept: usize) {
    let whole = body(texts);
    let sent = rewrite_within(counter, mode, Format::Messages, &whole, "generated");
    let part =
        rewrite_within(counter, mode, Format::Messages, &body(&texts[..kept]), "its beginning");
    if kept > 0 {
        assert!(sent.starts_with(&part[..part.len() - 2]), "the prefix law");
    }
    if mode == Mode::Aggressive {
        return;
    }
    let back = rewrite::expand(Format::Messages, &sent, 2 * whole.len()).expect("it is ours");
    let back: Value = serde_json::from_slice(&back).expect("it stays JSON");
    for (at, text) in texts.iter().enumerate() {
        let is = &back["messages"][2 * at + 1]["content"][0]["content"];
        let may_be = renderings(text, false, false);
        assert!(may_be.iter().any(|it| is == it), "result {at} does not come back");
    }
}

/// What is sent, and that it took no more than it may.
fn rewrite_within(
    counter: &mut Counter,
    mode: Mode,
    format: Format,
    body: &str,
    what: &str,
) -> Vec<u8> {
    let plan = Plan { threshold: 0, ..Plan::of(mode) };
    let mut sent = None;
    let spent = measure(|| sent = rewrite::rewrite(counter, &plan, format, body.as_bytes()).body);
    let bytes = body.len() as u64;
    let most = MEMORY_PER_BYTE * bytes + MEMORY_BESIDE;
    assert!(spent.bytes_max <= most, "{what} {mode:?}, {bytes} bytes: {} at once", spent.bytes_max);
    let most = ALLOCATED_PER_BYTE * bytes + MEMORY_BESIDE;
    assert!(
        spent.bytes_total <= most,
        "{what} {mode:?}, {bytes} bytes: {} in all",
        spent.bytes_total
    );
    sent.unwrap_or_else(|| body.as_bytes().to_vec())
}
