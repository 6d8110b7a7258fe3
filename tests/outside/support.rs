//! What the tests share: the sandbox with the program in it, and requests in each wire format.

use crate::provider::{Billed, Provider};
use crate::sandbox::{Proxy, Sandbox};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;

/// Set in CI, which installs every tool: that one is missing is a failure there.
const STRICT: &str = "TOKENPAK_TEST_STRICT";

/// What the stand-in bills where a test compares: no two figures alike.
pub(crate) const BILLED: Billed = Billed {
    input: 9_000,
    cache_read: 6_000,
    cache_write: 2_000,
    cache_write_1h: 500,
    output: 77,
    reasoning: 11,
};

pub(crate) fn sandbox() -> Sandbox {
    Sandbox::of(Path::new(env!("CARGO_BIN_EXE_tokenpak")))
}

/// The usual scene: a stand-in, and a proxy before it.
pub(crate) fn scene() -> (Provider, Sandbox, Proxy) {
    let provider = Provider::start();
    let sandbox = sandbox().providers(&provider);
    let proxy = sandbox.serve();
    (provider, sandbox, proxy)
}

/// Says something past the test runner's capture, in one piece.
pub(crate) fn say(text: &str) {
    let _ = std::io::stderr().write_all(format!("{text}\n").as_bytes());
}

/// How many connections of this machine to a port of 127.0.0.1 are in one of these states, which are the
/// kernel's numbers: 1 is established, 8 closed by the other side.
pub(crate) fn connections_to(port: u16, states: &[&str]) -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let there = format!("0100007F:{port:04X}");
    let lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines
        .filter(|words| words.get(2) == Some(&there.as_str()) && states.contains(&words[3]))
        .count()
}

/// Names a test that this machine cannot run, and why.
pub(crate) fn skip(what: &str, why: &str) {
    say(&format!("SKIPPED {what}: {why}"));
}

/// Names a test that waits for a program to be installed.
#[track_caller]
pub(crate) fn lacks(what: &str, why: &str) {
    assert!(std::env::var_os(STRICT).is_none(), "{what} must run here: {why}");
    skip(what, why);
}

/// A wire format: where it is served and how its requests look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Api {
    Messages,
    Chat,
    Responses,
    Gemini,
}

impl Api {
    pub(crate) const ALL: [Api; 4] = [Api::Messages, Api::Chat, Api::Responses, Api::Gemini];

