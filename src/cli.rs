//! Every verb and flag, declared; no behaviour.
//!
//! argh knows `--option value` only. `words` turns what people type into that, and argh's complaints
//! into our one line.

mod words;

use argh::FromArgs;

use crate::error::Error;
use words::{explain, normalise, unknown, wrap};

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
    Stop(Stop),
    Status(Status),
    Doctor(Doctor),
    Stats(Stats),
    Config(Config),
    Service(Service),
    Compress(Compress),
    Count(Count),
    Prices(Prices),
    Man(Man),
    Completions(Completions),
    Version(Version),
}

/// Run the proxy.
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
    /// run in the background, with tokenpak.log for what it says
    #[argh(switch)]
    pub(crate) daemon: bool,
    /// no footer under any answer
    #[argh(switch)]
    pub(crate) no_footer: bool,
    /// configuration file (default ~/.tokenpak/config.json)
    #[argh(option, arg_name = "file")]
    pub(crate) config: Option<String>,
    /// how much to say: error, warn, info or debug
    #[argh(option, arg_name = "level")]
    pub(crate) log: Option<String>,
}

/// Stop the running proxy, after what is in flight.
#[derive(FromArgs)]
#[argh(subcommand, name = "stop", help_triggers("-h", "--help"))]
pub(crate) struct Stop {
    /// how long to wait for its end (default 40)
    #[argh(option, arg_name = "seconds")]
    pub(crate) timeout: Option<u64>,
}

/// Show and change settings.
#[derive(FromArgs)]
#[argh(subcommand, name = "config", help_triggers("-h", "--help"))]
pub(crate) struct Config {
    #[argh(subcommand)]
    pub(crate) what: ConfigCommand,
}

/// What to do with the settings.
#[derive(FromArgs)]
#[argh(subcommand)]
pub(crate) enum ConfigCommand {
    List(ConfigList),
    Get(ConfigGet),
    Set(ConfigSet),
    Unset(ConfigUnset),
    Path(ConfigPath),
    Check(ConfigCheck),
}

/// Print every setting in force.
#[derive(FromArgs)]
#[argh(subcommand, name = "list", help_triggers("-h", "--help"))]
pub(crate) struct ConfigList {
    /// say where each value comes from
    #[argh(switch)]
    pub(crate) show_origin: bool,
}

/// Print one setting.
#[derive(FromArgs)]
#[argh(subcommand, name = "get", help_triggers("-h", "--help"))]
pub(crate) struct ConfigGet {
    /// for example proxy.mode
    #[argh(positional)]
    pub(crate) key: String,
}

/// Write one setting into the configuration file.
#[derive(FromArgs)]
#[argh(subcommand, name = "set", help_triggers("-h", "--help"))]
pub(crate) struct ConfigSet {
    /// for example proxy.mode
    #[argh(positional)]
    pub(crate) key: String,
    /// JSON, or plain text
    #[argh(positional)]
    pub(crate) value: String,
}

/// Take one setting out of the configuration file.
#[derive(FromArgs)]
#[argh(subcommand, name = "unset", help_triggers("-h", "--help"))]
pub(crate) struct ConfigUnset {
    /// for example proxy.mode
    #[argh(positional)]
    pub(crate) key: String,
}

/// Print where the configuration file is.
#[derive(FromArgs)]
#[argh(subcommand, name = "path", help_triggers("-h", "--help"))]
pub(crate) struct ConfigPath {}

/// Check a configuration file: silent if it is right.
#[derive(FromArgs)]
#[argh(subcommand, name = "check", help_triggers("-h", "--help"))]
pub(crate) struct ConfigCheck {
    /// file (default: the one that serve reads)
    #[argh(positional)]
    pub(crate) file: Option<String>,
}

/// Run the proxy as a service of systemd.
#[derive(FromArgs)]
#[argh(subcommand, name = "service", help_triggers("-h", "--help"))]
pub(crate) struct Service {
    #[argh(subcommand)]
    pub(crate) what: ServiceCommand,
}

/// What to do with the service.
#[derive(FromArgs)]
#[argh(subcommand)]
pub(crate) enum ServiceCommand {
    Install(ServiceInstall),
    Uninstall(ServiceUninstall),
    Status(ServiceStatus),
}

