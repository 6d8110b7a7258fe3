//! Requests by span of time and by name: the rows of every report but the default one.

use std::cmp::{Ordering, Reverse};
use std::ops::Range;

use super::calendar::Unit;
use super::range::Now;
use crate::ledger::{Column, Groups, Sums};

/// What a report is by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Time(Unit),
    Name(Column),
}

/// The words of `--by`.
const KEYS: &[(&str, Key)] = &[
    ("hour", Key::Time(Unit::Hour)),
    ("day", Key::Time(Unit::Day)),
    ("week", Key::Time(Unit::Week)),
    ("month", Key::Time(Unit::Month)),
    ("model", Key::Name(Column::Model)),
    ("provider", Key::Name(Column::Provider)),
    ("project", Key::Name(Column::Project)),
    ("client", Key::Name(Column::Client)),
    ("mode", Key::Name(Column::Mode)),
    ("status", Key::Name(Column::Status)),
];

impl Key {
    pub(crate) fn parse(word: &str) -> Option<Key> {
        KEYS.iter().find(|(name, _)| *name == word).map(|(_, key)| *key)
    }

    pub(crate) fn as_unit(self) -> Option<Unit> {
        match self {
            Key::Time(unit) => Some(unit),
            Key::Name(_) => None,
        }
    }

    pub(crate) fn as_column(self) -> Option<Column> {
        match self {
            Key::Time(_) => None,
            Key::Name(column) => Some(column),
        }
    }

    /// All words, for complaints.
    pub(crate) fn words() -> impl Iterator<Item = &'static str> {
        KEYS.iter().map(|(word, _)| *word)
    }

    pub(super) fn word(self) -> &'static str {
        KEYS.iter().find(|(_, key)| *key == self).map_or("", |(word, _)| word)
    }

    /// The column's name in the database's views, which is that in CSV and JSON too.
    pub(super) fn column(self) -> &'static str {
        if self == Key::Time(Unit::Day) { "date" } else { self.word() }
    }
}

/// Requests that are not in the costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unpriced {
    /// `None`: the answer brought no usage. Else the model that has no price, `""` if unnamed.
    pub(crate) model: Option<String>,
    pub(crate) requests: i64,
}

/// One row per reason: no usage first, then models, the most frequent first.
pub(crate) fn unpriced(models: &Groups) -> Vec<Unpriced> {
    let no_usage = models.values().map(|sums| sums.no_usage).sum();
    let mut rows: Vec<Unpriced> = models
        .iter()
        .map(|((_, names), sums)| Unpriced {
            model: Some(names.first().cloned().flatten().unwrap_or_default()),
            requests: sums.no_price,
        })
        .chain([Unpriced { model: None, requests: no_usage }])
        .filter(|row| row.requests > 0)
        .collect();
    rows.sort_by(|a, b| {
        let rank = |row: &Unpriced| (row.model.is_some(), Reverse(row.requests));
        rank(a).cmp(&rank(b)).then_with(|| a.model.cmp(&b.model))
    });
    rows
}

/// A row: a label for each key, `None` where the name is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) labels: Vec<Option<String>>,
    pub(crate) sums: Sums,
}

/// A grouped report, ready to be printed in any form.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) keys: Vec<Key>,
    /// `2026-11-16 .. 2026-11-22 (7 days, CET)`
    pub(crate) title: String,
    /// First and last day as dates.
    pub(crate) days: (String, String),
    /// Local times with offset; since is included, until is not.
    pub(crate) since: String,
    pub(crate) until: String,
    /// The zone's short name.
    pub(crate) zone: String,
    pub(crate) rows: Vec<Row>,
    pub(crate) total: Sums,
    pub(crate) unpriced: Vec<Unpriced>,
}

