//! Reports as one page that needs nothing else: no script, no fonts, no second request. Readable on
//! a phone, in light and dark. A month is at most 12 KB.

use super::group::Table;
use super::overview::{LINES, Overview};
use super::table::number_columns;
use super::text::{grouped, name, unpriced_notes};
use crate::ledger::Sums;

/// What the page shows.
pub(crate) struct Page<'a> {
    pub(crate) overview: &'a Overview,
    /// By day, for the chart.
    pub(crate) days: &'a Table,
    /// By model, or by what was asked for.
    pub(crate) groups: &'a Table,
    pub(crate) alerts: &'a [String],
}

/// Rows of the second table; the rest is summed up.
const ROWS_MAX: usize = 40;
/// Longest name, in characters.
const NAME_MAX: usize = 40;
/// Numbers of this length beside their label mostly fit on a phone.
const NUMBER_WIDTH: usize = 10;

/// Height of the chart in its own units, and the width of a day.
const HEIGHT: i64 = 1000;
const DAY_WIDTH: usize = 10;
/// A chart of few days has room for more, so that a single one is no wall.
const DAYS_MIN: usize = 14;
/// Of more days than this the bars have no gaps: they are a pixel or less.
const DAYS_WITH_GAPS: usize = 120;

const HEAD: &str = r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>TokenPak usage</title>
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="content-security-policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>
:root{--fg:#1b1f24;--soft:#59636e;--bg:#fff;--line:#d5dbe1;--before:#c3d3e6;--after:#2f6fb2}
@media(prefers-color-scheme:dark){:root{--fg:#e4e7ea;--soft:#98a2ac;--bg:#14171a;--line:#333a41;--before:#384d66;--after:#6fa9e6}}
body{font:15px/1.45 system-ui,sans-serif;color:var(--fg);background:var(--bg);max-width:60rem;margin:0 auto;padding:1rem}
h1{font-size:1.3rem;margin:0;overflow-wrap:anywhere}h2{font-size:1rem;margin:2rem 0 .4rem}p{margin:.2rem 0;color:var(--soft)}
.alert{color:var(--fg);border-left:.3rem solid #d4351c;padding-left:.6rem}
div{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.25rem 0 .25rem .8rem;text-align:right;white-space:nowrap;border-bottom:1px solid var(--line);font-weight:400}
th:first-child,td:first-child{padding-left:0;text-align:left}td:first-child{white-space:normal;overflow-wrap:anywhere;min-width:4.4rem}
thead th,tfoot td{color:var(--soft)}tfoot td{color:var(--fg);border:0;font-weight:600}
svg{display:block;width:100%;height:9rem;border-bottom:1px solid var(--line)}
.b{fill:var(--before)}.a{fill:var(--after)}.ends{display:flex;justify-content:space-between}
i{display:inline-block;width:.7em;height:.7em;margin-right:.3em}
@media(max-width:600px){body{font-size:12px;padding:.7rem}th,td{padding-left:.45rem}}
@media(max-width:400px){body{font-size:11px;padding:.6rem}th,td{padding-left:.3rem}}
</style></head><body>
"#;

/// The page.
pub(crate) fn html(page: &Page) -> String {
    let Page { overview, days, groups, alerts } = page;
    let mut out = String::from(HEAD);
    out.push_str(&format!(
        "<h1>TokenPak usage on {}</h1>\n<p>{} {}</p>\n",
        escaped(&name(&overview.host, 80)),
        overview.minute(),
        escaped(&overview.zone)
    ));
    for alert in *alerts {
        out.push_str(&format!("<p class=\"alert\">{}</p>\n", escaped(alert)));
    }
    let heads = overview.windows.iter().map(|window| window.name.to_owned());
    let lines = LINES.iter().map(|line| {
        let value = |window| (line.value)(window, NUMBER_WIDTH);
        let values = overview.windows.iter().map(value).collect();
        (escaped(line.label.trim_start()), values)
    });
    out.push_str(&table(&[String::new()], heads.collect(), lines.collect(), None));
    for note in unpriced_notes(&overview.unpriced) {
        out.push_str(&format!("<p>{}</p>\n", escaped(&note)));
    }
    if days.total.requests > 0 {
        out.push_str(&chart(days));
        out.push_str(&second_table(groups));
    } else {
        out.push_str(&format!("<h2>{}</h2>\n<p>no requests</p>\n", escaped(&days.title)));
    }
    out + "</body></html>\n"
}

fn second_table(groups: &Table) -> String {
    let keys: Vec<String> = groups.keys.iter().map(|key| key.column().to_owned()).collect();
    let (heads, numbers) = number_columns();
    let row = |labels: Vec<String>, sums: &Sums| (labels.join("</td><td>"), numbers(sums));
    let label = |label: &Option<String>| escaped(&name(label.as_deref().unwrap_or("-"), NAME_MAX));
    let mut rows: Vec<_> = groups
        .rows
        .iter()
        .take(ROWS_MAX)
        .map(|group| row(group.labels.iter().map(label).collect(), &group.sums))
        .collect();
    let mut others = Sums::default();
    let rest = groups.rows.iter().skip(ROWS_MAX);
    let count = rest.map(|group| others.add(&group.sums)).count();
    let blank = |text: &str| {
        let mut labels = vec![String::new(); keys.len()];
        labels[0] = text.to_owned();
        labels
    };
    if count > 0 {
        rows.push(row(blank(&format!("{count} others")), &others.or_zero()));
    }
    let total = row(blank("total"), &groups.total);
    let by: Vec<&str> = groups.keys.iter().map(|key| key.word()).collect();
    let title = escaped(&format!("By {}, {}", by.join(", "), groups.title));
    format!("<h2>{title}</h2>\n{}", table(&keys, heads, rows, Some(total)))
}

/// A row: what stands before the numbers, as HTML, and the numbers.
type TableRow = (String, Vec<String>);

fn table(
    keys: &[String],
    heads: Vec<String>,
    lines: Vec<TableRow>,
    total: Option<TableRow>,
) -> String {
    let heads: Vec<String> = keys.iter().chain(&heads).map(|head| format!("<th>{head}")).collect();
    let mut out = format!("<div><table><thead><tr>{}</thead><tbody>\n", heads.concat());
    let line = |(label, values): &TableRow| {
        let values: String = values.iter().map(|value| format!("<td>{value}")).collect();
        format!("<tr><td>{label}{values}\n")
    };
    lines.iter().for_each(|row| out.push_str(&line(row)));
    if let Some(total) = total {
        out.push_str("<tfoot>");
        out.push_str(&line(&total));
    }
    out + "</table></div>\n"
}

/// Bars of each day: before, and after in front of it. A few paths rather than an element for
/// each bar keep a year small.
fn chart(days: &Table) -> String {
    let known = |tokens: Option<i64>| tokens.unwrap_or(0).max(0);
    let most = days.rows.iter().map(|row| known(row.sums.tokens_before)).max().unwrap_or(0);
    let gap = if days.rows.len() > DAYS_WITH_GAPS { 0 } else { 2 };
    let bars = |tokens: fn(&Sums) -> Option<i64>| -> String {
        let bar = |(index, value): (usize, i64)| {
            // Little is more than nothing.
            let height = (i128::from(value) * i128::from(HEIGHT) / i128::from(most.max(1))).max(4);
            let (x, width) = (index * DAY_WIDTH + gap / 2, DAY_WIDTH - gap);
            format!("M{x} {HEIGHT}v-{height}h{width}v{height}z")
        };
        let values = days.rows.iter().map(|row| known(tokens(&row.sums))).enumerate();
        values.filter(|(_, value)| *value > 0).map(bar).collect()
    };
    let (first, last) = &days.days;
    let ends = match first == last {
        true => format!("<span>{first}</span>"),
        false => format!("<span>{first}</span><span>{last}</span>"),
    };
    let width = days.rows.len().max(DAYS_MIN) * DAY_WIDTH;
    format!(
        "<h2>Prompt tokens per day</h2>\n\
         <p><i style=\"background:var(--before)\"></i>before <i style=\"background:var(--after)\"></i>after; \
         most {}</p>\n\
         <svg viewBox=\"0 0 {width} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" \
         aria-label=\"Prompt tokens per day, before and after\">\
         <path class=\"b\" d=\"{}\"/><path class=\"a\" d=\"{}\"/></svg>\n<p class=\"ends\">{ends}</p>\n",
        grouped(most),
        bars(|sums| sums.tokens_before),
        bars(|sums| sums.tokens_after),
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
