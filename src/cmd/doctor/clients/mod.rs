//! Whether clients find the proxy: those started from this shell, by its variables, and those that
//! keep addresses in files of their own. Claude Code also takes variables from its settings.

mod files;

use std::borrow::Cow;
use std::path::Path;

use serde_json::Value;

use super::{Case, Finding};
use crate::instance;

/// Where variables come from: the shell, then Claude Code's own settings.
struct Variables<'a> {
    case: &'a Case,
    settings: Value,
}

impl Variables<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        let own = || self.settings.get("env")?.get(name)?.as_str();
        self.case.around.variable(name).or_else(own)
    }
}

/// The variables that hold a base URL, and the path that their clients want behind it.
const ADDRESSES: &[(&str, &str)] = &[
    ("ANTHROPIC_BASE_URL", ""),
    ("OPENAI_BASE_URL", "/v1"),
    ("GOOGLE_GEMINI_BASE_URL", ""),
    // aider's and LiteLLM's names for the first two.
    ("ANTHROPIC_API_BASE", ""),
    ("OPENAI_API_BASE", "/v1"),
    ("GEMINI_API_BASE", ""),
];

pub(super) fn check(case: &Case) -> Vec<Finding> {
    let running = instance::running(&case.around.home()).and_then(|running| running.address);
    let port = running.map_or(case.config.port, |address| address.port());
    let home = Path::new(case.around.variable("HOME").unwrap_or("/"));
    let settings = json(&home.join(".claude/settings.json")).unwrap_or(Value::Null);
    let variables = Variables { case, settings };
    let set = ADDRESSES
        .iter()
        .filter_map(|(name, path)| variables.get(name).map(|url| of_url(name, url, path, port)));
    let mut findings: Vec<Finding> = set.chain(files::check(home, port)).collect();
    if findings.is_empty() {
        let text = "neither ANTHROPIC_BASE_URL nor OPENAI_BASE_URL is set in this shell";
        let hint = format!("export ANTHROPIC_BASE_URL=http://localhost:{port}");
        findings.push(Finding::warn(text).hint(hint));
    }
    let leads_here =
        |name: &str| variables.get(name).is_some_and(|url| path_below(url, port).is_some());
    if leads_here("ANTHROPIC_BASE_URL") {
        findings.extend(of_claude_code(&variables));
    }
    if leads_here("GOOGLE_GEMINI_BASE_URL") {
        findings.extend(of_gemini_cli(home));
    }
    findings.extend(of_proxy(&variables));
    findings
}

fn json(path: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// What Claude Code does otherwise than its users expect while another address than its own is set.
fn of_claude_code(variables: &Variables) -> Vec<Finding> {
    let mut findings = Vec::new();
    if variables.get("ENABLE_TOOL_SEARCH").is_none() {
        let text = "Claude Code, in older versions, has no tool search at a base URL not its own";
        findings.push(Finding::warn(text).hint("export ENABLE_TOOL_SEARCH=true"));
    }
    let clouds = ["CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY"];
    let is_on = |name: &&str| !matches!(variables.get(name), None | Some("" | "0" | "false"));
    let cloud = clouds.into_iter().find(is_on);
    findings.extend(cloud.map(|name| {
        let text = format!("{name} is set: Claude Code then asks that cloud, not the base URL");
        Finding::warn(text).hint(format!("unset {name}"))
    }));
    findings
}

/// Gemini CLI has to be told to use its key: a base URL alone makes it refuse to start, and a login
/// asks another host.
fn of_gemini_cli(home: &Path) -> Option<Finding> {
    const FILE: &str = ".gemini/settings.json";
    // Without the folder it may be a library that the variable is for.
    if !home.join(".gemini").is_dir() {
        return None;
    }
    let settings = std::fs::read(home.join(FILE)).unwrap_or_else(|_| b"{}".to_vec());
    // With comments in it, which are allowed there: not known, so not said.
    let settings: Value = serde_json::from_slice(&settings).ok()?;
    let kind = &settings["security"]["auth"]["selectedType"];
    if kind == "gemini-api-key" {
        return None;
    }
    let text = match kind.as_str() {
        Some(kind) => format!("Gemini CLI is set to {kind}, which does not use the base URL"),
        None => "Gemini CLI does not start with a base URL alone".to_owned(),
    };
    let hint = r#"{"security": {"auth": {"selectedType": "gemini-api-key"}}} in ~/"#;
    Some(Finding::warn(text).hint(format!("{hint}{FILE}")))
}

/// Where a token stands that is in the path.
fn token_of(url: &str) -> &'static str {
    if url.contains("/t/") { "/t/TOKEN" } else { "" }
}

