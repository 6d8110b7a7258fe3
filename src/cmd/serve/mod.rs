//! `tokenpak serve`: the proxy, in the foreground or in the background.

mod arenas;
mod daemon;
mod logger;
mod notify;
mod reload;
mod repeats;

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::ask;
use crate::cli;
use crate::config::{self, Config, EffectiveSettings, Environment, Flag, TEST_VARIABLE};
use crate::error::{self, Error};
use crate::instance::{self, Lock, PidFile, Running};
use crate::ledger::{Ledger, WriterSettings};
use crate::proxy::{self, Context, Event, Setup, deadlines};
use daemon::Starter;
use logger::Logger;
use reload::{Reload, price_stored};

pub(crate) fn run(args: &cli::Serve) -> Result<(), Error> {
    let around = Environment::of_process();
    arenas::share_one(&around);
    if let (true, Some(text)) = (cfg!(debug_assertions), around.variable(TEST_VARIABLE)) {
        deadlines::replace(text)?;
    }
    let config = super::settings(args.config.as_deref().map(Path::new), &flags(args))?;
    if !args.daemon {
        return serve(args, around, config, None);
    }
    if !daemon::is_child(&around) {
        return daemon::start(&around);
    }
    let mut starter = Starter::of_child();
    serve(args, around, config, Some(&mut starter)).inspect_err(|error| starter.failed(error))
}

/// From the sockets to the last line. `starter` waits for the first word.
fn serve(
    args: &cli::Serve,
    around: Environment,
    mut config: Config,
    mut starter: Option<&mut Starter>,
) -> Result<(), Error> {
    raise_limits();
    let signals = signals().map_err(|error| Error::system("signals", error))?;
    let listeners = proxy::listen(&config, handed(&around));
    let listeners = listeners.map_err(|error| name_holder(error, &around))?;
    let address = listeners.address;
    if let Some(open) = listeners.open_to {
        // Systemd's socket may be open where the settings are not.
        config.bind = open.to_string();
        config::consistent(&config)?;
    }
    let first = config.clone();
    // 0 lets the system choose.
    config.port = address.port();
    let setup = Setup::new(config)?;
    let config = &setup.config;
    let logger = Logger::of_process(&around, config.log);
    let claim = claim(&around, &logger, address);
    let warnings = logger.clone();
    let keeping =
        WriterSettings { flush_ms: config.flush_ms, retention_days: config.retention_days };
    let ledger = Ledger::start(&config.database, keeping, move |text| warnings.warn(text));
    say_settings(claim.as_deref(), (config, &around, &flags(args)), &logger);
    if !ledger.wait_until_open() {
        logger.warn("the database takes long to open; requests are served meanwhile");
    }
    if ![0, address.port()].contains(&first.port) {
        let (set, now) = (first.port, address.port());
        logger.warn(&format!(
            "proxy.port is {set}, but systemd's socket is at {now}: tokenpak service install --force"
        ));
    }
    logger.started(config, address);
    price_stored(config, &logger);
    let lines = logger.clone();
    let database = config.database.clone();
    let stats = Box::new(move |json| super::stats::of_database(&database, json));
    let last_signal = Arc::clone(&signals.last);
    let report = Box::new(move |event: &Event| match event {
        Event::Finished(done) => lines.done(done),
        Event::Stopping(in_flight) => {
            lines.stopping(last_signal.load(Ordering::Relaxed), *in_flight);
        }
    });
    let context = Arc::new(Context::new(setup, ledger, report, stats));
    let reload = Reload {
        file: args.config.as_deref().map(PathBuf::from),
        flags: flags(args).into_iter().map(|(key, value)| (key, value.to_owned())).collect(),
        around: Environment::of_process(),
        port: address.port(),
        first,
        has_log: starter.is_some(),
        claim: claim.clone(),
    };
    reload.listen(signals.reload, Arc::clone(&context), logger.clone());
    notify::send(&around, "READY=1");
    if let Some(starter) = &mut starter {
        starter.ready(address);
    }
    let served = proxy::serve(&context, listeners, signals.stop);
    notify::send(&around, "STOPPING=1");
    context.ledger.close();
    logger.stopped(&context);
    if let Some(claim) = claim {
        claim.release();
    }
    served
}

