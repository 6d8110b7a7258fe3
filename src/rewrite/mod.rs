//! Where wire, compress and tokens meet: a request body to a shorter one, and back.
//!
//! The client's own bytes are kept; only string literals of texts that became shorter are
//! replaced. Whatever is not understood, or gains nothing, is sent as it came.

mod calls;
pub(crate) mod cuts;
mod expand;
mod inputs;
mod memo;
mod read_prompt;

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use crate::compress::{
    self, Candidate, Level, Mode, Place, Recipe, Rules, Source, Unchanged, Walk,
};
use crate::json;
use crate::tokens::model::ChatOverhead;
use crate::tokens::{Counter, image};
use crate::wire::Format;
use crate::wire::prompt::{self, Demand, Part, Prompt, Role, Spelling, ToolResult};
use calls::Calls;
pub(crate) use expand::{Unexpanded, expand};
use memo::{Known, Progress};
pub(crate) use memo::{Memo, Scope};
pub(crate) use read_prompt::ReadPrompt;

/// The threshold of strict and hybrid unless it is set, in tokens.
const THRESHOLD_TOKENS: u64 = 4500;

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
    pub(crate) reach: Reach,
}

/// Which texts a plan is for, where a conversation has begun in another way. Messages count from 1, as
/// in `Part::message`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    /// So many messages stay as they came.
    pub(crate) from: u64,
    /// So many have been sent, and nothing was cut yet.
    pub(crate) known: u64,
    /// Those behind so many stay as they came.
    pub(crate) until: u64,
    /// The first text that was cut, counted from 1, and the tokens that were sent before it.
    pub(crate) began: Option<(u32, u64)>,
    /// `None`: what fits this request.
    pub(crate) floor: Option<u64>,
}

impl Reach {
    const ALL: Reach = Reach { from: 0, known: 0, until: u64::MAX, began: None, floor: None };

    fn leaves(&self, message: u64) -> bool {
        message <= self.from.max(self.known) && message > 0 || message > self.until
    }
}

