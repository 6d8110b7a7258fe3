//! The messages of a prompt one by one, to tell one conversation from another. Only asked where a provider
//! has refused something: a request costs nothing for it.

use std::borrow::Cow;

use serde_json::Value;

use super::Format;
use crate::json::Reader;

/// A message as JSON, and whether the model wrote it.
pub(crate) struct Message<'b> {
    pub(crate) json: Cow<'b, str>,
    pub(crate) is_answer: bool,
}

/// The messages in order, cache marks left out, which move from turn to turn; without system prompt and tools,
/// which change with every clock in them. `None` if the body is not understood.
pub(crate) fn messages(format: Format, body: &[u8]) -> Option<Vec<Message<'_>>> {
    let text = std::str::from_utf8(body).ok()?;
    let key = match format {
        Format::Messages | Format::Chat => "messages",
        Format::Responses => "input",
        Format::Gemini => "contents",
    };
    let mut all = Vec::new();
    let mut reader = Reader::new(text);
    reader.members_by([key], |reader, _| {
        if reader.peek() != b'[' {
            let value = reader.value()?;
            all.push(Message { json: text[value].into(), is_answer: false });
            return Some(());
        }
        reader.array(|reader| {
            let (span, [role, kind]) = reader.members(["role", "type"])?;
            let [role, kind] =
                [role, kind].map(|it| it.map_or("", |it| text[it].trim_matches('"')));
            // OpenAI's Responses have calls and thoughts of the model beside its messages.
            let is_answer = matches!(role, "assistant" | "model")
                || kind.ends_with("_call")
                || kind == "reasoning";
            all.push(Message { json: without_marks(&text[span]), is_answer });
            Some(())
        })
    })?;
    Some(all)
}

const MARK: &str = "cache_control";

fn without_marks(json: &str) -> Cow<'_, str> {
    if !json.contains(MARK) {
        return json.into();
    }
    let Ok(mut value) = serde_json::from_str(json) else { return json.into() };
    drop_marks(&mut value);
    value.to_string().into()
}

fn drop_marks(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.shift_remove(MARK);
            fields.values_mut().for_each(drop_marks);
        }
        Value::Array(all) => all.iter_mut().for_each(drop_marks),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_one_by_one() {
        check(
            Format::Messages,
            r#"{"system":"now: 12:00","messages":[{"role":"user","content":[{"type":"text","text":"a",
            "cache_control":{"type":"ephemeral"}}]},{"role":"assistant","content":"b"}]}"#,
            &[
                (r#"{"role":"user","content":[{"type":"text","text":"a"}]}"#, false),
                (r#"{"role":"assistant","content":"b"}"#, true),
            ],
        );
        check(Format::Responses, r#"{"input":"hi","model":"m"}"#, &[(r#""hi""#, false)]);
        check(
            Format::Responses,
            r#"{"input":[{"role":"user"},{"type":"function_call"},{"type":"function_call_output"}]}"#,
            &[
                (r#"{"role":"user"}"#, false),
                (r#"{"type":"function_call"}"#, true),
                (r#"{"type":"function_call_output"}"#, false),
            ],
        );
        check(
            Format::Gemini,
            r#"{"contents":[{"role":"model"}]}"#,
            &[(r#"{"role":"model"}"#, true)],
        );
        assert!(messages(Format::Chat, b"{\"messages\":[").is_none());

        #[track_caller]
        fn check(format: Format, body: &str, want: &[(&str, bool)]) {
            let got = messages(format, body.as_bytes()).unwrap();
            let got: Vec<_> = got.iter().map(|it| (it.json.as_ref(), it.is_answer)).collect();
            assert_eq!(got, want);
        }
    }
}
