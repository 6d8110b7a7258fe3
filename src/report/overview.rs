//! The default report: the same numbers over four windows side by side, so that nobody has to ask
//! which one a number belongs to.

use serde_json::{Value, json};

use super::text::{count, dollars, milliseconds, percent, quoted};
use crate::ledger::{Overview, PRICES_AS_OF, Sums, Unpriced, Window};

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
    Line {
        label: "  saved",
        value: |window| share(window.sums.tokens_saved, window.sums.tokens_before),
    },
    Line { label: "output tokens", value: |window| known(window.sums.output_tokens, count) },
    Line {
        label: "cache read, of input",
        value: |window| share(window.sums.cache_read_tokens, window.sums.input_tokens),
    },
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
            None => text.push_str(&format!(
                "{number} got no usage with the answer and {} not in the costs.\n",
                is(*requests)
            )),
            Some(_) if named == UNPRICED_NAMED_MAX => others += requests,
            Some(model) => {
                named += 1;
                let model = if model.is_empty() { "no named model".into() } else { quoted(model) };
                let (have, is) = (if *requests == 1 { "has" } else { "have" }, is(*requests));
                text.push_str(&format!(
                    "{number} of {model} {have} no known price and {is} not in the costs.\n"
                ));
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
        "prices_as_of": PRICES_AS_OF,
        "windows": overview.windows.iter().map(window_json).collect::<Vec<Value>>(),
        "unpriced": overview.unpriced.iter().map(unpriced_json).collect::<Vec<Value>>(),
        "alerts": [],
    });
    format!("{object}\n")
}

