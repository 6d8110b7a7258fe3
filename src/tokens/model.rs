//! Which vocabulary a model has, and how its tokens compare with those counted here.

use super::image::Rule;

/// The vocabularies of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vocabulary {
    /// The one counted here.
    O200k,
    Cl100k,
    /// One of the provider's own, or not known.
    Own,
}

/// What a model's tokens are to those of o200k.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Family {
    /// Part of the model's name, in lower case.
    part: &'static str,
    pub(crate) vocabulary: Vocabulary,
    /// Its tokens for a text that has one hundred in o200k, about: what a calibration starts from.
    pub(crate) percent: u64,
}

/// The first row whose part a name contains is the model's.
const FAMILIES: &[Family] = &[
    row("gpt-4o", Vocabulary::O200k, 100),
    row("gpt-4.1", Vocabulary::O200k, 100),
    row("gpt-4.5", Vocabulary::O200k, 100),
    row("gpt-4", Vocabulary::Cl100k, 100),
    row("gpt-3.5", Vocabulary::Cl100k, 100),
    row("gpt-", Vocabulary::O200k, 100),
    row("codex", Vocabulary::O200k, 100),
    // Older Claude; from Opus 4.7 and the fifth generation on, a tokenizer with more tokens.
    row("claude-2", Vocabulary::Own, 118),
    row("claude-3", Vocabulary::Own, 118),
    row("claude-instant", Vocabulary::Own, 118),
    row("sonnet-4", Vocabulary::Own, 118),
    row("haiku-4", Vocabulary::Own, 118),
    row("opus-4-7", Vocabulary::Own, 155),
    row("opus-4.7", Vocabulary::Own, 155),
    row("opus-4-8", Vocabulary::Own, 155),
    row("opus-4.8", Vocabulary::Own, 155),
    row("opus-4", Vocabulary::Own, 118),
    row("claude", Vocabulary::Own, 155),
    row("gemini", Vocabulary::Own, 119),
    row("qwen", Vocabulary::Own, 111),
    row("mistral", Vocabulary::Own, 110),
    row("deepseek", Vocabulary::Own, 104),
    row("llama", Vocabulary::Own, 99),
];

/// Grok, and all that is not known.
const OTHER: Family = row("", Vocabulary::Own, 105);
/// The o-series, whose names are too short to look for as parts.
const REASONING: Family = row("o", Vocabulary::O200k, 100);

const fn row(part: &'static str, vocabulary: Vocabulary, percent: u64) -> Family {
    Family { part, vocabulary, percent }
}

/// What providers put around the texts of a prompt, in tokens, about: their own words where they
/// have published some, else what others measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ChatOverhead {
    /// Of every prompt.
    pub(crate) fixed: u64,
    pub(crate) message: u64,
    /// Of a tool call in the history: its name and braces.
    pub(crate) call: u64,
    /// Of a prompt with tools: the provider's own instructions how to use them.
    pub(crate) tools: u64,
    pub(crate) picture: Rule,
}

impl ChatOverhead {
    pub(crate) fn anthropic(model: &str) -> ChatOverhead {
        // Models with the newer tokenizer also see pictures at a higher resolution.
        let picture = match Family::of(model).percent {
            155 => Rule::Area { edge_max: 2576, tokens_max: 4800 },
            _ => Rule::Area { edge_max: 1568, tokens_max: 1600 },
        };
        ChatOverhead { fixed: 8, message: 4, call: 0, tools: 346, picture }
    }

    pub(crate) fn openai(model: &str) -> ChatOverhead {
        let tiles = ["gpt-4o", "gpt-4.1", "gpt-4.5", "o1", "o3"];
        let is_small = has(model, "4.1-mini") || has(model, "4.1-nano");
        let has_tiles = !is_small && tiles.iter().any(|name| has(model, name));
        let picture = if has_tiles { Rule::Tiles } else { Rule::Patches };
        ChatOverhead { fixed: 3, message: 3, call: 9, tools: 12, picture }
    }

    pub(crate) fn gemini() -> ChatOverhead {
        ChatOverhead { fixed: 3, message: 3, call: 0, tools: 0, picture: Rule::LargeTiles }
    }
}

impl Family {
    /// The family of a model; its name may have a provider's before it.
    pub(crate) fn of(model: &str) -> Family {
        let model = model.to_ascii_lowercase();
        let name = model.rsplit(['/', ':']).next().unwrap_or(&model).as_bytes();
        if matches!(name, [b'o', digit, ..] if digit.is_ascii_digit()) {
            return REASONING;
        }
        FAMILIES.iter().find(|family| has(&model, family.part)).copied().unwrap_or(OTHER)
    }

    /// About as many tokens of this family as there are of o200k.
    pub(crate) fn tokens(self, o200k: u64) -> u64 {
        (o200k * self.percent + 50) / 100
    }
}

/// Whether a name has this part. Names are short: trying each place is cheaper than to prepare a
/// search, and every request asks a dozen times.
fn has(name: &str, part: &str) -> bool {
    let first = part.as_bytes()[0];
    let is_it = |place: &[u8]| place[0] == first && place == part.as_bytes();
    name.as_bytes().windows(part.len()).any(is_it)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_vocabulary_and_factor() {
        use Vocabulary::{Cl100k, O200k, Own};
        for (model, vocabulary, percent) in [
            ("gpt-4o-mini-2024-07-18", O200k, 100),
            ("chatgpt-4o-latest", O200k, 100),
            ("gpt-4.1", O200k, 100),
            ("gpt-5.1-codex", O200k, 100),
            ("openai/gpt-oss-120b", O200k, 100),
            ("o4-mini", O200k, 100),
            ("openai/o3", O200k, 100),
            ("gpt-4", Cl100k, 100),
            ("gpt-4-1106-preview", Cl100k, 100),
            ("gpt-4-turbo", Cl100k, 100),
            ("gpt-3.5-turbo", Cl100k, 100),
            ("claude-3-5-sonnet-20241022", Own, 118),
            ("Claude-Sonnet-4-5", Own, 118),
            ("claude-opus-4-1-20250805", Own, 118),
            ("anthropic/claude-opus-4.7", Own, 155),
            ("us.anthropic.claude-haiku-4-5-20251001-v1:0", Own, 118),
            ("claude-sonnet-5", Own, 155),
            ("claude-haiku-5-5", Own, 155),
            ("claude-fable-5-1", Own, 155),
            ("gemini-3-pro", Own, 119),
            ("grok-4", Own, 105),
            ("mistral-large-latest", Own, 110),
            ("qwen3-coder", Own, 111),
            ("llama-3.3-70b-versatile", Own, 99),
            ("deepseek-chat", Own, 104),
            ("olmo-2", Own, 105),
            ("", Own, 105),
        ] {
            let family = Family::of(model);
            assert_eq!((family.vocabulary, family.percent), (vocabulary, percent), "{model}");
        }
    }

    #[test]
    fn estimates_are_rounded() {
        let claude = Family::of("claude-sonnet-4-5");
        assert_eq!([0, 1, 2, 3, 1000].map(|tokens| claude.tokens(tokens)), [0, 1, 2, 4, 1180]);
    }
}
