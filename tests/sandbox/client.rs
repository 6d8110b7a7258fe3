//! An HTTP client that hides nothing: what is sent, in which pieces, and what comes back when.

use crate::provider::DEADLINE;
use serde_json::Value;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

/// A connection to the proxy (or, to compare, to the provider itself).
pub(crate) struct Client {
    stream: TcpStream,
    pending: Vec<u8>,
    framing: Framing,
    reset: bool,
    port: u16,
}

/// What is left of the body that is being read.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Framing {
    Sized(usize),
    Chunked,
    UntilClose,
    Done,
}

/// A connection that ended where its answer did not.
#[derive(Debug, PartialEq)]
pub(crate) struct Broken;

/// The head of an answer; names in lower case, values as they came.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
}

impl Head {
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.all(name).first().map(|value| String::from_utf8_lossy(value).into_owned())
    }

    pub(crate) fn all(&self, name: &str) -> Vec<Vec<u8>> {
        self.headers.iter().filter(|(n, _)| n == name).map(|(_, value)| value.clone()).collect()
    }

    /// One of the proxy's own numbers, by the last part of its name.
    #[track_caller]
    pub(crate) fn tokens(&self, name: &str) -> i64 {
        let name = format!("x-tokenpak-tokens-{name}");
        let value = self.header(&name).unwrap_or_else(|| panic!("no {name} in {self:?}"));
        value.parse().unwrap()
    }

    #[track_caller]
    pub(crate) fn request_id(&self) -> String {
        self.header("x-tokenpak-request-id").expect("every answer names its request")
    }
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    /// The body ended as its framing had promised.
    pub(crate) clean: bool,
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.head.status
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|err| panic!("{err}: {}", self.text()))
    }
}

