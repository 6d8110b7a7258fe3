//! Anthropic's Messages: content blocks, one after the other.

use super::super::script::Billed;
use super::{Turn, bits, named};
use serde_json::{Value, json};

const SIGNATURE: &str = "RHVtbXkgc2lnbmF0dXJlIG9mIGEgc3RhbmQtaW4=";

fn usage(billed: Billed, output: u64) -> Value {
    let Billed { input, cache_read, cache_write, cache_write_1h, .. } = billed;
    json!({
        "input_tokens": input - cache_read - cache_write,
        "cache_creation_input_tokens": cache_write,
        "cache_read_input_tokens": cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": cache_write - cache_write_1h,
            "ephemeral_1h_input_tokens": cache_write_1h,
        },
        "output_tokens": output,
        "service_tier": "standard",
    })
}

fn id(turn: &Turn) -> String {
    format!("msg_01{:022}", turn.number)
}

fn stop_reason(turn: &Turn) -> &'static str {
    if turn.call.is_some() { "tool_use" } else { "end_turn" }
}

/// Every block of the answer: as it begins in a stream, what is added to it, and whole.
fn blocks(turn: &Turn) -> Vec<(Value, Vec<Value>, Value)> {
    let mut blocks = Vec::new();
    if let Some(thinking) = &turn.thinking {
        let mut deltas: Vec<Value> = bits(thinking)
            .iter()
            .map(|bit| json!({"type": "thinking_delta", "thinking": bit}))
            .collect();
        deltas.push(json!({"type": "signature_delta", "signature": SIGNATURE}));
        let block = |text: &str, signature: &str| json!({"type": "thinking", "thinking": text, "signature": signature});
        blocks.push((block("", ""), deltas, block(thinking, SIGNATURE)));
    }
    if !turn.words.is_empty() || turn.call.is_none() {
        let deltas = turn.words.iter().map(|word| json!({"type": "text_delta", "text": word}));
        let block = |text: &str| json!({"type": "text", "text": text});
        blocks.push((block(""), deltas.collect(), block(&turn.text())));
    }
    if let Some(call) = &turn.call {
        let input = call.input.text();
        let deltas = bits(&input)
            .into_iter()
            .map(|bit| json!({"type": "input_json_delta", "partial_json": bit}));
        let whole: Value = serde_json::from_str(&input).unwrap_or_default();
        let id = format!("toolu_01{:022}", turn.number);
        let block =
            |input: Value| json!({"type": "tool_use", "id": id, "name": call.name, "input": input});
        blocks.push((block(json!({})), deltas.collect(), block(whole)));
    }
    blocks
}

pub(super) fn body(turn: &Turn) -> Value {
    let content: Vec<Value> = blocks(turn).into_iter().map(|(_, _, whole)| whole).collect();
    json!({
        "id": id(turn), "type": "message", "role": "assistant", "model": turn.model, "content": content,
        "stop_reason": stop_reason(turn), "stop_sequence": null, "usage": usage(turn.billed, turn.billed.output),
    })
}

/// A preliminary usage at the start, the final one beside the stop reason.
pub(super) fn events(turn: &Turn) -> Vec<Vec<u8>> {
    let mut events = vec![json!({"type": "message_start", "message": {
        "id": id(turn), "type": "message", "role": "assistant", "model": turn.model, "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": usage(turn.billed, 1),
    }})];
    for (index, (begun, deltas, _)) in blocks(turn).into_iter().enumerate() {
        events.push(json!({"type": "content_block_start", "index": index, "content_block": begun}));
        if index == 0 {
            events.push(json!({"type": "ping"}));
        }
        let delta = |delta| json!({"type": "content_block_delta", "index": index, "delta": delta});
        events.extend(deltas.into_iter().map(delta));
        events.push(json!({"type": "content_block_stop", "index": index}));
    }
    let reason = json!({"stop_reason": stop_reason(turn), "stop_sequence": null});
    let usage = usage(turn.billed, turn.billed.output);
    events.push(json!({"type": "message_delta", "delta": reason, "usage": usage}));
    events.push(json!({"type": "message_stop"}));
    events.iter().map(named).collect()
}