fn flags(args: &cli::Serve) -> Vec<(&'static str, &str)> {
    let all = [
        ("proxy.port", &args.port),
        ("proxy.bind", &args.bind),
        ("proxy.mode", &args.mode),
        ("log.level", &args.log),
    ];
    let footer = args.no_footer.then_some(("proxy.stats_footer", "false"));
    let said = all.into_iter().filter_map(|(key, value)| Some((key, value.as_deref()?)));
    said.chain(footer).collect()
}

/// How many sockets systemd has opened for this process; those of another are not ours.
fn handed(around: &Environment) -> usize {
    let number = |name: &str| around.variable(name).and_then(|text| text.parse::<usize>().ok());
    let is_for_us = number("LISTEN_PID") == Some(std::process::id() as usize);
    number("LISTEN_FDS").filter(|_| is_for_us).unwrap_or(0)
}

/// As many descriptors as allowed, and no core dumps: they would hold prompts and keys.
fn raise_limits() {
    let files = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: files.maximum, ..files });
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}

/// Sockets that become readable when the proxy is asked to stop, or to read its settings again.
struct Signals {
    stop: UnixStream,
    reload: UnixStream,
    /// The number of the one that came last, of those that ask to stop.
    last: Arc<AtomicUsize>,
}

fn signals() -> std::io::Result<Signals> {
    use signal_hook::low_level::pipe::register;
    let last = Arc::new(AtomicUsize::new(0));
    for signal in [SIGTERM, SIGINT] {
        // Before the socket: who reads there finds it set.
        signal_hook::flag::register_usize(signal, Arc::clone(&last), signal as usize)?;
    }
    let (stop, write) = UnixStream::pair()?;
    register(SIGTERM, write.try_clone()?)?;
    register(SIGINT, write)?;
    let (reload, write) = UnixStream::pair()?;
    register(SIGHUP, write)?;
    Ok(Signals { stop, reload, last })
}

/// Adds to an address that is in use who uses it, as far as it can be known.
fn name_holder(error: Error, around: &Environment) -> Error {
    let Some(place) = error.address_in_use() else { return error };
    if let Some(uid) = ask::stranger(place, &around.home()) {
        return error.held_by(format!("another user, uid {uid}, who would get your keys"));
    }
    let running = instance::running(&around.home());
    let there = |running: &Running| running.address.is_some_and(|it| it.port() == place.port());
    match running.filter(there) {
        Some(Running { pid, .. }) => error.held_by(format!("a running tokenpak, pid {pid}")),
        None => error,
    }
}

/// Writes the file by which `stop` and `status` find us. Without it we serve all the same.
fn claim(
    around: &Environment,
    logger: &Logger,
    address: std::net::SocketAddr,
) -> Option<Arc<PidFile>> {
    let why = match instance::claim(&around.home()) {
        Ok(Lock::Ours(mut file)) => match file.listening(address) {
            Ok(()) => return Some(Arc::new(file)),
            Err(error) => error::reason(&error),
        },
        Ok(Lock::Theirs(Some(running))) => format!("pid {} has it", running.pid),
        Ok(Lock::Theirs(None)) => "another proxy has it".into(),
        Err(error) => error::reason(&error),
    };
    logger.warn(&format!("tokenpak.pid: {why}; stop and status will not find this proxy"));
    None
}

/// Writes down with which settings we run, for `status`.
fn say_settings(
    claim: Option<&PidFile>,
    (config, around, flags): (&Config, &Environment, &[Flag]),
    logger: &Logger,
) {
    let Some(claim) = claim else { return };
    if let Err(error) = claim.running_with(&EffectiveSettings::of(config, around, flags)) {
        let why = error::reason(&error);
        logger.warn(&format!("tokenpak.pid: {why}; status will not show the settings"));
    }
}
