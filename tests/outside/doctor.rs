//! `doctor`: for each check a case in which it complains and one in which it does not.

use crate::provider::{Authority, Provider, tls};
use crate::sandbox::Sandbox;
use crate::support::{Api, sandbox, scene};
use serde_json::Value;
use std::net::TcpListener;

/// What is said in one check, beginning with the verdict, and the exit status.
fn said(sandbox: &Sandbox, check: &str, arguments: &[&str]) -> (Vec<String>, i32) {
    let output = sandbox.run(&[&["doctor", "--json"][..], arguments].concat());
    assert_eq!(output.stderr, "");
    let object: Value = serde_json::from_str(&output.stdout).unwrap();
    let checks = object["checks"].as_array().unwrap().iter();
    let lines = checks.filter(|found| found["check"] == check).map(|found| {
        format!("{} {}", found["result"].as_str().unwrap(), found["text"].as_str().unwrap())
    });
    (lines.collect(), output.status)
}

/// One finding, with all of these parts.
#[track_caller]
fn check(sandbox: &Sandbox, name: &str, parts: &[&str]) {
    let (lines, status) = said(sandbox, name, &["--offline"]);
    let line = lines.iter().find(|line| line.starts_with(parts[0]));
    let line = line.unwrap_or_else(|| panic!("{parts:?}: {lines:?}"));
    assert!(parts.iter().all(|part| line.contains(part)), "{parts:?}: {line}");
    assert_eq!(status == 1, parts[0] == "fail", "{lines:?}");
}

/// Nothing wrong with it: no port that another program may have.
fn healthy() -> Sandbox {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    sandbox().set("TOKENPAK_PORT", &port.to_string())
}

#[test]
fn settings_are_read() {
    check(&healthy(), "config", &["ok", "config.json: not there, all settings have their"]);
    let some = healthy().config("{\"proxy\": {\"mode\": \"strict\", \"ask_usage\": false}}");
    check(&some, "config", &["ok", "config.json: 2 keys, all known"]);
    check(&healthy().config("{\n\"prox\": 1}"), "config", &["fail", "config.json:2: prox"]);
    check(&healthy().config("{"), "config", &["fail", "config.json:1"]);
    let typo = healthy().set("TOKENPAK_PROT", "1");
    check(&typo, "config", &["warn", "TOKENPAK_PROT: unknown variable"]);
}

#[test]
fn database_is_sound() {
    check(&healthy(), "database", &["ok", "not there yet"]);
    let used = healthy();
    used.fill([]);
    check(&used, "database", &["ok", "writable, schema ", "integrity ok", " MB"]);
    let damaged = healthy();
    damaged.write(".ocp/monitor.db", "precious notes, but no database");
    check(&damaged, "database", &["fail", "damaged or not a database"]);
    let folder = healthy();
    folder.write("file", "");
    let folder = folder.set("TOKENPAK_DB", "file/monitor.db");
    check(&folder, "database", &["fail", "file/monitor.db"]);
}

#[test]
fn damage_inside_the_database_is_found() {
    let sandbox = healthy();
    sandbox.fill((0..2000).map(crate::sandbox::Made::at));
    let path = sandbox.database();
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 4096].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    check(&sandbox, "database", &["fail", "damaged"]);
}

#[test]
fn port_is_looked_at() {
    check(&healthy(), "port", &["warn", "is free: no proxy runs"]);
    let (_provider, sandbox, mut proxy) = scene();
    // Once there is a row, its database is complete.
    proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(false));
    sandbox.rows(1);
    let place = format!("127.0.0.1:{} answers /health: tokenpak ", proxy.port());
    check(&sandbox, "port", &["ok", &place]);
    let other = crate::support::sandbox().set("TOKENPAK_PORT", &proxy.port().to_string());
    check(&other, "port", &["warn", "of another home"]);
    assert_eq!(proxy.stop(), 0);
    // Heard, but not answered.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let taken = crate::support::sandbox().set("TOKENPAK_PORT", &port);
    check(&taken, "port", &["fail", "is taken by another program"]);
}

