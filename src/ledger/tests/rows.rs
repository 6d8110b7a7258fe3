//! What a record becomes, when, and who may read it.

use super::*;

#[test]
fn a_record_becomes_a_row() {
    let scratch = Scratch::new();
    write(&scratch.db(), [entry("m3k9qf0a1b2c0004")]);
    // Billed twice what we counted: 800 saved at the read price of $0.30, 200 at the input's $3;
    // 1,000 read, 1,000 plain, 100 of output at $15.
    assert_eq!(
        read(&scratch.db(), "SELECT * FROM requests"),
        [
            "1 m3k9qf0a1b2c0004 1795435200 anthropic messages claude-sonnet-4-5 - claude-cli/2.1 200 - 1 \
          1500 1000 2000 1000 0 - 100 - 4800000 840000 estimate hybrid balanced - 500 300 2000 - - standard listed - -"
        ]
    );
    let header = "SELECT group_concat(name) FROM pragma_table_info('daily')";
    assert_eq!(
        read(&scratch.db(), header),
        [
            "date,requests,errors,tokens_before,tokens_after,tokens_saved,input_tokens,cache_read_tokens,\
          cache_write_tokens,output_tokens,cost_usd,saved_usd"
        ]
    );
    assert_eq!(
        read(&scratch.db(), "SELECT * FROM by_model"),
        ["claude-sonnet-4-5 1 0 1500 1000 500 2000 1000 0 100 0.0048 0.00084"]
    );
}

#[test]
fn rows_reach_the_file_in_time_without_closing() {
    let scratch = Scratch::new();
    let (ledger, _) = start(&scratch.db());
    until("the file is made at the start", || scratch.db().exists());
    for number in 0..1000 {
        ledger.record(entry(&format!("id{number}")));
    }
    until("1,000 rows", || rows(&scratch.db()) == Some(1000));
    ledger.record(entry("late"));
    until("one more row", || rows(&scratch.db()) == Some(1001));
    ledger.close();
    ledger.record(entry("too late"));
    assert_eq!(ledger.lost(), 1);
}

#[test]
fn closing_writes_everything() {
    let scratch = Scratch::new();
    write(&scratch.db(), (0..3000).map(|number| entry(&format!("id{number}"))));
    assert_eq!(rows(&scratch.db()), Some(3000));
    assert_eq!(read(&scratch.db(), "PRAGMA integrity_check"), ["ok"]);
}

/// A process has one umask, so the test starts itself again with one that allows all, and one that
/// takes away what we need.
#[test]
fn only_the_owner_may_read_whatever_the_umask() {
    if !is_started_again() {
        for umask in ["0", "0377"] {
            let mut command = Command::new("sh");
            command.arg("-c").arg(format!("umask {umask}; exec \"$0\" \"$@\""));
            command.arg(std::env::current_exe().unwrap());
            start_again(command, "rows::only_the_owner_may_read_whatever_the_umask");
        }
        return;
    }
    let scratch = Scratch::new();
    let (ledger, _) = start(&scratch.db());
    ledger.record(entry("a"));
    until("a row", || rows(&scratch.db()) == Some(1));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for name in ["monitor.db", "monitor.db-wal", "monitor.db-shm"] {
        assert_eq!(mode(&scratch.db().with_file_name(name)), 0o600, "{name}");
    }
    assert_eq!(mode(&scratch.0.join("home")), 0o700);
    assert_eq!(mode(&scratch.0.join("home/.ocp")), 0o700);
    ledger.close();
}

#[test]
fn a_link_above_the_last_component_is_fine() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.0.join("real")).unwrap();
    symlink(scratch.0.join("real"), scratch.0.join("state")).unwrap();
    write(&scratch.0.join("state/monitor.db"), [entry("a")]);
    assert_eq!(rows(&scratch.0.join("real/monitor.db")), Some(1));
}

#[test]
fn nonsense_from_a_provider_or_client_does_no_harm() {
    let scratch = Scratch::new();
    let huge = Usage { input: Some(u64::MAX), output: Some(u64::MAX), ..Usage::default() };
    let entries = (0..100).map(|number| Entry {
        usage: Some(huge),
        cuts: vec![(u64::MAX, i64::MIN)],
        total_ms: u64::MAX,
        ..entry(&format!("id{number}"))
    });
    write(&scratch.db(), entries);
    let sums = "SELECT requests, cost_nano, tokens_before FROM per_15min";
    assert_eq!(read(&scratch.db(), sums), ["100 - 150000"]);
}

