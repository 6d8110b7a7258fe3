//! What reports read.

use super::*;

const ALL: std::ops::Range<i64> = i64::MIN..i64::MAX;

/// The sums of a range, by quarters of an hour and by days of UTC; they must agree.
#[track_caller]
fn total(path: &Path, range: std::ops::Range<i64>) -> Sums {
    let reader = Reader::open(path).unwrap();
    let mut quarters = Sums::default();
    reader.quarters(&range, |_, sums, _| quarters.add(sums)).unwrap();
    let mut groups = Groups::new();
    reader.parts(&[], (&range, &|_| 0), &mut groups).unwrap();
    assert_eq!(quarters, groups.remove(&(0, vec![])).unwrap_or_default());
    // By spans that no day of UTC lies in as a whole, and by some in which most do.
    for span in [12 * 3600, 10 * DAY + 900, i64::MAX] {
        let mut groups = Groups::new();
        let slot = |ts: i64| (ts + 900) / span;
        reader.parts(&[Column::Model], (&range, &slot), &mut groups).unwrap();
        let mut sum = Sums::default();
        groups.values().for_each(|part| sum.add(part));
        assert_eq!(sum, quarters);
    }
    quarters
}

#[test]
fn readers_say_why_they_cannot_read() {
    let scratch = Scratch::new();
    let home = scratch.0.join("home");
    let fault = Reader::open(&scratch.db()).err().unwrap();
    assert_eq!(fault.exit_code(), 66);
    let text = fault.seen_from(&home).to_string();
    assert_eq!(text, "~/.ocp/monitor.db: not there yet; it is made by the first 'tokenpak serve'");
    assert!(!scratch.db().exists(), "looking must not make a file");

    let garbage = scratch.0.join("garbage.db");
    fs::write(&garbage, "no database".repeat(100)).unwrap();
    let fault = Reader::open(&garbage).err().unwrap();
    assert_eq!(fault.exit_code(), 65);
    assert!(fault.to_string().ends_with("garbage.db: is damaged or not a database"), "{fault}");

    let empty = scratch.0.join("empty.db");
    fs::write(&empty, "").unwrap();
    assert_eq!(Reader::open(&empty).err().unwrap().exit_code(), 66);
}

#[test]
fn a_report_reads_beside_a_writer_and_from_a_copy() {
    let scratch = Scratch::new();
    let (ledger, _) = start(&scratch.db());
    ledger.record(entry("a"));
    let requests = || {
        let reader = Reader::open(&scratch.db()).ok()?;
        let mut requests = 0;
        reader.quarters(&ALL, |_, sums, _| requests += sums.requests).ok()?;
        Some((reader, requests))
    };
    until("a row", || requests().is_some_and(|(_, count)| count == 1));
    // Whoever reads sees one moment, and is in nobody's way.
    let (reader, _) = requests().unwrap();
    ledger.record(entry("b"));
    until("another row", || rows(&scratch.db()) == Some(2));
    let mut seen = 0;
    reader.quarters(&ALL, |_, sums, _| seen += sums.requests).unwrap();
    assert_eq!(seen, 1);
    drop(reader);
    ledger.close();
    assert_eq!(total(&scratch.db(), ALL).requests, 2);
    let copy = scratch.0.join("a copy?#%41.db");
    fs::copy(scratch.db(), &copy).unwrap();
    assert_eq!(
        file::open_unchanging(&copy)
            .unwrap()
            .query_row("SELECT count(*) FROM daily", [], |row| row.get(0)),
        Ok(1)
    );
}

#[test]
fn every_view_has_the_same_sums_as_the_requests() {
    let scratch = Scratch::new();
    let mut entries = Vec::new();
    for (number, days) in [0, 0, 1, 6, 7, 29, 30, 400].into_iter().enumerate() {
        entries.push(Entry {
            ts: NOW - days * DAY - number as i64 * 3001,
            proxy_us: 100 * (number as u64 + 1),
            project: (number % 2 == 0).then(|| "web".into()),
            status: (number != 3).then_some(200 + number as u16),
            ..entry(&format!("d{number}"))
        });
    }
    entries.push(Entry { model: Some("local-llama".into()), ..entry("unpriced") });
    entries.push(Entry { model: None, usage: None, ..entry("no usage") });
    entries.push(Entry { api: "other", ..entry("other") });
    write(&scratch.db(), entries);

    let sums = total(&scratch.db(), ALL);
    let (errors, saved, cost) = (sums.errors, sums.tokens_saved(), sums.cost_nano);
    assert_eq!((sums.requests, errors, saved, cost), (10, 1, Some(5000), Some(8 * 4_800_000)));
    assert_eq!((sums.no_price, sums.no_usage), (1, 1));
    let raw = read(
        &scratch.db(),
        "SELECT count(*), sum(tokens_before - tokens_after), sum(cost_nano)
        FROM requests WHERE api <> 'other'",
    );
    assert_eq!(raw, ["10 5000 38400000"]);
    let sum = "sum(requests), sum(tokens_saved), cast(round(sum(cost_usd) * 1e9) AS INTEGER)";
    let views =
        "hourly daily weekly monthly by_model by_provider by_project by_client by_mode by_status";
    for view in views.split(' ') {
        assert_eq!(read(&scratch.db(), &format!("SELECT {sum} FROM {view}")), raw, "{view}");
    }
    for view in ["per_15min", "parts", "daily_parts"] {
        let sum = "sum(requests), sum(tokens_before) - sum(tokens_after), sum(cost_nano)";
        assert_eq!(read(&scratch.db(), &format!("SELECT {sum} FROM {view}")), raw, "{view}");
    }
    let missing = "SELECT date, model, missing, requests FROM unpriced ORDER BY 3";
    assert_eq!(
        read(&scratch.db(), missing),
        ["2026-11-23 local-llama price 1", "2026-11-23 - usage 1"]
    );
    // Any range has the same sums by either way, wherever it begins and ends.
    for quarters in [0, 1, 37, 95, 96, 97, 700, 2900] {
        let requests = total(&scratch.db(), NOW - quarters * 900..NOW + 900).requests;
        let sql = format!(
            "SELECT count(*) FROM requests WHERE api <> 'other' AND ts >= {}",
            NOW - quarters * 900
        );
        assert_eq!(read(&scratch.db(), &sql), [requests.to_string()], "{quarters}");
    }
}

