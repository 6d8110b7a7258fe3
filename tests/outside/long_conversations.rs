//! Conversations that grow large, or go on by another path: size never decides in their middle.

use crate::provider::{Keeper, Misfit, Provider, Script};
use crate::sandbox::{Answer, Proxy, Sandbox};
use crate::support::{Api, listing, prose, sandbox};
use serde_json::{Value, json};

const MB: usize = 1024 * 1024;
/// With 16 MB for bodies, a text of more than 2 MB is not compressed, and no body of more than 7.5 MB is
/// copied.
const BODIES: usize = 16;

/// A client that takes a screenshot with every result of its tool.
struct Screens {
    messages: Vec<Value>,
    picture: String,
}

impl Screens {
    fn new(picture_bytes: usize) -> Screens {
        let first = json!({"role": "user", "content": [{"type": "text", "text": "Watch."}]});
        // The head of a PNG of 1280 by 800 pixels, and what stands for its pixels.
        let head = "iVBORw0KGgoAAAANSUhEUgAABQAAAAMgCAIAAADz";
        let picture = format!("{head}{}", "Rk9v".repeat(picture_bytes / 4));
        Screens { messages: vec![first], picture }
    }

    fn body(&self) -> Vec<u8> {
        let body = json!({"model": "claude-fable-5-1", "max_tokens": 1024, "system": prose(900),
            "messages": self.messages});
        body.to_string().into_bytes()
    }

    fn turn(&mut self, proxy: &Proxy) -> Answer {
        let answer = proxy.post("/v1/messages", &Api::Messages.headers(), &self.body());
        if answer.status() == 200 {
            let said = answer.json();
            let number = self.messages.len();
            let shot = json!({"type": "image", "source": {"type": "base64",
                "media_type": "image/png", "data": self.picture}});
            let text = json!({"type": "text", "text": listing(40 + number)});
            self.messages.push(json!({"role": "assistant", "content": said["content"]}));
            self.messages.push(json!({"role": "user", "content": [{"type": "tool_result",
                "tool_use_id": said["content"][1]["id"], "content": [text, shot]}]}));
        }
        answer
    }
}

fn scene(deadlines: &str) -> (Provider, Sandbox, Proxy) {
    let provider = Provider::start();
    provider.always(Keeper::new(Misfit::Refuse).script());
    let config = json!({"proxy": {"body_memory_mb": BODIES, "max_body_mb": BODIES}});
    let sandbox = sandbox().providers(&provider).config(&config.to_string()).deadlines(deadlines);
    let proxy = sandbox.serve();
    (provider, sandbox, proxy)
}

#[test]
fn a_session_of_screenshots_keeps_its_form_and_its_counts() {
    let (provider, sandbox, proxy) = scene("body=5000");
    let mut session = Screens::new(280 * 1024);
    let mut last = 0;
    for turn in 0..24 {
        let answer = session.turn(&proxy);
        let saved = answer.head.header("x-tokenpak-tokens-saved");
        let saved: i64 = saved.expect("it is counted").parse().unwrap();
        assert_eq!(answer.status(), 200, "turn {turn}: {}", answer.text());
        assert!(turn < 2 || saved > last, "turn {turn}: {saved}, {last} before");
        assert_eq!(provider.seen().len(), turn + 1, "each is sent once");
        last = saved;
        provider.forget();
    }
    assert!(session.body().len() > 6 * MB);
    let row = sandbox.rows(24).pop().unwrap();
    assert!(row.number("tokens_after") < row.number("tokens_before"));
    assert!(proxy.peak_memory() < 100 * MB, "{}", proxy.peak_memory() / MB);
}

#[test]
fn what_can_never_fit_goes_as_it_came_unless_its_thoughts_are_bound() {
    let (provider, _sandbox, proxy) = scene("body=5000");
    // Never cut: nothing is lost.
    let mut short = Screens::new(8 * MB);
    assert_eq!(short.turn(&proxy).status(), 200);
    let answer = short.turn(&proxy);
    let skip = answer.head.header("x-tokenpak-skip");
    assert_eq!((answer.status(), skip.as_deref()), (200, Some("large")));
    // Cut, and then beyond the bound.
    let mut session = Screens::new(1024);
    (0..4).for_each(|_| assert_eq!(session.turn(&proxy).status(), 200));
    session.picture = "Rk9v".repeat(2 * MB);
    assert_eq!(session.turn(&proxy).status(), 200);
    let seen = provider.seen().len();
    let answer = session.turn(&proxy);
    assert_eq!(answer.status(), 413, "{}", answer.text());
    assert!(answer.text().contains("proxy.body_memory_mb"), "{}", answer.text());
    assert_eq!(provider.seen().len(), seen, "to be refused there would cost more");
}

