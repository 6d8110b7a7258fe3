//! What must hold for any bytes at all, tried with generated ones.
//!
//! `make test` tries 300,000 connections; `TOKENPAK_FUZZ=5000000 cargo test --release --bin tokenpak
//! properties` tries so many. The generator is seeded, so a failure comes again: it prints its bytes.

use super::body::BodyReader;
use super::*;

const CONNECTIONS: u64 = 300_000;
/// Small, so that generated bodies reach it.
const BODY_BYTES_MAX: u64 = 300;

/// A request as far as anybody else could frame it differently.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Request {
    method: String,
    target: String,
    is_http10: bool,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

/// What the bytes of one connection come to: requests, then a refusal or a wait for more.
type Outcome = (Vec<Request>, Option<u16>);

/// The reader as the event loop drives it.
#[derive(Default)]
struct Driver {
    buffer: Vec<u8>,
    head: HeadReader,
    body: Option<(Head, BodyReader, Vec<u8>)>,
    requests: Vec<Request>,
    refused: Option<u16>,
}

impl Driver {
    fn outcome<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
        let mut driver = Driver::default();
        for part in parts {
            if driver.refused.is_none() {
                driver.buffer.extend_from_slice(part);
                driver.refused = driver.advance().err().map(|refusal| refusal.status);
                let held = driver.buffer.len();
                assert!(held <= HEAD_BYTES_MAX + part.len() + 32, "{held} bytes held back");
            }
        }
        (driver.requests, driver.refused)
    }

    fn advance(&mut self) -> Result<(), Refusal> {
        loop {
            match &mut self.body {
                None => {
                    let Some((head, length)) = self.head.read(&self.buffer)? else { return Ok(()) };
                    self.buffer.drain(..length);
                    self.head = HeadReader::default();
                    if matches!(head.framing, Framing::Length(length) if length > BODY_BYTES_MAX) {
                        return refuse(413, "too large");
                    }
                    let reader = BodyReader::new(head.framing, BODY_BYTES_MAX);
                    self.body = Some((head, reader, Vec::new()));
                }
                Some((_, reader, body)) => {
                    let taken = reader.feed(&self.buffer, body)?;
                    self.buffer.drain(..taken);
                    assert!(body.len() as u64 <= BODY_BYTES_MAX, "a body beyond its limit");
                    if !reader.is_done() {
                        assert!(self.buffer.is_empty(), "an unfinished body leaves nothing behind");
                        return Ok(());
                    }
                    let (head, _, body) = self.body.take().unwrap();
                    self.requests.push(Request::of(&head, body));
                }
            }
        }
    }
}

impl Request {
    fn of(head: &Head, body: Vec<u8>) -> Request {
        Request {
            method: head.method().to_owned(),
            target: head.target().to_owned(),
            is_http10: head.is_http10,
            headers: head
                .headers()
                .map(|(name, value)| (String::from_utf8(name.to_vec()).unwrap(), value.to_vec()))
                .collect(),
            body,
        }
    }

    /// Written again, as strictly as it can be: what any other program must read in the same way.
    fn bytes(&self) -> Vec<u8> {
        let version = if self.is_http10 { "1.0" } else { "1.1" };
        let mut out = format!("{} {} HTTP/{version}\r\n", self.method, self.target).into_bytes();
        for (name, value) in &self.headers {
            out.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        out.extend_from_slice(b"\r\n");
        let is_chunked =
            self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("transfer-encoding"));
        match is_chunked {
            true if self.body.is_empty() => out.extend_from_slice(b"0\r\n\r\n"),
            true => {
                out.extend(format!("{:x}\r\n", self.body.len()).into_bytes());
                out.extend([&self.body, &b"\r\n0\r\n\r\n"[..]].concat());
            }
            false => out.extend_from_slice(&self.body),
        }
        out
    }
}

/// splitmix64: small, and good enough to choose test cases.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    fn mostly(&mut self, (sensible, others): Pieces) -> &'static [u8] {
        let all = if self.below(12) > 0 { sensible } else { others };
        self.of(all)
    }
}

/// Sensible pieces, and others.
type Pieces = (&'static [&'static [u8]], &'static [&'static [u8]]);

