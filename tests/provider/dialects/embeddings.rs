//! Embeddings, short ones: OpenAI's in numbers or in base64 as asked for, Gemini's one by one or many.

use super::super::answers::Ask;
use serde_json::{Value, json};

/// The same for every text; binary fractions, so that nobody rounds them.
const VECTOR: [f32; 4] = [0.5, -0.25, 0.125, 1.0];

/// `VECTOR` as little-endian 32-bit numbers.
const BASE64: &str = "AAAAPwAAgL4AAAA+AACAPw==";

pub(in super::super) fn embeddings(ask: &Ask) -> Value {
    if ask.target.contains(":embedContent") {
        return json!({"embedding": {"values": VECTOR}});
    }
    if let Some(requests) = ask.request["requests"].as_array() {
        let one = |_: &Value| json!({"values": VECTOR});
        return json!({"embeddings": requests.iter().map(one).collect::<Vec<_>>()});
    }
    let count = ask.request["input"].as_array().map_or(1, Vec::len);
    let vector =
        if ask.request["encoding_format"] == "base64" { json!(BASE64) } else { json!(VECTOR) };
    let one = |n| json!({"object": "embedding", "index": n, "embedding": vector});
    json!({
        "object": "list", "model": ask.model, "data": (0..count).map(one).collect::<Vec<_>>(),
        "usage": {"prompt_tokens": count, "total_tokens": count},
    })
}
