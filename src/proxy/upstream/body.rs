//! Reads an answer from its connection: head at once, body as it comes; and gives the connection
//! back to the pool when both sides are done with it.

use std::cell::RefCell;
use std::io::{self, Read};
use std::net::TcpStream;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::connection::Connection;
use super::error::TransportError;
use super::pool::ConnectionPool;
use super::reply::{Framing, HeadReader, Malformed, ReplyHead};
use super::unframe::Unframer;
use crate::proxy::watch::Watch;

/// Interim answers before the real one.
const INTERIM_MAX: usize = 100;

/// An answer: its head, and its body on the connection.
pub(crate) struct Reply {
    pub(crate) head: ReplyHead,
    pub(crate) framing: Framing,
    pub(crate) body: Body,
    pub(crate) unfinished: UnfinishedSlot,
}

/// Why there is no answer on a connection.
pub(crate) enum ReceiveError {
    /// The connection has died before the provider got anything of the request.
    Unread(TransportError),
    Broken(TransportError),
    Malformed(Malformed),
}

impl From<TransportError> for ReceiveError {
    fn from(error: TransportError) -> ReceiveError {
        ReceiveError::Broken(error)
    }
}

/// What an answer is read with.
pub(crate) struct Reader<'a> {
    pub(crate) pool: &'a Arc<ConnectionPool>,
    pub(crate) watch: &'a Arc<Watch>,
    /// The request's method.
    pub(crate) method: &'a str,
    /// Longest wait for the head.
    pub(crate) first_byte: Duration,
    /// Longest silence inside the body.
    pub(crate) stream_idle: Duration,
    /// What is left of the request's body because the provider has spoken.
    pub(crate) left: &'a [u8],
    /// It matters whether a connection that dies has taken the request with it.
    pub(crate) may_repeat: bool,
}

impl Reader<'_> {
    pub(crate) fn read(mut self, mut connection: Connection) -> Result<Reply, ReceiveError> {
        let wait = Some(self.first_byte);
        for _ in 0..INTERIM_MAX {
            let head = match next_head(&mut connection, wait) {
                Err(ReceiveError::Broken(TransportError::Io(error)))
                    if self.may_repeat && connection.is_unread(&error) =>
                {
                    return Err(ReceiveError::Unread(error.into()));
                }
                head => head?,
            };
            self.resume(&mut connection, head.status())
                .map_err(|error| ReceiveError::Broken(error.into()))?;
            match head.status() {
                // Nobody has asked for another protocol.
                101 => return Err(ReceiveError::Malformed(Malformed("it switches protocols"))),
                100..=199 => continue,
                _ => {}
            }
            let framing = head.framing(self.method).map_err(ReceiveError::Malformed)?;
            connection.buffer.expect(framing);
            let is_reusable = head.is_persistent() && framing != Framing::Close;
            let unfinished: UnfinishedSlot = connection.is_sending().then(Rc::default);
            let mut body = Body {
                connection: Some(connection),
                left: Unframer::new(framing),
                wait: self.stream_idle,
                stream_idle: self.stream_idle,
                pool: is_reusable.then(|| Arc::clone(self.pool)),
                watch: Arc::clone(self.watch),
                unfinished: unfinished.clone(),
            };
            body.end_if_done();
            return Ok(Reply { head, framing, body, unfinished });
        }
        Err(ReceiveError::Malformed(Malformed("it has too many interim answers")))
    }

    /// A provider that refuses does not read on; any other has only begun to answer early.
    fn resume(&mut self, connection: &mut Connection, status: u16) -> io::Result<()> {
        let left = std::mem::take(&mut self.left);
        match status {
            // Copied, as an answer may take much longer than its request is kept.
            ..300 => connection.leave(left),
            _ => {
                connection.is_cut |= connection.is_sending() || !left.is_empty();
                connection.upload = None;
                Ok(())
            }
        }
    }
}

fn next_head(
    connection: &mut Connection,
    wait: Option<Duration>,
) -> Result<ReplyHead, ReceiveError> {
    let mut reader = HeadReader::default();
    loop {
        let buffers = &mut connection.buffer;
        if !buffers.input().is_empty() {
            let (used, head) = reader.feed(buffers.input()).map_err(ReceiveError::Malformed)?;
            buffers.input_consume(used);
            if let Some(head) = head {
                return Ok(head);
            }
        }
        match connection.receive(wait) {
            Ok(true) => {}
            Ok(false) => {
                return Err(ReceiveError::Broken(
                    io::Error::from(io::ErrorKind::UnexpectedEof).into(),
                ));
            }
            Err(error) => return Err(ReceiveError::Broken(error)),
        }
    }
}

/// What comes in its own time, and can be waited for for less.
pub(crate) trait Source: Read {
    /// The longest wait from now on; `None` for as long as the provider may be silent. A read that waits
    /// longer fails, and may be tried again.
    fn limit(&mut self, wait: Option<Duration>);

    /// Whether the request has not been sent to its end.
    fn is_sending(&self) -> bool {
        false
    }

