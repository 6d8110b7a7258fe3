//! Prices for requests that are stored already: of those that had none, or of all in a range.
//!
//! What has to change is found out while others write; the change itself is one transaction, of rows and
//! of their sums, so that no report ever sees one without the other.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use super::billing::{Asked, Rest, price};
use super::fault::Fault;
use super::file::LedgerFile;
use super::roll_up::{DAY, QUARTER, update};
use super::sums::Sums;
use crate::prices::{Money, Prices};
use crate::wire::Usage;

/// What has changed, by the model that was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Repriced {
    pub(crate) models: BTreeMap<String, Change>,
    /// Requests that have no price still.
    pub(crate) unpriced: BTreeMap<String, u64>,
}

/// Requests of a model whose cost is another one now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) requests: u64,
    /// In nano-dollars; `None` where none of them had a cost, or has one now.
    pub(crate) before_nano: Option<i64>,
    pub(crate) after_nano: Option<i64>,
}

/// A row with what its price follows from.
struct Stored {
    id: i64,
    ts: i64,
    /// Names as the roll-up has them.
    names: [String; 5],
    status: u16,
    served: Option<String>,
    usage: Usage,
    rest: Rest,
    cost_nano: Option<i64>,
    saved_nano: Option<i64>,
    source: Option<String>,
    /// Tokens were cut, and it was not written down where.
    is_vague: bool,
}

/// Prices rows of a database that is there: those without a price, or with `since` (Unix seconds) all
/// that are as old or younger. What the provider has said itself stays.
pub(crate) fn reprice(path: &Path, prices: &Prices, since: Option<i64>) -> Result<Repriced, Fault> {
    let mut connection = LedgerFile::open_present(path)?;
    run(&mut connection, prices, since).map_err(|err| Fault::new(path, err))
}

fn run(
    connection: &mut Connection,
    prices: &Prices,
    since: Option<i64>,
) -> rusqlite::Result<Repriced> {
    let mut outcome = Repriced::default();
    // Numbers alone, of which memory has room for millions.
    let mut ids = Vec::new();
    for_each(connection, since, |stored| {
        let money = stored.price(prices);
        if money.is_none() {
            *outcome.unpriced.entry(stored.names[1].clone()).or_default() += 1;
        }
        if stored.differs(money) {
            ids.push(stored.id);
        }
    })?;
    if ids.is_empty() {
        return Ok(outcome);
    }
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for id in ids {
        let sql = format!("SELECT {COLUMNS} FROM requests WHERE id = ?");
        // Another may have deleted it, or priced it already.
        let now = change.prepare_cached(&sql)?.query_row([id], stored).optional()?;
        let Some(stored) = now else { continue };
        let money = stored.price(prices);
        if stored.differs(money) {
            write(&change, &stored, money)?;
            outcome.models.entry(stored.names[1].clone()).or_default().add(&stored, money);
        }
    }
    change.commit()?;
    Ok(outcome)
}

impl Change {
    fn add(&mut self, stored: &Stored, money: Option<Money>) {
        let add = |sum: &mut Option<i64>, nano: Option<i64>| {
            *sum = nano.map(|nano| nano.saturating_add(sum.unwrap_or(0))).or(*sum);
        };
        self.requests += 1;
        add(&mut self.before_nano, stored.cost_nano);
        add(&mut self.after_nano, money.map(|money| money.cost_nano));
    }
}

const COLUMNS: &str = "id, ts, provider, model, project, client, mode, status, served_model,
    input_tokens, cache_read_tokens, cache_write_tokens, cache_write_1h_tokens, output_tokens,
    tier, billing, cost_nano, saved_nano, cost_basis, tokens_before > tokens_after";

