use super::*;
use crate::compress::{Place, Source};

fn expand(text: &str, leading: Leading, earlier: &Earlier) -> Option<String> {
    super::expand(text, (leading, earlier), &mut Budget::new(1 << 20))
}

const READ: Source = Source::Text(Place::Result { number: 1, part: None });

fn written() -> Source {
    Source::Input { number: 3, key: Some("content".into()) }
}

/// Lines of a file, long enough to be worth a marker.
fn file(lines: Range<usize>) -> Vec<String> {
    lines.map(|line| format!("    let value_{line} = compute(\"{line}\");")).collect()
}

/// As a tool shows it: the first number with its blanks.
fn numbered(lines: &[String], first: usize) -> String {
    let shown = |(at, line): (usize, &String)| match at {
        0 => format!("{:6}\u{2192}{line}", first),
        _ => format!("{}\u{2192}{line}", first + at),
    };
    lines.iter().enumerate().map(shown).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn check(above: &[(&str, Source)], text: &str, want: &str) {
    let mut earlier = Earlier::new(true);
    for (text, source) in above {
        earlier.remember((*text).into(), source.clone(), 0, Leading::LineNumbers);
    }
    let sent = refer(text, Leading::LineNumbers, &earlier)
        .map_or(text.to_owned(), |found| found.apply(text));
    assert_eq!(sent, want);
    if sent != text {
        assert_eq!(expand(&sent, Leading::LineNumbers, &earlier).as_deref(), Some(text));
    }
}

#[test]
fn lines_from_above_are_pointed_at_between_the_first_and_the_last() {
    let lines = file(0..20);
    let log = format!("$ run\n{}\ndone", lines[2..12].join("\n"));
    check(
        &[(&lines.join("\n"), READ)],
        &log,
        &format!(
            "$ run\n{}\n[... 8 lines, the same as lines 4-11 of tool result 1 above ...]\n{}\ndone",
            lines[2], lines[11]
        ),
    );
}

#[test]
fn a_file_read_again_after_an_edit_is_found_although_its_numbers_moved() {
    let old = file(1..31);
    let new = file(50..60);
    let edited = [&old[..10], &new[..], &old[10..]].concat();
    check(
        &[(&numbered(&old, 1), READ), (&new.join("\n"), written())],
        &numbered(&edited, 1),
        &format!(
            "     1\u{2192}{}\n\
             [... 8 lines, the same as lines numbered 2-9 of tool result 1 above ...]\n\
             10\u{2192}{}\n\
             11\u{2192}{}\n\
             [... 8 lines, the same as lines 2-9 of \"content\" in tool call 3 above ...]\n\
             20\u{2192}{}\n\
             21\u{2192}{}\n\
             [... 18 lines, the same as lines numbered 12-29 of tool result 1 above ...]\n\
             40\u{2192}{}",
            old[0], old[9], new[0], new[9], old[10], old[29]
        ),
    );
}

#[test]
fn numbers_may_be_there_on_either_side_only() {
    let lines = file(0..9);
    let plain = lines.join("\n");
    check(
        &[(&numbered(&lines, 7), READ)],
        &plain,
        &format!(
            "{}\n[... 7 lines, the same as lines numbered 8-14 of tool result 1 above ...]\n{}",
            lines[0], lines[8]
        ),
    );
    check(
        &[(&plain, written())],
        &numbered(&lines, 7),
        &format!(
            "     7\u{2192}{}\n\
             [... 7 lines, the same as lines 2-8 of \"content\" in tool call 3 above ...]\n\
             15\u{2192}{}",
            lines[0], lines[8]
        ),
    );
}

#[test]
fn lines_of_the_text_itself_are_counted_as_they_are_sent() {
    let (lines, more) = (file(0..10), file(20..30));
    let text = [&lines[..], &more, &lines, &["end".to_owned()], &more].concat().join("\n");
    check(
        &[(&lines.join("\n"), READ)],
        &text,
        &format!(
            "{}\n[... 8 lines, the same as lines 2-9 of tool result 1 above ...]\n{}\n{}\n{}\n\
             [... 8 lines, the same as lines 2-9 of tool result 1 above ...]\n{}\nend\n{}\n\
             [... 8 lines, the same as lines 5-12 of this text above ...]\n{}",
            lines[0],
            lines[9],
            more.join("\n"),
            lines[0],
            lines[9],
            more[0],
            more[9]
        ),
    );
}

#[test]
fn what_is_short_or_different_stays() {
    let lines = file(0..20);
    let above = [(&*lines.join("\n"), READ)];
    for text in [
        lines[3..6].join("\n"),
        ["a", "b", "c", "d"].map(|end| lines[4].clone() + end).join("\n"),
        lines.iter().map(|line| format!("{line} ")).collect::<Vec<_>>().join("\n"),
        lines.join("\r\n"),
        String::new(),
        "\n".repeat(400),
    ] {
        check(&above, &text, &text);
    }
}

#[test]
fn lines_that_are_left_out_above_are_not_pointed_at() {
    let lines = file(0..20);
    let whole = lines.join("\n");
    let short = format!("{}\n[... 18 lines left out ...]\n{}", lines[0], lines[19]);
    check(&[(&short, READ)], &whole, &whole);
}

#[test]
fn markers_that_point_nowhere_stay() {
    let mut earlier = Earlier::new(true);
    let lines = file(0..9);
    earlier.remember(lines.join("\n").into(), READ, 0, Leading::LineNumbers);
    for marker in [
        "[... 7 lines, the same as lines 2-8 of tool result 2 above ...]",
        "[... 7 lines, the same as lines 3-9 of tool result 1 above ...]",
        "[... 9 lines, the same as lines 2-10 of tool result 1 above ...]",
        "[... 7 lines, the same as lines 1-7 of tool result 1 above ...]",
        "[... 7 lines, the same as lines numbered 2-8 of tool result 1 above ...]",
        "[... 6 lines, the same as lines 2-8 of tool result 1 above ...]",
        "[... 2 lines, the same as lines 1-2 of this text above ...]",
        "[... 18446744073709551615 lines, the same as lines 1-18446744073709551615 of this text above ...]",
        "[... 2 lines, the same as lines 18446744073709551614-18446744073709551615 of this text above ...]",
    ] {
        let text = format!("{}\n{marker}\n{}", lines[0], lines[8]);
        assert_eq!(expand(&text, Leading::LineNumbers, &earlier), None, "{marker}");
    }
}

/// Everything about a search is bounded: hostile text takes as long as any other.
#[test]
fn equal_lines_without_end_are_looked_at_once() {
    let mut earlier = Earlier::new(true);
    let same = "x\n".repeat(50_000);
    earlier.remember(same.clone().into(), READ, 0, Leading::LineNumbers);
    assert!(
        refer(&same, Leading::LineNumbers, &earlier)
            .is_some_and(|found| found.apply(&same).len() < 200)
    );
    let pairs: String = (0..50_000).map(|line| format!("{}\ny\n", line % 7)).collect();
    assert!(refer(&pairs, Leading::LineNumbers, &earlier).is_some());
}
