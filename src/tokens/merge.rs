//! Counts the tokens of a piece that is no token itself: byte pair merging.
//!
//! From single bytes, the two neighbours that together are the token of lowest rank are joined, the
//! leftmost on a tie, until no two neighbours are a token.
//!
//! Parts carry the names of their tokens, so that a look-up compares two names instead of bytes: the
//! table knows of each token only the two that it is merged from at last. That is enough. Whatever
//! surrounds a token, its own bytes are merged in the order they would be alone, or it does not come
//! about; so another two neighbours with the same bytes would never have been joined.
//!
//! Long pieces are merged in windows, so that a megabyte of one letter costs no more per byte than
//! a line, nor more memory. Tokens are the encoding of a text exactly if each two neighbours among
//! them are the encoding of theirs; so what two windows found can be joined at a token which both
//! of them found. Far from the edge they do; where not, the window before is taken again, wider,
//! and at last the whole piece in one.

use super::layout::NO_RANK;
use super::minima::Minima;
use super::table::{TOKEN_BYTES_MAX, joined, of_byte, pair};

/// The pieces merged in registers and on the stack: one bit each in a word says which bytes begin a
/// part.
const SHORT_BYTES_MAX: usize = 64;
const PLACE_BITS: u32 = 6;
/// A token that ends this share of a window before its edge has nearly always been one beyond it,
/// too.
const MARGIN: usize = 4;
/// Wide windows need no more than the longest token several times.
const MARGIN_BYTES_MAX: usize = 3 * TOKEN_BYTES_MAX;
const WIDER: usize = 8;
/// Memory for wider windows is given back.
const KEPT_BYTES_MAX: usize = 4096;

/// Merges pieces; keeps its memory for the next.
pub(crate) struct Merger {
    /// One bit per byte of the window, set where a part begins, and one at its end.
    starts: Vec<u64>,
    minima: Minima,
    /// The names of the parts, each where it begins.
    parts: Vec<u32>,
    /// And of what each would make with the next.
    joins: Vec<u32>,
}

/// Where two windows meet.
#[derive(Clone, Copy, Default)]
struct Seam {
    start: usize,
    /// The length of the token that begins here and ought to be in both; 0 where the piece begins.
    shared: usize,
    /// Tokens before this place.
    count: usize,
}

impl Merger {
    pub(crate) fn new() -> Merger {
        Merger { starts: vec![], minima: Minima::new(), parts: vec![], joins: vec![] }
    }

    /// The number of tokens of a piece.
    pub(crate) fn count(&mut self, piece: &[u8]) -> usize {
        if piece.len() <= SHORT_BYTES_MAX {
            return count_short(piece);
        }
        let (count, widest) = self.count_in_windows(piece);
        if widest > KEPT_BYTES_MAX {
            *self = Merger::new();
        }
        count
    }

    /// Also the width of the widest window, which is bounded by the piece: so this ends.
    fn count_in_windows(&mut self, piece: &[u8]) -> (usize, usize) {
        let (mut narrow, mut widest) = (SHORT_BYTES_MAX, SHORT_BYTES_MAX);
        let (mut seam, mut width) = (Seam::default(), narrow);
        let mut before = None;
        let mut merged = 0..0;
        loop {
            let window = seam.start..piece.len().min(seam.start + width);
            // In a run or a pattern windows are equal.
            if piece[window.clone()] != piece[merged.clone()] {
                self.merge(&piece[window.clone()]);
                merged = window.clone();
                widest = widest.max(window.len());
            }
            if seam.shared > 0 && self.next(0) != seam.shared {
                (seam, width) = before.take().unwrap_or_else(|| {
                    let first = (Seam::default(), narrow);
                    narrow = wider(narrow);
                    first
                });
                width = wider(width);
            } else if window.end == piece.len() {
                return (seam.count + self.count_before(window.len()), widest);
            } else if let Some((meet, shared)) =
                self.meeting(width - MARGIN_BYTES_MAX.min(width / MARGIN))
            {
                before = Some((seam, width));
                let count = seam.count + self.count_before(meet);
                // What did not fit once will not fit again.
                narrow = width.min(KEPT_BYTES_MAX).max(narrow);
                (seam, width) = (Seam { start: seam.start + meet, shared, count }, narrow);
            } else {
                width = wider(width);
            }
        }
    }

