//! The texts of a request in the order in which the provider puts them before the model.
//!
//! That order is tools, system, messages from front to back, whatever the order of the body's
//! keys; prompt caches work on it and so does everything we decide. A part that we do not know
//! is passed over, or counted if it is plainly text; a body that says one thing twice is not
//! understood at all, because providers disagree about which of the two counts.

mod chat;
mod demand;
mod elsewhere;
mod gemini;
mod messages;
mod responses;
mod wrapped;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::Format;
use crate::json::{self, Reader, Span};
pub(crate) use demand::Demand;
use demand::Demands;
use wrapped::Wrapper;

/// What we read from a request. Spans are byte ranges of the body.
#[derive(Debug, Default)]
pub(crate) struct Prompt {
    /// `None` where the body does not say: Gemini has the model in the path.
    pub(crate) model: Option<String>,
    /// Whether the body asks for a stream. Gemini says this in the path, too.
    pub(crate) stream: bool,
    /// Whether the client marks places for the provider's prompt cache (`cache_control`).
    pub(crate) cache_mark: bool,
    /// Whether the model may see another history than this body: the provider clears parts of it,
    /// or adds what it kept from before.
    pub(crate) edits_history: bool,
    /// What one more line in the answer would break.
    pub(crate) demand: Option<Demand>,
    /// Behind `"stream":true`, where the body says nothing of how it is to be streamed.
    options_at: Option<usize>,
    /// How many messages, or items of a Responses input, there are.
    pub(crate) messages: u64,
    /// In prefix order.
    pub(crate) parts: Vec<Part>,
    pub(crate) calls: Vec<Call>,
}

impl Prompt {
    /// Where the options of a stream can be put into a body that was `received` bytes long and is
    /// `sent` long by changes in its messages; `None` where there is no stream, or the client has chosen.
    pub(crate) fn options_at(&self, received: usize, sent: usize) -> Option<usize> {
        let at = self.options_at?;
        // The messages stand all before it, or all behind it.
        let is_before = self.parts.last().is_none_or(|part| part.span.start > at);
        if is_before { Some(at) } else { (sent + at).checked_sub(received) }
    }
}

/// One text of the prompt, or something that stands between texts.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) span: Span,
    pub(crate) spelling: Spelling,
    /// How many messages have begun when this part comes: 0 for tools and system.
    pub(crate) message: u64,
    pub(crate) role: Role,
}

/// How a part's span spells its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// A string literal, quotes included; or JSON that is no string, which is its own text.
    Value,
    /// A string literal in the JSON that another one holds: its quotes are escaped.
    Wrapped,
    /// Some of what stands between the quotes of a string literal.
    Inside,
}

impl Part {
    /// Its text. `None` for images and resets, and for a literal that no text can be (a lone surrogate).
    pub(crate) fn text<'a>(&self, body: &'a str) -> Option<Cow<'a, str>> {
        let raw = &body[self.span.clone()];
        match (self.role, self.spelling) {
            (Role::Image | Role::Reset, _) => None,
            (_, Spelling::Wrapped) => {
                Some(json::decode(&json::unescape(raw)?)?.into_owned().into())
            }
            (_, Spelling::Inside) => json::unescape(raw),
            (_, Spelling::Value) if raw.starts_with('"') => json::decode(raw),
            (_, Spelling::Value) => Some(Cow::Borrowed(raw)),
        }
    }

    /// What another text must be like to take its place: the body must be read as before.
    pub(crate) fn takes(&self) -> fn(&str) -> bool {
        match (self.role, self.spelling) {
            (_, Spelling::Wrapped) => wrapped::is_text,
            (Role::Result(_), _) => wrapped::is_bare,
            _ => |_| true,
        }
    }

    /// Appends another text in its place, spelled as it was.
    pub(crate) fn spell(&self, text: &str, out: &mut Vec<u8>) {
        json::encode(text, out);
        if self.spelling == Spelling::Wrapped {
            // The literal once more, as what stands between the quotes of another one.
            let start = out.len() - json::encoded_len(text);
            let literal = String::from_utf8(out.split_off(start)).unwrap_or_default();
            json::encode(&literal, out);
            out.pop();
            out.remove(start);
        }
    }
}

