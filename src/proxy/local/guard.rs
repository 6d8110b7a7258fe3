//! Who may ask, and what is answered without a provider.
//!
//! A name that resolves to 127.0.0.1 makes a foreign page same-origin with us (DNS rebinding), so on
//! a loopback address `Host` must be a name of ours. A page cannot know the user's key, so a request
//! that carries one may come from anywhere, to a provider that asks for it: a model on this machine
//! asks for none, and takes a key that was made up. Beyond loopback the token decides.

use std::net::{Ipv6Addr, TcpStream};

use super::pages::Page;
use crate::config::{self, Config, Endpoints};
use crate::proxy::request::{Head, Refusal};
use crate::proxy::sock_diag::is_unix;
use crate::proxy::{Context, local};
use crate::route::{self, Asked, Credentials, Route, Unrouted, Upstreams};

const LOCAL_NAMES: &[&str] = &["localhost", "127.0.0.1", "[::1]"];

const BAD_HOST: Refusal = Refusal { status: 400, why: "Host, or the target's, is malformed" };
const WRONG_HOST: Refusal =
    Refusal { status: 421, why: "this Host is not served here; see proxy.hosts" };
const FOREIGN: Refusal = Refusal { status: 403, why: "a page of another origin may not ask this" };
const OTHER_USER: Refusal =
    Refusal { status: 403, why: "proxy.same_user is set, and this comes from another user" };
const NO_CONNECT: Refusal = Refusal { status: 405, why: "CONNECT is not served here" };
const NO_TOKEN: Refusal =
    Refusal { status: 401, why: "proxy.auth_token is set, and this request does not bring it" };

/// Lets a request pass, answers it, or refuses it. The token is taken out of the head.
pub(crate) fn admit(
    context: &Context,
    config: &Config,
    (stream, is_other_user): (&TcpStream, &dyn Fn() -> bool),
    head: &mut Head,
) -> Result<Option<Vec<u8>>, Refusal> {
    if !is_authority(host(head)) || !authority_of(head.target()).is_none_or(is_authority) {
        return Err(BAD_HOST);
    }
    // No page of a browser's reaches a socket in the file system, by whatever name.
    if config.is_loopback() && !is_ours(host(head), &config.hosts) && !is_unix(stream) {
        return Err(WRONG_HOST);
    }
    if let Some(token) = &config.auth_token {
        check_token(head, token.reveal(), config)?;
    }
    let page = page(config, stream, head);
    if config.same_user && !matches!(page, Some(Page::Health | Page::Metrics)) && is_other_user() {
        return Err(OTHER_USER);
    }
    let is_own = page.is_some();
    if is_foreign(head, stream, &config.hosts) && (is_own || !may_come_from_afar(config, head)) {
        return Err(FOREIGN);
    }
    match head.method() {
        "CONNECT" => Err(NO_CONNECT),
        _ if is_websocket(head) => Ok(Some(local::no_websocket())),
        _ if page == Some(Page::Health) => Ok(Some(local::health_of(context))),
        // A worker will.
        _ if is_own => Ok(None),
        "GET" | "HEAD" if matches!(path(head), "" | "/") && !has_credential(head) => {
            Ok(Some(local::greeting()))
        }
        _ => Ok(None),
    }
}

/// What a refusal is called in `x-tokenpak-error`.
pub(crate) fn code(refusal: Refusal) -> &'static str {
    match refusal.why == OTHER_USER.why {
        true => "other-user",
        false => local::code(refusal.status),
    }
}

/// The path without its query, of the absolute form too.
fn path(head: &Head) -> &str {
    route::origin_form(head.target()).split('?').next().unwrap_or_default()
}

/// The page of ours that this asks for and may see. All other requests go upstream.
pub(crate) fn page(config: &Config, stream: &TcpStream, head: &Head) -> Option<Page> {
    own(config, head).filter(|_| may_see(config, stream, head))
}

fn own(config: &Config, head: &Head) -> Option<Page> {
    let is_asking = matches!(head.method(), "GET" | "HEAD");
    let page = Page::of_path(path(head)).filter(|_| is_asking && !is_websocket(head));
    page.filter(|_| config.endpoints != Endpoints::Off)
}

