//! Anthropic Messages.

use super::{
    FEW, Parts, Prompt, Role, elements, is, is_set, is_string, members_of, text_at, top_level,
};
use crate::json::{Reader, Span};

const KEYS: [&str; 7] =
    ["messages", "tools", "system", "model", "stream", "context_management", "cache_control"];

pub(super) fn read(body: &str) -> Option<Prompt> {
    let mut parts = Parts::new(body);
    let (
        [not_an_array, tools, system, model, stream, context_management, cache_control],
        elsewhere,
    ) = top_level(&mut parts, KEYS, read_message)?;
    if not_an_array.is_some() || parts.messages == 0 {
        return None;
    }
    parts.mark(&cache_control);
    // As a key; a string that only speaks of it has its quotes escaped.
    let names_mark = |span: &Span| {
        memchr::memmem::find(&body.as_bytes()[span.clone()], b"\"cache_control\"").is_some()
    };
    parts.cache_mark |= tools.as_ref().is_some_and(names_mark);
    let mut top = Parts::new(body);
    read_content(&mut top, &system, "system")?;
    parts.cache_mark |= top.cache_mark;
    Some(Prompt {
        model: text_at(body, &model).map(String::from),
        stream: stream.is_some_and(|span| &body[span] == "true"),
        edits_history: edits_history(body, &context_management)? || elsewhere,
        ..parts.prompt(tools, top.list)
    })
}

/// Clearing old thinking leaves results where they are; any other edit may remove them.
fn edits_history(body: &str, context_management: &Option<Span>) -> Option<bool> {
    if !is_set(body, context_management) {
        return Some(false);
    }
    let [edits] = members_of(body, context_management, ["edits"])?;
    let is_list = edits.as_ref().is_some_and(|span| body[span.clone()].starts_with('['));
    let mut is_other = !is_list;
    elements(body, &edits, |reader| {
        let (_, [kind]) = reader.members(["type"])?;
        let kind = text_at(body, &kind).unwrap_or_default();
        is_other |= !kind.starts_with("clear_thinking_");
        Some(())
    })?;
    Some(is_other)
}

fn read_message(parts: &mut Parts, reader: &mut Reader) -> Option<()> {
    parts.messages += 1;
    let mut blocks = None;
    let (_, [content, role, cache_control]) =
        reader.members_by(["content", "role", "cache_control"], |reader, index| {
            if index == 0 {
                blocks = reader.few(FEW, |reader| reader.members(BLOCK));
            }
            if index == 0 && blocks.is_some() { Some(()) } else { reader.value().map(drop) }
        })?;
    parts.mark(&cache_control);
    let role = text_at(parts.body, &role).unwrap_or_default();
    parts.demands.message(&role, false);
    match blocks {
        Some(blocks) => blocks.into_iter().try_for_each(|block| of_block(parts, block, &role)),
        None => read_content(parts, &content, &role),
    }
}

/// A string, or an array of blocks.
fn read_content(parts: &mut Parts, content: &Option<Span>, role: &str) -> Option<()> {
    text_of(parts, content, role);
    elements(parts.body, content, |reader| {
        let block = reader.members(BLOCK)?;
        of_block(parts, block, role)
    })
}

fn text_of(parts: &mut Parts, text: &Option<Span>, role: &str) {
    match role {
        "user" => parts.typed(text),
        "assistant" => parts.text(text, Role::Assistant),
        "system" => parts.text(text, Role::System),
        _ => parts.text(text, Role::Other),
    }
}

const BLOCK: [&str; 12] = [
    "type",
    "text",
    "thinking",
    "id",
    "name",
    "input",
    "tool_use_id",
    "content",
    "is_error",
    "source",
    "cache_control",
    "caller",
];

/// Where a block lies, and its members.
type Block = (Span, [Option<Span>; 12]);

fn of_block(parts: &mut Parts, (block, found): Block, role: &str) -> Option<()> {
    let body = parts.body;
    let [kind, text, thinking, id, name, input, call, content, is_error, source, mark, caller] =
        found;
    parts.mark(&mark);
    let kind = text_at(body, &kind).unwrap_or_default();
    if kind.contains("tool") {
        parts.demands.tools();
    }
    match (&*kind, role) {
        ("text", _) => text_of(parts, &text, role),
        ("thinking", _) => parts.text(&thinking, Role::Assistant),
        ("image", _) => parts.push(block, Role::Image),
        ("tool_use" | "server_tool_use" | "mcp_tool_use", _) => {
            parts.call_by(&caller, id, [name, input]);
        }
        ("tool_result", "user") if parts.is_for_program(&call) => {}
        ("tool_result", "user") => {
            // A flag that is neither true nor false counts as an error: then nothing is changed.
            let error = is_error.is_some_and(|span| !matches!(&body[span], "false" | "null"));
            let result = parts.result(&call, error);
            let mut texts = Vec::new();
            elements(body, &content, |reader| read_result_block(parts, reader, &mut texts))?;
            texts.extend(content.filter(|span| is_string(body, span)));
            parts.result_texts(result, &texts);
        }
        (kind, _) if kind.starts_with("compaction") => {
            parts.reset(block);
            parts.text(&content, Role::Other);
        }
        _ => read_other(parts, &text, &content, &source)?,
    }
    Some(())
}

fn read_result_block(parts: &mut Parts, reader: &mut Reader, texts: &mut Vec<Span>) -> Option<()> {
    let body = parts.body;
    let (block, [kind, text, content, source, mark]) =
        reader.members(["type", "text", "content", "source", "cache_control"])?;
    parts.mark(&mark);
    match text_at(body, &kind).as_deref().unwrap_or_default() {
        "text" => texts.extend(text.filter(|span| is_string(body, span))),
        "image" => parts.push(block, Role::Image),
        _ => read_other(parts, &text, &content, &source)?,
    }
    Some(())
}

/// What is plainly text in documents, search results and blocks that we do not know. Files and
/// base64 are not counted.
fn read_other(
    parts: &mut Parts,
    text: &Option<Span>,
    content: &Option<Span>,
    source: &Option<Span>,
) -> Option<()> {
    let body = parts.body;
    parts.text(text, Role::Other);
    let [kind, data, inner] = members_of(body, source, ["type", "data", "content"])?;
    if is(body, &kind, "text") {
        parts.text(&data, Role::Other);
    }
    for list in [content, &inner] {
        elements(body, list, |reader| {
            let (_, [text]) = reader.members(["text"])?;
            parts.text(&text, Role::Other);
            Some(())
        })?;
    }
    Some(())
}
