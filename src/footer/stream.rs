//! A footer in a stream of events.
//!
//! Messages: a content block of its own, before the event that brings the reason for stopping.
//! Chat: the chunk with the reason is held back until the usage or `[DONE]` comes, and one chunk
//! with text goes before it; strict clients drop text in a chunk that has a reason. Nothing else is
//! held back, and whatever is unexpected ends our part: the rest passes as it comes.

use std::borrow::Cow;

use super::held_event::{HOLD_BYTES_MAX, is_settled};
use super::text_tail::TextTail;
use super::{Outcome, Refusal};
use crate::json::{self, Reader, Span};
use crate::wire::Format;

/// Where a stream stands. One for each answer.
pub(crate) struct Stream {
    is_messages: bool,
    text: TextTail,
    /// Messages: one more than the highest index of a block; and the type of the last block.
    next_index: u64,
    is_text: bool,
    /// Chat: the reason has come, and the footer waits for the usage.
    waiting: Option<Waiting>,
    outcome: Option<Outcome>,
}

struct Waiting {
    /// The members that all chunks of an answer share, as JSON with a comma behind each.
    shared: String,
    /// The chunk with the reason, and what came after it.
    held: Vec<u8>,
}

/// One event of the stream.
pub(crate) struct Event<'a> {
    pub(crate) data: &'a str,
    /// What goes on to the client if nothing is changed: what is left of it, or nothing.
    pub(crate) bytes: &'a [u8],
    pub(crate) line_break: &'static str,
    block: &'a [u8],
}

impl<'a> Event<'a> {
    /// `block`, empty line included, with this data; `gone` of its bytes have left.
    pub(crate) fn new(block: &'a [u8], data: &'a str, gone: usize) -> Event<'a> {
        let line_break = if block.ends_with(b"\r\n") { "\r\n" } else { "\n" };
        Event { data, bytes: &block[gone..], line_break, block }
    }

    /// Whether its beginning has left, so that nothing can go before it any more; or would have if more
    /// of it had been waited for.
    pub(crate) fn has_begun(&self) -> bool {
        self.bytes.len() < self.block.len() || is_settled(self.block, self.data.as_bytes())
    }
}

impl Stream {
    pub(crate) fn new(format: Format) -> Stream {
        Stream {
            is_messages: match format {
                Format::Messages => true,
                // The others have no footer; see `guards`.
                Format::Chat | Format::Responses | Format::Gemini => false,
            },
            text: TextTail::default(),
            next_index: 0,
            is_text: false,
            waiting: None,
            outcome: None,
        }
    }

    /// Whether the footer has been put in, or never will be.
    pub(crate) fn is_done(&self) -> bool {
        self.outcome.is_some()
    }

