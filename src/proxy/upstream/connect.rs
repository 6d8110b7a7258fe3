//! The way to a provider: an idle connection from the pool, or a new one.
//!
//! ureq resolves, pools and reads answers by rules that are not ours: a name lookup for each
//! request even when a connection is at hand, an answer that is not looked at before the whole
//! body is sent, limits that a provider may exceed. So ureq writes requests and speaks TLS; the
//! connection is handed over to us (`Handover`) the moment ureq would begin to read.

use std::collections::HashMap;
use std::fmt;
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ureq::config::Config as Settings;
use ureq::http::Uri;
use ureq::http::uri::Authority;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ChainedConnector, ConnectionDetails, Connector, NextTimeout, RustlsConnector,
    Transport,
};
use ureq::{Error, Proxy};

use super::dial::Dial;
use super::transport::{Attempt, attempt};

/// Idle connections older than this are not trusted.
const IDLE: Duration = Duration::from_secs(60);

/// Scheme, host and port: what a connection is good for.
type Key = (bool, Authority);

fn key(uri: &Uri) -> Option<Key> {
    Some((uri.scheme_str() == Some("https"), uri.authority()?.clone()))
}

/// A connection to a provider, with what has been received on it and not read yet.
pub(crate) struct Connection {
    pub(super) transport: Box<dyn Transport>,
    stream: Arc<TcpStream>,
    key: Key,
}

/// Connections that wait for their next request.
pub(crate) struct Pool {
    idle: Mutex<HashMap<Key, Vec<(Connection, Instant)>>>,
    per_host_max: usize,
}

impl Pool {
    pub(crate) fn new(per_host_max: usize) -> Pool {
        Pool { idle: Mutex::default(), per_host_max }
    }

    pub(crate) fn put(&self, connection: Connection) {
        let now = Instant::now();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        for list in idle.values_mut() {
            // The oldest come first, and few hosts have a list.
            let old = list.iter().take_while(|(_, since)| now - *since > IDLE).count();
            list.drain(..old);
        }
        let list = idle.entry(connection.key.clone()).or_default();
        if list.len() < self.per_host_max {
            list.push((connection, now));
        }
    }

    /// The connection used last, of those that are still open.
    fn take(&self, key: &Key) -> Option<Connection> {
        loop {
            let newest = {
                let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
                idle.get_mut(key)?.pop()?
            };
            let (mut connection, since) = newest;
            if since.elapsed() < IDLE && connection.transport.is_open() {
                return Some(connection);
            }
        }
    }
}

/// Finds a connection for each request; ureq's connector.
pub(crate) struct Ways {
    pub(crate) pool: Arc<Pool>,
    new: ChainedConnector<(), Dial, RustlsConnector>,
}

impl Ways {
    pub(crate) fn new(pool: Arc<Pool>, proxy: Option<Proxy>) -> Ways {
        Ways { pool, new: Dial { proxy }.chain(RustlsConnector::default()) }
    }
}

impl Connector<()> for Ways {
    type Out = Handover;

    fn connect(
        &self,
        details: &ConnectionDetails,
        _: Option<()>,
    ) -> Result<Option<Handover>, Error> {
        let key = key(details.uri).ok_or(Error::ConnectionFailed)?;
        let must_be_fresh = attempt(|attempt| {
            attempt.is_tls = key.0;
            attempt.must_be_fresh
        });
        let pooled = if must_be_fresh { None } else { self.pool.take(&key) };
        let connection = match pooled {
            Some(connection) => {
                attempt(|attempt| {
                    attempt.is_reused = true;
                    hold(attempt, &connection.stream);
                });
                connection
            }
            None => {
                let transport = self.new.connect(details, None)?.ok_or(Error::ConnectionFailed)?;
                let stream = attempt(|attempt| attempt.socket.clone());
                let stream = stream.ok_or(Error::ConnectionFailed)?;
                Connection { transport: Box::new(transport), stream, key }
            }
        };
        Ok(Some(Handover { connection: Some(connection), has_head: false, over: Over }))
    }
}

pub(super) fn hold(attempt: &mut Attempt, stream: &Arc<TcpStream>) {
    attempt.socket = Some(Arc::clone(stream));
    if let Some(watch) = &attempt.watch {
        watch.hold(stream);
    }
}

impl fmt::Debug for Ways {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ways")
    }
}

/// Names are looked up by `Dial`, and only when a connection has to be made.
#[derive(Debug)]
pub(crate) struct Unresolved;

impl Resolver for Unresolved {
    fn resolve(&self, _: &Uri, _: &Settings, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        Ok(self.empty())
    }
}

/// Lets ureq send, and takes the connection away when it wants to read. ureq is told that all is
/// over; the answer is read by `body`.
#[derive(Debug)]
pub(crate) struct Handover {
    connection: Option<Connection>,
    /// All of the head was noted.
    has_head: bool,
    over: Over,
}

impl Handover {
    fn hand_over(&mut self) {
        if let Some(connection) = self.connection.take() {
            attempt(|attempt| attempt.connection = Some(connection));
        }
    }
}

impl Transport for Handover {
    fn buffers(&mut self) -> &mut dyn Buffers {
        match &mut self.connection {
            Some(connection) => connection.transport.buffers(),
            None => &mut self.over,
        }
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let Some(connection) = &mut self.connection else { return Ok(()) };
        let sent = connection.transport.transmit_output(amount, timeout);
        // Afterwards, so that it costs the request nothing.
        if !self.has_head {
            let piece = &connection.transport.buffers().output()[..amount];
            self.has_head = attempt(|attempt| attempt.note(piece));
        }
        sent
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, Error> {
        self.hand_over();
        Ok(true)
    }

    fn is_open(&mut self) -> bool {
        false
    }

    fn is_tls(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.transport.is_tls())
    }
}

/// What ureq reads after the handover: an answer without a body, on a connection that ends.
#[derive(Debug)]
struct Over;

impl Buffers for Over {
    fn output(&mut self) -> &mut [u8] {
        &mut []
    }

    fn input(&self) -> &[u8] {
        b"HTTP/1.0 204 \r\n\r\n"
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        &mut []
    }

    fn input_appended(&mut self, _: usize) {}

    fn input_consume(&mut self, _: usize) {}

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        (&mut [], &mut [])
    }

    fn can_use_input(&self) -> bool {
        false
    }
}

impl Drop for Handover {
    /// ureq gives up on a request whose body ends early; the answer that was the reason is read
    /// all the same.
    fn drop(&mut self) {
        if attempt(|attempt| attempt.is_refused) {
            self.hand_over();
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection")
    }
}