impl Plan {
    /// A mode with the level and threshold that it brings.
    pub(crate) fn of(mode: Mode) -> Plan {
        let threshold = if mode == Mode::Aggressive { 0 } else { THRESHOLD_TOKENS };
        Plan {
            mode,
            level: mode.level(),
            threshold,
            preserve_json: false,
            preserve_code: true,
            reach: Reach::ALL,
        }
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
    /// The provider has refused changed bodies. The caller decides this one too, and the next.
    Refused,
    /// What came before was sent elsewhere, and stays as it came.
    UnknownHistory,
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
            Skip::UnknownHistory => "unknown-history",
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
pub(crate) struct TextOutcome {
    pub(crate) place: Place,
    /// Tokens as received and as sent.
    pub(crate) before: u64,
    pub(crate) after: u64,
    /// Tokens saved by each pass that was kept, in running order.
    pub(crate) saved: Vec<(&'static str, u64)>,
    /// `None` if a pass was kept.
    pub(crate) left: Option<Unchanged>,
}

/// What became of a request.
#[derive(Debug, Default)]
pub(crate) struct Rewritten {
    /// `None`: send what the client sent.
    pub(crate) body: Option<Vec<u8>>,
    /// Tokens of the prompt as received and as sent. Both 0 if it is unreadable.
    pub(crate) before: u64,
    pub(crate) after: u64,
    /// In prefix order.
    pub(crate) cuts: Vec<Cut>,
    /// Tokens saved by each pass.
    pub(crate) per_pass: BTreeMap<&'static str, u64>,
    /// Every text of a tool or the user, in prefix order. Empty if the mode is off, and where a
    /// memo is at work.
    #[allow(dead_code)]
    pub(crate) texts: Vec<TextOutcome>,
    /// As in `Reach`: where cutting began, and the floor. `None`: nothing was cut; it was not asked for.
    pub(crate) began: Option<(u32, u64)>,
    pub(crate) floor: Option<u64>,
    /// `None` if something was saved.
    pub(crate) skip: Option<Skip>,
    /// `None` if the body does not say; for Gemini it stands in the path.
    pub(crate) model: Option<String>,
    /// Whether the body asks for a stream; for Gemini the path says so.
    pub(crate) stream: bool,
    /// What one more line in the answer would break.
    pub(crate) demand: Option<Demand>,
}

/// Counts a request and makes it smaller if the plan wants that and it pays.
pub(crate) fn rewrite(
    counter: &mut Counter,
    plan: &Plan,
    format: Format,
    body: &[u8],
) -> Rewritten {
    run(counter, plan, format, body, None)
}

/// The same with the same result, in less time if the beginning of this prompt was rewritten before.
///
/// The proxy has read its prompts itself: this is for tests and benchmarks.
#[allow(dead_code)]
pub(crate) fn rewrite_in(
    scope: Scope,
    counter: &mut Counter,
    plan: &Plan,
    format: Format,
    body: &[u8],
) -> Rewritten {
    run(counter, plan, format, body, Some(scope))
}

fn read(format: Format, body: &[u8]) -> Option<(&str, Prompt)> {
    let body = std::str::from_utf8(body).ok()?;
    Some((body, prompt::read_text(format, body)?))
}

fn run(
    counter: &mut Counter,
    plan: &Plan,
    format: Format,
    body: &[u8],
    scope: Option<Scope>,
) -> Rewritten {
    match read(format, body) {
        Some((body, prompt)) => walk(counter, (plan, format), body, &prompt, scope),
        None => Rewritten { skip: Some(Skip::Unreadable), ..Rewritten::default() },
    }
}

fn walk(
    counter: &mut Counter,
    (plan, format): (&Plan, Format),
    body: &str,
    prompt: &Prompt,
    scope: Option<Scope>,
) -> Rewritten {
    let chat_overhead = chat_overhead(format, &prompt.model);
    let walker = Walker { plan, format, body, prompt, chat_overhead: &chat_overhead };
    let mut rewritten = match scope.filter(|scope| scope.holds_any() && plan.mode != Mode::Off) {
        Some(scope) => walker.resume(counter, scope),
        None => walker.walk(counter),
    };
    rewritten.skip = match rewritten.per_pass.is_empty() {
        _ if plan.mode == Mode::Off => Some(Skip::Off),
        false => None,
        true if rewritten.before <= plan.threshold => Some(Skip::BelowThreshold),
        true => Some(Skip::NothingToGain),
    };
    let Prompt { stream, demand, .. } = *prompt;
    Rewritten { model: prompt.model.clone(), stream, demand, ..rewritten }
}

/// Of calls, by their parts: the texts in their inputs that later ones point at.
type Inputs<'b> = RefCell<HashMap<usize, HashMap<Option<Arc<str>>, Cow<'b, str>>>>;

/// What is rewritten, and by which plan.
#[derive(Clone, Copy)]
struct Walker<'b> {
    plan: &'b Plan,
    format: Format,
    body: &'b str,
    prompt: &'b Prompt,
    /// Tokens that the provider puts around the texts.
    chat_overhead: &'b ChatOverhead,
}

/// Texts as they are sent, with the numbers of their parts, which rise.
type Made = Vec<(usize, Rc<String>)>;

/// Of larger bodies the texts are not kept until the body is put together: they are made once more.
const MADE_BYTES_MAX: usize = 1024 * 1024;

impl<'b> Walker<'b> {
    /// All the way from the beginning.
    fn walk(self, counter: &mut Counter) -> Rewritten {
        let mut made = Made::default();
        let mut texts = Vec::new();
        let mut progress = Progress::default();
        let mut walk = Walk::new(rules(self.plan, self.format, self.prompt));
        walk.fixed(self.chat_overhead.fixed);
        self.feed(counter, &mut walk, &mut progress, |number, text, looked| {
            self.keep(&mut made, number, text);
            texts.push(looked);
        });
        let rewritten = self.rewritten(&walk, &progress);
        // Its texts are not looked at any more.
        drop(walk);
        Rewritten { texts, body: self.sent(&progress, made), ..rewritten }
    }

    /// From where an earlier prompt ended that this one begins with.
    fn resume(self, counter: &mut Counter, scope: Scope) -> Rewritten {
        let keys = scope.keys(
            &memo::settings(
                self.plan,
                self.format,
                self.prompt,
                floor(self.plan, self.format, self.prompt),
            ),
            self.body,
            self.prompt,
        );
        let rules = rules(self.plan, self.format, self.prompt);
        let (mut walk, mut progress) = match scope.longest(&keys) {
            None => {
                let mut walk = Walk::new(rules);
                walk.fixed(self.chat_overhead.fixed);
                (walk, Progress::default())
            }
            Some(known) => {
                let progress = known.progress.clone();
                let inputs = Inputs::default();
                let load = Box::new({
                    let known = Arc::clone(&known);
                    move |part, source: &Source| match source {
                        Source::Input { key, .. } => self.input(&inputs, part, key),
                        Source::Text(_) => self.as_sent(&known.progress, part),
                    }
                });
                (Walk::resume(rules, &known.mark, load), progress)
            }
        };
        let is_new = progress.parts < keys.len();
        let mut made = Made::default();
        self.feed(counter, &mut walk, &mut progress, |number, text, _| {
            self.keep(&mut made, number, text);
        });
        let rewritten = self.rewritten(&walk, &progress);
        let mark = walk.mark();
        let body = self.sent(&progress, made);
        if is_new {
            scope.keep(&keys, Known { mark, progress });
        }
        Rewritten { body, ..rewritten }
    }

    /// Keeps a text that was made, unless that would be too much.
    fn keep(self, made: &mut Made, number: usize, text: Option<Rc<String>>) {
        if self.body.len() <= MADE_BYTES_MAX {
            made.extend(text.map(|text| (number, text)));
        }
    }

    /// The body with all that was done to its parts; `None` if that is nothing. What was not kept, or was
    /// done in an earlier turn, is done again.
    fn sent(self, progress: &Progress, made: Made) -> Option<Vec<u8>> {
        let part = |number: usize| &self.prompt.parts[number];
        let mut recipes: Vec<&(usize, Arc<Recipe>)> = progress.recipes.iter().collect();
        // The body's order is not the prefix order.
        recipes.sort_by_key(|(number, _)| part(*number).span.start);
        let edits = recipes.iter().filter_map(|(number, recipe)| {
            let again = || {
                let text = self.prompt.parts[*number].text(self.body)?;
                Some(Rc::new(recipe.apply(&text).into_owned()))
            };
            let kept = made.binary_search_by_key(number, |(number, _)| *number);
            let text = kept.map_or_else(|_| again(), |at| Some(Rc::clone(&made[at].1)))?;
            Some((part(*number), text))
        });
        (!recipes.is_empty()).then(|| splice(self.body, edits))
    }

    /// A known text in the input of a call, by its key. All of an input are read at once, since each may
    /// be asked for.
    fn input(
        self,
        inputs: &Inputs<'b>,
        number: usize,
        key: &Option<Arc<str>>,
    ) -> Option<Cow<'b, str>> {
        let mut inputs = inputs.borrow_mut();
        let texts = inputs.entry(number).or_insert_with(|| {
            let mut texts = HashMap::new();
            let part = self.prompt.parts.get(number);
            if let Some(text) = part.and_then(|part| part.text(self.body)) {
                inputs::strings(text, |key, text| {
                    if compress::can_be_pointed_at(&text) {
                        texts.entry(key).or_insert(text);
                    }
                });
            }
            texts
        });
        texts.remove(key)
    }

    /// A known text as it is sent.
    fn as_sent(self, progress: &Progress, number: usize) -> Option<Cow<'b, str>> {
        let text = self.prompt.parts.get(number)?.text(self.body)?;
        let recipe = progress.recipes.binary_search_by_key(&number, |(number, _)| *number);
        Some(match recipe {
            Ok(at) => Cow::Owned(progress.recipes[at].1.apply(&text).into_owned()),
            Err(_) => text,
        })
    }

