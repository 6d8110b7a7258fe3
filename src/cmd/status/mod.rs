//! `tokenpak status`: whether the proxy runs, how, and what it did today.
//!
//! What is in force is what the proxy wrote down itself, since it may have been started with flags
//! or before the file was changed; figures of the day come from its database.

mod text;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::stats::{self, Today};
use super::{ask, print};
use crate::cli;
use crate::config::{Config, EffectiveSettings, Environment, Secret};
use crate::error::Error;
use crate::forms;
use crate::instance;
use crate::ledger::Reason;

/// The proxy is on this machine.
const CONNECT_WAIT: Duration = Duration::from_secs(2);

/// All there is to say about a proxy that runs.
struct Facts {
    /// `None` if the proxy has not written them down, or has in another version's words.
    settings: Option<EffectiveSettings>,
    /// The settings as this shell and the file have them.
    here: EffectiveSettings,
    pid: i32,
    address: SocketAddr,
    /// `None` where the proxy does not show its pages (`proxy.endpoints`).
    health: Option<Health>,
    is_stopping: bool,
    /// What it counts, in Prometheus' format.
    metrics: Option<String>,
    /// Why there are no figures, if there are none.
    today: Result<Today, Error>,
    /// Kilobytes: now, and at most so far.
    memory: Option<(u64, u64)>,
    /// Of the database with its log.
    database_bytes: u64,
    /// Messages of conversations whose form is known, and those in a form of other settings.
    forms: (u64, u64),
}

pub(crate) fn run(args: &cli::Status) -> Result<(), Error> {
    let around = Environment::of_process();
    let config = super::settings(None, &[])?;
    instance::check(&config.home)?;
    let Some(running) = instance::running(&config.home) else {
        return Err(not_running(&config, args)?);
    };
    if args.quiet {
        return Ok(());
    }
    let address = running.address.unwrap_or_else(|| place(&config));
    let facts = Facts::gather(&around, config, running.pid, address)?;
    match args.json {
        true => print(&format!("{:#}\n", facts.object())),
        false if args.full => print(&text::full(&facts)),
        false => print(&text::brief(&facts)),
    }
}

/// The address that the settings name.
pub(super) fn place(config: &Config) -> SocketAddr {
    let address = config.bind.parse::<IpAddr>().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    SocketAddr::new(address, config.port)
}

/// The error to end with. A proxy of another home is not ours, but worth a word.
fn not_running(config: &Config, args: &cli::Status) -> Result<Error, Error> {
    if args.quiet {
        return Ok(Error::not_running(""));
    }
    if args.json {
        print(&format!("{:#}\n", json!({"schema": 1, "running": false})))?;
        return Ok(Error::not_running(""));
    }
    let place = place(config);
    if let Some(uid) = ask::stranger(place, &config.home) {
        return Ok(Error::not_running(format!(
            "not running, and {place} is taken by another user, uid {uid}, who would get your keys"
        )));
    }
    Ok(Error::not_running(match health(place, token(config)) {
        Some(Health { version, .. }) => format!(
            "not running in this home, but tokenpak {version} of another one answers on {place}; \
             set TOKENPAK_HOME to ask it"
        ),
        None => format!("not running on {place}; start it with: tokenpak serve"),
    }))
}

fn token(config: &Config) -> Option<&str> {
    config.auth_token.as_ref().map(Secret::reveal)
}

/// What a proxy says of itself, where one answers.
pub(super) struct Health {
    pub(super) version: String,
    pub(super) uptime_s: u64,
    /// `ok` or `failing`.
    pub(super) db: String,
}

impl Health {
    /// What is wrong, in words.
    pub(super) fn fault(&self) -> Option<&'static str> {
        (self.db == "failing").then_some("the database fails: nothing is recorded")
    }
}

/// Whether a proxy that runs takes no connections any more: it lets those finish that it has.
pub(super) fn is_stopping(address: SocketAddr) -> bool {
    let refused = |error: std::io::Error| error.kind() == std::io::ErrorKind::ConnectionRefused;
    TcpStream::connect_timeout(&address, CONNECT_WAIT).is_err_and(refused)
}

/// Asks the tokenpak that answers there, if one does.
pub(super) fn health(address: SocketAddr, token: Option<&str>) -> Option<Health> {
    let (_, body) = ask::page(address, "/health", token).ok()?;
    let value: Value = serde_json::from_str(&body).ok()?;
    let text = |name| Some(value.get(name)?.as_str()?.to_owned());
    Some(Health {
        // Nobody else's health has both.
        version: text("version")?,
        uptime_s: value.get("uptime_s")?.as_u64()?,
        db: text("db").unwrap_or_default(),
    })
}

