//! The proxy that the environment names, and what would make us our own upstream.
//!
//! Only `https` upstreams go through a proxy: `http` is for this machine and for private names, which a
//! proxy elsewhere does not know. So `HTTP_PROXY`, which is for `http`, names none.

use std::io;

use ureq::{Proxy, ProxyProtocol};
use ureq_proto::http::Uri;

use super::dial::{is_local, place};
use super::error::TransportError;
use super::words;
use crate::config::Config;
use crate::error::Error;

/// The first of them that is set names the proxy.
const VARIABLES: &[&str] = &["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
/// The first of them that is set names hosts that need none.
const EXEMPTIONS: &[&str] = &["NO_PROXY", "no_proxy"];

/// A proxy between us and `https` upstreams.
pub(crate) struct ForwardProxy {
    variable: &'static str,
    /// Why it cannot be used, instead: an error of the request that would need it.
    proxy: Result<Proxy, String>,
    /// Knows the exemptions, and is used for nothing else.
    exempt: Option<Proxy>,
}

impl ForwardProxy {
    fn new(variable: &'static str, text: &str) -> ForwardProxy {
        let proxy = Proxy::new(text).ok().filter(|it| it.protocol() == ProxyProtocol::Http);
        let unusable = || {
            // What stands before this mark is no password.
            let scheme = text.split_once("://").map_or("another", |(scheme, _)| scheme);
            format!("{variable} names a proxy of the kind {scheme}; only http://host:port is known")
        };
        let exempt = first_set(EXEMPTIONS).map_or(String::new(), |(_, list)| list);
        let builder = Proxy::builder(ProxyProtocol::Http).host("localhost");
        let exempt = exempt.split(',').fold(builder, |all, host| all.no_proxy(host.trim()));
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
            error => format!("is on the way: {}", words(error)),
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
    let Some((variable, text)) = first_set(VARIABLES) else { return Ok(None) };
    let found = ForwardProxy::new(variable, &text);
    if let Ok(proxy) = &found.proxy
        && is_ourselves(proxy.host(), proxy.port(), config.port)
    {
        let what = format!("{variable}: points at tokenpak itself, which would go round for ever");
        return Err(Error::config(vec![what]));
    }
    Ok(Some(found))
}

/// The first of these variables that is set and not empty, and its value.
fn first_set(names: &[&'static str]) -> Option<(&'static str, String)> {
    let set = |name: &&'static str| {
        let value = std::env::var(name).ok()?;
        (!value.trim().is_empty()).then(|| (*name, value.trim().to_owned()))
    };
    names.iter().find_map(set)
}

fn is_ourselves(host: &str, port: u16, own: u16) -> bool {
    port == own && is_local(host.trim_start_matches('[').trim_end_matches(']'))
}
