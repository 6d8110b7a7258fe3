//! The database's shape: an open format, described in tokenpak-db(5).
//!
//! Reports read the views and never the tables, so that sqlite3(1) shows the same numbers. Money is
//! kept in nano-dollars, whole numbers, so that sums agree in every grouping; the views give dollars.
//!
//! How it changes from here: tables and columns are only added, a column at the end of its table and
//! with a default or NULL. Whatever a file lacks is added when it is opened for writing, and views that
//! are not word for word ours are made anew; neither needs a new `VERSION`. That number rises only
//! when an older program could not go on with the file.

use std::collections::HashSet;

use rusqlite::{Connection, TransactionBehavior};

use super::fault::Kind;
use super::latency;
use super::roll_up::NAMES;
use super::sums::{self, COLUMNS, Column};

/// "tokp": tells our files from other SQLite files.
const APPLICATION_ID: i64 = 0x746f_6b70;

/// The version that this program writes; 1 to 3 were never released.
pub(super) const VERSION: i64 = 4;

const TABLES: &str = include_str!("schema/tables.sql");

/// Part of every file; `day` is the UTC day on which the row was written.
const FORMS: &str = "CREATE TABLE IF NOT EXISTS forms (
    digest BLOB PRIMARY KEY,
    day INTEGER NOT NULL,
    form BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS forms_day ON forms (day);";

/// Tables of the roll-up: name, and whether rows are told apart by `NAMES` too. A row is a quarter of
/// an hour (UTC), of which the days of any zone are made; or a day of UTC, which is what lies inside of
/// a long range.
const ROLL_UP: &[(&str, bool)] =
    &[("quarters", false), ("quarter_parts", true), ("day_parts", true)];

/// Columns that have come since 0.1.0, with their tables.
const ADDED: &[(&str, &str)] = &[
    ("requests", "served_model TEXT"),
    ("requests", "tier TEXT"),
    ("requests", "cost_basis TEXT"),
    ("requests", "billing TEXT"),
    ("requests", "cache_miss TEXT"),
];

/// What earlier versions made and this one does not need.
const RETIRED: &str = "DROP TRIGGER IF EXISTS roll_up; DROP VIEW IF EXISTS measured;
    DROP VIEW IF EXISTS quarterly; DROP VIEW IF EXISTS utc_parts;";

/// Views of sums: name, the column that tells rows apart, and what they are made from. A week has
/// the name of its Monday.
const SUM_VIEWS: &[(&str, &str, &str)] = &[
    ("hourly", "strftime('%Y-%m-%d %H:00', start, 'unixepoch', 'localtime') AS hour", "per_15min"),
    ("daily", "date(start, 'unixepoch', 'localtime') AS date", "per_15min"),
    (
        "weekly",
        "date(start, 'unixepoch', 'localtime', 'weekday 0', '-6 days') AS week",
        "per_15min",
    ),
    ("monthly", "strftime('%Y-%m', start, 'unixepoch', 'localtime') AS month", "per_15min"),
    ("by_model", "model", "daily_parts"),
    ("by_provider", "provider", "daily_parts"),
    ("by_project", "project", "daily_parts"),
    ("by_client", "client", "daily_parts"),
    ("by_mode", "mode", "daily_parts"),
    ("by_status", "status", "daily_parts"),
];

/// Views of other things. `unpriced` says why requests are missing from the costs.
const OTHER_VIEWS: &[(&str, &str)] = &[
    ("per_15min", "SELECT * FROM quarters"),
    (
        "unpriced",
        "SELECT date(start, 'unixepoch', 'localtime') AS date, model, 'price' AS missing,
        sum(no_price) AS requests
        FROM parts GROUP BY 1, 2 HAVING sum(no_price) > 0
    UNION ALL
    SELECT date(start, 'unixepoch', 'localtime'), model, 'usage', sum(no_usage)
        FROM parts GROUP BY 1, 2 HAVING sum(no_usage) > 0",
    ),
    (
        "latency",
        "SELECT ts, provider, model, proxy_us, ttfb_ms, total_ms FROM requests WHERE api <> 'other'",
    ),
];

