//! The most memory that compressing a body of so many bytes takes beside the body itself.

use allocation_counter::measure;

use crate::Means;
use crate::compress::Mode;
use crate::measure::exponent;
use crate::pack::{self, Plan};
use crate::speed::memos;
use crate::wire::Format;

const KILOBYTES: [usize; 5] = [64, 256, 1024, 4096, 16_384];

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
    true
}

/// The peak in bytes.
fn row(name: &str, format: Format, body: &[u8]) -> f64 {
    let (memo, mut counter) = memos();
    let scope = memo.scope(std::iter::empty());
    let plan = Plan::of(Mode::Hybrid);
    let mut pack = || drop(pack::pack_in(scope, &mut counter, &plan, format, body));
    let [new, again] = [measure(&mut pack), measure(&mut pack)];
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
