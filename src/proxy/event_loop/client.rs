//! One client's connection as a worker sees it, and the way back to the event loop.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData, EventFlags};

use super::connection::{Leftover, SKIP_BYTES_MAX};
use super::local::{self, ErrorContext};
use super::memory::BodyBuffer;
use crate::proxy::deadlines::deadlines;
use crate::proxy::request::body::BodyReader;
use crate::proxy::request::{Head, Refusal};
use crate::proxy::sock_diag;
use crate::proxy::watch::Watch;

const READ_BYTES: usize = 64 * 1024;
/// A client that sends its next request within this after an answer is quick.
const QUICK: Duration = Duration::from_millis(5);

/// What a client that `expects_continue` waits for.
pub(super) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

const LATE: Refusal = Refusal { status: 408, why: "the request's body did not come in time" };

/// A request that is ready for a worker.
pub(crate) struct ReadyRequest {
    pub(crate) client: Client,
    pub(crate) head: Box<Head>,
    pub(crate) body: Incoming,
    /// When its head was complete.
    pub(crate) arrived: Instant,
}

/// A request's body.
pub(crate) enum Incoming {
    Whole(BodyBuffer),
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

    /// Reads a body that nobody wants, up to a bound; whether all of it has come.
    pub(crate) fn has_come_unwanted(self) -> bool {
        let Incoming::Streamed(mut upload) = self else { return true };
        let mut unwanted = (&mut upload).take(SKIP_BYTES_MAX);
        let _ = io::copy(&mut unwanted, &mut io::sink());
        upload.has_come()
    }
}

/// The client of one request.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) stream: Arc<TcpStream>,
    pub(crate) watch: Arc<Watch>,
    pub(crate) link: Arc<ClientConnection>,
    /// Which request of the connection this is.
    pub(crate) turn: u32,
}

impl Client {
    /// Writes an answer of our own and gives the connection back. It `is_reusable` if all of the
    /// request was read.
    pub(crate) fn answer(&self, answer: &[u8], head: &Head, is_reusable: bool) {
        let keep_alive = is_reusable && head.keep_alive;
        let answer = local::fit(answer, &ErrorContext::of(head), keep_alive);
        let written = (&*self.stream).write_all(&answer);
        self.release(keep_alive && written.is_ok());
    }

    /// Gives the connection back to the event loop, for another request or to be closed; if the
    /// client is quick, the worker may stay with it.
    pub(crate) fn release(&self, keep_alive: bool) {
        self.watch.release();
        if keep_alive && self.link.may_keep_alive() {
            return self.link.answered.store(self.turn, Ordering::Release);
        }
        if !keep_alive {
            let _ = self.stream.shutdown(Shutdown::Write);
        }
        self.link.give_back(&self.stream, keep_alive);
    }

    /// Whether the request has its answer, and the connection is the worker's all the same.
    pub(super) fn is_ours(&self) -> bool {
        self.link.answered.load(Ordering::Acquire) == self.turn
    }

