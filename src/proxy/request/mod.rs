//! Bytes to a request head: a pure state machine with every rule and limit; `body` is its other half.
//!
//! No socket is known here, so feeding it byte by byte is a function call. The rules are stricter
//! than RFC 9112 allows: whatever two programs might frame differently is refused, since a body
//! taken for a second request is how requests are smuggled.

pub(super) mod body;

use std::fmt;

use crate::route::CREDENTIAL_HEADERS;

/// A head, all lines together: what a request with long cookies needs, twice over.
pub(crate) const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Header lines in a head.
pub(crate) const HEADERS_MAX: usize = 200;
/// The target in the request line.
const TARGET_BYTES_MAX: usize = 16 * 1024;
/// Empty lines before a request line; one is what old clients send behind a body.
const BLANK_LINES_MAX: usize = 8;

/// Why a request is not served; the connection is closed after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) why: &'static str,
}

pub(crate) const fn refuse<T>(status: u16, why: &'static str) -> Result<T, Refusal> {
    Err(Refusal { status, why })
}

/// How the body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
}

type Span = (u32, u32);

/// A request's head, kept as the client's bytes with the places of its parts.
#[derive(Clone)]
pub(crate) struct Head {
    raw: Vec<u8>,
    method: Span,
    target: Span,
    fields: Vec<(Span, Span)>,
    pub(crate) framing: Framing,
    /// HTTP/1.0: answered in kind, never chunked.
    pub(crate) is_http10: bool,
    /// Whether the connection may serve another request.
    pub(crate) keep_alive: bool,
    /// The client waits for `100 Continue` before it sends the body.
    pub(crate) expects_continue: bool,
}

impl Head {
    pub(crate) fn method(&self) -> &str {
        self.text(self.method)
    }

    /// Byte for byte as the client sent it.
    pub(crate) fn target(&self) -> &str {
        self.text(self.target)
    }

    /// All headers in order, repeats included; values may hold any byte but CR, LF and NUL.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        self.fields.iter().map(|(name, value)| (self.bytes(*name), self.bytes(*value)))
    }

    /// The first value of a header; `name` in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&[u8]> {
        self.named(name).next()
    }

    /// All values of a header; `name` in lower case.
    pub(crate) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.named(name)
    }

    /// The values of all headers that say whose a request is, to be told apart and never kept.
    pub(crate) fn credentials(&self) -> impl Iterator<Item = &[u8]> {
        CREDENTIAL_HEADERS.iter().flat_map(|name| self.named(name))
    }

    /// Names are compared as bytes: whether they are text was seen once, and is not asked again.
    fn named<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let name = name.as_bytes();
        // Nearly all others differ in length.
        let is_it = move |((start, end), _): &&(Span, Span)| {
            (end - start) as usize == name.len()
                && self.bytes((*start, *end)).eq_ignore_ascii_case(name)
        };
        self.fields.iter().filter(is_it).map(|(_, value)| self.bytes(*value))
    }

    /// Leaves out the first `count` bytes of the target: a prefix that was meant for us.
    pub(crate) fn cut_target(&mut self, count: usize) {
        self.target.0 = self.target.1.min(self.target.0 + count as u32);
    }

    /// Drops every header that `is_ours` claims.
    pub(crate) fn drop_headers(&mut self, is_ours: impl Fn(&str, &[u8]) -> bool) {
        let mut fields = std::mem::take(&mut self.fields);
        fields.retain(|(name, value)| !is_ours(self.text(*name), self.bytes(*value)));
        self.fields = fields;
    }

    fn bytes(&self, (start, end): Span) -> &[u8] {
        &self.raw[start as usize..end as usize]
    }

    fn text(&self, span: Span) -> &str {
        // Method, target and names were read as str from these same bytes.
        std::str::from_utf8(self.bytes(span)).unwrap_or_default()
    }
}

impl fmt::Debug for Head {
    /// Without targets and values: they hold keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with {} headers", self.method(), self.fields.len())
    }
}

/// Finds the end of a head in a growing buffer without looking at a byte twice.
#[derive(Default)]
pub(crate) struct HeadReader {
    seen: usize,
}

impl HeadReader {
    /// The head at the start of `buffer` and its length, or `None` while it is incomplete.
    pub(crate) fn read(&mut self, buffer: &[u8]) -> Result<Option<(Head, usize)>, Refusal> {
        // Empty lines before a request are tolerated (RFC 9112 2.2).
        let pairs = buffer.chunks(2).take(BLANK_LINES_MAX + 1);
        let blank = pairs.take_while(|pair| pair == b"\r\n").count() * 2;
        if blank > BLANK_LINES_MAX * 2 {
            return refuse(400, "too many empty lines before a request");
        }
        // Nothing beyond the limit is looked at, so that it does not matter how much has come.
        let window = &buffer[..buffer.len().min(blank + HEAD_BYTES_MAX)];
        match self.end(window, blank)? {
            Some(end) => Ok(Some((parse(&buffer[blank..end])?, end))),
            None if buffer.len() == window.len() => Ok(None),
            None if memchr::memchr(b'\n', &window[blank..])
                .is_none_or(|at| at > TARGET_BYTES_MAX) =>
            {
                refuse(414, "the request's target is too long")
            }
            None => refuse(431, "the request's head is too large"),
        }
    }

