//! The default report: the same numbers over four windows side by side, so that nobody has to ask
//! which one a number belongs to.

use serde_json::{Value, json};

use super::text::{count, dollars, milliseconds, percent, quoted};
use crate::ledger::{Overview, Unpriced, Window};

/// Widths of the labels and of a window's column; wider values widen theirs.
const LABEL_WIDTH: usize = 24;
const COLUMN_WIDTH: usize = 13;

/// Models that are named as having no price; the rest is summed up.
const UNPRICED_NAMED_MAX: usize = 5;

/// Version of the JSON objects' shape. Fields are only added within one.
const JSON_SCHEMA: u32 = 1;

/// A row of the table: its label, and its value in a window.
struct Line {
    label: &'static str,
    value: fn(&Window) -> String,
}

const LINES: &[Line] = &[
    Line { label: "requests", value: |window| count(window.sums.requests) },
    Line { label: "errors", value: |window| count(window.sums.errors) },
    Line { label: "prompt tokens before", value: |window| known(window.sums.tokens_before, count) },
    Line { label: "prompt tokens after", value: |window| known(window.sums.tokens_after, count) },
    Line { label: "  saved", value: |window| share(window.sums.tokens_saved, window.sums.tokens_before) },
    Line { label: "output tokens", value: |window| known(window.sums.output_tokens, count) },
    Line { label: "cache read, of input", value: |window| share(window.sums.cache_read_tokens, window.sums.input_tokens) },
    Line { label: "cost", value: |window| known(window.sums.cost_nano, dollars) },
    Line { label: "saved, estimated", value: |window| known(window.sums.saved_nano, dollars) },
    Line { label: "added latency, p50", value: |window| time(window.p50_us) },
    Line { label: "added latency, p95", value: |window| time(window.p95_us) },
];

/// The report as text, 76 columns wide.
pub(crate) fn table(overview: &Overview, host: &str, zone: &str) -> String {
    // "2026-11-22T21:15:03+01:00" without seconds and offset.
    let at = overview.at.get(..16).unwrap_or(&overview.at).replace('T', " ");
    let host: String = host.chars().filter(char::is_ascii_graphic).collect();
    let mut text = format!("TokenPak usage on {host} at {at} {zone}\n\n");
    let head = overview.windows.iter().map(|window| window.name.to_string());
    text.push_str(&row("", head));
    text.push_str(&"-".repeat(LABEL_WIDTH + COLUMN_WIDTH * overview.windows.len()));
    text.push('\n');
    for line in LINES {
        text.push_str(&row(line.label, overview.windows.iter().map(line.value)));
    }
    if !overview.unpriced.is_empty() {
        text.push('\n');
        text.push_str(&unpriced_lines(&overview.unpriced));
    }
    text
}

fn row(label: &str, values: impl Iterator<Item = String>) -> String {
    let mut line = format!("{label:LABEL_WIDTH$}");
    for value in values {
        line.push_str(&format!(" {value:>width$}", width = COLUMN_WIDTH - 1));
    }
    line.push('\n');
    line
}

/// Money that is not in the report, and why.
fn unpriced_lines(unpriced: &[Unpriced]) -> String {
    let mut text = String::new();
    let (mut named, mut others) = (0, 0);
    for Unpriced { model, requests } in unpriced {
        let number = numbered(*requests);
        match model.as_deref() {
            None => text.push_str(&format!("{number} got no usage with the answer and {} not in the costs.\n", is(*requests))),
            Some(_) if named == UNPRICED_NAMED_MAX => others += requests,
            Some(model) => {
                named += 1;
                let model = if model.is_empty() { "no named model".into() } else { quoted(model) };
                let (have, is) = (if *requests == 1 { "has" } else { "have" }, is(*requests));
                text.push_str(&format!("{number} of {model} {have} no known price and {is} not in the costs.\n"));
            }
        }
    }
    if others > 0 {
        text.push_str(&format!("{} of other models likewise.\n", numbered(others)));
    }
    text
}

fn numbered(requests: i64) -> String {
    format!("{} request{}", count(requests), if requests == 1 { "" } else { "s" })
}

fn is(requests: i64) -> &'static str {
    if requests == 1 { "is" } else { "are" }
}

fn known(number: Option<i64>, show: fn(i64) -> String) -> String {
    number.map_or("-".into(), show)
}

fn share(part: Option<i64>, whole: Option<i64>) -> String {
    part.zip(whole).map_or("-".into(), |(part, whole)| percent(part, whole))
}

fn time(us: Option<i64>) -> String {
    us.map_or("-".into(), milliseconds)
}

/// The report as one JSON object on one line. Unknown is `null`.
pub(crate) fn json(overview: &Overview, host: &str, zone: &str) -> String {
    let object = json!({
        "schema": JSON_SCHEMA,
        "tool": concat!("tokenpak ", env!("CARGO_PKG_VERSION")),
        "host": host,
        "at": overview.at,
        "timezone": zone,
        "windows": overview.windows.iter().map(window_json).collect::<Vec<Value>>(),
        "unpriced": overview.unpriced.iter().map(unpriced_json).collect::<Vec<Value>>(),
        "alerts": [],
    });
    format!("{object}\n")
}

fn window_json(window: &Window) -> Value {
    let sums = &window.sums;
    json!({
        "window": window.name,
        "since": window.since,
        "until": window.until,
        "requests": sums.requests,
        "errors": sums.errors,
        "tokens_before": sums.tokens_before,
        "tokens_after": sums.tokens_after,
        "tokens_saved": sums.tokens_saved,
        "input_tokens": sums.input_tokens,
        "cache_read_tokens": sums.cache_read_tokens,
        "cache_write_tokens": sums.cache_write_tokens,
        "output_tokens": sums.output_tokens,
        "cost_usd": sums.cost_nano.map(usd),
        "saved_usd": sums.saved_nano.map(usd),
        "unpriced_requests": window.unpriced,
        "added_latency_p50_us": window.p50_us,
        "added_latency_p95_us": window.p95_us,
    })
}

fn unpriced_json(unpriced: &Unpriced) -> Value {
    let missing = if unpriced.model.is_some() { "price" } else { "usage" };
    let model = unpriced.model.as_deref().filter(|model| !model.is_empty());
    json!({ "missing": missing, "model": model, "requests": unpriced.requests })
}

/// The division yields the double nearest to the exact value, which prints with its own digits.
fn usd(nano: i64) -> f64 {
    nano as f64 / 1e9
}
