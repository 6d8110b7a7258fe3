//! Libraries and plain HTTP clients, driven by a script for each in `scripts`.
//!
//! A script prints what its client makes of each answer, a line each. The lines must be the same
//! whatever the way.

use crate::checks::{same_each_way, shown};
use crate::provider::{End, Provider, Script, Session};
use crate::run::{Ran, Task, Way};
use crate::support::BILLED;
use crate::table::Client;
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Runs a script that begins with refusals: two that a retry gets over, two that it does not, and a
/// stream that is cut. Whoever offers tools then gets a task for them.
#[track_caller]
fn check(id: &str, script: &str) -> Vec<Ran> {
    checked(id, script, &|provider, project| {
        provider.always(Script::session(Session::create(project)));
        provider.next(Script::status(429).header("Retry-After", "1"));
        provider.next(Script::status(if script.starts_with("anthropic") { 529 } else { 500 }));
        provider.next(Script::default().billed(BILLED));
        provider.next(Script::status(400));
        provider.next(Script::status(401));
        provider.next(Script::cut(5, End::Fin));
    })
}

/// Runs a script that only sees answers.
#[track_caller]
fn check_plain(id: &str, script: &str) -> Vec<Ran> {
    checked(id, script, &|provider, _| provider.always(Script::default().billed(BILLED)))
}

#[track_caller]
fn checked(id: &str, script: &str, prepare: &dyn Fn(&Provider, &Path)) -> Vec<Ran> {
    let client = Client::by_id(id);
    let text = |name: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/scripts/");
        fs::read_to_string(format!("{folder}{name}")).unwrap()
    };
    let shared = if script.ends_with(".mjs") { "transcript.mjs" } else { "transcript.py" };
    let (text, shared_text) = (text(script), text(shared));
    let files = [(script, text.as_str()), (shared, shared_text.as_str())];
    let arguments = [script];
    let task = Task { files: &files, prepare, seconds_max: 300, ..Task::of(&client, &arguments) };
    let runs = same_each_way(&task, &|ran| ran.stdout.clone());
    if let Some(direct) = runs.first() {
        assert_eq!(direct.status, Some(0), "{id}: {}", shown(direct));
    }
    for ran in runs.iter().filter(|ran| ran.way != Way::Direct) {
        assert_eq!(ran.rows.len(), ran.seen.len(), "{id} {:?}: a row for each", ran.way);
    }
    runs
}

/// What people read has the line in the end, once, and what agents read has not.
#[track_caller]
fn footed(runs: &[Ran], chats: &[&str], agents: &[&str]) {
    for ran in runs.iter().filter(|ran| ran.way != Way::Direct) {
        let lines = ran.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mut found = 0;
        for line in lines {
            let what = line["what"].as_str().unwrap_or_default();
            let count = line.to_string().matches("[TokenPak: ").count();
            if chats.contains(&what) {
                let text = line["text"].as_str().unwrap_or_default();
                let (words, footer) = text.rsplit_once("\n\n").expect(text);
                assert!(!words.is_empty() && footer.starts_with("[TokenPak: "), "{line}");
                assert!(footer.ends_with(']') && count == 1, "{line}");
                found += 1;
            }
            assert!(!agents.contains(&what) || count == 0, "{line}");
        }
        assert!(found >= chats.len(), "{:?}: {}", ran.way, ran.stdout);
    }
}

#[test]
fn openai_python() {
    let runs = check("openai-python", "openai_sdk.py");
    let chats = ["chat", "chat stream", "chat helper", "chat again"];
    let programs = ["json", "choices", "stop", "short", "responses", "responses stream"];
    footed(&runs, &chats, &[&programs[..], &["chat agent", "responses agent"]].concat());
}

#[test]
fn anthropic_python() {
    let runs = check("anthropic-python", "anthropic_sdk.py");
    footed(&runs, &["messages", "messages stream", "messages again"], &["agent"]);
}

#[test]
fn impatient_python() {
    checked("anthropic-python", "leaving.py", &|provider, _| {
        provider.always(Script::default().billed(BILLED));
        provider.next(Script::hang());
        provider.next(Script::default().billed(BILLED));
        let long = Script { words: 5000, ..Script::default().billed(BILLED) };
        provider.next(long.clone());
        provider.next(Script::default().billed(BILLED));
        provider.next(long);
    });
}

#[test]
fn google_python() {
    check("google-python", "google_sdk.py");
}

#[test]
fn openai_node() {
    check("openai-node", "openai_sdk.mjs");
}

#[test]
fn anthropic_node() {
    check("anthropic-node", "anthropic_sdk.mjs");
}

#[test]
fn google_node() {
    check("google-node", "google_sdk.mjs");
}

#[test]
fn litellm() {
    check("litellm", "litellm_client.py");
}

#[test]
fn langchain() {
    check("langchain", "langchain_client.py");
}

#[test]
fn vercel() {
    check("vercel", "vercel.mjs");
}

#[test]
fn java() {
    check_plain("java", "Client.java");
}

#[test]
fn node_fetch() {
    check_plain("fetch", "fetch.mjs");
}

#[test]
fn curl() {
    check_plain("curl", "curl.sh");
}

#[test]
fn python_http() {
    check_plain("python-http", "http_clients.py");
}
