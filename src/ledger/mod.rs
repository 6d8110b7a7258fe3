//! The accounts: one row per finished request in one SQLite file. The only folder that knows SQL.
//!
//! Nothing here may delay or fail a request. A worker hands over an [`Entry`] with one
//! `try_send`; one thread does the rest. When the disk is full, locked, read-only or gone, records
//! wait, then get lost, and are counted; recording resumes by itself.

mod billing;
mod calibrate;
mod checkpoint;
mod clock;
mod delays;
mod disk;
mod fault;
mod file;
mod forms;
mod latency;
mod misses;
mod query;
mod reprice;
mod retention;
mod roll_up;
mod schema;
mod sums;
mod traces;
mod writer;

#[cfg(test)]
pub(crate) mod tests;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

pub(crate) use calibrate::{Learned, Ratio};
pub(crate) use clock::Clock;
pub(crate) use delays::{BOUNDS as DELAY_BOUNDS, Delays};
pub(crate) use fault::Fault;
pub(crate) use file::Examined;
pub(crate) use forms::{FORM_BYTES, SETTINGS_BYTES, forms};
pub(crate) use latency::Latency;
pub(crate) use misses::cache_misses;
pub(crate) use query::{Column, Groups, Reader, Reason, Reasons};
pub(crate) use reprice::{Repriced, reprice};
pub(crate) use sums::{Figure, Sums, all_figures};
pub(crate) use traces::{Traced, Which, traces};

use crate::prices::{Cuts, Money, Prices, SavedTokens};
use crate::trace::Trace;
use crate::wire::Usage;
use crate::wire::answer::Turn;
use billing::{Asked, Rest};

/// Records that may wait for the disk. At a thousand requests a second this bridges four seconds,
/// and takes two megabytes at most.
const QUEUE_RECORDS_MAX: usize = 4096;

/// With so many of them the writer is woken before its time.
const HURRY_AT: usize = QUEUE_RECORDS_MAX / 2;

/// How long whoever has a record waits for its place among them: longer than the writer takes for some
/// of those before it, and a moment for who asks next on the same connection.
const FULL_WAIT: Duration = Duration::from_millis(100);

/// How long a starting proxy waits for its database: one that is locked, or on a disk that hangs, must
/// not keep it from serving.
const OPEN_WAIT: Duration = Duration::from_secs(5);

/// How long a stopping proxy waits for the last rows: a disk that hangs must not keep it alive.
const CLOSE_WAIT: Duration = Duration::from_secs(5);

/// Version of the SQLite that is built in.
pub(crate) fn sqlite_version() -> &'static str {
    rusqlite::version()
}

/// What is known of a request when it is over. No prompt, no answer, no key, no address.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// 16 characters, unique; a second record of the same id is lost.
    pub(crate) request_id: String,
    /// Unix seconds.
    pub(crate) ts: i64,
    pub(crate) provider: String,
    /// The wire format's name, or `other` for what is forwarded but not counted as a request.
    pub(crate) api: &'static str,
    /// As it was asked for.
    pub(crate) model: Option<String>,
    /// What answered, where that has another name.
    pub(crate) served_model: Option<String>,
    pub(crate) project: Option<String>,
    pub(crate) client: Option<String>,
    /// `None`: there was no answer.
    pub(crate) status: Option<u16>,
    /// Anything but `client_gone` makes the request an error, whatever its status.
    pub(crate) error: Option<Cow<'static, str>>,
    pub(crate) stream: bool,
    /// Our own raw counts, before and after compression.
    pub(crate) tokens_before: Option<u64>,
    pub(crate) tokens_after: Option<u64>,
    /// What the provider says it billed.
    pub(crate) usage: Option<Usage>,
    /// Tokens of the prompt as sent before the place of a cut, and tokens saved there.
    pub(crate) cuts: Vec<(u64, i64)>,
    /// What one of our tokens is in billed ones, and whether that has been learnt.
    pub(crate) ratio: Ratio,
    pub(crate) is_calibrated: bool,
    /// Nothing but text went into the prompt, so that its bill teaches the ratio.
    pub(crate) is_text_only: bool,
    /// `None` if the model has no price, or the answer no usage.
    pub(crate) money: Option<Money>,
    /// What few rows have.
    pub(crate) rare: Option<Box<Rare>>,
    pub(crate) mode: &'static str,
    pub(crate) level: &'static str,
    pub(crate) skip_reason: Option<&'static str>,
    /// `added`, or why the answer has no footer; `None` for what is no request.
    pub(crate) footer: Option<&'static str>,
    /// Time inside the proxy before the first byte went upstream.
    pub(crate) proxy_us: u64,
    /// Until the first byte of the answer.
    pub(crate) ttfb_ms: Option<u64>,
    pub(crate) total_ms: u64,
    /// How it was passed on, of which the last are kept.
    pub(crate) trace: Option<Box<Trace>>,
    /// Set by `record`: from then on it may wait for `flush_ms`.
    pub(crate) handed_over: Instant,
}

