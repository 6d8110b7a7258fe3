//! Reports for programs: one JSON object on one line, or CSV. Raw numbers; unknown is `null` or
//! empty, never zero.

use serde_json::{Map, Value, json};

use super::alert::Alert;
use super::group::{Row, Table, Unpriced};
use super::overview::{Overview, Window};
use crate::ledger::{Figure, Sums, all_figures};
use crate::name::clean;
use crate::number::usd;
use crate::prices;

/// Version of the JSON objects' shape. Fields are only added within one.
const SCHEMA: u32 = 1;

const TOOL: &str = concat!("tokenpak ", env!("CARGO_PKG_VERSION"));

fn value(figure: &Figure, sums: &Sums) -> Value {
    let number = (figure.value)(sums);
    if figure.is_money { number.map(usd).into() } else { number.into() }
}

/// The default report.
pub(crate) fn overview_json(overview: &Overview, alerts: &[Alert]) -> String {
    let windows = overview.windows.iter().zip(&overview.bounds);
    let object = json!({
        "schema": SCHEMA,
        "tool": TOOL,
        "host": overview.host,
        "at": overview.at,
        "timezone": overview.zone,
        "prices_as_of": prices::as_of(),
        "windows": windows.map(|(window, bounds)| window_json(window, bounds)).collect::<Vec<_>>(),
        "unpriced": overview.unpriced.iter().map(unpriced_json).collect::<Vec<_>>(),
        "alerts": alerts.iter().map(Alert::json).collect::<Vec<_>>(),
    });
    format!("{object}\n")
}

fn window_json(window: &Window, (since, until): &(Option<String>, String)) -> Value {
    let mut object = Map::new();
    object.insert("window".into(), window.name.into());
    object.insert("since".into(), since.clone().into());
    object.insert("until".into(), until.clone().into());
    put_sums(&mut object, &window.sums);
    object.insert("added_latency_p50_us".into(), window.latency.percentile(50).into());
    object.insert("added_latency_p95_us".into(), window.latency.percentile(95).into());
    object.into()
}

fn put_sums(object: &mut Map<String, Value>, sums: &Sums) {
    for figure in all_figures() {
        object.insert(figure.name.into(), value(&figure, sums));
    }
    object.insert("unpriced_requests".into(), sums.unpriced().into());
}

fn unpriced_json(unpriced: &Unpriced) -> Value {
    let missing = if unpriced.model.is_some() { "price" } else { "usage" };
    let model = unpriced.model.as_deref().filter(|model| !model.is_empty());
    json!({ "missing": missing, "model": model, "requests": unpriced.requests })
}

/// A grouped report.
pub(crate) fn table_json(table: &Table, alerts: &[Alert]) -> String {
    let total = {
        let mut object = Map::new();
        put_sums(&mut object, &table.total);
        object
    };
    let object = json!({
        "schema": SCHEMA,
        "tool": TOOL,
        "since": table.since,
        "until": table.until,
        "timezone": table.zone,
        "group_by": table.keys.iter().map(|key| key.word()).collect::<Vec<_>>(),
        "prices_as_of": prices::as_of(),
        "rows": table.rows.iter().map(|row| row_json(table, row)).collect::<Vec<_>>(),
        "total": total,
        "unpriced": table.unpriced.iter().map(unpriced_json).collect::<Vec<_>>(),
        "alerts": alerts.iter().map(Alert::json).collect::<Vec<_>>(),
    });
    format!("{object}\n")
}

fn row_json(table: &Table, row: &Row) -> Value {
    let mut object = Map::new();
    for (key, label) in table.keys.iter().zip(&row.labels) {
        // A status is a number.
        let is_status = key.word() == "status";
        let number = label.as_deref().filter(|_| is_status).and_then(|text| text.parse().ok());
        let text = || label.clone().map_or(Value::Null, Value::String);
        object.insert(key.column().into(), number.map_or_else(text, |n: i64| n.into()));
    }
    put_sums(&mut object, &row.sums);
    object.into()
}

/// A grouped report: a line of column names, then the rows; no total.
pub(crate) fn table_csv(table: &Table) -> String {
    let mut text = head(table.keys.iter().map(|key| key.column()));
    for row in &table.rows {
        let labels = row.labels.iter().map(|label| label.as_deref().unwrap_or_default());
        text.push_str(&record(labels, &row.sums));
    }
    text
}

/// The default report: a row for each window.
pub(crate) fn overview_csv(overview: &Overview) -> String {
    let mut text = head(["window"].into_iter());
    for window in &overview.windows {
        text.push_str(&record([window.name].into_iter(), &window.sums));
    }
    text
}

fn head<'a>(keys: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = keys.chain(all_figures().iter().map(|figure| figure.name)).collect();
    names.join(",") + "\n"
}

fn record<'a>(labels: impl Iterator<Item = &'a str>, sums: &Sums) -> String {
    let values = all_figures().into_iter().map(|figure| match value(&figure, sums) {
        Value::Null => String::new(),
        value => value.to_string(),
    });
    let cells: Vec<String> = labels.map(quoted).chain(values).collect();
    cells.join(",") + "\n"
}

/// What a spreadsheet begins a formula with, in wide characters too.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

/// RFC 4180, a name on one line. A name from outside that a spreadsheet would take for a formula gets
/// an apostrophe, as spreadsheets do it themselves.
fn quoted(cell: &str) -> String {
    let mut text = clean(cell).into_owned();
    if text.trim_start().starts_with(FORMULA) {
        text.insert(0, '\'');
    }
    // Some take a semicolon for the end of a cell.
    match text.contains([',', '"', ';']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}
