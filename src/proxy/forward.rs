//! Sends a request upstream: hop-by-hop headers, pool, timeouts, the one repeat that is allowed.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use ureq::config::Config as Settings;
use ureq::http::uri::PathAndQuery;
use ureq::http::{HeaderName, HeaderValue, Method, Request, Response, Uri};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{Connector, RustlsConnector};
use ureq::{Agent, Body, Error, Proxy, SendBody, Timeout};

use super::request::{Framing, HEAD_BYTES_MAX, Head, Refusal};
use super::transport::{self, Attempt, SocketConnector, Watch};
use crate::config::Config;

/// Headers that belong to one connection and not to the message (RFC 9110 7.6.1), the ones that
/// the next hop writes itself, and `Expect`, which we have answered.
const HOP_BY_HOP: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
    "host",
    "content-length",
    "expect",
];

/// Whether a header belongs to one connection and not to the message.
pub(crate) fn is_hop_by_hop(name: &str) -> bool {
    HOP_BY_HOP.iter().any(|hop| hop.eq_ignore_ascii_case(name))
}

/// The ways to the providers: one straight, one through the proxy that the environment names.
pub(crate) struct Upstream {
    direct: Agent,
    proxied: Option<(Agent, Proxy)>,
}

/// Where a request goes.
pub(crate) struct Target<'a> {
    pub(crate) url: &'a str,
    /// The answer's usage is read, so it must not come encoded.
    pub(crate) identity_only: bool,
}

/// A request's body as it goes upstream.
pub(crate) enum Outgoing<'a> {
    Whole(&'a [u8]),
    /// Read from the client while it is sent; the length is the client's, if it named one.
    Streamed {
        reader: &'a mut dyn Read,
        framing: Framing,
    },
}

/// Why there is no answer.
pub(crate) enum Failure {
    /// The target or a header is not what the upstream could be sent.
    Refused(&'static str),
    /// The client's body broke off or was malformed while it was passed on.
    Client(Refusal),
    /// The client left meanwhile.
    ClientGone,
    Unreachable(String),
    TimedOut,
}

impl Upstream {
    pub(crate) fn new(config: &Config) -> Upstream {
        let proxy = Proxy::try_from_env();
        Upstream {
            direct: agent(config, None),
            proxied: proxy.map(|proxy| (agent(config, Some(proxy.clone())), proxy)),
        }
    }

    /// Sends `head` with `body` and waits for the answer's head.
    pub(crate) fn send(
        &self,
        target: &Target,
        head: &Head,
        body: Outgoing,
        watch: &Arc<Watch>,
    ) -> Result<Response<Body>, Failure> {
        let parts = build(target, head)?;
        let agent = self.agent(parts.uri());
        match body {
            Outgoing::Whole(bytes) => self.send_whole(agent, &parts, bytes, watch),
            Outgoing::Streamed { reader, framing } => {
                begin(watch, true);
                let mut parts = parts;
                if let Framing::Length(length) = framing {
                    parts.headers_mut().insert("content-length", HeaderValue::from(length));
                }
                let body = SendBody::from_reader(reader);
                let (parts, ()) = parts.into_parts();
                agent.run(Request::from_parts(parts, body)).map_err(|e| failure(e, watch))
            }
        }
    }

    /// One repeat, and only where the provider cannot have begun to answer: a connection from the
    /// pool that died under the request.
    fn send_whole(
        &self,
        agent: &Agent,
        parts: &Request<()>,
        bytes: &[u8],
        watch: &Arc<Watch>,
    ) -> Result<Response<Body>, Failure> {
        loop {
            begin(watch, !bytes.is_empty());
            let request = parts.clone();
            let sent = match bytes.is_empty() && !expects_body(request.method()) {
                true => agent.run(request),
                false => agent.run(request.map(|()| bytes)),
            };
            match sent {
                Ok(answer) => return Ok(answer),
                Err(error) if !is_stale(&error) || watch.is_gone() => {
                    return Err(failure(error, watch));
                }
                Err(_) => {}
            }
        }
    }

