//! What a request becomes before it is sent, and what of that can wait until it is.
//!
//! Only what decides the bytes stands before the first of them. Where nothing will be changed
//! whatever the counts are, they are made while the provider is thinking.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Context;
use super::catch_panic::catch_panic;
use super::deadlines::deadlines;
use super::event_loop::NO_MEMORY;
use super::event_loop::memory::BodyBuffer;
use super::large_bodies::legible;
use super::request::{Head, Refusal};
use super::setup::Setup;
use crate::compress::Mode;
use crate::footer;
use crate::forms::{self, ACCOUNT_HEADERS, Ask, Turn, is_lasting};
use crate::rewrite::{Plan, ReadPrompt, Rewritten, Scope, Skip};
use crate::route::{Route, query_keys};
use crate::tokens::{Counter, Counters};
use crate::wire::{Format, ask_usage};

/// Who is asked for the usage of streams.
const ASKED: &str = "https://api.openai.com/";

/// Between two looks for free memory.
const MEMORY_TICK: Duration = Duration::from_millis(20);

const TOO_LARGE_HERE: Refusal = Refusal {
    status: 413,
    why: "the conversation is too large to go on in the form in which it was sent; see \
          proxy.body_memory_mb",
};

/// What a request has become.
#[derive(Default)]
pub(super) struct Prepared<'b> {
    /// What is sent in the place of the client's bytes.
    pub(super) body: Option<Vec<u8>>,
    /// The body asks for the usage although the client's did not.
    pub(super) asks_usage: bool,
    /// What there is to be said of its tokens.
    pub(super) counts: Counts<'b>,
    /// The conversation, with what it is sent as; `None`: its messages are not understood.
    pub(super) turn: Option<Turn>,
    /// Of the memory for bodies, what `body` takes where that is much.
    _share: Option<BodyBuffer>,
    /// Why it cannot be sent.
    pub(super) refusal: Option<Refusal>,
}

/// The tokens of a prompt, or how they come to be known.
#[derive(Default)]
pub(super) enum Counts<'b> {
    /// The body is not looked into.
    #[default]
    Unread,
    Known(Box<Rewritten>),
    /// No count changes what is sent, so there is time for it while the provider thinks.
    Later(ReadPrompt<'b>),
}

impl From<Rewritten> for Counts<'_> {
    fn from(rewritten: Rewritten) -> Self {
        Counts::Known(Box::new(rewritten))
    }
}

impl Prepared<'_> {
    /// Of a body that is passed on while it comes nothing is known.
    pub(super) fn streamed() -> Self {
        Prepared { counts: Rewritten::default().into(), ..Prepared::default() }
    }

    /// By which plan; `usual` where nothing is known.
    pub(super) fn plan(&self, usual: &Plan) -> Plan {
        self.turn.as_ref().map_or(*usual, Turn::plan)
    }
}

/// Who asks for what, by which settings.
#[derive(Clone, Copy)]
pub(super) struct Preparing<'a> {
    pub(super) context: &'a Arc<Context>,
    pub(super) setup: &'a Arc<Setup>,
    pub(super) head: &'a Head,
    pub(super) plan: &'a Plan,
    pub(super) route: &'a Route,
    /// The provider has refused changed bodies lately.
    pub(super) is_paused: bool,
}

