//! `tokenpak doctor`: looks at everything that has to be right, and says what is not.
//!
//! A check is a row of `CHECKS`. It says only what it has found out; what cannot be known here is
//! left out rather than guessed.

mod cache;
mod clients;
mod files;
mod service;
mod zone;

use std::io::ErrorKind;
use std::net::{Ipv6Addr, SocketAddr, TcpListener};

use serde_json::json;

use super::status::{health, is_stopping, place};
use super::{ask, print};
use crate::cli;
use crate::config::{self, Config, Environment, Secret};
use crate::error::{Error, reason};
use crate::instance;
use crate::ledger::{self, Which};
use crate::name::clean;
use crate::proxy::Probe;
use crate::trace::KEPT;

/// For each part of the way to a provider.
const PATIENCE_S: u64 = 5;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Fail => "FAIL",
        }
    }
}

/// What a check has found.
struct Finding {
    result: Verdict,
    text: String,
    /// What to do about it.
    hint: Option<String>,
}

impl Finding {
    fn ok(text: impl Into<String>) -> Finding {
        Finding { result: Verdict::Ok, text: text.into(), hint: None }
    }

    fn warn(text: impl Into<String>) -> Finding {
        Finding { result: Verdict::Warn, ..Finding::ok(text) }
    }

    fn fail(text: impl Into<String>) -> Finding {
        Finding { result: Verdict::Fail, ..Finding::ok(text) }
    }

    fn hint(self, hint: impl Into<String>) -> Finding {
        Finding { hint: Some(hint.into()), ..self }
    }
}

/// What all checks look at.
struct Case {
    around: Environment,
    config: Config,
}

struct Check {
    name: &'static str,
    needs_network: bool,
    run: fn(&Case) -> Vec<Finding>,
}

const fn check(name: &'static str, run: fn(&Case) -> Vec<Finding>) -> Check {
    Check { name, needs_network: false, run }
}

/// In the order of the report. The settings come before all: without them nothing else is known.
const CHECKS: &[Check] = &[
    check("database", database),
    check("files", files::check),
    check("port", port),
    Check { needs_network: true, ..check("upstream", upstream) },
    check("cache", cache::check),
    check("time zone", zone::check),
    check("client", clients::check),
    check("thoughts", thoughts),
    check("service", service::check),
];

/// A failure is an `Error` without words.
pub(crate) fn run(args: &cli::Doctor) -> Result<(), Error> {
    let around = Environment::of_process();
    let (mut findings, config) = settings(&around);
    if let Some(config) = config {
        let case = Case { around, config };
        for check in CHECKS.iter().filter(|check| !(args.offline && check.needs_network)) {
            findings.extend((check.run)(&case).into_iter().map(|found| (check.name, found)));
        }
    }
    let text = if args.json { object(&findings) } else { text(&findings) };
    print(&text)?;
    match count(&findings, Verdict::Fail) {
        0 => Ok(()),
        _ => Err(Error::answer("")),
    }
}

fn count(findings: &[(&str, Finding)], result: Verdict) -> usize {
    findings.iter().filter(|(_, finding)| finding.result == result).count()
}

fn text(findings: &[(&str, Finding)]) -> String {
    let mut text = String::new();
    for (name, Finding { result, text: found, hint }) in findings {
        text += &format!("{:<5} {name:<11} {}\n", result.name(), clean(found));
        if let Some(hint) = hint {
            text += &format!("{:18}{}\n", "", clean(hint));
        }
    }
    let counted = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    };
    let failures = counted(count(findings, Verdict::Fail), "failure");
    text + &format!("{failures}, {}\n", counted(count(findings, Verdict::Warn), "warning"))
}

fn object(findings: &[(&str, Finding)]) -> String {
    let one = |(name, finding): &(&str, Finding)| {
        let result = finding.result.name().to_ascii_lowercase();
        json!({"check": name, "result": result, "text": finding.text, "hint": finding.hint})
    };
    let object = json!({
        "schema": 1,
        "tool": format!("tokenpak {}", env!("CARGO_PKG_VERSION")),
        "checks": findings.iter().map(one).collect::<Vec<_>>(),
        "failures": count(findings, Verdict::Fail),
        "warnings": count(findings, Verdict::Warn),
    });
    format!("{object:#}\n")
}