    /// The ledger's words: api, provider, model.
    pub(crate) fn names(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Api::Messages => ("messages", "anthropic", "claude-sonnet-4-5"),
            Api::Chat => ("chat", "openai", "gpt-4o"),
            Api::Responses => ("responses", "openai", "gpt-5"),
            Api::Gemini => ("gemini", "google", "gemini-2.5-pro"),
        }
    }

    pub(crate) fn target(self, stream: bool) -> &'static str {
        match (self, stream) {
            (Api::Messages, _) => "/v1/messages?beta=true",
            (Api::Chat, _) => "/v1/chat/completions",
            (Api::Responses, _) => "/v1/responses",
            (Api::Gemini, false) => "/v1beta/models/gemini-2.5-pro:generateContent",
            (Api::Gemini, true) => "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
        }
    }

    /// What its usual client sends beside the body. The credentials open nothing.
    pub(crate) fn headers(self) -> Vec<(&'static str, &'static str)> {
        let client = ("user-agent", "test-client/1.0 (outside)");
        let json = ("content-type", "application/json");
        match self {
            Api::Messages => vec![
                client,
                json,
                ("x-api-key", "sk-ant-not-a-key"),
                ("anthropic-version", "2023-06-01"),
            ],
            Api::Gemini => vec![client, json, ("x-goog-api-key", "not-a-key")],
            _ => vec![client, json, ("authorization", "Bearer sk-not-a-key")],
        }
    }

    /// A first request: far below every threshold.
    pub(crate) fn small(self, stream: bool) -> Vec<u8> {
        self.request(stream, json!("Be brief."), &[], "Say hello.")
    }

    /// An agent's request with one large tool result that can be cut without loss.
    pub(crate) fn large(self, stream: bool) -> Vec<u8> {
        self.with_result(stream, &listing(120))
    }

    /// As large as `large`, and nothing in it that could be cut.
    pub(crate) fn dense(self, stream: bool) -> Vec<u8> {
        self.with_result(stream, &prose(900))
    }

    /// An agent's request whose only tool result is `result`; the prompt before it is long enough
    /// for every threshold and cache floor.
    pub(crate) fn with_result(self, stream: bool, result: &str) -> Vec<u8> {
        let system = json!(prose(800));
        self.request(stream, system, &[result], "List the open issues.")
    }

    fn request(self, stream: bool, system: Value, results: &[&str], text: &str) -> Vec<u8> {
        let model = self.names().2;
        let mut body = match self {
            Api::Messages => json!({"model": model, "max_tokens": 1024, "system": system,
                "messages": [{"role": "user", "content": text}]}),
            Api::Chat => json!({"model": model,
                "messages": [{"role": "system", "content": system}, {"role": "user", "content": text}]}),
            Api::Responses => json!({"model": model, "store": false, "instructions": system,
                "input": [{"type": "message", "role": "user",
                    "content": [{"type": "input_text", "text": text}]}]}),
            Api::Gemini => json!({"systemInstruction": {"parts": [{"text": system}]},
                "contents": [{"role": "user", "parts": [{"text": text}]}]}),
        };
        for (n, result) in results.iter().enumerate() {
            let list = match self {
                Api::Messages | Api::Chat => &mut body["messages"],
                Api::Responses => &mut body["input"],
                Api::Gemini => &mut body["contents"],
            };
            list.as_array_mut().unwrap().extend(self.call(n, result));
        }
        if stream && self != Api::Gemini {
            body["stream"] = true.into();
        }
        if stream && self == Api::Chat {
            body["stream_options"] = json!({"include_usage": true});
        }
        body.to_string().into_bytes()
    }

    /// A tool call that reads no file, and its result.
    fn call(self, n: usize, result: &str) -> [Value; 2] {
        let (id, name, arguments) = (format!("call_{n}"), "list_issues", json!({"state": "open"}));
        match self {
            Api::Messages => [
                json!({"role": "assistant", "content": [
                    {"type": "tool_use", "id": id, "name": name, "input": arguments}]}),
                json!({"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": id, "content": result}]}),
            ],
            Api::Chat => [
                json!({"role": "assistant", "content": null, "tool_calls": [
                    {"id": id, "type": "function", "function": {"name": name, "arguments": arguments.to_string()}}]}),
                json!({"role": "tool", "tool_call_id": id, "content": result}),
            ],
            Api::Responses => [
                json!({"type": "function_call", "call_id": id, "name": name, "arguments": arguments.to_string()}),
                json!({"type": "function_call_output", "call_id": id, "output": result}),
            ],
            Api::Gemini => [
                json!({"role": "model", "parts": [{"functionCall": {"name": name, "args": arguments}}]}),
                json!({"role": "user", "parts": [{"functionResponse": {"name": name, "response": {"output": result}}}]}),
            ],
        }
    }
}

/// A pretty-printed JSON answer of `n` objects, about 75 tokens each.
pub(crate) fn listing(n: usize) -> String {
    let issue = |k: usize| {
        json!({"number": k, "title": format!("Build {} fails on the second run", k * 7919 % 1000),
            "state": "open", "labels": ["build", "needs-triage"],
            "user": {"login": format!("user{}", k % 13), "id": 1000 + k * 31}, "comments": k % 5, "locked": false})
    };
    serde_json::to_string_pretty(&(1..=n).map(issue).collect::<Vec<_>>()).unwrap()
}

/// `n` sentences, no two alike, about 11 tokens each.
pub(crate) fn prose(n: usize) -> String {
    const THINGS: [&str; 7] =
        ["lock file", "manifest", "cache", "runner", "branch", "release", "mirror"];
    let line = |k: usize| {
        let (a, b) = (THINGS[k % 7], THINGS[(k / 7 + k * 3 + 1) % 7]);
        format!("Case {k}: check the {a} before you touch the {b}.")
    };
    (0..n).map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn strict_runs_fail_where_others_skip() {
    // The switch is read by name in `.ci/run`; a typo there would hide every skip.
    assert!(include_str!("../../.ci/run").contains(STRICT));
}
