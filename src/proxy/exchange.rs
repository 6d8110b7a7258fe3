//! One request's life, from its last byte to the ledger. `run` is the only function that knows the
//! order; the steps do not know each other.

use std::io::{Cursor, Read};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::Context;
use super::client::{Client, Incoming, Job, Upload};
use super::encoding;
use super::forward::{Failure, Outgoing, Target};
use super::guard;
use super::local::{self, Trouble};
use super::pages;
use super::relay::{Buffer, Relay, Relayed};
use super::request::Head;
use super::upstream::Reply;
use crate::compress::Mode;
use crate::ledger::Entry;
use crate::pack::{self, Packed, Plan, Skip};
use crate::route::{self, Asked, Route, Upstreams};
use crate::tokens::Counter;
use crate::wire::answer::{Reading, Tap};

/// Of an answer 400, as much as its reason needs.
const REASON_BYTES_MAX: u64 = 64 * 1024;

/// What a worker keeps from one request to the next.
pub(crate) struct Worker {
    counter: Counter,
    buffer: Buffer,
}

impl Worker {
    pub(crate) fn new() -> Worker {
        Worker { counter: Counter::new(), buffer: Buffer::new() }
    }
}

/// A finished exchange, for people who watch.
pub(crate) struct Done {
    pub(crate) model: Option<String>,
    pub(crate) provider: String,
    pub(crate) status: Option<u16>,
    pub(crate) error: Option<&'static str>,
    pub(crate) before: u64,
    pub(crate) after: u64,
    pub(crate) skip: Option<&'static str>,
    pub(crate) is_request: bool,
    pub(crate) took: Duration,
}

/// What is known of an exchange while it goes on.
struct Exchange<'a> {
    context: &'a Context,
    client: &'a Client,
    head: &'a Head,
    id: String,
    arrived: Instant,
    plan: Plan,
    /// The connection cannot serve another request.
    must_close: bool,
}

/// The whole life of one request.
pub(crate) fn run(context: &Context, worker: &mut Worker, job: Job) {
    let Job { client, mut head, mut body, arrived, .. } = job;
    if let Some(page) = guard::page(&context.config, &client.stream, &head) {
        return pages::answer(context, page, &client, &head);
    }
    let plan = context.config.plan(asked_mode(&head));
    if plan.mode != Mode::Off {
        body = encoding::open(&mut head, body, &context.memory, context.config.large_bytes());
    }
    let mut exchange = Exchange {
        id: context.ids.next(),
        plan,
        must_close: context.is_draining(),
        context,
        client: &client,
        head: &head,
        arrived,
    };
    let Some(route) = exchange.route() else {
        return exchange.no_route(body.has_come());
    };
    let (packed, original, mut upload) = match body {
        Incoming::Whole(held) => (exchange.pack(worker, &route, &held.bytes), Some(held), None),
        Incoming::Streamed(upload) => (Packed::default(), None, Some(upload)),
    };
    let proxy_time = arrived.elapsed();
    let sent = match &mut upload {
        Some(upload) => {
            let framing = head.framing;
            exchange.send(&route, Outgoing::Streamed { upload, framing })
        }
        None => {
            let original = original.as_ref().map_or(&[][..], |held| &held.bytes);
            exchange.send_packed(&route, &packed, original)
        }
    };
    // A stream may last for minutes, and needs none of it.
    drop(original);
    exchange.must_close |= upload.as_mut().is_some_and(|upload| !upload.has_come());
    let mut entry = exchange.entry(&route, packed, proxy_time);
    entry.ttfb_ms = Some(arrived.elapsed().as_millis() as u64);
    match sent {
        Ok((answer, reason)) => {
            entry.status = Some(answer.head.status());
            let relayed = exchange.relay(worker, &route, (answer, reason), &entry);
            entry.error = relayed.error;
            read_answer(&mut entry, relayed.reading);
            exchange.finish(entry);
            match relayed.must_abort {
                true => client.abort(),
                false => client.release(relayed.keep_alive),
            }
        }
        Err(failure) => {
            let failure = upload.as_ref().and_then(Upload::failure).unwrap_or(failure);
            exchange.fail(&route, entry, failure);
        }
    }
}

/// An answer, and what was already read of its body.
type Answer = (Reply, Vec<u8>);

