//! Buffers that a thread keeps from one request to the next, so that a small request makes none.
//!
//! A worker needs four: of the request as it is sent and of its answer, each with its head.
//! Larger ones, which answers that come fast grow, are not kept, and none beside a stream: what waits
//! is to hold little.

use std::cell::RefCell;

/// The smallest piece of an answer with a chunk's frame around it, and some.
const BYTES_MAX: usize = 4 * 1024 + 32;
const KEPT_MAX: usize = 4;

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

/// Makes those that a request will need, before its body is worked on: what lies in memory behind a large
/// block that is free again keeps it from going back to the system.
pub(super) fn fill() {
    KEPT.with_borrow_mut(|kept| kept.resize_with(KEPT_MAX, || Vec::with_capacity(BYTES_MAX)));
}

/// Gives all back, since the next use is far.
pub(super) fn clear() {
    KEPT.with_borrow_mut(Vec::clear);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_buffers_come_back_and_large_ones_do_not() {
        keep(take(60_000));
        keep(Vec::new());
        assert!(KEPT.with_borrow(Vec::is_empty));
        let all = [4096, 4104, 100, 0, 0].map(take);
        let places: Vec<_> = all.iter().map(|buffer| buffer.as_ptr()).collect();
        all.into_iter().for_each(keep);
        let again = [4104, 1, 4096].map(take);
        assert_eq!(again.each_ref().map(Vec::len), [4104, 1, 4096]);
        assert!(again.iter().all(|buffer| places[..4].contains(&buffer.as_ptr())));
        again.into_iter().for_each(keep);
        clear();
        assert!(KEPT.with_borrow(Vec::is_empty));
    }
}