const LINES: Pieces = (
    &[
        b"GET / HTTP/1.1\r\n",
        b"POST /v1/messages?beta=true HTTP/1.1\r\n",
        b"OPTIONS * HTTP/1.1\r\n",
        b"GET http://e.test/x HTTP/1.1\r\n",
        b"GET / HTTP/1.0\r\n",
        b"CONNECT e.test:443 HTTP/1.1\r\n",
        b"GET /\xc3\xa9{|}\"<>` HTTP/1.1\r\n",
    ],
    &[
        b"GET /a%2F//..?x#y HTTP/1.1\r\n",
        b"GET / HTTP/2.0\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /\r\n",
        b"get\t/ HTTP/1.1\r\n",
        b"GET /\xe9 HTTP/1.1\r\n",
    ],
);
const FIELDS: Pieces = (
    &[
        b"Content-Length: 0\r\n",
        b"Content-Length: 5\r\n",
        b"content-length: 05\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"transfer-encoding:\tChunked \r\n",
        b"X: a\xe9b\r\n",
        b"X:\r\n",
        b"Expect: 100-continue\r\n",
        b"Connection: close\r\n",
        b"Upgrade: websocket\r\n",
    ],
    &[
        b"Host: b\r\n",
        b"host:\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length: 5, 5\r\n",
        b"Content-Length: 400\r\n",
        b"Content-Length: 18446744073709551616\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b" folded\r\n",
        b": empty\r\n",
        b"no colon\r\n",
        b"X: a\rb\r\n",
        b"X: a\nb\r\n",
        b"X: \0\r\n",
        b"Expect: x\r\n",
    ],
);
const BODIES: Pieces = (
    &[
        b"hello",
        b"5\r\nhello\r\n0\r\n\r\n",
        b"5;x=\"y\"\r\nhello\r\n0\r\nT: 1\r\n\r\n",
        b"0\r\n\r\n",
        b"3\r\nabc\r\n00000000000000000002\r\nde\r\n0\r\n\r\n",
        b"0\r\nContent-Length: 5\r\n\r\n",
    ],
    &[
        b"-1\r\n",
        b"0x5\r\nhello\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"5\nhello\n0\n\n",
        b"ffffffffffffffff\r\n",
        b"5 ;x\r\nhello\r\n0\r\nbad\r\n\r\n",
        b"12d\r\n",
    ],
);
const SCRAPS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b";",
    b"0",
    b"\xff",
    b"chunked",
    b"\r\n\r\n",
];

/// A connection: mostly sensible requests, some of them damaged.
fn generate(random: &mut Random) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..=random.below(3) {
        if random.below(8) == 0 {
            out.extend_from_slice(&b"\r\n".repeat(random.below(10)));
        }
        out.extend_from_slice(random.mostly(LINES));
        if random.below(16) > 0 {
            out.extend_from_slice(b"Host: a\r\n");
        }
        for _ in 0..random.below(4) {
            out.extend_from_slice(random.mostly(FIELDS));
        }
        out.extend_from_slice(b"\r\n");
        if random.below(2) == 0 {
            out.extend_from_slice(random.mostly(BODIES));
        }
    }
    for _ in 0..random.below(5) / 2 {
        let at = random.below(out.len() + 1);
        match random.below(4) {
            0 if at < out.len() => drop(out.remove(at)),
            1 if at < out.len() => out[at] = random.next() as u8,
            2 => out.truncate(at.max(1)),
            _ => drop(out.splice(at..at, random.of(SCRAPS).iter().copied())),
        }
    }
    out
}

#[test]
fn any_bytes_in_any_pieces_are_read_alike_and_only_one_way() {
    let count = std::env::var("TOKENPAK_FUZZ").ok().and_then(|count| count.parse().ok());
    let count = count.unwrap_or(CONNECTIONS);
    let (mut served, mut refused) = (0_u64, 0_u64);
    let mut random = Random(20_261_123);
    for n in 0..count {
        let bytes = generate(&mut random);
        let (requests, status) = Driver::outcome([&bytes[..]]);
        check_splits(&mut random, n, &bytes, &(requests.clone(), status));
        for request in &requests {
            let written = request.bytes();
            let again = Driver::outcome([&written[..]]);
            assert_eq!(
                again,
                (vec![request.clone()], None),
                "written again: {}",
                written.escape_ascii()
            );
        }
        served += requests.len() as u64;
        refused += u64::from(status.is_some());
    }
    // Otherwise the generator makes nothing worth trying.
    assert!(served > count / 4 && refused > count / 4, "{served} served, {refused} refused");
}

fn check_splits(random: &mut Random, n: u64, bytes: &[u8], whole: &Outcome) {
    let at = random.below(bytes.len() + 1);
    let also = at + random.below(bytes.len() - at + 1);
    let parts = [&bytes[..at], &bytes[at..also], &bytes[also..]];
    assert_eq!(&Driver::outcome(parts), whole, "{} cut at {at} and {also}", bytes.escape_ascii());
    if n.is_multiple_of(16) {
        let bytewise = Driver::outcome(bytes.chunks(1));
        assert_eq!(&bytewise, whole, "{} byte by byte", bytes.escape_ascii());
    }
    if n.is_multiple_of(256) {
        for at in 0..bytes.len() {
            let halves = Driver::outcome([&bytes[..at], &bytes[at..]]);
            assert_eq!(&halves, whole, "{} cut at {at}", bytes.escape_ascii());
        }
    }
}

#[test]
fn limits_hold_wherever_the_bytes_are_cut() {
    let line = b"GET / HTTP/1.1\r\nhost: a\r\n";
    for (bytes, want) in [
        ([&line[..], b"x: ", &b"a".repeat(HEAD_BYTES_MAX), b"\r\n\r\n"].concat(), 431),
        ([&line[..], &b"x: a\r\n".repeat(HEAD_BYTES_MAX / 6 + 1), b"\r\n"].concat(), 431),
        ([&b"GET /"[..], &b"a".repeat(HEAD_BYTES_MAX)].concat(), 414),
        (b"\r\n".repeat(1000), 400),
    ] {
        for step in [1, 7, 1000, 4096, bytes.len()] {
            assert_eq!(
                Driver::outcome(bytes.chunks(step)),
                (vec![], Some(want)),
                "pieces of {step}"
            );
        }
    }
}
