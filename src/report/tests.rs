//! Each form of report against its sample in `fixtures/report`, word for word.

use serde_json::Value;

use super::alert::Limits;
use super::calendar::{Unit, Zone};
use super::group::{Key, Row, Table, Unpriced};
use super::overview::{Overview, Window};
use super::*;
use crate::ledger::{Column, Latency, Sums};

/// A thousandth of a dollar.
const MILLI: i64 = 1_000_000;

#[test]
fn four_windows_side_by_side() {
    let text = overview::text(&sample_overview(), &[]);
    assert_eq!(text, include_str!("../../fixtures/report/windows.txt"));
}

#[test]
fn days_and_what_they_add_up_to() {
    let text = table(&sample_days(), &[]);
    assert_eq!(text, include_str!("../../fixtures/report/daily.txt"));
}

#[test]
fn models_with_the_dearest_first() {
    let text = table(&sample_models(), &[]);
    assert_eq!(text, include_str!("../../fixtures/report/by-model.txt"));
}

#[test]
fn an_alert_is_the_first_line() {
    let days = sample_days();
    let day = Table { rows: vec![days.rows[4].clone()], total: days.rows[4].sums.clone(), ..days };
    let limits =
        Limits { cost_nano: Some(5000 * MILLI), errors_percent: Some(1.0), no_unpriced: false };
    let alerts = limits.passed(&day.total, &[]);
    let lines: Vec<String> = alerts.iter().map(|alert| alert.line("(2026-11-20, CET)")).collect();
    assert_eq!(table(&day, &lines), include_str!("../../fixtures/report/alert.txt"));
    let json: Value = serde_json::from_str(&table_json(&day, &alerts)).unwrap();
    assert_eq!(
        (&json["alerts"][0]["alert"], &json["alerts"][0]["cost_usd"]),
        (&"cost".into(), &6.11.into())
    );
}

#[test]
fn csv_is_raw_and_its_names_do_no_harm() {
    let days = sample_days();
    let today = Table { rows: vec![days.rows[6].clone()], ..days };
    assert_eq!(table_csv(&today), include_str!("../../fixtures/report/daily.csv"));
    let windows = overview_csv(&sample_overview());
    assert!(windows.starts_with("window,requests,errors,tokens_before,"), "{windows}");
    assert_eq!(windows.lines().count(), 5);

    let mut models = sample_models();
    let names = ["=cmd()", "a,\"b\"\n", "plain"];
    for (row, name) in models.rows.iter_mut().zip(names) {
        row.labels = vec![Some(name.into())];
        row.sums = Sums { requests: 1, ..Sums::default() };
    }
    let text = table_csv(&models);
    let rows: Vec<&str> = text.lines().skip(1).collect();
    assert_eq!(
        rows,
        ["'=cmd(),1,0,,,,,,,,,", "\"a,\"\"b\"\"\\n\",1,0,,,,,,,,,", "plain,1,0,,,,,,,,,"]
    );
}

#[test]
fn json_has_a_version_and_raw_numbers() {
    let text = table_json(&sample_days(), &[]);
    assert!(text.starts_with("{\"schema\":1,\"tool\":\"tokenpak "), "{text}");
    assert!(text.ends_with("}\n") && text.lines().count() == 1);
    let object: Value = serde_json::from_str(&text).unwrap();
    let fields: Vec<&String> = object.as_object().unwrap().keys().collect();
    assert_eq!(
        fields,
        [
            "schema",
            "tool",
            "since",
            "until",
            "timezone",
            "group_by",
            "prices_as_of",
            "rows",
            "total",
            "unpriced",
            "alerts"
        ]
    );
    let today = &object["rows"][6];
    let fields: Vec<&String> = today.as_object().unwrap().keys().collect();
    let head = include_str!("../../fixtures/report/daily.csv").lines().next().unwrap();
    assert_eq!(fields[..12], head.split(',').collect::<Vec<_>>());
    assert_eq!((fields.len(), fields[12].as_str()), (13, "unpriced_requests"));
    assert_eq!(
        (today["date"].as_str(), today["cost_usd"].to_string()),
        (Some("2026-11-22"), "0.463".into())
    );
    assert_eq!(object["total"]["tokens_saved"], 7_458_605 - 5_127_275);
    assert_eq!((&object["group_by"][0], &object["timezone"]), (&"day".into(), &"CET".into()));

    let windows: Value = serde_json::from_str(&overview_json(&sample_overview(), &[])).unwrap();
    assert_eq!(windows["windows"][0]["cost_usd"].to_string(), "0.463");
    assert_eq!(windows["windows"][3]["window"], "all time");
    assert_eq!(windows["unpriced"][0]["model"], "local-llama");
}

