//! Pass 4: lines, or blocks of a few lines, that come again and again stand once, with a count.

use std::borrow::Cow;
use std::collections::VecDeque;

use crate::compress::budget::Budget;
use crate::compress::marker;

/// The longest block, in lines.
const PERIOD_MAX: usize = 5;

/// A block that comes less often stays.
const TIMES_MIN: usize = 3;

/// What goes must be worth its marker, in bytes.
const HIDDEN_BYTES_MIN: usize = 60;

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
pub(super) fn unfold(text: &str, budget: &mut Budget) -> Option<String> {
    if !marker::may_hold_again(text) {
        return None;
    }
    let mut out = budget.room(text.len());
    let mut starts = Starts::default();
    let mut is_changed = false;
    for line in text.split('\n') {
        let again = marker::read_again(line);
        let found = again.and_then(|(period, times)| Some((starts.above(period)?, period, times)));
        let Some((from, period, times)) = found else {
            starts.push(out.len());
            budget.push(&mut out, line)?;
            budget.push(&mut out, "\n")?;
            continue;
        };
        let block = from..out.len();
        budget.take(out.len(), block.len().saturating_mul(times))?;
        (0..times).for_each(|_| out.extend_from_within(block.clone()));
        starts.repeat(period, block.len(), times);
        is_changed = true;
    }
    out.pop();
    is_changed.then_some(out)
}

/// Where the last lines of a text begin: as many as a block has at most, the newest last.
#[derive(Default)]
struct Starts {
    lines: VecDeque<usize>,
}

impl Starts {
    fn push(&mut self, start: usize) {
        if self.lines.len() == PERIOD_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(start);
    }

    /// Where the block of the last so many lines begins.
    fn above(&self, period: usize) -> Option<usize> {
        let first = self.lines.len().checked_sub(period).filter(|_| period > 0)?;
        self.lines.get(first).copied()
    }

    /// That block, of so many bytes, came so often again.
    fn repeat(&mut self, period: usize, bytes: usize, times: usize) {
        let block: Vec<usize> = self.lines.iter().rev().take(period).rev().copied().collect();
        for time in times.saturating_sub(PERIOD_MAX)..times {
            block.iter().for_each(|start| self.push(start + (time + 1) * bytes));
        }
    }
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
        for times in ["9", "99999", "18446744073709551615", "99999999999999999999999"] {
            let bomb =
                format!("a{}", format!("\n[... the line above {times} more times ...]").repeat(9));
            assert_eq!(unfold(&bomb), (times == "9").then(|| ["a"; 82].join("\n")), "{times}");
        }
        // Which lines are above a marker that follows another one.
        let chained = "a\nb\n[... the 2 lines above 3 more times ...]\n[... the 3 lines above 1 more times ...]";
        assert_eq!(unfold(chained).as_deref(), Some("a\nb\na\nb\na\nb\na\nb\nb\na\nb"));
    }

    fn unfold(text: &str) -> Option<String> {
        super::unfold(text, &mut Budget::new(1000))
    }

    #[track_caller]
    fn check(text: &str, want: &str) {
        assert_eq!(fold(text), want);
        assert_eq!(unfold(want).as_deref().unwrap_or(want), text);
        assert!(matches!(fold(want), Cow::Borrowed(_)), "a second run must change nothing");
    }
}
