//! The one thread for work on large bodies.
//!
//! Such work takes more memory than is counted as the bodies', and keeps a processor busy all the
//! time: on one processor, one after the other is as fast as all at once. It has a thread of its own,
//! not just a lock, because C libraries keep memory that was freed for the thread that had it: glibc up
//! to twice the largest block ever freed, for each of eight threads per processor.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};

use super::mishap::caught;

/// Enough for the walk over a prompt.
const STACK_BYTES: usize = 256 * 1024;
/// What is large, as a part of the memory for bodies: one such body and the work on it for each of
/// sixteen workers take less than that memory.
const SHARE: usize = 64;
/// What is large in any case.
const LARGE_BYTES: usize = 1024 * 1024;
/// Room for the work on a body, as a multiple of its size: two and a half (src/costs.rs).
const ROOM: usize = 3;

type Work = Box<dyn FnOnce() + Send>;

/// Starts its thread with the first work, and keeps it.
pub(crate) struct Large {
    work: Mutex<Option<Sender<Work>>>,
    bytes: usize,
}

impl Large {
    /// For a process whose bodies may take `memory` bytes.
    pub(crate) fn new(memory: usize) -> Large {
        Large { work: Mutex::default(), bytes: LARGE_BYTES.min(memory / SHARE) }
    }

    /// Whether a body of so many bytes waits for its turn.
    pub(crate) fn is_large(&self, bytes: usize) -> bool {
        bytes > self.bytes
    }

    /// Waits for its turn, and for what comes of the work. Whatever could panic in there is caught
    /// there.
    pub(crate) fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (back, result) = channel();
        let work = Box::new(move || _ = back.send(work()));
        if let Err(work) = self.submit(work) {
            work();
        }
        result.recv().expect("work sends its result, unless it panics")
    }

    /// Gives the work back if there cannot be a thread for it.
    fn submit(&self, work: Work) -> Result<(), Work> {
        let mut sender = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        if sender.is_none() {
            let (start, works) = channel();
            let thread = std::thread::Builder::new().name("large".into()).stack_size(STACK_BYTES);
            let is_started = thread.spawn(move || serve(&works)).is_ok();
            *sender = is_started.then_some(start);
        }
        match &*sender {
            Some(sender) => sender.send(work).map_err(|unsent| unsent.0),
            None => Err(work),
        }
    }
}

/// Whether the system would give the work on a body of so many bytes what it takes. Nothing is touched,
/// so it costs no more than asking; and whoever asks on the thread of large bodies gets it.
pub(crate) fn has_room(bytes: usize) -> bool {
    Vec::<u8>::new().try_reserve_exact(bytes.saturating_mul(ROOM)).is_ok()
}

fn serve(works: &Receiver<Work>) {
    while let Ok(work) = works.recv() {
        caught(work);
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
