//! A request body as the blocks that a prompt cache knows, in any wire format.

use super::Block;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// What an image is counted as.
const IMAGE_TOKENS: u64 = 1000;

/// What providers put around a message, about.
const MESSAGE_TOKENS: u64 = 4;

/// What tells blocks apart and is not text that a model reads.
const HIDDEN: &[&str] = &[
    "type",
    "id",
    "tool_use_id",
    "tool_call_id",
    "call_id",
    "role",
    "signature",
    "data",
    "image_url",
];

/// Cuts bodies into blocks. Remembers what it counted: a session repeats its history.
pub(crate) struct Blocks<'c> {
    count: &'c mut dyn FnMut(&str) -> u64,
    counted: HashMap<u64, u64>,
}

impl Blocks<'_> {
    pub(crate) fn new(count: &mut dyn FnMut(&str) -> u64) -> Blocks<'_> {
        Blocks { count, counted: HashMap::new() }
    }

    /// The blocks in prefix order: tools, system, messages.
    pub(crate) fn of(&mut self, body: &[u8]) -> Vec<Block> {
        let body: Value = serde_json::from_slice(body).expect("a request body");
        let mut blocks = Vec::new();
        self.list(&body["tools"], &mut blocks);
        for key in ["system", "instructions", "systemInstruction"] {
            self.content(&body[key], &mut blocks);
        }
        for key in ["messages", "input", "contents"] {
            for message in body[key].as_array().into_iter().flatten() {
                self.message(message, &mut blocks);
            }
        }
        blocks
    }

    fn message(&mut self, message: &Value, blocks: &mut Vec<Block>) {
        let before = blocks.len();
        let members = message.as_object().map_or(0, |members| members.len());
        match (&message["content"], &message["parts"]) {
            (content @ Value::Array(_), _) | (_, content @ Value::Array(_)) => {
                self.list(content, blocks);
            }
            // The same as a list of one text, which it becomes where a client marks it.
            (Value::String(text), _) if members == 2 => {
                self.push(&json!({"type": "text", "text": text}), blocks);
            }
            // Calls and ids stand beside the content.
            _ => self.push(message, blocks),
        }
        if let Some(block) = blocks.get_mut(before) {
            block.content = mix(block.content, hash(message["role"].as_str().unwrap_or_default()));
            block.tokens += MESSAGE_TOKENS;
        }
    }

    /// A text, an array of blocks, or an object with `parts`.
    fn content(&mut self, content: &Value, blocks: &mut Vec<Block>) {
        match content {
            Value::Null => {}
            Value::Array(_) => self.list(content, blocks),
            Value::Object(members) if members.contains_key("parts") => {
                self.list(&content["parts"], blocks);
            }
            _ => self.push(content, blocks),
        }
    }

    fn list(&mut self, list: &Value, blocks: &mut Vec<Block>) {
        for block in list.as_array().into_iter().flatten() {
            self.push(block, blocks);
        }
    }

    fn push(&mut self, value: &Value, blocks: &mut Vec<Block>) {
        let mut read = Read::default();
        read.value(value);
        let Read { content, text, rest, mark } = read;
        let content = hash(&content);
        let tokens = *self.counted.entry(content).or_insert_with(|| (self.count)(&text));
        blocks.push(Block { content, tokens: tokens + rest, mark });
    }
}

/// What a block says.
#[derive(Default)]
struct Read {
    /// All of it but the cache mark.
    content: String,
    /// What the model reads of it.
    text: String,
    /// Tokens beside the text.
    rest: u64,
    mark: bool,
}

impl Read {
    fn value(&mut self, value: &Value) {
        match value {
            Value::Object(members) if members.contains_key("input_schema") => self.raw(value),
            Value::Object(members) => {
                members.iter().for_each(|(key, value)| self.member(key, value))
            }
            Value::Array(items) => items.iter().for_each(|item| self.value(item)),
            Value::String(text) => {
                self.content.push_str(text);
                self.content.push('\n');
                self.text.push_str(text);
                self.text.push('\n');
            }
            Value::Null => {}
            other => self.raw(other),
        }
    }

    fn member(&mut self, key: &str, value: &Value) {
        match key {
            "cache_control" => self.mark = true,
            "input" | "args" | "function" | "parameters" => self.raw(value),
            _ if HIDDEN.contains(&key) => {
                let is_image =
                    matches!(value.as_str(), Some("image" | "image_url" | "input_image"));
                self.rest += if is_image { IMAGE_TOKENS } else { 0 };
                self.content.push_str(&value.to_string());
            }
            _ => self.value(value),
        }
    }

    /// Tools and calls reach the model as JSON.
    fn raw(&mut self, value: &Value) {
        let text = value.to_string();
        self.content.push_str(&text);
        self.text.push_str(&text);
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// Two contents after each other.
pub(super) fn mix(so_far: u64, next: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (so_far, next).hash(&mut hasher);
    hasher.finish()
}
