//! Every way in which a provider may frame an answer, and what must never pass for one.

use crate::provider::Script;
use crate::sandbox::{Answer, Proxy};
use crate::support::{Api, scene};

const KEY: [(&str, &str); 1] = [("authorization", "Bearer sk-not-a-key")];

#[track_caller]
fn get(proxy: &Proxy) -> Answer {
    proxy.ask("GET", "/v1/files", &KEY, b"")
}

#[test]
fn statuses_pass_as_they_are() {
    let (provider, _sandbox, proxy) = scene();
    let statuses = [
        200, 201, 202, 203, 206, 207, 226, 299, 300, 301, 302, 303, 305, 307, 308, 400, 401, 402,
        403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 415, 416, 417, 418, 421, 422, 423,
        425, 426, 428, 429, 431, 451, 499, 500, 501, 502, 503, 504, 505, 507, 511, 520, 529, 599,
        600, 799, 999,
    ];
    for status in statuses {
        let body = format!("{{\"status\": {status}}}\n");
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status} Of Its Own\r\nlocation: /elsewhere\r\ncontent-length: {length}\r\n\r\n"
        );
        provider.next(Script::raw_open(head + &body));
        let seen = provider.seen().len();
        let answer = get(&proxy);
        assert_eq!((answer.status(), answer.text()), (status, body));
        assert_eq!(answer.head.header("location").as_deref(), Some("/elsewhere"));
        assert_eq!(answer.head.header("x-tokenpak-error"), None, "{status} is the provider's own");
        assert_eq!(provider.seen().len(), seen + 1, "{status} was followed or repeated");
    }
}

#[test]
fn status_lines_of_all_kinds_are_read() {
    let (provider, _sandbox, proxy) = scene();
    let lines: [(&[u8], u16); 9] = [
        (b"HTTP/1.1 200 OK", 200),
        (b"HTTP/1.1 200", 200),
        (b"HTTP/1.1 200 ", 200),
        (b"HTTP/1.1 404 caf\xe9 \xff", 404),
        (b"HTTP/1.1 200 a much longer reason: with (punctuation), and more", 200),
        ("HTTP/1.1 200 \u{2713}".as_bytes(), 200),
        (b"HTTP/1.0 200 OK", 200),
        (b"HTTP/1.0 503", 503),
        (b"\r\nHTTP/1.1 200 OK", 200),
    ];
    for (line, status) in lines {
        let raw = [line, b"\r\ncontent-length: 2\r\n\r\nok"].concat();
        provider.next(Script::raw(raw));
        let answer = get(&proxy);
        let line = String::from_utf8_lossy(line);
        assert_eq!((answer.status(), answer.text().as_str()), (status, "ok"), "{line}");
        assert!(answer.clean, "{line}");
    }
}

