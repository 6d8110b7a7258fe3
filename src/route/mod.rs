//! From a request's head to its upstream and wire format. Pure.
//!
//! A key goes only to the provider that it belongs to. The first rule that matches decides, and a
//! request that no rule claims is answered by us with an explanation, never by a guess.

mod credential;
mod providers;

use std::borrow::Cow;
use std::collections::BTreeMap;

pub(crate) use credential::{
    Credentials, HEADERS as CREDENTIAL_HEADERS, QUERY_KEY, SCHEMES, query_keys,
};
pub(crate) use providers::{PROVIDERS, known};

use crate::wire::Format;
use credential::Owner;
use providers::{AZURE, Provider, is_below};

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
    /// A credential of the request is known to be this provider's.
    pub(crate) is_owners: bool,
}

/// What a route is decided from.
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a str,
    /// Path and query, or the absolute form, whose host is never used.
    pub(crate) target: &'a str,
    /// The value of `x-tokenpak-provider`.
    pub(crate) named: Option<&'a [u8]>,
    /// Calls back with the name and the value of each header.
    pub(crate) headers: &'a dyn Fn(Each),
}

/// Takes a header's name and its value.
pub(crate) type Each<'e> = &'e mut dyn FnMut(&[u8], &[u8]);

/// The upstreams to choose from.
pub(crate) struct Upstreams<'a> {
    /// Base URLs by provider name.
    pub(crate) providers: &'a BTreeMap<String, String>,
    pub(crate) passthrough_url: Option<&'a str>,
}

/// Why a request has no route. Nothing of it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unrouted {
    /// `x-tokenpak-provider` gives a name that no provider has.
    UnknownName,
    /// Its credentials belong to different providers.
    TwoOwners,
    /// Its credential belongs to this provider, which has no address.
    NoAddress(&'static str),
    /// Nothing in it tells where it belongs.
    Unclaimed,
}

/// A provider's name, and what named it.
type Choice<'a> = (&'a str, &'static str);

const PASSTHROUGH: &str = "passthrough";

/// Decides. The first rule that matches does: the request's own word, the owner of its key, and only
/// for what nobody is known to own the path.
pub(crate) fn pick(asked: &Asked, upstreams: &Upstreams) -> Result<Route, Unrouted> {
    let found = Credentials::of(asked);
    let (project, target) = cut_project(origin_form(asked.target));
    let segment = segment(target, upstreams, &found);
    let rest = segment.map_or(target, |name| &target[1 + name.len()..]);
    let rest = match rest.starts_with('/') {
        true => Cow::Borrowed(rest),
        false => Cow::Owned(format!("/{rest}")),
    };
    let path = rest.split('?').next().unwrap_or_default();
    let owner = found.owner(is_openais(path, upstreams), upstreams.has(AZURE));
    let named = asked.named.map(|name| std::str::from_utf8(name).unwrap_or_default());
    let (provider, by) = match (named, segment) {
        (Some(name), _) => (name, "x-tokenpak-provider"),
        (None, Some(name)) => (name, "path"),
        (None, None) => choose(&found, owner.map_err(|()| Unrouted::TwoOwners)?, path, upstreams)?,
    };
    let base = match (upstreams.providers.get(provider), upstreams.passthrough_url) {
        (_, Some(url)) if by == "passthrough_url" => url,
        (Some(url), _) => url,
        (None, _) => return Err(Unrouted::UnknownName),
    };
    Ok(Route {
        provider: provider.to_owned(),
        url: join(base, &rest),
        format: Format::of_path(path).filter(|_| asked.method == "POST"),
        project: project.map(str::to_owned),
        by,
        is_owners: owner.is_ok_and(|owner| owner.is_some_and(|(owner, _)| owner.name == provider)),
    })
}

/// Where a request goes that names no provider itself.
fn choose(
    found: &Credentials,
    owner: Option<Owner>,
    path: &str,
    upstreams: &Upstreams,
) -> Result<Choice<'static>, Unrouted> {
    let by_path = || {
        let provider = providers::by_path(path)?;
        let is_fit = if found.is_any { upstreams.is_moved(provider) } else { true };
        (is_fit && upstreams.has(provider.name)).then_some((provider.name, "path"))
    };
    // A preflight has nothing to hide, and asks for what will go by its key: the path tells better
    // which provider that is than the absence of the key does.
    let early = || by_path().filter(|_| found.is_announced && !found.is_any);
    match (owner, upstreams.passthrough_url) {
        (Some((provider, by)), _) if provider.is_first && upstreams.has(provider.name) => {
            Ok((provider.name, by))
        }
        (_, Some(_)) => Ok(early().unwrap_or((PASSTHROUGH, "passthrough_url"))),
        (Some((provider, by)), None) if upstreams.has(provider.name) => Ok((provider.name, by)),
        (Some((provider, _)), None) => Err(Unrouted::NoAddress(provider.name)),
        (None, None) => by_path().ok_or(Unrouted::Unclaimed),
    }
}

/// The first segment, if it is a provider's name and not the beginning of one of Azure's paths.
fn segment<'a>(target: &'a str, upstreams: &Upstreams, found: &Credentials) -> Option<&'a str> {
    let name = first_segment(target).filter(|name| upstreams.has(name))?;
    let rest = target[1 + name.len()..].split('?').next().unwrap_or_default();
    let is_azures = is_below(rest, "/deployments")
        || (is_below(rest, "/v1") && upstreams.has(AZURE) && found.has_api_key());
    (name != "openai" || !is_azures).then_some(name)
}

impl Upstreams<'_> {
    fn has(&self, name: &str) -> bool {
        self.providers.contains_key(name)
    }

    /// Whether the configuration has given it another address than its own: only there may keys go
    /// that are not known to be its.
    fn is_moved(&self, provider: &Provider) -> bool {
        self.providers.get(provider.name).is_some_and(|url| url != provider.url)
    }
}

fn is_openais(path: &str, upstreams: &Upstreams) -> bool {
    let base_url = upstreams.providers.get("openai").map_or("", String::as_str);
    providers::is_openais(path, base_url)
}

/// The token of an `Authorization` value in the Bearer scheme.
pub(crate) fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii_start())
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