    fn agent(&self, uri: &Uri) -> &Agent {
        let is_local = matches!(uri.host(), Some("localhost" | "127.0.0.1" | "[::1]"));
        match &self.proxied {
            Some((agent, proxy)) if !is_local && !proxy.is_no_proxy(uri) => agent,
            _ => &self.direct,
        }
    }
}

fn agent(config: &Config, proxy: Option<Proxy>) -> Agent {
    let seconds = |count| Some(Duration::from_secs(count));
    let settings: Settings = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .allow_non_standard_methods(true)
        // Empty: nothing is injected.
        .user_agent("")
        .accept("")
        .accept_encoding("")
        .proxy(proxy)
        .timeout_connect(seconds(config.connect_timeout_s))
        .timeout_recv_response(seconds(config.first_byte_timeout_s))
        .timeout_recv_body(None)
        .max_idle_connections(config.workers)
        .max_idle_connections_per_host(config.workers)
        .max_idle_age(Duration::from_secs(60))
        .max_response_header_size(64 * 1024)
        .input_buffer_size(64 * 1024)
        // A head must fit whole: the client's, with the base URL's path before its target.
        .output_buffer_size(HEAD_BYTES_MAX + 16 * 1024)
        .build();
    let stream_idle = Duration::from_secs(config.stream_idle_timeout_s);
    let connector = SocketConnector { stream_idle }.chain(RustlsConnector::default());
    Agent::with_parts(settings, connector, DefaultResolver::default())
}

/// The request without its body.
fn build(target: &Target, head: &Head) -> Result<Request<()>, Failure> {
    let bad_target = || Failure::Refused("the target is not a valid URI");
    let mut uri: Uri = target.url.parse().map_err(|_| bad_target())?;
    if head.target() == "*" {
        // The one target that is no path: it asks about the server as a whole.
        let mut parts = uri.into_parts();
        parts.path_and_query = Some(PathAndQuery::from_static("*"));
        uri = Uri::from_parts(parts).map_err(|_| bad_target())?;
    }
    let method = Method::from_bytes(head.method().as_bytes());
    let method = method.map_err(|_| Failure::Refused("the method is not valid"))?;
    let mut request = Request::new(());
    *request.uri_mut() = uri;
    *request.method_mut() = method;
    let named: Vec<String> = connection_tokens(head);
    for (name, value) in head.headers() {
        let is_ours =
            name.len() >= 11 && name.as_bytes()[..11].eq_ignore_ascii_case(b"x-tokenpak-");
        let is_narrowed = target.identity_only && name.eq_ignore_ascii_case("accept-encoding");
        let is_named = named.iter().any(|token| token.eq_ignore_ascii_case(name));
        if is_ours || is_narrowed || is_named || is_hop_by_hop(name) {
            continue;
        }
        let bad = Failure::Refused("a header is not valid");
        let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value))
        else {
            return Err(bad);
        };
        request.headers_mut().append(name, value);
    }
    // Providers send plain text unless asked; one that the client did not ask gets no word of ours.
    if target.identity_only && head.header("accept-encoding").is_some() {
        request.headers_mut().insert("accept-encoding", HeaderValue::from_static("identity"));
    }
    Ok(request)
}

/// Headers that `Connection` declares to be the hop's own.
fn connection_tokens(head: &Head) -> Vec<String> {
    let tokens = head.values("connection").flat_map(|value| value.split(|byte| *byte == b','));
    tokens.map(|token| String::from_utf8_lossy(token.trim_ascii()).into_owned()).collect()
}

/// Methods that are sent with `Content-Length: 0` when their body is empty.
fn expects_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

fn begin(watch: &Arc<Watch>, has_body: bool) {
    let watch = Some(Arc::clone(watch));
    transport::begin(Attempt { watch, has_body, ..Attempt::default() });
}

fn is_stale(error: &Error) -> bool {
    let attempt = transport::attempt();
    let Error::Io(error) = error else { return false };
    let died = matches!(
        error.kind(),
        std::io::ErrorKind::ConnectionReset
            | std::io::ErrorKind::ConnectionAborted
            | std::io::ErrorKind::BrokenPipe
            | std::io::ErrorKind::UnexpectedEof
    );
    died && attempt.is_reused && !attempt.is_answered
}

/// ureq's error in words that hold no address, path or key.
fn failure(error: Error, watch: &Watch) -> Failure {
    if watch.is_gone() {
        return Failure::ClientGone;
    }
    match error {
        Error::Timeout(Timeout::RecvResponse) => Failure::TimedOut,
        Error::Timeout(_) => Failure::Unreachable("connection timed out".into()),
        Error::HostNotFound => Failure::Unreachable("the name is not known".into()),
        Error::Io(error) => Failure::Unreachable(crate::error::reason(&error)),
        Error::Rustls(error) => Failure::Unreachable(format!("TLS: {error}").to_lowercase()),
        Error::Protocol(_) => Failure::Unreachable("the answer is not HTTP".into()),
        _ => Failure::Unreachable("the request could not be sent".into()),
    }
}
