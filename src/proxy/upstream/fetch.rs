//! A file from the web, by the same way that requests take: a proxy of the environment, and the certificates
//! that we believe.

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::body::is_late;
use super::failure::Failure;
use super::forward::{Outgoing, Pending, Upstream};
use super::request_head::Target;
use crate::config::{Config, is_near};
use crate::error::reason;
use crate::proxy::request::HeadReader;
use crate::proxy::watch::Watch;

/// Nothing of us but that we want it.
const ASK: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// For each part of the way, and for all of it.
const PATIENCE_S: u64 = 10;
const ALL: Duration = Duration::from_secs(120);

const LATE: &str = "it did not answer in time";

/// The content of an address, of at most one byte more than `bytes_max`; or why there is none.
pub(crate) fn fetch(config: &Config, url: &str, bytes_max: u64) -> Result<Vec<u8>, String> {
    if !url.starts_with("https://") && !is_near(url) {
        return Err("only https:// leads beyond this machine and its network".into());
    }
    let begun = Instant::now();
    let config = Config {
        connect_timeout_s: config.connect_timeout_s.min(PATIENCE_S),
        first_byte_timeout_s: config.first_byte_timeout_s.min(PATIENCE_S),
        stream_idle_timeout_s: config.stream_idle_timeout_s.min(PATIENCE_S),
        ..config.clone()
    };
    let upstream = Upstream::new(&config).map_err(|error| error.words())?;
    let head = HeadReader::default().read(ASK).ok().flatten();
    let Some((head, _)) = head else { return Err("the request could not be made".into()) };
    let target = Target { url, identity_only: true };
    let watch = Arc::new(Watch::default());
    let sent = upstream.send(&target, &head, Outgoing::Whole(b""), &watch);
    let mut reply = match sent.and_then(Pending::receive) {
        Ok(reply) => reply,
        Err(Failure::Unreachable(why)) => return Err(why),
        Err(Failure::TimedOut) => return Err(LATE.into()),
        Err(Failure::Refused(why) | Failure::BadAnswer(why)) => return Err(why.into()),
        Err(Failure::Client(_) | Failure::ClientGone) => return Err("it broke off".into()),
    };
    match reply.head.status() {
        200 => {}
        status => return Err(format!("it answers {status}")),
    }
    let (mut bytes, mut piece) = (Vec::new(), vec![0; 64 * 1024]);
    while bytes.len() as u64 <= bytes_max {
        match reply.body.read(&mut piece) {
            Ok(0) => return Ok(bytes),
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
            Err(error) if is_late(&error) => return Err(LATE.into()),
            Err(error) => return Err(format!("it broke off: {}", reason(&error))),
        }
        if begun.elapsed() > ALL {
            return Err(LATE.into());
        }
    }
    Ok(bytes)
}
