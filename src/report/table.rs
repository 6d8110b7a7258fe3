//! A grouped report as text: at most 79 columns of ASCII.

use super::calendar::Unit;
use super::group::{Key, Table};
use super::text::{
    COLUMNS_MAX, LEAST_SHOWN_NANO, dollars, fitting, grouped, money_fitting, name, percent,
    unpriced_lines,
};
use crate::ledger::Sums;

/// The column of a single name: what is left beside the numbers.
const NAME_WIDTH: usize = 19;

/// A column of numbers, the space before it included in its width.
struct Column {
    head: &'static str,
    width: usize,
    show: fn(&Sums, usize) -> String,
}

const REQUESTS: Column =
    Column { head: "requests", width: 9, show: |sums, width| fitting(sums.requests, width) };
const ERRORS: Column =
    Column { head: "errors", width: 7, show: |sums, width| fitting(sums.errors, width) };
const BEFORE: Column =
    Column { head: "before", width: 12, show: |sums, width| known(sums.tokens_before, width) };
const AFTER: Column =
    Column { head: "after", width: 12, show: |sums, width| known(sums.tokens_after, width) };
const SAVED: Column = Column {
    head: "saved",
    width: 7,
    show: |sums, _| {
        let both = sums.tokens_saved().zip(sums.tokens_before);
        both.map_or("-".into(), |(saved, before)| percent(saved, before))
    },
};
const OUTPUT: Column =
    Column { head: "output", width: 10, show: |sums, width| known(sums.output_tokens, width) };
const COST: Column = Column {
    head: "cost",
    width: 9,
    show: |sums, width| sums.cost_nano.map_or("-".into(), |nano| money_fitting(nano, width)),
};

/// The more is told by names, the less room is there for numbers.
fn columns(keys: &[Key]) -> &'static [Column] {
    match keys {
        [] | [Key::Time(Unit::Day | Unit::Week | Unit::Month)] => {
            &[REQUESTS, ERRORS, BEFORE, AFTER, SAVED, OUTPUT, COST]
        }
        [Key::Time(Unit::Hour)] => &[REQUESTS, ERRORS, BEFORE, AFTER, SAVED, COST],
        [Key::Name(_)] => &[REQUESTS, BEFORE, AFTER, SAVED, OUTPUT, COST],
        [_, _] => &[REQUESTS, BEFORE, AFTER, SAVED, COST],
        [_, _, _] => &[REQUESTS, BEFORE, SAVED, COST],
        _ => &[REQUESTS, COST],
    }
}

/// The report; `alerts` stand in place of the title, which they repeat.
pub(crate) fn table(table: &Table, alerts: &[String]) -> String {
    let mut text = match alerts {
        [] => title(table) + "\n\n",
        alerts => alerts.join("\n") + "\n\n",
    };
    let columns = columns(&table.keys);
    let (widths, rule) = layout(table, columns);
    let heads: Vec<&str> = table.keys.iter().map(|key| key.column()).collect();
    text.push_str(&line(&heads, &widths, columns.iter().map(|m| (m, m.head.to_owned()))));
    text.push_str(&rule);
    for row in &table.rows {
        let labels: Vec<&str> =
            row.labels.iter().map(|label| label.as_deref().unwrap_or("-")).collect();
        text.push_str(&line(&labels, &widths, numbers(columns, &row.sums)));
    }
    text.push_str(&rule);
    let keys_width = widths.iter().sum::<usize>() + widths.len().saturating_sub(1);
    text.push_str(&line(&["total"], &[keys_width], numbers(columns, &table.total)));
    if matches!(table.keys.first(), Some(Key::Time(_))) {
        text.push_str(&saved_line(&table.total));
    }
    if !table.unpriced.is_empty() {
        text.push('\n');
        text.push_str(&unpriced_lines(&table.unpriced));
    }
    text
}

fn title(table: &Table) -> String {
    let names = table.keys.iter().filter(|key| key.as_column().is_some());
    let names: Vec<&str> = names.map(|key| key.word()).collect();
    match names.as_slice() {
        [] => format!("TokenPak usage, {}", table.title),
        names => {
            let by = format!("TokenPak usage by {},", names.join(", "));
            let fits = by.len() + 1 + table.title.len() <= COLUMNS_MAX;
            format!("{by}{}{}", if fits { ' ' } else { '\n' }, table.title)
        }
    }
}

/// The report without any requests.
pub(crate) fn nothing(table: &Table) -> String {
    let (first, last) = &table.days;
    format!("no requests from {first} to {last} ({})\n", table.zone)
}

