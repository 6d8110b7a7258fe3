//! Counters in Prometheus' text format. Pure printing; who counts is `proxy/metrics`.

use std::fmt::{Display, Write};

use crate::name::clean;

/// A metric: its name, what it says, and its kind.
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    pub(crate) kind: &'static str,
}

/// Labels and their values.
pub(crate) type Labels<'a> = &'a [(&'a str, &'a str)];

/// Upper ends of a histogram's buckets, in seconds.
pub(crate) type Bounds = [f64; 8];

/// The text while it is written.
#[derive(Default)]
pub(crate) struct Exposition(String);

impl Exposition {
    /// Begins a metric; its samples follow.
    pub(crate) fn metric(&mut self, metric: &Metric) {
        let Metric { name, help, kind } = metric;
        // Writing to a String does not fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    pub(crate) fn sample(&mut self, name: &str, labels: Labels, value: impl Display) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let open = if index == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{open}{label}=\"{}\"", escaped(text));
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{close} {value}");
    }

    /// A histogram without labels: counts per bucket (the last one is what is longer), and the sum
    /// of all values in seconds.
    pub(crate) fn histogram(&mut self, metric: &Metric, bounds: &Bounds, counts: &[u64], sum: f64) {
        self.metric(metric);
        let bucket = format!("{}_bucket", metric.name);
        let mut below = 0;
        for (bound, count) in bounds.iter().zip(counts) {
            below += count;
            self.sample(&bucket, &[("le", &bound.to_string())], below);
        }
        let all: u64 = counts.iter().sum();
        self.sample(&bucket, &[("le", "+Inf")], all);
        self.sample(&format!("{}_sum", metric.name), &[], sum);
        self.sample(&format!("{}_count", metric.name), &[], all);
    }

    pub(crate) fn finish(self) -> String {
        self.0
    }
}

/// A label's value. Prometheus knows no more escapes than these three: what else does not show is
/// written out, with a backslash of its own.
fn escaped(text: &str) -> String {
    let line = |line| clean(line).replace('\\', "\\\\").replace('"', "\\\"");
    text.split('\n').map(line).collect::<Vec<_>>().join("\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_written_as_prometheus_reads_them() {
        let mut text = Exposition::default();
        text.metric(&Metric { name: "a_total", help: "As.", kind: "counter" });
        text.sample("a_total", &[("model", "x\"\\\n"), ("status", "2xx")], 3);
        text.sample("a_total", &[("model", "\u{1b}[m\u{202e}")], 1);
        let seconds = Metric { name: "b_seconds", help: "Time.", kind: "histogram" };
        let bounds = [0.001, 0.01, 0.1, 1.0, 2.0, 3.0, 4.0, 5.0];
        text.histogram(&seconds, &bounds, &[1, 2, 0, 0, 0, 0, 0, 0, 4], 30.5);
        let want = "\
# HELP a_total As.
# TYPE a_total counter
a_total{model=\"x\\\"\\\\\\n\",status=\"2xx\"} 3
a_total{model=\"\\\\u001b[m\\\\u202e\"} 1
# HELP b_seconds Time.
# TYPE b_seconds histogram
b_seconds_bucket{le=\"0.001\"} 1
b_seconds_bucket{le=\"0.01\"} 3
";
        let text = text.finish();
        assert!(text.starts_with(want), "{text}");
        assert!(
            text.ends_with("le=\"+Inf\"} 7\nb_seconds_sum 30.5\nb_seconds_count 7\n"),
            "{text}"
        );
    }
}