#[test]
fn what_is_unknown_is_a_dash_null_or_empty() {
    let unknown = Sums { requests: 2, ..Sums::default() };
    let mut models = sample_models();
    models.rows = vec![Row { labels: vec![None], sums: unknown.clone() }];
    models.total = unknown.clone();
    let text = table(&models, &[]);
    let row: Vec<&str> = text.lines().nth(4).unwrap().split_whitespace().collect();
    assert_eq!(row, ["-", "2", "-", "-", "-", "-", "-"]);
    assert_eq!(table_csv(&models).lines().nth(1), Some(",2,0,,,,,,,,,"));
    let json: Value = serde_json::from_str(&table_json(&models, &[])).unwrap();
    assert!(json["rows"][0]["model"].is_null() && json["rows"][0]["cost_usd"].is_null());
    assert_eq!(oneline(&unknown), "2 req, tokens unknown, cost unknown\n");

    let mut overview = sample_overview();
    overview.windows.truncate(1);
    overview.windows[0].sums = unknown;
    overview.windows[0].latency = Latency::default();
    let text = overview::text(&overview, &[]);
    let cost = text.lines().find(|line| line.starts_with("cost")).unwrap();
    assert_eq!(cost.split_whitespace().collect::<Vec<_>>(), ["cost", "-"]);
}

#[test]
fn one_line_for_status_bars() {
    let days = sample_days();
    let text = oneline(&days.rows[6].sums);
    assert_eq!(text, include_str!("../../fixtures/report/oneline.txt"));
    let with = |saved_nano| oneline(&Sums { saved_nano, ..days.rows[6].sums.clone() });
    let start = text.rsplit_once(", ").unwrap().0;
    for (saved, end) in [
        (Some(50_000), ", -$0.0001"),
        (Some(49_999), ""),
        (Some(0), ""),
        (Some(-49_999), ""),
        (Some(-50_000), ", +$0.0001"),
        (None, ""),
    ] {
        assert_eq!(with(saved), format!("{start}{end}\n"), "{saved:?}");
    }
}

/// Whatever the names and numbers are, a report is ASCII and fits into 79 columns.
#[test]
fn no_text_report_is_wider_than_a_terminal() {
    let huge = Sums {
        requests: i64::MAX / 4,
        errors: i64::MAX / 4,
        tokens_before: Some(i64::MAX / 4),
        tokens_after: Some(1),
        input_tokens: Some(1),
        output_tokens: Some(i64::MAX / 4),
        cost_nano: Some(i64::MAX / 4),
        saved_nano: Some(-i64::MAX / 4),
        no_price: i64::MAX / 4,
        ..Sums::default()
    };
    let name = "modèle \u{1b}[31m ".repeat(30);
    let all = ["day", "model", "provider", "project", "client", "mode", "status"];
    for count in 1..=all.len() {
        for first in 0..=all.len() - count {
            let words = &all[first..first + count];
            let keys: Vec<Key> = words.iter().map(|word| Key::parse(word).unwrap()).collect();
            let label = |key: &Key| match key {
                Key::Time(unit) => Some(unit.label(100)),
                Key::Name(_) => Some(name.clone()),
            };
            let row = Row { labels: keys.iter().map(label).collect(), sums: huge.clone() };
            let unpriced = vec![Unpriced { model: Some(name.clone()), requests: i64::MAX / 4 }; 9];
            let wide =
                Table { keys, rows: vec![row], total: huge.clone(), unpriced, ..sample_models() };
            is_narrow(&table(&wide, &[]));
        }
    }
    let hour = Table { keys: vec![Key::Time(Unit::Hour)], ..sample_days() };
    is_narrow(&table(&hour, &[]));
    let mut overview = sample_overview();
    overview.host = "é".repeat(5) + &"x".repeat(300);
    overview.windows.iter_mut().for_each(|window| window.sums = huge.clone());
    overview.unpriced = vec![Unpriced { model: Some(name), requests: i64::MAX / 4 }];
    is_narrow(&overview::text(&overview, &[]));

    #[track_caller]
    fn is_narrow(text: &str) {
        for line in text.lines() {
            assert!(line.len() <= 79, "{} columns: {line}", line.len());
            assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line}");
        }
    }
}

#[test]
fn the_page_is_small_safe_and_whole() {
    let (overview, days) = (sample_overview(), sample_days());
    let mut month = days.clone();
    month.rows = (0..30).map(|_| days.rows[4].clone()).collect();
    let mut models = sample_models();
    models.rows = (0..60)
        .map(|_| Row {
            labels: vec![Some("<script>alert(1)</script>\"&".repeat(9))],
            sums: days.total.clone(),
        })
        .collect();
    let page = Page { overview: &overview, days: &month, groups: &models, alerts: &[] };
    let text = html(&page);
    assert!(text.len() <= 12 * 1024, "{} bytes", text.len());
    assert!(!text.contains("<script") && !text.contains("http://") && !text.contains("src="));
    assert!(text.contains("default-src 'none'") && text.contains("20 others"));
    assert!(text.contains("71,904,551") && text.contains("&lt;script&gt;alert(1)"));
    assert_eq!(text.matches("<svg").count(), 1);
    assert_eq!(text.matches("<table").count(), text.matches("</table>").count());

    let none = Table { rows: vec![], total: Sums::default().or_zero(), ..days };
    let text = html(&Page { overview: &overview, days: &none, groups: &none, alerts: &[] });
    assert!(text.contains("no requests") && !text.contains("<svg"));
}