    /// Whether something is held back.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// Whether so many more bytes are too many to be held back.
    pub(crate) fn is_over(&self, more: usize) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| waiting.held.len() + more > HOLD_BYTES_MAX)
    }

    /// Whether one more piece of the text would change nothing.
    pub(crate) fn is_steady(&self) -> bool {
        let is_decided = self.text.is_decided() || self.is_messages && !self.is_text;
        self.is_done() || is_decided && !self.is_waiting()
    }

    /// What became of it.
    pub(crate) fn outcome(&self) -> Outcome {
        self.outcome.unwrap_or(Outcome::Refused(Refusal::Unfinished))
    }

    /// Nothing is understood any more; what was held back goes on.
    pub(crate) fn give_up(&mut self, why: Refusal, out: &mut Vec<u8>) {
        self.outcome = self.outcome.or(Some(Outcome::Refused(why)));
        out.extend(self.waiting.take().into_iter().flat_map(|waiting| waiting.held));
    }

    /// Passes one event on, with a footer before it if it is time for that. `line` makes the text.
    pub(crate) fn event(
        &mut self,
        event: &Event,
        line: &mut dyn FnMut() -> String,
        out: &mut Vec<u8>,
    ) {
        if self.is_over(event.block.len()) {
            self.give_up(Refusal::Large, out);
            return self.pass(event.bytes, out);
        }
        let understood = match self.is_messages {
            true => self.messages(event, line, out),
            false => self.chat(event, line, out),
        };
        if understood.is_none() {
            self.give_up(Refusal::Odd, out);
        }
        self.pass(event.bytes, out);
    }

    /// Passes on what is no event, in its place.
    pub(crate) fn pass(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let place = self.waiting.as_mut().map_or(out, |waiting| &mut waiting.held);
        place.extend_from_slice(bytes);
    }

    /// `None`: not understood.
    fn messages(
        &mut self,
        event: &Event,
        line: &mut dyn FnMut() -> String,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        const DELTA: &str = r#"{"type":"content_block_delta""#;
        if self.is_text && self.text.is_decided() && event.data.starts_with(DELTA) {
            return Some(());
        }
        let [kind, index, block, delta] =
            members(event.data, ["type", "index", "content_block", "delta"])?;
        match &*text_at(event.data, &kind)? {
            "content_block_start" => {
                let index: u64 = event.data[index?].parse().ok()?;
                self.next_index = self.next_index.max(index.checked_add(1)?);
                let [kind, text] = json::members(event.data, &block?, ["type", "text"])?;
                self.is_text = text_at(event.data, &kind)? == "text";
                self.text = TextTail::default();
                self.text.feed(&text_at(event.data, &text).unwrap_or_default());
            }
            "content_block_delta" => {
                let [text] = json::members(event.data, &delta?, ["text"])?;
                self.text.feed(&text_at(event.data, &text).unwrap_or_default());
            }
            "message_delta" if event.has_begun() => return None,
            "message_delta" => {
                let [reason] = json::members(event.data, &delta?, ["stop_reason"])?;
                self.stop(&text_at(event.data, &reason)?);
                if self.outcome == Some(Outcome::Added) {
                    put_block(out, event.line_break, self.next_index, &line());
                }
            }
            "error" => self.outcome = Some(Outcome::Refused(Refusal::Unfinished)),
            _ => {}
        }
        Some(())
    }

    /// The answer has stopped: may it have a footer?
    fn stop(&mut self, reason: &str) {
        self.outcome = Some(match self.text.refusal() {
            _ if reason != "end_turn" => Outcome::Refused(Refusal::Unfinished),
            _ if !self.is_text => Outcome::Refused(Refusal::NoText),
            Some(refusal) => Outcome::Refused(refusal),
            None => Outcome::Added,
        });
    }

    /// `None`: not understood.
    fn chat(
        &mut self,
        event: &Event,
        line: &mut dyn FnMut() -> String,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        if event.data.trim() == "[DONE]" {
            self.put_chunk(event, line, out);
            self.outcome = self.outcome.or(Some(Outcome::Refused(Refusal::Unfinished)));
            return Some(());
        }
        let chunk = Chunk::read(event.data)?;
        match chunk.choice {
            _ if chunk.has_error => self.give_up(Refusal::Unfinished, out),
            None if chunk.has_usage => self.put_chunk(event, line, out),
            None => {}
            // Something after the reason for stopping.
            Some(_) if self.waiting.is_some() => return None,
            Some(choice) => {
                self.choice(choice, event);
                if self.waiting.is_some() {
                    self.waiting = Some(Waiting { shared: chunk.shared, held: Vec::new() });
                    if chunk.has_usage {
                        self.put_chunk(event, line, out);
                    }
                }
            }
        }
        Some(())
    }

    fn choice(&mut self, choice: Choice, event: &Event) {
        self.text.feed(&choice.text);
        let refusal = match (choice.reason.as_deref(), self.text.refusal()) {
            _ if choice.has_other => Some(Refusal::NoText),
            (None, _) => None,
            (Some("stop"), _) if !choice.text.is_empty() || event.has_begun() => {
                Some(Refusal::Colocated)
            }
            (Some("stop"), Some(refusal)) => Some(refusal),
            (Some("stop"), None) => {
                self.waiting = Some(Waiting { shared: String::new(), held: Vec::new() });
                None
            }
            (Some(_), _) => Some(Refusal::Unfinished),
        };
        self.outcome = refusal.map(Outcome::Refused);
    }

    /// The footer's chunk, and what was held back for it.
    fn put_chunk(&mut self, event: &Event, line: &mut dyn FnMut() -> String, out: &mut Vec<u8>) {
        let Some(Waiting { shared, held }) = self.waiting.take() else { return };
        let end = event.line_break;
        out.extend_from_slice(b"data: {");
        out.extend_from_slice(shared.as_bytes());
        out.extend_from_slice(br#""choices":[{"index":0,"delta":{"content":"#);
        json::encode(&line(), out);
        out.extend_from_slice(br#"},"finish_reason":null}]}"#);
        out.extend_from_slice(format!("{end}{end}").as_bytes());
        out.extend(held);
        self.outcome = Some(Outcome::Added);
    }
}

/// A content block of its own, in the three events that a block takes.
fn put_block(out: &mut Vec<u8>, end: &str, index: u64, line: &str) {
    let mut text = Vec::new();
    json::encode(line, &mut text);
    let text = String::from_utf8_lossy(&text);
    for (name, rest) in [
        ("content_block_start", r#""content_block":{"type":"text","text":""}"#.to_owned()),
        ("content_block_delta", format!(r#""delta":{{"type":"text_delta","text":{text}}}"#)),
        ("content_block_stop", String::new()),
    ] {
        let comma = if rest.is_empty() { "" } else { "," };
        let event = format!(
            r#"event: {name}{end}data: {{"type":"{name}","index":{index}{comma}{rest}}}{end}{end}"#
        );
        out.extend_from_slice(event.as_bytes());
    }
}

/// What a chunk of a Chat stream says.
struct Chunk {
    shared: String,
    /// `None`: it has no choices, as the one with the usage.
    choice: Option<Choice>,
    has_usage: bool,
    has_error: bool,
}

struct Choice {
    text: String,
    reason: Option<String>,
    /// Tools, a refusal, sound, probabilities that would not match the text any more.
    has_other: bool,
}

impl Chunk {
    /// `None`: not understood, or it has several choices.
    fn read(data: &str) -> Option<Chunk> {
        const SHARED: [&str; 5] = ["id", "object", "created", "model", "system_fingerprint"];
        let [id, object, created, model, print, choices, usage, error] = members(
            data,
            ["id", "object", "created", "model", "system_fingerprint", "choices", "usage", "error"],
        )?;
        let spans = [id, object, created, model, print];
        let shared = SHARED
            .iter()
            .zip(spans)
            .filter_map(|(name, span)| span.map(|span| format!("\"{name}\":{},", &data[span])));
        let shared = shared.collect();
        let mut found = Vec::new();
        let choices = choices.filter(|span| data[span.clone()].starts_with('['))?;
        Reader::within(data, &choices).array(|reader| {
            found.push(Choice::read(data, reader)?);
            Some(())
        })?;
        let choice = found.pop();
        let has_usage = usage.is_some_and(|span| data[span].starts_with('{'));
        let has_error = error.is_some_and(|span| &data[span] != "null");
        found.is_empty().then_some(Chunk { shared, choice, has_usage, has_error })
    }
}

impl Choice {
    fn read(data: &str, reader: &mut Reader) -> Option<Choice> {
        let (_, [index, delta, reason, logprobs]) =
            reader.members(["index", "delta", "finish_reason", "logprobs"])?;
        let is_first = index.is_none_or(|index| &data[index] == "0");
        let keys = ["content", "refusal", "tool_calls", "function_call", "audio"];
        let [content, others @ ..] = match delta {
            Some(delta) => json::members(data, &delta, keys)?,
            None => Default::default(),
        };
        let is_said = |span: &Option<Span>| {
            span.as_ref().is_some_and(|span| !matches!(&data[span.clone()], "null" | "[]"))
        };
        Some(Choice {
            text: text_at(data, &content).unwrap_or_default().into_owned(),
            reason: text_at(data, &reason).map(|reason| reason.into_owned()),
            has_other: others.iter().chain([&logprobs]).any(is_said),
        })
        .filter(|_| is_first)
    }
}

fn members<const N: usize>(data: &str, keys: [&str; N]) -> Option<[Option<Span>; N]> {
    let mut reader = Reader::new(data);
    let (_, found) = reader.members(keys)?;
    reader.end()?;
    Some(found)
}

fn text_at<'a>(data: &'a str, span: &Option<Span>) -> Option<Cow<'a, str>> {
    json::decode(&data[span.clone()?])
}

#[cfg(test)]
mod tests;
