//! Whether providers have said that their caches were missed, and why: what is forwarded for a conversation
//! must be an extension of what was forwarded before.

use std::time::{SystemTime, UNIX_EPOCH};

use super::{Case, Finding};
use crate::ledger;
use crate::number::commas;

const DAYS: i64 = 7;

/// What a client does itself, or what says nothing of the prompt.
const INNOCENT: &[&str] = &["model_changed", "previous_message_not_found", "unavailable"];

pub(super) fn check(case: &Case) -> Vec<Finding> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs() as i64);
    let misses = ledger::cache_misses(&case.config.database, now - DAYS * 86_400);
    if misses.is_empty() {
        return Vec::new();
    }
    let all: u64 = misses.iter().map(|miss| miss.requests).sum();
    let ours: u64 = misses
        .iter()
        .filter(|miss| !INNOCENT.contains(&miss.reason.as_str()))
        .map(|miss| miss.shortened)
        .sum();
    let reasons: Vec<String> =
        misses.iter().map(|miss| format!("{} {}", miss.reason, commas(miss.requests))).collect();
    let text =
        format!("{} missed in {DAYS} days, as providers say: {}", commas(all), reasons.join(", "));
    vec![match ours {
        0 => Finding::ok(text),
        ours => Finding::warn(format!("{text}; {} of them with a shortened prompt", commas(ours)))
            .hint("the client may have changed it; with x-tokenpak-mode: off it goes as it came"),
    }]
}
