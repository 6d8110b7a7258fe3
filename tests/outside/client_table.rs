//! The clients in README, manual and `doctor` against the table by which they are tested,
//! `tests/clients/clients.json`. Where one differs, the test prints what has to stand there.

use crate::support::sandbox;
use serde_json::Value;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// A file of the sources.
fn source(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Clients that are set up alike. The members of a row that make that out are shared.
struct Group {
    row: Value,
    /// Names, with versions where the table has them.
    names: Vec<String>,
}

/// The rows of the table, those together that agree in all of `members`.
fn groups(members: &[&str]) -> Vec<Group> {
    let rows: Vec<Value> = serde_json::from_str(&source("tests/clients/clients.json")).unwrap();
    let mut groups: Vec<Group> = Vec::new();
    for row in rows {
        let name = format!("{} {}", text(&row, "name"), text(&row, "version"));
        let alike = |group: &&mut Group| members.iter().all(|it| group.row[*it] == row[*it]);
        match groups.iter_mut().find(alike) {
            Some(group) => group.names.push(name.trim_end().to_owned()),
            None => groups.push(Group { names: vec![name.trim_end().to_owned()], row }),
        }
    }
    groups
}

fn text<'a>(row: &'a Value, member: &str) -> &'a str {
    row[member].as_str().unwrap_or_default()
}

/// A member that is an object of texts or of lists of lines.
fn pairs(row: &Value, member: &str) -> Vec<(String, Vec<String>)> {
    let line = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let lines = |value: &Value| match value {
        Value::Array(lines) => lines.iter().map(line).collect(),
        value => vec![line(value)],
    };
    let members = row[member].as_object().into_iter().flatten();
    members.map(|(name, value)| (name.clone(), lines(value))).collect()
}

/// The table of the README: a line for each way in which clients are set up by variables, one for
/// those that have files of their own.
fn readme() -> String {
    let mut text = "| clients, as tested | set-up |\n|---|---|\n".to_owned();
    let (mut in_files, mut by_address) = (Vec::new(), Vec::new());
    for group in groups(&["env", "files"]) {
        let variables = pairs(&group.row, "env");
        let variables = variables.iter().map(|(name, value)| format!("`{name}={}`", value[0]));
        let variables: Vec<_> = variables.collect();
        let names = group.names.join(", ");
        match (group.row["files"].is_null(), variables.is_empty()) {
            (false, _) => in_files.push(names),
            (true, true) => by_address.push(names),
            (true, false) => writeln!(text, "| {names} | {} |", variables.join(", ")).unwrap(),
        }
    }
    let line = |text: &mut String, names: &[String], what: &str| {
        if !names.is_empty() {
            writeln!(text, "| {} | {what} |", names.join(", ")).unwrap();
        }
    };
    line(
        &mut text,
        &in_files,
        "a few lines in a file of theirs: `man tokenpak`, SETTING UP CLIENTS",
    );
    line(&mut text, &by_address, "`http://localhost:8766` in place of the provider's address");
    text
}

/// The list at the head of the manual's section.
fn manual() -> String {
    let mut page = ".Bl -tag -width Ds\n".to_owned();
    for Group { row, names } in groups(&["env", "files", "options", "note", "limits"]) {
        writeln!(page, ".It {}", names.join(", ")).unwrap();
        let exports = pairs(&row, "env").into_iter().map(|(k, v)| format!("export {k}={}", v[0]));
        let options = row["options"].as_array().into_iter().flatten();
        let options: Vec<_> = options.filter_map(Value::as_str).collect();
        let call = format!("{} {}", text(&row, "program"), options.join(" "));
        let call = (!options.is_empty()).then_some(call);
        display(&mut page, exports.chain(call));
        for (path, lines) in pairs(&row, "files") {
            writeln!(page, "In\n.Pa ~/{path} :").unwrap();
            display(&mut page, lines.into_iter());
        }
        if row["env"].is_null() && row["files"].is_null() {
            page += ".Li http://localhost:8766\ntakes the place of the provider's address.\n";
        }
        for remark in [text(&row, "note"), text(&row, "limits")] {
            for sentence in remark.replace('`', "\"").split_inclusive(". ") {
                page += &wrapped(sentence);
            }
        }
    }
    page + ".El\n"
}

/// A sentence in lines of the manual's width, each with its end.
fn wrapped(sentence: &str) -> String {
    let mut lines = String::new();
    let mut width = 0;
    for word in sentence.split_whitespace() {
        let blank = match width {
            0 => "",
            _ if width + 1 + word.len() > 80 => "\n",
            _ => " ",
        };
        width = if blank == " " { width + 1 + word.len() } else { word.len() };
        lines = lines + blank + word;
    }
    if lines.is_empty() { lines } else { lines + "\n" }
}

/// Lines that are to be copied as they stand.
fn display(page: &mut String, lines: impl Iterator<Item = String>) {
    let lines: Vec<_> = lines.map(|line| line.replace('\\', "\\e").replace('-', "\\-")).collect();
    if lines.is_empty() {
        return;
    }
    *page += ".Bd -literal\n";
    for line in lines {
        let guard = if line.starts_with(['.', '\'']) { "\\&" } else { "" };
        writeln!(page, "{guard}{line}").unwrap();
    }
    *page += ".Ed\n";
}

/// The file must have `part`; otherwise what is wanted is printed, to be put there.
#[track_caller]
fn check(path: &str, part: &str) {
    assert!(source(path).contains(part), "{path} should have, as clients.json has it:\n\n{part}");
}

#[test]
fn readme_has_the_table_of_the_tested_clients() {
    check("README.md", &readme());
}

#[test]
fn manual_has_the_set_up_of_every_tested_client() {
    check("man/tokenpak.1", &format!(".Sh SETTING UP CLIENTS\n{}", manual()));
}

#[test]
fn doctor_finds_nothing_wrong_with_any_documented_set_up() {
    for Group { row, names } in groups(&["env", "files"]) {
        let names = names.join(", ");
        let mut sandbox = sandbox();
        for (name, value) in pairs(&row, "env") {
            sandbox = sandbox.set(&name, &value[0]);
        }
        for (path, lines) in pairs(&row, "files") {
            sandbox.write(&path, lines.join("\n"));
        }
        if row["env"].is_null() && row["files"].is_null() {
            continue;
        }
        let said = sandbox.run(&["doctor", "--offline", "--json"]).stdout;
        let said: Value = serde_json::from_str(&said).unwrap();
        let all = said["checks"].as_array().unwrap().iter();
        let all = all.filter(|found| found["check"] == "client");
        let (good, bad): (Vec<_>, Vec<_>) = all.partition(|found| found["result"] == "ok");
        // A variable tells nothing of the program that will read it: Claude Code is meant.
        let about_another = |found: &&&Value| match names.split(' ').next() {
            Some("Claude") => false,
            Some("Vercel") if text(found, "text").contains("ANTHROPIC_BASE_URL") => true,
            _ => text(found, "text").starts_with("Claude Code"),
        };
        let left = bad.iter().filter(|found| !about_another(found));
        assert!(!good.is_empty() && left.count() == 0, "{names}: {good:?} {bad:?}");
    }
}
