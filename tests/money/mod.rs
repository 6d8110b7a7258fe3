//! What a session costs: the prompt caches of providers, played through request by request.
//!
//! Knows nothing of compression: it is given the requests of a session as the provider got them,
//! and says how many of their tokens were read from the cache, written to it, or neither. Prices
//! are in thousandths of a plain input token, so that sums are exact.

// Shared by tests and the benchmark, neither of which uses all of it.
#![allow(dead_code)]

mod blocks;
mod session;

pub(crate) use blocks::Blocks;
pub(crate) use session::Session;

use std::collections::HashSet;

/// A piece of a prompt that a cache can end at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    /// Tells its content from others; cache marks are not content.
    pub(crate) content: u64,
    pub(crate) tokens: u64,
    pub(crate) mark: bool,
}

/// How a provider caches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cache {
    /// Entries at the client's marks, found again from up to 20 blocks behind (Anthropic).
    Marks {
        /// Shorter prefixes are not cached: 1,024, 2,048 or 4,096 tokens, by model.
        minimum: u64,
        /// Price of writing: 1,250 for five minutes, 2,000 for an hour.
        write: u64,
    },
    /// The longest prefix that any earlier request had, in steps (OpenAI).
    Prefix { minimum: u64, step: u64 },
}

/// What Anthropic's models do, what OpenAI's do, and OpenAI's without its rounding.
pub(crate) const CACHES: [(&str, Cache); 7] = [
    ("1,024 5m", Cache::Marks { minimum: 1024, write: 1250 }),
    ("2,048 5m", Cache::Marks { minimum: 2048, write: 1250 }),
    ("4,096 5m", Cache::Marks { minimum: 4096, write: 1250 }),
    ("1,024 1h", Cache::Marks { minimum: 1024, write: 2000 }),
    ("4,096 1h", Cache::Marks { minimum: 4096, write: 2000 }),
    ("prefix", OPENAI),
    ("prefix, no steps", Cache::Prefix { minimum: 1024, step: 1 }),
];

pub(crate) const OPENAI: Cache = Cache::Prefix { minimum: 1024, step: 128 };

/// Prices of reading: 10, 5 and 2.5 % of a plain token.
pub(crate) const READS: [u64; 3] = [100, 50, 25];

/// How far back from a mark an entry is looked for, in blocks, the marked one included.
const LOOK_BACK: usize = 20;

/// The tokens of a session by what they cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Bill {
    pub(crate) read: u64,
    pub(crate) written: u64,
    pub(crate) plain: u64,
}

impl Bill {
    pub(crate) fn tokens(&self) -> u64 {
        self.read + self.written + self.plain
    }

    /// In thousandths of a plain input token.
    pub(crate) fn cost(&self, cache: Cache, read: u64) -> u64 {
        let write = match cache {
            Cache::Marks { write, .. } => write,
            Cache::Prefix { .. } => 1000,
        };
        self.read * read + self.written * write + self.plain * 1000
    }
}

/// Plays a session through; entries last as long as it does.
pub(crate) fn bill(cache: Cache, requests: &[Vec<Block>]) -> Bill {
    let mut entries = HashSet::new();
    let mut bill = Bill::default();
    for request in requests {
        let prefixes = prefixes(request);
        let total = prefixes.last().map_or(0, |(_, tokens)| *tokens);
        let (read, written) = match cache {
            Cache::Marks { minimum, .. } => marks(&mut entries, request, &prefixes, minimum),
            Cache::Prefix { minimum, step } => (prefix(&mut entries, &prefixes, minimum, step), 0),
        };
        bill.read += read;
        bill.written += written;
        bill.plain += total - read - written;
    }
    bill
}

/// For each block: what tells the prompt up to its end from others, and its tokens.
fn prefixes(request: &[Block]) -> Vec<(u64, u64)> {
    let mut so_far = (0, 0);
    let add = |block: &Block| {
        so_far = (blocks::mix(so_far.0, block.content), so_far.1 + block.tokens);
        so_far
    };
    request.iter().map(add).collect()
}

