//! Whether clients started from this shell find the proxy. Claude Code also takes variables from
//! its settings file.

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

pub(super) fn check(case: &Case) -> Vec<Finding> {
    let running = instance::running(&case.around.home()).and_then(|running| running.address);
    let port = running.map_or(case.config.port, |address| address.port());
    let home = case.around.variable("HOME").unwrap_or("/");
    let settings = std::fs::read(Path::new(home).join(".claude/settings.json")).ok();
    let settings = settings.and_then(|text| serde_json::from_slice(&text).ok());
    let variables = Variables { case, settings: settings.unwrap_or(Value::Null) };
    let anthropic = variables.get("ANTHROPIC_BASE_URL");
    let openai = variables.get("OPENAI_BASE_URL");
    let mut findings: Vec<Finding> = [
        anthropic.map(|url| of_url("ANTHROPIC_BASE_URL", url, "", port)),
        openai.map(|url| of_url("OPENAI_BASE_URL", url, "/v1", port)),
    ]
    .into_iter()
    .flatten()
    .collect();
    if findings.is_empty() {
        let text = "neither ANTHROPIC_BASE_URL nor OPENAI_BASE_URL is set in this shell";
        let hint = format!("export ANTHROPIC_BASE_URL=http://localhost:{port}");
        findings.push(Finding::warn(text).hint(hint));
    }
    let is_ours = anthropic.is_some_and(|url| path_below(url, port).is_some());
    if is_ours && variables.get("ENABLE_TOOL_SEARCH").is_none() {
        let text = "Claude Code leaves its tool search off at another base URL than its own";
        findings.push(Finding::warn(text).hint("export ENABLE_TOOL_SEARCH=true"));
    }
    findings.extend(of_proxy(&variables));
    findings
}

/// Whether a base URL leads here, and with the path that this kind of client expects.
fn of_url(name: &str, url: &str, path: &str, port: u16) -> Finding {
    let hint = format!("export {name}=http://localhost:{port}{path}");
    match path_below(url, port) {
        Some(found) if found == path => Finding::ok(format!("{name}={url}")),
        Some(_) => {
            let rule = if path.is_empty() { "no path" } else { "the path /v1" };
            Finding::warn(format!("{name}={url}: its clients want {rule}")).hint(hint)
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
    let path = match path.strip_prefix("/p/") {
        Some(rest) => rest.find('/').map_or("", |at| &rest[at..]),
        None => path,
    };
    here.iter().any(|here| here == place).then_some(path)
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
            ("http://localhost:9", None),
            ("https://localhost:8766", None),
            ("https://api.anthropic.com", None),
        ] {
            assert_eq!(path_below(url, 8766), want, "{url}");
        }
    }
}
