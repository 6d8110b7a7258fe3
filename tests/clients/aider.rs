//! aider, which has no tools: it takes edits out of the model's words, and writes what another model
//! says of them into the history of git.

use crate::agents::PROMPT;
use crate::checks::same_each_way;
use crate::provider::{EDITED, Provider, Script, Session};
use crate::run::{Ran, Task};
use crate::table::Client;
use std::path::Path;
use std::process::Command;

const FILE: &str = "src/records.py";
const OPTIONS: &str = "--model sonnet --yes-always --no-check-update --no-show-model-warnings \
    --no-show-release-notes";

fn prepare(provider: &Provider, work: &Path) {
    provider.always(Script::session(Session::create(work)));
    let who = ["config user.name Test", "config user.email test@example.com"];
    for arguments in ["init -q", who[0], who[1], "add .", "commit -q -m Project"] {
        let mut git = Command::new("git");
        assert!(git.args(arguments.split(' ')).current_dir(work).status().unwrap().success());
    }
}

/// The model's words and all that follows, without the names of commits, which depend on the time.
fn said(ran: &Ran) -> String {
    let start = ran.stdout.find("The limit is defined once").unwrap_or_default();
    let unnamed = |line: &str| match line.strip_prefix("Commit ").and_then(|it| it.split_once(' '))
    {
        Some((_, message)) => format!("Commit {message}\n"),
        None => format!("{}\n", line.trim_end()),
    };
    let lines = ran.stdout[start..].lines().filter(|line| !line.starts_with("Tokens: "));
    lines.map(unnamed).collect::<String>().trim_end().to_owned()
}

#[test]
fn aider() {
    let client = Client::by_id("aider");
    let arguments = OPTIONS.split_whitespace().chain([FILE, "--message", PROMPT]);
    let arguments: Vec<&str> = arguments.collect();
    let task = Task { prepare: &prepare, seconds_max: 300, ..Task::of(&client, &arguments) };
    let runs = same_each_way(&task, &said);
    for ran in &runs {
        let way = ran.way;
        assert_eq!(ran.status, Some(0), "{way:?}: {} {}", ran.stdout, ran.stderr);
        let (name, line) = EDITED[0];
        assert_eq!(name, FILE);
        assert!(ran.files[name].contains(line), "{way:?}: {}", ran.stdout);
        let end = "Applied edit to src/records.py\nCommit Raise the limit of records";
        assert!(said(ran).ends_with(end), "{way:?}: {}", said(ran));
    }
}
