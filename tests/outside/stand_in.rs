//! The stand-in itself, without a proxy: what the other tests rest on.

use crate::provider::{End, Framing, Gate, Provider, Script};
use crate::sandbox::Client;
use crate::support::{Api, BILLED};

#[test]
fn every_dialect_is_answered_plain_and_streamed() {
    let provider = Provider::start();
    provider.always(Script::default().billed(BILLED));
    let mut client = Client::connect(provider.port());
    for api in Api::ALL {
        for stream in [false, true] {
            client.request(("POST", api.target(stream)), &api.headers(), &api.small(stream));
            let answer = client.answer();
            assert_eq!((answer.status(), answer.clean), (200, true), "{api:?}");
            let seen = provider.last();
            assert_eq!((&seen.body, &seen.answer), (&api.small(stream), &answer.body), "{api:?}");
            assert!(seen.answered);
            assert_eq!(answer.text().starts_with('{'), !stream, "{api:?} {}", answer.text());
            assert!(
                answer.text().contains("77") || api == Api::Gemini,
                "{api:?}: usage is missing"
            );
        }
    }
    assert_eq!((provider.connections(), provider.last().nth), (1, 7), "one connection for all");
}

#[test]
fn unknown_requests_are_echoed() {
    let provider = Provider::start();
    let mut client = Client::connect(provider.port());
    client.send("PUT /x%2fy HTTP/1.1\r\nhost: h\r\nX-Odd: \u{e9}\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    assert_eq!(client.answer().body, b"abc");
    let seen = provider.last();
    assert_eq!((seen.method(), seen.target()), ("PUT".into(), "/x%2fy".into()));
    assert_eq!(seen.all("x-odd"), [b"\xc3\xa9"]);
    client.request(("GET", "/v1/models"), &[], b"");
    assert_eq!(client.answer().json()["object"], "list");
}

#[test]
fn faults_come_on_demand() {
    let provider = Provider::start();
    let ask = |script: Script| {
        provider.next(script);
        let mut client = Client::connect(provider.port());
        client.request(("POST", "/v1/messages"), &[], &Api::Messages.small(true));
        client
    };
    for end in [End::Fin, End::Reset] {
        assert!(!ask(Script::cut(3, end)).answer().clean, "{end:?}");
    }
    assert!(
        !ask(Script { framing: Framing::Sized, short_by: 5, ..Script::default() }).answer().clean
    );
    assert!(ask(Script { framing: Framing::UntilClose, ..Script::default() }).answer().clean);
    assert!(ask(Script::raw("")).try_head().is_none());
    let limited = ask(Script::status(429).header("Retry-After", "7")).answer();
    assert_eq!((limited.status(), limited.head.header("retry-after")), (429, Some("7".into())));
    let mut informed =
        ask(Script { interim: b"HTTP/1.1 103 Early Hints\r\n\r\n".into(), ..Script::default() });
    assert_eq!((informed.head().status, informed.head().status), (103, 200));
}

#[test]
fn gate_holds_events_back_and_leavers_are_noticed() {
    let provider = Provider::start();
    let gate = Gate::default();
    provider.always(Script::gated(8, &gate));
    let mut client = Client::connect(provider.port());
    client.request(("POST", "/v1/chat/completions"), &[], &Api::Chat.small(true));
    client.head();
    for k in 1..=8 {
        gate.open(k);
        client.piece().unwrap().unwrap();
        assert!(!provider.last().answered, "more was sent than the gate let through");
    }
    drop(client);
    provider.wait_left(1);

    provider.next(Script::hang());
    let mut client = Client::connect(provider.port());
    client.request(("POST", "/v1/messages"), &[], b"{}");
    provider.wait_seen(2);
    drop(client);
    provider.wait_left(2);
}

#[test]
fn idle_connections_are_dropped_on_request() {
    let provider = Provider::start();
    let mut client = Client::connect(provider.port());
    client.request(("GET", "/v1/models"), &[], b"");
    client.answer();
    provider.drop_idle();
    assert!(client.closed());
}
