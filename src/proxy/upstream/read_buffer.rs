//! What a connection to a provider holds in memory: hundreds of them are mostly silent, so no more
//! than what is in it.

use super::Framing;
use crate::proxy::buffer_pool;

/// Enough for most heads, and for all events.
const PIECE_BYTES_MIN: usize = 4 * 1024;
/// A chunk's size fits into four hexadecimal digits.
pub(crate) const PIECE_BYTES_MAX: usize = 60 * 1024;

/// How much of an answer is read at once, at first.
pub(crate) fn first_piece(framing: Framing) -> usize {
    match framing {
        Framing::Length(length) => bounded(length.try_into().unwrap_or(usize::MAX)),
        _ => PIECE_BYTES_MIN,
    }
}

/// And the next time, when `filled` bytes came: what comes fast is read in larger pieces, what
/// comes slowly in smaller ones.
pub(crate) fn next_piece(bytes: usize, filled: usize) -> usize {
    match filled {
        _ if filled >= bytes => bounded(bytes * 2),
        _ if filled < bytes / 8 => bounded(bytes / 2),
        _ => bytes,
    }
}

fn bounded(bytes: usize) -> usize {
    bytes.clamp(PIECE_BYTES_MIN, PIECE_BYTES_MAX)
}

#[derive(Debug)]
pub(super) struct ReadBuffer {
    input: Vec<u8>,
    /// Where in `input` that begins and ends which was received and not consumed.
    from: usize,
    to: usize,
    /// As much is read at once the next time.
    wanted: usize,
}

impl ReadBuffer {
    pub(super) fn new() -> ReadBuffer {
        ReadBuffer { input: Vec::new(), from: 0, to: 0, wanted: PIECE_BYTES_MIN }
    }

    /// A body comes next.
    pub(super) fn expect(&mut self, framing: Framing) {
        self.wanted = first_piece(framing);
    }

    /// The answer was read: an idle connection holds nothing.
    pub(super) fn end_input(&mut self) {
        buffer_pool::keep(std::mem::take(&mut self.input));
        *self = ReadBuffer::new();
    }

    /// What was received and not consumed.
    pub(super) fn input(&self) -> &[u8] {
        &self.input[self.from..self.to]
    }

    /// Where the next bytes go; nothing is lost of what is there.
    pub(super) fn input_append_buf(&mut self) -> &mut [u8] {
        if self.from == self.to {
            (self.from, self.to) = (0, 0);
            if self.input.len() != self.wanted {
                buffer_pool::keep(std::mem::take(&mut self.input));
                self.input = buffer_pool::take(self.wanted);
            }
        } else if self.to == self.input.len() {
            self.input.resize(self.to + self.wanted, 0);
        }
        &mut self.input[self.to..]
    }

    pub(super) fn input_appended(&mut self, amount: usize) {
        self.to += amount;
        self.wanted = next_piece(self.wanted, amount);
    }

    pub(super) fn input_consume(&mut self, amount: usize) {
        self.from += amount;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffer_grows_with_what_comes_and_is_given_back() {
        let mut buffer = ReadBuffer::new();
        let receive = |buffer: &mut ReadBuffer, count: usize| {
            let size = buffer.input_append_buf().len();
            buffer.input_appended(count.min(size));
            assert_eq!(buffer.input().len(), count.min(size));
            buffer.input_consume(count.min(size));
            size
        };
        let mut sizes = |counts: [usize; 4]| counts.map(|count| receive(&mut buffer, count) / 1024);
        assert_eq!(sizes([100, 4096, 200, 200]), [4, 4, 8, 4], "events");
        assert_eq!(sizes([1 << 20; 4]), [4, 8, 16, 32], "as much as there is room for");
        assert_eq!(sizes([1 << 20; 4]), [60; 4]);
        assert_eq!(sizes([7000, 3000, 1500, 700]), [60, 30, 15, 7], "ever less");
        buffer.expect(Framing::Length(1 << 30));
        assert_eq!(buffer.input_append_buf().len(), PIECE_BYTES_MAX);
        buffer.end_input();
        assert_eq!(buffer.input.capacity(), 0);
    }

    #[test]
    fn what_was_not_consumed_stays() {
        let mut buffer = ReadBuffer::new();
        for n in 0..10 {
            let free = buffer.input_append_buf();
            free.fill(n);
            let count = free.len();
            buffer.input_appended(count);
        }
        let all = buffer.input();
        assert!(all.len() >= 10 * PIECE_BYTES_MIN && all.is_sorted() && all.ends_with(&[9]));
    }
}
