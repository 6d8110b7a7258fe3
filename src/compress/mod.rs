//! Text to shorter text and back: levels, modes, the passes and the walk over a prompt.
//!
//! A `Walk` is fed the texts of a prompt from front to back and has no way to see the next one.
//! That is what keeps a provider's prompt cache: what a text becomes depends on it and on what
//! stands before it, so a conversation that grows is sent as an extension of itself. Knows
//! neither bodies nor tokens; counting is handed in.

mod budget;
mod earlier;
mod expand;
pub(crate) mod footprint;
mod hash;
mod index;
mod leading;
mod lines;
mod marker;
mod passes;
mod place;
mod pointing;
mod reads;
mod recipe;
mod shell;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::rc::Rc;

use budget::Budget;
use earlier::{Earlier, Kept, Known};
pub(crate) use earlier::{Loader, can_be_pointed_at};
pub(crate) use expand::{Expander, TooLong};
pub(crate) use leading::Leading;
pub(crate) use marker::OPEN as MARKER_START;
pub(crate) use passes::language;
use passes::{PASSES, Pass, Work};
pub(crate) use place::{Place, Source};
#[cfg(test)]
pub(crate) use reads::is_read;
pub(crate) use reads::{Call, is_numbered, path_read, reads_file};
pub(crate) use recipe::Recipe;
use recipe::Step;

/// Shorter texts stay as they are: a short answer holds nothing that can be spared.
const TEXT_CHARS_MIN: usize = 400;

/// What a pass must save of a text to be kept: tokens, and the share of them.
const GAIN_TOKENS_MIN: usize = 24;
const GAIN_PERCENT_MIN: usize = 5;

/// When to compress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Off,
    Strict,
    Hybrid,
    Aggressive,
}

impl Mode {
    const NAMES: [(&'static str, Mode); 4] = [
        ("off", Mode::Off),
        ("strict", Mode::Strict),
        ("hybrid", Mode::Hybrid),
        ("aggressive", Mode::Aggressive),
    ];

    pub(crate) fn parse(name: &str) -> Option<Mode> {
        by_name(&Mode::NAMES, name)
    }

    pub(crate) fn name(self) -> &'static str {
        name_of(&Mode::NAMES, self)
    }

    /// How far this mode goes unless the level is set.
    pub(crate) fn level(self) -> Level {
        match self {
            Mode::Off | Mode::Strict => Level::Light,
            Mode::Hybrid => Level::Balanced,
            Mode::Aggressive => Level::Aggressive,
        }
    }
}

/// How far to go. Light and balanced lose nothing; each level has all passes of those below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Light,
    Balanced,
    Aggressive,
}

impl Level {
    const NAMES: [(&'static str, Level); 3] =
        [("light", Level::Light), ("balanced", Level::Balanced), ("aggressive", Level::Aggressive)];

    pub(crate) fn parse(name: &str) -> Option<Level> {
        by_name(&Level::NAMES, name)
    }

    pub(crate) fn name(self) -> &'static str {
        name_of(&Level::NAMES, self)
    }
}

fn by_name<T: Copy>(names: &[(&str, T)], wanted: &str) -> Option<T> {
    names.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value)
}

