//! The user's own prices, as the configuration has them.

use serde_json::Value;

use super::names::is_number;
use super::{Kind, Rates, plain_name};

/// Dollars per million tokens, or per thousand searches.
pub(super) const FIELDS: [&str; 8] = [
    "input",
    "output",
    "cache_read",
    "cache_write",
    "cache_write_1h",
    "audio_input",
    "audio_output",
    "search",
];

/// Reads `{"NAME": {"input": 3, "output": 15, "cache_read": 0.3, "cache_write": 3.75}}`.
pub(super) fn parse(json: &str) -> Result<Vec<(String, Rates)>, String> {
    let value: Value = serde_json::from_str(json).map_err(|_| "not a JSON object".to_owned())?;
    let models = value.as_object().ok_or("not an object of models")?;
    let mut own = Vec::with_capacity(models.len());
    for (name, fields) in models.iter().filter(|(_, fields)| !fields.is_null()) {
        let rates = rates(fields).map_err(|what| format!("{name}: {what}"))?;
        own.push((plain_name(name).into_owned(), rates));
    }
    Ok(own)
}

fn rates(fields: &Value) -> Result<Rates, String> {
    let fields = fields.as_object().ok_or("not an object of prices")?;
    if let Some(other) = fields.keys().find(|key| !FIELDS.contains(&key.as_str())) {
        return Err(format!("unknown price \"{other}\"; one of {}", FIELDS.join(", ")));
    }
    let [input, output, read, write, write_1h, audio_input, audio_output, search] =
        FIELDS.map(|field| match fields.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => rate(value).map(Some).map_err(|what| format!("{field}: {what}")),
        });
    match (input?, output?) {
        (input @ Some(_), output @ Some(_)) => Ok(Rates::new(&[
            (Kind::Input, input),
            (Kind::Output, output),
            (Kind::CacheRead, read?),
            (Kind::CacheWrite, write?),
            (Kind::CacheWrite1h, write_1h?),
            (Kind::AudioInput, audio_input?),
            (Kind::AudioOutput, audio_output?),
            (Kind::Search, search?),
        ])),
        _ => Err("needs both input and output".to_owned()),
    }
}

/// Dollars per million tokens as pico-dollars per token, to the nearest.
fn rate(value: &Value) -> Result<u32, String> {
    /// Well below what a rate can hold, and twenty times the dearest price known.
    const DOLLARS_MAX: f64 = 4000.0;
    match value.as_f64() {
        Some(dollars) if (0.0..=DOLLARS_MAX).contains(&dollars) => {
            Ok((dollars * 1e6).round() as u32)
        }
        Some(_) => Err(format!("{value} is out of range (0 to {DOLLARS_MAX} dollars)")),
        None => Err(format!("{value} is not a number")),
    }
}

/// Whether a name stands for the model: equal, or followed by a suffix that is not another version. A
/// user's own word goes further than the table's: `local-llama` is the price of `local-llama-70b`, too.
pub(super) fn covers(name: &str, model: &str) -> bool {
    let Some(suffix) = model.strip_prefix(name) else { return false };
    let separators = ['-', '@', ':'];
    if suffix.is_empty() {
        return true;
    }
    let Some(rest) = suffix.strip_prefix(separators) else { return false };
    let segment = rest.split(separators).next().unwrap_or(rest);
    !is_number(segment, &[1, 2])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prices::{Prices, Terms};

    #[test]
    fn own_prices_come_before_the_table_of_the_same_name() {
        let prices = Prices::parse(
            r#"{"local-llama": {"input": 0, "output": 0}, "GPT-4o": {"input": 2, "output": 8.5,
            "cache_read": 0.2288, "cache_write": null}, "gone": null}"#,
        );
        let prices = prices.unwrap();
        let terms = Terms { input: 1, ..Terms::default() };
        let rates = |model| prices.quote(model, "openai").and_then(|quote| quote.rates(&terms));
        let own = |input, output, read| {
            Rates::new(&[
                (Kind::Input, Some(input)),
                (Kind::Output, Some(output)),
                (Kind::CacheRead, read),
                (Kind::CacheWrite, None),
            ])
        };
        assert_eq!(rates("local-llama-70b"), Some(own(0, 0, None)));
        let own = own(2_000_000, 8_500_000, Some(228_800));
        assert_eq!(rates("openai/gpt-4o-2024-08-06"), Some(own));
        // The longer name is the nearer one, whoever wrote it.
        for kept in ["gpt-4o-mini", "gpt-4o-2024-05-13"] {
            let listed = Prices::default();
            let listed = listed.quote(kept, "openai").and_then(|quote| quote.rates(&terms));
            assert_eq!(rates(kept), listed, "{kept}");
        }
        assert_eq!(rates("gone"), None);
    }

    #[test]
    fn own_prices_that_cannot_be_are_refused() {
        for (json, want) in [
            ("[]", "not an object of models"),
            ("{", "not a JSON object"),
            (r#"{"m": 3}"#, "m: not an object of prices"),
            (r#"{"m": {"input": 3}}"#, "m: needs both input and output"),
            (r#"{"m": {"input": "3", "output": 1}}"#, r#"m: input: "3" is not a number"#),
            (
                r#"{"m": {"input": -1, "output": 1}}"#,
                "m: input: -1 is out of range (0 to 4000 dollars)",
            ),
            (
                r#"{"m": {"input": 1, "output": 1, "cached": 1}}"#,
                r#"m: unknown price "cached"; one of input, output, cache_read, cache_write, cache_write_1h, audio_input, audio_output, search"#,
            ),
        ] {
            assert_eq!(Prices::parse(json), Err(want.to_owned()), "{json}");
        }
    }
}