/// What few rows have, apart, so that the others need no room for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rare {
    /// What a later price needs beside the columns; see `billing`.
    billing: Option<String>,
    /// Why the provider's cache was missed, in its word.
    cache_miss: Option<Cow<'static, str>>,
}

/// How long a record may wait to be written, and how long it is kept then.
#[derive(Clone, Copy)]
pub(crate) struct WriterSettings {
    pub(crate) flush_ms: u64,
    /// 0: for ever. Reports know of deleted requests all the same.
    pub(crate) retention_days: u32,
}

impl Entry {
    /// A status of 400 or more is an error whoever left first.
    pub(crate) fn is_error(&self) -> bool {
        match (self.status, self.error.as_deref()) {
            (Some(400..), _) => true,
            (_, Some("client_gone")) => false,
            (status, error) => error.is_some() || status.is_none(),
        }
    }

    /// What the request costs and saves if that is what is billed, as far as that is known before the
    /// answer has ended.
    pub(crate) fn price(&self, prices: &Prices, usage: &Usage) -> Option<Money> {
        let rest = Rest::of(usage, self.saved_tokens(usage), Vec::new());
        billing::price(prices, self.asked(), usage, &rest)
    }

    /// Whether it is missing from the costs although all is known that was billed.
    pub(crate) fn lacks_price(&self) -> bool {
        let is_billed =
            self.usage.is_some_and(|usage| usage.input.is_some() && usage.output.is_some());
        is_billed && self.money.is_none()
    }

    /// Notes what is billed, and with it the money.
    pub(crate) fn bill(&mut self, prices: &Prices, turns: Vec<Turn>) {
        let Some(usage) = self.usage else { return };
        let rest = Rest::of(&usage, self.saved_tokens(&usage), turns);
        self.money = billing::price(prices, self.asked(), &usage, &rest);
        if let Some(billing) = rest.text() {
            self.rare.get_or_insert_default().billing = Some(billing);
        }
    }

    /// Notes why the provider's cache was missed, where it has said so.
    pub(crate) fn missed(&mut self, why: Option<Cow<'static, str>>) {
        if why.is_some() {
            self.rare.get_or_insert_default().cache_miss = why;
        }
    }

    pub(crate) fn cache_miss(&self) -> Option<&str> {
        self.rare.as_ref()?.cache_miss.as_deref()
    }

    fn asked(&self) -> Asked<'_> {
        Asked {
            provider: &self.provider,
            model: self.model.as_deref(),
            served: self.served_model.as_deref(),
            ts: self.ts,
        }
    }

    fn saved_tokens(&self, usage: &Usage) -> SavedTokens {
        let ratio = (self.ratio.billed, self.ratio.counted);
        let cuts = Cuts { tokens_after: self.tokens_after, places: &self.cuts, ratio };
        SavedTokens::of(usage, cuts)
    }

    /// What the saved money rests on: `usage` if nothing had to be converted, else `calibrated` or
    /// `estimate`, as the ratio was.
    fn basis(&self) -> &'static str {
        match self.usage {
            Some(_) if self.cuts.is_empty() => "usage",
            Some(_) if self.is_calibrated => "calibrated",
            _ => "estimate",
        }
    }
}

/// What is known of a model's tokens; `None` without a database, or if it knows nothing.
pub(crate) fn learnt(path: &Path, model: &str) -> Option<Learned> {
    let connection = file::open_for_reading(path).ok()?;
    calibrate::of_model(&connection, model).ok()?
}

/// Looks a database over without changing it: its schema's version, its size, and whether a proxy
/// could write it. `None`: it is not there yet, and could be made.
pub(crate) fn examine(path: &Path) -> Result<Option<Examined>, Fault> {
    file::examine(path)
}

/// The workers' side of the ledger.
pub(crate) struct Ledger {
    records: Sender<Box<Entry>>,
    stop: Sender<()>,
    hurry: Sender<()>,
    /// Closed when the database has been opened, or cannot be.
    opened: Receiver<()>,
    /// Closed when the writer has ended.
    done: Receiver<()>,
    path: PathBuf,
    state: Arc<State>,
}

/// What the writer lets others see.
#[derive(Default)]
struct State {
    lost: AtomicU64,
    failing: AtomicBool,
    write_errors: AtomicU64,
    retention_days: AtomicU32,
    delays: Delays,
    calibration: calibrate::Calibration,
    forms: forms::Waiting,
}

