//! Sends a request upstream: hop-by-hop headers, pool, timeouts, the one repeat that is allowed.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use ureq::config::Config as Settings;
use ureq::http::uri::PathAndQuery;
use ureq::http::{HeaderName, HeaderValue, Method, Request, Uri};
use ureq::{Agent, SendBody, Timeout};

use super::transport::{self, Attempt, Watch, begin};
use super::uploading::{Leftover, SharedUpload, Uploading};
use super::{Connector, Pool, Reader, ReceiveError, Reply, Tls, Unresolved};
use crate::config::Config;
use crate::error::Error;
use crate::proxy::request::{Framing, Head, Refusal};

/// Of a body, what is sent at once.
const PIECE_BYTES: usize = 64 * 1024;

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
pub(crate) fn is_hop_by_hop(name: &[u8]) -> bool {
    HOP_BY_HOP.iter().any(|hop| hop.as_bytes().eq_ignore_ascii_case(name))
}

/// Whether a header is one of those between us and our clients.
pub(crate) fn is_ours(name: &[u8]) -> bool {
    const OURS: &[u8] = b"x-tokenpak-";
    name.get(..OURS.len()).is_some_and(|start| start.eq_ignore_ascii_case(OURS))
}

/// Headers that `Connection` declares to be the hop's own. In order, so that as many words as a head has
/// room for cost no more than to read them.
pub(crate) struct Named(Vec<Vec<u8>>);

impl Named {
    pub(crate) fn of<'a>(words: impl Iterator<Item = &'a [u8]>) -> Named {
        // What nearly all say, and what is the hop's own anyway.
        let usual = |word: &&[u8]| {
            !word.eq_ignore_ascii_case(b"close") && !word.eq_ignore_ascii_case(b"keep-alive")
        };
        let mut named: Vec<_> = words.filter(usual).map(<[u8]>::to_ascii_lowercase).collect();
        named.sort_unstable();
        Named(named)
    }

    pub(crate) fn has(&self, name: &[u8]) -> bool {
        let small = || name.iter().map(u8::to_ascii_lowercase);
        self.0.binary_search_by(|word| word.iter().copied().cmp(small())).is_ok()
    }
}

/// The ways to the providers.
pub(crate) struct Upstream {
    agent: Agent,
    pool: Arc<Pool>,
    first_byte: Duration,
    stream_idle: Duration,
}

/// Where a request goes.
pub(crate) struct Target<'a> {
    pub(crate) url: &'a str,
    /// The answer's usage is read, so it must not come encoded.
    pub(crate) identity_only: bool,
}

/// A request's body as it goes upstream.
pub(crate) enum Outgoing<'a> {
    Whole {
        bytes: &'a [u8],
        /// What there is time for while the provider thinks.
        meanwhile: &'a dyn Fn(),
    },
    /// Read from the client while it is sent; the length is the client's, if it named one.
    Streamed { upload: &'a SharedUpload, framing: Framing },
}

/// What ureq may not have sent of a body: one that comes, or bytes.
type Rest<'a> = (Option<Uploading>, &'a [u8]);

