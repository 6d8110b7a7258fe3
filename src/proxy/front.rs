//! The front thread: accepts, parks idle connections, reads whole requests, enforces every
//! deadline, and watches for clients that leave.
//!
//! Slow or silent clients never hold a worker. Sockets stay in blocking mode for the workers; the
//! front reads with MSG_DONTWAIT, so nobody switches modes. Registration is edge-triggered and
//! lasts for the connection's life: a worker that is done re-arms it, which also reports what came
//! meanwhile.

use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags};

pub(crate) use super::client::{Client, Incoming, Job};
use super::client::{Link, Upload};
use super::request::{BodyReader, Framing, Head, HeadReader, Refusal};
use super::transport::Watch;
use super::workers::Workers;
use super::{Context, DRAIN, guard, local};
use crate::error::Error;
use crate::route::{self, Asked};
use crate::wire::Format;

/// Connections at once; at the bound the longest-idle parked one makes room.
const CONNECTIONS_MAX: usize = 1024;
/// From a head's first byte to its last.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// Between two pieces of a body.
const BODY_IDLE: Duration = Duration::from_secs(30);
/// Between two requests.
const KEEP_ALIVE_IDLE: Duration = Duration::from_secs(75);
/// For a client to take a refusal while it still sends.
const LINGER: Duration = Duration::from_secs(5);
/// Outside the wire formats, bodies over this are passed on while they come.
const WHOLE_BODY_BYTES_MAX: u64 = 1024 * 1024;
const READ_BYTES: usize = 64 * 1024;
const EVENTS_MAX: usize = 256;
const TICK: Duration = Duration::from_millis(500);

const TOO_LARGE: Refusal =
    Refusal { status: 413, why: "the body is too large; see proxy.max_body_mb" };

const LISTENERS: u64 = u64::MAX - 16;
const SIGNALS: u64 = u64::MAX;

struct Connection {
    stream: Arc<TcpStream>,
    link: Arc<Link>,
    phase: Phase,
    /// Received, and not yet part of a request.
    buffer: Vec<u8>,
    /// When the phase began, or its last byte came.
    since: Instant,
}

enum Phase {
    Head(HeadReader),
    Body {
        head: Box<Head>,
        reader: BodyReader,
        body: Vec<u8>,
        arrived: Instant,
    },
    /// A worker has it.
    Busy(Arc<Watch>),
    /// Answered and half closed: what the client still sends is thrown away.
    Draining,
}

/// What to do with a connection after an event.
enum Next {
    Keep,
    Close,
}

struct Front<'a> {
    context: &'a Arc<Context>,
    workers: &'a Workers,
    epoll: Arc<OwnedFd>,
    listeners: Vec<TcpListener>,
    /// Out of descriptors: listeners rest until the next tick.
    is_resting: bool,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    serial: u32,
    scratch: Vec<u8>,
}

/// Runs until a signal has come and all requests in flight are answered.
pub(crate) fn run(
    context: &Arc<Context>,
    listeners: Vec<TcpListener>,
    signals: UnixStream,
    workers: &Workers,
) -> Result<(), Error> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC);
    let epoll = Arc::new(epoll.map_err(|error| Error::system("epoll", error))?);
    signals.set_nonblocking(true).map_err(|error| Error::system("signals", error))?;
    epoll::add(&epoll, &signals, EventData::new_u64(SIGNALS), EventFlags::IN)
        .map_err(|error| Error::system("epoll", error))?;
    let mut front = Front {
        context,
        workers,
        epoll,
        listeners,
        is_resting: true,
        connections: Vec::new(),
        free: Vec::new(),
        serial: 0,
        scratch: vec![0; READ_BYTES],
    };
    front.listen();
    front.turn_until_drained(&signals)
}

