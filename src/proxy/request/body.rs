//! Bytes to a request's body: the other half of the reader, as pure as `request`.
//!
//! Chunks are taken apart here. Extensions are ignored and trailers dropped, but both must be well
//! formed: what ends where must be beyond doubt.

use super::{Framing, HEAD_BYTES_MAX, Refusal, refuse};

/// The answer to a body that is larger than its kind may be.
pub(crate) const TOO_LARGE: Refusal =
    Refusal { status: 413, why: "the body is too large; see proxy.max_body_mb" };

/// A chunk-size line, its extension included.
const CHUNK_LINE_BYTES_MAX: usize = 4 * 1024;

/// A body being read: takes bytes off the connection and gives the body's own bytes.
pub(crate) struct BodyReader {
    state: Body,
    /// A chunk-size or trailer line that is still incomplete.
    line: Vec<u8>,
    /// What the body may still grow by, in bytes.
    room: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    Data { left: u64, is_chunk: bool },
    ChunkSize,
    ChunkEnd,
    Trailers { bytes: usize },
    Finished,
}

impl BodyReader {
    /// A body of at most `max` bytes.
    pub(crate) fn new(framing: Framing, max: u64) -> BodyReader {
        let state = match framing {
            Framing::Length(0) => Body::Finished,
            Framing::Length(left) => Body::Data { left, is_chunk: false },
            Framing::Chunked => Body::ChunkSize,
        };
        BodyReader { state, line: Vec::new(), room: max }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.state == Body::Finished
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
                0 => Body::Finished,
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
        if self.line.len() > CHUNK_LINE_BYTES_MAX || !self.is_promising() {
            return refuse(400, "a line between chunks is malformed");
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
                left if left > self.room => return Err(TOO_LARGE),
                left => {
                    self.room -= left;
                    Body::Data { left, is_chunk: true }
                }
            },
            Body::ChunkEnd if line.is_empty() => Body::ChunkSize,
            Body::Trailers { .. } if line.is_empty() => Body::Finished,
            Body::Trailers { bytes } if bytes + line.len() < HEAD_BYTES_MAX && is_field(line) => {
                Body::Trailers { bytes: bytes + line.len() }
            }
            _ => return refuse(400, "the body's chunks are malformed"),
        };
        Ok(count)
    }

    /// Whether the incomplete line can still become what is due, so that nobody is waited for in vain.
    fn is_promising(&self) -> bool {
        match self.state {
            Body::ChunkEnd => b"\r\n".starts_with(&self.line),
            Body::ChunkSize => self.line.first().is_some_and(u8::is_ascii_hexdigit),
            _ => true,
        }
    }
}

/// Whether a trailer has the shape of a header.
fn is_field(line: &[u8]) -> bool {
    let end = memchr::memchr(b':', line).unwrap_or(0);
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    end > 0 && line[..end].iter().all(is_name) && is_text(&line[end..])
}

fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == b'\t' || !byte.is_ascii_control())
}

/// The size before an extension: after leading zeros at most 15 hexadecimal digits, so that no sum
/// overflows.
fn chunk_size(line: &[u8]) -> Result<u64, Refusal> {
    let size = line.split(|byte| *byte == b';').next().unwrap_or_default();
    let extension = &line[size.len()..];
    // White space before an extension is allowed, and nowhere else.
    let size = if extension.is_empty() { size } else { size.trim_ascii_end() };
    let is_number = !size.is_empty() && size.iter().all(u8::is_ascii_hexdigit);
    let digits = std::str::from_utf8(size).unwrap_or_default().trim_start_matches('0');
    match u64::from_str_radix(if digits.is_empty() { "0" } else { digits }, 16) {
        Ok(number) if is_number && digits.len() <= 15 && is_text(extension) => Ok(number),
        _ => refuse(400, "a chunk's size is not a number"),
    }
}
