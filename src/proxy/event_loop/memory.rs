//! The memory that all request bodies together may take, and bodies that hold a share of it.
//!
//! A body takes its share before its bytes are read: beyond the limit nobody is read from, which
//! TCP passes on to the sender. The last part is kept for small bodies, so that a few large uploads
//! do not stop everybody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bodies up to this size may use the memory to its end.
const SMALL_BYTES: usize = 256 * 1024;
/// The part of the memory that is kept for them.
const SMALL_SHARE: usize = 16;
/// Room for what a client announced, but no more than it has a moment to send; beyond it bodies grow
/// by steps of this size.
const ROOM_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The first room of a body that does not say how long it will be.
const ROOM_BYTES_MIN: usize = 16 * 1024;

pub(crate) struct Memory {
    max: usize,
    used: AtomicUsize,
}

impl Memory {
    /// Memory for `max` bytes.
    pub(crate) fn new(max: usize) -> Arc<Memory> {
        Arc::new(Memory { max, used: AtomicUsize::new(0) })
    }

    /// The largest body that can ever be held.
    pub(crate) fn body_max(&self) -> usize {
        self.max - self.max / SMALL_SHARE
    }

    /// Room for `more` bytes of a body that will then have `total`.
    fn take(&self, more: usize, total: usize) -> bool {
        let max = if total > SMALL_BYTES { self.body_max() } else { self.max };
        let add = |used: usize| used.checked_add(more).filter(|used| *used <= max);
        self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, add).is_ok()
    }
}

/// A body with its share of the memory, which is given back with it.
pub(crate) struct BodyBuffer {
    pub(crate) bytes: Vec<u8>,
    share: usize,
    memory: Arc<Memory>,
}

impl BodyBuffer {
    pub(crate) fn new(memory: &Arc<Memory>) -> BodyBuffer {
        BodyBuffer { bytes: Vec::new(), share: 0, memory: Arc::clone(memory) }
    }

    /// Sets `total` bytes aside; false if that is too much at present.
    pub(crate) fn reserve(&mut self, total: usize) -> bool {
        let more = total.saturating_sub(self.share);
        let is_taken = more == 0 || self.memory.take(more, total);
        self.share += if is_taken { more } else { 0 };
        is_taken
    }

    /// Makes room for at least `more` bytes behind those that are there; false if there is none at
    /// present.
    pub(crate) fn grow(&mut self, more: usize) -> bool {
        let (length, capacity) = (self.bytes.len(), self.bytes.capacity());
        if capacity - length >= more {
            return true;
        }
        let step = (capacity * 2).clamp(ROOM_BYTES_MIN, capacity + ROOM_BYTES_MAX);
        // A share that is used up grows too, as its body has not said how long it will be.
        let announced = Some(self.share).filter(|share| *share > capacity);
        let first = if capacity == 0 { ROOM_BYTES_MAX } else { step };
        let wanted = announced.map_or(step, |share| share.min(first)).max(length + more);
        self.reserve(wanted) && self.bytes.try_reserve_exact(wanted - length).is_ok()
    }
}

impl Drop for BodyBuffer {
    fn drop(&mut self) {
        if self.share > 0 {
            self.memory.used.fetch_sub(self.share, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_given_back() {
        let memory = Memory::new(16_000_000);
        let mut first = BodyBuffer::new(&memory);
        assert!(first.reserve(15_000_000), "all but the part for small bodies");
        let mut second = BodyBuffer::new(&memory);
        assert!(!second.reserve(300_000), "too large for that part");
        assert!(second.reserve(200_000));
        assert!(!first.reserve(15_000_001));
        drop(first);
        assert!(second.reserve(14_000_000));
        drop(second);
        assert_eq!(memory.used.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn room_grows_with_what_comes_and_never_beyond_the_memory() {
        let memory = Memory::new(1_000_000);
        let mut unknown = BodyBuffer::new(&memory);
        let mut count = 0;
        while unknown.grow(1000) {
            unknown.bytes.extend([0; 1000]);
            count += 1000;
            assert!(unknown.bytes.capacity() <= memory.used.load(Ordering::Relaxed));
        }
        assert!((500_000..=1_000_000).contains(&count), "{count}");
        // What was announced is set aside at once, and the room comes with the bytes.
        let memory = Memory::new(96 << 20);
        let mut announced = BodyBuffer::new(&memory);
        assert!(announced.reserve(64 << 20) && announced.grow(1));
        assert_eq!(announced.bytes.capacity(), ROOM_BYTES_MAX);
        assert_eq!(memory.used.load(Ordering::Relaxed), 64 << 20);
    }
}
