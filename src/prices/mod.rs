//! From a model's name and what was served to money. Pure.
//!
//! Prices are never guessed: what no rule covers has no price. The built-in table and the user's own
//! `prices` are searched by the same names, the longest wins, and of two equal names the user's.

pub(crate) mod bill;
pub(crate) mod list;
mod litellm;
mod names;
mod own;
mod rates;
mod region;
mod table;

pub(crate) use bill::{Cuts, Money, SavedTokens, money};
pub(crate) use list::List;
pub(crate) use names::plain_name;
pub(crate) use rates::{Kind, Rates, Terms, resolve, sections, words};
pub(crate) use table::{as_of, source};

use names::candidates;

/// The price list in force: the built-in table, and the user's own prices over it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prices {
    /// Names as `plain_name` makes them.
    own: Vec<(String, Rates)>,
    list: list::InForce,
}

/// What a model is priced by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quote<'a> {
    /// The name in the table, or in the configuration.
    pub(crate) name: &'a str,
    /// Who asks this price; empty for the user's own.
    pub(crate) host: &'a str,
    pub(crate) price: Price<'a>,
    /// Millionths of it that are asked where the request went.
    factor: u32,
}

const ONE: u32 = 1_000_000;

/// How a price is said.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Price<'a> {
    /// A row of the table: rates and their conditions.
    Listed(&'a str),
    /// The user's own word, which holds for all that is served.
    Own(Rates),
}

impl Quote<'_> {
    /// The rates under these terms; `None` if the list does not say.
    pub(crate) fn rates(&self, terms: &Terms) -> Option<Rates> {
        match self.price {
            Price::Listed(spec) => resolve(spec, terms).map(|mut rates| {
                rates.scale(self.factor);
                rates
            }),
            Price::Own(rates) => Some(rates),
        }
    }

    pub(crate) fn is_own(&self) -> bool {
        matches!(self.price, Price::Own(_))
    }
}

impl Prices {
    /// Reads the `prices` of the configuration: `{"NAME": {"input": 3, "output": 15}}`, dollars per
    /// million tokens. `cache_read` and `cache_write` are the input's unless they are said.
    pub(crate) fn parse(json: &str) -> Result<Prices, String> {
        own::parse(json).map(|own| Prices { own, ..Prices::default() })
    }

    /// The same own prices over another list.
    pub(crate) fn over(self, list: List) -> Prices {
        Prices { list: list::InForce::of(list), ..self }
    }

    /// The list that is in force in front of the built-in one.
    pub(crate) fn list(&self) -> Option<&List> {
        self.list.list()
    }

    /// What a model costs at a provider: the longest name, the user's before the table's.
    pub(crate) fn quote(&self, model: &str, provider: &str) -> Option<Quote<'_>> {
        let asked = model;
        let model = plain_name(asked);
        let listed = candidates(&model).find_map(|name| self.list.table().find(name, provider));
        let listed = listed.map(|row| Quote {
            factor: region::factor(provider, asked, row.name).unwrap_or(ONE),
            ..listed_quote(row)
        });
        let own = self.own.iter().filter(|(name, _)| own::covers(name, &model)).map(own_quote);
        listed.into_iter().chain(own).max_by_key(|quote| (quote.name.len(), quote.is_own()))
    }

    /// What a request is priced by: what answered, where that has a price (routers, deployments and
    /// fallbacks serve another model than was asked for), unless the user's own word is on what was asked.
    pub(crate) fn quote_of(
        &self,
        asked: &str,
        served: Option<&str>,
        provider: &str,
    ) -> Option<Quote<'_>> {
        let asked = self.quote(asked, provider);
        if asked.is_some_and(|quote| quote.is_own()) {
            return asked;
        }
        served.and_then(|name| self.quote(name, provider)).or(asked)
    }

    /// Every price, the table's first.
    pub(crate) fn all(&self) -> impl Iterator<Item = Quote<'_>> {
        let listed = self.list.table().rows().map(listed_quote);
        listed.chain(self.own.iter().map(own_quote))
    }
}

/// Reads a price list: ours, or LiteLLM's map; `ts` is the present, in Unix seconds.
///
/// # Errors
///
/// What is wrong with it, for a line behind its name.
pub(crate) fn read_list(bytes: &[u8], ts: i64) -> Result<List, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "not a text".to_owned())?;
    let text = text.trim_start_matches('\u{feff}').trim_start();
    match text.bytes().next() {
        None => Err("empty".to_owned()),
        Some(b'<') => Err("a web page, and no price list".to_owned()),
        Some(b'{') => {
            let map = serde_json::from_str(text).map_err(|error| {
                let (line, column) = (error.line(), error.column());
                format!("no JSON from line {line}, column {column} on: is it whole?")
            })?;
            litellm::list(&map, ts)
        }
        Some(_) => match List::parse(text)? {
            list if list.is_empty() => Err("no prices in it".to_owned()),
            list => list.plausible(),
        },
    }
}

fn listed_quote(row: table::Row<'_>) -> Quote<'_> {
    Quote { name: row.name, host: row.host, price: Price::Listed(row.spec), factor: ONE }
}

fn own_quote((name, rates): &(String, Rates)) -> Quote<'_> {
    Quote { name, host: "", price: Price::Own(*rates), factor: ONE }
}

#[cfg(test)]
mod map_tests;

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
        check("claude-opus-5-5[1m]", Some("claude-opus-5-5"));
        check("gemini-2.5-flash-lite-preview-06-17", Some("gemini-2.5-flash-lite"));
        check("gpt-4o-2024-05-13", Some("gpt-4o-2024-05-13"));
        check("gpt-4o-mini-2024-07-18", Some("gpt-4o-mini"));
        check("gpt-5-codex", Some("gpt-5-codex"));
        check("claude-opus-5-9", None);
        check("gpt-4oh", None);
        check("local-llama", None);
        check("ft:gpt-4o:acme::1", Some("ft:gpt-4o"));
        check("", None);

        #[track_caller]
        fn check(model: &str, want: Option<&str>) {
            let prices = Prices::default();
            assert_eq!(prices.quote(model, "openai").map(|quote| quote.name), want, "{model}");
        }
    }

    #[test]
    fn words_that_make_another_model_are_not_priced_as_their_base() {
        let prices = Prices::default();
        for quote in prices.all().map(|quote| quote.name) {
            for word in [
                "image",
                "tts",
                "realtime",
                "audio",
                "fast",
                "deep-research",
                "search-api",
                "pro-max",
            ] {
                let other = format!("{quote}-{word}");
                let found = prices.quote(&other, "openai").map(|found| found.name);
                assert!(found.is_none_or(|name| name == other), "{other}: {found:?}");
            }
        }
    }
}
