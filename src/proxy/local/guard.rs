//! Who may ask, and what is answered without a provider.
//!
//! A name that resolves to 127.0.0.1 makes a foreign page same-origin with us (DNS rebinding), so on
//! a loopback address `Host` must be a name of ours. A page cannot know the user's key, so a request
//! that carries one may come from anywhere. Beyond loopback the token decides.

use std::net::TcpStream;

use super::pages::Page;
use crate::config::{Config, Endpoints};
use crate::proxy::request::{Head, Refusal};
use crate::proxy::sock_diag::is_unix;
use crate::proxy::{Context, local};
use crate::route::{self, Asked, Upstreams};

const LOCAL_NAMES: &[&str] = &["localhost", "127.0.0.1", "[::1]"];

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
    // No page of a browser's reaches a socket in the file system, by whatever name.
    if config.is_loopback() && !is_ours(host(head), &config.hosts) && !is_unix(stream) {
        return Err(WRONG_HOST);
    }
    if let Some(token) = &config.auth_token {
        check_token(head, token.reveal(), config)?;
    }
    let header = |name: &str| head.header(name);
    let asked = Asked { method: head.method(), target: head.target(), header: &header };
    let page = page(config, stream, head);
    if config.same_user && !matches!(page, Some(Page::Health | Page::Metrics)) && is_other_user() {
        return Err(OTHER_USER);
    }
    let is_own = page.is_some();
    if is_foreign(head, &config.hosts) && (is_own || !has_own_key(config, &asked)) {
        return Err(FOREIGN);
    }
    match head.method() {
        "CONNECT" => Err(NO_CONNECT),
        _ if is_websocket(head) => Ok(Some(local::no_websocket())),
        _ if page == Some(Page::Health) => Ok(Some(local::health_of(context))),
        // A worker will.
        _ if is_own => Ok(None),
        "GET" | "HEAD" if matches!(path(head), "" | "/") && !route::has_credential(&asked) => {
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

/// Browsers say where a page comes from; everybody else says nothing.
fn is_foreign(head: &Head, hosts: &[String]) -> bool {
    head.values("origin").any(|origin| !is_our_origin(origin, hosts))
        || head.values("sec-fetch-site").any(|site| site.eq_ignore_ascii_case(b"cross-site"))
}

/// A key in a header is beyond a foreign page. A key in the URL is not, so it counts only where it
/// is needed: with Google, not with a server on this machine that asks for none.
fn has_own_key(config: &Config, asked: &Asked) -> bool {
    let upstreams = Upstreams { providers: &config.providers, passthrough_url: None };
    // The token has been checked, and is as unknown to a page as a key.
    config.auth_token.is_some()
        || route::has_key_header(asked)
        || route::has_credential(asked)
            && route::pick(asked, &upstreams).is_some_and(|route| route.provider == "google")
}

/// HTTP/1.0 knows no upgrade.
fn is_websocket(head: &Head) -> bool {
    let mut protocols = head.values("upgrade").flat_map(|value| value.split(|byte| *byte == b','));
    let is_it = |protocol: &[u8]| protocol.trim_ascii().eq_ignore_ascii_case(b"websocket");
    !head.is_http10 && protocols.any(is_it)
}

fn is_our_origin(origin: &[u8], hosts: &[String]) -> bool {
    let host = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
    host.is_some_and(|host| is_ours(host, hosts))
}

/// Whether `host`, a port after it or not, is a name under which we may be reached.
fn is_ours(host: &[u8], hosts: &[String]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else { return false };
    let digits = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let name =
        host.rsplit_once(':').filter(|(_, port)| digits(port)).map_or(host, |(name, _)| name);
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
