//! Credentials arrive upstream unchanged, and are found nowhere else.

use crate::provider::{End, Provider, Script, Tunnel};
use crate::support::{Api, sandbox};
use std::fs;
use std::path::{Path, PathBuf};

/// In every credential that is sent here, and in nothing else.
const CANARY: &str = "canary-not-a-key";

#[test]
fn credentials_are_forwarded_and_forgotten() {
    let provider = Provider::start();
    // As talkative as it gets.
    let sandbox = sandbox().providers(&provider).set("TOKENPAK_LOG", "debug");
    assert_eq!(sandbox.run(&["debug", "on"]).status, 0);
    let mut proxy = sandbox.serve();
    let credentials: [(&str, &str); 7] = [
        ("authorization", "Bearer sk-ant-canary-not-a-key"),
        ("authorization", "Bearer sk-canary-not-a-key"),
        ("x-api-key", "sk-ant-canary-not-a-key"),
        ("x-goog-api-key", "canary-not-a-key"),
        ("api-key", "canary-not-a-key"),
        ("cookie", "session=canary-not-a-key"),
        ("proxy-authorization", "Basic canary-not-a-key"),
    ];
    for api in Api::ALL {
        for credential in credentials {
            let headers = [credential, ("user-agent", "test"), ("anthropic-version", "2023-06-01")];
            for script in [Script::default(), Script::status(401), Script::cut(4, End::Reset)] {
                provider.next(script);
                proxy.post(api.target(true), &headers, &api.large(true));
                if credential.0 != "proxy-authorization" {
                    assert_eq!(provider.last().all(credential.0), [credential.1.as_bytes()]);
                }
            }
        }
    }
    let target = "/v1beta/models/m:generateContent?key=canary-not-a-key&alt=json";
    proxy.post(target, &[], &Api::Gemini.small(false));
    assert_eq!(provider.last().target(), target);
    // No provider, no such path, no such thing: refusals do not repeat what they refuse.
    for target in ["/x", "/x?token=canary-not-a-key"] {
        let answer = proxy.post(target, &[("authorization", "Basic canary-not-a-key")], b"{}");
        assert!(answer.status() >= 400 && !answer.text().contains(CANARY), "{}", answer.text());
    }
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer sk-canary-not-a-key\r\n bad\r\n\r\n");
    assert!(!client.answer().text().contains(CANARY));

    assert!(sandbox.rows(60).len() >= 60);
    let report = sandbox.run(&["stats", "--json"]);
    let traces = sandbox.run(&["trace", "-n", "100", "--json"]);
    assert!(traces.stdout.contains("proxy-authorization") && traces.stdout.contains("unchanged"));
    let last = sandbox.run(&["trace", "--last"]);
    assert_eq!(proxy.stop(), 0);
    let (stdout, stderr) = proxy.output();
    let told = [traces.stdout, traces.stderr, last.stdout, last.stderr];
    for text in [stdout, stderr, report.stdout, report.stderr].into_iter().chain(told) {
        assert!(!text.contains(CANARY) && !text.contains("Case 150"), "{text}");
    }
    let files = files(sandbox.home());
    assert!(files.iter().any(|path| path.ends_with("monitor.db")), "{files:?}");
    for path in files {
        let bytes = fs::read(&path).unwrap();
        // Of a prompt's words and of the answer's nothing is stored either.
        for secret in [CANARY, "Case 150", "lock file", "List the open issues"] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{} holds {secret:?}", path.display());
        }
    }
}

/// What a confused provider may send: our own request's parts, in every place of an answer.
fn echoes() -> Vec<Script> {
    let key = CANARY;
    let wires = [
        String::new(),
        format!("{key}: not HTTP at all\r\n\r\n"),
        format!("HTTP/1.1 {key} banana\r\n\r\n"),
        format!("HTTP/1.1 200 {key}\r\nno colon {key}\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\ncontent-length: {key}\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: {key}\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{key}\r\n"),
        format!("HTTP/1.1 101 {key}\r\nupgrade: {key}\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\nx: {}{key}\r\n\r\n", "y".repeat(200_000)),
    ];
    let mut all: Vec<Script> = wires.into_iter().map(Script::raw).collect();
    let refusal = format!("{{\"error\":{{\"message\":\"bad key {key}, Case 150\"}}}}");
    for status in [400, 401, 403, 429, 500, 529] {
        all.push(Script::status(status).body("application/json", refusal.as_str()));
    }
    let stream = format!("data: {{\"type\":\"error\",\"model\":7,\"error\":\"{key}\"}}\n\n");
    all.push(Script::default().body("text/event-stream", stream));
    all.push(Script::cut(0, End::Reset));
    all.push(Script { short_by: 5, ..Script::status(500) });
    all
}

