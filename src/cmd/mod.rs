//! The commands, a file each.

mod ask;
mod completions;
mod compress;
mod config;
mod count;
mod debug;
mod doctor;
mod man;
mod prices;
mod serve;
mod service;
mod stats;
mod status;
mod stop;
mod trace;
mod version;

use std::io::{Read, Write};
use std::path::Path;

use crate::cli::Command;
use crate::config::{Config, Environment, Flag, load};
use crate::error::{Error, say};
use crate::name::clean_lines;

pub(crate) use version::line as version;

/// Runs one command; its data has been written when this returns.
pub(crate) fn run(command: Command) -> Result<(), Error> {
    match command {
        Command::Serve(args) => serve::run(&args),
        Command::Stop(args) => stop::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Config(args) => config::run(&args),
        Command::Service(args) => service::run(&args),
        Command::Debug(args) => debug::run(&args),
        Command::Trace(args) => trace::run(&args),
        Command::Man(args) => man::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Stats(args) => stats::run(&args),
        Command::Compress(args) => compress::run(&args),
        Command::Count(args) => count::run(&args),
        Command::Version(args) => version::run(&args),
        Command::Prices(args) => prices::run(&args),
    }
}

/// Reads the configuration and says its warnings.
fn settings(file: Option<&Path>, flags: &[Flag]) -> Result<Config, Error> {
    let (config, warnings) = load(&Environment::of_process(), file, flags)?;
    for warning in warnings {
        say(format_args!("tokenpak: warning: {warning}"));
    }
    Ok(config)
}

/// The content of a file, or of standard input without a name.
fn read(name: Option<&str>) -> Result<Vec<u8>, Error> {
    let path = match name {
        Some(name) if name != "-" => Path::new(name),
        _ => {
            let mut bytes = Vec::new();
            let read = std::io::stdin().lock().read_to_end(&mut bytes);
            return read
                .map(|_| bytes)
                .map_err(|error| Error::read(Path::new("standard input"), error));
        }
    };
    std::fs::read(path).map_err(|error| Error::read(path, error))
}

/// Prints a report, with nothing in it that a terminal would obey.
fn print(text: &str) -> Result<(), Error> {
    write(clean_lines(text).as_bytes())
}

/// Writes bytes as they are: for data, not for people.
fn write(bytes: &[u8]) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(Error::output)
}
