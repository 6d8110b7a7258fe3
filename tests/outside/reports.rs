//! `stats`: what was recorded, as people and programs read it.

use crate::provider::{Provider, Script};
use crate::support::{Api, BILLED, sandbox, scene};
use serde_json::Value;

#[test]
fn stats_without_a_database_is_66() {
    let output = sandbox().run(&["stats"]);
    assert_eq!((output.status, output.stdout.as_str()), (66, ""), "{}", output.stderr);
    assert!(output.stderr.starts_with("tokenpak: ") && output.stderr.contains("monitor.db"));
    assert!(output.stderr.contains("tokenpak serve"), "the next step: {}", output.stderr);
    assert_eq!(output.stderr.lines().count(), 1);
}

#[test]
fn stats_counts_requests_errors_tokens_and_money() {
    let (provider, sandbox, proxy) = scene();
    provider.always(Script::default().billed(BILLED));
    let (mut before, mut after) = (0, 0);
    for api in Api::ALL {
        let head = proxy.post(api.target(true), &api.headers(), &api.large(true)).head;
        before += head.tokens("before");
        after += head.tokens("after");
    }
    provider.next(Script::status(529));
    let refused =
        proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(false)).head;
    before += refused.tokens("before");
    after += refused.tokens("after");
    // Forwarded and recorded, but no request in the report's sense.
    for _ in 0..3 {
        proxy.ask("GET", "/v1/models", &Api::Chat.headers(), b"");
        proxy.post("/v1/messages/count_tokens", &Api::Messages.headers(), b"{}");
    }
    let rows = sandbox.rows(11);
    assert_eq!(rows.iter().filter(|row| row.text("api") == "other").count(), 6);

    let text = sandbox.run(&["stats"]);
    assert_eq!((text.status, text.stderr.as_str()), (0, ""));
    let line = |label: &str| {
        let found = text.stdout.lines().find(|line| line.trim_start().starts_with(label));
        let line = found.unwrap_or_else(|| panic!("no {label} in\n{}", text.stdout)).trim_start();
        line[label.len()..].split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(line("requests"), ["5", "5", "5", "5"]);
    assert_eq!(line("errors"), ["1", "1", "1", "1"]);
    assert_eq!(line("prompt tokens before"), vec![grouped(before); 4]);
    assert_eq!(line("prompt tokens after"), vec![grouped(after); 4]);
    let percent = format!("{:.0}%", 100.0 * (before - after) as f64 / before as f64);
    assert_eq!(line("saved"), vec![percent; 4]);
    assert_eq!(line("output tokens"), vec![(4 * BILLED.output).to_string(); 4]);
    assert!(line("cost").iter().all(|cost| cost.starts_with('$')), "{}", text.stdout);
    assert!(text.stdout.lines().all(|line| line.len() <= 79), "{}", text.stdout);

    let json: Value = serde_json::from_str(&sandbox.run(&["stats", "--json"]).stdout).unwrap();
    assert_eq!((&json["schema"], &json["timezone"]), (&1.into(), &"UTC".into()));
    let total = &json["windows"][3];
    assert_eq!((&total["requests"], &total["errors"]), (&5.into(), &1.into()), "{json}");
    assert_eq!(total["tokens_before"], before, "{json}");
    assert_eq!(total["tokens_after"], after, "{json}");
    assert_eq!(total["tokens_saved"], before - after, "{json}");
    assert_eq!(total["input_tokens"], 4 * BILLED.input, "{json}");
    assert_eq!(total["output_tokens"], 4 * BILLED.output, "{json}");
    let nano: i64 = rows.iter().filter_map(|row| row.number("cost_nano")).sum();
    let cost = total["cost_usd"].as_f64().unwrap();
    assert!((cost - nano as f64 / 1e9).abs() < 1e-6, "{cost} is not {nano} / 1e9");
}

/// With commas between thousands.
fn grouped(number: i64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|g| str::from_utf8(g).unwrap()).collect();
    groups.join(",")
}

#[test]
fn model_without_a_price_is_named() {
    let (_provider, sandbox, proxy) = scene();
    let body = br#"{"model": "local-llama-9", "messages": [{"role": "user", "content": "hi"}]}"#;
    let answer = proxy.post("/v1/chat/completions", &Api::Chat.headers(), body);
    assert_eq!(sandbox.row(&answer.head.request_id()).number("cost_nano"), None);
    let text = sandbox.run(&["stats"]).stdout;
    assert!(text.contains("local-llama-9"), "{text}");
}

#[test]
fn cost_is_what_the_price_list_says() {
    let (provider, sandbox, proxy) = scene();
    provider.always(Script::default().billed(BILLED));
    let answer = proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(false));
    // claude-sonnet-4-5, dollars per million: 3 input, 0.30 read, 3.75 and 6 written, 15 output.
    let (fresh, short) = (
        BILLED.input - BILLED.cache_read - BILLED.cache_write,
        BILLED.cache_write - BILLED.cache_write_1h,
    );
    let nano = fresh * 3000
        + BILLED.cache_read * 300
        + short * 3750
        + BILLED.cache_write_1h * 6000
        + BILLED.output * 15_000;
    let row = sandbox.row(&answer.head.request_id());
    assert_eq!(row.number("cost_nano"), Some(nano as i64));
    assert_eq!(row.number("saved_nano"), Some(0), "nothing was cut");
}

#[test]
fn stats_reads_while_the_proxy_is_down_and_another_file_on_request() {
    let provider = Provider::start();
    let home = sandbox().providers(&provider);
    let mut proxy = home.serve();
    proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(false));
    assert_eq!(proxy.stop(), 0);
    let own = home.run(&["stats"]);
    assert_eq!(own.status, 0, "{}", own.stderr);
    let other = sandbox();
    let from_there = other.run(&["stats", "--db", home.database().to_str().unwrap()]);
    assert_eq!(
        (from_there.status, from_there.stdout.lines().count()),
        (0, own.stdout.lines().count())
    );
    let foreign = other.write("letter.db", "this is a letter, not a database\n".repeat(99));
    let refused = other.run(&["stats", "--db", foreign.to_str().unwrap()]);
    assert!(refused.status != 0 && refused.stderr.starts_with("tokenpak: "), "{}", refused.stderr);
    assert_eq!(refused.stderr.lines().count(), 1);
}
