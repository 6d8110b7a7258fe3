//! Gemini's generateContent: parts; in a stream every event carries the usage so far and ends with CRLF.

use super::super::script::Billed;
use super::Turn;
use serde_json::{Value, json};

fn candidate(turn: &Turn, parts: Vec<Value>, last: bool, billed: Billed) -> Value {
    let mut candidate = json!({"content": {"role": "model", "parts": parts}, "index": 0});
    if last {
        candidate["finishReason"] = "STOP".into();
    }
    json!({
        "candidates": [candidate],
        "usageMetadata": {
            "promptTokenCount": billed.input,
            "cachedContentTokenCount": billed.cache_read,
            "candidatesTokenCount": billed.output - billed.reasoning,
            "thoughtsTokenCount": billed.reasoning,
            "totalTokenCount": billed.input + billed.output,
        },
        "modelVersion": turn.model, "responseId": format!("{:022}", turn.number),
    })
}

/// Thoughts first, then a part for each of `words`, then the call.
fn parts(turn: &Turn, words: &[String]) -> Vec<Value> {
    let thoughts = turn.thinking.iter().map(|text| json!({"text": text, "thought": true}));
    let texts = words.iter().map(|word| json!({"text": word}));
    let call = turn.call.iter().map(|call| {
        let arguments: Value = serde_json::from_str(&call.input.text()).unwrap_or_default();
        // Clients have to send the signature back with the call.
        json!({"functionCall": {"name": call.name, "args": arguments}, "thoughtSignature": "ZHVtbXk="})
    });
    thoughts.chain(texts).chain(call).collect()
}

pub(super) fn body(turn: &Turn) -> Value {
    let text = if turn.words.is_empty() { Vec::new() } else { vec![turn.text()] };
    candidate(turn, parts(turn, &text), true, turn.billed)
}

pub(super) fn events(turn: &Turn) -> Vec<Vec<u8>> {
    let parts = parts(turn, &turn.words);
    let count = parts.len();
    let event = |(k, part): (usize, Value)| {
        let (last, billed) = (k + 1 == count, turn.billed);
        // So far: it grows with the answer, and only the last one counts.
        let so_far = (billed.reasoning + k as u64 + 1).min(billed.output);
        let output = if last { billed.output } else { so_far };
        let billed = Billed { output: output.max(billed.reasoning), ..billed };
        let json = candidate(turn, vec![part], last, billed);
        format!("data: {json}\r\n\r\n").into_bytes()
    };
    parts.into_iter().enumerate().map(event).collect()
}
