//! Every verb and flag, declared; no behaviour. How they are read is in `parse`.

mod parse;

use argh::FromArgs;

pub(crate) use parse::{Invocation, help, parse};

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
    Debug(Debug),
    Trace(Trace),
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

/// Write the units of the proxy and of its sockets.
#[derive(FromArgs)]
#[argh(subcommand, name = "install", help_triggers("-h", "--help"))]
pub(crate) struct ServiceInstall {
    /// for the whole machine instead of this user
    #[argh(switch)]
    pub(crate) system: bool,
    /// print the unit and write nothing
    #[argh(switch)]
    pub(crate) print: bool,
    /// with --print: the unit of the sockets
    #[argh(switch)]
    pub(crate) socket: bool,
    /// refuse requests of other users
    #[argh(switch)]
    pub(crate) same_user: bool,
    /// overwrite a unit that was edited
    #[argh(switch)]
    pub(crate) force: bool,
}

/// Remove the units.
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

/// Record more of the next requests, for trace.
#[derive(FromArgs)]
#[argh(subcommand, name = "debug", help_triggers("-h", "--help"))]
pub(crate) struct Debug {
    #[argh(subcommand)]
    pub(crate) what: DebugCommand,
}

/// What to do with debug mode.
#[derive(FromArgs)]
#[argh(subcommand)]
pub(crate) enum DebugCommand {
    On(DebugOn),
    Off(DebugOff),
    Status(DebugStatus),
}

/// Record the names of headers, too.
#[derive(FromArgs)]
#[argh(subcommand, name = "on", help_triggers("-h", "--help"))]
pub(crate) struct DebugOn {
    /// for so many requests (default: until debug off; with --bodies 100)
    #[argh(option, arg_name = "n")]
    pub(crate) requests: Option<u32>,
    /// also store both bodies, as received and as sent: prompts are on disk then
    #[argh(switch)]
    pub(crate) bodies: bool,
}

/// Record no more than the summary that is always kept.
#[derive(FromArgs)]
#[argh(subcommand, name = "off", help_triggers("-h", "--help"))]
pub(crate) struct DebugOff {}

/// Say whether it is on.
#[derive(FromArgs)]
#[argh(subcommand, name = "status", help_triggers("-h", "--help"))]
pub(crate) struct DebugStatus {}

/// Show how a request was passed on.
#[derive(FromArgs)]
#[argh(subcommand, name = "trace", help_triggers("-h", "--help"))]
pub(crate) struct Trace {
    /// the last request (default)
    #[argh(switch)]
    pub(crate) last: bool,
    /// this request: its number, or what x-tokenpak-request-id says
    #[argh(option, arg_name = "id")]
    pub(crate) id: Option<String>,
    /// the last n requests, a line each
    #[argh(option, short = 'n', long = "count", arg_name = "n")]
    pub(crate) count: Option<u32>,
    /// also each change of the prompt, if its bodies were recorded
    #[argh(switch)]
    pub(crate) diff: bool,
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
    /// exit 1 if a request has no known price
    #[argh(switch)]
    pub(crate) alert_unpriced: bool,
    /// read this database; may be repeated, to report over several
    #[argh(option, arg_name = "file")]
    pub(crate) db: Vec<String>,
}

/// Compress one request body, or a text, from a file or standard input.
#[derive(FromArgs)]
#[argh(subcommand, name = "compress", help_triggers("-h", "--help"))]
pub(crate) struct Compress {
    /// request body or text (default: standard input)
    #[argh(positional)]
    pub(crate) file: Option<String>,
    /// when to compress: strict, hybrid or aggressive
    #[argh(option, arg_name = "mode")]
    pub(crate) mode: Option<String>,
    /// how far to compress: light, balanced or aggressive
    #[argh(option, arg_name = "level")]
    pub(crate) level: Option<String>,
    /// the input is a text, as a tool would return it, and no request
    #[argh(switch)]
    pub(crate) text: bool,
    /// say on standard error which pass saved how much
    #[argh(switch)]
    pub(crate) report: bool,
    /// undo: write the body with every reference replaced by its text
    #[argh(switch)]
    pub(crate) expand: bool,
    /// what texts may become with --expand, in MB (default: 64)
    #[argh(option, arg_name = "mb")]
    pub(crate) expand_max: Option<String>,
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

/// Show and change prices: without a command the table, or what applies to one model.
#[derive(FromArgs)]
#[argh(subcommand, name = "prices", help_triggers("-h", "--help"))]
pub(crate) struct Prices {
    /// the model, as a request names it
    #[argh(positional)]
    pub(crate) model: Option<String>,
    #[argh(subcommand)]
    pub(crate) what: Option<PricesCommand>,
}

/// What to do with the prices.
#[derive(FromArgs)]
#[argh(subcommand)]
pub(crate) enum PricesCommand {
    Update(PricesUpdate),
    Set(PricesSet),
    Unset(PricesUnset),
    Reprice(PricesReprice),
}

/// Read a newer price list: LiteLLM's map, or one of our own format.
#[derive(FromArgs)]
#[argh(subcommand, name = "update", help_triggers("-h", "--help"))]
pub(crate) struct PricesUpdate {
    /// file, address, or - for standard input (default: LiteLLM's map from the web)
    #[argh(positional)]
    pub(crate) source: Option<String>,
}

/// Set an own price, in dollars per million tokens.
#[derive(FromArgs)]
#[argh(subcommand, name = "set", help_triggers("-h", "--help"))]
pub(crate) struct PricesSet {
    /// the model, as a request names it
    #[argh(positional)]
    pub(crate) model: String,
    /// for example input=0.95 output=4 cache_read=0.1
    #[argh(positional)]
    pub(crate) rates: Vec<String>,
}

/// Take an own price away.
#[derive(FromArgs)]
#[argh(subcommand, name = "unset", help_triggers("-h", "--help"))]
pub(crate) struct PricesUnset {
    /// the model, as prices set named it
    #[argh(positional)]
    pub(crate) model: String,
}

/// Price stored requests: those that had no price, or all of a range.
#[derive(FromArgs)]
#[argh(subcommand, name = "reprice", help_triggers("-h", "--help"))]
pub(crate) struct PricesReprice {
    /// all from then on: today monday 7d 4w 12h 2026-11-22 ...
    #[argh(option, arg_name = "when")]
    pub(crate) since: Option<String>,
}

/// Print a page of the manual.
#[derive(FromArgs)]
#[argh(subcommand, name = "man", help_triggers("-h", "--help"))]
pub(crate) struct Man {
    /// tokenpak (default), tokenpak-config, tokenpak-db or tokenpak-prices
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
    ("debug", &["on", "off", "status"]),
    ("trace", &[]),
    ("compress", &[]),
    ("count", &[]),
    ("prices", &["update", "set", "unset", "reprice"]),
    ("man", &[]),
    ("completions", &[]),
    ("version", &[]),
    ("help", &[]),
];
