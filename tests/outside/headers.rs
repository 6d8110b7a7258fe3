//! Headers, up and down: all of them, as they are, but for what belongs to one connection.

use crate::provider::{Provider, Script, Seen};
use crate::sandbox::{Answer, Proxy};
use crate::support::{Api, scene};

const KEY: &str = "authorization: Bearer sk-not-a-key\r\n";

/// Sends header lines to a path outside the wire formats; what arrived.
#[track_caller]
fn up(scene: &(Provider, Proxy), lines: &[u8]) -> Seen {
    let (provider, proxy) = scene;
    let mut client = proxy.connect();
    client.send(b"GET /v1/files HTTP/1.1\r\nhost: localhost\r\n");
    client.send([KEY.as_bytes(), lines, b"\r\n"].concat());
    let answer = client.answer();
    assert_eq!(answer.status(), 200, "{}: {}", String::from_utf8_lossy(lines), answer.text());
    provider.last()
}

/// The headers that arrived, but for those that every request has.
fn own(seen: &Seen) -> Vec<(String, Vec<u8>)> {
    let usual = ["host", "authorization"];
    seen.headers().into_iter().filter(|(name, _)| !usual.contains(&name.as_str())).collect()
}

#[test]
fn requests_keep_every_header() {
    let (provider, _sandbox, proxy) = scene();
    let scene = (provider, proxy);
    let many: String = (0..190).map(|n| format!("x-h{n}: {n}\r\n")).collect();
    let long = format!("x-long: {}\r\n", "v".repeat(32_000));
    let cases: [(&str, &[u8]); 22] = [
        ("latin-1 value", b"x-a: caf\xe9 \xff\x80\r\n"),
        ("UTF-8 value", "x-a: \u{1f600} \u{e9}\r\n".as_bytes()),
        ("odd legal name", b"!#$%&'*+-.^_`|~: x\r\n"),
        ("digits only as a name", b"123: x\r\n"),
        ("underscores", b"x_under_score: 1\r\n"),
        ("dots", b"x.dot.ted: 1\r\n"),
        ("empty value", b"x-empty:\r\n"),
        ("empty value between others", b"x-e: 1\r\nx-e:\r\nx-e: 3\r\n"),
        ("repeats in order", b"x-r: 1\r\nx-other: x\r\nX-R: 2\r\nx-r: 1\r\n"),
        ("commas stay", b"x-c: a, b,c ,,d\r\n"),
        ("quotes and colons", b"x-q: \"a: b\\\"c\"; d=e:f\r\n"),
        ("tabs inside a value", b"x-t: a\tb\r\n"),
        ("equals and semicolons", b"cookie: a=b; c=\"d e\"; f\r\n"),
        ("two cookies", b"cookie: a=1\r\ncookie: b=2\r\n"),
        ("accept", b"accept: text/event-stream, */*;q=0.1\r\n"),
        ("accept-encoding outside the wire formats", b"accept-encoding: gzip, br;q=0.5\r\n"),
        ("range and conditions", b"range: bytes=0-5\r\nif-none-match: W/\"x\"\r\n"),
        ("forwarding headers are content", b"x-forwarded-for: 1.2.3.4\r\nvia: 1.1 x\r\n"),
        ("user agent", b"user-agent: odd/1.0 (x; y)\r\n"),
        ("trace context", b"traceparent: 00-ab-cd-01\r\nbaggage: a=b\r\n"),
        ("190 headers", many.as_bytes()),
        ("32 kB in one", long.as_bytes()),
    ];
    for (what, lines) in cases {
        let seen = up(&scene, lines);
        let mut want = crate::provider::headers(&[b"\n", lines].concat());
        let mut got = own(&seen);
        // Order counts within a name only; the sort keeps it.
        want.sort_by(|a, b| a.0.cmp(&b.0));
        got.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(got, want, "{what}");
    }
}

/// Without a pattern, and the same every time.
fn random(at: usize) -> usize {
    let mixed = (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33) as usize
}

