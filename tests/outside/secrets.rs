//! Credentials arrive upstream unchanged, and are found nowhere else.

use crate::provider::{End, Provider, Script};
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
    let mut proxy = sandbox.serve();
    let credentials: [(&str, &str); 6] = [
        ("authorization", "Bearer sk-ant-canary-not-a-key"),
        ("authorization", "Bearer sk-canary-not-a-key"),
        ("x-api-key", "sk-ant-canary-not-a-key"),
        ("x-goog-api-key", "canary-not-a-key"),
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
    assert_eq!(proxy.stop(), 0);
    let (stdout, stderr) = proxy.output();
    for text in [stdout, stderr, report.stdout, report.stderr] {
        assert!(!text.contains(CANARY), "{text}");
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
