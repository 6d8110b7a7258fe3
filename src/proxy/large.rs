//! The one thread for work on large bodies.
//!
//! Such work takes more memory than is counted as the bodies', and keeps a processor busy all the
//! time: on one processor, one after the other is as fast as all at once. It has a thread of its own,
//! not just a lock, because C libraries keep memory that was freed for the thread that had it: glibc up
//! to twice the largest block ever freed, for each of eight threads per processor.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::mishap::caught;

/// Enough for the walk over a prompt.
const STACK_BYTES: usize = 256 * 1024;
/// What is large, as a part of the memory for bodies: one such body and the work on it for each of
/// sixteen workers take less than that memory.
const SHARE: usize = 64;
/// What is large in any case.
const LARGE_BYTES: usize = 1024 * 1024;
/// Room for the work on a body, as a multiple of its size: two (src/costs.rs), and one for a body whose
/// footers were taken out.
const ROOM: usize = 3;

type Work = Box<dyn FnOnce() + Send>;

/// Starts its thread with the first work, and keeps it.
pub(crate) struct Large {
    line: Arc<Line>,
    bytes: usize,
}

#[derive(Default)]
struct Line {
    state: Mutex<State>,
    more: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Work>,
    has_thread: bool,
}

impl Large {
    /// For a process whose bodies may take `memory` bytes.
    pub(crate) fn new(memory: usize) -> Large {
        Large { line: Arc::default(), bytes: LARGE_BYTES.min(memory / SHARE) }
    }

    /// Whether a body of so many bytes waits for its turn.
    pub(crate) fn is_large(&self, bytes: usize) -> bool {
        bytes > self.bytes
    }

    /// Waits for its turn, and for what comes of the work. Whatever could panic in there is caught
    /// there.
    pub(crate) fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let place = Arc::new((Mutex::new(None), Condvar::new()));
        let back = Arc::clone(&place);
        self.submit(Box::new(move || {
            *lock(&back.0) = Some(caught(work));
            back.1.notify_one();
        }));
        let waited = place.1.wait_while(lock(&place.0), |result| result.is_none());
        let result = waited.unwrap_or_else(PoisonError::into_inner).take();
        result.flatten().expect("work that catches its panics gives a result")
    }

    /// Does the work here and now if there cannot be a thread for it.
    fn submit(&self, work: Work) {
        let mut state = lock(&self.line.state);
        if !state.has_thread {
            let line = Arc::clone(&self.line);
            let thread = std::thread::Builder::new().name("large".into()).stack_size(STACK_BYTES);
            state.has_thread = thread.spawn(move || serve(&line)).is_ok();
        }
        if !state.has_thread {
            drop(state);
            return work();
        }
        state.waiting.push_back(work);
        self.line.more.notify_one();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the system would give the work on a body of so many bytes what it takes. Nothing is touched,
/// so it costs no more than asking; and on the thread of large bodies hardly anybody else takes it
/// meanwhile.
pub(crate) fn would_fit(bytes: usize) -> bool {
    let mut room = Vec::<u8>::new();
    let is_there = room.try_reserve_exact(bytes.saturating_mul(ROOM)).is_ok();
    // Or the compiler leaves out what nobody looks at.
    std::hint::black_box(&room);
    is_there
}

fn serve(line: &Line) {
    loop {
        let waited = line.more.wait_while(lock(&line.state), |state| state.waiting.is_empty());
        let work = waited.unwrap_or_else(PoisonError::into_inner).waiting.pop_front();
        work.into_iter().for_each(|work| work());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::current;

    #[test]
    fn all_is_done_on_one_thread_one_after_the_other() {
        let large = Large::new(64 << 20);
        let first = large.run(|| current().id());
        assert_ne!(first, current().id());
        std::thread::scope(|scope| {
            for number in 0..8 {
                let large = &large;
                scope.spawn(move || {
                    assert_eq!(large.run(move || (number, current().id())), (number, first));
                });
            }
        });
    }
}
