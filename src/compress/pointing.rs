//! What of a text stands in earlier texts, and what is written in its place.

use std::ops::Range;

use super::Source;
use super::marker::{self, Run};

/// What points at earlier texts.
#[derive(Clone, Debug)]
pub(super) enum Pointing {
    /// All of the text.
    Whole(Source),
    /// Some of its lines, in their order.
    Runs(Vec<Cut>),
}

/// Lines that are left out, each with its end, as a range of bytes; and what stands for them.
#[derive(Clone, Debug)]
pub(super) struct Cut {
    pub(super) bytes: Range<usize>,
    pub(super) run: Run,
}

impl Pointing {
    pub(super) fn apply(&self, text: &str) -> String {
        let cuts = match self {
            Pointing::Whole(source) => return marker::repeats(source, text),
            Pointing::Runs(cuts) => cuts,
        };
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        for Cut { bytes, run } in cuts {
            out.push_str(&text[at..bytes.start]);
            marker::write_run(run, &mut out);
            out.push('\n');
            at = bytes.end;
        }
        out.push_str(&text[at..]);
        out
    }
}
