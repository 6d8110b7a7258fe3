//! Coding agents, each at a task of ten steps that the stand-in's model works through.

use crate::checks::same_each_way;
use crate::prompts::growth;
use crate::provider::{CLOSING, EDITED, Script, Session};
use crate::run::{Ran, Task, Way};
use crate::sandbox::Row;
use crate::table::Client;
use serde_json::Value;

pub(crate) const PROMPT: &str = "Raise the limit of records to 250, and note it.";

/// Input tokens with those from the cache, and output tokens.
type Usage = (i64, i64);

/// An agent: how it is started, what it says in the end, and what it says it has used, if it does.
struct Agent<'a> {
    id: &'a str,
    arguments: &'a [&'a str],
    said: fn(&Ran) -> String,
    used: Option<fn(&Ran) -> Usage>,
}

/// The task is done whatever the way, and what the agent knows of usage is what was billed.
#[track_caller]
fn check(agent: &Agent) {
    let Agent { id, said, .. } = agent;
    let client = Client::by_id(id);
    let arguments = [agent.arguments, &[PROMPT]].concat();
    let task = Task {
        prepare: &|provider, work| provider.always(Script::session(Session::create(work))),
        seconds_max: 300,
        ..Task::of(&client, &arguments)
    };
    let runs = same_each_way(&task, &|ran| said(ran));
    for ran in &runs {
        let way = ran.way;
        assert_eq!(ran.status, Some(0), "{id} {way:?}: {} {}", ran.stdout, ran.stderr);
        let last = said(ran);
        assert!(last.contains(CLOSING), "{id} {way:?}: it says {last:?}");
        for (name, text) in EDITED {
            let is = ran.files.get(*name).is_some_and(|file| file.contains(text));
            assert!(is, "{id} {way:?}: {name} was not written: {:?}", ran.files.get(*name));
        }
        if let (Some(used), Way::Mode(_)) = (agent.used, way) {
            let sum = |column| ran.rows.iter().filter_map(|row| row.number(column)).sum::<i64>();
            let billed = (sum("input_tokens"), sum("output_tokens"));
            assert_eq!(used(ran), billed, "{id} {way:?}: another usage in {}", ran.stdout);
        }
    }
    same_model(id, &runs);
    worth_it(id, &runs);
}

/// What has been sent is sent again in front of what is new, and not all of it is paid for.
#[track_caller]
fn worth_it(id: &str, runs: &[Ran]) {
    for ran in runs {
        let continued = growth(&ran.seen).continued;
        // OpenClaw moves a message of its own to the end of each request.
        assert!(continued >= 8 || id == "openclaw", "{id} {:?}: {continued}", ran.way);
        if ran.way == Way::Mode("hybrid") {
            let sum = |column| ran.rows.iter().filter_map(|row| row.number(column)).sum::<i64>();
            let (before, after) = (sum("tokens_before"), sum("tokens_after"));
            assert!(after < before, "{id}: {before} -> {after}");
        }
    }
}

/// Every row of a prompt names a model that the agent has asked for.
#[track_caller]
fn same_model(id: &str, runs: &[Ran]) {
    let asked = |ran: &Ran| ran.seen.iter().filter_map(model).collect::<Vec<_>>();
    for ran in runs.iter().filter(|ran| ran.way != Way::Direct) {
        let asked = asked(ran);
        let known = |row: &Row| {
            row.text("model").is_empty() || asked.contains(&row.text("model").to_owned())
        };
        assert!(ran.rows.iter().all(known), "{id}: asked for {asked:?}: {:?}", ran.rows);
    }
}

fn model(seen: &crate::provider::Seen) -> Option<String> {
    let body: Value = serde_json::from_slice(&seen.body).ok()?;
    let target = seen.target();
    let in_path = target.rsplit('/').next().and_then(|last| last.split(':').next());
    body["model"].as_str().or(in_path).map(str::to_owned)
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_default()
}

/// What it prints besides the time it took.
fn whole(ran: &Ran) -> String {
    ran.stdout.clone()
}

/// Claude Code's one object in the end.
fn claude(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_default()
}

