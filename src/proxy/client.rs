//! One client's connection as a worker sees it, and the way back to the front thread.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData, EventFlags};

use super::request::{BodyReader, Framing, Head};
use super::transport::Watch;

/// Between two pieces of a body that is passed on while it comes.
const UPLOAD_IDLE: Duration = Duration::from_secs(30);

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
    Whole(Vec<u8>),
    Streamed(Upload),
}

/// The client of one request.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) stream: Arc<TcpStream>,
    pub(crate) watch: Arc<Watch>,
    pub(super) link: Arc<Link>,
}

impl Client {
    /// Writes an answer of our own and gives the connection back.
    pub(crate) fn answer(&self, answer: &[u8], head: &Head) {
        let keep_alive = head.keep_alive && head.framing != Framing::Chunked;
        let written = (&*self.stream).write_all(answer);
        self.release(keep_alive && !head.is_http10 && written.is_ok());
    }

    /// Gives the connection back to the front thread, for another request or to be closed.
    pub(crate) fn release(&self, keep_alive: bool) {
        self.watch.release();
        if !keep_alive {
            let _ = self.stream.shutdown(Shutdown::Write);
        }
        self.link.give_back(&self.stream, keep_alive);
    }

    /// Ends the connection with a last answer, if there is nothing on it yet that it would garble.
    pub(crate) fn close_with(&self, answer: &[u8]) {
        if self.link.is_busy() {
            let _ = (&*self.stream).write_all(answer);
            self.release(false);
        }
    }

    /// No worker could take the request, so the front thread keeps the connection.
    pub(super) fn not_taken(&self) {
        self.link.is_busy.store(false, Ordering::Release);
    }
}

/// What front and worker know of a connection together.
pub(super) struct Link {
    pub(super) token: u64,
    epoll: Arc<OwnedFd>,
    is_busy: AtomicBool,
    is_closing: AtomicBool,
    /// The next request has been received already, so no event will announce it.
    has_more: AtomicBool,
}

impl Link {
    pub(super) fn new(epoll: Arc<OwnedFd>, token: u64) -> Link {
        Link {
            token,
            epoll,
            is_busy: AtomicBool::new(false),
            is_closing: AtomicBool::new(false),
            has_more: AtomicBool::new(false),
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.is_busy.load(Ordering::Acquire)
    }

    pub(super) fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Acquire)
    }

    pub(super) fn hand_over(&self, has_more: bool) {
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
    reader: BodyReader,
    received: Vec<u8>,
    /// Decoded, and not yet taken.
    ready: Vec<u8>,
    taken: usize,
    /// The client waits for `100 Continue`.
    must_invite: bool,
}

impl Upload {
    pub(super) fn new(
        stream: Arc<TcpStream>,
        framing: Framing,
        buffered: Vec<u8>,
        must_invite: bool,
    ) -> Upload {
        let must_invite = must_invite && buffered.is_empty();
        let reader = BodyReader::new(framing);
        Upload { stream, reader, received: buffered, ready: Vec::new(), taken: 0, must_invite }
    }

    fn receive(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.must_invite) {
            (&*self.stream).write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        self.stream.set_read_timeout(Some(UPLOAD_IDLE))?;
        self.received.resize(64 * 1024, 0);
        let count = (&*self.stream).read(&mut self.received)?;
        self.received.truncate(count);
        match count {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

impl Read for Upload {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.ready.len() {
            if self.reader.is_done() {
                return Ok(0);
            }
            if self.received.is_empty() {
                self.receive()?;
            }
            self.ready.clear();
            self.taken = 0;
            let fed = self.reader.feed(&self.received, &mut self.ready);
            fed.map_err(|refusal| io::Error::new(io::ErrorKind::InvalidData, refusal.why))?;
            self.received.clear();
        }
        let count = out.len().min(self.ready.len() - self.taken);
        out[..count].copy_from_slice(&self.ready[self.taken..self.taken + count]);
        self.taken += count;
        Ok(count)
    }
}
