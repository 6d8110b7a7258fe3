//! How far an upstream is, told by its address alone: no name is looked up here.

use std::net::IpAddr;

/// Whether a URL leads to this very machine.
pub(super) fn is_loopback(url: &str) -> bool {
    let host = host(url);
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Whether a URL leads to this port of this machine.
pub(super) fn is_own_port(url: &str, port: u16) -> bool {
    let default = if url.starts_with("https://") { 443 } else { 80 };
    let place = url.split_once("://").map_or(url, |(_, rest)| rest);
    let place = place.split(['/', '?']).next().unwrap_or_default();
    let digits = place.rsplit_once(':').map(|(_, digits)| digits);
    is_loopback(url) && digits.and_then(|digits| digits.parse().ok()).unwrap_or(default) == port
}

/// The host of a base URL, an IPv6 address without its brackets.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let place = rest.split(['/', '?']).next().unwrap_or_default();
    match place.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => place.split(':').next().unwrap_or_default(),
    }
}
