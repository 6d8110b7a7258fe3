//! `tokenpak stats`: reads the ledger and prints a report. Works with and without a running proxy.

use std::env;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::ledger::{self, Fault};
use crate::report::{self, zone};

/// Where zone files are, for names in `TZ`.
const ZONE_FILES: &str = "/usr/share/zoneinfo";

/// The default report on the database `db`, as of now: text, or one JSON object.
pub(crate) fn run(db: &Path, json: bool) -> Result<String, Fault> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs() as i64);
    let overview = ledger::overview(db, now).map_err(|fault| match env::var_os("HOME") {
        Some(home) if !home.is_empty() => fault.seen_from(Path::new(&home)),
        _ => fault,
    })?;
    let zone = zone_name(overview.offset_s);
    let show = if json { report::json } else { report::table };
    Ok(show(&overview, &host(), &zone))
}

fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "localhost".into(),
        name => name.into(),
    }
}

/// Reads the zone's rule from where libc reads it.
fn zone_name(offset_s: i64) -> String {
    let setting = env::var("TZ").ok();
    let setting = setting.as_deref().map(|zone| zone.strip_prefix(':').unwrap_or(zone));
    let file = match setting {
        None => fs::read("/etc/localtime"),
        // An absolute name replaces the folder.
        Some(zone) => fs::read(Path::new(ZONE_FILES).join(zone)),
    };
    let rule = file.as_deref().ok().and_then(zone::rule_of_file).or(setting);
    zone::name(rule, offset_s)
}