#[test]
fn what_would_fit_once_others_leave_waits_and_is_told_to_come_again() {
    let (provider, _sandbox, proxy) = scene("body=700");
    let mut session = Screens::new(3 * MB);
    (0..2).for_each(|_| assert_eq!(session.turn(&proxy).status(), 200));
    provider.next(Script::hang());
    let mut other = proxy.connect();
    let held = Screens::new(0);
    let mut body: Value = serde_json::from_slice(&held.body()).unwrap();
    body["messages"][0]["content"][0]["text"] = json!("x".repeat(8 * MB));
    let seen = provider.seen().len();
    other.request(
        ("POST", "/v1/messages"),
        &Api::Messages.headers(),
        &body.to_string().into_bytes(),
    );
    provider.wait_seen(seen + 1);
    let answer = session.turn(&proxy);
    assert_eq!(answer.status(), 503, "{}", answer.text());
    assert_eq!(provider.seen().len(), seen + 1);
    drop(other);
    let answer = session.turn(&proxy);
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert!(answer.head.tokens("saved") > 0);
}

/// As Codex sums a conversation up: the same items by another path.
#[test]
fn both_paths_of_a_conversation_have_one_form() {
    let (provider, sandbox, proxy) = crate::support::scene();
    let post = |path: &str, body: &[u8]| proxy.post(path, &Api::Responses.headers(), body);
    let first = Api::Responses.large(false);
    let answer = post("/v1/responses", &first);
    assert!(answer.status() == 200 && answer.head.tokens("saved") > 0);
    let sent = provider.last().json()["input"].as_array().unwrap().clone();
    let mut body: Value = serde_json::from_slice(&first).unwrap();
    let said = json!({"type": "message", "role": "assistant",
        "content": [{"type": "output_text", "text": "Done."}]});
    body["input"].as_array_mut().unwrap().push(said);
    let summary = json!({"id": "resp_1", "object": "response.compaction", "output": [],
        "usage": {"input_tokens": 9000, "input_tokens_details": {"cached_tokens": 8000},
            "output_tokens": 77}});
    provider.next(Script::default().body("application/json", summary.to_string()));
    let answer = post("/v1/responses/compact", body.to_string().as_bytes());
    assert_eq!(answer.status(), 200);
    let sent_then = provider.last().json()["input"].as_array().unwrap().clone();
    assert_eq!(sent_then[..sent.len()], sent, "the second begins with the first");
    let row = sandbox.row(&answer.head.request_id());
    assert_eq!(
        (row.number("input_tokens"), row.number("cache_read_tokens")),
        (Some(9000), Some(8000))
    );
    assert!(row.number("tokens_after") < row.number("tokens_before"));
    assert!(row.number("cost_nano") > Some(0) && row.number("saved_nano") > Some(0));
}

/// What a provider's own tools have found is its own.
#[test]
fn results_of_server_tools_are_untouched() {
    let (provider, _sandbox, proxy) = crate::support::scene();
    let big = listing(150);
    let messages = json!([
        {"role": "user", "content": "Look."},
        {"role": "assistant", "content": [
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_fetch", "input": {}},
            {"type": "web_fetch_tool_result", "tool_use_id": "srvtoolu_1", "content":
                {"type": "web_fetch_result", "content": {"type": "document", "source":
                    {"type": "text", "media_type": "text/plain", "data": big}}}},
            {"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "x", "server_name": "s", "input": {}},
            {"type": "mcp_tool_result", "tool_use_id": "mcptoolu_1", "is_error": false,
                "content": [{"type": "text", "text": big}]},
            {"type": "bash_code_execution_tool_result", "tool_use_id": "srvtoolu_2", "content":
                {"type": "bash_code_execution_result", "stdout": big, "stderr": "", "return_code": 0}},
        ]},
        {"role": "user", "content": "Go on."},
    ]);
    let body = json!({"model": "claude-opus-5-5", "max_tokens": 9, "system": prose(900),
        "messages": messages});
    let sent = body.to_string();
    let answer = proxy.post("/v1/messages", &Api::Messages.headers(), sent.as_bytes());
    assert_eq!(answer.status(), 200);
    assert!(provider.last().body == sent.as_bytes());
    let body = json!({"model": "gpt-5", "instructions": prose(900), "input": [
        {"type": "message", "role": "user", "content": "Look."},
        {"type": "mcp_call", "id": "mcp_1", "name": "x", "server_label": "s", "arguments": "{}", "output": big},
        {"type": "code_interpreter_call", "id": "ci_1", "code": "1", "container_id": "c",
            "outputs": [{"type": "logs", "logs": big}]},
        {"type": "message", "role": "user", "content": "Go on."}]});
    let sent = body.to_string();
    let answer = proxy.post("/v1/responses", &Api::Responses.headers(), sent.as_bytes());
    assert_eq!(answer.status(), 200);
    assert!(provider.last().body == sent.as_bytes());
}
