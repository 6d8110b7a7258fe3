//! What a request becomes before it is sent, and what of that can wait until it is.
//!
//! Only what decides the bytes stands before the first of them. Where nothing will be changed
//! whatever the counts are, they are made while the provider is thinking.

use std::cell::OnceCell;
use std::sync::Arc;

use super::Context;
use super::front::memory::Held;
use super::mishap::caught;
use super::request::Head;
use super::setup::Setup;
use crate::compress::Mode;
use crate::footer;
use crate::pack::{self, Packed, Plan, Scope, Skip, Untouched};
use crate::route::{CREDENTIAL_HEADERS, Route};
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
    packed: OnceCell<Packed>,
    /// What is counted later.
    untouched: Option<Untouched<'b>>,
}

impl Prepared<'_> {
    /// Of a body that is passed on while it comes nothing is known.
    pub(super) fn streamed() -> Self {
        Prepared { packed: Packed::default().into(), ..Prepared::default() }
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
    pub(super) fn prepare_large(&self, original: &mut Option<Held>) -> Option<Prepared<'static>> {
        let large = &self.context.large;
        let is_work = |held: &mut Held| {
            let (bytes, course) = (held.bytes.len(), self.course());
            let may_change = course.mode != Mode::Off && bytes as u64 > course.threshold;
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
        let unread = || Prepared { packed: unread().into(), ..Prepared::default() };
        with_care(&self.context.counters, unread, |counter| self.understood(counter, body))
    }

    fn understood<'b>(&self, counter: &mut Counter, body: &'b [u8]) -> Prepared<'b> {
        let Some(format) = self.format_of(body) else { return Prepared::default() };
        let healed = footer::heal(format, body);
        if healed.is_none()
            && let Some(untouched) = Untouched::read(&self.course(), format, body)
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
        let body = healed.as_deref().unwrap_or(body);
        let mut packed = self.pack(counter, format, body);
        let asks = self.may_ask_usage(packed.stream, packed.skip);
        let asking = asks.then(|| ask_usage::inject(packed.body.as_deref().unwrap_or(body)));
        let asking = asking.flatten();
        let asks_usage = asking.is_some();
        let body = asking.or_else(|| packed.body.take()).or(healed);
        Prepared { body, asks_usage, packed: packed.into(), untouched: None }
    }

    /// Counts what was left to be counted. `body` is what the client sent.
    pub(super) fn count<'p>(&self, prepared: &'p Prepared, body: &[u8]) -> &'p Packed {
        prepared.packed.get_or_init(|| {
            let counters = &self.context.counters;
            with_care(counters, unread, |counter| self.counted(counter, prepared, body))
        })
    }

    fn counted(&self, counter: &mut Counter, prepared: &Prepared, body: &[u8]) -> Packed {
        match (self.route.format, &prepared.untouched) {
            (Some(format), Some(untouched)) => {
                let packed = untouched.count(counter, &self.course(), format);
                Packed {
                    skip: if self.is_paused { refused(packed.skip) } else { packed.skip },
                    ..packed
                }
            }
            (Some(_), None) => Packed { skip: self.unread(body), ..Packed::default() },
            (None, _) => Packed::default(),
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
    fn course(&self) -> Plan {
        if self.is_paused { Plan::of(Mode::Off) } else { *self.plan }
    }

    /// What is known of the reason before anything is counted.
    fn early_skip(&self) -> Option<Skip> {
        match self.course().mode {
            Mode::Off if self.is_paused => Some(Skip::Refused),
            Mode::Off => Some(Skip::Off),
            _ => Some(Skip::BelowThreshold),
        }
    }

    fn pack(&self, counter: &mut Counter, format: Format, body: &[u8]) -> Packed {
        if self.is_paused {
            let packed = pack::pack(counter, &self.course(), format, body);
            return Packed { skip: refused(packed.skip), ..packed };
        }
        pack::pack_in(self.scope(), counter, self.plan, format, body)
    }

    /// Requests of different people know nothing of each other. Keys are told apart and never kept: a
    /// digest under a secret of this process is.
    fn scope(&self) -> Scope<'_> {
        let credentials = CREDENTIAL_HEADERS.iter().flat_map(|name| self.head.values(name));
        self.context.memo.scope(credentials.chain([self.head.target().as_bytes()]))
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
    fn prepare(self, body: Held) -> (Held, Prepared<'static>) {
        let Request { context, setup, head, plan, route } = &self;
        let Some(_claim) = context.large.claim(&body.bytes) else {
            let packed = unpacked(Skip::Large).into();
            return (body, Prepared { packed, ..Prepared::default() });
        };
        let preparing = Preparing { context, setup, head, plan, route, is_paused: false };
        let prepared = preparing.prepare(&body.bytes);
        let Prepared { body: sent, asks_usage, packed, untouched: _ } = prepared;
        (body, Prepared { body: sent, asks_usage, packed, untouched: None })
    }
}

/// What `look` gives. A body that cannot be looked into without a panic is one that we do not
/// understand, and whatever the panic left in the counter is thrown away.
fn with_care<T>(
    counters: &Counters,
    unread: impl FnOnce() -> T,
    look: impl FnOnce(&mut Counter) -> T,
) -> T {
    caught(|| counters.lend(look)).unwrap_or_else(unread)
}

fn unread() -> Packed {
    unpacked(Skip::Unreadable)
}

fn unpacked(skip: Skip) -> Packed {
    Packed { skip: Some(skip), ..Packed::default() }
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
            pack::pack(counter, &Plan::of(Mode::Off), Format::Chat, body)
        });
        assert!(got.before > 0);
    }
}