/// What a part is. Only `Typed` and `Result` may ever be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Tools,
    /// System prompt, developer message, instructions.
    System,
    /// Text of a user message. `number` counts them from 1, anew after a `Reset`.
    Typed {
        number: u64,
    },
    /// Text or thinking of the model.
    Assistant,
    /// The input of a tool call. `number` counts calls from 1, anew after a `Reset`.
    Input {
        number: u64,
    },
    /// Text that a tool gave back.
    Result(ToolResult),
    Image,
    /// A compaction: the model does not see what is above it.
    Reset,
    /// Text that we count and leave alone.
    Other,
}

/// Which result a text belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ToolResult {
    /// Counts results from 1, errors included, anew after a `Reset`.
    pub(crate) number: u64,
    /// Which text of the result this is, from 1, if there are several.
    pub(crate) part: Option<u64>,
    pub(crate) error: bool,
    /// Index into `Prompt::calls`; `None` if no earlier call has the result's id.
    pub(crate) call: Option<usize>,
}

/// A tool call. Both spans are as in `Part::span`; a literal input holds JSON, or free text.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) name: Span,
    pub(crate) input: Span,
}

/// Reads a request body. `None` if it is not understood: it must then be sent as it came.
pub(crate) fn read(format: Format, body: &[u8]) -> Option<Prompt> {
    read_text(format, std::str::from_utf8(body).ok()?)
}

/// The same for a body that is known to be text.
pub(crate) fn read_text(format: Format, body: &str) -> Option<Prompt> {
    match format {
        Format::Messages => messages::read(body),
        Format::Chat => chat::read(body),
        Format::Responses => responses::read(body),
        Format::Gemini => gemini::read(body),
    }
}

/// The value at `span` as text, if it is a string that can be one.
fn text_at<'a>(body: &'a str, span: &Option<Span>) -> Option<Cow<'a, str>> {
    json::decode(&body[span.clone()?])
}

fn is(body: &str, span: &Option<Span>, what: &str) -> bool {
    text_at(body, span).is_some_and(|text| text == what)
}

/// Whether a member is there and not null.
fn is_set(body: &str, span: &Option<Span>) -> bool {
    span.as_ref().is_some_and(|span| &body[span.clone()] != "null")
}

fn first_byte(body: &str, span: &Span) -> u8 {
    body.as_bytes()[span.start]
}

/// The top level of a body: one object, nothing after it, `keys` at most once. `item` reads the
/// elements of the array under the first of them; given back is where the values of the others
/// are, and that of the first if it is no array; and whether another member lets the model read more or
/// less than the body. All others are passed over.
fn top_level<'a, const N: usize>(
    parts: &mut Parts<'a>,
    keys: [&str; N],
    mut item: impl FnMut(&mut Parts<'a>, &mut Reader<'a>) -> Option<()>,
) -> Option<([Option<Span>; N], bool)> {
    let body = parts.body;
    let mut is_elsewhere = false;
    let mut seen = [false; N];
    let mut found = [const { None }; N];
    let mut reader = Reader::new(body);
    reader.object(|reader, key| {
        let Some(index) = keys.iter().position(|wanted| *wanted == key) else {
            let value = reader.value()?;
            parts.demands.member(key, &body[value.clone()]);
            is_elsewhere |= elsewhere::is_elsewhere(body, key, value);
            return (!json::is_one_of(key, &keys)).then_some(());
        };
        if std::mem::replace(&mut seen[index], true) {
            return None;
        }
        if index == 0 && reader.peek() == b'[' {
            return reader.array(|reader| item(parts, reader));
        }
        let value = reader.value()?;
        parts.demands.member(key, &body[value.clone()]);
        found[index] = Some(value);
        Some(())
    })?;
    reader.end()?;
    Some((found, is_elsewhere))
}

/// Reads the elements of an array, one after the other. What is no array has none.
fn elements<'a>(
    body: &'a str,
    span: &Option<Span>,
    element: impl FnMut(&mut Reader<'a>) -> Option<()>,
) -> Option<()> {
    match span {
        Some(span) if first_byte(body, span) == b'[' => Reader::within(body, span).array(element),
        _ => Some(()),
    }
}

