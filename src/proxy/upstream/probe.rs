//! Whether a provider can be reached, by the same way that requests take: its name, a proxy of the
//! environment, the certificates that we believe.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::failure::Failure;
use super::forward::{Outgoing, Pending, Upstream};
use super::request_head::Target;
use crate::config::Config;
use crate::error::Error;
use crate::proxy::request::HeadReader;
use crate::proxy::watch::Watch;

/// The question: no credential, no body, and whatever is answered will do.
const ASK: &[u8] = b"HEAD / HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// Ways to the providers that are only tried.
pub(crate) struct Probe(Upstream);

impl Probe {
    /// `patience_s` is for each part of the way.
    pub(crate) fn new(config: &Config, patience_s: u64) -> Result<Probe, Error> {
        let config = Config {
            connect_timeout_s: config.connect_timeout_s.min(patience_s),
            first_byte_timeout_s: config.first_byte_timeout_s.min(patience_s),
            ..config.clone()
        };
        Upstream::new(&config).map(Probe)
    }

    /// How long an answer took, whatever it said; or why there is none.
    pub(crate) fn connect(&self, url: &str) -> Result<Duration, String> {
        let head = HeadReader::default().read(ASK).ok().flatten();
        let Some((head, _)) = head else { return Err("the request could not be made".into()) };
        let begun = Instant::now();
        let target = Target { url, identity_only: false };
        let watch = Arc::new(Watch::default());
        let sent = self.0.send(&target, &head, Outgoing::Whole(b""), &watch);
        match sent.and_then(Pending::receive) {
            Ok(_) => Ok(begun.elapsed()),
            Err(Failure::Unreachable(why)) => Err(why),
            Err(Failure::TimedOut) => Err("it did not answer in time".into()),
            Err(Failure::Refused(why) | Failure::BadAnswer(why)) => Err(why.into()),
            Err(Failure::Client(_) | Failure::ClientGone) => Err("it broke off".into()),
        }
    }
}