fn name_of<T: Copy + PartialEq>(names: &[(&'static str, T)], wanted: T) -> &'static str {
    names.iter().find(|(_, value)| *value == wanted).map_or("", |(name, _)| name)
}

/// The rules for one prompt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) level: Level,
    /// Tokens that the prompt must exceed, the text being judged included.
    pub(crate) threshold: u64,
    /// Tokens that must be left up to the end of a text that is cut: a provider caches no shorter prefix.
    pub(crate) floor: u64,
    pub(crate) preserve_json: bool,
    pub(crate) preserve_code: bool,
    /// Whether texts may point at earlier ones.
    pub(crate) pointers: bool,
}

impl Rules {
    /// Whether any pass looks lines up.
    fn finds_lines(&self) -> bool {
        self.pointers && self.level >= Level::Balanced
    }
}

/// Why nothing was saved at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unchanged {
    /// The tool says that it failed.
    Error,
    /// Below 400 characters.
    Small,
    /// The prompt has not reached the threshold here.
    Threshold,
    /// The prompt would become too short for the provider's cache here.
    Floor,
    /// Nothing that may be done to a file that was read saves enough.
    FileRead,
    NothingToGain,
    /// What came of it would not have read back.
    Unclear,
}

/// What one text became.
#[derive(Debug)]
pub(crate) struct Sent {
    /// `None` if it is sent as it came; else what it became, and how.
    pub(crate) changed: Option<(Rc<String>, Recipe)>,
    pub(crate) before: u64,
    pub(crate) after: u64,
    /// Tokens saved by each pass that was kept.
    pub(crate) saved: Vec<(&'static str, u64)>,
    /// `None` if a pass was kept.
    pub(crate) left: Option<Unchanged>,
}

/// A text that may be changed.
#[derive(Debug)]
pub(crate) struct Candidate<'t> {
    pub(crate) text: Cow<'t, str>,
    pub(crate) place: Place,
    /// The number of its part; whoever loads earlier texts knows it by that.
    pub(crate) part: usize,
    /// Whether a tool read a file here; see `is_read`.
    pub(crate) is_read: bool,
    pub(crate) leading: Leading,
    /// The language of that file, if the call names one and nothing else; see `language`.
    pub(crate) language: Option<&'static str>,
    /// Length of the string literal in the body, in bytes.
    pub(crate) literal_bytes: usize,
    /// What a text must be like to be sent in its place.
    pub(crate) may_be: fn(&str) -> bool,
}

/// Counts tokens.
type Count<'c> = &'c mut dyn FnMut(&str) -> usize;

/// How far a walk has come: numbers and hashes, no text.
#[derive(Clone)]
pub(crate) struct Mark {
    received: u64,
    sent: u64,
    known: Known,
}

impl Mark {
    /// What it takes in memory beside itself.
    pub(crate) fn bytes(&self) -> usize {
        self.known.bytes()
    }
}

/// One prompt from front to back.
pub(crate) struct Walk<'t> {
    rules: Rules,
    /// Tokens so far as received, and as sent.
    received: u64,
    sent: u64,
    earlier: Earlier<'t>,
}

