//! Exact token counts in OpenAI's o200k_base encoding; special-token text counts as ordinary text.
//!
//! Other models are estimated from this count. `split` cuts text into pieces, `table` knows which
//! strings are tokens, `merge` counts pieces that are several. Nothing is loaded or built at run
//! time: the tables lie in the program and the kernel reads the pages that are touched. Where the
//! vocabulary comes from: `README.md` beside this file.

mod cache;
mod layout;
mod merge;
mod minima;
mod model;
mod split;
mod table;
#[cfg(test)]
mod tests;

use cache::{Cache, Key};
use layout::NO_RANK;
use merge::Merger;
pub(crate) use model::start_factor;

/// Counts tokens; what it keeps between texts makes it faster, and is no more than 150 KB.
pub(crate) struct Counter {
    cache: Cache,
    merger: Merger,
}

impl Counter {
    pub(crate) fn new() -> Counter {
        Counter { cache: Cache::new(), merger: Merger::new() }
    }

    /// The number of o200k_base tokens of a text, exactly.
    pub(crate) fn count(&mut self, text: &str) -> usize {
        let (mut count, mut start) = (0, 0);
        while start < text.len() {
            let end = split::piece_end(text, start);
            count += self.count_piece(text.as_bytes(), start, end);
            start = end;
        }
        count
    }

    fn count_piece(&mut self, text: &[u8], start: usize, end: usize) -> usize {
        if end - start == 1 {
            // Every byte is a token.
            return 1;
        }
        let piece = &text[start..end];
        let merger = &mut self.merger;
        let mut compute = || if table::rank(piece) == NO_RANK { merger.count(piece) } else { 1 };
        match Key::new(text, start, end) {
            Some(key) => self.cache.count(&key, compute),
            None => compute(),
        }
    }
}
