//! What a request cost, and what its cuts saved.
//!
//! All arithmetic is in whole numbers: pico-dollars per token in, nano-dollars out. Every surface
//! (reports, footer, traces, metrics) shows what this file made of a request, once.

use super::calibrate::Ratio;
use super::lookup::Prices;
use crate::wire::Usage;

/// Pico-dollars per token, which is dollars per million tokens times a million.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rates {
    pub(crate) input: u32,
    pub(crate) output: u32,
    /// `None`, here and below: no rate of its own; the next more general one applies.
    pub(crate) write_5m: Option<u32>,
    pub(crate) write_1h: Option<u32>,
    pub(crate) read: Option<u32>,
}

/// "No rate of its own" in the table: the next more general one applies.
pub(super) const NONE: u32 = u32::MAX;

pub(super) const fn rates(
    input: u32,
    output: u32,
    write_5m: u32,
    write_1h: u32,
    read: u32,
) -> Rates {
    Rates { input, output, write_5m: said(write_5m), write_1h: said(write_1h), read: said(read) }
}

const fn said(rate: u32) -> Option<u32> {
    if rate == NONE { None } else { Some(rate) }
}

/// Money of one request in nano-dollars. A negative saving is a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Money {
    pub(crate) cost_nano: i64,
    pub(crate) saved_nano: i64,
}

/// The places where the prompt was cut, in our own raw counts.
#[derive(Clone, Copy)]
pub(super) struct Cuts<'a> {
    /// The whole prompt as sent.
    pub(super) tokens_after: Option<u64>,
    /// Tokens of the prompt as sent before the place, and tokens saved there.
    pub(super) places: &'a [(u64, i64)],
    /// What one of our tokens is in billed ones.
    pub(super) ratio: Ratio,
}

/// No request has more; a provider that says so is not believed, or one wrong row would make the
/// sums of all reports overflow.
const TOKENS_MAX: u64 = 1 << 30;

/// `None` if the model has no price, or the provider did not say all that is billed.
pub(super) fn money(
    prices: &Prices,
    (model, ts): (&str, i64),
    usage: &Usage,
    cuts: Cuts<'_>,
) -> Option<Money> {
    let (input, output) = (usage.input?, usage.output?);
    if input.max(output) > TOKENS_MAX {
        return None;
    }
    let rates = prices.rates(model, ts, input)?;
    let segments = RateSegments::new(usage, &rates, input);
    let cost = segments.cost() + i128::from(output) * i128::from(rates.output);
    Some(Money { cost_nano: nano(cost, 1), saved_nano: segments.saved(input, cuts) })
}

/// A prompt as it was billed: its beginning read from the cache, then what was written to it, then
/// the rest. An hour's writes come before those of five minutes: Anthropic demands that order.
struct RateSegments {
    /// Tokens, and their rate.
    parts: [(u64, u32); 4],
}

impl RateSegments {
    fn new(usage: &Usage, rates: &Rates, input: u64) -> RateSegments {
        let read = usage.cache_read.unwrap_or(0).min(input);
        let write = usage.cache_write.unwrap_or(0).min(input - read);
        let write_1h = usage.cache_write_1h.unwrap_or(0).min(write);
        let rate_5m = rates.write_5m.unwrap_or(rates.input);
        RateSegments {
            parts: [
                (read, rates.read.unwrap_or(rates.input)),
                (write_1h, rates.write_1h.unwrap_or(rate_5m)),
                (write - write_1h, rate_5m),
                (input - read - write, rates.input),
            ],
        }
    }

    /// In pico-dollars.
    fn cost(&self) -> i128 {
        self.parts.iter().map(|(tokens, rate)| i128::from(*tokens) * i128::from(*rate)).sum()
    }

    /// Every saved token at the rate of the place where it was cut. The place is a share of the
    /// prompt, and this prompt's own length in billed tokens is known. The saved tokens were never
    /// billed: they are converted by the model's ratio.
    fn saved(&self, input: u64, cuts: Cuts<'_>) -> i64 {
        let after = i128::from(cuts.tokens_after.unwrap_or(0).max(1));
        let pico = cuts.places.iter().map(|(at, saved)| {
            let place = i128::from(*at) * i128::from(input) / after;
            i128::from(*saved) * i128::from(self.rate_at(place))
        });
        nano(pico.sum::<i128>() * i128::from(cuts.ratio.billed), i128::from(cuts.ratio.counted))
    }

    /// The rate of the token that many billed tokens into the prompt.
    fn rate_at(&self, place: i128) -> u32 {
        let mut end = 0;
        for (tokens, rate) in self.parts {
            end += i128::from(tokens);
            if place < end {
                return rate;
            }
        }
        self.parts[3].1
    }
}

