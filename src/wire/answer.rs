//! What an answer says was billed, and whether it came to its end, read as it passes.
//!
//! The relay shows every byte of the answer to a [`UsageObserver`] on its way to the client; nothing is
//! changed, held back or kept but the usage object itself. Of a stream, events that cannot matter
//! (nearly all) cost one search for a few words; the rest, and bodies, go through `json_scanner`. So no
//! answer is too large to be read, and a broken one still yields what was said before the break.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::json_scanner::{JsonScanner, Wanted};
use super::sse::{Events, Piece};
pub(crate) use super::usage::Turn;
use super::{Format, Tier, Usage, finders, usage};
use crate::json::{Reader, Span};

/// What was read from an answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) usage: Option<Usage>,
    /// The model that answered, as the provider names it.
    pub(crate) model: Option<String>,
    /// Why it ended, in the provider's word: `end_turn`, `stop`, `completed`.
    pub(crate) stop: Option<String>,
    /// The answer said that it is complete: a stream by its end mark, a JSON body by its last bracket.
    pub(crate) ended: bool,
    /// What went wrong, in the provider's word: it said so in its answer.
    pub(crate) error: Option<Cow<'static, str>>,
    /// What was billed beside the usage, for work of other models within the answer.
    pub(crate) turns: Vec<Turn>,
    /// The bytes stop inside an event, or inside the JSON value.
    pub(crate) inside: bool,
}

/// Reads one answer of a known wire format. The bytes must not be compressed.
pub(crate) struct UsageObserver {
    /// `None`: only its end is looked for.
    format: Option<Format>,
    /// `None`: the answer is one JSON value.
    events: Option<Events>,
    json_scanner: JsonScanner<Field>,
    /// An event without any of these words, or with `null` behind them, says nothing to us.
    words: &'static [Finder<'static>],
    seen: Seen,
}

#[derive(Clone, Copy)]
enum Field {
    Type,
    Model,
    /// Any value but `null` says that the answer failed.
    Error,
    /// What failed, where that stands beside it.
    Code,
    /// Usage as far as known when a Messages stream began.
    FirstUsage,
    Usage,
    /// A reason for ending: any value but `null` is an end mark.
    Reason,
    /// The same where something else is the end mark.
    Stop,
    /// How it was served, where that stands beside the usage.
    Tier,
    /// A list of the searches that were made.
    Queries,
    /// The type of an item of the answer: a search is one.
    Item,
}

/// What has been read so far, as the JSON that it was.
#[derive(Default)]
struct Seen {
    model: Vec<u8>,
    first_usage: Vec<u8>,
    usage: Vec<u8>,
    stop: Vec<u8>,
    code: Vec<u8>,
    tier: Option<Tier>,
    searches: u64,
    error: Option<Cow<'static, str>>,
    ended: bool,
    event: Event,
}

/// What counts only if its event says something else that matters, which shows at its end: an event
/// must mean the same whether it was read whole or in parts.
#[derive(Default)]
struct Event {
    model: Vec<u8>,
    stop: Vec<u8>,
    says: bool,
    /// The data, as long as it may be `[DONE]`.
    mark: Mark,
}

/// How many bytes of `[DONE]` have come, blanks around it apart.
#[derive(Default)]
struct Mark {
    seen: usize,
    is_other: bool,
    after_blank: bool,
}

const DONE: &[u8] = b"[DONE]";

