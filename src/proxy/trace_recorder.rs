//! What an exchange leaves for `tokenpak trace`, gathered while the provider is thinking.
//!
//! What was sent is taken from the connection, behind ureq, and not from what we meant to send; so
//! that a key which is said to be unchanged is unchanged.

use std::cell::{OnceCell, RefCell};
use std::time::Duration;

use super::buffer_pool;
use super::prepare::Prepared;
use super::request::Head;
use super::upstream::transport;
use crate::debug::{Debug, Switch};
use crate::rewrite::Rewritten;
use crate::route::Route;
use crate::trace::{self, Side, Trace};

/// Looks on as a request is sent, perhaps more than once.
pub(super) struct TraceRecorder<'a> {
    debug: &'a Debug,
    request_id: &'a str,
    head: &'a Head,
    route: &'a Route,
    /// From the end of its head until a worker had the request, and until it was ready to be sent.
    times: [Duration; 2],
    /// What debug mode wants, and whether the bodies were stored; asked once for a request.
    wish: OnceCell<(Option<Switch>, bool)>,
    seen: RefCell<Option<Trace>>,
}

impl<'a> TraceRecorder<'a> {
    pub(super) fn new(
        debug: &'a Debug,
        request_id: &'a str,
        (head, route): (&'a Head, &'a Route),
        times: [Duration; 2],
    ) -> TraceRecorder<'a> {
        let (wish, seen) = (OnceCell::new(), RefCell::new(None));
        TraceRecorder { debug, request_id, head, route, times, wish, seen }
    }

    /// Looks at what was just sent. `original` is what the client sent.
    pub(super) fn observe(&self, rewritten: &Rewritten, prepared: &Prepared, original: &[u8]) {
        let (wish, has_bodies) = self.wish.get_or_init(|| {
            let wish = self.debug.take();
            let wants_bodies = wish.is_some_and(|wish| wish.bodies) && !original.is_empty();
            let sent = prepared.body.as_deref().unwrap_or(original);
            (wish, wants_bodies && self.debug.store(self.request_id, original, sent))
        });
        // Taken; its buffer serves the next request.
        let wire = transport::attempt(|attempt| std::mem::take(&mut attempt.head));
        let trace = Trace { bodies: *has_bodies, ..self.trace(&wire, rewritten, wish.is_some()) };
        self.seen.replace(Some(trace));
        buffer_pool::keep(wire);
    }

    fn trace(&self, wire: &[u8], rewritten: &Rewritten, wants_headers: bool) -> Trace {
        let head = self.head;
        let sent = Side::of_wire(wire);
        let received = Side { target: head.target(), headers: head.headers() };
        let headers = sent.as_ref().filter(|_| wants_headers);
        let saved = rewritten.per_pass.iter();
        let [read, ready] = self.times;
        Trace {
            method: trace::method(head.method()),
            path: trace::path(head.target()),
            route_by: self.route.by.into(),
            upstream: trace::origin(&self.route.url),
            credentials: trace::credentials(&received, sent.as_ref()),
            passes: saved.map(|(pass, tokens)| ((*pass).to_owned(), *tokens)).collect(),
            headers: headers.map(|sent| trace::headers(&received, sent)),
            bodies: false,
            read_us: Some(read.as_micros() as u64),
            // Of a body that was passed on as it came nothing was counted.
            pack_us: (rewritten.before > 0).then(|| ready.saturating_sub(read).as_micros() as u64),
            stop: None,
            cache_miss: None,
        }
    }

    /// What there is to tell. Of a body that was passed on while it came nothing was seen before.
    pub(super) fn finish(self, rewritten: &Rewritten, prepared: &Prepared) -> Trace {
        if self.seen.borrow().is_none() {
            self.observe(rewritten, prepared, &[]);
        }
        self.seen.into_inner().unwrap_or_default()
    }
}
