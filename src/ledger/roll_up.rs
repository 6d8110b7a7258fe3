//! The roll-up of what the writer writes, once for a batch of rows.
//!
//! The database's trigger adds each row by itself, whoever writes it, and takes longer for it than the
//! row takes. The writer's connection has triggers off: it adds up a batch in memory and its sums go
//! into the file in the same transaction, so nobody ever sees rows without their sums.
//! What a row counts as is thus said twice, here and in the view `measured`; a test compares them.

use std::collections::HashMap;

use rusqlite::config::DbConfig;
use rusqlite::{CachedStatement, Connection};

use super::Entry;
use super::sums::{CLASSES_US, Latency, Sums};
use super::writer::{name, whole};

const QUARTER: i64 = 900;
const DAY: i64 = 86_400;

/// What parts of a span are told apart by.
const NAMES: [&str; 6] = ["provider", "model", "project", "client", "mode", "status"];

/// The sums, in the order of `values`.
const SUMS: [&str; 12] = [
    "requests",
    "errors",
    "tokens_before",
    "tokens_after",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
    "cost_nano",
    "saved_nano",
    "no_usage",
    "no_price",
];

/// From now on rows have no way into the roll-up but this one.
pub(super) fn instead_of_trigger(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false).map(drop)
}

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
        let sums = sums(entry);
        let (quarter, day) = (entry.ts - entry.ts % QUARTER, entry.ts - entry.ts % DAY);
        let (total, latency) = self.quarters.entry(quarter).or_default();
        total.add(&sums);
        latency.take(whole(entry.proxy_us));
        self.quarter_parts.entry((quarter, Part::of(entry))).or_default().add(&sums);
        self.day_parts.entry((day, Part::of(entry))).or_default().add(&sums);
    }

    /// Adds all to what is in the database.
    pub(super) fn write(&self, change: &Connection) -> rusqlite::Result<()> {
        let classes: Vec<String> = CLASSES_US.iter().map(|us| format!("us_{us}")).collect();
        let classes = classes.iter().map(String::as_str).chain(["us_more"]);
        let columns: Vec<&str> = SUMS.into_iter().chain(classes).collect();
        let mut statement = change.prepare_cached(&upsert("quarters", &[], &columns))?;
        for (start, (sums, latency)) in &self.quarters {
            let counts = latency.0.into_iter().map(Some);
            run(&mut statement, (*start, None), values(sums).into_iter().chain(counts))?;
        }
        for (table, parts) in
            [("quarter_parts", &self.quarter_parts), ("day_parts", &self.day_parts)]
        {
            let mut statement = change.prepare_cached(&upsert(table, &NAMES, &SUMS))?;
            for ((start, part), sums) in parts {
                run(&mut statement, (*start, Some(part)), values(sums).into_iter())?;
            }
        }
        Ok(())
    }
}

impl<'e> Part<'e> {
    fn of(entry: &'e Entry) -> Part<'e> {
        let or_empty = |text: &'e Option<String>| text.as_deref().map(name).unwrap_or_default();
        let [model, project, client] = [&entry.model, &entry.project, &entry.client].map(or_empty);
        let names = [name(&entry.provider), model, project, client, entry.mode];
        Part { names, status: entry.status.unwrap_or(0) }
    }
}

/// What one request adds. A status of 400 or more is an error whoever left first.
fn sums(entry: &Entry) -> Sums {
    let is_error = match (entry.status, entry.error) {
        (Some(400..), _) => true,
        (_, Some("client_gone")) => false,
        (status, error) => error.is_some() || status.is_none(),
    };
    let usage = entry.usage.unwrap_or_default();
    let is_billed = usage.input.is_some() && usage.output.is_some();
    let is_priced = entry.money.is_some();
    Sums {
        requests: 1,
        errors: i64::from(is_error),
        tokens_before: entry.tokens_before.map(whole),
        tokens_after: entry.tokens_after.map(whole),
        input_tokens: usage.input.map(whole),
        cache_read_tokens: usage.cache_read.map(whole),
        cache_write_tokens: usage.cache_write.map(whole),
        output_tokens: usage.output.map(whole),
        cost_nano: entry.money.map(|money| money.cost_nano),
        saved_nano: entry.money.map(|money| money.saved_nano),
        no_usage: i64::from(!is_priced && !is_billed),
        no_price: i64::from(!is_priced && is_billed),
    }
}

fn values(sums: &Sums) -> [Option<i64>; SUMS.len()] {
    [
        Some(sums.requests),
        Some(sums.errors),
        sums.tokens_before,
        sums.tokens_after,
        sums.input_tokens,
        sums.cache_read_tokens,
        sums.cache_write_tokens,
        sums.output_tokens,
        sums.cost_nano,
        sums.saved_nano,
        Some(sums.no_usage),
        Some(sums.no_price),
    ]
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