#[test]
fn no_fault_quotes_a_key_or_a_prompt() {
    let provider = Provider::start();
    let sandbox = sandbox().providers(&provider).set("TOKENPAK_LOG", "debug");
    let mut proxy = sandbox.serve();
    assert_eq!(sandbox.run(&["debug", "on"]).status, 0);
    let mut own_answers = 0;
    for script in echoes() {
        for api in Api::ALL {
            let headers = [
                ("authorization", "Bearer sk-canary-not-a-key"),
                ("x-api-key", "canary-not-a-key"),
                ("x-goog-api-key", "canary-not-a-key"),
                ("cookie", "canary-not-a-key"),
            ];
            provider.next(script.clone());
            provider.next(script.clone());
            let target = format!("{}{}", api.target(true), "&key=canary-not-a-key");
            let target = target.replacen("completions&", "completions?", 1);
            let mut client = proxy.connect();
            client.request(("POST", &target), &headers, &api.large(true));
            let head = client.head();
            let (body, _) = client.body();
            if head.header("x-tokenpak-error").is_some() {
                own_answers += 1;
                let text = String::from_utf8_lossy(&body);
                assert!(!text.contains(CANARY) && !text.contains("Case 150"), "{text}");
            }
            provider.clear();
        }
    }
    assert!(own_answers >= 30, "{own_answers} answers were ours");
    // Nobody there, and half an upload.
    let mut client = proxy.connect();
    client.send("POST /v1/files?key=canary-not-a-key HTTP/1.1\r\nhost: localhost\r\n");
    client.send("authorization: Bearer sk-canary-not-a-key\r\ntransfer-encoding: chunked\r\n\r\n");
    client.send("canary-not-a-key\r\n");
    assert!(!client.answer().text().contains(CANARY));
    sandbox.rows(own_answers);
    let stats = sandbox.run(&["stats", "--json"]);
    let traces = sandbox.run(&["trace", "-n", "100", "--json"]);
    assert!(traces.stdout.contains("unchanged"), "{}", traces.stderr);
    assert_eq!(proxy.stop(), 0);
    let (stdout, stderr) = proxy.output();
    for text in [stdout, stderr, stats.stdout, stats.stderr, traces.stdout, traces.stderr] {
        assert!(!text.contains(CANARY) && !text.contains("Case 150"), "{text}");
    }
    for path in files(sandbox.home()) {
        let bytes = fs::read(&path).unwrap();
        for secret in [CANARY, "Case 150", "lock file", "List the open issues"] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{} holds {secret:?}", path.display());
        }
    }
}

#[test]
fn way_to_the_provider_keeps_its_secrets() {
    // The proxy's password is in the environment, the key in the request; both in no word of ours.
    let tunnel = Tunnel::to(0, "HTTP/1.1 407 canary-not-a-key\r\n\r\n");
    let address = format!("http://user:canary-not-a-key@127.0.0.1:{}", tunnel.port);
    let sandbox = sandbox().set("HTTPS_PROXY", &address).set("TOKENPAK_LOG", "debug");
    let sandbox = sandbox.set("TOKENPAK_PROXY_PROVIDERS_OPENAI_URL", "https://provider.test");
    let mut proxy = sandbox.serve();
    let headers = [("authorization", "Bearer sk-canary-not-a-key")];
    let answer = proxy.post("/v1/chat/completions", &headers, &Api::Chat.large(true));
    assert_eq!(answer.status(), 502);
    assert!(!answer.text().contains(CANARY), "{}", answer.text());
    assert_eq!(tunnel.heads().len(), 1);
    assert_eq!(proxy.stop(), 0);
    assert!(!proxy.output().1.contains(CANARY), "{}", proxy.output().1);
    // Nor when it is of a kind that is not known, which is said when it would be used.
    let wrong = "socks9://user:canary-not-a-key@x:1";
    let sandbox = crate::support::sandbox().set("HTTPS_PROXY", wrong);
    let sandbox = sandbox.set("TOKENPAK_PROXY_PROVIDERS_OPENAI_URL", "https://provider.test");
    let mut proxy = sandbox.serve();
    let answer = proxy.post("/v1/chat/completions", &headers, &Api::Chat.small(false));
    assert_eq!(answer.status(), 502);
    assert!(!answer.text().contains(CANARY), "{}", answer.text());
    assert_eq!(proxy.stop(), 0);
    assert!(!proxy.output().1.contains(CANARY), "{}", proxy.output().1);
    // Nor when it leads back to ourselves.
    let wrong = "http://canary-not-a-key@127.0.0.1:8766";
    let sandbox = crate::support::sandbox().set("HTTPS_PROXY", wrong);
    let output = sandbox.run(&["serve", "--port", "8766"]);
    assert!(!output.stderr.contains(CANARY), "{}", output.stderr);
    assert_ne!(output.status, 0);
}

#[cfg(unix)]
#[test]
fn files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let provider = Provider::start();
    let sandbox = sandbox().providers(&provider);
    let proxy = sandbox.serve();
    proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(false));
    sandbox.rows(1);
    for path in files(sandbox.home()) {
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
    }
}

/// All files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(files(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found
}
