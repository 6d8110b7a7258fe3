//! The rates of one request: a row of the table, read for what was served.

use std::ops::Index;

use crate::wire::Tier;

/// What a rate is for. Those of tokens come first: a factor goes for them alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Input,
    Output,
    CacheRead,
    /// Kept for five minutes, or as long as the provider keeps what it does not say more of.
    CacheWrite,
    CacheWrite1h,
    CacheWrite12h,
    AudioInput,
    AudioOutput,
    ImageOutput,
    /// Each search of the provider's own tool.
    Search,
    /// A request that searched, however often.
    SearchRequest,
}

/// Every kind, in order, with its letter in the table and its name.
const KINDS: [(Kind, u8, &str); 11] = [
    (Kind::Input, b'i', "input"),
    (Kind::Output, b'o', "output"),
    (Kind::CacheRead, b'r', "cache read"),
    (Kind::CacheWrite, b'w', "cache write"),
    (Kind::CacheWrite1h, b'h', "cache write for an hour"),
    (Kind::CacheWrite12h, b'd', "cache write for 12 hours"),
    (Kind::AudioInput, b'a', "audio input"),
    (Kind::AudioOutput, b'b', "audio output"),
    (Kind::ImageOutput, b'p', "image output"),
    (Kind::Search, b's', "1,000 searches"),
    (Kind::SearchRequest, b'g', "1,000 requests that search"),
];

/// The letter of a factor.
const FACTOR: u8 = b'x';

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        KINDS[self as usize].2
    }
}

/// By kind: pico-dollars per token, which is dollars per million tokens times a million, and
/// nano-dollars per search. `None`: no rate of its own; the next more general one applies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rates([Option<u32>; KINDS.len()]);

impl Index<Kind> for Rates {
    type Output = Option<u32>;

    fn index(&self, kind: Kind) -> &Option<u32> {
        &self.0[kind as usize]
    }
}

impl Rates {
    pub(super) fn new(known: &[(Kind, Option<u32>)]) -> Rates {
        let mut rates = Rates::default();
        known.iter().for_each(|(kind, rate)| rates.0[*kind as usize] = *rate);
        rates
    }

    /// Every row of the table has one.
    pub(crate) fn input(&self) -> u32 {
        self[Kind::Input].unwrap_or(0)
    }

    /// Every row of the table has one.
    pub(crate) fn output(&self) -> u32 {
        self[Kind::Output].unwrap_or(0)
    }

    /// Those that are known, in order.
    pub(crate) fn list(&self) -> impl Iterator<Item = (Kind, u32)> {
        KINDS.iter().zip(self.0).filter_map(|((kind, ..), rate)| Some((*kind, rate?)))
    }

    /// Takes one rate of a section, or multiplies by its factor.
    fn set(&mut self, kind: Option<Kind>, rate: u32) {
        match kind {
            Some(kind) => self.0[kind as usize] = Some(rate),
            None => self.scale(rate),
        }
    }

    /// Multiplies the tokens' rates by so many millionths.
    pub(super) fn scale(&mut self, factor: u32) {
        for rate in self.0[..Kind::Search as usize].iter_mut().flatten() {
            let scaled = u64::from(*rate) * u64::from(factor) / 1_000_000;
            *rate = u32::try_from(scaled).unwrap_or(u32::MAX);
        }
    }
}

/// All that decides which of a model's rates apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    /// Unix seconds.
    pub(crate) ts: i64,
    /// Tokens of the whole prompt.
    pub(crate) input: u64,
    pub(crate) tier: Tier,
    /// Anthropic's `speed: fast`.
    pub(crate) is_fast: bool,
    /// Served in one country only (Anthropic's `inference_geo: us`).
    pub(crate) is_regional: bool,
}

/// A row's rates under conditions, as they stand in it; the first section has none.
pub(crate) fn sections(spec: &str) -> impl Iterator<Item = (&str, &str)> {
    spec.split('[').map(|section| match section.split_once(']') {
        Some((conditions, rates)) => (conditions, rates),
        None => ("", section),
    })
}

/// The rates under these terms; `None` if the row does not say what they are.
pub(crate) fn resolve(spec: &str, terms: &Terms) -> Option<Rates> {
    let mut rates = Rates::default();
    let (mut has_tier, mut has_speed, mut has_region) =
        (terms.tier == Tier::Standard, !terms.is_fast, !terms.is_regional);
    for (conditions, words) in sections(spec) {
        if !conditions.split(',').all(|condition| condition.is_empty() || holds(condition, terms)) {
            continue;
        }
        for condition in conditions.split(',') {
            has_tier |= condition == terms.tier.name();
            has_speed |= condition == "speed";
            has_region |= condition == "us";
        }
        self::words(words).for_each(|(kind, rate)| rates.set(kind, rate));
    }
    (has_tier && has_speed && has_region).then_some(rates)
}