/// Write the unit.
#[derive(FromArgs)]
#[argh(subcommand, name = "install", help_triggers("-h", "--help"))]
pub(crate) struct ServiceInstall {
    /// for the whole machine instead of this user
    #[argh(switch)]
    pub(crate) system: bool,
    /// print the unit and write nothing
    #[argh(switch)]
    pub(crate) print: bool,
    /// overwrite a unit that was edited
    #[argh(switch)]
    pub(crate) force: bool,
}

/// Remove the unit.
#[derive(FromArgs)]
#[argh(subcommand, name = "uninstall", help_triggers("-h", "--help"))]
pub(crate) struct ServiceUninstall {
    /// the one for the whole machine
    #[argh(switch)]
    pub(crate) system: bool,
    /// remove a unit that was edited
    #[argh(switch)]
    pub(crate) force: bool,
}

/// Say whether the unit is there, enabled and active.
#[derive(FromArgs)]
#[argh(subcommand, name = "status", help_triggers("-h", "--help"))]
pub(crate) struct ServiceStatus {
    /// the one for the whole machine
    #[argh(switch)]
    pub(crate) system: bool,
}

/// Say whether the proxy runs and what it did today.
#[derive(FromArgs)]
#[argh(subcommand, name = "status", help_triggers("-h", "--help"))]
pub(crate) struct Status {
    /// also settings, routes, database, memory, and why requests were passed unchanged
    #[argh(switch)]
    pub(crate) full: bool,
    /// print one JSON object
    #[argh(switch)]
    pub(crate) json: bool,
    /// print nothing; the exit status says whether it runs
    #[argh(switch, short = 'q')]
    pub(crate) quiet: bool,
}

/// Check settings, database, port, providers and clients.
#[derive(FromArgs)]
#[argh(subcommand, name = "doctor", help_triggers("-h", "--help"))]
pub(crate) struct Doctor {
    /// leave out what needs the network
    #[argh(switch)]
    pub(crate) offline: bool,
    /// print one JSON object
    #[argh(switch)]
    pub(crate) json: bool,
}

/// Report requests, tokens and money.
#[derive(FromArgs)]
#[argh(subcommand, name = "stats", help_triggers("-h", "--help"))]
pub(crate) struct Stats {
    /// by hour, today
    #[argh(switch)]
    pub(crate) hourly: bool,
    /// by day, the last 30
    #[argh(switch)]
    pub(crate) daily: bool,
    /// by week, the last 12
    #[argh(switch)]
    pub(crate) weekly: bool,
    /// by month, the last 12
    #[argh(switch)]
    pub(crate) monthly: bool,
    /// by model
    #[argh(switch)]
    pub(crate) by_model: bool,
    /// by provider
    #[argh(switch)]
    pub(crate) by_provider: bool,
    /// by one or several of hour day week month model provider project client mode status
    #[argh(option, arg_name = "keys")]
    pub(crate) by: Vec<String>,
    /// from then on: today monday 7d 4w 12h 2026-11-22 2026-11-22T06:00 ...
    #[argh(option, arg_name = "when")]
    pub(crate) since: Option<String>,
    /// up to and including then
    #[argh(option, arg_name = "when")]
    pub(crate) until: Option<String>,
    /// yesterday, this-week, last-month, 2026-11, 2026-11-22 ...
    #[argh(option, arg_name = "period")]
    pub(crate) on: Option<String>,
    /// print one JSON object
    #[argh(switch)]
    pub(crate) json: bool,
    /// print comma-separated values
    #[argh(switch)]
    pub(crate) csv: bool,
    /// print a page
    #[argh(switch)]
    pub(crate) html: bool,
    /// print one line
    #[argh(switch)]
    pub(crate) oneline: bool,
    /// print nothing unless an alert fires
    #[argh(switch, short = 'q')]
    pub(crate) quiet: bool,
    /// exit 1 if the cost is over this many dollars
    #[argh(option, arg_name = "usd")]
    pub(crate) alert_cost: Option<String>,
    /// exit 1 if more than this share of requests failed
    #[argh(option, arg_name = "percent")]
    pub(crate) alert_errors: Option<String>,
    /// read this database; may be repeated, to report over several
    #[argh(option, arg_name = "file")]
    pub(crate) db: Vec<String>,
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
    /// the model whose tokens are meant; notes where that is an estimate
    #[argh(option, arg_name = "name")]
    pub(crate) model: Option<String>,
}

