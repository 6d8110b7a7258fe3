//! What reports add up: counts, tokens, money, and how long the proxy took.

/// Totals over some requests. `None` is "nothing known", never zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) requests: i64,
    pub(crate) errors: i64,
    /// Our own counts of the prompt as received and as sent.
    pub(crate) tokens_before: Option<i64>,
    pub(crate) tokens_after: Option<i64>,
    /// As billed; cached tokens are part of the input.
    pub(crate) input_tokens: Option<i64>,
    pub(crate) cache_read_tokens: Option<i64>,
    pub(crate) cache_write_tokens: Option<i64>,
    pub(crate) output_tokens: Option<i64>,
    /// Nano-dollars; requests without a price are not in them.
    pub(crate) cost_nano: Option<i64>,
    pub(crate) saved_nano: Option<i64>,
    /// Requests that are not in the costs: the answer brought no usage, or the model has no price.
    pub(crate) no_usage: i64,
    pub(crate) no_price: i64,
}

impl Sums {
    pub(crate) fn add(&mut self, other: &Sums) {
        self.requests += other.requests;
        self.errors += other.errors;
        add(&mut self.tokens_before, other.tokens_before);
        add(&mut self.tokens_after, other.tokens_after);
        add(&mut self.input_tokens, other.input_tokens);
        add(&mut self.cache_read_tokens, other.cache_read_tokens);
        add(&mut self.cache_write_tokens, other.cache_write_tokens);
        add(&mut self.output_tokens, other.output_tokens);
        add(&mut self.cost_nano, other.cost_nano);
        add(&mut self.saved_nano, other.saved_nano);
        self.no_usage += other.no_usage;
        self.no_price += other.no_price;
    }

    pub(crate) fn tokens_saved(&self) -> Option<i64> {
        Some(self.tokens_before? - self.tokens_after?)
    }

    /// Requests that are not in the costs, for whatever reason.
    pub(crate) fn unpriced(&self) -> i64 {
        self.no_usage + self.no_price
    }

    /// Of no requests everything is known to be zero.
    pub(crate) fn or_zero(self) -> Sums {
        if self.requests > 0 {
            return self;
        }
        let none = Some(0);
        Sums {
            tokens_before: none,
            tokens_after: none,
            input_tokens: none,
            cache_read_tokens: none,
            cache_write_tokens: none,
            output_tokens: none,
            cost_nano: none,
            saved_nano: none,
            ..Sums::default()
        }
    }
}

/// What is unknown for every part is unknown for the whole.
fn add(sum: &mut Option<i64>, part: Option<i64>) {
    if let Some(part) = part {
        *sum = Some(sum.unwrap_or(0).saturating_add(part));
    }
}

/// Upper ends of the latency classes, in microseconds: the columns us_50 to us_1000000 of the
/// database. A last class takes what is longer.
pub(super) const CLASSES_US: [i64; 24] = [
    50, 70, 100, 150, 200, 300, 500, 700, 1_000, 1_500, 2_000, 3_000, 5_000, 7_000, 10_000, 15_000,
    20_000, 30_000, 50_000, 70_000, 100_000, 200_000, 500_000, 1_000_000,
];

/// How many requests each latency class has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Latency(pub(super) [i64; CLASSES_US.len() + 1]);

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

    #[test]
    fn what_is_unknown_for_all_parts_is_unknown_and_nothing_is_zero() {
        let mut sum = Sums::default();
        assert_eq!(sum.clone().or_zero().cost_nano, Some(0));
        sum.add(&Sums { requests: 1, ..Sums::default() });
        assert_eq!((sum.clone().or_zero().cost_nano, sum.tokens_saved()), (None, None));
        let known = Sums { requests: 1, cost_nano: Some(5), ..Sums::default() };
        sum.add(&known);
        assert_eq!((sum.requests, sum.cost_nano), (2, Some(5)));
    }
}
