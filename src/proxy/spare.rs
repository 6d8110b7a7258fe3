//! Buffers that a thread keeps from one request to the next, so that a small request makes none.
//!
//! A worker needs two at a time, one on each side of an answer. Larger ones, which answers that come
//! fast grow, are not kept: what waits for work is to hold little.

use std::cell::RefCell;

/// The smallest piece of an answer with a chunk's frame around it, and some.
const BYTES_MAX: usize = 4 * 1024 + 32;
const KEPT_MAX: usize = 2;

thread_local! {
    static KEPT: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer of that length, with anything in it.
pub(super) fn take(bytes: usize) -> Vec<u8> {
    if bytes > BYTES_MAX {
        return vec![0; bytes];
    }
    let kept = KEPT.with_borrow_mut(Vec::pop);
    let mut buffer = kept.unwrap_or_else(|| Vec::with_capacity(BYTES_MAX));
    buffer.resize(bytes, 0);
    buffer
}

/// Keeps a buffer for the next who takes one on this thread, if it is of their kind.
pub(super) fn keep(buffer: Vec<u8>) {
    KEPT.with_borrow_mut(|kept| {
        if buffer.capacity() == BYTES_MAX && kept.len() < KEPT_MAX {
            kept.push(buffer);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_buffers_come_back_and_large_ones_do_not() {
        let [first, second, third] = [4096, 4104, 100].map(take);
        let places = [&first, &second].map(|buffer| buffer.as_ptr());
        [first, second, third, take(60_000)].into_iter().for_each(keep);
        let [again, other, fresh] = [4104, 1, 4096].map(take);
        assert_eq!([again.len(), other.len(), fresh.len()], [4104, 1, 4096]);
        assert_eq!([other.as_ptr(), again.as_ptr()], places);
        assert!(!places.contains(&fresh.as_ptr()));
    }
}
