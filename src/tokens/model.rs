//! What a model's tokens are in ours, until its answers have taught better (TOKENS.md 3.2).

/// Billed tokens per hundred counted ones: the first row whose word begins the name, or a part of it.
const START: &[(&str, u64)] = &[
    ("claude-3", 120),
    ("claude-sonnet-4", 120),
    ("claude-haiku-4", 120),
    ("claude-opus-4-7", 155),
    ("claude-opus-4-8", 155),
    ("claude-opus-4", 120),
    ("claude", 155),
    ("gpt-", 100),
    ("chatgpt-", 100),
    ("codex-", 100),
    ("o1", 100),
    ("o3", 100),
    ("o4", 100),
];

/// Gemini, Grok, Mistral, DeepSeek and what nobody knows.
const OTHERS: u64 = 105;

/// Billed tokens of a model per hundred of ours.
pub(crate) fn start_factor(model: &str) -> u64 {
    let name = model.to_ascii_lowercase();
    let name = name.rsplit('/').next().unwrap_or_default().replace('.', "-");
    let is = |word: &str| name.starts_with(word) || name.contains(&format!("-{word}"));
    START.iter().find(|(word, _)| is(word)).map_or(OTHERS, |(_, factor)| *factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_start_where_they_were_measured() {
        for (model, want) in [
            ("claude-sonnet-4-5-20250929", 120),
            ("anthropic/claude-3.5-sonnet", 120),
            ("us.anthropic.claude-opus-4-1-20250805-v1:0", 120),
            ("claude-opus-4-7", 155),
            ("claude-opus-5-5", 155),
            ("claude-haiku-4-5", 120),
            ("claude-haiku-5-5", 155),
            ("gpt-4o-mini", 100),
            ("openai/gpt-oss-120b", 100),
            ("o3-mini", 100),
            ("gemini-2.5-pro", 105),
            ("local-llama", 105),
            ("", 105),
        ] {
            assert_eq!(start_factor(model), want, "{model}");
        }
    }
}
