//! The most memory that compressing a body of so many bytes takes beside the body itself, and what
//! the program takes while it carries so many streams.

use std::time::Duration;

use allocation_counter::measure;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::Means;
use crate::compress::Mode;
use crate::measure::exponent;
use crate::provider::{Provider, Script};
use crate::rewrite::{self, Plan};
use crate::sandbox::{Client, Sandbox};
use crate::speed::memos;
use crate::wire::Format;

const KILOBYTES: [usize; 5] = [250, 1000, 4000, 16_000, 64_000];
const STREAMS: [usize; 4] = [64, 128, 256, 512];
/// Both ends of the streams, some of them twice.
const FILES: u64 = 4000;

pub(crate) fn table(means: &Means) -> bool {
    println!(
        "{:26}{:>10}{:>10}{:>10}{:>10}{:>12}",
        "memory, hybrid", "body KB", "peak KB", "x body", "again KB", "allocations"
    );
    let mut points = Vec::new();
    for kilobytes in KILOBYTES {
        let body = grown(kilobytes * 1000);
        points.push((body.len() as f64, row("generated", Format::Chat, &body)));
    }
    println!("{:26}{:>30.2}", "exponent of the peak", exponent(&points));
    for request in &means.corpus {
        row(&request.name, request.format, &request.body);
    }
    println!();
    streams(means);
    true
}

/// Of the whole program, before the first request and while so many streams say a word each 0.1 s.
fn streams(means: &Means) {
    let files = getrlimit(Resource::Nofile);
    let current = files.maximum.map_or(FILES, |maximum| maximum.min(FILES));
    let may_open = setrlimit(Resource::Nofile, Rlimit { current: Some(current), ..files }).is_ok();
    if !means.binary.exists() || current < FILES || !may_open {
        println!("memory, streams SKIPPED: no binary, or too few files may be open");
        return;
    }
    println!(
        "{:26}{:>10}{:>12}{:>12}{:>12}",
        "memory, streams", "streams", "before KiB", "RSS KiB", "KiB each"
    );
    let mut points = Vec::new();
    for count in STREAMS {
        let [before, during] = carry(means, count);
        let grown = during.saturating_sub(before) as f64;
        points.push((count as f64, grown));
        println!("{:26}{count:>10}{before:>12}{during:>12}{:>12.1}", "", grown / count as f64);
    }
    println!("{:26}{:>46.2}", "exponent of what is added", exponent(&points));
}

/// Resident memory in kibibytes.
fn carry(means: &Means, count: usize) -> [usize; 2] {
    let provider = Provider::start();
    let gap = Duration::from_millis(100);
    provider.always(Script { words: 600, gap, ..Script::default() });
    let sandbox = Sandbox::of(&means.binary).providers(&provider);
    let proxy = sandbox.serve();
    let before = proxy.figure("VmRSS");
    let body = br#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
    let open = || {
        let mut client = Client::connect(proxy.port());
        let headers = [("authorization", "Bearer sk-dummy")];
        client.request(("POST", "/v1/chat/completions"), &headers, body);
        // One after the other: the stand-in's listener has room for few at once.
        assert_eq!(client.head().status, 200);
        let _ = client.piece();
        client
    };
    let _clients: Vec<Client> = (0..count).map(|_| open()).collect();
    [before, proxy.figure("VmRSS")]
}

/// The peak in bytes.
fn row(name: &str, format: Format, body: &[u8]) -> f64 {
    let (memo, mut counter) = memos();
    let scope = memo.scope(std::iter::empty());
    let plan = Plan::of(Mode::Hybrid);
    let mut rewrite = || drop(rewrite::rewrite_in(scope, &mut counter, &plan, format, body));
    let [new, again] = [measure(&mut rewrite), measure(&mut rewrite)];
    let kilobytes = |bytes: u64| bytes as f64 / 1e3;
    println!(
        "{name:26.26}{:>10}{:>10.0}{:>10.2}{:>10.0}{:>12}",
        body.len() / 1000,
        kilobytes(new.bytes_max),
        new.bytes_max as f64 / body.len() as f64,
        kilobytes(again.bytes_max),
        new.count_total,
    );
    new.bytes_max as f64
}

/// Tool results of all sorts up to about so many bytes.
fn grown(bytes: usize) -> Vec<u8> {
    let mut messages = vec![serde_json::json!({"role": "system", "content": "word ".repeat(5000)})];
    let mut size = 0;
    for number in 0.. {
        if size >= bytes {
            break;
        }
        let text: String = (0..200)
            .map(|line| format!("{line:4}\u{2192}    let value_{line} = call({number}, {line});\n"))
            .collect();
        size += text.len();
        let id = format!("call_{number}");
        let call =
            serde_json::json!({"name": "Read", "arguments": format!("{{\"path\":\"f{number}\"}}")});
        messages.push(serde_json::json!({"role": "assistant",
            "tool_calls": [{"id": id, "type": "function", "function": call}]}));
        messages.push(serde_json::json!({"role": "tool", "tool_call_id": id, "content": text}));
    }
    serde_json::json!({"model": "gpt-4o", "messages": messages}).to_string().into_bytes()
}
