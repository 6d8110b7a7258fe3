//! Streamed answers: the event sequence of each dialect.

use super::answers::{candidate, chat_usage, messages_usage, response};
use super::script::Billed;
use serde_json::{Value, json};

/// Anthropic: a preliminary usage at the start, the final one beside the stop reason.
pub(super) fn messages(
    model: &str,
    index: usize,
    words: &[String],
    billed: Billed,
) -> Vec<Vec<u8>> {
    let start = json!({"type": "message_start", "message": {
        "id": format!("msg_01{index:022}"), "type": "message", "role": "assistant", "model": model, "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": messages_usage(billed, 1),
    }});
    let text = json!({"type": "text", "text": ""});
    let mut events = vec![
        start,
        json!({"type": "content_block_start", "index": 0, "content_block": text}),
        json!({"type": "ping"}),
    ];
    events.extend(words.iter().map(|word| {
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}})
    }));
    events.push(json!({"type": "content_block_stop", "index": 0}));
    let reason = json!({"stop_reason": "end_turn", "stop_sequence": null});
    events.push(json!({"type": "message_delta", "delta": reason, "usage": messages_usage(billed, billed.output)}));
    events.push(json!({"type": "message_stop"}));
    events.iter().map(named).collect()
}

/// OpenAI Chat: usage only for those who asked, in a last chunk without choices.
pub(super) fn chat(
    model: &str,
    index: usize,
    words: &[String],
    billed: Option<Billed>,
) -> Vec<Vec<u8>> {
    let chunk = |choices: Value, usage: Option<Value>| {
        let mut chunk = json!({
            "id": format!("chatcmpl-{index:029}"), "object": "chat.completion.chunk", "created": 1763800000,
            "model": model, "system_fingerprint": "fp_0000000000", "choices": choices,
        });
        if billed.is_some() {
            chunk["usage"] = usage.into();
        }
        chunk
    };
    let choice = |delta: Value, finish: Value| json!([{"index": 0, "delta": delta, "finish_reason": finish}]);
    let mut events =
        vec![chunk(choice(json!({"role": "assistant", "content": ""}), Value::Null), None)];
    events.extend(
        words.iter().map(|word| chunk(choice(json!({"content": word}), Value::Null), None)),
    );
    events.push(chunk(choice(json!({}), "stop".into()), None));
    events.extend(billed.map(|billed| chunk(json!([]), Some(chat_usage(billed)))));
    let mut events: Vec<Vec<u8>> = events.iter().map(unnamed).collect();
    events.push(b"data: [DONE]\n\n".to_vec());
    events
}

/// OpenAI Responses: numbered events, the whole answer again in the last one.
pub(super) fn responses(
    model: &str,
    index: usize,
    words: &[String],
    billed: Billed,
) -> Vec<Vec<u8>> {
    let item = format!("msg_{index:048}");
    let text = words.concat();
    let begun = response(model, index, "in_progress", "", None);
    let done = response(model, index, "completed", &text, Some(billed));
    let empty = json!({"id": item, "type": "message", "status": "in_progress", "role": "assistant", "content": []});
    let part = |text: &str| json!({"type": "output_text", "text": text, "annotations": []});
    let at = |kind: &str, rest: Value| {
        let mut event =
            json!({"type": kind, "item_id": item, "output_index": 0, "content_index": 0});
        event.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        event
    };
    let mut events = vec![
        json!({"type": "response.created", "response": begun}),
        json!({"type": "response.in_progress", "response": begun}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": empty}),
        at("response.content_part.added", json!({"part": part("")})),
    ];
    events
        .extend(words.iter().map(|word| at("response.output_text.delta", json!({"delta": word}))));
    events.push(at("response.output_text.done", json!({"text": text})));
    events.push(at("response.content_part.done", json!({"part": part(&text)})));
    events.push(
        json!({"type": "response.output_item.done", "output_index": 0, "item": done["output"][0]}),
    );
    events.push(json!({"type": "response.completed", "response": done}));
    for (number, event) in events.iter_mut().enumerate() {
        event["sequence_number"] = number.into();
    }
    events.iter().map(named).collect()
}

/// Gemini: every event carries the usage so far; events end with CRLF.
pub(super) fn gemini(model: &str, index: usize, words: &[String], billed: Billed) -> Vec<Vec<u8>> {
    let event = |k: usize, word: &String| {
        let last = k + 1 == words.len();
        // So far: it grows with the answer, and only the last one counts.
        let output =
            if last { billed.output } else { billed.reasoning + (k as u64 + 1).min(billed.output) };
        let so_far = Billed { output: output.max(billed.reasoning), ..billed };
        let json = candidate(model, index, word, last.then_some("STOP"), so_far);
        format!("data: {json}\r\n\r\n").into_bytes()
    };
    words.iter().enumerate().map(|(k, word)| event(k, word)).collect()
}

fn named(event: &Value) -> Vec<u8> {
    let name = event["type"].as_str().unwrap_or_default();
    format!("event: {name}\ndata: {event}\n\n").into_bytes()
}

fn unnamed(event: &Value) -> Vec<u8> {
    format!("data: {event}\n\n").into_bytes()
}
