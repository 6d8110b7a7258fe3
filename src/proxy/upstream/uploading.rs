//! A body on its way from client to provider while the answer is on its way back: one worker has an eye
//! on both, so that neither waits for the other.
//!
//! Only the head is written beforehand; the body is sent by whoever waits for the answer.

use std::io::{self, Read};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::connection::Connection;
use super::error::TransportError;
use super::read_buffer::PIECE_BYTES_MAX;
use super::socket::WRITE_STALL;
use crate::proxy::chunk::{CHUNK_HEAD_BYTES, frame};
use crate::proxy::deadlines::deadlines;
use crate::proxy::event_loop::client::{Fault, Upload};

/// What the client sends; whoever answers it wants to know how far it has come.
pub(crate) type SharedUpload = Arc<Mutex<Upload>>;

pub(crate) fn locked(upload: &Mutex<Upload>) -> MutexGuard<'_, Upload> {
    upload.lock().unwrap_or_else(PoisonError::into_inner)
}

const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// What is left of a body that is read while it is sent.
pub(super) struct Uploading {
    upload: SharedUpload,
    client: Arc<TcpStream>,
    is_chunked: bool,
    piece: Vec<u8>,
}

impl Uploading {
    pub(super) fn new(upload: SharedUpload, is_chunked: bool) -> Uploading {
        let client = Arc::clone(locked(&upload).stream());
        Uploading { upload, client, is_chunked, piece: Vec::new() }
    }

    fn is_ready(&self) -> bool {
        locked(&self.upload).has_bytes()
    }

    /// The next piece as it is sent, and whether it is the last; `None` if the client has to send first.
    fn next(&mut self) -> io::Result<Option<(&[u8], bool)>> {
        let mut upload = locked(&self.upload);
        if !upload.is_ready()? {
            return Ok(None);
        }
        self.piece.resize(CHUNK_HEAD_BYTES + PIECE_BYTES_MAX + 2 + LAST_CHUNK.len(), 0);
        let count = upload.read(&mut self.piece[CHUNK_HEAD_BYTES..][..PIECE_BYTES_MAX])?;
        let is_last = upload.is_ready()? && !upload.has_bytes();
        if !self.is_chunked {
            return Ok(Some((&self.piece[CHUNK_HEAD_BYTES..][..count], is_last)));
        }
        let framed = if count == 0 { 0 } else { frame(&mut self.piece, count).len() };
        let last = if is_last { LAST_CHUNK } else { b"" };
        self.piece[framed..framed + last.len()].copy_from_slice(last);
        Ok(Some((&self.piece[..framed + last.len()], is_last)))
    }
}

impl Connection {
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
        let fault = self.upload.as_ref().and_then(|it| locked(&it.upload).fault());
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
        let client = upload.filter(|_| !is_ready).map(|it| Arc::clone(&it.client));
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
                let late = self.upload.as_mut().map(|it| locked(&it.upload).give_up());
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
            locked(&uploading.upload).receive()?;
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
