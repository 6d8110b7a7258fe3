//! One client's connection as a worker sees it, and the way back to the front thread.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData, EventFlags};

use super::local;
use super::memory::Held;
use crate::proxy::request::body::BodyReader;
use crate::proxy::request::{Head, Refusal};
use crate::proxy::upstream::forward::Failure;
use crate::proxy::upstream::transport::Watch;

const READ_BYTES: usize = 64 * 1024;
/// Between two pieces of a body that is passed on while it comes.
pub(crate) const UPLOAD_IDLE: Duration = Duration::from_secs(30);

const LATE: Refusal = Refusal { status: 408, why: "the request's body did not come in time" };

/// A request that is ready for a worker.
pub(crate) struct Job {
    pub(crate) client: Client,
    pub(crate) head: Box<Head>,
    pub(crate) body: Incoming,
    /// When its head was complete.
    pub(crate) arrived: Instant,
    /// Whether a worker is free for it.
    pub(crate) is_promised: bool,
}

/// A request's body.
pub(crate) enum Incoming {
    Whole(Held),
    Streamed(Upload),
}

impl Incoming {
    /// Whether all of it has come, wanted or not.
    pub(crate) fn has_come(&mut self) -> bool {
        match self {
            Incoming::Whole(_) => true,
            Incoming::Streamed(upload) => upload.has_come(),
        }
    }
}

/// The client of one request.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) stream: Arc<TcpStream>,
    pub(crate) watch: Arc<Watch>,
    pub(crate) link: Arc<Link>,
}

impl Client {
    /// Writes an answer of our own and gives the connection back. It `is_reusable` if all of the
    /// request was read.
    pub(crate) fn answer(&self, answer: &[u8], head: &Head, is_reusable: bool) {
        let keep_alive = is_reusable && head.keep_alive && !head.is_http10;
        let written = match keep_alive {
            true => (&*self.stream).write_all(answer),
            false => (&*self.stream).write_all(&local::closing(answer)),
        };
        self.release(keep_alive && written.is_ok());
    }

    /// Gives the connection back to the front thread, for another request or to be closed.
    pub(crate) fn release(&self, keep_alive: bool) {
        self.watch.release();
        if !keep_alive {
            let _ = self.stream.shutdown(Shutdown::Write);
        }
        self.link.give_back(&self.stream, keep_alive);
    }

    /// Ends the connection in a way that no client takes for the end of an answer.
    pub(crate) fn abort(&self) {
        self.watch.release();
        // With no time to linger, the last close resets.
        let _ = rustix::net::sockopt::set_socket_linger(&*self.stream, Some(Duration::ZERO));
        self.link.is_aborted.store(true, Ordering::Release);
        self.link.give_back(&self.stream, false);
    }

    /// Ends the connection with a last answer, if there is nothing on it yet that it would garble.
    pub(crate) fn close_with(&self, answer: &[u8]) {
        if self.link.is_busy() {
            let _ = (&*self.stream).write_all(answer);
            self.release(false);
        }
    }

    /// No worker could take the request, so the front thread keeps the connection.
    pub(crate) fn not_taken(&self) {
        self.link.is_busy.store(false, Ordering::Release);
    }
}

/// What front and worker know of a connection together.
pub(crate) struct Link {
    pub(crate) token: u64,
    epoll: Arc<OwnedFd>,
    is_busy: AtomicBool,
    is_closing: AtomicBool,
    /// To be closed at once, without waiting for what the client still sends.
    is_aborted: AtomicBool,
    /// The next request has been received already, so no event will announce it.
    has_more: AtomicBool,
    /// What a worker that read a body has received behind it.
    rest: Mutex<Vec<u8>>,
}

impl Link {
    pub(crate) fn new(epoll: Arc<OwnedFd>, token: u64) -> Link {
        Link {
            token,
            epoll,
            is_busy: AtomicBool::new(false),
            is_closing: AtomicBool::new(false),
            is_aborted: AtomicBool::new(false),
            has_more: AtomicBool::new(false),
            rest: Mutex::default(),
        }
    }

