//! `GET /metrics` and `GET /stats`: what has been counted, for programs and for people. Workers
//! answer them, since a report reads the database and the event loop must not wait for a disk.

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;

use super::metrics::Gauges;
use crate::config::Config;
use crate::proxy::event_loop::client::{Client, Incoming};
use crate::proxy::request::Head;
use crate::proxy::{Context, local};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    Health,
    Metrics,
    Stats,
}

impl Page {
    pub(crate) fn of_path(path: &str) -> Option<Page> {
        match path {
            "/health" => Some(Page::Health),
            "/metrics" => Some(Page::Metrics),
            "/stats" => Some(Page::Stats),
            _ => None,
        }
    }
}

/// Version 0.0.4 is the text format's, and has not changed since.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page runs nothing and loads nothing, whatever a client has called its model.
const PAGE_HEADERS: &[(&str, &str)] = &[
    (
        "content-security-policy",
        "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    ),
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
];

/// Answers a question that the guard has let pass.
pub(crate) fn answer(
    (context, config): (&Context, &Config),
    page: Page,
    client: &Client,
    (head, body): (&Head, Incoming),
) {
    let answer = match page {
        Page::Health => local::health_of(context),
        Page::Metrics => {
            let text = context.metrics.text(&gauges(context), context.ledger.delays(), config);
            local::print(200, PROMETHEUS, &[("cache-control", "no-store")], text)
        }
        Page::Stats => stats(context, head),
    };
    let has_come = body.has_come_unwanted();
    client.answer(&answer, head, has_come && !context.is_draining());
}

fn stats(context: &Context, head: &Head) -> Vec<u8> {
    let wants_json = head.values("accept").any(|value| {
        let kinds = value.split(|byte| matches!(byte, b',' | b';'));
        kinds.into_iter().any(|kind| kind.trim_ascii().eq_ignore_ascii_case(b"application/json"))
    });
    let kind = if wants_json { "application/json" } else { "text/html; charset=utf-8" };
    match (context.stats)(wants_json) {
        Ok(text) => local::print(200, kind, PAGE_HEADERS, text),
        Err(error) => {
            let text = format!("{error}\n");
            local::print(503, "text/plain; charset=utf-8", &PAGE_HEADERS[1..], text)
        }
    }
}

fn gauges(context: &Context) -> Gauges {
    let bytes = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
    let database = &context.database;
    let mut log = database.clone().into_os_string();
    log.push("-wal");
    Gauges {
        // This question is none of them.
        in_flight: context.in_flight.load(Ordering::Relaxed).saturating_sub(1),
        workers: context.threads.threads.load(Ordering::Relaxed),
        workers_peak: context.threads.peak.load(Ordering::Relaxed),
        workers_max: context.workers_max,
        db_bytes: bytes(database) + bytes(Path::new(&log)),
        db_write_errors: context.ledger.write_errors(),
        resident_bytes: resident_bytes().unwrap_or(0),
    }
}

fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}
