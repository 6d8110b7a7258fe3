//! What an exchange is in the ledger, and what its own headers and its footer say: one record that
//! all of them are read from.

use std::io::Write;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::request::Head;
use crate::footer;
use crate::ledger::{Entry, Ledger, Ratio};
use crate::name;
use crate::prices::Prices;
use crate::rewrite::{Plan, Rewritten, Skip};
use crate::route::Route;
use crate::tokens;
use crate::wire::answer::Reading;
use crate::wire::{Format, Usage, text_only};

/// Longer prompts teach nothing: looking through them would be felt.
const LESSON_BYTES_MAX: usize = 1024 * 1024;

/// A record of what is known when a request has been sent. What a client or a provider may choose is
/// cut here, once for the ledger, the metrics and the log.
pub(super) fn open(
    id: &str,
    (head, route, plan): (&Head, &Route, &Plan),
    rewritten: &Rewritten,
    proxy_time: Duration,
) -> Entry {
    let format = route.format;
    let counted = is_counted(route, rewritten);
    let text = |name| head.header(name).and_then(|value| std::str::from_utf8(value).ok());
    let kept = |text: &str| name::cut(text).to_owned();
    let project = text("x-tokenpak-project").or(route.project.as_deref());
    let path = head.target();
    let model = rewritten.model.as_deref();
    Entry {
        request_id: id.to_owned(),
        ts: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs() as i64),
        provider: kept(&route.provider),
        api: format.map_or("other", |format| format.name()),
        model: model.or_else(|| format.and_then(|_| model_in_path(path))).map(kept),
        project: project.map(kept),
        client: client(head).map(kept),
        status: None,
        error: None,
        stream: rewritten.stream || is_streamed_by(path, format),
        tokens_before: counted.then_some(rewritten.before),
        tokens_after: counted.then_some(rewritten.after),
        usage: None,
        served_model: None,
        cuts: rewritten.cuts.iter().map(|cut| (cut.at, cut.saved)).collect(),
        ratio: Ratio::of_hundredths(100),
        is_calibrated: false,
        is_text_only: false,
        money: None,
        rare: None,
        mode: plan.mode.name(),
        level: plan.level.name(),
        skip_reason: format.and(rewritten.skip).map(Skip::name),
        footer: None,
        proxy_us: proxy_time.as_micros() as u64,
        ttfb_ms: None,
        total_ms: 0,
        trace: None,
        handed_over: Instant::now(),
    }
}

/// Name and version of the program that asks: the first word of its user agent. Of two user agents
/// the first is a library's and the last the program's own (Continue), and behind the version may
/// stand the model (Gemini CLI), which is not the client.
fn client(head: &Head) -> Option<&str> {
    let agent = std::str::from_utf8(head.values("user-agent").last()?).ok()?;
    let word = agent.split(' ').next().filter(|word| !word.is_empty())?;
    let end = word.match_indices('/').nth(1).map_or(word.len(), |(at, _)| at);
    Some(&word[..end])
}

/// The provider has answered the client's own bytes, and nothing was saved.
pub(super) fn undo_savings(entry: &mut Entry) {
    entry.tokens_after = entry.tokens_before;
    entry.cuts.clear();
    entry.skip_reason = entry.skip_reason.or(Some(Skip::Refused.name()));
}

/// Notes what the ledger knows of the model, once for all that is said about this exchange.
pub(super) fn rate(entry: &mut Entry, ledger: &Ledger, is_text_only: bool) {
    if entry.api == "other" {
        return;
    }
    let model = entry.model.as_deref().unwrap_or_default();
    let learnt = ledger.ratio(model);
    entry.is_calibrated = learnt.is_some();
    entry.ratio =
        learnt.unwrap_or_else(|| Ratio::of_hundredths(tokens::model::Family::of(model).percent));
    entry.is_text_only = is_text_only;
}

