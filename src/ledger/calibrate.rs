//! What one of our counted tokens is in billed ones, learnt per model.
//!
//! Only OpenAI's newer models use the tokenizer that we count with, and what providers put around
//! a prompt is theirs to know. So each complete answer to a prompt of nothing but text teaches the
//! model's ratio: two sums, of billed and of counted tokens, of which a 72nd part fades with every
//! request (half of it in 50). The ratio converts the tokens that were saved, which nobody billed;
//! what was billed is never estimated.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension, Row, Transaction};

use super::Entry;
use crate::name::cut;
use crate::prices::plain_name;

/// Of each sum this part fades with a request.
const FADE: u64 = 72;

/// A ratio is used once it rests on so many requests, and so many counted tokens that have not faded.
const REQUESTS_MIN: u64 = 5;
const COUNTED_MIN: u64 = 20_000;

/// Names come from clients; no more of them than this are learnt.
const MODELS_MAX: usize = 1000;

/// `billed` tokens of the provider are `counted` tokens of ours; neither is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ratio {
    pub(crate) billed: u64,
    pub(crate) counted: u64,
}

impl Ratio {
    /// From a factor in hundredths.
    pub(crate) fn of_hundredths(factor: u64) -> Ratio {
        Ratio { billed: factor, counted: 100 }
    }

    /// Between a half and three: what is beyond counts something else than text.
    fn bounded(self) -> Ratio {
        match self {
            Ratio { billed, counted } if billed > counted.saturating_mul(3) => {
                Ratio { billed: 3, counted: 1 }
            }
            Ratio { billed, counted } if billed < counted.div_ceil(2) => {
                Ratio { billed: 1, counted: 2 }
            }
            ratio => ratio,
        }
    }
}

/// What has been learnt about a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Learned {
    pub(crate) requests: u64,
    /// Faded sums of tokens.
    pub(crate) billed: u64,
    pub(crate) counted: u64,
}

impl Learned {
    /// One more request.
    fn add(&mut self, billed: u64, counted: u64) {
        self.requests += 1;
        self.billed = self.billed - self.billed / FADE + billed;
        self.counted = self.counted - self.counted / FADE + counted;
    }

    /// `None` as long as it rests on too little.
    pub(crate) fn ratio(self) -> Option<Ratio> {
        let enough = self.requests >= REQUESTS_MIN && self.counted >= COUNTED_MIN;
        enough.then(|| Ratio { billed: self.billed, counted: self.counted }.bounded())
    }
}

/// What the workers read and the writer changes. The database has the truth: other proxies may
/// write to the same one.
#[derive(Default)]
pub(super) struct Calibration(Mutex<HashMap<String, Learned>>);

impl Calibration {
    /// The model's ratio, if enough is known.
    pub(super) fn ratio(&self, model: &str) -> Option<Ratio> {
        self.models().get(&*key(model)).copied().and_then(Learned::ratio)
    }

    /// Takes over what the database says.
    pub(super) fn load(&self, connection: &Connection) -> rusqlite::Result<()> {
        let mut statement = connection.prepare("SELECT * FROM calibration LIMIT ?")?;
        let rows = statement.query_map([MODELS_MAX as i64], learnt)?;
        *self.models() = rows.collect::<rusqlite::Result<_>>()?;
        Ok(())
    }

    /// Teaches the database what entries show, in the transaction of their rows. What it then knows
    /// is for `keep`, after the commit.
    pub(super) fn learn(
        &self,
        change: &Transaction<'_>,
        entries: &[&Entry],
    ) -> rusqlite::Result<HashMap<String, Learned>> {
        let known = self.models().len();
        let mut learnt: HashMap<String, Learned> = HashMap::new();
        for (model, billed, counted) in entries.iter().filter_map(|entry| lesson(entry)) {
            if let Some(learnt) = learnt.get_mut(&*model) {
                learnt.add(billed, counted);
                continue;
            }
            let full = known + learnt.len() >= MODELS_MAX;
            if full && !self.models().contains_key(&*model) {
                continue;
            }
            // The database has the truth.
            let mut so_far = of_key(change, &model)?.unwrap_or_default();
            so_far.add(billed, counted);
            learnt.insert(model.into_owned(), so_far);
        }
        let mut statement = change.prepare_cached(KEEP)?;
        for (model, Learned { requests, billed, counted }) in &learnt {
            let [requests, billed, counted] = [requests, billed, counted].map(|sum| *sum as i64);
            statement.execute(rusqlite::params![model, requests, billed, counted])?;
        }
        drop(statement);
        Ok(learnt)
    }

