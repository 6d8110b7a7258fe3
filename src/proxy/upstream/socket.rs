//! The socket of a connection to a provider, which notices an answer while the request is still going up.

use std::io::{self, IoSlice, Read};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags};

use super::error::{TransportError, is_vanished};
use super::unacknowledged::unacknowledged;

/// How long a provider may take to accept a piece of a request.
pub(super) const WRITE_STALL: Timespec = Timespec { tv_sec: 60, tv_nsec: 0 };

/// How often, and how long each time, the end of a connection is waited for once one side has closed it:
/// 3 s, which is the way there and back with a packet lost.
const END_WAITS: usize = 300;
const END_WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };

/// A socket does not wait for less, and takes nothing at all for an error.
const READ_WAIT_MIN: Duration = Duration::from_millis(1);

/// The socket of a connection.
pub(crate) struct Socket {
    pub(super) stream: Arc<TcpStream>,
    /// Set when the provider stopped reading: what it said may still be read.
    write_error: Option<io::Error>,
    read_wait: Option<Duration>,
    /// Bytes of the present request that the kernel has taken.
    sent: u64,
    /// What it had no room for when the provider spoke, and how much of that was sent since.
    waiting: (Vec<u8>, usize),
}

impl Socket {
    pub(super) fn new(stream: Arc<TcpStream>) -> Socket {
        let (read_wait, waiting) = (None, (Vec::new(), 0));
        Socket { stream, write_error: None, read_wait, sent: 0, waiting }
    }

    /// Another request begins.
    pub(super) fn begin(&mut self) {
        self.sent = 0;
    }

    /// Sends all, or notes why not, until the provider speaks; how many bytes are left.
    pub(super) fn send(&mut self, mut parts: &mut [IoSlice]) -> usize {
        while !self.push(&mut parts) {
            match wait_for_room(&self.stream) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => self.fail(error),
            }
        }
        parts.iter().map(|part| part.len()).sum()
    }

    /// Sends what there is room for; false if something is left.
    pub(super) fn push(&mut self, parts: &mut &mut [IoSlice]) -> bool {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        while self.can_send() && !parts.iter().all(|part| part.is_empty()) {
            let mut nothing = SendAncillaryBuffer::default();
            match rustix::net::sendmsg(&self.stream, parts, &mut nothing, flags) {
                Ok(count) => {
                    self.sent += count as u64;
                    IoSlice::advance_slices(parts, count);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return false,
                Err(error) => self.fail(error.into()),
            }
        }
        true
    }

    /// To be sent when there is room.
    pub(super) fn leave(&mut self, bytes: &[u8]) {
        self.waiting.0.extend_from_slice(bytes);
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.0.is_empty()
    }

    /// The same with what waits.
    pub(super) fn push_waiting(&mut self) -> bool {
        let (bytes, sent) = std::mem::take(&mut self.waiting);
        let mut parts = [IoSlice::new(&bytes[sent..])];
        let mut parts = &mut parts[..];
        let is_done = self.push(&mut parts);
        let left = parts.iter().map(|part| part.len()).sum::<usize>();
        if !is_done {
            self.waiting = (bytes, sent);
            self.waiting.1 = self.waiting.0.len() - left;
        }
        is_done
    }

    /// An early 413 or 429 is here or on its way; reading decides.
    pub(super) fn fail(&mut self, error: io::Error) {
        self.write_error = Some(error);
    }

    pub(super) fn can_send(&self) -> bool {
        self.write_error.is_none()
    }

    /// Whether the request that ended with `error` was lost on the way: the kernel has no acknowledgement
    /// of any of it, and will get none.
    pub(super) fn is_unread(&self, error: &io::Error) -> bool {
        let is_unread = || unacknowledged(&self.stream).is_some_and(|bytes| bytes >= self.sent);
        match error.kind() {
            // It has ended. (A provider that reads and resets at once, before its kernel acknowledges, which may
            // take 40 ms, cannot be told from one that closed before it read.)
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => is_unread(),
            kind if is_vanished(kind) => is_unread(),
            // The provider has closed its side. The reset that answers our bytes may be on its way, and so
            // may their acknowledgement.
            io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => {
                let mut fds = [PollFd::new(&self.stream, PollFlags::empty())];
                let mut waits = (0..END_WAITS).take_while(|_| is_unread());
                waits.any(|_| matches!(poll(&mut fds, Some(&END_WAIT)), Ok(1..))) && is_unread()
            }
            _ => false,
        }
    }

    /// Waits for bytes, for ever without a limit; how many have come, 0 at the end.
    pub(super) fn receive(
        &mut self,
        out: &mut [u8],
        wait: Option<Duration>,
    ) -> Result<usize, TransportError> {
        let limit = wait.map(|wait| wait.max(READ_WAIT_MIN));
        // Only when it changes: each setting is a system call.
        if limit != self.read_wait {
            self.stream.set_read_timeout(limit)?;
            self.read_wait = limit;
        }
        let count = loop {
            match (&*self.stream).read(out) {
                Ok(count) => break count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Not `TimedOut`: that is the kernel's word for a path that is dead.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(TransportError::ReadTimeout);
                }
                Err(error) => return Err(self.write_error.take().unwrap_or(error).into()),
            }
        };
        match (count, self.write_error.take()) {
            (0, Some(error)) => Err(error.into()),
            (_, error) => {
                self.write_error = error;
                Ok(count)
            }
        }
    }

    /// Asked before the next request: nothing may wait to be read.
    pub(super) fn is_open(&self) -> bool {
        let mut byte = [0_u8; 1];
        let peeked =
            rustix::net::recv(&self.stream, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT);
        self.write_error.is_none() && peeked == Err(rustix::io::Errno::AGAIN)
    }
}

/// False if the provider speaks before it has read what it was sent.
pub(super) fn wait_for_room(out: &TcpStream) -> io::Result<bool> {
    let mut fds = [PollFd::new(out, PollFlags::OUT | PollFlags::IN)];
    match poll(&mut fds, Some(&WRITE_STALL)) {
        Ok(0) => Err(io::ErrorKind::TimedOut.into()),
        Err(rustix::io::Errno::INTR) => Ok(true),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(fds[0].revents().contains(PollFlags::OUT)),
    }
}
