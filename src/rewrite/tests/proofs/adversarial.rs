//! Item 6: input meant to fool a pass, in every call style and wire format; floors, S21 and S22.

use super::session::{self, Call, Turn};
use super::*;
use crate::compress::tests::renderings;

/// Every style in which clients read files, and how the tool shows the lines.
fn reads(path: &str) -> Vec<(&'static str, Value, Shown)> {
    let shell = |command: &str| json!({"command": format!("{command} {path}")});
    vec![
        ("Read", json!({"file_path": path}), Shown::Numbered(6, "\u{2192}")),
        ("view", json!({"path": path}), Shown::Numbered(6, "\t")),
        (
            "str_replace_based_edit_tool",
            json!({"command": "view", "path": path}),
            Shown::Numbered(6, "\t"),
        ),
        ("open", json!({"path": path}), Shown::Numbered(0, ":")),
        ("read_file", json!({"path": path}), Shown::Plain),
        ("mcp__fs__read_text_file", json!({"path": path}), Shown::Plain),
        ("Bash", shell("cat"), Shown::Plain),
        ("Bash", shell("cd /x && sed -n 1,99p"), Shown::Plain),
        ("Bash", shell("nl -ba"), Shown::Numbered(6, "\t")),
        ("Bash", shell("head -n 99"), Shown::Plain),
        ("Bash", shell("tail -n 99"), Shown::Plain),
        ("shell", json!({"command": ["bash", "-lc", format!("cat {path}")]}), Shown::Plain),
        ("shell", json!({"command": ["cat", path]}), Shown::Plain),
        ("who_knows", json!("broken"), Shown::Plain),
    ]
}

