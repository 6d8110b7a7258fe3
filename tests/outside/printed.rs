//! What is printed is clean: no name of a model, project, client or anything else that others choose gives
//! a terminal an order, a log a line, or a spreadsheet a formula.

use crate::provider::{Provider, Script};
use crate::sandbox::{Made, Output, Sandbox, wait};
use crate::support::{Api, sandbox, skip};
use serde_json::{Value, json};
use std::fs;

/// Names as somebody would choose them who wants to be more than a name.
const POISONS: [&str; 25] = [
    "x\n<6>listening addr=6.6.6.6:6 version=9",
    "x\r\n2026-11-30 12:00:00 listening addr=6.6.6.6:6",
    "x\rtokenpak: all is well",
    "x\ttab",
    "\u{1b}]0;title\u{7}",
    "\u{1b}]8;;http://evil/\u{1b}\\link\u{1b}]8;;\u{1b}\\",
    "\u{1b}[2J\u{1b}[31mred",
    "\u{9b}2J\u{9d}0;title\u{9c}\u{85}",
    "a\u{7f}\u{8}\u{8}b",
    "gpt\u{202e}4o\u{202c}\u{2066}x\u{2069}\u{200e}\u{200f}\u{61c}",
    "g\u{200b}p\u{200c}t\u{200d}\u{2060}\u{ad}\u{feff}",
    "a\u{2028}b\u{2029}c",
    "\u{e0067}\u{e0062}tag",
    "=cmd|'/c calc'!A0",
    "+1+1",
    "-1+1",
    "@SUM(A1)",
    " =1+1",
    "\u{ff1d}1+1",
    "a;=1+1",
    "a,\"b\",=1+1",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "x status=200 error=-",
    "%s%n{}{0}",
    "модель 模型 🙂",
];

/// What no terminal, log or page may get; written down here once more, so that the two lists meet.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[track_caller]
fn clean(text: &str, what: &str) {
    let found = text.chars().find(|c| *c != '\n' && (is_hidden(*c) || *c == '\u{fffd}'));
    assert_eq!(found, None, "{what}:\n{text:?}");
    let forged = ["<6>", "2026-11-30 12:00:00 listening", "tokenpak: all is well"];
    let line = text.lines().find(|line| forged.iter().any(|start| line.starts_with(start)));
    assert_eq!(line, None, "{what}");
}

/// Runs a command; all that it prints must be clean.
#[track_caller]
fn run(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    let output = sandbox.run(arguments);
    assert!(output.status != 70, "{arguments:?}: {}", output.stderr);
    clean(&output.stdout, &format!("{arguments:?}"));
    clean(&output.stderr, &format!("{arguments:?}, standard error"));
    output
}

/// A ledger with each poison as a model, a project, a client, a mode and a provider.
fn poisoned() -> Sandbox {
    let sandbox = sandbox();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = now.as_secs() as i64;
    sandbox.fill(POISONS.into_iter().flat_map(|poison| {
        let name = Some(poison);
        let made = Made { project: name, client: name, ..Made::at(now) };
        // One without a price is named below the table.
        [
            Made { model: name, mode: poison, ..made },
            Made { provider: poison, cost_nano: None, model: name, ..made },
        ]
    }));
    // The writer alone adds rows up.
    sandbox.ask(
        "INSERT OR REPLACE INTO quarters (start, requests, no_price)
        SELECT ts - ts % 900, count(*), sum(cost_nano IS NULL) FROM requests GROUP BY 1 RETURNING 1",
    );
    for (table, seconds) in [("quarter_parts", 900), ("day_parts", 86_400)] {
        sandbox.ask(&format!(
            "INSERT OR REPLACE INTO {table} (start, provider, model, project, client, mode, status,
            requests, no_price)
            SELECT ts - ts % {seconds}, provider, coalesce(model, ''), coalesce(project, ''),
            coalesce(client, ''), mode, coalesce(status, 0), count(*), sum(cost_nano IS NULL)
            FROM requests GROUP BY 1, 2, 3, 4, 5, 6, 7 RETURNING 1"
        ));
    }
    sandbox
}

