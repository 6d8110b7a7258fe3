//! Where wire, compress and tokens meet: a request body to a shorter one, and back.
//!
//! The client's own bytes are kept; only string literals of texts that became shorter are
//! replaced. Whatever is not understood, or gains nothing, is sent as it came.

mod inputs;

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::compress::{self, Candidate, Expander, Left, Level, Mode, Place, Rules, Source, Walk};
use crate::json::{self, Span};
use crate::tokens::Counter;
use crate::wire::Format;
use crate::wire::prompt::{self, Part, Prompt, Role, ToolResult};

/// The threshold of strict and hybrid unless it is set, in tokens.
const THRESHOLD_TOKENS: u64 = 4500;

/// What an image is counted as, in tokens. It is the same before and after.
const IMAGE_TOKENS: u64 = 1000;

/// What the settings say about compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Off counts and changes nothing.
    pub(crate) mode: Mode,
    pub(crate) level: Level,
    /// Tokens that a prompt must exceed.
    pub(crate) threshold: u64,
    /// Leave JSON as it is spelled.
    pub(crate) preserve_json: bool,
    /// Leave code as it is, but for exact repeats.
    pub(crate) preserve_code: bool,
}

impl Plan {
    /// A mode with the level and threshold that it brings.
    pub(crate) fn of(mode: Mode) -> Plan {
        let threshold = if mode == Mode::Aggressive { 0 } else { THRESHOLD_TOKENS };
        Plan { mode, level: mode.level(), threshold, preserve_json: false, preserve_code: true }
    }
}

/// Why a request went out as it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Skip {
    Off,
    Unreadable,
    BelowThreshold,
    NothingToGain,
    /// The body is compressed by HTTP means. The caller decides this one and the next.
    Encoded,
    Large,
    /// The provider has refused changed bodies. The caller decides this one too.
    Refused,
}

impl Skip {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Skip::Off => "off",
            Skip::Unreadable => "unreadable",
            Skip::BelowThreshold => "below-threshold",
            Skip::NothingToGain => "nothing-to-gain",
            Skip::Encoded => "encoded",
            Skip::Large => "large",
            Skip::Refused => "refused",
        }
    }
}

/// One place where tokens were saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Tokens of the prompt as sent before this place.
    pub(crate) at: u64,
    /// Negative where a text had to be escaped.
    pub(crate) saved: i64,
}

/// What became of one text that might have been changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Looked {
    pub(crate) place: Place,
    /// Tokens as received and as sent.
    pub(crate) before: u64,
    pub(crate) after: u64,
    /// Tokens saved by each pass that was kept, in running order.
    pub(crate) saved: Vec<(&'static str, u64)>,
    /// `None` if a pass was kept.
    pub(crate) left: Option<Left>,
}

/// What became of a request.
#[derive(Debug, Default)]
pub(crate) struct Packed {
    /// `None`: send what the client sent.
    pub(crate) body: Option<Vec<u8>>,
    /// Tokens of the prompt as received and as sent. Both 0 if it is unreadable.
    pub(crate) before: u64,
    pub(crate) after: u64,
    /// In prefix order.
    pub(crate) cuts: Vec<Cut>,
    /// Tokens saved by each pass.
    pub(crate) per_pass: BTreeMap<&'static str, u64>,
    /// Every text of a tool or the user, in prefix order. Empty if the mode is off.
    pub(crate) texts: Vec<Looked>,
    /// `None` if something was saved.
    pub(crate) skip: Option<Skip>,
    /// `None` if the body does not say; for Gemini it stands in the path.
    pub(crate) model: Option<String>,
    /// Whether the body asks for a stream; for Gemini the path says so.
    pub(crate) stream: bool,
}

/// Counts a request and makes it smaller if the plan wants that and it pays.
pub(crate) fn pack(counter: &mut Counter, plan: &Plan, format: Format, body: &[u8]) -> Packed {
    let read = std::str::from_utf8(body).ok().zip(prompt::read(format, body));
    let Some((body, prompt)) = read else {
        return Packed { skip: Some(Skip::Unreadable), ..Packed::default() };
    };
    let mut edits: Vec<(Span, String)> = Vec::new();
    let mut packed = walk(counter, plan, format, (body, &prompt), &mut edits);
    packed.skip = match packed.per_pass.is_empty() {
        _ if plan.mode == Mode::Off => Some(Skip::Off),
        false => None,
        true if packed.before <= plan.threshold => Some(Skip::BelowThreshold),
        true => Some(Skip::NothingToGain),
    };
    if !edits.is_empty() {
        packed.body = Some(splice(body, edits));
    }
    Packed { model: prompt.model, stream: prompt.stream, ..packed }
}

/// The body with every marker replaced by what it stands for. `None` if it is not understood.
pub(crate) fn expand(format: Format, body: &[u8]) -> Option<Vec<u8>> {
    let prompt = prompt::read(format, body)?;
    let body = std::str::from_utf8(body).ok()?;
    let mut expander = Expander::default();
    let mut edits = Vec::new();
    for part in &prompt.parts {
        if part.role == Role::Reset {
            expander.reset();
        }
        let Some(text) = text_of(body, part) else { continue };
        let Some(place) = place(part.role) else {
            visible(part.role, text, |text, source| expander.visible(text, source));
            continue;
        };
        if let Some(expanded) = expander.text(text, place) {
            edits.push((part.span.clone(), expanded));
        }
    }
    Some(splice(body, edits))
}

