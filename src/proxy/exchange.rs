//! One request's life, from its last byte to the ledger. `run` is the only function that knows the
//! order; the steps do not know each other.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::io::{Cursor, Read};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

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
use super::request::Head;
use super::setup::Setup;
use super::trace_recorder::TraceRecorder;
use super::transform::{TransformOptions, transform};
use super::upstream::forward::{Failure, Outgoing, Target};
use super::upstream::refused::Prompt;
use super::upstream::transport::SHUTDOWN;
use super::upstream::uploading::locked;
use super::upstream::{Reply, finish_sending};
use super::{Context, Event};
use crate::compress::Mode;
use crate::footer;
use crate::ledger::Entry;
use crate::rewrite::{Plan, Rewritten};
use crate::route::{CREDENTIAL_HEADERS, Route, Unrouted};
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
    if plan.mode != Mode::Off {
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
    let (mut original, upload) = match body {
        Incoming::Whole(held) => (Some(held), None),
        Incoming::Streamed(upload) => (None, Some(Arc::new(Mutex::new(upload)))),
    };
    let is_paused = exchange
        .prompt(&route, bytes_of(&original), &credentials(&head))
        .is_some_and(|prompt| context.refused.leaves_alone(&prompt, arrived));
    let preparing =
        Preparing { context, setup, head: &head, plan: &plan, route: &route, is_paused };
    let large = preparing.prepare_large(&mut original);
    let prepared = large.unwrap_or_else(|| match &original {
        Some(held) => preparing.prepare(&held.bytes),
        None => Prepared::streamed(),
    });
    let times = [read_time, arrived.elapsed()];
    let (look, mut entry) = (OnceCell::new(), OnceCell::new());
    let recorder = TraceRecorder::new(&context.debug, &exchange.id, (&head, &route), times);
    let meanwhile = || {
        let original = bytes_of(&original);
        let rewritten = preparing.count(&prepared, original);
        let look = look.get_or_init(|| exchange.look(&route, rewritten, original));
        catch_panic(|| recorder.observe(rewritten, &prepared, original));
        entry.get_or_init(|| exchange.open((&route, &plan), rewritten, (times[1], look)));
    };
    let sent = match &upload {
        Some(upload) => {
            let framing = head.framing;
            exchange.send(&route, Outgoing::Streamed { upload, framing })
        }
        None => {
            let original = bytes_of(&original);
            exchange.send_prepared(&route, &prepared, (original, &meanwhile))
        }
    };
    // Nothing was sent if it was not counted yet.
    let rewritten = preparing.count(&prepared, bytes_of(&original));
    let trace = catch_panic(|| recorder.finish(rewritten, &prepared)).unwrap_or_default();
    let look = look.get().copied().unwrap_or_default();
    let open = || exchange.open((&route, &plan), rewritten, (times[1], &look));
    let mut entry = entry.take().unwrap_or_else(open);
    // A stream may last for minutes, and needs none of it.
    drop(prepared);
    drop(original);
    exchange.must_close |= upload.as_ref().is_some_and(|upload| !locked(upload).has_come());
    entry.ttfb_ms = Some(arrived.elapsed().as_millis() as u64);
    entry.trace = Some(Box::new(trace));
    match sent {
        Ok(answer) => exchange.deliver(&route, answer, entry, look.no_footer),
        Err(failure) => {
            let ours = upload.and_then(|upload| locked(&upload).failure());
            let failure = ours.unwrap_or(failure);
            exchange.fail(&route, entry, failure);
        }
    }
}

