//! What the providers answer: which dialect a request speaks, and what stands in the answer.

use super::Seen;
use super::dialects::{self, Dialect, Turn};
use super::script::{Billed, Script};
use serde_json::{Value, json};

/// Stands for the time in a stamped word, and is as long as it.
pub(super) const STAMP: &str = "stamp-goes-here_";

const SENTENCE: &str = "The build failed because the lock file is older than the manifest; \
    run the install step again, commit the new lock file, and the pipeline will pass. ";

/// What a request asks for, as far as the answer depends on it.
pub(super) struct Ask {
    pub(super) dialect: Dialect,
    pub(super) method: String,
    pub(super) stream: bool,
    /// The other side wants the connection closed after the answer.
    pub(super) close: bool,
    pub(super) target: String,
    pub(super) model: String,
    /// The body, if it is JSON.
    pub(super) request: Value,
    pub(super) include_usage: bool,
    /// Models are wanted in Anthropic's words.
    pub(super) anthropic: bool,
    /// Models are wanted in Google's.
    pub(super) google: bool,
    pub(super) body: Vec<u8>,
    content_type: String,
    index: usize,
}

impl Ask {
    pub(super) fn of(seen: &Seen, index: usize) -> Ask {
        let (method, target) = (seen.method(), seen.target());
        let path = target.split('?').next().unwrap_or_default();
        let dialect = Dialect::of(&method, path);
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
            google: path.starts_with("/v1beta/") || seen.header("x-goog-api-key").is_some(),
            anthropic: seen.header("anthropic-version").is_some(),
            close: seen.header("connection").is_some_and(|v| v.eq_ignore_ascii_case("close")),
            content_type: seen.header("content-type").unwrap_or("application/octet-stream".into()),
            body: seen.body.clone(),
            dialect,
            method,
            target,
            request,
            index,
        }
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
    let turn = match &script.session {
        Some(session) => session.turn(ask),
        None => prose(script, ask),
    };
    if ask.stream {
        return ("text/event-stream; charset=utf-8".into(), turn.events(ask.dialect));
    }
    if ask.dialect == Dialect::Echo && !ask.body.is_empty() {
        return (ask.content_type.clone(), vec![ask.body.clone()]);
    }
    let body = match ask.dialect {
        Dialect::CountTokens if ask.target.contains(":countTokens") => {
            json!({"totalTokens": turn.billed.input})
        }
        Dialect::CountTokens => json!({"input_tokens": turn.billed.input}),
        Dialect::Embeddings => dialects::embeddings(ask),
        Dialect::Models => dialects::models(ask),
        Dialect::Model => dialects::model(ask),
        Dialect::Echo => json!({"method": ask.method, "target": ask.target}),
        dialect => turn.body(dialect),
    };
    // Two pieces, so that a plain answer can be cut, delayed and held back as well.
    let body = body.to_string().into_bytes();
    let (first, second) = body.split_at(body.len() / 2);
    ("application/json".into(), vec![first.to_vec(), second.to_vec()])
}

/// An answer of as many words as the script wants.
fn prose(script: &Script, ask: &Ask) -> Turn {
    let words = words(script);
    Turn {
        model: ask.model.clone(),
        number: ask.index,
        thinking: None,
        billed: script.billed.unwrap_or_else(|| billed(ask, words.len())),
        words,
        call: None,
        tells_usage: ask.include_usage,
    }
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
