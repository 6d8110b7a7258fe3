//! Digests of a body's messages, each of all that stands before its end.
//!
//! Clients move their cache marks from turn to turn, and write a lone text as a string where no mark
//! is: both are left out. Instructions (`system`, `developer`) are no part of it.

use std::borrow::Cow;

use memchr::memmem;

use crate::json::{Reader, Span};
use crate::tokens::Digest;
use crate::wire::Format;

const MARK: &str = "\"cache_control\"";

/// Where these stand, a changed history costs something: a cache that the client pays for, or
/// reasoning that is signed or sealed.
const AT_STAKE: [&str; 7] = [
    MARK,
    "\"signature\"",
    "\"redacted_thinking\"",
    "\"encrypted_content\"",
    "\"thoughtSignature\"",
    "\"thought_signature\"",
    "\"reasoning_details\"",
];

/// Whether a body has thoughts that a provider may have bound to what stands before them.
pub(crate) fn is_bound(body: &[u8]) -> bool {
    memmem::find(body, AT_STAKE[1].as_bytes()).is_some()
}

#[derive(Clone, Debug)]
pub(super) struct Chain {
    pub(super) links: Vec<Link>,
    /// How many messages there are up to the last that the model made.
    pub(super) history: usize,
}

/// Whether anything is lost if this body's history is not what it was.
pub(super) fn is_at_stake(body: &str) -> bool {
    AT_STAKE.iter().any(|word| memmem::find(body.as_bytes(), word.as_bytes()).is_some())
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    /// The digest up to the end of this message.
    pub(super) key: u128,
    /// Its number in the body, from 1.
    pub(super) number: u64,
    is_by_model: bool,
}

/// Who made a message.
#[derive(Clone, Copy, PartialEq)]
enum By {
    Model,
    Instructions,
    Others,
}

impl Chain {
    /// `None`: the body is not understood, or has no messages.
    pub(super) fn read(digest: &Digest, owner: u128, format: Format, body: &str) -> Option<Chain> {
        let list = match format {
            Format::Messages | Format::Chat => "messages",
            Format::Responses => "input",
            Format::Gemini => "contents",
        };
        let mut walk = Walk { digest, body, state: digest.after(owner, list.as_bytes()) };
        let mut chain = Chain { links: Vec::new(), history: 0 };
        let (mut number, mut has_list) = (0, false);
        let mut reader = Reader::new(body);
        reader.object(|reader, key| {
            if key != list {
                return reader.value().map(drop);
            }
            if std::mem::replace(&mut has_list, true) {
                return None;
            }
            if reader.peek() != b'[' {
                let span = reader.value()?;
                walk.text(&span);
                chain.links.push(Link { key: walk.state, number: 1, is_by_model: false });
                return Some(());
            }
            reader.array(|reader| {
                number += 1;
                let before = walk.state;
                let by = walk.message(reader)?;
                if by == By::Instructions {
                    walk.state = before;
                    return Some(());
                }
                let is_by_model = by == By::Model;
                chain.links.push(Link { key: walk.state, number, is_by_model });
                if is_by_model {
                    chain.history = chain.links.len();
                }
                Some(())
            })
        })?;
        reader.end()?;
        (!chain.links.is_empty()).then_some(chain)
    }

    /// Whether the history behind so many messages holds any that was sent by somebody.
    pub(super) fn has_more_behind(&self, length: usize) -> bool {
        let rest = self.links.get(length..self.history);
        rest.is_some_and(|rest| rest.iter().any(|link| !link.is_by_model))
    }
}

struct Walk<'b> {
    digest: &'b Digest,
    body: &'b str,
    state: u128,
}

impl Walk<'_> {
    fn add(&mut self, bytes: &[u8]) {
        self.state = self.digest.after(self.state, bytes);
    }

    fn text(&mut self, literal: &Span) {
        self.add(b"text");
        self.add(self.body[literal.clone()].as_bytes());
    }

    fn bare(&mut self, span: &Span) {
        let bare = without_marks(&self.body[span.clone()]);
        self.add(bare.as_bytes());
    }

    fn message(&mut self, reader: &mut Reader) -> Option<By> {
        if reader.peek() != b'{' {
            let span = reader.value()?;
            self.bare(&span);
            return Some(By::Others);
        }
        let (mut role, mut kind) = ("", "");
        let body = self.body;
        reader.object(|reader, key| {
            match key {
                "cache_control" => return reader.value().map(drop),
                "content" | "parts" => {
                    self.add(b"content");
                    return self.content(reader);
                }
                _ => {}
            }
            let span = reader.value()?;
            match key {
                "role" => role = &body[span.clone()],
                "type" => kind = &body[span.clone()],
                _ => {}
            }
            self.add(key.as_bytes());
            self.bare(&span);
            Some(())
        })?;
        // One that ends differs from one that goes on.
        self.add(b"");
        Some(match role {
            "\"system\"" | "\"developer\"" => By::Instructions,
            "\"assistant\"" | "\"model\"" => By::Model,
            "" if kind.is_empty() || kind.ends_with("_output\"") => By::Others,
            "" => By::Model,
            _ => By::Others,
        })
    }

    /// A text, or blocks.
    fn content(&mut self, reader: &mut Reader) -> Option<()> {
        match reader.peek() {
            b'[' => reader.array(|reader| {
                let span = reader.value()?;
                match lone_text(self.body, &span) {
                    Some(text) => self.text(&text),
                    None => self.bare(&span),
                }
                Some(())
            }),
            b'"' => {
                let span = reader.value()?;
                self.text(&span);
                Some(())
            }
            _ => {
                let span = reader.value()?;
                self.bare(&span);
                Some(())
            }
        }
    }
}