impl Table {
    /// `groups` by the keys, `models` by model alone; both of the whole range.
    pub(crate) fn of(
        keys: &[Key],
        (range, now): (&Range<i64>, Now<'_>),
        zone: &str,
        groups: Groups,
        models: &Groups,
    ) -> Table {
        let date = |ts| super::calendar::date(now.zone.day(ts));
        let mut total = Sums::default();
        groups.values().for_each(|sums| total.add(sums));
        Table {
            keys: keys.to_vec(),
            title: now.title(range, zone),
            days: (date(range.start), date((range.end - 1).max(range.start))),
            since: now.zone.iso(range.start),
            until: now.zone.iso(range.end),
            zone: zone.to_owned(),
            rows: rows(keys, (range, now), groups),
            total: total.or_zero(),
            unpriced: unpriced(models),
        }
    }
}

/// Sorted by the keys; names in the last place by cost. A span of time without requests has a row
/// of zeros: a gap would hide it.
fn rows(keys: &[Key], (range, now): (&Range<i64>, Now<'_>), mut groups: Groups) -> Vec<Row> {
    if let Some(unit) = keys.iter().find_map(|key| key.as_unit()) {
        let seen: std::collections::HashSet<i64> = groups.keys().map(|(slot, _)| *slot).collect();
        // Hours that have not begun yet are not without requests.
        let past = range.start..range.end.min(now.now + 1).max(range.start + 1);
        for slot in unit.slots(now.zone, &past).into_iter().filter(|slot| !seen.contains(slot)) {
            groups.insert((slot, vec![None; keys.len() - 1]), Sums::default());
        }
    }
    let mut rows: Vec<Group> = groups.into_iter().collect();
    rows.sort_by(|a, b| order(keys, a, b));
    let row = |((slot, names), sums): Group| {
        let mut names = names.into_iter();
        let label = |key: &Key| match key {
            Key::Time(unit) => Some(unit.label(slot)),
            Key::Name(_) => names.next().flatten(),
        };
        Row { labels: keys.iter().map(label).collect(), sums: sums.or_zero() }
    };
    rows.into_iter().map(row).collect()
}

type Group = ((i64, Vec<Option<String>>), Sums);

fn order(keys: &[Key], a: &Group, b: &Group) -> Ordering {
    let mut names = a.0.1.iter().zip(&b.0.1);
    for (place, key) in keys.iter().enumerate() {
        let (x, y) = (&a.1, &b.1);
        let by_key = match key {
            Key::Time(_) => a.0.0.cmp(&b.0.0),
            Key::Name(_) => {
                let (left, right) = names.next().unwrap_or((&None, &None));
                let by_cost = (y.cost_nano, y.tokens_before, y.requests).cmp(&(
                    x.cost_nano,
                    x.tokens_before,
                    x.requests,
                ));
                match place + 1 == keys.len() {
                    true => by_cost.then_with(|| left.cmp(right)),
                    false => left.cmp(right),
                }
            }
        };
        if by_key != Ordering::Equal {
            return by_key;
        }
    }
    Ordering::Equal
}

#[cfg(test)]
mod tests {
    use super::super::calendar::Zone;
    use super::*;

    #[test]
    fn days_without_requests_have_rows_and_future_hours_have_none() {
        let zone = Zone::of(0, |_| Ok::<_, ()>(0)).unwrap();
        // 22 November 2026, 21:17 UTC.
        let now = Now { now: 1_795_382_220, zone: &zone };
        let one = |unit: Unit, ts| {
            let sums = Sums { requests: 1, ..Sums::default() };
            Groups::from([((unit.slot(&zone, ts), vec![]), sums)])
        };
        let week = now.days(now.today() - 6, now.today());
        let keys = [Key::Time(Unit::Day)];
        let table = Table::of(
            &keys,
            (&week, now),
            "UTC",
            one(Unit::Day, week.start + 90_000),
            &Groups::new(),
        );
        let shown: Vec<(&str, i64)> = table
            .rows
            .iter()
            .map(|row| (row.labels[0].as_deref().unwrap(), row.sums.requests))
            .collect();
        assert_eq!(shown[..3], [("2026-11-16", 0), ("2026-11-17", 1), ("2026-11-18", 0)]);
        assert_eq!((shown.len(), table.rows[0].sums.cost_nano), (7, Some(0)));
        assert_eq!((table.total.requests, table.total.cost_nano), (1, None));

        let today = now.days(now.today(), now.today());
        let hours = rows(&[Key::Time(Unit::Hour)], (&today, now), one(Unit::Hour, now.now));
        assert_eq!(hours.len(), 22);
    }

    #[test]
    fn names_are_sorted_by_cost_within_what_stands_before_them() {
        let sums = |cost| Sums { requests: 1, cost_nano: cost, ..Sums::default() };
        let key = |slot, name: &str| (slot, vec![Some(name.to_string())]);
        let groups = || {
            Groups::from([
                (key(1, "a"), sums(Some(1))),
                (key(1, "b"), sums(Some(3))),
                (key(2, "a"), sums(Some(2))),
                (key(2, "c"), sums(None)),
            ])
        };
        let zone = Zone::of(0, |_| Ok::<_, ()>(0)).unwrap();
        let now = Now { now: 3 * 86_400, zone: &zone };
        let (day, model) = (Key::Time(Unit::Day), Key::Name(Column::Model));
        let shown = |keys: &[Key]| -> Vec<String> {
            let rows = rows(keys, (&(86_400..3 * 86_400), now), groups());
            rows.iter().map(|row| row.labels.iter().flatten().cloned().collect()).collect()
        };
        let (first, second) = ("1970-01-02", "1970-01-03");
        assert_eq!(
            shown(&[day, model]),
            [format!("{first}b"), format!("{first}a"), format!("{second}a"), format!("{second}c")]
        );
        assert_eq!(
            shown(&[model, day]),
            [format!("a{first}"), format!("a{second}"), format!("b{first}"), format!("c{second}")]
        );
    }

    #[test]
    fn words_and_columns() {
        assert_eq!(Key::parse("day"), Some(Key::Time(Unit::Day)));
        assert_eq!(Key::parse("days"), None);
        for word in Key::words() {
            assert_eq!(Key::parse(word).unwrap().word(), word);
        }
        assert_eq!(Key::parse("day").unwrap().column(), "date");
    }
}
