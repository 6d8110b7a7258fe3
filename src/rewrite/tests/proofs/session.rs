//! Sessions of an agent at work on a few files, in every wire format.

use serde_json::{Value, json};

use super::source::Source;
use super::texts;
use crate::wire::Format;

/// A call of a tool and what came back.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) tool: &'static str,
    pub(super) input: Value,
    /// The texts of the result; most have one.
    pub(super) texts: Vec<String>,
    pub(super) error: bool,
}

/// What the model asks for at once, what comes back, and what the user says then.
#[derive(Clone, Debug, Default)]
pub(super) struct Turn {
    pub(super) calls: Vec<Call>,
    pub(super) typed: Option<String>,
    pub(super) compaction: bool,
}

struct File {
    path: String,
    lines: Vec<String>,
    end: &'static str,
}

/// What the agent has seen.
struct World {
    files: Vec<File>,
    texts: Vec<String>,
}

const TURNS_MAX: usize = 12;

pub(super) fn turns(source: &mut Source) -> Vec<Turn> {
    let mut world = World { files: Vec::new(), texts: Vec::new() };
    let mut turns = Vec::new();
    while !source.is_empty() && turns.len() < TURNS_MAX {
        let count = if source.rarely(4) { 1 + source.below(3) } else { 1 };
        let calls = (0..count).map(|_| call(source, &mut world)).collect();
        let typed = source.rarely(5).then(|| texts::text(source, &world.texts));
        turns.push(Turn { calls, typed, compaction: source.rarely(30) });
    }
    turns
}

fn call(source: &mut Source, world: &mut World) -> Call {
    let (tool, input, text) = match source.below(6) {
        0 | 1 => read(source, world),
        2 => edit(source, world),
        3 => write(source, world),
        _ => other(source, world),
    };
    let text = if source.rarely(6) { wrap(source, &text) } else { text };
    let mut texts = vec![text];
    if source.rarely(10) {
        texts.push(texts::text(source, &world.texts));
    }
    world.texts.extend(texts.iter().cloned());
    Call { tool, input, texts, error: source.rarely(15) }
}

/// Ways in which harnesses wrap what came back.
pub(in crate::rewrite::tests) const WRAPPERS: &[fn(&str) -> Value] = &[
    |text| json!({"output": text, "metadata": {"exit_code": 0, "duration_seconds": 0.4}}),
    |text| json!([{"type": "text", "text": text}]),
    |text| json!({"content": [{"type": "text", "text": text}], "isError": false}),
    |text| json!({"stdout": text, "stderr": "", "exit_code": 0, "interrupted": false}),
    |text| json!({"stdout": "", "stderr": text, "returncode": 1}),
    |text| json!({"result": {"status": "ok", "data": {"log": text}}}),
    |text| json!([text, null]),
];

fn wrap(source: &mut Source, text: &str) -> String {
    let value = WRAPPERS[source.below(WRAPPERS.len())](text);
    let pretty = source.rarely(3);
    let text =
        if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
    text.expect("plain data")
}

/// Every way in which clients read files.
fn read(source: &mut Source, world: &mut World) -> (&'static str, Value, String) {
    let at = file(source, world);
    let file = &world.files[at];
    let first = source.below(file.lines.len() / 2 + 1);
    let last = file.lines.len() - source.below(file.lines.len() / 3 + 1);
    let lines = first..last.max(first);
    let plain = || {
        let text = file.lines[lines.clone()].iter().map(|line| format!("{line}{}", file.end));
        text.collect::<String>()
    };
    let numbered = |width: usize, mark: &str| {
        let line = |at: usize| format!("{:>width$}{mark}{}\n", at + 1, file.lines[at]);
        lines.clone().map(line).collect::<String>()
    };
    let path = &file.path;
    match source.below(8) {
        0 | 1 => ("Read", json!({"file_path": path}), numbered(6, "\u{2192}")),
        2 => ("view", json!({"path": path}), numbered(6, "\t")),
        3 => (
            "str_replace_based_edit_tool",
            json!({"command": "view", "path": path}),
            numbered(6, "\t"),
        ),
        4 => ("Bash", json!({"command": format!("cat {path}")}), plain()),
        5 => {
            ("shell", json!({"command": ["bash", "-lc", format!("sed -n 1,200p {path}")]}), plain())
        }
        6 => ("open", json!({"path": path}), format!("[File: {path}]\n{}", numbered(0, ":"))),
        _ => ("mcp__fs__read_text_file", json!({"path": path}), plain()),
    }
}

