//! One request's life, from its last byte to the ledger. `run` is the only function that knows the
//! order; the steps do not know each other.

use std::borrow::Cow;
use std::io::{Cursor, Read};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::buffer_pool;
use super::catch_panic::catch_panic;
use super::encoding;
use super::event_loop::client::{Client, Incoming, ReadyRequest};
use super::event_loop::memory::BodyBuffer;
use super::local::guard;
use super::local::pages;
use super::local::{self, ErrorReply};
use super::prepare::{Prepared, Preparing};
use super::record;
use super::relay::{Relay, Relayed};
use super::request::{Framing, Head};
use super::setup::Setup;
use super::trace_recorder::TraceRecorder;
use super::transform::{TransformOptions, transform};
use super::upstream::failure::Failure;
use super::upstream::forward::{Outgoing, Pending};
use super::upstream::request_head::Target;
use super::upstream::uploading::{SharedUpload, locked};
use super::upstream::{Reply, finish_sending};
use super::watch::SHUTDOWN;
use super::{Context, Event};
use crate::compress::Mode;
use crate::footer;
use crate::forms::{Remedy, Turn};
use crate::ledger::Entry;
use crate::rewrite::{Plan, Rewritten};
use crate::route::{Route, Unrouted};
use crate::trace::Trace;
use crate::wire::framing::StreamFormat;
use crate::wire::{Format, Usage};

/// Of an answer 400, as much as its reason needs.
const REASON_BYTES_MAX: u64 = 64 * 1024;

/// A finished exchange, for people who watch.
pub(crate) struct Finished<'a> {
    pub(crate) model: Option<&'a str>,
    pub(crate) provider: &'a str,
    pub(crate) status: Option<u16>,
    pub(crate) error: Option<&'a str>,
    pub(crate) before: u64,
    pub(crate) after: u64,
    pub(crate) skip: Option<&'static str>,
    pub(crate) is_request: bool,
    pub(crate) took: Duration,
    /// Of a provider that could not be asked: its host, and why.
    pub(crate) fault: Option<(&'a str, &'a str)>,
}

/// What is known of an exchange while it goes on.
struct Exchange<'a> {
    context: &'a Context,
    setup: &'a Setup,
    client: &'a Client,
    head: &'a Head,
    id: String,
    arrived: Instant,
    /// The connection cannot serve another request.
    must_close: bool,
}

/// The whole life of one request.
pub(crate) fn run(context: &Arc<Context>, setup: &Arc<Setup>, job: ReadyRequest) {
    let ReadyRequest { client, mut head, mut body, arrived, .. } = job;
    if let Some(page) = guard::page(&setup.config, &client.stream, &head) {
        return pages::answer((context, &setup.config), page, &client, (&head, body));
    }
    let (read_time, plan) = (arrived.elapsed(), setup.config.plan(asked_mode(&head)));
    if plan.mode != Mode::Off || context.forms.may_have_cut(&context.ledger) {
        let means = (&context.memory, &context.large);
        body = encoding::open(&mut head, body, means, setup.config.large_bytes());
    }
    let mut exchange = Exchange {
        id: context.ids.next(),
        must_close: context.is_draining(),
        context,
        setup,
        client: &client,
        head: &head,
        arrived,
    };
    let route = match guard::route(&setup.config, &head) {
        Ok(route) => route,
        Err(why) => return exchange.no_route(why, body.has_come()),
    };
    buffer_pool::fill();
    let (mut original, upload) = match body {
        Incoming::Whole(held) => (Some(held), None),
        Incoming::Streamed(upload) => (None, Some(Arc::new(Mutex::new(upload)))),
    };
    let is_paused = context.refused.is_paused(&route, arrived);
    let (head, plan, route) = (&head, &plan, &route);
    let preparing = Preparing { context, setup, head, plan, route, is_paused };
    let large = preparing.prepare_large(&mut original);
    let mut prepared = large.unwrap_or_else(|| match &original {
        Some(held) => preparing.prepare(&held.bytes),
        None => Prepared::streamed(),
    });
    let times = [read_time, arrived.elapsed()];
    // The provider gets it, and while it thinks there is time.
    let counts = std::mem::take(&mut prepared.counts);
    let body = bytes_of(&original);
    let going = outgoing(&prepared, body, upload.as_ref(), head.framing);
    let sent = match prepared.refusal {
        Some(refusal) => Err(Failure::Client(refusal)),
        None => exchange.send(route, going),
    };
    let wire = sent.as_ref().map_or(&[][..], Pending::head);
    let rewritten = preparing.count(&prepared, counts, body);
    let look = exchange.look(route, &rewritten, body);
    let mut entry = exchange.open((route, &prepared.plan(plan)), &rewritten, (times[1], &look));
    entry.trace = Some(exchange.trace(wire, (route, times), &rewritten, (&prepared, body)));
    let answer = sent.and_then(Pending::receive).map(|reply| Answer::to(&prepared, reply));
    let answer = answer.and_then(|answer| exchange.insist((&preparing, &prepared), body, answer));
    // A stream may last for minutes, and needs none of it.
    drop((prepared, rewritten));
    drop(original);
    entry.ttfb_ms = Some(arrived.elapsed().as_millis() as u64);
    exchange.must_close |= upload.as_ref().is_some_and(|upload| !locked(upload).has_come());
    match answer {
        Ok(answer) => exchange.deliver(route, answer, entry, look.no_footer),
        Err(failure) => {
            let fault = upload.and_then(|upload| locked(&upload).fault());
            exchange.fail(route, entry, fault.map_or(failure, Failure::from));
        }
    }
}

