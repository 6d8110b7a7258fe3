//! Counts the tokens of a piece that is no token itself: byte pair merging.
//!
//! From single bytes, the two neighbours that together are the token of lowest rank are joined, the
//! leftmost on a tie, until no two neighbours are a token.
//!
//! Long pieces are merged in windows, so that a megabyte of one letter costs no more per byte than
//! a line, nor more memory. Tokens are the encoding of a text exactly if each two neighbours among
//! them are the encoding of theirs; so what two windows found can be joined at a token which both
//! of them found. Far from the edge they do; if ever not, the piece is merged again in wider
//! windows, at last in one.

use super::layout::NO_RANK;
use super::minima::Minima;
use super::table::{rank, rank_of_pair};

/// The pieces merged in registers and on the stack: one bit each in a word says which bytes begin a
/// part.
const SHORT_BYTES_MAX: usize = 64;
/// Wide enough that the overlap of windows hardly counts, narrow enough for the first-level cache.
const WINDOW_BYTES: usize = 2048;
const WIDER: usize = 16;
/// A token that ends this part of a window before its edge has so far always been one beyond it,
/// too.
const MARGIN: usize = 16;

/// Merges pieces; keeps its memory for the next.
pub(crate) struct Merger {
    /// One bit per byte of the window, set where a part begins, and one at its end.
    starts: Vec<u64>,
    minima: Minima,
}

impl Merger {
    pub(crate) fn new() -> Merger {
        Merger { starts: Vec::new(), minima: Minima::new() }
    }

    /// The number of tokens of a piece.
    pub(crate) fn count(&mut self, piece: &[u8]) -> usize {
        if piece.len() <= SHORT_BYTES_MAX {
            return count_short(piece);
        }
        self.count_in_windows(piece, WINDOW_BYTES).unwrap_or_else(|| count_wide(piece))
    }

    /// `None` if two windows disagree about the token in which they meet; one window cannot.
    fn count_in_windows(&mut self, piece: &[u8], width: usize) -> Option<usize> {
        let (mut start, mut shared, mut count) = (0, 0, 0);
        loop {
            let window = &piece[start..piece.len().min(start + width)];
            self.merge(window);
            if shared > 0 && self.next(0) != shared {
                return None;
            }
            if start + window.len() == piece.len() {
                return Some(count + self.count_before(window.len()));
            }
            // Two tokens are shorter than a window without its margin, so that the next begins
            // after this.
            let end = self.last(width - width / MARGIN);
            let meet = self.last(end - 1);
            count += self.count_before(meet);
            shared = end - meet;
            start += meet;
        }
    }

    fn merge(&mut self, window: &[u8]) {
        let len = window.len();
        self.starts.clear();
        self.starts.resize(len / 64 + 1, u64::MAX);
        self.minima.reset(window.windows(2).map(|pair| rank_of_pair(pair[0], pair[1])));
        while let Some(at) = self.minima.least() {
            let gone = self.next(at);
            let end = self.next(gone);
            self.starts[gone / 64] &= !(1 << (gone % 64));
            self.minima.set(gone, NO_RANK);
            let joined = if end < len { rank(&window[at..self.next(end)]) } else { NO_RANK };
            self.minima.set(at, joined);
            if at > 0 {
                let before = self.last(at - 1);
                self.minima.set(before, rank(&window[before..end]));
            }
        }
    }

    /// The first beginning of a part after a place.
    fn next(&self, at: usize) -> usize {
        let mut word = (at + 1) / 64;
        let mut bits = self.starts[word] & (u64::MAX << ((at + 1) % 64));
        while bits == 0 {
            word += 1;
            bits = self.starts[word];
        }
        word * 64 + bits.trailing_zeros() as usize
    }

    /// The last beginning of a part at or before a place.
    fn last(&self, at: usize) -> usize {
        let mut word = at / 64;
        let mut bits = self.starts[word] & (u64::MAX >> (63 - at % 64));
        while bits == 0 {
            word -= 1;
            bits = self.starts[word];
        }
        word * 64 + 63 - bits.leading_zeros() as usize
    }

    fn count_before(&self, at: usize) -> usize {
        let whole: u32 = self.starts[..at / 64].iter().map(|word| word.count_ones()).sum();
        let rest = self.starts[at / 64] & !(u64::MAX << (at % 64));
        (whole + rest.count_ones()) as usize
    }
}

/// With a merger of its own, so that memory for wide windows is given back.
fn count_wide(piece: &[u8]) -> usize {
    let mut merger = Merger::new();
    let mut width = WINDOW_BYTES;
    loop {
        width *= WIDER;
        if let Some(count) = merger.count_in_windows(piece, width) {
            return count;
        }
    }
}

/// As `Merger::merge`, all in one word and one array; most pieces are this short.
fn count_short(piece: &[u8]) -> usize {
    const PLACE_BITS: u32 = 6;
    let key = |rank: u32, at: usize| (rank << PLACE_BITS) as i32 | at as i32;
    let len = piece.len();
    let mut keys = [i32::MAX; SHORT_BYTES_MAX];
    for (at, pair) in piece.windows(2).enumerate() {
        keys[at] = key(rank_of_pair(pair[0], pair[1]), at);
    }
    let mut starts = u64::MAX >> (64 - len);
    let next = |starts: u64, at: usize| match starts & (u64::MAX << 1 << at) {
        0 => len,
        after => after.trailing_zeros() as usize,
    };
    loop {
        let least = keys[..len].iter().copied().min().unwrap_or(i32::MAX);
        if least >= key(NO_RANK, 0) {
            return starts.count_ones() as usize;
        }
        let at = least as usize % SHORT_BYTES_MAX;
        let gone = next(starts, at);
        let end = next(starts, gone);
        starts &= !(1 << gone);
        keys[gone] = i32::MAX;
        let joined = if end < len { rank(&piece[at..next(starts, end)]) } else { NO_RANK };
        keys[at] = key(joined, at);
        let before = starts & !(u64::MAX << at);
        if before != 0 {
            let before = 63 - before.leading_zeros() as usize;
            keys[before] = key(rank(&piece[before..end]), before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Long tokens, of which the margin of narrow windows holds only a part.
    #[test]
    fn windows_that_disagree_say_so() {
        let bpe = &bpe_openai::o200k_base().bpe;
        let tokens = (0..bpe.num_tokens() as u32).map(|rank| bpe.token_bytes(rank));
        let long: Vec<&[u8]> = tokens.filter(|token| token.len() >= 20).collect();
        let mut merger = Merger::new();
        let mut refused = 0;
        for tokens in long.chunks(40) {
            let piece = tokens.concat();
            let want = merger.count_in_windows(&piece, piece.len());
            assert_eq!(want, Some(bpe.count(&piece)));
            assert_eq!(want, Some(merger.count(&piece)));
            match merger.count_in_windows(&piece, 288) {
                None => {
                    refused += 1;
                    assert_eq!(Some(count_wide(&piece)), want);
                }
                count => assert_eq!(count, want),
            }
        }
        assert!(refused > 0, "the test must see windows that disagree");
    }
}
