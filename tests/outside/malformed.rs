//! Requests that are none: refused, and the connection closed, whatever else they hoped for.

use crate::provider::Provider;
use crate::sandbox::Proxy;
use crate::support::{Api, scene};

const POST: &str = "POST /v1/messages HTTP/1.1\r\nhost: localhost\r\nx-api-key: sk-ant-x\r\n\
    anthropic-version: 2023-06-01\r\n";

/// Sends bytes and expects a status, a closed connection, and nothing upstream.
#[track_caller]
fn refused(scene: &(Provider, Proxy), status: u16, bytes: &str) {
    let (provider, proxy) = scene;
    let before = provider.seen().len();
    let mut client = proxy.connect();
    client.send(bytes.as_bytes());
    let head = client.head();
    let bytes = &bytes[..bytes.len().min(300)];
    assert_eq!(head.status, status, "{bytes:?}");
    let (_, clean) = client.body();
    assert!(clean, "{bytes:?}");
    assert!(client.closed(), "{bytes:?}: the connection stays open");
    assert_eq!(provider.seen().len(), before, "{bytes:?} went upstream");
}

#[test]
fn bad_framing_is_refused() {
    let (provider, _sandbox, proxy) = scene();
    let scene = (provider, proxy);
    let smuggled = "GET /smuggled HTTP/1.1\r\nhost: localhost\r\n\r\n";
    for framing in [
        "content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n",
        "content-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        "content-length: 3, 4\r\n\r\nabcd",
        "content-length: +5\r\n\r\nabcde",
        "content-length: -1\r\n\r\n",
        "content-length: 0x5\r\n\r\nabcde",
        "content-length: 5 5\r\n\r\nabcde",
        "content-length:\r\n\r\n",
        "content-length: 99999999999999999999999\r\n\r\n",
        "transfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        "transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "transfer-encoding: identity\r\n\r\n",
        "transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\nxyz\r\n",
        "transfer-encoding: chunked\r\n\r\n-1\r\n",
        "transfer-encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n3\nabc\n0\n\n",
        "transfer-encoding: chunked\r\n\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        "transfer-encoding: chunked\r\n\r\n10000000000000000\r\nabc\r\n",
    ] {
        refused(&scene, 400, &format!("{POST}{framing}{smuggled}"));
    }
    lives(&scene);
}

#[test]
fn bad_heads_are_refused() {
    let (provider, _sandbox, proxy) = scene();
    let scene = (provider, proxy);
    for head in [
        "GET / HTTP/1.1\nhost: localhost\n\n",
        "GET / HTTP/1.1\r\nhost: localhost\r\nx-a: 1\n\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: localhost\r\nx-a: 1\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: localhost\r\nx-a : 1\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: localhost\r\n: 1\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: localhost\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: localhost\r\nx-a: a\0b\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: localhost\r\nx-a: a\rb\r\n\r\n",
        "GET  / HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "GET / HTTP/1.1 x\r\nhost: localhost\r\n\r\n",
        "GET /\r\n\r\n",
        "G\u{1}T / HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\n\r\n",
        "GET nowhere HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "\u{16}\u{3}\u{1}\0\u{5}hello, this is tls\r\n\r\n",
    ] {
        refused(&scene, 400, head);
    }
    for version in ["HTTP/2.0", "HTTP/1.2", "HTTP/3.0"] {
        refused(&scene, 505, &format!("GET / {version}\r\nhost: localhost\r\n\r\n"));
    }
    lives(&scene);
}

#[test]
fn heads_beyond_the_limits_are_refused() {
    let (provider, _sandbox, proxy) = scene();
    let scene = (provider, proxy);
    let start = "GET / HTTP/1.1\r\nhost: localhost\r\n";
    refused(&scene, 431, &format!("{start}x-a: {}\r\n\r\n", "a".repeat(65 * 1024)));
    refused(&scene, 431, &format!("{start}{}\r\n", "x-a: 1\r\n".repeat(250)));
    refused(
        &scene,
        414,
        &format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "a".repeat(17 * 1024)),
    );
    lives(&scene);
}

#[test]
fn strangers_are_sent_away() {
    let (provider, _sandbox, proxy) = scene();
    // Another name for this machine: DNS rebinding.
    let ask = |request: &str| {
        let mut client = proxy.connect();
        client.send(request);
        client.head().status
    };
    let key = "authorization: Bearer sk-ant-x\r\n\r\n";
    assert_eq!(ask(&format!("GET /v1/models HTTP/1.1\r\nhost: evil.test\r\n{key}")), 421);
    assert_eq!(ask(&format!("GET /v1/models HTTP/1.1\r\nhost: 127.0.0.1.evil.test\r\n{key}")), 421);
    assert_eq!(ask("CONNECT evil.test:443 HTTP/1.1\r\nhost: evil.test:443\r\n\r\n") / 100, 4);
    assert!(provider.seen().is_empty());
    for host in ["localhost", "LOCALHOST:1", "127.0.0.1:9", "[::1]", "[::1]:8766"] {
        assert_eq!(
            ask(&format!("GET /v1/models HTTP/1.1\r\nhost: {host}\r\n{key}")),
            200,
            "{host}"
        );
    }
}

#[test]
fn expectations_are_met_or_refused() {
    let (provider, _sandbox, proxy) = scene();
    let body = Api::Messages.small(false);
    let mut client = proxy.connect();
    client.send(format!("{POST}expect: 100-continue\r\ncontent-length: {}\r\n\r\n", body.len()));
    assert_eq!(client.head().status, 100, "before any of the body is there");
    client.send(&body);
    assert_eq!(client.answer().status(), 200);
    assert_eq!((provider.last().header("expect"), provider.last().body), (None, body));
    let mut client = proxy.connect();
    client.send(format!("{POST}expect: miracles\r\ncontent-length: 2\r\n\r\n{{}}"));
    assert_eq!(client.head().status, 417);
    let mut client = proxy.connect();
    client.send(
        "GET /v1/responses HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade\r\n\
        upgrade: websocket\r\nsec-websocket-key: eA==\r\nauthorization: Bearer sk-x\r\n\r\n",
    );
    assert_eq!(client.head().status, 426);
}

#[test]
fn slow_and_fragmented_requests_are_whole() {
    let (provider, _sandbox, proxy) = scene();
    let body = Api::Messages.small(false);
    let whole =
        [format!("{POST}content-length: {}\r\n\r\n", body.len()).as_bytes(), &body].concat();
    let mut client = proxy.connect();
    for byte in &whole {
        client.send([*byte]);
    }
    assert_eq!(client.answer().status(), 200);
    assert_eq!(provider.last().body, body);
    // One that never ends its head does not hold up another.
    let mut slow = proxy.connect();
    slow.send("POST /v1/messages HTTP/1.1\r\nhost: loc");
    lives(&(provider, proxy));
}

/// Served as if nothing had happened.
#[track_caller]
fn lives((provider, proxy): &(Provider, Proxy)) {
    let before = provider.seen().len();
    let answer = proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(true));
    assert!(answer.status() == 200 && answer.clean);
    assert_eq!(provider.seen().len(), before + 1);
}
