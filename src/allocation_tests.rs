//! What fixed pieces of work allocate: the guard against getting slower without noticing.
//!
//! Times depend on the machine and what else it does, and instruction counts on the compiler and the
//! C library; how often a piece of work allocates, and how much, depends on the code alone. A copy
//! that is not needed, a cache that no longer holds, a history that is read anew each turn: all of them
//! show here. The bounds are what was measured and a fifth more. Whoever has to raise one says why in
//! the commit; whoever can lower one does.

use std::collections::BTreeMap;

use allocation_counter::measure;
use serde_json::json;

use crate::compress::Mode;
use crate::footer;
use crate::ledger::{self, Entry, Ledger, Ratio, WriterSettings};
use crate::prices::bill::Source;
use crate::prices::{Money, Prices};
use crate::rewrite::{self, Memo, Plan, ReadPrompt};
use crate::route::{self, Asked, Upstreams};
use crate::tokens::{self, Counter};
use crate::trace::{self, Side};
use crate::wire::answer::UsageObserver;
use crate::wire::{Format, Usage};

/// Runs a piece of work that may allocate so often, and so many bytes in all.
#[track_caller]
fn check(what: &str, (times_max, bytes_max): (u64, u64), work: impl FnOnce()) {
    let spent = measure(work);
    let (times, bytes) = (spent.count_total, spent.bytes_total);
    println!("{what}: {times} allocations of {bytes} bytes, at most {} at once", spent.bytes_max);
    assert!(times <= times_max, "{what}: {times} allocations instead of {times_max}");
    assert!(bytes <= bytes_max, "{what}: {bytes} bytes instead of {bytes_max}");
}

/// Lines of code with numbers, as tools give them back.
fn listing(file: usize, lines: usize) -> String {
    (1..=lines)
        .map(|line| format!("{line:6}\u{2192}    let value_{line} = call({file}, {line});\n"))
        .collect()
}

/// A session of so many turns, each of which reads another file.
fn session(turns: usize) -> Vec<u8> {
    let mut messages = vec![json!({"role": "system", "content": "word ".repeat(5000)})];
    for turn in 0..turns {
        let id = format!("call_{turn}");
        let arguments = format!("{{\"path\":\"f{turn}\"}}");
        let call = json!({"id": id, "type": "function",
            "function": {"name": "Read", "arguments": arguments}});
        messages.push(json!({"role": "assistant", "tool_calls": [call]}));
        let content = listing(turn, 100);
        messages.push(json!({"role": "tool", "tool_call_id": id, "content": content}));
    }
    json!({"model": "gpt-4o", "messages": messages}).to_string().into_bytes()
}