/// The body as it came; none of one that is passed on while it comes.
fn bytes_of(original: &Option<BodyBuffer>) -> &[u8] {
    original.as_ref().map_or(&[], |held| &held.bytes)
}

/// What goes upstream: what we made of the body, the body itself, or what the client still sends.
fn outgoing<'a>(
    prepared: &'a Prepared,
    original: &'a [u8],
    upload: Option<&'a SharedUpload>,
    framing: Framing,
) -> Outgoing<'a> {
    match upload {
        Some(upload) => Outgoing::Streamed { upload, framing },
        None => Outgoing::Whole(prepared.body.as_deref().unwrap_or(original)),
    }
}

/// What was found in the client's body while the provider was thinking.
#[derive(Clone, Copy, Default)]
struct Look {
    /// Why the answer may not have a footer.
    no_footer: Option<footer::Refusal>,
    /// All that will be billed as input is text.
    is_text_only: bool,
}

struct Answer {
    reply: Reply,
    /// What was already read of its body.
    read: Vec<u8>,
    /// It is the answer to the client's own bytes, after ours had been refused.
    is_refused: bool,
    /// It holds usage that the client did not ask for.
    asks_usage: bool,
    /// What to do if it says that thoughts were left out.
    remedy: Option<Remedy>,
}

impl Answer {
    fn to(prepared: &Prepared, reply: Reply) -> Answer {
        let remedy = prepared.turn.as_ref().and_then(Turn::remedy);
        let read = Vec::new();
        Answer { reply, read, is_refused: false, asks_usage: prepared.asks_usage, remedy }
    }

    /// To what was sent in the place of a body that was refused.
    fn to_another(reply: Reply) -> Answer {
        Answer { reply, read: Vec::new(), is_refused: true, asks_usage: false, remedy: None }
    }
}

