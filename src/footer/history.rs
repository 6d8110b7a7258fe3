//! Takes footers out of a conversation that comes back: the provider sees its own words again.
//!
//! Two shapes, as clients keep them: a text block that is nothing but the footer goes with its
//! comma, and the footer at the end of a longer text is cut off inside the client's own spelling
//! of that text. Only the model's messages are looked at, thinking and signatures never.

use memchr::memmem;

use super::MARK;
use crate::json::{self, Reader, Span};
use crate::wire::Format;

/// How a format names the things in which a footer may come back.
struct Shape {
    list: &'static str,
    role: &'static str,
    content: &'static str,
    /// Types of a text; empty where texts have no type.
    kinds: &'static [&'static str],
}

fn shape(format: Format) -> Shape {
    let messages =
        Shape { list: "messages", role: "assistant", content: "content", kinds: &["text"] };
    match format {
        Format::Messages | Format::Chat => messages,
        Format::Responses => Shape { list: "input", kinds: &["output_text", "text"], ..messages },
        Format::Gemini => Shape { list: "contents", role: "model", content: "parts", kinds: &[] },
    }
}

/// What to do with a part of the body: these bytes take the place of those.
type Edit = (Span, Vec<u8>);

/// The body without the footers in it; `None` if it has none that can be told apart from words.
pub(crate) fn strip_footers(format: Format, body: &[u8]) -> Option<Vec<u8>> {
    memmem::find(body, MARK.as_bytes())?;
    let text = std::str::from_utf8(body).ok()?;
    let shape = shape(format);
    let mut edits = Vec::new();
    let mut reader = Reader::new(text);
    reader.object(|reader, key| match key == shape.list && reader.peek() == b'[' {
        true => reader.array(|reader| message(text, &shape, reader, &mut edits)),
        false => reader.value().map(|_| ()),
    })?;
    reader.end()?;
    (!edits.is_empty()).then(|| apply(body, edits))
}

fn apply(body: &[u8], edits: Vec<Edit>) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut at = 0;
    for (span, bytes) in edits {
        out.extend_from_slice(&body[at..span.start]);
        out.extend_from_slice(&bytes);
        at = span.end;
    }
    out.extend_from_slice(&body[at..]);
    out
}

fn message(text: &str, shape: &Shape, reader: &mut Reader, edits: &mut Vec<Edit>) -> Option<()> {
    let (_, [role, content]) = reader.members(["role", shape.content])?;
    let role = role.and_then(|role| json::decode(&text[role]));
    let Some(content) = content.filter(|_| role.is_some_and(|role| role == shape.role)) else {
        return Some(());
    };
    match &text[content.start..=content.start] {
        "\"" => edits.extend(cut_end(text, &content)),
        "[" => blocks(text, shape, &content, edits)?,
        _ => {}
    }
    Some(())
}

/// A text block of the content, or something else that stands there.
struct Block {
    span: Span,
    /// The literal, if it is a text.
    text: Option<Span>,
    cache_control: Option<Span>,
    /// Footers behind it have been dropped: it ends where they did.
    is_stretched: bool,
}

fn blocks(text: &str, shape: &Shape, content: &Span, edits: &mut Vec<Edit>) -> Option<()> {
    let mut before: Option<Block> = None;
    Reader::within(text, content).array(|reader| {
        let block = block(text, shape, reader)?;
        let Some(literal) = &block.text else {
            before = Some(block);
            return Some(());
        };
        if is_footer(&text[literal.start + 1..literal.end - 1]) {
            if let Some(before) = &mut before
                && let Some(edit) = drop_block(text, before, &block)
            {
                edits.push(edit);
                before.span.end = block.span.end;
                before.is_stretched = true;
                return Some(());
            }
        } else {
            edits.extend(cut_end(text, literal));
        }
        before = Some(block);
        Some(())
    })
}

