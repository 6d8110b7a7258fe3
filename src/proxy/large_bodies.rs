//! The threads for work on large bodies.
//!
//! Such work takes more memory than is counted as the bodies', and keeps a processor busy all the
//! time: more of it at once than there are processors is not faster. It has threads of its own, not just
//! a lock, because C libraries keep memory that was freed for the thread that had it: glibc up to twice
//! the largest block ever freed, for each of eight threads per processor. There are few of them, but two at
//! least, so that one body that takes long lets others pass. Who has waited too long does the work
//! on his own thread: late is better than another form of what was sent before, which would cost the
//! provider's cache.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;
use std::time::Duration;

use super::catch_panic::catch_panic;

/// Enough for the walk over a prompt.
const STACK_BYTES: usize = 256 * 1024;
/// What is large, as a part of the memory for bodies: one such body and the work on it for each of
/// sixteen workers take less than that memory.
const SHARE: usize = 64;
/// What is large in any case.
const LARGE_BYTES: usize = 1024 * 1024;
/// Room for the work on a body, as a multiple of its size: two (src/allocation_tests.rs), and one for a body whose
/// footers were taken out.
const ROOM: usize = 3;
/// Room for each line and each value in it, in bytes: lists of them are what passes work on.
const ROOM_PER_MARK: usize = 80;
/// More lines or values of a text are not looked at.
const MARKS_MAX: usize = 1 << 20;
/// Threads: one for each processor, within these.
const THREADS: std::ops::RangeInclusive<usize> = 2..=4;
/// A body waits no longer for one of them. A hundred ordinary ones take less.
const WAIT_MAX: Duration = Duration::from_secs(5);

type Work = Box<dyn FnOnce() + Send>;

/// Starts a thread when there is work and none is free, and keeps it.
pub(crate) struct LargeBodyThread {
    queue: Arc<WorkQueue>,
    bytes: usize,
    threads_max: usize,
    /// Room for the work that is done now.
    reserved: Mutex<usize>,
    released: Condvar,
}

/// Room for the work on a body, until it is done.
pub(crate) struct Reservation<'l> {
    large: &'l LargeBodyThread,
    room: usize,
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        *lock(&self.large.reserved) -= self.room;
        self.large.released.notify_all();
    }
}

#[derive(Default)]
struct WorkQueue {
    state: Mutex<State>,
    more: Condvar,
}

#[derive(Default)]
struct State {
    /// In the order in which they came, by number.
    waiting: VecDeque<(u64, Work)>,
    number: u64,
    threads: usize,
    idle: usize,
}

impl LargeBodyThread {
    /// For a process whose bodies may take `memory` bytes.
    pub(crate) fn new(memory: usize) -> LargeBodyThread {
        let processors = available_parallelism().map_or(1, usize::from);
        LargeBodyThread {
            queue: Arc::default(),
            bytes: LARGE_BYTES.min(memory / SHARE),
            threads_max: processors.clamp(*THREADS.start(), *THREADS.end()),
            reserved: Mutex::default(),
            released: Condvar::new(),
        }
    }

    /// Whether a body waits for its turn: by its size, or by what the work on it takes.
    pub(crate) fn is_heavy(&self, body: &[u8]) -> bool {
        let most = ROOM * self.bytes;
        // Most bodies are not worth a look.
        body.len() * (ROOM + ROOM_PER_MARK) > most && room(body) > most
    }