/// Whether the answer to this body will teach how the provider counts.
pub(super) fn is_lesson(original: &[u8]) -> bool {
    original.len() <= LESSON_BYTES_MAX && text_only::is_text_only(original)
}

/// Adds what the answer said.
pub(super) fn finalize(entry: &mut Entry, prices: &Prices, reading: Option<Reading>) {
    let mut turns = Vec::new();
    if let Some(reading) = reading {
        entry.usage = reading.usage;
        let kept = |text: String| name::cut(&text).to_owned();
        let served = reading.model.map(kept);
        match &entry.model {
            None => entry.model = served,
            asked if *asked != served => entry.served_model = served,
            _ => {}
        }
        turns = reading.turns;
        entry.missed(reading.cache_miss);
        entry.is_text_only &= reading.ended;
        // A status of 400 says it already. What the provider says tells more than where it broke off.
        if entry.status.is_some_and(|status| status < 400) {
            entry.error = reading.error.or(entry.error.take());
        }
        let missed = entry.cache_miss().map(str::to_owned);
        if let Some(trace) = &mut entry.trace {
            trace.stop = reading.stop.map(kept);
            trace.dropped_thoughts = reading.dropped;
            trace.cache_miss = missed;
        }
    }
    entry.bill(prices, turns);
}

/// Leaves of the places of cuts whether there were any: there may be as many as a prompt has texts,
/// and thousands of records may wait for the disk.
pub(super) fn close(entry: &mut Entry) {
    entry.cuts.truncate(1);
    entry.cuts.shrink_to_fit();
}

/// The footer's text as things stand.
pub(super) fn footer_line(entry: &Entry, prices: &Prices, usage: Option<&Usage>) -> String {
    let money = usage.and_then(|usage| entry.price(prices, usage));
    let (before, after) = (entry.tokens_before.unwrap_or(0), entry.tokens_after.unwrap_or(0));
    footer::line(before, after, money.map(|money| money.saved_nano))
}

/// Adds the lines to an answer's head that say what was done.
pub(super) fn add_headers(out: &mut Vec<u8>, entry: &Entry) {
    let _ = write!(out, "x-tokenpak-request-id: {}\r\n", entry.request_id);
    add_counts(out, entry);
}

/// An answer of our own, which bears the request's name already, with the other headers.
pub(super) fn complete(mut answer: Vec<u8>, entry: &Entry) -> Vec<u8> {
    let line_end = memchr::memchr(b'\n', &answer).map_or(0, |at| at + 1);
    let mut lines = Vec::new();
    add_counts(&mut lines, entry);
    answer.splice(line_end..line_end, lines);
    answer
}

fn add_counts(out: &mut Vec<u8>, entry: &Entry) {
    if let (Some(before), Some(after)) = (entry.tokens_before, entry.tokens_after) {
        let saved = before as i64 - after as i64;
        let _ = write!(
            out,
            "x-tokenpak-tokens-before: {before}\r\nx-tokenpak-tokens-after: {after}\r\n\
             x-tokenpak-tokens-saved: {saved}\r\n"
        );
    }
    if let Some(skip) = entry.skip_reason {
        let _ = write!(out, "x-tokenpak-skip: {skip}\r\n");
    }
}

/// What could not be read has no count, rather than the count 0.
pub(super) fn is_counted(route: &Route, rewritten: &Rewritten) -> bool {
    let is_unread = matches!(rewritten.skip, Some(Skip::Unreadable | Skip::Encoded | Skip::Large));
    route.format.is_some() && !is_unread
}

/// Gemini says in the path whether it is to stream.
fn is_streamed_by(path: &str, format: Option<Format>) -> bool {
    matches!(format, None | Some(Format::Gemini)) && path.contains("treamGenerateContent")
}

/// Gemini names the model in the path: `/v1beta/models/NAME:generateContent`.
fn model_in_path(target: &str) -> Option<&str> {
    let name = target.split("/models/").nth(1)?.split([':', '%', '?', '/']).next()?;
    (!name.is_empty()).then_some(name)
}
