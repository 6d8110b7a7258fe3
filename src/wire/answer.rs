//! What an answer says was billed, and whether it came to its end, read as it passes.
//!
//! The relay shows every byte of the answer to a [`UsageObserver`] on its way to the client; nothing is
//! changed, held back or kept but the usage object itself. Of a stream, events that cannot matter
//! (nearly all) cost one search for a few words; the rest, and bodies, go through `json_scanner`. So no
//! answer is too large to be read, and a broken one still yields what was said before the break.

mod words;

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::framing::{Part, Piece};
use super::json_scanner::{JsonScanner, Wanted};
pub(crate) use super::usage::Turn;
use super::{Format, Tier, Usage, finders, usage};
use crate::json::Reader;
use words::{WORD_BYTES_MAX, error_name, is_word, miss_reason, word_of};

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
    /// Thoughts that the model was not shown, since what stood before them had changed.
    pub(crate) dropped: u32,
    /// Why the provider's cache was missed, in its word.
    pub(crate) cache_miss: Option<Cow<'static, str>>,
    /// The bytes stop inside an event, or inside the JSON value.
    pub(crate) inside: bool,
}

/// Reads one answer of a known wire format. The bytes must not be compressed.
pub(crate) struct UsageObserver {
    /// `None`: only its end is looked for.
    format: Option<Format>,
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
    /// What was done to a block of the prompt before the model saw it, and why.
    Change,
    Cause,
    /// What the provider has found out about its cache.
    Diagnostics,
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
    dropped: u32,
    error: Option<Cow<'static, str>>,
    cache_miss: Option<Cow<'static, str>>,
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
    /// How many blocks were left out, and how many did not fit what stands before them.
    dropped: [u32; 2],
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
    // Said in `message_start`, and once more at the end where another model has taken over.
    Wanted { path: &["input_transformations", "type"], field: Field::Change },
    Wanted { path: &["input_transformations", "reason"], field: Field::Cause },
    Wanted { path: &["message", "input_transformations", "type"], field: Field::Change },
    Wanted { path: &["message", "input_transformations", "reason"], field: Field::Cause },
    Wanted { path: &["diagnostics"], field: Field::Diagnostics },
    Wanted { path: &["message", "diagnostics"], field: Field::Diagnostics },
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
    Wanted { path: &["prompt_cache_diagnostics"], field: Field::Diagnostics },
    Wanted { path: &["response", "prompt_cache_diagnostics"], field: Field::Diagnostics },
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
    pub(crate) fn new(format: Format) -> UsageObserver {
        let (wanted, words) = tables(format);
        let json_scanner = JsonScanner::new(wanted);
        UsageObserver { format: Some(format), json_scanner, words, seen: Seen::default() }
    }

    /// Of an answer whose format is not known only where it stops is told: within an event or a JSON value,
    /// or behind it.
    pub(crate) fn of_end() -> UsageObserver {
        let json_scanner = JsonScanner::new(&[]);
        UsageObserver { format: None, json_scanner, words: &[], seen: Seen::default() }
    }

    /// Shows the next bytes of an answer that is one JSON value, cut anywhere. A Gemini stream without
    /// `alt=sse` is such a one: an array.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        let UsageObserver { json_scanner, seen, .. } = self;
        json_scanner.feed(bytes, &mut |field, json| seen.note(field, json));
    }

    /// Shows the next piece of an answer that is a stream. False: it says nothing.
    pub(crate) fn piece(&mut self, piece: &Piece<'_>) -> bool {
        match piece.part {
            Part::Whole(data) if data.trim_ascii() == DONE => {
                self.seen.ended = true;
                true
            }
            // Without one of the words only the first model's name is wanted.
            Part::Whole(data)
                if self.seen.model.is_empty()
                    || self.words.iter().any(|word| says_something(data, word)) =>
            {
                self.feed(data);
                self.end_event()
            }
            Part::Whole(_) | Part::Field | Part::Between => false,
            Part::Data(data) => {
                self.seen.event.mark.extend(data);
                self.feed(data);
                true
            }
            Part::End => {
                self.end_event();
                true
            }
        }
    }

    fn end_event(&mut self) -> bool {
        self.json_scanner.restart();
        self.seen.end_event()
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

    /// There are no more bytes of a JSON value.
    pub(crate) fn finish(mut self) -> Reading {
        let inside = match self.format {
            // A number or a word alone is a value, too.
            None => self.json_scanner.is_open(),
            Some(_) => !self.json_scanner.complete(),
        };
        self.seen.end_event();
        self.seen.ended = !inside;
        self.reading(inside)
    }

    /// There are no more pieces of a stream. `inside`: it stops inside an event.
    pub(crate) fn finish_stream(mut self, inside: bool) -> Reading {
        // Some servers leave out the empty line behind the last event.
        self.seen.end_event();
        // Where no mark is known, the end is one that is not within anything.
        if self.format.is_none() {
            self.seen.ended = !inside;
        }
        self.reading(inside)
    }

    fn reading(mut self, inside: bool) -> Reading {
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
            dropped: self.seen.dropped,
            cache_miss: self.seen.cache_miss,
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
            Field::Diagnostics => {
                self.cache_miss = miss_reason(json, 0).or(self.cache_miss.take());
            }
            Field::Queries => self.searches = elements(json),
            Field::Item => self.searches += u64::from(json == br#""web_search_call""#),
            // Of a block that was shown all the same (`thinking_mismatch_allowed`) nothing is lost.
            Field::Change => {
                self.event.dropped[0] += u32::from(json == br#""thinking_dropped""#);
            }
            Field::Cause => {
                self.event.dropped[1] += u32::from(json == br#""prefix_binding_mismatch""#);
            }
            Field::Code if json.len() <= WORD_BYTES_MAX => keep(&mut self.code),
            Field::Stop if is_word(json) => keep(&mut self.event.stop),
            Field::Model if json.starts_with(b"\"") => keep(&mut self.event.model),
            Field::FirstUsage if json.starts_with(b"{") => keep(&mut self.first_usage),
            Field::Usage if json.starts_with(b"{") => keep(&mut self.usage),
            _ => return,
        }
        let is_weak = matches!(
            field,
            Field::Model | Field::Stop | Field::Code | Field::Type | Field::Change | Field::Cause
        );
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
        let Event { model, stop, says, dropped, mark } = std::mem::take(&mut self.event);
        self.ended |= mark.is_done();
        if !model.is_empty() && (says || self.model.is_empty()) {
            self.model = model;
        }
        if says && !stop.is_empty() {
            self.stop = stop;
        }
        if dropped != [0; 2] {
            self.dropped = dropped[0].min(dropped[1]);
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
mod tests;
