//! The proxy that the environment names, and what would make us our own upstream.
//!
//! ureq reads the variables. Only `https` upstreams go through a proxy: `http` is for this machine
//! and for private names, which a proxy elsewhere does not know.

use ureq::http::Uri;
use ureq::{Proxy, ProxyProtocol};

use super::dial::{is_local, place};
use crate::config::Config;
use crate::error::Error;

/// The proxy for `https` upstreams, if there is one.
pub(crate) fn proxy(config: &Config) -> Result<Option<Proxy>, Error> {
    refuse_loops(config)?;
    let Some(proxy) = Proxy::try_from_env() else { return Ok(None) };
    if proxy.protocol() != ProxyProtocol::Http {
        let what = "HTTPS_PROXY: only proxies of the form http://host:port are known";
        return Err(Error::config(vec![what.into()]));
    }
    if is_ourselves(proxy.host(), proxy.port(), config.port) {
        let what = "HTTPS_PROXY: points at tokenpak itself, which would go round for ever";
        return Err(Error::config(vec![what.into()]));
    }
    Ok(Some(proxy))
}

/// An upstream that is this very port would be asked by itself until no worker is left.
fn refuse_loops(config: &Config) -> Result<(), Error> {
    let passthrough =
        config.passthrough_url.iter().map(|url| ("proxy.passthrough_url".to_owned(), url));
    let providers =
        config.providers.iter().map(|(name, url)| (format!("proxy.providers.{name}.url"), url));
    let loops = providers.chain(passthrough).filter(|(_, url)| {
        let uri = url.parse::<Uri>().ok();
        let place = uri.as_ref().and_then(place);
        place.is_some_and(|(host, port)| is_ourselves(host, port, config.port))
    });
    let faults: Vec<_> =
        loops.map(|(key, url)| format!("{key}: {url} is tokenpak itself")).collect();
    if faults.is_empty() { Ok(()) } else { Err(Error::config(faults)) }
}

fn is_ourselves(host: &str, port: u16, own: u16) -> bool {
    port == own && is_local(host.trim_start_matches('[').trim_end_matches(']'))
}
