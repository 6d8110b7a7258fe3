//! What goes wrong around the proxy, and what the client gets to see of it.

use crate::provider::{End, Provider, Script};
use crate::support::{Api, sandbox, scene};
use rusqlite::Connection;
use serde_json::Value;
use std::net::TcpListener;
use std::time::Duration;

#[test]
fn unreachable_upstream_is_told_in_the_clients_dialect() {
    // A port that nobody listens on: taken, and given back.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    let sandbox = ["ANTHROPIC", "OPENAI", "GOOGLE"].iter().fold(sandbox(), |sandbox, name| {
        sandbox.set(&format!("TOKENPAK_PROXY_PROVIDERS_{name}_URL"), &url)
    });
    let proxy = sandbox.serve();
    for api in Api::ALL {
        for stream in [false, true] {
            let answer = proxy.post(api.target(stream), &api.headers(), &api.small(stream));
            assert_eq!(answer.status(), 502, "{api:?}");
            let error = answer.head.header("x-tokenpak-error");
            assert_eq!(error.as_deref(), Some("upstream-unreachable"), "{api:?}");
            assert_dialect(api, &answer.json());
            for secret in ["not-a-key", "/v1", &port.to_string()] {
                assert!(!answer.text().contains(secret), "{api:?}: {}", answer.text());
            }
            let row = sandbox.row(&answer.head.request_id());
            assert_eq!(row.number("status"), Some(502));
            assert_eq!(row.text("error"), "upstream-unreachable");
        }
    }
}

#[track_caller]
fn assert_dialect(api: Api, json: &Value) {
    let message = json["error"]["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("tokenpak: cannot reach "), "{api:?}: {json}");
    match api {
        Api::Messages => {
            assert_eq!(
                (&json["type"], &json["error"]["type"]),
                (&"error".into(), &"api_error".into())
            );
        }
        Api::Gemini => assert!(json["error"]["code"] == 502 && json["error"]["status"].is_string()),
        _ => assert!(json["error"]["type"].is_string(), "{api:?}: {json}"),
    }
}

#[test]
fn provider_that_hangs_up_without_a_word_is_an_error_once() {
    let (provider, sandbox, proxy) = scene();
    provider.next(Script::raw(""));
    let answer = proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(false));
    assert_eq!(answer.status(), 502, "{}", answer.text());
    assert!(answer.head.header("x-tokenpak-error").is_some());
    // On a new connection nobody can know whether the provider has billed it.
    assert_eq!(provider.seen().len(), 1, "a request was sent twice");
    assert!(!sandbox.row(&answer.head.request_id()).text("error").is_empty());
    provider.next(Script::raw("HTTP/1.1 banana\r\n\r\n"));
    let answer = proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(false));
    assert_eq!((answer.status(), provider.seen().len()), (502, 2));
}

#[test]
fn connections_that_the_provider_dropped_fail_no_request() {
    let (provider, _sandbox, proxy) = scene();
    let mut client = proxy.connect();
    for n in 0..30 {
        let body = Api::Messages.small(n % 2 == 0);
        client.request(("POST", "/v1/messages"), &Api::Messages.headers(), &body);
        let answer = client.answer();
        assert!(answer.status() == 200 && answer.clean, "request {n}: {}", answer.text());
        provider.drop_idle();
    }
    assert_eq!(provider.seen().len(), 30, "each arrived once");
}

#[test]
fn early_refusal_reaches_a_client_that_is_still_sending() {
    let (provider, _sandbox, proxy) = scene();
    let body = vec![b'x'; 8 << 20];
    for status in [413, 429] {
        provider.next(Script { early: true, ..Script::status(status) });
        let answer = proxy.post("/v1/files", &Api::Chat.headers(), &body);
        assert_eq!(answer.status(), status);
        assert_eq!(answer.body, provider.last().answer);
    }
}

#[test]
fn changed_request_that_is_refused_is_sent_again_as_it_was() {
    let (provider, _sandbox, proxy) = scene();
    provider.next(Script::status(400));
    let body = Api::Messages.large(false);
    let answer = proxy.post("/v1/messages", &Api::Messages.headers(), &body);
    assert_eq!(answer.status(), 200);
    let seen = provider.seen();
    assert_eq!(seen.len(), 2);
    assert!(seen[0].body.len() < body.len() && seen[1].body == body);
    // What was not changed by us is refused as it is.
    provider.next(Script::status(400));
    let answer = proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(false));
    assert_eq!((answer.status(), provider.seen().len()), (400, 3));
}

#[test]
fn slow_provider_is_waited_for() {
    let (provider, _sandbox, proxy) = scene();
    provider.next(Script { head_delay: Duration::from_millis(1500), ..Script::default() });
    let answer = proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(true));
    assert!(answer.status() == 200 && answer.clean);
}

#[test]
fn malformed_bodies_pass_untouched() {
    let (provider, _sandbox, proxy) = scene();
    let deep =
        [b"{\"messages\":".as_slice(), &b"[".repeat(100_000), &b"]".repeat(100_000), b"}"].concat();
    let bodies: [&[u8]; 8] = [
        b"",
        b"{",
        b"not json",
        b"[]",
        b"{\"messages\": 7}",
        b"{\"messages\": [{\"role\": \"user\", \"content\": {\"text\": 1}}], \"stream\": \"yes\"}",
        b"\xff\xfe\0{\"messages\":[]}",
        &deep,
    ];
    for api in Api::ALL {
        for body in bodies {
            let answer = proxy.post(api.target(false), &api.headers(), body);
            assert_eq!(answer.status(), 200, "{api:?}: {}", answer.text());
            assert!(
                provider.last().body == body,
                "{api:?}: {:?} was changed",
                &body[..body.len().min(60)]
            );
        }
    }
}

#[test]
fn locked_ledger_delays_no_request() {
    let (_provider, sandbox, proxy) = scene();
    let answer = proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(false));
    sandbox.row(&answer.head.request_id());
    let lock = Connection::open(sandbox.database()).unwrap();
    lock.execute_batch("begin immediate; update requests set model = model").unwrap();
    let mut client = proxy.connect();
    for _ in 0..20 {
        client.request(
            ("POST", "/v1/messages"),
            &Api::Messages.headers(),
            &Api::Messages.small(true),
        );
        assert!(client.answer().clean);
    }
    lock.execute_batch("rollback").unwrap();
    // Recording resumes by itself.
    assert_eq!(sandbox.rows(21).len(), 21);
}

#[test]
fn proxy_serves_without_a_usable_database() {
    let cases: [fn(&crate::sandbox::Sandbox); 2] = [
        // Not a database at all.
        |sandbox| {
            drop(sandbox.write(".ocp/monitor.db", "this is a letter, not a database\n".repeat(99)))
        },
        // A directory where the file should be: nothing can be stored.
        |sandbox| std::fs::create_dir_all(sandbox.database()).unwrap(),
    ];
    for spoil in cases {
        let provider = Provider::start();
        let sandbox = sandbox().providers(&provider);
        spoil(&sandbox);
        let proxy = sandbox.serve();
        for _ in 0..5 {
            let answer =
                proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(true));
            assert!(answer.status() == 200 && answer.clean);
        }
        assert!(proxy.output().1.contains("monitor.db"), "{}", proxy.output().1);
    }
}

#[test]
fn reset_before_the_head_is_an_error_for_this_request_only() {
    let (provider, _sandbox, proxy) = scene();
    provider.next(Script::cut(0, End::Reset));
    let answer = proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(true));
    assert!(answer.status() == 502 || !answer.clean);
    let answer = proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(true));
    assert!(answer.status() == 200 && answer.clean);
}
