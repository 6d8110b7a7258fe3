//! `stats` in all its forms, on databases with known content.

use crate::sandbox::{Made, Sandbox};
use crate::support::sandbox;
use serde_json::Value;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

const DAY: i64 = 86_400;

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

/// Forty days of requests of every kind; days 3 and 4 ago had none.
fn busy() -> Sandbox {
    let sandbox = sandbox();
    let models = [Some("claude-sonnet-4-5"), Some("gpt-4o"), Some("local-llama"), None];
    let today = now() - now() % DAY;
    let day = |n: i64| n * 37 % 40;
    let requests = (0..4000).filter(|n| ![3, 4].contains(&day(*n))).map(|n: i64| Made {
        ts: today - day(n) * DAY + (n * 7919) % (now() - today).max(1),
        provider: ["anthropic", "openai", "local"][n as usize % 3],
        model: models[n as usize % 4],
        project: (n % 5 == 0).then_some("web, \"shop\""),
        client: (n % 7 != 0).then_some("codex/1.0"),
        mode: ["strict", "hybrid"][n as usize % 2],
        status: [Some(200), Some(200), Some(429), None][n as usize / 11 % 4],
        before: 1000 + n,
        after: 700 + n % 300,
        cost_nano: (n % 4 < 2).then_some(1_234_567 + n),
    });
    sandbox.fill(requests);
    sandbox
}

fn json(sandbox: &Sandbox, arguments: &str) -> Value {
    let all: Vec<&str> =
        ["stats", "--json"].into_iter().chain(arguments.split_whitespace()).collect();
    let output = sandbox.run(&all);
    assert_eq!((output.status, output.stderr.as_str()), (0, ""), "{arguments}");
    serde_json::from_str(&output.stdout).unwrap()
}

const SUMS: [&str; 11] = [
    "requests",
    "errors",
    "tokens_before",
    "tokens_after",
    "tokens_saved",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
    "cost_usd",
    "saved_usd",
];

#[test]
fn sums_are_the_same_however_they_are_grouped() {
    let sandbox = busy();
    let raw = sandbox.ask("select count(*), sum(tokens_before), sum(cost_nano) from requests");
    let raw: Vec<i64> = raw.split('|').map(|cell| cell.parse().unwrap()).collect();
    let same = |report: &Value, what: &str| {
        assert_eq!(report["requests"], raw[0], "{what}");
        assert_eq!(report["tokens_before"], raw[1], "{what}");
        assert_eq!(report["cost_usd"], raw[2] as f64 / 1e9, "{what}");
    };
    let keys = "hour day week month model provider project client mode status day,model \
                model,day week,provider month,mode,status provider,model,client project,status,hour";
    for by in keys.split(' ') {
        let report = json(&sandbox, &format!("--by {by} --since 41d"));
        same(&report["total"], by);
        let rows = report["rows"].as_array().unwrap();
        for field in SUMS {
            let cells = rows.iter().filter_map(|row| row[field].as_f64());
            let sum: f64 = cells.sum();
            let total = report["total"][field].as_f64().unwrap_or(0.0);
            assert!((sum - total).abs() < 1e-6, "{by}: {field}: {sum} is not {total}");
        }
        let csv = sandbox.run(&["stats", "--csv", "--by", by, "--since", "41d"]).stdout;
        assert_eq!(csv.lines().count(), rows.len() + 1, "{by}");
    }
    same(&json(&sandbox, "")["windows"][3], "all time");
    let views = "hourly daily weekly monthly by_model by_provider by_project by_client by_mode \
                 by_status";
    for view in views.split_whitespace() {
        let sql = format!(
            "select sum(requests), sum(tokens_before), cast(round(sum(cost_usd) * 1e9) as integer)
            from {view}"
        );
        assert_eq!(sandbox.ask(&sql), format!("{}|{}|{}", raw[0], raw[1], raw[2]), "{view}");
    }
}