impl Facts {
    fn gather(
        around: &Environment,
        config: Config,
        pid: i32,
        address: SocketAddr,
    ) -> Result<Facts, Error> {
        let plan = config.plan(None);
        let health = health(address, token(&config));
        let metrics = ask::page(address, "/metrics", token(&config)).ok();
        let metrics = metrics.filter(|(status, _)| *status == 200).map(|(_, text)| text);
        let settings = instance::effective(&config.home);
        let here = EffectiveSettings::of(&config, around, &[]);
        let database = &settings.as_ref().unwrap_or(&here).database;
        let log = format!("{}-wal", database.display());
        let size = |path: &std::path::Path| std::fs::metadata(path).map_or(0, |file| file.len());
        Ok(Facts {
            today: stats::today(database),
            memory: memory(pid),
            database_bytes: size(database) + size(log.as_ref()),
            forms: forms::count(database, &plan),
            settings,
            here,
            pid,
            address,
            is_stopping: health.is_none() && is_stopping(address),
            health,
            metrics,
        })
    }

    /// The settings in force, or those that would be, if the proxy does not say.
    fn likely(&self) -> &EffectiveSettings {
        self.settings.as_ref().unwrap_or(&self.here)
    }

    /// What this shell and the file have otherwise than the proxy.
    fn differences(&self) -> Vec<String> {
        self.settings.as_ref().map_or(Vec::new(), |settings| settings.differences(&self.here))
    }

    /// A figure that the proxy counts.
    fn count(&self, name: &str) -> Option<u64> {
        let mut lines = self.metrics.as_ref()?.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        value.parse().ok()
    }

    /// Everything, for programs. What is not known is null.
    fn object(&self) -> Value {
        let settings = self.settings.as_ref();
        let word = |on: bool| if on { "on" } else { "off" };
        json!({
            "schema": 1,
            "running": true,
            "tool": format!("tokenpak {}", env!("CARGO_PKG_VERSION")),
            "pid": self.pid,
            "uptime_s": self.health.as_ref().map(|health| health.uptime_s),
            "health": match (&self.health, self.is_stopping) {
                (Some(_), _) => Some("ok"),
                (None, true) => Some("draining"),
                (None, false) => None,
            },
            "db": self.health.as_ref().map(|health| &health.db),
            "url": format!("http://{}", self.address),
            "settings": {
                "compression": settings.map(|all| word(all.compression)),
                "mode": settings.map(|all| &all.mode),
                "level": settings.map(|all| &all.level),
                "threshold_tokens": settings.map(|all| all.threshold_tokens),
                "footer": settings.map(|all| word(all.footer)),
            },
            "providers": settings.map(|all| &all.providers),
            "passthrough_url": settings.and_then(|all| all.passthrough_url.as_ref()),
            "config": self.likely().config.display().to_string(),
            "overrides": settings.map(|all| &all.overrides),
            "differs_here": self.differences(),
            "database": {
                "path": self.likely().database.display().to_string(),
                "bytes": self.database_bytes,
                "rows": self.today.as_ref().ok().map(|today| today.rows),
                "write_errors": self.count("tokenpak_db_write_errors_total"),
            },
            "forms": {"messages": self.forms.0, "of_other_settings": self.forms.1},
            "today": self.today.as_ref().ok().map(of_today),
            "memory": {
                "resident_bytes": self.memory.map(|(now, _)| now * 1024),
                "peak_bytes": self.memory.map(|(_, peak)| peak * 1024),
                "bodies_mb": settings.map(|all| all.body_memory_mb),
                "bodies_by": settings.map(|all| &all.body_memory_by),
            },
            "workers": {
                "now": self.count("tokenpak_workers"),
                "peak": self.count("tokenpak_workers_peak"),
                "max": self.count("tokenpak_workers_max"),
            },
        })
    }
}

fn of_today(today: &Today) -> Value {
    let counts = |reasons: &[Reason], none: &str| -> Map<String, Value> {
        let name = |reason: &Reason| reason.name.clone().unwrap_or_else(|| none.to_owned());
        reasons.iter().map(|reason| (name(reason), reason.requests.into())).collect()
    };
    json!({
        "requests": today.sums.requests,
        "errors": today.sums.errors,
        "tokens_before": today.sums.tokens_before,
        "tokens_after": today.sums.tokens_after,
        "prompts": counts(&today.reasons.prompts, "compressed"),
        "footers": counts(&today.reasons.footers, "unknown"),
    })
}

/// Resident memory of a process, now and at most so far, in kilobytes.
fn memory(pid: i32) -> Option<(u64, u64)> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let figure = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    Some((figure("VmRSS:")?, figure("VmHWM:")?))
}