#[derive(Clone, Copy)]
enum Shown {
    Plain,
    Numbered(usize, &'static str),
}

impl Shown {
    fn text(self, file: &str) -> String {
        let Shown::Numbered(width, mark) = self else { return file.to_owned() };
        let lines = file.split_inclusive('\n').enumerate();
        lines.map(|(at, line)| format!("{:>width$}{mark}{line}", at + 1)).collect()
    }
}

/// Files that a pass for tool output would tear at.
fn files() -> Vec<(&'static str, String)> {
    let lines = |line: fn(usize) -> String| (0..60).map(line).collect::<String>();
    let rows: Vec<Value> = (0..40)
        .map(|row| json!({"row": row, "big": 9_007_199_254_740_993_u64, "x": null}))
        .collect();
    vec![
        ("package.json", serde_json::to_string_pretty(&rows).expect("plain data") + "\n"),
        ("rows.jsonl", rows.iter().map(|row| format!("{row}\n")).collect()),
        ("a.txt", lines(|at| format!("line {at} ends in CRLF\r\n"))),
        ("b.md", lines(|at| format!("trailing blanks {at}  \t \n\n"))),
        (
            "c.py",
            lines(|at| {
                format!("    raise Odd{at}(\"Traceback (most recent call last):\")  # {at}\n")
            }),
        ),
        (
            // Not called a log: those are no files to edit.
            "events.txt",
            lines(|at| format!("2026-11-22T06:00:{at:02}Z INFO handled request {at} status=200\n")),
        ),
        ("colours.sh", lines(|at| format!("printf '\u{1b}[3{}m{at}\u{1b}[0m\\r'\n", at % 8))),
        (
            "change.diff",
            lines(|at| format!("@@ -{at},3 +{at},3 @@\n context {at}\n-old {at}\n+new {at}\n")),
        ),
        (
            "marks.md",
            lines(|at| {
                format!(
                    "{at}\n[... the line above {at} more times ...]\n[... {at} lines left out ...]\n"
                )
            }),
        ),
        ("ends.txt", lines(|at| format!("no newline at the end {at}\n")) + "the end"),
        ("tabs.mk", lines(|at| format!("\ttarget{at}:\t dep{at}\t\n"))),
    ]
}

/// A session with one result, or with several of the same call.
fn session_of(format: Format, tool: &'static str, input: &Value, texts: &[&str]) -> String {
    let call = |text: &&str| Call {
        tool,
        input: input.clone(),
        texts: vec![(*text).to_owned()],
        error: false,
    };
    let turns: Vec<Turn> =
        texts.iter().map(|text| Turn { calls: vec![call(text)], ..Turn::default() }).collect();
    session::body(format, &session::preamble(4300), &turns)
}

fn open(mode: Mode) -> Plan {
    Plan { threshold: 0, ..Plan::of(mode) }
}

/// The text of the last result as it is sent.
fn last_result(format: Format, body: &str) -> String {
    let prompt = prompt::read(format, body.as_bytes()).expect("valid");
    let results = prompt.parts.iter().rev().find(|part| matches!(part.role, Role::Result(_)));
    results.expect("a session has results").text(body).expect("a text").into_owned()
}

/// S15, S17, S22: an agent quotes any line of a file to its edit tool, and finds it.
#[test]
fn files_can_be_quoted_from_in_every_call_style() {
    let mut counter = Counter::new();
    for format in FORMATS {
        for (name, file) in files() {
            for (tool, input, shown) in reads(&format!("/home/ada/{name}")) {
                for mode in MODES {
                    let text = shown.text(&file);
                    let body = session_of(format, tool, &input, &[&text]);
                    let sent = sent(&mut counter, &open(mode), format, &body);
                    let sent = last_result(format, &sent);
                    quotes(
                        &file,
                        &text,
                        &sent,
                        &format!("{format:?} {mode:?} {tool} {input} {name}"),
                    );
                }
            }
        }
    }
}

/// The text came through as it was, but for the padding of its numbers and a line above it.
#[track_caller]
fn quotes(file: &str, text: &str, sent: &str, what: &str) {
    let below = sent.strip_prefix("[... the text below is as it came ...]\n").unwrap_or(sent);
    let (mut was, mut is) = (text.split('\n'), below.split('\n'));
    let unpadded = |line: &str| line.trim_start_matches(' ').to_owned();
    let is_same = |(was, is): (&str, &str)| was == is || text != file && unpadded(was) == is;
    assert!(was.by_ref().zip(is.by_ref()).all(is_same), "{what}\n{sent}");
    assert!(was.next().is_none() && is.next().is_none(), "{what}: lines are missing\n{sent}");
}

/// Texts of tools that are made to be torn: each comes back as its reader would have seen it.
#[test]
fn hostile_texts_come_back_in_every_format() {
    let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let spaced = |json: &str| format!("[\n{}\n  {json}\n]", format!("  {json},\n").repeat(30));
    let texts = [
        spaced(r#"{ "a": 1,  "a": 2 }"#),
        spaced(r#"{ "n": 1e400,  "m": 9007199254740993, "z": -0.0 }"#),
        spaced(r#"{ "lone": "\ud800",  "pair": "\ud83d\ude00", "A": "\u0041" }"#),
        spaced(r#"{ "key": "[... 3 lines left out ...]",  "k": [] }"#),
        deep(100_000),
        "{\"a\":".repeat(20_000),
        "{".repeat(20_000),
        " ".repeat(20_000),
        "a".repeat(20_000),
        "\n".repeat(20_000),
        "same line\n".repeat(3000),
        "\u{1b}[".repeat(5000),
        "\r".repeat(5000) + "x",
        "\u{8}".repeat(5000),
        "\0\u{2028}\u{85}\u{feff}\n".repeat(200),
        "x\r\n".repeat(200) + "y\rz",
        "[... the line above 4 more times ...]\n".repeat(50),
        "a\n[... the line above 99999999 more times ...]\n".repeat(20),
        "[... the text below is as it came ...]\n".repeat(20),
        "```\n".repeat(101),
        "12\u{2192}\n".repeat(100),
        "18446744073709551615\u{2192}a\n18446744073709551616\u{2192}b\n0\u{2192}c\n".repeat(20),
    ];
    let mut counter = Counter::new();
    for format in FORMATS {
        for text in &texts {
            for mode in [Mode::Strict, Mode::Hybrid] {
                let body =
                    session_of(format, "Bash", &json!({"command": "npm test"}), &[text, text]);
                let sent = sent(&mut counter, &open(mode), format, &body);
                let back = expand(format, sent.as_bytes()).expect("what we send is valid");
                let back = String::from_utf8(back).expect("text stays text");
                let back = last_result(format, &back);
                let head: String = text.chars().take(60).collect();
                assert!(
                    renderings(text, false, false).contains(&back),
                    "{format:?} {mode:?} {head:?}"
                );
            }
            let body = session_of(format, "Bash", &json!({"command": "npm test"}), &[text, text]);
            let sent = sent(&mut counter, &open(Mode::Aggressive), format, &body);
            assert!(sent.len() <= body.len() + 200, "aggressive makes it longer");
        }
    }
}

#[test]
fn a_body_of_a_hundred_thousand_brackets_is_sent_as_it_came() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    for format in FORMATS {
        let body = session_of(format, "Bash", &json!({"command": "ls"}), &["ok"]);
        let odd = format!("{{\"x\":{deep},{}", &body[1..]);
        let rewritten =
            rewrite(&mut Counter::new(), &open(Mode::Aggressive), format, odd.as_bytes());
        assert_eq!(rewritten.body, None, "{format:?}");
    }
}

/// S21, both fixtures: what is pointed at may be gone when the model reads it.
#[test]
fn nothing_points_at_history_that_the_provider_edits() {
    let log: String =
        (0..60).map(|at| format!("step {at}: compiling module number {}\n", at * 7919)).collect();
    for (format, fixture, editing, kept) in [
        (
            Format::Messages,
            include_str!("../../../../fixtures/laws/s21-clear-tool-uses.json"),
            ",{\"type\":\"clear_tool_uses_20250919\"}",
            "",
        ),
        (
            Format::Responses,
            include_str!("../../../../fixtures/laws/s21-truncation.json"),
            "\"truncation\":\"auto\"",
            "\"truncation\":\"disabled\"",
        ),
    ] {
        let body = fixture.replace("LOG", &log.replace('\n', "\\n"));
        let body = body.replace("SYSTEM", &session::preamble(1200));
        for mode in MODES {
            let edited = sent(&mut Counter::new(), &open(mode), format, &body);
            assert!(!edited.contains("the same as"), "{format:?} {mode:?}");
            let whole = body.replace(editing, kept);
            let sent = sent(&mut Counter::new(), &open(mode), format, &whole);
            assert!(
                whole != body && sent.contains("the same as"),
                "{format:?} {mode:?}: the text is there to be pointed at"
            );
        }
    }
}

/// The floor: a prefix that stays under what a provider caches is not made shorter.
#[test]
fn prompts_are_not_cut_below_what_is_cached() {
    let rows: Vec<Value> = (0..60).map(|row| json!({"row": row, "name": "n", "x": null})).collect();
    let data = serde_json::to_string_pretty(&rows)
        .expect("plain data")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    for (format, fixture, floor) in [
        (Format::Messages, include_str!("../../../../fixtures/laws/floor-messages.json"), 4096),
        (Format::Chat, include_str!("../../../../fixtures/laws/floor-chat.json"), 1024),
    ] {
        let mut cut = 0;
        let mut kept = 0;
        for tokens in (0..floor).step_by(61) {
            let body = fixture.replace("SYSTEM", &session::preamble(tokens)).replace("DATA", &data);
            for mode in MODES {
                let rewritten = rewrite(&mut Counter::new(), &open(mode), format, body.as_bytes());
                assert!(
                    rewritten.body.is_none() || rewritten.after >= floor as u64,
                    "{format:?} {mode:?}: {}",
                    rewritten.after
                );
                cut += usize::from(rewritten.body.is_some());
                kept += usize::from(rewritten.body.is_none());
            }
        }
        assert!(cut > 3 && kept > 3, "{format:?}: {cut} cut, {kept} kept");
    }
}
