//! The table of settings. Adding one is a row here and a paragraph in the manual.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::parse::{
    address, allow_http, check_name, endpoints, level, list, log_level, mode, number, port, roots,
    token, unknown_history, url, yes_or_no,
};
use super::{AllowHttp, Config, Endpoints, LogLevel, TlsRoots, address};
use crate::compress::Mode;
use crate::prices::Prices;
use crate::route::PROVIDERS;

/// Reads a text into its place, or says what is wrong with it.
type Set = fn(&mut Config, &str) -> Result<(), String>;

/// One setting: its dotted key, its default as text, and how a text becomes a value.
pub(super) struct Setting {
    pub(super) key: &'static str,
    /// The short variable of the guide; the long one follows from the key.
    variable: Option<&'static str>,
    /// Empty: no value.
    pub(super) default: &'static str,
    pub(super) set: Set,
}

const fn row(key: &'static str, default: &'static str, set: Set) -> Setting {
    Setting { key, variable: None, default, set }
}

impl Setting {
    const fn short(mut self, variable: &'static str) -> Setting {
        self.variable = Some(variable);
        self
    }
}

/// Every setting, in the manual's order.
pub(super) const SETTINGS: &[Setting] = &[
    row("proxy.port", "8766", |c, v| put(&mut c.port, port(v))).short("TOKENPAK_PORT"),
    row("proxy.bind", "localhost", |c, v| put(&mut c.bind, address(v))),
    row("proxy.socket", "", |c, v| put(&mut c.socket, Ok(Some(PathBuf::from(v))))),
    row("proxy.mode", "hybrid", |c, v| put(&mut c.mode, mode(v))).short("TOKENPAK_MODE"),
    row("proxy.passthrough_url", "", |c, v| put(&mut c.passthrough_url, url(v).map(Some))),
    row("proxy.workers", "640", |c, v| put(&mut c.workers, number(v, 1, 4096))),
    row("proxy.hosts", "", |c, v| put(&mut c.hosts, Ok(list(v)))),
    row("proxy.max_body_mb", "64", |c, v| put(&mut c.max_body_mb, number(v, 1, 1024))),
    row("proxy.body_memory_mb", "96", |c, v| put(&mut c.body_memory_mb, number(v, 1, 65_536))),
    row("proxy.connect_timeout_s", "10", |c, v| put(&mut c.connect_timeout_s, number(v, 1, 600))),
    row("proxy.first_byte_timeout_s", "3600", |c, v| {
        put(&mut c.first_byte_timeout_s, number(v, 1, 86_400))
    }),
    row("proxy.stream_idle_timeout_s", "900", |c, v| {
        put(&mut c.stream_idle_timeout_s, number(v, 1, 86_400))
    }),
    row("proxy.endpoints", "local", |c, v| put(&mut c.endpoints, endpoints(v))),
    row("proxy.auth_token", "", |c, v| put(&mut c.auth_token, token(v).map(Some))),
    row("proxy.same_user", "false", |c, v| put(&mut c.same_user, yes_or_no(v))),
    row("proxy.stats_footer", "true", |c, v| put(&mut c.stats_footer, yes_or_no(v)))
        .short("TOKENPAK_STATS_FOOTER"),
    row("proxy.ask_usage", "true", |c, v| put(&mut c.ask_usage, yes_or_no(v))),
    row("proxy.allow_http", "false", |c, v| put(&mut c.allow_http, allow_http(v))),
    row("tls.roots", "bundled", |c, v| put(&mut c.tls_roots, Ok(roots(v)))),
    row("compression.enabled", "true", |c, v| put(&mut c.enabled, yes_or_no(v)))
        .short("TOKENPAK_COMPACT"),
    row("compression.level", "", |c, v| put(&mut c.level, level(v).map(Some))),
    row("compression.threshold_tokens", "4500", |c, v| {
        put(&mut c.threshold_tokens, number(v, 0, 100_000_000))
    })
    .short("TOKENPAK_COMPACT_THRESHOLD_TOKENS"),
    row("compression.preserve_code", "true", |c, v| put(&mut c.preserve_code, yes_or_no(v))),
    row("compression.preserve_json", "false", |c, v| put(&mut c.preserve_json, yes_or_no(v))),
    row("compression.unknown_history", "original", |c, v| {
        put(&mut c.shares_history, unknown_history(v))
    }),
    row("compression.memo_mb", "4", |c, v| put(&mut c.memo_mb, number(v, 0, 1024))),
    row("storage.path", ".ocp/monitor.db", |_, _| Ok(())).short("TOKENPAK_DB"),
    row("storage.retention_days", "400", |c, v| put(&mut c.retention_days, number(v, 0, 36_500))),
    row("storage.flush_ms", "500", |c, v| put(&mut c.flush_ms, number(v, 100, 60_000))),
    row("prices", "", |c, v| put(&mut c.prices, Prices::parse(v))),
    row("log.level", "info", |c, v| put(&mut c.log, log_level(v))).short("TOKENPAK_LOG"),
];

