//! What reports read.

use super::*;

#[test]
fn readers_say_why_they_cannot_read() {
    let scratch = Scratch::new();
    let home = scratch.0.join("home");
    let fault = overview(&scratch.db(), NOW).unwrap_err();
    assert_eq!(fault.exit_code(), 66);
    let text = fault.seen_from(&home).to_string();
    assert_eq!(text, "~/.ocp/monitor.db: not there yet; it is made by the first 'tokenpak serve'");
    assert!(!scratch.db().exists(), "looking must not make a file");

    let garbage = scratch.0.join("garbage.db");
    fs::write(&garbage, "no database".repeat(100)).unwrap();
    let fault = overview(&garbage, NOW).unwrap_err();
    assert_eq!(fault.exit_code(), 65);
    assert!(fault.to_string().ends_with("garbage.db: is damaged or not a database"), "{fault}");

    let empty = scratch.0.join("empty.db");
    fs::write(&empty, "").unwrap();
    assert_eq!(overview(&empty, NOW).unwrap_err().exit_code(), 65);
}

#[test]
fn a_report_reads_beside_a_writer_and_from_a_copy() {
    let scratch = Scratch::new();
    let (ledger, _) = start(&scratch.db());
    ledger.record(entry("a"));
    until("a row", || {
        overview(&scratch.db(), NOW).is_ok_and(|report| report.windows[0].sums.requests == 1)
    });
    ledger.close();
    assert_eq!(overview(&scratch.db(), NOW).unwrap().windows[3].sums.requests, 1);
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
fn windows_count_whole_days_and_agree_with_the_views() {
    let scratch = Scratch::new();
    let mut entries = Vec::new();
    for (number, days) in [0, 0, 1, 6, 7, 29, 30, 400].into_iter().enumerate() {
        entries.push(Entry {
            ts: NOW - days * DAY,
            proxy_us: 100 * (number as u64 + 1),
            ..entry(&format!("d{number}"))
        });
    }
    entries.push(Entry { model: Some("local-llama".into()), ..entry("unpriced") });
    entries.push(Entry { api: "other", ..entry("other") });
    write(&scratch.db(), entries);

    let report = overview(&scratch.db(), NOW).unwrap();
    let requests: Vec<i64> = report.windows.iter().map(|window| window.sums.requests).collect();
    assert_eq!(requests, [3, 5, 7, 9]);
    let costs: Vec<Option<i64>> =
        report.windows.iter().map(|window| window.sums.cost_nano).collect();
    assert_eq!(costs, [2, 4, 6, 8].map(|priced| Some(priced * 4_800_000)));
    let (today, all) = (&report.windows[0], &report.windows[3]);
    assert_eq!((today.sums.tokens_before, today.sums.tokens_saved), (Some(4500), Some(1500)));
    assert_eq!((today.p50_us, today.p95_us), (Some(200), Some(500)));
    assert_eq!((all.p50_us, all.p95_us), (Some(500), Some(800)));
    assert_eq!(report.unpriced, [Unpriced { model: Some("local-llama".into()), requests: 1 }]);
    assert_eq!((today.unpriced, report.windows[1].unpriced), (1, 1));

    let total = "sum(requests), sum(tokens_saved), round(sum(cost_usd) * 1e9)";
    for view in [
        "hourly",
        "daily",
        "by_model",
        "by_provider",
        "by_project",
        "by_client",
        "by_mode",
        "by_status",
    ] {
        assert_eq!(
            read(&scratch.db(), &format!("SELECT {total} FROM {view}")),
            ["9 4500 38400000"],
            "{view}"
        );
    }
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
        write(&scratch.db(), [Entry { status, error, ..entry("a") }]);
        let sums = overview(&scratch.db(), NOW).unwrap().windows.remove(0).sums;
        assert_eq!((sums.requests, sums.errors), (1, errors));
    }
}

#[test]
fn unknown_is_not_zero_and_nothing_is() {
    let scratch = Scratch::new();
    write(
        &scratch.db(),
        [Entry {
            usage: None,
            cuts: vec![],
            tokens_before: None,
            tokens_after: None,
            ..entry("a")
        }],
    );
    let report = overview(&scratch.db(), NOW).unwrap();
    let sums = &report.windows[0].sums;
    let unknown = Sums { requests: 1, ..Sums::default() };
    assert_eq!(*sums, unknown);
    assert_eq!(report.unpriced, [Unpriced { model: None, requests: 1 }]);
    assert_eq!(read(&scratch.db(), "SELECT basis FROM requests"), ["estimate"]);

    let yesterday = overview(&scratch.db(), NOW + 2 * DAY).unwrap().windows.remove(0).sums;
    assert_eq!(
        (yesterday.requests, yesterday.tokens_before, yesterday.cost_nano),
        (0, Some(0), Some(0))
    );

    write(&scratch.0.join("fresh.db"), []);
    let fresh = overview(&scratch.0.join("fresh.db"), NOW).unwrap();
    assert_eq!((fresh.windows[3].since.as_ref(), fresh.windows[3].p50_us), (None, None));
    assert!(fresh.unpriced.is_empty());
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
    let report = overview(&scratch.db(), NOW).unwrap();
    assert_eq!((report.at.as_str(), report.offset_s), ("2026-11-23T13:00:00+01:00", 3600));
    assert_eq!(report.windows[0].sums.requests, 1);
    let since: Vec<&str> =
        report.windows.iter().map(|window| window.since.as_deref().unwrap()).collect();
    // The clocks went back on the first of the thirty days.
    let first_days =
        ["2026-11-23T00:00:00+01:00", "2026-11-17T00:00:00+01:00", "2026-10-25T00:00:00+02:00"];
    assert_eq!((&since[..3], since[3]), (&first_days[..], "2026-11-22T00:00:00+01:00"));
    assert!(report.windows.iter().all(|window| window.until == "2026-11-24T00:00:00+01:00"));
}
