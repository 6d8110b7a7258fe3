//! What `serve` says on standard error, and to whom: a person, the journal, or a file.

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use signal_hook::consts::{SIGINT, SIGTERM};

use super::repeats::Repeats;
use crate::config::{Config, Environment, LogLevel};
use crate::ledger::Clock;
use crate::name::{clean, clean_lines, field};
use crate::number::{commas, saved_percent};
use crate::proxy::{Context, Finished};

/// Who listens on standard error: a person at a terminal, the journal, or a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LogSink {
    Terminal,
    Journal,
    File,
}

#[derive(Clone)]
pub(super) struct Logger {
    sink: LogSink,
    /// A `LogLevel`, the same for all who speak.
    level: Arc<AtomicU8>,
    /// `None` where the journal has its own. A lock, because workers speak, too.
    clock: Option<Arc<Mutex<Clock>>>,
    /// Providers that cannot be asked.
    faults: Arc<Repeats>,
}

impl Logger {
    /// Looks at standard error and at what systemd says about it.
    pub(super) fn of_process(around: &Environment, level: LogLevel) -> Logger {
        let sink = if std::io::stderr().is_terminal() {
            LogSink::Terminal
        } else if around.set_variable("JOURNAL_STREAM").is_some() {
            LogSink::Journal
        } else {
            LogSink::File
        };
        let clock = if sink == LogSink::Journal { None } else { Clock::new() };
        let level = Arc::new(AtomicU8::new(level as u8));
        let clock = clock.map(|clock| Arc::new(Mutex::new(clock)));
        Logger { sink, level, clock, faults: Arc::default() }
    }

    fn says(&self, level: LogLevel) -> bool {
        level as u8 <= self.level.load(Ordering::Relaxed)
    }

    pub(super) fn set_level(&self, level: LogLevel) {
        self.level.store(level as u8, Ordering::Relaxed);
    }

    /// Whether there was a terminal that has hung up.
    pub(super) fn has_lost_its_terminal(&self) -> bool {
        self.sink == LogSink::Terminal && !std::io::stderr().is_terminal()
    }

    /// One line, whatever names are in it.
    fn log(&self, level: LogLevel, text: &str) {
        self.log_lines(level, &clean(text));
    }

