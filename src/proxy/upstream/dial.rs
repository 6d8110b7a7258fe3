//! New connections: straight, or through the proxy that the environment names.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use rustix::net::sockopt;
use ureq::Proxy;
use ureq_proto::http::Uri;

use super::ForwardProxy;
use super::error::TransportError;
use super::place::place;
use crate::proxy::deadlines::deadlines;

/// A proxy's answer to CONNECT.
const TUNNEL_HEAD_BYTES_MAX: usize = 8 * 1024;

/// Opens a connection to the host of `uri` within `limit`, through `proxy` if there is one.
pub(super) fn dial(
    uri: &Uri,
    proxy: Option<&ForwardProxy>,
    limit: Duration,
) -> Result<TcpStream, TransportError> {
    let place = place(uri).ok_or(TransportError::HostNotFound)?;
    let Some(proxy) = proxy else { return open(place.0, place.1, limit) };
    let way = proxy.usable()?;
    let opened = open(way.host(), way.port(), limit).and_then(|stream| {
        tunnel(&stream, way, place, limit)?;
        Ok(stream)
    });
    opened.map_err(|error| proxy.blame(&error))
}

/// Where a host may be. localhost is known without asking (RFC 6761 6.3), so that it is there on
/// a machine without /etc/hosts, where asking takes seconds.
fn addresses(host: &str, port: u16) -> Result<Vec<SocketAddr>, TransportError> {
    if host.eq_ignore_ascii_case("localhost") {
        return Ok(vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]);
    }
    let found = (host, port).to_socket_addrs().map_err(|_| TransportError::HostNotFound)?;
    Ok(found.collect())
}

fn open(host: &str, port: u16, limit: Duration) -> Result<TcpStream, TransportError> {
    let addresses = addresses(host, port)?;
    // Each address gets an equal share of the time, so that a dead one leaves some to the next.
    let share = limit / addresses.len().max(1) as u32;
    let mut last = TransportError::HostNotFound;
    for address in &addresses {
        match TcpStream::connect_timeout(address, share) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                watch_path(&stream)?;
                return Ok(stream);
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                last = TransportError::ConnectTimeout;
            }
            Err(error) => last = error.into(),
        }
    }
    Err(last)
}

/// Has the kernel find out when the path is dead.
///
/// A path whose packets vanish (a NAT that forgot it, a network that is gone, sleep) says nothing, and
/// must not be waited for as long as a model may think. Silence is asked about; what is not
/// acknowledged in time ends the connection, after 75 s at the latest, whereas whoever answers the
/// questions may be silent for as long as he likes.
fn watch_path(stream: &TcpStream) -> io::Result<()> {
    let limits = deadlines();
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, limits.path_silent)?;
    sockopt::set_tcp_keepintvl(stream, limits.path_again)?;
    // With this, the number of questions is no limit of its own (tcp(7)).
    sockopt::set_tcp_user_timeout(stream, limits.path.as_millis() as u32)?;
    Ok(())
}

/// Asks a proxy for a way through to `host` (RFC 9110 9.3.6).
fn tunnel(
    mut stream: &TcpStream,
    proxy: &Proxy,
    (host, port): (&str, u16),
    limit: Duration,
) -> Result<(), TransportError> {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let mut ask = format!("CONNECT {host}:{port} HTTP/1.1\r\nhost: {host}:{port}\r\n");
    if proxy.username().is_some() || proxy.password().is_some() {
        let [user, password] = [proxy.username(), proxy.password()].map(Option::unwrap_or_default);
        let credential = base64(format!("{user}:{password}").as_bytes());
        ask.push_str(&format!("proxy-authorization: Basic {credential}\r\n"));
    }
    ask.push_str("\r\n");
    stream.set_write_timeout(Some(limit))?;
    stream.set_read_timeout(Some(limit))?;
    stream.write_all(ask.as_bytes())?;
    let mut head = Vec::new();
    // Byte by byte: what follows the empty line is the provider's.
    while !head.ends_with(b"\r\n\r\n") && head.len() < TUNNEL_HEAD_BYTES_MAX {
        let mut byte = [0];
        if stream.read(&mut byte)? == 0 {
            break;
        }
        head.push(byte[0]);
    }
    stream.set_read_timeout(None)?;
    let status = head.get(9..12).filter(|_| head.starts_with(b"HTTP/1."));
    let status = status.filter(|status| status.iter().all(u8::is_ascii_digit));
    match status {
        Some([b'2', _, _]) => Ok(()),
        Some(status) => {
            Err(TransportError::TunnelRefused(String::from_utf8_lossy(status).into_owned()))
        }
        None => Err(TransportError::TunnelRefused("it does not speak HTTP".to_owned())),
    }
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let part = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = part(0) << 16 | part(1) << 8 | part(2);
        for place in 0..4 {
            match place <= three.len() {
                true => out.push(char::from(LETTERS[(bits >> (18 - 6 * place) & 63) as usize])),
                false => out.push('='),
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_of_proxies_are_base64() {
        for (text, want) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("user:pass", "dXNlcjpwYXNz"),
            ("\u{ff}\u{fe}??>", "w7/Dvj8/Pg=="),
        ] {
            assert_eq!(base64(text.as_bytes()), want, "{text}");
        }
    }

    #[test]
    fn this_machine_and_literal_addresses_need_no_names() {
        for (host, want) in [
            ("localhost", &["127.0.0.1:80", "[::1]:80"][..]),
            ("LocalHost", &["127.0.0.1:80", "[::1]:80"]),
            ("127.0.0.2", &["127.0.0.2:80"]),
            ("::1", &["[::1]:80"]),
        ] {
            let found = addresses(host, 80).unwrap();
            assert_eq!(found.iter().map(SocketAddr::to_string).collect::<Vec<_>>(), want);
        }
    }
}
