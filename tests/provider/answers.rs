//! What the providers answer: bodies and events of each dialect, with ids, usage and stop reasons.

use super::Seen;
use super::script::{Billed, Script};
use serde_json::{Value, json};

/// Stands for the time in a stamped word, and is as long as it.
pub(super) const STAMP: &str = "stamp-goes-here_";

const SENTENCE: &str = "The build failed because the lock file is older than the manifest; \
    run the install step again, commit the new lock file, and the pipeline will pass. ";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Dialect {
    Messages,
    Chat,
    Responses,
    Gemini,
    CountTokens,
    Models,
    Echo,
}

/// What a request asks for, as far as the answer depends on it.
pub(super) struct Ask {
    dialect: Dialect,
    pub(super) method: String,
    pub(super) stream: bool,
    /// The other side wants the connection closed after the answer.
    pub(super) close: bool,
    target: String,
    model: String,
    include_usage: bool,
    body: Vec<u8>,
    content_type: String,
    index: usize,
}

impl Ask {
    pub(super) fn of(seen: &Seen, index: usize) -> Ask {
        let (method, target) = (seen.method(), seen.target());
        let path = target.split('?').next().unwrap_or_default();
        let dialect = dialect(&method, path);
        let request: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
        let in_path = path.rsplit('/').next().and_then(|name| name.split(':').next());
        Ask {
            stream: match dialect {
                Dialect::Gemini => path.ends_with(":streamGenerateContent"),
                Dialect::Messages | Dialect::Chat | Dialect::Responses => request["stream"] == true,
                _ => false,
            },
            model: request["model"].as_str().or(in_path).unwrap_or_default().to_owned(),
            include_usage: request["stream_options"]["include_usage"] == true,
            close: seen.header("connection").is_some_and(|v| v.eq_ignore_ascii_case("close")),
            content_type: seen.header("content-type").unwrap_or("application/octet-stream".into()),
            body: seen.body.clone(),
            dialect,
            method,
            target,
            index,
        }
    }
}

fn dialect(method: &str, path: &str) -> Dialect {
    match (method, path) {
        ("GET", path) if path.ends_with("/models") => Dialect::Models,
        ("POST", path) if path.ends_with("/messages/count_tokens") => Dialect::CountTokens,
        ("POST", path) if path.ends_with("/messages") => Dialect::Messages,
        ("POST", path) if path.ends_with("/chat/completions") => Dialect::Chat,
        ("POST", path) if path.ends_with("/responses") => Dialect::Responses,
        ("POST", path) if path.ends_with(":generateContent") => Dialect::Gemini,
        ("POST", path) if path.ends_with(":streamGenerateContent") => Dialect::Gemini,
        _ => Dialect::Echo,
    }
}

/// The content type, and the body in the pieces in which it is written.
pub(super) fn pieces(script: &Script, ask: &Ask) -> (String, Vec<Vec<u8>>) {
    if let Some(body) = &script.body {
        return (script.content_type.clone().unwrap_or("application/json".into()), body.clone());
    }
    if script.status >= 400 {
        return ("application/json".into(), vec![refusal(ask.dialect, script.status)]);
    }
    let words = words(script);
    let billed = script.billed.unwrap_or_else(|| billed(ask, words.len()));
    if ask.stream {
        let events = match ask.dialect {
            Dialect::Messages => super::events::messages(&ask.model, ask.index, &words, billed),
            Dialect::Chat => super::events::chat(
                &ask.model,
                ask.index,
                &words,
                ask.include_usage.then_some(billed),
            ),
            Dialect::Responses => super::events::responses(&ask.model, ask.index, &words, billed),
            _ => super::events::gemini(&ask.model, ask.index, &words, billed),
        };
        return ("text/event-stream; charset=utf-8".into(), events);
    }
    if ask.dialect == Dialect::Echo && !ask.body.is_empty() {
        return (ask.content_type.clone(), vec![ask.body.clone()]);
    }
    let text = words.concat();
    let body = match ask.dialect {
        Dialect::Messages => message(&ask.model, ask.index, &text, billed),
        Dialect::Chat => completion(&ask.model, ask.index, &text, billed),
        Dialect::Responses => response(&ask.model, ask.index, "completed", &text, Some(billed)),
        Dialect::Gemini => candidate(&ask.model, ask.index, &text, Some("STOP"), billed),
        Dialect::CountTokens => json!({"input_tokens": billed.input}),
        Dialect::Models => json!({"object": "list", "data": [{"id": "gpt-4o", "object": "model"}]}),
        Dialect::Echo => json!({"method": ask.method, "target": ask.target}),
    };
    // Two pieces, so that a plain answer can be cut, delayed and held back as well.
    let body = body.to_string().into_bytes();
    let (first, second) = body.split_at(body.len() / 2);
    ("application/json".into(), vec![first.to_vec(), second.to_vec()])
}