impl<'t> Walk<'t> {
    pub(crate) fn new(rules: Rules) -> Walk<'t> {
        let earlier = Earlier::new(rules.finds_lines());
        Walk { rules, received: 0, sent: 0, earlier }
    }

    /// A walk that has come as far as the one that `mark` was taken from. `load` gives the texts
    /// above again as they are sent, by their parts.
    pub(crate) fn resume(rules: Rules, mark: &Mark, load: Loader<'t>) -> Walk<'t> {
        let earlier = Earlier::resume(&mark.known, load);
        Walk { rules, received: mark.received, sent: mark.sent, earlier }
    }

    /// How far it has come.
    pub(crate) fn mark(self) -> Mark {
        Mark { received: self.received, sent: self.sent, known: self.earlier.known() }
    }

    /// Something that is sent as it came, in tokens.
    pub(crate) fn fixed(&mut self, tokens: u64) {
        self.received += tokens;
        self.sent += tokens;
    }

    /// The model sees nothing of what was above.
    pub(crate) fn reset(&mut self) {
        self.earlier = Earlier::new(self.rules.finds_lines());
    }

    /// Tokens of all that was fed so far, as received.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// The same, as sent.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// A text that is sent as it came and that later ones may point at; its tokens go to `fixed`.
    pub(crate) fn visible(&mut self, text: Cow<'t, str>, source: Source, part: usize) {
        self.earlier.remember(text.into(), source, part, Leading::Data);
    }

    /// For the next text of a conversation in which cutting began after `at` tokens as sent: whether it
    /// stands before, at or behind that place. What stands around the messages has changed since.
    pub(crate) fn pass_gates(&mut self, place: Ordering, at: u64) {
        self.rules.threshold = if place == Ordering::Less { u64::MAX } else { 0 };
        if place == Ordering::Equal {
            self.rules.floor = (self.rules.floor + self.sent).saturating_sub(at);
        } else if place == Ordering::Greater {
            self.rules.floor = 0;
        }
    }

    /// A candidate, counted by `count`.
    pub(crate) fn text(&mut self, candidate: Candidate<'t>, count: Count) -> Sent {
        let before = count(&candidate.text);
        self.received += before as u64;
        let mut left = self.gate(&candidate.text);
        let mut draft = match left {
            None => self.shorten(&candidate, before, count),
            Some(_) => Draft::new(&candidate, before),
        };
        let mut reads_back = draft.reads_back(&candidate, &self.earlier);
        if !reads_back {
            left = Some(Unchanged::Unclear);
        }
        if !reads_back && draft.text.is_some() {
            draft = Draft::new(&candidate, before);
            reads_back = draft.reads_back(&candidate, &self.earlier);
        }
        if left.is_none() && draft.saved.is_empty() {
            left = Some(draft.why_nothing(&candidate));
        }
        if !reads_back {
            let text = marker::as_it_came(&candidate.text);
            draft.tokens = count(&text);
            draft.text = Some(text);
            draft.recipe.push(Step::AsItCame);
        }
        let changed = draft.text.map(Rc::new);
        let text = changed.clone().map_or(candidate.text.into(), Kept::Changed);
        let (source, part) = (Source::Text(candidate.place), candidate.part);
        self.earlier.remember(text, source, part, candidate.leading);
        let (before, after) = (before as u64, draft.tokens as u64);
        self.sent += after;
        let changed = changed.map(|text| (text, draft.recipe));
        Sent { changed, before, after, saved: draft.saved, left }
    }

    /// Why this text is not even tried.
    fn gate(&self, text: &str) -> Option<Unchanged> {
        if !is_large(text) {
            return Some(Unchanged::Small);
        }
        if !lines::are_few(text) {
            return Some(Unchanged::NothingToGain);
        }
        (self.received <= self.rules.threshold).then_some(Unchanged::Threshold)
    }

    /// What the passes make of a text; those for what stays large only where it does.
    fn shorten(&self, candidate: &Candidate, tokens: usize, count: Count) -> Draft {
        let mut passes: Vec<(usize, &Pass)> = PASSES.iter().enumerate().collect();
        passes.retain(|(_, pass)| self.may_run(pass, candidate));
        let mut gentle = passes.clone();
        gentle.retain(|(_, pass)| pass.over == 0);
        let draft = self.run(&gentle, candidate, tokens, count);
        if !passes.iter().any(|(_, pass)| pass.over > 0 && draft.tokens > pass.over) {
            return draft;
        }
        let harder = self.run(&passes, candidate, tokens, count);
        if harder.tokens < draft.tokens { harder } else { draft }
    }

    fn run(
        &self,
        passes: &[(usize, &Pass)],
        candidate: &Candidate,
        tokens: usize,
        count: Count,
    ) -> Draft {
        let mut draft = Draft::new(candidate, tokens);
        for (number, pass) in passes {
            let input = draft.text.as_deref().unwrap_or(&candidate.text);
            // A terminal's cursor may have gone down many lines.
            if !lines::are_few(input) {
                break;
            }
            let (output, step) = match pass.work {
                Work::Renders(run) | Work::Loses(run) | Work::Encodes { run, .. } => {
                    (run(input), Step::Pass(*number))
                }
                Work::Strips(run) => match candidate.language {
                    Some(language) => (run(input, language), Step::Strip(*number, language)),
                    None => continue,
                },
                Work::Points { run, .. } => match run(input, candidate.leading, &self.earlier) {
                    Some(pointing) => (pointing.apply(input).into(), Step::Point(pointing)),
                    None => continue,
                },
            };
            if let Cow::Owned(shorter) = output
                && (candidate.may_be)(&shorter)
                && self.judge(&mut draft, pass, shorter, count)
            {
                draft.recipe.push(step);
            }
        }
        draft
    }

    fn may_run(&self, pass: &Pass, candidate: &Candidate) -> bool {
        let rules = &self.rules;
        let may_touch = match candidate.place.is_typed() {
            true => {
                pass.typed
                    && rules.level >= Level::Balanced
                    // A table among sentences is a part of what the person says.
                    && (!pass.json || crate::json::is_value(candidate.text.trim()))
            }
            false => pass.reads || !candidate.is_read,
        };
        // A fence in a diff is text of the file that changed.
        let has_code = || has_fence(&candidate.text) && !passes::diff::is_diff(&candidate.text);
        let is_code = || candidate.is_read || has_code();
        may_touch
            && pass.may_read(candidate.leading)
            && pass.level <= rules.level
            && !(pass.json && rules.preserve_json)
            && !(pass.code && rules.preserve_code && is_code())
            && (rules.pointers || !matches!(pass.work, Work::Points { .. }))
    }

    /// Keeps what a pass did if it pays: bytes first, because they cost nothing to count.
    fn judge(&self, draft: &mut Draft, pass: &Pass, shorter: String, count: Count) -> bool {
        let bytes = crate::json::encoded_len(&shorter);
        if bytes >= draft.bytes {
            return false;
        }
        let tokens = count(&shorter);
        let gain = draft.tokens.saturating_sub(tokens);
        if gain < GAIN_TOKENS_MIN || gain * 100 < draft.tokens * GAIN_PERCENT_MIN {
            return false;
        }
        if self.sent + (tokens as u64) < self.rules.floor {
            draft.met_floor = true;
            return false;
        }
        let longer = draft.text.replace(shorter);
        if !pass.work.is_normalising() && draft.normal.is_none() {
            draft.normal = Some(longer);
        }
        (draft.bytes, draft.tokens) = (bytes, tokens);
        draft.saved.push((pass.name, gain as u64));
        true
    }
}

