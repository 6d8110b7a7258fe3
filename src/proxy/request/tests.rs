//! Heads and bodies as tables: text, and what it must come to.

use super::body::BodyReader;
use super::*;

/// The head and body of `text`, or the refusal's status.
fn whole(text: &[u8]) -> Result<Option<(Head, Vec<u8>)>, u16> {
    let Some((head, length)) = HeadReader::default().read(text).map_err(|r| r.status)? else {
        return Ok(None);
    };
    let (mut body, mut reader) = (Vec::new(), BodyReader::new(head.framing, u64::MAX));
    reader.feed(&text[length..], &mut body).map_err(|r| r.status)?;
    Ok(reader.is_done().then_some((head, body)))
}

#[test]
fn framing_that_two_programs_could_read_differently_is_refused() {
    for (text, want) in [
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", Ok("hi")),
        (
            "POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: Chunked\r\n\r\n2;x=y\r\nhi\r\n0\r\nt: 1\r\n\r\n",
            Ok("hi"),
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\nhi",
            Err(400),
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
            Err(400),
        ),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +2\r\n\r\nhi", Err(400)),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2, 2\r\n\r\nhi", Err(400)),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n", Err(400)),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", Err(400)),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", Err(400)),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n+2\r\nhi\r\n0\r\n\r\n",
            Err(400),
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\nhi\r\n0\r\n\r\n",
            Err(400),
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
            Err(400),
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhix0\r\n\r\n",
            Err(400),
        ),
        ("GET / HTTP/1.1\r\n\r\n", Err(400)),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Err(400)),
        ("GET / HTTP/1.0\r\n\r\n", Ok("")),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", Err(505)),
        ("GET / HTTX/1.1\r\nHost: a\r\n\r\n", Err(400)),
        ("GET / HTTP/1.1\nHost: a\n\n", Err(400)),
        ("GET / HTTP/1.1\r\nHost: a\r\nx: a\rb\r\n\r\n", Err(400)),
        ("GET / HTTP/1.1\r\nHost: a\r\nx: a\r\n b\r\n\r\n", Err(400)),
        ("GET / HTTP/1.1\r\nHost: a\r\nx : a\r\n\r\n", Err(400)),
        ("GET / HTTP/1.1\r\nHost: a\r\n: a\r\n\r\n", Err(400)),
        ("GET / HTTP/1.1\r\nHost: a\r\nx: a\0b\r\n\r\n", Err(400)),
        ("GET / HTTP/1.1\r\nHost: a\r\nExpect: magic\r\n\r\n", Err(417)),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Ok("")),
    ] {
        let got = whole(text.as_bytes()).map(|done| done.map(|(_, body)| body));
        assert_eq!(got, want.map(|body| Some(body.as_bytes().to_vec())), "{text:?}");
    }
}

#[test]
fn any_split_gives_the_same_request() {
    let text = b"POST /a?b HTTP/1.1\r\nHost: a\r\nX: \xe9\r\nTransfer-Encoding: chunked\r\n\r\n\
                 3\r\nabc\r\n0a;e\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n";
    for split in 0..text.len() {
        let (mut reader, mut buffer) = (HeadReader::default(), Vec::new());
        let (mut body, mut head) = (Vec::new(), None);
        for part in [&text[..split], &text[split..]] {
            buffer.extend_from_slice(part);
            if head.is_none() {
                let Some((found, length)) = reader.read(&buffer).unwrap() else { continue };
                buffer.drain(..length);
                head = Some((BodyReader::new(found.framing, u64::MAX), found));
            }
            let (reader, _) = head.as_mut().unwrap();
            let taken = reader.feed(&buffer, &mut body).unwrap();
            buffer.drain(..taken);
        }
        let (reader, head) = head.unwrap();
        assert!(reader.is_done() && buffer.is_empty(), "split at {split}");
        assert_eq!(body, b"abc0123456789");
        assert_eq!(head.header("x"), Some(&b"\xe9"[..]));
        assert_eq!(head.target(), "/a?b");
    }
}

#[test]
fn heads_have_limits() {
    let long = format!("GET / HTTP/1.1\r\nHost: a\r\nx: {}\r\n\r\n", "a".repeat(HEAD_BYTES_MAX));
    assert_eq!(whole(long.as_bytes()).unwrap_err(), 431);
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "x: a\r\n".repeat(HEADERS_MAX));
    assert_eq!(whole(many.as_bytes()).unwrap_err(), 431);
    let target = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(TARGET_BYTES_MAX));
    assert_eq!(whole(target.as_bytes()).unwrap_err(), 414);
}
