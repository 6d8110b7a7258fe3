//! OpenAI Chat Completions, and the many servers that speak it.

use super::{FEW, Parts, Prompt, Role, elements, is_string, members_of, text_at, top_level};
use crate::json::{Reader, Span};

const KEYS: [&str; 5] = ["messages", "tools", "functions", "model", "stream"];

pub(super) fn read(body: &str) -> Option<Prompt> {
    let mut parts = Parts::new(body);
    let ([not_an_array, tools, functions, model, stream], edits_history) =
        top_level(&mut parts, KEYS, read_message)?;
    if not_an_array.is_some() || parts.messages == 0 {
        return None;
    }
    let stream = stream.filter(|span| &body[span.clone()] == "true");
    let options_at = stream.as_ref().map(|span| span.end);
    Some(Prompt {
        model: text_at(body, &model).map(String::from),
        stream: stream.is_some(),
        options_at: options_at.filter(|_| parts.demands.has_no_options()),
        edits_history,
        ..parts.prompt(tools.or(functions), Vec::new())
    })
}

fn read_message(parts: &mut Parts, reader: &mut Reader) -> Option<()> {
    parts.messages += 1;
    let body = parts.body;
    let keys = [
        "tool_calls",
        "role",
        "content",
        "name",
        "tool_call_id",
        "function_call",
        "refusal",
        "reasoning_content",
    ];
    let mut calls = None;
    let (_, found) = reader.members_by(keys, |reader, index| {
        if index == 0 {
            calls = reader.few(FEW, tool_call);
        }
        if index == 0 && calls.is_some() { Some(()) } else { reader.value().map(drop) }
    })?;
    let [tool_calls, role, content, name, id, function_call, refusal, reasoning] = found;
    let role = text_at(body, &role).unwrap_or_default();
    let is_call = |span: &Span| !matches!(&body[span.clone()], "null" | "[]");
    let has_calls = [&tool_calls, &function_call].into_iter().flatten().any(is_call);
    parts.demands.message(&role, has_calls);
    match &*role {
        "user" => read_content(parts, &content, |parts, text| parts.typed(text)),
        "system" | "developer" => {
            read_content(parts, &content, |parts, text| parts.text(text, Role::System))
        }
        "assistant" => {
            parts.text(&reasoning, Role::Assistant);
            read_content(parts, &content, |parts, text| parts.text(text, Role::Assistant))?;
            parts.text(&refusal, Role::Assistant);
            match calls {
                Some(calls) => {
                    calls.into_iter().for_each(|found| call(parts, found));
                }
                None => elements(body, &tool_calls, |reader| {
                    let (_, [id, function, custom, caller]) =
                        reader.members(["id", "function", "custom", "caller"])?;
                    read_call(parts, [id, caller], &function.or(custom))
                })?,
            }
            read_call(parts, [None, None], &function_call)
        }
        role @ ("tool" | "function") => {
            // The old form has no ids: a function answers under its name.
            let id = if role == "tool" { id } else { name };
            if parts.is_for_program(&id) {
                return Some(());
            }
            let result = parts.result(&id, false);
            let mut texts = Vec::new();
            read_content(parts, &content, |_, text| texts.extend(text.clone()))?;
            texts.retain(|text| is_string(body, text));
            parts.result_texts(result, &texts);
            Some(())
        }
        _ => read_content(parts, &content, |parts, text| parts.text(text, Role::Other)),
    }
}

/// A string, or an array of parts.
fn read_content<'a>(
    parts: &mut Parts<'a>,
    content: &Option<Span>,
    mut text_of: impl FnMut(&mut Parts<'a>, &Option<Span>),
) -> Option<()> {
    let body = parts.body;
    text_of(parts, content);
    elements(body, content, |reader| {
        let (part, [kind, text]) = reader.members(["type", "text"])?;
        match text_at(body, &kind).as_deref().unwrap_or_default() {
            "text" => text_of(parts, &text),
            "image_url" => parts.push(part, Role::Image),
            _ => parts.text(&text, Role::Other),
        }
        Some(())
    })
}

/// What a function is called with: name, arguments, and what takes their place in a custom tool.
const FUNCTION: [&str; 3] = ["name", "arguments", "input"];

/// A call's id and its caller, and the members of its function.
type Called = ([Option<Span>; 2], [Option<Span>; 3]);

fn tool_call(reader: &mut Reader) -> Option<Called> {
    let mut function = None;
    let keys = ["id", "function", "custom", "caller"];
    let (_, [id, .., caller]) = reader.members_by(keys, |reader, index| {
        if matches!(index, 0 | 3) {
            return reader.value().map(drop);
        }
        let (_, found) = reader.members(FUNCTION)?;
        if index == 1 || function.is_none() {
            function = Some(found);
        }
        Some(())
    })?;
    Some(([id, caller], function.unwrap_or_default()))
}

fn read_call(parts: &mut Parts, called: [Option<Span>; 2], function: &Option<Span>) -> Option<()> {
    let found = members_of(parts.body, function, FUNCTION)?;
    call(parts, (called, found));
    Some(())
}

fn call(parts: &mut Parts, ([id, caller], [name, arguments, input]): Called) {
    parts.call_by(&caller, id.or(name.clone()), [name, arguments.or(input)]);
}