/// Shorter deadlines, for tests: only a debug build knows it, so no manual does (`proxy::deadlines`).
pub(crate) const TEST_VARIABLE: &str = "TOKENPAK_TEST_DEADLINES";

/// Variables that are not settings: where things are, and which credential is ours.
pub(super) const OTHER_VARIABLES: &[&str] =
    &["TOKENPAK_HOME", "TOKENPAK_CONFIG", "TOKENPAK_DAEMON_CHILD"];

/// Puts a running proxy's value back into settings that were read anew; true if it was another.
type Keep = fn(&mut Config, &Config) -> bool;

/// Settings that a running proxy cannot change: its sockets, threads, memory and database are open.
pub(super) const FIXED: &[(&str, Keep)] = &[
    ("proxy.port", |new, old| keep(&mut new.port, &old.port)),
    ("proxy.bind", |new, old| keep(&mut new.bind, &old.bind)),
    ("proxy.socket", |new, old| keep(&mut new.socket, &old.socket)),
    ("proxy.workers", |new, old| keep(&mut new.workers, &old.workers)),
    ("proxy.body_memory_mb", |new, old| keep(&mut new.body_memory_mb, &old.body_memory_mb)),
    ("compression.memo_mb", |new, old| keep(&mut new.memo_mb, &old.memo_mb)),
    ("storage.path", |new, old| keep(&mut new.database, &old.database)),
    ("storage.flush_ms", |new, old| keep(&mut new.flush_ms, &old.flush_ms)),
];

fn keep<T: Clone + PartialEq>(new: &mut T, old: &T) -> bool {
    let is_other = new != old;
    new.clone_from(old);
    is_other
}

/// Keeps what cannot change. Returns which settings were to change, or what contradicts itself now.
pub(super) fn keep_fixed(
    config: &mut Config,
    running: &Config,
) -> Result<Vec<&'static str>, Vec<String>> {
    let mut kept = Vec::new();
    for (key, keep) in FIXED {
        if keep(config, running) {
            kept.push(*key);
        }
    }
    // What was kept and what is new must go together, too: an open address needs its token.
    let faults = contradictions(config);
    if faults.is_empty() { Ok(kept) } else { Err(faults) }
}

/// Settings that are shown as `set`, never as they are.
const SECRETS: &[&str] = &["proxy.auth_token"];

/// Names that a provider cannot have, since they are paths of their own.
const RESERVED_PROVIDERS: &[&str] = &["v1", "v1beta", "p", "t", "health", "metrics", "stats"];

