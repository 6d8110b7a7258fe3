//! S23: what a program reads is byte for byte the tool's, and nothing points at it.

use super::*;

/// A result that every pass would like: pretty JSON with many like rows.
fn rows(first: usize) -> String {
    let row = |at: usize| {
        let region = ["West", "East"][at % 2];
        json!({"order_id": first + at, "customer": format!("c{}", at * 7919 % 997),
            "region": region, "revenue": at as f64 * 1.5, "currency": "EUR"})
    };
    serde_json::to_string_pretty(&(0..60).map(row).collect::<Vec<_>>()).expect("plain data")
}

/// Who calls, and whether that is a program.
fn callers(format: Format) -> Vec<(Value, bool)> {
    let mut callers = vec![
        (json!("absent"), false),
        (Value::Null, false),
        (json!({"type": "direct"}), false),
        (json!({"type": "next_year"}), true),
        (json!({}), true),
        (json!("code"), true),
        (json!(7), true),
    ];
    callers.push(match format {
        Format::Responses => (json!({"type": "program", "caller_id": "prog_1"}), true),
        _ => (json!({"type": "code_execution_20250825", "tool_id": "srvtoolu_1"}), true),
    });
    callers.push((json!({"type": "code_execution_20260120", "tool_id": "srvtoolu_1"}), true));
    callers
}

fn with(mut object: Value, caller: &Value) -> Value {
    if *caller != json!("absent") {
        object["caller"] = caller.clone();
    }
    object
}

/// Calls with their results, one after the other; the last says the first's text again.
fn body(format: Format, callers: &[&Value], texts: &[String]) -> String {
    let mut list = vec![json!({"role": "user", "content": "word ".repeat(5000)})];
    for (at, (caller, text)) in callers.iter().zip(texts).enumerate() {
        let id = format!("call_{at}");
        list.extend(match format {
            Format::Messages => [
                json!({"role": "assistant", "content": [with(
                    json!({"type": "tool_use", "id": id, "name": "query", "input": {"n": at}}), caller)]}),
                json!({"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": id, "content": text}]}),
            ],
            Format::Chat => [
                json!({"role": "assistant", "content": null, "tool_calls": [with(
                    json!({"id": id, "function": {"name": "query", "arguments": "{}"}}), caller)]}),
                json!({"role": "tool", "tool_call_id": id, "content": text}),
            ],
            _ => [
                with(
                    json!({"type": "function_call", "call_id": id, "name": "query", "arguments": "{}"}),
                    caller,
                ),
                json!({"type": "function_call_output", "call_id": id, "output": text}),
            ],
        });
    }
    let key = if format == Format::Responses { "input" } else { "messages" };
    json!({"model": "m", key: list}).to_string()
}

fn sent_at(body: &str, format: Format, at: usize) -> String {
    let body: Value = serde_json::from_str(body).expect("valid");
    let path = match format {
        Format::Messages => format!("/messages/{}/content/0/content", 2 + 2 * at),
        Format::Chat => format!("/messages/{}/content", 2 + 2 * at),
        _ => format!("/input/{}/output", 2 + 2 * at),
    };
    body.pointer(&path).and_then(Value::as_str).expect("a text").to_owned()
}

const CALLING: [Format; 3] = [Format::Messages, Format::Chat, Format::Responses];

#[test]
fn what_a_program_reads_stays_and_is_pointed_at_by_nothing() {
    let mut counter = Counter::new();
    let texts = [rows(1000), rows(5000), rows(1000)];
    for format in CALLING {
        for (caller, is_program) in callers(format) {
            let direct = json!("absent");
            let body = body(format, &[&caller, &caller, &direct], &texts);
            for mode in MODES {
                let plan = Plan { threshold: 0, ..Plan::of(mode) };
                let sent = sent(&mut counter, &plan, format, &body);
                for at in [0, 1] {
                    let is_same = sent_at(&sent, format, at) == texts[at];
                    assert_eq!(is_same, is_program, "{format:?} {mode:?} {caller}");
                }
                let last = sent_at(&sent, format, 2);
                assert_eq!(last.contains("tool result 1 above"), !is_program, "{caller}: {last}");
                assert_ne!(last, texts[2], "what the model reads is compressed");
                let back = expand(format, sent.as_bytes()).expect("valid");
                let back = String::from_utf8(back).expect("text");
                if mode != Mode::Aggressive {
                    let minified: Value = serde_json::from_str(&texts[2]).expect("valid");
                    assert_eq!(
                        serde_json::from_str::<Value>(&sent_at(&back, format, 2)).ok(),
                        Some(minified)
                    );
                }
            }
        }
    }
}

/// Where the call is not in the body, nobody knows whose it was; and what runs inside a program is its
/// own even where it does not say so.
#[test]
fn results_in_doubt_stay_where_programs_may_call() {
    let mut counter = Counter::new();
    let text = rows(1);
    let plan = Plan { threshold: 0, ..Plan::of(Mode::Hybrid) };
    let mut changes = |format, body: Value| {
        let body = body.to_string();
        sent(&mut counter, &plan, format, &body) != body
    };
    let padding = json!({"role": "user", "content": "word ".repeat(5000)});
    let tools = |callers: &str| json!([{"type": "function", "name": "query", callers: ["direct"]}]);
    for (key, may) in [("allowed_callers", true), ("strict", false)] {
        let output = json!({"type": "function_call_output", "call_id": "c", "output": text});
        let twice = json!([padding, output, output]);
        let body = json!({"model": "m", "input": twice, "tools": tools(key)});
        assert_eq!(changes(Format::Responses, body), !may, "{key}");
        let result = json!({"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "c", "content": text}]});
        let twice = json!([padding, result, result]);
        let body = json!({"model": "m", "messages": twice, "tools": tools(key)});
        assert_eq!(changes(Format::Messages, body), !may, "{key}");
    }
    let program = json!({"type": "program", "call_id": "p", "code": "x", "fingerprint": "f"});
    let call = json!({"type": "function_call", "call_id": "c", "name": "query", "arguments": "{}"});
    let output = json!({"type": "function_call_output", "call_id": "c", "output": text});
    let end =
        json!({"type": "program_output", "call_id": "p", "result": "1", "status": "completed"});
    for (list, is_program) in [
        (json!([padding, program, call, output, end]), true),
        (json!([padding, program, end, call, output]), false),
        (json!([padding, call, output]), false),
    ] {
        let body = json!({"model": "m", "input": list});
        assert_eq!(changes(Format::Responses, body), !is_program);
    }
    let mut marked = output.clone();
    marked["caller"] = json!({"type": "program", "caller_id": "p"});
    let body = json!({"model": "m", "input": [padding, marked]});
    assert!(!changes(Format::Responses, body), "the result says it itself");
}