    /// Sets room aside for the work on a body, if the system has it: where memory is short, one body after
    /// the other. `None`: there is not enough for this one alone.
    pub(crate) fn reserve(&self, body: &[u8]) -> Option<Reservation<'_>> {
        let room = room(body);
        let mut reserved = lock(&self.reserved);
        while !would_fit(*reserved + room) {
            if *reserved == 0 {
                return None;
            }
            reserved = self.released.wait(reserved).unwrap_or_else(PoisonError::into_inner);
        }
        *reserved += room;
        Some(Reservation { large: self, room })
    }

    /// Whether a body of so many bytes waits for its turn.
    pub(crate) fn is_large(&self, bytes: usize) -> bool {
        bytes > self.bytes
    }

    /// Waits for its turn, and for what comes of the work. Whatever could panic in there is caught
    /// there.
    pub(crate) fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        self.run_within(WAIT_MAX, work)
    }

    fn run_within<T: Send + 'static>(
        &self,
        wait_max: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let place = Arc::new((Mutex::new((false, None)), Condvar::new()));
        let back = Arc::clone(&place);
        let number = self.submit(Box::new(move || {
            lock(&back.0).0 = true;
            let result = catch_panic(work);
            lock(&back.0).1 = Some(result);
            back.1.notify_one();
        }));
        let waits = |state: &mut (bool, _)| !state.0;
        let waited = place.1.wait_timeout_while(lock(&place.0), wait_max, waits);
        let has_begun = waited.unwrap_or_else(PoisonError::into_inner).0.0;
        if !has_begun {
            // Unless it has begun this very moment.
            self.take_back(number).into_iter().for_each(|work| work());
        }
        let waited = place.1.wait_while(lock(&place.0), |(_, result)| result.is_none());
        let result = waited.unwrap_or_else(PoisonError::into_inner).1.take();
        result.flatten().expect("work that catches its panics gives a result")
    }

    /// Gives the work a number by which it can be taken back.
    fn submit(&self, work: Work) -> u64 {
        let mut state = lock(&self.queue.state);
        if state.idle <= state.waiting.len() && state.threads < self.threads_max {
            let queue = Arc::clone(&self.queue);
            let thread = std::thread::Builder::new().name("large".into()).stack_size(STACK_BYTES);
            state.threads += usize::from(thread.spawn(move || serve(&queue)).is_ok());
        }
        state.number += 1;
        let number = state.number;
        state.waiting.push_back((number, work));
        let has_thread = state.threads > 0;
        drop(state);
        self.queue.more.notify_one();
        if !has_thread {
            // There cannot be a thread for it.
            self.take_back(number).into_iter().for_each(|work| work());
        }
        number
    }

    /// The work with this number, if it still waits.
    fn take_back(&self, number: u64) -> Option<Work> {
        let waiting = &mut lock(&self.queue.state).waiting;
        let place = waiting.iter().position(|(other, _)| *other == number)?;
        waiting.remove(place).map(|(_, work)| work)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Longer strings without a space or an escape are no text: pictures and documents in Base64, which are passed
/// over.
const OPAQUE_BYTES: usize = 4096;

/// The bytes of a body in which there may be something to do.
pub(crate) fn legible(body: &[u8]) -> usize {
    let mut start = 0;
    let quotes = memchr::memchr_iter(b'"', body);
    let opaque = quotes.map(|end| {
        let piece = &body[std::mem::replace(&mut start, end + 1)..end];
        let is_opaque = piece.len() > OPAQUE_BYTES
            && piece.is_ascii()
            && memchr::memchr3(b' ', b'\\', b',', &piece[OPAQUE_BYTES / 8..]).is_none();
        if is_opaque { piece.len() } else { 0 }
    });
    body.len() - opaque.sum::<usize>()
}

/// What the work on a body takes, in bytes, at most.
fn room(body: &[u8]) -> usize {
    let values = body.iter().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count();
    let lines = body.windows(2).filter(|pair| *pair == b"\\n").count();
    body.len() * ROOM + (values + lines).min(MARKS_MAX) * ROOM_PER_MARK
}

/// Whether the system would give so many bytes. Nothing is touched, so it costs no more than asking.
fn would_fit(bytes: usize) -> bool {
    let mut room = Vec::<u8>::new();
    let is_there = room.try_reserve_exact(bytes).is_ok();
    // Or the compiler leaves out what nobody looks at.
    std::hint::black_box(&room);
    is_there
}

fn serve(queue: &WorkQueue) {
    let mut state = lock(&queue.state);
    loop {
        state.idle += 1;
        let waited = queue.more.wait_while(state, |state| state.waiting.is_empty());
        state = waited.unwrap_or_else(PoisonError::into_inner);
        state.idle -= 1;
        let work = state.waiting.pop_front();
        drop(state);
        work.into_iter().for_each(|(_, work)| work());
        state = lock(&queue.state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::sync::Barrier;
    use std::sync::mpsc::channel;
    use std::thread::{current, scope};

    #[test]
    fn all_is_done_on_a_few_threads() {
        let large = LargeBodyThread::new(64 << 20);
        let threads = Mutex::new(HashSet::new());
        scope(|scope| {
            for number in 0..40 {
                let (large, threads) = (&large, &threads);
                scope.spawn(move || {
                    let (done, thread) = large.run(move || (number, current().id()));
                    assert_eq!(done, number);
                    assert_ne!(thread, current().id());
                    lock(threads).insert(thread);
                });
            }
        });
        assert!((1..=large.threads_max).contains(&lock(&threads).len()));
    }

    #[test]
    fn room_is_claimed_one_after_the_other_where_it_is_short() {
        let large = LargeBodyThread::new(64 << 20);
        assert!(large.is_heavy(&[b'a'; LARGE_BYTES + 1]) && !large.is_heavy(&[b'a'; LARGE_BYTES]));
        assert!(large.is_heavy(&[b','; LARGE_BYTES / 16]), "each may be a value in a list");
        drop(large.reserve(b"{}").expect("there is so much"));
        // As if all there is were taken.
        *lock(&large.reserved) = usize::MAX / 2;
        let before = Reservation { large: &large, room: usize::MAX / 2 };
        scope(|scope| {
            let waits = scope.spawn(|| large.reserve(b"{}").is_some());
            drop(before);
            assert!(waits.join().expect("no panic"));
        });
        assert_eq!(*lock(&large.reserved), 0);
    }

    #[test]
    fn pictures_weigh_nothing() {
        let picture = "iVBORw0KGgo".repeat(1000);
        for (text, want) in [
            (format!("{{\"data\":\"{picture}\"}}"), 11),
            (format!("{{\"url\":\"data:image/png;base64,{picture}\"}}"), 10),
        ] {
            assert_eq!(legible(text.as_bytes()), want, "{}", &text[..40]);
        }
        for text in [
            format!("{{\"text\":\"{}\"}}", "a word ".repeat(1000)),
            format!("{{\"text\":\"{}\"}}", "line\\n".repeat(1000)),
            format!("{{\"text\":\"{}\"}}", "文".repeat(3000)),
            format!("[{}]", "1,".repeat(9000)),
            picture,
        ] {
            assert_eq!(legible(text.as_bytes()), text.len());
        }
    }

    #[test]
    fn one_that_takes_long_lets_others_pass() {
        let large = LargeBodyThread::new(64 << 20);
        let (end, wait) = channel::<()>();
        scope(|scope| {
            let slow = scope.spawn(|| large.run(move || wait.recv().is_ok()));
            (0..20).for_each(|number| assert_eq!(large.run(move || number), number));
            end.send(()).expect("it waits");
            assert!(slow.join().expect("no panic"));
        });
    }

    #[test]
    fn who_has_waited_too_long_does_it_himself() {
        let large = LargeBodyThread::new(64 << 20);
        let busy = Arc::new(Barrier::new(large.threads_max + 1));
        scope(|scope| {
            for _ in 0..large.threads_max {
                let busy = Arc::clone(&busy);
                scope.spawn(|| {
                    // These have their threads, however long that takes.
                    large.run_within(Duration::MAX, move || {
                        busy.wait();
                        busy.wait();
                    });
                });
            }
            busy.wait();
            let done = large.run_within(Duration::from_millis(1), || current().id());
            assert_eq!(done, current().id());
            busy.wait();
        });
    }
}
