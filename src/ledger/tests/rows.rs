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
          1500 1000 2000 1000 0 - 100 - 4800000 840000 estimate hybrid balanced - 500 300 2000 -"
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
        client: Some("é".repeat(10_000)),
        cuts: vec![(u64::MAX, i64::MIN)],
        total_ms: u64::MAX,
        ..entry(&format!("id{number}"))
    });
    write(&scratch.db(), entries);
    let sums = "SELECT requests, cost_nano, tokens_before FROM quarterly";
    assert_eq!(read(&scratch.db(), sums), ["100 - 150000"]);
    assert_eq!(read(&scratch.db(), "SELECT max(length(client)) FROM requests"), ["100"]);
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
    let keeping = Keeping { flush_ms: FLUSH_MS, retention_days: 30 };
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

/// What any earlier version wrote is found in reports after the migration, and nothing of it is lost.
#[test]
fn an_earlier_database_is_brought_up() {
    (1..schema::VERSION).for_each(check_that_it_is_brought_up);
}

#[track_caller]
fn check_that_it_is_brought_up(version: i64) {
    let scratch = Scratch::new();
    let path = scratch.0.join("old.db");
    let old = Connection::open(&path).unwrap();
    for step in &schema::STEPS[..version as usize] {
        old.execute_batch(step).unwrap();
    }
    old.execute_batch("CREATE VIEW daily AS SELECT ts AS date FROM requests").unwrap();
    old.pragma_update(None, "application_id", 0x746f_6b70).unwrap();
    old.pragma_update(None, "user_version", version).unwrap();
    let row = "INSERT INTO requests (request_id, ts, provider, api, model, status, stream,
        tokens_before, tokens_after, cost_nano, basis, mode, level, proxy_us, total_ms)
        VALUES (?, ?, 'openai', ?, 'gpt-4o', 200, 0, 10, 7, 5, 'usage', 'hybrid', 'light', 90, 1)";
    for (id, ts, api) in [("a", NOW, "chat"), ("b", NOW - 40 * DAY, "chat"), ("c", NOW, "other")] {
        old.execute(row, (id, ts, api)).unwrap();
    }
    drop(old);
    // Reading alone changes nothing.
    let fault = Reader::open(&path).err().unwrap();
    assert_eq!(fault.exit_code(), 65);
    assert!(
        fault.to_string().contains(&format!("has schema {version}; it is brought to")),
        "{fault}"
    );
    write(&path, [entry("d")]);
    assert_eq!(read(&path, "PRAGMA user_version"), [schema::VERSION.to_string()]);
    assert_eq!(read(&path, "PRAGMA integrity_check"), ["ok"]);
    let sums = "SELECT date, requests, tokens_saved, round(cost_usd * 1e9) FROM daily ORDER BY 1";
    assert_eq!(read(&path, sums), ["2026-10-14 1 3 5", "2026-11-23 2 503 4800005"]);
    assert_eq!(read(&path, "SELECT sum(us_100), sum(us_500) FROM quarterly"), ["2 1"]);
}

/// The writer adds up in memory what the view says of each row.
#[test]
fn roll_up_is_that_of_the_requests_whoever_wrote_them() {
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
            error: [None, None, Some("cut"), Some("client_gone")][pick(4)],
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
    // A second batch meets the sums of the first, and rows of another program come between.
    let other = Connection::open(scratch.db()).unwrap();
    let columns = "ts, provider, api, model, status, stream, tokens_before, cost_nano, basis,
        mode, level, proxy_us, total_ms";
    let sql = format!(
        "INSERT INTO requests (request_id, {columns}) SELECT 'x' || id, {columns} FROM requests"
    );
    assert_eq!(other.execute(&sql, []).unwrap(), 500);
    drop(other);
    write(&scratch.db(), (500..800).map(&mut any));

    let sums = "sum(requests), sum(errors), sum(tokens_before), sum(tokens_after),
        sum(input_tokens), sum(cache_read_tokens), sum(cache_write_tokens), sum(output_tokens),
        sum(cost_nano), sum(saved_nano), sum(no_usage), sum(no_price)";
    let names = "provider, model, project, client, mode, status";
    let rows = |keys: &str, table: &str| {
        let sql = format!("SELECT {keys}, {sums} FROM {table} GROUP BY {keys} ORDER BY {keys}");
        read(&scratch.db(), &sql)
    };
    let (quarter, day) = (format!("quarter, {names}"), format!("day, {names}"));
    let start = format!("start, {names}");
    assert_eq!(rows("start", "quarters"), rows("quarter", "measured"));
    assert_eq!(rows(&start, "quarter_parts"), rows(&quarter, "measured"));
    assert_eq!(rows(&start, "day_parts"), rows(&day, "measured"));
    let classes = "SELECT sum(us_50), sum(us_70), sum(us_100000), sum(us_1000000), sum(us_more) FROM quarters";
    let raw = "SELECT sum(proxy_us <= 50), sum(proxy_us BETWEEN 51 AND 70),
        sum(proxy_us BETWEEN 70001 AND 100000), sum(proxy_us BETWEEN 500001 AND 1000000),
        sum(proxy_us > 1000000) FROM measured";
    assert_eq!(read(&scratch.db(), classes), read(&scratch.db(), raw));
}

#[test]
fn every_table_is_strict() {
    let scratch = Scratch::new();
    write(&scratch.db(), []);
    let loose = "SELECT name FROM pragma_table_list
        WHERE type = 'table' AND NOT strict AND name NOT LIKE 'sqlite_%'";
    assert_eq!(read(&scratch.db(), loose), [""; 0]);
}
