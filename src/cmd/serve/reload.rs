//! SIGHUP: reads the settings again, as at the start, and hands them to the running proxy.
//!
//! A thread of its own, since files and certificates take their time and requests must not wait for
//! them. Settings that are bad change nothing.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::time::{ClockId, clock_gettime};
use signal_hook::low_level::raise;

use super::logger::Logger;
use super::{daemon, notify, say_settings};
use crate::config::{self, Config, Environment, Flag};
use crate::error::Error;
use crate::instance::PidFile;
use crate::ledger;
use crate::proxy::{Context, Setup};

/// How the settings were read at the start, and so are read again.
pub(super) struct Reload {
    pub(super) around: Environment,
    /// The file and the flags of the command line.
    pub(super) file: Option<PathBuf>,
    pub(super) flags: Vec<(&'static str, String)>,
    /// What they were then, and the port that came of it.
    pub(super) first: Config,
    pub(super) port: u16,
    /// Standard error is `tokenpak.log`, which may have been moved away.
    pub(super) has_log: bool,
    pub(super) claim: Option<Arc<PidFile>>,
}

impl Reload {
    /// Waits for signals as long as the process lives.
    pub(super) fn listen(self, mut signals: UnixStream, context: Arc<Context>, logger: Logger) {
        let run = move || {
            // Several that came meanwhile are one.
            while signals.read(&mut [0; 64]).is_ok_and(|count| count > 0) {
                self.on_signal(&context, &logger);
            }
        };
        // Without the thread the signal is heard by nobody, and the settings stay.
        let _ = std::thread::Builder::new().name("reload".into()).spawn(run);
    }

    fn on_signal(&self, context: &Context, logger: &Logger) {
        if logger.has_lost_its_terminal() {
            // It was the terminal that hung up, not somebody who changed the settings.
            let _ = raise(signal_hook::consts::SIGTERM);
            return;
        }
        let now = clock_gettime(ClockId::Monotonic);
        let us = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
        notify::send(&self.around, &format!("RELOADING=1\nMONOTONIC_USEC={us}"));
        if self.has_log
            && let Err(error) = daemon::reopen_log(&self.around.home())
        {
            logger.warn(&format!("{}; the old log is written on", error.words()));
        }
        match self.read(logger) {
            Ok(setup) => {
                let config = setup.config.clone();
                context.reload(setup);
                say_settings(self.claim.as_deref(), (&config, &self.around, &self.flags()), logger);
                logger.set_level(config.log);
                // Whoever reads this line can rely on it.
                logger.reloaded(&config);
                price_stored(&config, logger);
            }
            Err(error) => {
                let words = error.words().replace("\ntokenpak: ", "; ");
                logger.warn(&format!("the settings stay as they were: {words}"));
            }
        }
        notify::send(&self.around, "READY=1");
    }

    fn flags(&self) -> Vec<Flag<'_>> {
        self.flags.iter().map(|(key, value)| (*key, value.as_str())).collect()
    }

    fn read(&self, logger: &Logger) -> Result<Setup, Error> {
        let (mut config, warnings) =
            config::load(&self.around, self.file.as_deref(), &self.flags())?;
        warnings.iter().for_each(|warning| logger.warn(warning));
        for key in config::keep_fixed(&mut config, &self.first)? {
            logger.warn(&format!("{key} stays as it was; a new value needs a restart"));
        }
        config.port = self.port;
        Setup::new(config)
    }
}

/// Prices stored requests that had no price and have one now, such as after a change of the settings. On a
/// thread of its own, since there may be many, and a disk may hang.
pub(super) fn price_stored(config: &Config, logger: &Logger) {
    let (database, prices, logger) =
        (config.database.clone(), config.prices.clone(), logger.clone());
    let run = move || {
        // A database that cannot be used is said by those who write it.
        let priced = ledger::reprice(&database, &prices, None);
        let count = priced.map_or(0, |outcome| outcome.requests());
        if count > 0 {
            logger.info(&format!("priced stored requests count={count}"));
        }
    };
    // Without the thread they wait for another occasion.
    let _ = std::thread::Builder::new().name("reprice".into()).spawn(run);
}
