//! Heads as tables, each at every split.

use super::*;

/// Status, reason and headers as lines, or what is wrong.
fn head(text: &[u8], cut: usize) -> Result<Option<(ReplyHead, usize)>, Malformed> {
    let mut reader = HeadReader::default();
    let mut at = 0;
    for piece in [&text[..cut], &text[cut..]] {
        let (used, head) = reader.feed(piece)?;
        at += used;
        if let Some(head) = head {
            return Ok(Some((head, at)));
        }
    }
    Ok(None)
}

fn lines(head: &ReplyHead) -> String {
    let mut out = format!("{} {}", head.status(), String::from_utf8_lossy(head.reason()));
    for (name, value) in head.headers() {
        let [name, value] = [name, value].map(String::from_utf8_lossy);
        out.push_str(&format!("|{name}={value}"));
    }
    out
}

#[test]
fn heads_are_read_at_any_split() {
    check("HTTP/1.1 200 OK\r\nA: b\r\nc:d\r\n\r\nbody", Some("200 OK|A=b|c=d"));
    check("HTTP/1.1 200\r\n\r\n", Some("200 "));
    check("HTTP/1.1 200 \r\nx:\r\n\r\n", Some("200 |x="));
    check("HTTP/1.0 404 Not Here At All\r\n\r\n", Some("404 Not Here At All"));
    check("HTTP/1.1 999 caf\u{e9}\r\nx: caf\u{e9}\r\n\r\n", Some("999 caf\u{e9}|x=caf\u{e9}"));
    check("HTTP/1.1 200 OK\nA: b\n\nbody", Some("200 OK|A=b"));
    check("\r\nHTTP/1.1 200 OK\r\n\r\n", Some("200 OK"));
    check("HTTP/1.1 200 OK\r\nA : b\r\n\r\n", Some("200 OK|A=b"));
    check("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", Some("200 OK|A=b   c"));
    check("HTTP/1.1 200 OK\r\n!#$%&'*+-.^_`|~: x\r\n\r\n", Some("200 OK|!#$%&'*+-.^_`|~=x"));
    check("HTTP/1.1 200 OK\r\nA: b\r\n", None);
    for text in [
        "SSH-2.0-x",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 banana\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 000 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: \0\r\n\r\n",
        "{\"error\": 1}",
        "<html>",
    ] {
        for cut in 0..=text.len() {
            assert!(head(text.as_bytes(), cut).is_err(), "{text:?} at {cut}");
        }
    }

    #[track_caller]
    fn check(text: &str, want: Option<&str>) {
        let bytes = text.as_bytes();
        for cut in 0..=bytes.len() {
            let found = head(bytes, cut).unwrap();
            assert_eq!(found.as_ref().map(|(head, _)| lines(head)).as_deref(), want, "{text:?}");
            if let Some((_, used)) = found {
                assert!(matches!(&bytes[used..], b"" | b"body"), "{text:?} at {cut}");
            }
        }
    }
}

#[test]
fn heads_have_a_limit_in_lines_and_bytes() {
    let many = |count: usize| -> String {
        let lines: String = (0..count).map(|n| format!("h{n}: {n}\r\n")).collect();
        format!("HTTP/1.1 200 OK\r\n{lines}\r\n")
    };
    let (found, _) = head(many(HEADERS_MAX).as_bytes(), 9).unwrap().unwrap();
    assert_eq!(found.headers().count(), HEADERS_MAX);
    assert!(head(many(HEADERS_MAX + 1).as_bytes(), 9).is_err());
    let long = format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "x".repeat(HEAD_BYTES_MAX));
    assert!(head(long.as_bytes(), 70_000).is_err());
    assert!(HeadReader::default().feed(&long.as_bytes()[..HEAD_BYTES_MAX + 1]).is_err());
}

#[test]
fn framing_follows_the_rfc() {
    const OK: &str = "HTTP/1.1 200 OK\r\n";
    check("GET", OK, "Content-Length: 5\r\n", Some(Framing::Length(5)), true);
    check("GET", OK, "Content-Length: 5\r\ncontent-length: 5\r\n", Some(Framing::Length(5)), true);
    check("GET", OK, "Content-Length: 5, 5\r\n", Some(Framing::Length(5)), true);
    check("GET", OK, "Content-Length: 5\r\ncontent-length: 6\r\n", None, true);
    for bad in ["+5", "-1", "5x", "", "5,", "99999999999999999999", "0x5"] {
        let want = (bad == "5,").then_some(Framing::Length(5));
        check("GET", OK, &format!("Content-Length: {bad}\r\n"), want, true);
    }
    check("GET", OK, "Transfer-Encoding: Chunked\r\n", Some(Framing::Chunks), true);
    let both = "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n";
    check("GET", OK, both, Some(Framing::Chunks), false);
    check("GET", OK, "Transfer-Encoding: identity\r\n", Some(Framing::Close), true);
    check("GET", OK, "Transfer-Encoding: gzip, chunked\r\n", None, true);
    check("GET", OK, "Transfer-Encoding: chunked\r\ntransfer-encoding: chunked\r\n", None, true);
    check("GET", OK, "", Some(Framing::Close), true);
    check("HEAD", OK, "Content-Length: 5\r\n", Some(Framing::None), true);
    check("GET", "HTTP/1.1 204 \r\n", "Content-Length: 5\r\n", Some(Framing::None), true);
    check("GET", "HTTP/1.1 304 \r\n", "Content-Length: 5\r\n", Some(Framing::None), true);
    check("GET", "HTTP/1.1 205 \r\n", "Content-Length: 0\r\n", Some(Framing::Length(0)), true);
    let length = Some(Framing::Length(5));
    check("GET", OK, "Connection: x, Close\r\nContent-Length: 5\r\n", length, false);
    check("GET", "HTTP/1.0 200 \r\n", "Content-Length: 5\r\n", length, false);
    let kept = "Connection: keep-alive\r\nContent-Length: 5\r\n";
    check("GET", "HTTP/1.0 200 \r\n", kept, length, true);

    #[track_caller]
    fn check(method: &str, line: &str, headers: &str, want: Option<Framing>, persistent: bool) {
        let text = format!("{line}{headers}\r\n");
        let (head, _) = head(text.as_bytes(), 0).unwrap().unwrap();
        assert_eq!(head.framing(method).ok(), want, "{method} {text:?}");
        assert_eq!(head.is_persistent(), persistent, "{text:?}");
    }
}

#[test]
fn heads_have_limits_and_later_versions_are_read_as_ours() {
    let many = |count| format!("HTTP/1.1 200 OK\r\n{}\r\n", "a:b\r\n".repeat(count));
    let read = |text: String| head(text.as_bytes(), 0).map(|done| done.map(|(head, _)| head));
    assert_eq!(read(many(HEADERS_MAX)).unwrap().unwrap().headers().count(), HEADERS_MAX);
    for count in [HEADERS_MAX + 1, 15_000, 25_000] {
        assert!(read(many(count)).is_err(), "{count}");
    }
    for (version, want) in [("1.1", true), ("1.2", true), ("1.9", true), ("1.0", false)] {
        let head = read(format!("HTTP/{version} 200 OK\r\ncontent-length: 0\r\n\r\n"));
        assert_eq!(head.unwrap().unwrap().is_persistent(), want, "{version}");
    }
    for version in ["1.", "1.12", "1.x", "2.0", "0.9", "3"] {
        assert!(read(format!("HTTP/{version} 200 OK\r\n\r\n")).is_err(), "{version}");
    }
}
