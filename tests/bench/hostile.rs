//! Texts that are hard on a compressor, each as the result of a tool: none may take longer per byte
//! than ten times what the requests of the corpus take in the median.

use crate::Means;
use crate::measure::{Random, Request, median};
use crate::speed::{MODES, cost};
use crate::wire::Format;

pub(crate) fn table(means: &Means) -> bool {
    println!("{:26}{:>6}{:>18}{:>18}{:>18}", "hostile", "", "strict", "hybrid", "aggressive");
    println!("{:26}{:>6}{}", "", "KB", format!("{:>8}{:>10}", "MB/s", "x median").repeat(3));
    let usual = MODES.map(|mode| {
        let per_byte = |request: &Request| {
            cost(request.format, mode, &request.body).added / request.body.len() as f64
        };
        median(means.corpus.iter().map(per_byte).collect())
    });
    for (name, body) in generated() {
        let mut line = format!("{name:26}{:>6}", body.len() / 1000);
        for (mode, usual) in MODES.into_iter().zip(usual) {
            let per_byte = cost(Format::Chat, mode, &body).added / body.len() as f64;
            line += &format!("{:>8.1}{:>10.1}", 1e-6 / per_byte, per_byte / usual);
        }
        println!("{line}");
    }
    true
}

fn generated() -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    let mut random = Random::new();
    let mut many = |count: usize, one: &mut dyn FnMut(u64) -> String| -> String {
        (0..count).map(|_| one(random.below(1 << 20))).collect()
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
        (name, body.to_string().into_bytes())
    })
}
