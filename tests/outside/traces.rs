//! `tokenpak debug` and `tokenpak trace`: what is told of a request, and what never is.

use crate::provider::{Provider, Script};
use crate::sandbox::{Output, Sandbox, wait};
use crate::support::{Api, sandbox, scene};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

/// Runs a command that must succeed; what it prints.
#[track_caller]
fn said(sandbox: &Sandbox, arguments: &[&str]) -> String {
    let output = sandbox.run(arguments);
    assert_eq!(output.status, 0, "{}", output.stderr);
    output.stdout
}

#[track_caller]
fn fails(output: &Output, status: i32, words: &str) {
    assert_eq!((output.status, output.stdout.as_str()), (status, ""), "{}", output.stderr);
    assert!(output.stderr.contains(words), "{}", output.stderr);
}

#[track_caller]
fn line<'a>(text: &'a str, name: &str) -> &'a str {
    let found = text.lines().find(|line| line.starts_with(&format!("  {name} ")));
    found.unwrap_or_else(|| panic!("no line {name} in:\n{text}"))
}

#[track_caller]
fn json(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    serde_json::from_str(&said(sandbox, arguments)).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn debug_for_one_request_shows_that_the_key_was_forwarded_unchanged() {
    let (provider, sandbox, mut proxy) = scene();
    assert_eq!(
        said(&sandbox, &["debug", "on", "--requests", "1"]),
        "debug on for the next 1 request; turn it off with: tokenpak debug off\n"
    );
    let headers = [("authorization", "Bearer sk-ant-dummy"), ("x-tokenpak-project", "p")];
    let answer = proxy.post("/v1/messages?beta=true", &headers, &Api::Messages.large(false));
    assert_eq!(provider.last().header("authorization").as_deref(), Some("Bearer sk-ant-dummy"));
    assert_eq!(said(&sandbox, &["debug", "status"]), "debug off\n");
    assert_eq!(said(&sandbox, &["debug", "off"]), "debug off\n");
    let row = sandbox.row(&answer.head.request_id());
    let text = said(&sandbox, &["trace", "--last"]);
    assert!(text.starts_with("request 1  20"), "{text}");
    assert!(text.lines().next().unwrap().contains(" UTC  POST /v1/messages  200  "), "{text}");
    assert_eq!(
        line(&text, "authorization").trim(),
        "authorization  Bearer, 12 bytes, forwarded unchanged (value not recorded)"
    );
    let route = line(&text, "route");
    assert!(
        route.ends_with(&format!("anthropic (authorization) -> {}", provider.url())),
        "{route}"
    );
    let headers = line(&text, "headers");
    assert!(headers.contains("replaced: host content-length"), "{headers}");
    assert!(headers.contains("dropped: x-tokenpak-project"), "{headers}");
    let saved = row.number("tokens_before").unwrap() - row.number("tokens_after").unwrap();
    assert!(saved > 0 && line(&text, "compressed").contains(" tokens"), "{text}");
    let passes = &json(&sandbox, &["trace", "--json"])["passes"];
    let sum: i64 = passes.as_array().unwrap().iter().map(|pass| pass[1].as_i64().unwrap()).sum();
    assert_eq!(sum, saved, "{passes}");
    assert!(line(&text, "usage").ends_with(", stop end_turn"), "{text}");
    let time = line(&text, "time");
    assert!(time.contains(" read ") && time.contains(", count and compress "), "{time}");
    let object = json(&sandbox, &["trace", "--json"]);
    assert_eq!(object["stop"], "end_turn");
    let [read, pack, all] = ["read_us", "pack_us", "proxy_us"].map(|name| object[name].as_u64());
    assert!(read.unwrap() + pack.unwrap() <= all.unwrap() && pack > Some(0), "{object}");
    // The next one is told without the names; with the proxy down as well.
    proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(false));
    sandbox.rows(2);
    assert_eq!(proxy.stop(), 0);
    let text = said(&sandbox, &["trace"]);
    assert!(text.starts_with("request 2 ") && !text.contains("\n  headers "), "{text}");
    assert!(line(&text, "authorization").contains("x-api-key, 16 bytes, forwarded unchanged"));
    assert!(line(&text, "compressed").contains("no: below-threshold"), "{text}");
    let id = answer.head.request_id();
    assert!(said(&sandbox, &["trace", "--id", &id]).starts_with("request 1 "));
    assert!(said(&sandbox, &["trace", "--id", "2"]).starts_with("request 2 "));
    let brief = said(&sandbox, &["trace", "-n", "100"]);
    let starts: Vec<&str> = brief.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(starts, ["1", "2"]);
    let both = json(&sandbox, &["trace", "-n", "2", "--json"]);
    assert_eq!(both["requests"][1]["request_id"], sandbox.rows(2)[1].text("request_id"));
}