impl Exchange<'_> {
    fn route(&self) -> Option<Route> {
        let header = |name: &str| self.head.header(name);
        let asked =
            Asked { method: self.head.method(), target: self.head.target(), header: &header };
        let config = &self.context.config;
        let upstreams = Upstreams {
            providers: &config.providers,
            passthrough_url: config.passthrough_url.as_deref(),
        };
        route::pick(&asked, &upstreams)
    }

    /// Counts and compresses. Whatever is in doubt goes out as it came.
    fn pack(&self, worker: &mut Worker, route: &Route, body: &[u8]) -> Packed {
        let Some(format) = route.format else { return Packed::default() };
        let only = |skip| Packed { skip: Some(skip), ..Packed::default() };
        if self.head.header("content-encoding").is_some_and(|coding| coding != b"identity") {
            return only(Skip::Encoded);
        }
        if body.len() > self.context.config.large_bytes() {
            return only(Skip::Large);
        }
        if self.context.refused.is_paused(&route.provider, format, self.arrived) {
            // Counted all the same.
            let packed = pack::pack(&mut worker.counter, &Plan::of(Mode::Off), format, body);
            let skip = packed.skip.filter(|skip| *skip != Skip::Off).or(Some(Skip::Refused));
            return Packed { skip, ..packed };
        }
        pack::pack(&mut worker.counter, &self.plan, format, body)
    }

    fn send(&self, route: &Route, body: Outgoing) -> Result<Answer, Failure> {
        let target = Target { url: &route.url, identity_only: route.format.is_some() };
        let answer = self.context.upstream.send(&target, self.head, body, &self.client.watch)?;
        Ok((answer, Vec::new()))
    }

    /// Sends what compression made of the body. If the provider refuses that as malformed, the
    /// client's own bytes are sent once: a request that works without us must work with us.
    fn send_packed(
        &self,
        route: &Route,
        packed: &Packed,
        original: &[u8],
    ) -> Result<Answer, Failure> {
        let Some(body) = &packed.body else {
            return self.send(route, Outgoing::Whole(original));
        };
        let (mut answer, mut reason) = self.send(route, Outgoing::Whole(body))?;
        if answer.head.status() != 400 {
            return Ok((answer, reason));
        }
        let read = answer.body.by_ref().take(REASON_BYTES_MAX).read_to_end(&mut reason);
        if read.is_err() || speaks_of_length(&reason) {
            return Ok((answer, reason));
        }
        if let Some(format) = route.format {
            self.context.refused.note(&route.provider, format, Instant::now());
        }
        self.send(route, Outgoing::Whole(original))
    }

    fn relay(
        &self,
        worker: &mut Worker,
        route: &Route,
        (answer, read): Answer,
        entry: &Entry,
    ) -> Relayed {
        let Reply { head, framing, mut body } = answer;
        let kind = head.header("content-type").unwrap_or_default();
        let is_plain = head.header("content-encoding").is_none();
        let is_stream = kind.starts_with(b"text/event-stream");
        let tap = route.format.filter(|_| is_plain).map(|format| Tap::new(format, is_stream));
        let relay = Relay {
            answer: &head,
            framing,
            is_ready: !read.is_empty() || body.is_ready(),
            request: self.head,
            client: &self.client.stream,
            watch: &self.client.watch,
            ours: &headers(entry),
            must_close: self.must_close,
        };
        let mut body = Cursor::new(read).chain(body);
        relay.copy(&mut body, &mut worker.buffer, tap)
    }

    fn entry(&self, route: &Route, packed: Packed, proxy_time: Duration) -> Entry {
        let format = route.format;
        let counted = format.is_some() && !uncounted(packed.skip);
        let text = |name| self.head.header(name).and_then(|value| std::str::from_utf8(value).ok());
        let client = text("user-agent").and_then(|agent| agent.split(' ').next());
        let project =
            text("x-tokenpak-project").map(str::to_owned).or_else(|| route.project.clone());
        let path = self.head.target();
        Entry {
            request_id: self.id.clone(),
            ts: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |time| time.as_secs() as i64),
            provider: route.provider.clone(),
            api: format.map_or("other", |format| format.name()),
            model: packed.model.or_else(|| format.and_then(|_| model_in_path(path))),
            project,
            client: client.filter(|name| !name.is_empty()).map(str::to_owned),
            status: None,
            error: None,
            stream: packed.stream || path.contains("treamGenerateContent"),
            tokens_before: counted.then_some(packed.before),
            tokens_after: counted.then_some(packed.after),
            usage: None,
            cuts: packed.cuts.iter().map(|cut| (cut.at, cut.saved)).collect(),
            mode: self.plan.mode.name(),
            level: self.plan.level.name(),
            skip_reason: format.and(packed.skip).map(Skip::name),
            proxy_us: proxy_time.as_micros() as u64,
            ttfb_ms: None,
            total_ms: 0,
        }
    }

    /// Records the exchange and tells those who watch.
    fn finish(&self, mut entry: Entry) {
        entry.total_ms = self.arrived.elapsed().as_millis() as u64;
        let done = Done {
            model: entry.model.clone(),
            provider: entry.provider.clone(),
            status: entry.status,
            error: entry.error,
            before: entry.tokens_before.unwrap_or(0),
            after: entry.tokens_after.unwrap_or(0),
            skip: entry.skip_reason,
            is_request: entry.api != "other",
            took: self.arrived.elapsed(),
        };
        if done.is_request {
            let totals = &self.context.totals;
            totals.requests.fetch_add(1, Ordering::Relaxed);
            totals.before.fetch_add(done.before, Ordering::Relaxed);
            totals.after.fetch_add(done.after, Ordering::Relaxed);
        }
        self.context.metrics.count(&entry);
        self.context.ledger.record(entry);
        (self.context.report)(&done);
    }

    fn no_route(&self, is_read: bool) {
        let text = "no provider for this request: it carries no credential that names one; set \
                    proxy.passthrough_url, or put the provider's name first in the path";
        let trouble = Trouble { status: 404, code: "no-provider", text, request_id: &self.id };
        let format = crate::wire::Format::of_path(self.head.target());
        self.client.answer(&local::error(format, &trouble), self.head, is_read);
    }

    fn fail(&self, route: &Route, mut entry: Entry, failure: Failure) {
        entry.ttfb_ms = None;
        let host = host_of(&route.url);
        let (status, code, text) = match failure {
            Failure::ClientGone => {
                entry.error = Some("client_gone");
                self.finish(entry);
                return self.client.release(false);
            }
            Failure::Refused(why) => (400, "bad-request", why.to_owned()),
            Failure::Client(refusal) => {
                (refusal.status, local::code(refusal.status), refusal.why.to_owned())
            }
            Failure::TimedOut => {
                (504, "upstream-timeout", format!("{host} did not answer in time"))
            }
            Failure::Unreachable(why) => {
                (502, "upstream-unreachable", format!("cannot reach {host}: {why}"))
            }
        };
        entry.status = Some(status);
        entry.error = Some(code);
        let trouble = Trouble { status, code, text: &text, request_id: &self.id };
        let answer = local::error(route.format, &trouble);
        self.finish(entry);
        self.client.answer(&answer, self.head, !self.must_close);
    }
}

