//! What is counted since the start, for `GET /metrics`. The names are bounded: clients choose the
//! models', and every new one would be a time series for ever.

use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::config::Config;
use crate::ledger::{DELAY_BOUNDS, Delays, Entry};
use crate::number::usd;
use crate::prices::Money;
use crate::report::prometheus::{Bounds, Exposition, Metric};

/// Different models that get a label of their own; then `other`.
const MODELS_MAX: usize = 50;

/// Different errors, or reasons for a missed cache, that get a label of their own, of which providers choose
/// the names; then `other`.
const ERRORS_MAX: usize = 50;

/// Status classes as labels; the first is for requests without an answer.
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// In seconds: the proxy's own time, and the wait for a provider's first byte.
const PROXY_BOUNDS: Bounds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1.0];
const UPSTREAM_BOUNDS: Bounds = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];

pub(crate) struct Metrics {
    /// Unix seconds.
    started: f64,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    /// In order of provider and model.
    models: Vec<Row>,
    names: HashSet<String>,
    skipped: BTreeMap<&'static str, u64>,
    errors: BTreeMap<String, u64>,
    cache_misses: BTreeMap<String, u64>,
    proxy: Histogram,
    upstream: Histogram,
}

struct Row {
    provider: String,
    model: String,
    sums: Model,
}

#[derive(Default)]
struct Model {
    classes: [u64; CLASSES.len()],
    before: u64,
    after: u64,
    input: u64,
    cache_read: u64,
    output: u64,
    unpriced: u64,
    cost_nano: i64,
    saved_nano: i64,
    /// The highest that was saved so far: a counter must not go back where a request lost a little.
    saved_most_nano: i64,
}

#[derive(Default)]
struct Histogram {
    counts: [u64; 9],
    sum_s: f64,
}

impl Histogram {
    fn add(&mut self, bounds: &Bounds, seconds: f64) {
        self.counts[bounds.partition_point(|bound| *bound < seconds)] += 1;
        self.sum_s += seconds;
    }
}

/// What is known elsewhere, at the moment of the question.
pub(crate) struct Gauges {
    pub(crate) in_flight: usize,
    /// Threads now, the most at once so far, and the most there may be.
    pub(crate) workers: usize,
    pub(crate) workers_peak: usize,
    pub(crate) workers_max: usize,
    pub(crate) db_bytes: u64,
    pub(crate) db_write_errors: u64,
    pub(crate) resident_bytes: u64,
}

impl Metrics {
    pub(crate) fn new() -> Metrics {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Metrics { started: now.map_or(0.0, |time| time.as_secs_f64()), counts: Mutex::default() }
    }

    /// Counts a finished request.
    pub(crate) fn count(&self, entry: &Entry) {
        if entry.api == "other" {
            return;
        }
        // A panic elsewhere cannot have left the counts half changed.
        let mut counts = self.counts.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        counts.add(entry);
    }

    /// The whole exposition.
    pub(crate) fn text(&self, gauges: &Gauges, delays: &Delays, config: &Config) -> String {
        let mut out = Exposition::default();
        self.counts.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).write(&mut out);
        let mut gauge = |name, help, value: &dyn std::fmt::Display| {
            let kind = if str::ends_with(name, "_total") { "counter" } else { "gauge" };
            out.metric(&Metric { name, help, kind });
            out.sample(name, &[], value);
        };
        gauge("tokenpak_in_flight", "Requests being carried.", &gauges.in_flight);
        gauge("tokenpak_workers", "Threads for requests, idle ones included.", &gauges.workers);
        gauge("tokenpak_workers_peak", "Most threads for requests at once.", &gauges.workers_peak);
        gauge("tokenpak_workers_max", "Threads for requests there may be.", &gauges.workers_max);
        gauge("tokenpak_db_bytes", "Size of the database with its log.", &gauges.db_bytes);
        gauge(
            "tokenpak_db_write_errors_total",
            "Failed attempts to write records.",
            &gauges.db_write_errors,
        );
        let (counts, sum_s) = delays.read();
        gauge("process_start_time_seconds", "Start of the process, Unix time.", &self.started);
        gauge("process_resident_memory_bytes", "Resident memory.", &gauges.resident_bytes);
        let name = "tokenpak_ledger_delay_seconds";
        let help = "Time from a request's end until its record is in the file.";
        out.histogram(&Metric { name, help, kind: "histogram" }, &DELAY_BOUNDS, &counts, sum_s);
        let build = "tokenpak_build_info";
        out.metric(&Metric { name: build, help: "Version of tokenpak.", kind: "gauge" });
        out.sample(build, &[("version", env!("CARGO_PKG_VERSION"))], 1);
        settings(&mut out, config);
        out.finish()
    }
}

