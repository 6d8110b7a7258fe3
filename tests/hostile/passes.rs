//! Texts that are hard on one of the passes, or on the counter.

use serde_json::json;

use super::Family;
use super::bodies::{CHAT, MESSAGES, called, chat, random, results, until};

pub(super) const FAMILIES: &[Family] = &[
    ("one character", CHAT, |n| chat(&["a".repeat(n)])),
    ("unusual characters", CHAT, |n| chat(&[until(n, unusual)])),
    ("marks on one letter", CHAT, |n| chat(&["a".to_owned() + &"\u{301}".repeat(n / 2)])),
    ("one bracket", CHAT, |n| chat(&["{".repeat(n)])),
    ("nested", CHAT, |n| chat(&["[".repeat(n / 2) + &"]".repeat(n / 2)])),
    ("equal lines", CHAT, |n| chat(&["x\n".repeat(n / 3)])),
    ("blank lines", CHAT, |n| chat(&["\n".repeat(n / 2)])),
    ("two lines", CHAT, |n| chat(&["ab\ncd\nab\nab\ncd\n".repeat(n / 20)])),
    ("few lines", CHAT, |n| chat(&[until(n, |at| format!("{}\n", random(at) % 3))])),
    ("many lines", CHAT, |n| chat(&[until(n, |at| format!("{}\n", random(at) % 5000))])),
    ("long repeats", CHAT, |n| chat(&[until(n, long_repeat)])),
    ("short runs between blanks", MESSAGES, blanks_between),
    ("numbers", CHAT, |n| chat(&[until(n, |at| format!("{:6}\u{2192}}}\n", at + 1))])),
    ("code in one line", CHAT, |n| {
        chat(&[until(n, |at| format!("function f{}(a){{return a}};", random(at)))])
    }),
    ("base64", CHAT, |n| chat(&[until(n, |at| format!("{:04x}", random(at) % 65_536))])),
    ("returns", CHAT, |n| chat(&[until(n, |at| format!("\r{} %", random(at)))])),
    ("escapes", CHAT, |n| chat(&[until(n, |at| format!("\u{1b}[{}A\u{1b}[Kx", random(at) % 30))])),
    ("far columns", CHAT, |n| chat(&[until(n, |at| format!("\u{1b}[{}Gx\n", at % 900))])),
    ("many rows below", CHAT, |n| chat(&[until(n, |_| "\u{1b}[24Bx".to_owned())])),
    ("a long line, coloured", CHAT, |n| {
        chat(&["\u{1b}[1m".to_owned() + &until(n, |_| "word ".to_owned())])
    }),
    ("erased again", CHAT, |n| {
        chat(&[until(n, |_| "a row of words\u{1b}[1K\u{1b}[1A\u{1b}[J".to_owned())])
    }),
    ("lines of a kind", CHAT, |n| chat(&[until(n, log_line)])),
    ("lines of no kind", CHAT, |n| chat(&[until(n, odd_log_line)])),
    ("errors", CHAT, |n| chat(&[until(n, |at| format!("10:00:00 ERROR {} failed\n", random(at)))])),
    ("dense numbers", CHAT, |n| chat(&[format!("[{}1]", "1,".repeat(n / 2))])),
    ("objects of no kind", CHAT, |n| chat(&[list(n, |at| json!({format!("k{at}"): at}))])),
    ("equal columns", CHAT, |n| chat(&[list(n, equal_columns)])),
    ("objects in objects", CHAT, |n| chat(&[list(n, |at| within(at, 50))])),
    ("lists in lists", CHAT, |n| chat(&[list(n, |at| json!([[[[[[[[at, at + 1]]]]]]]]))])),
    ("lines of JSON", CHAT, |n| {
        chat(&[until(n, |at| format!("{{\"a\":{at},\"b{}\":1}}\n", at % 99))])
    }),
    ("hunks", CHAT, |n| chat(&["diff --git a/x b/x\n".to_owned() + &until(n, hunk)])),
    ("quotes in a file", MESSAGES, |n| {
        called("Read", json!({"file_path": "a.py"}), &until(n, quotes))
    }),
    ("comments in a file", MESSAGES, |n| {
        called("Read", json!({"file_path": "a.js"}), &until(n, comments))
    }),
    ("fences", CHAT, |n| chat(&[until(n, |_| " ```\n".to_owned())])),
    ("the same result", MESSAGES, |n| results(&vec![until(500, log_line); n / 700])),
];

fn unusual(at: usize) -> String {
    let code = 0x4e00 + random(at) as u32 % 0x5000;
    char::from_u32(code).unwrap_or(' ').to_string() + "\u{1f600}\u{e9}"
}

fn long_repeat(at: usize) -> String {
    format!("line {} {}\n", random(at) % 40, "-".repeat(300))
}

fn log_line(at: usize) -> String {
    format!("2026-11-30 10:00:{:02} INFO request {} took {} ms\n", at % 60, random(at), at % 977)
}

/// Words without digits that no other line has.
fn odd_log_line(at: usize) -> String {
    let word = |salt: usize| -> String {
        let letters =
            (0..6).map(|place| (b'a' + (random(at * 7 + salt) >> (place * 4) & 15) as u8) as char);
        letters.collect()
    };
    format!("10:00 INFO {} {} {} {}\n", word(1), word(2), word(3), word(4))
}

/// The same few short lines behind many blank ones, three times; not enough to be worth a marker.
fn blanks_between(n: usize) -> String {
    let blanks = "\n".repeat(n / 8);
    let run: String = (b'a'..=b'z').map(|letter| format!("{}\n", letter as char)).collect();
    let text = |at: usize| format!("text {at} begins\n{blanks}{run}text {at} ends");
    results(&[text(1), text(2), text(3)])
}

fn list(n: usize, element: impl Fn(usize) -> serde_json::Value) -> String {
    let text = until(n * 4 / 5, |at| format!("{},", element(at)));
    format!("[{}]", text.trim_end_matches(','))
}

/// Equal but for the last of many.
fn equal_columns(at: usize) -> serde_json::Value {
    let column = |key: usize| {
        (format!("k{key}"), json!(at * (1 + usize::from(at > 0 && at.is_multiple_of(997)) * key)))
    };
    (0..30).map(column).collect()
}

fn within(at: usize, depth: usize) -> serde_json::Value {
    (0..depth).fold(json!(at), |inner, _| json!({"a": inner}))
}

fn hunk(at: usize) -> String {
    format!("@@ -{at},7 +{at},7 @@\n a\n b\n c\n-d\n+e\n f\n g\n h\n")
}

fn quotes(at: usize) -> String {
    format!("x{at} = '#' \"'\" # \"\"\"\n")
}

fn comments(at: usize) -> String {
    format!("// a comment, number {at}\nlet a = \"/*\"; /* b\n */\n")
}