impl Preparing<'_> {
    /// All there is to do for a large body that may be changed; `None` for others: what no count can
    /// change is counted later.
    pub(super) fn prepare_large(
        &self,
        original: &mut Option<BodyBuffer>,
    ) -> Option<Prepared<'static>> {
        let large = &self.context.large;
        let is_work = |held: &mut BodyBuffer| {
            let forms = &self.context.forms;
            let may_change =
                self.plan.mode != Mode::Off || forms.may_have_cut(&self.context.ledger);
            may_change && large.is_heavy(&held.bytes) && self.format_of(&held.bytes).is_some()
        };
        let held = original.take_if(is_work)?;
        let Some(share) = self.share(&held.bytes) else {
            *original = Some(held);
            return Some(Prepared { refusal: Some(NO_MEMORY), ..Prepared::default() });
        };
        let request = Request {
            context: Arc::clone(self.context),
            setup: Arc::clone(self.setup),
            head: self.head.clone(),
            plan: *self.plan,
            route: self.route.clone(),
            is_paused: self.is_paused,
        };
        let (held, prepared) = large.run(move || request.prepare(held));
        *original = Some(held);
        // Nothing was changed, and nothing is taken.
        let share = share.filter(|_| prepared.body.is_some());
        Some(Prepared { _share: share, ..prepared })
    }

    /// What a copy of a body takes of the memory for bodies, which it may have to wait for; nothing of
    /// ordinary ones, which have a part of that memory. `None`: it has not become free.
    fn share(&self, body: &[u8]) -> Option<Option<BodyBuffer>> {
        if body.len() <= self.setup.config.large_bytes() {
            return Some(None);
        }
        let mut share = BodyBuffer::new(&self.context.memory);
        let end = Instant::now() + deadlines().body;
        while !share.reserve(body.len()) {
            if Instant::now() > end {
                return None;
            }
            std::thread::sleep(MEMORY_TICK);
        }
        Some(Some(share))
    }

    /// Takes our footers out, compresses, and asks for the usage. Whatever is in doubt goes out as
    /// it came.
    pub(super) fn prepare<'b>(&self, body: &'b [u8]) -> Prepared<'b> {
        let unread = || Prepared { counts: unread().into(), ..Prepared::default() };
        with_care(&self.context.counters, unread, |counter| self.understood(counter, body))
    }

    fn understood<'b>(&self, counter: &mut Counter, body: &'b [u8]) -> Prepared<'b> {
        let Some(format) = self.format_of(body) else { return self.as_it_came(body) };
        let turn = self.turn(format, body);
        self.in_form(counter, (format, turn), body)
    }

    /// A body that is not looked into. One that is too large, and has thoughts that are bound to the form in
    /// which it was sent while it was not, would be refused; to say so costs less.
    fn as_it_came(&self, body: &[u8]) -> Prepared<'static> {
        let format = self.route.format.filter(|_| self.unread(body) == Some(Skip::Large));
        let turn = format.and_then(|format| self.turn(format, body));
        let is_bound = turn.is_some_and(|turn| turn.is_cut()) && forms::is_bound(body);
        Prepared { refusal: is_bound.then_some(TOO_LARGE_HERE), ..Prepared::default() }
    }

    /// Makes of a body what its conversation is sent as, and remembers that.
    fn in_form<'b>(
        &self,
        counter: &mut Counter,
        (format, turn): (Format, Option<Turn>),
        body: &'b [u8],
    ) -> Prepared<'b> {
        let plan = turn.as_ref().map_or(*self.plan, Turn::plan);
        match footer::strip_footers(format, body) {
            None => match ReadPrompt::read(format, body) {
                Some(prompt) if prompt.stays(&plan) => self.unchanged(prompt, (turn, &plan), body),
                prompt => self.rewritten(counter, prompt, (turn, &plan), body),
            },
            Some(stripped) => {
                let prompt = ReadPrompt::read(format, &stripped);
                let prepared = self.rewritten(counter, prompt, (turn, &plan), &stripped);
                let body = prepared.body.or(Some(stripped));
                Prepared { body, ..prepared }
            }
        }
    }

    /// A body that nothing but the wish for its usage can change: it is counted later.
    fn unchanged<'b>(
        &self,
        prompt: ReadPrompt<'b>,
        (mut turn, plan): (Option<Turn>, &Plan),
        body: &[u8],
    ) -> Prepared<'b> {
        self.keep(&mut turn, None);
        let is_off = plan.mode == Mode::Off;
        let skip = Some(if is_off { Skip::Off } else { Skip::BelowThreshold });
        let asks = self.may_ask_usage(prompt.is_stream(), told(&turn, skip));
        let body = asks.then(|| ask_usage::inject(body, prompt.options_at(body.len())?)).flatten();
        let (asks_usage, counts) = (body.is_some(), Counts::Later(prompt));
        Prepared { body, asks_usage, counts, turn, ..Prepared::default() }
    }

    /// A body that was counted, and made smaller where that pays. `prompt` is what was read of it.
    fn rewritten(
        &self,
        counter: &mut Counter,
        prompt: Option<ReadPrompt>,
        (mut turn, plan): (Option<Turn>, &Plan),
        body: &[u8],
    ) -> Prepared<'static> {
        let rewrite = |prompt: &ReadPrompt| prompt.rewrite(self.scope(), counter, plan);
        let mut rewritten = prompt.as_ref().map_or_else(unread, rewrite);
        rewritten.skip = told(&turn, rewritten.skip);
        self.keep(&mut turn, Some(&rewritten));
        let asks = self.may_ask_usage(rewritten.stream, rewritten.skip);
        let ask = |prompt: &ReadPrompt| {
            let sent = rewritten.body.as_deref().unwrap_or(body);
            ask_usage::inject(sent, prompt.options_at(sent.len())?)
        };
        let asking = prompt.as_ref().filter(|_| asks).and_then(ask);
        let asks_usage = asking.is_some();
        let body = asking.or_else(|| rewritten.body.take());
        Prepared { body, asks_usage, counts: rewritten.into(), turn, ..Prepared::default() }
    }

    fn keep(&self, turn: &mut Option<Turn>, rewritten: Option<&Rewritten>) {
        let Context { forms, ledger, .. } = &**self.context;
        if let Some(turn) = turn {
            forms.keep(ledger, turn, rewritten);
        }
    }

    /// The body as if its history had been sent by us, where nobody knows how it was sent.
    pub(super) fn as_if_ours(&self, turn: &Turn, body: &[u8]) -> Option<Prepared<'static>> {
        let (format, turn) = (self.format_of(body)?, turn.as_if_ours()?);
        let make = |counter: &mut Counter| {
            let made = self.in_form(counter, (format, Some(turn)), body);
            let Prepared { body, asks_usage, turn, .. } = made;
            Some(Prepared { body, asks_usage, turn, ..Prepared::default() })
        };
        with_care(&self.context.counters, || None, make).filter(|made| made.body.is_some())
    }

    fn turn(&self, format: Format, body: &[u8]) -> Option<Turn> {
        let values = |names: &'static [&str]| names.iter().flat_map(|name| self.head.values(name));
        let credentials = self.head.credentials().filter(|value| is_lasting(value));
        let credentials = credentials.chain(values(&ACCOUNT_HEADERS));
        let credentials = credentials.chain(query_keys(self.head.target()).map(str::as_bytes));
        let ask = Ask {
            format,
            body,
            owner: self.context.forms.owner(credentials),
            present: *self.plan,
            is_paused: self.is_paused,
            is_shared: self.setup.config.shares_history,
        };
        self.context.forms.turn(&self.context.ledger, ask)
    }

    /// Counts what was left to be counted. `body` is what the client sent.
    pub(super) fn count(&self, prepared: &Prepared, counts: Counts, body: &[u8]) -> Rewritten {
        match (self.route.format, counts) {
            (_, Counts::Known(rewritten)) => *rewritten,
            (Some(_), Counts::Later(prompt)) => {
                let plan = prepared.plan(self.plan);
                let count = |counter: &mut Counter| prompt.count(counter, &plan);
                let rewritten = with_care(&self.context.counters, unread, count);
                let skip = told(&prepared.turn, rewritten.skip);
                Rewritten { skip, ..rewritten }
            }
            (Some(_), Counts::Unread) => {
                Rewritten { skip: self.unread(body), ..Rewritten::default() }
            }
            (None, _) => Rewritten::default(),
        }
    }

    /// The format of a body that is looked into.
    fn format_of(&self, body: &[u8]) -> Option<Format> {
        self.route.format.filter(|_| self.unread(body).is_none())
    }

    /// Why a body is not looked into.
    fn unread(&self, body: &[u8]) -> Option<Skip> {
        let is_coded = |coding: &[u8]| coding != b"identity";
        match () {
            () if self.head.header("content-encoding").is_some_and(is_coded) => Some(Skip::Encoded),
            () if body.len() <= self.setup.config.large_bytes() => None,
            // With its copy it has to fit into the memory for bodies.
            () if body.len() > self.context.memory.body_max() / 2 => Some(Skip::Large),
            () if legible(body) > self.setup.config.large_bytes() => Some(Skip::Large),
            () => None,
        }
    }

    /// Requests of different people know nothing of each other. Keys are told apart and never kept: a
    /// digest under a secret of this process is.
    fn scope(&self) -> Scope<'_> {
        self.context.memo.scope(self.head.credentials().chain([self.head.target().as_bytes()]))
    }

    /// OpenAI's own interface says what a stream cost only if asked to. Other servers may not know
    /// the option, whatever name they have here; and with compression off no byte is changed.
    fn may_ask_usage(&self, is_stream: bool, skip: Option<Skip>) -> bool {
        let is_untouched = matches!(skip, Some(Skip::Refused | Skip::Off));
        let is_openai =
            self.route.format == Some(Format::Chat) && self.route.url.starts_with(ASKED);
        self.setup.config.ask_usage && is_openai && is_stream && !is_untouched
    }
}

