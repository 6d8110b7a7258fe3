//! The default report: the same numbers over four windows side by side, so that nobody has to ask
//! which one a number belongs to.

use super::group::Unpriced;
use super::range::Now;
use super::text::{fitting, milliseconds, money_fitting, percent, unpriced_lines};
use crate::ledger::{Latency, Sums};

/// Widths of the labels and of a window's column.
const LABEL_WIDTH: usize = 24;
const COLUMN_WIDTH: usize = 13;

/// Whole local days up to today, or all time.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub(crate) name: &'static str,
    /// Unix times; since is included, until is not. `None`: there are no requests at all.
    pub(crate) since: Option<i64>,
    pub(crate) until: i64,
    pub(crate) sums: Sums,
    pub(crate) latency: Latency,
}

/// The default report: the same numbers over four windows.
#[derive(Clone, Debug)]
pub(crate) struct Overview {
    /// Local time with offset, to the second.
    pub(crate) at: String,
    pub(crate) host: String,
    /// The zone's short name.
    pub(crate) zone: String,
    pub(crate) windows: Vec<Window>,
    /// Local times with offset at which the windows begin and end.
    pub(crate) bounds: Vec<(Option<String>, String)>,
    /// Of all time.
    pub(crate) unpriced: Vec<Unpriced>,
}

/// Name, and days before today.
const WINDOWS: &[(&str, Option<i64>)] =
    &[("today", Some(0)), ("7 days", Some(6)), ("30 days", Some(29)), ("all time", None)];

/// The windows as of now, empty; `first` is when the first request was.
pub(crate) fn windows(now: Now<'_>, first: Option<i64>) -> Vec<Window> {
    let today = now.today();
    let until = now.days(today, today).end;
    let window = |(name, back): &(&'static str, Option<i64>)| Window {
        name,
        since: match back {
            Some(back) => Some(now.zone.midnight(today - back)),
            None => first.map(|ts| now.zone.midnight(now.zone.day(ts))),
        },
        until,
        sums: Sums::default(),
        latency: Latency::default(),
    };
    WINDOWS.iter().map(window).collect()
}

impl Window {
    /// Adds a quarter of an hour if it lies in the window. All time has no end: a clock that was
    /// wrong must not hide a request.
    pub(crate) fn add(&mut self, start: i64, sums: &Sums, latency: &Latency) {
        let is_all = self.name == "all time";
        if is_all || (self.since.is_some_and(|since| start >= since) && start < self.until) {
            self.sums.add(sums);
            self.latency.add(latency);
        }
    }
}

impl Overview {
    pub(crate) fn of(
        now: Now<'_>,
        (host, zone): (&str, &str),
        mut windows: Vec<Window>,
        unpriced: Vec<Unpriced>,
    ) -> Overview {
        for window in &mut windows {
            window.sums = std::mem::take(&mut window.sums).or_zero();
        }
        let iso = |ts: i64| now.zone.iso(ts);
        let bounds = |window: &Window| (window.since.map(iso), iso(window.until));
        Overview {
            at: now.zone.iso(now.now),
            host: host.to_owned(),
            zone: zone.to_owned(),
            bounds: windows.iter().map(bounds).collect(),
            windows,
            unpriced,
        }
    }

    /// `2026-11-22 21:15`
    pub(super) fn minute(&self) -> String {
        self.at.get(..16).unwrap_or(&self.at).replace('T', " ")
    }
}

/// A row of the table: its label, and its value in a window, in so many characters.
pub(super) struct Figure {
    pub(super) label: &'static str,
    pub(super) value: fn(&Window, usize) -> String,
}

pub(super) const LINES: &[Figure] = &[
    Figure { label: "requests", value: |window, width| fitting(window.sums.requests, width) },
    Figure { label: "errors", value: |window, width| fitting(window.sums.errors, width) },
    Figure {
        label: "prompt tokens before",
        value: |window, width| known(window.sums.tokens_before, width, fitting),
    },
    Figure {
        label: "prompt tokens after",
        value: |window, width| known(window.sums.tokens_after, width, fitting),
    },
    Figure {
        label: "  saved",
        value: |window, _| share(window.sums.tokens_saved(), window.sums.tokens_before),
    },
    Figure {
        label: "output tokens",
        value: |window, width| known(window.sums.output_tokens, width, fitting),
    },
    Figure {
        label: "cache read, of input",
        value: |window, _| share(window.sums.cache_read_tokens, window.sums.input_tokens),
    },
    Figure {
        label: "cost",
        value: |window, width| known(window.sums.cost_nano, width, money_fitting),
    },
    Figure {
        label: "saved, estimated",
        value: |window, width| known(window.sums.saved_nano, width, money_fitting),
    },
    Figure { label: "added latency, p50", value: |window, _| time(window, 50) },
    Figure { label: "added latency, p95", value: |window, _| time(window, 95) },
];

/// The report as text, 76 columns wide; `alerts` come first.
pub(crate) fn text(overview: &Overview, alerts: &[String]) -> String {
    let host: String = overview.host.chars().filter(char::is_ascii_graphic).take(32).collect();
    let mut text: String = alerts.iter().map(|alert| format!("{alert}\n")).collect();
    if !alerts.is_empty() {
        text.push('\n');
    }
    text.push_str(&format!(
        "TokenPak usage on {host} at {} {}\n\n",
        overview.minute(),
        overview.zone
    ));
    let head = overview.windows.iter().map(|window| window.name.to_string());
    text.push_str(&row("", head));
    text.push_str(&"-".repeat(LABEL_WIDTH + COLUMN_WIDTH * overview.windows.len()));
    text.push('\n');
    for line in LINES {
        let value = |window| (line.value)(window, COLUMN_WIDTH - 1);
        text.push_str(&row(line.label, overview.windows.iter().map(value)));
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

fn known(number: Option<i64>, width: usize, show: fn(i64, usize) -> String) -> String {
    number.map_or("-".into(), |number| show(number, width))
}

fn share(part: Option<i64>, whole: Option<i64>) -> String {
    part.zip(whole).map_or("-".into(), |(part, whole)| percent(part, whole))
}

fn time(window: &Window, percent: i64) -> String {
    window.latency.percentile(percent).map_or("-".into(), milliseconds)
}
