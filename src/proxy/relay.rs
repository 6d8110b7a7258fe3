//! Copies an answer to the client as it comes.
//!
//! We write the HTTP head and pieces ourselves: tiny_http's `respond` holds a body of unknown
//! length back until its buffer fills, which turns a token stream into one lump. One read from
//! upstream becomes one write to the client, at any split.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use ureq::http::HeaderMap;
use ureq::http::response::Parts;

use super::forward::is_hop_by_hop;
use super::request::Head;
use super::transport::Watch;
use crate::wire::answer::{Reading, Tap};

/// Bytes of an answer that are read at once; a chunk's size fits into four hexadecimal digits.
const PIECE_BYTES: usize = 32 * 1024;
/// `7fff` and CRLF before a chunk; leading zeros are allowed (RFC 9112 7.1).
const CHUNK_HEAD_BYTES: usize = 6;

/// A worker's buffer, kept from one answer to the next.
pub(crate) struct Buffer(Box<[u8]>);

impl Buffer {
    pub(crate) fn new() -> Buffer {
        Buffer(vec![0; CHUNK_HEAD_BYTES + PIECE_BYTES + 2].into_boxed_slice())
    }
}

/// How the answer's end is marked for the client.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    None,
    Length,
    Chunks,
    Close,
}

/// What became of an answer.
pub(crate) struct Relayed {
    /// `client_gone`, `cut` or `cut?`.
    pub(crate) error: Option<&'static str>,
    /// What the tap has read.
    pub(crate) reading: Option<Reading>,
    /// Whether the client's connection can serve another request.
    pub(crate) keep_alive: bool,
}

/// One answer on its way: from whom, to whom, with what.
pub(crate) struct Relay<'a> {
    pub(crate) answer: &'a Parts,
    pub(crate) request: &'a Head,
    pub(crate) client: &'a TcpStream,
    pub(crate) watch: &'a Watch,
    /// Our own headers: `x-tokenpak-...`.
    pub(crate) ours: &'a [(&'static str, String)],
    /// Whether the connection must end after this answer.
    pub(crate) must_close: bool,
}

