//! What is promised of a body that is rewritten: the rules one by one, and the laws on many.

mod memo;
mod proofs;
mod read_prompt;
mod rules;
mod wrappers;

use serde_json::{Value, json};

use super::*;
use crate::compress::tests::Random;
use crate::json::Span;

const FORMATS: [Format; 4] = [Format::Messages, Format::Chat, Format::Responses, Format::Gemini];
const MODES: [Mode; 3] = [Mode::Strict, Mode::Hybrid, Mode::Aggressive];

/// As random as the secret of a process (splitmix64).
fn secret(at: usize) -> u64 {
    let mixed = (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

/// A tool call and what came back, with a text of the user now and then.
#[derive(Default)]
struct Turn {
    typed: Option<String>,
    tool: &'static str,
    command: &'static str,
    /// What the tool is called with; the command if this is null.
    input: Value,
    /// The texts of the result.
    texts: Vec<String>,
    error: bool,
    compaction: bool,
}

fn bash(command: &'static str, text: &str) -> Turn {
    Turn { tool: "Bash", command, texts: vec![text.to_owned()], ..Turn::default() }
}

/// A text that is in every body before anything else, long enough to be over every cache floor.
fn preamble() -> String {
    "You are careful. ".repeat(1200)
}

/// The messages of a turn, as JSON. Formats that have no errors or compactions go without.
fn messages(format: Format, turn: &Turn, id: usize) -> Vec<Value> {
    let Turn { typed, tool, command, input, texts, error, compaction } = turn;
    let id = format!("call_{id}");
    let command = json!({ "command": command });
    let input = if input.is_null() { &command } else { input };
    let arguments = input.to_string();
    let part = |kind: &str, text: &String| json!({ "type": kind, "text": text });
    let list = |kind| match &texts[..] {
        [text] => json!(text),
        texts => texts.iter().map(|text| part(kind, text)).collect(),
    };
    let mut all = match format {
        Format::Messages => {
            let mut said =
                vec![json!({"type": "tool_use", "id": id, "name": tool, "input": input})];
            if *compaction {
                said.insert(0, json!({"type": "compaction", "content": "so far, so good"}));
            }
            let result = json!({"type": "tool_result", "tool_use_id": id, "content": list("text"),
                "is_error": error});
            let typed = typed.iter().map(|text| part("text", text));
            let heard: Vec<Value> = [result].into_iter().chain(typed).collect();
            return vec![
                json!({"role": "assistant", "content": said}),
                json!({"role": "user", "content": heard}),
            ];
        }
        Format::Chat => {
            let function = json!({"name": tool, "arguments": arguments});
            let calls = json!([{"id": id, "type": "function", "function": function}]);
            vec![
                json!({"role": "assistant", "content": null, "tool_calls": calls}),
                json!({"role": "tool", "tool_call_id": id, "content": list("text")}),
            ]
        }
        Format::Responses => vec![
            json!({"type": "function_call", "call_id": id, "name": tool, "arguments": arguments}),
            json!({"type": "function_call_output", "call_id": id, "output": list("input_text")}),
        ],
        Format::Gemini => {
            let mut response = json!({"output": texts[0], "result": texts.get(1), "n": 1.5});
            if *error {
                response["error"] = json!("failed");
            }
            let answer = json!({"name": tool, "id": id, "response": response});
            vec![
                json!({"role": "model", "parts": [{"functionCall": {"name": tool, "id": id, "args": input}}]}),
                json!({"role": "user", "parts": [{"functionResponse": answer}]}),
            ]
        }
    };
    if *compaction && format == Format::Responses {
        all.insert(0, json!({"type": "compaction", "encrypted_content": "ZW5j"}));
    }
    all.extend(typed.iter().map(|text| match format {
        Format::Gemini => json!({"role": "user", "parts": [{"text": text}]}),
        _ => json!({"role": "user", "content": text}),
    }));
    all
}

/// A request body. It ends with the last message and `]}`.
fn body(format: Format, turns: &[Turn]) -> String {
    let head = match format {
        Format::Messages => json!({"system": [{"type": "text", "text": preamble(),
            "cache_control": {"type": "ephemeral"}}], "messages": []}),
        Format::Chat => json!({"messages": [{"role": "system", "content": preamble()}]}),
        Format::Responses => json!({"instructions": preamble(), "input": []}),
        Format::Gemini => {
            json!({"systemInstruction": {"parts": [{"text": preamble()}]}, "contents": []})
        }
    };
    let mut body = head.to_string();
    body.truncate(body.len() - 2);
    for (id, turn) in turns.iter().enumerate() {
        for message in messages(format, turn, id) {
            if !body.ends_with('[') {
                body.push(',');
            }
            body += &message.to_string();
        }
    }
    body + "]}"
}

/// The body as it is sent.
fn sent(counter: &mut Counter, plan: &Plan, format: Format, body: &str) -> String {
    let rewritten = rewrite(counter, plan, format, body.as_bytes());
    let bytes = rewritten.body.unwrap_or_else(|| body.as_bytes().to_vec());
    String::from_utf8(bytes).expect("text stays text")
}

/// Texts of all the kinds that passes work on, and of those that are meant to fool them.
fn random_text(random: &mut Random) -> String {
    let lines = random.below(60);
    let repeat = |line: fn(usize) -> String| (0..lines).map(line).collect::<String>();
    match random.below(9) {
        0 => repeat(|line| format!("  {{\"row\": {line}, \"name\":  \"caf\u{e9}\"}}\n")),
        1 => {
            let rows = vec![json!({"a": [1.5, null], "b": "x  y"}); lines];
            serde_json::to_string_pretty(&rows).expect("plain data")
        }
        2 => repeat(|line| format!("\u{1b}[3{}mstep {line}\u{1b}[0m\r\n", line % 8)),
        3 => repeat(|line| format!("\r{line:3} % done\u{1b}[K")),
        4 => repeat(|line| format!("{line:6}\u{2192}fn f{line}() {{}}  \n")),
        5 => repeat(|line| format!("crlf {line}\t\r\n")),
        6 => {
            format!(
                "[... 1 line, the same as all of tool result {lines} above, beginning \"\" ...]"
            )
        }
        7 => format!("[... the text below is as it came ...]\n{}[... ", "x\n".repeat(lines * 9)),
        _ => "\u{1f600} short \u{7} \u{0} \"quoted\" \\".repeat(lines % 4 + 1),
    }
}

/// A third of the texts are repeats of earlier ones.
fn random_session(random: &mut Random, turns: usize) -> Vec<Turn> {
    let mut texts: Vec<String> = Vec::new();
    let mut text = |random: &mut Random| {
        let is_new = texts.is_empty() || random.below(3) > 0;
        let text =
            if is_new { random_text(random) } else { texts[random.below(texts.len())].clone() };
        texts.push(text.clone());
        text
    };
    let mut turn = |random: &mut Random| Turn {
        typed: (random.below(4) == 0).then(|| text(random)),
        tool: random.pick(&["Bash", "Read", "mcp__x__fetch"]),
        command: random.pick(&["ls", "cat a.json", "npm test"]),
        input: Value::Null,
        texts: (0..1 + random.below(2) * random.below(3)).map(|_| text(random)).collect(),
        error: random.below(8) == 0,
        compaction: random.below(20) == 0,
    };
    (0..turns).map(|_| turn(random)).collect()
}

/// The corpus: name, format, body. Empty, and said so, where it is not beside the repository.
fn corpus() -> Vec<(String, Format, String)> {
    let folders = ["../shared/corpus", "../../shared/corpus"];
    let Some(entries) = folders.iter().find_map(|folder| std::fs::read_dir(folder).ok()) else {
        println!("SKIPPED: no ../shared/corpus");
        return Vec::new();
    };
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    let read = |path: &std::path::PathBuf| {
        let name = path.file_stem()?.to_str()?.to_owned();
        let format = match name.rsplit('.').next()? {
            "anthropic" => Format::Messages,
            "openai-chat" => Format::Chat,
            "openai-responses" => Format::Responses,
            _ => return None,
        };
        Some((name, format, std::fs::read_to_string(path).ok()?))
    };
    files.iter().filter_map(read).collect()
}

/// The requests that a session's client sent before its last: cut after each message of a user or
/// a tool that one of the model follows. With the length of what comes after the messages.
fn earlier_requests(whole: &str) -> Vec<(String, usize)> {
    let key = if whole.contains("\"messages\":[") { "messages" } else { "input" };
    let [list] = json::members(whole, &(0..whole.len()), [key]).expect("valid");
    let list = list.expect("a session has messages");
    let (mut cuts, mut end, mut was_answer) = (Vec::new(), list.start, false);
    json::Reader::within(whole, &list)
        .array(|reader| {
            let (span, [role, kind]) = reader.members(["role", "type"])?;
            let is = |member: &Option<Span>, what: &str| {
                member.as_ref().is_some_and(|span| whole[span.clone()].contains(what))
            };
            let is_answer = is(&role, "assistant") || is(&kind, "function_call\"");
            if is_answer && !was_answer {
                cuts.push(end);
            }
            (was_answer, end) = (is_answer, span.end);
            Some(())
        })
        .expect("valid");
    let tail = &whole[list.end - 1..];
    cuts.iter().map(|end| (format!("{}{tail}", &whole[..*end]), tail.len())).collect()
}

/// Whether the text of a part is, or may be, a file that a tool read.
fn is_read(body: &str, prompt: &Prompt, role: Role, text: &str) -> bool {
    let Role::Result(result) = role else { return false };
    let call = result.call.map(|call| calls::call_of(body, prompt, call));
    compress::is_read(call.as_ref(), text)
}

/// What a body was, however much that is.
fn expand(format: Format, body: &[u8]) -> Result<Vec<u8>, Unexpanded> {
    super::expand(format, body, 1 << 30)
}