/// With these, tools are offered to programs: Anthropic's and OpenAI's programmatic tool calling.
const PROGRAMS: [&str; 2] = ["\"allowed_callers\"", "\"programmatic_tool_calling\""];

/// Arrays in messages that are longer are passed over, and read when their message is known.
const FEW: usize = 64;

/// The named members of an optional object.
fn members_of<const N: usize>(
    body: &str,
    span: &Option<Span>,
    keys: [&str; N],
) -> Option<[Option<Span>; N]> {
    match span {
        Some(span) => json::members(body, span, keys),
        None => Some([const { None }; N]),
    }
}

fn is_string(body: &str, span: &Span) -> bool {
    first_byte(body, span) == b'"'
}

/// The tools of a list that are before the model from the beginning: of one with tools that it is told of
/// only when it looks for them, all others.
fn loaded(body: &str, tools: &Span) -> Vec<Span> {
    let whole = || vec![tools.clone()];
    let is_any =
        memchr::memmem::find(body[tools.clone()].as_bytes(), b"\"defer_loading\"").is_some();
    if !is_any || first_byte(body, tools) != b'[' {
        return whole();
    }
    let mut loaded = Vec::new();
    let read = Reader::within(body, tools).array(|reader| {
        let tool = reader.value()?;
        let is_deferred = first_byte(body, &tool) == b'{'
            && is_true(body, &json::members(body, &tool, ["defer_loading"])?[0]);
        loaded.extend((!is_deferred).then_some(tool));
        Some(())
    });
    read.map_or_else(whole, |()| loaded)
}

fn is_true(body: &str, span: &Option<Span>) -> bool {
    span.as_ref().is_some_and(|span| &body[span.clone()] == "true")
}

/// Collects the parts of the messages. Tools and system go into their own instance, because a
/// body may name them last.
struct Parts<'a> {
    body: &'a str,
    list: Vec<Part>,
    calls: Vec<Call>,
    call_of_id: HashMap<&'a str, usize>,
    /// Ids of calls that a program made, not the model.
    program_calls: HashSet<&'a str>,
    /// Programs that have begun, and whose output has not come.
    programs: usize,
    messages: u64,
    results: u64,
    typed: u64,
    called: u64,
    cache_mark: bool,
    demands: Demands,
}

