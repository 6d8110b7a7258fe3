//! Copies an answer to the client as it comes.
//!
//! We write the HTTP head and pieces ourselves: tiny_http's `respond` holds a body of unknown
//! length back until its buffer fills, which turns a token stream into one lump. One read from
//! upstream becomes one write to the client, at any split.

use std::io::{self, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::net::{SendAncillaryBuffer, SendFlags};

use super::WRITE_WAITS_MAX;
use super::buffer_pool;
use super::chunk::{CHUNK_HEAD_BYTES, frame};
use super::request::Head;
use super::upstream::{
    Framing, Named, PIECE_BYTES_MAX, ReplyHead, Source, first_piece, is_hop_by_hop, is_late,
    is_ours, next_piece,
};
use super::watch::Watch;
use crate::footer;
use crate::footer::response_filter::{HOLD_TIME_MAX, ResponseFilter};
use crate::wire::answer::Reading;

const _: () = assert!(PIECE_BYTES_MAX < 1 << 16, "its size has four digits");

/// A socket does not wait for less.
const WAIT_MIN: Duration = Duration::from_millis(1);

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
    /// `client_gone`, `shutdown`, `cut` or `cut?`.
    pub(crate) error: Option<&'static str>,
    /// What was read in passing.
    pub(crate) reading: Option<Reading>,
    /// What became of the footer, if there was to be one.
    pub(crate) footer: Option<footer::Outcome>,
    /// Whether the client's connection can serve another request.
    pub(crate) keep_alive: bool,
    /// A plain close would look like the end of the answer, which has not come.
    pub(crate) must_abort: bool,
}

impl Relayed {
    /// Nobody knows how much of it has been copied.
    pub(crate) fn broken() -> Relayed {
        let (reading, footer) = (None, None);
        Relayed { error: Some("cut"), reading, footer, keep_alive: false, must_abort: true }
    }
}

/// An answer's body on its way.
pub(crate) enum Body<'a> {
    Comes(Box<dyn Source + 'a>),
    /// All of it is here.
    Whole(Vec<u8>),
}

/// One answer on its way: from whom, to whom, with what.
pub(crate) struct Relay<'a> {
    pub(crate) answer: &'a ReplyHead,
    pub(crate) framing: Framing,
    pub(crate) request: &'a Head,
    pub(crate) client: &'a TcpStream,
    pub(crate) watch: &'a Watch,
    /// Adds our own header lines: `x-tokenpak-...`.
    pub(crate) ours: &'a dyn Fn(&mut Vec<u8>),
    /// The first bytes of the body have come.
    pub(crate) is_ready: bool,
    /// Whether the connection must end after this answer.
    pub(crate) must_close: bool,
}