/// What `Preparing` is made of, for the thread of large bodies.
struct Request {
    context: Arc<Context>,
    setup: Arc<Setup>,
    head: Head,
    plan: Plan,
    route: Route,
    is_paused: bool,
}

impl Request {
    /// Gives the body back with what became of it, which holds nothing of it.
    fn prepare(self, body: BodyBuffer) -> (BodyBuffer, Prepared<'static>) {
        let Request { context, setup, head, plan, route, is_paused } = &self;
        let Some(_reservation) = context.large.reserve(&body.bytes) else {
            let counts = unchanged(Skip::Large).into();
            return (body, Prepared { counts, ..Prepared::default() });
        };
        let preparing = Preparing { context, setup, head, plan, route, is_paused: *is_paused };
        let mut prepared = preparing.prepare(&body.bytes);
        let counts = std::mem::take(&mut prepared.counts);
        let counts = preparing.count(&prepared, counts, &body.bytes).into();
        let Prepared { body: sent, asks_usage, turn, refusal, .. } = prepared;
        (body, Prepared { body: sent, asks_usage, counts, turn, refusal, _share: None })
    }
}

/// What `look` gives. A body that cannot be looked into without a panic is one that we do not
/// understand, and whatever the panic left in the counter is thrown away.
fn with_care<T>(
    counters: &Counters,
    unread: impl FnOnce() -> T,
    look: impl FnOnce(&mut Counter) -> T,
) -> T {
    catch_panic(|| counters.lend(look)).unwrap_or_else(unread)
}

