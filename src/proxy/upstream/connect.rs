//! The way to a provider: an idle connection from the pool, or a new one.
//!
//! ureq resolves, pools and reads answers by rules that are not ours: a name lookup for each
//! request even when a connection is at hand, an answer that is not looked at before the whole
//! body is sent, limits that a provider may exceed, buffers of 144 KB for each silent stream, twice
//! that with TLS. So ureq writes requests; the connection is ours, and is handed over to us
//! (`Handover`) the moment ureq would begin to read.

use std::fmt;
use std::io::{self, IoSlice};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use ureq::config::Config as Settings;
use ureq::http::Uri;
use ureq::http::uri::Authority;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector as UreqConnector, NextTimeout, Transport,
};
use ureq::{Error, Timeout};

use super::ForwardProxy;
use super::dial;
use super::read_buffer::ReadBuffer;
use super::tls::{Session, Settings as Tls};
use super::transport::{Attempt, Socket, attempt};
use super::uploading::Uploading;
use crate::proxy::buffer_pool;
use crate::proxy::deadlines::deadlines;

/// The time since the machine started, its sleep included: what a connection's other side has lived through.
fn now() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// Scheme, host and port: what a connection is good for.
type Key = (bool, Authority);

fn key(uri: &Uri) -> Option<Key> {
    Some((uri.scheme_str() == Some("https"), uri.authority()?.clone()))
}

/// A connection to a provider, with what has been received on it and not read yet.
pub(crate) struct Connection {
    line: Line,
    pub(super) room: ReadBuffer,
    /// A head that waits for the first piece of its body.
    head: Vec<u8>,
    /// Between the end of one request and the start of the next.
    is_idle: bool,
    /// What the client still sends of the present request.
    pub(super) upload: Option<Uploading>,
    /// The request was not sent to its end, so the connection serves no other.
    pub(super) is_cut: bool,
    key: Key,
}

enum Line {
    Plain(Socket),
    Secure(Box<Session>),
}

impl Connection {
    fn new(line: Line, key: Key) -> Connection {
        let (room, head) = (ReadBuffer::new(), Vec::new());
        Connection { line, room, head, is_idle: true, upload: None, is_cut: false, key }
    }

    pub(super) fn socket(&self) -> &Socket {
        match &self.line {
            Line::Plain(socket) => socket,
            Line::Secure(session) => &session.socket,
        }
    }

    /// Another request begins.
    fn begin(&mut self) {
        self.is_idle = true;
        match &mut self.line {
            Line::Plain(socket) => socket.begin(),
            Line::Secure(session) => session.socket.begin(),
        }
    }

    /// Whether the request that ended with `error` was lost on the way.
    pub(super) fn is_unread(&self, error: &io::Error) -> bool {
        self.socket().is_unread(error)
    }

    /// Sends what waits and the first `amount` bytes of the output; returns what waited.
    fn send(&mut self, amount: usize) -> Result<Vec<u8>, Error> {
        let parts = [self.head.as_slice(), self.room.sent(amount)];
        match &mut self.line {
            Line::Plain(socket) => socket.send(&mut parts.map(IoSlice::new)),
            Line::Secure(session) => session.send(parts)?,
        }
        Ok(std::mem::take(&mut self.head))
    }

    /// To be sent while the answer is waited for, behind a head that waits.
    pub(super) fn leave(&mut self, bytes: &[u8]) -> io::Result<()> {
        let head = std::mem::take(&mut self.head);
        for part in [&head, bytes] {
            match &mut self.line {
                Line::Plain(socket) => socket.leave(part),
                Line::Secure(session) => session.leave(part)?,
            }
        }
        buffer_pool::keep(head);
        Ok(())
    }

    /// Sends what waits, as far as there is room.
    pub(super) fn push(&mut self) -> io::Result<()> {
        match &mut self.line {
            Line::Plain(socket) => drop(socket.push_waiting()),
            Line::Secure(session) => drop(session.push()?),
        }
        self.is_cut |= !self.socket().can_send();
        Ok(())
    }

    pub(super) fn has_waiting(&self) -> bool {
        match &self.line {
            Line::Plain(socket) => socket.has_waiting(),
            Line::Secure(session) => session.has_waiting(),
        }
    }

    /// Whether there is more of the request to be sent.
    pub(super) fn is_sending(&self) -> bool {
        !self.is_cut && (self.upload.is_some() || self.has_waiting())
    }

    /// Waits for more of the answer; false at its end.
    pub(super) fn receive(&mut self, wait: NextTimeout) -> Result<bool, Error> {
        let count = loop {
            let is_at_hand = match &mut self.line {
                Line::Secure(session) if !self.is_cut => session.is_at_hand(),
                _ => false,
            };
            if self.is_sending() && !is_at_hand {
                self.send_on(None, wait)?;
            }
            let is_sending = self.is_sending();
            let out = self.room.input_append_buf();
            match &mut self.line {
                Line::Plain(socket) => break socket.receive(out, wait)?,
                Line::Secure(session) if !is_sending => break session.receive(out, wait)?,
                Line::Secure(session) => {
                    if let Some(count) = session.receive_some(out, wait)? {
                        break count;
                    }
                }
            }
        };
        self.room.input_appended(count);
        Ok(count > 0)
    }