/// The settings in force, as labels: how one asks a proxy that was started with flags.
fn settings(out: &mut Exposition, config: &Config) {
    let plan = config.plan(None);
    let word = |on: bool| if on { "on" } else { "off" };
    let name = "tokenpak_settings_info";
    out.metric(&Metric { name, help: "Settings in force.", kind: "gauge" });
    let threshold = plan.threshold.to_string();
    let labels = [
        ("compression", word(config.enabled)),
        ("mode", config.mode.name()),
        ("level", plan.level.name()),
        ("threshold_tokens", threshold.as_str()),
        ("footer", word(config.stats_footer)),
    ];
    out.sample(name, &labels, 1);
}

/// A counter with a value for each provider and model.
struct Total {
    name: &'static str,
    help: &'static str,
    value: fn(&Model) -> f64,
}

const TOTALS: &[Total] = &[
    Total {
        name: "tokenpak_prompt_tokens_before_total",
        help: "Prompt tokens as received, counted.",
        value: |model| model.before as f64,
    },
    Total {
        name: "tokenpak_prompt_tokens_after_total",
        help: "Prompt tokens as sent, counted.",
        value: |model| model.after as f64,
    },
    Total {
        name: "tokenpak_input_tokens_total",
        help: "Input tokens as billed, cached ones included.",
        value: |model| model.input as f64,
    },
    Total {
        name: "tokenpak_cache_read_tokens_total",
        help: "Input tokens read from the provider's cache.",
        value: |model| model.cache_read as f64,
    },
    Total {
        name: "tokenpak_output_tokens_total",
        help: "Output tokens as billed.",
        value: |model| model.output as f64,
    },
    Total {
        name: "tokenpak_cost_usd_total",
        help: "Cost at list prices, of requests that have one.",
        value: |model| usd(model.cost_nano),
    },
    Total {
        name: "tokenpak_unpriced_requests_total",
        help: "Requests with billed tokens and no known price.",
        value: |model| model.unpriced as f64,
    },
    Total {
        name: "tokenpak_saved_usd_total",
        help: "Money saved by compression, estimated.",
        value: |model| usd(model.saved_most_nano),
    },
];

impl Counts {
    fn add(&mut self, entry: &Entry) {
        let model = self.model(&entry.provider, entry.model.as_deref().unwrap_or("unknown"));
        let class = entry.status.map_or(0, |status| usize::from(status / 100));
        model.classes[if class < CLASSES.len() { class } else { 0 }] += 1;
        model.before += entry.tokens_before.unwrap_or(0);
        model.after += entry.tokens_after.unwrap_or(0);
        let usage = entry.usage.unwrap_or_default();
        model.input = model.input.saturating_add(usage.input.unwrap_or(0));
        model.cache_read = model.cache_read.saturating_add(usage.cache_read.unwrap_or(0));
        model.output = model.output.saturating_add(usage.output.unwrap_or(0));
        if let Some(Money { cost_nano, saved_nano, .. }) = entry.money {
            model.cost_nano = model.cost_nano.saturating_add(cost_nano);
            model.saved_nano = model.saved_nano.saturating_add(saved_nano);
            model.saved_most_nano = model.saved_most_nano.max(model.saved_nano);
        }
        model.unpriced += u64::from(entry.lacks_price());
        if let Some(reason) = entry.skip_reason {
            *self.skipped.entry(reason).or_default() += 1;
        }
        self.add_error(entry);
        if let Some(reason) = entry.cache_miss() {
            add_named(&mut self.cache_misses, reason);
        }
        let proxy_s = entry.proxy_us as f64 / 1e6;
        self.proxy.add(&PROXY_BOUNDS, proxy_s);
        if let Some(first_byte_ms) = entry.ttfb_ms {
            self.upstream.add(&UPSTREAM_BOUNDS, (first_byte_ms as f64 / 1e3 - proxy_s).max(0.0));
        }
    }

    /// By the name that the database has, or by the status.
    fn add_error(&mut self, entry: &Entry) {
        if !entry.is_error() {
            return;
        }
        let status = || entry.status.map_or("none".to_owned(), |status| format!("status_{status}"));
        let name = entry.error.as_deref().map_or_else(status, str::to_owned);
        add_named(&mut self.errors, &name);
    }

    /// The sums of a model, whose names are copied only the first time.
    fn model(&mut self, provider: &str, model: &str) -> &mut Model {
        let name = label(&mut self.names, model);
        let wanted = (provider, name);
        let found = self.models.binary_search_by(|row| (&*row.provider, &*row.model).cmp(&wanted));
        let at = found.unwrap_or_else(|at| {
            let (provider, model) = (provider.to_owned(), name.to_owned());
            self.models.insert(at, Row { provider, model, sums: Model::default() });
            at
        });
        &mut self.models[at].sums
    }

