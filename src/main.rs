//! Parse, dispatch, print the error, exit status.
//!
//! A closed standard output is success: `tokenpak stats | head` is not a failure of ours.

#[cfg(test)]
mod allocation_tests;
mod cli;
mod cmd;
mod compress;
mod config;
mod debug;
mod error;
mod footer;
mod forms;
#[cfg(test)]
mod fuzz;
mod instance;
mod json;
mod ledger;
mod name;
mod number;
mod ownership;
mod prices;
mod proxy;
mod report;
mod rewrite;
mod route;
mod safe_path;
mod tokens;
mod trace;
mod wire;

use std::io::Write;
use std::process::ExitCode;

use cli::Invocation;
use error::{BUG, Error, say, say_lines};

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(report_bug));
    match std::panic::catch_unwind(run) {
        Err(_) => ExitCode::from(BUG),
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            if !error.is_silent() {
                say_lines(&error);
            }
            ExitCode::from(error.status())
        }
    }
}

fn run() -> Result<(), Error> {
    seal();
    let arguments: Option<Vec<String>> =
        std::env::args_os().skip(1).map(|argument| argument.into_string().ok()).collect();
    let arguments = arguments.ok_or_else(|| Error::usage("an argument is not UTF-8"))?;
    match cli::parse(&arguments)? {
        Invocation::Run(command) => cmd::run(command),
        Invocation::Print(text) => print(&text),
        Invocation::Version => print(&cmd::version()),
        Invocation::Nothing(help) => {
            say_lines(help.trim_end());
            Err(Error::usage(""))
        }
    }
}

/// Memory holds prompts and keys: it is for no core file, and for no other program of the same user.
/// A limit of 0 would not do, since the kernel ignores it where cores go to a program.
fn seal() {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    // It cannot fail for this value.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Says where, never what: the text of a panic may quote a prompt or a key.
fn report_bug(panic: &std::panic::PanicHookInfo) {
    let place = panic.location().map_or(String::new(), |place| format!(" at {place}"));
    let version = env!("CARGO_PKG_VERSION");
    say(format_args!("tokenpak: a mistake in tokenpak {version}{place}; please report this line"));
}

/// Writes to standard output, where a closed pipe is an `Error` without words.
fn print(text: &str) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Error::output)
}