/// `local`: a program on this machine that knows us by this machine's name; a tunnel to the outside
/// comes from here too, but not under that name.
fn may_see(config: &Config, stream: &TcpStream, head: &Head) -> bool {
    let is_near = || match config.is_loopback() {
        true => true,
        false => stream.peer_addr().is_ok_and(|peer| peer.ip().to_canonical().is_loopback()),
    };
    config.endpoints == Endpoints::All || (is_ours(host(head), &[]) && is_near()) || is_unix(stream)
}

fn host(head: &Head) -> &[u8] {
    head.header("host").unwrap_or(b"localhost")
}

/// Where a request goes.
pub(crate) fn route(config: &Config, head: &Head) -> Result<Route, Unrouted> {
    let upstreams = Upstreams {
        providers: &config.providers,
        passthrough_url: config.passthrough_url.as_deref(),
    };
    asked(head, |asked| route::pick(asked, &upstreams))
}

fn asked<T>(head: &Head, ask: impl FnOnce(&Asked) -> T) -> T {
    let headers = |each: route::Each| {
        head.headers().for_each(|(name, value)| each(name, value));
    };
    let mut names = head.values("x-tokenpak-provider");
    let first = names.next();
    // Two that differ name none.
    let named = if names.any(|other| Some(other) != first) { Some(&b""[..]) } else { first };
    ask(&Asked { method: head.method(), target: head.target(), named, headers: &headers })
}

fn has_credential(head: &Head) -> bool {
    asked(head, |asked| Credentials::of(asked).is_any)
}

/// Browsers say where a page comes from; everybody else says nothing. A page of another server on
/// this machine is as foreign as any, though browsers call it of the same site.
fn is_foreign(head: &Head, stream: &TcpStream, hosts: &[String]) -> bool {
    let is_ours = |site: &[u8]| ["same-origin", "none"].iter().any(|our| is(site, our));
    let port = || stream.local_addr().map_or(0, |address| address.port());
    head.values("origin").any(|origin| !is_our_origin(origin, port(), hosts))
        || head.values("sec-fetch-site").any(|site| !is_ours(site))
}

/// What a page elsewhere may send: a key, or the question whether it may send one, to a provider
/// that asks for a key. What is on this machine or near it is taken to ask for none.
///
/// Except under the name of a provider that always does, where it is a relay that passes keys on, or
/// checks them. There the key must be of that provider's kind, unless it comes from a webview or an
/// extension, whose origin no page can claim; and what a page sends there is sent by its browser
/// only after that server itself has agreed to its origin, in answer to the preflight.
fn may_come_from_afar(config: &Config, head: &Head) -> bool {
    // The token has been checked, and is as unknown to a page as a key.
    if config.auth_token.is_some() {
        return true;
    }
    let found = asked(head, Credentials::of);
    if !found.is_any && !found.is_announced {
        return false;
    }
    // Nothing is sent of what has no route, and the answer says why.
    let Ok(route) = route(config, head) else { return true };
    if !config::is_near(&route.url) {
        // Browsers add the credentials of `Basic` and the like by themselves.
        return found.has_key_header || found.is_announced || found.has_query_key;
    }
    let always_asks = route::known(&route.provider).is_some_and(|known| !known.url.is_empty());
    let is_app = || head.values("origin").all(is_app_origin) && head.header("origin").is_some();
    always_asks && (found.is_announced || (found.has_key_header && (route.is_owners || is_app())))
}

/// An origin of programs that show pages of their own: `vscode-webview://...`. What a browser says of
/// a page is a scheme of the web, `null`, or a file.
fn is_app_origin(origin: &[u8]) -> bool {
    let scheme = memchr::memmem::find(origin, b"://").map_or(&b""[..], |at| &origin[..at]);
    !["", "http", "https", "file"].iter().any(|web| is(scheme, web))
}

fn is(bytes: &[u8], word: &str) -> bool {
    bytes.eq_ignore_ascii_case(word.as_bytes())
}

/// HTTP/1.0 knows no upgrade.
fn is_websocket(head: &Head) -> bool {
    let mut protocols = head.values("upgrade").flat_map(|value| value.split(|byte| *byte == b','));
    let is_it = |protocol: &[u8]| protocol.trim_ascii().eq_ignore_ascii_case(b"websocket");
    !head.is_http10 && protocols.any(is_it)
}

