//! `tokenpak stop`: asks the running proxy to end and waits until it has.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::cli;
use crate::config::{self, Environment};
use crate::error::{Error, say};
use crate::instance;

/// The proxy gives requests in flight 30 s, and the ledger a moment.
const TIMEOUT_S: u64 = 40;
/// Between two looks at the lock: the end of a process that is not a child wakes nobody.
const LOOK: Duration = Duration::from_millis(20);

pub(crate) fn run(args: &cli::Stop) -> Result<(), Error> {
    let around = Environment::of_process();
    let home = around.home();
    config::check_home(&around)?;
    instance::check(&home)?;
    let Some(running) = instance::running(&home) else {
        return Err(Error::not_running("not running; there is nothing to stop"));
    };
    let pid = Pid::from_raw(running.pid)
        .ok_or_else(|| Error::not_running("tokenpak.pid names no process"))?;
    kill_process(pid, Signal::TERM).map_err(|error| Error::system("cannot stop it", error))?;
    let seconds = args.timeout.unwrap_or(TIMEOUT_S);
    let deadline = Instant::now() + Duration::from_secs(seconds);
    while instance::running(&home).is_some_and(|now| now.pid == running.pid) {
        if Instant::now() >= deadline {
            let pid = running.pid;
            return Err(Error::answer(format!(
                "still running after {seconds} s (pid {pid}); a second TERM ends it at once: kill {pid}"
            )));
        }
        std::thread::sleep(LOOK);
    }
    say(format_args!("tokenpak: stopped (pid {})", running.pid));
    Ok(())
}
