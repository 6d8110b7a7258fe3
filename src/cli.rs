//! Every verb and flag, declared; no behaviour.
//!
//! argh knows `--option value` only. `normalise` turns what people type (`--option=value`, `-nX`
//! stays theirs) into that, and `explain` turns argh's complaints into our one line.

use argh::FromArgs;

use crate::config::nearest;
use crate::error::Error;

/// A proxy for LLM clients that compresses prompts and keeps the accounts.
#[derive(FromArgs)]
#[argh(help_triggers("-h", "--help"))]
struct Top {
    #[argh(subcommand)]
    command: Command,
}

/// What to do.
#[derive(FromArgs)]
#[argh(subcommand)]
pub(crate) enum Command {
    Serve(Serve),
    Stats(Stats),
    Compress(Compress),
    Count(Count),
    Version(Version),
}

/// Run the proxy in the foreground.
#[derive(FromArgs)]
#[argh(subcommand, name = "serve", help_triggers("-h", "--help"))]
pub(crate) struct Serve {
    /// port to listen on (default 8766; 0: any free one)
    #[argh(option, arg_name = "n")]
    pub(crate) port: Option<String>,
    /// address to listen on (default localhost)
    #[argh(option, arg_name = "addr")]
    pub(crate) bind: Option<String>,
    /// when to compress: strict, hybrid or aggressive
    #[argh(option, arg_name = "mode")]
    pub(crate) mode: Option<String>,
    /// configuration file (default ~/.tokenpak/config.json)
    #[argh(option, arg_name = "file")]
    pub(crate) config: Option<String>,
    /// how much to say: error, warn, info or debug
    #[argh(option, arg_name = "level")]
    pub(crate) log: Option<String>,
}

/// Report requests, tokens and money.
#[derive(FromArgs)]
#[argh(subcommand, name = "stats", help_triggers("-h", "--help"))]
pub(crate) struct Stats {
    /// print one JSON object
    #[argh(switch)]
    pub(crate) json: bool,
    /// read this database
    #[argh(option, arg_name = "file")]
    pub(crate) db: Option<String>,
}

/// Compress one request body from a file or standard input.
#[derive(FromArgs)]
#[argh(subcommand, name = "compress", help_triggers("-h", "--help"))]
pub(crate) struct Compress {
    /// request body (default: standard input)
    #[argh(positional)]
    pub(crate) file: Option<String>,
    /// when to compress: strict, hybrid or aggressive
    #[argh(option, arg_name = "mode")]
    pub(crate) mode: Option<String>,
    /// how far to compress: light, balanced or aggressive
    #[argh(option, arg_name = "level")]
    pub(crate) level: Option<String>,
    /// say on standard error which pass saved how much
    #[argh(switch)]
    pub(crate) report: bool,
    /// undo: write the body with every reference replaced by its text
    #[argh(switch)]
    pub(crate) expand: bool,
}

/// Count tokens of request bodies and other text, as wc counts words.
#[derive(FromArgs)]
#[argh(subcommand, name = "count", help_triggers("-h", "--help"))]
pub(crate) struct Count {
    /// files (default: standard input)
    #[argh(positional)]
    pub(crate) files: Vec<String>,
    /// the model whose tokens are meant; says so where they are an estimate
    #[argh(option, arg_name = "name")]
    pub(crate) model: Option<String>,
}

/// Print the version.
#[derive(FromArgs)]
#[argh(subcommand, name = "version", help_triggers("-h", "--help"))]
pub(crate) struct Version {}

/// Every command's name, in the order of the help.
const COMMANDS: &[&str] = &["serve", "stats", "compress", "count", "version", "help"];

/// What the command line asks for.
pub(crate) enum Request {
    Run(Command),
    /// Text for standard output: help.
    Print(String),
    Version,
    /// No command at all: the help, as a complaint.
    Nothing(String),
}

