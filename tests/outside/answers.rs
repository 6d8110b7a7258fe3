//! An answer's way down: status, headers and body as the provider sent them.

use crate::provider::Script;
use crate::support::{Api, scene};

#[test]
fn provider_headers_come_back() {
    let (provider, _sandbox, proxy) = scene();
    let mut script = Script::status(429).header("Retry-After", "7");
    for n in 0..100 {
        script = script.header("set-cookie", format!("c{n}=1; path=/"));
    }
    let script = script
        .header("request-id", "req_011")
        .header("x-odd", b"caf\xe9".as_slice())
        .header("anthropic-ratelimit-tokens-remaining", "0")
        .header("connection", "x-private")
        .header("x-private", "1");
    provider.next(script);
    let answer = proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(false));
    assert_eq!(answer.status(), 429);
    assert_eq!(answer.head.header("retry-after").as_deref(), Some("7"));
    assert_eq!(answer.head.header("request-id").as_deref(), Some("req_011"));
    assert_eq!(answer.head.all("x-odd"), [b"caf\xe9"]);
    assert_eq!(answer.head.all("set-cookie").len(), 100);
    assert_eq!(answer.head.all("set-cookie")[99], b"c99=1; path=/");
    assert_eq!(answer.head.header("x-private"), None);
    assert_eq!(answer.body, provider.last().answer);
}

#[test]
fn provider_errors_pass_byte_for_byte() {
    let (provider, sandbox, proxy) = scene();
    for api in Api::ALL {
        for status in [400, 401, 403, 404, 413, 429, 500, 503, 529] {
            provider.next(Script::status(status));
            let answer = proxy.post(api.target(true), &api.headers(), &api.small(true));
            assert_eq!(answer.status(), status, "{api:?}");
            assert_eq!(answer.body, provider.last().answer, "{api:?}");
            assert_eq!(
                answer.head.header("x-tokenpak-error"),
                None,
                "the provider refused, not we"
            );
        }
    }
    // Each was sent once.
    assert_eq!(provider.seen().len(), 36);
    let rows = sandbox.rows(36);
    assert!(rows.iter().all(|row| row.number("status") >= Some(400)));
    assert!(rows.iter().all(|row| row.number("cost_nano").is_none()), "a refusal has no price");
}

#[test]
fn statuses_without_a_body_and_redirects_are_handed_on() {
    let (provider, _sandbox, proxy) = scene();
    let key = Api::Chat.headers();
    let mut client = proxy.connect();
    let mut ask = |method: &str, script: Script| {
        provider.next(script);
        client.request((method, "/v1/files/1"), &key, b"");
        if method == "HEAD" {
            (client.head(), Vec::new())
        } else {
            let answer = client.answer();
            (answer.head, answer.body)
        }
    };
    for status in [204, 304] {
        let (head, body) = ask("GET", Script::status(status));
        assert_eq!((head.status, body.len()), (status, 0));
    }
    let (head, _) = ask("GET", Script::status(302).header("location", "http://elsewhere.test/"));
    assert_eq!(
        (head.status, head.header("location").as_deref()),
        (302, Some("http://elsewhere.test/"))
    );
    let (head, _) = ask("HEAD", Script::default().body("text/plain", "hello"));
    assert_eq!((head.status, head.header("content-length").as_deref()), (200, Some("5")));
    let interim =
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n".to_vec();
    let (head, body) =
        ask("GET", Script { interim, ..Script::default().body("text/plain", "hello") });
    assert_eq!((head.status, body), (200, b"hello".to_vec()), "interim answers stay with us");
}

#[test]
fn encoded_answer_passes_encoded() {
    let (provider, sandbox, proxy) = scene();
    // Not even gzip: nobody but the client may look inside.
    let bytes: Vec<u8> = (0..=255).cycle().take(5000).collect();
    provider.next(
        Script::default()
            .header("content-encoding", "gzip")
            .body("application/json", bytes.clone()),
    );
    let answer = proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(false));
    assert_eq!(answer.head.header("content-encoding").as_deref(), Some("gzip"));
    assert_eq!(answer.body, bytes);
    assert_eq!(sandbox.row(&answer.head.request_id()).number("output_tokens"), None);
}
