//! Pass 3: the blanks before line numbers go, where the numbers run on.
//!
//! The first line of a run keeps its blanks; that is where the way back learns how wide the
//! numbers were. What follows a number is the file's own and stays.

use std::borrow::Cow;

use crate::compress::Leading;
use crate::compress::budget::Budget;

/// What tools put between a number and the line, if it is that.
fn mark(rest: &[u8]) -> Option<&'static str> {
    match rest {
        [0xe2, 0x86, 0x92, ..] => Some("\u{2192}"),
        [b'\t', ..] => Some("\t"),
        [b':', ..] => Some(":"),
        [b' ', b'|', b' ', ..] => Some(" | "),
        [b' ', b'|', ..] => Some(" |"),
        [b'|', ..] => Some("|"),
        _ => None,
    }
}

/// How many lines may stand before the first numbered one: some tools put a heading there.
const HEADING_LINES_MAX: usize = 20;

/// More blanks than any tool puts before a number.
const BLANKS_MAX: usize = 64;

/// A number has at most so many digits: no file has 10^12 lines.
const DIGITS_MAX: usize = 12;

/// A line with its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::compress) struct Numbered<'t> {
    /// Blanks before the number.
    blanks: usize,
    digits: usize,
    pub(in crate::compress) number: u64,
    pub(in crate::compress) mark: &'static str,
    pub(in crate::compress) content: &'t str,
}

impl<'t> Numbered<'t> {
    /// The same where integers at line starts are numbers of lines.
    pub(in crate::compress) fn of(line: &'t str, leading: Leading) -> Option<Numbered<'t>> {
        if leading == Leading::LineNumbers { Numbered::parse(line) } else { None }
    }

    pub(in crate::compress) fn parse(line: &'t str) -> Option<Numbered<'t>> {
        let bytes = line.as_bytes();
        let head = bytes.iter().take(BLANKS_MAX + 1);
        let blanks = head.take_while(|byte| **byte == b' ').count();
        let number = bytes[blanks..].iter().take(DIGITS_MAX + 1);
        let digits = number.take_while(|byte| byte.is_ascii_digit()).count();
        // A number that begins with 0 would not come back.
        if blanks > BLANKS_MAX
            || !(1..=DIGITS_MAX).contains(&digits)
            || bytes[blanks] == b'0' && digits > 1
        {
            return None;
        }
        let rest = &line[blanks + digits..];
        let mark = mark(rest.as_bytes())?;
        let number = line[blanks..blanks + digits].parse().ok()?;
        Some(Numbered { blanks, digits, number, mark, content: &rest[mark.len()..] })
    }

    /// Whether this is the line after `before`, counted in the same way.
    pub(in crate::compress) fn follows(&self, before: &Numbered) -> bool {
        self.number == before.number + 1 && self.mark == before.mark
    }

    fn width(&self) -> usize {
        self.blanks + self.digits
    }
}

/// The text with all numbers of a run but the first moved to the left.
pub(in crate::compress) fn unpad(text: &str) -> Cow<'_, str> {
    let is_padded = |line: &str| line.starts_with(' ') && Numbered::parse(line).is_some();
    if !text.lines().take(HEADING_LINES_MAX).any(is_padded) {
        return Cow::Borrowed(text);
    }
    let blanks = |line: &Numbered, width| if line.width() == width { 0 } else { line.blanks };
    let shorter = rewrite(text, &mut Budget::new(text.len()), blanks);
    shorter.map_or(Cow::Borrowed(text), Cow::Owned)
}

/// What `unpad` did, undone.
pub(in crate::compress) fn pad(text: &str, budget: &mut Budget) -> Option<String> {
    let blanks = |line: &Numbered, width| match line.blanks {
        0 => width - line.digits,
        blanks => blanks,
    };
    rewrite(text, budget, blanks)
}

/// The text with other blanks before the numbers of a run, its first line apart. `blanks` says how
/// many, for a line and the width of the run's numbers, which is never less than this one's.
fn rewrite(
    text: &str,
    budget: &mut Budget,
    blanks: impl Fn(&Numbered, usize) -> usize,
) -> Option<String> {
    let mut out: Option<String> = None;
    let mut above: Option<(Numbered, usize)> = None;
    let (mut start, mut copied) = (0, 0);
    for end in memchr::memchr_iter(b'\n', text.as_bytes()).chain([text.len()]) {
        let numbered = Numbered::parse(&text[start..end]);
        above = match (numbered, above) {
            (Some(line), Some((before, width))) if line.follows(&before) => {
                let width = width.max(line.digits);
                let blanks = blanks(&line, width);
                if blanks != line.blanks {
                    let out = out.get_or_insert_with(|| budget.room(text.len()));
                    budget.push(out, &text[copied..start])?;
                    budget.take(out.len(), blanks)?;
                    out.extend(std::iter::repeat_n(' ', blanks));
                    copied = start + line.blanks;
                }
                let is_aligned = line.blanks == 0 || line.width() == width;
                Some((line, if is_aligned { width } else { line.width() }))
            }
            (line, _) => line.map(|line| (line, line.width())),
        };
        start = end + 1;
    }
    let mut out = out?;
    budget.push(&mut out, &text[copied..])?;
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_move_to_the_left_and_back() {
        check(
            "     9\u{2192}a\n    10\u{2192}\n    11\u{2192}  b \r\n",
            "     9\u{2192}a\n10\u{2192}\n11\u{2192}  b \r\n",
        );
        check("     1\ta\n     2\t     3\tb", "     1\ta\n2\t     3\tb");
        check("  9 | a\n 10 | b\n 11 |\n", "  9 | a\n10 | b\n 11 |\n");
        check(" 99:a\n100:b\n101:c\n", " 99:a\n100:b\n101:c\n");
        check("999998:a\n 1:a\n 2:b\n   3:c\n   4:d", "999998:a\n 1:a\n2:b\n   3:c\n4:d");
        check("[File: a.py]\n  1|a\n  2|b\n  2|c\n  3|d", "[File: a.py]\n  1|a\n2|b\n  2|c\n3|d");
        check("  1. a\n  2. b", "  1. a\n  2. b");
        check(" 01:a\n 02:b", " 01:a\n 02:b");
        check("", "");

        #[track_caller]
        fn check(text: &str, want: &str) {
            assert_eq!(unpad(text), want);
            let back = pad(want, &mut Budget::new(text.len()));
            assert_eq!(back.as_deref().unwrap_or(want), text);
            assert!(matches!(unpad(want), Cow::Borrowed(_)), "a second run must change nothing");
        }
    }

    #[test]
    fn lines_with_numbers_are_told_from_others() {
        for line in ["", "12", " 12", "12 a", "a:12", "012:a", "1234567890123:a", "-1:a", "1.a"] {
            assert_eq!(Numbered::parse(line), None, "{line}");
        }
        let line = Numbered::parse("  12:30 start").expect("looks like one");
        assert_eq!((line.number, line.mark, line.content), (12, ":", "30 start"));
    }
}
