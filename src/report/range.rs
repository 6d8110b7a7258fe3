//! What `--since`, `--until` and `--on` mean.

use std::ops::Range;

use super::calendar::{QUARTER, Unit, Zone, day_of, first_of_month, month, week};

/// For the complaint about a word that is none.
pub(crate) const WHEN: &str =
    "one of now, today, yesterday, monday, 7d, 4w, 12h, 2026-11, 2026-11-22, 2026-11-22T06:00";
pub(crate) const PERIOD: &str = "one of today, yesterday, this-week, last-week, this-month, \
                                 last-month, 2026-11, 2026-11-22";

/// Looks days and weeks back up to here: a slip of the finger must not ask for a million rows.
const BACK_MAX: i64 = 40_000;

/// The present, where the reader is.
#[derive(Clone, Copy)]
pub(crate) struct Now<'a> {
    /// Unix seconds.
    pub(crate) now: i64,
    pub(crate) zone: &'a Zone,
}

impl Now<'_> {
    pub(crate) fn today(&self) -> i64 {
        self.zone.day(self.now)
    }

    /// Unix times of whole local days, the last one included.
    pub(crate) fn days(&self, first: i64, last: i64) -> Range<i64> {
        self.zone.midnight(first)..self.zone.midnight(last + 1)
    }

    fn month(&self, month: i64) -> Range<i64> {
        self.days(first_of_month(month), first_of_month(month + 1) - 1)
    }

    /// The Unix times that a WHEN stands for: since means its start, until its end.
    pub(crate) fn when(&self, word: &str) -> Option<Range<i64>> {
        let today = self.today();
        let day = match word {
            "now" => return Some(self.now..self.now),
            "today" => today,
            "yesterday" => today - 1,
            "monday" => week(today) * 7 - 3,
            _ => return self.back(word).or_else(|| self.date(word)).or_else(|| self.minute(word)),
        };
        Some(self.days(day, day))
    }

    /// `7d` is today and the six days before, so it begins six days ago.
    fn back(&self, word: &str) -> Option<Range<i64>> {
        let unit = word.chars().last()?;
        let digits = word.strip_suffix(unit)?;
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let count = is_number.then(|| digits.parse::<i64>().ok())??;
        if !(1..=BACK_MAX).contains(&count) {
            return None;
        }
        let day = match unit {
            'd' => self.today() - (count - 1),
            'w' => self.today() - (count * 7 - 1),
            'h' => {
                let hour = self.now - self.zone.clock(self.now).rem_euclid(3600);
                let start = hour - (count - 1) * 3600;
                return Some(start..start + 3600);
            }
            _ => return None,
        };
        Some(self.days(day, day))
    }

    /// `2026-11` or `2026-11-22`
    fn date(&self, word: &str) -> Option<Range<i64>> {
        let mut parts = word.splitn(3, '-');
        let (year, in_year) = (number(parts.next()?, 4)?, number(parts.next()?, 2)?);
        let first = day_of(year, in_year, 1)?;
        match parts.next() {
            None => Some(self.month(month(first))),
            Some(day) => {
                let day = day_of(year, in_year, number(day, 2)?)?;
                Some(self.days(day, day))
            }
        }
    }

    /// `2026-11-22T06:00`
    fn minute(&self, word: &str) -> Option<Range<i64>> {
        let (date, clock) = word.split_once('T')?;
        let day = self.date(date).filter(|_| date.len() == 10)?.start;
        let (hour, minute) = clock.split_once(':')?;
        let (hour, minute) = (number(hour, 2)?, number(minute, 2)?);
        if hour > 23 || minute > 59 {
            return None;
        }
        let clock = self.zone.day(day) * 86_400 + hour * 3600 + minute * 60;
        let at = self.zone.moment(clock);
        Some(at..at)
    }

    /// The Unix times of a PERIOD.
    pub(crate) fn period(&self, word: &str) -> Option<Range<i64>> {
        let today = self.today();
        let monday = week(today) * 7 - 3;
        match word {
            "today" => Some(self.days(today, today)),
            "yesterday" => Some(self.days(today - 1, today - 1)),
            "this-week" => Some(self.days(monday, monday + 6)),
            "last-week" => Some(self.days(monday - 7, monday - 1)),
            "this-month" => Some(self.month(month(today))),
            "last-month" => Some(self.month(month(today) - 1)),
            date => self.date(date),
        }
    }

    /// What the roll-up can tell: whole quarters of an hour, none after the present day.
    pub(crate) fn aligned(&self, range: Range<i64>) -> Range<i64> {
        let today = self.days(self.today(), self.today());
        let end = if range.start < today.end { range.end.min(today.end) } else { range.end };
        let whole = |ts: i64| ts.div_euclid(QUARTER) * QUARTER;
        whole(range.start)..whole(end + QUARTER - 1)
    }

    /// Where a report by this unit begins if nothing is said.
    pub(crate) fn usual_start(&self, unit: Unit) -> i64 {
        let today = self.today();
        let day = match unit {
            Unit::Hour => today,
            Unit::Day => today - 29,
            Unit::Week => week(today) * 7 - 3 - 11 * 7,
            Unit::Month => first_of_month(month(today) - 11),
        };
        self.zone.midnight(day)
    }

    /// `2026-11-16 .. 2026-11-22 (7 days, CET)`, `2026-11-22 (CET)`, or with hours.
    pub(crate) fn title(&self, range: &Range<i64>, zone: &str) -> String {
        let (first, last) = (self.zone.day(range.start), self.zone.day(range.end - 1));
        if *range != self.days(first, last) {
            let minute = |ts| self.zone.minute(ts);
            return format!("{} .. {} ({zone})", minute(range.start), minute(range.end));
        }
        let date = super::calendar::date;
        match last - first {
            0 => format!("{} ({zone})", date(first)),
            more => format!("{} .. {} ({} days, {zone})", date(first), date(last), more + 1),
        }
    }
}

