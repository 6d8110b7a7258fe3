//! A provider of Claude's newest models, as far as it holds clients to their word: each thinking block
//! is signed with a digest of all that stood before it, and prompts are cached at the client's marks.

use super::Script;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};

/// What becomes of a block whose digest does not fit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Misfit {
    /// 400, in Anthropic's words.
    Refuse,
    /// The block is left out, and named in `input_transformations`.
    Drop,
    /// Older models do not look.
    Allow,
}

/// Signs, checks and caches.
#[derive(Clone, Debug)]
pub(crate) struct Keeper {
    misfit: Misfit,
    /// Digests of prefixes that are cached.
    cached: Arc<Mutex<HashSet<u64>>>,
}

/// What was cached of a prompt, in bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Shares {
    all: u64,
    read: u64,
    written: u64,
}

impl Keeper {
    pub(crate) fn new(misfit: Misfit) -> Keeper {
        Keeper { misfit, cached: Arc::default() }
    }

    /// A script that answers every request by these rules.
    pub(crate) fn script(self) -> Script {
        Script { keeper: Some(self), ..Script::default() }
    }

    /// What to do with this request.
    pub(super) fn answer(&self, body: &[u8]) -> Script {
        let request: Value = serde_json::from_slice(body).unwrap_or_default();
        let mut dropped = Vec::new();
        for (message, content, digest) in blocks(&request) {
            let block = &request["messages"][message]["content"][content];
            let Some(signature) = block["signature"].as_str() else { continue };
            if signature == signed(digest) {
                continue;
            }
            let path = format!("messages.{message}.content.{content}");
            match self.misfit {
                Misfit::Refuse => return refusal(&path),
                Misfit::Drop => dropped.push(json!({"type": "thinking_dropped",
                    "reason": "prefix_binding_mismatch", "path": path})),
                Misfit::Allow => {}
            }
        }
        let shares = self.cache(&request);
        answer(&request, shares, dropped)
    }

    /// Reads the longest prefix that is cached, and caches all that end at a mark.
    fn cache(&self, request: &Value) -> Shares {
        let mut cached = self.cached.lock().unwrap();
        let (mut shares, mut marks) = (Shares::default(), Vec::new());
        let mut hash = DefaultHasher::new();
        for (block, is_marked) in pieces(request) {
            block.hash(&mut hash);
            shares.all += block.len() as u64;
            if cached.contains(&hash.finish()) {
                shares.read = shares.all;
            }
            if is_marked {
                marks.push((hash.finish(), shares.all));
            }
        }
        let last = marks.last().map_or(0, |(_, bytes)| *bytes);
        shares.written = last.saturating_sub(shares.read);
        cached.extend(marks.into_iter().map(|(digest, _)| digest));
        shares
    }
}

/// The pieces of a prompt in the provider's order, without their marks; and whether each had one.
fn pieces(request: &Value) -> Vec<(String, bool)> {
    let mut pieces = Vec::new();
    let mut add = |what: &str, value: &Value| {
        let (bare, is_marked) = without_marks(value);
        pieces.push((format!("{what}{bare}"), is_marked));
    };
    add("tools", &request["tools"]);
    add("system", &request["system"]);
    for message in request["messages"].as_array().into_iter().flatten() {
        let role = message["role"].as_str().unwrap_or_default();
        match &message["content"] {
            Value::Array(blocks) => blocks.iter().for_each(|block| add(role, block)),
            text => add(role, &json!({"type": "text", "text": text})),
        }
    }
    pieces
}

/// Every thinking block: its message, its place in it, and the digest of all before it.
fn blocks(request: &Value) -> Vec<(usize, usize, u64)> {
    let mut found = Vec::new();
    let mut hash = DefaultHasher::new();
    without_marks(&request["tools"]).0.hash(&mut hash);
    without_marks(&request["system"]).0.hash(&mut hash);
    for (n, message) in request["messages"].as_array().into_iter().flatten().enumerate() {
        let text = [json!({"type": "text", "text": message["content"]})];
        let blocks = message["content"].as_array().map_or(&text[..], |blocks| blocks);
        for (k, block) in blocks.iter().enumerate() {
            if block["type"] == "thinking" {
                found.push((n, k, hash.finish()));
            }
            without_marks(block).0.hash(&mut hash);
        }
    }
    found
}

fn whole(request: &Value) -> u64 {
    let mut more = request.clone();
    let thought = json!({"role": "assistant", "content": [{"type": "thinking"}]});
    more["messages"].as_array_mut().unwrap().push(thought);
    blocks(&more).pop().unwrap().2
}

fn without_marks(value: &Value) -> (String, bool) {
    fn strip(value: &mut Value) -> bool {
        match value {
            Value::Object(members) => {
                let mark = members.remove("cache_control").is_some();
                members.values_mut().fold(mark, |marked, value| strip(value) | marked)
            }
            Value::Array(list) => {
                list.iter_mut().fold(false, |marked, value| strip(value) | marked)
            }
            _ => false,
        }
    }
    let mut value = value.clone();
    let is_marked = strip(&mut value);
    (value.to_string(), is_marked)
}

fn signed(digest: u64) -> String {
    format!("c2lnbmVk{digest:016x}")
}

fn refusal(path: &str) -> Script {
    let message = format!(
        "{path}: Invalid `signature` in `thinking` block. The block is bound to a different \
         conversation. Remove the block, or set \
         `thinking.block_binding.prefix_mismatch_behavior` to \"drop_block\"."
    );
    let error = json!({"type": "error", "request_id": "req_1",
        "error": {"type": "invalid_request_error", "message": message}});
    Script::status(400).body("application/json", error.to_string())
}

/// A thought, and a call of the client's tool.
fn answer(request: &Value, shares: Shares, dropped: Vec<Value>) -> Script {
    let Some(messages) = request["messages"].as_array() else { return Script::default() };
    let number = messages.len();
    let Shares { all, read, written } = shares;
    let mut answer = json!({
        "id": format!("msg_{number}"), "type": "message", "role": "assistant",
        "model": request["model"], "stop_reason": "tool_use", "stop_sequence": null,
        "content": [
            {"type": "thinking", "thinking": "", "signature": signed(whole(request))},
            {"type": "tool_use", "id": format!("toolu_{number}"), "name": "list_issues",
                "input": {"state": "open", "page": number}},
        ],
        "usage": {"input_tokens": (all - read - written) / 4, "cache_read_input_tokens": read / 4,
            "cache_creation_input_tokens": written / 4, "output_tokens": 20},
    });
    if !dropped.is_empty() {
        answer["input_transformations"] = Value::Array(dropped);
    }
    Script::default().body("application/json", answer.to_string())
}
