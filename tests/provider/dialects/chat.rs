//! OpenAI's Chat Completions: one message, and its changes in a stream.

use super::super::script::Billed;
use super::{Turn, bits, unnamed};
use serde_json::{Value, json};

fn usage(billed: Billed) -> Value {
    json!({
        "prompt_tokens": billed.input,
        "completion_tokens": billed.output,
        "total_tokens": billed.input + billed.output,
        "prompt_tokens_details": {"cached_tokens": billed.cache_read, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": billed.reasoning, "audio_tokens": 0},
    })
}

fn finish_reason(turn: &Turn) -> &'static str {
    if turn.call.is_some() { "tool_calls" } else { "stop" }
}

/// The call with `arguments`, whole or empty.
fn call(turn: &Turn, arguments: &str) -> Option<Value> {
    let call = turn.call.as_ref()?;
    let function = json!({"name": call.name, "arguments": arguments});
    Some(
        json!({"id": format!("call_{:024}", turn.number), "type": "function", "function": function}),
    )
}

pub(super) fn body(turn: &Turn) -> Value {
    let mut message =
        json!({"role": "assistant", "content": turn.text(), "refusal": null, "annotations": []});
    let arguments = turn.call.as_ref().map(|call| call.input.text()).unwrap_or_default();
    if let Some(call) = call(turn, &arguments) {
        message["tool_calls"] = json!([call]);
    }
    json!({
        "id": format!("chatcmpl-{:029}", turn.number), "object": "chat.completion", "created": 1763800000,
        "model": turn.model,
        "choices": [{
            "index": 0, "logprobs": null, "finish_reason": finish_reason(turn), "message": message,
        }],
        "usage": usage(turn.billed), "service_tier": "default", "system_fingerprint": "fp_0000000000",
    })
}

/// Usage only for those who asked, in a last chunk without choices.
pub(super) fn events(turn: &Turn) -> Vec<Vec<u8>> {
    let chunk = |choices: Value, usage: Option<Value>| {
        let mut chunk = json!({
            "id": format!("chatcmpl-{:029}", turn.number), "object": "chat.completion.chunk",
            "created": 1763800000, "model": turn.model, "system_fingerprint": "fp_0000000000",
            "choices": choices,
        });
        if turn.tells_usage {
            chunk["usage"] = usage.into();
        }
        chunk
    };
    let choice = |delta: Value, finish: Value| {
        chunk(json!([{"index": 0, "delta": delta, "finish_reason": finish}]), None)
    };
    let mut events = vec![choice(json!({"role": "assistant", "content": ""}), Value::Null)];
    events.extend(turn.words.iter().map(|word| choice(json!({"content": word}), Value::Null)));
    if let Some(mut call) = call(turn, "") {
        call["index"] = 0.into();
        events.push(choice(json!({"tool_calls": [call]}), Value::Null));
        let input = turn.call.as_ref().map(|call| call.input.text()).unwrap_or_default();
        events.extend(bits(&input).into_iter().map(|bit| {
            let call = json!({"index": 0, "function": {"arguments": bit}});
            choice(json!({"tool_calls": [call]}), Value::Null)
        }));
    }
    events.push(choice(json!({}), finish_reason(turn).into()));
    if turn.tells_usage {
        events.push(chunk(json!([]), Some(usage(turn.billed))));
    }
    let mut events: Vec<Vec<u8>> = events.iter().map(unnamed).collect();
    events.push(b"data: [DONE]\n\n".to_vec());
    events
}
