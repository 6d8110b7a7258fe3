//! What a connection to a provider holds in memory: hundreds of them are mostly silent, so no more
//! than what is in it. ureq's own buffers are as large as whatever they may ever have to hold.

use ureq::unversioned::transport::Buffers;

use super::Framing;
use super::transport::attempt;
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
    output: Vec<u8>,
}

impl ReadBuffer {
    pub(super) fn new() -> ReadBuffer {
        ReadBuffer {
            input: Vec::new(),
            from: 0,
            to: 0,
            wanted: PIECE_BYTES_MIN,
            output: Vec::new(),
        }
    }

    /// The first bytes of the output.
    pub(super) fn sent(&self, amount: usize) -> &[u8] {
        &self.output[..amount]
    }

    /// A body comes next.
    pub(super) fn expect(&mut self, framing: Framing) {
        self.wanted = first_piece(framing);
    }

    /// The request is sent.
    pub(super) fn end_output(&mut self) {
        buffer_pool::keep(std::mem::take(&mut self.output));
    }

    /// The answer was read: an idle connection holds nothing.
    pub(super) fn end_input(&mut self) {
        buffer_pool::keep(std::mem::take(&mut self.input));
        *self = ReadBuffer::new();
    }
}

impl Buffers for ReadBuffer {
    /// As much as this request needs.
    fn output(&mut self) -> &mut [u8] {
        if self.output.is_empty() {
            self.output = buffer_pool::take(attempt(|attempt| attempt.output_bytes));
        }
        &mut self.output
    }

    fn input(&self) -> &[u8] {
        &self.input[self.from..self.to]
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
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

    fn input_appended(&mut self, amount: usize) {
        self.to += amount;
        self.wanted = next_piece(self.wanted, amount);
    }

    fn input_consume(&mut self, amount: usize) {
        self.from += amount;
    }

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        // All bodies have a length, or are not sent by ureq: there is nothing to be put into chunks.
        (&mut [], self.output())
    }

    /// ureq reads no answers: see `connect`.
    fn can_use_input(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_grows_with_what_comes_and_is_given_back() {
        let mut room = ReadBuffer::new();
        let receive = |room: &mut ReadBuffer, count: usize| {
            let size = room.input_append_buf().len();
            room.input_appended(count.min(size));
            assert_eq!(room.input().len(), count.min(size));
            room.input_consume(count.min(size));
            size
        };
        let mut sizes = |counts: [usize; 4]| counts.map(|count| receive(&mut room, count) / 1024);
        assert_eq!(sizes([100, 4096, 200, 200]), [4, 4, 8, 4], "events");
        assert_eq!(sizes([1 << 20; 4]), [4, 8, 16, 32], "as much as there is room for");
        assert_eq!(sizes([1 << 20; 4]), [60; 4]);
        assert_eq!(sizes([7000, 3000, 1500, 700]), [60, 30, 15, 7], "ever less");
        room.expect(Framing::Length(1 << 30));
        assert_eq!(room.input_append_buf().len(), PIECE_BYTES_MAX);
        room.end_input();
        assert_eq!(room.input.capacity() + room.output.capacity(), 0);
    }

    #[test]
    fn what_was_not_consumed_stays() {
        let mut room = ReadBuffer::new();
        for n in 0..10 {
            let free = room.input_append_buf();
            free.fill(n);
            let count = free.len();
            room.input_appended(count);
        }
        let all = room.input();
        assert!(all.len() >= 10 * PIECE_BYTES_MIN && all.is_sorted() && all.ends_with(&[9]));
    }
}