#[test]
fn reports_of_any_names_are_clean() {
    let sandbox = poisoned();
    let keys =
        ["", "model", "provider", "project", "client", "mode", "day,model", "model,project,client"];
    for by in keys {
        for form in ["", "--json", "--csv", "--html", "--oneline"] {
            for alert in ["", "--alert-cost=0"] {
                let by = format!("--by={by}");
                let (option, value) = alert.split_once('=').unwrap_or((alert, ""));
                let all = ["stats", "--by", &by[5..], form, option, value, "--alert-errors", "0"];
                let skip_by = if by.len() == 5 { 1..3 } else { 0..0 };
                let arguments: Vec<&str> = all
                    .iter()
                    .enumerate()
                    .filter(|(at, word)| !skip_by.contains(at) && !word.is_empty())
                    .map(|(_, word)| *word)
                    .collect();
                run(&sandbox, &arguments);
            }
        }
    }
    // JSON keeps what a name is.
    let json: Value =
        serde_json::from_str(&run(&sandbox, &["stats", "--by", "model", "--json"]).stdout).unwrap();
    let names: Vec<&str> =
        json["rows"].as_array().unwrap().iter().map(|row| row["model"].as_str().unwrap()).collect();
    assert!(POISONS.iter().all(|name| names.contains(name)), "{names:?}");
    let html = run(&sandbox, &["stats", "--by", "model", "--html"]).stdout;
    assert!(!html.contains("<script") && !html.contains("<img"), "{html}");
    for by in ["model", "project", "client", "mode", "provider"] {
        cells_are_no_formulas(&run(&sandbox, &["stats", "--by", by, "--csv"]).stdout);
    }
}

#[track_caller]
fn cells_are_no_formulas(csv: &str) {
    for line in csv.lines().skip(1) {
        // In quotes whatever a comma or a semicolon could end.
        let first = match line.strip_prefix('"') {
            Some(rest) => rest.replace("\"\"", "").split('"').next().unwrap().to_owned(),
            None => line.split(',').next().unwrap().to_owned(),
        };
        let start = first.trim_start().chars().next();
        assert!(
            !start.is_some_and(|c| "=+-@\u{ff1d}\u{ff0b}\u{ff0d}\u{ff20}".contains(c)),
            "{line}"
        );
        assert!(line.starts_with('"') || !line.contains(';'), "{line}");
    }
}

