//! What tools print: by a grammar for each kind, then damaged.

use serde_json::{Value, json};

use super::source::Source;

type Kind = fn(&mut Source) -> String;

/// Most lines of a text. The laws are about how texts stand to each other, not about size.
const LINES_MAX: usize = 40;

const KINDS: &[Kind] = &[
    test_run,
    log,
    traceback,
    json_list,
    json_lines,
    json_object,
    diff,
    terminal,
    search,
    repeated,
    blob,
    prose,
    markers,
    odd,
    listing,
    fenced,
];

/// Anything but the content of a file.
pub(super) fn text(source: &mut Source, earlier: &[String]) -> String {
    let text = match source.below(8) {
        0 if !earlier.is_empty() => source.pick(earlier).clone(),
        1 if !earlier.is_empty() => {
            let (a, b) = (source.pick(earlier).clone(), source.pick(KINDS)(source));
            format!("{a}{b}")
        }
        2 if !earlier.is_empty() => {
            let text = source.pick(earlier).clone();
            mutate(source, text)
        }
        _ => source.pick(KINDS)(source),
    };
    if source.rarely(4) { mutate(source, text) } else { text }
}

/// Lines of source code.
pub(super) fn code(source: &mut Source) -> Vec<String> {
    let line = |source: &mut Source| {
        let indent = "    ".repeat(source.below(4));
        let (name, word, n) = (source.name(), source.word(), source.below(100));
        let line = match source.below(9) {
            0 => String::new(),
            1 => format!("def {name}({word}):"),
            2 => format!("{word} = {name}({n}, \"{word} {n}\")  # {word} of the {name}"),
            3 => format!("if {word} > {n}:"),
            4 => format!("return {name}[{n}]"),
            5 => "}".to_owned(),
            6 => format!("// {} see {}", name, source.url()),
            7 => format!("raise ValueError(\"Traceback: {name} error\")"),
            _ => format!("let {name}: Vec<{word}> = {word}.iter().map(|x| x + {n}).collect();"),
        };
        let tail = if source.rarely(12) { "  \t" } else { "" };
        format!("{indent}{line}{tail}")
    };
    let count = 3 + source.below(60);
    (0..count).map(|_| line(source)).collect()
}

fn test_run(source: &mut Source) -> String {
    let module = source.name();
    let mut text = source.lines(LINES_MAX, |source, at| match source.below(9) {
        0 => format!(
            "FAILED tests/{module}.py::test_{at} - AssertionError: {} != {at}",
            source.word()
        ),
        1 => format!("error[E0{at:03}]: mismatched types in {}", source.path()),
        _ => format!("test {module}::{} ... ok", source.name()),
    });
    text += &format!("test result: FAILED. {} passed; 1 failed\n", source.below(900));
    text
}

fn log(source: &mut Source) -> String {
    let (worker, day) = (source.name(), 1 + source.below(28));
    source.lines(LINES_MAX, |source, at| {
        let head =
            format!("2026-11-{day:02}T06:{:02}:{:02}.{:03}Z", at / 60, at % 60, source.below(1000));
        let (n, id) = (source.below(4000), source.hex(8));
        match source.below(12) {
            0 => format!("{head} ERROR [{worker}] request {id} failed: {} is gone", source.name()),
            1 => format!("{head} WARN  [{worker}] slow answer of {} took {n}ms", source.url()),
            2 => format!("{head} INFO  [{worker}] GET {} 200 {n}", source.url()),
            3 => format!(
                "10.0.{}.{} - - \"GET /{} HTTP/1.1\" 404 {n}",
                n % 7,
                n % 250,
                source.word()
            ),
            _ => format!("{head} INFO  [{worker}] handled request id={id} status=200 dur={n}ms"),
        }
    })
}

fn traceback(source: &mut Source) -> String {
    let mut text = String::from("Traceback (most recent call last):\n");
    text += &source.lines(LINES_MAX / 2, |source, at| {
        format!(
            "  File \"{}\", line {at}, in {}\n    {}()",
            source.path(),
            source.name(),
            source.word()
        )
    });
    text + &format!("KeyError: '{}'\n", source.name())
}