/// The reason why nothing was saved, as the conversation's form has it.
fn told(turn: &Option<Turn>, skip: Option<Skip>) -> Option<Skip> {
    turn.as_ref().map_or(skip, |turn| turn.skip(skip))
}

fn unread() -> Rewritten {
    unchanged(Skip::Unreadable)
}

fn unchanged(skip: Skip) -> Rewritten {
    Rewritten { skip: Some(skip), ..Rewritten::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Environment};
    use crate::json;
    use crate::ledger::{Ledger, WriterSettings};
    use crate::proxy::local::guard;
    use crate::proxy::request::HeadReader;
    use crate::proxy::{Report, record};
    use crate::rewrite::rewrite;
    use crate::tokens::Memo;

    #[test]
    fn what_cannot_be_prepared_goes_out_as_it_came() {
        let counters = Counters::new(Memo::new(|at| at as u64));
        let got = with_care(&counters, unread, |_| panic!("a fault, made for this test"));
        assert_eq!(got.body, None);
        assert_eq!(got.skip, Some(Skip::Unreadable), "and is not counted");
        // The next one finds a counter as good as new.
        let body = br#"{"model":"m","messages":[{"role":"user","content":"Hello"}]}"#;
        let got = with_care(&counters, unread, |counter| {
            rewrite(counter, &Plan::of(Mode::Off), Format::Chat, body)
        });
        assert!(got.before > 0);
    }

    /// From what is sent to the verdict on the footer: a body is read as a prompt once, whatever becomes of
    /// it, and once for the digests of its conversation, which are of the bytes of its messages.
    #[test]
    fn a_body_is_read_once() {
        let folder = std::env::temp_dir().join(format!("tokenpak-walks-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let around = Environment::of_process().in_home(folder.to_str().unwrap());
        let (config, _) = config::load(&around, None, &[]).unwrap();
        let keeping = WriterSettings { flush_ms: 60_000, retention_days: 0 };
        let ledger = Ledger::start(&folder.join("monitor.db"), keeping, |_| {});
        let setup = Setup::new(config.clone()).unwrap();
        let report: Report = Box::new(|_| {});
        let context = Context::new(setup, ledger, report, Box::new(|_| Ok(String::new())));
        let (context, setup) = (Arc::new(context), Arc::new(Setup::new(config).unwrap()));
        let head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n\
                     authorization: Bearer sk-proj-dummy\r\n\r\n";
        let (head, _) = HeadReader::default().read(head).unwrap().unwrap();
        let route = guard::route(&setup.config, &head).unwrap();
        let rows = "line one of the table\\n".repeat(2000);
        for text in ["Hello", &"word ".repeat(800), &"word ".repeat(2000), &rows] {
            for plan in [Mode::Off, Mode::Hybrid, Mode::Aggressive].map(Plan::of) {
                let body = format!(
                    r#"{{"model":"gpt-4o","stream":true,"messages":[{{"role":"user","content":"{text}"}}]}}"#
                );
                let preparing = Preparing {
                    context: &context,
                    setup: &setup,
                    head: &head,
                    plan: &plan,
                    route: &route,
                    is_paused: false,
                };
                let walks = json::walks::count(body.len(), || {
                    let mut prepared = preparing.prepare(body.as_bytes());
                    assert_eq!(prepared.asks_usage, plan.mode != Mode::Off);
                    let counts = std::mem::take(&mut prepared.counts);
                    let rewritten = preparing.count(&prepared, counts, body.as_bytes());
                    let request = footer::Request {
                        format: route.format,
                        body: body.as_bytes(),
                        demand: rewritten.demand,
                        is_agent: false,
                        is_off: false,
                        is_counted: record::is_counted(&route, &rewritten),
                    };
                    assert_eq!(footer::request_refusal(&request), None);
                    assert!(record::is_lesson(body.as_bytes()));
                });
                assert_eq!(walks, 1 + 1, "{:?}", plan.mode);
            }
        }
        context.ledger.close();
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