/// A configuration before the defaults have been applied.
pub(super) fn blank() -> Config {
    let providers = PROVIDERS.iter().filter(|provider| !provider.url.is_empty());
    let providers = providers.map(|provider| (provider.name.to_owned(), provider.url.to_owned()));
    Config {
        home: PathBuf::new(),
        port: 0,
        bind: String::new(),
        socket: None,
        hosts: Vec::new(),
        passthrough_url: None,
        providers: providers.collect::<BTreeMap<_, _>>(),
        allow_http: AllowHttp::Of(Vec::new()),
        endpoints: Endpoints::Local,
        auth_token: None,
        same_user: false,
        workers: 0,
        max_body_mb: 0,
        body_memory_mb: 0,
        body_memory_by: String::new(),
        connect_timeout_s: 0,
        first_byte_timeout_s: 0,
        stream_idle_timeout_s: 0,
        mode: Mode::Hybrid,
        enabled: true,
        level: None,
        threshold_tokens: 0,
        preserve_code: true,
        preserve_json: false,
        shares_history: false,
        memo_mb: 0,
        database: PathBuf::new(),
        retention_days: 0,
        flush_ms: 0,
        stats_footer: true,
        ask_usage: true,
        prices: Prices::default(),
        tls_roots: TlsRoots::Bundled,
        forward_proxy: None,
        log: LogLevel::Info,
        file: (PathBuf::new(), false),
    }
}

/// The provider's name in `proxy.providers.NAME.url`.
pub(super) fn provider_of(key: &str) -> Option<&str> {
    key.strip_prefix("proxy.providers.")?.strip_suffix(".url")
}

/// Adds a provider or moves a built-in one to another address.
pub(super) fn set_provider(config: &mut Config, name: &str, value: &str) -> Result<(), String> {
    check_name(name)?;
    if RESERVED_PROVIDERS.contains(&name) {
        return Err(format!("\"{name}\" cannot be a provider's name, it is a path of its own"));
    }
    config.providers.insert(name.to_owned(), url(value)?);
    Ok(())
}

/// Whether `key` is an object in the file, not a value.
pub(super) fn is_section(key: &str) -> bool {
    let below =
        |setting: &Setting| setting.key.strip_prefix(key).is_some_and(|rest| rest.starts_with('.'));
    let provider = key.strip_prefix("proxy.providers").is_some_and(|rest| {
        rest.is_empty() || rest.strip_prefix('.').is_some_and(|name| !name.contains('.'))
    });
    provider || SETTINGS.iter().any(below)
}

/// Whether `key` is a setting.
pub(super) fn is_known(key: &str) -> bool {
    provider_of(key).is_some() || SETTINGS.iter().any(|setting| setting.key == key)
}

/// Whether the value of `key` must not be shown.
pub(super) fn is_secret(key: &str) -> bool {
    SECRETS.contains(&key)
}

/// What to say about a key that is none.
pub(super) fn unknown(key: &str) -> String {
    match nearest(key, SETTINGS.iter().map(|setting| setting.key)) {
        Some(near) => format!("unknown key; did you mean {near}?"),
        None => "unknown key".to_owned(),
    }
}

/// The key that an environment variable stands for.
pub(super) struct VariableKey {
    pub(super) key: String,
    pub(super) short: bool,
}

/// Looks a `TOKENPAK_...` variable up: short names first, then the long form of every key.
pub(super) fn key_of_variable(name: &str) -> Option<VariableKey> {
    if let Some(setting) = SETTINGS.iter().find(|setting| setting.variable == Some(name)) {
        return Some(VariableKey { key: setting.key.to_owned(), short: true });
    }
    if let Some(setting) = SETTINGS.iter().find(|setting| long_variable(setting.key) == name) {
        return Some(VariableKey { key: setting.key.to_owned(), short: false });
    }
    let provider = name.strip_prefix("TOKENPAK_PROXY_PROVIDERS_")?.strip_suffix("_URL")?;
    let key = format!("proxy.providers.{}.url", provider.to_ascii_lowercase());
    Some(VariableKey { key, short: false })
}

/// The warning for a variable that looks like ours, but is not.
pub(super) fn unknown_variable(name: &str) -> String {
    let long: Vec<String> = SETTINGS.iter().map(|setting| long_variable(setting.key)).collect();
    let short = SETTINGS.iter().filter_map(|setting| setting.variable);
    let all = short.chain(long.iter().map(String::as_str)).chain(OTHER_VARIABLES.iter().copied());
    match nearest(name, all) {
        Some(near) => format!("{name}: unknown variable; did you mean {near}?"),
        None => format!("{name}: unknown variable"),
    }
}

