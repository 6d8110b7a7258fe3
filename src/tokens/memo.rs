//! Remembers the counts of whole texts: an agent sends its history again with every turn.
//!
//! One table for all threads, because the next turn of a session comes to any of them. It takes no
//! locks: an entry is two words, one of which is stored mixed with the other, so that halves of two
//! entries do not pass for one. A text is known by 96 bits of a keyed hash and nothing else, so
//! nothing of a prompt is kept.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::digest::Digest;
use super::layout::hash_short;

/// Shorter texts are counted as fast as they are found.
pub(crate) const TEXT_BYTES_MIN: usize = 128;

/// 4,096 texts in 64 KB. A session of some hundred turns is about a thousand texts.
const SETS: usize = 1024;
/// A text has its place in one of as many entries; together they fill a cache line.
const WAYS: usize = 4;

/// The lower half of the digest mixed with the second word; and 32 more bits of it above the count.
type Slot = [AtomicU64; 2];

/// The entries last used come first.
#[repr(align(64))]
struct Set([Slot; WAYS]);

pub(crate) struct Memo {
    digest: Digest,
    sets: Box<[Set]>,
}

impl Memo {
    /// With a key of random numbers, asked for by index: nobody who knew it could make two texts
    /// pass for one.
    pub(crate) fn new(random: impl Fn(usize) -> u64) -> Memo {
        let empty = || Set([const { [const { AtomicU64::new(0) }; 2] }; WAYS]);
        let sets = std::iter::repeat_with(empty).take(SETS).collect();
        Memo { digest: Digest::new(random), sets }
    }

    /// The count of a text, computed if it is not at hand.
    pub(super) fn count(&self, text: &[u8], compute: impl FnOnce() -> usize) -> usize {
        let digest = self.digest.of(text);
        let set = &self.sets[set_of(digest)].0;
        let tag = (digest >> 64) as u32;
        let is_it =
            |[mixed, data]: [u64; 2]| mixed ^ data == digest as u64 && (data >> 32) as u32 == tag;
        // Read once: what is there may change after the look.
        let found = set.iter().map(read).enumerate().find(|(_, entry)| is_it(*entry));
        let (at, data) = match found {
            Some((at, [_, data])) => (at, data),
            None => (WAYS - 1, u64::from(tag) << 32 | compute() as u64),
        };
        if found.is_some() && at == 0 {
            return data as u32 as usize;
        }
        // Another thread may do the same meanwhile; at worst an entry is lost or there twice.
        for at in (0..at).rev() {
            write(&set[at + 1], read(&set[at]));
        }
        write(&set[0], [digest as u64 ^ data, data]);
        data as u32 as usize
    }
}

/// Mixed once more: texts that differ by a number have digests at equal distances, which under some
/// keys would crowd few sets.
fn set_of(digest: u128) -> usize {
    hash_short(digest, 16) as usize % SETS
}

fn read(entry: &Slot) -> [u64; 2] {
    [entry[0].load(Relaxed), entry[1].load(Relaxed)]
}

fn write(entry: &Slot, [mixed, data]: [u64; 2]) {
    entry[0].store(mixed, Relaxed);
    entry[1].store(data, Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memo() -> Memo {
        let random = std::hash::RandomState::new();
        Memo::new(|at| std::hash::BuildHasher::hash_one(&random, at))
    }

    /// Counts a text whose count is its number.
    fn count(memo: &Memo, number: usize) -> (usize, bool) {
        let mut computed = false;
        let count = memo.count(&number.to_le_bytes(), || {
            computed = true;
            number
        });
        (count, !computed)
    }

    #[test]
    fn a_session_stays_and_the_table_is_bounded() {
        let memo = memo();
        for turn in 0..3 {
            let known = (0..1200).filter(|&number| {
                let (got, known) = count(&memo, number);
                assert_eq!(got, number);
                known
            });
            // Some sets are asked to hold more than four.
            assert!(known.count() >= if turn == 0 { 0 } else { 1000 });
        }
        // Others come, and the session goes.
        (10_000..40_000).for_each(|number| assert_eq!(count(&memo, number), (number, false)));
        assert!((0..1200).all(|number| !count(&memo, number).1));
    }

    #[test]
    fn the_entry_used_last_is_the_last_to_go() {
        let memo = memo();
        let set = |number: usize| set_of(memo.digest.of(&number.to_le_bytes()));
        let same: Vec<usize> = (0..100_000).filter(|&number| set(number) == 5).take(6).collect();
        same[..4].iter().for_each(|&number| assert_eq!(count(&memo, number), (number, false)));
        assert!(count(&memo, same[0]).1);
        count(&memo, same[4]);
        assert!(count(&memo, same[0]).1, "used again, so not the oldest");
        assert!(!count(&memo, same[1]).1, "the oldest");
    }

    /// Four threads on few sets, so that they meet in every entry.
    #[test]
    fn threads_never_see_each_others_counts() {
        let memo = memo();
        let set = |number: usize| set_of(memo.digest.of(&number.to_le_bytes()));
        let few: Vec<usize> = (0..20_000).filter(|&number| set(number) < 3).collect();
        std::thread::scope(|scope| {
            for thread in 1..=4 {
                let (memo, few) = (&memo, &few);
                scope.spawn(move || {
                    for step in 0..200_000 {
                        let number = few[step * thread % few.len()];
                        assert_eq!(count(memo, number).0, number);
                    }
                });
            }
        });
    }
}
