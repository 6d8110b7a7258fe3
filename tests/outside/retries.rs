//! What is sent once, what is sent twice, and which answer the client gets.

use crate::provider::{End, Gate, Script};
use crate::sandbox::{Client, wait};
use crate::support::{Api, say, scene};
use std::time::{Duration, Instant};

const KEY: [(&str, &str); 1] = [("authorization", "Bearer sk-not-a-key")];

/// Thirty prompts one after the other, each of which must succeed; how many requests that took.
#[track_caller]
fn thirty(script: &Script, between: impl Fn(&crate::provider::Provider)) -> usize {
    let (provider, sandbox, proxy) = scene();
    provider.always(script.clone());
    let mut client = proxy.connect();
    for n in 0..30 {
        let stream = n % 2 == 0;
        client.request(
            ("POST", "/v1/messages"),
            &Api::Messages.headers(),
            &Api::Messages.small(stream),
        );
        let answer = client.answer();
        assert!(answer.status() == 200 && answer.clean, "request {n}: {}", answer.text());
        between(&provider);
    }
    assert_eq!(sandbox.rows(30).len(), 30, "one row for one request");
    let seen = provider.seen();
    // Of what was answered nothing is ever sent again.
    assert_eq!(seen.iter().filter(|seen| seen.answered).count(), 30);
    seen.len()
}

#[test]
fn idle_connections_that_close_at_once_fail_no_request() {
    let script = Script { close_after: true, ..Script::default() };
    assert_eq!(thirty(&script, |_| {}), 30);
}

#[test]
fn idle_connections_that_close_after_a_while_fail_no_request() {
    assert_eq!(thirty(&Script::default(), |provider| provider.drop_idle()), 30);
}

#[test]
fn idle_connections_that_are_reset_fail_no_request() {
    assert_eq!(thirty(&Script::default(), |provider| provider.reset_idle()), 30);
}

#[test]
fn idle_connections_that_die_under_the_request_fail_none() {
    let script = Script { drop_reused: true, ..Script::default() };
    let sent = thirty(&script, |_| {});
    assert!(sent <= 60, "each at most twice: {sent}");
}

#[test]
fn prompt_is_not_repeated_after_a_byte_of_an_answer() {
    let (provider, _sandbox, proxy) = scene();
    let mut client = proxy.connect();
    // The first request makes the connection one that is reused.
    for wire in ["H", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhel"] {
        client.request(
            ("POST", "/v1/messages"),
            &Api::Messages.headers(),
            &Api::Messages.small(false),
        );
        assert_eq!(client.answer().status(), 200);
        let before = provider.seen().len();
        provider.next(Script::raw(wire));
        let mut second = proxy.connect();
        second.request(
            ("POST", "/v1/messages"),
            &Api::Messages.headers(),
            &Api::Messages.small(false),
        );
        let answer = second.answer();
        assert!(answer.status() == 502 || !answer.clean, "{wire}");
        let seen = provider.seen();
        assert_eq!(seen.len(), before + 1, "{wire}: sent twice");
        assert!(seen[before].nth > 0, "{wire}: the connection was not reused");
    }
}

#[test]
fn prompt_is_repeated_once_and_not_twice() {
    let (provider, _sandbox, proxy) = scene();
    proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(false));
    // The reused connection dies, and so does the new one: nobody knows what was billed.
    provider.next(Script::raw(""));
    provider.next(Script::raw(""));
    let answer = proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(false));
    assert_eq!((answer.status(), provider.seen().len()), (502, 3));
}

#[test]
fn upload_that_cannot_be_repeated_gets_a_connection_of_its_own() {
    let (provider, _sandbox, proxy) = scene();
    provider.always(Script { drop_reused: true, ..Script::default() });
    let upload = vec![7; 3 << 20];
    for n in 0..5 {
        let answer = proxy.post("/v1/files", &KEY, &upload);
        assert!(answer.status() == 200 && answer.body == upload, "upload {n}");
        assert_eq!(provider.last().nth, 0);
    }
    assert_eq!(provider.seen().len(), 5);
}