    /// The worker goes, and leaves what it has of the next request.
    pub(super) fn go(&self, left: Option<Leftover>) {
        if let Some(left) = left {
            self.link.leave(left);
        }
        self.link.give_back(&self.stream, true);
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
    pub(crate) fn close_with(&self, answer: &[u8], asked_by: &ErrorContext) {
        if self.link.is_busy() && !self.is_ours() {
            let _ = (&*self.stream).write_all(&local::fit(answer, asked_by, false));
            self.release(false);
        }
    }

    /// No worker could take the request, so the event loop keeps the connection.
    pub(crate) fn not_taken(&self) {
        self.link.is_busy.store(false, Ordering::Release);
    }
}

/// What event loop and worker know of a connection together.
pub(crate) struct ClientConnection {
    pub(crate) token: u64,
    epoll: Arc<OwnedFd>,
    is_busy: AtomicBool,
    is_closing: AtomicBool,
    /// To be closed at once, without waiting for what the client still sends.
    is_aborted: AtomicBool,
    /// The next request has been received already, so no event will announce it.
    has_more: AtomicBool,
    /// The client sends its next request as soon as it has its answer.
    is_quick: AtomicBool,
    /// Requests so far; and the one that was answered by a worker who then stayed.
    turn: AtomicU32,
    answered: AtomicU32,
    /// The event loop hears only of the client's end.
    is_quiet: AtomicBool,
    /// Longest wait of a worker's read, in milliseconds; 0: not set.
    read_wait_ms: AtomicU32,
    /// When the connection came, and how many microseconds later it was given back last.
    born: Instant,
    given_back_us: AtomicU64,
    /// Whether it is another user's; asked for once, if at all.
    is_other_user: OnceLock<bool>,
    /// What a worker has received behind the request that it answered.
    left: Mutex<Option<Box<Leftover>>>,
}

impl ClientConnection {
    pub(crate) fn new(epoll: Arc<OwnedFd>, token: u64) -> ClientConnection {
        ClientConnection {
            token,
            epoll,
            is_busy: AtomicBool::new(false),
            is_closing: AtomicBool::new(false),
            is_aborted: AtomicBool::new(false),
            has_more: AtomicBool::new(false),
            is_quick: AtomicBool::new(false),
            turn: AtomicU32::new(0),
            answered: AtomicU32::new(0),
            is_quiet: AtomicBool::new(false),
            read_wait_ms: AtomicU32::new(0),
            born: Instant::now(),
            given_back_us: AtomicU64::new(0),
            is_other_user: OnceLock::new(),
            left: Mutex::default(),
        }
    }

    /// Whether another user of this machine is at the other end of `stream`, which is ours.
    pub(super) fn is_other_user(&self, stream: &TcpStream) -> bool {
        *self.is_other_user.get_or_init(|| sock_diag::is_other_user(stream))
    }

    /// What a worker has received of the next request.
    pub(super) fn take_left(&self) -> Option<Box<Leftover>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn leave(&self, left: Leftover) {
        // Nothing else announces what needs no more bytes.
        let has_more = !left.is_waiting();
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(left));
        self.has_more.store(has_more, Ordering::Relaxed);
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

    /// Whether the client is one to wait for, and there is nothing that the event loop holds.
    fn may_keep_alive(&self) -> bool {
        self.is_quick.load(Ordering::Relaxed) && !self.has_more.load(Ordering::Relaxed)
    }

    /// Notes how long the client took for the request that now begins.
    pub(super) fn note_pause(&self) {
        let given_back = Duration::from_micros(self.given_back_us.load(Ordering::Relaxed));
        let pause = self.born.elapsed().saturating_sub(given_back);
        self.is_quick.store(pause < QUICK && !given_back.is_zero(), Ordering::Relaxed);
    }

