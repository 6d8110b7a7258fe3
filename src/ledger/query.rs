//! What reports ask the database, in one transaction, so that the numbers belong together while a
//! proxy goes on writing. Reads the views; only reasons are read from the requests themselves.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, Row};

use super::fault::Fault;
use super::file;
use super::latency::{self, Latency};
use super::sums::{COLUMNS, Sums};

/// What requests can be told apart by, beside their time: columns of the views.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    Provider,
    Model,
    Project,
    Client,
    Mode,
    Status,
}

impl Column {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Column::Provider => "provider",
            Column::Model => "model",
            Column::Project => "project",
            Column::Client => "client",
            Column::Mode => "mode",
            Column::Status => "status",
        }
    }
}

/// Sums by a number that stands for a span of time, and by names in the order of the columns.
pub(crate) type Groups = HashMap<(i64, Vec<Option<String>>), Sums>;

/// A Unix time as the number of the span it falls into.
pub(crate) type Slot<'a> = &'a dyn Fn(i64) -> i64;

/// Why prompts were passed unchanged and answers have no footer, in a span of time.
#[derive(Debug, Default)]
pub(crate) struct Reasons {
    /// By the reason; without one they were compressed.
    pub(crate) prompts: Vec<Reason>,
    /// By what became of the footer: `added`, or the reason why not.
    pub(crate) footers: Vec<Reason>,
}

/// Requests with one reason, and the tokens of their prompts.
#[derive(Debug)]
pub(crate) struct Reason {
    pub(crate) name: Option<String>,
    pub(crate) requests: i64,
    pub(crate) before: i64,
    pub(crate) after: i64,
}

const DAY: i64 = 86_400;

/// A database as it is at one moment.
pub(crate) struct Reader {
    connection: Connection,
    path: PathBuf,
}

impl Reader {
    pub(crate) fn open(path: &Path) -> Result<Reader, Fault> {
        let connection = file::open_for_reading(path)?;
        let reader = Reader { connection, path: path.to_path_buf() };
        // Ends with the connection.
        reader.connection.execute_batch("BEGIN").map_err(|err| reader.fault(err))?;
        Ok(reader)
    }

    fn fault(&self, err: rusqlite::Error) -> Fault {
        Fault::new(&self.path, err)
    }

    /// Seconds east of Greenwich at a Unix time, where the reader is.
    pub(crate) fn offset(&self, ts: i64) -> Result<i64, Fault> {
        let sql = "SELECT unixepoch(?1, 'unixepoch', 'localtime') - ?1";
        let read = |connection: &Connection| {
            connection.prepare_cached(sql)?.query_row([ts], |row| row.get(0))
        };
        read(&self.connection).map_err(|err| self.fault(err))
    }

    /// The Unix time of the first quarter of an hour with a request.
    pub(crate) fn first(&self) -> Result<Option<i64>, Fault> {
        let sql = "SELECT min(start) FROM per_15min";
        self.connection.query_row(sql, [], |row| row.get(0)).map_err(|err| self.fault(err))
    }

