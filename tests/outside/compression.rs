//! When a prompt is compressed, when not, and how the client learns of it.

use crate::provider::{Provider, Script};
use crate::sandbox::Sandbox;
use crate::support::{Api, listing, prose, sandbox, scene};
use serde_json::{Value, json};
use std::collections::HashSet;

#[test]
fn reason_is_given_when_nothing_is_compressed() {
    let (provider, sandbox, proxy) = scene();
    let gzip = [Api::Messages.headers(), vec![("content-encoding", "gzip")]].concat();
    let off = [Api::Messages.headers(), vec![("x-tokenpak-mode", "off")]].concat();
    let plain = Api::Messages.headers();
    let cases = [
        ("below-threshold", &plain, Api::Messages.small(false)),
        ("nothing-to-gain", &plain, Api::Messages.dense(false)),
        ("unreadable", &plain, b"{\"messages\": [ oops".to_vec()),
        ("unreadable", &plain, [Api::Messages.small(false), b"\xff".to_vec()].concat()),
        ("encoded", &gzip, b"\x1f\x8b not really gzip".to_vec()),
        ("off", &off, Api::Messages.large(false)),
    ];
    for (reason, headers, body) in cases {
        let answer = proxy.post("/v1/messages", headers, &body);
        assert_eq!(answer.head.header("x-tokenpak-skip").as_deref(), Some(reason));
        assert!(provider.last().body == body, "{reason}: the body was changed");
        assert_eq!(sandbox.row(&answer.head.request_id()).text("skip_reason"), reason);
    }
    let answer = proxy.post("/v1/messages", &off, &Api::Messages.large(false));
    assert_eq!(answer.head.tokens("saved"), 0, "counted all the same");
    assert!(answer.head.tokens("before") > 4_500);
}

#[test]
fn body_above_its_share_of_the_memory_is_forwarded_as_it_is() {
    let provider = Provider::start();
    // An eighth of 8 MB.
    let sandbox = sandbox().providers(&provider).set("TOKENPAK_PROXY_BODY_MEMORY_MB", "8");
    let proxy = sandbox.serve();
    let body = Api::Messages.with_result(false, &listing(9_000));
    assert!(body.len() > 1_500_000);
    let answer = proxy.post("/v1/messages", &Api::Messages.headers(), &body);
    assert_eq!(answer.head.header("x-tokenpak-skip").as_deref(), Some("large"));
    assert!(provider.last().body == body, "the body was changed");
}

#[test]
fn settings_switch_compression() {
    let body = Api::Chat.large(false);
    let saved = |sandbox: Sandbox, flags: &[&str]| {
        let provider = Provider::start();
        let sandbox = sandbox.providers(&provider);
        let proxy = sandbox.serve_with(flags);
        let head = proxy.post("/v1/chat/completions", &Api::Chat.headers(), &body).head;
        (head.tokens("saved"), head.header("x-tokenpak-skip").unwrap_or_default())
    };
    let none = |reason: &str| (0, reason.to_owned());
    assert!(saved(sandbox(), &[]).0 > 1_000);
    assert_eq!(saved(sandbox().set("TOKENPAK_COMPACT", "0"), &[]), none("off"));
    let threshold = "TOKENPAK_COMPACT_THRESHOLD_TOKENS";
    assert_eq!(saved(sandbox().set(threshold, "900000"), &[]), none("below-threshold"));
    assert!(saved(sandbox().set(threshold, "900000"), &["--mode", "aggressive"]).0 > 1_000);
    let file = r#"{"compression": {"preserve_json": true}}"#;
    assert_eq!(saved(sandbox().config(file), &[]), none("nothing-to-gain"));
    let file = r#"{"compression": {"enabled": false}}"#;
    assert_eq!(saved(sandbox().config(file), &[]), none("off"));
    // The variable beats the file.
    assert!(saved(sandbox().config(file).set("TOKENPAK_COMPACT", "1"), &[]).0 > 1_000);
}

#[test]
fn mode_header_is_obeyed_and_kept() {
    let (provider, sandbox, proxy) = scene();
    for mode in ["strict", "hybrid", "aggressive", "off"] {
        let headers = [Api::Chat.headers(), vec![("X-Tokenpak-Mode", mode)]].concat();
        // A conversation for each: one that has begun keeps its form.
        let body = String::from_utf8(Api::Chat.large(false)).unwrap();
        let body = body.replace("List the open issues.", mode).into_bytes();
        let answer = proxy.post("/v1/chat/completions", &headers, &body);
        assert_eq!(answer.head.tokens("saved") > 0, mode != "off", "{mode}");
        assert_eq!(provider.last().header("x-tokenpak-mode"), None);
        assert_eq!(sandbox.row(&answer.head.request_id()).text("mode"), mode);
    }
}