/// A candidate between two passes.
struct Draft {
    /// `None` until a pass was kept.
    text: Option<String>,
    /// What the way back must give, once a pass was kept that can be undone: the text before the
    /// first of them, `Some(None)` for the candidate's own.
    normal: Option<Option<String>>,
    bytes: usize,
    tokens: usize,
    saved: Vec<(&'static str, u64)>,
    recipe: Recipe,
    met_floor: bool,
}

impl Draft {
    fn new(candidate: &Candidate, tokens: usize) -> Draft {
        let bytes = candidate.literal_bytes;
        let (saved, recipe) = (Vec::new(), Recipe::default());
        Draft { text: None, normal: None, bytes, tokens, saved, recipe, met_floor: false }
    }

    /// Whether the way back leads where it should.
    fn reads_back(&self, candidate: &Candidate, earlier: &Earlier) -> bool {
        let text = self.text.as_deref().unwrap_or(&candidate.text);
        let want = match &self.normal {
            Some(normal) => normal.as_deref().unwrap_or(&candidate.text),
            None => text,
        };
        // No text between two passes was longer than the literal in the body.
        let bytes_max = want.len().max(text.len()).max(candidate.literal_bytes);
        let mut budget = Budget::new(bytes_max);
        let place = (candidate.place, candidate.leading);
        expand::decode(text, place, earlier, &mut budget).is_some_and(|was| was == want)
    }

    fn why_nothing(&self, candidate: &Candidate) -> Unchanged {
        match (self.met_floor, candidate.is_read) {
            (true, _) => Unchanged::Floor,
            (false, true) => Unchanged::FileRead,
            (false, false) => Unchanged::NothingToGain,
        }
    }
}

/// Whether a text holds a fenced block.
fn has_fence(text: &str) -> bool {
    memchr::memmem::find_iter(text.as_bytes(), "```")
        .any(|at| is_line_start(text[..at].trim_end_matches([' ', '\t'])))
}

fn is_line_start(before: &str) -> bool {
    before.is_empty() || before.ends_with('\n')
}

/// Whether a text is large enough to be made smaller.
pub(crate) fn is_large(text: &str) -> bool {
    // A character is four bytes at most.
    text.len() >= 4 * TEXT_CHARS_MIN
        || text.len() >= TEXT_CHARS_MIN && text.chars().nth(TEXT_CHARS_MIN - 1).is_some()
}

#[cfg(test)]
pub(crate) mod tests;
