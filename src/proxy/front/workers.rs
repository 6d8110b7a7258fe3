//! Threads on demand: one carries one request from its last byte to the answer's.
//!
//! A stream holds a worker for minutes, so the pool must not be what limits streams: threads are
//! started when none is free, up to `proxy.workers`, and end when idle. Beyond that requests wait
//! in a bounded queue, then are refused.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use super::client::{Client, Job};
use crate::proxy::exchange::{self, Worker};
use crate::proxy::setup::Setup;
use crate::proxy::{Context, local};

/// Requests that may wait for a worker once all are busy.
const QUEUE_MAX: usize = 1024;
/// Enough for TLS and the walk over a prompt, small enough for hundreds.
const STACK_BYTES: usize = 256 * 1024;
/// A worker without work ends after this.
const IDLE: Duration = Duration::from_secs(10);

pub(crate) struct Workers {
    context: Arc<Context>,
    jobs: Sender<Box<Job>>,
    waiting: Receiver<Box<Job>>,
    count: Arc<Count>,
}

/// Threads now, and the most there were at once.
#[derive(Default)]
pub(crate) struct Count {
    pub(crate) threads: AtomicUsize,
    pub(crate) peak: AtomicUsize,
    /// Threads that wait for a job and have none promised to them.
    free: AtomicUsize,
}

impl Count {
    /// Takes one free worker, if there is one.
    fn reserve(&self) -> bool {
        let take = |free: usize| free.checked_sub(1);
        self.free.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).is_ok()
    }
}

impl Workers {
    pub(crate) fn new(context: Arc<Context>) -> Workers {
        let (jobs, waiting) = bounded(QUEUE_MAX);
        let count = Arc::clone(&context.threads);
        Workers { context, jobs, waiting, count }
    }

    /// Hands a request over; gives it back if no worker can take it soon.
    pub(crate) fn submit(&self, mut job: Box<Job>) -> Result<(), Box<Job>> {
        job.is_promised = self.count.reserve() || self.start();
        match self.jobs.try_send(job) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => Err(job),
        }
    }

    fn start(&self) -> bool {
        if self.count.threads.load(Ordering::Relaxed) >= self.context.workers_max {
            return false;
        }
        let (context, jobs, count) =
            (Arc::clone(&self.context), self.waiting.clone(), Arc::clone(&self.count));
        let before = self.count.threads.fetch_add(1, Ordering::Relaxed);
        self.count.peak.fetch_max(before + 1, Ordering::Relaxed);
        let thread = std::thread::Builder::new().name("worker".into()).stack_size(STACK_BYTES);
        let is_started = thread.spawn(move || work(&context, &jobs, &count)).is_ok();
        if !is_started {
            self.count.threads.fetch_sub(1, Ordering::Relaxed);
        }
        is_started
    }
}

fn work(context: &Arc<Context>, jobs: &Receiver<Box<Job>>, count: &Count) {
    let mut worker = Worker::new(&context.counts);
    let mut setup = context.setups.current();
    loop {
        match jobs.recv_timeout(IDLE) {
            Ok(job) => {
                if !job.is_promised {
                    // It came from the queue, so this thread was still counted as free.
                    count.reserve();
                }
                context.setups.refresh(&mut setup);
                carry((context, &setup), &mut worker, job);
            }
            // Without a promise to anybody this thread may end.
            Err(_) if count.reserve() => break,
            Err(_) => continue,
        }
        count.free.fetch_add(1, Ordering::AcqRel);
    }
    count.threads.fetch_sub(1, Ordering::Relaxed);
}

fn carry((context, setup): (&Arc<Context>, &Setup), worker: &mut Worker, job: Box<Job>) {
    let client = job.client.clone();
    guard(&client, worker, |worker| exchange::run(context, setup, worker, *job));
    context.in_flight.fetch_sub(1, Ordering::AcqRel);
}

/// A panic ends one request, not the process.
fn guard(client: &Client, worker: &mut Worker, run: impl FnOnce(&mut Worker)) {
    if catch_unwind(AssertUnwindSafe(|| run(worker))).is_err() {
        *worker = worker.anew();
        let text = "a fault in tokenpak ended this request; please report it";
        client.close_with(&local::closing(&local::plain(500, text)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::front::client::Link;
    use crate::tokens::Memo;
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    fn worker() -> Worker {
        Worker::new(&Arc::new(Memo::new(|at| at as u64)))
    }

    /// A client as a worker gets it, and its other end.
    fn client() -> (Client, TcpStream) {
        use rustix::event::epoll;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let outside = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        let link = Arc::new(Link::new(Arc::new(epoll), 1));
        link.hand_over(false);
        (Client { stream: Arc::new(stream), watch: Arc::default(), link }, outside)
    }

    #[test]
    fn panic_ends_one_request_with_500() {
        let (mut worker, (client, mut outside)) = (worker(), client());
        guard(&client, &mut worker, |_| panic!("a fault, made for this test"));
        let mut answer = String::new();
        outside.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
        assert!(answer.contains("connection: close") && !answer.contains("made for this test"));
        // The thread goes on with the next one.
        let mut is_served = false;
        guard(&client, &mut worker, |_| is_served = true);
        assert!(is_served);
    }

    #[test]
    fn panic_inside_an_answer_adds_nothing_to_it() {
        use std::io::Write;
        let (mut worker, (client, mut outside)) = (worker(), client());
        guard(&client, &mut worker, |_| {
            (&*client.stream).write_all(b"HTTP/1.1 200 OK\r\n\r\nhalf").unwrap();
            client.release(true);
            panic!("a fault, made for this test");
        });
        drop(client);
        let mut answer = String::new();
        outside.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "HTTP/1.1 200 OK\r\n\r\nhalf");
    }
}