/// `saved: 2,331,330 tokens, estimated $6.09 of $24.87 (25%)`
fn saved_line(total: &Sums) -> String {
    let Some(tokens) = total.tokens_saved() else { return String::new() };
    let mut text = format!("\nsaved: {} tokens", fitting(tokens, 14));
    if let (Some(saved), Some(cost)) = (total.saved_nano, total.cost_nano) {
        let whole = cost.saturating_add(saved);
        text.push_str(&format!(
            ", estimated {} of {} ({})",
            money_fitting(saved, 12),
            money_fitting(whole, 12),
            percent(saved, whole)
        ));
    }
    text + "\n"
}

/// Widths of the keys' columns, and the line under the heads.
fn layout(table: &Table, columns: &[Column]) -> (Vec<usize>, String) {
    let numbers: usize = columns.iter().map(|column| column.width).sum();
    let widths = match table.keys.as_slice() {
        [Key::Name(_)] => vec![NAME_WIDTH],
        keys => shrunk(natural(table), keys, COLUMNS_MAX - numbers),
    };
    let keys_width = widths.iter().sum::<usize>() + widths.len().saturating_sub(1);
    (widths, "-".repeat(keys_width + numbers) + "\n")
}

fn natural(table: &Table) -> Vec<usize> {
    let width = |(place, key): (usize, &Key)| {
        let labels = table.rows.iter().filter_map(|row| row.labels[place].as_deref());
        // Every character takes one column, since it is printed as ASCII.
        labels.map(|label| label.chars().count()).max().unwrap_or(1).max(key.column().len())
    };
    table.keys.iter().enumerate().map(width).collect()
}

/// Takes from the widest names until all fit. Times are never cut.
fn shrunk(mut widths: Vec<usize>, keys: &[Key], room: usize) -> Vec<usize> {
    while widths.iter().sum::<usize>() + widths.len() - 1 > room {
        let names = widths.iter_mut().zip(keys).filter(|(_, key)| matches!(key, Key::Name(_)));
        match names.map(|(width, _)| width).max() {
            Some(width) if *width > 1 => *width -= 1,
            _ => break,
        }
    }
    widths
}

fn numbers<'a>(
    columns: &'a [Column],
    sums: &'a Sums,
) -> impl Iterator<Item = (&'a Column, String)> {
    columns.iter().map(|column| (column, (column.show)(sums, column.width - 1)))
}

fn line<'a>(
    labels: &[&str],
    widths: &[usize],
    values: impl Iterator<Item = (&'a Column, String)>,
) -> String {
    let labels = labels.iter().zip(widths);
    let labels: Vec<String> =
        labels.map(|(label, width)| format!("{:width$}", name(label, *width))).collect();
    let mut line = labels.join(" ");
    for (column, value) in values {
        line.push_str(&format!(" {value:>width$}", width = column.width - 1));
    }
    line.truncate(line.trim_end().len());
    line.push('\n');
    line
}

fn known(number: Option<i64>, width: usize) -> String {
    number.map_or("-".into(), |number| fitting(number, width))
}

/// The columns of numbers for forms that have room for all: their heads, and a row of them.
pub(super) fn number_columns() -> (Vec<String>, impl Fn(&Sums) -> Vec<String>) {
    const ALL: &[Column] = &[REQUESTS, ERRORS, BEFORE, AFTER, SAVED, OUTPUT, COST];
    let heads = ALL.iter().map(|column| column.head.to_owned()).collect();
    let row = |sums: &Sums| ALL.iter().map(|column| (column.show)(sums, 13)).collect();
    (heads, row)
}

/// `26 req, 188,410->121,004 tok, saved 36%, $0.46, -$0.18`; what is not known is said in words, or
/// left out.
pub(crate) fn oneline(sums: &Sums) -> String {
    let mut parts = vec![format!("{} req", grouped(sums.requests))];
    match (sums.tokens_before, sums.tokens_after, sums.tokens_saved()) {
        (Some(before), Some(after), Some(saved)) => {
            parts.push(format!("{}->{} tok", grouped(before), grouped(after)));
            parts.push(format!("saved {}", percent(saved, before)));
        }
        _ => parts.push("tokens unknown".to_owned()),
    }
    parts.push(sums.cost_nano.map_or("cost unknown".to_owned(), dollars));
    // What was saved is money that was not spent. Of less than can be shown nothing is said.
    let saved = sums.saved_nano.filter(|nano| nano.unsigned_abs() >= LEAST_SHOWN_NANO);
    parts.extend(saved.map(|nano| match nano {
        0.. => format!("-{}", dollars(nano)),
        loss => format!("+{}", dollars(-loss)),
    }));
    parts.join(", ") + "\n"
}
