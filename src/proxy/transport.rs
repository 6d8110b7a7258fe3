//! The socket under ureq: one that another thread can shut, and that sends a head with its body.
//!
//! ureq offers no handle on the connection of one request, and a client that leaves must end the
//! upstream request within milliseconds, or tokens that nobody reads are paid for. ureq runs a
//! request on the caller's thread, so a thread-local says whose socket it is.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::net::RecvFlags;
use ureq::unversioned::transport::time::Duration as Wait;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};
use ureq::{Error, Timeout};

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

    fn hold(&self, socket: &Arc<TcpStream>) {
        *self.socket.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(socket));
        if self.is_gone() {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// One try to send a request: what its thread knows and its socket reports.
#[derive(Clone, Default)]
pub(crate) struct Attempt {
    pub(crate) watch: Option<Arc<Watch>>,
    /// A body follows the head, so the head may wait for it.
    pub(crate) has_body: bool,
    /// The connection had served a request before.
    pub(crate) is_reused: bool,
    /// A byte of the answer has come.
    pub(crate) is_answered: bool,
}

thread_local! {
    static ATTEMPT: RefCell<Attempt> = RefCell::default();
}

/// Sets what this thread's next request is.
pub(crate) fn begin(attempt: Attempt) {
    ATTEMPT.set(attempt);
}

/// What became of this thread's request so far.
pub(crate) fn attempt() -> Attempt {
    ATTEMPT.with_borrow(Attempt::clone)
}

/// Opens sockets; TLS is chained behind it.
#[derive(Debug)]
pub(crate) struct SocketConnector {
    /// Longest silence inside an answer's body.
    pub(crate) stream_idle: Duration,
}

impl Connector<()> for SocketConnector {
    type Out = Socket;

    fn connect(&self, details: &ConnectionDetails, _: Option<()>) -> Result<Option<Socket>, Error> {
        let wait = details.timeout.not_zero().map(|wait| *wait);
        // Each address gets an equal share of the time, so that a dead one leaves some to the next.
        let share = wait.map(|wait| wait / details.addrs.len().max(1) as u32);
        let mut last = io::Error::from(io::ErrorKind::ConnectionRefused);
        for address in &details.addrs {
            let opened = match share {
                Some(share) => TcpStream::connect_timeout(address, share),
                None => TcpStream::connect(address),
            };
            match opened {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(Some(Socket::new(stream, details, self.stream_idle)));
                }
                Err(error) => last = error,
            }
        }
        match last.kind() {
            io::ErrorKind::TimedOut => Err(Error::Timeout(Timeout::Connect)),
            _ => Err(Error::Io(last)),
        }
    }
}

pub(crate) struct Socket {
    stream: Arc<TcpStream>,
    buffers: LazyBuffers,
    /// A head that waits for the first piece of its body.
    head: Vec<u8>,
    /// Between the end of one request and the start of the next.
    is_idle: bool,
    has_served: bool,
    /// Set when the provider stopped reading: what it said may still be read.
    write_error: Option<io::Error>,
    stream_idle: Duration,
    read_wait: Option<Duration>,
    write_wait: Option<Duration>,
}

impl Socket {
    fn new(stream: TcpStream, details: &ConnectionDetails, stream_idle: Duration) -> Socket {
        let config = details.config;
        Socket {
            stream: Arc::new(stream),
            buffers: LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size()),
            head: Vec::new(),
            is_idle: true,
            has_served: false,
            write_error: None,
            stream_idle,
            read_wait: None,
            write_wait: None,
        }
    }

    /// The first bytes of a request: makes this the attempt's socket.
    fn start(&mut self) -> bool {
        self.is_idle = false;
        ATTEMPT.with_borrow_mut(|attempt| {
            attempt.is_reused = self.has_served;
            if let Some(watch) = &attempt.watch {
                watch.hold(&self.stream);
            }
            attempt.has_body
        })
    }

    fn send(&mut self, amount: usize) -> io::Result<()> {
        let piece = &self.buffers.output()[..amount];
        if self.head.is_empty() {
            return (&*self.stream).write_all(piece);
        }
        let mut parts = [IoSlice::new(&self.head), IoSlice::new(piece)];
        let sent = write_all_vectored(&self.stream, &mut parts);
        self.head.clear();
        sent
    }
}

impl Transport for Socket {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let timeout = timeout.for_write();
        let is_start = self.is_idle;
        if is_start && self.start() {
            self.head.extend_from_slice(&self.buffers.output()[..amount]);
            return Ok(());
        }
        let wait = timeout.not_zero();
        set_wait(&mut self.write_wait, wait, |wait| self.stream.set_write_timeout(wait))?;
        match self.send(amount) {
            Ok(()) => Ok(()),
            Err(error) if is_timeout(&error) => Err(Error::Timeout(timeout.reason)),
            // An early 413 or 429 is on its way; reading decides.
            Err(error) => {
                self.write_error = Some(error);
                Ok(())
            }
        }
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        if !self.head.is_empty() {
            self.send(0)?;
        }
        let timeout = timeout.for_read();
        // ureq waits for a head with a limit and for a body without one.
        let wait = timeout.not_zero().or(Some(self.stream_idle.into()));
        set_wait(&mut self.read_wait, wait, |wait| self.stream.set_read_timeout(wait))?;
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
        ATTEMPT.with_borrow_mut(|attempt| attempt.is_answered |= count > 0);
        self.has_served |= count > 0;
        self.buffers.input_appended(count);
        Ok(count > 0)
    }

    /// Asked when a request is over and again before the next: nothing may wait to be read.
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

/// Sets a socket's timeout only if it changes: each setting is a system call.
fn set_wait(
    last: &mut Option<Duration>,
    wait: Option<Wait>,
    set: impl FnOnce(Option<Duration>) -> io::Result<()>,
) -> io::Result<()> {
    let wait = wait.map(|wait| *wait);
    if wait != *last {
        set(wait)?;
        *last = wait;
    }
    Ok(())
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// Both parts in as few system calls as the socket takes.
pub(crate) fn write_all_vectored(mut out: &TcpStream, mut parts: &mut [IoSlice]) -> io::Result<()> {
    while !parts.is_empty() {
        match out.write_vectored(parts) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => IoSlice::advance_slices(&mut parts, count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if parts.iter().all(|part| part.is_empty()) {
            break;
        }
    }
    Ok(())
}
