//! `tokenpak serve`: the proxy in the foreground, and what it says.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGINT, SIGTERM};

use super::commas;
use crate::cli;
use crate::config::{Config, LogLevel};
use crate::error::Error;
use crate::ledger::Ledger;
use crate::proxy::{self, Context, Done};

pub(crate) fn run(args: &cli::Serve) -> Result<(), Error> {
    let config = super::settings(args.config.as_deref().map(Path::new), &flags(args))?;
    raise_limits();
    let signals = signals().map_err(|error| Error::system("signals", error))?;
    let listeners = proxy::listen(&config)?;
    let address = listeners[0].local_addr().map_err(|error| Error::system("listen", error))?;
    let voice = Voice::of_process(config.log);
    let warnings = voice.clone();
    let ledger = Ledger::start(&config.database, config.flush_ms, move |text| warnings.warn(text));
    voice.started(&config, address);
    let lines = voice.clone();
    let context = Arc::new(Context::new(config, ledger, Box::new(move |done| lines.done(done))));
    let served = proxy::serve(&context, listeners, signals);
    context.ledger.close();
    voice.stopped(&context);
    served
}

fn flags(args: &cli::Serve) -> Vec<(&'static str, &str)> {
    let all = [
        ("proxy.port", &args.port),
        ("proxy.bind", &args.bind),
        ("proxy.mode", &args.mode),
        ("log.level", &args.log),
    ];
    all.into_iter().filter_map(|(key, value)| Some((key, value.as_deref()?))).collect()
}

/// As many descriptors as allowed, and no core dumps: they would hold prompts and keys.
fn raise_limits() {
    let files = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: files.maximum, ..files });
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}

/// A socket that becomes readable when the proxy is asked to stop.
fn signals() -> std::io::Result<UnixStream> {
    let (read, write) = UnixStream::pair()?;
    signal_hook::low_level::pipe::register(SIGTERM, write.try_clone()?)?;
    signal_hook::low_level::pipe::register(SIGINT, write)?;
    Ok(read)
}

/// Who listens on standard error: a person at a terminal, the journal, or a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Listener {
    Terminal,
    Journal,
    File,
}

#[derive(Clone)]
struct Voice {
    listener: Listener,
    level: LogLevel,
}

impl Voice {
    fn of_process(level: LogLevel) -> Voice {
        let listener = if std::io::stderr().is_terminal() {
            Listener::Terminal
        } else if std::env::var_os("JOURNAL_STREAM").is_some() {
            Listener::Journal
        } else {
            Listener::File
        };
        Voice { listener, level }
    }

    /// One logfmt line; the journal takes the level from its prefix (sd-daemon(3)).
    fn log(&self, level: LogLevel, text: &str) {
        if level > self.level {
            return;
        }
        let number = match level {
            LogLevel::Error => 3,
            LogLevel::Warn => 4,
            LogLevel::Info => 6,
            LogLevel::Debug => 7,
        };
        match self.listener {
            Listener::Journal => eprintln!("<{number}>{text}"),
            Listener::Terminal | Listener::File => eprintln!("{text}"),
        }
    }

    fn warn(&self, text: &str) {
        match self.listener {
            Listener::Journal => self.log(LogLevel::Warn, text),
            _ => self.log(LogLevel::Warn, &format!("tokenpak: warning: {text}")),
        }
    }

    fn started(&self, config: &Config, address: SocketAddr) {
        let version = env!("CARGO_PKG_VERSION");
        if self.listener == Listener::Terminal {
            return self.log(LogLevel::Info, &banner(config, address));
        }
        let (mode, db) = (config.mode.name(), config.database.display());
        let text = format!("listening addr={address} version={version} mode={mode} db={db}");
        self.log(LogLevel::Info, &text);
    }

    fn done(&self, done: &Done) {
        let level = match self.listener {
            Listener::Terminal if done.is_request => LogLevel::Info,
            _ => LogLevel::Debug,
        };
        if level > self.level {
            return;
        }
        match self.listener {
            Listener::Terminal => self.log(level, &request_line(done)),
            _ => self.log(level, &request_fields(done)),
        }
    }

    fn stopped(&self, context: &Context) {
        let totals = &context.totals;
        let [requests, before, after] = [&totals.requests, &totals.before, &totals.after]
            .map(|total| total.load(Ordering::Relaxed));
        let text = match self.listener {
            Listener::Terminal => format!(
                "stopped: {} requests, {} -> {} prompt tokens (saved {}%)",
                commas(requests),
                commas(before),
                commas(after),
                percent(before, after)
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
         database     {database}\n\n\
         Point a client here:\n  \
         export ANTHROPIC_BASE_URL={at}\n  \
         export OPENAI_BASE_URL={at}/v1\n",
        version = env!("CARGO_PKG_VERSION"),
        mode = config.mode.name(),
        level = plan.level.name(),
        routes = routes.join("   "),
        config = config.file.0.display(),
        database = config.database.display(),
    )
}

fn host(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, rest)| rest)
}

/// `claude-sonnet-4-5       4,231 -> 2,847   saved 33%   200   2.9 s`
fn request_line(done: &Done) -> String {
    let model = done.model.as_deref().unwrap_or(&done.provider);
    let tokens = match done.skip {
        None if done.before != done.after => {
            format!(
                "{} -> {}   saved {}%",
                commas(done.before),
                commas(done.after),
                percent(done.before, done.after)
            )
        }
        skip => format!("{}   not: {}", commas(done.before), skip.unwrap_or("nothing-to-gain")),
    };
    let status = done.status.map_or("-".to_owned(), |status| status.to_string());
    let error = done.error.map_or(String::new(), |error| format!("   {error}"));
    format!("{model:<22} {tokens:<36} {status}   {:.1} s{error}", done.took.as_secs_f64())
}

fn request_fields(done: &Done) -> String {
    let text = |value: Option<&str>| value.unwrap_or("-").to_owned();
    format!(
        "request provider={} model={} status={} before={} after={} skip={} error={} ms={}",
        done.provider,
        text(done.model.as_deref()),
        done.status.unwrap_or(0),
        done.before,
        done.after,
        text(done.skip),
        text(done.error),
        done.took.as_millis()
    )
}

/// Saved share in whole percent.
fn percent(before: u64, after: u64) -> u64 {
    (before.saturating_sub(after) * 100).checked_div(before).unwrap_or(0)
}