    /// The journal takes the level from its prefix (sd-daemon(3)).
    fn log_lines(&self, level: LogLevel, text: &str) {
        if !self.says(level) {
            return;
        }
        let number = match level {
            LogLevel::Error => 3,
            LogLevel::Warn => 4,
            LogLevel::Info => 6,
            LogLevel::Debug => 7,
        };
        let line = match self.sink {
            LogSink::Journal => format!("<{number}>{text}\n"),
            LogSink::Terminal => format!("{text}\n"),
            LogSink::File => format!("{} {text}\n", self.now(Clock::date_and_time)),
        };
        // A full disk or a terminal that is gone must not end a request.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }

    /// The local time in one of the clock's forms.
    fn now(&self, form: fn(&Clock) -> String) -> String {
        let clock = self.clock.as_ref();
        clock.map_or(String::new(), |clock| {
            form(&clock.lock().unwrap_or_else(PoisonError::into_inner))
        })
    }

    pub(super) fn warn(&self, text: &str) {
        match self.sink {
            LogSink::Journal => self.log(LogLevel::Warn, text),
            _ => self.log(LogLevel::Warn, &format!("tokenpak: warning: {text}")),
        }
    }

    pub(super) fn started(&self, config: &Config, address: SocketAddr) {
        let version = env!("CARGO_PKG_VERSION");
        if self.sink == LogSink::Terminal {
            return self.log_lines(LogLevel::Info, &clean_lines(&banner(config, address)));
        }
        let (mode, db) = (config.mode.name(), config.database.to_string_lossy());
        let db = field(&db);
        let socket = config.socket.as_ref().map(|path| path.to_string_lossy());
        let socket = socket.map_or(String::new(), |path| format!(" socket={}", field(&path)));
        let text =
            format!("listening addr={address} version={version} mode={mode} db={db}{socket}");
        self.log(LogLevel::Info, &text);
    }

    pub(super) fn info(&self, text: &str) {
        self.log(LogLevel::Info, text);
    }

    pub(super) fn reloaded(&self, config: &Config) {
        let (mode, file) = (config.mode.name(), config.file.0.to_string_lossy());
        let text = match self.sink {
            LogSink::Terminal => format!("reloaded {file}"),
            _ => format!("reloaded mode={mode} config={}", field(&file)),
        };
        self.log(LogLevel::Info, &text);
    }

    pub(super) fn done(&self, done: &Finished) {
        let lines = match done.fault {
            Some(_) => self.faults.note(fault_fields(done), Instant::now()),
            None => self.faults.due(Instant::now()),
        };
        lines.iter().for_each(|line| self.warn(line));
        let level = match self.sink {
            LogSink::Terminal if done.is_request => LogLevel::Info,
            _ => LogLevel::Debug,
        };
        if !self.says(level) {
            return;
        }
        match self.sink {
            LogSink::Terminal => {
                let line = format!("{}  {}", self.now(Clock::time_of_day), request_line(done));
                self.log(level, &line);
            }
            _ => self.log(level, &request_fields(done)),
        }
    }

    /// The terminal shows what was typed.
    pub(super) fn stopping(&self, signal: usize, in_flight: usize) {
        let name = match i32::try_from(signal) {
            Ok(SIGTERM) => "TERM",
            Ok(SIGINT) => "INT",
            _ => "-",
        };
        if self.sink != LogSink::Terminal {
            self.log(LogLevel::Info, &format!("stopping signal={name} in_flight={in_flight}"));
        }
    }

    pub(super) fn stopped(&self, context: &Context) {
        self.faults.rest().iter().for_each(|line| self.warn(line));
        let totals = &context.totals;
        let [requests, before, after] = [&totals.requests, &totals.before, &totals.after]
            .map(|total| total.load(Ordering::Relaxed));
        let text = match self.sink {
            LogSink::Terminal => format!(
                "stopped: {} requests, {} -> {} prompt tokens (saved {}%)",
                commas(requests),
                commas(before),
                commas(after),
                saved_percent(before, after)
            ),
            _ => format!("stopped requests={requests} before={before} after={after}"),
        };
        self.log(LogLevel::Info, &text);
        if context.ledger.lost() > 0 {
            self.warn(&format!("{} records were lost", context.ledger.lost()));
        }
    }
}

fn banner(config: &Config, address: SocketAddr) -> String {
    let plan = config.plan(None);
    let enabled = if config.enabled { "enabled" } else { "disabled" };
    let threshold = match plan.threshold {
        0 => "none".to_owned(),
        tokens => commas(tokens),
    };
    let routes: Vec<String> =
        config.providers.iter().map(|(name, url)| format!("{name}: {}", host(url))).collect();
    let found = if config.file.1 { "" } else { " (not found, using defaults)" };
    let at = format!("http://localhost:{}", address.port());
    format!(
        "tokenpak {version} listening on http://{address}\n  \
         compression: {enabled} | mode: {mode} | level: {level} | threshold: {threshold}\n  \
         routes       {routes}\n  \
         config       {config}{found}\n  \
         database     {database}\n  \
         footer       {footer}\n\n\
         Point a client here:\n  \
         export ANTHROPIC_BASE_URL={at}\n  \
         export OPENAI_BASE_URL={at}/v1\n",
        version = env!("CARGO_PKG_VERSION"),
        mode = config.mode.name(),
        level = plan.level.name(),
        routes = routes.join("   "),
        footer = match config.stats_footer {
            true => "on; off with: tokenpak config set proxy.stats_footer false",
            false => "off",
        },
        config = config.file.0.display(),
        database = config.database.display(),
    )
}

fn host(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, rest)| rest)
}

/// `claude-sonnet-4-5       4,231 -> 2,847   saved 33%   200   2.9 s`
fn request_line(done: &Finished) -> String {
    // Here, too, so that the column is as wide as what is seen.
    let model = clean(done.model.unwrap_or(done.provider));
    let tokens = match done.skip {
        None if done.before != done.after => {
            format!(
                "{} -> {}   saved {}%",
                commas(done.before),
                commas(done.after),
                saved_percent(done.before, done.after)
            )
        }
        skip => format!("{}   not: {}", commas(done.before), skip.unwrap_or("nothing-to-gain")),
    };
    let status = done.status.map_or("-".to_owned(), |status| status.to_string());
    let error = done.error.map_or(String::new(), |error| format!("   {error}"));
    format!("{model:<22} {tokens:<36} {status}   {:.1} s{error}", done.took.as_secs_f64())
}

/// `upstream unreachable provider=openai host=api.openai.com error="connection timed out"`
fn fault_fields(done: &Finished) -> String {
    let (host, why) = done.fault.unwrap_or_default();
    let what = done.error.unwrap_or_default().replace('-', " ");
    format!("{what} provider={} host={host} error=\"{why}\"", done.provider)
}

fn request_fields(done: &Finished) -> String {
    format!(
        "request provider={} model={} status={} before={} after={} skip={} error={} ms={}",
        field(done.provider),
        field(done.model.unwrap_or("-")),
        done.status.unwrap_or(0),
        done.before,
        done.after,
        field(done.skip.unwrap_or("-")),
        field(done.error.unwrap_or("-")),
        done.took.as_millis()
    )
}
