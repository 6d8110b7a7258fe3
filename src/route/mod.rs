//! From a request's head to its upstream and wire format. Pure.
//!
//! A key goes only to the provider that it belongs to. The first rule that matches decides, and a
//! request that no rule claims is answered by us with an explanation, never by a guess.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::wire::Format;

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    /// The provider's configured name; `passthrough` for `proxy.passthrough_url`.
    pub(crate) provider: String,
    /// The whole upstream URL, the client's query included.
    pub(crate) url: String,
    /// `None`: forwarded untouched.
    pub(crate) format: Option<Format>,
    /// From `/p/NAME/` in the path.
    pub(crate) project: Option<String>,
    /// What named the provider: a header, or a part of the target.
    pub(crate) by: &'static str,
}

/// What a route is decided from.
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a str,
    /// Path and query, or the absolute form, whose host is never used.
    pub(crate) target: &'a str,
    /// The first value of a header, by lower-case name.
    pub(crate) header: &'a dyn Fn(&str) -> Option<&'a [u8]>,
}

/// The upstreams to choose from.
pub(crate) struct Upstreams<'a> {
    /// Base URLs by provider name.
    pub(crate) providers: &'a BTreeMap<String, String>,
    pub(crate) passthrough_url: Option<&'a str>,
}

/// A path that only one provider has, for local servers without keys and for opaque tokens.
const PATHS: &[(&str, &str)] = &[
    ("/v1/messages", "anthropic"),
    ("/v1/chat/completions", "openai"),
    ("/v1/responses", "openai"),
    ("/v1beta/", "google"),
    // Claude Code opens its connection with it, before it sends a key.
    ("/api/hello", "anthropic"),
];

/// Decides; `None` if no rule claims the request.
pub(crate) fn pick(asked: &Asked, upstreams: &Upstreams) -> Option<Route> {
    let target = origin_form(asked.target);
    let (project, target) = cut_project(target);
    let named =
        (asked.header)("x-tokenpak-provider").and_then(|name| std::str::from_utf8(name).ok());
    let segment = first_segment(target).filter(|name| upstreams.providers.contains_key(*name));
    let rest = match segment {
        Some(name) => &target[1 + name.len()..],
        None => target,
    };
    let rest = match rest.starts_with('/') {
        true => Cow::Borrowed(rest),
        false => Cow::Owned(format!("/{rest}")),
    };
    let path = rest.split('?').next().unwrap_or_default();
    let provider = named
        .map(|name| (name, "x-tokenpak-provider"))
        .or(segment.map(|name| (name, "path")))
        .or_else(|| by_credential(asked))
        .or_else(|| Some((by_path(path).filter(|_| !belongs_elsewhere(asked))?, "path")))
        .filter(|(name, _)| upstreams.providers.contains_key(*name));
    let (provider, by, base) = match provider {
        Some((name, by)) => (name, by, upstreams.providers.get(name)?.as_str()),
        None if named.is_some() => return None,
        None => ("passthrough", "passthrough_url", upstreams.passthrough_url?),
    };
    Some(Route {
        provider: provider.to_owned(),
        url: join(base, &rest),
        format: Format::of_path(path).filter(|_| asked.method == "POST"),
        project: project.map(str::to_owned),
        by,
    })
}

/// Whether the request carries a credential of its own.
pub(crate) fn has_credential(asked: &Asked) -> bool {
    has_key_header(asked) || has_query_key(asked.target)
}

/// Whether the credential is in a header, where no foreign page can put one unasked.
pub(crate) fn has_key_header(asked: &Asked) -> bool {
    let names = ["authorization", "x-api-key", "x-goog-api-key"];
    names.iter().any(|name| (asked.header)(name).is_some())
}

/// The token of an `Authorization` value in the Bearer scheme.
pub(crate) fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii_start())
}

/// The provider, and where its credential is.
fn by_credential<'a>(asked: &Asked<'a>) -> Option<(&'a str, &'static str)> {
    match token(asked) {
        Some(token) if token.starts_with(b"sk-ant-") => Some(("anthropic", "authorization")),
        Some(token) if token.starts_with(OPENROUTER) => None,
        Some(token) if token.starts_with(b"sk-") => Some(("openai", "authorization")),
        _ => by_key_header(asked),
    }
}

/// OpenRouter's keys begin like OpenAI's and are sent to the same paths, but must not go there.
const OPENROUTER: &[u8] = b"sk-or-";

fn belongs_elsewhere(asked: &Asked) -> bool {
    token(asked).is_some_and(|token| token.starts_with(OPENROUTER))
}

fn by_key_header<'a>(asked: &Asked<'a>) -> Option<(&'a str, &'static str)> {
    let has = |name: &str| (asked.header)(name).is_some();
    if has("x-api-key") && has("anthropic-version") {
        return Some(("anthropic", "x-api-key"));
    }
    if has("x-goog-api-key") {
        return Some(("google", "x-goog-api-key"));
    }
    has_query_key(asked.target).then_some(("google", "key= in the query"))
}

fn token<'a>(asked: &Asked<'a>) -> Option<&'a [u8]> {
    bearer((asked.header)("authorization")?)
}

fn has_query_key(target: &str) -> bool {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    query.split('&').any(|pair| pair.starts_with("key="))
}

fn by_path(path: &str) -> Option<&'static str> {
    PATHS.iter().find(|(prefix, _)| path.starts_with(prefix)).map(|(_, provider)| *provider)
}

/// The path of an absolute target: its host never chooses the upstream.
pub(crate) fn origin_form(target: &str) -> &str {
    if target.starts_with('/') {
        return target;
    }
    match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => {
            rest.find(['/', '?']).map_or("/", |at| &rest[at..])
        }
        _ => target,
    }
}

fn cut_project(target: &str) -> (Option<&str>, &str) {
    let Some(rest) = target.strip_prefix("/p/") else { return (None, target) };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    match end {
        0 => (None, target),
        _ => (Some(&rest[..end]), &rest[end..]),
    }
}

fn first_segment(target: &str) -> Option<&str> {
    target.strip_prefix('/')?.split(['/', '?']).next().filter(|name| !name.is_empty())
}

/// Appends a path to a base URL; a version that both carry is kept once.
fn join(base: &str, path: &str) -> String {
    let base = base.trim_end_matches('/');
    for version in ["/v1beta", "/v1"] {
        let doubled = path.strip_prefix(version).filter(|rest| {
            base.ends_with(version) && (rest.is_empty() || rest.starts_with(['/', '?']))
        });
        if let Some(rest) = doubled {
            return [base, rest].concat();
        }
    }
    [base, path].concat()
}

#[cfg(test)]
mod tests;
