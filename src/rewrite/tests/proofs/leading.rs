//! S25: integers at the starts of lines are compared away where they number the lines of a file that
//! was read, and are data everywhere else.

use super::session::{self, Call, Turn};
use super::*;
use crate::compress::tests::{Random, renderings};

/// What a line says behind its integer, from a few that come again and again.
fn content(random: &mut Random, at: usize) -> String {
    let state = random.pick(&["queued", "running", "done", "failed after 3 tries"]);
    format!("{state}|owner{}|2026-11-{:02}|row of table {}", at * 7 % 13, at % 28 + 1, at % 5)
}

/// Kinds of output with an integer at the start of each line: the command, and what stands between
/// integer and content.
const DATA: &[(&str, &str, &str)] = &[
    ("Bash", "sqlite3 app.db 'select id, state from jobs'", "|"),
    ("Bash", "psql -c 'select id, state from jobs'", " | "),
    ("Bash", "mysql -B -e 'select id, state from jobs'", "\t"),
    ("Bash", "grep -n owner jobs.psv", ":"),
    ("Bash", "rg -n owner", ":"),
    ("Bash", "sort jobs | uniq -c", " "),
    ("Bash", "wc -l src/*.rs", " "),
    ("Bash", "ls -s", " "),
    ("Bash", "du -a", "\t"),
    ("Bash", "ps ax", " "),
    ("Bash", "sqlite3 app.db .dump | nl", "\t"),
    ("Bash", "make | cat -n", "\t"),
    ("Bash", "sqlite3 a.db .dump; cat -n jobs.psv", "|"),
    ("Bash", "cat jobs.psv", "|"),
    ("Bash", "head -40 jobs.csv", ","),
    ("read_query", "select id, state from jobs", "|"),
    ("list_issues", "open", ":"),
    ("mcp__db__query", "select 1", "\u{2192}"),
];

const READS: &[(&str, &str, &str)] = &[
    ("Read", "jobs.psv", "\u{2192}"),
    ("Bash", "cat -n jobs.psv", "\t"),
    ("Bash", "nl -ba jobs.psv | head -40", "\t"),
];

fn call((tool, what, _): (&'static str, &str, &str), text: String) -> Call {
    let key = match tool {
        "Read" => "file_path",
        "Bash" => "command",
        _ => "query",
    };
    Call { tool, input: json!({key: what}), texts: vec![text], error: false }
}

fn numbered(lines: &[String], first: usize, mark: &str) -> String {
    let line = |(at, line): (usize, &String)| format!("{:>6}{mark}{line}\n", first + at);
    lines.iter().enumerate().map(line).collect()
}

fn body_of(format: Format, calls: Vec<Call>) -> String {
    let turn = |call| Turn { calls: vec![call], ..Turn::default() };
    let turns: Vec<Turn> = calls.into_iter().map(turn).collect();
    session::body(format, &session::preamble(4300), &turns)
}

fn results(body: &str, format: Format) -> Vec<String> {
    let prompt = prompt::read(format, body.as_bytes()).expect("valid");
    let results = prompt.parts.iter().filter(|part| matches!(part.role, Role::Result(_)));
    results.map(|part| part.text(body).expect("a text").into_owned()).collect()
}

#[test]
fn rows_with_other_ids_are_other_rows() {
    let mut counter = Counter::new();
    let mut random = Random(25);
    let lines: Vec<String> = (0..40).map(|at| content(&mut random, at)).collect();
    for format in FORMATS {
        for (kinds, is_read) in [(DATA, false), (READS, true)] {
            for kind in kinds {
                let texts = [1, 361].map(|first| numbered(&lines, first, kind.2));
                let calls = texts.iter().map(|text| call(*kind, text.clone())).collect();
                let body = body_of(format, calls);
                for mode in [Mode::Strict, Mode::Hybrid] {
                    let plan = Plan { threshold: 0, ..Plan::of(mode) };
                    let sent = sent(&mut counter, &plan, format, &body);
                    let shown = results(&sent, format).pop().expect("two results");
                    let points = shown.contains("the same as line");
                    assert_eq!(points, is_read && mode == Mode::Hybrid, "{kind:?}\n{shown}");
                    let is_unpadded = is_read && shown.contains("\n362");
                    assert_eq!(is_unpadded, is_read && mode == Mode::Strict, "{kind:?}\n{shown}");
                    let back = expand(format, sent.as_bytes()).expect("valid");
                    let back = results(std::str::from_utf8(&back).expect("text"), format);
                    assert_eq!(back, texts, "{kind:?} {mode:?}");
                }
            }
        }
    }
}

/// Texts of all kinds that hold each other's lines under other numbers, and point at each other in
/// chains.
#[test]
fn what_is_sent_is_read_back_whatever_numbers_mean_in_it() {
    let mut counter = Counter::new();
    let mut random = Random(2525);
    let pool: Vec<String> = (0..60).map(|at| content(&mut random, at)).collect();
    for round in 0..120 {
        let format = FORMATS[round % FORMATS.len()];
        let calls: Vec<Call> = (0..6)
            .map(|_| {
                let kinds = if random.below(2) == 0 { DATA } else { READS };
                let kind = random.pick(kinds);
                let start = random.below(20);
                let lines = &pool[start..start + 20 + random.below(20)];
                let mark = random.pick(&[kind.2, kind.2, "|", ":", ""]);
                let first = random.pick(&[1, 1, 9, 361]);
                let text = match mark {
                    "" => lines.join("\n"),
                    mark => numbered(lines, first, mark),
                };
                call(kind, text)
            })
            .collect();
        let texts: Vec<String> = calls.iter().map(|call| call.texts[0].clone()).collect();
        let body = body_of(format, calls);
        for mode in [Mode::Strict, Mode::Hybrid] {
            let plan = Plan { threshold: 0, ..Plan::of(mode) };
            let sent = sent(&mut counter, &plan, format, &body);
            let back = expand(format, sent.as_bytes()).expect("valid");
            let back = results(std::str::from_utf8(&back).expect("text"), format);
            for (back, text) in back.iter().zip(&texts) {
                assert!(renderings(text, false, false).contains(back), "round {round}: {text}");
            }
        }
    }
}