#[test]
fn same_result_read_twice_is_sent_once() {
    let (provider, _sandbox, proxy) = scene();
    let body = Api::Messages.with_result(false, &prose(300));
    let text = String::from_utf8(body).unwrap();
    // The same call and the same answer once more, at the end.
    let list = text.find("\"messages\":[").unwrap() + "\"messages\":[".len();
    let call = list + text[list..].find("{\"role\":\"assistant\"").unwrap();
    let end = text.rfind("]}").unwrap();
    let again = text[call..end].replace("call_0", "call_1");
    let twice = format!("{},{again}{}", &text[..end], &text[end..]);
    serde_json::from_str::<serde_json::Value>(&twice).unwrap();
    let answer = proxy.post("/v1/messages", &Api::Messages.headers(), twice.as_bytes());
    let sent = String::from_utf8(provider.last().body).unwrap();
    assert!(answer.head.tokens("saved") > 2_500, "{:?}", answer.head);
    assert_eq!(sent[..end], text[..end], "the first one stays");
    assert_eq!(sent[end..].matches("Case 150:").count(), 0, "the second one points at it");
}

#[test]
fn programs_of_codex_are_known_with_their_tools() {
    let (provider, _sandbox, proxy) = scene();
    let program = "text((await tools.exec_command({\"cmd\":\"list-issues\"})).output);";
    let part = |text: &str| json!({"type": "input_text", "text": text});
    let message =
        |role: &str, text: &str| json!({"type": "message", "role": role, "content": [part(text)]});
    let tool = json!({"type": "custom", "name": "exec", "description": prose(300)});
    let body = json!({"model": "gpt-5", "input": [
        {"type": "additional_tools", "role": "developer", "tools": [
            {"type": "namespace", "name": "functions", "tools": [tool]},
        ]},
        message("developer", &prose(500)),
        message("user", "List the open issues."),
        {"type": "custom_tool_call", "call_id": "call_0", "name": "exec", "input": program},
        {"type": "custom_tool_call_output", "call_id": "call_0",
            "output": [part("Script completed"), part(&listing(120))]},
    ]});
    let post = |body: &Value| {
        let body = body.to_string().into_bytes();
        proxy.post("/v1/responses", &Api::Responses.headers(), &body).head
    };
    let head = post(&body);
    assert!(head.tokens("saved") > 1_000, "a result that is a list: {head:?}");
    let sent = provider.last().json();
    assert_eq!(sent["input"][0], body["input"][0], "tools stay");
    assert_eq!(sent["input"][4]["output"][0], body["input"][4]["output"][0]);
    let mut without = body.clone();
    without["input"][0]["tools"] = json!([]);
    let tools = head.tokens("before") - post(&without).tokens("before");
    assert!(tools > 1_000, "tools are counted where they stand in the input: {tools}");
}

#[test]
fn request_ids_are_unique() {
    let (provider, sandbox, proxy) = scene();
    provider.always(Script { words: 1, ..Script::default() });
    let ask = || {
        let mut client = proxy.connect();
        let one = |_| {
            client.request(
                ("POST", "/v1/messages"),
                &Api::Messages.headers(),
                &Api::Messages.small(false),
            );
            client.answer().head.request_id()
        };
        (0..25).map(one).collect::<Vec<_>>()
    };
    let ids = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<HashSet<_>>()
    });
    assert_eq!(ids.len(), 100);
    assert!(ids.iter().all(|id| id.len() == 16 && id.bytes().all(|b| b.is_ascii_alphanumeric())));
    let rows = sandbox.rows(100);
    assert_eq!(
        rows.iter().map(|row| row.text("request_id").to_owned()).collect::<HashSet<_>>(),
        ids
    );
}

#[test]
fn project_comes_from_header_or_path() {
    let (provider, sandbox, proxy) = scene();
    let body = Api::Messages.small(false);
    let header = [Api::Messages.headers(), vec![("x-tokenpak-project", "shop")]].concat();
    let answer = proxy.post("/v1/messages", &header, &body);
    assert_eq!(sandbox.row(&answer.head.request_id()).text("project"), "shop");
    assert_eq!(provider.last().header("x-tokenpak-project"), None);
    let answer = proxy.post("/p/web-site/v1/messages", &Api::Messages.headers(), &body);
    assert_eq!(sandbox.row(&answer.head.request_id()).text("project"), "web-site");
    assert_eq!(provider.last().target(), "/v1/messages");
    let answer = proxy.post("/v1/messages", &Api::Messages.headers(), &body);
    assert_eq!(sandbox.row(&answer.head.request_id()).text("project"), "");
}