    /// What was decided about the requests of a range of Unix times, as far as they are kept.
    pub(crate) fn reasons(&self, range: &Range<i64>) -> Result<Reasons, Fault> {
        let by = |column: &str| -> rusqlite::Result<Vec<Reason>> {
            let sql = format!(
                "SELECT {column}, count(*), total(tokens_before), total(tokens_after) FROM requests
                WHERE ts >= ? AND ts < ? AND api <> 'other' GROUP BY 1 ORDER BY 2 DESC, 1"
            );
            let read = |row: &Row<'_>| {
                let [before, after] = [row.get::<_, f64>(2)?, row.get(3)?].map(|sum| sum as i64);
                Ok(Reason { name: row.get(0)?, requests: row.get(1)?, before, after })
            };
            self.connection.prepare(&sql)?.query_map([range.start, range.end], read)?.collect()
        };
        let both = || Ok(Reasons { prompts: by("skip_reason")?, footers: by("footer")? });
        both().map_err(|err| self.fault(err))
    }

    /// How many requests are kept.
    pub(crate) fn rows(&self) -> Result<i64, Fault> {
        let sql = "SELECT count(*) FROM requests";
        self.connection.query_row(sql, [], |row| row.get(0)).map_err(|err| self.fault(err))
    }

    /// Every quarter of an hour in a range of Unix times that has requests, in order.
    pub(crate) fn quarters(
        &self,
        range: &Range<i64>,
        each: impl FnMut(i64, &Sums, &Latency),
    ) -> Result<(), Fault> {
        self.each_quarter(range, each).map_err(|err| self.fault(err))
    }

    fn each_quarter(
        &self,
        range: &Range<i64>,
        mut each: impl FnMut(i64, &Sums, &Latency),
    ) -> rusqlite::Result<()> {
        let sql = format!(
            "SELECT start, {}, {} FROM per_15min WHERE start >= ? AND start < ? ORDER BY start",
            sum_columns(),
            latency::columns().join(", "),
        );
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows = statement.query([range.start, range.end])?;
        while let Some(row) = rows.next()? {
            let mut latency = Latency::default();
            for (class, count) in latency.0.iter_mut().enumerate() {
                *count = row.get(1 + COLUMNS.len() + class)?;
            }
            each(row.get(0)?, &Sums::read(row, 1)?, &latency);
        }
        Ok(())
    }

    /// Adds the requests of a range to `groups`, by span of time and columns.
    pub(crate) fn parts(
        &self,
        columns: &[Column],
        (range, slot): (&Range<i64>, Slot<'_>),
        groups: &mut Groups,
    ) -> Result<(), Fault> {
        let runs = match columns {
            // All there is of a quarter of an hour is one row.
            [] => vec![("per_15min", range.clone())],
            _ => self.runs(range, slot).map_err(|err| self.fault(err))?,
        };
        runs.into_iter().try_for_each(|(view, range)| {
            self.each_part(view, columns, (&range, slot), groups).map_err(|err| self.fault(err))
        })
    }

    /// Which view to read where. A day of UTC that lies in the range and in one span of time as a
    /// whole is read as such: of long spans these are most.
    fn runs(
        &self,
        range: &Range<i64>,
        slot: Slot<'_>,
    ) -> rusqlite::Result<Vec<(&'static str, Range<i64>)>> {
        let sql = "SELECT (SELECT min(start) FROM per_15min), (SELECT max(start) FROM per_15min)";
        let ends = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let (Some(first), Some(last)) = self.connection.query_row(sql, [], ends)? else {
            return Ok(Vec::new());
        };
        let (mut at, end) = (range.start.max(first), range.end.min(i64::saturating_add(last, 1)));
        let mut runs: Vec<(&'static str, Range<i64>)> = Vec::new();
        while at < end {
            let day = at.div_euclid(DAY) * DAY..at.div_euclid(DAY) * DAY + DAY;
            let is_inside = range.start <= day.start && day.end <= range.end;
            let is_whole = is_inside && slot(day.start) == slot(day.end - 1);
            let (view, piece) = match is_whole {
                true => ("daily_parts", day),
                false => ("parts", at..day.end.min(end)),
            };
            at = piece.end;
            match runs.last_mut() {
                Some((last, run)) if *last == view => run.end = piece.end,
                _ => runs.push((view, piece)),
            }
        }
        Ok(runs)
    }

    fn each_part(
        &self,
        view: &str,
        columns: &[Column],
        (range, slot): (&Range<i64>, Slot<'_>),
        groups: &mut Groups,
    ) -> rusqlite::Result<()> {
        let names: String = columns
            .iter()
            .map(|column| match column {
                Column::Status => "CAST(status AS TEXT), ".into(),
                other => format!("{}, ", other.name()),
            })
            .collect();
        let sql = format!(
            "SELECT start, {names}{} FROM {view} WHERE start >= ? AND start < ?",
            sum_columns()
        );
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows = statement.query([range.start, range.end])?;
        while let Some(row) = rows.next()? {
            let name = |at| row.get::<_, Option<String>>(at + 1);
            let names = (0..columns.len()).map(name).collect::<rusqlite::Result<_>>()?;
            let sums = Sums::read(row, columns.len() + 1)?;
            groups.entry((slot(row.get(0)?), names)).or_default().add(&sums);
        }
        Ok(())
    }
}

/// The columns that `Sums::read` reads.
fn sum_columns() -> String {
    let names: Vec<&str> = COLUMNS.iter().map(|column| column.name).collect();
    names.join(", ")
}