#[test]
fn days_without_requests_are_rows_and_ranges_mean_what_they_say() {
    let sandbox = busy();
    let report = json(&sandbox, "--daily --since 7d");
    let counts: Vec<i64> = report["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["requests"].as_i64().unwrap())
        .collect();
    assert_eq!(counts.len(), 7);
    assert_eq!((counts[2], counts[3]), (0, 0), "{counts:?}");
    assert!(counts[1] > 0 && counts[6] > 0, "{counts:?}");
    assert_eq!(report["rows"][2]["cost_usd"], 0.0);

    let rows = |arguments: &str| json(&sandbox, arguments)["rows"].as_array().unwrap().len();
    assert_eq!(rows("--daily"), 30);
    assert_eq!(rows("--since yesterday"), 2);
    assert_eq!(rows("--since 7d --until yesterday"), 6);
    assert_eq!(rows("--on yesterday"), 1);
    assert_eq!(rows("--on last-week"), 7);
    assert_eq!(rows("--on last-week --hourly"), 7 * 24);
    assert_eq!(rows("--since 12h --hourly"), 12);
    assert_eq!(rows("--on last-week --by week"), 1);
    let whole = |arguments| json(&sandbox, arguments)["total"]["requests"].as_i64().unwrap();
    assert_eq!(whole("--since 7d"), whole("--since 7d --until yesterday") + whole("--on today"));
    assert_eq!(whole("--since 7d --until now"), whole("--since 7d"));
}

#[test]
fn text_is_narrow_ascii_in_every_grouping() {
    let sandbox = busy();
    let keys = "day hour week month model provider project client mode status day,model \
                project,client model,provider,client day,model,project,client,mode,status";
    for by in keys.split_whitespace() {
        let output = sandbox.run(&["stats", "--since", "41d", "--by", by]);
        assert_eq!((output.status, output.stderr.as_str()), (0, ""), "{by}");
        for line in output.stdout.lines() {
            let is_plain = line.bytes().all(|byte| (b' '..=b'~').contains(&byte));
            assert!(line.len() <= 79 && is_plain, "{by}: {line}");
        }
        assert!(output.stdout.contains("\ntotal "), "{by}: {}", output.stdout);
        assert!(output.stdout.contains("no known price"), "{by}: {}", output.stdout);
    }
}

#[test]
fn the_other_forms() {
    let sandbox = sandbox();
    sandbox.fill([Made::at(now()), Made { cost_nano: None, model: None, ..Made::at(now()) }]);
    let line = sandbox.run(&["stats", "--oneline"]).stdout;
    assert_eq!(line, "2 req, 2,000->1,400 tok, saved 30%, $0.0030, -$0.0010\n");
    let csv = sandbox.run(&["stats", "--csv", "--by-model"]).stdout;
    assert_eq!(csv.lines().next(), Some(&*format!("model,{}", SUMS.join(","))));
    assert_eq!(csv.lines().nth(1), Some("gpt-4o,1,0,1000,700,300,700,,,50,0.003,0.001"));
    assert_eq!(csv.lines().nth(2), Some(",1,0,1000,700,300,700,,,50,,"));
    let view = "select group_concat(name) from pragma_table_info('by_model')";
    assert_eq!(Some(sandbox.ask(view).as_str()), csv.lines().next());
    let html = sandbox.run(&["stats", "--html"]).stdout;
    assert!(html.starts_with("<!doctype html>") && html.len() < 12 * 1024, "{}", html.len());
    let nothing = sandbox.run(&["stats", "--on", "2024-02-29"]);
    assert_eq!(nothing.stdout, "no requests from 2024-02-29 to 2024-02-29 (UTC)\n");
    assert_eq!(nothing.status, 0);
}

#[test]
fn alerts_speak_only_when_there_is_something_to_say() {
    let sandbox = sandbox();
    let dear = Made { cost_nano: Some(6_110_000_000), ..Made::at(now() - DAY) };
    let failed = Made { status: Some(500), cost_nano: Some(0), ..Made::at(now() - DAY) };
    sandbox.fill([dear, failed]);
    let run = |arguments: &str| {
        let all: Vec<&str> = ["stats"].into_iter().chain(arguments.split(' ')).collect();
        let output = sandbox.run(&all);
        (output.status, output.stdout, output.stderr)
    };
    let silence = (0, String::new(), String::new());
    assert_eq!(run("-q"), silence);
    assert_eq!(run("--on yesterday -q --alert-cost 20"), silence);
    assert_eq!(run("--on today -q --alert-cost 0 --alert-errors 0"), silence);
    assert_eq!(run("--on yesterday --quiet --alert-errors 50"), silence);
    let (status, text, said) = run("--on yesterday -q --alert-cost 5");
    assert_eq!((status, said.as_str()), (1, ""));
    let start = "ALERT cost $6.11 is over the limit of $5.00 by $1.11 (";
    assert!(text.starts_with(start) && text.contains(", UTC)\n\ndate "), "{text}");
    let (status, text, _) = run("--on yesterday --alert-cost 5 --alert-errors 49.5");
    assert_eq!((status, text.lines().filter(|line| line.starts_with("ALERT")).count()), (1, 2));
    assert!(text.contains("ALERT errors 50.0% are over the limit of 49.5%, 1 of 2 ("), "{text}");
    // Programs get the alert where it is not in the way.
    let (status, text, _) = run("--on yesterday --json --alert-cost=5");
    let alerts = &serde_json::from_str::<Value>(&text).unwrap()["alerts"];
    assert_eq!((status, &alerts[0]["limit_usd"]), (1, &5.0.into()));
    let (status, text, said) = run("--on yesterday --csv --alert-cost 5");
    assert_eq!(
        (status, text.starts_with("date,"), said.starts_with("ALERT cost")),
        (1, true, true)
    );
}

#[test]
fn what_is_asked_wrongly_is_64_and_says_how() {
    let sandbox = sandbox();
    sandbox.fill([]);
    for (arguments, said) in [
        ("--by provder", "unknown key \"provder\"; did you mean provider?"),
        ("--by colour", "one of hour, day,"),
        ("--daily --hourly", "only one of hour, day, week and month"),
        ("--since fortnight", "--since: unknown time \"fortnight\"; one of now, today,"),
        ("--until 2026-02-30", "--until: unknown time"),
        ("--on 7d", "one of today, yesterday, this-week"),
        ("--on today --since 7d", "give one or the other"),
        ("--since today --until yesterday", "--since is not before --until"),
        ("--json --csv", "only one of --json"),
        ("--alert-cost much", "\"much\" is not a number"),
        ("--alert-errors -1", "is not a number of 0 or more"),
        ("--sinc 7d", "did you mean --since?"),
    ] {
        let all: Vec<&str> = ["stats"].into_iter().chain(arguments.split(' ')).collect();
        let output = sandbox.run(&all);
        assert_eq!((output.status, output.stdout.as_str()), (64, ""), "{arguments}");
        assert!(output.stderr.contains(said), "{arguments}: {}", output.stderr);
        assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
    }
}

#[test]
fn a_reader_who_has_left_is_no_error() {
    let sandbox = busy();
    for form in ["--daily", "--json", "--csv", "--html"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = Command::new(env!("CARGO_BIN_EXE_tokenpak"));
        command.args(["stats", form]).env_clear().env("TOKENPAK_HOME", sandbox.home());
        let output = command.stdout(writer).output().unwrap();
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{form}");
    }
}

#[test]
fn several_databases_are_one_report() {
    let (first, second) = (busy(), busy());
    let one = json(&first, "--by model,status");
    let files = [first.database(), second.database()];
    let files = files.map(|path| path.display().to_string());
    let both = json(&sandbox(), &format!("--by model,status --db {} --db {}", files[0], files[1]));
    for (one, both) in one["rows"].as_array().unwrap().iter().zip(both["rows"].as_array().unwrap())
    {
        assert_eq!((&one["model"], &one["status"]), (&both["model"], &both["status"]));
        assert_eq!(2 * one["tokens_before"].as_i64().unwrap(), both["tokens_before"]);
    }
    let windows = json(&sandbox(), &format!("--db {} --db {}", files[0], files[1]));
    assert_eq!(windows["windows"][3]["cost_usd"], both["total"]["cost_usd"]);
    let twice = json(&sandbox(), &format!("--by model,status --db {0} --db {0}", files[0]));
    assert_eq!(twice["total"], one["total"], "the same file is counted once");
    let missing = sandbox().run(&["stats", "--db", &files[0], "--db", "not-there.db"]);
    assert_eq!(missing.status, 66, "{}", missing.stderr);
}

/// A report that takes its time must not hold up the proxy's next row, nor the other way round.
#[test]
fn a_reader_does_not_block_the_writer() {
    let sandbox = busy();
    let reader = rusqlite::Connection::open(sandbox.database()).unwrap();
    reader.execute_batch("begin; select count(*) from requests").unwrap();
    let before: i64 =
        reader.query_row("select count(*) from requests", [], |row| row.get(0)).unwrap();
    let provider = crate::provider::Provider::start();
    let proxy = Sandbox::of(std::path::Path::new(env!("CARGO_BIN_EXE_tokenpak")))
        .set("TOKENPAK_DB", &sandbox.database().display().to_string())
        .providers(&provider);
    let proxy = proxy.serve();
    let api = crate::support::Api::Chat;
    let answer = proxy.post("/v1/chat/completions", &api.headers(), &api.small(false));
    sandbox.row(&answer.head.request_id());
    let still: i64 =
        reader.query_row("select count(*) from requests", [], |row| row.get(0)).unwrap();
    assert_eq!(before, still, "the reader's own moment does not move");
}