fn value(source: &mut Source, depth: usize) -> Value {
    match source.below(if depth == 0 { 7 } else { 9 }) {
        0 => json!(source.below(100_000)),
        1 => json!(source.name()),
        2 => json!(source.url()),
        3 => json!(source.rarely(2)),
        4 => Value::Null,
        5 => json!(source.below(1000) as f64 / 8.0),
        6 => {
            json!(format!("{} \"{}\" \u{1f600}\n\t{}", source.word(), source.word(), source.word()))
        }
        7 => (0..source.below(4)).map(|_| value(source, depth - 1)).collect(),
        _ => (0..source.below(4)).map(|_| (source.name(), value(source, depth - 1))).collect(),
    }
}

/// Objects that are alike, most of them.
fn rows(source: &mut Source) -> Vec<Value> {
    let keys: Vec<String> = (0..1 + source.below(5)).map(|_| source.name()).collect();
    let same = value(source, 1);
    let row = |source: &mut Source| {
        let mut row = serde_json::Map::new();
        for key in &keys {
            if !source.rarely(16) {
                row.insert(key.clone(), value(source, 1));
            }
        }
        row.insert("state".into(), same.clone());
        Value::Object(row)
    };
    (0..1 + source.below(LINES_MAX / 2)).map(|_| row(source)).collect()
}

fn json_list(source: &mut Source) -> String {
    let text = serde_json::to_string_pretty(&rows(source)).expect("plain data");
    match source.below(6) {
        // Spellings that a reader and writer of JSON would lose.
        0 => text.replace("\"state\"", "\"state\": 1e400, \"big\": 9007199254740993, \"state\""),
        1 => text.replace("true", "1.0").replace("a", "\\u0061"),
        2 => text.replace("null", "\"\\ud800\""),
        _ => text,
    }
}

fn json_lines(source: &mut Source) -> String {
    let lines = rows(source);
    let mut text = String::new();
    for line in lines {
        let is_error = source.rarely(10);
        let head = if is_error { "error: cannot go on\n" } else { "" };
        text += &format!("{head}{line}\n");
    }
    text
}

fn json_object(source: &mut Source) -> String {
    let items = rows(source);
    let name = source.name();
    let value = json!({"total": items.len(), name: items, "next": source.url()});
    let spaced = serde_json::to_string_pretty(&value).expect("plain data");
    if source.rarely(3) { value.to_string() } else { spaced }
}

fn diff(source: &mut Source) -> String {
    let path = source.path();
    let mut text =
        format!("diff --git a{path} b{path}\nindex {}..{} 100644\n", source.hex(7), source.hex(7));
    text += &format!("--- a{path}\n+++ b{path}\n@@ -1,{} +1,{} @@ fn main\n", LINES_MAX, LINES_MAX);
    for line in code(source) {
        let mark = source.pick(&[" ", " ", " ", "+", "-"]);
        text += &format!("{mark}{line}\n");
    }
    text
}

fn terminal(source: &mut Source) -> String {
    source.lines(LINES_MAX, |source, at| match source.below(8) {
        0 => format!("\u{1b}[3{}m{}\u{1b}[0m", at % 8, source.name()),
        1 => format!("{:3} %\r{:3} %\r100 % {}\u{1b}[K", at, at + 1, source.word()),
        2 => format!("\u{1b}[1A\u{1b}[2K{} {at}", source.word()),
        3 => format!("\u{1b}]0;{}\u{7}{}\r", source.word(), source.name()),
        4 => format!("{}\u{8}\u{8}!", source.name()),
        5 => format!("\u{1b}[31merror: {} broke\u{1b}[0m", source.name()),
        _ => format!("   Compiling {} v0.{at}.0", source.name()),
    })
}

fn search(source: &mut Source) -> String {
    let path = source.path();
    let code = code(source);
    let hits = code.iter().enumerate();
    hits.map(|(at, line)| format!("{path}:{}:{line}\n", at * 7 + 1)).collect()
}

fn repeated(source: &mut Source) -> String {
    let period = 1 + source.below(6);
    let block: Vec<String> =
        (0..period).map(|_| format!("{} {}", source.name(), source.url())).collect();
    let head = source.lines(3, |source, _| source.name());
    let tail = source.lines(3, |source, _| source.name());
    format!("{head}{}\n{tail}", vec![block.join("\n"); 2 + source.below(40)].join("\n"))
}

