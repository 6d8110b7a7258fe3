//! Local days, hours, weeks and months, which are not all of the same length.
//!
//! The zone's offsets come from outside, as a table of the moments at which they change. All else
//! is arithmetic on days counted from 1970-01-01, a Thursday.

use std::ops::Range;

/// The roll-up's grain; no zone in use has an offset that is not a multiple of it.
pub(crate) const QUARTER: i64 = 900;
const HOUR: i64 = 3600;
const DAY: i64 = 86_400;

/// 2020-01-01: before it the first offset holds, since tokenpak has no records from then.
const EPOCH: i64 = 1_577_836_800;
/// Offsets do not change twice within this.
const STRIDE: i64 = 7 * DAY;
/// How far behind the present a report may look.
const AHEAD: i64 = 400 * DAY;

/// Where the reader is: from each of these Unix times on, so many seconds east of Greenwich.
#[derive(Clone, Debug)]
pub(crate) struct Zone {
    offsets: Vec<(i64, i64)>,
}

impl Zone {
    /// Asks for offsets at Unix times until the changes are known to the quarter of an hour.
    pub(crate) fn of<E>(
        now: i64,
        mut offset_at: impl FnMut(i64) -> Result<i64, E>,
    ) -> Result<Zone, E> {
        let mut last = offset_at(EPOCH)?;
        let mut offsets = vec![(i64::MIN, last)];
        let end = now.max(EPOCH) + AHEAD;
        let mut at = EPOCH;
        while at < end {
            let next = offset_at(at + STRIDE)?;
            if next != last {
                // Between them, in quarters: still the old offset, already the new one.
                let (mut before, mut after) = (0, STRIDE / QUARTER);
                while after - before > 1 {
                    let middle = (before + after) / 2;
                    match offset_at(at + middle * QUARTER)? == last {
                        true => before = middle,
                        false => after = middle,
                    }
                }
                offsets.push((at + after * QUARTER, next));
                last = next;
            }
            at += STRIDE;
        }
        Ok(Zone { offsets })
    }

    /// Seconds east of Greenwich.
    pub(crate) fn offset(&self, ts: i64) -> i64 {
        let at = self.offsets.partition_point(|(from, _)| *from <= ts);
        self.offsets[at.saturating_sub(1)].1
    }

    /// What a clock on the wall shows, counted like a Unix time.
    pub(crate) fn clock(&self, ts: i64) -> i64 {
        ts + self.offset(ts)
    }

    pub(crate) fn day(&self, ts: i64) -> i64 {
        self.clock(ts).div_euclid(DAY)
    }

    /// The first moment at which the clock shows this or more. Clocks that are put forward skip
    /// some times, and clocks that are put back show some twice.
    pub(crate) fn moment(&self, clock: i64) -> i64 {
        for (index, (from, offset)) in self.offsets.iter().enumerate() {
            let ts = (clock - offset).max(*from);
            if self.offsets.get(index + 1).is_none_or(|(next, _)| ts < *next) {
                return ts;
            }
        }
        clock
    }

    /// The Unix time at which a local day begins.
    pub(crate) fn midnight(&self, day: i64) -> i64 {
        self.moment(day * DAY)
    }

    /// `2026-11-22T21:15:03+01:00`
    pub(crate) fn iso(&self, ts: i64) -> String {
        let clock = self.clock(ts);
        let seconds = clock.rem_euclid(DAY);
        let (hour, minute, second) = (seconds / HOUR, seconds % HOUR / 60, seconds % 60);
        let offset = offset_text(self.offset(ts));
        format!("{}T{hour:02}:{minute:02}:{second:02}{offset}", date(clock.div_euclid(DAY)))
    }

    /// `2026-11-22 21:15`
    pub(crate) fn minute(&self, ts: i64) -> String {
        self.iso(ts)[..16].replace('T', " ")
    }
}

/// `+05:30`
pub(super) fn offset_text(east: i64) -> String {
    let (sign, minutes) = if east < 0 { ('-', -east / 60) } else { ('+', east / 60) };
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

/// Spans of local time that reports are made by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Hour,
    Day,
    Week,
    Month,
}

impl Unit {
    /// The number of the span that a moment falls into; it rises with time.
    pub(crate) fn slot(self, zone: &Zone, ts: i64) -> i64 {
        match self {
            Unit::Hour => zone.clock(ts).div_euclid(HOUR),
            Unit::Day => zone.day(ts),
            Unit::Week => week(zone.day(ts)),
            Unit::Month => month(zone.day(ts)),
        }
    }

    /// As the views of the database spell it: `2026-11-22 21:00`, `2026-11-22`, the Monday of a
    /// week, `2026-11`.
    pub(crate) fn label(self, slot: i64) -> String {
        match self {
            Unit::Hour => format!("{} {:02}:00", date(slot.div_euclid(24)), slot.rem_euclid(24)),
            Unit::Day => date(slot),
            Unit::Week => date(slot * 7 - 3),
            Unit::Month => date(first_of_month(slot))[..7].into(),
        }
    }

    /// Every span that a range of Unix times touches, in order.
    pub(crate) fn slots(self, zone: &Zone, range: &Range<i64>) -> Vec<i64> {
        let mut slots = Vec::new();
        let step = if self == Unit::Hour { QUARTER } else { HOUR };
        let mut ts = range.start;
        while ts < range.end {
            let slot = self.slot(zone, ts);
            // An hour that is shown twice is one.
            if slots.last().is_none_or(|last| slot > *last) {
                slots.push(slot);
            }
            ts += step;
        }
        slots
    }
}

