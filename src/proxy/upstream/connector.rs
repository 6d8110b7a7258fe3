//! The way to a provider: an idle connection from the pool, or a new one, with its TLS.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq_proto::http::Uri;

use super::connection::{Connection, Key, Stream, key};
use super::error::TransportError;
use super::place::place;
use super::pool::ConnectionPool;
use super::socket::Socket;
use super::tls::{Session, Settings as Tls};
use super::{ForwardProxy, dial};
use crate::proxy::watch::Watch;

/// Finds a connection for each request.
pub(super) struct Connector {
    pub(super) pool: Arc<ConnectionPool>,
    pub(super) proxy: Option<ForwardProxy>,
    pub(super) tls: Tls,
    /// For a new connection with its TLS.
    pub(super) connect_timeout: Duration,
}

impl Connector {
    /// A connection for a request to `uri`, which `watch` may end; and whether it has served others before.
    /// One that `must_be_fresh` has not.
    pub(super) fn connect(
        &self,
        uri: &Uri,
        must_be_fresh: bool,
        watch: &Watch,
    ) -> Result<(Connection, bool), TransportError> {
        let key = key(uri).ok_or(TransportError::Unsendable)?;
        let pooled = if must_be_fresh { None } else { self.pool.take(&key) };
        match pooled {
            Some(connection) => {
                watch.hold(&connection.socket().stream);
                Ok((connection, true))
            }
            None => Ok((self.open(uri, key, watch)?, false)),
        }
    }

    fn open(&self, uri: &Uri, key: Key, watch: &Watch) -> Result<Connection, TransportError> {
        let deadline = Instant::now() + self.connect_timeout;
        let proxy = self.proxy.as_ref().filter(|proxy| proxy.is_for(uri));
        let stream = Arc::new(dial::dial(uri, proxy, self.connect_timeout)?);
        watch.hold(&stream);
        let socket = Socket::new(stream);
        let stream = match key.0 {
            false => Stream::Plain(socket),
            true => {
                let (host, _) = place(uri).ok_or(TransportError::HostNotFound)?;
                let session = Session::open(&self.tls, host, socket, deadline);
                // Many a proxy answers in the place of the provider.
                let session = session.map_err(|error| match proxy {
                    Some(proxy) => proxy.blame(&error),
                    None => error,
                });
                Stream::Tls(Box::new(session?))
            }
        };
        Ok(Connection::new(stream, key))
    }
}
