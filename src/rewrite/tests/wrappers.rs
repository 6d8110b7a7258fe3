//! Results in wrappers save what they save without, and all else in a wrapper stays.

use super::proofs::session::WRAPPERS;
use super::*;
use crate::wire::prompt::Spelling;

/// As they are spelled: Python puts blanks behind colons and escapes what is not ASCII, others indent.
const SPELLINGS: &[fn(&Value) -> String] = &[
    |value| value.to_string(),
    |value| serde_json::to_string_pretty(value).expect("plain data"),
    |value| {
        let text = value.to_string().replace("\\\":", "\u{1}").replace("\":", "\": ");
        text.replace('\u{1}', "\\\":").replace('\u{e9}', "\\u00e9")
    },
];

fn texts() -> Vec<String> {
    let log = (0..120)
        .map(|n| format!("2026-11-0{} 10:00:{:02} INFO caf\u{e9} {n} \"ok\"\n", n % 9 + 1, n % 60));
    let rows: Vec<Value> =
        (0..60).map(|n| json!({"id": n, "name": format!("n{n}"), "on": true})).collect();
    let waits = "waiting for \\\\host\\share\n".repeat(60);
    vec![
        log.collect(),
        serde_json::to_string_pretty(&rows).expect("plain data"),
        format!("begun\n{waits}done\n"),
        (0..80)
            .map(|n| {
                format!(
                    "\u{1b}[2K\r{n} of 80 \u{1b}[32mok\u{1b}[0m{}",
                    if n % 4 == 0 { "\n" } else { "" }
                )
            })
            .collect(),
    ]
}

/// Everything that is no text of a wrapper's.
fn rest(format: Format, body: &str) -> String {
    let mut prompt = prompt::read(format, body.as_bytes()).expect("valid");
    prompt.parts.retain(|part| part.spelling == Spelling::Wrapped);
    prompt.parts.sort_by_key(|part| part.span.start);
    assert!(!prompt.parts.is_empty(), "{format:?}: not seen as a wrapper\n{body}");
    let mut rest = String::new();
    let end = prompt.parts.iter().fold(0, |at, part| {
        rest += &body[at..part.span.start];
        part.span.end
    });
    rest + &body[end..]
}

fn saved(format: Format, mode: Mode, text: &str) -> (String, String, f64) {
    let plan = Plan { threshold: 0, ..Plan::of(mode) };
    let body = body(format, &[bash("npm test", text)]);
    let rewritten = rewrite(&mut Counter::new(), &plan, format, body.as_bytes());
    let share = 1.0 - rewritten.after as f64 / rewritten.before as f64;
    let sent = rewritten.body.map_or(body.clone(), |sent| String::from_utf8(sent).expect("text"));
    (body, sent, share)
}

#[test]
fn wrapped_results_save_what_plain_ones_save() {
    for format in FORMATS {
        for mode in MODES {
            for text in texts() {
                let plain = saved(format, mode, &text).2;
                for (number, wrapper) in WRAPPERS.iter().enumerate() {
                    for spelling in SPELLINGS {
                        let (body, sent, share) = saved(format, mode, &spelling(&wrapper(&text)));
                        let what = format!("{format:?} {mode:?} wrapper {number}: {text:.40}");
                        assert!(
                            (plain - share).abs() <= 0.02,
                            "{what}: {share} in place of {plain}"
                        );
                        if sent != body {
                            assert_eq!(rest(format, &sent), rest(format, &body), "{what}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn wrappers_that_speak_of_an_error_are_left_alone() {
    for format in FORMATS {
        for key in ["isError", "is_error"] {
            let text = json!({"content": [{"type": "text", "text": texts()[0]}], key: true});
            let (body, sent, _) = saved(format, Mode::Aggressive, &text.to_string());
            assert_eq!(body, sent, "{format:?} {key}");
        }
    }
}

#[test]
fn what_is_not_quite_a_wrapper_is_read_as_a_text() {
    let text = texts().remove(2);
    let long: Vec<String> = (0..30).map(|n| format!("{n}\n")).collect();
    for other in [
        format!("{} and more", json!({"output": text})),
        format!("{{\"output\": \"{text}\"}}"),
        format!("{{\"output\" \"{}\"}}", text.len()),
        format!("{{'output': {}}}", json!(text)),
        json!(long).to_string(),
        json!({"output": "one line"}).to_string(),
    ] {
        for format in FORMATS {
            let body = body(format, &[bash("npm test", &other)]);
            let prompt = prompt::read(format, body.as_bytes()).expect("valid");
            assert!(
                prompt.parts.iter().all(|part| part.spelling == Spelling::Value),
                "{other:.60}"
            );
        }
    }
}
