//! From a model's name and the time of a request to its rates.
//!
//! Prices are never guessed: a name that no rule covers has no price. The built-in table and the
//! user's own `prices` are searched by the same rule, the longest name wins, and of two equal names
//! the user's.

use std::borrow::Cow;

use serde_json::Value;

use super::price::Rates;
use super::prices::ROWS;

/// A row of the price table.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) base: Rates,
    /// Of one kind only, in rising order.
    pub(super) except: &'static [Except],
}

/// When other rates than the base ones apply, to the whole request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Except {
    /// To a request of more input tokens than this.
    Above(u64, Rates),
    /// From this Unix time on.
    From(i64, Rates),
    /// Between two minutes of the day, UTC.
    Daily(i64, i64, Rates),
}

/// The price list in force: the built-in table, and the user's own prices over it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prices {
    /// Names as `plain_name` makes them.
    own: Vec<(String, Rates)>,
}

/// What a model is priced by, for people.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quote<'a> {
    /// The name in the table, or in the configuration.
    pub(crate) name: &'a str,
    /// Whether the configuration says so.
    pub(crate) is_own: bool,
    pub(crate) base: Rates,
    pub(crate) except: &'static [Except],
}

impl Quote<'_> {
    /// The rates at a Unix time for a request of that many input tokens.
    pub(crate) fn at(&self, ts: i64, input: u64) -> Rates {
        let minute = ts.rem_euclid(86_400) / 60;
        let mut rates = self.base;
        for except in self.except {
            match *except {
                Except::Above(limit, other) if input > limit => rates = other,
                Except::From(day, other) if ts >= day => rates = other,
                Except::Daily(from, to, other) if (from..to).contains(&minute) => rates = other,
                _ => {}
            }
        }
        rates
    }
}

impl Prices {
    /// Reads the `prices` of the configuration: `{"NAME": {"input": 3, "output": 15}}`, dollars per
    /// million tokens. `cache_read` and `cache_write` are the input's unless they are said.
    pub(crate) fn parse(json: &str) -> Result<Prices, String> {
        let value: Value =
            serde_json::from_str(json).map_err(|_| "not a JSON object".to_owned())?;
        let models = value.as_object().ok_or("not an object of models")?;
        let mut own = Vec::with_capacity(models.len());
        for (name, fields) in models.iter().filter(|(_, fields)| !fields.is_null()) {
            let rates = own_rates(fields).map_err(|what| format!("{name}: {what}"))?;
            own.push((plain_name(name).into_owned(), rates));
        }
        Ok(Prices { own })
    }

    /// The rates of a request; `None` if its model has no price.
    pub(super) fn rates(&self, model: &str, ts: i64, input: u64) -> Option<Rates> {
        self.quote(model).map(|quote| quote.at(ts, input))
    }

    /// What covers the model: the longest name, the user's before the table's.
    pub(crate) fn quote(&self, model: &str) -> Option<Quote<'_>> {
        let model = plain_name(model);
        // They are in order, and only those with the same first letter can be meant.
        let first = |name: &str| name.as_bytes().first().copied();
        let from = ROWS.partition_point(|row| first(row.name) < first(&model));
        let near = ROWS[from..].iter().take_while(|row| first(row.name) == first(&model));
        let listed = near.filter(|row| covers(row.name, &model)).map(Row::quote);
        let own = self.own.iter().filter(|(name, _)| covers(name, &model)).map(own_quote);
        listed.chain(own).max_by_key(|quote| (quote.name.len(), quote.is_own))
    }

    /// Every price, the table's first.
    pub(crate) fn all(&self) -> impl Iterator<Item = Quote<'_>> {
        ROWS.iter().map(Row::quote).chain(self.own.iter().map(own_quote))
    }
}

impl Row {
    fn quote<'any>(&self) -> Quote<'any> {
        Quote { name: self.name, is_own: false, base: self.base, except: self.except }
    }
}

fn own_quote((name, base): &(String, Rates)) -> Quote<'_> {
    Quote { name, is_own: true, base: *base, except: &[] }
}