/// Show prices: the table, or what applies to one model and why.
#[derive(FromArgs)]
#[argh(subcommand, name = "prices", help_triggers("-h", "--help"))]
pub(crate) struct Prices {
    /// the model, as a request names it
    #[argh(positional)]
    pub(crate) model: Option<String>,
}

/// Print a page of the manual.
#[derive(FromArgs)]
#[argh(subcommand, name = "man", help_triggers("-h", "--help"))]
pub(crate) struct Man {
    /// tokenpak (default), tokenpak-config or tokenpak-db
    #[argh(positional)]
    pub(crate) page: Option<String>,
}

/// Print a completion script.
#[derive(FromArgs)]
#[argh(subcommand, name = "completions", help_triggers("-h", "--help"))]
pub(crate) struct Completions {
    /// bash, zsh or fish
    #[argh(positional)]
    pub(crate) shell: String,
}

/// Print the version.
#[derive(FromArgs)]
#[argh(subcommand, name = "version", help_triggers("-h", "--help"))]
pub(crate) struct Version {
    /// print one JSON object: also target, libraries, price table and tokenizer
    #[argh(switch)]
    pub(crate) json: bool,
}

/// Every command and what it is divided into, in the order of the help.
pub(crate) const COMMANDS: &[(&str, &[&str])] = &[
    ("serve", &[]),
    ("stop", &[]),
    ("status", &[]),
    ("doctor", &[]),
    ("stats", &[]),
    ("config", &["list", "get", "set", "unset", "path", "check"]),
    ("service", &["install", "uninstall", "status"]),
    ("compress", &[]),
    ("count", &[]),
    ("prices", &[]),
    ("man", &[]),
    ("completions", &[]),
    ("version", &[]),
    ("help", &[]),
];

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
        return Ok(Request::Nothing(help(&[])?));
    }
    let arguments = normalise(arguments);
    let options = arguments.iter().take_while(|argument| *argument != "--");
    if options.clone().any(|argument| argument == "-V" || argument == "--version") {
        return Ok(Request::Version);
    }
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // argh keeps the word for itself, so the command is ours.
    if let ["help", rest @ ..] = words.as_slice() {
        return Ok(Request::Print(help(rest)?));
    }
    match Top::from_args(&["tokenpak"], &words) {
        Ok(top) => Ok(Request::Run(top.command)),
        Err(exit) if exit.status.is_ok() => Ok(Request::Print(wrap(&exit.output))),
        Err(exit) => Err(Error::usage(explain(&words, &exit.output))),
    }
}

/// The help of the program, or of the command that these words name.
pub(crate) fn help(words: &[&str]) -> Result<String, Error> {
    let command = command_of(words)?;
    let words: Vec<&str> = command.iter().copied().chain(["--help"]).collect();
    match Top::from_args(&["tokenpak"], &words) {
        Err(exit) if exit.status.is_ok() => Ok(wrap(&exit.output)),
        _ => Err(Error::usage("there is no help for this; try: tokenpak --help")),
    }
}

/// Those of the first words that name a command. A word that should, but does not, is an error.
fn command_of<'w>(words: &'w [&'w str]) -> Result<&'w [&'w str], Error> {
    let Some(first) = words.first() else { return Ok(&[]) };
    let names = || COMMANDS.iter().map(|(name, _)| *name);
    let Some((_, parts)) = COMMANDS.iter().find(|(name, _)| name == first) else {
        return Err(Error::usage(unknown("command", first, names())));
    };
    match words.get(1) {
        Some(second) if parts.contains(second) => Ok(&words[..2]),
        Some(second) if !parts.is_empty() && !second.starts_with('-') => {
            let what = format!("{first} command");
            Err(Error::usage(unknown(&what, second, parts.iter().copied())))
        }
        _ => Ok(&words[..1]),
    }
}
