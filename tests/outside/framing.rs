//! The table of raw requests (`tests/wire`), each group a test; a case that fails names itself.

use crate::support::scene;
use crate::wire;

#[track_caller]
fn holds(group: &str) {
    let (provider, _sandbox, proxy) = scene();
    let (mut failed, mut count) = (Vec::new(), 0);
    for case in wire::all().into_iter().filter(|case| case.group == group) {
        count += 1;
        if let Err(what) = case.run(&mut proxy.connect(), true) {
            failed.push(format!("{}: {what}", case.name));
        }
    }
    let smuggled = provider.seen().iter().any(|seen| seen.target() == "/smuggled");
    assert!(failed.is_empty(), "{} of {count} cases:\n{}", failed.len(), failed.join("\n"));
    assert!(count > 0 && !smuggled, "a body was taken for a request");
}

#[test]
fn body_ends_where_its_head_says_or_is_refused() {
    holds("framing");
}

#[test]
fn request_line_is_one_or_is_refused() {
    holds("request line");
}

#[test]
fn target_is_passed_on_or_refused() {
    holds("target");
}

#[test]
fn header_lines_are_sound_or_refused() {
    holds("header");
}

#[test]
fn host_is_named_once() {
    holds("host");
}

#[test]
fn methods_are_passed_on() {
    holds("method");
}

#[test]
fn connections_serve_in_order_and_close_when_they_must() {
    holds("connection");
}

#[test]
fn targets_arrive_byte_for_byte() {
    let (provider, _sandbox, proxy) = scene();
    let mut n = 0;
    for case in wire::all() {
        let line = case.bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let target = line.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
        if case.group == "target" && case.answers == [200] && target[0] == b'/' {
            n += 1;
            let mut client = proxy.connect();
            client.send(&case.bytes);
            assert_eq!(client.head().status, 200, "{}", case.name);
            assert_eq!(provider.wait_seen(n).target().as_bytes(), target, "{}", case.name);
        }
    }
    assert!(n >= 20);
}

#[test]
fn absolute_and_asterisk_targets_keep_their_meaning() {
    let (provider, _sandbox, proxy) = scene();
    let key = [("authorization", "Bearer sk-dummy")];
    proxy.ask("GET", "http://e.test/v1/x?a=b", &key, b"");
    assert_eq!(provider.last().target(), "/v1/x?a=b");
    assert_eq!(provider.last().header("host"), Some(format!("127.0.0.1:{}", provider.port())));
    proxy.ask("GET", "http://e.test", &key, b"");
    assert_eq!(provider.last().target(), "/");
    let answer = proxy.ask("OPTIONS", "*", &key, b"");
    assert_eq!((answer.status(), provider.last().target().as_str()), (200, "*"));
}