#[test]
fn latencies_are_counted_in_classes() {
    let scratch = Scratch::new();
    let times = [0, 50, 51, 1000, 1001, 3000, 999_999, 1_000_000, 1_000_001, u64::MAX];
    let entries = times.iter().enumerate();
    write(
        &scratch.db(),
        entries.map(|(id, us)| Entry { proxy_us: *us, ..entry(&format!("{id}")) }),
    );
    let classes = "us_50, us_70, us_1000, us_1500, us_3000, us_1000000, us_more";
    let sql = format!("SELECT {classes} FROM per_15min");
    assert_eq!(read(&scratch.db(), &sql), ["2 1 1 1 1 2 2"]);
    let mut latency = Latency::default();
    let reader = Reader::open(&scratch.db()).unwrap();
    reader.quarters(&ALL, |_, _, classes| latency.add(classes)).unwrap();
    assert_eq!((latency.percentile(50), latency.percentile(95)), (Some(1_500), Some(1_000_000)));
}

#[test]
fn errors_are_what_the_manual_says() {
    check(Some(200), None, 0);
    check(Some(399), None, 0);
    check(Some(400), None, 1);
    check(Some(529), Some("client_gone"), 1);
    check(Some(200), Some("cut"), 1);
    check(None, Some("upstream-unreachable"), 1);
    check(None, None, 1);
    check(None, Some("client_gone"), 0);
    check(Some(200), Some("client_gone"), 0);

    #[track_caller]
    fn check(status: Option<u16>, error: Option<&'static str>, errors: i64) {
        let scratch = Scratch::new();
        write(&scratch.db(), [Entry { status, error: error.map(Into::into), ..entry("a") }]);
        let sums = total(&scratch.db(), ALL);
        assert_eq!((sums.requests, sums.errors), (1, errors));
    }
}

#[test]
fn unknown_is_not_zero() {
    let scratch = Scratch::new();
    let unknown =
        Entry { usage: None, cuts: vec![], tokens_before: None, tokens_after: None, ..entry("a") };
    write(&scratch.db(), [unknown]);
    let want = Sums { requests: 1, no_usage: 1, ..Sums::default() };
    assert_eq!(total(&scratch.db(), ALL), want);
    assert_eq!(read(&scratch.db(), "SELECT basis FROM requests"), ["estimate"]);
    // What becomes known later does not depend on what was not.
    write(&scratch.db(), [entry("b")]);
    assert_eq!(total(&scratch.db(), ALL).tokens_before, Some(1500));
}

/// A process has one zone, so the test starts itself again with the zone to be tested.
#[test]
fn days_are_those_of_the_readers_zone() {
    if !is_started_again() {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.env("TZ", "CET-1CEST,M3.5.0,M10.5.0/3");
        return start_again(command, "reports::days_are_those_of_the_readers_zone");
    }
    let scratch = Scratch::new();
    let midnight = NOW - 13 * 3600;
    let entries = [midnight - 1, midnight].map(|ts| Entry { ts, ..entry(&format!("at {ts}")) });
    write(&scratch.db(), entries);
    assert_eq!(
        read(&scratch.db(), "SELECT date, requests FROM daily"),
        ["2026-11-22 1", "2026-11-23 1"]
    );
    let hours = "SELECT hour, requests FROM hourly";
    assert_eq!(read(&scratch.db(), hours), ["2026-11-22 23:00 1", "2026-11-23 00:00 1"]);
    let reader = Reader::open(&scratch.db()).unwrap();
    assert_eq!(reader.offset(NOW).unwrap(), 3600);
    // The clocks went back on 25 October.
    assert_eq!(reader.offset(NOW - 30 * DAY).unwrap(), 7200);
}