#[test]
fn providers_are_reached_as_requests_reach_them() {
    let (provider, authority) = (Provider::start(), Authority::new());
    let port = tls(provider.port(), authority.sign("localhost"));
    let urls = |url: &str| {
        ["ANTHROPIC", "OPENAI", "GOOGLE"].iter().fold(healthy(), |sandbox, name| {
            sandbox.set(&format!("TOKENPAK_PROXY_PROVIDERS_{name}_URL"), url)
        })
    };
    let strange = urls(&format!("https://localhost:{port}"));
    let (lines, status) = said(&strange, "upstream", &[]);
    assert_eq!((lines.len(), status), (3, 1), "{lines:?}");
    for line in lines {
        assert!(line.starts_with("fail localhost:"), "{line}");
        assert!(line.contains("its certificate is signed by nobody we trust"), "{line}");
    }
    let path = strange.write("roots.pem", authority.pem());
    let known = strange.set("TOKENPAK_TLS_ROOTS", path.to_str().unwrap());
    let (lines, status) = said(&known, "upstream", &[]);
    assert_eq!((lines.len(), status), (3, 0), "{lines:?}");
    for line in lines {
        assert!(line.starts_with("ok localhost:"), "{line}");
        assert!(line.ends_with(" ms, certificate valid"), "{line}");
    }
    // No credential, no prompt.
    assert_eq!(provider.last().method(), "HEAD");
    assert!(provider.last().body.is_empty());
    let seen = provider.seen().len();
    let (lines, status) = said(&known, "upstream", &["--offline"]);
    assert_eq!((lines.len(), status, provider.seen().len()), (0, 0, seen));

    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (lines, status) = said(&urls(&format!("http://127.0.0.1:{closed}")), "upstream", &[]);
    assert_eq!(status, 1);
    assert!(lines.iter().all(|line| line.contains("connection refused")), "{lines:?}");
}

#[test]
fn time_zones_are_known_or_not() {
    check(&healthy().set("TZ", "UTC"), "time zone", &["ok", "TZ=\"UTC\""]);
    check(&healthy().set("TZ", "CET-1CEST,M3.5.0,M10.5.0/3"), "time zone", &["ok", "CET-1CEST"]);
    check(&healthy().set("TZ", "Europe/Berln"), "time zone", &["warn", "is not known here"]);
}

#[test]
fn clients_find_the_proxy_or_not() {
    check(&healthy(), "client", &["warn", "neither ANTHROPIC_BASE_URL nor OPENAI_BASE_URL"]);
    let at = |name: &str, url: &str| sandbox().set("TOKENPAK_PORT", "9").set(name, url);
    let anthropic = at("ANTHROPIC_BASE_URL", "http://localhost:9");
    check(&anthropic, "client", &["ok", "ANTHROPIC_BASE_URL=http://localhost:9"]);
    check(&anthropic, "client", &["warn", "tool search"]);
    let (lines, _) = said(&anthropic.set("ENABLE_TOOL_SEARCH", "true"), "client", &["--offline"]);
    assert_eq!(lines, ["ok ANTHROPIC_BASE_URL=http://localhost:9"]);
    let openai = at("OPENAI_BASE_URL", "http://localhost:9/v1");
    let (lines, _) = said(&openai, "client", &["--offline"]);
    assert_eq!(lines, ["ok OPENAI_BASE_URL=http://localhost:9/v1"]);
    check(&at("OPENAI_BASE_URL", "http://localhost:9"), "client", &["warn", "the path /v1"]);
    check(&at("ANTHROPIC_BASE_URL", "http://localhost:9/v1"), "client", &["warn", "no path"]);
    let elsewhere = at("ANTHROPIC_BASE_URL", "https://user:secret@api.example.com");
    check(&elsewhere, "client", &["warn", "does not lead to this proxy"]);
    assert!(!elsewhere.run(&["doctor", "--offline"]).stdout.contains("secret"));
}

#[test]
fn claude_codes_own_settings_count() {
    let sandbox = sandbox().set("TOKENPAK_PORT", "9");
    let env = "{\"env\": {\"ANTHROPIC_BASE_URL\": \"http://127.0.0.1:9\", \"ENABLE_TOOL_SEARCH\": \"true\"}}";
    sandbox.write(".claude/settings.json", env);
    let (lines, _) = said(&sandbox, "client", &["--offline"]);
    assert_eq!(lines, ["ok ANTHROPIC_BASE_URL=http://127.0.0.1:9"]);
}

#[test]
fn gemini_cli_needs_more_than_a_base_url() {
    let sandbox = sandbox().set("TOKENPAK_PORT", "9").set("GEMINI_API_KEY", "dummy");
    let sandbox = sandbox.set("GOOGLE_GEMINI_BASE_URL", "http://localhost:9");
    let warnings = |settings: Option<&str>| {
        if let Some(text) = settings {
            sandbox.write(".gemini/settings.json", text);
        }
        let (lines, _) = said(&sandbox, "client", &["--offline"]);
        assert_eq!(lines[0], "ok GOOGLE_GEMINI_BASE_URL=http://localhost:9");
        lines[1..].join("\n")
    };
    assert_eq!(warnings(None), "", "it may be a library's");
    let kind =
        |kind: &str| format!("{{\"security\": {{\"auth\": {{\"selectedType\": \"{kind}\"}}}}}}");
    assert!(warnings(Some("{}")).contains("does not start with a base URL alone"));
    assert!(warnings(Some(&kind("oauth-personal"))).contains("does not use the base URL"));
    assert_eq!(warnings(Some(&kind("gemini-api-key"))), "");
    assert_eq!(warnings(Some("// known to nobody\n{}")), "");
}

