//! `tokenpak compress --report`: where the savings come from, and why the rest was left alone.

use crate::sandbox::Output;
use crate::support::{Api, listing, prose, sandbox};

/// Runs the report on a body; what it says is for a terminal of 80 columns.
#[track_caller]
fn report(body: &[u8], mode: &str) -> Output {
    let output = sandbox().run_with(&["compress", "--report", "--mode", mode], body);
    assert_eq!(output.status, 0, "{}", output.stderr);
    let wide = output.stderr.lines().find(|line| line.chars().count() > 79);
    assert_eq!(wide, None, "a line is too long");
    output
}

/// The columns of the line that begins with `head`.
#[track_caller]
fn columns(output: &Output, head: &str) -> Vec<String> {
    let line = output.stderr.lines().find(|line| line.starts_with(head));
    let line = line.unwrap_or_else(|| panic!("no line {head}:\n{}", output.stderr));
    line[head.len()..]
        .split_whitespace()
        .map(|word| word.trim_end_matches(',').replace(',', ""))
        .collect()
}

fn number(column: &str) -> u64 {
    column.parse().unwrap()
}

#[test]
fn report_names_pass_and_place_of_every_saving() {
    for api in Api::ALL {
        let output = report(&api.large(false), "strict");
        let first = columns(&output, "");
        let saved = number(&first[5]);
        assert!(saved > 1000, "{}", output.stderr);
        let by_pass = number(&columns(&output, "json-minify")[0]);
        assert_eq!(by_pass, saved);
        let place = columns(&output, "tool result 1");
        assert_eq!(number(&place[0]) - number(&place[1]), saved);
        assert_eq!((place[2].as_str(), number(&place[3])), ("json-minify", saved));
        // Nothing is in two groups, and nothing is forgotten.
        let rest = number(&columns(&output, "neither result nor user text")[0]);
        let small = columns(&output, "under 400 characters");
        assert_eq!(small[1], "1", "what the user typed");
        assert_eq!(rest + number(&small[0]) + number(&place[0]), number(&first[0]));
    }
}

#[test]
fn report_says_why_nothing_was_saved() {
    let check = |body: &[u8], mode: &str, skip: &str, reason: &str| {
        let output = report(body, mode);
        assert!(output.stderr.contains(&format!("\nunchanged: {skip}\n")), "{}", output.stderr);
        assert_eq!(columns(&output, reason)[1], "1", "{}", output.stderr);
        assert_eq!(output.stdout.as_bytes(), body);
    };
    check(&Api::Chat.dense(false), "hybrid", "nothing-to-gain", "nothing to gain");
    let text = |api: Api, edit: fn(String) -> String| {
        edit(String::from_utf8(api.with_result(false, &listing(40))).unwrap()).into_bytes()
    };
    let failed = text(Api::Messages, |body| {
        body.replacen("\"tool_use_id\"", "\"is_error\":true,\"tool_use_id\"", 1)
    });
    check(&failed, "strict", "nothing-to-gain", "error result");
    let read = text(Api::Messages, |body| body.replacen("\"list_issues\"", "\"Read\"", 1));
    check(&read, "strict", "nothing-to-gain", "file that was read");
    let system = format!("{:?}", prose(800));
    let short = text(Api::Chat, |body| body).len();
    let body = String::from_utf8(text(Api::Chat, |body| body)).unwrap().replacen(
        &system,
        "\"Be brief.\"",
        1,
    );
    assert!(body.len() < short, "the system prompt is out");
    check(body.as_bytes(), "strict", "below-threshold", "before the threshold");
    let small = String::from_utf8(Api::Chat.with_result(false, &listing(8))).unwrap();
    let small = small.replacen(&system, "\"Be brief.\"", 1);
    check(small.as_bytes(), "aggressive", "nothing-to-gain", "too short for a prompt cache");
}