    /// Every line must end in CRLF: a bare CR or LF is framed differently by different programs.
    fn end(&mut self, buffer: &[u8], blank: usize) -> Result<Option<usize>, Refusal> {
        let from = self.seen.max(blank);
        for at in memchr::memchr2_iter(b'\n', b'\r', &buffer[from..]).map(|at| at + from) {
            match buffer[at] {
                b'\r' if buffer.get(at + 1).is_some_and(|next| *next != b'\n') => {
                    return refuse(400, "a bare CR in the request's head");
                }
                b'\n' if at == 0 || buffer[at - 1] != b'\r' => {
                    return refuse(400, "a bare LF in the request's head");
                }
                b'\n' if at >= blank + 3 && buffer[at - 3..at] == *b"\r\n\r" => {
                    return Ok(Some(at + 1));
                }
                _ => {}
            }
        }
        // The last byte may be a CR whose LF has not come yet.
        self.seen = buffer.len().saturating_sub(1);
        Ok(None)
    }
}

fn parse(bytes: &[u8]) -> Result<Head, Refusal> {
    let mut fields = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
        Err(httparse::Error::TooManyHeaders) => return refuse(431, "too many headers"),
        Err(httparse::Error::Version) => return version_refusal(bytes),
        Ok(_) | Err(_) => return refuse(400, "the request's head is malformed"),
    }
    let (Some(method), Some(target)) = (request.method, request.path) else {
        return refuse(400, "the request line is incomplete");
    };
    if target.len() > TARGET_BYTES_MAX {
        return refuse(414, "the request's target is too long");
    }
    if !is_target(method, target) {
        return refuse(400, "the request's target is malformed");
    }
    let span = |part: &[u8]| {
        // Both point into `bytes`, and a head is far below 4 GiB.
        let start = part.as_ptr() as usize - bytes.as_ptr() as usize;
        (start as u32, (start + part.len()) as u32)
    };
    let mut head = Head {
        method: span(method.as_bytes()),
        target: span(target.as_bytes()),
        fields: request.headers.iter().map(|f| (span(f.name.as_bytes()), span(f.value))).collect(),
        is_http10: request.version == Some(0),
        framing: Framing::Length(0),
        keep_alive: false,
        expects_continue: false,
        raw: bytes.to_vec(),
    };
    check_host(&head)?;
    head.framing = framing(&head)?;
    head.keep_alive = keep_alive(&head);
    head.expects_continue = expects_continue(&head)?;
    Ok(head)
}

/// A path, an absolute URI with a host, or the form that belongs to the method (RFC 9112 3.2).
/// A fragment is never sent, and would be lost on the way up.
fn is_target(method: &str, target: &str) -> bool {
    let absolute = || {
        let (scheme, rest) = target.split_once("://")?;
        let is_http = ["http", "https"].into_iter().any(|name| name.eq_ignore_ascii_case(scheme));
        Some(is_http && !rest.is_empty() && !rest.starts_with(['/', '?']))
    };
    match method {
        "CONNECT" => true,
        "OPTIONS" if target == "*" => true,
        _ if target.contains('#') => false,
        _ => target.starts_with('/') || absolute().unwrap_or(false),
    }
}

/// A version that is one, but not ours, is 505; anything else in its place is 400.
fn version_refusal<T>(bytes: &[u8]) -> Result<T, Refusal> {
    let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let version = words.last().and_then(|word| word.strip_prefix(b"HTTP/"));
    match version {
        Some([major, b'.', minor])
            if words.len() == 3 && major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            refuse(505, "only HTTP/1.0 and HTTP/1.1 are spoken here")
        }
        _ => refuse(400, "the request line is malformed"),
    }
}

fn check_host(head: &Head) -> Result<(), Refusal> {
    let is_odd = |host: &[u8]| host.iter().any(|byte| *byte <= b' ' || *byte == 0x7f);
    match head.values("host").count() {
        // What has a blank in it is no name, of ours or of others (RFC 9110 7.2).
        1 if head.values("host").any(is_odd) => refuse(400, "the Host header is malformed"),
        1 => Ok(()),
        0 if head.is_http10 => Ok(()),
        _ => refuse(400, "HTTP/1.1 needs exactly one Host header"),
    }
}

/// Exactly one valid length, or exactly `chunked`, or no body.
fn framing(head: &Head) -> Result<Framing, Refusal> {
    let mut encodings = head.values("transfer-encoding");
    let mut lengths = head.values("content-length");
    match (encodings.next(), encodings.next(), lengths.next(), lengths.next()) {
        (None, None, None, None) => Ok(Framing::Length(0)),
        (None, None, Some(length), None) => match length_of(length) {
            Some(length) => Ok(Framing::Length(length)),
            None => refuse(400, "Content-Length is not a number"),
        },
        (Some(coding), None, None, None)
            if coding.eq_ignore_ascii_case(b"chunked") && !head.is_http10 =>
        {
            Ok(Framing::Chunked)
        }
        _ => refuse(400, "the body's length is ambiguous"),
    }
}

/// Digits only: `+5`, `5, 5` and the empty value are nothing that two programs agree on.
fn length_of(value: &[u8]) -> Option<u64> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    digits.then(|| std::str::from_utf8(value).ok()?.parse().ok()).flatten()
}

fn keep_alive(head: &Head) -> bool {
    let says = |token: &[u8]| {
        let mut tokens = head.values("connection").flat_map(|value| value.split(|b| *b == b','));
        tokens.any(|item| item.trim_ascii().eq_ignore_ascii_case(token))
    };
    !says(b"close") && (!head.is_http10 || says(b"keep-alive"))
}

/// HTTP/1.0 knows no interim answers, and without a body there is nothing to invite.
fn expects_continue(head: &Head) -> Result<bool, Refusal> {
    let mut expected = head.values("expect").peekable();
    let is_expected = expected.peek().is_some();
    match expected.all(|value| value.eq_ignore_ascii_case(b"100-continue")) {
        true => Ok(is_expected && !head.is_http10 && head.framing != Framing::Length(0)),
        false => refuse(417, "this expectation cannot be met"),
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