/// Where a format keeps what we want to know: in an event, in an unstreamed body, or in both.
const MESSAGES: &[Wanted<Field>] = &[
    Wanted { path: &["type"], field: Field::Type },
    Wanted { path: &["model"], field: Field::Model },
    Wanted { path: &["usage"], field: Field::Usage },
    Wanted { path: &["message", "model"], field: Field::Model },
    Wanted { path: &["message", "usage"], field: Field::FirstUsage },
    Wanted { path: &["stop_reason"], field: Field::Stop },
    Wanted { path: &["delta", "stop_reason"], field: Field::Stop },
    Wanted { path: &["error"], field: Field::Error },
];
const CHAT: &[Wanted<Field>] = &[
    Wanted { path: &["model"], field: Field::Model },
    Wanted { path: &["usage"], field: Field::Usage },
    // Moonshot's streams.
    Wanted { path: &["choices", "usage"], field: Field::Usage },
    Wanted { path: &["service_tier"], field: Field::Tier },
    Wanted { path: &["choices", "finish_reason"], field: Field::Reason },
    Wanted { path: &["error"], field: Field::Error },
    Wanted { path: &["choices", "error"], field: Field::Error },
    // vLLM's, of which `object` or `type` says that it is one.
    Wanted { path: &["object"], field: Field::Type },
    Wanted { path: &["type"], field: Field::Type },
    Wanted { path: &["code"], field: Field::Code },
];
const RESPONSES: &[Wanted<Field>] = &[
    Wanted { path: &["type"], field: Field::Type },
    Wanted { path: &["model"], field: Field::Model },
    Wanted { path: &["usage"], field: Field::Usage },
    Wanted { path: &["response", "model"], field: Field::Model },
    Wanted { path: &["response", "usage"], field: Field::Usage },
    Wanted { path: &["service_tier"], field: Field::Tier },
    Wanted { path: &["response", "service_tier"], field: Field::Tier },
    Wanted { path: &["output", "type"], field: Field::Item },
    Wanted { path: &["response", "output", "type"], field: Field::Item },
    Wanted { path: &["status"], field: Field::Stop },
    Wanted { path: &["response", "status"], field: Field::Stop },
    Wanted { path: &["error"], field: Field::Error },
    Wanted { path: &["response", "error"], field: Field::Error },
    Wanted { path: &["code"], field: Field::Code },
];
const GEMINI: &[Wanted<Field>] = &[
    Wanted { path: &["modelVersion"], field: Field::Model },
    Wanted { path: &["usageMetadata"], field: Field::Usage },
    Wanted {
        path: &["candidates", "groundingMetadata", "webSearchQueries"],
        field: Field::Queries,
    },
    Wanted { path: &["candidates", "finishReason"], field: Field::Reason },
    Wanted { path: &["promptFeedback"], field: Field::Reason },
    Wanted { path: &["error"], field: Field::Error },
];

/// Types of the events that end a stream, quoted as in JSON.
const END_TYPES: &[&str] = &[
    r#""message_stop""#,
    r#""error""#,
    r#""response.completed""#,
    r#""response.incomplete""#,
    r#""response.failed""#,
];

const RESPONSES_WORDS: &[&str] = &[
    r#""usage""#,
    r#""error""#,
    r#""response.completed""#,
    r#""response.incomplete""#,
    r#""response.failed""#,
];

