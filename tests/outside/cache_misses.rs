//! What a provider says of its cache, in every place that shows it; and tools that it does not see yet.

use crate::provider::{Provider, Script};
use crate::support::{Api, sandbox, scene};
use serde_json::{Value, json};

fn answer(reason: Value) -> Script {
    let diagnostics = match &reason {
        Value::Null => json!({"cache_miss_reason": null}),
        kind => json!({"cache_miss_reason": {"type": kind, "cache_missed_input_tokens": 900}}),
    };
    let body = json!({"type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
        "content": [{"type": "text", "text": "ok"}], "stop_reason": "end_turn",
        "diagnostics": diagnostics, "usage": {"input_tokens": 100, "output_tokens": 5}});
    Script::default().body("application/json", body.to_string())
}

#[test]
fn why_a_cache_was_missed_is_in_the_row_the_trace_the_metrics_and_doctor() {
    let provider = Provider::start();
    let sandbox = sandbox().providers(&provider);
    let proxy = sandbox.serve();
    let quiet = sandbox.run(&["doctor", "--offline"]).stdout;
    assert!(!quiet.contains(" cache "), "{quiet}");
    let send = |reason: Value, body: &[u8]| {
        provider.next(answer(reason));
        let answer = proxy.post("/v1/messages", &Api::Messages.headers(), body);
        sandbox.row(&answer.head.request_id())
    };
    let (small, large) = (Api::Messages.small(false), Api::Messages.large(false));
    assert_eq!(send(Value::Null, &small).text("cache_miss"), "");
    assert_eq!(send("model_changed".into(), &large).text("cache_miss"), "model_changed");
    let doctor = || sandbox.run(&["doctor", "--offline"]).stdout;
    let line = "ok    cache       1 missed in 7 days, as providers say: model_changed 1\n";
    assert!(doctor().contains(line), "{}", doctor());
    // What the client has changed in a prompt that went as it came is its own affair.
    assert_eq!(send("tools_changed".into(), &small).text("cache_miss"), "tools_changed");
    assert!(doctor().contains("ok    cache       2 missed"), "{}", doctor());
    assert_eq!(send("messages_changed".into(), &large).text("cache_miss"), "messages_changed");
    let said = doctor();
    assert!(said.contains("warn  cache       3 missed in 7 days"), "{said}");
    assert!(said.contains("; 1 of them with a shortened prompt\n"), "{said}");
    let trace = sandbox.run(&["trace", "--last"]).stdout;
    assert!(trace.contains("  cache missed   messages_changed\n"), "{trace}");
    let trace: Value = serde_json::from_str(&sandbox.run(&["trace", "--json"]).stdout).unwrap();
    assert!(trace.to_string().contains(r#""cache_miss":"messages_changed""#), "{trace}");
    let metrics = proxy.ask("GET", "/metrics", &[], b"");
    let metrics = String::from_utf8(metrics.body).unwrap();
    for reason in ["model_changed", "tools_changed", "messages_changed"] {
        let line = format!("tokenpak_cache_misses_total{{reason=\"{reason}\"}} 1\n");
        assert!(metrics.contains(&line), "{metrics}");
    }
}

/// A tool that the model is told of only when it looks for it is not in the prompt.
#[test]
fn deferred_tools_are_not_counted() {
    let (_provider, sandbox, proxy) = scene();
    let tool = |name: &str, deferred: Option<bool>| {
        let mut tool = json!({"name": name, "description": "Lists what there is. ".repeat(50),
            "input_schema": {"type": "object", "properties": {}}});
        if let Some(deferred) = deferred {
            tool["defer_loading"] = deferred.into();
        }
        tool
    };
    let count = |tools: &[Value]| {
        let mut body: Value = serde_json::from_slice(&Api::Messages.small(false)).unwrap();
        body["tools"] = tools.into();
        let body = body.to_string();
        let answer = proxy.post("/v1/messages", &Api::Messages.headers(), body.as_bytes());
        let row = sandbox.row(&answer.head.request_id());
        assert_eq!(sandbox.run_with(&["count"], body.as_bytes()).status, 0);
        row.number("tokens_before").unwrap()
    };
    let one = count(&[tool("one", None)]);
    let two = count(&[tool("one", None), tool("two", Some(false))]);
    assert!(two > one + 100, "{two} {one}");
    for tools in [
        vec![tool("one", None), tool("two", Some(true))],
        vec![tool("two", Some(true)), tool("one", None)],
        vec![tool("two", Some(true)), tool("one", None), tool("three", Some(true))],
    ] {
        let counted = count(&tools);
        assert!((counted - one).abs() <= 3, "{counted} instead of {one}");
    }
    let none = count(&[tool("one", Some(true)), tool("two", Some(true))]);
    assert!(none < one - 100, "{none} {one}");
}