impl<'a> Parts<'a> {
    fn new(body: &'a str) -> Parts<'a> {
        Parts {
            body,
            list: Vec::new(),
            calls: Vec::new(),
            call_of_id: HashMap::new(),
            program_calls: HashSet::new(),
            programs: 0,
            messages: 0,
            results: 0,
            typed: 0,
            called: 0,
            cache_mark: false,
            demands: Demands::default(),
        }
    }

    fn push(&mut self, span: Span, role: Role) {
        self.push_as(span, Spelling::Value, role);
    }

    fn push_as(&mut self, span: Span, spelling: Spelling, role: Role) {
        self.list.push(Part { span, spelling, message: self.messages, role });
    }

    fn tools(&mut self, tools: &Option<Span>) {
        if let Some(span) = tools
            && first_byte(self.body, span) == b'['
        {
            let loaded = loaded(self.body, span);
            loaded.into_iter().for_each(|span| self.push(span, Role::Tools));
        }
    }

    /// A text of somebody; not a string, not a text.
    fn text(&mut self, span: &Option<Span>, role: Role) {
        if let Some(span) = span
            && is_string(self.body, span)
        {
            self.push(span.clone(), role);
        }
    }

    fn typed(&mut self, span: &Option<Span>) {
        let before = self.list.len();
        self.text(span, Role::Typed { number: self.typed + 1 });
        self.typed += (self.list.len() - before) as u64;
    }

    /// Notes a call under its id, which is compared as it is spelled.
    fn call(&mut self, id: Option<Span>, name: Option<Span>, input: Option<Span>) {
        self.called += u64::from(name.is_some() || input.is_some());
        if let Some(input) = &input {
            self.push(input.clone(), Role::Input { number: self.called });
        }
        if let (Some(name), Some(input)) = (name, input) {
            if let Some(id) = id {
                self.call_of_id.insert(&self.body[id], self.calls.len());
            }
            self.calls.push(Call { name, input });
        }
    }

    /// Whether a call is a program's: then the program reads what comes back, and the model does not
    /// see it. What calls in another way than we know is taken for a program.
    fn is_program(&self, caller: &Option<Span>) -> bool {
        let Some(caller) = caller.as_ref().filter(|span| &self.body[(*span).clone()] != "null")
        else {
            return self.programs > 0;
        };
        let kind = json::members(self.body, caller, ["type"]);
        !kind.is_some_and(|[kind]| is(self.body, &kind, "direct"))
    }

    /// A call, whoever made it; one of a program's is not before the model, nor will its result be.
    fn call_by(&mut self, caller: &Option<Span>, id: Option<Span>, of: [Option<Span>; 2]) {
        let [name, input] = of;
        match self.is_program(caller) {
            true => self.program_calls.extend(id.map(|id| &self.body[id])),
            false => self.call(id, name, input),
        }
    }

    /// Whether a result is for a program.
    fn is_for_program(&self, id: &Option<Span>) -> bool {
        let id = id.as_ref().map(|id| &self.body[id.clone()]);
        id.is_some_and(|id| self.program_calls.contains(id))
    }

    /// Begins a result and says which call it answers.
    fn result(&mut self, id: &Option<Span>, error: bool) -> ToolResult {
        self.results += 1;
        let id = id.as_ref().map(|id| &self.body[id.clone()]);
        let call = id.and_then(|id| self.call_of_id.get(id)).copied();
        ToolResult { number: self.results, part: None, error, call }
    }

    /// The texts of a result, which are string literals, and each of which may be a wrapper.
    fn result_texts(&mut self, mut result: ToolResult, texts: &[Span]) {
        let read = |text| wrapped::in_literal(self.body, text);
        let wrappers: Vec<Option<Wrapper>> = texts.iter().map(read).collect();
        result.error |= wrappers.iter().flatten().any(|wrapper| wrapper.is_error);
        let count: usize =
            wrappers.iter().map(|wrapper| wrapper.as_ref().map_or(1, |it| it.texts.len())).sum();
        let mut numbers = 1..;
        let mut next = || {
            let part = numbers.next().filter(|_| count > 1);
            Role::Result(ToolResult { part, ..result })
        };
        for (text, wrapper) in texts.iter().zip(wrappers) {
            let Some(wrapper) = wrapper else {
                self.push(text.clone(), next());
                continue;
            };
            for rest in wrapper.rest(text.start + 1..text.end - 1) {
                self.push_as(rest, Spelling::Inside, Role::Other);
            }
            for text in wrapper.texts {
                self.push_as(text, Spelling::Wrapped, next());
            }
        }
    }

    fn reset(&mut self, span: Span) {
        self.push(span, Role::Reset);
        (self.results, self.typed, self.called) = (0, 0, 0);
    }

    fn mark(&mut self, cache_control: &Option<Span>) {
        self.cache_mark |= is_set(self.body, cache_control);
    }

    /// A result whose call is not here may be for a program, where tools may be called by programs.
    fn leave_doubtful(&mut self) {
        let body = self.body.as_bytes();
        let has = |word: &str| memchr::memmem::find(body, word.as_bytes()).is_some();
        let is_lost =
            |part: &&mut Part| matches!(part.role, Role::Result(ToolResult { call: None, .. }));
        let mut lost = self.list.iter_mut().filter(is_lost).peekable();
        if lost.peek().is_some() && PROGRAMS.into_iter().any(has) {
            lost.for_each(|part| part.role = Role::Other);
        }
    }

    /// Puts together what was read, in prefix order.
    fn prompt(mut self, tools: Option<Span>, system: Vec<Part>) -> Prompt {
        self.leave_doubtful();
        let tools = tools.filter(|span| matches!(first_byte(self.body, span), b'[' | b'{'));
        let spelling = Spelling::Value;
        let tools = tools.into_iter().flat_map(|span| loaded(self.body, &span));
        let tools: Vec<Part> =
            tools.map(|span| Part { span, spelling, message: 0, role: Role::Tools }).collect();
        Prompt {
            cache_mark: self.cache_mark,
            demand: self.demands.demand(),
            messages: self.messages,
            parts: tools.into_iter().chain(system).chain(self.list).collect(),
            calls: self.calls,
            ..Prompt::default()
        }
    }
}

#[cfg(test)]
mod tests;
