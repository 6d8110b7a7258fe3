//! What a request cost, and what its cuts saved.
//!
//! All arithmetic is in whole numbers: pico-dollars per token in, nano-dollars out. Every surface
//! (reports, footer, traces, metrics) shows what this file made of a request, once.

use serde::{Deserialize, Serialize};

use super::{Kind, Quote, Rates, Terms};
use crate::wire::Usage;

/// Money of one request in nano-dollars. A negative saving is a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Money {
    pub(crate) cost_nano: i64,
    pub(crate) saved_nano: i64,
    pub(crate) source: Source,
}

/// Who says what a request cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The provider, in its answer.
    Provider,
    /// The user's own prices.
    Configured,
    /// The list that is built in.
    Listed,
}

impl Source {
    /// In the ledger.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Source::Provider => "provider",
            Source::Configured => "configured",
            Source::Listed => "listed",
        }
    }
}

/// The places where the prompt was cut, in our own raw counts.
#[derive(Clone, Copy)]
pub(crate) struct Cuts<'a> {
    /// The whole prompt as sent.
    pub(crate) tokens_after: Option<u64>,
    /// Tokens of the prompt as sent before the place, and tokens saved there.
    pub(crate) places: &'a [(u64, i64)],
    /// So many billed tokens for so many of ours.
    pub(crate) ratio: (u64, u64),
}

/// Tokens that were cut, by the rate at which they would have been billed: of what a later price makes
/// other money.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SavedTokens {
    /// As the parts of a prompt.
    parts: [i64; 6],
    /// So many billed tokens for so many of ours.
    ratio: (u64, u64),
}

impl SavedTokens {
    pub(crate) fn of(usage: &Usage, cuts: Cuts<'_>) -> SavedTokens {
        // More is not believed, and has no price.
        let input = usage.input.unwrap_or(0).min(TOKENS_MAX);
        let parts = RateSegments::new(usage, &Rates::default(), input).saved(input, cuts);
        SavedTokens { parts, ratio: cuts.ratio }
    }

    pub(crate) fn is_none(&self) -> bool {
        self.parts == [0; 6]
    }
}

impl Money {
    /// With what another turn within the same request cost.
    pub(crate) fn plus(self, other: Money) -> Money {
        Money {
            cost_nano: self.cost_nano.saturating_add(other.cost_nano),
            saved_nano: self.saved_nano.saturating_add(other.saved_nano),
            ..self
        }
    }
}

/// No request has more; a provider that says so is not believed, or one wrong row would make the
/// sums of all reports overflow.
const TOKENS_MAX: u64 = 1 << 30;

/// Of a request at `ts` (Unix seconds). `None` if the list does not say what was served costs, or the
/// provider not all that is billed. The provider's own figure counts before any list.
pub(crate) fn money(
    quote: Option<Quote<'_>>,
    ts: i64,
    usage: &Usage,
    saved: &SavedTokens,
) -> Option<Money> {
    let (input, output) = (usage.input?, usage.output?);
    if input.max(output) > TOKENS_MAX {
        return None;
    }
    let terms = Terms {
        ts,
        input,
        tier: usage.tier,
        is_fast: usage.is_fast,
        is_regional: usage.is_regional,
    };
    let rates = quote.and_then(|quote| quote.rates(&terms));
    let (cost_nano, source) = match (usage.cost_nano, rates) {
        (Some(cost), _) => (cost, Source::Provider),
        (None, Some(rates)) => {
            let is_own = quote.is_some_and(|quote| quote.is_own());
            let source = if is_own { Source::Configured } else { Source::Listed };
            (cost(usage, &rates, (input, output))?, source)
        }
        (None, None) => return None,
    };
    let saved_nano = rates.map_or(0, |rates| RateSegments::new(usage, &rates, input).worth(saved));
    Some(Money { cost_nano, saved_nano, source })
}

/// In nano-dollars; `None` if something was billed that has no price.
fn cost(usage: &Usage, rates: &Rates, (input, output): (u64, u64)) -> Option<i64> {
    let audio = usage.audio_output.unwrap_or(0).min(output);
    let image = usage.image_output.unwrap_or(0).min(output - audio);
    let part = |tokens: u64, rate: Option<u32>| match tokens {
        0 => Some(0),
        _ => rate.map(|rate| i128::from(tokens) * i128::from(rate)),
    };
    let pico = RateSegments::new(usage, rates, input).cost()
        + part(audio, rates[Kind::AudioOutput])?
        + part(image, rates[Kind::ImageOutput].or(Some(rates.output())))?
        + part(output - audio - image, Some(rates.output()))?;
    let searches = usage.searches.unwrap_or(0);
    let searches = match rates[Kind::SearchRequest] {
        Some(rate) => part(searches.min(1), Some(rate))?,
        None => part(searches, rates[Kind::Search])?,
    };
    Some(nano(pico, 1).saturating_add(i64::try_from(searches).ok()?))
}