/// Tokens read and written where clients mark what is to be cached.
fn marks(
    entries: &mut HashSet<u64>,
    request: &[Block],
    prefixes: &[(u64, u64)],
    minimum: u64,
) -> (u64, u64) {
    let is_mark = |at: &usize| request[*at].mark && prefixes[*at].1 >= minimum;
    let marks: Vec<usize> = (0..request.len()).filter(is_mark).collect();
    let found = |mark: &usize| {
        let mut places = (0..=*mark).rev().take(LOOK_BACK);
        places.find(|at| entries.contains(&prefixes[*at].0)).map(|at| prefixes[at].1)
    };
    let read = marks.iter().filter_map(found).max().unwrap_or(0);
    let end = marks.last().map_or(0, |mark| prefixes[*mark].1);
    entries.extend(marks.iter().map(|mark| prefixes[*mark].0));
    (read, end - read)
}

/// Tokens read where the provider caches by itself.
fn prefix(entries: &mut HashSet<u64>, prefixes: &[(u64, u64)], minimum: u64, step: u64) -> u64 {
    let known = prefixes.iter().rev().find(|(prompt, _)| entries.contains(prompt));
    let tokens = known.map_or(0, |(_, tokens)| tokens / step * step);
    entries.extend(prefixes.iter().map(|(prompt, _)| *prompt));
    if tokens >= minimum { tokens } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(sizes: &[u64], marks: &[usize]) -> Vec<Block> {
        let block = |(at, tokens): (usize, &u64)| Block {
            content: at as u64,
            tokens: *tokens,
            mark: marks.contains(&at),
        };
        sizes.iter().enumerate().map(block).collect()
    }

    fn counts(bill: Bill) -> [u64; 3] {
        [bill.read, bill.written, bill.plain]
    }

    const SHORT: Cache = Cache::Marks { minimum: 1024, write: 1250 };

    #[test]
    fn marked_prefixes_are_written_once_and_read_then() {
        let turns = [request(&[2000, 50], &[1]), request(&[2000, 50, 7, 30], &[1, 3])];
        assert_eq!(counts(bill(SHORT, &turns)), [2050, 2050 + 37, 0]);
        // What stands behind the last mark is plain, and found by nobody later.
        let turns = [request(&[2000, 50], &[0]), request(&[2000, 50, 7], &[0])];
        assert_eq!(counts(bill(SHORT, &turns)), [2000, 2000, 50 + 57]);
        let cost = Bill { read: 10, written: 100, plain: 1000 };
        assert_eq!(cost.cost(SHORT, 100), 1000 + 125_000 + 1_000_000);
    }

    #[test]
    fn entries_are_found_from_twenty_blocks_behind_and_no_more() {
        let sizes = [1024; 40];
        let later = |end: usize| [request(&sizes[..3], &[2]), request(&sizes[..end], &[end - 1])];
        assert_eq!(bill(SHORT, &later(22)).read, 3 * 1024);
        assert_eq!(bill(SHORT, &later(23)).read, 0);
    }

    #[test]
    fn short_prefixes_are_not_cached() {
        let turns = [request(&[1000, 23], &[1]), request(&[1000, 23, 1], &[2])];
        assert_eq!(counts(bill(SHORT, &turns)), [0, 1024, 1023]);
        let turns = [request(&[1023], &[]), request(&[1023, 1], &[]), request(&[1023, 1], &[])];
        assert_eq!(counts(bill(OPENAI, &turns)), [1024, 0, 1023 + 1024]);
    }

    #[test]
    fn common_prefixes_count_in_steps() {
        let mut turns = [request(&[1200, 100], &[]), request(&[1200, 100, 90], &[])];
        assert_eq!(bill(OPENAI, &turns).read, 1280);
        turns[1][1].content = 77;
        assert_eq!(bill(OPENAI, &turns).read, 1152, "history was changed");
        turns[1][0].content = 77;
        assert_eq!(bill(OPENAI, &turns).read, 0);
    }
}
