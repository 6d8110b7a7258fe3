//! The request of the demonstration: what a coding agent has gathered after a few steps. All of it is
//! made here.

use serde_json::{Value, json};

/// A tool call of the agent: what it did, in words, and what came back.
pub(crate) struct Step {
    pub(crate) what: &'static str,
    pub(crate) result: String,
    tool: &'static str,
    input: Value,
}

fn step(what: &'static str, tool: &'static str, input: Value, result: String) -> Step {
    Step { what, result, tool, input }
}

/// What the agent did before it asks again.
pub(crate) fn steps() -> Vec<Step> {
    let read = || json!({"file_path": "src/settings.ts"});
    vec![
        step(
            "npm ci, as the terminal recorded it",
            "Bash",
            json!({"command": "npm ci"}),
            terminal(),
        ),
        step("the CI server's answer, JSON", "FetchRuns", json!({"branch": "main"}), runs()),
        step("src/settings.ts", "Read", read(), source()),
        step("the service's log", "FetchLog", json!({"service": "shop"}), log()),
        step("src/settings.ts, read again", "Read", read(), source()),
    ]
}

/// The whole request body, with the cache marks that coding agents set.
pub(crate) fn request(steps: &[Step]) -> Value {
    let cached = json!({"type": "ephemeral"});
    let mut messages =
        vec![json!({"role": "user", "content": "CI is red. Find out why, and mend it."})];
    for (n, step) in steps.iter().enumerate() {
        let id = format!("toolu_{n:02}");
        messages.push(json!({"role": "assistant", "content": [
            {"type": "tool_use", "id": id, "name": step.tool, "input": step.input}]}));
        messages.push(json!({"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": id, "content": step.result}]}));
    }
    json!({
        "model": "claude-sonnet-4-5", "max_tokens": 8192, "stream": true,
        "system": [{"type": "text", "text": handbook(), "cache_control": cached}],
        "messages": messages,
        "tools": [tool("Bash", "command"), tool("FetchRuns", "branch"), tool("Read", "file_path"),
            tool("FetchLog", "service")],
    })
}

fn tool(name: &str, parameter: &str) -> Value {
    json!({"name": name, "description": format!("{name} in the working copy."), "input_schema": {
        "type": "object", "properties": {parameter: {"type": "string"}}, "required": [parameter]}})
}

/// A system prompt as long as those of real agents.
fn handbook() -> String {
    const AREAS: [&str; 24] = [
        "billing",
        "basket",
        "catalogue",
        "search",
        "accounts",
        "mail",
        "shipping",
        "returns",
        "reports",
        "imports",
        "exports",
        "vouchers",
        "reviews",
        "stock",
        "suppliers",
        "taxes",
        "invoices",
        "newsletters",
        "wish lists",
        "gift cards",
        "languages",
        "images",
        "payments",
        "audit",
    ];
    const RULES: [&str; 9] = [
        "changes to the {} service need a test that fails without them",
        "never edit generated files of {}; run its generator and commit what it writes",
        "dates in {} are UTC in storage and local on the page, and nowhere else",
        "the {} tables are changed by migrations only, each of which can be undone",
        "log lines of {} say what happened and to which order, never to whom",
        "money in {} is counted in cents; a float is a bug whatever the tests say",
        "a retry in {} waits twice as long each time and gives up after a minute",
        "the public functions of {} keep their names until the next major version",
        "before a release of {} somebody else reads the diff from the first line to the last",
    ];
    let mut text =
        "You are a coding agent in the repository of a web shop. Work in small steps.\n".to_owned();
    for area in AREAS {
        text.push_str(&format!("\nRules for {area}:\n"));
        for rule in RULES {
            text.push_str(&format!("- {};\n", rule.replace("{}", area)));
        }
        text.push_str(&format!(
            "Ask the owners of {area} before you break one of these, and write down why.\n"
        ));
    }
    text
}

const PACKAGES: [&str; 10] = [
    "left-shelf",
    "tiny-router",
    "yaml-ish",
    "colour-names",
    "retry-later",
    "deep-copy",
    "date-walk",
    "form-check",
    "css-squeeze",
    "type-guard",
];

/// Colours, a spinner, and a progress line that is drawn over itself hundreds of times.
fn terminal() -> String {
    const SPINNER: [char; 4] = ['\u{2807}', '\u{280b}', '\u{2819}', '\u{2838}'];
    let mut text = "\u{1b}[1m$ npm ci\u{1b}[0m\r\n".to_owned();
    for frame in 0..420 {
        let (done, package) = (frame / 21, PACKAGES[frame % 10]);
        let bar = format!("{}{}", "#".repeat(done), ".".repeat(20 - done));
        let spinner = SPINNER[frame % 4];
        text.push_str(&format!(
            "\r\u{1b}[K\u{1b}[36m{spinner}\u{1b}[0m [{bar}] reify:{package}: \u{1b}[2mfetch GET 200 {}ms\u{1b}[0m",
            frame * 37 % 211
        ));
        if frame % 60 == 59 {
            let warning = "this version is no longer supported";
            text.push_str(&format!(
                "\r\u{1b}[K\u{1b}[33mnpm warn deprecated\u{1b}[0m {package}@{}.2.0: {warning}\r\n",
                frame / 60 + 1
            ));
        }
    }
    text.push_str("\r\u{1b}[K\u{1b}[31mnpm error\u{1b}[0m `npm ci` needs package.json and package-lock.json in sync.\r\n");
    text.push_str("\u{1b}[31mnpm error\u{1b}[0m Missing: date-walk@4.1.0 from lock file\r\n");
    text
}

/// A pretty-printed API answer.
fn runs() -> String {
    let run = |n: usize| {
        let job = |k: usize| {
            let name = ["lint", "test", "build"][k];
            json!({"id": 70_000 + n * 10 + k, "name": name, "status": "completed",
                "conclusion": if n < 3 { "failure" } else { "success" }, "runner": {"id": k + 1, "labels": ["linux"]},
                "seconds": n * 7 % 60 + k * 31 + 4})
        };
        json!({"id": 9_000 + n, "branch": "main", "event": "push", "attempt": 1,
            "commit": {"sha": format!("{:040x}", 0x9e37_79b9_7f4a_7c15_u128 * (n as u128 + 3)),
                "author": format!("dev{}", n % 5)},
            "jobs": (0..3).map(job).collect::<Vec<_>>()})
    };
    let runs: Vec<Value> = (0..24).map(run).collect();
    serde_json::to_string_pretty(&json!({"total": runs.len(), "runs": runs})).unwrap()
}

/// A source file.
fn source() -> String {
    let setting = |n: usize| {
        let name = PACKAGES[n % 10].replace('-', "_");
        format!(
            "export const {name}_{n} = setting({{\n  name: '{name}.{n}',\n  fallback: {},\n  check: isPositive,\n}});\n",
            n * 250
        )
    };
    let settings: Vec<String> = (1..60).map(setting).collect();
    format!("import {{ isPositive, setting }} from './setting';\n\n{}", settings.join("\n"))
}

/// A log without repetition: tokenpak finds nothing to cut in it yet.
fn log() -> String {
    let line = |n: usize| {
        format!(
            "2026-11-23T08:{:02}:{:02}Z INFO shop order={} step={} took={}ms",
            n / 4 % 60,
            n * 17 % 60,
            4_100 + n,
            ["paid", "rewritten", "sent"][n % 3],
            n * 53 % 400
        )
    };
    (0..60).map(line).collect::<Vec<_>>().join("\n")
}
