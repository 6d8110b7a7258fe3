//! One connection as the event loop sees it: what has come, what it has come to, what is due.

use std::net::{Shutdown, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

use super::client::{Client, Incoming, ReadyRequest};
use super::client_connection::ClientConnection;
use super::local::{self, ErrorContext};
use super::memory::{BodyBuffer, Memory};
use super::phase::{Leftover, Phase};
use super::upload::{CONTINUE, SKIP_BYTES_MAX, Upload};
use crate::proxy::deadlines::deadlines;
use crate::proxy::large_bodies::LargeBodyThread;
use crate::proxy::request::body::BodyReader;
use crate::proxy::request::{Framing, Head, HeadReader, Refusal};
use crate::proxy::watch::Watch;

/// Of a client that is to take a refusal and still sends.
const DRAIN_BYTES_MAX: usize = 256 * 1024 * 1024;

/// A body that may be passed on in pieces is waited for so long: whole, it can be sent a second time.
const WHOLE_WAIT: Duration = Duration::from_millis(250);

/// A body of which less came lately is slow; 8 KB a second keep it above.
const PACE_SLOW_BYTES: usize = 16 * 1024;

pub(crate) struct Connection {
    pub(crate) stream: Arc<TcpStream>,
    pub(crate) link: Arc<ClientConnection>,
    pub(crate) phase: Phase,
    /// Received, and not yet part of a request.
    buffer: Vec<u8>,
    /// When the phase began, or its last byte came; for a head, its first.
    pub(crate) since: Instant,
    /// Bytes of its body that came lately: a quarter of them fades with every tick, so that it is the
    /// rate of about two seconds.
    pub(super) pace: usize,
    /// The client has ended its side.
    pub(crate) is_half_closed: bool,
    /// Of all its requests: a client that has left is gone for all of them.
    watch: Arc<Watch>,
}

/// What a connection has come to.
pub(crate) enum Step {
    Wait,
    /// There is no memory for more of its body.
    Blocked,
    Head(Box<Head>),
    Request(Box<ReadyRequest>),
}

impl Connection {
    pub(crate) fn new(stream: Arc<TcpStream>, epoll: Arc<OwnedFd>, token: u64) -> Connection {
        Connection {
            stream,
            link: Arc::new(ClientConnection::new(epoll, token)),
            phase: Phase::Head(HeadReader::default()),
            buffer: Vec::new(),
            since: Instant::now(),
            pace: 0,
            is_half_closed: false,
            watch: Arc::default(),
        }
    }

    /// The connection of a client whose worker reads on.
    pub(super) fn of(client: &Client) -> Connection {
        Connection {
            stream: Arc::clone(&client.stream),
            link: Arc::clone(&client.link),
            phase: Phase::Head(HeadReader::default()),
            buffer: Vec::new(),
            since: Instant::now(),
            pace: 0,
            is_half_closed: false,
            watch: Arc::clone(&client.watch),
        }
    }

    /// Uses what has been received.
    pub(crate) fn advance(&mut self) -> Result<Step, Refusal> {
        match &mut self.phase {
            Phase::Head(reader) => {
                let Some((head, length)) = reader.read(&self.buffer)? else {
                    return Ok(Step::Wait);
                };
                used(&mut self.buffer, length);
                Ok(Step::Head(Box::new(head)))
            }
            Phase::Body { head, reader, body, is_blocked, .. } => {
                *is_blocked = !has_room(head.framing, reader, body, self.buffer.len());
                if *is_blocked {
                    return Ok(Step::Blocked);
                }
                let taken = reader.feed(&self.buffer, &mut body.bytes)?;
                used(&mut self.buffer, taken);
                Ok(if reader.is_done() {
                    Step::Request(Box::new(self.request()))
                } else {
                    Step::Wait
                })
            }
            Phase::Busy => Ok(Step::Wait),
            Phase::Skipping(_) => self.skip(),
            Phase::Draining { .. } => {
                self.buffer = Vec::new();
                Ok(Step::Wait)
            }
        }
    }

    fn skip(&mut self) -> Result<Step, Refusal> {
        let Phase::Skipping(reader) = &mut self.phase else { return Ok(Step::Wait) };
        match reader.feed(&self.buffer, &mut Vec::new()) {
            Ok(taken) => {
                used(&mut self.buffer, taken);
                if !reader.is_done() {
                    return Ok(Step::Wait);
                }
                self.expect_head();
                self.advance()
            }
            // It has had its answer.
            Err(_) => {
                self.half_close();
                Ok(Step::Wait)
            }
        }
    }

    /// What there is, without waiting.
    pub(crate) fn receive(&mut self, scratch: &mut [u8]) -> Result<usize, Errno> {
        self.receive_with(RecvFlags::DONTWAIT, scratch)
    }

    /// One receive. A body of known length goes to its place without a copy.
    pub(super) fn receive_with(
        &mut self,
        flags: RecvFlags,
        scratch: &mut [u8],
    ) -> Result<usize, Errno> {
        if let Phase::Body { reader, body, .. } = &mut self.phase {
            let bytes = &mut body.bytes;
            let room = bytes.capacity() - bytes.len();
            if room > 0 && reader.plain() >= room as u64 {
                let spare = rustix::buffer::spare_capacity(bytes);
                let count = rustix::net::recv(&self.stream, spare, flags)?.0;
                reader.took(count as u64);
                self.since = Instant::now();
                self.pace += count;
                return Ok(count);
            }
        }
        let (_, count) = rustix::net::recv(&self.stream, &mut *scratch, flags)?;
        // A head must be complete in time, however many pieces it comes in.
        if !matches!(self.phase, Phase::Head(_)) || self.buffer.is_empty() {
            self.since = Instant::now();
        }
        match &mut self.phase {
            Phase::Draining { bytes, .. } => *bytes += count,
            Phase::Body { .. } => {
                self.pace += count;
                self.buffer.extend_from_slice(&scratch[..count]);
            }
            _ => self.buffer.extend_from_slice(&scratch[..count]),
        }
        Ok(count)
    }

    /// Reads a body of at most `max` bytes; one that `may_stream` need not come whole.
    pub(crate) fn begin_body(
        &mut self,
        head: Box<Head>,
        (max, may_stream): (u64, bool),
        memory: &Arc<Memory>,
    ) {
        self.invite(&head);
        let reader = BodyReader::new(head.framing, max);
        self.pace = 0;
        let (body, arrived) = (BodyBuffer::new(memory), Instant::now());
        self.phase = Phase::Body { head, reader, body, arrived, is_blocked: false, may_stream };
    }

    /// Tells a client that waits for it to send its body; false if it did not take that.
    fn invite(&self, head: &Head) -> bool {
        let is_waiting = head.expects_continue && self.buffer.is_empty();
        !is_waiting || self.say(CONTINUE)
    }

    /// The whole request, which is now a worker's.
    fn request(&mut self) -> ReadyRequest {
        match std::mem::replace(&mut self.phase, Phase::Busy) {
            Phase::Body { head, body, arrived, .. } => {
                self.job(head, Incoming::Whole(body), arrived)
            }
            _ => unreachable!("only a body that is complete becomes a request"),
        }
    }

    /// A request whose body the worker reads itself.
    pub(crate) fn upload(&mut self, head: Box<Head>) -> ReadyRequest {
        self.phase = Phase::Busy;
        let buffered = std::mem::take(&mut self.buffer);
        let upload = Upload::new(&self.stream, &self.link, &head, buffered);
        self.job(head, Incoming::Streamed(upload), Instant::now())
    }

    /// The request of a body that could be on its way by now: the worker reads on from what has come.
    pub(super) fn late_upload(&mut self) -> Option<ReadyRequest> {
        let Phase::Body { arrived, may_stream: true, .. } = &self.phase else { return None };
        if arrived.elapsed() < WHOLE_WAIT {
            return None;
        }
        match std::mem::replace(&mut self.phase, Phase::Busy) {
            Phase::Body { head, reader, body, arrived, .. } => {
                let received = std::mem::take(&mut self.buffer);
                let upload = Upload::resume((&self.stream, &self.link), reader, body, received);
                Some(self.job(head, Incoming::Streamed(upload), arrived))
            }
            _ => unreachable!("only a body is late"),
        }
    }

    fn job(&self, head: Box<Head>, body: Incoming, arrived: Instant) -> ReadyRequest {
        let turn = self.link.hand_over(!self.buffer.is_empty());
        let client = Client {
            turn,
            stream: Arc::clone(&self.stream),
            watch: Arc::clone(&self.watch),
            link: Arc::clone(&self.link),
        };
        ReadyRequest { client, head, body, arrived }
    }

    /// The worker is done.
    pub(crate) fn come_back(&mut self) {
        self.link.note_pause();
        self.expect_head();
        if let Some(left) = self.link.take_left() {
            (self.phase, self.buffer) = (left.phase, left.buffer);
        }
        if self.link.is_closing() {
            self.drain();
        }
    }

    /// The client has left, so the request upstream has nobody to read its answer.
    pub(super) fn leave(&self) {
        self.watch.leave();
    }

    /// The proxy ends, and the request with it.
    pub(super) fn cut(&self) {
        self.watch.cut();
    }

    /// What has come, for the event loop. `is_waiting`: all of it was looked at.
    pub(super) fn left(self, is_waiting: bool) -> Leftover {
        Leftover { phase: self.phase, buffer: self.buffer, is_waiting }
    }

    /// What has come behind the request that was taken.
    pub(super) fn rest(self) -> Vec<u8> {
        self.buffer
    }

    /// Whether it has begun a body that says that it will be large.
    pub(super) fn is_large(&self, large: &LargeBodyThread) -> bool {
        match &self.phase {
            Phase::Body { reader, .. } => large.is_large(reader.plain() as usize),
            _ => false,
        }
    }

    /// Whether it waits for the rest of a request.
    pub(super) fn is_reading(&self) -> bool {
        matches!(self.phase, Phase::Head(_) | Phase::Body { is_blocked: false, .. })
    }

    fn expect_head(&mut self) {
        self.since = Instant::now();
        self.phase = Phase::Head(HeadReader::default());
    }

    /// Sends an answer to `head`, whose body has not been read. The connection lives on if that
    /// body is small and the client will send it whatever the answer is.
    pub(crate) fn answer(&mut self, head: &Head, answer: &[u8]) {
        let is_small = match head.framing {
            Framing::Length(length) => length <= SKIP_BYTES_MAX,
            Framing::Chunked => true,
        };
        // A client that waits to be asked for its body is not asked where it is refused (RFC 9110 10.1.1).
        let is_asked = !head.expects_continue || answer.starts_with(b"HTTP/1.1 2");
        let is_kept = head.keep_alive && is_small && is_asked && head.method() != "CONNECT";
        let asked_by = ErrorContext::of(head);
        // Whether a client that waits to be asked sends its body all the same, nobody knows.
        if !is_kept || !self.invite(head) {
            return self.last_answer(answer, &asked_by);
        }
        match self.say(&local::fit(answer, &asked_by, true)) {
            true => self.phase = Phase::Skipping(BodyReader::new(head.framing, SKIP_BYTES_MAX)),
            false => self.half_close(),
        }
        self.since = Instant::now();
    }

    /// Sends an answer that the client must know to be the last.
    pub(crate) fn last_answer(&mut self, answer: &[u8], asked_by: &ErrorContext) {
        self.say(&local::fit(answer, asked_by, false));
        self.half_close();
    }

    /// Refuses what has come, however little that is, and the connection with it.
    pub(crate) fn refuse(&mut self, refusal: Refusal, request_id: &str) {
        let asked_by = match &self.phase {
            Phase::Body { head, .. } => ErrorContext::of(head),
            _ => ErrorContext::of_start(&self.buffer),
        };
        self.last_answer(&local::refusal(&asked_by, refusal, request_id), &asked_by);
    }

    /// Sends a short text at once; false if the client did not take it, who is not waited for.
    fn say(&self, text: &[u8]) -> bool {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        rustix::net::send(&self.stream, text, flags) == Ok(text.len())
    }

    fn half_close(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
        self.drain();
    }

    /// A connection closed with bytes unread is reset, which takes the answer with it.
    fn drain(&mut self) {
        self.since = Instant::now();
        self.phase = Phase::Draining { until: Instant::now() + deadlines().discard, bytes: 0 };
    }

    /// Whether enough was thrown away.
    pub(crate) fn is_drained(&self) -> bool {
        match self.phase {
            Phase::Draining { until, bytes } => bytes > DRAIN_BYTES_MAX || Instant::now() > until,
            _ => false,
        }
    }

    /// Every half second.
    pub(super) fn fade(&mut self) {
        self.pace = self.pace * 3 / 4;
    }

    /// Whether its body makes little headway; of a body that has just begun nobody knows.
    pub(super) fn is_slow(&self, fresh: Duration) -> bool {
        let Phase::Body { arrived, .. } = &self.phase else { return false };
        let is_silent = self.since.elapsed() > deadlines().body_contended;
        arrived.elapsed() >= fresh && (self.pace < PACE_SLOW_BYTES || is_silent)
    }

    pub(crate) fn is_busy(&self) -> bool {
        matches!(self.phase, Phase::Busy)
    }

    /// Nothing has come of a request yet.
    pub(crate) fn is_parked(&self) -> bool {
        matches!(self.phase, Phase::Head(_)) && self.buffer.is_empty()
    }
}

/// Takes bytes off the start. Idle and busy connections, of which there are many, hold no memory.
fn used(buffer: &mut Vec<u8>, count: usize) {
    match count == buffer.len() {
        true => *buffer = Vec::new(),
        false => drop(buffer.drain(..count)),
    }
}

/// Sets memory aside for what comes next of a body.
fn has_room(framing: Framing, reader: &BodyReader, body: &mut BodyBuffer, received: usize) -> bool {
    match framing {
        _ if reader.is_done() => true,
        // Its length was checked against the limit, which is below the memory for all.
        Framing::Length(length) => {
            let more = reader.plain().min(received as u64) as usize;
            body.reserve(length as usize) && body.grow(more.max(1))
        }
        Framing::Chunked => body.grow(received.max(1)),
    }
}