impl Relay<'_> {
    /// Copies the head and all of `body`.
    pub(crate) fn copy(&self, body: Body, mut filter: ResponseFilter) -> Relayed {
        let end = self.end();
        let keep_alive = self.request.keep_alive && end != End::Close && !self.must_close;
        let mut head = self.head(end, keep_alive);
        // A first piece that is at hand shares the head's write; else the head leaves at once.
        let is_here = matches!(body, Body::Whole(_)) || self.is_ready && end == End::Length;
        let waits = end == End::None || is_here;
        if !waits && self.write(&[&head]).is_ok() {
            head.clear();
        }
        let copied = match body {
            _ if end == End::None => {
                self.write(&[&head]).map(|()| false).map_err(|_| Fault::Client)
            }
            Body::Whole(bytes) => self.whole(&bytes, (&mut head, end)),
            Body::Comes(mut body) => self.pieces(&mut *body, (&mut head, end), &mut filter),
        };
        buffer_pool::keep(head);
        let (reading, footer) = filter.finish();
        let error = self
            .judge(copied.map(|any| any && is_judged(self.answer, self.framing)), reading.as_ref());
        // The end is marked only when it is known to be one.
        let is_whole = matches!(error, None | Some("cut?"));
        let is_ended = is_whole && (end != End::Chunks || self.write(&[b"0\r\n\r\n"]).is_ok());
        let must_abort = end == End::Close && !is_whole;
        let keep_alive = keep_alive && is_ended;
        Relayed { keep_alive, error, reading, footer, must_abort }
    }

    /// Head and body in one write; whether there is a body.
    fn whole(&self, bytes: &[u8], (head, end): (&mut Vec<u8>, End)) -> Result<bool, Fault> {
        let mut behind: &[u8] = b"";
        if end == End::Chunks && !bytes.is_empty() {
            let _ = write!(head, "{:x}\r\n", bytes.len());
            behind = b"\r\n";
        }
        self.write(&[head, bytes, behind]).map_err(|_| Fault::Client)?;
        Ok(!bytes.is_empty())
    }

    /// One write for each piece; whether there were any.
    fn pieces(
        &self,
        body: &mut dyn Source,
        (head, end): (&mut Vec<u8>, End),
        filter: &mut ResponseFilter,
    ) -> Result<bool, Fault> {
        let mut any = false;
        let room = |bytes| buffer_pool::take(CHUNK_HEAD_BYTES + bytes + 2);
        if end == End::Chunks {
            // It may be a stream, which lasts.
            buffer_pool::clear();
            if head.is_empty() {
                *head = Vec::new();
            }
        }
        let mut bytes_max = first_piece(self.framing);
        let mut out = room(bytes_max);
        let mut hold = Hold::default();
        loop {
            // Also where nothing comes any more.
            if hold.wait().is_some_and(|wait| wait.is_zero()) {
                self.let_go((head, end), filter)?;
                hold = Hold::default();
            }
            body.limit(hold.wait().map(|wait| wait.max(WAIT_MIN)));
            let piece = CHUNK_HEAD_BYTES..CHUNK_HEAD_BYTES + bytes_max;
            let count = match body.read(&mut out[piece]) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if hold.wait().is_some() && is_late(&error) => continue,
                Err(_) => {
                    // The client gets all that has come.
                    head.extend_from_slice(&framed(filter.rest(false), end));
                    let _ = self.write(&[head]);
                    return Err(Fault::Upstream);
                }
            };
            let data = CHUNK_HEAD_BYTES..CHUNK_HEAD_BYTES + count;
            let changed = match count {
                0 => Some(framed(filter.rest(true), end)),
                _ => filter.feed(&out[data.clone()]).map(|bytes| framed(bytes, end)),
            };
            let bytes = match (&changed, end) {
                (Some(changed), _) => changed,
                (None, End::Chunks) => frame(&mut out, count),
                (None, _) => &out[data],
            };
            self.write_beside(&mut *body, &[head, bytes]).map_err(|_| Fault::Client)?;
            head.clear();
            hold.note(filter.hold());
            if count == 0 {
                buffer_pool::keep(out);
                return Ok(any);
            }
            any = true;
            let next = next_piece(bytes_max, count);
            if std::mem::replace(&mut bytes_max, next) != next {
                buffer_pool::keep(std::mem::replace(&mut out, room(next)));
            }
        }
    }

    /// Sends what has been held back for too long.
    fn let_go(
        &self,
        (head, end): (&mut Vec<u8>, End),
        filter: &mut ResponseFilter,
    ) -> Result<(), Fault> {
        head.extend_from_slice(&framed(filter.let_go(), end));
        self.write(&[head]).map_err(|_| Fault::Client)?;
        head.clear();
        Ok(())
    }

    /// What the end of the copying means; `Ok(true)`: the answer's content has to tell. An answer that
    /// may be cut is never ended cleanly.
    fn judge(
        &self,
        copied: Result<bool, Fault>,
        reading: Option<&Reading>,
    ) -> Option<&'static str> {
        let has_ended = reading.is_some_and(|reading| reading.ended);
        match copied {
            Err(Fault::Client) if has_ended => None,
            Err(Fault::Client) => Some(self.watch.reason()),
            Err(Fault::Upstream) if self.watch.is_gone() && has_ended => None,
            Err(Fault::Upstream) if self.watch.is_gone() => Some(self.watch.reason()),
            Err(Fault::Upstream) => Some("cut"),
            Ok(true) => match reading {
                Some(reading) if !reading.ended && reading.inside => Some("cut"),
                Some(reading) if !reading.ended => Some("cut?"),
                _ => None,
            },
            Ok(false) => None,
        }
    }

    fn end(&self) -> End {
        match self.framing {
            Framing::None => End::None,
            Framing::Length(_) => End::Length,
            Framing::Chunks | Framing::Close if self.request.is_http10 => End::Close,
            Framing::Chunks | Framing::Close => End::Chunks,
        }
    }

    fn head(&self, end: End, keep_alive: bool) -> Vec<u8> {
        let mut out = buffer_pool::take(0);
        let _ = write!(out, "HTTP/1.1 {} ", self.answer.status());
        out.extend_from_slice(self.answer.reason());
        out.extend_from_slice(b"\r\n");
        let named = Named::of(self.answer.tokens("connection"));
        for (name, value) in self.answer.headers() {
            // Where there is no body, the length is that of the body there would be.
            let is_kept = end == End::None && name.eq_ignore_ascii_case(b"content-length");
            // Ours say what we have found, and nobody else may.
            let is_dropped = || is_hop_by_hop(name) || is_ours(name) || named.has(name);
            if is_kept || !is_dropped() {
                line(&mut out, name, value);
            }
        }
        if let (End::Length, Framing::Length(length)) = (end, self.framing) {
            let _ = write!(out, "content-length: {length}\r\n");
        }
        (self.ours)(&mut out);
        if end == End::Chunks {
            line(&mut out, b"transfer-encoding", b"chunked");
        }
        if !keep_alive {
            line(&mut out, b"connection", b"close");
        } else if self.request.is_http10 {
            line(&mut out, b"connection", b"keep-alive");
        }
        out.extend_from_slice(b"\r\n");
        out
    }

    /// Two parts, to a client that may be busy sending: what it still sends is passed on while it takes
    /// nothing, or both would wait for each other.
    fn write_beside(&self, body: &mut dyn Source, parts: &[&[u8]; 2]) -> io::Result<()> {
        let mut parts = parts.map(io::IoSlice::new);
        let mut parts = &mut parts[..];
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        while body.is_sending() && parts.iter().any(|part| !part.is_empty()) {
            let mut nothing = SendAncillaryBuffer::default();
            match rustix::net::sendmsg(self.client, parts, &mut nothing, flags) {
                Ok(count) => io::IoSlice::advance_slices(&mut parts, count),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => body.send_on(self.client)?,
                Err(error) => return Err(error.into()),
            }
        }
        write_all(self.client, parts)
    }

    /// At most three parts.
    fn write(&self, parts: &[&[u8]]) -> io::Result<()> {
        let part = |at: usize| io::IoSlice::new(parts.get(at).copied().unwrap_or_default());
        write_all(self.client, &mut [part(0), part(1), part(2)])
    }
}

