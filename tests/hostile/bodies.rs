//! Request bodies around hostile texts.

use serde_json::{Value, json};

pub(crate) const MESSAGES: &str = "/v1/messages";
pub(crate) const CHAT: &str = "/v1/chat/completions";
pub(crate) const RESPONSES: &str = "/v1/responses";
pub(crate) const GEMINI: &str = "/v1beta/models/gemini-3-pro:generateContent";

/// A conversation whose tool gave these texts back, one after the other.
pub(super) fn results(texts: &[String]) -> String {
    let turn = |(at, text): (usize, &String)| calls("WebFetch", json!({}), at, json!(text));
    let turns: Vec<Value> = texts.iter().enumerate().flat_map(turn).collect();
    json!({"model": "m", "messages": turns}).to_string()
}

/// The same in the other style.
pub(super) fn chat(texts: &[String]) -> String {
    let mut messages = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        let id = format!("c{at}");
        let function = json!({"name": "fetch", "arguments": "{}"});
        messages.push(json!({"role": "assistant",
            "tool_calls": [{"id": id, "type": "function", "function": function}]}));
        messages.push(json!({"role": "tool", "tool_call_id": id, "content": text}));
    }
    json!({"model": "m", "messages": messages}).to_string()
}

/// One result of many texts.
pub(super) fn parts(texts: impl Iterator<Item = String>) -> String {
    let parts: Vec<Value> = texts.map(|text| json!({"type": "text", "text": text})).collect();
    json!({"model": "m", "messages": calls("WebFetch", json!({}), 0, json!(parts))}).to_string()
}

/// A call with this input, and a result.
pub(super) fn called(name: &str, input: Value, result: &str) -> String {
    json!({"model": "m", "messages": calls(name, input, 0, json!(result))}).to_string()
}

fn calls(name: &str, input: Value, at: usize, content: Value) -> [Value; 2] {
    let id = format!("c{at}");
    let call = json!({"type": "tool_use", "id": id, "name": name, "input": input});
    let result = json!({"type": "tool_result", "tool_use_id": id, "content": content});
    [json!({"role": "assistant", "content": [call]}), json!({"role": "user", "content": [result]})]
}

/// Pieces until there are so many bytes.
pub(super) fn until(bytes: usize, mut piece: impl FnMut(usize) -> String) -> String {
    let mut text = String::with_capacity(bytes + 200);
    let mut at = 0;
    while text.len() < bytes {
        text.push_str(&piece(at));
        at += 1;
    }
    text
}

/// Numbers without a pattern (splitmix64).
pub(super) fn random(at: usize) -> usize {
    let mixed = (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ mixed >> 27) as usize >> 20
}