impl Front<'_> {
    fn turn_until_drained(&mut self, signals: &UnixStream) -> Result<(), Error> {
        let mut events = Vec::with_capacity(EVENTS_MAX);
        let mut last_tick = Instant::now();
        let mut drained_by = None;
        loop {
            events.clear();
            let tick = Timespec { tv_sec: 0, tv_nsec: TICK.subsec_nanos().into() };
            let needs_tick = self.is_resting || drained_by.is_some() || self.is_anybody_there();
            let timeout = needs_tick.then_some(&tick);
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), timeout) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(Error::system("epoll", error)),
            }
            for event in events.drain(..) {
                match event.data.u64() {
                    SIGNALS if drained_by.is_some() => return Ok(()),
                    SIGNALS => drained_by = Some(self.drain(signals)),
                    LISTENERS.. => self.accept((event.data.u64() - LISTENERS) as usize),
                    token => self.on_event(token, event),
                }
            }
            if last_tick.elapsed() >= TICK {
                last_tick = Instant::now();
                self.tick();
            }
            let is_over = self.context.in_flight.load(Ordering::Acquire) == 0;
            if drained_by.is_some_and(|by| is_over || Instant::now() > by) {
                return Ok(());
            }
        }
    }

    fn is_anybody_there(&self) -> bool {
        self.connections.len() > self.free.len()
    }

    /// Stops accepting and lets go of those who wait for nothing; returns the last moment.
    fn drain(&mut self, mut signals: &UnixStream) -> Instant {
        let _ = std::io::Read::read(&mut signals, &mut [0; 16]);
        self.context.draining.store(true, Ordering::Relaxed);
        self.listeners.clear();
        for index in 0..self.connections.len() {
            let is_parked = self.connections[index].as_ref().is_some_and(|connection| {
                matches!(connection.phase, Phase::Head(_)) && connection.buffer.is_empty()
            });
            if is_parked {
                self.close(index);
            }
        }
        Instant::now() + DRAIN
    }

    fn listen(&mut self) {
        let add = |(index, listener): (usize, &TcpListener)| {
            let data = EventData::new_u64(LISTENERS + index as u64);
            epoll::add(&self.epoll, listener, data, EventFlags::IN).is_ok()
        };
        self.is_resting =
            !self.listeners.iter().enumerate().map(add).fold(true, |all, ok| all & ok);
    }

    fn accept(&mut self, index: usize) {
        while let Some(listener) = self.listeners.get(index) {
            match rustix::net::accept_with(listener, SocketFlags::CLOEXEC) {
                Ok(stream) => self.welcome(TcpStream::from(stream)),
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                // No descriptor left: the next tick tries again.
                Err(_) => {
                    for listener in &self.listeners {
                        let _ = epoll::delete(&self.epoll, listener);
                    }
                    self.is_resting = true;
                    return;
                }
            }
        }
    }

    fn welcome(&mut self, stream: TcpStream) {
        if self.connections.len() - self.free.len() >= CONNECTIONS_MAX && !self.make_room() {
            let refusal = local::plain(503, "too many connections");
            let _ = rustix::net::send(&stream, &refusal, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
            return;
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.connections.push(None);
            self.connections.len() - 1
        });
        self.serial = (self.serial + 1) & 0x7fff_ffff;
        let token = u64::from(self.serial) << 32 | index as u64;
        let link = Arc::new(Link::new(Arc::clone(&self.epoll), token));
        let connection = Connection {
            stream: Arc::new(stream),
            phase: Phase::Head(HeadReader::default()),
            buffer: Vec::new(),
            since: Instant::now(),
            link,
        };
        let flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
        match epoll::add(&self.epoll, &connection.stream, EventData::new_u64(token), flags) {
            Ok(()) => self.connections[index] = Some(connection),
            Err(_) => self.free.push(index),
        }
    }

    /// Closes the connection that has been parked longest.
    fn make_room(&mut self) -> bool {
        let parked = self.connections.iter().enumerate().filter_map(|(index, connection)| {
            let connection = connection.as_ref()?;
            let is_parked =
                matches!(connection.phase, Phase::Head(_)) && connection.buffer.is_empty();
            is_parked.then_some((connection.since, index))
        });
        let longest = parked.min();
        longest.inspect(|(_, index)| self.close(*index)).is_some()
    }

    fn close(&mut self, index: usize) {
        if let Some(connection) = self.connections[index].take() {
            let _ = epoll::delete(&self.epoll, &connection.stream);
            self.free.push(index);
        }
    }

    fn on_event(&mut self, token: u64, event: Event) {
        let index = (token & 0xffff_ffff) as usize;
        let Some(Some(connection)) = self.connections.get_mut(index) else { return };
        if connection.link.token != token {
            return;
        }
        if let Phase::Busy(watch) = &connection.phase {
            if connection.link.is_busy() {
                let left = EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR;
                // A copy: the field is not aligned.
                let flags = event.flags;
                if flags.intersects(left) {
                    watch.leave();
                }
                return;
            }
            connection.come_back();
        }
        if let Next::Close = self.pump(index) {
            self.close(index);
        }
    }

    /// Reads what there is and acts on it.
    fn pump(&mut self, index: usize) -> Next {
        loop {
            let Some(connection) = &mut self.connections[index] else { return Next::Keep };
            match connection.advance() {
                // A chunked body does not say beforehand how long it will be.
                Ok(Step::Wait) if connection.body_bytes() > self.body_bytes_max() => {
                    return self.refuse(index, TOO_LARGE);
                }
                Ok(Step::Wait) => {}
                Ok(Step::Head(head)) => match self.on_head(index, head) {
                    Some(next) => return next,
                    None => continue,
                },
                Ok(Step::Request(job)) => return self.dispatch(index, job),
                Err(refusal) => return self.refuse(index, refusal),
            }
            let Some(connection) = &mut self.connections[index] else { return Next::Keep };
            match connection.receive(&mut self.scratch) {
                Ok(0) | Err(Errno::CONNRESET) => return Next::Close,
                Ok(_) => connection.since = Instant::now(),
                Err(Errno::AGAIN) => return Next::Keep,
                Err(Errno::INTR) => {}
                Err(_) => return Next::Close,
            }
        }
    }

    /// Decides who answers a head: we ourselves, a worker at once, or a worker after the body.
    /// `None`: read on.
    fn on_head(&mut self, index: usize, head: Box<Head>) -> Option<Next> {
        let header = |name: &str| head.header(name);
        let asked = Asked { method: head.method(), target: head.target(), header: &header };
        let has_credential = route::has_credential(&asked);
        if let Err(refusal) = guard::admit(&head, &self.context.config.hosts, has_credential) {
            return Some(self.refuse(index, refusal));
        }
        if let Some(answer) = self.own_answer(&head, has_credential) {
            return Some(self.answer(index, &head, &answer));
        }
        let path = head.target();
        let is_prompt = head.method() == "POST" && Format::of_path(path).is_some();
        let max = self.body_bytes_max();
        let connection = self.connections[index].as_mut()?;
        match head.framing {
            Framing::Length(length) if is_prompt && length > max => {
                return Some(self.refuse(index, TOO_LARGE));
            }
            Framing::Length(length) if is_prompt || length <= WHOLE_BODY_BYTES_MAX => {}
            Framing::Chunked if is_prompt => {}
            _ => {
                let job = connection.upload(head);
                return Some(self.dispatch(index, Box::new(job)));
            }
        }
        if head.expects_continue && connection.buffer.is_empty() {
            connection.say(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        connection.begin_body(head);
        None
    }

    /// Answers that need no provider and no worker.
    fn own_answer(&self, head: &Head, has_credential: bool) -> Option<Vec<u8>> {
        let path = head.target().split('?').next().unwrap_or_default();
        let is_websocket =
            head.values("upgrade").any(|value| value.eq_ignore_ascii_case(b"websocket"));
        match (head.method(), path) {
            ("CONNECT", _) => Some(local::plain(405, "CONNECT is not served here")),
            _ if is_websocket => Some(local::no_websocket()),
            ("GET" | "HEAD", "/health") => {
                let context = self.context;
                let uptime_s = context.started.elapsed().as_secs();
                Some(local::health(context.is_draining(), uptime_s, !context.ledger.failing()))
            }
            ("GET" | "HEAD", "/") if !has_credential => Some(local::greeting()),
            _ => None,
        }
    }

    /// Sends an answer of our own; the connection lives on if the request had no body.
    fn answer(&mut self, index: usize, head: &Head, answer: &[u8]) -> Next {
        let Some(connection) = &mut self.connections[index] else { return Next::Keep };
        let end = memchr::memmem::find(answer, b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
        connection.say(if head.method() == "HEAD" { &answer[..end] } else { answer });
        let is_closing = memchr::memmem::find(&answer[..end], b"connection: close").is_some();
        if head.keep_alive && head.framing == Framing::Length(0) && !is_closing {
            connection.phase = Phase::Head(HeadReader::default());
            return self.pump(index);
        }
        connection.half_close();
        self.pump(index)
    }

    /// The most that the body of a prompt may have.
    fn body_bytes_max(&self) -> u64 {
        self.context.config.max_body_mb as u64 * 1024 * 1024
    }

    fn refuse(&mut self, index: usize, refusal: Refusal) -> Next {
        let Some(connection) = &mut self.connections[index] else { return Next::Keep };
        connection.say(&local::plain(refusal.status, refusal.why));
        connection.half_close();
        self.pump(index)
    }

    fn dispatch(&mut self, index: usize, job: Box<Job>) -> Next {
        self.context.in_flight.fetch_add(1, Ordering::AcqRel);
        let Err(job) = self.workers.submit(job) else { return Next::Keep };
        self.context.in_flight.fetch_sub(1, Ordering::AcqRel);
        job.client.not_taken();
        self.refuse(index, Refusal { status: 503, why: "all workers are busy; try again" })
    }

    /// Twice a second: deadlines.
    fn tick(&mut self) {
        if self.is_resting {
            self.listen();
        }
        for index in 0..self.connections.len() {
            let Some(connection) = &mut self.connections[index] else { continue };
            let waited = connection.since.elapsed();
            match &connection.phase {
                Phase::Head(_) if connection.buffer.is_empty() && waited > KEEP_ALIVE_IDLE => {
                    self.close(index);
                }
                Phase::Head(_) if !connection.buffer.is_empty() && waited > HEAD_DEADLINE => {
                    self.time_out(index, "the request's head did not come in time");
                }
                Phase::Body { .. } if waited > BODY_IDLE => {
                    self.time_out(index, "the request's body did not come in time");
                }
                Phase::Draining if waited > LINGER => self.close(index),
                _ => {}
            }
        }
    }

    fn time_out(&mut self, index: usize, why: &'static str) {
        if let Next::Close = self.refuse(index, Refusal { status: 408, why }) {
            self.close(index);
        }
    }
}

/// What a connection has come to.
enum Step {
    Wait,
    Head(Box<Head>),
    Request(Box<Job>),
}

impl Connection {
    /// Uses what has been received.
    fn advance(&mut self) -> Result<Step, Refusal> {
        match &mut self.phase {
            Phase::Head(reader) => {
                let Some((head, length)) = reader.read(&self.buffer)? else {
                    return Ok(Step::Wait);
                };
                self.buffer.drain(..length);
                Ok(Step::Head(Box::new(head)))
            }
            Phase::Body { reader, body, .. } => {
                let taken = reader.feed(&self.buffer, body)?;
                self.buffer.drain(..taken);
                Ok(if reader.is_done() {
                    Step::Request(Box::new(self.request()))
                } else {
                    Step::Wait
                })
            }
            Phase::Busy(_) => Ok(Step::Wait),
            Phase::Draining => {
                self.buffer = Vec::new();
                Ok(Step::Wait)
            }
        }
    }

    /// What has come of a body so far.
    fn body_bytes(&self) -> u64 {
        match &self.phase {
            Phase::Body { body, .. } => body.len() as u64,
            _ => 0,
        }
    }

    /// One receive. A body of known length goes to its place without a copy.
    fn receive(&mut self, scratch: &mut Vec<u8>) -> Result<usize, Errno> {
        if let Phase::Body { reader, body, .. } = &mut self.phase {
            let room = body.capacity() - body.len();
            if room > 0 && reader.plain() >= room as u64 {
                let spare = rustix::buffer::spare_capacity(body);
                let count = rustix::net::recv(&self.stream, spare, RecvFlags::DONTWAIT)?.0;
                reader.took(count as u64);
                return Ok(count);
            }
        }
        let (_, count) =
            rustix::net::recv(&self.stream, scratch.as_mut_slice(), RecvFlags::DONTWAIT)?;
        self.buffer.extend_from_slice(&scratch[..count]);
        Ok(count)
    }

    fn begin_body(&mut self, head: Box<Head>) {
        // Room for what the client announced, but no more than it has a moment to send: a lie
        // about the length must not cost memory.
        const RESERVE_BYTES_MAX: u64 = 4 * 1024 * 1024;
        let room = match head.framing {
            Framing::Length(length) => length.min(RESERVE_BYTES_MAX) as usize,
            Framing::Chunked => 0,
        };
        let reader = BodyReader::new(head.framing);
        let arrived = Instant::now();
        self.phase = Phase::Body { head, reader, body: Vec::with_capacity(room), arrived };
    }

    /// The whole request, which is now a worker's.
    fn request(&mut self) -> Job {
        let watch = Arc::new(Watch::default());
        let phase = std::mem::replace(&mut self.phase, Phase::Busy(Arc::clone(&watch)));
        match phase {
            Phase::Body { head, body, arrived, .. } => {
                self.job(head, Incoming::Whole(body), watch, arrived)
            }
            _ => unreachable!("only a body that is complete becomes a request"),
        }
    }

    /// A request whose body the worker reads itself.
    fn upload(&mut self, head: Box<Head>) -> Job {
        let watch = Arc::new(Watch::default());
        self.phase = Phase::Busy(Arc::clone(&watch));
        let buffered = std::mem::take(&mut self.buffer);
        let upload =
            Upload::new(Arc::clone(&self.stream), head.framing, buffered, head.expects_continue);
        self.job(head, Incoming::Streamed(upload), watch, Instant::now())
    }

    fn job(&self, head: Box<Head>, body: Incoming, watch: Arc<Watch>, arrived: Instant) -> Job {
        self.link.hand_over(!self.buffer.is_empty());
        let client =
            Client { stream: Arc::clone(&self.stream), watch, link: Arc::clone(&self.link) };
        Job { client, head, body, arrived, is_promised: false }
    }

    /// The worker is done.
    fn come_back(&mut self) {
        self.since = Instant::now();
        self.phase = match self.link.is_closing() {
            true => Phase::Draining,
            false => Phase::Head(HeadReader::default()),
        };
    }

    /// Sends a short text at once; a client that does not take it is not waited for.
    fn say(&self, text: &[u8]) {
        let _ = rustix::net::send(&self.stream, text, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
    }

    fn half_close(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
        self.since = Instant::now();
        self.phase = Phase::Draining;
    }
}
