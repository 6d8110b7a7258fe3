//! OpenAI Responses. Items take the place of messages.

use super::{Parts, Prompt, Role, elements, is_string, text_at, top_level};
use crate::json::{Reader, Span};

const KEYS: [&str; 5] = ["input", "tools", "instructions", "model", "stream"];

pub(super) fn read(body: &str) -> Option<Prompt> {
    let mut parts = Parts::new(body);
    let ([input, tools, instructions, model, stream], edits_history) =
        top_level(&mut parts, KEYS, read_item)?;
    if let Some(span) = &input {
        if !is_string(body, span) {
            return None;
        }
        parts.messages = 1;
        parts.typed(&input);
    }
    if parts.messages == 0 {
        return None;
    }
    let mut top = Parts::new(body);
    top.text(&instructions, Role::System);
    Some(Prompt {
        model: text_at(body, &model).map(String::from),
        stream: stream.is_some_and(|span| &body[span] == "true"),
        edits_history,
        ..parts.prompt(tools, top.list)
    })
}

fn read_item(parts: &mut Parts, reader: &mut Reader) -> Option<()> {
    parts.messages += 1;
    let body = parts.body;
    let keys = [
        "type",
        "role",
        "content",
        "id",
        "call_id",
        "name",
        "arguments",
        "input",
        "action",
        "output",
        "summary",
        "tools",
        "caller",
    ];
    let (item, found) = reader.members(keys)?;
    let [
        kind,
        role,
        content,
        id,
        call_id,
        name,
        arguments,
        input,
        action,
        output,
        summary,
        tools,
        caller,
    ] = found;
    let call_id = call_id.or(id);
    match text_at(body, &kind).as_deref().unwrap_or("message") {
        "message" => {
            let role = text_at(body, &role).unwrap_or_default();
            read_content(parts, &content, |parts, text| match role.as_ref() {
                "user" => parts.typed(text),
                "assistant" => parts.text(text, Role::Assistant),
                "system" | "developer" => parts.text(text, Role::System),
                _ => parts.text(text, Role::Other),
            })?;
        }
        "function_call" | "custom_tool_call" => {
            parts.call_by(&caller, call_id, [name, arguments.or(input)]);
        }
        // These calls have no name; what they run says all.
        "local_shell_call" | "shell_call" => parts.call_by(&caller, call_id, [kind, action]),
        // What runs between them is the program's.
        "program" => parts.programs += 1,
        "program_output" => parts.programs = parts.programs.saturating_sub(1),
        "function_call_output"
        | "custom_tool_call_output"
        | "local_shell_call_output"
        | "apply_patch_call_output" => {
            read_result(parts, (&call_id, &caller), &output, read_output_part)?;
        }
        // What was run here; in a container of the provider's, its own results come back.
        "shell_call_output" if !runs_at_provider(body) => {
            read_result(parts, (&call_id, &caller), &output, |parts, reader, texts| {
                let (_, streams) = reader.members(["stdout", "stderr"])?;
                let streams = streams.into_iter().flatten();
                texts.extend(streams.filter(|span| is_string(parts.body, span)));
                Some(())
            })?;
        }
        "reasoning" => {
            read_content(parts, &summary, |parts, text| parts.text(text, Role::Assistant))?;
        }
        // Codex offers the tools of its newer models here instead of at the top.
        "additional_tools" => parts.tools(&tools),
        kind if kind.starts_with("compaction") => parts.reset(item),
        // Calls that the provider answers itself bring their output with them.
        _ => {
            parts.text(&arguments, Role::Other);
            parts.text(&output, Role::Other);
        }
    }
    Some(())
}

/// A result: a string, or an array of which `part` gathers the texts.
fn read_result(
    parts: &mut Parts,
    (call_id, caller): (&Option<Span>, &Option<Span>),
    output: &Option<Span>,
    part: impl Fn(&mut Parts, &mut Reader, &mut Vec<Span>) -> Option<()>,
) -> Option<()> {
    let body = parts.body;
    if parts.is_for_program(call_id) || caller.is_some() && parts.is_program(caller) {
        return Some(());
    }
    let result = parts.result(call_id, false);
    let mut texts = Vec::new();
    elements(body, output, |reader| part(parts, reader, &mut texts))?;
    texts.extend(output.clone().filter(|span| is_string(body, span)));
    texts.sort_by_key(|text| text.start);
    parts.result_texts(result, &texts);
    Some(())
}

/// Whether the shell that is offered is one of the provider's containers.
fn runs_at_provider(body: &str) -> bool {
    memchr::memmem::find(body.as_bytes(), b"\"container_").is_some()
}

/// Of a result that is an array, as Codex's programs give it.
fn read_output_part(parts: &mut Parts, reader: &mut Reader, texts: &mut Vec<Span>) -> Option<()> {
    let body = parts.body;
    let (part, [kind, text]) = reader.members(["type", "text"])?;
    match text_at(body, &kind).as_deref().unwrap_or_default() {
        "input_text" => texts.extend(text.filter(|span| is_string(body, span))),
        "input_image" => parts.push(part, Role::Image),
        _ => parts.text(&text, Role::Other),
    }
    Some(())
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
            "input_text" | "output_text" | "text" | "summary_text" => text_of(parts, &text),
            "input_image" => parts.push(part, Role::Image),
            _ => parts.text(&text, Role::Other),
        }
        Some(())
    })
}