/// The response headers that say what was done.
fn headers(entry: &Entry) -> Vec<(&'static str, String)> {
    let mut all = vec![("x-tokenpak-request-id", entry.request_id.clone())];
    if let (Some(before), Some(after)) = (entry.tokens_before, entry.tokens_after) {
        all.push(("x-tokenpak-tokens-before", before.to_string()));
        all.push(("x-tokenpak-tokens-after", after.to_string()));
        all.push(("x-tokenpak-tokens-saved", (before as i64 - after as i64).to_string()));
    }
    all.extend(entry.skip_reason.map(|skip| ("x-tokenpak-skip", skip.to_owned())));
    all
}

fn read_answer(entry: &mut Entry, reading: Option<Reading>) {
    if let Some(reading) = reading {
        entry.usage = reading.usage;
        entry.model = entry.model.take().or(reading.model);
    }
}

/// What could not be read has no count, rather than the count 0.
fn uncounted(skip: Option<Skip>) -> bool {
    matches!(skip, Some(Skip::Unreadable | Skip::Encoded | Skip::Large))
}

fn asked_mode(head: &Head) -> Option<Mode> {
    let value = std::str::from_utf8(head.header("x-tokenpak-mode")?).ok()?;
    Mode::parse(&value.to_ascii_lowercase())
}

/// Gemini names the model in the path: `/v1beta/models/NAME:generateContent`.
fn model_in_path(target: &str) -> Option<String> {
    let name = target.split("/models/").nth(1)?.split([':', '%', '?', '/']).next()?;
    (!name.is_empty()).then(|| name.to_owned())
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
