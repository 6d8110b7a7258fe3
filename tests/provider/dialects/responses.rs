//! OpenAI's Responses: numbered events about output items, and the whole answer again in the last one.

use super::super::script::Billed;
use super::{Input, Turn, bits, named};
use serde_json::{Value, json};

fn usage(billed: Billed) -> Value {
    json!({
        "input_tokens": billed.input,
        "input_tokens_details": {"cached_tokens": billed.cache_read},
        "output_tokens": billed.output,
        "output_tokens_details": {"reasoning_tokens": billed.reasoning},
        "total_tokens": billed.input + billed.output,
    })
}

fn response(turn: &Turn, status: &str, output: Vec<Value>, billed: Option<Billed>) -> Value {
    json!({
        "id": format!("resp_{:048}", turn.number), "object": "response", "created_at": 1763800000,
        "status": status, "error": null, "model": turn.model, "output": output,
        "usage": billed.map(usage),
    })
}

/// An output item of a stream.
struct Item {
    /// As it is first announced.
    begun: Value,
    whole: Value,
    /// What is told of it in between, without the place that all of them name.
    events: Vec<Value>,
}

fn items(turn: &Turn) -> Vec<Item> {
    let parts = [reasoning(turn), message(turn), call(turn)];
    parts.into_iter().flatten().collect()
}

fn reasoning(turn: &Turn) -> Option<Item> {
    let thinking = turn.thinking.as_ref()?;
    let item = |summary: Value, content: Value| {
        json!({"id": format!("rs_{:048}", turn.number), "type": "reasoning", "summary": summary,
            "encrypted_content": content})
    };
    let part = |text: &str| json!({"type": "summary_text", "text": text});
    let mut events =
        vec![json!({"type": "response.reasoning_summary_part.added", "part": part("")})];
    events.extend(
        bits(thinking)
            .iter()
            .map(|bit| json!({"type": "response.reasoning_summary_text.delta", "delta": bit})),
    );
    events.push(json!({"type": "response.reasoning_summary_text.done", "text": thinking}));
    events.push(json!({"type": "response.reasoning_summary_part.done", "part": part(thinking)}));
    events.iter_mut().for_each(|event| event["summary_index"] = 0.into());
    Some(Item {
        begun: item(json!([]), Value::Null),
        whole: item(json!([part(thinking)]), "Z0FBQUFBZHVtbXk=".into()),
        events,
    })
}

fn message(turn: &Turn) -> Option<Item> {
    if turn.words.is_empty() && turn.call.is_some() {
        return None;
    }
    let text = turn.text();
    let part = |text: &str| json!({"type": "output_text", "text": text, "annotations": []});
    let item = |status: &str, content: Value| {
        json!({"id": format!("msg_{:048}", turn.number), "type": "message", "status": status,
            "role": "assistant", "content": content})
    };
    let mut events = vec![json!({"type": "response.content_part.added", "part": part("")})];
    events.extend(
        turn.words.iter().map(|word| json!({"type": "response.output_text.delta", "delta": word})),
    );
    events.push(json!({"type": "response.output_text.done", "text": text}));
    events.push(json!({"type": "response.content_part.done", "part": part(&text)}));
    events.iter_mut().for_each(|event| event["content_index"] = 0.into());
    let whole = item("completed", json!([part(&text)]));
    Some(Item { begun: item("in_progress", json!([])), whole, events })
}

fn call(turn: &Turn) -> Option<Item> {
    let call = turn.call.as_ref()?;
    let (kind, field, event) = match call.input {
        Input::Arguments(_) => ("function_call", "arguments", "function_call_arguments"),
        Input::Text(_) => ("custom_tool_call", "input", "custom_tool_call_input"),
    };
    let item = |status: &str, input: &str| {
        let mut item = json!({"id": format!("fc_{:048}", turn.number), "type": kind, "status": status,
            "call_id": format!("call_{:024}", turn.number), "name": call.name});
        item[field] = input.into();
        if let Some(namespace) = &call.namespace {
            item["namespace"] = namespace.as_str().into();
        }
        item
    };
    let input = call.input.text();
    let mut events: Vec<Value> = bits(&input)
        .into_iter()
        .map(|bit| json!({"type": format!("response.{event}.delta"), "delta": bit}))
        .collect();
    let mut done = json!({"type": format!("response.{event}.done")});
    done[field] = input.clone().into();
    events.push(done);
    Some(Item { begun: item("in_progress", ""), whole: item("completed", &input), events })
}

pub(super) fn body(turn: &Turn) -> Value {
    let output = items(turn).into_iter().map(|item| item.whole).collect();
    response(turn, "completed", output, Some(turn.billed))
}

pub(super) fn events(turn: &Turn) -> Vec<Vec<u8>> {
    let begun = response(turn, "in_progress", Vec::new(), None);
    let mut events = vec![
        json!({"type": "response.created", "response": begun}),
        json!({"type": "response.in_progress", "response": begun}),
    ];
    let items = items(turn);
    for (index, item) in items.iter().enumerate() {
        let id = item.begun["id"].clone();
        events.push(
            json!({"type": "response.output_item.added", "output_index": index, "item": item.begun}),
        );
        events.extend(item.events.iter().cloned().map(|mut event| {
            event["item_id"] = id.clone();
            event["output_index"] = index.into();
            event
        }));
        events.push(
            json!({"type": "response.output_item.done", "output_index": index, "item": item.whole}),
        );
    }
    let output = items.into_iter().map(|item| item.whole).collect();
    let done = response(turn, "completed", output, Some(turn.billed));
    events.push(json!({"type": "response.completed", "response": done}));
    for (number, event) in events.iter_mut().enumerate() {
        event["sequence_number"] = number.into();
    }
    events.iter().map(named).collect()
}