    /// Start and length of the last token that ends before a place; `None` if it is the first.
    fn meeting(&self, place: usize) -> Option<(usize, usize)> {
        let end = self.last(place);
        let meet = self.last(end.checked_sub(1)?);
        (meet > 0).then(|| (meet, end - meet))
    }

    fn merge(&mut self, window: &[u8]) {
        let len = window.len();
        self.starts.clear();
        if len <= SHORT_BYTES_MAX {
            self.starts.extend([starts_of_short::<64, 80>(window), 0]);
            self.starts[len / 64] |= 1 << (len % 64);
            return;
        }
        self.starts.resize(len / 64 + 1, u64::MAX);
        let pairs = || window.windows(2).map(|two| pair(two[0], two[1]));
        self.minima.reset(pairs().map(|pair| pair.rank));
        self.parts.clear();
        self.parts.extend(window.iter().copied().map(of_byte));
        self.joins.clear();
        self.joins.extend(pairs().map(|pair| pair.name));
        while let Some(at) = self.minima.least() {
            let gone = self.next(at);
            let end = self.next(gone);
            self.starts[gone / 64] &= !(1 << (gone % 64));
            self.parts[at] = self.joins[at];
            let joined = if end < len { self.join(window, at, end) } else { NO_RANK };
            let before = at.checked_sub(1).map(|place| self.last(place));
            let before =
                before.map_or((at, joined), |before| (before, self.join(window, before, at)));
            self.minima.set([(gone, NO_RANK), (at, joined), before]);
        }
    }