#[test]
fn what_is_told_of_requests_is_clean() {
    let provider = Provider::start();
    for journal in [false, true] {
        let mut sandbox = sandbox().providers(&provider).set("TOKENPAK_LOG", "debug");
        if journal {
            sandbox = sandbox.set("JOURNAL_STREAM", "9:9");
        }
        assert_eq!(sandbox.run(&["debug", "on"]).status, 0);
        let mut proxy = sandbox.serve();
        for poison in POISONS {
            let body = json!({"model": poison, "max_tokens": 8,
                "messages": [{"role": "user", "content": "Say hello."}]});
            let said = json!({"type": "message", "role": "assistant", "model": poison,
                "stop_reason": poison, "content": [], "usage": {"input_tokens": 3, "output_tokens": 2},
                "error": {"type": poison, "message": poison}});
            // Of these a header can hold what is no control character.
            let shown: String = poison.chars().filter(|c| !c.is_ascii_control()).collect();
            let mut headers = Api::Messages.headers();
            headers[0] = ("user-agent", &shown);
            headers.push(("x-tokenpak-project", &shown));
            for status in [200, 429] {
                let script = Script { status, ..Script::default() };
                provider.next(script.body("application/json", said.to_string()));
                let answer = proxy.post("/v1/messages", &headers, body.to_string().as_bytes());
                assert_eq!(answer.status(), status);
                let id = answer.head.request_id();
                sandbox.row(&id);
                run(&sandbox, &["trace", "--id", &id]);
                let json = run(&sandbox, &["trace", "--id", &id, "--json"]).stdout;
                let object: Value = serde_json::from_str(&json).unwrap();
                assert_eq!(object["model"].as_str(), Some(poison));
            }
            // A name of theirs in a path, which a client may send raw.
            let mut client = proxy.connect();
            client.send(format!("GET /p/{shown}/v1/{shown} HTTP/1.1\r\nhost: localhost\r\n\r\n"));
            clean(&client.answer().text().replace('\r', ""), "an answer of our own");
        }
        let pages = ["/health", "/metrics", "/stats", "/stats.json", "/stats?format=json"];
        for page in pages {
            clean(&proxy.ask("GET", page, &[], b"").text(), page);
        }
        for arguments in [
            &["trace", "--last"][..],
            &["trace", "-n", "100"],
            &["trace", "-n", "100", "--json"],
            &["status"],
            &["status", "--full"],
            &["status", "--json"],
            &["doctor", "--offline"],
            &["doctor", "--offline", "--json"],
            &["stats", "--by", "client,project"],
        ] {
            run(&sandbox, arguments);
        }
        assert_eq!(proxy.stop(), 0);
        let log = proxy.output().1;
        let own: String = log
            .lines()
            .map(|line| line.strip_prefix("<6>").unwrap_or(line).to_owned() + "\n")
            .collect();
        assert_eq!(
            own.lines().filter(|line| line.contains("listening addr=")).count() - quoted(&own),
            1,
            "{log}"
        );
        clean(&own, "the log");
        let requests = own.lines().filter(|line| line.contains("request provider=")).count();
        assert!(requests >= 2 * POISONS.len(), "{requests} lines");
    }
}

/// Lines in which the words stand inside a quoted value.
fn quoted(log: &str) -> usize {
    log.lines().filter(|line| line.contains("model=\"") && line.contains("listening addr=")).count()
}

#[test]
fn log_of_a_daemon_is_clean() {
    let provider = Provider::start();
    let sandbox =
        sandbox().providers(&provider).set("TOKENPAK_LOG", "debug").set("TOKENPAK_PORT", "0");
    let started = run(&sandbox, &["serve", "--daemon"]);
    assert_eq!(started.status, 0, "{}", started.stderr);
    let port = started.stderr.trim().rsplit(':').next().unwrap().parse().unwrap();
    for poison in POISONS {
        let body = json!({"model": poison, "max_tokens": 8, "messages": []}).to_string();
        let mut client = crate::sandbox::Client::connect(port);
        client.request(("POST", "/v1/messages"), &Api::Messages.headers(), body.as_bytes());
        assert_eq!(client.answer().status(), 200);
    }
    let log = || fs::read_to_string(sandbox.home().join("tokenpak.log")).unwrap();
    wait("all lines", || {
        (log().matches("request provider=").count() >= POISONS.len()).then_some(())
    });
    assert_eq!(run(&sandbox, &["stop"]).status, 0);
    clean(&log(), "tokenpak.log");
    assert!(log().lines().all(|line| line.starts_with("20")), "{}", log());
}

