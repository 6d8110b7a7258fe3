//! Asks a proxy that may run here for one of its own pages, and whose it is.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use crate::proxy::sock_diag;

/// To connect, and between two pieces: it is on this machine.
const PATIENCE: Duration = Duration::from_secs(2);
/// More than all pages have.
const BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The user who listens there, if it is none of: we, the superuser, and whom `home` belongs to. What
/// such a process says of itself is not to be believed, and it is told no secret.
pub(super) fn stranger(address: SocketAddr, home: &Path) -> Option<u32> {
    let uid = sock_diag::listener(address).filter(|uid| sock_diag::is_another(*uid))?;
    let owner = std::fs::metadata(home).ok().map(|home| home.uid());
    (owner != Some(uid)).then_some(uid)
}

/// Status and content of a page. Whatever answers like an HTTP server is no error.
pub(super) fn page(
    address: SocketAddr,
    path: &str,
    token: Option<&str>,
) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let token = token.map_or(String::new(), |token| format!("authorization: Bearer {token}\r\n"));
    let ask = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{token}connection: close\r\n\r\n");
    stream.write_all(ask.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(BYTES_MAX).read_to_end(&mut answer)?;
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse().ok());
    let no_http = || io::Error::new(io::ErrorKind::InvalidData, "it does not speak HTTP");
    Ok((status.ok_or_else(no_http)?, body.to_owned()))
}