#[test]
fn old_requests_go_and_reports_still_know_of_them() {
    let scratch = Scratch::new();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = now.as_secs() as i64;
    let aged = |days: i64, id: String| Entry { ts: now - days * DAY, ..entry(&id) };
    let old = (0..2000).map(|number| aged(40, format!("old {number}")));
    write(&scratch.db(), old.chain([aged(20, "young".into())]));
    let size = || read(&scratch.db(), "PRAGMA page_count")[0].parse::<i64>().unwrap();
    let full = size();
    // Kept for ever unless told otherwise; then what is too old goes, in steps.
    let keeping = WriterSettings { flush_ms: FLUSH_MS, retention_days: 30 };
    let ledger = Ledger::start(&scratch.db(), keeping, |_| {});
    let mut number = 0;
    until("the old ones are gone", || {
        number += 1;
        ledger.record(aged(0, format!("new {number}")));
        read(&scratch.db(), "SELECT count(*) FROM requests WHERE request_id LIKE 'old%'") == ["0"]
    });
    ledger.close();
    let kept = read(&scratch.db(), "SELECT count(*) FROM requests WHERE request_id = 'young'");
    assert_eq!(kept, ["1"]);
    let all = read(&scratch.db(), "SELECT sum(requests) FROM daily");
    assert_eq!(all, [(2001 + number - ledger.lost() as i64).to_string()]);
    assert!(size() < full, "{} pages of {full} are left", size());
    assert_eq!(read(&scratch.db(), "PRAGMA freelist_count"), ["0"], "all space is given back");
}

/// What version 0.1.0 wrote: its reports are the same before and after the file is brought up, it is
/// not changed by reading, and nothing of what users could read is gone.
#[test]
fn a_database_of_0_1_0_is_read_and_brought_up() {
    let scratch = Scratch::new();
    let path = scratch.0.join("old.db");
    let old = Connection::open(&path).unwrap();
    old.execute_batch(include_str!("../../../fixtures/ledger/0.1.0.sql")).unwrap();
    drop(old);
    let (all, day) = (i64::MIN..i64::MAX, |_| 0);
    let report = || {
        let reader = Reader::open(&path).unwrap();
        let mut groups = query::Groups::new();
        let columns = [Column::Model, Column::Status];
        reader.parts(&columns, (&all, &day), &mut groups).unwrap();
        let mut rows: Vec<String> = groups.iter().map(|group| format!("{group:?}")).collect();
        rows.sort();
        let mut latency = Latency::default();
        reader.quarters(&all, |_, _, classes| latency.add(classes)).unwrap();
        (rows, latency)
    };
    let bytes = fs::read(&path).unwrap();
    let before = report();
    assert_eq!(before.0.len(), 4, "{before:?}");
    assert!(fs::read(&path).unwrap() == bytes, "reading changes nothing");
    let daily = "SELECT date, requests, errors, tokens_saved, round(cost_usd * 1e9) FROM daily";
    let want = "2026-11-30 4 0 7965 455850";
    assert_eq!(read(&path, daily), [want]);
    write(&path, []);
    assert_eq!(report(), before);
    assert_eq!(read(&path, daily), [want]);
    assert_eq!(read(&path, "PRAGMA integrity_check"), ["ok"]);
    let kept = "SELECT name FROM sqlite_schema WHERE name IN ('roll_up', 'measured', 'quarterly')";
    assert_eq!(read(&path, kept), [""; 0]);
    // What is written from now on is added to it once.
    write(&path, [entry("new")]);
    assert_eq!(read(&path, "SELECT sum(requests), count(*) FROM daily"), ["5 2"]);
    assert_eq!(read(&path, "SELECT count(*) FROM requests"), ["6"]);
}

#[test]
fn what_another_program_says_beside_our_views_stays() {
    let scratch = Scratch::new();
    write(&scratch.db(), [entry("a")]);
    let other = Connection::open(scratch.db()).unwrap();
    other.execute_batch("CREATE VIEW mine AS SELECT * FROM daily; DROP VIEW by_model").unwrap();
    drop(other);
    write(&scratch.db(), []);
    assert_eq!(read(&scratch.db(), "SELECT requests FROM mine"), ["1"]);
    assert_eq!(read(&scratch.db(), "SELECT requests FROM by_model"), ["1"]);
}

