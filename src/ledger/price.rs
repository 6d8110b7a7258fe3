//! What a request cost, and what its cuts saved.
//!
//! Prices are looked up by the model's name and the time of the request, never guessed: a name
//! that no rule covers has no price, and the request's money is unknown. All arithmetic is in whole
//! numbers: pico-dollars per token in, nano-dollars out.

use crate::wire::Usage;

/// Pico-dollars per token, which is dollars per million tokens times a million.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rates {
    input: u32,
    output: u32,
    write_5m: Option<u32>,
    write_1h: Option<u32>,
    read: Option<u32>,
}

/// "No rate of its own" in the table: the next more general one applies.
pub(super) const NONE: u32 = u32::MAX;

/// A row of the price table.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) base: Rates,
    /// Of one kind only, in rising order.
    pub(super) except: &'static [Except],
}

/// When other rates than the base ones apply, to the whole request.
pub(super) enum Except {
    /// To a request of more input tokens than this.
    Above(u64, Rates),
    /// From this Unix time on.
    From(i64, Rates),
    /// Between two minutes of the day, UTC.
    Daily(i64, i64, Rates),
}

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
pub(super) struct Money {
    pub(super) cost_nano: i64,
    pub(super) saved_nano: i64,
}

/// The places where the prompt was cut, in our own raw counts.
#[derive(Clone, Copy)]
pub(super) struct Cuts<'a> {
    /// The whole prompt as sent.
    pub(super) tokens_after: Option<u64>,
    /// Tokens of the prompt as sent before the place, and tokens saved there.
    pub(super) places: &'a [(u64, i64)],
}

/// No request has more; a provider that says so is not believed, or one wrong row would make the
/// sums of all reports overflow.
const TOKENS_MAX: u64 = 1 << 30;

/// `None` if the model has no price, or the provider did not say all that is billed.
pub(super) fn money(model: &str, ts: i64, usage: &Usage, cuts: Cuts<'_>) -> Option<Money> {
    let (input, output) = (usage.input?, usage.output?);
    if input.max(output) > TOKENS_MAX {
        return None;
    }
    let rates = find(model)?.at(ts, input);
    let zones = Zones::new(usage, &rates, input);
    let cost = zones.cost() + i128::from(output) * i128::from(rates.output);
    Some(Money { cost_nano: nano(cost, 1), saved_nano: zones.saved(input, cuts) })
}

/// A prompt as it was billed: its beginning read from the cache, then what was written to it, then
/// the rest. An hour's writes come before those of five minutes: Anthropic demands that order.
struct Zones {
    /// Tokens, and their rate.
    parts: [(u64, u32); 4],
}

