//! What an exchange leaves for `tokenpak trace`, gathered while the provider is thinking.
//!
//! What was sent is taken from what was written to the connection, and not from what we meant to send; so
//! that a key which is said to be unchanged is unchanged.

use std::time::Duration;

use super::request::Head;
use crate::debug::Debug;
use crate::rewrite::Rewritten;
use crate::route::Route;
use crate::trace::{self, Side, Trace};

/// A request that has been sent.
pub(super) struct TraceRecorder<'a> {
    pub(super) debug: &'a Debug,
    pub(super) request_id: &'a str,
    pub(super) head: &'a Head,
    pub(super) route: &'a Route,
    /// From the end of its head until a worker had the request, and until it was ready to be sent.
    pub(super) times: [Duration; 2],
}

impl TraceRecorder<'_> {
    /// Looks at what was sent: `wire` is its head, nothing if there was no connection for it. The bodies are
    /// what the client sent, and what went on.
    pub(super) fn record(
        &self,
        wire: &[u8],
        rewritten: &Rewritten,
        (original, sent): (&[u8], &[u8]),
    ) -> Trace {
        let wish = self.debug.take();
        let wants_bodies = wish.is_some_and(|wish| wish.bodies) && !original.is_empty();
        let bodies = wants_bodies && self.debug.store(self.request_id, original, sent);
        Trace { bodies, ..self.trace(wire, rewritten, wish.is_some()) }
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
            dropped_thoughts: 0,
            cache_miss: None,
        }
    }
}
