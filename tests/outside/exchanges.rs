//! Six hundred random exchanges: whatever goes in comes out, in both directions.

use crate::provider::{Script, headers};
use crate::support::{say, scene};
use std::collections::BTreeMap;

const EXCHANGES: usize = 600;
/// On the longest bodies the seed decides; the average is far below.
const BODY_BYTES_MAX: usize = 300_000;

/// xorshift64*: the same exchanges on every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 33) as usize % limit
    }

    fn one<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn text(&mut self, letters: &[u8], length: usize) -> Vec<u8> {
        (0..length).map(|_| letters[self.below(letters.len())]).collect()
    }

    fn body(&mut self) -> Vec<u8> {
        let length = match self.below(10) {
            0..=1 => 0,
            2..=5 => self.below(200),
            6..=7 => self.below(20_000),
            _ => self.below(BODY_BYTES_MAX),
        };
        (0..length).map(|_| self.next() as u8).collect()
    }

    fn name(&mut self) -> Vec<u8> {
        const LETTERS: &[u8] = b"abcxyzABCXYZ0189!#$%&'*+-.^_`|~";
        let length = 1 + self.below(30);
        // Not by chance one that belongs to the connection.
        [b"q".to_vec(), self.text(LETTERS, length)].concat()
    }

    fn value(&mut self) -> Vec<u8> {
        const LETTERS: &[u8] =
            b"abc XYZ 019 !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~\t\x80\x9f\xa0\xe9\xff";
        let limit = if self.chance(5) { 3000 } else { 60 };
        let length = self.below(limit);
        self.text(LETTERS, length).trim_ascii().to_vec()
    }

    fn header_lines(&mut self) -> Vec<u8> {
        let mut names = Vec::new();
        let mut lines = Vec::new();
        for _ in 0..self.below(40) {
            let repeated = !names.is_empty() && self.chance(30);
            if !repeated {
                names.push(self.name());
            }
            let name = names[self.below(names.len())].clone();
            let value = self.value();
            let blank: &[u8] = self.one(&[b": ", b":", b":  \t"]);
            lines.extend([&name, blank, &value, b"\r\n"].concat());
        }
        lines
    }

    fn target(&mut self) -> Vec<u8> {
        const PATH: &[u8] = b"abcXYZ019-._~!$&'()*+,;=:@/%|[]^{}\"";
        const QUERY: &[u8] = b"abcXYZ019-._~!$&'()*+,;=:@/?%|[]^{}`";
        let length = self.below(120);
        let path = [b"/v1/files/x".to_vec(), self.text(PATH, length)].concat();
        match self.below(3) {
            0 => path,
            1 => [path, b"?".to_vec()].concat(),
            _ => {
                let length = self.below(400);
                [path, b"?".to_vec(), self.text(QUERY, length)].concat()
            }
        }
    }

    /// An answer in a random framing; to HEAD without its body.
    fn answer(&mut self, status: u16, lines: &[u8], body: &[u8], is_head: bool) -> Script {
        let mut wire = format!("HTTP/1.1 {status} Some Reason\r\n").into_bytes();
        wire.extend_from_slice(lines);
        let framing = self.below(3);
        match framing {
            0 => wire.extend(format!("content-length: {}\r\n\r\n", body.len()).into_bytes()),
            1 => wire.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n"),
            _ => wire.extend_from_slice(b"connection: close\r\n\r\n"),
        }
        if !is_head {
            wire.extend(if framing == 1 { self.chunked(body) } else { body.to_vec() });
        }
        if framing == 2 { Script::raw(wire) } else { Script::raw_open(wire) }
    }

    /// The body in chunks of random sizes, with odd spellings of them.
    fn chunked(&mut self, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut rest = body;
        while !rest.is_empty() {
            let limit = if self.chance(20) { 40 } else { 70_000 };
            let (chunk, behind) = rest.split_at(1 + self.below(rest.len().min(limit)));
            let zeros = "0".repeat(self.below(4));
            let extension = self.one(&["", "", ";a", ";a=b;c=\"d e\""]);
            out.extend(format!("{zeros}{:x}{extension}\r\n", chunk.len()).into_bytes());
            out.extend([chunk, b"\r\n"].concat());
            rest = behind;
        }
        out.extend_from_slice(b"0\r\n\r\n");
        out
    }
}

