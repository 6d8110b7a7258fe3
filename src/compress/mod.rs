//! Text to shorter text and back: levels, modes, the passes and the walk over a prompt.
//!
//! A `Walk` is fed the texts of a prompt from front to back and has no way to see the next one.
//! That is what keeps a provider's prompt cache: what a text becomes depends on it and on what
//! stands before it, so a conversation that grows is sent as an extension of itself. Knows
//! neither bodies nor tokens; counting is handed in.

mod expand;
mod json_minify;
mod marker;
mod reads;
mod repeat;
mod terminal;

use std::borrow::Cow;

pub(crate) use expand::Expander;
pub(crate) use marker::Place;
pub(crate) use reads::{Call, is_read};
use repeat::Earlier;

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

/// A way to make a text shorter. It borrows where it has nothing to do, cannot fail, and changes
/// nothing on a second run, markers apart.
struct Pass {
    name: &'static str,
    /// The lowest level that runs it.
    level: Level,
    /// Also for files that were read, which an agent quotes to its edit tool.
    reads: bool,
    /// Also for what a person typed, from level balanced on.
    typed: bool,
    /// Rewrites JSON; `preserve_json` turns it off.
    json: bool,
    /// Points at earlier texts, which a provider that edits history may take away.
    points: bool,
    run: for<'t> fn(&'t str, &Context) -> Cow<'t, str>,
}

/// In running order; each sees what the one before it left.
const PASSES: &[Pass] = &[
    Pass {
        name: "terminal",
        level: Level::Light,
        reads: false,
        typed: false,
        json: false,
        points: false,
        run: |text, _| terminal::render(text),
    },
    Pass {
        name: "json-minify",
        level: Level::Light,
        reads: false,
        typed: true,
        json: true,
        points: false,
        run: |text, _| json_minify::minify(text),
    },
    Pass {
        name: "repeat",
        level: Level::Light,
        reads: true,
        typed: true,
        json: false,
        points: true,
        run: |text, context| repeat::refer(text, context.original, context.earlier),
    },
];

/// What a pass may look at beside its text.
struct Context<'c> {
    /// The text as the client sent it.
    original: &'c str,
    earlier: &'c Earlier,
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
    /// Whether texts may point at earlier ones.
    pub(crate) pointers: bool,
}

/// What one text became.
#[derive(Debug)]
pub(crate) struct Sent {
    /// `None` if it is sent as it came.
    pub(crate) changed: Option<String>,
    pub(crate) before: u64,
    pub(crate) after: u64,
    /// Tokens saved by each pass that was kept.
    pub(crate) saved: Vec<(&'static str, u64)>,
}

/// A text that may be changed.
#[derive(Debug)]
pub(crate) struct Candidate<'t> {
    pub(crate) text: Cow<'t, str>,
    pub(crate) place: Place,
    /// Whether a tool read a file here; see `is_read`.
    pub(crate) is_read: bool,
    /// Length of the string literal in the body, in bytes.
    pub(crate) literal_bytes: usize,
}

/// One prompt from front to back.
pub(crate) struct Walk {
    rules: Rules,
    /// Tokens so far as received, and as sent.
    received: u64,
    sent: u64,
    earlier: Earlier,
}

impl Walk {
    pub(crate) fn new(rules: Rules) -> Walk {
        Walk { rules, received: 0, sent: 0, earlier: Earlier::default() }
    }

    /// Something that is sent as it came, in tokens.
    pub(crate) fn fixed(&mut self, tokens: u64) {
        self.received += tokens;
        self.sent += tokens;
    }

    /// The model sees nothing of what was above.
    pub(crate) fn reset(&mut self) {
        self.earlier = Earlier::default();
    }

    /// Tokens of all that was fed so far, as received.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// The same, as sent.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// A candidate, counted by `count`.
    pub(crate) fn text(
        &mut self,
        candidate: Candidate,
        count: &mut dyn FnMut(&str) -> usize,
    ) -> Sent {
        let before = count(&candidate.text);
        self.received += before as u64;
        let is_large = is_large(&candidate.text);
        let is_open = is_large && self.received > self.rules.threshold;
        let mut draft = Draft { text: None, bytes: candidate.literal_bytes, tokens: before };
        let mut saved = Vec::new();
        for pass in PASSES.iter().filter(|pass| is_open && self.runs(pass, &candidate)) {
            let context = Context { original: &candidate.text, earlier: &self.earlier };
            let input = draft.text.as_deref().unwrap_or(&candidate.text);
            if let Cow::Owned(shorter) = (pass.run)(input, &context)
                && let Some(better) = self.judge(&draft, shorter, count)
            {
                saved.push((pass.name, (draft.tokens - better.tokens) as u64));
                draft = better;
            }
        }
        let is_pointer = saved.last().is_some_and(|(name, _)| is_pointing(name));
        let text = draft.text.as_deref().unwrap_or(&candidate.text);
        if !is_pointer && let Some(escaped) = marker::escape(text, candidate.place) {
            draft.tokens = count(&escaped);
            draft.text = Some(escaped);
        } else if !is_pointer && is_large && self.rules.pointers {
            self.earlier.remember(text, candidate.place);
        }
        self.sent += draft.tokens as u64;
        Sent { changed: draft.text, before: before as u64, after: draft.tokens as u64, saved }
    }

    fn runs(&self, pass: &Pass, candidate: &Candidate) -> bool {
        let rules = &self.rules;
        let may_touch = match candidate.place {
            Place::Typed { .. } => pass.typed && rules.level >= Level::Balanced,
            Place::Result { .. } => pass.reads || !candidate.is_read,
        };
        may_touch
            && pass.level <= rules.level
            && !(pass.json && rules.preserve_json)
            && (!pass.points || rules.pointers)
    }

    /// Whether a pass pays: bytes first, because they cost nothing to count.
    fn judge(
        &self,
        draft: &Draft,
        shorter: String,
        count: &mut dyn FnMut(&str) -> usize,
    ) -> Option<Draft> {
        let bytes = crate::json::encoded_len(&shorter);
        if bytes >= draft.bytes {
            return None;
        }
        let tokens = count(&shorter);
        let gain = draft.tokens.checked_sub(tokens)?;
        let pays = gain >= GAIN_TOKENS_MIN && gain * 100 >= draft.tokens * GAIN_PERCENT_MIN;
        let stays_cached = self.sent + tokens as u64 >= self.rules.floor;
        (pays && stays_cached).then_some(Draft { text: Some(shorter), bytes, tokens })
    }
}

/// A candidate between two passes. `text` is `None` until one was kept.
struct Draft {
    text: Option<String>,
    bytes: usize,
    tokens: usize,
}

fn is_pointing(name: &str) -> bool {
    PASSES.iter().any(|pass| pass.points && pass.name == name)
}

/// Whether a text is large enough to be made smaller.
pub(crate) fn is_large(text: &str) -> bool {
    text.len() >= TEXT_CHARS_MIN && text.chars().nth(TEXT_CHARS_MIN - 1).is_some()
}

#[cfg(test)]
pub(crate) mod tests;