/// A file that was touched before, more often than a new one.
fn file(source: &mut Source, world: &mut World) -> usize {
    if world.files.is_empty() || source.rarely(4) {
        let lines = match source.rarely(5) {
            true => texts::text(source, &world.texts).lines().map(str::to_owned).collect(),
            false => texts::code(source),
        };
        let end = if source.rarely(6) { "\r\n" } else { "\n" };
        world.files.push(File { path: source.path(), lines, end });
        return world.files.len() - 1;
    }
    source.below(world.files.len())
}

/// Takes lines out and puts others in: what follows moves.
fn edit(source: &mut Source, world: &mut World) -> (&'static str, Value, String) {
    let at = file(source, world);
    let new = texts::code(source);
    let file = &mut world.files[at];
    let first = source.below(file.lines.len() + 1);
    let last = (first + source.below(5)).min(file.lines.len());
    let new: Vec<String> = new.into_iter().take(1 + source.below(20)).collect();
    let old: Vec<String> = file.lines.splice(first..last, new.iter().cloned()).collect();
    let input =
        json!({"file_path": file.path, "old_string": old.join("\n"), "new_string": new.join("\n")});
    let shown = file.lines.iter().enumerate().skip(first.saturating_sub(3)).take(new.len() + 6);
    let shown: String = shown.map(|(at, line)| format!("{:>6}\u{2192}{line}\n", at + 1)).collect();
    ("Edit", input, format!("The file {} has been updated.\n{shown}", file.path))
}

fn write(source: &mut Source, world: &mut World) -> (&'static str, Value, String) {
    let (path, lines) = (source.path(), texts::code(source));
    let input = json!({"file_path": path, "content": lines.join("\n") + "\n"});
    world.files.push(File { path: path.clone(), lines, end: "\n" });
    ("Write", input, format!("File created successfully at: {path}"))
}

fn other(source: &mut Source, world: &mut World) -> (&'static str, Value, String) {
    let text = texts::text(source, &world.texts);
    match source.below(4) {
        0 => ("fetch", json!({"url": source.url()}), text),
        1 => ("Grep", json!({"pattern": source.word(), "path": "/home/ada"}), text),
        _ => (
            "Bash",
            json!({"command": source.pick(&["npm test", "cargo build", "git diff", "./run"])}),
            text,
        ),
    }
}

/// What is in a body before the first turn: long enough for every cache floor, in few bytes for
/// the tokenizer.
pub(super) fn preamble(tokens: usize) -> String {
    "be \u{3b1}\u{3b2} ".repeat(tokens / 3)
}

/// A request body. It ends with the last message and `]}`.
pub(super) fn body(format: Format, system: &str, turns: &[Turn]) -> String {
    let head = match format {
        Format::Messages => {
            json!({"model": "claude-sonnet-4-5", "system": [{"type": "text", "text": system}],
            "messages": [{"role": "user", "content": "Go on."}]})
        }
        Format::Chat => {
            json!({"model": "gpt-4o", "messages": [{"role": "system", "content": system}]})
        }
        Format::Responses => json!({"model": "gpt-5", "instructions": system,
            "input": [{"type": "message", "role": "user", "content": "Go on."}]}),
        Format::Gemini => json!({"systemInstruction": {"parts": [{"text": system}]},
            "contents": [{"role": "user", "parts": [{"text": "Go on."}]}]}),
    };
    let mut body = head.to_string();
    body.truncate(body.len() - 2);
    let mut id = 0;
    for turn in turns {
        for message in messages(format, turn, &mut id) {
            body.push(',');
            body += &message.to_string();
        }
    }
    body + "]}"
}

