//! Faults that come again and again: told at once, then at most once a minute, with how often they have
//! come since.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Between two lines about the same fault.
const PAUSE: Duration = Duration::from_secs(60);
/// Different faults at once; of more, the one that was told longest ago is forgotten.
const KINDS_MAX: usize = 32;

#[derive(Default)]
pub(super) struct Repeats {
    kinds: Mutex<Vec<Kind>>,
    /// Something has come that was not told.
    is_waiting: AtomicBool,
}

struct Kind {
    text: String,
    told: Instant,
    /// How often it has come since.
    count: u64,
}

impl Kind {
    fn line(&mut self, now: Instant) -> String {
        self.told = now;
        format!("{} count={}", self.text, std::mem::take(&mut self.count))
    }
}

impl Repeats {
    /// Notes a fault; the lines that are due now.
    pub(super) fn note(&self, text: String, now: Instant) -> Vec<String> {
        let mut kinds = self.kinds();
        let mut lines = Vec::new();
        let at = kinds.iter().position(|kind| kind.text == text).unwrap_or_else(|| {
            if kinds.len() == KINDS_MAX {
                let oldest = (0..kinds.len()).min_by_key(|at| kinds[*at].told).unwrap_or(0);
                let mut gone = kinds.swap_remove(oldest);
                lines.extend((gone.count > 0).then(|| gone.line(now)));
            }
            kinds.push(Kind { text, told: now, count: 1 });
            let at = kinds.len() - 1;
            lines.push(kinds[at].line(now));
            at
        });
        if lines.is_empty() {
            kinds[at].count += 1;
            self.is_waiting.store(true, Ordering::Relaxed);
        }
        drop(kinds);
        lines.extend(self.due(now));
        lines
    }

    /// The lines whose pause is over. With nothing to tell this is one load from memory.
    pub(super) fn due(&self, now: Instant) -> Vec<String> {
        self.lines(now, |kind| now - kind.told >= PAUSE)
    }

    /// All that was not told, at the end.
    pub(super) fn rest(&self) -> Vec<String> {
        self.lines(Instant::now(), |_| true)
    }

    fn lines(&self, now: Instant, is_due: impl Fn(&Kind) -> bool) -> Vec<String> {
        if !self.is_waiting.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let mut kinds = self.kinds();
        let due = kinds.iter_mut().filter(|kind| kind.count > 0 && is_due(kind));
        let lines = due.map(|kind| kind.line(now)).collect();
        self.is_waiting.store(kinds.iter().any(|kind| kind.count > 0), Ordering::Relaxed);
        lines
    }

    fn kinds(&self) -> MutexGuard<'_, Vec<Kind>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_told_at_once_and_then_once_a_minute() {
        let repeats = Repeats::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let note = |text: &str, seconds| repeats.note(text.to_owned(), at(seconds));
        assert_eq!(note("a", 0), ["a count=1"]);
        assert_eq!(note("a", 1), [""; 0]);
        assert_eq!(note("b", 2), ["b count=1"], "another kind waits for nobody");
        assert_eq!(note("a", 59), [""; 0]);
        assert_eq!(note("a", 60), ["a count=3"]);
        assert_eq!(repeats.due(at(200)), [""; 0]);
        assert_eq!(note("a", 61), [""; 0]);
        assert_eq!(repeats.due(at(119)), [""; 0]);
        assert_eq!(repeats.due(at(120)), ["a count=1"], "without another one of its kind");
        note("b", 121);
        note("b", 122);
        assert_eq!(repeats.rest(), ["b count=1"]);
        assert_eq!(repeats.rest(), [""; 0]);
    }

    #[test]
    fn kinds_are_bounded_and_none_goes_untold() {
        let repeats = Repeats::default();
        let now = Instant::now();
        let mut told = 0;
        for number in 0..10 * KINDS_MAX {
            for _ in 0..3 {
                told += repeats
                    .note(number.to_string(), now)
                    .iter()
                    .map(|line| count(line))
                    .sum::<u64>();
            }
        }
        told += repeats.rest().iter().map(|line| count(line)).sum::<u64>();
        assert_eq!(told, 30 * KINDS_MAX as u64);
        assert_eq!(repeats.kinds().len(), KINDS_MAX);

        fn count(line: &str) -> u64 {
            line.rsplit('=').next().unwrap().parse().unwrap()
        }
    }
}
