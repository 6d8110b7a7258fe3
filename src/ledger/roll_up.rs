//! The roll-up of what the writer writes, once for a batch of rows: reports of years in milliseconds,
//! and true after old requests were deleted. A batch is added up in memory, and its sums go into the
//! file in the same transaction, so nobody ever sees rows without their sums.

use std::collections::HashMap;

use rusqlite::{CachedStatement, Connection, params};

use super::Entry;
use super::latency::{self, Latency};
use super::sums::{COLUMNS, Sums, whole};

pub(super) const QUARTER: i64 = 900;
pub(super) const DAY: i64 = 86_400;

/// What parts of a span are told apart by.
pub(super) const NAMES: [&str; 6] = ["provider", "model", "project", "client", "mode", "status"];

/// The sums of some rows.
#[derive(Default)]
pub(super) struct RollUp<'e> {
    quarters: HashMap<i64, (Sums, Latency)>,
    quarter_parts: HashMap<(i64, Part<'e>), Sums>,
    day_parts: HashMap<(i64, Part<'e>), Sums>,
}

/// Names that are not known are empty and a missing status is 0, because NULLs never conflict.
#[derive(PartialEq, Eq, Hash)]
struct Part<'e> {
    names: [&'e str; 5],
    status: u16,
}

impl<'e> RollUp<'e> {
    pub(super) fn add(&mut self, entry: &'e Entry) {
        if entry.api == "other" {
            return;
        }
        let sums = Sums::of(entry);
        let (quarter, day) = (entry.ts - entry.ts % QUARTER, entry.ts - entry.ts % DAY);
        let (total, latency) = self.quarters.entry(quarter).or_default();
        total.add(&sums);
        latency.take(whole(entry.proxy_us));
        self.quarter_parts.entry((quarter, Part::of(entry))).or_default().add(&sums);
        self.day_parts.entry((day, Part::of(entry))).or_default().add(&sums);
    }

    /// Adds all to what is in the database.
    pub(super) fn write(&self, change: &Connection) -> rusqlite::Result<()> {
        let sums: Vec<&str> = COLUMNS.iter().map(|column| column.name).collect();
        let classes = latency::columns();
        let columns: Vec<&str> =
            sums.iter().copied().chain(classes.iter().map(String::as_str)).collect();
        let mut statement = change.prepare_cached(&upsert("quarters", &[], &columns))?;
        for (start, (totals, latency)) in &self.quarters {
            let counts = latency.0.into_iter().map(Some);
            run(&mut statement, (*start, None), totals.values().chain(counts))?;
        }
        for (table, parts) in
            [("quarter_parts", &self.quarter_parts), ("day_parts", &self.day_parts)]
        {
            let mut statement = change.prepare_cached(&upsert(table, &NAMES, &sums))?;
            for ((start, part), totals) in parts {
                run(&mut statement, (*start, Some(part)), totals.values())?;
            }
        }
        Ok(())
    }
}

/// Adds to the sums of a quarter of an hour and a day that are there: those of a request that was counted.
/// A sum of which no request is known any more is unknown, not 0.
pub(super) fn update(
    change: &Connection,
    [quarter, day]: [i64; 2],
    (names, status): ([&str; 5], u16),
    more: &Sums,
) -> rusqlite::Result<()> {
    let columns = "cost_nano = iif(requests > no_usage + no_price + ?3,
            coalesce(cost_nano + ?1, cost_nano, ?1), NULL),
        saved_nano = iif(requests > no_usage + no_price + ?3,
            coalesce(saved_nano + ?2, saved_nano, ?2), NULL),
        no_price = max(no_price + ?3, 0)";
    let sums = (more.cost_nano, more.saved_nano, more.no_price);
    let sql = format!("UPDATE quarters SET {columns} WHERE start = ?4");
    change.prepare_cached(&sql)?.execute(params![sums.0, sums.1, sums.2, quarter])?;
    let [provider, model, project, client, mode] = names;
    for (table, start) in [("quarter_parts", quarter), ("day_parts", day)] {
        let sql = format!(
            "UPDATE {table} SET {columns} WHERE start = ?4 AND provider = ?5 AND model = ?6
            AND project = ?7 AND client = ?8 AND mode = ?9 AND status = ?10"
        );
        let values =
            params![sums.0, sums.1, sums.2, start, provider, model, project, client, mode, status];
        change.prepare_cached(&sql)?.execute(values)?;
    }
    Ok(())
}

impl<'e> Part<'e> {
    fn of(entry: &'e Entry) -> Part<'e> {
        let or_empty = |text: &'e Option<String>| text.as_deref().unwrap_or_default();
        let [model, project, client] = [&entry.model, &entry.project, &entry.client].map(or_empty);
        let names = [&*entry.provider, model, project, client, entry.mode];
        Part { names, status: entry.status.unwrap_or(0) }
    }
}

/// Inserts a row, or adds it to the one that is there. What is unknown of all is unknown of the sum.
fn upsert(table: &str, names: &[&str], columns: &[&str]) -> String {
    let keys: Vec<&str> = ["start"].iter().chain(names).copied().collect();
    let add = |it: &&str| format!("{it} = coalesce({it} + excluded.{it}, {it}, excluded.{it})");
    format!(
        "INSERT INTO {table} ({}, {}) VALUES (?{}) ON CONFLICT DO UPDATE SET {}",
        keys.join(", "),
        columns.join(", "),
        ", ?".repeat(keys.len() + columns.len() - 1),
        columns.iter().map(add).collect::<Vec<_>>().join(", "),
    )
}

fn run(
    statement: &mut CachedStatement<'_>,
    (start, part): (i64, Option<&Part<'_>>),
    values: impl Iterator<Item = Option<i64>>,
) -> rusqlite::Result<()> {
    statement.raw_bind_parameter(1, start)?;
    let mut at = 2;
    if let Some(Part { names, status }) = part {
        for name in names {
            statement.raw_bind_parameter(at, name)?;
            at += 1;
        }
        statement.raw_bind_parameter(at, status)?;
        at += 1;
    }
    for value in values {
        statement.raw_bind_parameter(at, value)?;
        at += 1;
    }
    statement.raw_execute().map(drop)
}
