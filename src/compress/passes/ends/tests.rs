use super::*;

fn log(lines: usize, error: impl Fn(usize) -> bool) -> String {
    let line = |row: usize| match error(row) {
        true => format!("10:00 ERROR job {row} has gone wrong"),
        false => format!("10:00 INFO line {row} of what went well"),
    };
    (0..lines).map(|row| line(row) + "\n").collect()
}

/// The lines that stayed, and those that the markers count.
fn counts(short: &str) -> (usize, usize) {
    let lines = short.split('\n').collect::<Vec<_>>();
    let left: usize = lines.iter().filter_map(|line| counted(line)).map(|(left, _)| left).sum();
    let markers = lines.iter().filter(|line| counted(line).is_some()).count();
    (lines.len() - markers, left)
}

#[test]
fn ends_and_errors_stay_and_the_rest_is_counted() {
    let text = log(2000, |row| matches!(row, 700 | 1200));
    let short = shorten(&text).into_owned();
    assert!(short.len() < 4500, "{}", short.len());
    assert!(
        short.starts_with("10:00 INFO line 0 of")
            && short.ends_with("line 1999 of what went well\n")
    );
    for row in [700, 1200] {
        let near = format!(
            "line {} of what went well\n10:00 ERROR job {row} has gone wrong\n10:00 INFO line {} ",
            row - 1,
            row + 1
        );
        assert!(short.contains(&near), "{short}");
    }
    let (kept, left) = counts(&short);
    assert_eq!(kept + left, text.split('\n').count(), "{short}");
    assert!(short.contains(" lines left out ...]"));
    // Shortened twice, the count is still that of the original.
    let twice = shorten(&shorten_less(&log(20_000, |_| false))).into_owned();
    let (kept, left) = counts(&twice);
    assert_eq!(kept + left, 20_001, "{twice}");
}

#[test]
fn of_too_many_errors_the_first_of_each_kind_stay() {
    let text = log(5000, |row| row % 2 == 0 || row == 2501).replace("ERROR job 2501", "ERROR disk");
    let short = shorten(&text).into_owned();
    assert!(short.len() < 14_000, "{}", short.len());
    assert!(short.contains("ERROR disk has gone wrong"), "another kind: {short}");
    assert!(short.contains(" of them like the errors shown ...]"), "{short}");
}

#[test]
fn long_lists_keep_their_first_and_last_elements() {
    let element = |row: usize| format!(r#"{{"id":{row},"name":"element number {row}"}}"#);
    let elements: Vec<String> = (0..1000).map(element).collect();
    let short =
        shorten(&format!(r#"{{ "items": [{}], "more": true }}"#, elements.join(", "))).into_owned();
    assert!(crate::json::is_value(&short), "{short}");
    assert!(short.starts_with(&format!(r#"{{"items":[{},{},"#, element(0), element(1))), "{short}");
    assert!(
        short.ends_with(&format!(
            r#" of 1,000 elements left out ...]",{}],"more":true}}"#,
            element(999)
        )),
        "{short}"
    );
    let kept = short.matches("element number").count();
    assert!(short.contains(&format!("\"[... {} of 1,000 elements", 1000 - kept)), "{short}");
    // A second run finds the list short enough.
    assert_eq!(shorten(&short), short);
}

#[test]
fn long_lines_lose_their_middle() {
    let text = format!("before\n{}\nafter\n", "x".repeat(50_000));
    let short = shorten(&text).into_owned();
    assert!(short.contains("\n[... 48,000 characters of this line left out ...]\n"), "{short}");
    assert!(short.starts_with("before\nx") && short.ends_with("x\nafter\n"));
}

#[test]
fn short_texts_stay() {
    for text in ["", "a\nb\n", &log(100, |_| false)] {
        assert_eq!(shorten(text), text);
    }
}

#[test]
fn numbers_have_commas() {
    for (count, want) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
        assert_eq!(commas(count as u64), want);
        assert_eq!(number(want), Some(count));
    }
}