/// `pico / divisor` in nano-dollars, to the nearest.
fn nano(pico: i128, divisor: i128) -> i64 {
    let unit = divisor * 1000;
    let rounded = (pico + unit / 2).div_euclid(unit);
    i64::try_from(rounded).unwrap_or(if rounded < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON_2026_11_23: i64 = 1_795_435_200;

    const ONE: Ratio = Ratio { billed: 1, counted: 1 };

    #[test]
    fn requests_are_priced_by_kind_of_token_size_and_time() {
        // 61 at $3, 2,000 read at $0.30, 500 written at $3.75, 300 for an hour at
        // $6, 412 of output at $15.
        let usage = usage(2861, 2000, 800, 300, 412);
        check("claude-sonnet-4-5", 0, usage, 183_000 + 600_000 + 1_875_000 + 1_800_000 + 6_180_000);
        // Over 200,000 every token is dearer, the first one too.
        check("claude-sonnet-4-5", 0, usage_of(200_000, 10), 600_000_000 + 150_000);
        check("claude-sonnet-4-5", 0, usage_of(200_001, 10), 1_200_006_000 + 225_000);
        // No rate for reading: the input's.
        check("gpt-4", 0, self::usage(100, 50, 0, 0, 1), 3_000_000 + 60_000);
        // One rate for writing holds for both kinds.
        check("gpt-6.1-sol", 0, self::usage(100, 0, 100, 40, 0), 250_000);
        // Doubles on 2026-12-01.
        check("gemini-4-argon", NOON_2026_11_23, usage_of(1000, 0), 2_000_000);
        check("gemini-4-argon", 1_796_083_199, usage_of(1000, 0), 2_000_000);
        check("gemini-4-argon", 1_796_083_200, usage_of(1000, 0), 4_000_000);
        // Dearer from 00:30 to 16:30 UTC.
        check("deepseek-chat", NOON_2026_11_23, usage_of(1000, 0), 270_000);
        check("deepseek-chat", NOON_2026_11_23 + 5 * 3600, usage_of(1000, 0), 135_000);
        // Half a nano-dollar is rounded up: 1 token at $0.2288.
        check("deepseek-v3.2", 0, usage_of(1, 0), 229);

        #[track_caller]
        fn check(model: &str, ts: i64, usage: Usage, cost_nano: i64) {
            let cuts = Cuts { tokens_after: None, places: &[], ratio: ONE };
            let money = money(&Prices::default(), (model, ts), &usage, cuts);
            assert_eq!(money, Some(Money { cost_nano, saved_nano: 0 }));
        }
    }

    #[test]
    fn no_usage_or_no_price_is_no_money() {
        check("local-llama", usage_of(10, 10));
        check("gpt-4o", Usage { output: None, ..usage_of(10, 10) });
        check("gpt-4o", Usage::default());
        check("gpt-4o", usage_of(u64::MAX, 1));

        #[track_caller]
        fn check(model: &str, usage: Usage) {
            let cuts = Cuts { tokens_after: Some(10), places: &[(5, 5)], ratio: ONE };
            assert_eq!(money(&Prices::default(), (model, 0), &usage, cuts), None);
        }
    }

    #[test]
    fn a_cut_saves_at_the_rate_of_its_place() {
        // Sonnet 4.5: read $0.30, write $3.75, input $3; 1,000 read, 500 written, 500 plain.
        let usage = usage(2000, 1000, 500, 0, 0);
        check(usage, 2000, &[(0, 100)], 30_000);
        check(usage, 2000, &[(999, 100)], 30_000);
        check(usage, 2000, &[(1000, 100)], 375_000);
        check(usage, 2000, &[(1500, 100)], 300_000);
        check(usage, 2000, &[(2000, 100)], 300_000);
        check(usage, 2000, &[(0, 100), (1000, -10), (1500, 1)], 30_000 - 37_500 + 3_000);
        // We counted 1,000 where 2,000 were billed: the middle is the middle.
        check(usage, 1000, &[(499, 100)], 30_000);
        check(usage, 1000, &[(500, 100)], 375_000);
        check(usage, 0, &[(0, 100)], 30_000);
        // Without cache figures every place is billed alike.
        check(usage_of(2000, 0), 2000, &[(0, 100), (1999, 100)], 600_000);

        #[track_caller]
        fn check(usage: Usage, tokens_after: u64, places: &[(u64, i64)], saved_nano: i64) {
            for (ratio, of_one) in [
                (ONE, 4),
                (Ratio { billed: 5, counted: 4 }, 5),
                (Ratio { billed: 9, counted: 12 }, 3),
            ] {
                let cuts = Cuts { tokens_after: Some(tokens_after), places, ratio };
                let prices = Prices::default();
                let money = money(&prices, ("claude-sonnet-4-5", 0), &usage, cuts).unwrap();
                assert_eq!(money.saved_nano, saved_nano * of_one / 4, "{ratio:?}");
            }
        }
    }

    /// The examples of tokenpak(1), MONEY.
    #[test]
    fn manual_works_it_out() {
        check(usage(9000, 6000, 2000, 500, 77), 1, &[], (14_580_000, 0));
        let usage = usage(10_000, 7000, 3000, 0, 0);
        let cost = 7000 * 300 + 3000 * 3750;
        check(usage, 8000, &[(6000, 2000)], (cost, 9_375_000));
        check(usage, 8000, &[(5000, 2000)], (cost, 750_000));

        #[track_caller]
        fn check(usage: Usage, after: u64, places: &[(u64, i64)], want: (i64, i64)) {
            let ratio = Ratio::of_hundredths(125);
            let cuts = Cuts { tokens_after: Some(after), places, ratio };
            let model = ("claude-sonnet-4-5", 0);
            let money = money(&Prices::default(), model, &usage, cuts).unwrap();
            assert_eq!((money.cost_nano, money.saved_nano), want);
        }
    }

    fn usage(input: u64, read: u64, write: u64, write_1h: u64, output: u64) -> Usage {
        Usage {
            cache_read: Some(read),
            cache_write: Some(write),
            cache_write_1h: Some(write_1h),
            ..usage_of(input, output)
        }
    }

    fn usage_of(input: u64, output: u64) -> Usage {
        Usage { input: Some(input), output: Some(output), ..Usage::default() }
    }
}