    /// Whether nothing is left of what has come.
    pub(super) fn is_spent(&mut self) -> bool {
        let is_spent = match &mut self.line {
            Line::Plain(_) => true,
            Line::Secure(session) => session.is_spent(),
        };
        is_spent && self.room.input().is_empty()
    }

    /// Asked before the next request: nothing may wait to be read.
    fn is_open(&self) -> bool {
        self.socket().is_open()
    }
}

/// Connections to one host, each with the time since the machine's start at which it fell idle; the one
/// used last comes last.
type Idle = Vec<(Connection, Duration)>;

/// Connections that wait for their next request.
pub(crate) struct Pool {
    /// By host, of which there are few.
    idle: Mutex<Vec<(Key, Idle)>>,
    per_host_max: usize,
}

impl Pool {
    pub(crate) fn new(per_host_max: usize) -> Pool {
        Pool { idle: Mutex::default(), per_host_max }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Key, Idle)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn put(&self, mut connection: Connection) {
        connection.room.end_input();
        let now = now();
        let mut idle = self.idle();
        match idle.iter_mut().find(|(key, _)| *key == connection.key) {
            Some((_, list)) if list.len() < self.per_host_max => list.push((connection, now)),
            Some(_) => {}
            None => idle.push((connection.key.clone(), vec![(connection, now)])),
        }
    }

    /// The connection used last, of those that are still open.
    fn take(&self, key: &Key) -> Option<Connection> {
        loop {
            let newest = {
                let mut idle = self.idle();
                let (_, list) = idle.iter_mut().find(|(known, _)| known == key)?;
                list.pop()?
            };
            let (mut connection, since) = newest;
            if now().saturating_sub(since) < deadlines().upstream_idle && connection.is_open() {
                connection.begin();
                return Some(connection);
            }
        }
    }

    /// Closes what has been idle for too long; how long until there is more of that, if anything is left.
    pub(crate) fn expire(&self) -> Option<Duration> {
        self.expire_at(now())
    }

    fn expire_at(&self, now: Duration) -> Option<Duration> {
        let is_old = |since: &Duration| now.saturating_sub(*since) >= deadlines().upstream_idle;
        let mut old = Vec::new();
        let mut idle = self.idle();
        for (_, list) in idle.iter_mut() {
            // The oldest come first.
            let count = list.iter().take_while(|(_, since)| is_old(since)).count();
            old.extend(list.drain(..count));
            if list.is_empty() {
                *list = Vec::new();
            }
        }
        let oldest = idle.iter().filter_map(|(_, list)| Some(list.first()?.1)).min();
        // To close them takes time, which nobody has to wait for.
        drop(idle);
        drop(old);
        Some((oldest? + deadlines().upstream_idle).saturating_sub(now))
    }
}

/// Finds a connection for each request; ureq's connector.
pub(crate) struct Connector {
    pub(crate) pool: Arc<Pool>,
    proxy: Option<ForwardProxy>,
    tls: Tls,
}

impl Connector {
    pub(crate) fn new(pool: Arc<Pool>, proxy: Option<ForwardProxy>, tls: Tls) -> Connector {
        Connector { pool, proxy, tls }
    }

    /// A new connection, with its TLS, in the time there is.
    fn open(&self, details: &ConnectionDetails, key: Key) -> Result<Connection, Error> {
        let limit = *details.timeout.not_zero().ok_or(Error::Timeout(Timeout::Connect))?;
        let deadline = Instant::now() + limit;
        let proxy = self.proxy.as_ref().filter(|proxy| proxy.is_for(details.uri));
        let stream = Arc::new(dial::dial(details.uri, proxy, limit)?);
        attempt(|attempt| hold(attempt, &stream));
        let socket = Socket::new(stream);
        let line = match key.0 {
            false => Line::Plain(socket),
            true => {
                let (host, _) = dial::place(details.uri).ok_or(Error::HostNotFound)?;
                let session = Session::open(&self.tls, host, socket, deadline);
                // Many a proxy answers in the place of the provider.
                let session = session.map_err(|error| match proxy {
                    Some(proxy) => proxy.blame(&error),
                    None => error,
                });
                Line::Secure(Box::new(session?))
            }
        };
        Ok(Connection::new(line, key))
    }
}

impl UreqConnector<()> for Connector {
    type Out = Handover;