fn own_rates(fields: &Value) -> Result<Rates, String> {
    const FIELDS: [&str; 4] = ["input", "output", "cache_read", "cache_write"];
    let fields = fields.as_object().ok_or("not an object of prices")?;
    if let Some(other) = fields.keys().find(|key| !FIELDS.contains(&key.as_str())) {
        return Err(format!("unknown price \"{other}\"; one of {}", FIELDS.join(", ")));
    }
    let [input, output, read, write] = FIELDS.map(|field| match fields.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => rate(value).map(Some).map_err(|what| format!("{field}: {what}")),
    });
    match (input?, output?) {
        (Some(input), Some(output)) => {
            Ok(Rates { input, output, write_5m: write?, write_1h: None, read: read? })
        }
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

/// Lower case, without `models/`, `vendor/` or `region.vendor.`; dots in Claude's names as dashes.
pub(super) fn plain_name(model: &str) -> Cow<'_, str> {
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

/// Whether a row's name stands for the model: equal, or followed by a suffix that is not another
/// version. `claude-opus-5` is the price of `claude-opus-5-20260801`, but not of `claude-opus-5-9`.
fn covers(name: &str, model: &str) -> bool {
    let Some(suffix) = model.strip_prefix(name) else { return false };
    let separators = ['-', '@', ':'];
    if suffix.is_empty() {
        return true;
    }
    let Some(rest) = suffix.strip_prefix(separators) else { return false };
    let segment = rest.split(separators).next().unwrap_or(rest);
    !(matches!(segment.len(), 1 | 2) && segment.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_find_their_row_or_none() {
        check("claude-sonnet-4-5", Some("claude-sonnet-4-5"));
        check("claude-sonnet-4-5-20250929", Some("claude-sonnet-4-5"));
        check("claude-sonnet-4-20250514", Some("claude-sonnet-4"));
        check("Claude-Opus-4.1", Some("claude-opus-4-1"));
        check("anthropic/claude-3.5-sonnet", Some("claude-3-5-sonnet"));
        check("us.anthropic.claude-sonnet-4-5-20250929-v1:0", Some("claude-sonnet-4-5"));
        check("anthropic.claude-3-haiku-20240307-v1:0", Some("claude-3-haiku"));
        check("claude-haiku-4-5@20251001", Some("claude-haiku-4-5"));
        check("models/gemini-2.5-pro", Some("gemini-2.5-pro"));
        check("gemini-2.5-flash-lite-preview-06-17", Some("gemini-2.5-flash-lite"));
        check("gpt-4o-2024-08-06", Some("gpt-4o"));
        check("gpt-4o-2024-05-13", Some("gpt-4o-2024-05-13"));
        check("gpt-4o-mini-2024-07-18", Some("gpt-4o-mini"));
        check("gpt-5-codex", Some("gpt-5"));
        check("claude-opus-5-9", None);
        check("gpt-5.7", None);
        check("gpt-4oh", None);
        check("local-llama", None);
        check("ft:gpt-4o:acme::1", None);
        check("", None);

        #[track_caller]
        fn check(model: &str, want: Option<&str>) {
            let prices = Prices::default();
            assert_eq!(prices.quote(model).map(|quote| quote.name), want, "{model}");
        }
    }

    #[test]
    fn every_row_finds_itself() {
        assert!(ROWS.is_sorted_by_key(|row| row.name));
        for row in ROWS {
            let prices = Prices::default();
            assert_eq!(prices.quote(row.name).map(|found| found.name), Some(row.name));
        }
    }

    #[test]
    fn own_prices_come_before_the_table_of_the_same_name() {
        let prices = Prices::parse(
            r#"{"local-llama": {"input": 0, "output": 0}, "GPT-4o": {"input": 2, "output": 8.5,
            "cache_read": 0.2288, "cache_write": null}, "gone": null}"#,
        );
        let prices = prices.unwrap();
        let rates = |model| prices.rates(model, 0, 1);
        let zero = Rates { input: 0, output: 0, write_5m: None, write_1h: None, read: None };
        assert_eq!(rates("local-llama-70b"), Some(zero));
        let own = Rates { input: 2_000_000, output: 8_500_000, read: Some(228_800), ..zero };
        assert_eq!(rates("openai/gpt-4o-2024-08-06"), Some(own));
        // The longer name is the nearer one, whoever wrote it.
        for kept in ["gpt-4o-mini", "gpt-4o-2024-05-13"] {
            assert_eq!(rates(kept), Prices::default().rates(kept, 0, 1), "{kept}");
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
                r#"m: unknown price "cached"; one of input, output, cache_read, cache_write"#,
            ),
        ] {
            assert_eq!(Prices::parse(json), Err(want.to_owned()), "{json}");
        }
    }
}
