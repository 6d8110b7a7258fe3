//! From the name that a client sends, or a provider answers with, to the names in the table.
//!
//! Narrowly: what is cut off is a date, a revision, or where it is served, never a word that makes
//! another model of it (`-image`, `-tts`, `-deep-research`, `-fast`).

use std::borrow::Cow;

/// Lower case, without `models/`, `vendor/`, `region.vendor.` or an ARN before it; dots in Claude's names as
/// dashes.
pub(crate) fn plain_name(model: &str) -> Cow<'_, str> {
    let name = &model[model.rfind('/').map_or(0, |at| at + 1)..];
    // Most names are plain already.
    if !name.bytes().any(|byte| byte == b'.' || byte.is_ascii_uppercase()) {
        return name.into();
    }
    let lower = name.to_ascii_lowercase();
    let name = &lower[vendor_end(&lower)..];
    if name.starts_with("claude") { name.replace('.', "-").into() } else { name.to_owned().into() }
}

/// Where the name begins behind the vendors, as they appear in the names of cloud marketplaces.
fn vendor_end(name: &str) -> usize {
    const VENDORS: &[&str] = &["anthropic.", "openai.", "deepseek.", "mistral.", "google.", "xai."];
    VENDORS.iter().fold(0, |end, vendor| match name[end..].find(vendor) {
        Some(at) if at == 0 || name[end..end + at].ends_with('.') => end + at + vendor.len(),
        _ => end,
    })
}

/// The plain name, then what is left of it as one ending after the other is cut off.
pub(super) fn candidates(plain: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(plain), |name| shorter(name))
}

/// Without its last part, if that part says nothing of the price.
fn shorter(name: &str) -> Option<&str> {
    if let Some(bare) = name.strip_suffix("[1m]") {
        return Some(bare);
    }
    // ft:BASE:ORGANISATION:SUFFIX:ID
    if let Some(rest) = name.strip_prefix("ft:") {
        let end = rest.find(':')?;
        return Some(&name[..3 + end]);
    }
    let at = name.rfind(['-', '@', ':'])?;
    let (rest, end) = (&name[..at], &name[at + 1..]);
    let is_revision = match &name[at..=at] {
        "@" => is_number(end, &[8]) || end == "default" || end == "latest",
        // The revision of a marketplace (`-v1:0`).
        ":" => is_number(end, &[1, 2]) && rest.rsplit('-').next().is_some_and(is_version),
        _ if is_number(end, &[2]) => return without_day(rest),
        _ => {
            is_number(end, &[3, 4, 8])
                || matches!(end, "latest" | "preview" | "exp")
                || is_version(end)
        }
    };
    is_revision.then_some(rest)
}

/// `v1`, `v12`.
fn is_version(text: &str) -> bool {
    text.strip_prefix('v').is_some_and(|digits| is_number(digits, &[1, 2]))
}

/// Digits and nothing else, in one of these lengths.
pub(super) fn is_number(text: &str, lengths: &[usize]) -> bool {
    lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Without the rest of a date whose day is cut off: `-2026-08-01`, and Google's `-preview-06-17`.
fn without_day(name: &str) -> Option<&str> {
    let (rest, _) = name.rsplit_once('-').filter(|(_, month)| is_number(month, &[2]))?;
    let (before, year) = rest.rsplit_once('-')?;
    match year.starts_with("20") && is_number(year, &[4]) {
        true => Some(before),
        false => matches!(year, "preview" | "exp").then_some(rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_where_they_are_served() {
        for (name, want) in [
            ("Claude-Opus-4.1", "claude-opus-4-1"),
            ("anthropic/claude-3.5-sonnet", "claude-3-5-sonnet"),
            ("us.anthropic.claude-opus-5-5-v1:0", "claude-opus-5-5-v1:0"),
            (
                "arn:aws:bedrock:us-east-1:123:inference-profile/eu.anthropic.claude-opus-5-v1:0",
                "claude-opus-5-v1:0",
            ),
            ("models/gemini-2.5-pro", "gemini-2.5-pro"),
        ] {
            assert_eq!(plain_name(name), want);
        }
    }

    #[test]
    fn only_revisions_are_cut_off() {
        check("claude-sonnet-4-5-20250929", "claude-sonnet-4-5");
        check("claude-opus-5-5[1m]", "claude-opus-5-5");
        check("claude-opus-5-5-v1:0", "claude-opus-5-5");
        check("claude-haiku-4-5@20251001", "claude-haiku-4-5");
        check("claude-3-5-haiku-latest", "claude-3-5-haiku");
        check("gemini-2.5-flash-lite-preview-06-17", "gemini-2.5-flash-lite");
        check("gemini-2.0-flash-001", "gemini-2.0-flash");
        check("gpt-4o-2024-08-06", "gpt-4o");
        check("gpt-4-0613", "gpt-4");
        check("ft:gpt-4.1-2025-04-14:acme::abc", "ft:gpt-4.1-2025-04-14");
        for other in [
            "o3-deep-research",
            "gpt-4o-audio",
            "gpt-5.5-image",
            "gpt-4o-mini-tts",
            "gpt-realtime",
            "grok-4-fast",
            "claude-opus-5-9",
            "gpt-5.7",
            "gpt-4oh",
            "kimi-k2-thinking",
            "llama-3.3-70b:free",
            "qwen:7b",
            "a-b-06-17",
            "claude-opus-5-5",
            "",
        ] {
            check(other, other);
        }

        #[track_caller]
        fn check(name: &str, want: &str) {
            assert_eq!(candidates(name).last(), Some(want), "{name}");
        }
    }
}
