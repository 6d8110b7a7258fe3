//! The event loop: accepts, parks idle connections, reads whole requests, enforces every
//! deadline, and watches for clients that leave.
//!
//! Slow or silent clients never hold a worker. Sockets stay in blocking mode for the workers; the
//! front reads with MSG_DONTWAIT, so nobody switches modes. Registration is edge-triggered and
//! lasts for the connection's life: a worker that is done re-arms it, which also reports what came
//! meanwhile.

mod accept;
mod admit;
pub(super) mod client;
mod client_connection;
mod connection;
mod disconnects;
mod eviction;
mod keep_alive;
pub(super) mod listen;
pub(super) mod memory;
mod phase;
mod shutdown;
mod switch;
pub(super) mod upload;
pub(super) mod workers;

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;

use crate::error::Error;
use crate::proxy::Context;
use crate::proxy::deadlines::deadlines;
use crate::proxy::local::{self, ErrorContext};
use crate::proxy::request::Refusal;
use crate::proxy::setup::Setup;
use admit::admit;
use client::ReadyRequest;
use connection::{Connection, Step};
use disconnects::DisconnectDetector;
use phase::Phase;
use shutdown::End;
use switch::Switch;
use workers::Workers;

/// Connections at once; at the bound the longest-idle parked one makes room.
const CONNECTIONS_MAX: usize = 1024;
/// Descriptors for everything that is not a connection: database, listeners, epoll.
const OTHER_DESCRIPTORS: usize = 24;
const READ_BYTES: usize = 64 * 1024;
/// What one connection may send before the others get their turn.
const TURN_BYTES_MAX: usize = 1024 * 1024;
const EVENTS_MAX: usize = 256;
const TICK: Duration = Duration::from_millis(500);
/// Between two looks for free memory.
const MEMORY_TICK: Duration = Duration::from_millis(20);
/// A socket that is being closed is half closed for a moment, too; so it is looked at again.
const SECOND_LOOK: Duration = Duration::from_millis(5);

const ALL_BUSY: Refusal = Refusal { status: 503, why: "all workers are busy; try again" };
pub(super) const NO_MEMORY: Refusal =
    Refusal { status: 503, why: "all memory for bodies is in use; see proxy.body_memory_mb" };

const LISTENERS: u64 = u64::MAX - 16;
const SIGNALS: u64 = u64::MAX;

/// What to do with a connection after an event.
enum Next {
    Keep,
    Close,
}

/// A client with a request in flight that has ended its side.
struct HalfClosed {
    token: u64,
    /// When it is looked at again, and how long after that.
    next: Instant,
    wait: Duration,
}

struct EventLoop<'a> {
    context: &'a Arc<Context>,
    /// The settings that requests are admitted by.
    setup: Arc<Setup>,
    workers: &'a Workers,
    epoll: Arc<OwnedFd>,
    listeners: Vec<TcpListener>,
    /// Out of descriptors: listeners rest until the next tick.
    is_resting: bool,
    connections: Vec<Option<Connection>>,
    connections_max: usize,
    free: Vec<usize>,
    serial: u32,
    scratch: Vec<u8>,
    /// Connections that have more to read, but have had their turn.
    again: Vec<u64>,
    /// Connections whose bodies wait for memory.
    blocked: Vec<u64>,
    half_closed: Vec<HalfClosed>,
    disconnects: DisconnectDetector,
    switch: Option<Switch>,
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
    let mut event_loop = EventLoop {
        context,
        setup: context.setups.current(),
        workers,
        epoll,
        listeners,
        is_resting: true,
        connections: Vec::new(),
        connections_max: connections_max(),
        free: Vec::new(),
        serial: 0,
        scratch: vec![0; READ_BYTES],
        again: Vec::new(),
        blocked: Vec::new(),
        half_closed: Vec::new(),
        disconnects: DisconnectDetector::new(),
        switch: None,
    };
    event_loop.switch = Switch::watch(&event_loop.epoll, &context.debug);
    event_loop.listen();
    event_loop.turn_until_drained(&signals)
}

/// A connection needs two descriptors while its request is upstream.
fn connections_max() -> usize {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let files = files.map_or(usize::MAX, |files| files as usize);
    (files.saturating_sub(OTHER_DESCRIPTORS) / 2).clamp(1, CONNECTIONS_MAX)
}