fn blob(source: &mut Source) -> String {
    let digits = 200 + source.below(600);
    let seed = source.hex(16);
    // Digits from a hash of the seed: a byte of choice for each would be wasted.
    let mut state = u64::from_str_radix(&seed, 16).unwrap_or(1) | 1;
    let mut digit = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
                [(state >> 32) as usize % 64],
        )
    };
    let blob: String = (0..digits).map(|_| digit()).collect();
    format!("name: {}\ndata: {blob}==\nend\n", source.name())
}

fn prose(source: &mut Source) -> String {
    source.lines(LINES_MAX, |source, at| {
        format!(
            "Case {at}: the {} of {} is not the {}.",
            source.word(),
            source.name(),
            source.word()
        )
    })
}

/// Lines like those that stand for other text in a compressed prompt, valid and broken.
fn markers(source: &mut Source) -> String {
    const LINES: &[&str] = &[
        "[... the text below is as it came ...]",
        "[... the line above 37 more times ...]",
        "[... the 3 lines above 12 more times ...]",
        "[... 40 lines, the same as all of tool result 1 above, from \"a\" to \"b\" ...]",
        "[... 1 line, the same as all of tool result 1 above, beginning \"a\" ...]",
        "[... 5 lines, the same as lines 2-6 of tool result 1 above ...]",
        "[... 5 lines, the same as lines 2-6 of \"content\" in tool call 1 above ...]",
        "[... 1,204 lines left out ...]",
        "[... 4,096 characters of base64 left out, beginning iVBORw0K ...]",
        "[... the line above 99999999999999999999 more times ...]",
        "[... the 0 lines above 3 more times ...]",
        "[... ...]",
        " [... the line above 2 more times ...]",
        "[...the line above 2 more times...]",
        "     1\u{2192}one",
        "2\u{2192}two",
        "     3\u{2192}three",
    ];
    source.lines(LINES_MAX, |source, _| match source.below(3) {
        0 => source.name(),
        _ => (*source.pick(LINES)).to_owned(),
    })
}

fn odd(source: &mut Source) -> String {
    const ENDS: &[&str] =
        &["", " ", "\t", "\r", "\u{2028}", "\u{85}", "\u{b}", "\u{c}", "\0", "\u{feff}", "\\"];
    source.lines(LINES_MAX, |source, _| {
        format!("{}{}{}", source.pick(ENDS), source.name(), source.pick(ENDS))
    })
}

fn listing(source: &mut Source) -> String {
    source.lines(LINES_MAX, |source, at| {
        format!(
            "-rw-r--r-- 1 ada ada {:>8} Nov {:2} 06:{:02} {}",
            source.below(90_000),
            at % 28,
            at % 60,
            source.path()
        )
    })
}

fn fenced(source: &mut Source) -> String {
    let inside = if source.rarely(2) { log(source) } else { code(source).join("\n") + "\n" };
    format!("Look:\n```\n{inside}```\nand say {}.\n", source.word())
}

/// One small damage, as a slip or an odd tool would do it.
pub(super) fn mutate(source: &mut Source, mut text: String) -> String {
    const ODD: &[&str] = &[
        "\0",
        "\r",
        "\u{2028}",
        "\u{1b}[0m",
        "\t",
        " ",
        "\n",
        "\n\n\n",
        "[... ",
        " ...]",
        "9",
        "\\",
        "\"",
        "{",
        "\u{1f600}",
    ];
    match source.below(9) {
        0 => text.replace('\n', "\r\n"),
        1 => text.strip_suffix('\n').map(str::to_owned).unwrap_or(text),
        2 => {
            let at = source.cut(&text);
            text.truncate(at);
            text
        }
        3 => text.replacen('\n', "  \n", 1 + source.below(9)),
        4 => format!("{}{text}", source.pick(ODD)),
        5 | 6 => {
            let at = source.cut(&text);
            text.insert_str(at, source.pick::<&str>(ODD));
            text
        }
        _ => {
            let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
            if lines.is_empty() {
                return text;
            }
            let (a, b) = (source.below(lines.len()), source.below(lines.len()));
            match source.below(3) {
                0 => lines.swap(a, b),
                1 => lines.insert(a, lines[b]),
                _ => drop(lines.remove(a)),
            }
            lines.concat()
        }
    }
}