/// Header lines in any order and spelling, one name twice.
fn odd_lines(seed: usize, framing: &str) -> Vec<String> {
    let usual = ["host: localhost", "accept: */*", "accept-encoding: gzip", "user-agent: odd/1"];
    let key = ["authorization: Bearer sk-not-a-key", "content-type: application/json"];
    let own =
        ["x-stainless-lang: python", "x-a: 1", "x_b: 2", "x-long-name-9: 3", "z: 4", "x-a: 5"];
    let lines = usual.into_iter().chain(key).chain(own).chain([framing]);
    let respell = |(number, line): (usize, &str)| {
        let (name, value) = line.split_once(':').unwrap();
        let letters = name.chars().enumerate().map(|(at, letter)| {
            let is_capital = match seed % 4 {
                0 => false,
                1 => at == 0 || name.as_bytes()[at - 1] == b'-',
                2 => true,
                _ => random(seed * 977 + number * 31 + at).is_multiple_of(2),
            };
            if is_capital { letter.to_ascii_uppercase() } else { letter }
        });
        format!("{}:{value}", letters.collect::<String>())
    };
    let mut lines: Vec<_> = lines.enumerate().map(respell).collect();
    for at in (1..lines.len()).rev() {
        lines.swap(at, random(seed * 131 + at) % (at + 1));
    }
    lines
}

/// Some servers compare names letter by letter, and some tell programs by the order of their headers.
#[test]
fn names_of_requests_keep_order_and_spelling() {
    let (provider, _sandbox, proxy) = scene();
    // Passed on while it comes, read and passed on, rewritten.
    let bodies = [
        ("/v1/files", b"2\r\n{}\r\n0\r\n\r\n".to_vec()),
        ("/v1/chat/completions", Api::Chat.small(false)),
        ("/v1/chat/completions", Api::Chat.large(true)),
    ];
    let names = |head: &str| -> Vec<String> {
        let lines = head.split("\r\n").filter_map(|line| line.split_once(": "));
        lines.map(|(name, _)| name.to_owned()).collect()
    };
    for seed in 0..24 {
        let (target, body) = &bodies[seed % 3];
        let framing = match seed % 3 {
            0 => "transfer-encoding: chunked".to_owned(),
            _ => format!("content-length: {}", body.len()),
        };
        let lines = odd_lines(seed / 3, &framing).join("\r\n");
        let mut client = proxy.connect();
        client.send(format!("POST {target} HTTP/1.1\r\n{lines}\r\n\r\n"));
        client.send(body);
        assert_eq!(client.answer().status(), 200, "{lines}");
        let head = String::from_utf8(provider.last().head).unwrap();
        let head = head.split_once("\r\n").unwrap().1;
        assert_eq!(names(head), names(&lines), "{target}: {lines}");
    }
    assert_eq!(provider.connections(), 8, "each upload has a new one");
}

#[test]
fn nothing_is_injected_into_requests() {
    let (provider, _sandbox, proxy) = scene();
    let scene = (provider, proxy);
    let seen = up(&scene, b"");
    assert_eq!(own(&seen), [], "{}", String::from_utf8_lossy(&seen.head));
    let mut client = scene.1.connect();
    client.send("POST /v1/embeddings HTTP/1.1\r\nhost: localhost\r\n");
    client.send(format!("{KEY}content-length: 2\r\n\r\n{{}}"));
    assert_eq!(client.answer().status(), 200);
    assert_eq!(own(&scene.0.last()), [("content-length".to_owned(), b"2".to_vec())]);
}

#[test]
fn headers_of_one_connection_stay_on_it() {
    let (provider, _sandbox, proxy) = scene();
    let scene = (provider, proxy);
    let cases: [&[u8]; 15] = [
        b"connection: keep-alive\r\n",
        b"connection: close\r\n",
        b"connection: x-mine\r\nx-mine: 1\r\n",
        b"connection: X-Mine, x-too\r\nx-mine: 1\r\nX-TOO: 2\r\nx-too: 3\r\n",
        b"connection: a\r\nconnection: b\r\na: 1\r\nb: 2\r\n",
        b"keep-alive: timeout=5\r\n",
        b"proxy-connection: keep-alive\r\n",
        b"proxy-authorization: Basic eDp5\r\n",
        b"proxy-authenticate: Basic\r\n",
        b"te: trailers\r\n",
        b"trailer: x-t\r\n",
        b"upgrade: h2c\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: AAMAAABk\r\n",
        b"http2-settings: AAMAAABk\r\n",
        b"x-tokenpak-mode: off\r\nx-tokenpak-footer: off\r\nX-TokenPak-Project: p\r\n",
        b"x-tokenpak-anything-else: 1\r\n",
    ];
    for lines in cases {
        let seen = up(&scene, lines);
        assert_eq!(own(&seen), [], "{}", String::from_utf8_lossy(lines));
    }
    assert_eq!(own(&up(&scene, b"x-tokenpakx: 1\r\n")).len(), 1, "only our own prefix is ours");
}

