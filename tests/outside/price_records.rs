//! What providers' published rules say that an exchange costs, against what the ledger says of it.
//!
//! The records lie beside the repository, one exchange a file: path, request, answer and the right bill.

use crate::provider::{Provider, Script};
use crate::sandbox::{Proxy, Sandbox};
use crate::support::{sandbox, skip};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// Prices that have changed since a record was written: file, day, factor.
const CHANGED: &[(&str, &str, f64)] = &[("g09-change.json", "2026-12-01", 2.0)];

struct Record {
    name: String,
    path: String,
    request: Value,
    answer: Value,
    /// `None`: it cannot be known.
    billed: Option<f64>,
}

fn records() -> Vec<Record> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/money");
    let Ok(files) = fs::read_dir(&folder) else {
        skip("bills by the published rules", "../shared/money is not there");
        return Vec::new();
    };
    let paths = files.map(|file| file.unwrap().path());
    let mut records: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .map(|path| {
            let json: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            Record {
                name: path.file_name().unwrap().to_string_lossy().into_owned(),
                path: json["path"].as_str().unwrap().to_owned(),
                request: json["request"].clone(),
                answer: json["answer"].clone(),
                billed: json["billed_usd"].as_f64(),
            }
        })
        .collect();
    records.sort_by(|a, b| a.name.cmp(&b.name));
    records
}

#[test]
fn every_record_has_its_right_bill_streamed_and_not() {
    let provider = Provider::start();
    let sandbox = sandbox().providers(&provider);
    let proxy = sandbox.serve();
    let mut wrong = Vec::new();
    for record in records() {
        for stream in [false, true] {
            let row = exchange((&provider, &sandbox, &proxy), &record, stream);
            let got = row.map(|nano| nano as f64 / 1e9);
            if !is_right(&record, got) {
                let Record { name, billed, .. } = &record;
                wrong.push(format!("{name} stream={stream}: {got:?} instead of {billed:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn is_right(record: &Record, got: Option<f64>) -> bool {
    let today = std::process::Command::new("date").args(["-u", "+%F"]).output().unwrap().stdout;
    let today = String::from_utf8(today).unwrap();
    let changed =
        CHANGED.iter().find(|(name, day, _)| *name == record.name && today.trim() >= *day);
    let want = record.billed.map(|usd| usd * changed.map_or(1.0, |(.., factor)| *factor));
    match (want, got) {
        (None, got) => got.is_none(),
        (Some(want), Some(got)) => (got - want).abs() <= want * 0.005,
        (Some(_), None) => false,
    }
}

/// Sends the record's request; the cost in its row.
fn exchange(
    (provider, sandbox, proxy): (&Provider, &Sandbox, &Proxy),
    record: &Record,
    stream: bool,
) -> Option<i64> {
    let Record { path, request, answer, .. } = record;
    let (mut path, mut request) = (path.clone(), request.clone());
    let script = match stream {
        false => Script::default().body("application/json", answer.to_string()),
        true => Script::default().body("text/event-stream", streamed(&path, answer)),
    };
    if path.contains(":generateContent") && stream {
        path = path.replace(":generateContent", ":streamGenerateContent?alt=sse");
    } else if stream {
        request["stream"] = true.into();
    }
    provider.next(script);
    let key = match path.as_str() {
        "/v1/messages" => ("x-api-key", "sk-ant-test-1"),
        path if path.starts_with("/v1beta") => ("x-goog-api-key", "AIza-test-1"),
        _ => ("authorization", "Bearer sk-test-1"),
    };
    let headers = [key, ("content-type", "application/json")];
    let answer = proxy.post(&path, &headers, request.to_string().as_bytes());
    assert_eq!(answer.status(), 200, "{}", record.name);
    sandbox.row(&answer.head.request_id()).number("cost_nano")
}

/// The answer as its provider streams it.
fn streamed(path: &str, answer: &Value) -> String {
    let event = |name: &str, data: Value| format!("event: {name}\ndata: {data}\n\n");
    match path {
        "/v1/messages" => {
            let mut first = answer.clone();
            first["content"] = json!([]);
            first["stop_reason"] = Value::Null;
            let usage = &answer["usage"];
            let totals = ["input_tokens", "output_tokens", "cache_read_input_tokens"];
            let mut last =
                json!({"cache_creation_input_tokens": usage["cache_creation_input_tokens"]});
            for key in
                totals.into_iter().chain(["server_tool_use", "iterations", "output_tokens_details"])
            {
                if !usage[key].is_null() {
                    last[key] = usage[key].clone();
                }
            }
            first["usage"]["output_tokens"] = 1.into();
            event("message_start", json!({"type": "message_start", "message": first}))
                + &event(
                    "message_delta",
                    json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": last}),
                )
                + &event("message_stop", json!({"type": "message_stop"}))
        }
        "/v1/responses" => {
            event("response.completed", json!({"type": "response.completed", "response": answer}))
        }
        path if path.starts_with("/v1beta") => format!("data: {answer}\r\n\r\n"),
        _ => {
            let mut chunk = answer.clone();
            chunk["object"] = "chat.completion.chunk".into();
            let delta = json!({"role": "assistant", "content": "ok"});
            let choice = |end: Value| json!([{"index": 0, "delta": delta, "finish_reason": end}]);
            let mut first = chunk.clone();
            first["choices"] = choice("stop".into());
            first.as_object_mut().unwrap().remove("usage");
            chunk["choices"] = json!([]);
            format!("data: {first}\n\ndata: {chunk}\n\ndata: [DONE]\n\n")
        }
    }
}