    pub(super) fn keep(&self, (model, learnt): (String, Learned)) {
        self.models().insert(model, learnt);
    }

    fn models(&self) -> MutexGuard<'_, HashMap<String, Learned>> {
        // A map of numbers is whole whatever its last user was at.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const KEEP: &str = "INSERT OR REPLACE INTO calibration
    (model, requests, billed_tokens, counted_tokens) VALUES (?, ?, ?, ?)";

fn learnt(row: &Row<'_>) -> rusqlite::Result<(String, Learned)> {
    let count = |name| row.get::<_, i64>(name).map(|count| count.unsigned_abs());
    let learnt = Learned {
        requests: count("requests")?,
        billed: count("billed_tokens")?,
        counted: count("counted_tokens")?,
    };
    Ok((row.get("model")?, learnt))
}

/// What is known of a model in an open database.
pub(super) fn of_model(connection: &Connection, model: &str) -> rusqlite::Result<Option<Learned>> {
    of_key(connection, &key(model))
}

fn of_key(connection: &Connection, key: &str) -> rusqlite::Result<Option<Learned>> {
    let sql = "SELECT * FROM calibration WHERE model = ?";
    let row = connection.prepare_cached(sql)?.query_row([key], learnt).optional()?;
    Ok(row.map(|(_, learnt)| learnt))
}

/// The model, the billed and the counted tokens of an entry that teaches something.
fn lesson(entry: &Entry) -> Option<(Cow<'_, str>, u64, u64)> {
    /// More is nonsense, and would stay in the sums for long.
    const TOKENS_MAX: u64 = 1 << 30;
    let whole = entry.status == Some(200) && entry.error.is_none();
    let model = entry.model.as_deref().filter(|_| whole && entry.is_text_only)?;
    let (billed, counted) = (entry.usage?.input?, entry.tokens_after?);
    let sane = |tokens: u64| (1..=TOKENS_MAX).contains(&tokens);
    (sane(billed) && sane(counted)).then(|| (key(model), billed, counted))
}

/// The model without its date: `claude-sonnet-4-5-20250929` teaches `claude-sonnet-4-5`.
fn key(model: &str) -> Cow<'_, str> {
    let name = plain_name(model);
    let end = (0..name.len()).find(|at| is_date(&name.as_bytes()[*at..])).unwrap_or(name.len());
    let end = cut(&name[..end]).len();
    match name {
        Cow::Borrowed(name) => name[..end].into(),
        Cow::Owned(mut name) => {
            name.truncate(end);
            name.into()
        }
    }
}

/// Whether the text begins with a separator and a date, `-20250929`, `@20250929` or `-2024-08-06`.
fn is_date(text: &[u8]) -> bool {
    let Some((b'-' | b'@', rest)) = text.split_first() else { return false };
    let of = |shape: &[u8]| {
        let fits = |(byte, want): (&u8, &u8)| match want {
            b'0' => byte.is_ascii_digit(),
            other => byte == other,
        };
        rest.len() >= shape.len()
            && rest.iter().zip(shape).all(fits)
            && !rest.get(shape.len()).is_some_and(u8::is_ascii_digit)
    };
    of(b"00000000") || of(b"0000-00-00")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_learnt_without_their_date() {
        for (model, want) in [
            ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
            ("claude-haiku-4-5@20251001", "claude-haiku-4-5"),
            ("GPT-4o-2024-08-06", "gpt-4o"),
            ("gpt-4o", "gpt-4o"),
            ("codestral-2508", "codestral-2508"),
            ("model-123456789", "model-123456789"),
            ("é", "é"),
            ("", ""),
        ] {
            assert_eq!(key(model), want);
        }
    }

    #[test]
    fn ratio_needs_requests_and_tokens_and_has_bounds() {
        check((4, 50_000, 40_000), None);
        check((5, 25_000, 19_999), None);
        check((5, 25_000, 20_000), Some((25_000, 20_000)));
        check((9, 60_001, 20_000), Some((3, 1)));
        check((9, 60_000, 20_000), Some((60_000, 20_000)));
        check((9, 10_000, 20_000), Some((10_000, 20_000)));
        check((9, 9_999, 20_000), Some((1, 2)));

        #[track_caller]
        fn check((requests, billed, counted): (u64, u64, u64), want: Option<(u64, u64)>) {
            let want = want.map(|(billed, counted)| Ratio { billed, counted });
            assert_eq!(Learned { requests, billed, counted }.ratio(), want);
        }
    }
}
