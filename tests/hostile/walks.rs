//! Bodies that are hard on the walk over a prompt: many small things, and large ones that many refer to.

use serde_json::{Value, json};

use super::Family;
use super::bodies::{CHAT, GEMINI, MESSAGES, RESPONSES, called, until};

pub(super) const FAMILIES: &[Family] = &[
    ("small blocks, messages", MESSAGES, |n| messages(n, "{\"type\":\"text\",\"text\":\"a\"}")),
    ("small blocks, chat", CHAT, |n| messages(n, "{\"type\":\"text\",\"text\":\"a\"}")),
    ("small items, responses", RESPONSES, |n| {
        items(n, "input", "{\"role\":\"user\",\"content\":\"a\"}")
    }),
    ("small blocks, gemini", GEMINI, |n| {
        format!(
            "{{\"contents\":[{{\"role\":\"user\",\"parts\":[{}]}}]}}",
            repeated(n, "{\"text\":\"a\"}")
        )
    }),
    ("small messages", CHAT, |n| items(n, "messages", "{\"role\":\"user\",\"content\":\"a\"}")),
    ("empty messages", MESSAGES, |n| items(n, "messages", "{}")),
    ("pictures", MESSAGES, |n| {
        messages(n, "{\"type\":\"image\",\"source\":{\"data\":\"\\\"\\\"\"}}")
    }),
    ("compactions", RESPONSES, |n| items(n, "input", "{\"type\":\"compaction\"}")),
    ("tools", CHAT, tools),
    ("nested content", MESSAGES, |n| {
        messages(n, &format!("{}{}", "[".repeat(n / 2), "]".repeat(n / 2)))
    }),
    ("nested beside", CHAT, |n| {
        let nested = "[".repeat(n / 2) + &"]".repeat(n / 2);
        format!("{{\"messages\":[{{\"role\":\"user\",\"content\":\"a\"}}],\"x\":{nested}}}")
    }),
    ("the same key", CHAT, |n| {
        format!(
            "{{\"messages\":[{{\"role\":\"user\",\"content\":\"a\"}}],{}}}",
            repeated(n, "\"x\":1")
        )
    }),
    ("escaped keys", CHAT, |n| {
        format!(
            "{{\"messages\":[{{\"role\":\"user\",\"content\":\"a\"}}],{}}}",
            repeated(n, "\"\\u0078\":1")
        )
    }),
    ("results of one call, messages", MESSAGES, results_of_one),
    ("results of one call, chat", CHAT, results_of_one_chat),
    ("parts of one call", MESSAGES, parts_of_one_call),
    ("a long name", MESSAGES, long_name),
    ("many calls", CHAT, many_calls),
    ("commands", MESSAGES, |n| {
        called("Bash", json!({"command": until(n, |_| "a | head -3 'x' \"; ".to_owned())}), "ok")
    }),
    ("words of a command", MESSAGES, |n| {
        called("shell", json!({"command": vec!["sudo"; n / 8]}), "ok")
    }),
    ("a long key", MESSAGES, |n| {
        let inner: Value =
            (0..n / 400).map(|at| (format!("a{at}"), json!("v".repeat(180)))).collect();
        called("Write", json!({"k".repeat(n / 2): inner}), "ok")
    }),
    ("lines under a long key", MESSAGES, lines_under_key),
    ("texts under many keys", MESSAGES, texts_under_keys),
    ("footers", MESSAGES, |n| {
        said(&"\\n\\n[TokenPak: 4\u{2192}2 tokens | saved 50%]".repeat(n / 45))
    }),
    ("footers that are none", MESSAGES, |n| said(&"\\n\\n[TokenPak: 4]".repeat(n / 17))),
    ("backslashes", MESSAGES, |n| said(&"\\\\".repeat(n / 2))),
];

fn repeated(n: usize, item: &str) -> String {
    vec![item; (n / (item.len() + 1)).max(1)].join(",")
}

fn items(n: usize, key: &str, item: &str) -> String {
    format!("{{\"model\":\"m\",\"{key}\":[{}]}}", repeated(n, item))
}