/// Whether a base URL leads here, and with the path that this kind of client expects.
fn of_url(name: &str, url: &str, path: &str, port: u16) -> Finding {
    let hint = format!("export {name}=http://localhost:{port}{}{path}", token_of(url));
    match path_below(url, port) {
        Some(found) if found == path => Finding::ok(format!("{name}={}", shown(url))),
        Some(_) => {
            let rule = match path.is_empty() {
                true => "no path (only the Vercel AI SDK wants /v1)",
                false => "the path /v1",
            };
            Finding::warn(format!("{name}={}: its clients want {rule}", shown(url))).hint(hint)
        }
        // It may hold a credential.
        None => Finding::warn(format!("{name} does not lead to this proxy")).hint(hint),
    }
}

/// The path of a URL that leads to this port of this machine. Paths that name a project or a
/// provider come before the one that clients add.
fn path_below(url: &str, port: u16) -> Option<&str> {
    let rest = url.strip_prefix("http://")?;
    let (place, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let here = ["localhost", "127.0.0.1", "[::1]"].map(|host| format!("{host}:{port}"));
    let path = path.trim_end_matches('/');
    let path = behind("/p/", behind("/t/", path));
    here.iter().any(|here| here == place).then_some(path)
}

/// A path without a first part like `/p/NAME`.
fn behind<'a>(start: &str, path: &'a str) -> &'a str {
    match path.strip_prefix(start) {
        Some(rest) => rest.find('/').map_or("", |at| &rest[at..]),
        None => path,
    }
}

/// What may be shown of a URL that leads here: not `proxy.auth_token`, which may stand in its path.
fn shown(url: &str) -> Cow<'_, str> {
    let Some((before, after)) = url.split_once("/t/") else { return url.into() };
    format!("{before}/t/*{}", after.find('/').map_or("", |at| &after[at..])).into()
}

/// A proxy of the client's for plain HTTP would be asked for localhost.
fn of_proxy(variables: &Variables) -> Option<Finding> {
    let set =
        |names: &[&'static str]| names.iter().copied().find(|name| variables.get(name).is_some());
    let proxy = set(&["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])?;
    let except = set(&["no_proxy", "NO_PROXY"]).and_then(|name| variables.get(name));
    let mut except = except.unwrap_or_default().split(',').map(str::trim);
    if except.any(|name| name == "*" || name == "localhost") {
        return None;
    }
    let text = format!("{proxy} is set, so that clients may ask that proxy for localhost");
    Some(Finding::warn(text).hint("export NO_PROXY=localhost,127.0.0.1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lead_here_or_elsewhere() {
        for (url, want) in [
            ("http://localhost:8766", Some("")),
            ("http://127.0.0.1:8766/", Some("")),
            ("http://[::1]:8766/v1", Some("/v1")),
            ("http://localhost:8766/p/site/v1", Some("/v1")),
            ("http://localhost:8766/p/site", Some("")),
            ("http://localhost:8766/t/dummy/v1", Some("/v1")),
            ("http://localhost:8766/t/dummy/p/site", Some("")),
            ("http://localhost:9", None),
            ("https://localhost:8766", None),
            ("https://api.anthropic.com", None),
        ] {
            assert_eq!(path_below(url, 8766), want, "{url}");
        }
    }

    #[test]
    fn tokens_in_paths_are_not_shown() {
        assert_eq!(shown("http://localhost:8766/t/dummy/v1"), "http://localhost:8766/t/*/v1");
        assert_eq!(shown("http://localhost:8766/t/dummy"), "http://localhost:8766/t/*");
        let found = of_url("X", "http://localhost:9/t/dummy/v1", "", 9);
        assert_eq!(
            found.text,
            "X=http://localhost:9/t/*/v1: its clients want no path (only the Vercel AI SDK wants /v1)"
        );
        assert_eq!(found.hint.as_deref(), Some("export X=http://localhost:9/t/TOKEN"));
    }
}
