//! A connection to a provider: what is to be sent on it and what has come, with TLS or without.

use std::io::{self, IoSlice};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use ureq_proto::http::Uri;
use ureq_proto::http::uri::Authority;

use super::error::TransportError;
use super::read_buffer::ReadBuffer;
use super::socket::{Socket, WRITE_STALL};
use super::tls::Session;
use super::uploading::Uploading;
use crate::proxy::buffer_pool;
use crate::proxy::deadlines::deadlines;
use crate::proxy::event_loop::upload::Fault;

/// Scheme, host and port: what a connection is good for.
pub(super) type Key = (bool, Authority);

pub(super) fn key(uri: &Uri) -> Option<Key> {
    Some((uri.scheme_str() == Some("https"), uri.authority()?.clone()))
}

/// A connection to a provider, with what has been received on it and not read yet.
pub(crate) struct Connection {
    stream: Stream,
    pub(super) buffer: ReadBuffer,
    /// A head that waits for the first piece of its body.
    pub(super) head: Vec<u8>,
    /// What the client still sends of the present request.
    pub(super) upload: Option<Uploading>,
    /// The request was not sent to its end, so the connection serves no other.
    pub(super) is_cut: bool,
    pub(super) key: Key,
}

pub(super) enum Stream {
    Plain(Socket),
    Tls(Box<Session>),
}

impl Connection {
    pub(super) fn new(stream: Stream, key: Key) -> Connection {
        let (buffer, head) = (ReadBuffer::new(), Vec::new());
        Connection { stream, buffer, head, upload: None, is_cut: false, key }
    }

    pub(super) fn socket(&self) -> &Socket {
        match &self.stream {
            Stream::Plain(socket) => socket,
            Stream::Tls(session) => &session.socket,
        }
    }

    /// Another request begins.
    pub(super) fn begin(&mut self) {
        match &mut self.stream {
            Stream::Plain(socket) => socket.begin(),
            Stream::Tls(session) => session.socket.begin(),
        }
    }

    /// Whether the request that ended with `error` was lost on the way.
    pub(super) fn is_unread(&self, error: &io::Error) -> bool {
        self.socket().is_unread(error)
    }

    /// Sends a head and its body until the provider speaks; how many bytes of the body are left.
    pub(super) fn send(&mut self, head: &[u8], body: &[u8]) -> Result<usize, TransportError> {
        let left = match &mut self.stream {
            Stream::Plain(socket) => {
                let left = socket.send(&mut [head, body].map(IoSlice::new));
                // Of the head hardly ever anything: the kernel has room for it.
                let of_head = left.saturating_sub(body.len());
                socket.leave(&head[head.len() - of_head..]);
                left - of_head
            }
            Stream::Tls(session) => session.send(head, body)?,
        };
        self.is_cut = !self.socket().can_send();
        Ok(left)
    }

    /// To be sent while the answer is waited for, behind a head that waits.
    pub(super) fn leave(&mut self, bytes: &[u8]) -> io::Result<()> {
        let head = std::mem::take(&mut self.head);
        for part in [&head, bytes] {
            match &mut self.stream {
                Stream::Plain(socket) => socket.leave(part),
                Stream::Tls(session) => session.leave(part)?,
            }
        }
        buffer_pool::keep(head);
        Ok(())
    }

    /// Sends what waits, as far as there is room.
    pub(super) fn push(&mut self) -> io::Result<()> {
        match &mut self.stream {
            Stream::Plain(socket) => drop(socket.push_waiting()),
            Stream::Tls(session) => drop(session.push()?),
        }
        self.is_cut |= !self.socket().can_send();
        Ok(())
    }

    pub(super) fn has_waiting(&self) -> bool {
        match &self.stream {
            Stream::Plain(socket) => socket.has_waiting(),
            Stream::Tls(session) => session.has_waiting(),
        }
    }

    /// Whether there is more of the request to be sent.
    pub(super) fn is_sending(&self) -> bool {
        !self.is_cut && (self.upload.is_some() || self.has_waiting())
    }

    /// Waits for more of the answer; false at its end.
    pub(super) fn receive(&mut self, wait: Option<Duration>) -> Result<bool, TransportError> {
        let count = loop {
            let is_at_hand = match &mut self.stream {
                Stream::Tls(session) if !self.is_cut => session.is_at_hand(),
                _ => false,
            };
            if self.is_sending() && !is_at_hand {
                self.send_on(None, wait)?;
            }
            let is_sending = self.is_sending();
            let out = self.buffer.input_append_buf();
            match &mut self.stream {
                Stream::Plain(socket) => break socket.receive(out, wait)?,
                Stream::Tls(session) if !is_sending => break session.receive(out, wait)?,
                Stream::Tls(session) => {
                    if let Some(count) = session.receive_some(out, wait)? {
                        break count;
                    }
                }
            }
        };
        self.buffer.input_appended(count);
        Ok(count > 0)
    }