/// A prompt as it was billed: its beginning read from the cache, then what was written to it, then
/// the rest. Longer-lived writes come before those of five minutes: Anthropic demands that order.
struct RateSegments {
    /// Tokens, and their rate.
    parts: [(u64, u32); 6],
}

impl RateSegments {
    fn new(usage: &Usage, rates: &Rates, input: u64) -> RateSegments {
        let read = usage.cache_read.unwrap_or(0).min(input);
        let write = usage.cache_write.unwrap_or(0).min(input - read);
        let write_12h = usage.cache_write_12h.unwrap_or(0).min(write);
        let write_1h = usage.cache_write_1h.unwrap_or(0).min(write - write_12h);
        let plain = input - read - write;
        let audio = usage.audio_input.unwrap_or(0).min(plain);
        let rate = rates[Kind::CacheWrite].unwrap_or(rates.input());
        let rate_1h = rates[Kind::CacheWrite1h].unwrap_or(rate);
        RateSegments {
            parts: [
                (read, rates[Kind::CacheRead].unwrap_or(rates.input())),
                (write_12h, rates[Kind::CacheWrite12h].unwrap_or(rate_1h)),
                (write_1h, rate_1h),
                (write - write_12h - write_1h, rate),
                (audio, rates[Kind::AudioInput].unwrap_or(rates.input())),
                (plain - audio, rates.input()),
            ],
        }
    }

    /// In pico-dollars.
    fn cost(&self) -> i128 {
        self.parts.iter().map(|(tokens, rate)| i128::from(*tokens) * i128::from(*rate)).sum()
    }

    /// The saved tokens by the part of the prompt in which they were cut. The place is a share of the
    /// prompt, and this prompt's own length in billed tokens is known.
    fn saved(&self, input: u64, cuts: Cuts<'_>) -> [i64; 6] {
        let after = i128::from(cuts.tokens_after.unwrap_or(0).max(1));
        let mut saved = [0_i64; 6];
        for (at, tokens) in cuts.places {
            let part = self.part_at(i128::from(*at) * i128::from(input) / after);
            saved[part] = saved[part].saturating_add(*tokens);
        }
        saved
    }

    /// Every saved token at the rate of its part. The saved tokens were never billed: they are
    /// converted by the model's ratio.
    fn worth(&self, saved: &SavedTokens) -> i64 {
        let rates = self.parts.iter().map(|(_, rate)| i128::from(*rate));
        let pico = saved.parts.iter().zip(rates).map(|(tokens, rate)| i128::from(*tokens) * rate);
        let (billed, counted) = saved.ratio;
        nano(pico.sum::<i128>() * i128::from(billed), i128::from(counted.max(1)))
    }

    /// The part with the token that many billed tokens into the prompt.
    fn part_at(&self, place: i128) -> usize {
        let mut end = 0;
        let part = self.parts.iter().position(|(tokens, _)| {
            end += i128::from(*tokens);
            place < end
        });
        part.unwrap_or(self.parts.len() - 1)
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
    use crate::prices::Prices;

    const NOON_2026_11_23: i64 = 1_795_435_200;

    const ONE: (u64, u64) = (1, 1);

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
            let money = of_model(model, ts, &usage, cuts);
            let source = Source::Listed;
            assert_eq!(money, Some(Money { cost_nano, saved_nano: 0, source }));
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
            assert_eq!(of_model(model, 0, &usage, cuts), None);
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
            for (ratio, of_one) in [(ONE, 4), ((5, 4), 5), ((9, 12), 3)] {
                let cuts = Cuts { tokens_after: Some(tokens_after), places, ratio };
                let money = of_model("claude-sonnet-4-5", 0, &usage, cuts).unwrap();
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
            let ratio = (125, 100);
            let cuts = Cuts { tokens_after: Some(after), places, ratio };
            let money = of_model("claude-sonnet-4-5", 0, &usage, cuts).unwrap();
            assert_eq!((money.cost_nano, money.saved_nano), want);
        }
    }

    /// At the list's price.
    fn of_model(model: &str, ts: i64, usage: &Usage, cuts: Cuts<'_>) -> Option<Money> {
        money(Prices::default().quote(model, "openai"), ts, usage, &SavedTokens::of(usage, cuts))
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
