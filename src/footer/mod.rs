//! The one line under an answer: what it says, whether it may be there, where it is put in, and how
//! it is taken out of the conversation again. Pure.
//!
//! A footer that a program reads is a fault: it breaks JSON, tools, stop sequences and comparisons.
//! So it needs every guard's consent, each refusal has a name for the ledger, and in any doubt the
//! answer's bytes pass as they came. It is taken out of what comes in always, also when it is
//! switched off: else the model would read it, imitate it, and lose the provider's prompt cache.

mod guards;
mod held_event;
mod history;
mod plain;
pub(crate) mod response_filter;
mod stream;
mod text_tail;

pub(crate) use guards::{Answer, Request, answer_refusal, is_agent, request_refusal};
pub(crate) use history::strip_footers;
pub(crate) use plain::add;
pub(crate) use stream::{Event, Stream};

use std::fmt::Write;

use crate::number::{commas, saved_percent};

/// How the line begins, after the blank line before it. Also how it is found again.
const MARK: &str = "[TokenPak: ";

/// Why an answer has no footer, for the ledger. One word where the guard has one cause.
pub(crate) type Refusal = &'static str;

/// The ledger's word for a footer that was put in.
pub(crate) const ADDED: &str = "added";

/// Room for a line of any but huge numbers.
const LINE_BYTES_USUAL: usize = 96;

/// The blank line and the footer. `saved_nano`: saved nano-dollars, if the price is known.
pub(crate) fn line(before: u64, after: u64, saved_nano: Option<i64>) -> String {
    let percent = saved_percent(before, after);
    let (before, after) = (commas(before), commas(after));
    let mut line = String::with_capacity(LINE_BYTES_USUAL);
    let _ = write!(line, "\n\n{MARK}{before}→{after} tokens | saved {percent}%");
    if let Some(nano) = saved_nano {
        let _ = write!(line, " | {}", dollars(nano));
    }
    line.push(']');
    line
}

/// `$0.004`: thousandths, to the nearest; a loss is nothing saved.
fn dollars(nano: i64) -> String {
    let thousandths = (nano.max(0).unsigned_abs() + 500_000) / 1_000_000;
    format!("${}.{:03}", commas(thousandths / 1000), thousandths % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_is_as_the_guide_prints_it() {
        check(4231, 2847, Some(4_200_000), "4,231→2,847 tokens | saved 33% | $0.004");
        check(4231, 2847, None, "4,231→2,847 tokens | saved 33%");
        check(812, 812, Some(0), "812→812 tokens | saved 0% | $0.000");
        check(812, 815, Some(-9_000_000), "812→815 tokens | saved 0% | $0.000");
        check(0, 0, None, "0→0 tokens | saved 0%");
        check(
            1_234_567,
            100_000,
            Some(1_234_567_500_000),
            "1,234,567→100,000 tokens | saved 92% | $1,234.568",
        );
        check(1000, 995, Some(499_999), "1,000→995 tokens | saved 1% | $0.000");

        #[track_caller]
        fn check(before: u64, after: u64, saved_nano: Option<i64>, want: &str) {
            assert_eq!(line(before, after, saved_nano), format!("\n\n[TokenPak: {want}]"));
        }
    }
}