    /// Whether nothing is left of what has come.
    pub(super) fn is_spent(&mut self) -> bool {
        let is_spent = match &mut self.stream {
            Stream::Plain(_) => true,
            Stream::Tls(session) => session.is_spent(),
        };
        is_spent && self.buffer.input().is_empty()
    }

    /// Asked before the next request: nothing may wait to be read.
    pub(super) fn is_open(&self) -> bool {
        self.socket().is_open()
    }

    /// Sends what is left of the request until there is no more, or the provider speaks; or, where the
    /// answer cannot be passed on any faster, until the client's socket `has_room`.
    pub(super) fn send_on(
        &mut self,
        has_room: Option<&TcpStream>,
        wait: Option<Duration>,
    ) -> Result<(), TransportError> {
        loop {
            self.send_piece()?;
            if !self.is_sending() || self.wait(has_room, wait)? {
                return Ok(());
            }
        }
    }

    /// Whether the request has ended because its client left.
    pub(super) fn has_lost_client(&self) -> bool {
        let fault = self.upload.as_ref().and_then(Uploading::fault);
        matches!(fault, Some(Fault::Gone))
    }

    fn send_piece(&mut self) -> io::Result<()> {
        self.push()?;
        if self.is_cut || self.has_waiting() {
            return Ok(());
        }
        let Some(mut uploading) = self.upload.take() else { return Ok(()) };
        let next = match uploading.next() {
            Ok(next) => next,
            Err(error) => {
                self.upload = Some(uploading);
                return Err(error);
            }
        };
        let (piece, is_last) = next.unwrap_or((&[], false));
        self.leave(piece)?;
        if !is_last {
            self.upload = Some(uploading);
        }
        self.push()
    }

    /// Waits for room, for more from the client, or for what ends the sending: true.
    fn wait(
        &mut self,
        has_room: Option<&TcpStream>,
        wait: Option<Duration>,
    ) -> Result<bool, TransportError> {
        let out = if self.has_waiting() { PollFlags::OUT } else { PollFlags::empty() };
        // Where the client has to read first, it does not matter what the provider says.
        let spoken = if has_room.is_none() { PollFlags::IN } else { PollFlags::empty() };
        let upload = self.upload.as_ref().filter(|_| out.is_empty());
        // There may be more at hand; the provider is looked at between two pieces.
        let is_ready = upload.is_some_and(Uploading::is_ready);
        let client = upload.filter(|_| !is_ready).map(|it| Arc::clone(it.client()));
        let room = if has_room.is_some() { PollFlags::OUT } else { PollFlags::empty() };
        let more = if client.is_some() { PollFlags::IN } else { PollFlags::empty() };
        let provider = Arc::clone(&self.socket().stream);
        let mut fds = Vec::with_capacity(2);
        // First those that are waited for: one that is not would still tell of its end.
        if let Some(client) = client.as_deref().or(has_room) {
            fds.push(PollFd::new(client, more | room));
        }
        let has_client = !fds.is_empty();
        if !(out | spoken).is_empty() {
            fds.push(PollFd::new(&*provider, out | spoken));
        }
        let limit = match client {
            _ if is_ready => Duration::ZERO,
            Some(_) => deadlines().upload,
            None => patience(wait),
        };
        let limit = timespec(limit);
        match poll(&mut fds, Some(&limit)) {
            Err(rustix::io::Errno::INTR) => return Ok(false),
            Err(error) => return Err(io::Error::from(error).into()),
            Ok(0) if is_ready => return Ok(false),
            Ok(0) if client.is_some() => {
                let late = self.upload.as_mut().map(Uploading::give_up);
                return Err(late.unwrap_or_else(|| io::ErrorKind::TimedOut.into()).into());
            }
            Ok(0) => return Err(TransportError::ReadTimeout),
            Ok(_) => {}
        }
        let [first, last] =
            [fds.first(), fds.last()].map(|fd| fd.map_or(PollFlags::empty(), PollFd::revents));
        let at_client = if has_client { first } else { PollFlags::empty() };
        let at_provider =
            if fds.len() > usize::from(has_client) { last } else { PollFlags::empty() };
        if has_room.is_some() && at_client.contains(PollFlags::OUT) {
            return Ok(true);
        }
        if client.is_some()
            && !at_client.is_empty()
            && let Some(uploading) = &self.upload
        {
            uploading.receive()?;
        }
        Ok(spoken.contains(PollFlags::IN) && !at_provider.difference(PollFlags::OUT).is_empty())
    }
}

/// How long a provider may take to read on, or less.
fn patience(wait: Option<Duration>) -> Duration {
    let stall = Duration::from_secs(WRITE_STALL.tv_sec.unsigned_abs());
    wait.map_or(stall, |wait| stall.min(wait))
}

fn timespec(time: Duration) -> Timespec {
    Timespec { tv_sec: time.as_secs() as i64, tv_nsec: i64::from(time.subsec_nanos()) }
}
