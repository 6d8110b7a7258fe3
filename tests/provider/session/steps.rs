//! The ten steps of the task, and the words around them.

use super::super::dialects::Call;
use super::project::{LIMIT, RAISED, SOURCE};
use super::tools::{self, Deed, Tool};
use std::path::Path;

pub(super) struct Step {
    /// What the model thinks before, if it is asked to.
    pub(super) thought: &'static str,
    /// What it says to the user.
    pub(super) words: &'static str,
    deed: Deed,
}

pub(super) const STEPS: &[Step] = &[
    Step {
        thought: "The user wants the limit of records raised. I do not know the project yet.",
        words: "I'll look around first.",
        deed: Deed::List,
    },
    Step {
        thought: "The limit is probably in the source file.",
        words: "Now the source.",
        deed: Deed::Read(SOURCE),
    },
    Step {
        thought: "Other places may use the limit, too.",
        words: "Who else uses the limit?",
        deed: Deed::Search("LIMIT"),
    },
    Step {
        thought: "One definition, so one edit is enough.",
        words: "It is defined once; I raise it.",
        deed: Deed::Edit { path: SOURCE, old: LIMIT, new: RAISED },
    },
    Step {
        thought: "I should see that the edit is where I wanted it.",
        words: "Let me read the file again.",
        deed: Deed::Read(SOURCE),
    },
    Step {
        thought: "The tests tell whether anything depends on the old value.",
        words: "Now the tests.",
        deed: Deed::Run("sh run-tests.sh"),
    },
    Step {
        thought: "The build's log may hold warnings about the limit.",
        words: "They pass. The log of the last build:",
        deed: Deed::Run("cat logs/build.log"),
    },
    Step {
        thought: "The data must fit into the new limit.",
        words: "Nothing about limits there. And the data:",
        deed: Deed::Run("cat data/rows.json"),
    },
    Step {
        thought: "The change should be noted.",
        words: "All rows fit. I note the change.",
        deed: Deed::Write { path: "NOTES.md", text: super::project::NOTES },
    },
    Step {
        thought: "A last look at the line itself.",
        words: "One last check.",
        deed: Deed::Run("grep -n LIMIT src/records.py && tail -n 40 logs/build.log"),
    },
];

/// The last word.
pub(crate) const CLOSING: &str = "The limit of records is 250 now: one line of src/records.py has changed, \
    all tests pass, every row of the data fits, and NOTES.md says why.";

pub(super) fn call(step: &Step, tools: &[Tool], project: &Path) -> Option<Call> {
    tools::call(&step.deed, tools, project)
}

/// The edit for a client that takes it out of the answer's text.
pub(super) fn edit_blocks() -> String {
    format!(
        "The limit is defined once:\n\n{SOURCE}\n```python\n<<<<<<< SEARCH\n{LIMIT}\n=======\n{RAISED}\n\
         >>>>>>> REPLACE\n```\n"
    )
}
