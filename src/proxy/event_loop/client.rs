//! A request for a worker, its client, and the way back to the event loop.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::client_connection::ClientConnection;
use super::local::{self, ErrorContext};
use super::memory::BodyBuffer;
use super::phase::Leftover;
use super::upload::{SKIP_BYTES_MAX, Upload};
use crate::proxy::request::Head;
use crate::proxy::watch::Watch;

/// A request that is ready for a worker.
pub(crate) struct ReadyRequest {
    pub(crate) client: Client,
    pub(crate) head: Box<Head>,
    pub(crate) body: Incoming,
    /// When its head was complete.
    pub(crate) arrived: Instant,
}

/// A request's body.
pub(crate) enum Incoming {
    Whole(BodyBuffer),
    Streamed(Upload),
}

impl Incoming {
    /// Whether all of it has come, wanted or not.
    pub(crate) fn has_come(&mut self) -> bool {
        match self {
            Incoming::Whole(_) => true,
            Incoming::Streamed(upload) => upload.has_come(),
        }
    }

    /// Reads a body that nobody wants, up to a bound; whether all of it has come.
    pub(crate) fn has_come_unwanted(self) -> bool {
        let Incoming::Streamed(mut upload) = self else { return true };
        let mut unwanted = (&mut upload).take(SKIP_BYTES_MAX);
        let _ = io::copy(&mut unwanted, &mut io::sink());
        upload.has_come()
    }
}

/// The client of one request.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) stream: Arc<TcpStream>,
    pub(crate) watch: Arc<Watch>,
    pub(crate) link: Arc<ClientConnection>,
    /// Which request of the connection this is.
    pub(crate) turn: u32,
}

impl Client {
    /// Writes an answer of our own and gives the connection back. It `is_reusable` if all of the
    /// request was read.
    pub(crate) fn answer(&self, answer: &[u8], head: &Head, is_reusable: bool) {
        let keep_alive = is_reusable && head.keep_alive;
        let answer = local::fit(answer, &ErrorContext::of(head), keep_alive);
        let written = (&*self.stream).write_all(&answer);
        self.release(keep_alive && written.is_ok());
    }

    /// Gives the connection back to the event loop, for another request or to be closed; if the
    /// client is quick, the worker may stay with it.
    pub(crate) fn release(&self, keep_alive: bool) {
        self.watch.release();
        if keep_alive && self.link.may_keep_alive() {
            return self.link.stay(self.turn);
        }
        if !keep_alive {
            let _ = self.stream.shutdown(Shutdown::Write);
        }
        self.link.give_back(&self.stream, keep_alive);
    }

    /// Whether the request has its answer, and the connection is the worker's all the same.
    pub(super) fn is_ours(&self) -> bool {
        self.link.has_stayed(self.turn)
    }

    /// The worker goes, and leaves what it has of the next request.
    pub(super) fn go(&self, left: Option<Leftover>) {
        if let Some(left) = left {
            self.link.leave(left);
        }
        self.link.give_back(&self.stream, true);
    }

    /// Ends the connection in a way that no client takes for the end of an answer.
    pub(crate) fn abort(&self) {
        self.watch.release();
        // With no time to linger, the last close resets.
        let _ = rustix::net::sockopt::set_socket_linger(&*self.stream, Some(Duration::ZERO));
        self.link.abort(&self.stream);
    }

    /// Ends the connection with a last answer, if there is nothing on it yet that it would garble.
    pub(crate) fn close_with(&self, answer: &[u8], asked_by: &ErrorContext) {
        if self.link.is_busy() && !self.is_ours() {
            let _ = (&*self.stream).write_all(&local::fit(answer, asked_by, false));
            self.release(false);
        }
    }

    /// No worker could take the request, so the event loop keeps the connection.
    pub(crate) fn not_taken(&self) {
        self.link.take_back();
    }
}