    /// The next request is a worker's; returns which one it is.
    pub(crate) fn hand_over(&self, has_more: bool) -> u32 {
        self.has_more.store(has_more, Ordering::Relaxed);
        self.is_busy.store(true, Ordering::Release);
        self.turn.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The worker reads on, so the event loop need not hear of what comes.
    pub(super) fn quiet(&self, stream: &TcpStream) {
        if !self.is_quiet.swap(true, Ordering::Relaxed) {
            let flags = EventFlags::RDHUP | EventFlags::ET;
            let _ = epoll::modify(&self.epoll, stream, EventData::new_u64(self.token), flags);
        }
    }

    /// How long a worker's read may take from now on. Only when it changes: it is a system call.
    pub(super) fn wait(&self, stream: &TcpStream, wait: Duration) -> io::Result<()> {
        let wait_ms = wait.as_millis() as u32;
        if self.read_wait_ms.swap(wait_ms, Ordering::Relaxed) == wait_ms {
            return Ok(());
        }
        stream.set_read_timeout(Some(wait))
    }

    /// Re-arms the registration. A socket can always be written to, so asking for that brings an
    /// event at once where the event loop has to act.
    fn give_back(&self, stream: &TcpStream, keep_alive: bool) {
        let mut flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
        if !keep_alive || self.has_more.load(Ordering::Relaxed) {
            flags |= EventFlags::OUT;
        }
        let given_back = self.born.elapsed().as_micros() as u64;
        self.given_back_us.store(given_back.max(1), Ordering::Relaxed);
        self.is_quiet.store(false, Ordering::Relaxed);
        self.is_closing.store(!keep_alive, Ordering::Release);
        self.is_busy.store(false, Ordering::Release);
        // It fails only when the event loop has closed the connection already.
        let _ = epoll::modify(&self.epoll, stream, EventData::new_u64(self.token), flags);
    }
}

/// A body on its way through: read from the client while it is sent upstream.
pub(crate) struct Upload {
    stream: Arc<TcpStream>,
    link: Arc<ClientConnection>,
    reader: BodyReader,
    received: Vec<u8>,
    /// Decoded, and not yet taken.
    ready: Vec<u8>,
    taken: usize,
    /// The share of the memory of what came before the worker read, until it is taken.
    share: Option<BodyBuffer>,
    /// The client waits for `100 Continue`.
    must_invite: bool,
    /// Why it could not be read to its end.
    fault: Option<Fault>,
}

/// Why a body could not be read to its end.
#[derive(Clone, Copy)]
pub(crate) enum Fault {
    /// The client left in the middle.
    Gone,
    Refused(Refusal),
}

impl Upload {
    pub(crate) fn new(
        stream: &Arc<TcpStream>,
        link: &Arc<ClientConnection>,
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
            share: None,
            fault: None,
        }
    }

    /// A body of which some has come: decoded in `body`, and not yet in `received`.
    pub(super) fn resume(
        (stream, link): (&Arc<TcpStream>, &Arc<ClientConnection>),
        reader: BodyReader,
        mut body: BodyBuffer,
        received: Vec<u8>,
    ) -> Upload {
        let mut ready = std::mem::take(&mut body.bytes);
        ready.shrink_to_fit();
        Upload {
            stream: Arc::clone(stream),
            link: Arc::clone(link),
            reader,
            must_invite: false,
            received,
            ready,
            taken: 0,
            share: Some(body),
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
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.fault
    }

    pub(crate) fn stream(&self) -> &Arc<TcpStream> {
        &self.stream
    }

    /// Asks a client that waits for it to send, and says whether reading needs nothing that has not come.
    pub(crate) fn is_ready(&mut self) -> io::Result<bool> {
        self.invite()?;
        while self.taken == self.ready.len() && !self.reader.is_done() {
            if self.received.is_empty() {
                return Ok(false);
            }
            self.decode()?;
        }
        Ok(true)
    }

    /// Whether some of what has come was not read.
    pub(crate) fn has_bytes(&self) -> bool {
        self.taken < self.ready.len()
    }

    fn invite(&mut self) -> io::Result<()> {
        match std::mem::take(&mut self.must_invite) {
            true => (&*self.stream).write_all(CONTINUE),
            false => Ok(()),
        }
    }

    /// Nothing has come for too long; the error that says so.
    pub(crate) fn give_up(&mut self) -> io::Error {
        self.fault = Some(Fault::Refused(LATE));
        io::ErrorKind::TimedOut.into()
    }

    /// Waits for more.
    pub(crate) fn receive(&mut self) -> io::Result<()> {
        self.invite()?;
        self.link.wait(&self.stream, deadlines().upload)?;
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
        self.ready.shrink_to(READ_BYTES);
        self.share = None;
        self.taken = 0;
        let fed = self.reader.feed(&self.received, &mut self.ready).map_err(|refusal| {
            self.fault = Some(Fault::Refused(refusal));
            io::Error::new(io::ErrorKind::InvalidData, refusal.why)
        })?;
        if fed < self.received.len() {
            self.link.leave(Leftover::head(self.received[fed..].to_vec()));
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
