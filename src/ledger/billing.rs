//! What a request's money is made from, at its end and whenever a price arrives later.
//!
//! A row keeps all of it: most in columns of their own, the rest, which few requests have, as JSON.

use serde::{Deserialize, Serialize};

use crate::prices::{self, Money, Prices, SavedTokens};
use crate::wire::Usage;
use crate::wire::answer::Turn;

/// Who asked whom for what, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) provider: &'a str,
    /// As it was asked for, and what answered where that has another name.
    pub(crate) model: Option<&'a str>,
    pub(crate) served: Option<&'a str>,
    /// Unix seconds.
    pub(crate) ts: i64,
}

/// What the price depends on that has no column of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Rest {
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) saved: SavedTokens,
    /// Only what has no column.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) usage: Usage,
    /// What other models did within the answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) turns: Vec<Turn>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Rest {
    pub(crate) fn of(usage: &Usage, saved: SavedTokens, turns: Vec<Turn>) -> Rest {
        let usage = Usage {
            cache_write_12h: usage.cache_write_12h,
            audio_input: usage.audio_input,
            audio_output: usage.audio_output,
            image_output: usage.image_output,
            searches: usage.searches,
            ..Usage::default()
        };
        let saved = if saved.is_none() { SavedTokens::default() } else { saved };
        Rest { saved, usage, turns }
    }

    /// The column, which most rows leave empty.
    pub(super) fn text(&self) -> Option<String> {
        (*self != Rest::default()).then(|| serde_json::to_string(self).ok())?
    }

    pub(super) fn read(text: &str) -> Rest {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// The usage of a row, whose columns are `known`.
    pub(super) fn whole(&self, known: Usage) -> Usage {
        Usage {
            cache_write_12h: self.usage.cache_write_12h,
            audio_input: self.usage.audio_input,
            audio_output: self.usage.audio_output,
            image_output: self.usage.image_output,
            searches: self.usage.searches,
            ..known
        }
    }
}

/// What the request costs and saves if that is what is billed. The one place where money comes from.
/// Of a sum with an unknown part nothing is known.
pub(crate) fn price(
    prices: &Prices,
    asked: Asked<'_>,
    usage: &Usage,
    rest: &Rest,
) -> Option<Money> {
    let Asked { provider, model, served, ts } = asked;
    // What answered is the model itself where none was asked for: without it there is none at all.
    let model = model?;
    let quote = prices.quote_of(model, served, provider);
    let money = prices::money(quote, ts, usage, &rest.saved)?;
    rest.turns.iter().try_fold(money, |sum, turn| {
        let quote = prices.quote(turn.model.as_deref().unwrap_or(model), provider);
        let part = prices::money(quote, ts, &turn.usage, &SavedTokens::default())?;
        Some(sum.plus(part))
    })
}
