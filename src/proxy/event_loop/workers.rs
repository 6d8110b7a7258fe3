//! Threads on demand: one carries one request from its last byte to the answer's.
//!
//! A stream holds a worker for minutes, so the pool must not be what limits streams: threads are
//! started when none is free, up to `proxy.workers`, and end when idle. Beyond that requests wait
//! in a queue, and are refused when streams have kept every worker for a while.
//!
//! A request goes to the thread that was busy last, whose memory is still at hand, and straight to
//! where that thread waits: one wake-up. So the others stay idle, and end.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::client::ReadyRequest;
use super::keep_alive;
use crate::proxy::Context;
use crate::proxy::deadlines::deadlines;
use crate::proxy::exchange;
use crate::proxy::local::{self, ErrorContext};
use crate::proxy::request::Refusal;
use crate::proxy::setup::Setup;

/// Requests that may wait for a worker once all are busy.
const QUEUE_MAX: usize = 1024;
/// Enough for TLS and the walk over a prompt, small enough for hundreds.
const STACK_BYTES: usize = 256 * 1024;

const FAULT: Refusal =
    Refusal { status: 500, why: "a fault in tokenpak ended this request; please report it" };

pub(crate) struct Workers {
    context: Arc<Context>,
    crew: Arc<Mutex<WorkerPool>>,
}

/// Threads now, and the most there were at once.
#[derive(Default)]
pub(crate) struct Count {
    pub(crate) threads: AtomicUsize,
    pub(crate) peak: AtomicUsize,
}

/// Who waits for whom: there is never a thread without work beside a request that waits.
#[derive(Default)]
struct WorkerPool {
    /// Threads without work; the one that was busy last comes last.
    idle: Vec<Arc<WorkerSlot>>,
    waiting: VecDeque<Box<ReadyRequest>>,
}

/// Where one thread waits for its next request.
#[derive(Default)]
struct WorkerSlot {
    job: Mutex<Option<Box<ReadyRequest>>>,
    given: Condvar,
}

impl WorkerSlot {
    fn job(&self) -> MutexGuard<'_, Option<Box<ReadyRequest>>> {
        lock(&self.job)
    }

    /// What comes before the thread is of no more use.
    fn wait(&self) -> Option<Box<ReadyRequest>> {
        let waited =
            self.given.wait_timeout_while(self.job(), deadlines().worker, |job| job.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.take()
    }
}

impl Workers {
    pub(crate) fn new(context: Arc<Context>) -> Workers {
        Workers { context, crew: Arc::default() }
    }

    /// Hands a request over; gives it back if no worker can take it soon.
    pub(crate) fn submit(&self, job: Box<ReadyRequest>) -> Result<(), Box<ReadyRequest>> {
        let mut crew = lock(&self.crew);
        if let Some(seat) = crew.idle.pop() {
            // Before anybody can see that the seat is not among the idle any more.
            *seat.job() = Some(job);
            drop(crew);
            seat.given.notify_one();
            return Ok(());
        }
        let Err(job) = self.start(job) else { return Ok(()) };
        if crew.waiting.len() == QUEUE_MAX {
            return Err(job);
        }
        crew.waiting.push_back(job);
        Ok(())
    }

    /// Takes back the requests that wait for a worker and are `late`.
    pub(crate) fn take_back(
        &self,
        late: impl Fn(&ReadyRequest) -> bool,
    ) -> VecDeque<Box<ReadyRequest>> {
        let mut crew = lock(&self.crew);
        let waiting = std::mem::take(&mut crew.waiting).into_iter();
        let (taken, others) = waiting.partition(|job| late(job));
        crew.waiting = others;
        taken
    }