#[test]
fn debug_ends_after_as_many_requests_as_were_asked_for() {
    let (_provider, sandbox, mut proxy) = scene();
    said(&sandbox, &["debug", "on", "--requests", "3"]);
    // On one connection and on others, all formats alike.
    let mut client = proxy.connect();
    for _ in 0..2 {
        let api = Api::Messages;
        client.request(("POST", api.target(false)), &api.headers(), &api.small(false));
        assert_eq!(client.answer().status(), 200);
    }
    let left = said(&sandbox, &["debug", "status"]);
    assert!(left.starts_with("debug on for the next 1 request;"), "{left}");
    // A restart forgets nothing.
    sandbox.rows(2);
    assert_eq!(proxy.stop(), 0);
    let proxy = sandbox.serve();
    // Rows are in the order in which workers finish, which is after the client has its answer.
    for (n, api) in [(3, Api::Chat), (4, Api::Gemini)] {
        assert_eq!(proxy.post(api.target(false), &api.headers(), &api.small(false)).status(), 200);
        sandbox.rows(n);
    }
    let all = json(&sandbox, &["trace", "-n", "4", "--json"]);
    let had: Vec<bool> = (0..4).map(|n| all["requests"][n]["headers"].is_object()).collect();
    assert_eq!(had, [true, true, true, false]);
    assert!(!sandbox.home().join("debug.json").exists());
    // Without a number it lasts.
    said(&sandbox, &["debug", "on"]);
    for n in 5..8 {
        proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(false));
        sandbox.rows(n);
        assert!(json(&sandbox, &["trace", "--json"])["headers"].is_object());
    }
    said(&sandbox, &["debug", "off"]);
    proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(false));
    sandbox.rows(8);
    assert!(json(&sandbox, &["trace", "--json"])["headers"].is_null());
}

#[test]
fn bodies_are_private_and_show_each_cut() {
    let (provider, sandbox, proxy) = scene();
    let output = sandbox.run(&["debug", "on", "--bodies", "--requests", "2"]);
    assert!(output.stderr.contains("warning: prompts are now written to "), "{}", output.stderr);
    let large = Api::Messages.large(false);
    let answer = proxy.post("/v1/messages", &Api::Messages.headers(), &large);
    let sent = provider.last().body;
    let directory = sandbox.home().join("debug");
    let file = |side: &str| directory.join(format!("{}.{side}", answer.head.request_id()));
    assert!(
        fs::read(file("received")).unwrap() == large && fs::read(file("sent")).unwrap() == sent
    );
    assert_eq!(
        (mode(&directory), mode(&file("sent")), mode(&file("received"))),
        (0o700, 0o600, 0o600)
    );
    sandbox.rows(1);
    let diff = said(&sandbox, &["trace", "--id", &answer.head.request_id(), "--diff"]);
    assert!(diff.contains("\ntool result 1, line 1\n-[\n-  {\n"), "{diff}");
    assert!(diff.contains("\n+[{\"") || diff.contains("\n+{\""), "{diff}");
    assert!(!diff.contains("Case 150"), "a text that was not changed is printed");
    let cuts = json(&sandbox, &["trace", "--diff", "--json"])["cuts"].clone();
    assert_eq!(
        (cuts[0]["text"].as_str(), cuts[0]["line"].as_i64()),
        (Some("tool result 1"), Some(1))
    );
    // What was sent as it came has no cuts, and a third request no bodies.
    for n in 2..4 {
        proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(false));
        sandbox.rows(n);
    }
    assert!(
        said(&sandbox, &["trace", "--id", "2", "--diff"])
            .ends_with("\nthe prompt was not changed\n")
    );
    fails(
        &sandbox.run(&["trace", "--diff"]),
        1,
        "3: its bodies were not recorded; before a request",
    );
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 4);
    let output = sandbox.run(&["debug", "off"]);
    assert!(output.stderr.contains("note: prompts are still in "), "{}", output.stderr);
    // The next time the old ones go.
    sandbox.run(&["debug", "on", "--bodies"]);
    assert!(!directory.exists());
    assert!(said(&sandbox, &["debug", "status"]).contains("the next 100 requests, with bodies"));
    fails(&sandbox.run(&["trace", "--id", "1", "--diff"]), 66, ".received: no such file");
}

#[test]
fn links_are_not_followed() {
    let (_provider, sandbox, proxy) = scene();
    let victim = sandbox.write("victim", "precious");
    symlink(&victim, sandbox.home().join("debug.json")).unwrap();
    fails(&sandbox.run(&["debug", "on"]), 77, "it is a symbolic link");
    fails(&sandbox.run(&["debug", "status"]), 77, "it is a symbolic link");
    let api = Api::Messages;
    assert_eq!(proxy.post(api.target(false), &api.headers(), &api.small(false)).status(), 200);
    fs::remove_file(sandbox.home().join("debug.json")).unwrap();
    // A directory of somebody else's in place of the bodies'.
    let elsewhere = sandbox.home().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    sandbox.run(&["debug", "on", "--bodies"]);
    symlink(&elsewhere, sandbox.home().join("debug")).unwrap();
    assert_eq!(proxy.post(api.target(false), &api.headers(), &api.small(false)).status(), 200);
    sandbox.rows(2);
    assert_eq!(json(&sandbox, &["trace", "--json"])["bodies"], false);
    fails(&sandbox.run(&["debug", "on", "--bodies"]), 77, "it is a symbolic link");
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
}