/// Brings a database to this shape; an empty file becomes one. What is not ours is left alone.
pub(super) fn bring_up(connection: &mut Connection) -> Result<(), Kind> {
    let is_new = is_empty(connection)?;
    if is_new {
        // Space that old requests leave can be given back later; it must be said before anything.
        connection.pragma_update(None, "auto_vacuum", "incremental")?;
    }
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    match is_empty(&change)? {
        true => {
            change.execute_batch(&tables(COLUMNS))?;
            change.pragma_update(None, "application_id", APPLICATION_ID)?;
            change.pragma_update(None, "user_version", VERSION)?;
        }
        false => check(&change)?,
    }
    complete(&change, COLUMNS)?;
    Ok(change.commit()?)
}

/// Adds what an earlier version did not have.
fn complete(change: &Connection, sums: &[Column]) -> rusqlite::Result<()> {
    change.execute_batch(FORMS)?;
    let added = ADDED.iter().map(|(table, column)| (*table, (*column).to_owned()));
    for (table, column) in lacking(change, added.chain(sums_of_roll_up(sums)))? {
        change.execute_batch(&format!("ALTER TABLE {table} ADD COLUMN {column}"))?;
    }
    let views = views(sums);
    if has_views(change, &views)? {
        return Ok(());
    }
    change.execute_batch(RETIRED)?;
    for (name, select) in &views {
        change.execute_batch(&format!("DROP VIEW IF EXISTS {name}"))?;
        change.execute_batch(&create_view(name, select))?;
    }
    Ok(())
}

/// Declarations of the roll-up's columns, with their tables.
fn sums_of_roll_up(sums: &[Column]) -> impl Iterator<Item = (&'static str, String)> {
    ROLL_UP.iter().flat_map(move |(table, has_names)| {
        roll_up_columns(sums, *has_names).into_iter().map(move |column| (*table, column))
    })
}

/// Those of the columns that a file does not have.
fn lacking<'t>(
    connection: &Connection,
    columns: impl Iterator<Item = (&'t str, String)>,
) -> rusqlite::Result<Vec<(&'t str, String)>> {
    let sql = "SELECT tables.name || '.' || columns.name
        FROM sqlite_schema AS tables, pragma_table_info(tables.name) AS columns
        WHERE tables.type = 'table'";
    let mut statement = connection.prepare(sql)?;
    let there = statement.query_map([], |row| row.get(0))?;
    let there = there.collect::<rusqlite::Result<HashSet<String>>>()?;
    let lacks = |(table, column): &(&str, String)| {
        let name = column.split(' ').next().unwrap_or_default();
        !there.contains(&format!("{table}.{name}"))
    };
    Ok(columns.filter(lacks).collect())
}

/// All tables of a new file.
fn tables(sums: &[Column]) -> String {
    let mut text = TABLES.to_owned();
    for (table, has_names) in ROLL_UP {
        let columns = roll_up_columns(sums, *has_names).join(",\n    ");
        text += &match has_names {
            false => {
                format!("CREATE TABLE {table} (start INTEGER PRIMARY KEY,\n    {columns}) STRICT;")
            }
            // Names that are not known are '' and a missing status is 0, because NULLs never conflict.
            true => format!(
                "CREATE TABLE {table} (start INTEGER NOT NULL,\n    {columns},
    PRIMARY KEY (start, {})) STRICT, WITHOUT ROWID;",
                NAMES.join(", ")
            ),
        };
    }
    text
}

/// The declarations of a roll-up table's columns, but for `start`.
fn roll_up_columns(sums: &[Column], has_names: bool) -> Vec<String> {
    let count = |name: &str| format!("{name} INTEGER NOT NULL DEFAULT 0");
    let name = |name: &&str| match *name {
        "status" => count(name),
        name => format!("{name} TEXT NOT NULL DEFAULT ''"),
    };
    let sum = |column: &Column| match column.is_nullable {
        true => format!("{} INTEGER", column.name),
        false => count(column.name),
    };
    let names = NAMES.iter().filter(|_| has_names).map(name);
    let classes = latency::columns();
    let classes = classes.iter().filter(|_| !has_names).map(|class| count(class));
    names.chain(sums.iter().map(sum)).chain(classes).collect()
}