impl EventLoop<'_> {
    fn turn_until_drained(&mut self, signals: &UnixStream) -> Result<(), Error> {
        let mut events = Vec::with_capacity(EVENTS_MAX);
        let mut last_tick = Instant::now();
        let mut end: Option<End> = None;
        loop {
            events.clear();
            let timeout = self.timeout(end.is_some());
            let spare = rustix::buffer::spare_capacity(&mut events);
            match epoll::wait(&self.epoll, spare, timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(Error::system("epoll", error)),
            }
            self.context.setups.refresh(&mut self.setup);
            for event in events.drain(..) {
                match event.data.u64() {
                    SIGNALS => end = Some(self.on_signal(signals, end)),
                    switch::TOKEN => {
                        self.switch.iter().for_each(|it| it.apply_to(&self.context.debug))
                    }
                    LISTENERS.. => self.accept((event.data.u64() - LISTENERS) as usize),
                    token => self.on_event(token, event.flags),
                }
            }
            self.continue_pending();
            if last_tick.elapsed() >= TICK {
                last_tick = Instant::now();
                self.tick();
            }
            if let Some(reached) = end {
                match self.go_on_ending(reached) {
                    Some(next) => end = Some(next),
                    None => return Ok(()),
                }
            }
        }
    }

    /// How long to wait for an event: not at all, until something is due, or for ever.
    fn timeout(&self, is_draining: bool) -> Option<Timespec> {
        let now = Instant::now();
        let is_anybody_there = self.connections.len() > self.free.len();
        let needs_tick = self.is_resting || is_draining || is_anybody_there;
        let due = [
            (!self.again.is_empty()).then_some(Duration::ZERO),
            self.half_closed.iter().map(|client| client.next.saturating_duration_since(now)).min(),
            (!self.blocked.is_empty()).then_some(MEMORY_TICK),
            needs_tick.then_some(TICK),
            if needs_tick { None } else { self.setup.upstream.expire() },
        ];
        let wait = due.into_iter().flatten().min()?;
        Some(Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: wait.subsec_nanos().into() })
    }

    /// What no event announces: turns that were cut short, bodies that waited for memory, and
    /// clients that may have left.
    fn continue_pending(&mut self) {
        for token in [std::mem::take(&mut self.again), std::mem::take(&mut self.blocked)].concat() {
            if let Some(index) = self.find(token) {
                self.turn(index);
            }
        }
        let now = Instant::now();
        let mut half_closed = std::mem::take(&mut self.half_closed);
        half_closed.retain_mut(|client| client.next > now || self.may_leave(client, now));
        self.half_closed.append(&mut half_closed);
    }

    /// Looks whether a client has left; true if it has to be looked at again.
    fn may_leave(&self, client: &mut HalfClosed, now: Instant) -> bool {
        let Some(index) = self.find(client.token) else { return false };
        let Some(connection) = &self.connections[index] else { return false };
        let is_busy = connection.is_busy() && connection.link.is_busy();
        if is_busy && self.disconnects.has_left(&connection.stream) {
            connection.leave();
            return false;
        }
        client.next = now + client.wait;
        client.wait = TICK.min(client.wait * 2);
        is_busy
    }

    fn watch_half_closed(&mut self, token: u64, next: Instant) {
        self.half_closed.push(HalfClosed { token, next, wait: SECOND_LOOK });
    }

    fn close(&mut self, index: usize) {
        if let Some(connection) = self.connections[index].take() {
            let _ = epoll::delete(&self.epoll, &connection.stream);
            self.free.push(index);
            self.note_crowding();
        }
    }

    /// Where the connection of this token is, if it still is.
    fn find(&self, token: u64) -> Option<usize> {
        let index = (token & 0xffff_ffff) as usize;
        let connection = self.connections.get(index)?.as_ref()?;
        (connection.link.token == token).then_some(index)
    }

    fn on_event(&mut self, token: u64, flags: EventFlags) {
        let Some(index) = self.find(token) else { return };
        let Some(connection) = &mut self.connections[index] else { return };
        connection.is_half_closed |= flags.contains(EventFlags::RDHUP);
        if connection.is_busy() {
            if connection.link.is_busy() {
                if flags.intersects(EventFlags::HUP | EventFlags::ERR) {
                    connection.leave();
                } else if flags.contains(EventFlags::RDHUP) {
                    self.watch_half_closed(token, Instant::now());
                }
                return;
            }
            if connection.link.is_aborted() {
                return self.close(index);
            }
            connection.come_back();
        }
        self.turn(index);
    }

    /// Takes back what workers are done with, where nothing has come since to announce it.
    fn take_back_released(&mut self) {
        let done = |connection: &&mut Connection| {
            let link = &connection.link;
            connection.is_busy() && !link.is_busy() && !link.is_closing()
        };
        self.connections.iter_mut().flatten().filter(done).for_each(Connection::come_back);
    }

    fn turn(&mut self, index: usize) {
        // What a worker has is the worker's to read.
        if self.connections[index].as_ref().is_some_and(Connection::is_busy) {
            return;
        }
        if let Next::Close = self.pump(index) {
            self.close(index);
        }
    }

    /// Reads what there is and acts on it.
    fn pump(&mut self, index: usize) -> Next {
        let mut received = 0;
        loop {
            let Some(connection) = &mut self.connections[index] else { return Next::Keep };
            match connection.advance() {
                Ok(Step::Wait) => {}
                Ok(Step::Blocked) => {
                    let token = connection.link.token;
                    if !self.blocked.contains(&token) {
                        self.blocked.push(token);
                    }
                    return Next::Keep;
                }
                Ok(Step::Head(head)) => match admit(self.context, &self.setup, connection, head) {
                    Some(job) => return self.dispatch(index, job),
                    None => continue,
                },
                Ok(Step::Request(job)) => return self.dispatch(index, job),
                Err(refusal) => connection.refuse(refusal, &self.context.ids.next()),
            }
            if received >= TURN_BYTES_MAX {
                self.again.push(connection.link.token);
                return Next::Keep;
            }
            match connection.receive(&mut self.scratch) {
                Ok(0) | Err(Errno::CONNRESET) => return Next::Close,
                Ok(_) if connection.is_drained() => return Next::Close,
                Ok(count) => received += count,
                Err(Errno::AGAIN) => return Next::Keep,
                Err(Errno::INTR) => {}
                Err(_) => return Next::Close,
            }
        }
    }

    fn dispatch(&mut self, index: usize, job: Box<ReadyRequest>) -> Next {
        self.context.in_flight.fetch_add(1, Ordering::AcqRel);
        let Err(job) = self.workers.submit(job) else {
            let half_closed = self.connections[index].as_ref().filter(|c| c.is_half_closed);
            if let Some(token) = half_closed.map(|connection| connection.link.token) {
                self.watch_half_closed(token, Instant::now() + SECOND_LOOK);
            }
            return Next::Keep;
        };
        self.not_taken(index, &job)
    }

    /// No worker has time for this request.
    fn not_taken(&mut self, index: usize, job: &ReadyRequest) -> Next {
        self.context.in_flight.fetch_sub(1, Ordering::AcqRel);
        job.client.not_taken();
        if let Some(connection) = &mut self.connections[index] {
            let asked_by = ErrorContext::of(&job.head);
            let answer = local::refusal(&asked_by, ALL_BUSY, &self.context.ids.next());
            connection.last_answer(&answer, &asked_by);
        }
        self.pump(index)
    }

    fn refuse(&mut self, index: usize, refusal: Refusal) -> Next {
        if let Some(connection) = &mut self.connections[index] {
            connection.refuse(refusal, &self.context.ids.next());
        }
        self.pump(index)
    }

    /// Refuses what no worker has had time for.
    fn shed(&mut self) {
        let late = self.workers.take_back(|job| {
            let connection = self.find(job.client.link.token).map(|at| &self.connections[at]);
            connection.is_some_and(|it| {
                it.as_ref().is_some_and(|it| it.since.elapsed() > deadlines().queue)
            })
        });
        for job in late {
            if let Some(index) = self.find(job.client.link.token)
                && let Next::Close = self.not_taken(index, &job)
            {
                self.close(index);
            }
        }
    }

    /// Whoever sends a file slowly, or waits for an answer in the middle of it, has a worker to himself, as
    /// long as there are enough.
    fn pass_on_late(&mut self) {
        for index in 0..self.connections.len() {
            if !keep_alive::may_wait(self.context) {
                return;
            }
            let late = self.connections[index].as_mut().and_then(Connection::late_upload);
            if let Some(job) = late
                && let Next::Close = self.dispatch(index, Box::new(job))
            {
                self.close(index);
            }
        }
    }

    /// Twice a second: deadlines.
    fn tick(&mut self) {
        if self.is_resting {
            self.listen();
        }
        self.take_back_released();
        self.shed();
        self.setup.upstream.expire();
        self.connections.iter_mut().flatten().for_each(Connection::fade);
        self.free_memory();
        self.pass_on_late();
        let limits = deadlines();
        for index in 0..self.connections.len() {
            let Some(connection) = &self.connections[index] else { continue };
            let waited = connection.since.elapsed();
            let late = |why| Some(Refusal { status: 408, why });
            let refusal = match &connection.phase {
                Phase::Head(_) if connection.is_parked() && waited > limits.keep_alive => None,
                Phase::Head(_) if !connection.is_parked() && waited > limits.head => {
                    late("the request's head did not come in time")
                }
                Phase::Body { is_blocked: true, .. } if waited > limits.body => Some(NO_MEMORY),
                Phase::Body { is_blocked: false, .. } if waited > limits.body => {
                    late("the request's body did not come in time")
                }
                Phase::Draining { .. } | Phase::Skipping(_) if waited > limits.linger => None,
                Phase::Draining { .. } if connection.is_drained() => None,
                _ => continue,
            };
            let next = refusal.map_or(Next::Close, |refusal| self.refuse(index, refusal));
            if let Next::Close = next {
                self.close(index);
            }
        }
    }
}