    fn write(&self, out: &mut Exposition) {
        let name = "tokenpak_requests_total";
        let help = "Requests by provider, model and status class.";
        out.metric(&Metric { name, help, kind: "counter" });
        for Row { provider, model, sums } in &self.models {
            let classes = CLASSES.iter().zip(sums.classes).filter(|(_, count)| *count > 0);
            for (class, count) in classes {
                let labels = [("provider", provider.as_str()), ("model", model), ("status", class)];
                out.sample(name, &labels, count);
            }
        }
        for Total { name, help, value } in TOTALS {
            out.metric(&Metric { name, help, kind: "counter" });
            for Row { provider, model, sums } in &self.models {
                out.sample(name, &[("provider", provider), ("model", model)], value(sums));
            }
        }
        let name = "tokenpak_skipped_total";
        let help = "Requests that were not compressed, by reason.";
        out.metric(&Metric { name, help, kind: "counter" });
        for (reason, count) in &self.skipped {
            out.sample(name, &[("reason", reason)], count);
        }
        let name = "tokenpak_errors_total";
        let help = "Requests that failed, by what went wrong.";
        out.metric(&Metric { name, help, kind: "counter" });
        for (error, count) in &self.errors {
            out.sample(name, &[("error", error)], count);
        }
        let name = "tokenpak_cache_misses_total";
        let help = "Requests whose provider said why its cache was missed, by its reason.";
        out.metric(&Metric { name, help, kind: "counter" });
        for (reason, count) in &self.cache_misses {
            out.sample(name, &[("reason", reason)], count);
        }
        let seconds = |name, help| Metric { name, help, kind: "histogram" };
        let proxy = seconds("tokenpak_proxy_seconds", "Time inside the proxy before sending.");
        out.histogram(&proxy, &PROXY_BOUNDS, &self.proxy.counts, self.proxy.sum_s);
        let upstream =
            seconds("tokenpak_upstream_seconds", "Time from sending to the answer's first byte.");
        out.histogram(&upstream, &UPSTREAM_BOUNDS, &self.upstream.counts, self.upstream.sum_s);
    }
}

/// Counts a name, or `other` where there are too many.
fn add_named(counts: &mut BTreeMap<String, u64>, name: &str) {
    let is_new = counts.len() >= ERRORS_MAX && !counts.contains_key(name);
    let name = if is_new { "other" } else { name };
    *counts.entry(name.to_owned()).or_default() += 1;
}

/// What a model is called here.
fn label<'a>(names: &mut HashSet<String>, model: &'a str) -> &'a str {
    match names.contains(model) {
        true => model,
        false if names.len() < MODELS_MAX => {
            names.insert(model.to_owned());
            model
        }
        false => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Sums, tests::entry};
    use crate::prices::bill::Source;
    use crate::wire::Usage;

    #[test]
    fn what_has_no_price_here_has_none_in_reports() {
        let known = |input, output| Some(Usage { input, output, ..Usage::default() });
        let usages = [
            (None, 0),
            (known(None, None), 0),
            (known(Some(5), None), 0),
            (known(None, Some(5)), 0),
            (known(Some(5), Some(5)), 1),
        ];
        let money = Money { cost_nano: 1, saved_nano: 0, source: Source::Listed };
        for (usage, without_money) in usages {
            for (money, want) in [(None, without_money), (Some(money), 0)] {
                let entry = Entry { usage, money, ..entry("1") };
                let mut counts = Counts::default();
                counts.add(&entry);
                let unpriced = counts.models[0].sums.unpriced;
                let sums = Sums::of(&entry);
                assert_eq!((unpriced, sums.no_price), (want, want as i64), "{usage:?} {money:?}");
                assert_eq!(sums.unpriced(), i64::from(money.is_none()), "{usage:?} {money:?}");
            }
        }
    }

    #[test]
    fn fifty_models_have_a_name_and_the_rest_is_other() {
        let mut names = HashSet::new();
        for number in 0..200 {
            let model = format!("model-{number}");
            let label = label(&mut names, &model);
            assert_eq!(label == "other", number >= 50, "{label}");
        }
        assert_eq!(label(&mut names, "model-7"), "model-7");
    }

    #[test]
    fn a_value_on_a_bound_belongs_below_it() {
        let mut histogram = Histogram::default();
        for seconds in [0.0, 0.0005, 0.0006, 1.0, 1.1] {
            histogram.add(&PROXY_BOUNDS, seconds);
        }
        assert_eq!(histogram.counts, [2, 1, 0, 0, 0, 0, 0, 1, 1]);
    }
}
