//! The table. Every request carries a dummy key, so that a proxy which routes by keys forwards it.

use super::{Case, End};

const KEY: &str = "Host: localhost\r\nauthorization: Bearer sk-dummy\r\n";
const NEXT: &str =
    "GET /smuggled HTTP/1.1\r\nHost: localhost\r\nauthorization: Bearer sk-dummy\r\n\r\n";

struct Table(Vec<Case>);

impl Table {
    fn add(
        &mut self,
        (group, name): (&'static str, &str),
        bytes: Vec<u8>,
        answers: &[u16],
        end: End,
    ) {
        let bodiless = bytes.starts_with(b"HEAD");
        let (name, answers) = (name.to_owned(), answers.to_vec());
        self.0.push(Case { group, name, bytes, answers, end, bodiless });
    }

    /// A POST with these header lines and this body is refused, and what follows is not a request.
    fn bad_framing(&mut self, name: &str, headers: &str, body: &str) {
        let text = format!("POST /v1/files HTTP/1.1\r\n{KEY}{headers}\r\n{body}{NEXT}");
        self.add(("framing", name), text.into_bytes(), &[400], End::Closed);
    }

    fn good_framing(&mut self, name: &str, headers: &str, body: &str) {
        let text = format!("POST /v1/files HTTP/1.1\r\n{KEY}{headers}\r\n{body}");
        self.add(("framing", name), text.into_bytes(), &[200], End::Open);
    }

    fn head(&mut self, name: &str, bytes: impl AsRef<[u8]>, status: u16) {
        self.add(("request line", name), bytes.as_ref().to_vec(), &[status], End::Closed);
    }

    fn target(&mut self, target: &str, status: u16, end: End) {
        let text = format!("GET {target} HTTP/1.1\r\n{KEY}\r\n");
        self.add(("target", &format!("GET {target:.40}")), text.into_bytes(), &[status], end);
    }

    fn header(&mut self, name: &str, line: impl AsRef<[u8]>, status: u16) {
        let end = if status == 200 { End::Open } else { End::Closed };
        let bytes =
            [b"GET /v1/files HTTP/1.1\r\n", KEY.as_bytes(), line.as_ref(), b"\r\n"].concat();
        self.add(("header", name), bytes, &[status], end);
    }
}

pub(crate) fn all() -> Vec<Case> {
    let mut table = Table(Vec::new());
    lengths(&mut table);
    encodings(&mut table);
    chunks(&mut table);
    request_lines(&mut table);
    targets(&mut table);
    headers(&mut table);
    hosts(&mut table);
    methods(&mut table);
    connections(&mut table);
    table.0
}

fn lengths(table: &mut Table) {
    let length = |value: &str| format!("Content-Length: {value}\r\n");
    table.good_framing("length", &length("5"), "hello");
    table.good_framing("length with leading zeros", &length("0005"), "hello");
    table.good_framing("length with blanks around", &length(" \t5 \t"), "hello");
    table.good_framing("length 0", &length("0"), "");
    table.good_framing("no length at all", "", "");
    for value in [
        "+5",
        "-5",
        "-0",
        "0x5",
        "5 5",
        "5, 5",
        "5,6",
        "5,",
        "",
        "5.0",
        "5e0",
        "five",
        "\"5\"",
        "5;",
        "\u{666}",
        "99999999999999999999",
        "18446744073709551616",
        "184467440737095516160000",
        "5\u{b}",
    ] {
        table.bad_framing(&format!("length {value:?}"), &length(value), "hello");
    }
    table.bad_framing("length twice, equal", &length("5").repeat(2), "hello");
    table.bad_framing("length twice, different", &[length("5"), length("6")].concat(), "hello");
    table.bad_framing("length, then length 0", &[length("5"), length("0")].concat(), "hello");
    table.bad_framing("length with a blank before the colon", "Content-Length : 5\r\n", "hello");
}

fn encodings(table: &mut Table) {
    let chunked = "5\r\nhello\r\n0\r\n\r\n";
    for value in ["chunked", "Chunked", "CHUNKED", "\tchunked", " chunked \t"] {
        table.good_framing(
            &format!("encoding {value:?}"),
            &format!("Transfer-Encoding:{value}\r\n"),
            chunked,
        );
    }
    for value in [
        "chunked, chunked",
        "gzip, chunked",
        "chunked, gzip",
        "identity",
        "chunked, identity",
        "xchunked",
        "chunkedx",
        "chunked;q=1",
        "\"chunked\"",
        "",
        "chunked,",
        ",chunked",
        "chunked\u{b}",
        "\u{b}chunked",
        "chun ked",
        "gzip",
    ] {
        table.bad_framing(
            &format!("encoding {value:?}"),
            &format!("Transfer-Encoding: {value}\r\n"),
            chunked,
        );
    }
    let (length, te) = ("Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n");
    table.bad_framing("length and chunked", &format!("{length}{te}"), chunked);
    table.bad_framing("chunked and length", &format!("{te}{length}"), chunked);
    table.bad_framing("chunked and length 0", &format!("{te}Content-Length: 0\r\n"), chunked);
    table.bad_framing("chunked twice", &te.repeat(2), chunked);
    table.bad_framing(
        "chunked and identity apart",
        &format!("{te}Transfer-Encoding: identity\r\n"),
        chunked,
    );
    table.bad_framing("blank before the colon", "Transfer-Encoding : chunked\r\n", chunked);
    table.bad_framing("tab before the colon", "Transfer-Encoding\t: chunked\r\n", chunked);
    table.bad_framing("folded", "Transfer-Encoding:\r\n chunked\r\n", chunked);
    table.bad_framing(
        "folded, behind a length",
        &format!("{length}Transfer-Encoding:\r\n\tchunked\r\n"),
        chunked,
    );
    let old = format!("POST /v1/files HTTP/1.0\r\n{KEY}{te}\r\n{chunked}{NEXT}");
    table.add(("framing", "chunked in HTTP/1.0"), old.into_bytes(), &[400], End::Closed);
}

fn chunks(table: &mut Table) {
    let te = "Transfer-Encoding: chunked\r\n";
    for (name, body) in [
        ("two chunks", "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"),
        ("size in capitals", "A\r\n0123456789\r\n0\r\n\r\n"),
        ("size with leading zeros", "000000000005\r\nhello\r\n000\r\n\r\n"),
        ("extension", "5;a=b\r\nhello\r\n0;c\r\n\r\n"),
        ("extension in quotes", "5;a=\"b;c d\"\r\nhello\r\n0\r\n\r\n"),
        ("extension behind a blank", "5 ; a=b\r\nhello\r\n0\r\n\r\n"),
        ("trailers", "5\r\nhello\r\n0\r\nX-A: 1\r\nX-B: 2\r\n\r\n"),
        ("forbidden trailers", "5\r\nhello\r\n0\r\nContent-Length: 9\r\nHost: e.test\r\n\r\n"),
        ("nothing in it", "0\r\n\r\n"),
    ] {
        table.good_framing(&format!("chunks: {name}"), te, body);
    }
    for (name, body) in [
        ("no size", "\r\nhello\r\n0\r\n\r\n"),
        ("negative size", "-5\r\nhello\r\n0\r\n\r\n"),
        ("signed size", "+5\r\nhello\r\n0\r\n\r\n"),
        ("0x before the size", "0x5\r\nhello\r\n0\r\n\r\n"),
        ("size of 17 digits", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
        ("size of 20 digits", "fffffffffffffffffffb\r\nhello\r\n0\r\n\r\n"),
        ("blank before the size", " 5\r\nhello\r\n0\r\n\r\n"),
        ("size in two parts", "5 5\r\nhello\r\n0\r\n\r\n"),
        ("letters for a size", "xyz\r\nhello\r\n0\r\n\r\n"),
        ("bare LF behind the size", "5\nhello\r\n0\r\n\r\n"),
        ("bare CR behind the size", "5\rhello\r\n0\r\n\r\n"),
        ("bare CR in an extension", "5;a=\rb\r\nhello\r\n0\r\n\r\n"),
        ("bare LF in an extension", "5;a=\nb\r\nhello\r\n0\r\n\r\n"),
        ("NUL in an extension", "5;a=\0\r\nhello\r\n0\r\n\r\n"),
        ("no CRLF behind the data", "5\r\nhello0\r\n\r\n"),
        ("LF behind the data", "5\r\nhello\n0\r\n\r\n"),
        ("data longer than said", "3\r\nhello\r\n0\r\n\r\n"),
        ("trailer without a colon", "5\r\nhello\r\n0\r\nnonsense\r\n\r\n"),
        ("trailer with a blank before the colon", "5\r\nhello\r\n0\r\nX : 1\r\n\r\n"),
        ("trailer with a bare CR", "5\r\nhello\r\n0\r\nX: a\rb\r\n\r\n"),
        ("folded trailer", "5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n"),
    ] {
        table.bad_framing(&format!("chunks: {name}"), te, body);
    }
    table.bad_framing(
        "chunks: endless extension",
        te,
        &format!("5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(20_000)),
    );
}

fn request_lines(table: &mut Table) {
    let host = "Host: localhost\r\n\r\n";
    for (name, line) in [
        ("two blanks behind the method", "GET  / HTTP/1.1\r\n"),
        ("two blanks behind the target", "GET /  HTTP/1.1\r\n"),
        ("tab for a blank", "GET\t/ HTTP/1.1\r\n"),
        ("blank at the front", " GET / HTTP/1.1\r\n"),
        ("blank at the end", "GET / HTTP/1.1 \r\n"),
        ("something at the end", "GET / HTTP/1.1 x\r\n"),
        ("no target", "GET HTTP/1.1\r\n"),
        ("no version", "GET /\r\n"),
        ("lower-case version", "GET / http/1.1\r\n"),
        ("HTTP/1", "GET / HTTP/1\r\n"),
        ("HTTP/1.", "GET / HTTP/1.\r\n"),
        ("HTTP/1.11", "GET / HTTP/1.11\r\n"),
        ("HTTP/11.1", "GET / HTTP/11.1\r\n"),
        ("another protocol", "GET / HTTQ/1.1\r\n"),
        ("control character in the method", "G\u{1}T / HTTP/1.1\r\n"),
        ("brackets in the method", "G[]T / HTTP/1.1\r\n"),
        ("control character in the target", "GET /\u{7} HTTP/1.1\r\n"),
        ("NUL in the target", "GET /\0 HTTP/1.1\r\n"),
        ("bare LF", "GET / HTTP/1.1\n"),
        ("bare CR", "GET / HTTP/1.1\r"),
        ("CR CR LF", "GET / HTTP/1.1\r\r\n"),
    ] {
        table.head(name, format!("{line}{host}"), 400);
    }
    table.head("HTTP/0.9", "GET /\r\n\r\n", 400);
    table.head("TLS", b"\x16\x03\x01\x00\x05hello\r\n\r\n", 400);
    table.head("only LF", "\n\n\n\n", 400);
    table.head("endless empty lines", "\r\n".repeat(5000), 400);
    for version in ["2.0", "1.2", "3.0", "0.9", "1.9"] {
        table.head(&format!("HTTP/{version}"), format!("GET / HTTP/{version}\r\n{host}"), 505);
    }
    table.head("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0", 505);
    let request = format!("GET /v1/files HTTP/1.1\r\n{KEY}\r\n");
    let lines = |count| format!("{}{request}", "\r\n".repeat(count)).into_bytes();
    table.add(("request line", "an empty line before"), lines(1), &[200], End::Open);
    table.add(("request line", "three empty lines before"), lines(3), &[200], End::Open);
}

fn targets(table: &mut Table) {
    for target in [
        "/v1/x",
        "/v1/x?",
        "/v1/x?a=b&c=d",
        "/v1//x",
        "//v1/x",
        "/v1/../x",
        "/v1/./x",
        "/v1/%2e%2e/x",
        "/v1/%2F",
        "/v1/%zz",
        "/v1/%",
        "/v1/a[1]",
        "/v1/a|b",
        "/v1/{a}",
        "/v1/\"a\"",
        "/v1/a;b=c,d",
        "/v1/~a!b$c&d'e(f)*g+h",
        "/v1/a:b@c",
        "/v1/x?u=http://e.test/",
        "/v1/x?a[]=1&b={}|^",
        "/v1/x??",
        "/v1/\u{e9}\u{4e2d}",
        "/v1/x?q=\u{e9}",
        "?a=b/",
    ] {
        let status = if target.starts_with('?') { 400 } else { 200 };
        table.target(target, status, if status == 200 { End::Open } else { End::Closed });
    }
    for target in ["http://localhost/v1/x", "HTTP://e.test:80/v1/x?a=b", "https://e.test/v1/x"] {
        table.target(target, 200, End::Open);
    }
    for target in [
        "*",
        "e.test:443",
        "localhost/v1/x",
        "v1/x",
        "/v1/x#part",
        "/v1/x?a#part",
        "http://",
        "http:///v1/x",
        "://x",
        "/a b",
        "x?u=http://e.test/",
        "ftp://e.test/x",
    ] {
        table.target(target, 400, End::Closed);
    }
    table.target(&format!("/v1/{}", "a".repeat(15 * 1024)), 200, End::Open);
    table.target(&format!("/v1/{}", "a".repeat(17 * 1024)), 414, End::Closed);
    table.target(&format!("/v1/{}", "a".repeat(200 * 1024)), 414, End::Closed);
    let latin = [b"GET /v1/\xe9 HTTP/1.1\r\n", KEY.as_bytes(), b"\r\n"].concat();
    table.add(("target", "latin-1"), latin, &[400], End::Any);
}

fn headers(table: &mut Table) {
    table.header("latin-1 value", b"X-A: caf\xe9\r\n", 200);
    table.header("UTF-8 value", "X-A: caf\u{e9}\r\n", 200);
    table.header("empty value", "X-A:\r\n", 200);
    table.header("tab inside", "X-A: a\tb\r\n", 200);
    table.header("odd name", "!#$%&'*+-.^_`|~0: 1\r\n", 200);
    table.header("200 lines in all", "X-A: 1\r\n".repeat(198), 200);
    table.header("60 kB", format!("X-A: {}\r\n", "a".repeat(60_000)), 200);
    for (name, line) in [
        ("no colon", &b"nonsense\r\n"[..]),
        ("empty name", b": 1\r\n"),
        ("blank before the colon", b"X-A : 1\r\n"),
        ("blank in the name", b"X A: 1\r\n"),
        ("bracket in the name", b"X(A): 1\r\n"),
        ("latin-1 in the name", b"X-\xe9: 1\r\n"),
        ("folded with a blank", b"X-A: 1\r\n 2\r\n"),
        ("folded with a tab", b"X-A: 1\r\n\t2\r\n"),
        ("folded, empty", b"X-A: 1\r\n \r\n"),
        ("NUL", b"X-A: a\0b\r\n"),
        ("NUL in the name", b"X\0A: 1\r\n"),
        ("bare CR", b"X-A: a\rb\r\n"),
        ("bare LF", b"X-A: 1\nX-B: 2\r\n"),
        ("LF at the end", b"X-A: 1\n"),
        ("DEL", b"X-A: \x7f\r\n"),
        ("escape", b"X-A: \x1b[0m\r\n"),
    ] {
        table.header(name, line, 400);
    }
    table.header("300 lines", "X-A: 1\r\n".repeat(300), 431);
    table.header("100 kB", format!("X-A: {}\r\n", "a".repeat(100_000)), 431);
    let folded = format!("GET /v1/x HTTP/1.1\r\n {KEY}\r\n");
    table.add(("header", "blank before the first"), folded.into_bytes(), &[400], End::Closed);
}

fn hosts(table: &mut Table) {
    let request = |hosts: &str, version: &str| {
        format!("GET /v1/files HTTP/{version}\r\n{hosts}authorization: Bearer sk-dummy\r\n\r\n")
            .into_bytes()
    };
    table.add(("host", "none"), request("", "1.1"), &[400], End::Closed);
    table.add(
        ("host", "two"),
        request("Host: localhost\r\nHost: localhost\r\n", "1.1"),
        &[400],
        End::Closed,
    );
    table.add(
        ("host", "two, different"),
        request("Host: localhost\r\nhost: e.test\r\n", "1.1"),
        &[400],
        End::Closed,
    );
    table.add(("host", "none in HTTP/1.0"), request("", "1.0"), &[200], End::Closed);
    table.add(
        ("host", "two in HTTP/1.0"),
        request("Host: a\r\nHost: b\r\n", "1.0"),
        &[400],
        End::Closed,
    );
    table.add(
        ("host", "none, absolute target"),
        b"GET http://localhost/ HTTP/1.1\r\n\r\n".to_vec(),
        &[400],
        End::Closed,
    );
}

fn methods(table: &mut Table) {
    for method in [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", "PROPFIND",
        "X-ODD~1",
    ] {
        let text = format!("{method} /v1/files HTTP/1.1\r\n{KEY}\r\n");
        table.add(("method", method), text.into_bytes(), &[200], End::Open);
    }
    for method in ["DELETE", "PATCH", "PUT", "OPTIONS", "GET", "REPORT"] {
        let text = format!("{method} /v1/files HTTP/1.1\r\n{KEY}Content-Length: 2\r\n\r\nhi");
        table.add(
            ("method", &format!("{method} with a body")),
            text.into_bytes(),
            &[200],
            End::Open,
        );
    }
    let connect = "CONNECT e.test:443 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    table.add(("method", "CONNECT"), connect.into(), &[405], End::Closed);
}

fn connections(table: &mut Table) {
    let get = |n: usize, more: &str| format!("GET /v1/files/{n} HTTP/1.1\r\n{KEY}{more}\r\n");
    let post =
        |n: usize| format!("POST /v1/files/{n} HTTP/1.1\r\n{KEY}Content-Length: 5\r\n\r\nhello");
    let ten: String = (0..10).map(|n| if n % 2 == 0 { get(n, "") } else { post(n) }).collect();
    table.add(("connection", "ten at once"), ten.into(), &[200; 10], End::Open);
    let bad = format!("{}{}{}", get(1, ""), get(2, "X : 1\r\n"), get(3, ""));
    table.add(("connection", "a bad one in the middle"), bad.into(), &[200, 400], End::Closed);
    let close = format!("{}{}{}", get(1, ""), get(2, "Connection: close\r\n"), get(3, ""));
    table.add(("connection", "nothing behind close"), close.into(), &[200, 200], End::Closed);
    let mixed = format!("{}{}", get(1, "Connection: keep-alive, CLOSE\r\n"), get(2, ""));
    table.add(("connection", "close among others"), mixed.into(), &[200], End::Closed);
    let old = |more: &str| format!("GET /v1/files HTTP/1.0\r\n{KEY}{more}\r\n");
    table.add(("connection", "HTTP/1.0"), old("").into(), &[200], End::Closed);
    table.add(
        ("connection", "HTTP/1.0 and another"),
        format!("{}{}", old(""), old("")).into(),
        &[200],
        End::Closed,
    );
    let kept = old("Connection: keep-alive\r\n");
    table.add(("connection", "HTTP/1.0 kept alive"), kept.into(), &[200], End::Open);
    let expect = |value: &str| {
        format!("POST /v1/files HTTP/1.1\r\n{KEY}Expect: {value}\r\nContent-Length: 2\r\n\r\n")
    };
    table.add(("connection", "unknown expectation"), expect("miracles").into(), &[417], End::Any);
    let unasked = format!("{}hi", expect("100-continue"));
    table.add(("connection", "body sent without waiting"), unasked.into(), &[200], End::Open);
    let old = format!(
        "POST /v1/files HTTP/1.0\r\n{KEY}Expect: 100-continue\r\nContent-Length: 2\r\n\r\nhi"
    );
    table.add(("connection", "expectation in HTTP/1.0"), old.into(), &[200], End::Closed);
    let h2c = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n";
    table.add(("connection", "h2c is ignored"), get(1, h2c).into(), &[200], End::Open);
}