fn long_variable(key: &str) -> String {
    format!("TOKENPAK_{}", key.replace('.', "_").to_ascii_uppercase())
}

/// What no single value shows: a proxy open to a network, or an upstream that would be sent keys in
/// the clear.
pub(super) fn contradictions(config: &Config) -> Vec<String> {
    let mut faults = Vec::new();
    if !config.is_loopback() && config.auth_token.is_none() {
        faults.push(format!(
            "proxy.bind: {} can be reached from other machines; set proxy.auth_token, or bind localhost",
            config.bind
        ));
    }
    for (key, url) in addresses(config) {
        let name = provider_of(&key).unwrap_or("passthrough");
        if url.starts_with("http://")
            && !address::is_loopback(url)
            && !config.allow_http.allows(name)
        {
            faults.push(format!(
                "{key}: {url} would send keys unencrypted; use https, or name {name} in \
                 proxy.allow_http"
            ));
        }
    }
    faults
}

/// Upstreams that are this very port: they would be asked by themselves until no worker is left.
pub(super) fn loops(config: &Config) -> Vec<String> {
    let own = addresses(config).filter(|(_, url)| address::is_own_port(url, config.port));
    own.map(|(key, url)| format!("{key}: {url} is tokenpak itself")).collect()
}

/// Every upstream's URL, with its key.
fn addresses(config: &Config) -> impl Iterator<Item = (String, &str)> {
    let passthrough = config.passthrough_url.iter();
    let passthrough = passthrough.map(|url| ("proxy.passthrough_url".to_owned(), url.as_str()));
    let providers = config.providers.iter();
    providers
        .map(|(name, url)| (format!("proxy.providers.{name}.url"), url.as_str()))
        .chain(passthrough)
}

fn put<T>(place: &mut T, value: Result<T, String>) -> Result<(), String> {
    *place = value?;
    Ok(())
}

/// The candidate within two letters of `word`, if any.
pub(crate) fn nearest<'a>(word: &str, all: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    const LETTERS_MAX: usize = 2;
    let near = all.map(|candidate| (distance(word, candidate), candidate)).min();
    near.filter(|(letters, _)| *letters <= LETTERS_MAX).map(|(_, candidate)| candidate)
}

/// Levenshtein's distance, in bytes.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.bytes().enumerate() {
            let changed = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_suggested() {
        check("proxy.prot", Some("proxy.port"));
        check("compression.levl", Some("compression.level"));
        check("colour", None);

        #[track_caller]
        fn check(word: &str, want: Option<&str>) {
            assert_eq!(nearest(word, SETTINGS.iter().map(|setting| setting.key)), want);
        }
    }

    #[test]
    fn open_address_cannot_lose_its_token_while_it_is_open() {
        let open = Config {
            bind: "0.0.0.0".into(),
            auth_token: token("dummy-dummy-dummy").ok(),
            ..blank()
        };
        let closed = Config { bind: "localhost".into(), ..blank() };
        assert_eq!(keep_fixed(&mut open.clone(), &open), Ok(vec![]));
        let kept = Config { auth_token: token("other-other-other").ok(), ..closed.clone() };
        assert_eq!(keep_fixed(&mut kept.clone(), &open), Ok(vec!["proxy.bind"]));
        let faults = keep_fixed(&mut closed.clone(), &open).unwrap_err();
        assert!(faults[0].contains("set proxy.auth_token"), "{faults:?}");
    }

    #[test]
    fn variables_name_settings() {
        check("TOKENPAK_PORT", "proxy.port");
        check("TOKENPAK_PROXY_BIND", "proxy.bind");
        check("TOKENPAK_PROXY_PROVIDERS_OPENAI_URL", "proxy.providers.openai.url");
        assert!(key_of_variable("TOKENPAK_PROT").is_none());

        #[track_caller]
        fn check(name: &str, want: &str) {
            assert_eq!(key_of_variable(name).map(|found| found.key).as_deref(), Some(want));
        }
    }
}
