//! Clients that send their next request as soon as they have an answer: served by one thread for as
//! long as they do, with nothing that others would not get.

use crate::provider::{Provider, Script};
use crate::sandbox::{Client, Proxy};
use crate::support::{Api, sandbox, scene};
use std::thread;
use std::time::Duration;

/// Longer than the proxy waits for such a client.
const PAUSE: Duration = Duration::from_millis(40);

/// A client that has shown how quick it is.
fn quick(proxy: &Proxy) -> Client {
    let mut client = proxy.connect();
    (0..20).for_each(|_| asks(&mut client));
    client
}

/// One request on the connection and its answer.
#[track_caller]
fn asks(client: &mut Client) {
    client.request(("POST", "/v1/messages"), &Api::Messages.headers(), &Api::Messages.small(false));
    let answer = client.answer();
    assert!(answer.status() == 200 && answer.clean, "{}", answer.text());
}

/// The bytes of a request with this body.
fn bytes(proxy: &Proxy, body: &[u8]) -> Vec<u8> {
    let mut head = format!("POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1:{}\r\n", proxy.port());
    for (name, value) in Api::Messages.headers() {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

#[test]
fn bodies_of_any_size_arrive_and_every_request_is_recorded() {
    let (provider, sandbox, proxy) = scene();
    let mut client = proxy.connect();
    for n in 0..60 {
        let blank = " ".repeat([0, 1_000, 20_000, 300_000, 3_000_000][n % 5]);
        let body = format!(
            r#"{{"model":"m","max_tokens":9,{blank}"messages":[{{"role":"user","content":"{n}"}}]}}"#
        );
        let off = [("x-tokenpak-mode", "off")];
        let headers = [&Api::Messages.headers()[..], &off].concat();
        client.request(("POST", "/v1/messages"), &headers, body.as_bytes());
        assert_eq!(client.answer().status(), 200, "{n}");
        assert!(provider.last().body == body.as_bytes(), "{n}");
    }
    assert_eq!(sandbox.rows(60).len(), 60);
}

#[test]
fn requests_that_come_in_parts_or_all_at_once_are_served() {
    let (_provider, _sandbox, proxy) = scene();
    let mut client = quick(&proxy);
    let one = bytes(&proxy, &Api::Messages.small(false));
    let head = one.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    for cut in [1, 40, head - 2, head, head + 5, one.len() - 1] {
        client.send(&one[..cut]);
        thread::sleep(PAUSE);
        client.send(&one[cut..]);
        let answer = client.answer();
        assert!(answer.status() == 200 && answer.clean, "cut at {cut}");
        (0..5).for_each(|_| asks(&mut client));
    }
    // Three and a half at once, and the other half when they are answered.
    client.send([&one[..], &one, &one, &one[..head + 3]].concat());
    (0..3).for_each(|_| assert_eq!(client.answer().status(), 200));
    client.send(&one[head + 3..]);
    assert_eq!(client.answer().status(), 200);
}

#[test]
fn what_is_no_request_for_a_provider_is_answered_as_ever() {
    let (_provider, _sandbox, proxy) = scene();
    let mut client = quick(&proxy);
    for (line, want) in [
        ("GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n", 200),
        ("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n", 200),
        ("GET /v1/models HTTP/1.1\r\nhost: e.test\r\n\r\n", 421),
        ("GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n", 200),
        ("GET /nowhere HTTP/1.1\r\nhost: localhost\r\n\r\n", 404),
    ] {
        client.send(line);
        assert_eq!(client.answer().status(), want, "{line}");
        (0..5).for_each(|_| asks(&mut client));
    }
    client.send("GET /x HTTP/1.1\r\nbad header\r\n\r\n");
    assert_eq!(client.answer().status(), 400);
    assert!(client.closed());
}

#[test]
fn clients_that_leave_end_their_requests() {
    let (provider, sandbox, proxy) = scene();
    let warm = quick(&proxy);
    drop(warm);
    let mut client = quick(&proxy);
    provider.next(Script::hang());
    client.send(bytes(&proxy, &Api::Messages.small(true)));
    provider.wait_seen(41);
    drop(client);
    provider.wait_left(41);
    assert_eq!(sandbox.rows(41)[40].text("error"), "client_gone");
}

#[test]
fn quick_clients_hold_up_nobody() {
    let provider = Provider::start();
    let sandbox = sandbox().providers(&provider).config(r#"{"proxy": {"workers": 2}}"#);
    let proxy = sandbox.serve();
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let mut client = quick(&proxy);
                (0..30).for_each(|_| asks(&mut client));
            });
        }
    });
    assert_eq!(sandbox.rows(300).len(), 300);
}

#[test]
fn shutdown_does_not_wait_for_the_next_request() {
    let (_provider, _sandbox, mut proxy) = scene();
    let mut client = quick(&proxy);
    assert_eq!(proxy.stop(), 0);
    assert!(client.closed());
}
