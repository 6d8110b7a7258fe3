//! What must be true of every client: nothing that it can see tells it of tokenpak.

use crate::prompts::growth;
use crate::provider::Seen;
use crate::run::{Ran, Task, WAYS, Way, run};
use crate::sandbox::Row;
use crate::support::{lacks, say, skip};
use crate::table::{Client, Kind};
use serde_json::Value;

/// The part of a client's output that must be the same whatever the way.
pub(crate) type View<'a> = &'a dyn Fn(&Ran) -> String;

/// Runs the task each way and checks it all; the runs, or nothing where the client is not installed.
#[track_caller]
pub(crate) fn same_each_way(task: &Task, view: View) -> Vec<Ran> {
    let Task { client, .. } = task;
    if let Err(why) = client.path() {
        match client.is_unavailable() {
            true => skip(&client.name, &why),
            false => lacks(&client.name, &why),
        }
        return Vec::new();
    }
    let runs: Vec<Ran> = WAYS.iter().map(|way| run(task, *way)).collect();
    let (direct, proxied) = runs.split_first().expect("there is more than one way");
    assert!(direct.status.is_some(), "{}: not ended in time: {}", client.id, shown(direct));
    for ran in proxied {
        outcome(client, direct, ran, view);
        requests(client, direct, ran);
        ledger(client, ran);
    }
    say(&line(client, &runs));
    runs
}

/// What the client made of it.
#[track_caller]
fn outcome(client: &Client, direct: &Ran, ran: &Ran, view: View) {
    let way = ran.way;
    let about = || format!("{} {way:?}:\n{}\ndirect:\n{}", client.id, shown(ran), shown(direct));
    assert_eq!(ran.status, direct.status, "{}", about());
    let (clean, footers) = without_footer(&view(ran));
    assert!(clean == view(direct), "the client sees something else; {}", about());
    assert_eq!(ran.files, direct.files, "other files; {}", about());
    // Programs read what agents say; whoever just asks may have the line.
    assert!(client.kind != Kind::Cli || footers == 0, "a footer; {}", about());
}

/// What the provider got.
#[track_caller]
fn requests(client: &Client, direct: &Ran, ran: &Ran) {
    let (way, id) = (ran.way, &client.id);
    for seen in &ran.seen {
        let body = String::from_utf8_lossy(&seen.body);
        assert!(!body.contains("[TokenPak: "), "{id} {way:?}: a footer came back: {body:.2000}");
    }
    let targets = |ran: &Ran| {
        // tokenpak itself says that there is no WebSocket, as the stand-in does.
        let is_socket = |it: &&Seen| it.header("upgrade").is_some_and(|to| to == "websocket");
        let asked = ran.seen.iter().filter(|it| !is_socket(it));
        let mut all: Vec<_> = asked.map(|it| (it.method(), it.target())).collect();
        all.sort();
        all
    };
    assert_eq!(targets(ran), targets(direct), "{id} {way:?}: other requests");
    let (with, without) = (growth(&ran.seen), growth(&direct.seen));
    assert_eq!(with.continued, without.continued, "{id} {way:?}: {with:?} {without:?}");
    // Some clients change their own past; tokenpak must not add to that.
    assert!(with.broken.len() <= without.broken.len(), "{id} {way:?}: {with:?} {without:?}");
}

/// What was recorded: a row for each request with a prompt, with the client's name and its usage.
#[track_caller]
fn ledger(client: &Client, ran: &Ran) {
    let (way, id) = (ran.way, &client.id);
    assert!(ran.rows.iter().any(has_prompt), "{id} {way:?}: no prompt was recorded");
    let mut without_usage = Vec::new();
    for row in ran.rows.iter().filter(|row| has_prompt(row)) {
        let name = row.text("client");
        let is_known = client.agent.split(' ').any(|agent| name.starts_with(agent));
        assert!(is_known, "{id} {way:?}: the client is {name:?}");
        assert!(!row.text("model").is_empty(), "{id} {way:?}: no model: {row:?}");
        let usage = ["input_tokens", "output_tokens"].map(|column| row.number(column));
        let is_good = row.number("status") == Some(200) && row.text("error").is_empty();
        if is_good && usage.contains(&None) {
            without_usage.push(row);
        }
    }
    let untold = ran.seen.iter().filter(|seen| is_untold(seen)).count();
    assert!(without_usage.len() <= untold, "{id} {way:?}: no usage: {without_usage:?}");
}

/// Streams of the Chat dialect tell the usage only to those who ask for it. tokenpak asks for its
/// client, but nobody else's servers than OpenAI's own.
fn is_untold(seen: &Seen) -> bool {
    seen.target().ends_with("/chat/completions")
        && serde_json::from_slice(&seen.body).is_ok_and(|body: Value| {
            body["stream"] == true && body["stream_options"]["include_usage"] != true
        })
}

fn has_prompt(row: &Row) -> bool {
    matches!(row.text("api"), "messages" | "chat" | "responses" | "gemini")
}

/// The text without the line under answers, and how often that stood there.
pub(crate) fn without_footer(text: &str) -> (String, usize) {
    let (mut clean, mut rest, mut count) = (String::new(), text, 0);
    while let Some(at) = rest.find("[TokenPak: ") {
        let Some(end) = rest[at..].find(']') else { break };
        // As it is, and as it stands in JSON.
        let before = rest[..at].strip_suffix(r"\n\n").or(rest[..at].strip_suffix("\n\n"));
        clean.push_str(before.unwrap_or(&rest[..at]));
        (rest, count) = (&rest[at + end + 1..], count + 1);
    }
    (clean + rest, count)
}

/// For the table: client, version, requests, tokens before and after in each mode.
fn line(client: &Client, runs: &[Ran]) -> String {
    let mut line = format!(
        "client: {} | {} | {} requests, {} extend another",
        client.name,
        client.running_version(),
        runs[0].seen.len(),
        growth(&runs[0].seen).continued
    );
    for ran in runs {
        let Way::Mode(mode) = ran.way else { continue };
        let sum = |column| ran.rows.iter().filter_map(|row| row.number(column)).sum::<i64>();
        line += &format!(" | {mode} {} -> {}", sum("tokens_before"), sum("tokens_after"));
    }
    line + " | same outcome: yes"
}

/// A run for the eye of whoever has to find out.
pub(crate) fn shown(ran: &Ran) -> String {
    let asked: Vec<_> = ran.seen.iter().map(|it| (it.method(), it.target())).collect();
    let (stdout, stderr) = (&ran.stdout, &ran.stderr);
    format!("status {:?}\nrequests {asked:?}\nstdout:\n{stdout}\nstderr:\n{stderr}", ran.status)
}

#[test]
fn footers_are_taken_out_and_counted() {
    let check = |text: &str, want: (&str, usize)| {
        assert_eq!(without_footer(text), (want.0.to_owned(), want.1), "{text}");
    };
    check("plain", ("plain", 0));
    check("a\n\n[TokenPak: 1→1 tokens] b\\n\\n[TokenPak: x]", ("a b", 2));
    check("[TokenPak: open", ("[TokenPak: open", 0));
}
