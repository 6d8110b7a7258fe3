//! Limits that a report may be over: for cron, whose mail is sent only if something is printed.

use serde_json::{Value, json};

use super::group::Unpriced;
use super::text::{dollars, grouped, numbered};
use crate::ledger::Sums;
use crate::number::usd;

/// What `--alert-cost`, `--alert-errors` and `--alert-unpriced` ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Limits {
    /// Nano-dollars.
    pub(crate) cost_nano: Option<i64>,
    /// Percent of the requests.
    pub(crate) errors_percent: Option<f64>,
    /// No spending may be without a price: a limit on the cost would not see it.
    pub(crate) no_unpriced: bool,
}

/// A limit that was passed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Alert {
    Cost {
        cost_nano: i64,
        limit_nano: i64,
    },
    Errors {
        errors: i64,
        requests: i64,
        limit_percent: f64,
    },
    /// The model of most of them, empty if it is not named.
    Unpriced {
        model: String,
        requests: i64,
    },
}

impl Limits {
    /// The limits that these requests are over; `unpriced` are those of them that have no price.
    pub(crate) fn passed(&self, sums: &Sums, unpriced: &[Unpriced]) -> Vec<Alert> {
        let cost = self.cost_nano.zip(sums.cost_nano).filter(|(limit, cost)| cost > limit);
        let errors =
            self.errors_percent.filter(|limit| percent(sums.errors, sums.requests) > *limit);
        let cost = cost.map(|(limit_nano, cost_nano)| Alert::Cost { cost_nano, limit_nano });
        let errors = errors.map(|limit_percent| Alert::Errors {
            errors: sums.errors,
            requests: sums.requests,
            limit_percent,
        });
        let most = unpriced.iter().find_map(|row| row.model.clone());
        let unpriced = most.filter(|_| self.no_unpriced && sums.no_price > 0);
        let unpriced = unpriced.map(|model| Alert::Unpriced { model, requests: sums.no_price });
        cost.into_iter().chain(errors).chain(unpriced).collect()
    }
}

fn percent(errors: i64, requests: i64) -> f64 {
    if requests == 0 { 0.0 } else { errors as f64 * 100.0 / requests as f64 }
}

impl Alert {
    /// One line, fit to be a mail's subject. `range` is what the report is about.
    pub(crate) fn line(&self, range: &str) -> String {
        match self {
            Alert::Cost { cost_nano, limit_nano } => format!(
                "ALERT cost {} is over the limit of {} by {} {range}",
                dollars(*cost_nano),
                dollars(*limit_nano),
                dollars(cost_nano - limit_nano)
            ),
            Alert::Errors { errors, requests, limit_percent } => format!(
                "ALERT errors {:.1}% are over the limit of {limit_percent}%, {} of {} {range}",
                percent(*errors, *requests),
                grouped(*errors),
                grouped(*requests)
            ),
            Alert::Unpriced { model, requests } => {
                let most = if model.is_empty() { "no named model" } else { model };
                format!(
                    "ALERT {} without a known price, most of {}; set it: tokenpak config set \
                     prices '{{...}}' {range}",
                    numbered(*requests, usize::MAX),
                    crate::name::clean(most)
                )
            }
        }
    }

    pub(super) fn json(&self) -> Value {
        match self {
            Alert::Cost { cost_nano, limit_nano } => json!({
                "alert": "cost",
                "cost_usd": usd(*cost_nano),
                "limit_usd": usd(*limit_nano),
            }),
            Alert::Errors { errors, requests, limit_percent } => json!({
                "alert": "errors",
                "errors": errors,
                "requests": requests,
                "limit_percent": limit_percent,
            }),
            Alert::Unpriced { model, requests } => json!({
                "alert": "unpriced",
                "model": Some(model).filter(|model| !model.is_empty()),
                "requests": requests,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_passed_from_above_only() {
        let dollar = 1_000_000_000;
        let sums =
            Sums { requests: 98, errors: 3, cost_nano: Some(6_110_000_000), ..Sums::default() };
        let lines = |cost: Option<i64>, errors_percent| {
            let limits = Limits { cost_nano: cost, errors_percent, no_unpriced: false };
            let alerts = limits.passed(&sums, &[]);
            alerts.iter().map(|alert| alert.line("(2026-11-20, CET)")).collect::<Vec<_>>()
        };
        assert_eq!(
            lines(Some(5 * dollar), Some(2.0)),
            [
                "ALERT cost $6.11 is over the limit of $5.00 by $1.11 (2026-11-20, CET)",
                "ALERT errors 3.1% are over the limit of 2%, 3 of 98 (2026-11-20, CET)",
            ]
        );
        assert_eq!(lines(Some(6_110_000_000), Some(3.1)), [""; 0]);
        let none = Limits { cost_nano: Some(0), errors_percent: Some(0.0), no_unpriced: true };
        assert_eq!(none.passed(&Sums::default().or_zero(), &[]), []);
        assert_eq!(none.passed(&Sums { requests: 1, ..Sums::default() }, &[]), []);
    }
}
