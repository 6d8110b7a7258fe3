//! How far an upstream is, told by its address alone: no name is looked up here.

use std::net::{IpAddr, Ipv4Addr};

/// Upstreams that may be sent keys in the clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AllowHttp {
    All,
    /// Providers, and `passthrough` for `proxy.passthrough_url`.
    Of(Vec<String>),
}

impl AllowHttp {
    pub(super) fn allows(&self, name: &str) -> bool {
        match self {
            AllowHttp::All => true,
            AllowHttp::Of(names) => names.iter().any(|allowed| allowed == name),
        }
    }
}

/// Whether a URL leads to this very machine.
pub(super) fn is_loopback(url: &str) -> bool {
    let host = host(url);
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Whether a URL leads to this machine or its neighbourhood: where servers ask for no key.
///
/// A name counts as near if only a local resolver knows it (RFC 6762, RFC 8375, a container's name),
/// and so do numbers that are no usual address, which resolvers read as one all the same.
pub(crate) fn is_near(url: &str) -> bool {
    const NEAR: &[&str] = &["localhost", "local", "internal", "lan", "home", "arpa"];
    let host = host(url).trim_end_matches('.');
    match host.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V4(address)) => is_near_v4(address),
        Ok(IpAddr::V6(address)) => {
            let first = address.segments()[0];
            address.is_loopback()
                || address.is_unspecified()
                || (first & 0xfe00) == 0xfc00
                || (first & 0xffc0) == 0xfe80
        }
        Err(_) => match host.rsplit_once('.') {
            None => true,
            Some((_, last)) => {
                last.starts_with(|first: char| first.is_ascii_digit())
                    || NEAR.iter().any(|near| near.eq_ignore_ascii_case(last))
            }
        },
    }
}

fn is_near_v4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    // The third: what providers of access and overlay networks hand out (RFC 6598).
    let is_shared = first == 100 && (64..128).contains(&second);
    address.is_loopback()
        || address.is_private()
        || is_shared
        || address.is_link_local()
        || first == 0
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_told_by_their_address() {
        for near in [
            "http://localhost:11434/v1",
            "http://LocalHost",
            "http://api.localhost",
            "http://127.0.0.1",
            "http://127.9.9.9:1",
            "http://0.0.0.0:8080",
            "http://127.1",
            "http://2130706433",
            "http://0x7f.1",
            "http://10.0.0.1",
            "http://172.16.0.1",
            "http://192.168.1.5/v1",
            "http://169.254.1.1",
            "http://100.64.0.1",
            "http://[::1]:1/v1",
            "http://[::]",
            "http://[::ffff:127.0.0.1]",
            "http://[::ffff:192.168.1.1]",
            "http://[fd00::1]",
            "http://[fe80::1]",
            "http://ollama:11434",
            "http://box.local",
            "https://models.lan/v1",
            "https://host.docker.internal",
            "https://nas.home.arpa",
            "https://box.local.",
        ] {
            assert!(is_near(near), "{near}");
        }
        for far in [
            "https://api.anthropic.com",
            "https://api.anthropic.com./v1",
            "https://localhost.example.com",
            "https://127.0.0.1.example.com",
            "https://172.32.0.1",
            "https://100.128.0.1",
            "https://8.8.8.8",
            "https://[2606:4700::1]/v1",
            "https://[::ffff:8.8.8.8]",
            "https://local.example.org/local",
        ] {
            assert!(!is_near(far), "{far}");
        }
    }
}