#[test]
fn host_is_the_providers_own() {
    let (provider, _sandbox, proxy) = scene();
    let scene = (provider, proxy);
    let host = format!("127.0.0.1:{}", scene.0.port());
    let foreign: [&[u8]; 4] = [
        b"x-forwarded-host: elsewhere.test\r\n",
        b"forwarded: host=elsewhere.test;proto=https\r\n",
        b"x-host: elsewhere.test\r\nx-original-url: http://elsewhere.test/\r\n",
        b"x-http-method-override: DELETE\r\nx-rewrite-url: /elsewhere\r\n",
    ];
    for lines in foreign {
        let seen = up(&scene, lines);
        assert_eq!(seen.all("host"), [host.as_bytes()]);
        assert_eq!((seen.method(), seen.target()), ("GET".into(), "/v1/files".into()));
    }
    // The absolute form names a host, too, and it is not the client that chooses.
    let mut client = scene.1.connect();
    client.send("GET http://elsewhere.test:81/v1/files?x=http://y/ HTTP/1.1\r\n");
    client.send(format!("host: localhost\r\n{KEY}\r\n"));
    assert_eq!(client.answer().status(), 200);
    let seen = scene.0.last();
    assert_eq!(seen.all("host"), [host.as_bytes()]);
    assert_eq!(seen.target(), "/v1/files?x=http://y/");
}

#[test]
fn encodings_are_narrowed_only_where_usage_is_read() {
    let (provider, _sandbox, proxy) = scene();
    for api in Api::ALL {
        for (sent, want) in [
            (Some("gzip, deflate, br, zstd"), Some("identity")),
            (Some("identity"), Some("identity")),
            (Some("*"), Some("identity")),
            (None, None),
        ] {
            let mut headers = api.headers();
            headers.extend(sent.map(|value| ("accept-encoding", value)));
            let answer = proxy.post(api.target(true), &headers, &api.small(true));
            assert_eq!(answer.status(), 200);
            let got = provider.last().header("accept-encoding");
            assert_eq!(got.as_deref(), want, "{api:?} {sent:?}");
        }
        let headers = [api.headers(), vec![("accept-encoding", "gzip")]].concat();
        let models = if api == Api::Gemini { "/v1beta/models" } else { "/v1/models" };
        proxy.ask("GET", models, &headers, b"");
        assert_eq!(provider.last().header("accept-encoding").as_deref(), Some("gzip"));
    }
}

/// The answer's headers, but for ours and the framing's.
fn down(answer: &Answer) -> Vec<(String, Vec<u8>)> {
    let ours = |name: &str| {
        name.starts_with("x-tokenpak-") || matches!(name, "content-length" | "transfer-encoding")
    };
    answer.head.headers.iter().filter(|(name, _)| !ours(name)).cloned().collect()
}

