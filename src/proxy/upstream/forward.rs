//! One request and its answer: sends, waits, and repeats once where that is allowed.

use std::sync::Arc;
use std::time::Duration;

use super::connection::Connection;
use super::connector::Connector;
use super::error::TransportError;
use super::failure::Failure;
use super::request_head::{RequestHead, Target};
use super::uploading::{SharedUpload, Uploading};
use super::{ConnectionPool, Reader, ReceiveError, Reply, Tls};
use crate::config::Config;
use crate::error::Error;
use crate::proxy::buffer_pool;
use crate::proxy::request::{Framing, Head};
use crate::proxy::watch::Watch;

/// The ways to the providers.
pub(crate) struct Upstream {
    connector: Connector,
    first_byte: Duration,
    stream_idle: Duration,
}

/// A request's body as it goes upstream.
#[derive(Clone, Copy)]
pub(crate) enum Outgoing<'a> {
    Whole(&'a [u8]),
    /// Read from the client while it is sent; the length is the client's, if it named one.
    Streamed {
        upload: &'a SharedUpload,
        framing: Framing,
    },
}

impl Upstream {
    pub(crate) fn new(config: &Config) -> Result<Upstream, Error> {
        let connector = Connector {
            pool: Arc::new(ConnectionPool::new(config.workers)),
            tls: Tls::new(super::load_roots(&config.tls_roots)?),
            proxy: super::forward_proxy(config)?,
            connect_timeout: Duration::from_secs(config.connect_timeout_s),
        };
        Ok(Upstream {
            connector,
            first_byte: Duration::from_secs(config.first_byte_timeout_s),
            stream_idle: Duration::from_secs(config.stream_idle_timeout_s),
        })
    }

    /// Closes connections that have been idle for too long; how long until there are more of them.
    pub(crate) fn expire(&self) -> Option<Duration> {
        self.connector.pool.expire()
    }

    /// Sends `head` with `body`: all of a whole body, unless the provider speaks before; of one that still
    /// comes, nothing yet.
    pub(crate) fn send<'a>(
        &'a self,
        target: &Target,
        head: &Head,
        body: Outgoing<'a>,
        watch: &'a Arc<Watch>,
    ) -> Result<Pending<'a>, Failure> {
        let framing = match body {
            Outgoing::Streamed { framing, .. } => Some(framing),
            Outgoing::Whole(b"") if !expects_body(head.method()) => None,
            Outgoing::Whole(bytes) => Some(Framing::Length(bytes.len() as u64)),
        };
        let request = RequestHead::new(target, head, framing)?;
        Sender { upstream: self, request, body, watch, died: None }.send()
    }
}

/// Methods that are sent with `Content-Length: 0` when their body is empty.
fn expects_body(method: &str) -> bool {
    matches!(method, "POST" | "PUT" | "PATCH")
}

/// Sends one request, and once more where the provider cannot have read it: on a connection from the pool
/// that was dead under it, or on one that could not be made.
struct Sender<'a> {
    upstream: &'a Upstream,
    request: RequestHead,
    body: Outgoing<'a>,
    watch: &'a Arc<Watch>,
    /// Of what the first connection has died, where this is the repeat.
    died: Option<TransportError>,
}

impl<'a> Sender<'a> {
    fn send(mut self) -> Result<Pending<'a>, Failure> {
        let (mut connection, is_reused) = self.connect()?;
        let left: &[u8] = match self.body {
            Outgoing::Whole(bytes) => {
                let left = connection.send(&self.request.bytes, bytes);
                let left = left.map_err(|error| failure(error.into(), self.watch, true))?;
                // A provider that does not read on gets no more.
                if connection.is_cut { &[] } else { &bytes[bytes.len() - left..] }
            }
            Outgoing::Streamed { upload, framing } => {
                // It goes with the first piece of the body.
                connection.head = self.request.bytes.clone();
                let is_chunked = framing == Framing::Chunked;
                connection.upload = Some(Uploading::new(Arc::clone(upload), is_chunked));
                &[]
            }
        };
        Ok(Pending { sender: self, connection, is_reused, left })
    }

    fn connect(&mut self) -> Result<(Connection, bool), Failure> {
        loop {
            let connector = &self.upstream.connector;
            match connector.connect(&self.request.uri, self.must_be_fresh(), self.watch) {
                Ok(connected) => return Ok(connected),
                Err(error) if error.has_died() && self.may_repeat() => self.died = Some(error),
                Err(error) => {
                    let is_fresh = self.must_be_fresh();
                    // Nothing came back on the old connection, and there is no new one either.
                    let error =
                        self.died.take().filter(TransportError::has_vanished).unwrap_or(error);
                    return Err(failure(error.into(), self.watch, is_fresh));
                }
            }
        }
    }

    /// The request cannot be sent again, so it gets no connection that may have died in the pool.
    fn must_be_fresh(&self) -> bool {
        self.died.is_some() || matches!(self.body, Outgoing::Streamed { .. })
    }

    fn may_repeat(&self) -> bool {
        !self.must_be_fresh() && !self.watch.is_gone()
    }
}

/// A request that has been sent, or is sent while its answer is waited for.
pub(crate) struct Pending<'a> {
    sender: Sender<'a>,
    connection: Connection,
    is_reused: bool,
    /// Of a whole body, what was not sent because the provider has spoken.
    left: &'a [u8],
}

impl<'a> Pending<'a> {
    /// The head as it was written to the connection, keys included.
    pub(crate) fn head(&self) -> &[u8] {
        &self.sender.request.bytes
    }

    /// Waits for the answer's head.
    pub(crate) fn receive(self) -> Result<Reply, Failure> {
        let (mut sender, mut outcome) = self.read();
        if let Err(ReceiveError::Unread(error)) = outcome {
            if !sender.may_repeat() {
                return Err(failure(error.into(), sender.watch, true));
            }
            sender.died = Some(error);
            (sender, outcome) = sender.send()?.read();
        }
        buffer_pool::keep(sender.request.bytes);
        outcome.map_err(|error| failure(error, sender.watch, true))
    }

    fn read(self) -> (Sender<'a>, Result<Reply, ReceiveError>) {
        let Pending { sender, connection, is_reused, left } = self;
        let Upstream { connector, first_byte, stream_idle } = sender.upstream;
        let reader = Reader {
            pool: &connector.pool,
            watch: sender.watch,
            method: sender.request.method.as_str(),
            first_byte: *first_byte,
            stream_idle: *stream_idle,
            left,
            may_repeat: is_reused,
        };
        let outcome = reader.read(connection);
        (sender, outcome)
    }
}

/// What went wrong with a request that `was_sent`, or whose connections are spent.
fn failure(error: ReceiveError, watch: &Watch, was_sent: bool) -> Failure {
    if watch.is_gone() {
        return Failure::ClientGone;
    }
    match error {
        ReceiveError::Malformed(why) => Failure::BadAnswer(why.0),
        ReceiveError::Unread(error) | ReceiveError::Broken(error) => match error {
            TransportError::ReadTimeout => Failure::TimedOut,
            error if was_sent && error.has_vanished() => Failure::TimedOut,
            error => Failure::Unreachable(error.words()),
        },
    }
}