/// The number of a day's week, which begins on Monday.
pub(super) fn week(day: i64) -> i64 {
    (day + 3).div_euclid(7)
}

/// The number of a day's month.
pub(super) fn month(day: i64) -> i64 {
    let (year, month, _) = civil(day);
    year * 12 + month - 1
}

pub(super) fn first_of_month(month: i64) -> i64 {
    day_number(month.div_euclid(12), month.rem_euclid(12) + 1, 1)
}

/// `2026-11-22`
pub(crate) fn date(day: i64) -> String {
    let (year, month, day) = civil(day);
    format!("{year:04}-{month:02}-{day:02}")
}

/// The day of a date that exists.
pub(super) fn day_of(year: i64, month: i64, day: i64) -> Option<i64> {
    let number = day_number(year, month, day);
    (civil(number) == (year, month, day)).then_some(number)
}

/// Days since 1970-01-01. Years are taken to begin in March, so that the leap day comes last, and
/// the months' lengths then follow (153 m + 2) / 5.
fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let days = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + days - 719_468
}

/// Year, month and day of a day number.
fn civil(day: i64) -> (i64, i64, i64) {
    let day = day + 719_468;
    // The year that is right or one too early, from the mean length of 400 years.
    let mut year = (day * 400).div_euclid(146_097);
    let begin =
        |year: i64| 365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    while begin(year + 1) <= day {
        year += 1;
    }
    while begin(year) > day {
        year -= 1;
    }
    let rest = day - begin(year);
    let month = (5 * rest + 2) / 153;
    let in_month = rest - (153 * month + 2) / 5 + 1;
    match month < 10 {
        true => (year, month + 3, in_month),
        false => (year + 1, month - 9, in_month),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_are_each_others_inverse() {
        let mut last = (1899, 12, 31);
        for day in -25_567..73_000 {
            let date = civil(day);
            assert_eq!(day_number(date.0, date.1, date.2), day);
            assert!(date > last, "{date:?} after {last:?}");
            last = date;
        }
        for (day, want) in [(0, "1970-01-01"), (20_779, "2026-11-22"), (19_782, "2024-02-29")] {
            assert_eq!(date(day), want);
        }
        assert_eq!(day_of(2026, 2, 29), None);
        assert_eq!(day_of(2026, 13, 1), None);
        assert_eq!(day_of(2026, 11, 22), Some(20_779));
    }

    /// Berlin in 2026: +1 until 29 March 01:00 UTC, then +2 until 25 October 01:00 UTC.
    fn berlin() -> Zone {
        let (spring, autumn) = (1_774_746_000, 1_792_890_000);
        let offset =
            |ts: i64| Ok::<_, ()>(if (spring..autumn).contains(&ts) { 7200 } else { 3600 });
        Zone::of(autumn, offset).unwrap()
    }

    #[test]
    fn days_of_23_and_25_hours_are_whole() {
        let zone = berlin();
        assert_eq!(zone.offsets.len(), 3);
        let hours = |date: i64| {
            let day = day_of(2026, date / 100, date % 100).unwrap();
            (zone.midnight(day + 1) - zone.midnight(day)) / HOUR
        };
        assert_eq!([328, 329, 330, 1024, 1025, 1026].map(hours), [24, 23, 24, 24, 25, 24]);
        let labels = |date: i64| {
            let day = day_of(2026, date / 100, date % 100).unwrap();
            let range = zone.midnight(day)..zone.midnight(day + 1);
            let slots = Unit::Hour.slots(&zone, &range);
            slots.iter().map(|slot| Unit::Hour.label(*slot)[11..13].into()).collect::<Vec<String>>()
        };
        assert_eq!(labels(329)[..4], ["00", "01", "03", "04"]);
        assert_eq!((labels(329).len(), labels(1025).len()), (23, 24));
        assert_eq!(zone.iso(1_774_745_999), "2026-03-29T01:59:59+01:00");
        assert_eq!(zone.iso(1_774_746_000), "2026-03-29T03:00:00+02:00");
    }

    #[test]
    fn a_midnight_that_is_skipped_begins_later() {
        // As in Beirut: at midnight the clocks go to one.
        let change = 1_774_735_200;
        let zone = Zone::of(change, |ts| Ok::<_, ()>(if ts < change { 7200 } else { 10_800 }));
        let zone = zone.unwrap();
        let day = day_of(2026, 3, 29).unwrap();
        assert_eq!(zone.iso(zone.midnight(day)), "2026-03-29T01:00:00+03:00");
    }

    #[test]
    fn spans_have_the_names_of_the_views() {
        let zone = berlin();
        // Sunday, 22 November 2026, 21:15 CET.
        let now = 1_795_378_500;
        for (unit, want) in [
            (Unit::Hour, "2026-11-22 21:00"),
            (Unit::Day, "2026-11-22"),
            (Unit::Week, "2026-11-16"),
            (Unit::Month, "2026-11"),
        ] {
            assert_eq!(unit.label(unit.slot(&zone, now)), want);
        }
        let year = zone.midnight(day_of(2026, 1, 1).unwrap())..now;
        assert_eq!(Unit::Month.slots(&zone, &year).len(), 11);
        assert_eq!(Unit::Day.slots(&zone, &year).len(), 326);
        assert_eq!(Unit::Week.slots(&zone, &year).len(), 47);
    }
}