impl Client {
    #[track_caller]
    pub(crate) fn connect(port: u16) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        Client { stream, pending: Vec::new(), framing: Framing::Done, reset: false, port }
    }

    /// To this machine by its IPv6 address; `None` where it has none or nobody listens.
    pub(crate) fn connect_v6(port: u16) -> Option<Client> {
        let stream = TcpStream::connect(("::1", port)).ok()?;
        Some(Client { stream, pending: Vec::new(), framing: Framing::Done, reset: false, port })
    }

    /// Sends bytes as they are; false when the other side takes no more.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Sends a request with a fitting `host` and `content-length`.
    pub(crate) fn request(
        &mut self,
        (method, target): (&str, &str),
        headers: &[(&str, &str)],
        body: &[u8],
    ) {
        let mut head = format!("{method} {target} HTTP/1.1\r\nhost: 127.0.0.1:{}\r\n", self.port);
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() || method == "POST" {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        self.send([head.as_bytes(), body].concat());
    }

    /// The next head, and nothing of the body behind it.
    #[track_caller]
    pub(crate) fn head(&mut self) -> Head {
        self.try_head().expect("the connection was closed instead of an answer")
    }

    /// The next head; `None` when the connection is closed instead.
    #[track_caller]
    pub(crate) fn try_head(&mut self) -> Option<Head> {
        let end = self.fill_until(b"\r\n\r\n")?;
        let bytes: Vec<u8> = self.pending.drain(..end).collect();
        let line = String::from_utf8_lossy(&bytes[..bytes.len().min(64)]).into_owned();
        let status = line.split(' ').nth(1).and_then(|code| code.get(..3)?.parse().ok());
        let head = Head { status: status.expect(&line), headers: crate::provider::headers(&bytes) };
        let length = head.header("content-length").map(|value| value.parse().unwrap());
        self.framing = match (head.header("transfer-encoding"), length) {
            _ if matches!(head.status, 100..=199 | 204 | 304) => Framing::Done,
            (Some(_), _) => Framing::Chunked,
            (None, Some(length)) => Framing::Sized(length),
            (None, None) => Framing::UntilClose,
        };
        Some(head)
    }

    /// The next piece of the body as it came; `None` at its end.
    #[track_caller]
    pub(crate) fn piece(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        match self.framing {
            Framing::Done | Framing::Sized(0) => Ok(None),
            Framing::Chunked => self.chunk(),
            Framing::Sized(rest) => {
                if self.pending.is_empty() && !self.fill() {
                    return Err(Broken);
                }
                let piece: Vec<u8> = self.pending.drain(..rest.min(self.pending.len())).collect();
                self.framing = Framing::Sized(rest - piece.len());
                Ok(Some(piece))
            }
            Framing::UntilClose => {
                let more = !self.pending.is_empty() || self.fill();
                Ok(more.then(|| std::mem::take(&mut self.pending)))
            }
        }
    }

    #[track_caller]
    fn chunk(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        let line = self.fill_until(b"\r\n").ok_or(Broken)?;
        let digits = String::from_utf8_lossy(&self.pending[..line - 2]).into_owned();
        let size = usize::from_str_radix(&digits, 16).expect(&digits);
        while self.pending.len() < line + size + 2 {
            if !self.fill() {
                return Err(Broken);
            }
        }
        let framed: Vec<u8> = self.pending.drain(..line + size + 2).collect();
        if size == 0 {
            self.framing = Framing::Done;
            return Ok(None);
        }
        Ok(Some(framed[line..line + size].to_vec()))
    }

    /// The next answer as a whole.
    #[track_caller]
    pub(crate) fn answer(&mut self) -> Answer {
        let head = self.head();
        let (body, clean) = self.body();
        Answer { head, body, clean }
    }

    /// The rest of the body, and whether it ended cleanly.
    #[track_caller]
    pub(crate) fn body(&mut self) -> (Vec<u8>, bool) {
        let mut body = Vec::new();
        loop {
            match self.piece() {
                Ok(Some(piece)) => body.extend(piece),
                Ok(None) => return (body, true),
                Err(Broken) => return (body, false),
            }
        }
    }

    /// Reads the body and forgets it; its length, and whether it ended cleanly.
    #[track_caller]
    pub(crate) fn drain(&mut self) -> (usize, bool) {
        let mut length = 0;
        loop {
            match self.piece() {
                Ok(Some(piece)) => length += piece.len(),
                Ok(None) => return (length, true),
                Err(Broken) => return (length, false),
            }
        }
    }

    /// Reads pieces until they hold `text`; what was read.
    #[track_caller]
    pub(crate) fn read_until(&mut self, text: &str) -> String {
        let mut read = Vec::new();
        while !String::from_utf8_lossy(&read).contains(text) {
            let piece = self.piece().ok().flatten();
            read.extend(piece.unwrap_or_else(|| {
                panic!("ended before {text:?}: {:?}", String::from_utf8_lossy(&read))
            }));
        }
        String::from_utf8_lossy(&read).into_owned()
    }

    /// The answer whose head was read has no body, since it answers HEAD.
    pub(crate) fn skip_body(&mut self) {
        self.framing = Framing::Done;
    }

    /// How long to wait for the other side, if not `DEADLINE`.
    pub(crate) fn set_patience(&self, patience: std::time::Duration) {
        self.stream.set_read_timeout(Some(patience)).unwrap();
    }

    /// Whether the other side has answered or closed; does not wait.
    pub(crate) fn is_spoken_to(&self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).unwrap();
        !matches!(&peeked, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    /// Waits until the other side closes; false when it says something more instead.
    #[track_caller]
    pub(crate) fn closed(&mut self) -> bool {
        self.pending.is_empty() && !self.fill()
    }

    /// Whether the connection has ended with a reset.
    pub(crate) fn was_reset(&self) -> bool {
        self.reset
    }

    /// Tells the other side that nothing more will be sent; answers can still be read.
    pub(crate) fn finish_sending(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Leaves with a reset, as a killed program may.
    pub(crate) fn reset(self) {
        rustix::net::sockopt::set_socket_linger(&self.stream, Some(std::time::Duration::ZERO))
            .unwrap();
    }

    /// Where `mark` ends in what has come, reading on as needed.
    #[track_caller]
    fn fill_until(&mut self, mark: &[u8]) -> Option<usize> {
        loop {
            let found = self.pending.windows(mark.len()).position(|window| window == mark);
            if let Some(at) = found {
                return Some(at + mark.len());
            }
            if !self.fill() {
                return None;
            }
        }
    }

    /// Reads what is there; false at the end of the connection, by a close or a reset.
    #[track_caller]
    fn fill(&mut self) -> bool {
        let mut piece = [0; 64 * 1024];
        match self.stream.read(&mut piece) {
            Ok(n) => {
                self.pending.extend_from_slice(&piece[..n]);
                n > 0
            }
            Err(err) if matches!(err.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("waited {DEADLINE:?} in vain for an answer")
            }
            Err(_) => {
                self.reset = true;
                false
            }
        }
    }
}
