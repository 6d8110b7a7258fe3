//! Where lines are found again: hashes of lines in a list, looked up by three of them in a row.
//!
//! Fewer than three would find every closing brace, more would miss what stands between two edits.
//! Of equal places the first few are kept and no search goes further than a fixed number of steps,
//! so that time stays linear in the prompt whatever it holds. Equal hashes are no proof; whoever
//! looks something up compares what he finds.

use super::footprint;
use super::hash::mix;

/// How many lines in a row are looked up together.
pub(super) const WINDOW: usize = 3;

/// Of equal places, how many are kept.
const PLACES_MAX: usize = 4;

/// Slots of the table that are looked at for one window.
const STEPS_MAX: usize = 32;

/// The lines of a prompt that are looked up, at most.
const LINES_MAX: usize = 1 << 20;

/// Four bytes for each line, and six to twelve in the table.
#[derive(Clone, Default)]
pub(super) struct Index {
    hashes: Vec<u32>,
    /// Positions in `hashes` plus 1, where three lines begin that can be found; 0 is free.
    table: Vec<u32>,
    filled: usize,
}

impl Index {
    /// What it takes in memory beside itself.
    pub(super) fn bytes(&self) -> usize {
        footprint::of_vec(&self.hashes) + footprint::of_vec(&self.table)
    }

    /// Whether another text may be added.
    pub(super) fn has_room(&self) -> bool {
        self.hashes.len() < LINES_MAX
    }

    /// How many lines there are.
    pub(super) fn len(&self) -> usize {
        self.hashes.len()
    }

    /// The hash of a line; 0 for one that is never found, and beyond the end.
    pub(super) fn hash(&self, line: usize) -> u32 {
        self.hashes.get(line).copied().unwrap_or(0)
    }

    /// Lets a line not be found any more.
    pub(super) fn forget(&mut self, line: usize) {
        self.hashes[line] = 0;
    }

    /// Adds a line at the end. Hash 0: it is never found.
    pub(super) fn push(&mut self, hash: u32) {
        self.hashes.push(hash);
    }

    /// Lets the three lines from here on be found.
    pub(super) fn insert(&mut self, line: usize) {
        let Some(&[first, second, third]) = self.hashes.get(line..line + WINDOW) else { return };
        self.grow();
        let (window, mut places) = ([first, second, third], 0);
        for slot in self.steps(window) {
            let Some(other) = self.table[slot].checked_sub(1) else {
                self.table[slot] = line as u32 + 1;
                self.filled += 1;
                return;
            };
            let other = other as usize;
            places += usize::from(self.hashes[other..other + WINDOW] == window);
            if places == PLACES_MAX {
                return;
            }
        }
    }

    /// Where lines with these hashes begin, in the order of the prompt.
    pub(super) fn matches(&self, window: [u32; WINDOW]) -> impl Iterator<Item = usize> {
        self.steps(window)
            .map(|slot| self.table[slot] as usize)
            .take_while(|entry| *entry > 0)
            .map(|entry| entry - 1)
            .filter(move |line| self.hashes[*line..*line + WINDOW] == window)
            .take(PLACES_MAX)
    }

    /// The slots at which a window may be, nearest first.
    fn steps(&self, window: [u32; WINDOW]) -> impl Iterator<Item = usize> + use<> {
        let mask = self.table.len().wrapping_sub(1);
        let start = window.into_iter().fold(0, |state, hash| mix(state ^ u64::from(hash)));
        let steps = if window.contains(&0) { 0 } else { STEPS_MAX.min(self.table.len()) };
        (0..steps).map(move |step| (start as usize).wrapping_add(step) & mask)
    }

    /// Makes room for one more; if it must, all are put in again in their order.
    fn grow(&mut self) {
        if (self.filled + 1) * 3 / 2 <= self.table.len() {
            return;
        }
        let mut old = std::mem::take(&mut self.table);
        self.table = vec![0; (old.len() * 2).max(64)];
        self.filled = 0;
        old.retain(|entry| *entry > 0);
        old.sort_unstable();
        for entry in old {
            self.insert(entry as usize - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(hashes: &[u32]) -> Index {
        let mut index = Index::default();
        hashes.iter().for_each(|hash| index.push(*hash));
        (0..hashes.len()).for_each(|line| index.insert(line));
        index
    }

    #[test]
    fn three_lines_in_a_row_are_found_where_they_stood_first() {
        let index = index(&[1, 2, 3, 0, 1, 2, 3, 4, 1, 2, 3, 1, 2, 3, 1, 2, 3]);
        let found = |window| index.matches(window).collect::<Vec<_>>();
        assert_eq!(found([1, 2, 3]), [0, 4, 8, 11], "and not more than four");
        assert_eq!(found([2, 3, 4]), [5]);
        assert_eq!(found([3, 0, 1]), [0; 0]);
        assert_eq!(found([4, 2, 3]), [0; 0]);
    }

    #[test]
    fn all_but_a_few_of_many_lines_are_found() {
        let hashes: Vec<u32> =
            (1..20_000_u32).map(|line| line.wrapping_mul(2_654_435_761) | 1).collect();
        let index = index(&hashes);
        let lost = (0..hashes.len() - 2)
            .filter(|line| {
                let window = [hashes[*line], hashes[line + 1], hashes[line + 2]];
                index.matches(window).next() != Some(*line)
            })
            .count();
        assert!(lost < 20, "{lost}");
    }
}
