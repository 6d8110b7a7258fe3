//! The answers of a model in the words of each provider: plain, and as a stream of events.

mod anthropic;
mod catalogue;
mod chat;
mod embeddings;
mod gemini;
mod responses;

pub(super) use catalogue::{model, models};
pub(super) use embeddings::embeddings;

use super::script::Billed;
use serde_json::{Value, json};

/// What a request asks for, by its path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Dialect {
    Messages,
    Chat,
    Responses,
    Gemini,
    CountTokens,
    Embeddings,
    Models,
    /// One of the models.
    Model,
    Echo,
}

impl Dialect {
    pub(super) fn of(method: &str, path: &str) -> Dialect {
        match (method, path) {
            ("GET", path) if path.ends_with("/models") => Dialect::Models,
            ("GET", path) if path.contains("/models/") => Dialect::Model,
            ("POST", path) if path.ends_with("/messages/count_tokens") => Dialect::CountTokens,
            ("POST", path) if path.ends_with(":countTokens") => Dialect::CountTokens,
            ("POST", path) if path.ends_with("/embeddings") => Dialect::Embeddings,
            ("POST", path) if path.ends_with(":embedContent") => Dialect::Embeddings,
            ("POST", path) if path.ends_with(":batchEmbedContents") => Dialect::Embeddings,
            ("POST", path) if path.ends_with("/messages") => Dialect::Messages,
            ("POST", path) if path.ends_with("/chat/completions") => Dialect::Chat,
            ("POST", path) if path.ends_with("/responses") => Dialect::Responses,
            ("POST", path) if path.ends_with(":generateContent") => Dialect::Gemini,
            ("POST", path) if path.ends_with(":streamGenerateContent") => Dialect::Gemini,
            _ => Dialect::Echo,
        }
    }
}

/// One answer of a model, in no dialect.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    pub(super) model: String,
    /// Makes the ids.
    pub(super) number: usize,
    pub(super) thinking: Option<String>,
    /// In a stream each is an event.
    pub(super) words: Vec<String>,
    pub(super) call: Option<Call>,
    pub(super) billed: Billed,
    /// Streams of the Chat dialect tell the usage only to those who asked for it.
    pub(super) tells_usage: bool,
}

/// What the model wants done.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) name: String,
    /// Tools of the Responses dialect may stand in one.
    pub(super) namespace: Option<String>,
    pub(super) input: Input,
}

#[derive(Clone, Debug)]
pub(super) enum Input {
    Arguments(Value),
    /// A custom tool of the Responses dialect is given plain text.
    Text(String),
}

impl Input {
    pub(super) fn text(&self) -> String {
        match self {
            Input::Arguments(value) => value.to_string(),
            Input::Text(text) => text.clone(),
        }
    }
}

impl Turn {
    pub(super) fn text(&self) -> String {
        self.words.concat()
    }

    /// The body of a plain answer.
    pub(super) fn body(&self, dialect: Dialect) -> Value {
        match dialect {
            Dialect::Messages => anthropic::body(self),
            Dialect::Chat => chat::body(self),
            Dialect::Responses => responses::body(self),
            _ => gemini::body(self),
        }
    }

    /// The events of a stream, each ready to be written.
    pub(super) fn events(&self, dialect: Dialect) -> Vec<Vec<u8>> {
        match dialect {
            Dialect::Messages => anthropic::events(self),
            Dialect::Chat => chat::events(self),
            Dialect::Responses => responses::events(self),
            _ => gemini::events(self),
        }
    }
}

/// A text in pieces of a believable length, as arguments come in a stream.
fn bits(text: &str) -> Vec<&str> {
    let mut bits = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.char_indices().nth(24).map_or(rest.len(), |(at, _)| at);
        let (bit, after) = rest.split_at(end);
        bits.push(bit);
        rest = after;
    }
    bits
}

fn named(event: &Value) -> Vec<u8> {
    let name = event["type"].as_str().unwrap_or_default();
    format!("event: {name}\ndata: {event}\n\n").into_bytes()
}

fn unnamed(event: &Value) -> Vec<u8> {
    format!("data: {event}\n\n").into_bytes()
}