#[test]
fn changed_prompts_that_are_refused_are_sent_as_they_were() {
    for api in Api::ALL {
        let (provider, sandbox, proxy) = scene();
        let body = api.large(false);
        let post = || proxy.post(api.target(false), &api.headers(), &body);
        let skip = |answer: &crate::sandbox::Answer| answer.head.header("x-tokenpak-skip");
        for round in 1..=2 {
            provider.next(Script::status(400));
            let answer = post();
            assert_eq!(answer.status(), 200, "{api:?}");
            // What was refused has saved nothing.
            assert_eq!(skip(&answer).as_deref(), Some("refused"), "{api:?}");
            assert_eq!(answer.head.tokens("saved"), 0, "{api:?}");
            assert_eq!(answer.body, provider.last().answer, "the second answer is the client's");
            let seen = provider.seen();
            assert_eq!(seen.len(), 2 * round);
            assert!(seen[2 * round - 2].body.len() < body.len());
            assert!(seen[2 * round - 1].body == body, "the original, byte for byte");
        }
        // The route is left alone now, and still counted.
        let answer = post();
        assert_eq!(skip(&answer).as_deref(), Some("refused"), "{api:?}");
        assert!(provider.last().body == body && provider.seen().len() == 5);
        let row = sandbox.row(&answer.head.request_id());
        assert_eq!(row.text("skip_reason"), "refused");
        assert!(row.number("tokens_before").is_some_and(|count| count > 1000));
        assert_eq!(row.number("tokens_before"), row.number("tokens_after"));
        // The others are not.
        let other = if api == Api::Chat { Api::Messages } else { Api::Chat };
        let answer = proxy.post(other.target(false), &other.headers(), &other.large(false));
        assert_eq!(skip(&answer), None, "{other:?}");
    }
}

#[test]
fn both_refusals_of_a_prompt_end_with_the_second() {
    let (provider, _sandbox, proxy) = scene();
    let body = Api::Messages.large(false);
    let post = || proxy.post("/v1/messages", &Api::Messages.headers(), &body);
    for round in 1..=3 {
        provider.next(Script::status(400).body("application/json", "{\"first\": 1}"));
        provider.next(Script::status(400).body("application/json", "{\"second\": 2}"));
        let answer = post();
        assert_eq!((answer.status(), answer.text().as_str()), (400, "{\"second\": 2}"));
        assert_eq!(provider.seen().len(), 2 * round);
    }
    // What is refused either way is not held against the route: other sessions would pay for it.
    assert_eq!(post().head.header("x-tokenpak-skip"), None);
}

#[test]
fn refusals_for_length_are_the_answer() {
    let reasons = [
        "prompt is too long: 208310 tokens > 200000 maximum",
        "This model's maximum context length is 128000 tokens",
        "context_length_exceeded",
        "Request too large: too many tokens",
        "The input token count exceeds the maximum number of tokens allowed",
    ];
    let (provider, _sandbox, proxy) = scene();
    let body = Api::Messages.large(false);
    for (n, reason) in reasons.into_iter().enumerate() {
        let refusal = format!("{{\"error\": {{\"message\": \"{reason}\"}}}}");
        provider.next(Script::status(400).body("application/json", refusal.as_str()));
        let answer = proxy.post("/v1/messages", &Api::Messages.headers(), &body);
        assert_eq!((answer.status(), answer.text()), (400, refusal));
        assert_eq!(provider.seen().len(), n + 1, "{reason}");
    }
    // Nor are they held against the route.
    let answer = proxy.post("/v1/messages", &Api::Messages.headers(), &body);
    assert_eq!(answer.head.header("x-tokenpak-skip"), None);
}

#[test]
fn refusals_that_are_not_ours_change_nothing() {
    let (provider, _sandbox, proxy) = scene();
    for n in 0..4 {
        provider.next(Script::status(400));
        let answer =
            proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(false));
        assert_eq!((answer.status(), provider.seen().len()), (400, n + 1));
    }
    for status in [401, 403, 404, 413, 422, 429, 500, 529] {
        let before = provider.seen().len();
        provider.next(Script::status(status));
        let answer =
            proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.large(false));
        assert_eq!((answer.status(), provider.seen().len()), (status, before + 1));
    }
    let answer = proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.large(false));
    assert_eq!(answer.head.header("x-tokenpak-skip"), None);
}

/// The head of an upload and half of its body; the rest is never sent.
fn half_an_upload(client: &mut Client, framing: &str) {
    client.send("POST /v1/files HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer sk-x\r\n");
    client.send(format!("{framing}\r\n\r\n"));
    let piece = vec![b'x'; 64 * 1024];
    match framing.contains("chunked") {
        true => {
            client.send([format!("{:x}\r\n", piece.len()).as_bytes(), &piece, b"\r\n"].concat())
        }
        false => client.send(&piece),
    };
}