fn holds(condition: &str, terms: &Terms) -> bool {
    if let Some(limit) = condition.strip_prefix('>') {
        return limit.parse().is_ok_and(|limit| terms.input > limit);
    }
    match condition.split_once('=') {
        Some(("from", day)) => start_of(day).is_some_and(|start| terms.ts >= start),
        Some(("daily", minutes)) => is_within(minutes, terms.ts.rem_euclid(86_400) / 60),
        Some(_) => false,
        None => match condition {
            "speed" => terms.is_fast,
            "us" => terms.is_regional,
            tier => tier == terms.tier.name(),
        },
    }
}

fn is_within(minutes: &str, minute: i64) -> bool {
    let bounds = minutes.split_once('-');
    bounds.is_some_and(|(from, to)| {
        from.parse().is_ok_and(|from: i64| minute >= from)
            && to.parse().is_ok_and(|to: i64| minute < to)
    })
}

/// The Unix time at which a day (`2026-12-01`) begins, UTC.
fn start_of(day: &str) -> Option<i64> {
    let mut parts = day.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    // Years begin in March here, so that a leap day is the last one.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some((days + (153 * month + 2) / 5 + day - 1 - 719_468) * 86_400)
}

/// The kinds and rates of a section; a factor, in millionths, has no kind.
pub(crate) fn words(section: &str) -> impl Iterator<Item = (Option<Kind>, u32)> {
    letters(section).filter_map(|(letter, rate)| match letter {
        FACTOR => Some((None, rate)),
        _ => KINDS
            .iter()
            .find(|(_, known, _)| *known == letter)
            .map(|(kind, ..)| (Some(*kind), rate)),
    })
}

/// Letters and millionths; `5/25` is `i5 o25`.
fn letters(section: &str) -> impl Iterator<Item = (u8, u32)> {
    section.split(' ').flat_map(|word| {
        let pair = match (word.split_once('/'), word.as_bytes().first()) {
            (Some((input, output)), _) => [Some((b'i', micro(input))), Some((b'o', micro(output)))],
            (None, Some(letter)) => [word.get(1..).map(|number| (*letter, micro(number))), None],
            (None, None) => [None, None],
        };
        pair.into_iter().flatten()
    })
}

/// A decimal number in millionths; what lies below them is cut off.
fn micro(number: &str) -> u32 {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(6);
    let fraction = digits.fold(0, |sum, digit| sum * 10 + u32::from(digit.wrapping_sub(b'0')));
    whole.parse::<u32>().unwrap_or(0) * 1_000_000 + fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_follow_what_was_served() {
        let base = Terms { ts: 1_796_083_199, input: 10, ..Terms::default() };
        check(base, Some((2_000_000, 10_000_000, 100_000)));
        check(Terms { input: 272_001, ..base }, Some((4_000_000, 15_000_000, 200_000)));
        check(Terms { ts: 1_796_083_200, ..base }, Some((3_000_000, 10_000_000, 100_000)));
        check(Terms { ts: 60 * 60, ..base }, Some((2_000_000, 11_000_000, 100_000)));
        check(Terms { tier: Tier::Flex, ..base }, Some((1_000_000, 5_000_000, 100_000)));
        let special = Terms { is_fast: true, is_regional: true, ..base };
        check(special, Some((4_400_000, 22_000_000, 220_000)));
        check(Terms { tier: Tier::Priority, ..base }, None);
        check(Terms { tier: Tier::Unknown, ..base }, None);
        assert_eq!(resolve("1/2", &Terms { is_fast: true, ..base }), None);
        assert_eq!(resolve("1/2", &Terms { is_regional: true, ..base }), None);

        #[track_caller]
        fn check(terms: Terms, want: Option<(u32, u32, u32)>) {
            let spec = "2/10 r0.1 w2.5 s10 [>272000] 4/15 r0.2 [from=2026-12-01] i3 \
                        [daily=60-240] o11 [flex] 1/5 [speed] x2 [us] x1.1";
            let got = resolve(spec, &terms)
                .map(|rates| (rates.input(), rates.output(), rates[Kind::CacheRead]));
            let want = want.map(|(input, output, read)| (input, output, Some(read)));
            assert_eq!(got, want, "{terms:?}");
        }
    }

    #[test]
    fn every_kind_stands_at_its_place() {
        for (place, (kind, letter, name)) in KINDS.iter().enumerate() {
            assert_eq!((*kind as usize, kind.name()), (place, *name));
            let spec = format!("{}3 x2", *letter as char);
            let rate = if place < Kind::Search as usize { 6_000_000 } else { 3_000_000 };
            let rates = resolve(&spec, &Terms::default()).unwrap();
            assert_eq!(rates.list().collect::<Vec<_>>(), [(*kind, rate)], "{spec}");
        }
    }

    #[test]
    fn days_and_numbers_are_read_exactly() {
        for (day, start) in
            [("1970-01-01", 0), ("2000-02-29", 951_782_400), ("2026-12-01", 1_796_083_200)]
        {
            assert_eq!(start_of(day), Some(start), "{day}");
        }
        for (text, want) in [("0.003625", 3625), ("75", 75_000_000), ("0", 0), ("0.5", 500_000)] {
            assert_eq!(micro(text), want);
        }
    }
}
