//! Whole local days, also those of 23, 25 and 23 1/2 hours.

use crate::sandbox::Made;
use crate::support::{lacks, sandbox};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// The zone, the Unix time at which its clocks change, the date, and the day's quarters of an hour.
const CHANGES: [(&str, i64, &str, i64); 8] = [
    ("Europe/Berlin", 1_743_296_400, "2025-03-30", 92),
    ("Europe/Berlin", 1_761_440_400, "2025-10-26", 100),
    ("America/Los_Angeles", 1_741_514_400, "2025-03-09", 92),
    ("America/Los_Angeles", 1_762_074_000, "2025-11-02", 100),
    ("Australia/Lord_Howe", 1_743_865_200, "2025-04-06", 98),
    ("Australia/Lord_Howe", 1_759_591_800, "2025-10-05", 94),
    ("Asia/Kolkata", 1_743_296_400, "2025-03-30", 96),
    ("Asia/Kolkata", 1_761_440_400, "2025-10-26", 96),
];

#[test]
fn days_are_whole_when_the_clocks_change() {
    for (zone, change, date, quarters) in CHANGES {
        if !Path::new("/usr/share/zoneinfo").join(zone).exists() {
            return lacks("days_are_whole_when_the_clocks_change", "no zone files (tzdata)");
        }
        let sandbox = sandbox().set("TZ", zone);
        let start = change - change.rem_euclid(900) - 300 * 900;
        sandbox.fill((0..600).map(|quarter| Made::at(start + quarter * 900)));
        let json = |by: &str| -> Value {
            let output = sandbox.run(&["stats", "--json", "--by", by, "--on", date]);
            assert_eq!((output.status, output.stderr.as_str()), (0, ""), "{zone}");
            serde_json::from_str(&output.stdout).unwrap()
        };
        let day = json("day");
        assert_eq!(day["total"]["requests"], quarters, "{zone} {date}");
        assert_eq!(day["rows"].as_array().unwrap().len(), 1, "{zone} {date}");
        assert_eq!(day["since"].as_str().unwrap()[..10], *date);
        assert!(day["since"].as_str().unwrap().contains("T00:00:00"), "{day}");
        // However it is divided, it is the same day.
        for by in ["hour", "model", "hour,model", "day,client"] {
            assert_eq!(json(by)["total"]["requests"], quarters, "{zone} {date} by {by}");
        }
        let text = sandbox.run(&["stats", "--on", date]).stdout;
        let shift = if quarters == 96 { 1 } else { 2 };
        let zones = text.lines().next().unwrap().rsplit(['(', ' ']).next().unwrap();
        assert_eq!(zones.split('/').count(), shift, "{zone}: {text}");
        agrees_with_sqlite3(&sandbox, zone, date);
    }
}

/// Another SQLite sees the same days in the same zone.
fn agrees_with_sqlite3(sandbox: &crate::sandbox::Sandbox, zone: &str, date: &str) {
    for (view, key, by) in [("daily", "date", "day"), ("hourly", "hour", "hour")] {
        let sql = format!(
            "select {key}, requests, tokens_saved from {view} where {key} like '{date}%' order by 1"
        );
        let mut command = Command::new("sqlite3");
        command.args(["-readonly", "-csv"]).arg(sandbox.database()).arg(&sql).env("TZ", zone);
        let Ok(output) = command.output() else {
            return lacks("views read with sqlite3", "sqlite3 is not here");
        };
        let rows = String::from_utf8(output.stdout).unwrap().replace(['\r', '"'], "");
        let csv = sandbox.run(&["stats", "--csv", "--by", by, "--on", date]).stdout;
        let ours: Vec<String> = csv
            .lines()
            .skip(1)
            .map(|line| line.split(',').collect::<Vec<_>>())
            .map(|cells| format!("{},{},{}", cells[0], cells[1], cells[5]))
            .collect();
        assert_eq!(ours, rows.lines().collect::<Vec<_>>(), "{zone} {view}");
    }
}
