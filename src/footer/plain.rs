//! A footer in an answer that is one JSON object.

use super::Refusal;
use super::text_tail::TextTail;
use crate::json::{self, Reader, Span};
use crate::wire::Format;

/// The answer with the footer in it: for Messages a block of its own at the end of the content, so
/// that the first block stays clean; for Chat at the end of the text. Every other byte as it came.
pub(crate) fn add(format: Format, body: &[u8], line: &str) -> Result<Vec<u8>, Refusal> {
    let body = std::str::from_utf8(body).map_err(|_| Refusal::Odd)?;
    let mut literal = Vec::with_capacity(2 * line.len());
    json::encode(line, &mut literal);
    let (at, inserted) = match format {
        Format::Messages => {
            let block = [&br#",{"type":"text","text":"#[..], &literal, b"}"].concat();
            (end_of_content(body)?, block)
        }
        // Inside the text's quotes.
        Format::Chat => (end_of_text(body)?, literal[1..literal.len() - 1].to_vec()),
        Format::Responses | Format::Gemini => return Err(Refusal::Api),
    };
    Ok([&body.as_bytes()[..at], &inserted, &body.as_bytes()[at..]].concat())
}

/// Where the last block of a message ends.
fn end_of_content(body: &str) -> Result<usize, Refusal> {
    let [content, reason] = top_level(body, ["content", "stop_reason"])?;
    if !is(body, &reason, "end_turn") {
        return Err(Refusal::Unfinished);
    }
    let mut last = None;
    elements(body, content, |reader| {
        let (block, found) = reader.members(["type", "text"])?;
        last = Some((block, found));
        Some(())
    })?;
    let (block, [kind, text]) = last.ok_or(Refusal::NoText)?;
    if !is(body, &kind, "text") {
        return Err(Refusal::NoText);
    }
    for_readers(body, &text)?;
    Ok(block.end)
}

/// Where the text of the only choice ends.
fn end_of_text(body: &str) -> Result<usize, Refusal> {
    let [choices, error] = top_level(body, ["choices", "error"])?;
    if error.is_some_and(|span| &body[span] != "null") {
        return Err(Refusal::Unfinished);
    }
    let mut only = None;
    let mut count = 0;
    elements(body, choices, |reader| {
        count += 1;
        only = Some(reader.members(["message", "finish_reason", "logprobs"])?.1);
        Some(())
    })?;
    let [message, reason, logprobs] = only.filter(|_| count == 1).ok_or(Refusal::Choices)?;
    if logprobs.is_some_and(|span| &body[span] != "null") {
        return Err(Refusal::Logprobs);
    }
    if !is(body, &reason, "stop") {
        return Err(Refusal::Unfinished);
    }
    let message = message.ok_or(Refusal::Odd)?;
    let keys = ["content", "refusal", "tool_calls", "function_call", "audio"];
    let [content, others @ ..] = json::members(body, &message, keys).ok_or(Refusal::Odd)?;
    let is_said = |span: &Option<Span>| {
        span.as_ref().is_some_and(|span| !matches!(&body[span.clone()], "null" | "[]"))
    };
    if others.iter().any(is_said) {
        return Err(Refusal::NoText);
    }
    for_readers(body, &content)?;
    Ok(content.ok_or(Refusal::NoText)?.end - 1)
}

/// The members of the whole body, which must be one object.
fn top_level<const N: usize>(body: &str, keys: [&str; N]) -> Result<[Option<Span>; N], Refusal> {
    let mut reader = Reader::new(body);
    let (_, found) = reader.members(keys).ok_or(Refusal::Odd)?;
    reader.end().ok_or(Refusal::Odd)?;
    Ok(found)
}

fn elements<'a>(
    body: &'a str,
    array: Option<Span>,
    element: impl FnMut(&mut Reader<'a>) -> Option<()>,
) -> Result<(), Refusal> {
    let array = array.filter(|span| body[span.clone()].starts_with('[')).ok_or(Refusal::Odd)?;
    Reader::within(body, &array).array(element).ok_or(Refusal::Odd)
}

fn is(body: &str, span: &Option<Span>, what: &str) -> bool {
    span.as_ref()
        .and_then(|span| json::decode(&body[span.clone()]))
        .is_some_and(|text| text == what)
}

fn for_readers(body: &str, text: &Option<Span>) -> Result<(), Refusal> {
    let text =
        text.as_ref().and_then(|span| json::decode(&body[span.clone()])).ok_or(Refusal::NoText)?;
    let mut prose = TextTail::default();
    prose.feed(&text);
    prose.refusal().map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "\n\n[TokenPak: 2→1 tokens | saved 50%]";

    #[test]
    fn messages_get_a_block_at_the_end() {
        check(
            r#"{"content": [{"type":"text","text":"Hi."} ], "stop_reason":"end_turn","usage":{"n":1.0}}"#,
            Ok(
                r#"{"content": [{"type":"text","text":"Hi."},{"type":"text","text":"\n\n[TokenPak: 2→1 tokens | saved 50%]"} ], "stop_reason":"end_turn","usage":{"n":1.0}}"#,
            ),
        );
        check(
            r#"{"content":[{"type":"thinking","thinking":"{}"},{"type":"text","text":"{}!"}],"stop_reason":"end_turn"}"#,
            Ok(
                r#"{"content":[{"type":"thinking","thinking":"{}"},{"type":"text","text":"{}!"},{"type":"text","text":"\n\n[TokenPak: 2→1 tokens | saved 50%]"}],"stop_reason":"end_turn"}"#,
            ),
        );
        check(
            r#"{"content":[{"type":"text","text":"Hi."}],"stop_reason":"max_tokens"}"#,
            Err("unfinished"),
        );
        check(
            r#"{"content":[{"type":"text","text":"{\"a\":1}"}],"stop_reason":"end_turn"}"#,
            Err("json"),
        );
        check(r#"{"content":[{"type":"tool_use"}],"stop_reason":"end_turn"}"#, Err("no-text"));
        check(r#"{"content":[],"stop_reason":"end_turn"}"#, Err("no-text"));
        check(r#"{"content":"Hi.","stop_reason":"end_turn"}"#, Err("odd"));
        check(r#"{"content":[{"type":"text","text":"Hi."}],"stop_reason":"end_turn""#, Err("odd"));

        #[track_caller]
        fn check(body: &str, want: Result<&str, &str>) {
            same(Format::Messages, body, want);
        }
    }

    #[test]
    fn chats_get_it_at_the_end_of_the_text() {
        check(
            r#"{"choices":[{"message":{"role":"assistant","content":"Caf\u00e9.","refusal":null},"finish_reason":"stop"}]}"#,
            Ok(
                r#"{"choices":[{"message":{"role":"assistant","content":"Caf\u00e9.\n\n[TokenPak: 2→1 tokens | saved 50%]","refusal":null},"finish_reason":"stop"}]}"#,
            ),
        );
        check(
            r#"{"choices":[{"message":{"content":"Hi."},"finish_reason":"length"}]}"#,
            Err("unfinished"),
        );
        check(
            r#"{"choices":[{"message":{"content":null,"refusal":"No."},"finish_reason":"stop"}]}"#,
            Err("no-text"),
        );
        check(
            r#"{"choices":[{"message":{"content":null},"finish_reason":"stop"}]}"#,
            Err("no-text"),
        );
        check(
            r#"{"choices":[{"message":{"content":"Hi.","tool_calls":[{}]},"finish_reason":"stop"}]}"#,
            Err("no-text"),
        );
        check(
            r#"{"choices":[{"message":{"content":"a"},"finish_reason":"stop"},{}]}"#,
            Err("choices"),
        );
        check(
            r#"{"choices":[{"message":{"content":"Hi."},"logprobs":{"content":[]},"finish_reason":"stop"}]}"#,
            Err("logprobs"),
        );
        check(r#"{"choices":[]}"#, Err("choices"));
        check(r#"{"error":{}}"#, Err("unfinished"));

        #[track_caller]
        fn check(body: &str, want: Result<&str, &str>) {
            same(Format::Chat, body, want);
        }
    }

    #[track_caller]
    fn same(format: Format, body: &str, want: Result<&str, &str>) {
        let got = add(format, body.as_bytes(), LINE).map(|body| String::from_utf8(body).unwrap());
        let got = got.as_deref().map_err(|refusal| refusal.name());
        assert_eq!(got, want, "{body}");
    }
}