/// Names and queries of all views. Days are local: those of the reader's TZ.
fn views(sums: &[Column]) -> Vec<(&'static str, String)> {
    let figures = sums::figures(sums);
    let figures = figures.iter().map(|figure| format!("{} AS {}", figure.sql, figure.name));
    let figures = figures.collect::<Vec<_>>().join(",\n    ");
    let names = NAMES.map(|name| match name {
        "status" => "nullif(status, 0) AS status".to_owned(),
        "provider" | "mode" => name.to_owned(),
        name => format!("nullif({name}, '') AS {name}"),
    });
    let columns: Vec<&str> = sums.iter().map(|column| column.name).collect();
    let parts = |table: &str| {
        format!("SELECT start, {}, {} FROM {table}", names.join(", "), columns.join(", "))
    };
    let others = OTHER_VIEWS.iter().map(|(name, select)| (*name, (*select).to_owned()));
    let sums = SUM_VIEWS.iter().map(|(name, key, source)| {
        (*name, format!("SELECT {key},\n    {figures}\n    FROM {source} GROUP BY 1"))
    });
    let parts = [("parts", parts("quarter_parts")), ("daily_parts", parts("day_parts"))];
    others.chain(parts).chain(sums).collect()
}

fn create_view(name: &str, select: &str) -> String {
    format!("CREATE VIEW {name} AS {select}")
}

/// Whether a file's views are these, word for word.
fn has_views(connection: &Connection, views: &[(&str, String)]) -> rusqlite::Result<bool> {
    let sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'view' AND sql = ?";
    let mut statement = connection.prepare(sql)?;
    for (name, select) in views {
        let count: i64 = statement.query_row([create_view(name, select)], |row| row.get(0))?;
        if count == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Refuses a database that is not ours, or of a version that we do not understand.
pub(super) fn check(connection: &Connection) -> Result<(), Kind> {
    if number(connection, "PRAGMA application_id")? != APPLICATION_ID {
        return Err(Kind::Foreign);
    }
    match number(connection, "PRAGMA user_version")? {
        VERSION => Ok(()),
        version if version > VERSION => Err(Kind::Newer { version, known: VERSION }),
        _ => Err(Kind::Older),
    }
}

/// The same for those who only read. A file of an earlier version gets the views that it does not
/// have for as long as the connection lasts. One without anything in it is just being made.
pub(super) fn check_for_reading(connection: &Connection) -> Result<(), Kind> {
    if is_empty(connection)? {
        return Err(Kind::Missing);
    }
    check(connection)?;
    if !lacking(connection, sums_of_roll_up(COLUMNS))?.is_empty() {
        return Err(Kind::Older);
    }
    let views = views(COLUMNS);
    if !has_views(connection, &views)? {
        connection.execute_batch("PRAGMA temp_store = memory")?;
        for (name, select) in &views {
            connection.execute_batch(&format!("CREATE TEMP VIEW {name} AS {select}"))?;
        }
    }
    Ok(())
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    Ok(number(connection, "SELECT count(*) FROM sqlite_schema")? == 0)
}

fn number(connection: &Connection, sql: &str) -> rusqlite::Result<i64> {
    connection.query_row(sql, [], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::sums::{Shown, Sums};

    /// A list with one sum more is all that a new sum needs: new files have it, files without it get
    /// it and keep what they hold, and every view of sums shows it.
    #[test]
    fn a_new_sum_is_one_row() {
        let more = || Column {
            name: "audio_tokens",
            is_nullable: true,
            shown: Shown::Plain,
            value: |_: &Sums| None,
        };
        let copy = |column: &Column| Column {
            shown: match column.shown {
                Shown::Plain => Shown::Plain,
                Shown::Dollars(name) => Shown::Dollars(name),
                Shown::Apart => Shown::Apart,
            },
            ..*column
        };
        let longer: Vec<Column> = COLUMNS.iter().map(copy).chain([more()]).collect();
        for first in [COLUMNS, &longer] {
            let file = Connection::open_in_memory().unwrap();
            file.execute_batch(&tables(first)).unwrap();
            complete(&file, first).unwrap();
            file.execute_batch(
                "INSERT INTO quarters (start, requests, cost_nano) VALUES (900, 2, 7)",
            )
            .unwrap();
            complete(&file, &longer).unwrap();
            file.execute_batch("UPDATE quarters SET audio_tokens = 5").unwrap();
            let sql = "SELECT requests || ' ' || cost_usd || ' ' || audio_tokens FROM daily";
            let row: String = file.query_row(sql, [], |row| row.get(0)).unwrap();
            assert_eq!(row, "2 7.0e-09 5");
            for view in SUM_VIEWS.iter().map(|(view, ..)| *view).chain(["parts", "per_15min"]) {
                file.prepare(&format!("SELECT audio_tokens FROM {view}")).unwrap();
            }
            assert!(lacking(&file, sums_of_roll_up(&longer)).unwrap().is_empty());
            assert!(has_views(&file, &views(&longer)).unwrap());
        }
    }
}