    /// What a worker has received of the next request.
    pub(crate) fn take_rest(&self) -> Vec<u8> {
        std::mem::take(&mut *self.rest.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn leave_rest(&self, bytes: &[u8]) {
        *self.rest.lock().unwrap_or_else(PoisonError::into_inner) = bytes.to_vec();
        self.has_more.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.is_busy.load(Ordering::Acquire)
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Acquire)
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.is_aborted.load(Ordering::Acquire)
    }

    pub(crate) fn hand_over(&self, has_more: bool) {
        self.has_more.store(has_more, Ordering::Relaxed);
        self.is_busy.store(true, Ordering::Release);
    }

    /// Re-arms the registration. A socket can always be written to, so asking for that brings an
    /// event at once where the front thread has to act.
    fn give_back(&self, stream: &TcpStream, keep_alive: bool) {
        let mut flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
        if !keep_alive || self.has_more.load(Ordering::Relaxed) {
            flags |= EventFlags::OUT;
        }
        self.is_closing.store(!keep_alive, Ordering::Release);
        self.is_busy.store(false, Ordering::Release);
        // It fails only when the front thread has closed the connection already.
        let _ = epoll::modify(&self.epoll, stream, EventData::new_u64(self.token), flags);
    }
}

/// A body on its way through: read from the client while it is sent upstream.
pub(crate) struct Upload {
    stream: Arc<TcpStream>,
    link: Arc<Link>,
    reader: BodyReader,
    received: Vec<u8>,
    /// Decoded, and not yet taken.
    ready: Vec<u8>,
    taken: usize,
    /// The client waits for `100 Continue`.
    must_invite: bool,
    is_timed: bool,
    /// Why it could not be read to its end.
    fault: Option<Fault>,
}

#[derive(Clone, Copy)]
enum Fault {
    /// The client left in the middle.
    Gone,
    Refused(Refusal),
}

impl Upload {
    pub(crate) fn new(
        stream: &Arc<TcpStream>,
        link: &Arc<Link>,
        head: &Head,
        buffered: Vec<u8>,
    ) -> Upload {
        Upload {
            stream: Arc::clone(stream),
            link: Arc::clone(link),
            reader: BodyReader::new(head.framing, u64::MAX),
            must_invite: head.expects_continue && buffered.is_empty(),
            received: buffered,
            ready: Vec::new(),
            taken: 0,
            is_timed: false,
            fault: None,
        }
    }

    /// Whether all of it has come, wanted or not, so that the connection can serve another request.
    pub(crate) fn has_come(&mut self) -> bool {
        while !self.reader.is_done() && !self.received.is_empty() && self.fault.is_none() {
            let _ = self.decode();
        }
        self.reader.is_done()
    }

    /// Why the request came to nothing, if that was its body's fault.
    pub(crate) fn failure(&self) -> Option<Failure> {
        match self.fault? {
            Fault::Gone => Some(Failure::ClientGone),
            Fault::Refused(refusal) => Some(Failure::Client(refusal)),
        }
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Whether reading needs nothing from the client that it has not been invited to send.
    pub(crate) fn is_ready(&self) -> bool {
        let has_bytes = self.taken < self.ready.len() || !self.received.is_empty();
        self.must_invite || self.reader.is_done() || has_bytes
    }

    /// Nothing has come for `UPLOAD_IDLE`; the error that says so.
    pub(crate) fn give_up(&mut self) -> io::Error {
        self.fault = Some(Fault::Refused(LATE));
        io::ErrorKind::TimedOut.into()
    }

    fn receive(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.must_invite) {
            (&*self.stream).write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        if !std::mem::replace(&mut self.is_timed, true) {
            self.stream.set_read_timeout(Some(UPLOAD_IDLE))?;
        }
        self.received.resize(READ_BYTES, 0);
        let count = (&*self.stream).read(&mut self.received);
        self.received.truncate(*count.as_ref().unwrap_or(&0));
        self.fault = match &count {
            Ok(count) if *count > 0 => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Some(Fault::Refused(LATE)),
            _ => Some(Fault::Gone),
        };
        Err(io::ErrorKind::InvalidData.into())
    }

    fn decode(&mut self) -> io::Result<()> {
        self.ready.clear();
        self.taken = 0;
        let fed = self.reader.feed(&self.received, &mut self.ready).map_err(|refusal| {
            self.fault = Some(Fault::Refused(refusal));
            io::Error::new(io::ErrorKind::InvalidData, refusal.why)
        })?;
        if fed < self.received.len() {
            self.link.leave_rest(&self.received[fed..]);
        }
        self.received.clear();
        Ok(())
    }
}

impl Read for Upload {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.ready.len() {
            if self.reader.is_done() {
                return Ok(0);
            }
            while self.received.is_empty() {
                self.receive()?;
            }
            self.decode()?;
        }
        let count = out.len().min(self.ready.len() - self.taken);
        out[..count].copy_from_slice(&self.ready[self.taken..self.taken + count]);
        self.taken += count;
        Ok(count)
    }
}
