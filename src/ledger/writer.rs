//! The one thread that writes. Gathers rows into few transactions and outlives every fault of the
//! disk: rows that cannot be written stay in hand and are tried again, while the queue fills.
//!
//! A row must be in the file within `flush_ms` of its hand-over, whatever the load. So the time that
//! it may wait counts from when the queue was last empty, and nothing that waits for a disk or for old
//! rows runs between two transactions: see `checkpoint` and `retention`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, select};
use rusqlite::{ErrorCode, Statement, TransactionBehavior, params};

use super::calibrate::Calibration;
use super::checkpoint::Checkpoints;
use super::disk::Disk;
use super::fault::Fault;
use super::file::{self, LedgerFile};
use super::forms;
use super::retention::Retention;
use super::roll_up::RollUp;
use super::sums::whole;
use super::traces;
use super::{Entry, State};

/// Rows per transaction: most of the speed of larger ones, and little to lose.
pub(super) const BATCH_ROWS_MAX: usize = 1024;

/// After so long without a row the writer sleeps until there is one. Before that it looks by itself,
/// so that whoever hands over a row need not wake it, which takes a lock and a system call.
const REST_AFTER: Duration = Duration::from_secs(10);

/// Forms of conversations wait no longer, however long rows may. A kill costs at most what came in it,
/// and the write itself.
const FORMS_HOLD: Duration = Duration::from_millis(250);

/// No wait is longer.
const FOR_EVER: Duration = Duration::from_secs(86_400);

/// Between two tries to write to a failing disk.
const RETRY: Duration = Duration::from_secs(1);

/// A file that is damaged again within this time is not moved aside again: then the disk is bad.
const ASIDE_PAUSE: Duration = Duration::from_secs(60);

/// What others tell the writer.
pub(super) struct Calls {
    pub(super) stop: Receiver<()>,
    /// The queue is filling.
    pub(super) hurry: Receiver<()>,
}

pub(super) struct Writer {
    path: PathBuf,
    hold: Duration,
    retention: Retention,
    checkpoints: Checkpoints,
    disk: Disk,
    records: Receiver<Box<Entry>>,
    state: Arc<State>,
    warn: Box<dyn Fn(&str) + Send>,
    base: Option<LedgerFile>,
    batch: Vec<Entry>,
    last_row: Instant,
    /// When nothing was left in the queue; what is in it now has come since.
    emptied: Instant,
    /// More was in the queue than goes into one transaction.
    has_more: bool,
    last_aside: Option<Instant>,
}

/// What a wait has ended with.
enum Held {
    /// Rows have waited long enough.
    Rows,
    /// A form has.
    Form,
    Stop,
}

impl Writer {
    pub(super) fn new(
        path: &Path,
        flush_ms: u64,
        records: Receiver<Box<Entry>>,
        state: Arc<State>,
        warn: Box<dyn Fn(&str) + Send>,
    ) -> Writer {
        Writer {
            path: path.to_path_buf(),
            // Half of `flush_ms` is for waiting, and half for writing.
            hold: Duration::from_millis(flush_ms / 2),
            retention: Retention::new(),
            checkpoints: Checkpoints::new(path),
            disk: Disk::new(path),
            records,
            state,
            warn,
            base: None,
            batch: Vec::new(),
            last_row: Instant::now(),
            emptied: Instant::now(),
            has_more: false,
            last_aside: None,
        }
    }

    /// Drops `opened` once reports can read the database, or it is known that they cannot.
    pub(super) fn run(mut self, calls: &Calls, opened: Sender<()>) {
        // Opens the database, so that a bad one is known at once and reports find an empty one.
        self.flush();
        drop(opened);
        while self.gather(calls) {
            if self.has_work() {
                self.flush();
            }
        }
        loop {
            self.take();
            if !self.has_work() {
                return;
            }
            if !self.flush() {
                let unwritten = self.batch.len() + self.records.try_iter().count();
                self.state.lost.fetch_add(unwritten as u64, Ordering::Relaxed);
                return;
            }
        }
    }

    /// Waits as long as rows may wait, and takes them. False: time to stop.
    fn gather(&mut self, calls: &Calls) -> bool {
        if !self.batch.is_empty() {
            // The last try failed. What comes in meanwhile stays in the queue, which is bounded.
            return calls.stop.recv_timeout(RETRY).is_err_and(|err| err.is_timeout());
        }
        if self.last_row.elapsed() > REST_AFTER {
            self.state.forms.is_resting.store(true, Ordering::SeqCst);
            // What came before this was said would wait for the next.
            let has_form = !self.state.forms.is_empty();
            select! {
                recv(self.records) -> entry => match entry {
                    Ok(entry) => self.batch.push(*entry),
                    Err(_) => return false,
                },
                recv(calls.stop) -> _ => return false,
                recv(calls.hurry) -> _ => self.last_row = Instant::now(),
                default(if has_form { Duration::ZERO } else { FOR_EVER }) => {}
            }
            self.state.forms.is_resting.store(false, Ordering::SeqCst);
        }
        if !self.has_more && self.records.len() < BATCH_ROWS_MAX {
            match self.hold_rows(calls) {
                Held::Rows => {}
                Held::Form => return true,
                Held::Stop => return false,
            }
        }
        self.take();
        if self.has_work() {
            self.last_row = Instant::now();
        }
        true
    }