fn block(text: &str, shape: &Shape, reader: &mut Reader) -> Option<Block> {
    let keys =
        ["type", "text", "cache_control", "thought", "thoughtSignature", "thought_signature"];
    let (span, [kind, literal, cache_control, signed @ ..]) = reader.members(keys)?;
    let kind = kind.and_then(|kind| json::decode(&text[kind]));
    let is_text = match &kind {
        Some(kind) => shape.kinds.iter().any(|known| kind == known),
        None => shape.kinds.is_empty(),
    };
    let is_plain = is_text && signed.iter().all(Option::is_none);
    let literal = literal.filter(|span| is_plain && text[span.clone()].starts_with('"'));
    Some(Block { span, text: literal, cache_control, is_stretched: false })
}

/// Removes a block that is a footer. What the client marked for the cache is its last block: the
/// mark belongs to the words before the footer, where it would be without us.
fn drop_block(text: &str, before: &Block, block: &Block) -> Option<Edit> {
    before.text.as_ref()?;
    let gap = before.span.end - 1..block.span.end;
    match &block.cache_control {
        None => Some((before.span.end..block.span.end, Vec::new())),
        Some(_) if before.cache_control.is_some() || before.is_stretched => None,
        Some(mark) => {
            // The member as it is spelled, from its comma on.
            let head = &text[block.span.start..mark.start];
            let key = head.rfind("\"cache_control\"")?;
            let comma = head[..key].trim_end();
            let comma = comma.ends_with(',').then(|| block.span.start + comma.len() - 1)?;
            let mut member = text.as_bytes()[comma..mark.end].to_vec();
            member.push(b'}');
            Some((gap, member))
        }
    }
}

/// Cuts footers off the end of a text that has other words, too.
fn cut_end(text: &str, literal: &Span) -> Option<Edit> {
    let inner = &text[literal.start + 1..literal.end - 1];
    let mut rest = inner;
    while let Some(words) = without_footer(rest) {
        rest = words;
    }
    let is_blank = |raw: &str| raw.replace("\\n", "").trim().is_empty();
    let end = literal.start + 1 + rest.len();
    (rest.len() < inner.len() && !is_blank(rest)).then(|| (end..literal.end - 1, Vec::new()))
}

/// Whether the inside of a literal is one footer, with its blank line, and nothing else.
fn is_footer(inner: &str) -> bool {
    without_footer(inner).is_some_and(str::is_empty)
}

/// What is before the footer, with its blank line, at the end of a literal's inside.
fn without_footer(inner: &str) -> Option<&str> {
    let at = inner.ends_with(']').then(|| inner.rfind(MARK))??;
    says_what_a_footer_says(&inner[at + MARK.len()..])?;
    let words = inner[..at].strip_suffix("\\n\\n")?;
    // With an odd number of backslashes before it, the first of the two is part of an escape.
    let backslashes = words.bytes().rev().take_while(|byte| *byte == b'\\').count();
    backslashes.is_multiple_of(2).then_some(words)
}

/// `N→N tokens | saved N%( | $N)?]`; the arrow as itself or as an escape.
fn says_what_a_footer_says(text: &str) -> Option<()> {
    let rest = number(text)?;
    let rest = rest
        .strip_prefix('→')
        .or_else(|| rest.strip_prefix("\\u2192"))
        .and_then(number)?
        .strip_prefix(" tokens | saved ")?;
    let rest = number(rest)?.strip_prefix('%')?;
    let end = match rest.strip_prefix(" | $") {
        Some(money) => money.trim_start_matches(|c: char| c.is_ascii_digit() || ",.".contains(c)),
        None => rest,
    };
    (end == "]" && rest != " | $]").then_some(())
}