impl Relay<'_> {
    /// Copies the head and all of `body`.
    pub(crate) fn copy(
        &self,
        body: &mut dyn Read,
        buffer: &mut Buffer,
        mut tap: Option<Tap>,
    ) -> Relayed {
        let end = self.end();
        let keep_alive = self.request.keep_alive && end != End::Close && !self.must_close;
        let mut head = self.head(end, keep_alive);
        // With a known length the first piece is at hand, and shares the head's write; a stream's
        // head leaves at once.
        if end != End::Length && self.write(&[&head]).is_ok() {
            head.clear();
        }
        let copied = match end {
            End::None => self.write(&[&head]).map_err(|_| Fault::Client),
            _ => self.pieces(body, buffer, (&mut head, end), &mut tap),
        };
        let reading = tap.map(Tap::finish);
        let error = self.judge(copied, end, reading.as_ref());
        // The end is marked only when it is known to be one.
        let is_whole = matches!(error, None | Some("cut?"));
        let is_ended = is_whole && (end != End::Chunks || self.write(&[b"0\r\n\r\n"]).is_ok());
        Relayed { keep_alive: keep_alive && is_ended, error, reading }
    }

    fn pieces(
        &self,
        body: &mut dyn Read,
        buffer: &mut Buffer,
        (head, end): (&mut Vec<u8>, End),
        tap: &mut Option<Tap>,
    ) -> Result<(), Fault> {
        let out = &mut buffer.0;
        loop {
            let piece = CHUNK_HEAD_BYTES..CHUNK_HEAD_BYTES + PIECE_BYTES;
            let count = match body.read(&mut out[piece]) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return Err(Fault::Upstream),
            };
            let data = CHUNK_HEAD_BYTES..CHUNK_HEAD_BYTES + count;
            if let Some(tap) = tap {
                tap.feed(&out[data.clone()]);
            }
            let bytes = match (end, count) {
                (_, 0) => &[][..],
                (End::Chunks, _) => frame(out, count),
                _ => &out[data],
            };
            self.write(&[head, bytes]).map_err(|_| Fault::Client)?;
            head.clear();
            if count == 0 {
                return Ok(());
            }
        }
    }

    /// What the end of the copying means. An answer that may be cut is never ended cleanly.
    fn judge(
        &self,
        copied: Result<(), Fault>,
        end: End,
        reading: Option<&Reading>,
    ) -> Option<&'static str> {
        let has_ended = reading.is_some_and(|reading| reading.ended);
        match copied {
            Err(Fault::Client) if has_ended => None,
            Err(Fault::Client) => Some("client_gone"),
            Err(Fault::Upstream) if self.watch.is_gone() && has_ended => None,
            Err(Fault::Upstream) if self.watch.is_gone() => Some("client_gone"),
            Err(Fault::Upstream) => Some("cut"),
            // Where upstream marks the end by closing, only the content can tell.
            Ok(()) if end != End::None && is_close_delimited(&self.answer.headers) => match reading
            {
                Some(reading) if !reading.ended && reading.inside => Some("cut"),
                Some(reading) if !reading.ended => Some("cut?"),
                _ => None,
            },
            Ok(()) => None,
        }
    }

    fn end(&self) -> End {
        let status = self.answer.status.as_u16();
        if self.request.method() == "HEAD" || matches!(status, 204 | 304) {
            End::None
        } else if self.answer.headers.contains_key("content-length") {
            End::Length
        } else if self.request.is_http10 {
            End::Close
        } else {
            End::Chunks
        }
    }

    fn head(&self, end: End, keep_alive: bool) -> Vec<u8> {
        let status = self.answer.status;
        let mut out = Vec::with_capacity(1024);
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(status.as_str().as_bytes());
        out.push(b' ');
        out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
        out.extend_from_slice(b"\r\n");
        let named = connection_tokens(&self.answer.headers);
        for (name, value) in &self.answer.headers {
            let is_length = name == "content-length";
            let is_hop = is_hop_by_hop(name.as_str()) && !is_length;
            if !is_hop && !named.iter().any(|token| token.eq_ignore_ascii_case(name.as_str())) {
                line(&mut out, name.as_str(), value.as_bytes());
            }
        }
        for (name, value) in self.ours {
            line(&mut out, name, value.as_bytes());
        }
        if end == End::Chunks {
            line(&mut out, "transfer-encoding", b"chunked");
        }
        if !keep_alive {
            line(&mut out, "connection", b"close");
        } else if self.request.is_http10 {
            line(&mut out, "connection", b"keep-alive");
        }
        out.extend_from_slice(b"\r\n");
        out
    }

    fn write(&self, parts: &[&[u8]]) -> io::Result<()> {
        match parts {
            [head, bytes] if !head.is_empty() && !bytes.is_empty() => {
                let mut slices = [io::IoSlice::new(head), io::IoSlice::new(bytes)];
                super::transport::write_all_vectored(self.client, &mut slices)
            }
            _ => {
                let mut client = self.client;
                parts.iter().filter(|p| !p.is_empty()).try_for_each(|part| client.write_all(part))
            }
        }
    }
}

enum Fault {
    Client,
    Upstream,
}

/// Puts a chunk's head and end around the piece in the buffer.
fn frame(out: &mut [u8], count: usize) -> &[u8] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (at, shift) in [12, 8, 4, 0].into_iter().enumerate() {
        out[at] = DIGITS[(count >> shift) & 15];
    }
    out[4..CHUNK_HEAD_BYTES].copy_from_slice(b"\r\n");
    let end = CHUNK_HEAD_BYTES + count;
    out[end..end + 2].copy_from_slice(b"\r\n");
    &out[..end + 2]
}

fn line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn connection_tokens(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all("connection").iter();
    let tokens = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    tokens.map(|token| String::from_utf8_lossy(token.trim_ascii()).into_owned()).collect()
}

fn is_close_delimited(headers: &HeaderMap) -> bool {
    !headers.contains_key("content-length") && !headers.contains_key("transfer-encoding")
}