fn messages(n: usize, block: &str) -> String {
    format!("{{\"messages\":[{{\"role\":\"user\",\"content\":[{}]}}]}}", repeated(n, block))
}

fn tools(n: usize) -> String {
    let tool = "{\"type\":\"function\",\"function\":{\"name\":\"a\",\"parameters\":{}}}";
    format!(
        "{{\"tools\":[{}],\"messages\":[{{\"role\":\"user\",\"content\":\"a\"}}]}}",
        repeated(n, tool)
    )
}

/// One call with a large input, and results that all answer it.
fn results_of_one(n: usize) -> String {
    let call = json!({"type": "tool_use", "id": "c", "name": "Bash",
        "input": {"x": "word \n".repeat(n / 14)}});
    let result = "{\"type\":\"tool_result\",\"tool_use_id\":\"c\",\"content\":\"ab\"}";
    let results = repeated(n / 2, result);
    format!(
        "{{\"messages\":[{{\"role\":\"assistant\",\"content\":[{call}]}},{{\"role\":\"user\",\"content\":[{results}]}}]}}"
    )
}

fn results_of_one_chat(n: usize) -> String {
    let arguments = json!({"command": "word ".repeat(n / 10)}).to_string();
    let call = json!({"role": "assistant", "tool_calls": [{"id": "c", "type": "function",
        "function": {"name": "sh", "arguments": arguments}}]});
    let result = "{\"role\":\"tool\",\"tool_call_id\":\"c\",\"content\":\"ab\"}";
    format!("{{\"messages\":[{call},{}]}}", repeated(n / 2, result))
}

fn parts_of_one_call(n: usize) -> String {
    let call =
        json!({"type": "tool_use", "id": "c", "name": "x", "input": {"path": "a/".repeat(n / 4)}});
    let parts = repeated(n / 2, "{\"type\":\"text\",\"text\":\"ab\"}");
    format!(
        "{{\"messages\":[{{\"role\":\"assistant\",\"content\":[{call}]}},{{\"role\":\"user\",\"content\":\
         [{{\"type\":\"tool_result\",\"tool_use_id\":\"c\",\"content\":[{parts}]}}]}}]}}"
    )
}

fn long_name(n: usize) -> String {
    let call = json!({"type": "tool_use", "id": "c", "name": "aB_".repeat(n / 6), "input": {}});
    let results =
        repeated(n / 2, "{\"type\":\"tool_result\",\"tool_use_id\":\"c\",\"content\":\"ab\"}");
    format!(
        "{{\"messages\":[{{\"role\":\"assistant\",\"content\":[{call}]}},{{\"role\":\"user\",\"content\":[{results}]}}]}}"
    )
}

fn many_calls(n: usize) -> String {
    let call = "{\"id\":\"c\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}";
    format!("{{\"messages\":[{{\"role\":\"assistant\",\"tool_calls\":[{}]}}]}}", repeated(n, call))
}

fn lines_under_key(n: usize) -> String {
    let line =
        |at: usize| format!("line {at} of what is in the file, and long enough: {}", at * 7919);
    let lines: Vec<String> = (0..n / 3 / 70).map(line).collect();
    let runs = lines.chunks(6).enumerate().map(|(at, run)| format!("{}\nz{at}\n", run.join("\n")));
    let runs: String = runs.collect();
    called("Write", json!({"k".repeat(n / 3): lines.join("\n")}), &runs)
}

/// Each of which a later line points at.
fn texts_under_keys(n: usize) -> String {
    let text = |at: usize| {
        let line = |line: usize| format!("line {line} of the text under key {at}, long enough\n");
        (0..6).map(line).collect::<String>()
    };
    let count = n / 650;
    let input: Value = (0..count).map(|at| (format!("k{at}"), json!(text(at)))).collect();
    called("Write", input, &(0..count).map(|at| text(at) + "z\n").collect::<String>())
}

fn said(text: &str) -> String {
    format!(
        "{{\"messages\":[{{\"role\":\"assistant\",\"content\":\"a{text}\"}},{{\"role\":\"user\",\"content\":\"a\"}}]}}"
    )
}