#[test]
fn early_refusal_reaches_a_client_that_has_stopped_sending() {
    let (provider, _sandbox, proxy) = scene();
    for framing in ["content-length: 50000000", "transfer-encoding: chunked"] {
        for (status, abrupt) in [(400, false), (401, true), (413, false), (413, true), (429, false)]
        {
            provider.next(Script { early: true, abrupt, ..Script::status(status) });
            let mut client = proxy.connect();
            let begun = Instant::now();
            half_an_upload(&mut client, framing);
            let answer = client.answer();
            assert_eq!((answer.status(), answer.clean), (status, true), "{framing}");
            assert!(answer.body == provider.last().answer);
            // Not after the patience for bodies, which is 30 s.
            assert!(begun.elapsed() < Duration::from_secs(20), "{framing} {status}");
            assert!(client.closed(), "half a request is on it");
        }
    }
    assert_eq!(proxy.ask("GET", "/v1/models", &KEY, b"").status(), 200);
}

#[test]
fn early_refusal_of_a_prompt_reaches_its_client() {
    let (provider, _sandbox, proxy) = scene();
    // Larger than any socket's buffer: the provider does not read it to its end.
    let prompt = Api::Messages.with_result(false, &"word ".repeat(4 << 20));
    let headers = [Api::Messages.headers(), vec![("x-tokenpak-mode", "off")]].concat();
    for status in [413, 429, 400] {
        for script in [
            Script { early: true, ..Script::status(status) },
            Script { early: true, deaf: true, ..Script::status(status) },
            Script { early: true, abrupt: true, ..Script::status(status) },
        ] {
            let kind = if script.deaf { "deaf" } else { "open" };
            let kind = if script.abrupt { "abrupt" } else { kind };
            provider.next(script);
            let begun = Instant::now();
            let answer = proxy.post("/v1/messages", &headers, &prompt);
            assert_eq!(answer.status(), status, "{kind}");
            assert_eq!(answer.body, provider.last().answer);
            say(&format!(
                "early {status} ({kind}) was there after {} ms",
                begun.elapsed().as_millis()
            ));
        }
    }
    let answer = proxy.post("/v1/messages", &headers, &Api::Messages.small(false));
    assert_eq!(answer.status(), 200);
}

#[test]
fn early_answer_ends_the_providers_connection() {
    let (provider, _sandbox, proxy) = scene();
    provider.next(Script { early: true, ..Script::status(413) });
    let mut client = proxy.connect();
    half_an_upload(&mut client, "content-length: 50000000");
    assert_eq!(client.answer().status(), 413);
    proxy.ask("GET", "/v1/models", &KEY, b"");
    assert_eq!((provider.last().connection, provider.connections()), (1, 2));
}

#[test]
fn client_that_leaves_in_an_upload_ends_it() {
    let (provider, sandbox, proxy) = scene();
    for (n, framing) in
        ["content-length: 50000000", "transfer-encoding: chunked"].into_iter().enumerate()
    {
        let mut client = proxy.connect();
        half_an_upload(&mut client, framing);
        wait("the upload to begin", || (provider.connections() > n).then_some(()));
        drop(client);
        provider.wait_idle();
        let row = &sandbox.rows(n + 1)[n];
        assert_eq!(row.text("error"), "client_gone", "{framing}");
    }
    assert!(provider.seen().is_empty(), "half a request is none");
}

#[test]
fn malformed_chunks_in_an_upload_are_the_clients_fault() {
    let (provider, _sandbox, proxy) = scene();
    let mut client = proxy.connect();
    half_an_upload(&mut client, "transfer-encoding: chunked");
    client.send("nonsense\r\n");
    assert_eq!(client.answer().status(), 400);
    assert!(provider.seen().is_empty(), "half a request is none");
}

#[test]
fn answer_that_was_late_is_still_the_answer() {
    let (provider, _sandbox, proxy) = scene();
    let gate = Gate::default();
    provider.next(Script::gated(4, &gate));
    let mut client = proxy.connect();
    client.request(("POST", "/v1/messages"), &Api::Messages.headers(), &Api::Messages.small(true));
    provider.wait_seen(1);
    assert_eq!(client.head().status, 200);
    gate.open_all();
    assert!(client.body().1);
    provider.next(Script::cut(3, End::Reset));
    client.request(("POST", "/v1/messages"), &Api::Messages.headers(), &Api::Messages.small(true));
    assert!(!client.answer().clean);
    assert_eq!(provider.seen().len(), 2);
}