fn window_json(window: &Window) -> Value {
    let sums: &Sums = &window.sums;
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

#[cfg(test)]
mod tests {
    use super::*;

    const DOLLAR: i64 = 1_000_000_000;

    #[test]
    fn four_windows_side_by_side() {
        let want = "\
TokenPak usage on gw1 at 2026-11-22 21:15 CET

                                today       7 days      30 days     all time
----------------------------------------------------------------------------
requests                           26        1,181        4,902       12,410
errors                              0            4           11           29
prompt tokens before          188,410    7,458,605   30,118,220   71,904,551
prompt tokens after           121,004    5,127,275   20,480,388   50,333,185
  saved                           36%          31%          32%          30%
output tokens                   8,102      355,805    1,492,310    3,610,042
cache read, of input              41%          52%          50%          47%
cost                            $0.46       $18.77       $76.40      $181.92
saved, estimated                $0.18        $6.09       $24.11       $55.07
added latency, p50               3 ms         3 ms         3 ms         3 ms
added latency, p95               9 ms        11 ms        11 ms        12 ms

41 requests of \"local-llama\" have no known price and are not in the costs.
";
        assert_eq!(table(&sample(), "gw1", "CET"), want);
        assert!(want.is_ascii() && want.lines().all(|line| line.len() <= 79));
    }

    #[test]
    fn what_is_unknown_is_a_dash_and_null() {
        let window = Window {
            sums: Sums { requests: 2, ..Sums::default() },
            p50_us: None,
            since: None,
            ..window("today", &[0; 9])
        };
        let overview = Overview { windows: vec![window], ..sample() };
        let text = table(&overview, "gw1", "CET");
        let cost = text.lines().find(|line| line.starts_with("cost")).unwrap();
        assert_eq!(cost.split_whitespace().collect::<Vec<_>>(), ["cost", "-"]);
        let json: Value = serde_json::from_str(&json(&overview, "gw1", "CET")).unwrap();
        let window = &json["windows"][0];
        assert_eq!(window["requests"], 2);
        for field in ["since", "tokens_before", "cost_usd", "saved_usd", "added_latency_p50_us"] {
            assert!(window.get(field).is_some_and(Value::is_null), "{field}");
        }
    }

    #[test]
    fn json_has_a_version_and_raw_numbers() {
        let text = json(&sample(), "gw1", "CET");
        let tool = concat!("tokenpak ", env!("CARGO_PKG_VERSION"));
        let start = format!(
            "{{\"schema\":1,\"tool\":\"{tool}\",\"host\":\"gw1\",\"at\":\"2026-11-22T21:15:03+01:00\",\
             \"timezone\":\"CET\",\"prices_as_of\":\"{PRICES_AS_OF}\",\"windows\":[{{\"window\":\"today\""
        );
        assert!(text.starts_with(&start) && text.ends_with("}\n"), "{text}");
        let object: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(object["windows"][0]["cost_usd"].to_string(), "0.463");
        assert_eq!(object["windows"][1]["tokens_saved"], 7_458_605 - 5_127_275);
        assert_eq!(object["windows"][3]["window"], "all time");
        let unpriced = json!({"missing": "price", "model": "local-llama", "requests": 41});
        assert_eq!(object["unpriced"], json!([unpriced]));
    }

    #[test]
    fn unpriced_requests_are_named_up_to_a_point() {
        let of =
            |model: Option<&str>, requests| Unpriced { model: model.map(str::to_string), requests };
        let some = [of(None, 1), of(Some("a\u{7}"), 1), of(Some(""), 2)];
        assert_eq!(
            unpriced_lines(&some),
            "1 request got no usage with the answer and is not in the costs.\n\
             1 request of \"a?\" has no known price and is not in the costs.\n\
             2 requests of no named model have no known price and are not in the costs.\n"
        );
        let many: Vec<Unpriced> =
            (0..7).map(|number| of(Some(&format!("m{number}")), 1000)).collect();
        let end = "\"m4\" have no known price and are not in the costs.\n\
                   2,000 requests of other models likewise.\n";
        assert!(unpriced_lines(&many).ends_with(end));
    }

    fn sample() -> Overview {
        Overview {
            at: "2026-11-22T21:15:03+01:00".into(),
            offset_s: 3600,
            windows: vec![
                window("today", &[26, 0, 188_410, 121_004, 8_102, 49_851, 463, 3_200, 9_100]),
                window(
                    "7 days",
                    &[1_181, 4, 7_458_605, 5_127_275, 355_805, 63_226, 18_770, 3_000, 11_000],
                ),
                window(
                    "30 days",
                    &[4_902, 11, 30_118_220, 20_480_388, 1_492_310, 60_794, 76_400, 3_000, 11_000],
                ),
                window(
                    "all time",
                    &[
                        12_410, 29, 71_904_551, 50_333_185, 3_610_042, 57_146, 181_920, 3_000,
                        12_000,
                    ],
                ),
            ],
            unpriced: vec![Unpriced { model: Some("local-llama".into()), requests: 41 }],
        }
    }

    /// requests, errors, before, after, output, cache read of 121,588, cost in thousandths, p50, p95
    fn window(name: &'static str, numbers: &[i64; 9]) -> Window {
        let [requests, errors, before, after, output, read, cost, p50, p95] = *numbers;
        let saved = match name {
            "today" => 177,
            "7 days" => 6_090,
            "30 days" => 24_110,
            _ => 55_070,
        };
        Window {
            name,
            since: Some("2026-11-22T00:00:00+01:00".into()),
            until: "2026-11-23T00:00:00+01:00".into(),
            sums: Sums {
                requests,
                errors,
                tokens_before: Some(before),
                tokens_after: Some(after),
                tokens_saved: Some(before - after),
                input_tokens: Some(121_588),
                cache_read_tokens: Some(read),
                cache_write_tokens: Some(6_120),
                output_tokens: Some(output),
                cost_nano: Some(cost * DOLLAR / 1000),
                saved_nano: Some(saved * DOLLAR / 1000),
            },
            unpriced: 0,
            p50_us: Some(p50),
            p95_us: Some(p95),
        }
    }
}