/// Names with their values in order, but for those of the connection and ours.
fn own(head: &[(String, Vec<u8>)]) -> BTreeMap<String, Vec<Vec<u8>>> {
    let dropped = |name: &str| {
        name.starts_with("x-tokenpak-")
            || ["host", "content-length", "transfer-encoding", "connection"].contains(&name)
    };
    let mut own: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    for (name, value) in head.iter().filter(|(name, _)| !dropped(name)) {
        own.entry(name.clone()).or_default().push(value.clone());
    }
    own
}

#[test]
fn six_hundred_random_exchanges_arrive_unchanged() {
    const METHODS: &[&str] = &[
        "GET",
        "POST",
        "PUT",
        "PATCH",
        "DELETE",
        "OPTIONS",
        "HEAD",
        "PROPFIND",
        "M-SEARCH",
        "odd!~method",
        "QUERY",
    ];
    let (provider, _sandbox, proxy) = scene();
    let mut random = Random(0x7061_6b74_6f6b_656e);
    let mut client = proxy.connect();
    let mut bytes = 0;
    for n in 0..EXCHANGES {
        let method = random.one(METHODS);
        let target = random.target();
        let lines = random.header_lines();
        let body = random.body();
        let status = [200, 201, 206, 299, 302, 400, 404, 429, 500, 529][random.below(10)];
        let back_lines = random.header_lines();
        let back = random.body();

        let is_head = method == "HEAD";
        provider.next(random.answer(status, &back_lines, &back, is_head));
        if random.chance(10) {
            client = proxy.connect();
        }
        client
            .send([method.as_bytes(), b" ", &target, b" HTTP/1.1\r\nhost: localhost\r\n"].concat());
        client.send([b"authorization: Bearer sk-x\r\n".as_slice(), &lines].concat());
        // A chunked body goes on as it comes, after which the connection is closed.
        let is_chunked = !body.is_empty() && method != "HEAD" && random.chance(30);
        match is_chunked {
            true => client.send(
                [b"transfer-encoding: chunked\r\n\r\n".to_vec(), random.chunked(&body)].concat(),
            ),
            false if body.is_empty() => client.send("\r\n"),
            false => client.send(
                [format!("content-length: {}\r\n\r\n", body.len()).into_bytes(), body.clone()]
                    .concat(),
            ),
        };
        let what = format!("exchange {n}: {method} {}", String::from_utf8_lossy(&target));
        let head = client.head();
        assert_eq!(head.status, status, "{what}");
        let (got, clean) = if is_head { (Vec::new(), true) } else { client.body() };
        if is_head || is_chunked {
            client = proxy.connect();
        }
        assert!(clean && (is_head || got == back), "{what}: the answer's body differs");
        assert_eq!(
            own(&head.headers),
            own(&headers(&[b"\n", back_lines.as_slice()].concat())),
            "{what}"
        );

        let seen = provider.wait_seen(n + 1);
        let mut want = own(&headers(&[b"\n", lines.as_slice()].concat()));
        want.insert("authorization".into(), vec![b"Bearer sk-x".to_vec()]);
        assert_eq!(seen.method(), method, "{what}");
        assert_eq!(seen.target().as_bytes(), target, "{what}");
        assert!(seen.body == body, "{what}: the request's body differs");
        assert_eq!(own(&seen.headers()), want, "{what}");
        bytes += body.len() + back.len();
        if n % 50 == 49 {
            provider.forget();
        }
    }
    say(&format!("{EXCHANGES} of {EXCHANGES} random exchanges unchanged, {bytes} bytes of bodies"));
}
