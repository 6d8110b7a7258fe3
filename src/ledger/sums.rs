//! What reports add up: counts, tokens and money. One list: the schema's columns, the roll-up, the
//! queries, the views and the columns of JSON and CSV are all made from it, so a new sum is one row.

use super::Entry;

/// One row for each sum: its name as a field and as a column, its type (`Option` where it can be
/// unknown), what one request adds to it, and how reports show it.
macro_rules! sums {
    ($($(#[$doc:meta])* $name:ident: $type:ty, $of:expr, $shown:expr;)*) => {
        /// Totals over some requests. `None` is "nothing known", never zero.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub(crate) struct Sums {
            $($(#[$doc])* pub(crate) $name: $type,)*
        }

        /// The sums in the order of their columns.
        pub(super) const COLUMNS: &[Column] = &[$(Column {
            name: stringify!($name),
            is_nullable: <$type as Part>::IS_NULLABLE,
            shown: $shown,
            value: |sums| sums.$name.into(),
        },)*];

        impl Sums {
            /// What one request adds.
            pub(crate) fn of(entry: &Entry) -> Sums {
                Sums { $($name: { let of: fn(&Entry) -> $type = $of; of(entry) },)* }
            }

            pub(crate) fn add(&mut self, other: &Sums) {
                $(self.$name.add(other.$name);)*
            }

            /// Of no requests everything is known to be zero.
            pub(crate) fn or_zero(self) -> Sums {
                match self.requests {
                    0 => Sums { $($name: <$type as Part>::ZERO,)* },
                    _ => self,
                }
            }

            /// The sums of a row whose columns begin with those of `COLUMNS` at `at`.
            pub(super) fn read(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<Sums> {
                let mut columns = at..;
                Ok(Sums { $($name: row.get(columns.next().unwrap_or(at))?,)* })
            }
        }
    };
}

sums! {
    requests: i64, |_| 1, Shown::Plain;
    /// See tokenpak-db(5), ERRORS.
    errors: i64, |entry| i64::from(entry.is_error()), Shown::Plain;
    /// Our own count of the prompt as received, in tokens.
    tokens_before: Option<i64>, |entry| entry.tokens_before.map(whole), Shown::Plain;
    /// The same as sent.
    tokens_after: Option<i64>, |entry| entry.tokens_after.map(whole), Shown::Plain;
    /// As billed, in tokens, cached ones included.
    input_tokens: Option<i64>, |entry| entry.usage?.input.map(whole), Shown::Plain;
    cache_read_tokens: Option<i64>, |entry| entry.usage?.cache_read.map(whole), Shown::Plain;
    cache_write_tokens: Option<i64>, |entry| entry.usage?.cache_write.map(whole), Shown::Plain;
    output_tokens: Option<i64>, |entry| entry.usage?.output.map(whole), Shown::Plain;
    /// Nano-dollars; requests without a price are not in them.
    cost_nano: Option<i64>, |entry| Some(entry.money?.cost_nano), Shown::Dollars("cost_usd");
    saved_nano: Option<i64>, |entry| Some(entry.money?.saved_nano), Shown::Dollars("saved_usd");
    /// Requests that are not in the costs because the answer brought no usage.
    no_usage: i64, |entry| i64::from(entry.money.is_none() && !entry.lacks_price()), Shown::Apart;
    /// Requests that are not in the costs because the model has no price.
    no_price: i64, |entry| i64::from(entry.lacks_price()), Shown::Apart;
}

/// A column of sums in the roll-up's tables.
pub(super) struct Column {
    pub(super) name: &'static str,
    /// Whether a sum can be unknown.
    pub(super) is_nullable: bool,
    pub(super) shown: Shown,
    pub(super) value: fn(&Sums) -> Option<i64>,
}

/// How the views of sums, JSON and CSV show a sum.
pub(super) enum Shown {
    /// Under its own name.
    Plain,
    /// Nano-dollars as dollars, under this name.
    Dollars(&'static str),
    /// Not among the others: it says what is missing from them.
    Apart,
}

/// A column of reports for programs.
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    /// The value over a group of rows of the roll-up.
    pub(super) sql: String,
    pub(crate) value: fn(&Sums) -> Option<i64>,
    /// In nano-dollars, to be shown as dollars.
    pub(crate) is_money: bool,
}

/// What the views of sums, JSON and CSV show, in order: the sums, and what is made of two of them.
pub(super) fn figures(columns: &[Column]) -> Vec<Figure> {
    let mut figures = Vec::with_capacity(columns.len());
    for &Column { name, ref shown, value, .. } in columns {
        let sql = format!("sum({name})");
        match *shown {
            Shown::Plain => figures.push(Figure { name, sql, value, is_money: false }),
            Shown::Dollars(name) => {
                figures.push(Figure { name, sql: sql + " / 1e9", value, is_money: true });
            }
            Shown::Apart => {}
        }
        if name == "tokens_after" {
            figures.push(Figure {
                name: "tokens_saved",
                sql: "sum(tokens_before) - sum(tokens_after)".into(),
                value: Sums::tokens_saved,
                is_money: false,
            });
        }
    }
    figures
}

/// The figures of all sums.
pub(crate) fn all_figures() -> Vec<Figure> {
    figures(COLUMNS)
}

impl Sums {
    /// The values in the order of `COLUMNS`.
    pub(super) fn values(&self) -> impl Iterator<Item = Option<i64>> + '_ {
        COLUMNS.iter().map(|column| (column.value)(self))
    }

    pub(crate) fn tokens_saved(&self) -> Option<i64> {
        Some(self.tokens_before? - self.tokens_after?)
    }

    /// Requests that are not in the costs, for whatever reason.
    pub(crate) fn unpriced(&self) -> i64 {
        self.no_usage + self.no_price
    }
}

/// A number that sums are made of.
trait Part: Copy {
    const IS_NULLABLE: bool;
    const ZERO: Self;
    fn add(&mut self, other: Self);
}

impl Part for i64 {
    const IS_NULLABLE: bool = false;
    const ZERO: i64 = 0;

    fn add(&mut self, other: i64) {
        *self += other;
    }
}

/// What is unknown for every part is unknown for the whole.
impl Part for Option<i64> {
    const IS_NULLABLE: bool = true;
    const ZERO: Option<i64> = Some(0);

    fn add(&mut self, other: Option<i64>) {
        if let Some(other) = other {
            *self = Some(self.unwrap_or(0).saturating_add(other));
        }
    }
}

/// SQLite's integers are signed, and a sum that overflows is an error in every report. So one
/// nonsensical count must not get in: it is cut to what no honest one reaches.
pub(super) fn whole(count: u64) -> i64 {
    const COUNT_MAX: i64 = 1 << 40;
    i64::try_from(count).unwrap_or(COUNT_MAX).min(COUNT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_for_all_parts_is_unknown_and_nothing_is_zero() {
        let mut sum = Sums::default();
        assert_eq!(sum.clone().or_zero().cost_nano, Some(0));
        sum.add(&Sums { requests: 1, ..Sums::default() });
        assert_eq!((sum.clone().or_zero().cost_nano, sum.tokens_saved()), (None, None));
        let known = Sums { requests: 1, cost_nano: Some(5), ..Sums::default() };
        sum.add(&known);
        assert_eq!((sum.requests, sum.cost_nano), (2, Some(5)));
    }
}