/// Reads the arguments, the program's name left out.
pub(crate) fn parse(arguments: &[String]) -> Result<Request, Error> {
    if arguments.is_empty() {
        return Ok(Request::Nothing(help(None)?));
    }
    let arguments = normalise(arguments);
    let options = arguments.iter().take_while(|argument| *argument != "--");
    if options.clone().any(|argument| argument == "-V" || argument == "--version") {
        return Ok(Request::Version);
    }
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // argh keeps the word for itself, so the command is ours.
    if let ["help", rest @ ..] = words.as_slice() {
        return Ok(Request::Print(help(rest.first().copied())?));
    }
    match Top::from_args(&["tokenpak"], &words) {
        Ok(top) => Ok(Request::Run(top.command)),
        Err(exit) if exit.status.is_ok() => Ok(Request::Print(wrap(&exit.output))),
        Err(exit) => Err(Error::usage(explain(&words, &exit.output))),
    }
}

/// The help of the program, or of one command.
pub(crate) fn help(command: Option<&str>) -> Result<String, Error> {
    let words: Vec<&str> = command.into_iter().chain(["--help"]).collect();
    match Top::from_args(&["tokenpak"], &words) {
        Err(exit) if exit.status.is_ok() => Ok(wrap(&exit.output)),
        _ => Err(Error::usage(unknown_command(command.unwrap_or_default()))),
    }
}

/// Breaks argh's long usage line before an option, for terminals of 80 columns.
fn wrap(help: &str) -> String {
    const COLUMNS: usize = 79;
    let mut out = String::with_capacity(help.len() + 16);
    for line in help.lines() {
        let mut column = 0;
        for word in line.split_inclusive(" [") {
            if column + word.len() > COLUMNS && column > 0 {
                out.truncate(out.trim_end_matches(" [").len());
                out.push_str("\n         [");
                column = 10;
            }
            out.push_str(word);
            column += word.len();
        }
        out.push('\n');
    }
    out
}

/// `--option=value` becomes two arguments, up to `--`.
fn normalise(arguments: &[String]) -> Vec<String> {
    let end = arguments.iter().position(|argument| argument == "--").unwrap_or(arguments.len());
    let mut out = Vec::with_capacity(arguments.len());
    for argument in &arguments[..end] {
        match argument.split_once('=') {
            Some((option, value)) if option.starts_with("--") => {
                out.extend([option.to_owned(), value.to_owned()]);
            }
            _ => out.push(argument.clone()),
        }
    }
    out.extend_from_slice(&arguments[end..]);
    out
}

/// argh's complaint in one line of ours, with the next step where there is one.
fn explain(words: &[&str], complaint: &str) -> String {
    let line = complaint.lines().next().unwrap_or_default().trim_end_matches('.');
    let command = words.first().copied().unwrap_or_default();
    if !COMMANDS.contains(&command) {
        return match command.starts_with('-') {
            true => format!("unknown option {command}; try: tokenpak --help"),
            false => unknown_command(command),
        };
    }
    if let Some(option) = line.strip_prefix("Unrecognized argument: ") {
        return unknown_option(command, option);
    }
    let option = line.split('\'').nth(1).unwrap_or(line);
    match line.starts_with("No value provided") {
        true => format!("{option} of {command} needs a value"),
        false => format!("{command}: {}; try: tokenpak {command} --help", line.to_lowercase()),
    }
}

fn unknown_command(name: &str) -> String {
    match nearest(name, COMMANDS.iter().copied()) {
        Some(near) => format!("unknown command {name}; did you mean {near}?"),
        None => format!("unknown command {name}; one of {}", COMMANDS.join(", ")),
    }
}

fn unknown_option(command: &str, option: &str) -> String {
    if !option.starts_with('-') {
        return format!("unexpected argument {option} for {command}");
    }
    let help = help(Some(command)).unwrap_or_default();
    let known = help.split_whitespace().filter(|word| word.starts_with("--"));
    match nearest(option, known) {
        Some(near) => format!("unknown option {option} for {command}; did you mean {near}?"),
        None => format!("unknown option {option} for {command}; try: tokenpak {command} --help"),
    }
}