#[test]
fn claude_code() {
    check(&Agent {
        id: "claude-code",
        arguments: &["--output-format", "json", "--dangerously-skip-permissions", "-p"],
        said: |ran| {
            let end = claude(ran);
            format!("{} {} {}", end["result"], end["num_turns"], end["is_error"])
        },
        used: Some(|ran| {
            let usage = &claude(ran)["usage"];
            let input = ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"];
            (input.iter().map(|key| number(&usage[key])).sum(), number(&usage["output_tokens"]))
        }),
    });
}

/// The events that Codex prints.
fn codex_events(ran: &Ran) -> Vec<Value> {
    ran.stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[track_caller]
fn check_codex(id: &str) {
    check(&Agent {
        id,
        arguments: &[
            "exec",
            "--json",
            "--skip-git-repo-check",
            "--dangerously-bypass-approvals-and-sandbox",
        ],
        said: |ran| {
            let events = codex_events(ran).into_iter();
            let done = events.filter(|event| event["type"] == "item.completed");
            let is_said =
                |item: &Value| item["type"] == "agent_message" || item["type"] == "reasoning";
            let items = done.map(|event| event["item"].clone()).filter(is_said);
            items.map(|item| format!("{}\n", item["text"])).collect()
        },
        used: Some(|ran| {
            let events = codex_events(ran);
            let usage = events.last().map(|event| event["usage"].clone()).unwrap_or_default();
            (number(&usage["input_tokens"]), number(&usage["output_tokens"]))
        }),
    });
}

#[test]
fn codex() {
    check_codex("codex");
}

#[test]
fn codex_builtin() {
    check_codex("codex-builtin");
}

#[test]
fn opencode() {
    check(&Agent {
        id: "opencode",
        arguments: &["run", "--model", "anthropic/claude-sonnet-4-5"],
        said: whole,
        used: None,
    });
}

#[test]
fn pi() {
    check(&Agent {
        id: "pi",
        arguments: &["--model", "anthropic/claude-sonnet-4-5", "-p"],
        said: whole,
        used: None,
    });
}

#[test]
fn openclaw() {
    check(&Agent {
        id: "openclaw",
        arguments: &["agent", "exec", "--json", "--model", "anthropic/claude-sonnet-4-5"],
        said: |ran| {
            let end = openclaw_end(ran);
            format!("{} {} {}", end["final"], end["status"], end["toolSummary"]["failures"])
        },
        used: Some(|ran| {
            let usage = &openclaw_end(ran)["usage"];
            let input = ["input", "cacheRead", "cacheWrite"];
            (input.iter().map(|key| number(&usage[key])).sum(), number(&usage["output"]))
        }),
    });
}

fn openclaw_end(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_default()
}

/// Gemini CLI's one object, and that at the end of Qwen Code's list.
fn report(ran: &Ran) -> Value {
    let value: Value = serde_json::from_str(&ran.stdout).unwrap_or_default();
    value.as_array().and_then(|events| events.last().cloned()).unwrap_or(value)
}

#[test]
fn gemini_cli() {
    check(&Agent {
        id: "gemini-cli",
        arguments: &[
            "--skip-trust",
            "--yolo",
            "--model",
            "gemini-2.5-flash",
            "--output-format",
            "json",
            "-p",
        ],
        said: |ran| {
            let report = report(ran);
            let tools = &report["stats"]["tools"];
            let (done, failed) = (&tools["totalSuccess"], &tools["totalFail"]);
            format!("{} {done} {failed} {}", report["response"], report["stats"]["files"])
        },
        used: Some(|ran| {
            let tokens = report(ran)["stats"]["models"]["gemini-2.5-flash"]["tokens"].clone();
            let output = number(&tokens["candidates"]) + number(&tokens["thoughts"]);
            (number(&tokens["prompt"]), output)
        }),
    });
}

#[test]
fn qwen_code() {
    check(&Agent {
        id: "qwen-code",
        arguments: &["--yolo", "--output-format", "json", "-p"],
        said: |ran| {
            let end = report(ran);
            let tools = &end["stats"]["tools"];
            let (done, failed) = (&tools["totalSuccess"], &tools["totalFail"]);
            format!("{} {} {done} {failed}", end["result"], end["num_turns"])
        },
        used: Some(|ran| {
            let usage = &report(ran)["usage"];
            (number(&usage["input_tokens"]), number(&usage["output_tokens"]))
        }),
    });
}

#[test]
fn continue_cli() {
    check(&Agent { id: "continue", arguments: &["--auto", "-p"], said: whole, used: None });
}
