//! `tokenpak debug`: records more of the next requests, for `tokenpak trace`.

use std::path::Path;

use super::print;
use crate::cli::{self, DebugCommand};
use crate::config::{self, Environment};
use crate::debug::{self, Switch};
use crate::error::{Error, say};
use crate::instance;
use crate::trace::KEPT;

pub(crate) fn run(args: &cli::Debug) -> Result<(), Error> {
    let around = Environment::of_process();
    config::check_home(&around)?;
    let home = around.home();
    match &args.what {
        DebugCommand::On(on) => switch_on(&home, on),
        DebugCommand::Off(_) => switch_off(&home),
        DebugCommand::Status(_) => print(&status(read(&home)?)),
    }
}

fn switch_on(home: &Path, on: &cli::DebugOn) -> Result<(), Error> {
    let limit = KEPT as u32;
    let requests = match on.requests {
        Some(0) => return Err(Error::usage("--requests 0: at least one, or: tokenpak debug off")),
        Some(count) if on.bodies && count > limit => {
            return Err(Error::usage(format!("--requests {count}: at most {limit} with --bodies")));
        }
        // Bodies fill a disk, so they never come without an end.
        None if on.bodies => Some(limit),
        other => other,
    };
    let failed = |error| Error::create(&debug::path(home), error);
    if on.bodies {
        let bodies = debug::bodies(home);
        // Those of an earlier time would outlive the requests that they belong to.
        debug::clear(home).map_err(|error| Error::create(&bodies, error))?;
        say(format_args!(
            "tokenpak: warning: prompts are now written to {}; they stay until the next \
             debug on --bodies, or until you delete them",
            bodies.display()
        ));
    }
    let switch = Switch { requests, bodies: on.bodies };
    switch.write(home).map_err(failed)?;
    if instance::running(home).is_none() {
        say(format_args!("tokenpak: note: no proxy runs here; the next one obeys"));
    }
    print(&status(Some(switch)))
}

fn switch_off(home: &Path) -> Result<(), Error> {
    let removed = Switch::remove(home);
    removed.map_err(|error| Error::create(&debug::path(home), error))?;
    if debug::bodies(home).exists() {
        let bodies = debug::bodies(home);
        say(format_args!("tokenpak: note: prompts are still in {}", bodies.display()));
    }
    print(&status(None))
}

fn read(home: &Path) -> Result<Option<Switch>, Error> {
    Switch::read(home).map_err(|error| Error::read(&debug::path(home), error))
}

fn status(switch: Option<Switch>) -> String {
    let Some(Switch { requests, bodies }) = switch else { return "debug off\n".to_owned() };
    let bodies = if bodies { ", with bodies" } else { "" };
    match requests {
        Some(count) => {
            let requests = if count == 1 { "request" } else { "requests" };
            format!(
                "debug on for the next {count} {requests}{bodies}; \
                 turn it off with: tokenpak debug off\n"
            )
        }
        None => "debug on; turn it off with: tokenpak debug off\n".to_owned(),
    }
}
