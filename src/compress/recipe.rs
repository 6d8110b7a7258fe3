//! What was done to a text, so that it can be done again to the same text without deciding anything.
//!
//! It holds names of passes and places, never text: what a marker quotes is quoted anew.

use std::borrow::Cow;
use std::ops::Range;

use super::Source;
use super::footprint;
use super::marker::{self, Run};
use super::passes::{PASSES, Work};

/// In the order in which it was done.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recipe {
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A pass that looks at the text alone: its place in the table.
    Pass(usize),
    /// A pass over a file in this language.
    Strip(usize, &'static str),
    Point(Pointing),
    AsItCame,
}

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

impl Recipe {
    pub(super) fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// What the text became.
    pub(crate) fn apply<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut done = Cow::Borrowed(text);
        for step in &self.steps {
            let next = match step {
                Step::Pass(pass) => match PASSES[*pass].work {
                    Work::Renders(run) | Work::Loses(run) | Work::Encodes { run, .. } => {
                        run(&done).into_owned()
                    }
                    Work::Strips(_) | Work::Points { .. } => continue,
                },
                Step::Strip(pass, language) => match PASSES[*pass].work {
                    Work::Strips(run) => run(&done, language).into_owned(),
                    _ => continue,
                },
                Step::Point(pointing) => pointing.apply(&done),
                Step::AsItCame => marker::as_it_came(&done),
            };
            done = Cow::Owned(next);
        }
        done
    }

    /// What it takes in memory beside itself.
    pub(crate) fn bytes(&self) -> usize {
        let of_run = |cut: &Cut| cut.run.source.as_ref().map_or(0, Source::bytes);
        let of_step = |step: &Step| match step {
            Step::Point(Pointing::Whole(source)) => source.bytes(),
            Step::Point(Pointing::Runs(cuts)) => {
                footprint::of_vec(cuts) + cuts.iter().map(of_run).sum::<usize>()
            }
            _ => 0,
        };
        footprint::of_vec(&self.steps) + self.steps.iter().map(of_step).sum::<usize>()
    }
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