    /// Whether a part is the first of a list of tools that is not empty.
    fn begins_tools(&self, number: usize) -> bool {
        let parts = &self.prompt.parts;
        let follows = number > 0 && parts[number - 1].role == Role::Tools;
        !follows && parts[number].span.len() > "[]".len()
    }

    /// Feeds the parts that are not done yet to a walk. `each` gets what became of a text.
    fn feed(
        self,
        counter: &mut Counter,
        walk: &mut Walk<'b>,
        progress: &mut Progress,
        mut each: impl FnMut(usize, Option<Rc<String>>, TextOutcome),
    ) {
        let is_off = self.plan.mode == Mode::Off;
        let mut calls = Calls::new(self.body, self.prompt);
        let reach = &self.plan.reach;
        let mut ordinal = self.ordinal(progress.parts);
        for (number, part) in self.prompt.parts.iter().enumerate().skip(progress.parts) {
            walk.fixed((part.message - progress.messages) * self.chat_overhead.message);
            progress.messages = part.message;
            match part.role {
                Role::Image => walk.fixed(self.picture(part)),
                Role::Tools if self.begins_tools(number) => walk.fixed(self.chat_overhead.tools),
                Role::Input { .. } => walk.fixed(self.chat_overhead.call),
                Role::Reset => walk.reset(),
                _ => {}
            }
            ordinal += u32::from(place(part.role).is_some());
            let Some(text) = part.text(self.body) else {
                continue;
            };
            let is_left = is_off || reach.leaves(part.message);
            let Some(place) = place(part.role).filter(|_| !is_left) else {
                let tokens = counter.count(&text) as u64;
                walk.fixed(tokens);
                if !is_off {
                    visible(part.role, text, |text, source| walk.visible(text, source, number));
                    failed(part.role, tokens)
                        .into_iter()
                        .for_each(|looked| each(number, None, looked));
                }
                continue;
            };
            if let Some((began, at)) = reach.began {
                walk.pass_gates(ordinal.cmp(&began), at);
            }
            let at = walk.sent();
            let (is_read, language) = calls.file_read(part.role, &text);
            let leading = calls.leading(part.role);
            let is_wrapped = part.spelling == Spelling::Wrapped;
            // Its quotes are not counted as often as they are escaped.
            let literal_bytes = if is_wrapped { json::encoded_len(&text) } else { part.span.len() };
            let may_be = part.takes();
            let candidate = Candidate {
                text,
                place,
                part: number,
                is_read,
                leading,
                language,
                literal_bytes,
                may_be,
            };
            let sent = walk.text(candidate, &mut |text| counter.count(text));
            for (pass, saved) in &sent.saved {
                *progress.per_pass.entry(pass).or_default() += saved;
            }
            let (before, after) = (sent.before, sent.after);
            let looked = TextOutcome { place, before, after, saved: sent.saved, left: sent.left };
            let (text, recipe) = sent.changed.unzip();
            if let Some(recipe) = recipe {
                progress.cuts.push(Cut { at, saved: before as i64 - after as i64 });
                progress.recipes.push((number, Arc::new(recipe)));
            }
            each(number, text, looked);
        }
        progress.parts = self.prompt.parts.len();
    }

