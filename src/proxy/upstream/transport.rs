//! The socket under ureq: one that another thread can shut, that sends a head with its body, and
//! that notices an answer while the request is still going up.
//!
//! ureq offers no handle on the connection of one request, and a client that leaves must end the
//! upstream request within milliseconds, or tokens that nobody reads are paid for. ureq runs a
//! request on the caller's thread, so a thread-local says whose socket it is.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, IoSlice, Read};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags};
use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, LazyBuffers, NextTimeout, Transport,
};

use super::Connection;
use crate::proxy::request::HEAD_BYTES_MAX;

/// How long a provider may take to accept a piece of a request.
const WRITE_STALL: Timespec = Timespec { tv_sec: 60, tv_nsec: 0 };

/// What ends a request's head.
const HEAD_END: &[u8] = b"\r\n\r\n";

/// Lets the front thread end an upstream request whose client has left.
#[derive(Default)]
pub(crate) struct Watch {
    is_gone: AtomicBool,
    socket: Mutex<Option<Arc<TcpStream>>>,
}

impl Watch {
    /// The client has left: shuts the upstream socket, now or as soon as there is one.
    pub(crate) fn leave(&self) {
        self.is_gone.store(true, Ordering::SeqCst);
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
    /// The socket that serves the request.
    pub(crate) socket: Option<Arc<TcpStream>>,
    /// The connection had served a request before.
    pub(crate) is_reused: bool,
    /// What comes from the socket is encrypted, so that its coming says nothing.
    pub(crate) is_tls: bool,
    /// The provider does not read on: its answer is here, or it has closed.
    pub(crate) is_refused: bool,
    /// The request's head as it was written to the connection, keys included: for one comparison.
    pub(crate) head: Vec<u8>,
    /// Where the answer is to be read, once ureq has sent the request.
    pub(crate) connection: Option<Connection>,
}

impl Attempt {
    /// Notes a piece of what was sent; true once the head is complete.
    pub(crate) fn note(&mut self, piece: &[u8]) -> bool {
        let end = memchr::memmem::find(piece, HEAD_END).map(|at| at + HEAD_END.len());
        self.head.extend_from_slice(&piece[..end.unwrap_or(piece.len())]);
        // The end may lie across two pieces.
        end.is_some() || self.head.ends_with(HEAD_END) || self.head.len() > 2 * HEAD_BYTES_MAX
    }
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

pub(crate) struct Socket {
    stream: Arc<TcpStream>,
    buffers: LazyBuffers,
    /// A head that waits for the first piece of its body.
    head: Vec<u8>,
    /// Between the end of one request and the start of the next.
    is_idle: bool,
    /// Set when the provider stopped reading: what it said may still be read.
    write_error: Option<io::Error>,
    read_wait: Option<Duration>,
}

impl Socket {
    pub(crate) fn new(stream: Arc<TcpStream>, details: &ConnectionDetails) -> Socket {
        let config = details.config;
        Socket {
            stream,
            buffers: LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size()),
            head: Vec::new(),
            is_idle: true,
            write_error: None,
            read_wait: None,
        }
    }

    /// Sends what waits and the first `amount` bytes of the output.
    fn send(&mut self, amount: usize) {
        let piece = &self.buffers.output()[..amount];
        let sent = match (&self.write_error, self.head.is_empty()) {
            (Some(_), _) => return,
            (None, true) => write_all(&self.stream, &mut [IoSlice::new(piece)]),
            (None, false) => {
                write_all(&self.stream, &mut [IoSlice::new(&self.head), IoSlice::new(piece)])
            }
        };
        self.head.clear();
        if let Err(error) = sent {
            // An early 413 or 429 is here or on its way; reading decides.
            self.write_error = Some(error);
            attempt(|attempt| attempt.is_refused = true);
        }
    }
}

impl Transport for Socket {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), Error> {
        if std::mem::take(&mut self.is_idle) && attempt(|attempt| attempt.has_body) {
            self.head.extend_from_slice(&self.buffers.output()[..amount]);
        } else {
            self.send(amount);
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        if !self.head.is_empty() {
            self.send(0);
        }
        let wait = timeout.not_zero().map(|wait| *wait);
        // Only when it changes: each setting is a system call.
        if wait != self.read_wait {
            self.stream.set_read_timeout(wait)?;
            self.read_wait = wait;
        }
        let count = loop {
            match (&*self.stream).read(self.buffers.input_append_buf()) {
                Ok(count) => break count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => return Err(Error::Timeout(timeout.reason)),
                Err(error) => return Err(self.write_error.take().unwrap_or(error).into()),
            }
        };
        if let (0, Some(error)) = (count, self.write_error.take()) {
            return Err(error.into());
        }
        self.buffers.input_appended(count);
        Ok(count > 0)
    }

    /// Asked before the next request: nothing may wait to be read.
    fn is_open(&mut self) -> bool {
        self.is_idle = true;
        let mut byte = [0_u8; 1];
        let peeked =
            rustix::net::recv(&self.stream, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT);
        self.write_error.is_none() && peeked == Err(rustix::io::Errno::AGAIN)
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Socket")
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// Writes without blocking, so that an answer to half a request is seen while waiting for room.
fn write_all(out: &TcpStream, mut parts: &mut [IoSlice]) -> io::Result<()> {
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    while !parts.iter().all(|part| part.is_empty()) {
        match rustix::net::sendmsg(out, parts, &mut SendAncillaryBuffer::default(), flags) {
            Ok(count) => IoSlice::advance_slices(&mut parts, count),
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) => wait_for_room(out)?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn wait_for_room(out: &TcpStream) -> io::Result<()> {
    let interest = match attempt(|attempt| attempt.is_tls) {
        // Encrypted bytes may be a session ticket rather than an answer.
        true => PollFlags::OUT,
        false => PollFlags::OUT | PollFlags::IN,
    };
    let mut fds = [PollFd::new(out, interest)];
    match poll(&mut fds, Some(&WRITE_STALL)) {
        Ok(0) => Err(io::ErrorKind::TimedOut.into()),
        Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
        // The provider has answered what it has not read: it will not read the rest.
        Ok(_) if !fds[0].revents().contains(PollFlags::OUT) => {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        Ok(_) => Ok(()),
    }
}