impl Zones {
    fn new(usage: &Usage, rates: &Rates, input: u64) -> Zones {
        let read = usage.cache_read.unwrap_or(0).min(input);
        let write = usage.cache_write.unwrap_or(0).min(input - read);
        let write_1h = usage.cache_write_1h.unwrap_or(0).min(write);
        let rate_5m = rates.write_5m.unwrap_or(rates.input);
        Zones {
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

    /// Every saved token at the rate of the place where it was cut. Our counts become billed ones
    /// by this request's own ratio, which is bounded: a prompt may hold pictures that we do not
    /// count, or be so small that framing outweighs it.
    fn saved(&self, input: u64, cuts: Cuts<'_>) -> i64 {
        let (billed, counted) = match cuts.tokens_after {
            Some(after) if after > 0 && input > 0 => match () {
                () if input > after.saturating_mul(3) => (3, 1),
                () if input < after.div_ceil(2) => (1, 2),
                () => (i128::from(input), i128::from(after)),
            },
            _ => (1, 1),
        };
        let pico = cuts.places.iter().map(|(at, saved)| {
            let place = i128::from(*at) * billed / counted;
            i128::from(*saved) * i128::from(self.rate_at(place))
        });
        nano(pico.sum::<i128>() * billed, counted)
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

impl Row {
    /// The rates at a Unix time for a request of that many input tokens.
    fn at(&self, ts: i64, input: u64) -> Rates {
        let minute = ts.rem_euclid(86_400) / 60;
        let mut rates = self.base;
        for except in self.except {
            match *except {
                Except::Above(limit, other) if input > limit => rates = other,
                Except::From(day, other) if ts >= day => rates = other,
                Except::Daily(from, to, other) if (from..to).contains(&minute) => rates = other,
                _ => {}
            }
        }
        rates
    }
}

/// The row with the longest name that covers the model.
fn find(model: &str) -> Option<&'static Row> {
    let model = plain_name(model);
    super::prices::ROWS
        .iter()
        .filter(|row| covers(row.name, &model))
        .max_by_key(|row| row.name.len())
}

/// Lower case, without `models/`, `vendor/` or `region.vendor.`; dots in Claude's names as dashes.
fn plain_name(model: &str) -> String {
    /// As they appear in the names of cloud marketplaces.
    const VENDORS: &[&str] = &["anthropic.", "openai.", "deepseek.", "mistral.", "google.", "xai."];
    let lower = model.to_ascii_lowercase();
    let mut name = lower.rsplit('/').next().unwrap_or(&lower);
    for vendor in VENDORS {
        match name.find(vendor) {
            Some(at) if at == 0 || name[..at].ends_with('.') => name = &name[at + vendor.len()..],
            _ => {}
        }
    }
    if name.starts_with("claude") { name.replace('.', "-") } else { name.to_string() }
}

/// Whether a row's name stands for the model: equal, or followed by a suffix that is not another
/// version. `claude-opus-5` is the price of `claude-opus-5-20260801`, but not of `claude-opus-5-9`.
fn covers(name: &str, model: &str) -> bool {
    let Some(suffix) = model.strip_prefix(name) else { return false };
    let separators = ['-', '@', ':'];
    if suffix.is_empty() {
        return true;
    }
    let Some(rest) = suffix.strip_prefix(separators) else { return false };
    let segment = rest.split(separators).next().unwrap_or(rest);
    !(matches!(segment.len(), 1 | 2) && segment.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON_2026_11_23: i64 = 1_795_435_200;

    #[test]
    fn names_find_their_row_or_none() {
        check("claude-sonnet-4-5", Some("claude-sonnet-4-5"));
        check("claude-sonnet-4-5-20250929", Some("claude-sonnet-4-5"));
        check("claude-sonnet-4-20250514", Some("claude-sonnet-4"));
        check("Claude-Opus-4.1", Some("claude-opus-4-1"));
        check("anthropic/claude-3.5-sonnet", Some("claude-3-5-sonnet"));
        check("us.anthropic.claude-sonnet-4-5-20250929-v1:0", Some("claude-sonnet-4-5"));
        check("anthropic.claude-3-haiku-20240307-v1:0", Some("claude-3-haiku"));
        check("claude-haiku-4-5@20251001", Some("claude-haiku-4-5"));
        check("models/gemini-2.5-pro", Some("gemini-2.5-pro"));
        check("gemini-2.5-flash-lite-preview-06-17", Some("gemini-2.5-flash-lite"));
        check("gpt-4o-2024-08-06", Some("gpt-4o"));
        check("gpt-4o-2024-05-13", Some("gpt-4o-2024-05-13"));
        check("gpt-4o-mini-2024-07-18", Some("gpt-4o-mini"));
        check("gpt-5-codex", Some("gpt-5"));
        check("claude-opus-5-9", None);
        check("gpt-5.7", None);
        check("gpt-4oh", None);
        check("local-llama", None);
        check("ft:gpt-4o:acme::1", None);
        check("", None);

        #[track_caller]
        fn check(model: &str, want: Option<&str>) {
            assert_eq!(find(model).map(|row| row.name), want, "{model}");
        }
    }

    #[test]
    fn every_row_finds_itself() {
        for row in super::super::prices::ROWS {
            assert_eq!(find(row.name).map(|found| found.name), Some(row.name));
        }
    }

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
            let cuts = Cuts { tokens_after: None, places: &[] };
            assert_eq!(money(model, ts, &usage, cuts), Some(Money { cost_nano, saved_nano: 0 }));
        }
    }

    #[test]
    fn no_usage_or_no_price_is_no_money() {
        let cuts = Cuts { tokens_after: Some(10), places: &[(5, 5)] };
        assert_eq!(money("local-llama", 0, &usage_of(10, 10), cuts), None);
        let broken = Usage { output: None, ..usage_of(10, 10) };
        assert_eq!(money("gpt-4o", 0, &broken, cuts), None);
        assert_eq!(money("gpt-4o", 0, &Usage::default(), cuts), None);
        assert_eq!(money("gpt-4o", 0, &usage_of(u64::MAX, 1), cuts), None);
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
        // We counted 1,000 where 2,000 were billed: places and savings double.
        check(usage, 1000, &[(499, 100)], 60_000);
        check(usage, 1000, &[(500, 100)], 750_000);
        // The ratio stays between a half and three.
        check(usage, 10, &[(5, 100)], 90_000);
        check(usage, 9000, &[(4500, 100)], 150_000);
        check(usage, 0, &[(0, 100)], 30_000);
        // Without cache figures every place is billed alike.
        check(usage_of(2000, 0), 2000, &[(0, 100), (1999, 100)], 600_000);

        #[track_caller]
        fn check(usage: Usage, tokens_after: u64, places: &[(u64, i64)], saved_nano: i64) {
            let cuts = Cuts { tokens_after: Some(tokens_after), places };
            let money = money("claude-sonnet-4-5", 0, &usage, cuts).unwrap();
            assert_eq!(money.saved_nano, saved_nano);
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