#[test]
fn answers_keep_every_header() {
    let (provider, _sandbox, proxy) = scene();
    let lines =
        |count: usize| -> String { (0..count).map(|n| format!("x-h{n}: {n}\r\n")).collect() };
    let (m127, m128, m129, m200, m2000) =
        (lines(126), lines(127), lines(129), lines(200), lines(2000));
    let big = format!("x-big: {}\r\n", "b".repeat(60_000));
    let many_big: String = (0..16).map(|n| format!("x-b{n}: {}\r\n", "c".repeat(3_900))).collect();
    let cases: [(&str, &[u8]); 24] = [
        ("none", b""),
        ("repeats", b"set-cookie: a=1; Path=/\r\nx: y\r\nSet-Cookie: b=2\r\nset-cookie: a=1\r\n"),
        ("latin-1", b"x-a: caf\xe9 \xff\x80\r\n"),
        ("UTF-8", "x-a: \u{1f600}\r\n".as_bytes()),
        ("odd legal name", b"!#$%&'*+-.^_`|~: x\r\n"),
        ("empty value", b"x-empty:\r\nx-empty2: \r\n"),
        ("blanks around a value", b"x-b:   a  b  \t\r\n"),
        ("tab inside", b"x-t: a\tb\r\n"),
        ("rate limits", b"retry-after: 7\r\nx-ratelimit-remaining: 0\r\nrequest-id: req_1\r\n"),
        ("location", b"location: http://elsewhere.test/\r\n"),
        ("authentication", b"www-authenticate: Bearer realm=\"x\"\r\n"),
        ("server and date", b"server: odd/1\r\ndate: Mon, 23 Nov 2026 00:00:00 GMT\r\n"),
        ("via and alt-svc", b"via: 1.1 a\r\nalt-svc: h3=\":443\"\r\n"),
        ("encoding", b"content-encoding: gzip\r\nvary: accept-encoding\r\n"),
        ("CORS", b"access-control-allow-origin: *\r\n"),
        ("types", b"content-type: text/odd; a=b\r\ncontent-disposition: x; y=\"z\"\r\n"),
        ("ranges", b"content-range: bytes 0-1/5\r\naccept-ranges: bytes\r\netag: \"x\"\r\n"),
        ("127 with the length", m127.as_bytes()),
        ("128 with the length", m128.as_bytes()),
        ("130 with the length", m129.as_bytes()),
        ("200", m200.as_bytes()),
        ("2,000", m2000.as_bytes()),
        ("60 kB in one", big.as_bytes()),
        ("64 kB in all", many_big.as_bytes()),
    ];
    for (what, lines) in cases {
        let head = [b"HTTP/1.1 200 OK\r\n", lines, b"content-length: 2\r\n\r\nok"].concat();
        provider.next(Script::raw_open(head));
        let answer = proxy.ask("GET", "/v1/files", &[("authorization", "Bearer sk-x")], b"");
        assert_eq!(
            (answer.status(), answer.text().as_str(), answer.clean),
            (200, "ok", true),
            "{what}"
        );
        let want = crate::provider::headers(&[b"\n", lines].concat());
        assert_eq!(down(&answer), want, "{what}");
    }
    assert_eq!(provider.connections(), 1, "none of them costs the connection");
}

#[test]
fn answer_headers_of_one_connection_stay_on_it() {
    let (provider, _sandbox, proxy) = scene();
    let cases = [
        "connection: close\r\n",
        "connection: keep-alive\r\nkeep-alive: timeout=5\r\n",
        "connection: x-mine, keep-alive\r\nx-mine: 1\r\n",
        "connection: X-Mine\r\nconnection: b\r\nx-mine: 1\r\nB: 2\r\n",
        "proxy-connection: keep-alive\r\n",
        "proxy-authenticate: Basic\r\n",
        "trailer: x-t\r\n",
        "upgrade: h2,h2c\r\n",
        "te: x\r\n",
    ];
    for lines in cases {
        let head = format!("HTTP/1.1 200 OK\r\n{lines}content-length: 2\r\n\r\nok");
        provider.next(Script::raw(head));
        let mut client = proxy.connect();
        let key = [("authorization", "Bearer sk-x")];
        client.request(("GET", "/v1/files"), &key, b"");
        let answer = client.answer();
        assert_eq!(answer.text(), "ok", "{lines}");
        assert_eq!(down(&answer), [], "{lines}");
        // What a provider says about its connection says nothing about ours.
        client.request(("GET", "/v1/files"), &key, b"");
        assert_eq!(client.answer().status(), 200, "{lines}");
    }
}

#[test]
fn large_streamed_answers_with_many_headers_are_streams() {
    let (provider, _sandbox, proxy) = scene();
    let script = (0..300)
        .fold(Script::default(), |script, n| script.header(&format!("x-h{n}"), format!("{n}")));
    provider.next(script);
    let answer = proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(true));
    assert!(answer.clean && answer.body == provider.last().answer);
    assert_eq!(answer.head.header("x-h299").as_deref(), Some("299"));
    assert_eq!(
        answer.head.header("content-type").as_deref(),
        Some("text/event-stream; charset=utf-8")
    );
}
