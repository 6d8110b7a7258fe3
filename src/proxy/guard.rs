//! Who may ask: rules against pages in a browser that reach for a proxy on the same machine.
//!
//! A name that resolves to 127.0.0.1 makes a foreign page same-origin with us (DNS rebinding), so
//! `Host` must be a name of ours. A page cannot know the user's key, so a request that carries one
//! may come from anywhere.

use super::request::{Head, Refusal};

const LOCAL_NAMES: &[&str] = &["localhost", "127.0.0.1", "[::1]"];

/// Refuses a request that a foreign page could have made.
pub(crate) fn admit(head: &Head, hosts: &[String], has_credential: bool) -> Result<(), Refusal> {
    let host = head.header("host").unwrap_or(b"localhost");
    if !is_ours(host, hosts) {
        return Err(Refusal { status: 421, why: "this Host is not served here; see proxy.hosts" });
    }
    let is_foreign = head.header("origin").is_some_and(|origin| !is_our_origin(origin, hosts))
        || head.header("sec-fetch-site") == Some(b"cross-site");
    match is_foreign && !has_credential {
        true => Err(Refusal { status: 403, why: "a page of another origin may not ask this" }),
        false => Ok(()),
    }
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
