//! Pass 4: lines, or blocks of a few lines, that come again and again stand once, with a count.

use std::borrow::Cow;

use crate::compress::marker;

/// The longest block, in lines.
const PERIOD_MAX: usize = 5;

/// A block that comes less often stays.
const TIMES_MIN: usize = 3;

/// What goes must be worth its marker, in bytes.
const HIDDEN_BYTES_MIN: usize = 60;

/// What a text may grow to on the way back, in bytes: a line that only looks like a marker may
/// claim any number of times.
const GROWN_BYTES_MAX: usize = 4 << 20;

pub(super) fn fold(text: &str) -> Cow<'_, str> {
    let lines = lines(text);
    let mut out: Option<String> = None;
    let (mut at, mut copied) = (0, 0);
    while at < lines.len() {
        let Some((period, times)) = repetition(&lines[at..]) else {
            at += 1;
            continue;
        };
        let out = out.get_or_insert_with(|| String::with_capacity(text.len()));
        push_lines(out, &lines[copied..at + period]);
        push_lines(out, &[&marker::again(period, times - 1)]);
        at += period * times;
        copied = at;
    }
    let Some(mut out) = out else { return Cow::Borrowed(text) };
    push_lines(&mut out, &lines[copied..]);
    out.pop();
    Cow::Owned(out)
}

fn lines(text: &str) -> Vec<&str> {
    let mut start = 0;
    let ends = memchr::memchr_iter(b'\n', text.as_bytes()).chain([text.len()]);
    ends.map(|end| &text[std::mem::replace(&mut start, end + 1)..end]).collect()
}

/// Lines, each with its end.
fn push_lines(out: &mut String, lines: &[&str]) {
    for line in lines {
        out.push_str(line);
        out.push('\n');
    }
}

/// The shortest block that these lines begin with again and again, and how often. A block that is
/// refused was looked at for no longer than it takes to be worth something: so this is linear.
fn repetition(lines: &[&str]) -> Option<(usize, usize)> {
    (1..=PERIOD_MAX.min(lines.len() / TIMES_MIN)).find_map(|period| {
        let same = lines.iter().zip(&lines[period..]).take_while(|(a, b)| a == b).count();
        let times = 1 + same / period;
        let block: usize = lines[..period].iter().map(|line| line.len() + 1).sum();
        let is_worth = times >= TIMES_MIN && block * (times - 1) >= HIDDEN_BYTES_MIN;
        is_worth.then_some((period, times))
    })
}

/// What `fold` did, undone.
pub(super) fn unfold(text: &str) -> Option<String> {
    if !marker::may_hold_again(text) {
        return None;
    }
    let bytes_max = GROWN_BYTES_MAX + text.len();
    let mut out = String::new();
    // Where the last lines of the output begin, the newest last.
    let mut starts: Vec<usize> = Vec::new();
    let mut is_changed = false;
    for line in text.split('\n') {
        let again =
            marker::read_again(line).filter(|(period, _)| (1..=starts.len()).contains(period));
        let Some((period, times)) = again.filter(|(period, _)| *period <= PERIOD_MAX) else {
            starts.push(out.len());
            out.push_str(line);
            out.push('\n');
            continue;
        };
        let from = starts[starts.len() - period];
        let block = out[from..].to_owned();
        if out.len().checked_add(block.len().checked_mul(times)?)? > bytes_max {
            return None;
        }
        let lines: Vec<usize> =
            starts[starts.len() - period..].iter().map(|at| at - from).collect();
        for _ in 0..times {
            starts.extend(lines.iter().map(|at| at + out.len()));
            out.push_str(&block);
        }
        is_changed = true;
    }
    out.pop();
    is_changed.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: &str = "a line that is long enough to be worth its while";

    #[test]
    fn lines_that_come_again_are_counted() {
        let times = |block: &str, times: usize| block.repeat(times);
        check(
            &format!("x\n{}y\n", times(&format!("{LONG}\n"), 5)),
            &format!("x\n{LONG}\n[... the line above 4 more times ...]\ny\n"),
        );
        check(
            &times(&format!("{LONG}\n1\n"), 3),
            &format!("{LONG}\n1\n[... the 2 lines above 2 more times ...]\n"),
        );
        // The last line has no end, and one of them differs by a blank.
        check(
            &format!("{}{LONG} ", times(&format!("{LONG}\n"), 3)),
            &format!("{LONG}\n[... the line above 2 more times ...]\n{LONG} "),
        );
        check(
            &format!("{}{LONG}", times(&format!("{LONG}\n"), 3)),
            &format!("{LONG}\n[... the line above 3 more times ...]"),
        );
        check(&times("\n", 200), "\n[... the line above 200 more times ...]");
        let five = format!("1\n2\n3\n4\n{LONG}\n");
        check(
            &format!("{}1\n2", times(&five, 4)),
            &format!("{five}[... the 5 lines above 3 more times ...]\n1\n2"),
        );
    }

    #[test]
    fn what_is_not_worth_it_stays() {
        for text in ["", "\n", "\n\n\n\n\n", "a\na\na\na\n", &format!("{LONG}\n{LONG}\n")] {
            check(text, text);
        }
        let six = format!("1\n2\n3\n4\n5\n{LONG}\n").repeat(4);
        check(&six, &six);
    }

    #[test]
    fn lines_that_only_look_like_markers_expand_to_nothing_large() {
        assert_eq!(unfold("[... the line above 4 more times ...]"), None);
        assert_eq!(unfold("a\n[... the 6 lines above 4 more times ...]"), None);
        assert_eq!(unfold("a\n[... the line above 18446744073709551615 more times ...]"), None);
        let mut bomb = "a".to_owned();
        bomb += &"\n[... the line above 9999 more times ...]".repeat(9);
        assert!(unfold(&bomb).is_some_and(|text| text.len() < 200_000));
        bomb += &"\n[... the line above 999999 more times ...]".repeat(9);
        assert_eq!(unfold(&bomb), None);
    }

    #[track_caller]
    fn check(text: &str, want: &str) {
        assert_eq!(fold(text), want);
        assert_eq!(unfold(want).as_deref().unwrap_or(want), text);
        assert!(matches!(fold(want), Cow::Borrowed(_)), "a second run must change nothing");
    }
}