/// Exactly so many digits.
fn number(text: &str, digits: usize) -> Option<i64> {
    let plain = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Half past five hours east, all year.
    fn with_kolkata(test: impl Fn(Now)) {
        let zone = Zone::of(0, |_| Ok::<_, ()>(19_800)).unwrap();
        // Sunday, 22 November 2026, 21:17.
        test(Now { now: 1_795_362_420, zone: &zone });
    }

    #[test]
    fn every_when_has_its_meaning() {
        with_kolkata(|now| {
            let check = |word: &str, want: Option<(&str, &str)>| {
                let minute = |ts| now.zone.minute(ts);
                let got = now.when(word).map(|span| (minute(span.start), minute(span.end)));
                assert_eq!(got, want.map(|(start, end)| (start.into(), end.into())), "{word}");
            };
            check("now", Some(("2026-11-22 21:17", "2026-11-22 21:17")));
            check("today", Some(("2026-11-22 00:00", "2026-11-23 00:00")));
            check("yesterday", Some(("2026-11-21 00:00", "2026-11-22 00:00")));
            check("monday", Some(("2026-11-16 00:00", "2026-11-17 00:00")));
            check("1d", Some(("2026-11-22 00:00", "2026-11-23 00:00")));
            check("7d", Some(("2026-11-16 00:00", "2026-11-17 00:00")));
            check("4w", Some(("2026-10-26 00:00", "2026-10-27 00:00")));
            check("12h", Some(("2026-11-22 10:00", "2026-11-22 11:00")));
            check("2026-11", Some(("2026-11-01 00:00", "2026-12-01 00:00")));
            check("2026-11-22", Some(("2026-11-22 00:00", "2026-11-23 00:00")));
            check("2026-11-22T06:00", Some(("2026-11-22 06:00", "2026-11-22 06:00")));
            for none in [
                "",
                "0d",
                "d",
                "-3d",
                "+3d",
                "7y",
                "99999d",
                "2026",
                "2026-13",
                "2026-1",
                "2026-02-29",
                "2026-11-22T24:00",
                "2026-11T06:00",
                "2026-11-22T6:00",
                "7é",
                "tomorrow",
            ] {
                check(none, None);
            }
        });
    }

    #[test]
    fn every_period_is_whole_days() {
        with_kolkata(|now| {
            let check = |word: &str, want: &str| {
                assert_eq!(now.title(&now.period(word).unwrap(), "IST"), want, "{word}");
            };
            check("today", "2026-11-22 (IST)");
            check("yesterday", "2026-11-21 (IST)");
            check("this-week", "2026-11-16 .. 2026-11-22 (7 days, IST)");
            check("last-week", "2026-11-09 .. 2026-11-15 (7 days, IST)");
            check("this-month", "2026-11-01 .. 2026-11-30 (30 days, IST)");
            check("last-month", "2026-10-01 .. 2026-10-31 (31 days, IST)");
            check("2024-02", "2024-02-01 .. 2024-02-29 (29 days, IST)");
            check("2026-11-22", "2026-11-22 (IST)");
            assert_eq!(now.period("7d"), None);
        });
    }

    #[test]
    fn reports_end_today_and_are_whole_quarters() {
        with_kolkata(|now| {
            let title = |range| now.title(&now.aligned(range), "IST");
            assert_eq!(
                title(now.period("this-month").unwrap()),
                "2026-11-01 .. 2026-11-22 (22 days, IST)"
            );
            let since = now.when("12h").unwrap().start;
            assert_eq!(title(since..now.now), "2026-11-22 10:00 .. 2026-11-22 21:30 (IST)");
        });
    }
}