    /// Waits as long as the rows in the queue may, or as a form that comes meanwhile may: then the rows
    /// stay where they are.
    fn hold_rows(&self, calls: &Calls) -> Held {
        let forms = &self.state.forms;
        let hold = self.hold.saturating_sub(self.emptied.elapsed());
        let is_long = hold > FORMS_HOLD;
        forms.is_resting.store(is_long, Ordering::SeqCst);
        // What came before this was said wakes nothing.
        let has_form = is_long && !forms.is_empty();
        let ended = select! {
            recv(calls.stop) -> _ => Held::Stop,
            recv(calls.hurry) -> _ => Held::Form,
            default(if has_form { Duration::ZERO } else { hold }) => Held::Rows,
        };
        forms.is_resting.store(false, Ordering::SeqCst);
        let is_form = has_form || matches!(ended, Held::Form) && is_long && !forms.is_empty();
        match ended {
            Held::Stop => Held::Stop,
            // More of them come together.
            _ if is_form && self.records.len() < BATCH_ROWS_MAX => {
                match calls.stop.recv_timeout(FORMS_HOLD) {
                    Err(err) if err.is_timeout() => Held::Form,
                    _ => Held::Stop,
                }
            }
            _ => Held::Rows,
        }
    }

    fn has_work(&self) -> bool {
        !self.batch.is_empty() || !self.state.forms.is_empty()
    }

    /// Takes what is waiting, as much as goes into one transaction.
    fn take(&mut self) {
        let room = BATCH_ROWS_MAX - self.batch.len();
        let taken = Instant::now();
        self.batch.extend(self.records.try_iter().take(room).map(|entry| *entry));
        self.has_more = self.batch.len() == BATCH_ROWS_MAX;
        if !self.has_more {
            // From before the last look, so that no row waits for longer than this says.
            self.emptied = taken;
        }
    }

    /// Writes the batch and empties it. False: it failed, and the batch is as it was.
    fn flush(&mut self) -> bool {
        let mut outcome = self.write();
        if let Err(fault) = &outcome
            && fault.is_damage()
            && file::may_be_database(&self.path)
            && self.may_move_aside()
        {
            let damage = fault.to_string();
            match file::set_aside(&self.path) {
                Ok(aside) => {
                    (self.warn)(&format!(
                        "{damage}; moved to {} and started afresh",
                        aside.display()
                    ));
                    outcome = self.write();
                }
                Err(err) => outcome = Err(Fault::new(&self.path, err)),
            }
        }
        if let Some(words) = self.disk.is_low() {
            (self.warn)(&words);
        }
        let failing = outcome.is_err();
        if failing {
            self.state.write_errors.fetch_add(1, Ordering::Relaxed);
        }
        let was_failing = self.state.failing.load(Ordering::Relaxed);
        match outcome {
            Err(fault) if !was_failing => {
                (self.warn)(&format!(
                    "{fault}; requests go on, but are not recorded until it works"
                ));
            }
            Ok(()) if was_failing => {
                let lost = self.state.lost.load(Ordering::Relaxed);
                (self.warn)(&format!(
                    "{}: recording again; {lost} records lost",
                    self.path.display()
                ));
            }
            _ => {}
        }
        // Whoever sees the new state finds it told in the log.
        self.state.failing.store(failing, Ordering::Release);
        !failing
    }

    fn may_move_aside(&mut self) -> bool {
        let rested = self.last_aside.is_none_or(|last| last.elapsed() > ASIDE_PAUSE);
        if rested {
            self.last_aside = Some(Instant::now());
        }
        rested
    }

