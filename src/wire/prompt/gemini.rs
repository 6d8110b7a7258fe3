//! Gemini generateContent. The API takes its names in camel case and in snake case.

use super::{
    Parts, Prompt, Role, Spelling, elements, is_set, is_string, members_of, text_at, top_level,
    wrapped,
};
use crate::json::{Reader, Span};

const KEYS: [&str; 4] = ["contents", "tools", "systemInstruction", "system_instruction"];

pub(super) fn read(body: &str) -> Option<Prompt> {
    let mut parts = Parts::new(body);
    let ([not_an_array, tools, system, system_2], edits_history) =
        top_level(&mut parts, KEYS, |parts, reader| {
            parts.messages += 1;
            let (_, [role, list]) = reader.members(["role", "parts"])?;
            let role = text_at(body, &role).unwrap_or("user".into());
            elements(body, &list, |reader| read_part(parts, reader, &role))
        })?;
    if not_an_array.is_some() || parts.messages == 0 {
        return None;
    }
    let mut top = Parts::new(body);
    let system = one_of(system, system_2)?;
    top.text(&system, Role::System);
    let [list] = members_of(body, &system, ["parts"])?;
    elements(body, &list, |reader| read_part(&mut top, reader, "system"))?;
    Some(Prompt { edits_history, ..parts.prompt(tools, top.list) })
}

/// One value under two names; `None` if both are there.
fn one_of(first: Option<Span>, second: Option<Span>) -> Option<Option<Span>> {
    (first.is_none() || second.is_none()).then(|| first.or(second))
}

fn read_part(parts: &mut Parts, reader: &mut Reader, role: &str) -> Option<()> {
    let body = parts.body;
    let keys = [
        "text",
        "functionCall",
        "function_call",
        "functionResponse",
        "function_response",
        "inlineData",
        "inline_data",
        "fileData",
        "file_data",
        "thoughtSignature",
        "thought_signature",
    ];
    let (_, [text, call, call_2, answer, answer_2, data, data_2, file, file_2, sign, sign_2]) =
        reader.members(keys)?;
    let is_signed = one_of(sign, sign_2)?.is_some();
    match role {
        _ if is_signed => parts.text(&text, Role::Other),
        "user" => parts.typed(&text),
        "model" => parts.text(&text, Role::Assistant),
        "system" => parts.text(&text, Role::System),
        _ => parts.text(&text, Role::Other),
    }
    let [id, name, args] = members_of(body, &one_of(call, call_2)?, ["id", "name", "args"])?;
    parts.call(id.or(name.clone()), name, args);
    let answer = one_of(answer, answer_2)?;
    if answer.is_some() {
        read_answer(parts, &answer, is_signed)?;
    }
    for media in [one_of(data, data_2)?, one_of(file, file_2)?] {
        read_media(parts, media)?;
    }
    Some(())
}

fn read_answer(parts: &mut Parts, answer: &Option<Span>, is_signed: bool) -> Option<()> {
    let body = parts.body;
    let [id, name, response] = members_of(body, answer, ["id", "name", "response"])?;
    let [error, output, result, content] =
        members_of(body, &response, ["error", "output", "result", "content"])?;
    // Without ids the last call of that name must do; we only ask what kind of call it was.
    let mut answered = parts.result(&id.or(name), is_set(body, &error) || is_signed);
    // These members are a function's output whatever they say, and others if they have lines.
    let mut texts: Vec<Span> = [output, result, content].into_iter().flatten().collect();
    texts.retain(|span| is_string(body, span));
    let Some(response) = response.filter(|span| body[span.clone()].starts_with('{')) else {
        return Some(());
    };
    let mut wrapper = wrapped::in_value(body, &response).unwrap_or_default();
    answered.error |= wrapper.is_error;
    match wrapper.texts.iter().all(|text| texts.contains(text)) {
        true => read_data(parts, &response, &texts)?,
        false => {
            texts.retain(|text| !wrapper.texts.contains(text));
            wrapper.texts.extend(texts);
            wrapper.texts.sort_by_key(|text| text.start);
            let rest = wrapper.rest(response);
            rest.for_each(|rest| parts.push_as(rest, Spelling::Inside, Role::Other));
            texts = wrapper.texts;
        }
    }
    parts.result_texts(answered, &texts);
    Some(())
}

/// Members of an answer that are no texts: data that we leave alone.
fn read_data(parts: &mut Parts, response: &Span, texts: &[Span]) -> Option<()> {
    let body = parts.body;
    Reader::within(body, response).object(|reader, _| {
        let span = reader.value()?;
        if !texts.contains(&span) && body[span.clone()].starts_with(['"', '{', '[']) {
            parts.push(span, Role::Other);
        }
        Some(())
    })
}

/// Pictures are counted by the piece; nothing else that is not text is.
fn read_media(parts: &mut Parts, media: Option<Span>) -> Option<()> {
    let [mime, mime_2] = members_of(parts.body, &media, ["mimeType", "mime_type"])?;
    let mime = text_at(parts.body, &one_of(mime, mime_2)?).unwrap_or_default();
    if let Some(media) = media
        && mime.starts_with("image/")
    {
        parts.push(media, Role::Image);
    }
    Some(())
}
