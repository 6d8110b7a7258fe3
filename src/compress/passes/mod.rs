//! The passes, as a table. Adding one is a row, a file, and a fixture.

mod blobs;
mod comments;
pub(super) mod diff;
mod ends;
mod folding;
pub(super) mod json_minify;
pub(super) mod numbers;
mod repeat;
mod repeated;
mod runs;
mod severity;
mod tables;
pub(super) mod terminal;

use std::borrow::Cow;

pub(crate) use comments::language;

use super::budget::Budget;
use super::earlier::Earlier;
use super::pointing::Pointing;
use super::{Leading, Level};

/// A way to make a text shorter. It borrows where it has nothing to do, cannot fail, costs time
/// linear in the text, and changes nothing on a second run, markers apart.
pub(super) struct Pass {
    pub(super) name: &'static str,
    /// The lowest level that runs it.
    pub(super) level: Level,
    /// Also for files that were read, which an agent quotes to its edit tool.
    pub(super) reads: bool,
    /// Also for what a person typed, from level balanced on.
    pub(super) typed: bool,
    /// Only where integers at the starts of lines are numbers of lines.
    pub(super) numbers: bool,
    /// Rewrites JSON; `preserve_json` turns it off.
    pub(super) json: bool,
    /// Not for code if `preserve_code` is set: files that were read, texts with a fenced block.
    pub(super) code: bool,
    /// Runs only where a text without it would stay over this many tokens; 0 for most.
    pub(super) over: usize,
    pub(super) work: Work,
}

/// What a pass does, and how it is undone. An `undo` gives `None` where there is nothing of its
/// pass; it must not take other text for it, nor panic on any. What it writes and what it looks at is taken
/// from the budget: a text may claim to stand for anything.
pub(super) enum Work {
    /// To what a reader of the text sees in it; the spelling does not come back.
    Renders(for<'t> fn(&'t str) -> Cow<'t, str>),
    /// To less than that. Before all that can be undone, which would be cut through.
    Loses(for<'t> fn(&'t str) -> Cow<'t, str>),
    /// To less of a file, by the language that it is in.
    Strips(for<'t> fn(&'t str, &str) -> Cow<'t, str>),
    Encodes {
        run: for<'t> fn(&'t str) -> Cow<'t, str>,
        undo: fn(&str, &mut Budget) -> Option<String>,
    },
    /// Points at earlier texts, which a provider that edits history may take away.
    Points {
        run: fn(&str, Leading, &Earlier) -> Option<Pointing>,
        undo: fn(&str, (Leading, &Earlier), &mut Budget) -> Option<String>,
    },
}

impl Pass {
    /// Whether it is for texts whose lines begin like this.
    pub(super) fn may_read(&self, leading: Leading) -> bool {
        !self.numbers || leading == Leading::LineNumbers
    }
}

impl Work {
    /// Whether what it leaves is what the way back must give.
    pub(super) fn is_normalising(&self) -> bool {
        matches!(self, Work::Renders(_) | Work::Loses(_) | Work::Strips(_))
    }
}

/// What most passes are: for tool results other than files that were read.
const fn pass(name: &'static str, level: Level, work: Work) -> Pass {
    Pass {
        name,
        level,
        reads: false,
        typed: false,
        numbers: false,
        json: false,
        code: false,
        over: 0,
        work,
    }
}

const REPEAT: Pass = Pass {
    reads: true,
    typed: true,
    ..pass("repeat", Level::Light, Work::Points { run: repeat::refer, undo: repeat::expand })
};

/// Results that are shorter without loss keep all they say.
const ENDS_OVER_TOKENS: usize = 2000;

const ENDS: Pass = Pass {
    code: true,
    over: ENDS_OVER_TOKENS,
    ..pass("ends", Level::Aggressive, Work::Loses(ends::shorten))
};

/// In running order; each sees what the one before it left. They are undone from the end.
pub(super) const PASSES: &[Pass] = &[
    // Of a text that was sent as it came; the last one is for texts that were sent shortened.
    REPEAT,
    pass("terminal", Level::Light, Work::Renders(terminal::render)),
    Pass {
        reads: true,
        code: true,
        ..pass("comments", Level::Aggressive, Work::Strips(comments::strip))
    },
    Pass { code: true, ..pass("diff", Level::Aggressive, Work::Loses(diff::trim)) },
    Pass { code: true, ..pass("blobs", Level::Aggressive, Work::Loses(blobs::shorten)) },
    Pass { work: Work::Loses(ends::shorten_less), ..ENDS },
    ENDS,
    Pass {
        typed: true,
        json: true,
        ..pass("json-minify", Level::Light, Work::Renders(json_minify::minify))
    },
    Pass {
        typed: true,
        json: true,
        code: true,
        ..pass(
            "json-tables",
            Level::Balanced,
            Work::Encodes { run: tables::encode, undo: tables::decode },
        )
    },
    Pass {
        reads: true,
        numbers: true,
        ..pass("numbers", Level::Light, Work::Encodes { run: numbers::unpad, undo: numbers::pad })
    },
    pass(
        "repeated-lines",
        Level::Light,
        Work::Encodes { run: repeated::fold, undo: repeated::unfold },
    ),
    Pass {
        code: true,
        ..pass(
            "folding",
            Level::Balanced,
            Work::Encodes { run: folding::fold, undo: folding::unfold },
        )
    },
    REPEAT,
    Pass {
        reads: true,
        ..pass("line-runs", Level::Balanced, Work::Points { run: runs::refer, undo: runs::expand })
    },
];