    /// Starts one more thread with this request, if there may be one.
    fn start(&self, job: Box<ReadyRequest>) -> Result<(), Box<ReadyRequest>> {
        let count = &self.context.threads;
        if count.threads.load(Ordering::Relaxed) >= self.context.workers_max {
            return Err(job);
        }
        let before = count.threads.fetch_add(1, Ordering::Relaxed);
        count.peak.fetch_max(before + 1, Ordering::Relaxed);
        let seat = Arc::new(WorkerSlot { job: Mutex::new(Some(job)), given: Condvar::new() });
        let (context, crew, own) =
            (Arc::clone(&self.context), Arc::clone(&self.crew), Arc::clone(&seat));
        let thread = std::thread::Builder::new().name("worker".into()).stack_size(STACK_BYTES);
        if thread.spawn(move || work(&context, &crew, &own)).is_ok() {
            return Ok(());
        }
        count.threads.fetch_sub(1, Ordering::Relaxed);
        let job = seat.job().take();
        job.map_or(Ok(()), Err)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Lists and places are whole whatever their last user was at.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn work(context: &Arc<Context>, crew: &Mutex<WorkerPool>, seat: &Arc<WorkerSlot>) {
    let mut setup = context.setups.current();
    while let Some(job) = next(context, crew, seat) {
        let (mut job, mut room) = (Some(job), Vec::new());
        while let Some(next) = job {
            context.setups.refresh(&mut setup);
            let client = next.client.clone();
            carry(context, &setup, next);
            let stay = || keep_alive::next((context, &setup), &client, &mut room);
            job = client.is_ours().then(stay).flatten();
        }
    }
}

/// The next request; `None` if there has been none for so long that the thread ends.
fn next(
    context: &Context,
    crew: &Mutex<WorkerPool>,
    seat: &Arc<WorkerSlot>,
) -> Option<Box<ReadyRequest>> {
    {
        let mut crew = lock(crew);
        if let Some(job) = seat.job().take().or_else(|| crew.waiting.pop_front()) {
            return Some(job);
        }
        crew.idle.push(Arc::clone(seat));
    }
    seat.wait().or_else(|| {
        let mut crew = lock(crew);
        match crew.idle.iter().position(|other| Arc::ptr_eq(other, seat)) {
            Some(at) => {
                crew.idle.remove(at);
                context.threads.threads.fetch_sub(1, Ordering::Relaxed);
                None
            }
            // It came at the last moment.
            None => seat.job().take(),
        }
    })
}

fn carry(context: &Arc<Context>, setup: &Arc<Setup>, job: Box<ReadyRequest>) {
    let (client, asked_by) = (job.client.clone(), ErrorContext::of(&job.head));
    if !guard(|| exchange::run(context, setup, *job)) {
        client.close_with(&local::refusal(&asked_by, FAULT, &context.ids.next()), &asked_by);
    }
    context.in_flight.fetch_sub(1, Ordering::AcqRel);
}

/// A panic ends one request, not the process: false.
fn guard(run: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(run)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::event_loop::client::Client;
    use crate::proxy::event_loop::client_connection::ClientConnection;
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    /// A client as a worker gets it, and its other end.
    fn client() -> (Client, TcpStream) {
        use rustix::event::epoll;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let outside = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        let link = Arc::new(ClientConnection::new(Arc::new(epoll), 1));
        let turn = link.hand_over(false);
        (Client { stream: Arc::new(stream), watch: Arc::default(), link, turn }, outside)
    }

    #[test]
    fn panic_ends_one_request_with_500() {
        let (client, mut outside) = client();
        let asked_by = ErrorContext::of_start(b"");
        assert!(!guard(|| panic!("a fault, made for this test")));
        client.close_with(&local::refusal(&asked_by, FAULT, "1"), &asked_by);
        let mut answer = String::new();
        outside.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
        assert!(answer.contains("connection: close") && !answer.contains("made for this test"));
        // The thread goes on with the next one.
        let mut is_served = false;
        assert!(guard(|| is_served = true) && is_served);
    }

    #[test]
    fn panic_inside_an_answer_adds_nothing_to_it() {
        use std::io::Write;
        let (client, mut outside) = client();
        let is_well = guard(|| {
            (&*client.stream).write_all(b"HTTP/1.1 200 OK\r\n\r\nhalf").unwrap();
            client.release(true);
            panic!("a fault, made for this test");
        });
        assert!(!is_well);
        client.close_with(b"HTTP/1.1 500 No\r\n\r\n", &ErrorContext::of_start(b""));
        drop(client);
        let mut answer = String::new();
        outside.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "HTTP/1.1 200 OK\r\n\r\nhalf");
    }
}