/// Why there is no answer.
pub(crate) enum Failure {
    /// The target or a header is not what the upstream could be sent.
    Refused(&'static str),
    /// The client's body broke off or was malformed while it was passed on.
    Client(Refusal),
    /// The client left meanwhile.
    ClientGone,
    Unreachable(String),
    /// What came is not HTTP, or not as it has to be.
    BadAnswer(&'static str),
    TimedOut,
}

impl Upstream {
    pub(crate) fn new(config: &Config) -> Result<Upstream, Error> {
        let pool = Arc::new(Pool::new(config.workers));
        let tls = Tls::new(super::load_roots(&config.tls_roots)?);
        let ways = Connector::new(Arc::clone(&pool), super::forward_proxy(config)?, tls);
        Ok(Upstream {
            agent: Agent::with_parts(settings(config), ways, Unresolved),
            pool,
            first_byte: Duration::from_secs(config.first_byte_timeout_s),
            stream_idle: Duration::from_secs(config.stream_idle_timeout_s),
        })
    }

    /// Closes connections that have been idle for too long; how long until there are more of them.
    pub(crate) fn expire(&self) -> Option<Duration> {
        self.pool.expire()
    }

    /// Sends `head` with `body` and waits for the answer's head.
    pub(crate) fn send(
        &self,
        target: &Target,
        head: &Head,
        body: Outgoing,
        watch: &Arc<Watch>,
    ) -> Result<Reply, Failure> {
        match body {
            Outgoing::Whole { bytes, meanwhile } => {
                self.send_whole((target, head), (bytes, meanwhile), watch)
            }
            Outgoing::Streamed { upload, framing } => {
                let mut parts = build(target, head)?;
                if let Framing::Length(length) = framing {
                    parts.headers_mut().insert("content-length", self::length(length));
                }
                // What the client sends is gone once it is sent: no connection that may be dead.
                begin(Attempt {
                    watch: Some(Arc::clone(watch)),
                    has_body: true,
                    must_be_fresh: true,
                    output_bytes: head_bytes(&parts),
                    ..Attempt::default()
                });
                let method = parts.method().clone();
                let mut none = Leftover;
                let sent = self.agent.run(parts.map(|()| SendBody::from_reader(&mut none)));
                let uploading = || Uploading::new(Arc::clone(upload), framing == Framing::Chunked);
                let left = (Some(uploading()), &[][..]);
                self.receive((sent.map(drop), left), &method, watch)
                    .map_err(|lost| failure(lost, watch))
            }
        }
    }

    /// One repeat, and only where nobody can have read the request: a connection from the pool that was
    /// dead under it, or one that could not be made.
    fn send_whole(
        &self,
        (target, head): (&Target, &Head),
        (bytes, meanwhile): (&[u8], &dyn Fn()),
        watch: &Arc<Watch>,
    ) -> Result<Reply, Failure> {
        let mut before = None;
        loop {
            // Made anew for the repeat, of which there is hardly ever one.
            let mut parts = build(target, head)?;
            if !bytes.is_empty() || expects_body(parts.method()) {
                parts.headers_mut().insert("content-length", length(bytes.len() as u64));
            }
            let method = parts.method().clone();
            begin(Attempt {
                watch: Some(Arc::clone(watch)),
                has_body: !bytes.is_empty(),
                must_be_fresh: before.is_some(),
                output_bytes: head_bytes(&parts).max(bytes.len().min(PIECE_BYTES)),
                ..Attempt::default()
            });
            let mut left = bytes;
            let sent = self.run(parts, &mut left);
            meanwhile();
            match (self.receive((sent, (None, left)), &method, watch), before.take()) {
                (Err(ReceiveError::Unread(error)), None) if !watch.is_gone() => {
                    before = Some(error)
                }
                // Nothing came back on the old connection, and there is no new one either.
                (Err(_), Some(first))
                    if has_vanished(&first) && !transport::attempt(|it| it.is_connected) =>
                {
                    return Err(failure(ReceiveError::Broken(first), watch));
                }
                (outcome, _) => return outcome.map_err(|lost| failure(lost, watch)),
            }
        }
    }

    /// `bytes` are then those that ureq has not taken.
    fn run(&self, request: Request<()>, bytes: &mut &[u8]) -> Result<(), ureq::Error> {
        if bytes.is_empty() && !expects_body(request.method()) {
            return self.agent.run(request).map(drop);
        }
        let body = SendBody::from_reader(bytes);
        if request.method() != Method::HEAD {
            return self.agent.run(request.map(|()| body)).map(drop);
        }
        // ureq sends such a body only if it is told twice.
        let mut builder = self.agent.head(request.uri()).force_send_body();
        if let Some(headers) = builder.headers_mut() {
            *headers = request.into_parts().0.headers;
        }
        builder.send(body).map(drop)
    }

    /// Reads the answer from the connection that ureq has sent the request on.
    fn receive(
        &self,
        (sent, (uploading, left)): (Result<(), ureq::Error>, Rest),
        method: &Method,
        watch: &Arc<Watch>,
    ) -> Result<Reply, ReceiveError> {
        let (connection, is_refused, leaves_body) = transport::attempt(|attempt| {
            (attempt.connection.take(), attempt.is_refused, attempt.leaves_body)
        });
        let (is_reused, is_connected) =
            transport::attempt(|attempt| (attempt.is_reused, attempt.is_connected));
        let Some(mut connection) = connection else {
            let error = sent.err().unwrap_or(ureq::Error::ConnectionFailed);
            let is_unread = !is_connected && has_died(&error);
            return Err(if is_unread {
                ReceiveError::Unread(error)
            } else {
                ReceiveError::Broken(error)
            });
        };
        connection.is_cut = is_refused;
        connection.upload = uploading.filter(|_| leaves_body);
        let reader = Reader {
            pool: &self.pool,
            watch,
            method: method.as_str(),
            first_byte: self.first_byte,
            stream_idle: self.stream_idle,
            left: if leaves_body { left } else { &[] },
            may_repeat: is_reused,
        };
        reader.read(connection)
    }
}

fn settings(config: &Config) -> Settings {
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .allow_non_standard_methods(true)
        // Empty: nothing is injected.
        .user_agent("")
        .accept("")
        .accept_encoding("")
        // Both are ours: see `connect`.
        .proxy(None)
        .max_idle_connections(0)
        .timeout_connect(Some(Duration::from_secs(config.connect_timeout_s)))
        .build()
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
    if target.url.contains('#') {
        // It would be cut off: fragments are not sent.
        return Err(Failure::Refused("the target has a fragment"));
    }
    let mut request = Request::new(());
    *request.uri_mut() = uri;
    *request.method_mut() = method;
    let named = Named::of(connection_tokens(head));
    for (name, value) in head.headers() {
        let is_narrowed = target.identity_only && name.eq_ignore_ascii_case(b"accept-encoding");
        if is_ours(name) || is_narrowed || named.has(name) || is_hop_by_hop(name) {
            continue;
        }
        let bad = Failure::Refused("a header is not valid");
        let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
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

/// A length as a header's value, in one allocation where the crate's own way takes three.
fn length(length: u64) -> HeaderValue {
    let mut digits = [0; 20];
    let mut room = &mut digits[..];
    let _ = write!(room, "{length}");
    let left = room.len();
    HeaderValue::from_bytes(&digits[..20 - left]).unwrap_or_else(|_| HeaderValue::from(length))
}

/// The words of the client's `Connection`.
fn connection_tokens(head: &Head) -> impl Iterator<Item = &[u8]> {
    let words = head.values("connection").flat_map(|value| value.split(|byte| *byte == b','));
    words.map(<[u8]>::trim_ascii)
}

/// Methods that are sent with `Content-Length: 0` when their body is empty.
fn expects_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

/// Room for a head with what ureq adds to it; no less, as a line must fit whole.
fn head_bytes(request: &Request<()>) -> usize {
    const ADDED: usize = 256;
    let lines = request.headers().iter();
    let lines: usize = lines.map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    let uri = request.uri();
    let target = uri.path_and_query().map_or(0, |target| target.as_str().len());
    // The host has a line of its own.
    let host = uri.authority().map_or(0, |host| host.as_str().len());
    request.method().as_str().len() + target + 2 * host + lines + ADDED
}

/// Whether a connection was ended by the other side.
fn has_died(error: &ureq::Error) -> bool {
    let ureq::Error::Io(error) = error else { return false };
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof
    )
}

/// Whether the kernel has given a path up on which nothing comes back.
fn has_vanished(error: &ureq::Error) -> bool {
    matches!(error, ureq::Error::Io(error) if transport::is_vanished(error.kind()))
}

/// What went wrong.
fn failure(lost: ReceiveError, watch: &Watch) -> Failure {
    use ureq::Error;
    if watch.is_gone() {
        return Failure::ClientGone;
    }
    let error = match lost {
        ReceiveError::Malformed(why) => {
            return Failure::BadAnswer(why.0);
        }
        ReceiveError::Unread(error) | ReceiveError::Broken(error) => error,
    };
    match error {
        Error::Timeout(Timeout::RecvResponse) => Failure::TimedOut,
        error
            if has_vanished(&error)
                && transport::attempt(|it| it.is_connected || it.must_be_fresh) =>
        {
            Failure::TimedOut
        }
        error => Failure::Unreachable(super::words(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_hop_are_found_in_any_spelling() {
        let words: [&[u8]; 5] = [b"close", b"X-One", b"", b"x-two", b"Keep-Alive"];
        let named = Named::of(words.into_iter());
        for (name, want) in [("x-one", true), ("X-TWO", true), ("x-three", false), ("close", false)]
        {
            assert_eq!(named.has(name.as_bytes()), want, "{name}");
        }
        assert!(!Named::of([&b"close"[..]].into_iter()).has(b"close"));
    }

    /// As many headers and words as a head has room for: the work must grow with their sum, not their product.
    #[test]
    fn hostile_connection_lists_are_read_once() {
        let words: Vec<String> = (0..25_000).map(|n| format!("x{n}")).collect();
        let mut named = None;
        let info = allocation_counter::measure(|| {
            named = Some(Named::of(words.iter().map(String::as_bytes)));
        });
        assert!(info.count_total < 25_100 && info.bytes_max < 2_000_000, "{info:?}");
        let named = named.unwrap();
        let info = allocation_counter::measure(|| {
            assert_eq!((0..2000).filter(|n| named.has(format!("y{n}").as_bytes())).count(), 0);
        });
        assert!(info.count_total <= 4_100, "{info:?}");
    }
}