/// Feeds the prompt from front to back to a `Walk` and collects what changed.
fn walk(
    counter: &mut Counter,
    plan: &Plan,
    format: Format,
    (body, prompt): (&str, &Prompt),
    edits: &mut Vec<(Span, String)>,
) -> Packed {
    let mut packed = Packed::default();
    let framing = framing(format);
    let mut walk = Walk::new(rules(plan, format, prompt));
    walk.fixed(framing.fixed);
    let mut messages = 0;
    for part in &prompt.parts {
        walk.fixed((part.message - messages) * framing.message);
        messages = part.message;
        match part.role {
            Role::Image => walk.fixed(IMAGE_TOKENS),
            Role::Reset => walk.reset(),
            _ => {}
        }
        let Some(text) = text_of(body, part) else {
            continue;
        };
        let Some(place) = place(part.role).filter(|_| plan.mode != Mode::Off) else {
            let tokens = counter.count(&text) as u64;
            walk.fixed(tokens);
            packed.texts.extend(failed(plan, part.role, tokens));
            if plan.mode != Mode::Off {
                visible(part.role, text, |text, source| walk.visible(text, source));
            }
            continue;
        };
        let at = walk.sent();
        let is_read = is_read(body, prompt, part.role, &text);
        let literal_bytes = part.span.len();
        let candidate = Candidate { text, place, is_read, literal_bytes };
        let sent = walk.text(candidate, &mut |text| counter.count(text));
        for (pass, saved) in &sent.saved {
            *packed.per_pass.entry(pass).or_default() += saved;
        }
        if let Some(text) = sent.changed {
            packed.cuts.push(Cut { at, saved: sent.before as i64 - sent.after as i64 });
            edits.push((part.span.clone(), text));
        }
        let (before, after, left) = (sent.before, sent.after, sent.left);
        packed.texts.push(Looked { place, before, after, saved: sent.saved, left });
    }
    walk.fixed((prompt.messages - messages) * framing.message);
    Packed { before: walk.received(), after: walk.sent(), ..packed }
}

fn rules(plan: &Plan, format: Format, prompt: &Prompt) -> Rules {
    // Prefixes shorter than this are not cached, and a cached token costs a tenth.
    let floor = match format {
        Format::Messages if prompt.cache_mark => 4096,
        Format::Messages => 0,
        Format::Chat | Format::Responses | Format::Gemini => 1024,
    };
    Rules {
        level: plan.level,
        threshold: plan.threshold,
        floor,
        preserve_json: plan.preserve_json,
        preserve_code: plan.preserve_code,
        pointers: !prompt.edits_history,
    }
}

/// Tokens that providers put around the texts, about.
struct Framing {
    fixed: u64,
    message: u64,
}

fn framing(format: Format) -> Framing {
    match format {
        Format::Messages => Framing { fixed: 8, message: 4 },
        Format::Chat | Format::Responses | Format::Gemini => Framing { fixed: 3, message: 3 },
    }
}

/// The text of a part. `None` for images and resets, and for a literal that no text can be (a
/// lone surrogate): that is neither counted nor changed.
fn text_of<'a>(body: &'a str, part: &Part) -> Option<Cow<'a, str>> {
    let raw = &body[part.span.clone()];
    match part.role {
        Role::Image | Role::Reset => None,
        _ if raw.starts_with('"') => json::decode(raw),
        _ => Some(Cow::Borrowed(raw)),
    }
}

/// Where a part stands, if it may be changed at all.
fn place(role: Role) -> Option<Place> {
    match role {
        Role::Typed { number } => Some(Place::Typed { number }),
        Role::Result(ToolResult { number, part, error: false, .. }) => {
            Some(Place::Result { number, part })
        }
        _ => None,
    }
}

/// Passes on what later texts may point at although it is never changed itself: the strings in
/// the input of a tool call, and results that report an error.
fn visible<'b>(role: Role, text: Cow<'b, str>, mut each: impl FnMut(Cow<'b, str>, Source)) {
    match role {
        Role::Input { number } => {
            inputs::strings(&text, |key, text| each(text, Source::Input { number, key }));
        }
        Role::Result(ToolResult { number, part, error: true, .. }) => {
            each(text, Source::Text(Place::Result { number, part }));
        }
        _ => {}
    }
}

/// What there is to say of a result that reports an error: it is never changed.
fn failed(plan: &Plan, role: Role, tokens: u64) -> Option<Looked> {
    let Role::Result(ToolResult { number, part, error: true, .. }) = role else { return None };
    let place = Place::Result { number, part };
    let (before, after, saved) = (tokens, tokens, Vec::new());
    let left = Some(Left::Error);
    (plan.mode != Mode::Off).then_some(Looked { place, before, after, saved, left })
}

/// Whether this is a file that was read; a small text might as well be.
fn is_read(body: &str, prompt: &Prompt, role: Role, text: &str) -> bool {
    let Role::Result(result) = role else {
        return false;
    };
    let call = result.call.map(|index| &prompt.calls[index]);
    let content = |span: &Span| match &body[span.clone()] {
        raw if raw.starts_with('"') => json::decode(raw).unwrap_or_default(),
        raw => Cow::Borrowed(raw),
    };
    let call =
        call.map(|call| compress::Call { name: content(&call.name), input: content(&call.input) });
    compress::is_read(call.as_ref(), text)
}

/// The body with the literals at these spans replaced; every other byte as it was.
fn splice(body: &str, mut edits: Vec<(Span, String)>) -> Vec<u8> {
    // The body's order is not the prefix order.
    edits.sort_by_key(|(span, _)| span.start);
    let mut out = Vec::with_capacity(body.len());
    let mut at = 0;
    for (span, text) in edits {
        out.extend_from_slice(&body.as_bytes()[at..span.start]);
        json::encode(&text, &mut out);
        at = span.end;
    }
    out.extend_from_slice(&body.as_bytes()[at..]);
    out
}

#[cfg(test)]
mod tests;