/// As a person at a terminal sees it; `script` makes one.
#[test]
fn lines_on_a_terminal_are_clean() {
    let provider = Provider::start();
    let own = sandbox();
    let program = env!("CARGO_BIN_EXE_tokenpak");
    let quiet = format!("#!/bin/sh\nexec script -qec \"{program} $*\" /dev/null\n");
    let path = own.write("terminal", quiet);
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let there = std::process::Command::new("script").arg("--version").output();
    if there.is_err() {
        return skip("lines_on_a_terminal_are_clean", "there is no script(1)");
    }
    let sandbox = sandbox().providers(&provider);
    let mut child = std::process::Command::new(&path)
        .args(["serve", "--port", "0"])
        .env("TOKENPAK_HOME", sandbox.home())
        .env("TOKENPAK_PROXY_PROVIDERS_ANTHROPIC_URL", provider.url())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let pid = || fs::read_to_string(sandbox.home().join("tokenpak.pid")).ok();
    let address = wait("its address", || pid()?.lines().nth(1)?.rsplit(':').next()?.parse().ok());
    for poison in POISONS {
        let body = json!({"model": poison, "max_tokens": 8, "messages": []}).to_string();
        let mut client = crate::sandbox::Client::connect(address);
        client.request(("POST", "/v1/messages"), &Api::Messages.headers(), body.as_bytes());
        assert_eq!(client.answer().status(), 200);
    }
    assert_eq!(run(&sandbox, &["stop"]).status, 0);
    let _ = child.kill();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n");
    let lines = text.lines().filter(|line| line.contains("   not: ")).count();
    assert_eq!(lines, POISONS.len(), "{text}");
    clean(&text, "the terminal");
}

#[test]
fn what_is_repeated_of_arguments_and_files_is_clean() {
    let sandbox = poisoned();
    for poison in POISONS.into_iter().filter(|name| !name.starts_with('-')) {
        for arguments in [
            &["prices", poison][..],
            &["trace", "--id", poison],
            &["config", "get", poison],
            &["config", "set", poison, "1"],
            &["config", "set", "proxy.mode", poison],
            &["config", "set", "proxy.passthrough_url", poison],
            &["config", "unset", poison],
            &["config", "check", poison],
            &["stats", "--by", poison],
            &["stats", "--since", poison],
            &["stats", "--alert-cost", poison],
            &["stats", "--db", poison],
            &["count", poison],
            &["count", poison, poison],
            &["count", "--model", poison, poison],
            &["compress", poison],
            &["compress", "--mode", poison],
            &["serve", "--mode", poison],
            &["serve", "--bind", poison],
            &["serve", "--config", poison],
            &["completions", poison],
            &["man", poison],
            &[poison],
            &["stats", poison],
        ] {
            run(&sandbox, arguments);
        }
        let option = format!("--{poison}");
        run(&sandbox, &[&option]);
        run(&sandbox, &["stats", &option]);
    }
}

#[test]
fn what_is_repeated_of_settings_is_clean() {
    for poison in POISONS {
        for config in [
            json!({"proxy": {"mode": poison}}),
            json!({"proxy": {poison: 1}}),
            json!({poison: {"a": 1}}),
            json!({"prices": {poison: {"input": 1, "output": 2}}}),
            json!({"prices": {"m": {poison: 1, "output": 2}}}),
            json!({"proxy": {"providers": {poison: {"url": "https://localhost"}}}}),
            json!({"proxy": {"passthrough_url": poison}}),
            json!({"proxy": {"hosts": [poison]}}),
            json!({"tls": {"roots": poison}}),
            json!({"storage": {"path": poison}}),
        ] {
            let sandbox = sandbox().config(&config.to_string());
            for arguments in [
                &["config", "list", "--show-origin"][..],
                &["config", "get", "proxy.hosts"],
                &["config", "get", "storage.path"],
                &["config", "check"],
                &["prices"],
                &["doctor", "--offline"],
                &["doctor", "--offline", "--json"],
                &["status", "--full"],
                &["stats"],
            ] {
                run(&sandbox, arguments);
            }
        }
    }
    for poison in POISONS {
        let sandbox = sandbox()
            .set("TOKENPAK_MODE", poison)
            .set(&format!("TOKENPAK_{}", poison.replace('=', "")), "1")
            .set("ANTHROPIC_BASE_URL", &format!("http://localhost:8766/{poison}"))
            .set("OPENAI_BASE_URL", poison)
            .set("TZ", &format!("<{poison}>-1"));
        for arguments in [
            &["doctor", "--offline"][..],
            &["doctor", "--offline", "--json"],
            &["status"],
            &["config", "list"],
            &["stats"],
        ] {
            run(&sandbox, arguments);
        }
    }
}
