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
use crate::wire::prompt::Demand;

/// How the line begins, after the blank line before it. Also how it is found again.
const MARK: &str = "[TokenPak: ";

/// Why an answer has no footer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The wire format has no place for one.
    Api,
    /// The setting, the flag or the request's own header says no.
    Off,
    /// The client is a program whose answers are read by programs.
    Agent,
    /// The prompt has no counts to speak of.
    Uncounted,
    /// The request is not understood.
    Unreadable,
    /// The request demands what a line of ours would break.
    Demanded(Demand),
    /// The answer's status is not 200, or it is ours.
    Status,
    Encoded,
    ContentType,
    /// The answer is no text, or not one alone.
    NoText,
    /// Its text is JSON.
    Json,
    /// Its text is one block of code.
    Code,
    Choices,
    Logprobs,
    /// It did not come to its end, or ended for another reason than that all was said.
    Unfinished,
    /// Its end came together with text, or had left before it was looked at.
    Colocated,
    /// It would have to be held back for too long.
    KeptWaiting,
    Large,
    /// The answer is not understood.
    Odd,
}

impl Refusal {
    /// The ledger's word. One word where the guard has one cause.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Refusal::Api => "api",
            Refusal::Off => "off",
            Refusal::Agent => "agent",
            Refusal::Uncounted => "uncounted",
            Refusal::Unreadable => "unreadable",
            Refusal::Demanded(demand) => demand.name(),
            Refusal::Status => "status",
            Refusal::Encoded => "encoded",
            Refusal::ContentType => "content-type",
            Refusal::NoText => "no-text",
            Refusal::Json => "json",
            Refusal::Code => "code",
            Refusal::Choices => "choices",
            Refusal::Logprobs => "logprobs",
            Refusal::Unfinished => "unfinished",
            Refusal::Colocated => "colocated",
            Refusal::KeptWaiting => "kept-waiting",
            Refusal::Large => "large",
            Refusal::Odd => "odd",
        }
    }
}

/// What became of a footer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Added,
    Refused(Refusal),
}

impl Outcome {
    /// The ledger's word.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Outcome::Added => "added",
            Outcome::Refused(refusal) => refusal.name(),
        }
    }
}

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
