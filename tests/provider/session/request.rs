//! What the task needs to know of a request, in any dialect: its tools, and how far the history is.

use super::super::dialects::Dialect;
use super::tools::{self, Tool};
use serde_json::Value;

/// Instructions with these words want edits as blocks of text in the answer.
const EDIT_BLOCKS: &str = "SEARCH/REPLACE";

pub(super) struct Request {
    pub(super) tools: Vec<Tool>,
    /// Tool results in the history.
    pub(super) results: usize,
    /// Messages, contents or input items.
    pub(super) items: usize,
    pub(super) thinking: bool,
    /// The client has no tools, but knows how to apply edits that stand in the answer.
    pub(super) edit_blocks: bool,
    /// Bytes of the body behind what the previous request of the conversation held.
    pub(super) fresh_bytes: usize,
}

impl Request {
    pub(super) fn of(dialect: Dialect, body: &Value) -> Request {
        let history = match dialect {
            Dialect::Responses => &body["input"],
            Dialect::Gemini => &body["contents"],
            _ => &body["messages"],
        };
        let items = history.as_array().map_or(&[][..], Vec::as_slice);
        let tools = tools::offered(dialect, body);
        Request {
            edit_blocks: tools.is_empty() && wants_edit_blocks(body),
            tools,
            results: items.iter().map(results).sum(),
            items: items.len(),
            thinking: thinks(dialect, body),
            fresh_bytes: fresh_bytes(items),
        }
    }
}

/// The last answer and all that follows it; the whole request if there was none.
fn fresh_bytes(items: &[Value]) -> usize {
    let Some(last) = items.iter().rposition(is_answer) else { return usize::MAX };
    let first = items[..last].iter().rposition(|item| !is_answer(item)).map_or(0, |at| at + 1);
    items[first..].iter().map(|item| item.to_string().len()).sum()
}

/// Whether the model said it.
fn is_answer(item: &Value) -> bool {
    let kind = item["type"].as_str().unwrap_or_default();
    matches!(item["role"].as_str(), Some("assistant" | "model"))
        || kind == "reasoning"
        || kind.ends_with("_call")
}

/// Tool results in a message of any dialect.
fn results(item: &Value) -> usize {
    let whole = item["role"] == "tool"
        || item["type"].as_str().is_some_and(|kind| kind.ends_with("_call_output"));
    let blocks = item["content"].as_array().map_or(&[][..], Vec::as_slice);
    let parts = item["parts"].as_array().map_or(&[][..], Vec::as_slice);
    usize::from(whole)
        + blocks.iter().filter(|block| block["type"] == "tool_result").count()
        + parts.iter().filter(|part| is_answer_part(part)).count()
}

fn is_answer_part(part: &Value) -> bool {
    !(part["functionResponse"].is_null() && part["function_response"].is_null())
}

fn thinks(dialect: Dialect, body: &Value) -> bool {
    match dialect {
        Dialect::Messages => {
            matches!(body["thinking"]["type"].as_str(), Some("enabled" | "adaptive"))
        }
        Dialect::Responses => !body["reasoning"].is_null(),
        Dialect::Gemini => {
            body["generationConfig"]["thinkingConfig"]["includeThoughts"] == Value::Bool(true)
        }
        _ => false,
    }
}

/// Only instructions are looked at: no other text is sure to arrive as it was written.
fn wants_edit_blocks(body: &Value) -> bool {
    let messages = body["messages"].as_array().map_or(&[][..], Vec::as_slice);
    let instructions = messages.iter().filter(|m| m["role"] == "system");
    [&body["system"], &body["instructions"]]
        .into_iter()
        .chain(instructions)
        .any(|text| text.to_string().contains(EDIT_BLOCKS))
}
