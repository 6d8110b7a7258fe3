//! What event loop and worker know of a connection together.

use std::io;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData, EventFlags};

use super::phase::Leftover;
use crate::proxy::sock_diag;

/// A client that sends its next request within this after an answer is quick.
const QUICK: Duration = Duration::from_millis(5);

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
        let has_more = !left.is_waiting;
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
    pub(super) fn may_keep_alive(&self) -> bool {
        self.is_quick.load(Ordering::Relaxed) && !self.has_more.load(Ordering::Relaxed)
    }

    /// The request `turn` has its answer, and its worker stays.
    pub(super) fn stay(&self, turn: u32) {
        self.answered.store(turn, Ordering::Release);
    }

    /// Whether the worker of the request `turn` has answered it and stayed.
    pub(super) fn has_stayed(&self, turn: u32) -> bool {
        self.answered.load(Ordering::Acquire) == turn
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

    /// No worker took it.
    pub(super) fn take_back(&self) {
        self.is_busy.store(false, Ordering::Release);
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

    /// Gives the connection back to be closed at once.
    pub(super) fn abort(&self, stream: &TcpStream) {
        self.is_aborted.store(true, Ordering::Release);
        self.give_back(stream, false);
    }

    /// Re-arms the registration. A socket can always be written to, so asking for that brings an
    /// event at once where the event loop has to act.
    pub(super) fn give_back(&self, stream: &TcpStream, keep_alive: bool) {
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