/// The body as it came; none of one that is passed on while it comes.
fn bytes_of(original: &Option<BodyBuffer>) -> &[u8] {
    original.as_ref().map_or(&[], |held| &held.bytes)
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

    fn send(&self, route: &Route, body: Outgoing) -> Result<Answer, Failure> {
        let target = Target { url: &route.url, identity_only: route.format.is_some() };
        let reply = self.setup.upstream.send(&target, self.head, body, &self.client.watch)?;
        Ok(Answer { reply, read: Vec::new(), is_refused: false, asks_usage: false })
    }

    /// What tells this conversation from others.
    fn prompt<'p>(
        &self,
        route: &'p Route,
        body: &'p [u8],
        credentials: &'p [&'p [u8]],
    ) -> Option<Prompt<'p>> {
        let format = route.format?;
        Some(Prompt { provider: &route.provider, format, credentials, body })
    }

    /// Sends what we made of the body. If the provider refuses that as malformed, the client's own
    /// bytes are sent once: a request that works without us must work with us.
    fn send_prepared(
        &self,
        route: &Route,
        prepared: &Prepared,
        (original, meanwhile): (&[u8], &dyn Fn()),
    ) -> Result<Answer, Failure> {
        let whole = |bytes| Outgoing::Whole { bytes, meanwhile };
        let Some(body) = &prepared.body else {
            return self.send(route, whole(original));
        };
        let answer = self.send(route, whole(body))?;
        let mut answer = Answer { asks_usage: prepared.asks_usage, ..answer };
        match answer.reply.head.status() {
            400 => {}
            // What some servers say to an option that they do not know.
            422 if prepared.asks_usage => {}
            _ => return Ok(answer),
        }
        let reason =
            answer.reply.body.by_ref().take(REASON_BYTES_MAX).read_to_end(&mut answer.read);
        if reason.is_err() || speaks_of_length(&answer.read) {
            return Ok(answer);
        }
        let status = answer.reply.head.status();
        let again = self.send(route, whole(original))?;
        // Else it was not what we had changed.
        if again.reply.head.status() != status
            && let Some(prompt) = self.prompt(route, original, &credentials(self.head))
        {
            self.context.refused.note(&prompt, Instant::now());
        }
        Ok(Answer { is_refused: true, ..again })
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
        let mut relayed = self.relay(route, answer, (&entry, no_footer));
        if !finish_sending() {
            relayed.error = relayed.error.or(Some(self.client.watch.reason()));
        }
        (entry.error, entry.footer) = (relayed.error.map(Cow::Borrowed), relayed.footer);
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
        let Answer { reply: Reply { head, framing, body }, read, asks_usage, .. } = answer;
        let kind = head.header("content-type").unwrap_or_default();
        let stream = StreamFormat::of_content_type(kind);
        // Whatever comes in place of a stream may come as slowly, and must not be waited for.
        let is_odd = entry.stream && stream.is_none();
        let refusal = no_footer.or(is_odd.then_some("content-type")).or_else(|| {
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
        let footer = refusal.or(relayed.footer).or(response.footer);
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
                is_agent: self.head.values("user-agent").any(footer::is_agent),
                is_off: !self.setup.config.stats_footer || asked.eq_ignore_ascii_case(b"off"),
                is_counted: record::is_counted(route, rewritten),
            };
            Look {
                no_footer: footer::request_refusal(&request),
                is_text_only: route.format.is_some() && record::is_lesson(original),
            }
        };
        catch_panic(look).unwrap_or(Look { no_footer: Some("unreadable"), is_text_only: false })
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
        entry.footer = route.format.map(|_| "status");
        let reply = ErrorReply { status, code, text: &text, request_id: &self.id };
        let answer = local::error(route.format, &reply);
        let answer = record::complete(answer, &entry);
        let fault = (!why.is_empty()).then_some((host, why.as_str()));
        self.finish(entry, fault);
        self.client.answer(&answer, self.head, !self.must_close);
    }
}

fn credentials(head: &Head) -> Vec<&[u8]> {
    CREDENTIAL_HEADERS.iter().flat_map(|name| head.values(name)).collect()
}

fn asked_mode(head: &Head) -> Option<Mode> {
    let value = std::str::from_utf8(head.header("x-tokenpak-mode")?).ok()?;
    Mode::parse(&value.to_ascii_lowercase())
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