/// Our own pages are at our own port, without TLS; behind a tunnel that has a name of ours, at any.
fn is_our_origin(origin: &[u8], port: u16, hosts: &[String]) -> bool {
    let plain = origin.strip_prefix(b"http://");
    let Some(place) = plain.or_else(|| origin.strip_prefix(b"https://")) else { return false };
    let Some((name, digits)) = split_port(place) else { return false };
    let is_port = || if digits.is_empty() { port == 80 } else { digits.parse() == Ok(port) };
    hosts.iter().any(|host| host.eq_ignore_ascii_case(name))
        || (plain.is_some() && is_ours(name.as_bytes(), &[]) && is_port())
}

/// A host's name and the digits of its port, which may be missing.
fn split_port(place: &[u8]) -> Option<(&str, &str)> {
    let place = std::str::from_utf8(place).ok()?;
    let digits = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let split = place.rsplit_once(':').filter(|(_, port)| digits(port));
    Some(split.unwrap_or((place, "")))
}

/// The authority of a target in absolute form.
fn authority_of(target: &str) -> Option<&[u8]> {
    let rest = target.strip_prefix('/').is_none().then(|| target.split_once("://"))??.1;
    rest.split(['/', '?']).next().map(str::as_bytes)
}

/// Whether this is a host with or without a port (RFC 9110 7.2, RFC 3986 3.2.2): a name or an IPv4
/// address, or an IPv6 address in brackets. The comma, which is allowed in names and in none of any
/// use, is taken for what it is in fact: two headers in one.
fn is_authority(place: &[u8]) -> bool {
    let Some((name, port)) = split_port(place) else { return false };
    if let Some(literal) = name.strip_prefix('[') {
        let address = literal.strip_suffix(']').and_then(|inner| inner.parse::<Ipv6Addr>().ok());
        return address.is_some() && is_port(port);
    }
    let mut bytes = name.bytes();
    let is_name = std::iter::from_fn(|| bytes.next().map(|byte| (byte, bytes.clone()))).all(
        |(byte, mut rest)| match byte {
            b'%' => (0..2).all(|_| rest.next().is_some_and(|digit| digit.is_ascii_hexdigit())),
            byte => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=".contains(&byte),
        },
    );
    is_name && is_port(port)
}

fn is_port(digits: &str) -> bool {
    digits.is_empty() || digits.parse::<u16>().is_ok()
}

/// Whether `host`, a port after it or not, is a name under which we may be reached.
fn is_ours(host: &[u8], hosts: &[String]) -> bool {
    let Some((name, _)) = split_port(host) else { return false };
    let ours = LOCAL_NAMES.iter().copied().chain(hosts.iter().map(String::as_str));
    ours.into_iter().any(|ours| ours.eq_ignore_ascii_case(name))
}

/// Takes the token out of every place where it may come; it must have come in one.
fn check_token(head: &mut Head, token: &str, config: &Config) -> Result<(), Refusal> {
    let mut is_right = head.values("x-tokenpak-token").any(|value| is_same(value, token));
    let origin = route::origin_form(head.target());
    let rest = origin
        .strip_prefix("/t/")
        .map(|rest| rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len())));
    if let Some((_, rest)) = rest.filter(|(given, _)| is_same(given.as_bytes(), token)) {
        head.cut_target(head.target().len() - rest.len());
        is_right = true;
    }
    let is_bearer = |value: &[u8]| route::bearer(value).is_some_and(|given| is_same(given, token));
    if own(config, head).is_some() || matches!(path(head), "" | "/") {
        is_right |= head.values("authorization").any(is_bearer);
    }
    // On its way to a provider it would be a stranger's.
    head.drop_headers(|name, value| name.eq_ignore_ascii_case("authorization") && is_bearer(value));
    if is_right { Ok(()) } else { Err(NO_TOKEN) }
}

/// Compares in a time that depends on the lengths only.
fn is_same(given: &[u8], token: &str) -> bool {
    let differ = |all: u8, (left, right): (&u8, &u8)| std::hint::black_box(all | (left ^ right));
    given.len() == token.len() && given.iter().zip(token.as_bytes()).fold(0, differ) == 0
}