/// What follows digits and commas.
fn number(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == ',');
    text.starts_with(|c: char| c.is_ascii_digit()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const F: &str = r"\n\n[TokenPak: 4,231→2,847 tokens | saved 33% | $0.004]";

    #[test]
    fn footers_are_cut_from_the_end_of_texts() {
        check(&said(&format!("Hi.{F}")), Some(&said("Hi.")));
        check(&said(r"Hi.\n\n[TokenPak: 1\u21921 tokens | saved 0%]"), Some(&said("Hi.")));
        check(&said(&format!("Hi.{F}{F}")), Some(&said("Hi.")));
        check(&said(&format!(r"C:\\{F}")), Some(&said(r"C:\\")));
        // Words of somebody, or not exactly the line.
        check(&said(&format!("{F} is what it said.")), None);
        check(&said(r"Hi.\n[TokenPak: 1→1 tokens | saved 0%]"), None);
        check(&said(r"a\\n\n[TokenPak: 1→1 tokens | saved 0%]"), None);
        check(&said(r"Hi.\n\n[TokenPak: 1→x tokens | saved 0%]"), None);
        check(&said(r"Hi.\n\n[TokenPak: 1→1 tokens | saved 0% | $]"), None);
        check(&said(F), None);
        check(&said(&format!(r"\n {F}")), None);
        check(&said("Hi."), None);
        // A user quotes it.
        check(&format!(r#"{{"messages":[{{"role":"user","content":"Hi.{F}"}}]}}"#), None);
        check(&format!(r#"{{"messages":[{{"role":"assistant","content":"Hi.{F}"}}]"#), None);

        fn said(text: &str) -> String {
            format!(
                r#"{{ "model":"m", "messages":[{{"role":"assistant" , "content":"{text}"}},{{"role":"user","content":"more"}}],"x":1.0}}"#
            )
        }
    }

    #[test]
    fn footer_blocks_go_and_leave_the_cache_mark() {
        let hi = r#"{"type":"text","text":"Hi."}"#;
        let footer = format!(r#"{{"type":"text","text":"{F}"}}"#);
        check(&blocks(&format!("{hi}, {footer}")), Some(&blocks(hi)));
        check(
            &blocks(&format!("{hi},{footer},{hi},{footer}")),
            Some(&blocks(&format!("{hi},{hi}"))),
        );
        check(&blocks(&format!(r#"{{"type":"text","text":"Hi.{F}"}}"#)), Some(&blocks(hi)));
        check(&blocks(&format!("{hi},{footer},{footer}")), Some(&blocks(hi)));
        // Alone, or not behind a text, it is somebody's word.
        check(&blocks(&footer), None);
        check(&blocks(&format!(r#"{{"type":"thinking","thinking":"x{F}"}},{footer}"#)), None);
        let marked = footer.replace("]\"}", r#"]", "cache_control": {"type": "ephemeral"}}"#);
        check(
            &blocks(&format!("{hi}, {marked}")),
            Some(&blocks(
                r#"{"type":"text","text":"Hi.", "cache_control": {"type": "ephemeral"}}"#,
            )),
        );
        let both = hi.replace("\"}", r#"","cache_control":{}}"#);
        check(&blocks(&format!("{both},{marked}")), None);

        fn blocks(inside: &str) -> String {
            format!(r#"{{"messages":[{{"role":"assistant","content":[{inside}]}}]}}"#)
        }
    }

    #[test]
    fn other_formats_are_healed_too() {
        let responses = |text: &str| {
            format!(
                r#"{{"input":[{{"role":"assistant","content":[{{"type":"output_text","text":"{text}"}}]}}]}}"#
            )
        };
        same(Format::Responses, &responses(&format!("Hi.{F}")), Some(&responses("Hi.")));
        let gemini = |text: &str, more: &str| {
            format!(r#"{{"contents":[{{"role":"model","parts":[{{"text":"{text}"{more}}}]}}]}}"#)
        };
        same(Format::Gemini, &gemini(&format!("Hi.{F}"), ""), Some(&gemini("Hi.", "")));
        same(Format::Gemini, &gemini(&format!("Hi.{F}"), r#","thoughtSignature":"x""#), None);
    }

    #[track_caller]
    fn check(body: &str, want: Option<&str>) {
        same(Format::Messages, body, want);
        same(Format::Chat, body, want);
    }

    #[track_caller]
    fn same(format: Format, body: &str, want: Option<&str>) {
        let stripped =
            strip_footers(format, body.as_bytes()).map(|body| String::from_utf8(body).unwrap());
        assert_eq!(stripped.as_deref(), want, "{body}");
        if let Some(stripped) = stripped {
            assert_eq!(
                strip_footers(format, stripped.as_bytes()),
                None,
                "a second run must change nothing"
            );
        }
    }
}