impl Exchange<'_> {
    /// The record of what is known when the request has been sent.
    fn open(
        &self,
        (route, plan): (&Route, &Plan),
        rewritten: &Rewritten,
        (proxy_time, look): (Duration, &Look),
    ) -> Box<Entry> {
        let parts = (self.head, route, plan);
        let mut entry = Box::new(record::open(&self.id, parts, rewritten, proxy_time));
        record::rate(&mut entry, &self.context.ledger, look.is_text_only);
        entry
    }

    /// What there is to tell of a request by `tokenpak trace`.
    fn trace(
        &self,
        wire: &[u8],
        (route, times): (&Route, [Duration; 2]),
        rewritten: &Rewritten,
        (prepared, original): (&Prepared, &[u8]),
    ) -> Box<Trace> {
        let debug = &self.context.debug;
        let recorder = TraceRecorder { debug, request_id: &self.id, head: self.head, route, times };
        let sent = prepared.body.as_deref().unwrap_or(original);
        let trace = catch_panic(|| recorder.record(wire, rewritten, (original, sent)));
        Box::new(trace.unwrap_or_default())
    }

    fn send<'s>(&'s self, route: &Route, body: Outgoing<'s>) -> Result<Pending<'s>, Failure> {
        let target = Target { url: &route.url, identity_only: route.format.is_some() };
        self.setup.upstream.send(&target, self.head, body, &self.client.watch)
    }

    /// Sends another body in the place of one that was refused.
    fn send_again(&self, route: &Route, body: &[u8]) -> Result<Reply, Failure> {
        self.send(route, Outgoing::Whole(body))?.receive()
    }

    /// If the provider refuses what we made of the body as malformed, the client's own bytes are sent
    /// once: a request that works without us must work with us. What is accepted then is this
    /// conversation's form from now on.
    fn insist(
        &self,
        (preparing, prepared): (&Preparing, &Prepared),
        original: &[u8],
        mut answer: Answer,
    ) -> Result<Answer, Failure> {
        let is_changed = prepared.body.is_some();
        let status = answer.reply.head.status();
        match status {
            400 if is_changed || prepared.turn.is_some() => {}
            // What some servers say to an option that they do not know.
            422 if prepared.asks_usage => {}
            _ => return Ok(answer),
        }
        let reason =
            answer.reply.body.by_ref().take(REASON_BYTES_MAX).read_to_end(&mut answer.read);
        let is_bound = speaks_of_binding(&answer.read);
        if reason.is_err() || !is_bound && speaks_of_length(&answer.read) {
            return Ok(answer);
        }
        if is_bound && let Some(answer) = self.send_as_ours((preparing, prepared), original)? {
            return Ok(answer);
        }
        if !is_changed {
            return Ok(answer);
        }
        let reply = self.send_again(preparing.route, original)?;
        // Else it was not what we had changed: to leave it alone would cost the session its cache.
        if reply.head.status() != status {
            self.note_refusal(preparing.route, prepared);
        }
        Ok(Answer::to_another(reply))
    }

    /// Reasoning is bound to another history than that of the client. Where nobody knows in which form
    /// it was sent, it may have been ours, forgotten since. `None`: it was not.
    fn send_as_ours(
        &self,
        (preparing, prepared): (&Preparing, &Prepared),
        original: &[u8],
    ) -> Result<Option<Answer>, Failure> {
        let Some(turn) = &prepared.turn else { return Ok(None) };
        let Some(ours) = preparing.as_if_ours(turn, original) else { return Ok(None) };
        let reply = self.send_again(preparing.route, ours.body.as_deref().unwrap_or(original))?;
        if reply.head.status() == 400 {
            self.context.forms.keep(&self.context.ledger, &mut turn.clone(), None);
            return Ok(None);
        }
        // What it has saved is counted from the next turn on.
        Ok(Some(Answer { asks_usage: ours.asks_usage, ..Answer::to_another(reply) }))
    }

    fn note_refusal(&self, route: &Route, prepared: &Prepared) {
        let Context { forms, ledger, refused, .. } = self.context;
        let (Some(format), Some(turn)) = (route.format, &prepared.turn) else { return };
        forms.refused(ledger, &mut turn.clone());
        refused.note((&route.provider, format), turn.name(), Instant::now());
    }

    /// Passes an answer on, and records the exchange.
    fn deliver(
        &self,
        route: &Route,
        answer: Answer,
        mut entry: Box<Entry>,
        no_footer: Option<footer::Refusal>,
    ) {
        entry.status = Some(answer.reply.head.status());
        if answer.is_refused {
            record::undo_savings(&mut entry);
        }
        let (unfinished, remedy) = (answer.reply.unfinished.clone(), answer.remedy);
        let mut relayed = self.relay(route, answer, (&entry, no_footer));
        let has_dropped = relayed.reading.as_ref().is_some_and(|reading| reading.dropped > 0);
        if let Some(remedy) = remedy.filter(|_| has_dropped) {
            self.context.forms.dropped(&self.context.ledger, remedy);
        }
        if !finish_sending(unfinished) {
            relayed.error = relayed.error.or(Some(self.client.watch.reason()));
        }
        entry.error = relayed.error.map(Cow::Borrowed);
        entry.footer = relayed.footer.map(footer::Outcome::name);
        record::finalize(&mut entry, &self.setup.config.prices, relayed.reading);
        self.finish(entry, None);
        match relayed.must_abort {
            true => self.client.abort(),
            false => self.client.release(relayed.keep_alive),
        }
    }

    /// Copies the answer to the client, with a footer if it may have one.
    fn relay(
        &self,
        route: &Route,
        answer: Answer,
        (entry, no_footer): (&Entry, Option<footer::Refusal>),
    ) -> Relayed {
        let Answer { reply: Reply { head, framing, body, .. }, read, asks_usage, .. } = answer;
        let kind = head.header("content-type").unwrap_or_default();
        let stream = StreamFormat::of_content_type(kind);
        // Whatever comes in place of a stream may come as slowly, and must not be waited for.
        let is_odd = entry.stream && stream.is_none();
        let refusal = no_footer.or(is_odd.then_some(footer::Refusal::ContentType)).or_else(|| {
            footer::answer_refusal(&footer::Answer {
                status: head.status(),
                content_type: kind,
                is_encoded: head.header("content-encoding").is_some(),
            })
        });
        let options = TransformOptions {
            format: route.format,
            stream,
            wants_footer: refusal.is_none(),
            drops_usage: asks_usage,
        };
        let is_ready = !read.is_empty() || body.is_ready();
        let prices = &self.setup.config.prices;
        let line = |usage: Option<&Usage>| record::footer_line(entry, prices, usage);
        let body = Cursor::new(read).chain(body);
        let response = transform(&options, &head, body, framing, &line);
        let relay = Relay {
            answer: &head,
            framing: response.framing,
            is_ready,
            request: self.head,
            client: &self.client.stream,
            watch: &self.client.watch,
            ours: &|out| record::add_headers(out, entry),
            must_close: self.must_close,
        };
        // A mistake in reading along must not look like the end of an answer.
        let copied = catch_panic(|| relay.copy(response.body, response.filter));
        let mut relayed = copied.unwrap_or_else(Relayed::broken);
        relayed.reading = relayed.reading.or(response.reading);
        let refused = refusal.map(footer::Outcome::Refused);
        let footer = refused.or(relayed.footer).or(response.footer);
        relayed.footer = footer.filter(|_| entry.api != "other");
        relayed
    }

    /// What the client's body says to footer and calibration.
    fn look(&self, route: &Route, rewritten: &Rewritten, original: &[u8]) -> Look {
        let asked = self.head.header("x-tokenpak-footer").unwrap_or_default();
        let look = || {
            let request = footer::Request {
                format: route.format,
                body: original,
                demand: rewritten.demand,
                is_agent: self.head.values("user-agent").any(footer::is_agent),
                is_off: !self.setup.config.stats_footer || asked.eq_ignore_ascii_case(b"off"),
                is_counted: record::is_counted(route, rewritten),
            };
            Look {
                no_footer: footer::request_refusal(&request),
                is_text_only: route.format.is_some() && record::is_lesson(original),
            }
        };
        catch_panic(look)
            .unwrap_or(Look { no_footer: Some(footer::Refusal::Unreadable), is_text_only: false })
    }

    /// Records the exchange and tells those who watch.
    fn finish(&self, mut entry: Box<Entry>, fault: Option<(&str, &str)>) {
        entry.total_ms = self.arrived.elapsed().as_millis() as u64;
        record::close(&mut entry);
        // Recorded first: whoever watches may hold its line up.
        let (model, provider, error) =
            (entry.model.clone(), entry.provider.clone(), entry.error.clone());
        let done = Finished {
            model: model.as_deref(),
            provider: &provider,
            status: entry.status,
            error: error.as_deref(),
            before: entry.tokens_before.unwrap_or(0),
            after: entry.tokens_after.unwrap_or(0),
            skip: entry.skip_reason,
            is_request: entry.api != "other",
            took: self.arrived.elapsed(),
            fault,
        };
        if done.is_request {
            let totals = &self.context.totals;
            totals.requests.fetch_add(1, Ordering::Relaxed);
            totals.before.fetch_add(done.before, Ordering::Relaxed);
            totals.after.fetch_add(done.after, Ordering::Relaxed);
        }
        self.context.metrics.count(&entry);
        self.context.ledger.record(entry);
        (self.context.report)(&Event::Finished(done));
    }

    fn no_route(&self, why: Unrouted, is_read: bool) {
        let (status, code) = match why {
            Unrouted::TwoOwners => (400, "two-providers"),
            _ => (404, "no-provider"),
        };
        let text = &local::no_route(why);
        let reply = ErrorReply { status, code, text, request_id: &self.id };
        let format = Format::of_path(self.head.target());
        self.client.answer(&local::error(format, &reply), self.head, is_read);
    }

    fn fail(&self, route: &Route, mut entry: Box<Entry>, failure: Failure) {
        entry.ttfb_ms = None;
        let host = host_of(&route.url);
        let mut why = String::new();
        let (status, code, text) = match failure {
            Failure::ClientGone if self.client.watch.reason() == SHUTDOWN => {
                (503, SHUTDOWN, "the proxy was stopped before the provider answered".to_owned())
            }
            Failure::ClientGone => {
                entry.error = Some("client_gone".into());
                self.finish(entry, None);
                return self.client.release(false);
            }
            Failure::Refused(why) => (400, "bad-request", why.to_owned()),
            Failure::Client(refusal) => {
                (refusal.status, local::code(refusal.status), refusal.why.to_owned())
            }
            Failure::TimedOut => {
                why = "no answer in time".to_owned();
                (504, "upstream-timeout", format!("{host} did not answer in time"))
            }
            Failure::BadAnswer(reason) => {
                let text = format!("{host} gave an answer that cannot be read: {reason}");
                why = reason.to_owned();
                (502, "upstream-bad-answer", text)
            }
            Failure::Unreachable(reason) => {
                let text = format!("cannot reach {host}: {reason}");
                why = reason;
                (502, "upstream-unreachable", text)
            }
        };
        entry.status = Some(status);
        entry.error = Some(code.into());
        entry.footer = route.format.map(|_| footer::Refusal::Status.name());
        let reply = ErrorReply { status, code, text: &text, request_id: &self.id };
        let answer = local::error(route.format, &reply);
        let answer = record::complete(answer, &entry);
        let fault = (!why.is_empty()).then_some((host, why.as_str()));
        self.finish(entry, fault);
        self.client.answer(&answer, self.head, !self.must_close);
    }
}

fn asked_mode(head: &Head) -> Option<Mode> {
    let value = std::str::from_utf8(head.header("x-tokenpak-mode")?).ok()?;
    Mode::parse(&value.to_ascii_lowercase())
}

/// Claude's newest models bind each thinking block to all that stood before it; its signature is not valid
/// elsewhere.
fn speaks_of_binding(reason: &[u8]) -> bool {
    memchr::memmem::find(reason, b"Invalid `signature` in `").is_some()
}

/// A prompt that is too long stays too long: the answer is the provider's word on that.
fn speaks_of_length(reason: &[u8]) -> bool {
    let text = reason.to_ascii_lowercase();
    let says = |word: &str| memchr::memmem::find(&text, word.as_bytes()).is_some();
    ["length", "context", "too long", "too many tokens", "maximum"].into_iter().any(says)
}

fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    // The port is nobody's business but the configuration's.
    host.rsplit_once(':').filter(|(_, port)| !port.contains(']')).map_or(host, |(host, _)| host)
}