    /// The rank of what two neighbours make; its name is kept.
    #[inline(always)]
    fn join(&mut self, window: &[u8], left: usize, right: usize) -> u32 {
        let token = joined(window, left..self.next(right), self.parts[left], self.parts[right]);
        self.joins[left] = token.name;
        token.rank
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

/// Of a text that does not fit in a word the widest window takes least: neighbours share little.
fn wider(width: usize) -> usize {
    (width * WIDER).max(KEPT_BYTES_MAX)
}

/// As `Merger::merge`, all in one word and one array; most pieces are this short.
fn count_short(piece: &[u8]) -> usize {
    let starts = match piece.len() {
        0..=16 => starts_of_short::<16, 32>(piece),
        17..=32 => starts_of_short::<32, 48>(piece),
        _ => starts_of_short::<64, 80>(piece),
    };
    starts.count_ones() as usize
}

/// The number of tokens of the first bytes of a window, at most 16.
pub(crate) fn count_shortest(window: &[u8; 16], len: usize) -> usize {
    let mut text = [0; 32];
    text[..16].copy_from_slice(window);
    starts::<16, 32>(&text, len).count_ones() as usize
}

fn starts_of_short<const N: usize, const PADDED: usize>(piece: &[u8]) -> u64 {
    let mut text = [0; PADDED];
    text[..piece.len()].copy_from_slice(piece);
    starts::<N, PADDED>(&text, piece.len())
}

/// The parts of a short text, each where it begins.
struct Parts<const N: usize> {
    /// The rank, and below it the place, of what each would make with the next.
    keys: [i32; N],
    /// The names of these.
    joins: [u32; N],
    /// And of the parts.
    names: [u32; N],
}

impl<const N: usize> Parts<N> {
    const NONE: i32 = key(NO_RANK, 0);

    /// Single bytes.
    #[inline(always)]
    fn new(text: &[u8]) -> Parts<N> {
        let mut parts = Parts { keys: [Self::NONE; N], joins: [0; N], names: [0; N] };
        for (at, two) in text.windows(2).enumerate() {
            let pair = pair(two[0], two[1]);
            (parts.keys[at], parts.joins[at]) = (key(pair.rank, at), pair.name);
        }
        for (at, &byte) in text.iter().enumerate() {
            parts.names[at] = of_byte(byte);
        }
        parts
    }

    /// Looks up what two neighbours make.
    #[inline(always)]
    fn join(&mut self, text: &[u8], left: usize, right: usize, end: usize) {
        let token = joined(text, left..end, self.names[left], self.names[right]);
        (self.keys[left], self.joins[left]) = (key(token.rank, left), token.name);
    }
}

const fn key(rank: u32, at: usize) -> i32 {
    (rank << PLACE_BITS) as i32 | at as i32
}

/// Where the tokens begin of a text so long. Behind it are sixteen bytes that may be read.
fn starts<const N: usize, const PADDED: usize>(text: &[u8; PADDED], len: usize) -> u64 {
    let mut parts = Parts::<N>::new(&text[..len]);
    let mut starts = u64::MAX >> (64 - len);
    let next = |starts: u64, at: usize| match starts & (u64::MAX << 1 << at) {
        0 => len,
        after => after.trailing_zeros() as usize,
    };
    loop {
        let least = parts.keys.iter().copied().fold(i32::MAX, i32::min);
        if least >= Parts::<N>::NONE {
            return starts;
        }
        let at = least as usize % N;
        let gone = next(starts, at);
        let end = next(starts, gone);
        starts &= !(1 << gone);
        (parts.keys[gone], parts.keys[at]) = (i32::MAX, i32::MAX);
        parts.names[at] = parts.joins[at];
        if end < len {
            parts.join(text, at, end, next(starts, end));
        }
        let before = starts & !(u64::MAX << at);
        if before != 0 {
            parts.join(text, 63 - before.leading_zeros() as usize, at, end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Long tokens, of which the margin of narrow windows holds only a part.
    #[test]
    fn windows_that_disagree_are_taken_again() {
        let bpe = &bpe_openai::o200k_base().bpe;
        let tokens = (0..bpe.num_tokens() as u32).map(|rank| bpe.token_bytes(rank));
        let long: Vec<&[u8]> = tokens.filter(|token| token.len() >= 20).collect();
        let mut merger = Merger::new();
        let mut wider = 0;
        for tokens in long.chunks(40) {
            let piece = tokens.concat();
            let (count, widest) = merger.count_in_windows(&piece);
            assert_eq!(count, bpe.count(&piece));
            wider += usize::from(widest > SHORT_BYTES_MAX);
        }
        assert!(wider > 10, "the test must see windows that disagree: {wider}");
    }

    /// The ranks of neighbours fall all along, so that the end of such a text decides about its
    /// beginning, far beyond the margin of a narrow window.
    #[test]
    fn falling_ranks_are_counted_exactly() {
        let chain = falling_chain();
        assert!(chain.len() > SHORT_BYTES_MAX / MARGIN, "{}", chain.len());
        let bpe = &bpe_openai::o200k_base().bpe;
        for times in [1, 2, 50, 2000] {
            let mut piece = chain.repeat(times);
            for _ in 0..2 {
                let (count, widest) = Merger::new().count_in_windows(&piece);
                assert_eq!(count, bpe.count(&piece));
                assert!(widest <= 16 * KEPT_BYTES_MAX, "{widest}");
                piece.remove(0);
            }
        }
    }

    /// The longest string of letters of which each two neighbours are a token of higher rank than
    /// the next two.
    fn falling_chain() -> Vec<u8> {
        let letters = b'a'..=b'z';
        let mut pairs: Vec<(u32, u8, u8)> = letters
            .clone()
            .flat_map(|one| letters.clone().map(move |two| (pair(one, two).rank, one, two)))
            .filter(|(rank, ..)| *rank != NO_RANK)
            .collect();
        pairs.sort_unstable();
        // The longest chain that begins with each letter, from the pairs so far.
        let mut chains: Vec<Vec<u8>> = (0..=u8::MAX).map(|letter| vec![letter]).collect();
        for (_, one, two) in pairs {
            let tail = &chains[usize::from(two)];
            if tail.len() >= chains[usize::from(one)].len() {
                chains[usize::from(one)] = [&[one], tail.as_slice()].concat();
            }
        }
        chains.into_iter().max_by_key(Vec::len).unwrap()
    }
}
