//! `tokenpak serve`: the proxy, in the foreground or in the background.

mod daemon;
mod notify;
mod voice;

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::cli;
use crate::config::Surroundings;
use crate::error::{self, Error};
use crate::instance::{self, Claim};
use crate::ledger::{Keeping, Ledger};
use crate::proxy::{self, Context, Done, Upstream};
use voice::Voice;

pub(crate) fn run(args: &cli::Serve) -> Result<(), Error> {
    let around = Surroundings::of_process();
    let mut config = super::settings(args.config.as_deref().map(Path::new), &flags(args))?;
    if args.daemon && !daemon::is_child(&around) {
        return daemon::start(&around);
    }
    raise_limits();
    let signals = signals().map_err(|error| Error::system("signals", error))?;
    let listeners = proxy::listen(&config).map_err(|error| name_holder(error, &around))?;
    let address = listeners[0].local_addr().map_err(|error| Error::system("listen", error))?;
    // 0 lets the system choose.
    config.port = address.port();
    let upstream = Upstream::new(&config)?;
    let voice = Voice::of_process(config.log);
    let claim = claim(&around, &voice, address);
    let warnings = voice.clone();
    let keeping = Keeping { flush_ms: config.flush_ms, retention_days: config.retention_days };
    let ledger = Ledger::start(&config.database, keeping, move |text| warnings.warn(text));
    voice.started(&config, address);
    let lines = voice.clone();
    let database = config.database.clone();
    let stats = Box::new(move |json| super::stats::of_database(&database, json));
    let report = Box::new(move |done: &Done| lines.done(done));
    let context = Arc::new(Context::new(config, upstream, ledger, report, stats));
    notify::send(&around, "READY=1");
    let served = proxy::serve(&context, listeners, signals);
    notify::send(&around, "STOPPING=1");
    context.ledger.close();
    voice.stopped(&context);
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

/// Adds to an address that is in use which of our kind uses it.
fn name_holder(error: Error, around: &Surroundings) -> Error {
    match instance::running(&around.home()) {
        Some(running) => error.held_by(running),
        None => error,
    }
}

/// Writes the file by which `stop` and `status` find us. Without it we serve all the same.
fn claim(around: &Surroundings, voice: &Voice, address: std::net::SocketAddr) -> Option<Claim> {
    let claimed = instance::claim(&around.home()).and_then(|claimed| match claimed {
        Ok(mut claim) => claim.listening(address).map(|()| Ok(claim)),
        Err(running) => Ok(Err(running)),
    });
    let why = match claimed {
        Ok(Ok(claim)) => return Some(claim),
        Ok(Err(running)) => running
            .map_or("another proxy has it".into(), |running| format!("pid {} has it", running.pid)),
        Err(error) => error::reason(&error),
    };
    voice.warn(&format!("tokenpak.pid: {why}; stop and status will not find this proxy"));
    None
}