    /// Sends on, until there is no more, or the client's socket has room.
    fn send_on(&mut self, _: &TcpStream) -> io::Result<()> {
        Ok(())
    }
}

impl<T> Source for io::Cursor<T>
where
    io::Cursor<T>: Read,
{
    fn limit(&mut self, _: Option<Duration>) {}
}

impl<A: Source, B: Source> Source for io::Chain<A, B> {
    fn limit(&mut self, wait: Option<Duration>) {
        self.get_mut().1.limit(wait);
    }

    fn is_sending(&self) -> bool {
        self.get_ref().1.is_sending()
    }

    fn send_on(&mut self, client: &TcpStream) -> io::Result<()> {
        self.get_mut().1.send_on(client)
    }
}

impl Source for Body {
    fn limit(&mut self, wait: Option<Duration>) {
        let least = |wait| self.stream_idle.min(wait);
        self.wait = wait.map_or(self.stream_idle, least);
    }

    fn is_sending(&self) -> bool {
        self.connection.as_ref().is_some_and(Connection::is_sending)
    }

    fn send_on(&mut self, client: &TcpStream) -> io::Result<()> {
        let Some(connection) = &mut self.connection else { return Ok(()) };
        connection.send_on(Some(client), Some(self.wait)).map_err(TransportError::into_io)
    }
}

/// Whether a read has waited for as long as it may.
pub(crate) fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}

/// The body of an answer, without its framing.
pub(crate) struct Body {
    /// `None` once it has come to its end.
    connection: Option<Connection>,
    left: Unframer,
    wait: Duration,
    stream_idle: Duration,
    /// Where the connection goes if it can serve another request.
    pool: Option<Arc<ConnectionPool>>,
    watch: Arc<Watch>,
    /// Where the connection goes if there is more to be sent on it.
    unfinished: UnfinishedSlot,
}

impl Body {
    /// Whether reading needs nothing more from the provider for now.
    pub(crate) fn is_ready(&self) -> bool {
        let input = self.connection.as_ref().map(|held| !held.buffer.input().is_empty());
        input.unwrap_or(true)
    }

    fn end_if_done(&mut self) {
        if self.left == Unframer::Finished
            && let Some(connection) = self.connection.take()
        {
            let (pool, watch) = (self.pool.take(), Arc::clone(&self.watch));
            let unfinished = Unfinished { connection, pool, watch, wait: self.wait };
            match &self.unfinished {
                Some(slot) if unfinished.connection.is_sending() => {
                    slot.replace(Some(unfinished));
                }
                _ => unfinished.give_back(),
            }
        }
    }

    fn closed(&mut self) -> io::Result<usize> {
        self.connection = None;
        match self.left {
            Unframer::Close => Ok(0),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl Read for Body {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(connection) = &mut self.connection else { return Ok(0) };
            let buffers = &mut connection.buffer;
            let (used, filled) = self
                .left
                .take(buffers.input(), out)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.0))?;
            buffers.input_consume(used);
            if filled > 0 || self.left == Unframer::Finished {
                self.end_if_done();
                return Ok(filled);
            }
            match connection.receive(Some(self.wait)) {
                Ok(true) => {}
                Ok(false) => return self.closed(),
                // TLS whose end was not announced: as common as an end without TLS.
                Err(TransportError::Io(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return self.closed();
                }
                Err(TransportError::ReadTimeout) => return Err(io::ErrorKind::TimedOut.into()),
                Err(error) => {
                    if connection.has_lost_client() {
                        self.watch.leave();
                    }
                    return Err(error.into_io());
                }
            }
        }
    }
}

/// A request whose answer has ended, perhaps before it was sent to its end.
pub(crate) struct Unfinished {
    connection: Connection,
    pool: Option<Arc<ConnectionPool>>,
    watch: Arc<Watch>,
    wait: Duration,
}

impl Unfinished {
    fn give_back(mut self) {
        if let Some(pool) = self.pool.filter(|_| !self.connection.is_cut)
            // More than was announced: nobody knows what it is.
            && self.connection.is_spent()
        {
            // First, or a client that leaves now would end somebody else's request.
            self.watch.release();
            pool.put(self.connection);
        }
    }
}

/// Filled by the body of an answer that ends before its request does. There is one only where the answer
/// began that early, which is nearly never.
pub(crate) type UnfinishedSlot = Option<Rc<RefCell<Option<Unfinished>>>>;

/// Sends the rest of a request once its answer has been passed on; false if the client has left.
pub(crate) fn finish_sending(slot: UnfinishedSlot) -> bool {
    let Some(mut unfinished) = slot.and_then(|slot| slot.take()) else { return true };
    let connection = &mut unfinished.connection;
    // A provider that says more than its answer has closed, as a rule.
    let sent = connection.send_on(None, Some(unfinished.wait));
    let has_lost_client = connection.has_lost_client() || unfinished.watch.is_gone();
    if sent.is_ok() && !connection.is_sending() {
        unfinished.give_back();
    }
    !has_lost_client
}
