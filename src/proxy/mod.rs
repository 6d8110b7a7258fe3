//! The only folder that knows sockets: listens, reads requests, forwards them, relays answers.
//!
//! One event loop accepts and reads (`event_loop`), workers carry one request each (`exchange`), and
//! nothing else moves bytes. A slow client never holds a worker.
//!
//! Why an own connection layer: tiny_http gives the project its vocabulary (methods, statuses,
//! versions) and prints the answers that are tokenpak's own, whose headers hold nothing foreign.
//! Its listener is not used. What a proxy needs most, it does not offer: closing a connection by
//! force when the provider broke off, noticing that a client has left before tokens are paid that
//! nobody reads, deadlines, and limits on heads and on announced lengths (a large enough number
//! alone can end the process). Requests with contradicting lengths are taken for two, and header
//! bytes outside ASCII are refused, though a proxy has to pass them on. Sockets cannot be handed in
//! from outside either.
//!
//! Towards providers, ureq's protocol half writes what this hop says in the head of a request; connections,
//! TLS and the reading of answers are ours. ureq itself stops at 128 headers and at chunk extensions over
//! 17 bytes, looks at an answer only when the whole request has been sent, takes a reset for the end of an
//! answer without a length, and looks a name up for each request. It reads what the environment says of
//! proxies.

mod buffer_pool;
mod catch_panic;
mod chunk;
pub(crate) mod deadlines;
mod encoding;
mod event_loop;
mod exchange;
mod identity;
mod large_bodies;
mod local;
mod prepare;
mod record;
mod relay;
mod request;
mod setup;
pub(crate) mod sock_diag;
mod trace_recorder;
mod transform;
mod upstream;
mod watch;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

pub(crate) use event_loop::listen::{Listeners, listen};
pub(crate) use exchange::Finished;
pub(crate) use setup::Setup;
pub(crate) use upstream::fetch::fetch;
use upstream::forward::Upstream;
pub(crate) use upstream::probe::Probe;

use crate::debug::Debug;
use crate::error::Error;
use crate::forms::Forms;
use crate::ledger::Ledger;
use crate::rewrite::Memo;
use crate::tokens;

/// The deadline of a write is waited for in parts, since a send that has taken anything reports that,
/// and not that it then waited in vain.
const WRITE_WAITS_MAX: u32 = 3;

/// What every part of the proxy may look at while it runs.
pub(crate) struct Context {
    setups: setup::Setups,
    pub(crate) ledger: Ledger,
    /// Where the accounts are, and how many threads there may be: settings that do not change.
    database: PathBuf,
    workers_max: usize,
    threads: Arc<event_loop::workers::Count>,
    pub(crate) refused: upstream::refused::Refused,
    pub(crate) totals: Totals,
    /// What the bodies of all requests may take together.
    memory: Arc<event_loop::memory::Memory>,
    large: large_bodies::LargeBodyThread,
    /// Prompts that were rewritten before.
    memo: Memo,
    /// In which form conversations are sent.
    forms: Forms,
    /// For the terminal or the log.
    report: Report,
    /// The default report, as JSON or as a page.
    pub(crate) stats: Stats,
    metrics: local::metrics::Metrics,
    debug: Debug,
    counters: tokens::Counters,
    ids: identity::Ids,
    started: Instant,
    draining: AtomicBool,
    /// There is room for few more clients.
    is_crowded: AtomicBool,
    /// Requests that a worker carries or that wait for one.
    in_flight: AtomicUsize,
    /// Workers that wait for a next request, which may come any moment.
    staying: AtomicUsize,
}

/// What people who watch are told.
pub(crate) enum Event<'a> {
    Finished(Finished<'a>),
    /// The proxy has been asked to stop, with so many requests that it lets finish.
    Stopping(usize),
}

/// Takes each event.
pub(crate) type Report = Box<dyn Fn(&Event) + Send + Sync>;

/// Makes the default report, as JSON or as a page.
pub(crate) type Stats = Box<dyn Fn(bool) -> Result<String, Error> + Send + Sync>;

/// Sums since start, for the last line.
#[derive(Default)]
pub(crate) struct Totals {
    pub(crate) requests: AtomicU64,
    pub(crate) before: AtomicU64,
    pub(crate) after: AtomicU64,
}

impl Context {
    pub(crate) fn new(setup: Setup, ledger: Ledger, report: Report, stats: Stats) -> Context {
        let seed = RandomState::new();
        let config = &setup.config;
        Context {
            counters: tokens::Counters::new(tokens::Memo::new(|at| seed.hash_one(at))),
            ids: identity::Ids::new(),
            refused: upstream::refused::Refused::default(),
            totals: Totals::default(),
            metrics: local::metrics::Metrics::new(),
            debug: Debug::new(config.home.clone()),
            memory: event_loop::memory::Memory::new(config.body_memory_mb * 1024 * 1024),
            large: large_bodies::LargeBodyThread::new(config.body_memory_mb * 1024 * 1024),
            memo: Memo::new(config.memo_mb * 1024 * 1024, |_| random()),
            forms: Forms::new(&config.database, random),
            started: Instant::now(),
            draining: AtomicBool::new(false),
            is_crowded: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
            staying: AtomicUsize::new(0),
            database: config.database.clone(),
            workers_max: config.workers,
            threads: Arc::default(),
            setups: setup::Setups::new(setup),
            ledger,
            report,
            stats,
        }
    }

    /// Serves every request from now on by these settings. Those in flight end as they began.
    pub(crate) fn reload(&self, setup: Setup) {
        self.ledger.keep_days(setup.config.retention_days);
        self.setups.replace(setup);
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }
}

/// A number that nobody can foresee: hash maps of the standard library are seeded with such.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Serves until `signals` says stop, and finishes what is in flight. A second signal ends at once.
pub(crate) fn serve(
    context: &Arc<Context>,
    listeners: Listeners,
    signals: UnixStream,
) -> Result<(), Error> {
    let workers = event_loop::workers::Workers::new(Arc::clone(context));
    let served = event_loop::run(context, listeners.sockets, signals, &workers);
    if let Some(file) = listeners.file {
        file.release();
    }
    served
}