#[test]
fn clients_with_files_of_their_own_are_looked_at() {
    let sandbox = healthy().set("TOKENPAK_PORT", "9");
    let codex = |base: &str, more: &str| {
        let text = format!("{more}\n[model_providers.t]\nbase_url = \"{base}\"\n");
        sandbox.write(".codex/config.toml", text);
        said(&sandbox, "client", &["--offline"]).0
    };
    let at = "base_url is http://localhost:9/v1 in ~/.codex/config.toml";
    let used = "model_provider = \"t\"";
    assert_eq!(codex("http://localhost:9/v1", used), [format!("ok Codex: {at}")]);
    assert!(codex("http://localhost:9/v1", "")[1].starts_with("warn Codex has a provider"));
    assert!(codex("http://localhost:9", used)[0].starts_with("warn Codex: base_url"));
    let chat = format!("{used}\nwire_api = \"chat\"");
    assert!(codex("http://localhost:9/v1", &chat)[1].contains("no longer speaks Chat"));
    // Of other addresses nothing is said, and no key is shown.
    let elsewhere = codex("https://user:secret@example.com/v1", used);
    assert!(elsewhere[0].contains("neither ANTHROPIC_BASE_URL"), "{elsewhere:?}");
    assert!(!elsewhere.concat().contains("secret"));
}

#[test]
fn claude_code_asks_no_base_url_where_a_cloud_is_set() {
    let sandbox = sandbox().set("TOKENPAK_PORT", "9").set("ENABLE_TOOL_SEARCH", "true");
    let sandbox = sandbox.set("ANTHROPIC_BASE_URL", "http://localhost:9");
    assert_eq!(said(&sandbox, "client", &["--offline"]).0.len(), 1);
    let sandbox = sandbox.set("CLAUDE_CODE_USE_BEDROCK", "1");
    check(&sandbox, "client", &["warn", "CLAUDE_CODE_USE_BEDROCK is set"]);
}

#[test]
fn proxies_of_clients_must_leave_localhost_alone() {
    let sandbox = healthy().set("HTTP_PROXY", "http://proxy.example:3128");
    check(&sandbox, "client", &["warn HTTP_PROXY is set"]);
    let sandbox = sandbox.set("NO_PROXY", "example.org, localhost");
    let (lines, _) = said(&sandbox, "client", &["--offline"]);
    assert!(!lines.iter().any(|line| line.contains("HTTP_PROXY")), "{lines:?}");
}

#[test]
fn unit_must_start_a_program_that_is_there() {
    check(&healthy(), "service", &["ok", "no unit"]);
    let sandbox = healthy();
    assert_eq!(sandbox.run(&["service", "install"]).status, 0);
    let (lines, status) = said(&sandbox, "service", &["--offline"]);
    assert!(status == 0 && lines[0].contains("user unit"), "{lines:?}");
    sandbox.write(
        ".config/systemd/user/tokenpak.service",
        "[Service]\nExecStart=/nowhere/tokenpak serve\n",
    );
    check(&sandbox, "service", &["fail", "starts /nowhere/tokenpak, which is not there"]);
}

#[test]
fn report_is_aligned_and_ends_with_a_sum() {
    let sandbox = healthy().set("TZ", "Europe/Berln");
    sandbox.write(".ocp/monitor.db", "precious notes, but no database");
    let output = sandbox.run(&["doctor", "--offline"]);
    assert_eq!((output.status, output.stderr.as_str()), (1, ""));
    assert!(output.stdout.starts_with("ok    config      "), "{}", output.stdout);
    assert!(output.stdout.contains("\nFAIL  database    "), "{}", output.stdout);
    assert!(
        output.stdout.contains("\nwarn  time zone   TZ=\"Europe/Berln\" is"),
        "{}",
        output.stdout
    );
    let hint = "\n                  export ANTHROPIC_BASE_URL=http://localhost:";
    assert!(output.stdout.contains(hint), "{}", output.stdout);
    assert!(output.stdout.ends_with("\n1 failure, 3 warnings\n"), "{}", output.stdout);
}