    fn picture(self, part: &Part) -> u64 {
        image::tokens(self.chat_overhead.picture, &self.body[part.span.clone()])
    }

    /// The sums. Messages after the last part have a frame, too.
    fn rewritten(self, walk: &Walk, progress: &Progress) -> Rewritten {
        let rest = (self.prompt.messages - progress.messages) * self.chat_overhead.message;
        let (before, after) = (walk.received() + rest, walk.sent() + rest);
        let (cuts, per_pass) = (progress.cuts.clone(), progress.per_pass.clone());
        // Words of ours are escaped wherever they stand.
        let first = progress.cuts.iter().position(|cut| cut.saved > 0);
        let began = first.map(|first| {
            let (number, at) = (progress.recipes[first].0, progress.cuts[first].at);
            (self.ordinal(number + 1), at)
        });
        let floor = Some(floor(self.plan, self.format, self.prompt));
        Rewritten { before, after, cuts, per_pass, began, floor, ..Rewritten::default() }
    }

    /// How many of the first parts are texts that may be changed.
    fn ordinal(self, parts: usize) -> u32 {
        let parts = self.prompt.parts.iter().take(parts);
        parts.filter(|part| place(part.role).is_some()).count() as u32
    }
}

/// Prefixes shorter than this are not cached, and a cached token costs a tenth.
fn floor(plan: &Plan, format: Format, prompt: &Prompt) -> u64 {
    plan.reach.floor.unwrap_or(match format {
        Format::Messages if prompt.cache_mark => 4096,
        Format::Messages => 0,
        Format::Chat | Format::Responses | Format::Gemini => 1024,
    })
}

fn rules(plan: &Plan, format: Format, prompt: &Prompt) -> Rules {
    let floor = floor(plan, format, prompt);
    Rules {
        level: plan.level,
        threshold: plan.threshold,
        floor,
        preserve_json: plan.preserve_json,
        preserve_code: plan.preserve_code,
        pointers: !prompt.edits_history,
    }
}

fn chat_overhead(format: Format, model: &Option<String>) -> ChatOverhead {
    let model = model.as_deref().unwrap_or_default();
    match format {
        Format::Messages => ChatOverhead::anthropic(model),
        Format::Chat | Format::Responses => ChatOverhead::openai(model),
        Format::Gemini => ChatOverhead::gemini(),
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

/// Passes on what later texts may point at although it is not changed itself: the strings in the
/// input of a tool call, and results that report an error or were sent as they came.
fn visible<'b>(role: Role, text: Cow<'b, str>, mut each: impl FnMut(Cow<'b, str>, Source)) {
    match role {
        Role::Input { number } => {
            inputs::strings(text, |key, text| each(text, Source::Input { number, key }));
        }
        Role::Result(ToolResult { number, part, .. }) => {
            each(text, Source::Text(Place::Result { number, part }));
        }
        _ => {}
    }
}

/// What there is to say of a result that reports an error: it is never changed.
fn failed(role: Role, tokens: u64) -> Option<TextOutcome> {
    let Role::Result(ToolResult { number, part, error: true, .. }) = role else { return None };
    let place = Place::Result { number, part };
    let (before, after, saved) = (tokens, tokens, Vec::new());
    let left = Some(Unchanged::Error);
    Some(TextOutcome { place, before, after, saved, left })
}

/// The body with other texts in these parts, in its order; every other byte as it was.
fn splice<'p>(body: &str, edits: impl Iterator<Item = (&'p Part, Rc<String>)>) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut at = 0;
    for (part, text) in edits {
        out.extend_from_slice(&body.as_bytes()[at..part.span.start]);
        part.spell(&text, &mut out);
        at = part.span.end;
    }
    out.extend_from_slice(&body.as_bytes()[at..]);
    out
}

#[cfg(test)]
mod tests;
