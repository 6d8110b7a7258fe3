//! Where a host's price goes by the region that a model's name begins with: Amazon Bedrock.
//!
//! Since Claude 4.5 its regional endpoints (`us.`, `eu.` and so on) cost 10 % more than the global one, and
//! those of the American government 20 %. Names without a region are at the list's price.

/// What names begin with, and millionths of the list's price.
const REGIONS: &[(&str, u32)] = &[
    ("us.", 1_100_000),
    ("eu.", 1_100_000),
    ("apac.", 1_100_000),
    ("jp.", 1_100_000),
    ("au.", 1_100_000),
    ("ca.", 1_100_000),
    ("us-gov.", 1_200_000),
];

/// Of before: one price in all regions of the world.
const OLDER: &[&str] = &["claude-2", "claude-3", "claude-instant", "claude-mythos-preview"];
const OLDER_WHOLE: &[&str] = &[
    "claude-opus-4",
    "claude-opus-4-0",
    "claude-opus-4-1",
    "claude-sonnet-4",
    "claude-sonnet-4-0",
    "claude-4-opus",
    "claude-4-sonnet",
];

/// The factor for a model as it was asked for, and by its name in the list.
pub(super) fn factor(provider: &str, model: &str, name: &str) -> Option<u32> {
    if provider != "bedrock" {
        return None;
    }
    // An ARN ends with the name.
    let model = &model[model.rfind('/').map_or(0, |at| at + 1)..];
    let (region, factor) = REGIONS.iter().find(|(region, _)| model.starts_with(region))?;
    let is_older = OLDER.iter().any(|start| name.starts_with(start)) || OLDER_WHOLE.contains(&name);
    let is_maker = name.starts_with("claude-") || name.starts_with("gpt-");
    (is_maker && !is_older || *region == "us-gov.").then_some(*factor)
}

#[cfg(test)]
mod tests {
    use super::factor;
    use crate::prices::{Prices, SavedTokens, money};
    use crate::wire::Usage;

    #[test]
    fn regional_endpoints_cost_more_since_claude_4_5() {
        // 1,000 tokens of input and 100 of output: $0.0045 for Sonnet.
        let sonnet = 1000 * 3000 + 100 * 15_000;
        for (provider, model, cost) in [
            ("bedrock", "global.anthropic.claude-sonnet-4-5-20250929-v1:0", sonnet),
            ("bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0", sonnet),
            ("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", sonnet / 10 * 11),
            ("bedrock", "eu.anthropic.claude-sonnet-4-5-20250929-v1:0", sonnet / 10 * 11),
            ("bedrock", "jp.anthropic.claude-sonnet-4-6", sonnet / 10 * 11),
            ("bedrock", "us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0", sonnet / 10 * 12),
            ("bedrock", "us.anthropic.claude-sonnet-4-20250514-v1:0", sonnet),
            ("bedrock", "us.anthropic.claude-3-7-sonnet-20250219-v1:0", sonnet),
            (
                "bedrock",
                "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.anthropic.claude-sonnet-4-6",
                sonnet / 10 * 11,
            ),
            ("anthropic", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", sonnet),
        ] {
            let usage = Usage { input: Some(1000), output: Some(100), ..Usage::default() };
            let prices = Prices::default();
            let quote = prices.quote(model, provider);
            let money = money(quote, 1_796_083_200, &usage, &SavedTokens::default());
            assert_eq!(money.map(|money| money.cost_nano), Some(cost), "{provider} {model}");
        }
        // An own price is what it says.
        let own = Prices::parse(r#"{"claude-opus-5": {"input": 1, "output": 1}}"#).unwrap();
        let quote = own.quote("us.anthropic.claude-opus-5", "bedrock");
        let usage = Usage { input: Some(1000), output: Some(0), ..Usage::default() };
        let money = money(quote, 1_796_083_200, &usage, &SavedTokens::default());
        assert_eq!(money.map(|money| money.cost_nano), Some(1_000_000));
        assert_eq!(factor("bedrock", "eu.meta.llama-9", "llama-9"), None);
    }
}