/// The messages of a turn, as JSON. Formats that have no errors or compactions go without.
pub(super) fn messages(format: Format, turn: &Turn, id: &mut usize) -> Vec<Value> {
    let ids: Vec<String> = turn
        .calls
        .iter()
        .map(|_| {
            *id += 1;
            format!("call_{id}")
        })
        .collect();
    let calls = || turn.calls.iter().zip(&ids);
    match format {
        Format::Messages => anthropic(turn, calls()),
        Format::Chat => chat(turn, calls()),
        Format::Responses => responses(turn, calls()),
        Format::Gemini => gemini(turn, calls()),
    }
}

/// One text as it is, several as a list of parts.
fn content(texts: &[String], kind: &str) -> Value {
    match texts {
        [text] => json!(text),
        _ => texts.iter().map(|text| json!({"type": kind, "text": text})).collect(),
    }
}

fn anthropic<'t>(
    turn: &Turn,
    calls: impl Iterator<Item = (&'t Call, &'t String)> + Clone,
) -> Vec<Value> {
    let mut said: Vec<Value> =
        vec![json!({"type": "thinking", "thinking": "Let me see.", "signature": "c2ln"})];
    if turn.compaction {
        said.push(json!({"type": "compaction", "content": "so far, so good"}));
    }
    said.extend(calls.clone().map(
        |(call, id)| json!({"type": "tool_use", "id": id, "name": call.tool, "input": call.input}),
    ));
    let results = calls.map(|(call, id)| {
        let mut result = json!({"type": "tool_result", "tool_use_id": id, "content": content(&call.texts, "text")});
        if call.error {
            result["is_error"] = json!(true);
        }
        result
    });
    let typed = turn.typed.iter().map(|text| json!({"type": "text", "text": text}));
    let heard: Vec<Value> = results.chain(typed).collect();
    vec![json!({"role": "assistant", "content": said}), json!({"role": "user", "content": heard})]
}

fn chat<'t>(
    turn: &Turn,
    calls: impl Iterator<Item = (&'t Call, &'t String)> + Clone,
) -> Vec<Value> {
    let asked: Vec<Value> = calls.clone().map(|(call, id)| {
        json!({"id": id, "type": "function", "function": {"name": call.tool, "arguments": call.input.to_string()}})
    }).collect();
    let mut all = vec![json!({"role": "assistant", "content": null, "tool_calls": asked})];
    all.extend(calls.map(|(call, id)| {
        json!({"role": "tool", "tool_call_id": id, "content": content(&call.texts, "text")})
    }));
    all.extend(turn.typed.iter().map(|text| json!({"role": "user", "content": text})));
    all
}

fn responses<'t>(
    turn: &Turn,
    calls: impl Iterator<Item = (&'t Call, &'t String)> + Clone,
) -> Vec<Value> {
    let mut all = Vec::new();
    if turn.compaction {
        all.push(json!({"type": "compaction", "encrypted_content": "ZW5j"}));
    }
    all.extend(calls.clone().map(|(call, id)| {
        json!({"type": "function_call", "call_id": id, "name": call.tool, "arguments": call.input.to_string()})
    }));
    all.extend(calls.map(|(call, id)| {
        json!({"type": "function_call_output", "call_id": id, "output": content(&call.texts, "input_text")})
    }));
    all.extend(
        turn.typed.iter().map(|text| json!({"type": "message", "role": "user", "content": text})),
    );
    all
}

fn gemini<'t>(
    turn: &Turn,
    calls: impl Iterator<Item = (&'t Call, &'t String)> + Clone,
) -> Vec<Value> {
    let asked: Vec<Value> = calls
        .clone()
        .map(
            |(call, id)| json!({"functionCall": {"name": call.tool, "id": id, "args": call.input}}),
        )
        .collect();
    let mut heard: Vec<Value> = calls
        .map(|(call, id)| {
            let mut response = json!({"output": call.texts[0], "n": 1.5});
            if let Some(text) = call.texts.get(1) {
                response["content"] = json!(text);
            }
            if call.error {
                response["error"] = json!("failed");
            }
            json!({"functionResponse": {"name": call.tool, "id": id, "response": response}})
        })
        .collect();
    heard.extend(turn.typed.iter().map(|text| json!({"text": text})));
    vec![json!({"role": "model", "parts": asked}), json!({"role": "user", "parts": heard})]
}
