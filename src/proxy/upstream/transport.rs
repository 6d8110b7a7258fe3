//! The socket under ureq: one that another thread can shut, and that notices an answer while the
//! request is still going up.
//!
//! ureq offers no handle on the connection of one request, and a client that leaves must end the
//! upstream request within milliseconds, or tokens that nobody reads are paid for. ureq runs a
//! request on the caller's thread, so a thread-local says whose socket it is.

use std::cell::RefCell;
use std::io::{self, IoSlice, Read};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags};
use ureq::Error;
use ureq::unversioned::transport::NextTimeout;

use super::unacknowledged::unacknowledged;
use super::{Connection, Unfinished};
use crate::proxy::request::HEAD_BYTES_MAX;

/// How long a provider may take to accept a piece of a request.
pub(super) const WRITE_STALL: Timespec = Timespec { tv_sec: 60, tv_nsec: 0 };

/// What a request is called that ended with the proxy.
pub(crate) const SHUTDOWN: &str = "shutdown";
/// How often, and how long each time, the end of a connection is waited for once one side has closed it:
/// 3 s, which is the way there and back with a packet lost.
const END_WAITS: usize = 300;
const END_WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };

/// What ends a request's head.
const HEAD_END: &[u8] = b"\r\n\r\n";

/// Lets the event loop end an upstream request whose client has left, or which the proxy does not
/// wait for any more.
#[derive(Default)]
pub(crate) struct Watch {
    is_gone: AtomicBool,
    is_cut: AtomicBool,
    socket: Mutex<Option<Arc<TcpStream>>>,
}

impl Watch {
    /// The client has left: shuts the upstream socket, now or as soon as there is one.
    pub(crate) fn leave(&self) {
        self.is_gone.store(true, Ordering::SeqCst);
        self.shut();
    }

    /// The proxy ends: the same, and the record says so.
    pub(crate) fn cut(&self) {
        if !self.is_gone() {
            self.is_cut.store(true, Ordering::SeqCst);
            self.leave();
        }
    }

    /// What the record calls the end, if it was this one.
    pub(crate) fn reason(&self) -> &'static str {
        if self.is_cut.load(Ordering::SeqCst) { SHUTDOWN } else { "client_gone" }
    }

    fn shut(&self) {
        if let Some(socket) = &*self.socket.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::SeqCst)
    }

    /// The exchange is over; its socket may serve others.
    pub(crate) fn release(&self) {
        *self.socket.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(crate) fn hold(&self, socket: &Arc<TcpStream>) {
        *self.socket.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(socket));
        if self.is_gone() {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// One try to send a request: what its thread knows and its connection reports.
#[derive(Default)]
pub(crate) struct Attempt {
    pub(crate) watch: Option<Arc<Watch>>,
    /// A body follows the head, so the head may wait for it.
    pub(crate) has_body: bool,
    /// The request cannot be sent twice, so it gets no connection that may have died in the pool.
    pub(crate) must_be_fresh: bool,
    /// Room for the whole head, and for large pieces of the body.
    pub(crate) output_bytes: usize,
    /// There is a connection, so that some of the request may have been sent.
    pub(crate) is_connected: bool,
    /// The connection had served a request before.
    pub(crate) is_reused: bool,
    /// ureq is to stop where it is: what is left of the body is sent while the answer is waited for.
    pub(crate) leaves_body: bool,
    /// The provider does not read on.
    pub(crate) is_refused: bool,
    /// The request's head as it was written to the connection, keys included: for one comparison.
    pub(crate) head: Vec<u8>,
    /// Where the answer is to be read, once ureq has sent the request.
    pub(crate) connection: Option<Connection>,
    /// A request whose answer has ended before it was sent to its end.
    pub(crate) unfinished: Option<Unfinished>,
}

impl Attempt {
    /// Notes what was sent, a head that `waited` for the piece behind it or not; true once the head
    /// is complete.
    pub(crate) fn note(&mut self, waited: Vec<u8>, piece: &[u8]) -> bool {
        if self.head.is_empty() && waited.ends_with(HEAD_END) {
            self.head = waited;
            return true;
        }
        for piece in [&waited, piece] {
            let end = head_end(piece);
            self.head.extend_from_slice(&piece[..end.unwrap_or(piece.len())]);
            // The end may lie across two pieces.
            if end.is_some() || self.head.ends_with(HEAD_END) {
                return true;
            }
        }
        self.head.len() > 2 * HEAD_BYTES_MAX
    }
}

/// Where a head ends that begins here or before.
fn head_end(piece: &[u8]) -> Option<usize> {
    let ends = memchr::memchr_iter(b'\n', piece).map(|at| at + 1);
    ends.into_iter().find(|end| piece[..*end].ends_with(HEAD_END))
}

thread_local! {
    static ATTEMPT: RefCell<Attempt> = RefCell::default();
}

/// Sets what this thread's next request is.
pub(crate) fn begin(attempt: Attempt) {
    ATTEMPT.set(attempt);
}

/// Looks at or changes what is known of this thread's request.
pub(crate) fn attempt<T>(look: impl FnOnce(&mut Attempt) -> T) -> T {
    ATTEMPT.with_borrow_mut(look)
}

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

    /// Sends all, or notes why not; until the provider speaks: then what is left waits.
    pub(super) fn send(&mut self, mut parts: &mut [IoSlice]) {
        while !self.push(&mut parts) {
            match wait_for_room(&self.stream) {
                Ok(true) => {}
                Ok(false) => return parts.iter().for_each(|part| self.leave(part)),
                Err(error) => self.fail(error),
            }
        }
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
        attempt(|attempt| attempt.is_refused = true);
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

    /// Waits for bytes; how many have come, 0 at the end.
    pub(super) fn receive(&mut self, out: &mut [u8], wait: NextTimeout) -> Result<usize, Error> {
        let limit = wait.not_zero().map(|limit| *limit);
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
                    return Err(Error::Timeout(wait.reason));
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

/// The kernel's words for a path on which nothing comes back; the latter two if a router has said so.
pub(super) fn is_vanished(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{HostUnreachable, NetworkUnreachable, TimedOut};
    matches!(kind, TimedOut | HostUnreachable | NetworkUnreachable)
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
