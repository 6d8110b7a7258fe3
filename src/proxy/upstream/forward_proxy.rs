//! The proxy that the environment names, and what would make us our own upstream.
//!
//! Only `https` upstreams go through a proxy: `http` is for this machine and for private names, which a
//! proxy elsewhere does not know. So `HTTP_PROXY`, which is for `http`, names none.

use std::io;

use ureq::{Proxy, ProxyProtocol};
use ureq_proto::http::Uri;

use super::error::TransportError;
use super::place::{is_local, place};
use crate::config::{Config, ProxyVariables};
use crate::error::Error;

/// A proxy between us and `https` upstreams.
pub(crate) struct ForwardProxy {
    variable: &'static str,
    /// Why it cannot be used, instead: an error of the request that would need it.
    proxy: Result<Proxy, String>,
    /// Knows the exemptions, and is used for nothing else.
    exempt: Option<Proxy>,
}

impl ForwardProxy {
    fn new(named: &ProxyVariables) -> ForwardProxy {
        let (variable, text) = (named.variable, named.url.reveal());
        let proxy = Proxy::new(text).ok().filter(|it| it.protocol() == ProxyProtocol::Http);
        let unusable = || {
            // What stands before this mark is no password.
            let scheme = text.split_once("://").map_or("another", |(scheme, _)| scheme);
            format!("{variable} names a proxy of the kind {scheme}; only http://host:port is known")
        };
        let builder = Proxy::builder(ProxyProtocol::Http).host("localhost");
        let exempt = named.exempt.split(',').fold(builder, |all, host| all.no_proxy(host.trim()));
        ForwardProxy { variable, proxy: proxy.ok_or_else(unusable), exempt: exempt.build().ok() }
    }

    /// Whether requests for this URL go through it.
    pub(super) fn is_for(&self, uri: &Uri) -> bool {
        uri.scheme_str() == Some("https")
            && place(uri).is_some_and(|(host, _)| !is_local(host))
            && !self.exempt.as_ref().is_some_and(|exempt| exempt.is_no_proxy(uri))
    }

    /// # Errors
    ///
    /// It is of a kind that is not known here.
    pub(super) fn usable(&self) -> Result<&Proxy, TransportError> {
        self.proxy.as_ref().map_err(|why| io::Error::other(why.clone()).into())
    }

    /// The same error with the name of the proxy, and of the variable that has named it.
    pub(super) fn blame(&self, error: &TransportError) -> TransportError {
        let Ok(proxy) = &self.proxy else { return TransportError::Unsendable };
        let (host, port, variable) = (proxy.host(), proxy.port(), self.variable);
        let why = match error {
            TransportError::TunnelRefused(status) => format!("refuses it ({status})"),
            error => format!("is on the way: {}", error.words()),
        };
        io::Error::other(format!("the proxy {host}:{port} ({variable}) {why}")).into()
    }
}

/// The proxy for `https` upstreams, if there is one.
pub(crate) fn forward_proxy(config: &Config) -> Result<Option<ForwardProxy>, Error> {
    let loops = config.loops();
    if !loops.is_empty() {
        return Err(Error::config(loops));
    }
    let Some(named) = &config.forward_proxy else { return Ok(None) };
    let (variable, found) = (named.variable, ForwardProxy::new(named));
    if let Ok(proxy) = &found.proxy
        && is_ourselves(proxy.host(), proxy.port(), config.port)
    {
        let what = format!("{variable}: points at tokenpak itself, which would go round for ever");
        return Err(Error::config(vec![what]));
    }
    Ok(Some(found))
}

fn is_ourselves(host: &str, port: u16, own: u16) -> bool {
    port == own && is_local(host.trim_start_matches('[').trim_end_matches(']'))
}
