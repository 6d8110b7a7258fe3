//! Exact token counts in OpenAI's o200k_base encoding; special-token text counts as ordinary text.
//!
//! Other models are estimated from this count. `split` cuts text into pieces, `table` knows which
//! strings are tokens, `merge` counts pieces that are several. Nothing is loaded or built at run
//! time: the tables lie in the program and the kernel reads the pages that are touched. Where the
//! vocabulary comes from: `README.md` beside this file.

mod layout;
mod merge;
mod split;
mod table;
#[cfg(test)]
mod tests;

use layout::NO_RANK;

/// Counts tokens.
pub(crate) struct Counter {}

impl Counter {
    pub(crate) fn new() -> Counter {
        Counter {}
    }

    /// The number of o200k_base tokens of a text, exactly.
    pub(crate) fn count(&mut self, text: &str) -> usize {
        split::pieces(text)
            .map(|piece| if table::rank(piece) != NO_RANK { 1 } else { merge::count(piece) })
            .sum()
    }
}
