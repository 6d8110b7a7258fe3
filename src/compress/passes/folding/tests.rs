use std::borrow::Cow;

use super::*;
use crate::compress::tests::Random;

fn unfold(text: &str) -> Option<String> {
    super::unfold(text, &mut Budget::new(1 << 20))
}

#[track_caller]
fn check(text: &str, want: &str) {
    assert_eq!(fold(text), want);
    assert_eq!(unfold(want).as_deref(), Some(text));
    assert!(matches!(fold(want), Cow::Borrowed(_)), "a second run must change nothing");
}

#[track_caller]
fn check_stays(text: &str) {
    assert!(matches!(fold(text), Cow::Borrowed(_)), "{}", fold(text));
}

#[test]
fn lines_of_a_kind_become_a_pattern_and_words() {
    let beat = |second: usize| {
        format!("2026-11-22T10:00:{second} INFO worker-{}: heartbeat ok", second % 3)
    };
    let mut lines: Vec<String> = (10..22).map(beat).collect();
    lines.insert(5, "2026-11-22T10:00:15 ERROR worker-1: heartbeat lost".to_owned());
    lines.push("2026-11-22T10:00:30 INFO see https://example.test/a".to_owned());
    let want: Vec<String> = [
        "[... below, a line such as \"#1 x y\" is short for pattern #1 of these 1, with {1} = x and {2} = y ...]",
        "[... #1: 2026-11-22T10:00:{1} INFO worker-{2}: heartbeat ok ...]",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain((10..15).map(|second| format!("#1 {second} {}", second % 3)))
    .chain([lines[5].clone()])
    .chain((15..22).map(|second| format!("#1 {second} {}", second % 3)))
    .chain([lines[13].clone()])
    .collect();
    check(&lines.join("\n"), &want.join("\n"));
}

#[test]
fn urls_and_errors_stay_whole() {
    let line = |row: usize| match row % 7 {
        3 => format!("10:00:{row} WARN retry {row} of https://example.test/jobs/{row}"),
        _ => format!(
            "10:00:{row} INFO fetched https://example.test/items/{row} in {row} ms, all is well"
        ),
    };
    let lines: Vec<String> = (10..50).map(line).collect();
    let folded = fold(&lines.join("\n")).into_owned();
    for (row, text) in (10..50).zip(&lines) {
        let part =
            if row % 7 == 3 { text.clone() } else { format!("https://example.test/items/{row}") };
        assert!(folded.contains(&part), "{part}");
    }
    assert!(folded.len() * 4 < lines.join("\n").len() * 3, "{folded}");
}

#[test]
fn names_never_look_like_lines_of_the_text() {
    let lines: Vec<String> = (10..40)
        .map(|row| format!("#{row} 0.{row} Setting up the package with a long name"))
        .collect();
    let folded = fold(&lines.join("\n")).into_owned();
    assert!(folded.contains("\n~1 "), "{folded}");
    assert_eq!(unfold(&folded).as_deref(), Some(lines.join("\n").as_str()));
}

#[test]
fn what_is_no_log_stays() {
    let repeat = |line: &str| {
        (0..40).map(|row| format!("{}\n", line.replace('%', &row.to_string()))).collect::<String>()
    };
    check_stays(&repeat("    %\u{2192}    let value = compute(the_same_thing, %);"));
    check_stays(&repeat("src/module/file.rs:%:    let value = compute(the_same_thing);"));
    check_stays(&format!(
        "diff --git a/x b/x\n{}",
        repeat("+2026-11-22T10:00:% INFO worker: heartbeat ok")
    ));
    check_stays(&repeat("2026-11-22T10:00:% ERROR worker: heartbeat lost in a long line"));
    check_stays("10:00:01 one line\n");
    check_stays("");
    for text in [
        "[... below, a line such as \"#1 x",
        "[... below, a line such as \"#1 x y\" is short for pattern #1 of these 2, with {1} = x and {2} = y ...]\n#1 a",
    ] {
        assert_eq!(unfold(text), None);
    }
}

#[test]
fn any_log_comes_back() {
    const WORDS: [&str; 14] = [
        "INFO",
        "10:00:01",
        "a=1",
        "a=22",
        "[x]",
        "[y9]",
        "{1}",
        "#1",
        "",
        " ",
        "https://e.test/1",
        "\u{e9}7",
        "ok\r",
        "v1.2.3",
    ];
    let mut random = Random(2);
    let mut folded_count = 0;
    for _ in 0..2000 {
        let kinds: Vec<Vec<&str>> = (0..1 + random.below(4))
            .map(|_| (0..1 + random.below(9)).map(|_| random.pick(&WORDS)).collect())
            .collect();
        let mut text = String::new();
        for _ in 0..random.below(60) {
            let mut line =
                random.pick(&["10:20:30.123", "2026-11-22 10:00:00", "12:00"]).to_owned();
            for word in &kinds[random.below(kinds.len())] {
                line.push(' ');
                line.push_str(if random.below(9) == 0 { random.pick(&WORDS) } else { word });
            }
            text.push_str(&line);
            text.push('\n');
        }
        if let Cow::Owned(folded) = fold(&text) {
            folded_count += 1;
            assert_eq!(unfold(&folded).as_deref(), Some(text.as_str()), "{folded}");
        }
    }
    assert!(folded_count > 300, "{folded_count}");
}