/// What a provider would bill, roughly: a token for four bytes, most of them read from the cache.
fn billed(ask: &Ask, words: usize) -> Billed {
    let input = (ask.body.len() as u64 / 4).max(1);
    let (cache_read, cache_write) = (input / 2, input / 4);
    Billed {
        input,
        cache_read,
        cache_write,
        cache_write_1h: 0,
        output: words as u64 + 3,
        reasoning: 0,
    }
}

fn words(script: &Script) -> Vec<String> {
    let sentence = SENTENCE.split_inclusive(' ').cycle();
    let word = |from: &str| match (script.stamps, script.word_bytes) {
        (true, _) => format!("{STAMP} "),
        (false, 0) => from.to_owned(),
        (false, bytes) => from.chars().cycle().take(bytes).collect(),
    };
    sentence.take(script.words).map(word).collect()
}

/// A refusal in the dialect's own shape.
fn refusal(dialect: Dialect, status: u16) -> Vec<u8> {
    let kind = match status {
        401 => "authentication_error",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    };
    let text = format!("the stand-in was told to answer {status}");
    let body = match dialect {
        Dialect::Messages | Dialect::CountTokens => {
            json!({"type": "error", "error": {"type": kind, "message": text}})
        }
        Dialect::Gemini => {
            json!({"error": {"code": status, "message": text, "status": kind.to_uppercase()}})
        }
        _ => json!({"error": {"message": text, "type": kind, "param": null, "code": null}}),
    };
    body.to_string().into_bytes()
}

pub(super) fn messages_usage(billed: Billed, output: u64) -> Value {
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

pub(super) fn chat_usage(billed: Billed) -> Value {
    json!({
        "prompt_tokens": billed.input,
        "completion_tokens": billed.output,
        "total_tokens": billed.input + billed.output,
        "prompt_tokens_details": {"cached_tokens": billed.cache_read, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": billed.reasoning, "audio_tokens": 0},
    })
}

fn responses_usage(billed: Billed) -> Value {
    json!({
        "input_tokens": billed.input,
        "input_tokens_details": {"cached_tokens": billed.cache_read},
        "output_tokens": billed.output,
        "output_tokens_details": {"reasoning_tokens": billed.reasoning},
        "total_tokens": billed.input + billed.output,
    })
}

fn message(model: &str, index: usize, text: &str, billed: Billed) -> Value {
    json!({
        "id": format!("msg_01{index:022}"), "type": "message", "role": "assistant", "model": model,
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn", "stop_sequence": null, "usage": messages_usage(billed, billed.output),
    })
}

fn completion(model: &str, index: usize, text: &str, billed: Billed) -> Value {
    json!({
        "id": format!("chatcmpl-{index:029}"), "object": "chat.completion", "created": 1763800000, "model": model,
        "choices": [{
            "index": 0, "logprobs": null, "finish_reason": "stop",
            "message": {"role": "assistant", "content": text, "refusal": null, "annotations": []},
        }],
        "usage": chat_usage(billed), "service_tier": "default", "system_fingerprint": "fp_0000000000",
    })
}

pub(super) fn response(
    model: &str,
    index: usize,
    status: &str,
    text: &str,
    billed: Option<Billed>,
) -> Value {
    let output = json!({
        "id": format!("msg_{index:048}"), "type": "message", "status": status, "role": "assistant",
        "content": [{"type": "output_text", "text": text, "annotations": []}],
    });
    json!({
        "id": format!("resp_{index:048}"), "object": "response", "created_at": 1763800000, "status": status,
        "error": null, "model": model, "output": if text.is_empty() { json!([]) } else { json!([output]) },
        "usage": billed.map(responses_usage),
    })
}

pub(super) fn candidate(
    model: &str,
    index: usize,
    text: &str,
    finish: Option<&str>,
    billed: Billed,
) -> Value {
    let mut candidate =
        json!({"content": {"role": "model", "parts": [{"text": text}]}, "index": 0});
    if let Some(finish) = finish {
        candidate["finishReason"] = finish.into();
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
        "modelVersion": model, "responseId": format!("{index:022}"),
    })
}