#[test]
fn bodies_of_every_framing_arrive_whole() {
    let (provider, _sandbox, proxy) = scene();
    let extension = format!("5;note=\"{}\"\r\nhello\r\n0\r\n\r\n", "x".repeat(3000));
    let te = "transfer-encoding: chunked\r\n";
    let cases: [(&str, &str, &str, &str); 24] = [
        ("length", "content-length: 5\r\n", "hello", "hello"),
        ("length 0", "content-length: 0\r\n", "", ""),
        ("leading zeros", "content-length: 005\r\n", "hello", "hello"),
        ("the same length twice", "content-length: 5\r\nContent-Length: 5\r\n", "hello", "hello"),
        ("the same length in a list", "content-length: 5, 5\r\n", "hello", "hello"),
        ("one chunk", te, "5\r\nhello\r\n0\r\n\r\n", "hello"),
        ("no chunk", te, "0\r\n\r\n", ""),
        ("many chunks", te, "1\r\nh\r\n2\r\nel\r\n2\r\nlo\r\n0\r\n\r\n", "hello"),
        ("odd case", "Transfer-Encoding: Chunked\r\n", "5\r\nhello\r\n0\r\n\r\n", "hello"),
        ("capital digits", te, "A\r\n0123456789\r\n0\r\n\r\n", "0123456789"),
        ("zeros before the size", te, "00000000000000000000005\r\nhello\r\n000\r\n\r\n", "hello"),
        ("short extension", te, "5;a=b\r\nhello\r\n0;c\r\n\r\n", "hello"),
        ("extension of 20 bytes", te, "5;name=\"of some length\"\r\nhello\r\n0\r\n\r\n", "hello"),
        ("extension of 3 kB", te, &extension, "hello"),
        ("blanks before an extension", te, "5 ; a=b\r\nhello\r\n0\r\n\r\n", "hello"),
        ("blanks behind a size", te, "5  \r\nhello\r\n0\r\n\r\n", "hello"),
        ("trailers", te, "5\r\nhello\r\n0\r\nx-sum: 1\r\nx-other: 2\r\n\r\n", "hello"),
        ("CRLF in the data", te, "7\r\nhe\r\nllo\r\n0\r\n\r\n", "he\r\nllo"),
        ("chunk text in the data", te, "b\r\n0\r\n\r\n5\r\nabc\r\n0\r\n\r\n", "0\r\n\r\n5\r\nabc"),
        ("identity", "transfer-encoding: identity\r\ncontent-length: 5\r\n", "hello", "hello"),
        ("until the close", "", "hello", "hello"),
        ("until the close, empty", "", "", ""),
        ("until the close, said so", "connection: close\r\n", "hello", "hello"),
        (
            "gzip'd",
            "content-encoding: gzip\r\ncontent-length: 5\r\n",
            "\x1f\x07\x08\0x",
            "\x1f\x07\x08\0x",
        ),
    ];
    for (what, lines, wire, want) in cases {
        provider.next(Script::raw(format!("HTTP/1.1 200 OK\r\n{lines}\r\n{wire}")));
        let answer = get(&proxy);
        assert_eq!(
            (answer.status(), answer.text().as_str(), answer.clean),
            (200, want, true),
            "{what}"
        );
        assert_eq!(answer.head.all("trailer").len() + answer.head.all("x-sum").len(), 0, "{what}");
        let framings =
            answer.head.all("content-length").len() + answer.head.all("transfer-encoding").len();
        assert_eq!(framings, 1, "{what}: {:?}", answer.head);
    }
}

#[test]
fn length_and_chunks_together_mean_chunks() {
    let (provider, _sandbox, proxy) = scene();
    for lines in [
        "content-length: 3\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 3\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 300\r\n",
    ] {
        // What comes behind is somebody's second answer, and must not become the next request's.
        let smuggled = "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nsmuggled";
        let wire = format!("HTTP/1.1 200 OK\r\n{lines}\r\n5\r\nhello\r\n0\r\n\r\n{smuggled}");
        provider.next(Script::raw_open(wire));
        let answer = get(&proxy);
        assert_eq!((answer.text().as_str(), answer.clean), ("hello", true), "{lines}");
        assert_eq!(answer.head.all("content-length").len(), 0, "{lines}");
        assert!(!get(&proxy).text().contains("smuggled"), "{lines}");
    }
}