/// The text of a block that is nothing else.
fn lone_text(body: &str, block: &Span) -> Option<Span> {
    if !body[block.clone()].starts_with('{') {
        return None;
    }
    let (mut text, mut is_text) = (None, false);
    Reader::within(body, block).object(|reader, key| {
        let span = reader.value()?;
        match key {
            "type" => is_text = &body[span] == "\"text\"",
            "text" => text = Some(span),
            "cache_control" => {}
            _ => return None,
        }
        Some(())
    })?;
    text.filter(|_| is_text)
}

/// A value without the members that are cache marks.
fn without_marks(value: &str) -> Cow<'_, str> {
    let mut bare = String::new();
    let mut at = 0;
    for found in memmem::find_iter(value.as_bytes(), MARK.as_bytes()) {
        let mut reader = Reader::within(value, &(found..value.len()));
        let is_member = reader.value().is_some() && reader.peek() == b':';
        let colon = reader.at();
        let mark = || Reader::within(value, &(colon + 1..value.len())).value();
        let Some(mark) = is_member.then(mark).flatten().filter(|_| found >= at) else { continue };
        let before = value[at..found].trim_end();
        let after = value[mark.end..].trim_start();
        let start = before.strip_suffix(',').map_or(before, |before| before);
        bare.push_str(start);
        at = mark.end;
        // As the first of several members it has its comma behind it.
        if before.ends_with('{') && after.starts_with(',') {
            at = value.len() - after.len() + 1;
        }
    }
    if at == 0 {
        return Cow::Borrowed(value);
    }
    bare.push_str(&value[at..]);
    Cow::Owned(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(format: Format, body: &str) -> Option<Vec<u128>> {
        let digest = Digest::new(|at| (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let chain = Chain::read(&digest, 1, format, body)?;
        Some(chain.links.into_iter().map(|link| link.key).collect())
    }

    #[test]
    fn marks_instructions_and_ways_to_write_a_text_do_not_matter() {
        let of = |messages: &str| {
            keys(
                Format::Messages,
                &format!(r#"{{"system":"x","messages":[{messages}],"model":"m"}}"#),
            )
        };
        let plain = of(
            r#"{"role":"user","content":"Hi"},{"role":"assistant","content":[{"type":"image","a":{"b":1}}]}"#,
        );
        assert_eq!(plain.as_ref().map(Vec::len), Some(2));
        for same in [
            r#"{"role":"user","content":[{"type":"text","text":"Hi","cache_control":{"type":"ephemeral"}}]},{"role":"assistant","content":[{"type":"image","a":{"b":1}}]}"#,
            r#"{"role":"user","content":"Hi"},{"role":"assistant","content":[{"type":"image","cache_control":null,"a":{"b":1}}]}"#,
            r#"{"role":"user","content":"Hi"},{"role":"assistant","content":[{"cache_control":{"ttl":"1h"}, "type":"image","a":{"b":1, "cache_control" : 7}}]}"#
                .replace(", \"type\"", ",\"type\"").as_str(),
            r#"{"role":"system","content":"Be"},{"role":"user","content":"Hi"},{"role":"assistant","content":[{"type":"image","a":{"b":1}}]}"#,
        ] {
            assert_eq!(of(same), plain, "{same}");
        }
        for other in [
            r#"{"role":"user","content":"Ho"},{"role":"assistant","content":[{"type":"image","a":{"b":1}}]}"#,
            r#"{"role":"user","content":"Hi"},{"role":"assistant","content":[{"type":"image","a":{"b":2}}]}"#,
            r#"{"role":"user","content":"Hi"},{"role":"assistant","content":[{"type":"image","a":"\"cache_control\":1"}]}"#,
        ] {
            assert_ne!(of(other), plain, "{other}");
        }
    }

    #[test]
    fn a_longer_conversation_begins_with_the_shorter() {
        for (format, list) in
            [(Format::Chat, "messages"), (Format::Responses, "input"), (Format::Gemini, "contents")]
        {
            let messages: Vec<String> =
                (0..5).map(|n| format!(r#"{{"role":"user","content":"{n}"}}"#)).collect();
            let of = |n: usize| {
                keys(format, &format!(r#"{{"{list}":[{}]}}"#, messages[..n].join(","))).unwrap()
            };
            for n in 1..5 {
                assert_eq!(of(5)[..n], of(n));
            }
            assert_eq!(keys(format, "{}"), None);
            assert_eq!(keys(format, &format!(r#"{{"{list}":[],"{list}":[1]}}"#)), None);
        }
    }
}