const MESSAGES_WORDS: &[&str] = &[r#""usage""#, r#""message_stop""#, r#""error""#];
const CHAT_WORDS: &[&str] = &[r#""usage""#, r#""finish_reason""#, r#""error""#];
const GEMINI_WORDS: &[&str] =
    &[r#""usageMetadata""#, r#""finishReason""#, r#""promptFeedback""#, r#""error""#];

/// Searches by format. To make them ready takes longer than to look through an event.
static FINDERS: LazyLock<[Vec<Finder<'static>>; 4]> =
    LazyLock::new(|| [MESSAGES_WORDS, CHAT_WORDS, RESPONSES_WORDS, GEMINI_WORDS].map(finders));

/// The table of a format, and the words of which an event must have one to be looked at.
fn tables(format: Format) -> (&'static [Wanted<Field>], &'static [Finder<'static>]) {
    let [messages, chat, responses, gemini] = &*FINDERS;
    match format {
        Format::Messages => (MESSAGES, messages),
        Format::Chat => (CHAT, chat),
        Format::Responses => (RESPONSES, responses),
        Format::Gemini => (GEMINI, gemini),
    }
}

impl UsageObserver {
    /// `streamed`: the answer is `text/event-stream`. A Gemini stream without `alt=sse` is not:
    /// it is one JSON array.
    pub(crate) fn new(format: Format, streamed: bool) -> UsageObserver {
        let (wanted, words) = tables(format);
        UsageObserver {
            format: Some(format),
            events: streamed.then(Events::new),
            json_scanner: JsonScanner::new(wanted),
            words,
            seen: Seen::default(),
        }
    }

    /// Of an answer whose format is not known only where it stops is told: within an event or a JSON value,
    /// or behind it.
    pub(crate) fn of_end(streamed: bool) -> UsageObserver {
        UsageObserver {
            format: None,
            events: streamed.then(Events::new),
            json_scanner: JsonScanner::new(&[]),
            words: &[],
            seen: Seen::default(),
        }
    }

    /// Shows the next bytes of the answer, cut anywhere. False: no event in them says anything.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> bool {
        let UsageObserver { json_scanner, words, seen, .. } = self;
        let Some(events) = &mut self.events else {
            json_scanner.feed(bytes, &mut |field, json| seen.note(field, json));
            return true;
        };
        let mut says_any = false;
        events.feed(bytes, &mut |piece| {
            let says = match piece {
                Piece::Whole(data) if data.trim_ascii() == DONE => {
                    seen.ended = true;
                    true
                }
                // Without one of the words only the first model's name is wanted.
                Piece::Whole(data)
                    if seen.model.is_empty()
                        || words.iter().any(|word| says_something(data, word)) =>
                {
                    json_scanner.feed(data, &mut |field, json| seen.note(field, json));
                    json_scanner.restart();
                    seen.end_event()
                }
                Piece::Whole(_) => false,
                Piece::Part(data) => {
                    seen.event.mark.extend(data);
                    json_scanner.feed(data, &mut |field, json| seen.note(field, json));
                    true
                }
                Piece::End => {
                    json_scanner.restart();
                    seen.end_event();
                    true
                }
            };
            says_any |= says;
        });
        says_any
    }

    /// Whether the answer is a stream of events.
    pub(crate) fn is_stream(&self) -> bool {
        self.events.is_some()
    }

    /// Whether a stream stands exactly between two events.
    pub(crate) fn is_between(&self) -> bool {
        self.events.as_ref().is_some_and(Events::is_between)
    }

    /// What the answer has said so far about what is billed.
    pub(crate) fn usage(&self) -> Option<Usage> {
        let Seen { first_usage, usage, ended, tier, searches, .. } = &self.seen;
        let usage = usage::read(self.format?, first_usage, usage, *ended)?;
        Some(Usage {
            tier: tier.unwrap_or(usage.tier),
            searches: usage.searches.or((*searches > 0).then_some(*searches)),
            ..usage
        })
    }

    /// There are no more bytes.
    pub(crate) fn finish(mut self) -> Reading {
        let inside = match &self.events {
            Some(events) => events.inside(),
            // A number or a word alone is a value, too.
            None if self.format.is_none() => self.json_scanner.is_open(),
            None => !self.json_scanner.complete(),
        };
        // Some servers leave out the empty line behind the last event.
        self.seen.end_event();
        // Where no mark is known, the end is one that is not within anything.
        if self.events.is_none() || self.format.is_none() {
            self.seen.ended = !inside;
        }
        self.seen.name_error(self.format);
        let turns = match self.format {
            Some(Format::Messages) => usage::turns(&self.seen.usage),
            Some(Format::Chat | Format::Responses | Format::Gemini) | None => Vec::new(),
        };
        Reading {
            usage: self.usage(),
            turns,
            model: text(self.seen.model),
            stop: text(self.seen.stop),
            error: self.seen.error,
            ended: self.seen.ended,
            inside,
        }
    }
}

/// Whether a word is in an event's data other than as a key with `null` behind it.
fn says_something(data: &[u8], word: &Finder<'_>) -> bool {
    word.find_iter(data).any(|at| {
        let behind = data[at + word.needle().len()..].trim_ascii_start();
        let value = behind.strip_prefix(b":").map(<[u8]>::trim_ascii_start);
        !value.is_some_and(|value| value.starts_with(b"null"))
    })
}

/// What a JSON string says.
fn text(mut json: Vec<u8>) -> Option<String> {
    // Nearly all are spelled plainly, and what stands between the quotes is the text.
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && !br#""\"#.contains(byte);
    if matches!(&*json, [b'"', plain @ .., b'"'] if plain.iter().all(is_plain)) {
        json.pop();
        json.remove(0);
        return String::from_utf8(json).ok();
    }
    serde_json::from_slice(&json).ok()
}

/// How many elements a JSON array has.
fn elements(json: &[u8]) -> u64 {
    let mut count = 0;
    let counted = std::str::from_utf8(json).ok().and_then(|json| {
        Reader::new(json).array(|reader| {
            count += 1;
            reader.value().map(|_| ())
        })
    });
    counted.map_or(0, |()| count)
}

/// A longer word is none.
const WORD_BYTES_MAX: usize = 40;

/// A string of one short word: no provider ends for another reason, and it is written down.
fn is_word(json: &[u8]) -> bool {
    let word = json.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    word.is_some_and(|word| {
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
        (1..=WORD_BYTES_MAX).contains(&word.len()) && word.iter().all(is_plain)
    })
}

impl Seen {
    fn note(&mut self, field: Field, json: &[u8]) {
        let keep = |slot: &mut Vec<u8>| {
            slot.clear();
            slot.extend_from_slice(json);
        };
        let was_end = self.ended;
        match field {
            Field::Type => {
                self.ended |= END_TYPES.iter().any(|kind| kind.as_bytes() == json);
                self.fail(json == br#""error""# || json == br#""response.failed""#, None);
            }
            Field::Reason => {
                self.ended |= json != b"null";
                if is_word(json) {
                    keep(&mut self.event.stop);
                }
                self.fail(json == br#""error""#, None);
            }
            Field::Error => {
                let is_said = !matches!(json, b"null" | b"false" | b"{}" | b"[]" | b"\"\"");
                self.ended |= is_said;
                self.fail(is_said, error_name(json));
            }
            Field::Tier => {
                let word = text(json.to_owned());
                self.tier = word.map(|word| Tier::of(&word)).or(self.tier);
            }
            Field::Queries => self.searches = elements(json),
            Field::Item => self.searches += u64::from(json == br#""web_search_call""#),
            Field::Code if json.len() <= WORD_BYTES_MAX => keep(&mut self.code),
            Field::Stop if is_word(json) => keep(&mut self.event.stop),
            Field::Model if json.starts_with(b"\"") => keep(&mut self.event.model),
            Field::FirstUsage if json.starts_with(b"{") => keep(&mut self.first_usage),
            Field::Usage if json.starts_with(b"{") => keep(&mut self.usage),
            _ => return,
        }
        let is_weak = matches!(field, Field::Model | Field::Stop | Field::Code | Field::Type);
        self.event.says |= self.ended && !was_end || !is_weak && json != b"null";
    }

    /// The answer has failed, if `is_error`; the first name that says how is kept.
    fn fail(&mut self, is_error: bool, name: Option<Cow<'static, str>>) {
        let is_unnamed = self.error.as_deref().is_none_or(|known| known == UNNAMED);
        if is_error && is_unnamed {
            self.error = Some(name.unwrap_or(Cow::Borrowed(UNNAMED)));
        }
    }

    /// An event is complete, or the answer is: whether it said anything.
    fn end_event(&mut self) -> bool {
        let Event { model, stop, says, mark } = std::mem::take(&mut self.event);
        self.ended |= mark.is_done();
        if !model.is_empty() && (says || self.model.is_empty()) {
            self.model = model;
        }
        if says && !stop.is_empty() {
            self.stop = stop;
        }
        says
    }

    /// The name of an error that has none of its own.
    fn name_error(&mut self, format: Option<Format>) {
        if format == Some(Format::Responses) && self.stop == br#""failed""# {
            self.fail(true, None);
        }
        if self.error.as_deref() == Some(UNNAMED) {
            self.error = word_of(&self.code).or(self.error.take());
        }
    }
}

/// An error whose type the provider does not say.
const UNNAMED: &str = "provider_error";

/// What an error's JSON says of its type: the most telling word that is one.
fn error_name(json: &[u8]) -> Option<Cow<'static, str>> {
    let text = std::str::from_utf8(json).ok()?;
    let mut found: [Option<Span>; 4] = Default::default();
    // What breaks off may have said it.
    let _ = Reader::new(text).object(|reader, key| {
        let at = ["type", "status", "code", "error_type"].iter().position(|name| *name == key);
        let value = reader.value()?;
        at.into_iter().for_each(|at| found[at] = Some(value.clone()));
        Some(())
    });
    found.into_iter().flatten().find_map(|span| word_of(text[span].as_bytes()))
}

/// A short word, or a number as `error_502`; nothing that was written for people, which may say
/// anything.
fn word_of(json: &[u8]) -> Option<Cow<'static, str>> {
    const DIGITS_MAX: usize = 6;
    let text = std::str::from_utf8(json).ok()?;
    let is_number =
        (1..=DIGITS_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    match text.trim_matches('"') {
        _ if is_number => Some(format!("error_{text}").into()),
        "error" | "" => None,
        word => is_word(json).then(|| word.to_owned().into()),
    }
}

impl Mark {
    fn extend(&mut self, data: &[u8]) {
        for byte in data {
            if self.is_other {
                return;
            }
            if byte.is_ascii_whitespace() {
                self.after_blank = self.seen > 0;
                continue;
            }
            self.is_other = self.after_blank || DONE.get(self.seen) != Some(byte);
            self.seen += 1;
        }
    }

    fn is_done(&self) -> bool {
        !self.is_other && self.seen == DONE.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// input, cache_read, cache_write, cache_write_1h, output, reasoning
    type Counts = [Option<u64>; 6];

    const NO: Option<u64> = None;

    #[test]
    fn messages_are_read() {
        let billed = [Some(2861), Some(2000), Some(800), Some(300), Some(412), Some(90)];
        check(
            "answer-messages.json",
            Format::Messages,
            Some("claude-sonnet-4-5-20250929"),
            Some(billed),
        );
        check(
            "answer-messages.sse",
            Format::Messages,
            Some("claude-sonnet-4-5-20250929"),
            Some(billed),
        );
        // A server tool raises the input after the start.
        let raised = [Some(10_500), Some(0), Some(0), NO, Some(60), NO];
        check("answer-messages-tool.sse", Format::Messages, Some("claude-opus-5"), Some(raised));
        let unknown_end = [Some(25), NO, NO, NO, NO, NO];
        check(
            "answer-messages-error.sse",
            Format::Messages,
            Some("claude-haiku-4-5"),
            Some(unknown_end),
        );
    }

    #[test]
    fn chat_and_its_dialects_are_read() {
        let openai = [Some(1200), Some(1024), Some(64), NO, Some(300), Some(120)];
        check("answer-chat.json", Format::Chat, Some("gpt-5.6-sol"), Some(openai));
        check("answer-chat.sse", Format::Chat, Some("gpt-5.6-sol"), Some(openai));
        check("answer-chat-no-usage.sse", Format::Chat, Some("gpt-4o"), None);
        check(
            "answer-chat-xai.sse",
            Format::Chat,
            Some("grok-4"),
            Some([Some(50), Some(7), NO, NO, Some(109), Some(100)]),
        );
        check(
            "answer-chat-deepseek.sse",
            Format::Chat,
            Some("deepseek-chat"),
            Some([Some(90), Some(64), NO, NO, Some(12), NO]),
        );
        check(
            "answer-chat-mistral.json",
            Format::Chat,
            Some("mistral-large-4"),
            Some([Some(33), Some(16), NO, NO, Some(5), NO]),
        );
    }

    #[test]
    fn responses_are_read() {
        let billed = [Some(1500), Some(1408), Some(50), NO, Some(220), Some(192)];
        check("answer-responses.json", Format::Responses, Some("gpt-6.1-sol"), Some(billed));
        check("answer-responses.sse", Format::Responses, Some("gpt-6.1-sol"), Some(billed));
        check("answer-responses-failed.sse", Format::Responses, Some("gpt-6.1-sol"), None);
    }

    #[test]
    fn gemini_is_read() {
        let billed = [Some(140), Some(96), NO, NO, Some(75), Some(55)];
        check("answer-gemini.json", Format::Gemini, Some("gemini-3-pro"), Some(billed));
        check("answer-gemini.sse", Format::Gemini, Some("gemini-3-pro"), Some(billed));
        check("answer-gemini-array.json", Format::Gemini, Some("gemini-3-pro"), Some(billed));
        let blocked = [Some(12), NO, NO, NO, Some(0), NO];
        check("answer-gemini-blocked.sse", Format::Gemini, Some("gemini-3-pro"), Some(blocked));
    }

    #[test]
    fn what_came_before_a_break_is_kept() {
        let whole = fixture("answer-messages.sse");
        let text = String::from_utf8(whole).unwrap();
        let broken = &text[..text.find("event: message_delta").unwrap() + 40];
        let reading = read(Format::Messages, true, &[broken.as_bytes()]);
        assert!(!reading.ended && reading.inside);
        let usage = reading.usage.unwrap();
        assert_eq!((usage.input, usage.cache_read, usage.output), (Some(2861), Some(2000), None));

        let text = String::from_utf8(fixture("answer-gemini.sse")).unwrap();
        let broken = &text[..text.find("\n\n").unwrap() + 2];
        let reading = read(Format::Gemini, true, &[broken.as_bytes()]);
        assert!(!reading.ended && !reading.inside, "between two events, but no end mark");
        assert_eq!(reading.usage.map(|usage| (usage.input, usage.output)), Some((Some(128), None)));

        let text = String::from_utf8(fixture("answer-chat.json")).unwrap();
        let reading = read(Format::Chat, false, &[&text.as_bytes()[..text.len() - 2]]);
        assert!(!reading.ended && reading.inside);
        assert_eq!(reading.usage.and_then(|usage| usage.input), Some(1200));
    }

    #[test]
    fn text_that_speaks_of_usage_is_not_usage() {
        let event = r#"{"choices":[{"delta":{"content":"\"usage\":{\"prompt_tokens\":9}"},
            "finish_reason":null}],"usage":null}"#;
        let event = &event.replace('\n', "");
        let reading = read(Format::Chat, true, &[format!("data: {event}\n\n").as_bytes()]);
        assert_eq!(reading, Reading::default());
        let nested =
            r#"{"choices":[{"delta":{"usage":{"prompt_tokens":9}},"finish_reason":null}]}"#;
        let reading = read(Format::Chat, true, &[format!("data: {nested}\n\n").as_bytes()]);
        assert_eq!(reading, Reading::default());
        let words = tables(Format::Chat).1;
        let says = |text: &str| words.iter().any(|word| says_something(text.as_bytes(), word));
        assert!(!says(event), "such an event must cost a search only");
        assert!(says(nested) && says(r#"{"usage" : { }"#));
    }

    #[test]
    fn done_ends_a_chat_at_any_split() {
        check("data: [DONE]\n\n", true);
        check("data:[DONE]\r\n\r\n", true);
        check("data: {}\n\ndata: [DONE] \n", true);
        check("data: [DONE]", true);
        check("data: [DON", false);
        check("data: [DONE]]\n\n", false);
        check("data: \"[DONE]\"\n\n", false);
        check("event: [DONE]\n\n", false);

        #[track_caller]
        fn check(stream: &str, ended: bool) {
            for cut in 0..=stream.len() {
                let (first, second) = stream.as_bytes().split_at(cut);
                let reading = read(Format::Chat, true, &[first, second]);
                assert_eq!(reading.ended, ended, "{stream:?} cut at {cut}");
            }
        }
    }

    /// Why the answer in a fixture ended.
    fn stop(name: &str) -> Option<&'static str> {
        match name {
            "answer-messages.json" => Some("tool_use"),
            "answer-messages-error.sse" | "answer-gemini-blocked.sse" => None,
            "answer-chat-no-usage.sse" => Some("length"),
            "answer-responses-failed.sse" => Some("failed"),
            name if name.starts_with("answer-messages") => Some("end_turn"),
            name if name.starts_with("answer-chat") => Some("stop"),
            name if name.starts_with("answer-responses") => Some("completed"),
            _ => Some("STOP"),
        }
    }

    /// What went wrong in it.
    fn error(name: &str) -> Option<&'static str> {
        match name {
            "answer-messages-error.sse" => Some("overloaded_error"),
            "answer-responses-failed.sse" => Some("server_error"),
            _ => None,
        }
    }

    /// Reads a fixture whole, cut in two at every byte, and byte by byte, with each line break.
    #[track_caller]
    fn check(name: &str, format: Format, model: Option<&str>, counts: Option<Counts>) {
        let streamed = name.ends_with(".sse");
        let want = Reading {
            usage: counts.map(
                |[input, cache_read, cache_write, cache_write_1h, output, reasoning]| Usage {
                    input,
                    cache_read,
                    cache_write,
                    cache_write_1h,
                    output,
                    reasoning,
                    searches: (name == "answer-messages-tool.sse").then_some(1),
                    ..Usage::default()
                },
            ),
            model: model.map(str::to_string),
            stop: stop(name).map(str::to_string),
            error: error(name).map(Cow::Borrowed),
            ended: true,
            turns: Vec::new(),
            inside: false,
        };
        let text = String::from_utf8(fixture(name)).unwrap();
        let dressed = if streamed { dressings(&text) } else { vec![text] };
        let breaks = ["\n", "\r\n", "\r"];
        for text in dressed.iter().flat_map(|text| breaks.map(|end| text.replace('\n', end))) {
            let bytes = text.as_bytes();
            for cut in 0..=bytes.len() {
                let (first, second) = bytes.split_at(cut);
                assert_eq!(read(format, streamed, &[first, second]), want, "{name} cut at {cut}");
            }
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(read(format, streamed, &single), want, "{name} byte by byte");
        }
    }

    /// The same stream with what may stand around and in its events.
    fn dressings(text: &str) -> Vec<String> {
        vec![
            text.to_owned(),
            format!("\u{feff}{text}"),
            text.replace("\n\n", "\n\n: ping\n\nretry: 5\n\n"),
            text.replace("data: ", "id: 7\n: in it\ndata:"),
            text.replace("data: {", "data: {\ndata:  "),
        ]
    }

    /// Streams that break off say the same however their bytes came.
    #[test]
    fn every_beginning_of_a_stream_reads_the_same_at_any_split() {
        for (name, format) in [
            ("answer-messages.sse", Format::Messages),
            ("answer-messages-tool.sse", Format::Messages),
            ("answer-messages-error.sse", Format::Messages),
            ("answer-chat.sse", Format::Chat),
            ("answer-chat-xai.sse", Format::Chat),
            ("answer-chat-error.sse", Format::Chat),
            ("answer-responses.sse", Format::Responses),
            ("answer-responses-failed.sse", Format::Responses),
            ("answer-gemini.sse", Format::Gemini),
            ("answer-gemini-blocked.sse", Format::Gemini),
        ] {
            let text = String::from_utf8(fixture(name)).unwrap();
            for text in dressings(&text) {
                for end in (0..=text.len()).filter(|end| end % 7 == 0 || text.len() - end < 40) {
                    let bytes = &text.as_bytes()[..end];
                    let want = read(format, true, &[bytes]);
                    let single: Vec<&[u8]> = bytes.chunks(1).collect();
                    assert_eq!(read(format, true, &single), want, "{name}, {end} bytes");
                    let odd: Vec<&[u8]> = bytes.chunks(1 + end % 61).collect();
                    assert_eq!(read(format, true, &odd), want, "{name}, {end} bytes");
                }
            }
        }
    }

    #[test]
    fn errors_inside_an_answer_are_told_by_their_type() {
        const CHAT: Format = Format::Chat;
        const RESPONSES: Format = Format::Responses;
        let long = format!(r#"{{"error":{{"message":"{}","type":"x"}}}}"#, "m".repeat(20_000));
        for (format, json, want) in [
            (
                Format::Messages,
                r#"{"type":"error","error":{"type":"overloaded_error","message":"O"}}"#,
                Some("overloaded_error"),
            ),
            (Format::Messages, r#"{"type":"error"}"#, Some("provider_error")),
            (Format::Messages, r#"{"type":"message","content":[],"error":null}"#, None),
            (
                CHAT,
                r#"{"error":{"code":502,"message":"P"},"choices":[{"delta":{},"finish_reason":"error"}]}"#,
                Some("error_502"),
            ),
            (CHAT, r#"{"choices":[{"finish_reason":"error"}]}"#, Some("provider_error")),
            (
                CHAT,
                r#"{"choices":[{"error":{"code":429},"finish_reason":"error"}]}"#,
                Some("error_429"),
            ),
            (CHAT, r#"{"error":{"type":"server_error","code":"x"}}"#, Some("server_error")),
            (CHAT, r#"{"error":{"type":null,"code":"content_filter"}}"#, Some("content_filter")),
            (CHAT, r#"{"error":"said to Ada: no"}"#, Some("provider_error")),
            (CHAT, r#"{"error":{"type":"[31m red","message":"m"}}"#, Some("provider_error")),
            (CHAT, r#"{"object":"error","type":"BadRequestError","code":400}"#, Some("error_400")),
            (CHAT, &long, Some("provider_error")),
            (CHAT, r#"{"choices":[{"finish_reason":"stop"}],"error":null}"#, None),
            (CHAT, r#"{"choices":[{"finish_reason":"stop"}],"error":{}}"#, None),
            (CHAT, r#"{"choices":[{"message":{"content":""error": {}"}}]}"#, None),
            (
                RESPONSES,
                r#"{"type":"error","code":"rate_limit","message":"m"}"#,
                Some("rate_limit"),
            ),
            (RESPONSES, r#"{"code":"rate_limit","type":"error","error":null}"#, Some("rate_limit")),
            (
                RESPONSES,
                r#"{"type":"response.failed","response":{"error":{"code":"server_error"}}}"#,
                Some("server_error"),
            ),
            (
                RESPONSES,
                r#"{"type":"response.failed","response":{"status":"failed"}}"#,
                Some("provider_error"),
            ),
            (RESPONSES, r#"{"status":"failed","error":{"code":"vector"}}"#, Some("vector")),
            (RESPONSES, r#"{"status":"completed","error":null,"usage":{}}"#, None),
            (
                RESPONSES,
                r#"{"type":"response.completed","response":{"status":"completed","error":null}}"#,
                None,
            ),
            (
                Format::Gemini,
                r#"{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}"#,
                Some("UNAVAILABLE"),
            ),
            (Format::Gemini, r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#, None),
        ] {
            for streamed in [true, false] {
                let body = if streamed { format!("data: {json}\n\n") } else { json.to_owned() };
                let all = read(format, streamed, &[body.as_bytes()]);
                assert_eq!(all.error.as_deref(), want, "{streamed} {json}");
                assert!(want.is_none() || all.ended, "{json}: nothing comes behind an error");
                let single: Vec<&[u8]> = body.as_bytes().chunks(1).collect();
                assert_eq!(read(format, streamed, &single), all, "{json} byte by byte");
            }
        }
        let array = br#"[{"candidates":[]},{"error":{"status":"INTERNAL"}}]"#;
        assert_eq!(read(Format::Gemini, false, &[array]).error.as_deref(), Some("INTERNAL"));
    }

    fn fixture(name: &str) -> Vec<u8> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/wire/").to_string() + name;
        std::fs::read(&path).unwrap_or_else(|err| panic!("{path}: {err}"))
    }

    fn read(format: Format, streamed: bool, pieces: &[&[u8]]) -> Reading {
        let mut observer = UsageObserver::new(format, streamed);
        for piece in pieces {
            observer.feed(piece);
        }
        observer.finish()
    }
}
