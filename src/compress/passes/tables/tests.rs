use std::borrow::Cow;

use super::*;
use crate::compress::tests::Random;

fn decode(text: &str) -> Option<String> {
    decode_to(1 << 20, text)
}

/// Ours take no more than what was encoded.
fn decode_to(bytes_max: usize, text: &str) -> Option<String> {
    super::decode(text, &mut Budget::new(bytes_max))
}

/// Encodes to `want`, which decodes to `text`.
#[track_caller]
fn check(text: &str, want: &str) {
    assert_eq!(encode(text), want);
    assert_eq!(decode(want).as_deref(), Some(text));
    assert!(matches!(encode(want), Cow::Borrowed(_)), "a second run must change nothing");
}

#[track_caller]
fn check_stays(text: &str) {
    assert!(matches!(encode(text), Cow::Borrowed(_)), "{}", encode(text));
}

fn array(rows: usize, row: impl Fn(usize) -> String) -> String {
    format!("[{}]", (0..rows).map(row).collect::<Vec<_>>().join(","))
}

#[test]
fn like_objects_become_a_template_and_rows() {
    check(
        &array(4, |row| {
            format!(r#"{{"id":{row},"kind":"a kind","user":{{"name":"n{row}","admin":false}}}}"#)
        }),
        concat!(
            r#"{"template of 4 objects":{"id":"$1","kind":"a kind","user":{"name":"$2","admin":false}},"#,
            r#""rows":[[0,"n0"],[1,"n1"],[2,"n2"],[3,"n3"]]}"#
        ),
    );
    // The same value in two members of each row.
    check(
        &array(4, |row| {
            format!(r#"{{"first":"value {row}","constant":[1,2,3],"second":"value {row}"}}"#)
        }),
        concat!(
            r#"{"template of 4 objects":{"first":"$1","constant":[1,2,3],"second":"$1"},"#,
            r#""rows":[["value 0"],["value 1"],["value 2"],["value 3"]]}"#
        ),
    );
}

#[test]
fn members_that_some_rows_lack_come_back() {
    let odd = array(20, |row| match row {
        0..=15 => format!(r#"{{"identifier":{row},"often":{row},"last_member":true}}"#),
        16 => r#"{"identifier":16,"last_member":true,"rare":[]}"#.to_owned(),
        17 => r#"{"rare":1,"identifier":17,"last_member":false}"#.to_owned(),
        _ => format!(r#"{{"identifier":{row},"last_member":false}}"#),
    });
    let encoded = encode(&odd).into_owned();
    assert_eq!(decode_to(odd.len(), &encoded).as_deref(), Some(odd.as_str()), "{encoded}");
    assert!(encoded.contains(r#""often":"$2""#) && encoded.contains("(absent)"), "{encoded}");
    assert!(
        encoded.contains(r#""...":"$4""#)
            && encoded.contains(r#"[16,"(absent)",true,{"rare":[]}]"#),
        "{encoded}"
    );
    assert!(encoded.contains(r#"{"rare":1,"identifier":17,"#), "an odd row stays whole: {encoded}");
}

#[test]
fn lists_and_objects_within_rows_have_rows_of_their_own() {
    let text = array(6, |row| {
        let labels =
            array(row % 3, |label| format!(r#"{{"identifier":{label},"description":"d{label}"}}"#));
        let owner = if row % 2 == 0 {
            "null".to_owned()
        } else {
            format!(r#"{{"login":"user {row}","site_admin":false}}"#)
        };
        format!(r#"{{"number":{row},"labels":{labels},"owner":{owner}}}"#)
    });
    check(
        &text,
        concat!(
            r#"{"template of 6 objects":{"number":"$1","labels":{"each of $2":{"identifier":"$2.1","description":"$2.2"}},"#,
            r#""owner":{"with $3":{"login":"$3.1","site_admin":false}}},"#,
            r#""rows":[[0,[],null],[1,[[0,"d0"]],["user 1"]],[2,[[0,"d0"],[1,"d1"]],null],"#,
            r#"[3,[],["user 3"]],[4,[[0,"d0"]],null],[5,[[0,"d0"],[1,"d1"]],["user 5"]]]}"#
        ),
    );
}

#[test]
fn large_values_that_come_again_are_named() {
    let owner =
        format!(r#"{{"login":"somebody","url":"https://example.test/{}"}}"#, "u/".repeat(30));
    check(
        &format!(r#"{{"owner":{owner},"parent":{{"by":{owner}}},"source":{{"owner":{owner}}}}}"#),
        &format!(
            r#"{{"owner":{{"@1 below means":{owner}}},"parent":{{"by":"@1"}},"source":{{"owner":"@1"}}}}"#
        ),
    );
}

#[test]
fn lines_of_json_are_one_table_and_errors_stay_whole() {
    let line = |row: usize| match row {
        3 => r#"{"level":"error","message":"it broke","request":3}"#.to_owned(),
        _ => format!(r#"{{"level":"info","message":"request served","request":{row}}}"#),
    };
    let text: String = (0..6).map(|row| line(row) + "\n").collect();
    let want = concat!(
        r#"{"template of 6 lines":{"level":"info","message":"request served","request":"$1"},"#,
        r#""rows":[[0],[1],[2],{"level":"error","message":"it broke","request":3},[4],[5]]}"#
    );
    check(&text, &format!("{want}\n"));
    check(&format!("starting\n{text}stopped"), &format!("starting\n{want}\nstopped"));
    // As Python writes it, which a blank behind the first colon says.
    let spaced = text.replace("\":", "\": ").replace(",\"", ", \"");
    let encoded = encode(&spaced).into_owned();
    assert!(encoded.starts_with("{\"template of 6 lines\": {\"level\""), "{encoded}");
    assert_eq!(decode_to(spaced.len(), &encoded).as_deref(), Some(spaced.as_str()));
}

#[test]
fn spelling_stays() {
    for value in ["1.0", "1e400", "9007199254740993", r#""\u00e9\/""#, r#""\ud800""#, "-0"] {
        let text = array(6, |row| {
            format!(r#"{{"identifier":{row},"some constant":{value},"value":[{value},{row}]}}"#)
        });
        let encoded = encode(&text).into_owned();
        assert!(encoded.starts_with("{\"template"), "{encoded}");
        assert_eq!(decode_to(text.len(), &encoded).as_deref(), Some(text.as_str()));
    }
}

#[test]
fn what_cannot_be_told_apart_stays() {
    let rows = |row: &str| array(20, |_| row.to_owned());
    check_stays(&rows(r#"{"a":1,"a":2,"some constant":"value"}"#));
    check_stays(&rows(r#"{"price":"$1","some constant":"value"}"#));
    check_stays(&rows(r#"{"absent":"(absent)","some constant":"value"}"#));
    check_stays(&rows(r#"{"name":"@1","some constant":"value"}"#));
    check_stays(r#"{"a":[1,2,3],"b":{"c":null}}"#);
    check_stays(&array(300, |row| row.to_string()));
    check_stays(&"[".repeat(100_000));
    check_stays(&format!("{}{}", "[".repeat(1000), "]".repeat(1000)));
    check_stays("no JSON\nat all");
    assert_eq!(decode("no JSON"), None);
    assert_eq!(decode(r#"{"a":1}"#), None);
    assert_eq!(
        decode(r#"{"template of 2 objects":{"a":"$1"},"rows":[[]]}"#),
        None,
        "too few values"
    );
}

#[test]
fn any_json_comes_back() {
    let mut random = Random(1);
    let mut encoded_count = 0;
    for _ in 0..3000 {
        let text = value(&mut random, 4);
        if let Cow::Owned(encoded) = encode(&text) {
            encoded_count += 1;
            assert!(crate::json::is_value(&encoded), "{encoded}");
            assert!(
                decode_to(text.len(), &encoded).as_deref() == Some(text.as_str()),
                "{text}\n{encoded}"
            );
        }
    }
    assert!(encoded_count > 300, "{encoded_count}");
}

/// JSON with many like objects, members that come and go, and values that come again.
fn value(random: &mut Random, depth: usize) -> String {
    const KEYS: [&str; 5] = ["identifier", "description", "created_at", "owner", "k"];
    let scalar = |random: &mut Random| {
        random
            .pick(&[
                "1",
                "null",
                "\"a text\"",
                "2.50",
                "true",
                "\"\\n\"",
                "\"2026-11-22T10:00:00Z\"",
            ])
            .to_owned()
    };
    match random.below(if depth == 0 { 1 } else { 4 }) {
        0 => scalar(random),
        1 => array_of(random, depth),
        _ => {
            let rows = 2 + random.below(8);
            let member = value(random, depth - 1);
            let row = |random: &mut Random| {
                let mut members: Vec<String> = Vec::new();
                for key in KEYS {
                    let value = match random.below(8) {
                        0 => continue,
                        1 => value(random, depth - 1),
                        2 | 3 => member.clone(),
                        _ => scalar(random),
                    };
                    members.push(format!("\"{key}\":{value}"));
                }
                format!("{{{}}}", members.join(","))
            };
            let rows: Vec<String> = (0..rows).map(|_| row(random)).collect();
            format!("[{}]", rows.join(","))
        }
    }
}

fn array_of(random: &mut Random, depth: usize) -> String {
    let values: Vec<String> = (0..random.below(5)).map(|_| value(random, depth - 1)).collect();
    format!("[{}]", values.join(","))
}