/// Rows whose price is asked for. Days without an unpriced request are passed over: the roll-up knows
/// them.
fn for_each(
    connection: &Connection,
    since: Option<i64>,
    mut each: impl FnMut(Stored),
) -> rusqlite::Result<()> {
    let billed = "api <> 'other' AND input_tokens NOT NULL AND output_tokens NOT NULL
        AND cost_basis IS NOT 'provider'";
    let sql = match since {
        Some(_) => format!("SELECT {COLUMNS} FROM requests WHERE ts >= ?1 AND {billed}"),
        None => format!(
            "SELECT {COLUMNS} FROM (SELECT DISTINCT start FROM day_parts WHERE no_price > 0) AS days
            JOIN requests ON ts >= days.start AND ts < days.start + {DAY}
            WHERE cost_nano IS NULL AND {billed} AND ?1 IS NULL"
        ),
    };
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([since])?;
    while let Some(row) = rows.next()? {
        each(stored(row)?);
    }
    Ok(())
}

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let name = |at| row.get::<_, Option<String>>(at).map(Option::unwrap_or_default);
    let count = |at| {
        row.get::<_, Option<i64>>(at).map(|count| count.and_then(|count| u64::try_from(count).ok()))
    };
    let known = Usage {
        input: count(9)?,
        cache_read: count(10)?,
        cache_write: count(11)?,
        cache_write_1h: count(12)?,
        output: count(13)?,
        ..Usage::default()
    };
    // Rows of 0.1.0 do not say how they were served; nearly all are standard.
    let terms: Option<String> = row.get(14)?;
    let billing: Option<String> = row.get(15)?;
    let rest = billing.as_deref().map(Rest::read).unwrap_or_default();
    Ok(Stored {
        id: row.get(0)?,
        ts: row.get(1)?,
        names: [name(2)?, name(3)?, name(4)?, name(5)?, name(6)?],
        status: row.get::<_, Option<u16>>(7)?.unwrap_or(0),
        served: row.get(8)?,
        usage: rest.whole(known.with_terms(terms.as_deref().unwrap_or("standard"))),
        cost_nano: row.get(16)?,
        saved_nano: row.get(17)?,
        source: row.get(18)?,
        is_vague: billing.is_none() && row.get::<_, Option<bool>>(19)?.unwrap_or(false),
        rest,
    })
}

impl Stored {
    fn price(&self, prices: &Prices) -> Option<Money> {
        let [provider, model, ..] = &self.names;
        let model = Some(model.as_str()).filter(|model| !model.is_empty());
        let served = self.served.as_deref();
        let asked = Asked { provider, model, served, ts: self.ts };
        price(prices, asked, &self.usage, &self.rest)
    }

    /// What was saved. Of a row that does not say where it was cut, what it says stays.
    fn saved(&self, money: Option<Money>) -> Option<i64> {
        match self.is_vague {
            true => self.saved_nano,
            false => money.map(|money| money.saved_nano),
        }
    }

    fn differs(&self, money: Option<Money>) -> bool {
        self.cost_nano != money.map(|money| money.cost_nano)
            || self.saved_nano != self.saved(money)
            || self.source.as_deref() != money.map(|money| money.source.name())
    }
}

/// Changes a row and its sums.
fn write(change: &Transaction<'_>, stored: &Stored, money: Option<Money>) -> rusqlite::Result<()> {
    let sql = "UPDATE requests SET cost_nano = ?, saved_nano = ?, cost_basis = ? WHERE id = ?";
    let cost = money.map(|money| money.cost_nano);
    let saved = stored.saved(money);
    let source = money.map(|money| money.source.name());
    change.prepare_cached(sql)?.execute(params![cost, saved, source, stored.id])?;
    let more = |new: Option<i64>, old: Option<i64>| {
        (new.is_some() || old.is_some()).then(|| new.unwrap_or(0).saturating_sub(old.unwrap_or(0)))
    };
    let sums = Sums {
        cost_nano: more(cost, stored.cost_nano),
        saved_nano: more(saved, stored.saved_nano),
        no_price: i64::from(cost.is_none()) - i64::from(stored.cost_nano.is_none()),
        ..Sums::default()
    };
    let starts = [QUARTER, DAY].map(|span| stored.ts - stored.ts % span);
    let names = stored.names.each_ref().map(String::as_str);
    update(change, starts, (names, stored.status), &sums)
}

impl Repriced {
    /// Requests that have another cost now.
    pub(crate) fn requests(&self) -> u64 {
        self.models.values().map(|change| change.requests).sum()
    }
}
