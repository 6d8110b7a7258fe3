//! What a request becomes before it is sent, and what of that can wait until it is.
//!
//! Only what decides the bytes stands before the first of them. Where nothing will be changed
//! whatever the counts are, they are made while the provider is thinking.

use std::cell::OnceCell;
use std::sync::Arc;

use super::Context;
use super::catch_panic::catch_panic;
use super::event_loop::memory::BodyBuffer;
use super::request::Head;
use super::setup::Setup;
use crate::compress::Mode;
use crate::footer;
use crate::rewrite::{self, Plan, Rewritten, Scope, Skip, Untouched};
use crate::route::Route;
use crate::tokens::{Counter, Counters};
use crate::wire::{Format, ask_usage};

/// Who is asked for the usage of streams.
const ASKED: &str = "https://api.openai.com/";

/// What a request has become.
#[derive(Default)]
pub(super) struct Prepared<'b> {
    /// What is sent in the place of the client's bytes.
    pub(super) body: Option<Vec<u8>>,
    /// The body asks for the usage although the client's did not.
    pub(super) asks_usage: bool,
    rewritten: OnceCell<Rewritten>,
    /// What is counted later.
    untouched: Option<Untouched<'b>>,
}

impl Prepared<'_> {
    /// Of a body that is passed on while it comes nothing is known.
    pub(super) fn streamed() -> Self {
        Prepared { rewritten: Rewritten::default().into(), ..Prepared::default() }
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
            let (bytes, plan_now) = (held.bytes.len(), self.plan_now());
            let may_change = plan_now.mode != Mode::Off && bytes as u64 > plan_now.threshold;
            may_change && large.is_heavy(&held.bytes) && self.format_of(&held.bytes).is_some()
        };
        let held = original.take_if(is_work)?;
        let request = Request {
            context: Arc::clone(self.context),
            setup: Arc::clone(self.setup),
            head: self.head.clone(),
            plan: *self.plan,
            route: self.route.clone(),
        };
        let (held, prepared) = large.run(move || request.prepare(held));
        *original = Some(held);
        Some(prepared)
    }

    /// Takes our footers out, compresses, and asks for the usage. Whatever is in doubt goes out as
    /// it came.
    pub(super) fn prepare<'b>(&self, body: &'b [u8]) -> Prepared<'b> {
        let unread = || Prepared { rewritten: unread().into(), ..Prepared::default() };
        with_care(&self.context.counters, unread, |counter| self.understood(counter, body))
    }

    fn understood<'b>(&self, counter: &mut Counter, body: &'b [u8]) -> Prepared<'b> {
        let Some(format) = self.format_of(body) else { return Prepared::default() };
        let stripped = footer::strip_footers(format, body);
        if stripped.is_none()
            && let Some(untouched) = Untouched::read(&self.plan_now(), format, body)
        {
            let asks = self.may_ask_usage(untouched.is_stream(), self.early_skip());
            let body = asks.then(|| ask_usage::inject(body)).flatten();
            let asks_usage = body.is_some();
            return Prepared {
                body,
                asks_usage,
                untouched: Some(untouched),
                ..Prepared::default()
            };
        }
        let body = stripped.as_deref().unwrap_or(body);
        let mut rewritten = self.rewrite(counter, format, body);
        let asks = self.may_ask_usage(rewritten.stream, rewritten.skip);
        let asking = asks.then(|| ask_usage::inject(rewritten.body.as_deref().unwrap_or(body)));
        let asking = asking.flatten();
        let asks_usage = asking.is_some();
        let body = asking.or_else(|| rewritten.body.take()).or(stripped);
        Prepared { body, asks_usage, rewritten: rewritten.into(), untouched: None }
    }

    /// Counts what was left to be counted. `body` is what the client sent.
    pub(super) fn count<'p>(&self, prepared: &'p Prepared, body: &[u8]) -> &'p Rewritten {
        prepared.rewritten.get_or_init(|| {
            let counters = &self.context.counters;
            with_care(counters, unread, |counter| self.counted(counter, prepared, body))
        })
    }

    fn counted(&self, counter: &mut Counter, prepared: &Prepared, body: &[u8]) -> Rewritten {
        match (self.route.format, &prepared.untouched) {
            (Some(format), Some(untouched)) => {
                let rewritten = untouched.count(counter, &self.plan_now(), format);
                Rewritten {
                    skip: if self.is_paused { refused(rewritten.skip) } else { rewritten.skip },
                    ..rewritten
                }
            }
            (Some(_), None) => Rewritten { skip: self.unread(body), ..Rewritten::default() },
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
            () if body.len() > self.setup.config.large_bytes() => Some(Skip::Large),
            () => None,
        }
    }

    /// By which plan. Where the provider has refused changed bodies, they are counted all the same.
    fn plan_now(&self) -> Plan {
        if self.is_paused { Plan::of(Mode::Off) } else { *self.plan }
    }

    /// What is known of the reason before anything is counted.
    fn early_skip(&self) -> Option<Skip> {
        match self.plan_now().mode {
            Mode::Off if self.is_paused => Some(Skip::Refused),
            Mode::Off => Some(Skip::Off),
            _ => Some(Skip::BelowThreshold),
        }
    }

    fn rewrite(&self, counter: &mut Counter, format: Format, body: &[u8]) -> Rewritten {
        if self.is_paused {
            let rewritten = rewrite::rewrite(counter, &self.plan_now(), format, body);
            return Rewritten { skip: refused(rewritten.skip), ..rewritten };
        }
        rewrite::rewrite_in(self.scope(), counter, self.plan, format, body)
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
}

impl Request {
    /// Gives the body back with what became of it, which holds nothing of it.
    fn prepare(self, body: BodyBuffer) -> (BodyBuffer, Prepared<'static>) {
        let Request { context, setup, head, plan, route } = &self;
        let Some(_reservation) = context.large.reserve(&body.bytes) else {
            let rewritten = unchanged(Skip::Large).into();
            return (body, Prepared { rewritten, ..Prepared::default() });
        };
        let preparing = Preparing { context, setup, head, plan, route, is_paused: false };
        let prepared = preparing.prepare(&body.bytes);
        let Prepared { body: sent, asks_usage, rewritten, untouched: _ } = prepared;
        (body, Prepared { body: sent, asks_usage, rewritten, untouched: None })
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

fn unread() -> Rewritten {
    unchanged(Skip::Unreadable)
}

fn unchanged(skip: Skip) -> Rewritten {
    Rewritten { skip: Some(skip), ..Rewritten::default() }
}

/// What a plan that is off only for now says of a body.
fn refused(skip: Option<Skip>) -> Option<Skip> {
    skip.filter(|skip| *skip != Skip::Off).or(Some(Skip::Refused))
}

#[cfg(test)]
mod tests {
    use super::*;
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
            rewrite::rewrite(counter, &Plan::of(Mode::Off), Format::Chat, body)
        });
        assert!(got.before > 0);
    }
}