/// Without a pattern, as a process takes it from the system.
fn random(at: usize) -> u64 {
    let mixed = (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

#[test]
fn counting_allocates_nothing() {
    let text = listing(1, 2000);
    let mut counter = Counter::new();
    check("counting 70 KB, cold", (0, 0), || _ = counter.count(&text));
    check("counting 70 KB, warm", (0, 0), || _ = counter.count(&text));
}

#[test]
fn a_turn_costs_its_new_part_and_little_for_the_history() {
    let memo = Memo::new(4 << 20, random);
    let mut counter = Counter::with_memo(std::sync::Arc::new(tokens::Memo::new(random)));
    let plan = Plan::of(Mode::Hybrid);
    let mut rewrite = |body: &[u8]| {
        let scope = memo.scope(std::iter::empty());
        drop(rewrite::rewrite_in(scope, &mut counter, &plan, Format::Chat, body));
    };
    let [short, long, longer] = [20, 200, 201].map(session);
    check("20 turns, all new", (1024, 942_000), || rewrite(&short));
    check("20 turns again", (163, 400_000), || rewrite(&short));
    check("200 turns, all new", (8643, 8_751_000), || rewrite(&long));
    check("200 turns again", (1254, 3_724_000), || rewrite(&long));
    check("one more turn", (1310, 4_047_000), || rewrite(&longer));
}

/// The memo, which has a bound of its own, is part of it.
#[test]
fn compressing_takes_two_bodies_and_a_megabyte_at_most() {
    for turns in [20, 200, 800] {
        let body = session(turns);
        let (memo, plan) = (Memo::new(4 << 20, random), Plan::of(Mode::Hybrid));
        let scope = memo.scope(std::iter::empty());
        let mut counter = Counter::new();
        let peak =
            measure(|| drop(rewrite::rewrite_in(scope, &mut counter, &plan, Format::Chat, &body)));
        let most = 2 * body.len() as u64 + 1_000_000;
        assert!(peak.bytes_max <= most, "{} bytes: {} at once", body.len(), peak.bytes_max);
    }
}

/// Sessions come and go, and the setting says what they may take together: as it is, with what the
/// allocator adds to each block.
#[test]
fn the_memo_takes_what_it_may_and_no_more() {
    const BLOCK_BYTES: i64 = 16;
    let bodies: Vec<Vec<u8>> = (0..40).map(session_of).collect();
    let (memo, plan) = (Memo::new(1 << 20, random), Plan::of(Mode::Hybrid));
    let mut counter = Counter::new();
    let held = measure(|| {
        for (number, body) in bodies.iter().enumerate() {
            let owner = number.to_le_bytes();
            let scope = memo.scope(std::iter::once(&owner[..]));
            drop(rewrite::rewrite_in(scope, &mut counter, &plan, Format::Chat, body));
        }
    });
    let bytes = held.bytes_current + BLOCK_BYTES * held.count_current;
    println!("a memo of 1 MB: {bytes} bytes in {} blocks", held.count_current);
    assert!((1 << 19..=1 << 20).contains(&bytes), "{bytes}");
}

/// Sessions of five to thirty turns.
fn session_of(number: usize) -> Vec<u8> {
    session(5 + number * 7 % 26)
}

/// What stands on the way of every request, however small, and is free of sockets and files.
#[test]
fn a_small_request_allocates_little() {
    let content = "word ".repeat(80);
    let body = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": content}]});
    let (body, plan) = (body.to_string().into_bytes(), Plan::of(Mode::Hybrid));
    let providers = BTreeMap::from([("openai".to_owned(), "http://127.0.0.1:1".to_owned())]);
    let headers = |each: route::Each| each(b"authorization", b"Bearer sk-dummy");
    let target = "/v1/chat/completions";
    let asked = Asked { method: "POST", target, named: None, headers: &headers };
    let upstreams = Upstreams { providers: &providers, passthrough_url: None };
    check("a small request: where it goes", (2, 53), || drop(route::pick(&asked, &upstreams)));

    let mut counter = Counter::new();
    let mut count = || {
        let read = ReadPrompt::read(Format::Chat, &body).unwrap();
        assert!(read.stays(&plan));
        drop(read.count(&mut counter, &plan));
    };
    count();
    check("a small request: counting", (5, 450), count);

    let sent =
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer sk-dummy\r\n\r\n";
    let side = Side::of_wire(sent).unwrap();
    let trace = || drop((trace::path(asked.target), trace::credentials(&side, Some(&side))));
    check("a small request: its trace", (2, 330), trace);
    let request = footer::Request {
        format: Some(Format::Chat),
        body: &body,
        demand: None,
        is_agent: footer::is_agent(b"curl/8"),
        is_off: false,
        is_counted: true,
    };
    // The first use makes the searches ready.
    assert_eq!(footer::request_refusal(&request), None);
    check("a small request: may it have a footer", (0, 0), || {
        _ = footer::request_refusal(&request)
    });
}

#[test]
fn a_small_answer_allocates_little() {
    let message = json!({"role": "assistant", "content": "Done."});
    let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
    let usage = json!({"prompt_tokens": 100, "completion_tokens": 2, "total_tokens": 102});
    let answer = json!({"model": "gpt-4o-2024-08-06", "choices": [choice], "usage": usage});
    let (answer, prices) = (answer.to_string().into_bytes(), Prices::default());
    let row = Entry { model: Some("gpt-4o".into()), ..entry(1) };
    let read = || {
        let mut observer = UsageObserver::new(Format::Chat);
        observer.feed(&answer);
        assert!(observer.finish().usage.is_some());
    };
    read();
    check("a small answer: what it says", (6, 1500), read);
    let usage = row.usage.unwrap();
    // The first one inflates the table.
    assert!(row.price(&prices, &usage).is_some());
    check("a small answer: its price", (0, 0), || assert!(row.price(&prices, &usage).is_some()));
    check("a small answer: its footer", (11, 730), || {
        let line = footer::line(1500, 1000, Some(100));
        assert!(footer::add(Format::Chat, &answer, &line).is_ok());
    });
}

fn entry(number: i64) -> Entry {
    let usage = Usage { input: Some(1000), output: Some(100), ..Usage::default() };
    Entry {
        ts: 1_795_435_200 + number * 60,
        model: Some(format!("model-{}", number % 5)),
        usage: Some(usage),
        cuts: vec![(100, 400)],
        ratio: Ratio::of_hundredths(100),
        money: Some(Money { cost_nano: 1000, saved_nano: 100, source: Source::Listed }),
        ..ledger::tests::entry(&format!("{number:016}"))
    }
}

#[test]
fn a_row_costs_its_sender_one_allocation() {
    let folder = std::env::temp_dir().join(format!("tokenpak-costs-{}", std::process::id()));
    let keeping = WriterSettings { flush_ms: 60_000, retention_days: 0 };
    let ledger = Ledger::start(&folder.join("monitor.db"), keeping, |line| panic!("{line}"));
    let row = entry(2);
    // The first use of a channel on a thread has something to set up.
    ledger.record(entry(1));
    check("a row, for who hands it over", (1, 630), || ledger.record(row));
    ledger.close();
    std::fs::remove_dir_all(&folder).unwrap();
}