#[test]
fn answers_without_a_body_end_with_their_head() {
    let (provider, _sandbox, proxy) = scene();
    let cases = [
        ("HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n", Some("1234")),
        ("HEAD", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", None),
        ("HEAD", "HTTP/1.1 200 OK\r\n\r\n", None),
        ("HEAD", "HTTP/1.1 404 No\r\ncontent-length: 9\r\n\r\n", Some("9")),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", None),
        ("DELETE", "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n", Some("0")),
        ("GET", "HTTP/1.1 304 Not Modified\r\netag: \"x\"\r\n\r\n", None),
        ("GET", "HTTP/1.1 304 Not Modified\r\ncontent-length: 77\r\n\r\n", Some("77")),
        ("GET", "HTTP/1.1 205 Reset Content\r\ncontent-length: 0\r\n\r\n", Some("0")),
    ];
    for (method, wire, length) in cases {
        provider.next(Script::raw_open(wire));
        let mut client = proxy.connect();
        client.request((method, "/v1/files"), &KEY, b"");
        let head = client.head();
        assert_eq!(head.header("content-length").as_deref(), length, "{method} {wire}");
        assert_eq!(head.header("transfer-encoding"), None, "{method} {wire}");
        // Nothing follows: the next answer on the connection is the next request's.
        client.request(("GET", "/v1/after"), &KEY, b"");
        let next = client.try_head().expect(wire);
        assert!(next.status == 200 && client.body().1, "{method} {wire}");
    }
    assert_eq!(provider.connections(), 1, "the provider's connection lives on as well");
}

#[test]
fn interim_answers_are_swallowed() {
    let (provider, _sandbox, proxy) = scene();
    let early = "HTTP/1.1 103 Early Hints\r\nlink: </x>; rel=preload\r\nlink: </y>\r\n\r\n";
    let cases = [
        "HTTP/1.1 100 Continue\r\n\r\n".to_owned(),
        "HTTP/1.1 100 Continue\r\nx-with: headers\r\n\r\n".to_owned(),
        "HTTP/1.1 102 Processing\r\n\r\n".to_owned(),
        early.to_owned(),
        "HTTP/1.1 100\r\n\r\nHTTP/1.1 102 x\r\n\r\nHTTP/1.1 102 x\r\n\r\n".to_owned() + early,
        "HTTP/1.1 199 Odd\r\nx: y\r\n\r\n".repeat(30),
    ];
    for api in Api::ALL {
        for interim in &cases {
            for stream in [false, true] {
                let script = Script { interim: interim.clone().into_bytes(), ..Script::default() };
                provider.next(script);
                let answer = proxy.post(api.target(stream), &api.headers(), &api.small(stream));
                assert_eq!((answer.status(), answer.clean), (200, true), "{interim}");
                assert!(answer.body == provider.last().answer, "{interim}");
                assert!(
                    answer.head.header("link").is_none() && answer.head.header("x-with").is_none()
                );
            }
        }
    }
    assert_eq!(provider.connections(), 1);
}

#[test]
fn what_is_no_answer_is_a_bad_gateway() {
    let (provider, sandbox, proxy) = scene();
    let head = "HTTP/1.1 200 OK\r\n";
    let huge = format!("{head}x: {}\r\n\r\n", "y".repeat(200_000));
    let endless = "HTTP/1.1 102 x\r\n\r\n".repeat(500);
    let cases: [(&str, &str); 27] = [
        ("nothing", ""),
        ("half a head", "HTTP/1.1 200 OK\r\ncontent-le"),
        ("half a status line", "HTTP/1."),
        ("a banner", "SSH-2.0-OpenSSH_9.2\r\n"),
        ("a page", "<html><body>Bad Gateway</body></html>"),
        ("JSON", "{\"error\": \"no\"}"),
        ("TLS", "\x15\x03\x01\0\x02\x02\x0a"),
        ("zeros", "\0\0\0\0\0\0\0\0"),
        ("HTTP/2", "HTTP/2 200\r\n\r\n"),
        ("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ("HTTP/0.9", "hello\r\n"),
        ("no status", "HTTP/1.1 banana\r\n\r\n"),
        ("a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n"),
        ("status 0", "HTTP/1.1 000 OK\r\n\r\n"),
        ("negative status", "HTTP/1.1 -20 OK\r\n\r\n"),
        ("switching protocols", "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n"),
        ("a line without a colon", &format!("{head}nonsense\r\n\r\n")),
        ("a name with a blank", &format!("{head}a b: c\r\n\r\n")),
        ("an empty name", &format!("{head}: c\r\n\r\n")),
        ("NUL in a value", &format!("{head}a: b\0c\r\n\r\n")),
        ("two lengths", &format!("{head}content-length: 5\r\ncontent-length: 6\r\n\r\nhello!")),
        ("length -1", &format!("{head}content-length: -1\r\n\r\n")),
        ("length +5", &format!("{head}content-length: +5\r\n\r\nhello")),
        ("length beyond 64 bits", &format!("{head}content-length: 18446744073709551616\r\n\r\n")),
        ("unknown coding", &format!("{head}transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n")),
        ("200 kB of head", &huge),
        ("only interim answers", &endless),
    ];
    let port = provider.port().to_string();
    for (n, (what, wire)) in cases.into_iter().enumerate() {
        for api in [Api::Messages, Api::Chat, Api::Responses, Api::Gemini] {
            let before = provider.seen().len();
            provider.next(Script::raw(wire));
            let answer = proxy.post(api.target(false), &api.headers(), &api.small(false));
            assert_eq!((answer.status(), answer.clean), (502, true), "{what}: {}", answer.text());
            let error = answer.head.header("x-tokenpak-error");
            // What breaks off was not an answer yet.
            let broke_off = wire.is_empty() || what.starts_with("half");
            let want = if broke_off { "upstream-unreachable" } else { "upstream-bad-answer" };
            assert_eq!(error.as_deref(), Some(want), "{what}");
            assert!(answer.json()["error"]["message"].is_string(), "{what}: the client's dialect");
            for secret in ["not-a-key", "/v1", port.as_str(), "Say hello", "banana"] {
                assert!(!answer.text().contains(secret), "{what}: {}", answer.text());
            }
            // A new connection that says nothing at all may be tried again by the client, not by us.
            assert_eq!(provider.seen().len(), before + 1, "{what}: was sent again");
            if n % 9 == 0 {
                let row = sandbox.row(&answer.head.request_id());
                assert_eq!(row.number("status"), Some(502), "{what}");
            }
        }
    }
    assert_eq!(get(&proxy).status(), 200, "the proxy lives on");
}

#[test]
fn broken_bodies_are_never_a_success() {
    let (provider, sandbox, proxy) = scene();
    let te = "transfer-encoding: chunked\r\n";
    let cases = [
        ("short of its length", "content-length: 9\r\n", "hello", "hello"),
        ("nothing of its length", "content-length: 9\r\n", "", ""),
        ("no last chunk", te, "5\r\nhello\r\n", "hello"),
        ("half a last chunk", te, "5\r\nhello\r\n0\r\n", "hello"),
        ("no end of the trailers", te, "5\r\nhello\r\n0\r\nx: 1\r\n", "hello"),
        ("half a chunk", te, "5\r\nhel", "hel"),
        ("no CRLF behind a chunk", te, "5\r\nhello", "hello"),
        ("a chunk too long", te, "5\r\nhello!!\r\n0\r\n\r\n", "hello"),
        ("a size of letters", te, "5\r\nhello\r\nxyz\r\nhello\r\n0\r\n\r\n", "hello"),
        ("a negative size", te, "5\r\nhello\r\n-5\r\nhello\r\n0\r\n\r\n", "hello"),
        ("a size with a sign", te, "5\r\nhello\r\n+5\r\nhello\r\n0\r\n\r\n", "hello"),
        ("a size with 0x", te, "5\r\nhello\r\n0x5\r\nhello\r\n0\r\n\r\n", "hello"),
        ("an empty size", te, "5\r\nhello\r\n\r\nhello\r\n0\r\n\r\n", "hello"),
        ("two sizes", te, "5\r\nhello\r\n5 5\r\nhello\r\n0\r\n\r\n", "hello"),
        (
            "a size beyond 64 bits",
            te,
            "5\r\nhello\r\n10000000000000005\r\nhello\r\n0\r\n\r\n",
            "hello",
        ),
        ("a size with a bare LF", te, "5\r\nhello\r\n5\nhello\r\n0\r\n\r\n", "hello"),
    ];
    let mut asked = Vec::new();
    for (what, lines, wire, want) in cases {
        for target in ["/v1/files", "/v1/messages", "/v1/chat/completions"] {
            provider.next(Script::raw(format!("HTTP/1.1 200 OK\r\n{lines}\r\n{wire}")));
            let mut client = proxy.connect();
            client.request(("POST", target), &KEY, b"{}");
            let answer = client.answer();
            assert_eq!((answer.status(), answer.text().as_str()), (200, want), "{what}");
            assert!(!answer.clean && client.closed(), "{what}: {target}");
            asked.push((answer.head.request_id(), what, target));
        }
    }
    for (id, what, target) in asked {
        assert_eq!(sandbox.row(&id).text("error"), "cut", "{what}: {target}");
    }
}

#[test]
fn old_providers_are_understood() {
    let (provider, _sandbox, proxy) = scene();
    let cases = [
        ("HTTP/1.0 200 OK\r\n\r\nhello", "hello"),
        ("HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello", "hello"),
        ("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 5\r\n\r\nhello", "hello"),
        ("HTTP/1.1 200 OK\nx: y\ncontent-length: 5\n\nhello", "hello"),
    ];
    for (wire, want) in cases {
        provider.next(Script::raw(wire));
        let mut client = proxy.connect();
        client.request(("GET", "/v1/files"), &KEY, b"");
        let answer = client.answer();
        assert_eq!((answer.text().as_str(), answer.clean), (want, true), "{wire}");
        client.request(("GET", "/v1/files"), &KEY, b"");
        assert_eq!(client.answer().status(), 200, "{wire}: our own connection lives on");
    }
}

#[test]
fn old_clients_get_no_chunks() {
    let (provider, _sandbox, proxy) = scene();
    let ask = |target: &str| {
        let mut client = proxy.connect();
        client.send(format!("GET {target} HTTP/1.0\r\nauthorization: Bearer sk-x\r\n\r\n"));
        let answer = client.answer();
        assert_eq!(answer.head.header("transfer-encoding"), None);
        assert!(client.closed());
        answer
    };
    provider.next(Script::raw(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    ));
    assert_eq!(ask("/v1/files").text(), "hello");
    provider.next(Script::raw("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"));
    assert_eq!(ask("/v1/files").text(), "hello");
}

#[test]
fn old_clients_are_reset_where_the_answer_breaks() {
    let (provider, sandbox, proxy) = scene();
    for wire in [
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\n",
    ] {
        provider.next(Script::raw(wire));
        let mut client = proxy.connect();
        client.send("GET /v1/files HTTP/1.0\r\nauthorization: Bearer sk-x\r\n\r\n");
        // Without a length and without chunks, only a reset says that this was not all.
        let head = client.head();
        client.body();
        assert!(client.was_reset(), "{wire}");
        assert_eq!(sandbox.row(&head.request_id()).text("error"), "cut");
    }
}

#[test]
fn folded_and_spaced_headers_become_plain_ones() {
    let (provider, _sandbox, proxy) = scene();
    let wire = "HTTP/1.1 200 OK\r\nx-folded: one\r\n two\r\n\tthree\r\nx-spaced : y\r\n\
        content-length: 2\r\n\r\nok";
    provider.next(Script::raw(wire));
    let answer = get(&proxy);
    assert_eq!(answer.text(), "ok");
    let folded = answer.head.header("x-folded").unwrap();
    assert_eq!(folded.split_whitespace().collect::<Vec<_>>(), ["one", "two", "three"]);
    assert_eq!(answer.head.header("x-spaced").as_deref(), Some("y"));
}

#[test]
fn provider_that_wants_its_connection_closed_gets_a_new_one() {
    let (provider, _sandbox, proxy) = scene();
    for wire in [
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nConnection: Keep-Alive, Close\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        // More than was announced: nobody knows what it is.
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad",
    ] {
        let before = provider.connections();
        provider.next(Script::raw_open(wire));
        assert_eq!(get(&proxy).text(), "ok", "{wire}");
        assert!(get(&proxy).text().contains("GET"), "{wire}");
        assert!(provider.connections() > before, "{wire}: used again");
        provider.drop_idle();
    }
}