/// The settings, and whether there are any to go on with.
fn settings(around: &Environment) -> (Vec<(&'static str, Finding)>, Option<Config>) {
    let named = |finding| ("config", finding);
    let (config, warnings) = match config::load(around, None, &[]) {
        Ok(loaded) => loaded,
        Err(error) => {
            let words = error.to_string();
            let faults = words.lines().map(|line| line.trim_start_matches("tokenpak: "));
            return (faults.map(|fault| named(Finding::fail(fault))).collect(), None);
        }
    };
    let path = config.file.0.display();
    let keys = config::values(around).unwrap_or_default();
    let keys = keys.iter().filter(|value| matches!(value.origin, config::Origin::File(_))).count();
    let found = match (config.file.1, keys) {
        (false, _) => format!("{path}: not there, all settings have their defaults"),
        (true, 1) => format!("{path}: 1 key, known"),
        (true, keys) => format!("{path}: {keys} keys, all known"),
    };
    let warnings = warnings.into_iter().map(|warning| named(Finding::warn(warning)));
    ([named(Finding::ok(found))].into_iter().chain(warnings).collect(), Some(config))
}

fn database(case: &Case) -> Vec<Finding> {
    let path = &case.config.database;
    let closed = files::closed(case, &files::of_database(path));
    if !closed.is_empty() {
        return closed;
    }
    vec![match ledger::examine(path) {
        Ok(Some(found)) => Finding::ok(format!(
            "writable, schema {}, integrity ok, {:.1} MB",
            found.schema,
            found.bytes as f64 / 1e6
        )),
        Ok(None) => {
            let text = "not there yet; it is made by the first 'tokenpak serve'";
            Finding::ok(format!("{}: {text}", path.display()))
        }
        Err(fault) => Finding::fail(fault.to_string())
            .hint("requests are served all the same, but not recorded"),
    }]
}

/// Whether the provider has left out reasoning of late, which costs answers without an error. Nothing is
/// said where it has not.
fn thoughts(case: &Case) -> Vec<Finding> {
    let traced = ledger::traces(&case.config.database, &Which::Last(KEPT as u32));
    let traced = traced.unwrap_or_default();
    let lost = traced.iter().filter(|traced| traced.trace.dropped_thoughts > 0);
    let Some(last) = lost.clone().next_back() else { return Vec::new() };
    let text = format!(
        "the provider left thoughts out of {} of the last {} requests, as what stood before them \
         had changed",
        lost.count(),
        traced.len()
    );
    vec![Finding::warn(text).hint(format!("the last one: tokenpak trace --id {}", last.id))]
}

/// Whether a proxy answers where clients will ask.
fn port(case: &Case) -> Vec<Finding> {
    if let Err(error) = instance::check(&case.config.home) {
        return vec![Finding::fail(error.words())];
    }
    let token = case.config.auth_token.as_ref().map(Secret::reveal);
    let running = instance::running(&case.config.home);
    let place = running.and_then(|running| running.address).unwrap_or_else(|| place(&case.config));
    let strangers = strangers(case, place);
    if !strangers.is_empty() {
        return strangers;
    }
    let answer = health(place, token);
    vec![match (running, answer) {
        (Some(_), Some(health)) => {
            let text = format!("{place} answers /health: tokenpak {}", health.version);
            match health.fault() {
                None => Finding::ok(text),
                Some(fault) => {
                    Finding::fail(format!("{text}, but {fault}")).hint("its log says why")
                }
            }
        }
        (Some(running), None) if is_stopping(place) => {
            Finding::warn(format!("{place} is closed: pid {} is stopping", running.pid))
        }
        (Some(running), None) => {
            let text = format!("{place} does not answer /health, though pid {} runs", running.pid);
            match case.config.endpoints {
                config::Endpoints::Off => Finding::ok(format!("{text}: proxy.endpoints is off")),
                _ => Finding::fail(text).hint("tokenpak stop, then tokenpak serve"),
            }
        }
        (None, Some(health)) => {
            let text =
                format!("{place} answers, but as tokenpak {} of another home", health.version);
            Finding::warn(text).hint("TOKENPAK_HOME says which home is meant")
        }
        (None, None) => match TcpListener::bind(place) {
            Ok(_) => Finding::warn(format!("{place} is free: no proxy runs"))
                .hint("start it with: tokenpak serve"),
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                Finding::fail(format!("{place} is taken by another program"))
                    .hint("stop it, or: tokenpak config set proxy.port N")
            }
            Err(error) => Finding::fail(format!("{place}: {}", reason(&error))),
        },
    }]
}

/// Where clients will ask and another user listens.
fn strangers(case: &Case, place: SocketAddr) -> Vec<Finding> {
    // Some clients try ::1 first.
    let second = (case.config.bind == "localhost")
        .then(|| SocketAddr::new(Ipv6Addr::LOCALHOST.into(), place.port()));
    let of = |place: SocketAddr| {
        let uid = ask::stranger(place, &case.config.home)?;
        let text = format!("{place} is taken by another user, uid {uid}, who would get your keys");
        Some(Finding::fail(text).hint("tokenpak config set proxy.port N, and N in every client"))
    };
    [Some(place), second].into_iter().flatten().filter_map(of).collect()
}

/// Whether every provider answers, by the way that requests take. What it answers is its affair.
fn upstream(case: &Case) -> Vec<Finding> {
    let probe = match Probe::new(&case.config, PATIENCE_S) {
        Ok(probe) => probe,
        Err(error) => return vec![Finding::fail(error.words())],
    };
    let urls = case.config.providers.values().chain(&case.config.passthrough_url);
    let try_out = |url: &String| {
        let host = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
        let certificate = if url.starts_with("https:") { ", certificate valid" } else { "" };
        match probe.connect(url) {
            Ok(took) => {
                Finding::ok(format!("{host} reached in {} ms{certificate}", took.as_millis()))
            }
            Err(why) => Finding::fail(format!("{host}: {why}")).hint(match why.as_str() {
                why if why.contains("unknown issuer") => {
                    "behind a company's proxy: tokenpak config set tls.roots system"
                }
                _ => "a firewall may block it; set HTTPS_PROXY to use a proxy",
            }),
        }
    };
    // At once: each may take all of its time.
    std::thread::scope(|scope| {
        let all: Vec<_> = urls.map(|url| scope.spawn(move || try_out(url))).collect();
        let broken = || Finding::fail("the check itself failed");
        all.into_iter().map(|one| one.join().unwrap_or_else(|_| broken())).collect()
    })
}