/// Whether only the content can tell an end from a cut: the close is the only mark, and the content has
/// marks of its own. An error page or a text is complete when the connection ends in order.
pub(super) fn is_judged(answer: &ReplyHead, framing: Framing) -> bool {
    let kind = answer.header("content-type").unwrap_or_default();
    let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let ends = |word: &[u8]| {
        let end = kind.len().checked_sub(word.len()).map(|at| &kind[at..]);
        end.is_some_and(|end| end.eq_ignore_ascii_case(word))
    };
    let is_json = ends(b"/json") || ends(b"+json");
    framing == Framing::Close
        && (ends(b"text/event-stream") || is_json && matches!(answer.status(), 200..=299))
}

/// All parts in as few system calls as the socket takes, for as long as the client takes any.
fn write_all(mut client: &TcpStream, mut parts: &mut [io::IoSlice]) -> io::Result<()> {
    let mut waits = 0;
    while parts.iter().any(|part| !part.is_empty()) {
        match client.write_vectored(parts) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                waits = 0;
                io::IoSlice::advance_slices(&mut parts, count);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                waits += 1;
                if waits == WRITE_WAITS_MAX {
                    return Err(error);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What is held back, and since when.
#[derive(Default)]
struct Hold(Option<(u64, Instant)>);

impl Hold {
    fn note(&mut self, number: Option<u64>) {
        self.0 = number.map(|number| match self.0 {
            Some((same, since)) if same == number => (same, since),
            _ => (number, Instant::now()),
        });
    }

    /// How long it may still be; `None` if nothing is.
    fn wait(&self) -> Option<Duration> {
        self.0.map(|(_, since)| HOLD_TIME_MAX.saturating_sub(since.elapsed()))
    }
}

enum Fault {
    Client,
    Upstream,
}

/// Bytes of ours as they go on; a chunk without bytes would be the last one.
fn framed(bytes: &[u8], end: End) -> Vec<u8> {
    match end {
        End::Chunks if !bytes.is_empty() => {
            [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
        }
        _ => bytes.to_vec(),
    }
}

fn line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}