fn sample_overview() -> Overview {
    // Half of the requests take 2 to 3 ms; 95 of 100 are reached within the class of the last figure.
    let latency = |p95: usize, below: i64, within: i64| {
        let mut latency = Latency::default();
        latency.count_in(11, 50);
        latency.count_in(12, below - 50);
        latency.count_in(p95, within);
        latency.count_in(18, 100 - below - within);
        latency
    };
    let window = |name, numbers: [i64; 10], latency| Window {
        name,
        since: Some(0),
        until: 1,
        sums: sums(&numbers[..5], numbers[5], [121_588, numbers[6]], [numbers[7], numbers[8]]),
        latency,
    };
    let bounds = ("2026-11-22T00:00:00+01:00".to_string(), "2026-11-23T00:00:00+01:00".to_string());
    Overview {
        at: "2026-11-22T21:15:03+01:00".into(),
        host: "gw1".into(),
        zone: "CET".into(),
        windows: vec![
            window(
                "today",
                [26, 0, 188_410, 121_004, 8_102, 6_120, 49_851, 463, 177, 0],
                latency(14, 93, 3),
            ),
            window(
                "7 days",
                [1_181, 4, 7_458_605, 5_127_275, 355_805, 0, 63_226, 18_774, 6_094, 0],
                latency(15, 94, 5),
            ),
            window(
                "30 days",
                [4_902, 11, 30_118_220, 20_480_388, 1_492_310, 0, 60_794, 76_400, 24_110, 0],
                latency(15, 94, 5),
            ),
            window(
                "all time",
                [12_410, 29, 71_904_551, 50_333_185, 3_610_042, 0, 57_146, 181_920, 55_070, 0],
                latency(15, 93, 5),
            ),
        ],
        bounds: vec![(Some(bounds.0), bounds.1); 4],
        unpriced: vec![Unpriced { model: Some("local-llama".into()), requests: 41 }],
    }
}

/// requests, errors, before, after, output; cache write; input, cache read; cost and saved in
/// thousandths of a dollar.
fn sums(numbers: &[i64], write: i64, input: [i64; 2], money: [i64; 2]) -> Sums {
    Sums {
        requests: numbers[0],
        errors: numbers[1],
        tokens_before: Some(numbers[2]),
        tokens_after: Some(numbers[3]),
        output_tokens: Some(numbers[4]),
        input_tokens: Some(input[0]),
        cache_read_tokens: Some(input[1]),
        cache_write_tokens: Some(write),
        cost_nano: Some(money[0] * MILLI),
        saved_nano: Some(money[1] * MILLI),
        ..Sums::default()
    }
}

fn sample(keys: Vec<Key>, rows: Vec<(&str, Sums)>) -> Table {
    let mut total = Sums::default();
    rows.iter().for_each(|(_, sums)| total.add(sums));
    let zone = Zone::of(0, |_| Ok::<_, ()>(3600)).unwrap();
    let now = range::Now { now: 1_795_378_500, zone: &zone };
    let week = now.days(now.today() - 6, now.today());
    let row = |(label, sums): (&str, Sums)| Row { labels: vec![Some(label.into())], sums };
    Table {
        rows: rows.into_iter().map(row).collect(),
        total,
        ..Table::of(&keys, (&week, now), "CET", Default::default(), &Default::default())
    }
}

fn sample_days() -> Table {
    let day = |numbers: [i64; 5], money| sums(&numbers, 0, [0, 0], money);
    let rows = vec![
        ("2026-11-16", day([212, 0, 1_204_331, 848_112, 61_240], [3_120, 1_000])),
        ("2026-11-17", day([305, 1, 2_110_984, 1_402_557, 98_311], [5_200, 2_000])),
        ("2026-11-18", day([188, 0, 903_120, 702_266, 44_120], [2_470, 900])),
        ("2026-11-19", day([97, 0, 402_114, 371_909, 20_877], [1_290, 117])),
        ("2026-11-20", day([341, 3, 2_618_440, 1_650_221, 120_945], [6_110, 1_900])),
        ("2026-11-21", day([12, 0, 31_206, 31_206, 2_210], [121, 0])),
        (
            "2026-11-22",
            sums(&[26, 0, 188_410, 121_004, 8_102], 6_120, [121_588, 49_851], [463, 177]),
        ),
    ];
    sample(vec![Key::Time(Unit::Day)], rows)
}

fn sample_models() -> Table {
    let model = |numbers: [i64; 5], cost| sums(&numbers, 0, [0, 0], [cost, 0]);
    let rows = vec![
        ("claude-sonnet-4-5", model([702, 3, 5_210_440, 3_498_112, 251_030], 14_900)),
        ("gpt-4o", model([341, 1, 1_811_020, 1_224_880, 80_113], 3_410)),
        ("claude-haiku-4-5", model([138, 0, 437_145, 404_283, 24_662], 460)),
    ];
    sample(vec![Key::Name(Column::Model)], rows)
}
