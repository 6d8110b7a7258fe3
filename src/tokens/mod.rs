//! Exact token counts in OpenAI's o200k_base encoding; special-token text counts as ordinary text.
//!
//! Other models are estimated from this count. `split` cuts text into pieces, `block` does so for
//! ASCII and many at once, `table` knows which strings are tokens, `merge` counts pieces that are
//! several. Nothing is loaded or built at run time: the tables lie in the program and the kernel
//! reads the pages that are touched. Where the vocabulary comes from: `README.md` beside this file.

mod block;
mod cache;
mod digest;
pub(crate) mod image;
mod layout;
mod memo;
mod merge;
mod minima;
pub(crate) mod model;
mod split;
mod table;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use block::Pieces;
use cache::{Cache, Key};
pub(crate) use digest::Digest;
use layout::NO_RANK;
pub(crate) use memo::Memo;
use merge::Merger;

/// Counters for as many requests as are counted at once, with one memory of texts that came before.
/// A request needs one for a millisecond, and a thread that waits for a provider none.
pub(crate) struct Counters {
    idle: Mutex<Vec<Counter>>,
    memo: Arc<Memo>,
}

impl Counters {
    /// More are made when they are needed, and not kept.
    const KEPT_MAX: usize = 4;

    pub(crate) fn new(memo: Memo) -> Counters {
        Counters { idle: Mutex::default(), memo: Arc::new(memo) }
    }

    /// If `work` panics, its counter is gone with it.
    pub(crate) fn lend<T>(&self, work: impl FnOnce(&mut Counter) -> T) -> T {
        let used_last = self.lock().pop();
        let mut counter = used_last.unwrap_or_else(|| Counter::with_memo(Arc::clone(&self.memo)));
        let result = work(&mut counter);
        let mut idle = self.lock();
        if idle.len() < Counters::KEPT_MAX {
            idle.push(counter);
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Counter>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts tokens; what it keeps between texts makes it faster, and is no more than 150 KB.
pub(crate) struct Counter {
    cache: Cache,
    merger: Merger,
    memo: Option<Arc<Memo>>,
}

impl Counter {
    /// For texts that come once.
    pub(crate) fn new() -> Counter {
        Counter { cache: Cache::new(), merger: Merger::new(), memo: None }
    }

    /// For texts that come again, here or on another thread.
    pub(crate) fn with_memo(memo: Arc<Memo>) -> Counter {
        Counter { memo: Some(memo), ..Counter::new() }
    }

    /// The number of o200k_base tokens of a text, exactly.
    pub(crate) fn count(&mut self, text: &str) -> usize {
        let long = text.len() >= memo::TEXT_BYTES_MIN;
        let Some(memo) = self.memo.clone().filter(|_| long) else {
            return self.count_anew(text);
        };
        memo.count(text.as_bytes(), || self.count_anew(text))
    }

    fn count_anew(&mut self, text: &str) -> usize {
        let (bytes, mut count, mut start) = (text.as_bytes(), 0, 0);
        while start < bytes.len() {
            let rest = &bytes[start..];
            let (tokens, len) = match rest.first_chunk() {
                _ if !block::may_begin(rest) => (0, 0),
                Some(block) => self.count_block(block, rest, block::BYTES),
                None => {
                    let mut tail = [block::NO_TEXT; block::BYTES + 16];
                    tail[..rest.len()].copy_from_slice(rest);
                    let text = &tail[..];
                    text.first_chunk()
                        .map_or((0, 0), |block| self.count_block(block, text, rest.len()))
                }
            };
            (count, start) = (count + tokens, start + len);
            if len == 0 {
                let end = split::piece_end(text, start);
                count += self.count_piece(&bytes[start..end]);
                start = end;
            }
        }
        count
    }

    /// The tokens of the first pieces, and their length; 0 if not even one surely ends in the block.
    fn count_block(
        &mut self,
        block: &[u8; block::BYTES],
        text: &[u8],
        len: usize,
    ) -> (usize, usize) {
        let pieces = block::pieces(block, len);
        (pieces.tokens + self.count_open(text, &pieces), pieces.end)
    }

    fn count_open(&mut self, text: &[u8], pieces: &Pieces) -> usize {
        let (mut open, mut count) = (pieces.open, 0);
        while open != 0 {
            let at = open.trailing_zeros() as usize;
            let end = (pieces.starts & u64::MAX << 1 << at).trailing_zeros() as usize;
            open &= open - 1;
            count += match text[at..].first_chunk() {
                Some(window) if end - at <= cache::PIECE_BYTES_MAX => {
                    self.count_short(window, end - at)
                }
                _ => self.count_piece(&text[at..end]),
            };
        }
        count
    }

    #[inline(always)]
    fn count_short(&mut self, window: &[u8; 16], len: usize) -> usize {
        let key = Key::new(window, len);
        match self.cache.find(key) {
            Some(count) => count,
            None => self.count_new(window, len, key),
        }
    }

    #[inline(never)]
    fn count_new(&mut self, window: &[u8; 16], len: usize, key: Key) -> usize {
        let count = match table::rank_in(window, len) {
            NO_RANK => merge::count_shortest(window, len),
            _ => 1,
        };
        self.cache.keep(key, count);
        count
    }

    fn count_piece(&mut self, piece: &[u8]) -> usize {
        if piece.len() == 1 {
            return 1;
        }
        if piece.len() <= cache::PIECE_BYTES_MAX {
            let mut window = [0; 16];
            window[..piece.len()].copy_from_slice(piece);
            return self.count_short(&window, piece.len());
        }
        if table::rank(piece) == NO_RANK { self.merger.count(piece) } else { 1 }
    }
}