    fn connect(
        &self,
        details: &ConnectionDetails,
        _: Option<()>,
    ) -> Result<Option<Handover>, Error> {
        let key = key(details.uri).ok_or(Error::ConnectionFailed)?;
        let must_be_fresh = attempt(|attempt| attempt.must_be_fresh);
        let pooled = if must_be_fresh { None } else { self.pool.take(&key) };
        let connection = match pooled {
            Some(connection) => {
                attempt(|attempt| {
                    attempt.is_reused = true;
                    hold(attempt, &connection.socket().stream);
                });
                connection
            }
            None => self.open(details, key)?,
        };
        attempt(|attempt| attempt.is_connected = true);
        Ok(Some(Handover {
            connection: Some(connection),
            has_head: false,
            nothing: ReadBuffer::new(),
        }))
    }
}

fn hold(attempt: &Attempt, stream: &Arc<TcpStream>) {
    if let Some(watch) = &attempt.watch {
        watch.hold(stream);
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

/// Names are looked up by `dial`, and only when a connection has to be made.
#[derive(Debug)]
pub(crate) struct Unresolved;

impl Resolver for Unresolved {
    fn resolve(&self, _: &Uri, _: &Settings, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        Ok(self.empty())
    }
}

/// Lets ureq send, and takes the connection away when it wants to read: what ureq takes for a
/// failure then is none. The answer is read by `body`.
#[derive(Debug)]
pub(crate) struct Handover {
    connection: Option<Connection>,
    /// All of the head was noted.
    has_head: bool,
    /// What ureq gets to see without a connection.
    nothing: ReadBuffer,
}

impl Handover {
    fn hand_over(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            if attempt(|attempt| attempt.leaves_body) {
                // It goes with the first piece of the body.
                self.note(&connection, connection.head.clone(), 0);
            // Of a failure to send, reading learns.
            } else if !connection.head.is_empty()
                && let Ok(waited) = connection.send(0)
            {
                self.note(&connection, waited, 0);
            }
            connection.room.end_output();
            attempt(|attempt| attempt.connection = Some(connection));
        }
    }

    /// Notes what was sent of the head. Afterwards, so that it costs the request nothing.
    fn note(&mut self, connection: &Connection, waited: Vec<u8>, amount: usize) {
        if !self.has_head {
            let piece = connection.room.sent(amount);
            self.has_head = attempt(|attempt| attempt.note(waited, piece));
        }
    }
}

impl Transport for Handover {
    fn buffers(&mut self) -> &mut dyn Buffers {
        match &mut self.connection {
            Some(connection) => &mut connection.room,
            None => &mut self.nothing,
        }
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), Error> {
        let Some(mut connection) = self.connection.take() else { return Ok(()) };
        let sent = match std::mem::take(&mut connection.is_idle) && attempt(|it| it.has_body) {
            true => {
                let head = connection.room.sent(amount);
                connection.head = buffer_pool::take(0);
                connection.head.extend_from_slice(head);
                Ok(())
            }
            false => connection.send(amount).map(|waited| self.note(&connection, waited, amount)),
        };
        let is_spoken_to = connection.has_waiting();
        self.connection = Some(connection);
        sent?;
        if is_spoken_to {
            attempt(|attempt| attempt.leaves_body = true);
            return Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
        }
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, Error> {
        self.hand_over();
        Err(Error::ConnectionFailed)
    }

    fn is_open(&mut self) -> bool {
        false
    }

    fn is_tls(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.key.0)
    }
}

impl Drop for Handover {
    /// ureq gives up on a request whose body it does not get; the answer is read all the same.
    fn drop(&mut self) {
        if attempt(|attempt| attempt.is_refused || attempt.leaves_body) {
            self.hand_over();
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn idle_connections_are_closed_by_time_alone() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (pool, begun) = (Pool::new(3), now());
        let mut ends = Vec::new();
        for host in ["a.test", "a.test", "a.test", "a.test", "b.test"] {
            let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            ends.push(listener.accept().unwrap().0);
            let line = Line::Plain(Socket::new(Arc::new(stream)));
            pool.put(Connection::new(line, (false, Authority::from_static(host))));
        }
        let count = || pool.idle().iter().map(|(_, list)| list.len()).sum::<usize>();
        assert_eq!(count(), 4, "as many for a host as there may be");
        let left = pool.expire_at(begun + deadlines().upstream_idle / 2).unwrap();
        assert!(
            left > deadlines().upstream_idle / 3
                && left <= deadlines().upstream_idle
                && count() == 4,
            "{left:?}"
        );
        assert_eq!((pool.expire_at(now() + deadlines().upstream_idle), count()), (None, 0));
        use std::io::Read;
        for mut end in ends {
            assert_eq!(end.read(&mut [0]).unwrap(), 0, "closed");
        }
        // One that was closed meanwhile is not taken, and the next is.
        assert!(pool.take(&(false, Authority::from_static("a.test"))).is_none());
    }
}
