//! How long the proxy took, counted in classes: a histogram that can be added up.

/// Upper ends of the latency classes, in microseconds: the columns us_50 to us_1000000 of the
/// database. A last class takes what is longer.
const CLASSES_US: [i64; 24] = [
    50, 70, 100, 150, 200, 300, 500, 700, 1_000, 1_500, 2_000, 3_000, 5_000, 7_000, 10_000, 15_000,
    20_000, 30_000, 50_000, 70_000, 100_000, 200_000, 500_000, 1_000_000,
];

/// How many requests each latency class has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Latency(pub(super) [i64; CLASSES_US.len() + 1]);

/// The columns of the classes, in order.
pub(super) fn columns() -> Vec<String> {
    let classes = CLASSES_US.iter().map(|us| format!("us_{us}"));
    classes.chain(["us_more".to_owned()]).collect()
}

impl Latency {
    #[cfg(test)]
    pub(crate) fn count_in(&mut self, class: usize, requests: i64) {
        self.0[class] += requests;
    }

    /// One more request, which took so many microseconds.
    pub(super) fn take(&mut self, us: i64) {
        self.0[CLASSES_US.partition_point(|class| *class < us)] += 1;
    }

    pub(crate) fn add(&mut self, other: &Latency) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, part)| *sum += part);
    }

    /// About the smallest microseconds that `percent` of the requests do not exceed; within a class
    /// the requests are taken to lie evenly. `None` without any.
    pub(crate) fn percentile(&self, percent: i64) -> Option<i64> {
        let mut rank = (self.0.iter().sum::<i64>() * percent + 99) / 100;
        if rank == 0 {
            return None;
        }
        let mut low = 0;
        for (count, high) in self.0.iter().zip(CLASSES_US) {
            if rank <= *count {
                return Some(low + (high - low) * rank / count);
            }
            rank -= count;
            low = high;
        }
        // Longer than a second: no more is known.
        Some(low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_lie_in_their_class() {
        check(&[], 50, None);
        check(&[(2, 1)], 50, Some(100));
        check(&[(2, 2)], 50, Some(85));
        check(&[(2, 1), (4, 1), (8, 1)], 50, Some(200));
        check(&[(2, 1), (4, 1), (8, 1)], 95, Some(1_000));
        check(&[(11, 94), (13, 6)], 95, Some(5_333));
        check(&[(24, 3)], 50, Some(1_000_000));

        #[track_caller]
        fn check(classes: &[(usize, i64)], percent: i64, want: Option<i64>) {
            let mut latency = Latency::default();
            classes.iter().for_each(|(class, count)| latency.0[*class] = *count);
            assert_eq!(latency.percentile(percent), want);
        }
    }
}
