//! What was done to a text, so that it can be done again to the same text without deciding anything.
//!
//! It holds names of passes and places, never text: what a marker quotes is quoted anew.

use std::borrow::Cow;

use super::Source;
use super::footprint;
use super::marker;
use super::passes::{PASSES, Work};
use super::pointing::{Cut, Pointing};

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