    fn write(&mut self) -> Result<(), Fault> {
        // After a fault the database is opened anew, which is the cure for most of them.
        let mut base = match self.base.take() {
            Some(base) if base.is_at(&self.path) => base,
            Some(base) => {
                base.abandon(&self.path)?;
                self.open()?
            }
            None => self.open()?,
        };
        let forms = self.state.forms.write(&mut base.connection);
        forms.map_err(|err| Fault::new(&self.path, err))?;
        let calibration = &self.state.calibration;
        let refused = insert(&mut base, &self.batch, calibration)
            .or_else(|err| one_by_one(err, &mut base, &self.batch, calibration))
            .map_err(|err| Fault::new(&self.path, err))?;
        self.state.lost.fetch_add(refused, Ordering::Relaxed);
        self.state.delays.add(&self.batch);
        self.batch.clear();
        self.checkpoints.after_commit(&base.connection);
        // The rows are written: that old ones cannot be deleted now is no fault of theirs.
        let days = self.state.retention_days.load(Ordering::Relaxed);
        let idle_until = self.emptied + self.hold;
        if !self.has_more {
            let _ = self.retention.apply(&base.connection, days, idle_until);
        }
        self.base = Some(base);
        Ok(())
    }

    /// Opens the database and reads what it has learnt.
    fn open(&self) -> Result<LedgerFile, Fault> {
        let base = LedgerFile::open(&self.path)?;
        let loaded = self.state.calibration.load(&base.connection);
        loaded.map_err(|err| Fault::new(&self.path, err))?;
        let has_any = forms::has_any(&base.connection);
        let has_any = has_any.map_err(|err| Fault::new(&self.path, err))?;
        self.state.forms.has_any.store(has_any, Ordering::Relaxed);
        Ok(base)
    }
}

/// Writes the rows in one transaction, with what they teach. Returns how many were refused: rows
/// that no repetition would make good, such as a second one with the same id.
fn insert(
    base: &mut LedgerFile,
    batch: &[Entry],
    calibration: &Calibration,
) -> rusqlite::Result<u64> {
    if batch.is_empty() {
        return Ok(0);
    }
    let change = base.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut roll_up = RollUp::default();
    let mut written = Vec::with_capacity(batch.len());
    {
        let mut statement = change.prepare_cached(INSERT)?;
        for entry in batch {
            match insert_row(&mut statement, entry) {
                Err(err) if is_refusal(&err) => {}
                other => {
                    other?;
                    roll_up.add(entry);
                    written.push(entry);
                }
            }
        }
    }
    roll_up.write(&change)?;
    let learnt = calibration.learn(&change, &written)?;
    traces::keep(&change, &written)?;
    change.commit()?;
    learnt.into_iter().for_each(|known| calibration.keep(known));
    Ok((batch.len() - written.len()) as u64)
}

/// What a batch is not written for may be the fault of one row: a sum that no column can hold. The
/// others must not wait for it for ever.
fn one_by_one(
    err: rusqlite::Error,
    base: &mut LedgerFile,
    batch: &[Entry],
    calibration: &Calibration,
) -> rusqlite::Result<u64> {
    if !is_refusal(&err) {
        return Err(err);
    }
    let mut refused = 0;
    for entry in batch {
        refused += match insert(base, std::slice::from_ref(entry), calibration) {
            Err(err) if is_refusal(&err) => 1,
            outcome => outcome?,
        };
    }
    Ok(refused)
}

fn is_refusal(err: &rusqlite::Error) -> bool {
    err.sqlite_error_code() == Some(ErrorCode::ConstraintViolation)
}

const INSERT: &str = "INSERT INTO requests (
    request_id, ts, provider, api, model, project, client, status, error, stream,
    tokens_before, tokens_after, input_tokens, cache_read_tokens, cache_write_tokens,
    cache_write_1h_tokens, output_tokens, reasoning_tokens, cost_nano, saved_nano, basis,
    mode, level, skip_reason, footer, proxy_us, ttfb_ms, total_ms, served_model, tier, cost_basis,
    billing, cache_miss
    ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

fn insert_row(statement: &mut Statement<'_>, entry: &Entry) -> rusqlite::Result<()> {
    let usage = entry.usage.unwrap_or_default();
    statement.execute(params![
        entry.request_id,
        entry.ts,
        entry.provider,
        entry.api,
        entry.model,
        entry.project,
        entry.client,
        entry.status,
        entry.error.as_deref(),
        entry.stream,
        entry.tokens_before.map(whole),
        entry.tokens_after.map(whole),
        usage.input.map(whole),
        usage.cache_read.map(whole),
        usage.cache_write.map(whole),
        usage.cache_write_1h.map(whole),
        usage.output.map(whole),
        usage.reasoning.map(whole),
        entry.money.map(|money| money.cost_nano),
        entry.money.map(|money| money.saved_nano),
        entry.basis(),
        entry.mode,
        entry.level,
        entry.skip_reason,
        entry.footer,
        whole(entry.proxy_us),
        entry.ttfb_ms.map(whole),
        whole(entry.total_ms),
        entry.served_model,
        entry.usage.map(|usage| usage.terms()),
        entry.money.map(|money| money.source.name()),
        entry.rare.as_ref().and_then(|rare| rare.billing.as_deref()),
        entry.cache_miss(),
    ])?;
    Ok(())
}
