//! How long rows wait from their hand-over until they are in the file, for `GET /metrics`.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Entry;

/// Upper ends of the buckets, in seconds; about the default of `storage.flush_ms`.
pub(crate) const BOUNDS: [f64; 8] = [0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 5.0, 60.0];

/// Only the writer adds.
#[derive(Default)]
pub(crate) struct Delays {
    counts: [AtomicU64; BOUNDS.len() + 1],
    sum_us: AtomicU64,
}

impl Delays {
    /// Notes rows that have just been written.
    pub(super) fn add(&self, batch: &[Entry]) {
        for entry in batch {
            let waited = entry.handed_over.elapsed();
            let at = BOUNDS.partition_point(|bound| *bound < waited.as_secs_f64());
            self.counts[at].fetch_add(1, Ordering::Relaxed);
            self.sum_us.fetch_add(waited.as_micros() as u64, Ordering::Relaxed);
        }
    }

    /// Rows by bucket, and the sum in seconds.
    pub(crate) fn read(&self) -> ([u64; BOUNDS.len() + 1], f64) {
        let counts = std::array::from_fn(|at| self.counts[at].load(Ordering::Relaxed));
        (counts, self.sum_us.load(Ordering::Relaxed) as f64 / 1e6)
    }
}