/// A request as the roll-up counts it, said once more in SQL.
const MEASURED: &str = "SELECT
    ts - ts % 900 AS quarter,
    ts - ts % 86400 AS day,
    provider,
    coalesce(model, '') AS model,
    coalesce(project, '') AS project,
    coalesce(client, '') AS client,
    mode,
    coalesce(status, 0) AS status,
    1 AS requests,
    CASE WHEN status >= 400 THEN 1 WHEN error IS 'client_gone' THEN 0
        ELSE error IS NOT NULL OR status IS NULL END AS errors,
    tokens_before, tokens_after, input_tokens, cache_read_tokens, cache_write_tokens,
    output_tokens, cost_nano, saved_nano,
    cost_nano IS NULL AND (input_tokens IS NULL OR output_tokens IS NULL) AS no_usage,
    cost_nano IS NULL AND input_tokens IS NOT NULL AND output_tokens IS NOT NULL AS no_price,
    proxy_us
    FROM requests WHERE api <> 'other'";

/// The writer adds up in memory what SQL says of each row.
#[test]
fn roll_up_is_that_of_the_requests() {
    let scratch = Scratch::new();
    let mut random = 7_u64;
    let mut pick = move |limit: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) as usize % limit
    };
    let mut any = |number: usize| {
        let some = |is: usize, text: &str| (is > 0).then(|| text.to_owned());
        let count = |of: usize| [None, Some(0), Some(70), Some(1 << 41), Some(u64::MAX)][of];
        Entry {
            ts: NOW - 450 * pick(600) as i64,
            api: ["chat", "messages", "chat", "other"][pick(4)],
            model: some(pick(3), ["a", "b"][pick(2)]),
            project: some(pick(2), &"e\u{301}".repeat(100)),
            client: some(pick(2), ""),
            status: [None, Some(200), Some(399), Some(400), Some(529)][pick(5)],
            error: [None, None, Some("cut"), Some("client_gone")][pick(4)].map(Into::into),
            tokens_before: count(pick(5)),
            usage: (pick(4) > 0).then(|| Usage {
                input: count(pick(5)),
                output: count(pick(5)),
                cache_read: count(pick(5)),
                ..Usage::default()
            }),
            mode: ["strict", "hybrid"][pick(2)],
            proxy_us: [0, 50, 51, 99_999, 1_000_000, u64::MAX][pick(6)],
            ..entry(&format!("id{number}"))
        }
    };
    write(&scratch.db(), (0..500).map(&mut any));
    // A second batch meets the sums of the first.
    write(&scratch.db(), (500..800).map(&mut any));

    let sums = "sum(requests), sum(errors), sum(tokens_before), sum(tokens_after),
        sum(input_tokens), sum(cache_read_tokens), sum(cache_write_tokens), sum(output_tokens),
        sum(cost_nano), sum(saved_nano), sum(no_usage), sum(no_price)";
    let names = "provider, model, project, client, mode, status";
    let measured = format!("({MEASURED})");
    let rows = |keys: &str, table: &str| {
        let sql = format!("SELECT {keys}, {sums} FROM {table} GROUP BY {keys} ORDER BY {keys}");
        read(&scratch.db(), &sql)
    };
    let (quarter, day) = (format!("quarter, {names}"), format!("day, {names}"));
    let start = format!("start, {names}");
    assert_eq!(rows("start", "quarters"), rows("quarter", &measured));
    assert_eq!(rows(&start, "quarter_parts"), rows(&quarter, &measured));
    assert_eq!(rows(&start, "day_parts"), rows(&day, &measured));
    let classes = "SELECT sum(us_50), sum(us_70), sum(us_100000), sum(us_1000000), sum(us_more) FROM quarters";
    let raw = format!(
        "SELECT sum(proxy_us <= 50), sum(proxy_us BETWEEN 51 AND 70),
        sum(proxy_us BETWEEN 70001 AND 100000), sum(proxy_us BETWEEN 500001 AND 1000000),
        sum(proxy_us > 1000000) FROM {measured}"
    );
    assert_eq!(read(&scratch.db(), classes), read(&scratch.db(), &raw));
}

#[test]
fn every_table_is_strict() {
    let scratch = Scratch::new();
    write(&scratch.db(), []);
    let loose = "SELECT name FROM pragma_table_list
        WHERE type = 'table' AND NOT strict AND name NOT LIKE 'sqlite_%'";
    assert_eq!(read(&scratch.db(), loose), [""; 0]);
}