impl Ledger {
    /// Starts the writer; whether the database can be used shows later, through `warn`, which gets
    /// one line per change for the better or worse.
    pub(crate) fn start(
        path: &Path,
        keeping: WriterSettings,
        warn: impl Fn(&str) + Send + 'static,
    ) -> Ledger {
        // Boxed, because the queue's memory is touched in full at start.
        let (records, records_out) = bounded(QUEUE_RECORDS_MAX);
        let (stop, stop_out) = bounded(1);
        let (hurry, hurry_out) = bounded(1);
        let calls = writer::Calls { stop: stop_out, hurry: hurry_out };
        let (opened_in, opened) = bounded(0);
        let (done_in, done) = bounded(0);
        let state = Arc::new(State::default());
        state.retention_days.store(keeping.retention_days, Ordering::Relaxed);
        let writer = writer::Writer::new(
            path,
            keeping.flush_ms,
            records_out,
            Arc::clone(&state),
            Box::new(warn),
        );
        let run = move || {
            writer.run(&calls, opened_in);
            drop(done_in);
        };
        if std::thread::Builder::new().name("ledger".into()).spawn(run).is_err() {
            // The receivers are gone with the closure, so every record is counted as lost.
            state.failing.store(true, Ordering::Relaxed);
        }
        Ledger { records, stop, hurry, opened, done, path: path.to_owned(), state }
    }

    /// Waits until reports can read the database. `false`: it takes too long, and is waited for no more;
    /// what is wrong with it `warn` has heard, or will.
    pub(crate) fn wait_until_open(&self) -> bool {
        // Nothing is ever sent: the wait ends when the writer drops its side, or in time.
        let waited = self.opened.recv_timeout(OPEN_WAIT);
        !waited.is_err_and(|error| error.is_timeout())
    }

    /// Hands over a record. It takes no lock and makes no system call, unless the writer has rested for
    /// long or has to hurry. With a full queue it waits for a moment, as the answer is with the client
    /// by then; nobody waits for a database that fails. A record that finds no place is lost, and
    /// counted.
    pub(crate) fn record(&self, entry: impl Into<Box<Entry>>) {
        let mut entry = entry.into();
        entry.handed_over = Instant::now();
        let sent = self.records.try_send(entry).or_else(|full| match self.failing() {
            true => Err(()),
            false => self.records.send_timeout(full.into_inner(), FULL_WAIT).map_err(drop),
        });
        if sent.is_err() {
            self.state.lost.fetch_add(1, Ordering::Relaxed);
        } else if self.records.len() > HURRY_AT {
            // Full: it has been told.
            let _ = self.hurry.try_send(());
        }
    }

    /// Queues the form of a conversation, which is in the file within half a second whatever `flush_ms`
    /// says.
    pub(crate) fn keep_form(&self, digest: u128, form: [u8; FORM_BYTES]) {
        self.state.forms.push(digest, form);
        if self.state.forms.is_resting.load(Ordering::SeqCst) {
            // Full: it has been told.
            let _ = self.hurry.try_send(());
        }
    }

    /// The first of these digests that the file knows: its place among them, and its form.
    pub(crate) fn form(
        &self,
        digests: &mut dyn Iterator<Item = u128>,
    ) -> Option<(usize, [u8; FORM_BYTES])> {
        forms::find(&self.path, digests)
    }

    /// Whether the file knows of any conversation.
    pub(crate) fn has_forms(&self) -> bool {
        self.state.forms.has_any.load(Ordering::Relaxed)
    }

    /// Keeps records for so many days from now on; 0: for ever.
    pub(crate) fn keep_days(&self, days: u32) {
        self.state.retention_days.store(days, Ordering::Relaxed);
    }

    /// What one token of ours is in billed ones of a model, once that has been learnt.
    pub(crate) fn ratio(&self, model: &str) -> Option<Ratio> {
        self.state.calibration.ratio(model)
    }

    /// Records that are in no file and never will be.
    pub(crate) fn lost(&self) -> u64 {
        self.state.lost.load(Ordering::Relaxed)
    }

    /// How long rows have waited for the file.
    pub(crate) fn delays(&self) -> &Delays {
        &self.state.delays
    }

    /// Attempts to write that failed.
    pub(crate) fn write_errors(&self) -> u64 {
        self.state.write_errors.load(Ordering::Relaxed)
    }

    /// Whether the database could not be written when last tried.
    pub(crate) fn failing(&self) -> bool {
        self.state.failing.load(Ordering::Acquire)
    }

    /// Writes what is waiting and ends the writer. Later records are lost, and counted.
    pub(crate) fn close(&self) {
        let _ = self.stop.try_send(());
        // Nothing is ever sent: the wait ends when the writer drops its side, or in time.
        let _ = self.done.recv_timeout(CLOSE_WAIT);
    }
}
