//! Where a URL leads.

use ureq_proto::http::Uri;

/// Host and port of a URL, without the brackets of an IPv6 address.
pub(super) fn place(uri: &Uri) -> Option<(&str, u16)> {
    let default = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
    Some((host, uri.port_u16().unwrap_or(default)))
}

/// Whether a host is this machine itself.
pub(super) fn is_local(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_host_and_port() {
        for (url, want) in [
            ("https://a.test/x", ("a.test", 443)),
            ("http://a.test", ("a.test", 80)),
            ("http://[::1]:8080/x", ("::1", 8080)),
        ] {
            let uri: Uri = url.parse().unwrap();
            assert_eq!(place(&uri), Some(want), "{url}");
        }
        assert!(is_local("::1") && is_local("127.9.9.9") && !is_local("127.example.com"));
    }
}
