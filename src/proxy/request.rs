//! Bytes to a request head and body: a pure state machine with every framing rule and limit.
//!
//! No socket is known here, so feeding it byte by byte is a function call. The rules are stricter
//! than RFC 9112 allows: whatever two programs might frame differently is refused, since a body
//! taken for a second request is how requests are smuggled.

use std::fmt;

/// A head, all lines together: what a request with long cookies needs, twice over.
pub(crate) const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Header lines in a head.
pub(crate) const HEADERS_MAX: usize = 200;
/// The target in the request line.
const TARGET_BYTES_MAX: usize = 16 * 1024;
/// A chunk-size line, its extension included.
const CHUNK_LINE_BYTES_MAX: usize = 4 * 1024;

/// Why a request is not served; the connection is closed after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) why: &'static str,
}

const fn refuse<T>(status: u16, why: &'static str) -> Result<T, Refusal> {
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
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields.iter().map(|(name, value)| (self.text(*name), self.bytes(*value)))
    }

    /// The first value of a header; `name` in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&[u8]> {
        let named = |(key, _): &(&str, &[u8])| key.eq_ignore_ascii_case(name);
        self.headers().find(named).map(|(_, value)| value)
    }

    /// All values of a header; `name` in lower case.
    pub(crate) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let named = move |(key, _): &(&str, &[u8])| key.eq_ignore_ascii_case(name);
        self.headers().filter(named).map(|(_, value)| value)
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
        let blank = buffer.chunks(2).take_while(|pair| pair == b"\r\n").count() * 2;
        let Some(end) = self.end(buffer, blank)? else {
            return match buffer.len() - blank > HEAD_BYTES_MAX {
                true => refuse(431, "the request's head is too large"),
                false => Ok(None),
            };
        };
        match end - blank > HEAD_BYTES_MAX {
            true => refuse(431, "the request's head is too large"),
            false => Ok(Some((parse(&buffer[blank..end])?, end))),
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
    if !(target.starts_with('/') || target.contains("://") || target == "*" || method == "CONNECT")
    {
        return refuse(400, "the request's target is malformed");
    }
    if target.len() > TARGET_BYTES_MAX {
        return refuse(414, "the request's target is too long");
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

/// A version that is one, but not ours, is 505; anything else in its place is 400.
fn version_refusal<T>(bytes: &[u8]) -> Result<T, Refusal> {
    let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let last = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    match last.strip_prefix(b"HTTP/") {
        Some([major, b'.', minor]) if major.is_ascii_digit() && minor.is_ascii_digit() => {
            refuse(505, "only HTTP/1.0 and HTTP/1.1 are spoken here")
        }
        _ => refuse(400, "the request line is malformed"),
    }
}

fn check_host(head: &Head) -> Result<(), Refusal> {
    match head.values("host").count() {
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
    if head.is_http10 { says(b"keep-alive") } else { !says(b"close") }
}

fn expects_continue(head: &Head) -> Result<bool, Refusal> {
    match head.header("expect") {
        None => Ok(false),
        Some(value) if value.eq_ignore_ascii_case(b"100-continue") => Ok(!head.is_http10),
        Some(_) => refuse(417, "this expectation cannot be met"),
    }
}

/// A body being read: takes bytes off the connection and gives the body's own bytes.
pub(crate) struct BodyReader {
    state: Body,
    /// A chunk-size or trailer line that is still incomplete.
    line: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    Data { left: u64, is_chunk: bool },
    ChunkSize,
    ChunkEnd,
    Trailers { bytes: usize },
    Done,
}

impl BodyReader {
    pub(crate) fn new(framing: Framing) -> BodyReader {
        let state = match framing {
            Framing::Length(0) => Body::Done,
            Framing::Length(left) => Body::Data { left, is_chunk: false },
            Framing::Chunked => Body::ChunkSize,
        };
        BodyReader { state, line: Vec::new() }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.state == Body::Done
    }

    /// Bytes that are the body's own if they come next; 0 between chunks.
    pub(crate) fn plain(&self) -> u64 {
        match self.state {
            Body::Data { left, .. } => left,
            _ => 0,
        }
    }

    /// Notes that `count` bytes of `plain` were taken without `feed`.
    pub(crate) fn took(&mut self, count: u64) {
        if let Body::Data { left, is_chunk } = self.state {
            self.state = match left - count {
                0 if is_chunk => Body::ChunkEnd,
                0 => Body::Done,
                left => Body::Data { left, is_chunk },
            };
        }
    }

    /// Takes what belongs to the body from `input`, appends the body's bytes to `out`, and says
    /// how many bytes of `input` were taken.
    pub(crate) fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, Refusal> {
        let mut at = 0;
        while at < input.len() && !self.is_done() {
            at += match self.state {
                Body::Data { left, .. } => {
                    let count = left.min((input.len() - at) as u64) as usize;
                    out.extend_from_slice(&input[at..at + count]);
                    self.took(count as u64);
                    count
                }
                _ => self.feed_line(&input[at..])?,
            };
        }
        Ok(at)
    }

    /// Takes bytes up to the end of a line between chunks, and acts on the line.
    fn feed_line(&mut self, input: &[u8]) -> Result<usize, Refusal> {
        let end = memchr::memchr(b'\n', input).map(|at| at + 1);
        let count = end.unwrap_or(input.len());
        self.line.extend_from_slice(&input[..count]);
        if self.line.len() > CHUNK_LINE_BYTES_MAX {
            return refuse(400, "a line between chunks is too long");
        }
        if end.is_none() {
            return Ok(count);
        }
        let line = std::mem::take(&mut self.line);
        let Some(line) = line.strip_suffix(b"\r\n").filter(|line| !line.contains(&b'\r')) else {
            return refuse(400, "a line between chunks does not end in CRLF");
        };
        self.state = match self.state {
            Body::ChunkSize => match chunk_size(line)? {
                0 => Body::Trailers { bytes: 0 },
                left => Body::Data { left, is_chunk: true },
            },
            Body::ChunkEnd if line.is_empty() => Body::ChunkSize,
            Body::Trailers { .. } if line.is_empty() => Body::Done,
            Body::Trailers { bytes } if bytes + line.len() < HEAD_BYTES_MAX => {
                Body::Trailers { bytes: bytes + line.len() }
            }
            _ => return refuse(400, "the body's chunks are malformed"),
        };
        Ok(count)
    }
}

/// The size before an extension: 1 to 15 hexadecimal digits, so that no sum overflows.
fn chunk_size(line: &[u8]) -> Result<u64, Refusal> {
    let size = line.split(|byte| *byte == b';').next().unwrap_or_default();
    // White space before an extension is allowed, and nowhere else.
    let size = if size.len() < line.len() { size.trim_ascii_end() } else { size };
    let valid = matches!(size.len(), 1..=15) && size.iter().all(u8::is_ascii_hexdigit);
    let number = std::str::from_utf8(size).ok().filter(|_| valid);
    match number.and_then(|number| u64::from_str_radix(number, 16).ok()) {
        Some(size) => Ok(size),
        None => refuse(400, "a chunk's size is not a number"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The head and body of `text`, or the refusal's status.
    fn whole(text: &[u8]) -> Result<Option<(Head, Vec<u8>)>, u16> {
        let Some((head, length)) = HeadReader::default().read(text).map_err(|r| r.status)? else {
            return Ok(None);
        };
        let (mut body, mut reader) = (Vec::new(), BodyReader::new(head.framing));
        reader.feed(&text[length..], &mut body).map_err(|r| r.status)?;
        Ok(reader.is_done().then_some((head, body)))
    }

    #[test]
    fn framing_that_two_programs_could_read_differently_is_refused() {
        for (text, want) in [
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", Ok("hi")),
            (
                "POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: Chunked\r\n\r\n2;x=y\r\nhi\r\n0\r\nt: 1\r\n\r\n",
                Ok("hi"),
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\nhi",
                Err(400),
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
                Err(400),
            ),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +2\r\n\r\nhi", Err(400)),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2, 2\r\n\r\nhi", Err(400)),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n",
                Err(400),
            ),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", Err(400)),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", Err(400)),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n+2\r\nhi\r\n0\r\n\r\n",
                Err(400),
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\nhi\r\n0\r\n\r\n",
                Err(400),
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
                Err(400),
            ),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhix0\r\n\r\n",
                Err(400),
            ),
            ("GET / HTTP/1.1\r\n\r\n", Err(400)),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Err(400)),
            ("GET / HTTP/1.0\r\n\r\n", Ok("")),
            ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", Err(505)),
            ("GET / HTTX/1.1\r\nHost: a\r\n\r\n", Err(400)),
            ("GET / HTTP/1.1\nHost: a\n\n", Err(400)),
            ("GET / HTTP/1.1\r\nHost: a\r\nx: a\rb\r\n\r\n", Err(400)),
            ("GET / HTTP/1.1\r\nHost: a\r\nx: a\r\n b\r\n\r\n", Err(400)),
            ("GET / HTTP/1.1\r\nHost: a\r\nx : a\r\n\r\n", Err(400)),
            ("GET / HTTP/1.1\r\nHost: a\r\n: a\r\n\r\n", Err(400)),
            ("GET / HTTP/1.1\r\nHost: a\r\nx: a\0b\r\n\r\n", Err(400)),
            ("GET / HTTP/1.1\r\nHost: a\r\nExpect: magic\r\n\r\n", Err(417)),
            ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Ok("")),
        ] {
            let got = whole(text.as_bytes()).map(|done| done.map(|(_, body)| body));
            assert_eq!(got, want.map(|body| Some(body.as_bytes().to_vec())), "{text:?}");
        }
    }

    #[test]
    fn any_split_gives_the_same_request() {
        let text =
            b"POST /a?b HTTP/1.1\r\nHost: a\r\nX: \xe9\r\nTransfer-Encoding: chunked\r\n\r\n\
                     3\r\nabc\r\n0a;e\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n";
        for split in 0..text.len() {
            let (mut reader, mut buffer) = (HeadReader::default(), Vec::new());
            let (mut body, mut head) = (Vec::new(), None);
            for part in [&text[..split], &text[split..]] {
                buffer.extend_from_slice(part);
                if head.is_none() {
                    let Some((found, length)) = reader.read(&buffer).unwrap() else { continue };
                    buffer.drain(..length);
                    head = Some((BodyReader::new(found.framing), found));
                }
                let (reader, _) = head.as_mut().unwrap();
                let taken = reader.feed(&buffer, &mut body).unwrap();
                buffer.drain(..taken);
            }
            let (reader, head) = head.unwrap();
            assert!(reader.is_done() && buffer.is_empty(), "split at {split}");
            assert_eq!(body, b"abc0123456789");
            assert_eq!(head.header("x"), Some(&b"\xe9"[..]));
            assert_eq!(head.target(), "/a?b");
        }
    }

    #[test]
    fn heads_have_limits() {
        let long =
            format!("GET / HTTP/1.1\r\nHost: a\r\nx: {}\r\n\r\n", "a".repeat(HEAD_BYTES_MAX));
        assert_eq!(whole(long.as_bytes()).unwrap_err(), 431);
        let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "x: a\r\n".repeat(HEADERS_MAX));
        assert_eq!(whole(many.as_bytes()).unwrap_err(), 431);
        let target = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(TARGET_BYTES_MAX));
        assert_eq!(whole(target.as_bytes()).unwrap_err(), 414);
    }
}