#[test]
fn damaged_switch_harms_no_request() {
    let (_provider, sandbox, proxy) = scene();
    sandbox.write("debug.json", "{");
    let api = Api::Messages;
    assert_eq!(proxy.post(api.target(false), &api.headers(), &api.small(false)).status(), 200);
    sandbox.rows(1);
    assert!(json(&sandbox, &["trace", "--json"])["headers"].is_null());
    assert_ne!(sandbox.run(&["debug", "status"]).status, 0);
    // Switched on again it works.
    said(&sandbox, &["debug", "on"]);
    proxy.post(api.target(false), &api.headers(), &api.small(false));
    sandbox.rows(2);
    assert!(json(&sandbox, &["trace", "--json"])["headers"].is_object());
}

#[test]
fn requests_without_an_answer_or_a_key_are_told_as_such() {
    let provider = Provider::start();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let sandbox = sandbox().providers(&provider);
    let sandbox = sandbox.set("TOKENPAK_PROXY_PROVIDERS_OPENAI_URL", &dead);
    let proxy = sandbox.serve();
    let answer = proxy.post("/v1/chat/completions", &Api::Chat.headers(), &Api::Chat.small(false));
    assert_eq!(answer.status(), 502);
    sandbox.rows(1);
    let text = said(&sandbox, &["trace"]);
    assert!(line(&text, "error").ends_with("upstream-unreachable"), "{text}");
    assert!(line(&text, "authorization").contains("not sent: nothing went upstream"), "{text}");
    assert!(!text.contains("\n  usage ") && !text.contains("\n  money "), "{text}");
    // A provider that refuses the key, a request without one, one with the key in its target.
    provider.next(Script::status(401));
    proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(false));
    sandbox.rows(2);
    let text = said(&sandbox, &["trace"]);
    assert!(text.contains("  401  ") && text.contains("16 bytes, forwarded unchanged"), "{text}");
    proxy.post("/v1/messages", &[], &Api::Messages.small(false));
    sandbox.rows(3);
    let text = said(&sandbox, &["trace"]);
    assert!(line(&text, "authorization").ends_with("none received"), "{text}");
    proxy.post("/v1beta/models/m:generateContent?key=dummy", &[], &Api::Gemini.small(false));
    sandbox.rows(4);
    let text = said(&sandbox, &["trace"]);
    let key = line(&text, "authorization");
    assert!(key.contains("key= in the query, 5 bytes, forwarded unchanged"), "{text}");
    assert!(!text.contains("dummy"), "{text}");
    // A body that is passed on while it comes is told of, too.
    let upload = vec![b'x'; 3_000_000];
    proxy.post("/v1/files", &Api::Chat.headers(), &upload);
    proxy.post("/v1/files", &Api::Messages.headers(), &upload);
    sandbox.rows(6);
    let text = said(&sandbox, &["trace"]);
    assert!(text.contains("POST /v1/files  ") && text.contains("forwarded unchanged"), "{text}");
}

#[test]
fn last_hundred_requests_are_known() {
    let (_provider, sandbox, proxy) = scene();
    let mut client = proxy.connect();
    let api = Api::Messages;
    for _ in 0..103 {
        client.request(("POST", api.target(false)), &api.headers(), &api.small(false));
        assert_eq!(client.answer().status(), 200);
    }
    wait("the last row", || (sandbox.rows(103).len() == 103).then_some(()));
    let kept = "select count(*), min(requests.id), max(requests.id)
        from traces join requests using (request_id)";
    assert_eq!(sandbox.ask(kept), "100|4|103");
    fails(&sandbox.run(&["trace", "--id", "3"]), 1, "3: not among the last 100 requests");
    assert_eq!(said(&sandbox, &["trace", "-n", "100"]).lines().count(), 100);
}

#[test]
fn wrong_questions_are_refused() {
    let sandbox = sandbox();
    fails(&sandbox.run(&["trace"]), 66, "monitor.db");
    assert_eq!(sandbox.serve().stop(), 0);
    fails(&sandbox.run(&["trace"]), 1, "no request yet");
    for (arguments, words) in [
        (&["trace", "-n", "0"][..], "-n 0: 1 to 100 requests are known"),
        (&["trace", "-n", "101"], "-n 101: 1 to 100"),
        (&["trace", "--last", "--id", "1"], "--last and --id exclude each other"),
        (&["trace", "--last", "-n", "2"], "--last and -n exclude each other"),
        (&["trace", "-n", "2", "--diff"], "--diff is of one request"),
        (&["debug", "on", "--requests", "0"], "at least one"),
        (&["debug", "on", "--bodies", "--requests", "101"], "at most 100 with --bodies"),
        (&["debug"], "debug needs one of on, off, status"),
        (&["debug", "onn"], "did you mean on?"),
    ] {
        fails(&sandbox.run(arguments), 64, words);
    }
    let output = sandbox.run(&["debug", "on", "--requests", "2"]);
    assert_eq!(output.stderr, "tokenpak: note: no proxy runs here; the next one obeys\n");
}
