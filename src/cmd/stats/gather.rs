//! The databases that a report is about, read as one.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::ask::MODEL;
use crate::config::Environment;
use crate::error::Error;
use crate::ledger::{Column, Fault, Groups, Reader, Reasons};
use crate::report::calendar::Zone;
use crate::report::group::{self, Key, Table};
use crate::report::overview::{self, Overview};
use crate::report::range::Now;
use crate::report::zone;

/// Where zone files are, for names in `TZ`.
const ZONE_FILES: &str = "/usr/share/zoneinfo";

/// All databases at one moment, and where the reader is.
pub(super) struct Ledgers {
    readers: Vec<Reader>,
    around: Environment,
    zone: Zone,
    /// Unix seconds.
    now: i64,
    first: Option<i64>,
}

impl Ledgers {
    pub(super) fn open(paths: &[PathBuf]) -> Result<Ledgers, Error> {
        let around = Environment::of_process();
        let home = around.variable("HOME").map(PathBuf::from);
        Ledgers::read(paths, around).map_err(|fault| {
            error(match home {
                Some(home) => fault.seen_from(&home),
                None => fault,
            })
        })
    }

    fn read(paths: &[PathBuf], around: Environment) -> Result<Ledgers, Fault> {
        let readers =
            paths.iter().map(|path| Reader::open(path)).collect::<Result<Vec<_>, Fault>>()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let now = now as i64;
        let zone = Zone::of(now, |ts| match readers.first() {
            Some(reader) => reader.offset(ts),
            None => Ok(0),
        })?;
        let firsts = readers.iter().map(Reader::first).collect::<Result<Vec<_>, Fault>>()?;
        let first = firsts.into_iter().flatten().min();
        Ok(Ledgers { readers, around, zone, now, first })
    }

    pub(super) fn now(&self) -> Now<'_> {
        Now { now: self.now, zone: &self.zone }
    }

    /// The Unix time of the first request.
    pub(super) fn first(&self) -> Option<i64> {
        self.first
    }

    pub(super) fn overview(&self) -> Result<Overview, Error> {
        let mut windows = overview::windows(self.now(), self.first);
        for reader in &self.readers {
            let each = |start, sums: &_, latency: &_| {
                windows.iter_mut().for_each(|window| window.add(start, sums, latency));
            };
            reader.quarters(&(i64::MIN..i64::MAX), each).map_err(error)?;
        }
        let models = self.groups(&[MODEL], &(i64::MIN..i64::MAX))?;
        let zone = zone_name(&self.around, self.zone.offset(self.now));
        Ok(Overview::of(self.now(), (&host(), &zone), windows, group::unpriced(&models)))
    }

    /// Today's reasons in the first database, and how many rows it has.
    pub(super) fn decisions(&self) -> Result<(Reasons, i64), Error> {
        let (now, Some(reader)) = (self.now(), self.readers.first()) else {
            return Ok((Reasons::default(), 0));
        };
        let today = now.days(now.today(), now.today());
        let read = || Ok((reader.reasons(&today)?, reader.rows()?));
        read().map_err(error)
    }

    /// The report by some keys on a range of Unix times.
    pub(super) fn table(&self, keys: &[Key], range: &Range<i64>) -> Result<Table, Error> {
        let models = self.groups(&[MODEL], range)?;
        let groups = if keys == [MODEL] { models.clone() } else { self.groups(keys, range)? };
        let zone = self.zone_names(range);
        Ok(Table::of(keys, (range, self.now()), &zone, groups, &models))
    }

    fn groups(&self, keys: &[Key], range: &Range<i64>) -> Result<Groups, Error> {
        let columns: Vec<Column> = keys.iter().filter_map(|key| key.as_column()).collect();
        let unit = keys.iter().find_map(|key| key.as_unit());
        let mut groups = Groups::new();
        let slot = |ts| unit.map_or(0, |unit| unit.slot(&self.zone, ts));
        for reader in &self.readers {
            reader.parts(&columns, (range, &slot), &mut groups).map_err(error)?;
        }
        Ok(groups)
    }

    /// `CET`, or `CEST/CET` if the clocks are put back in the range.
    fn zone_names(&self, range: &Range<i64>) -> String {
        let name = |ts| zone_name(&self.around, self.zone.offset(ts));
        let [first, last] = [range.start, range.end - 1].map(name);
        if first == last { first } else { format!("{first}/{last}") }
    }
}

fn error(fault: Fault) -> Error {
    Error::ledger(fault.exit_code(), fault.to_string())
}

fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "localhost".into(),
        name => name.into(),
    }
}

/// Reads the zone's rule from where libc reads it.
pub(in crate::cmd) fn zone_name(around: &Environment, offset_s: i64) -> String {
    let setting = around.set_variable("TZ").map(|zone| zone.strip_prefix(':').unwrap_or(zone));
    let file = match setting {
        None => fs::read("/etc/localtime"),
        // An absolute name replaces the folder.
        Some(zone) => fs::read(Path::new(ZONE_FILES).join(zone)),
    };
    let rule = file.as_deref().ok().and_then(zone::rule_of_file).or(setting);
    zone::name(rule, offset_s)
}
