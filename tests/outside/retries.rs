//! What is sent once, what is sent twice, and which answer the client gets.

use crate::provider::{Authority, End, Gate, Provider, Script, tls};
use crate::sandbox::{Client, Proxy, Sandbox, wait};
use crate::support::{Api, connections_to, lacks, sandbox, say, scene};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const KEY: [(&str, &str); 1] = [("authorization", "Bearer sk-not-a-key")];

/// Thirty prompts one after the other, each of which must succeed; how many requests that took.
#[track_caller]
fn thirty(script: &Script, between: impl Fn(&Provider)) -> usize {
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

/// A request that arrives between an answer and its close was acknowledged, and is not sent again: the
/// close must have come.
#[test]
fn idle_connections_that_close_at_once_fail_no_request() {
    let script = Script { close_after: true, ..Script::default() };
    let closed = |provider: &Provider| {
        let open = || connections_to(provider.port(), &["01"]);
        wait("the close to arrive", || (open() == 0).then_some(()));
    };
    assert_eq!(thirty(&script, closed), 30);
}

#[test]
fn idle_connections_that_close_after_a_while_fail_no_request() {
    assert_eq!(thirty(&Script::default(), |provider| provider.drop_idle()), 30);
}

#[test]
fn idle_connections_that_are_reset_fail_no_request() {
    let reset = |provider: &Provider| {
        provider.reset_idle();
        let open = || connections_to(provider.port(), &["01"]);
        wait("the reset to arrive", || (open() == 0).then_some(()));
    };
    assert_eq!(thirty(&Script::default(), reset), 30);
}

/// A proxy that waits a while before it sends anything, so that a connection can end after it was looked
/// at. strace is not its parent (`-D`), so that it can be killed. `None`: this machine has no strace, or lets it
/// trace nothing.
fn hesitant(provider: &Provider, sandbox: Sandbox) -> Option<(Sandbox, Proxy)> {
    let delay = format!("inject=sendmsg:delay_enter={}", HESITATION.as_micros());
    let strace =
        ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=sendmsg", "-e", &delay];
    if !std::process::Command::new("strace")
        .args(["-qq", "-o", "/dev/null", "-e", "trace=sendmsg", "true"])
        .status()
        .is_ok_and(|status| status.success())
    {
        return None;
    }
    let sandbox = sandbox.providers(provider).by(&strace);
    let proxy = sandbox.serve();
    Some((sandbox, proxy))
}

const HESITATION: Duration = Duration::from_millis(80);

#[test]
fn idle_connections_that_close_under_the_request_fail_none() {
    let provider = Provider::start();
    let Some((sandbox, proxy)) = hesitant(&provider, sandbox()) else {
        return lacks("connections that close under a request", "no strace");
    };
    let mut client = proxy.connect();
    for n in 0..30 {
        let body = Api::Messages.small(n % 2 == 0);
        client.request(("POST", "/v1/messages"), &Api::Messages.headers(), &body);
        // Between the look at the connection and the sending, most times; before or after it, sometimes.
        std::thread::sleep(HESITATION / 2);
        if n % 3 != 2 {
            provider.drop_used();
        }
        let answer = client.answer();
        assert!(answer.status() == 200 && answer.clean, "request {n}: {}", answer.text());
    }
    assert_eq!(sandbox.rows(30).len(), 30, "one row for one request");
    assert_eq!(provider.seen().len(), 30, "each arrived once");
}

#[test]
fn repeat_is_not_repeated() {
    let provider = Provider::start();
    let Some((_sandbox, proxy)) = hesitant(&provider, sandbox()) else {
        return lacks("connections that close under a request", "no strace");
    };
    proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(false));
    provider.next(Script { unanswered: Some(End::Fin), ..Script::default() });
    let mut client = proxy.connect();
    client.request(("POST", "/v1/messages"), &Api::Messages.headers(), &Api::Messages.small(false));
    std::thread::sleep(HESITATION / 2);
    provider.drop_used();
    assert_eq!(client.answer().status(), 502);
    // The new connection's, which was read: nobody knows what was billed.
    assert_eq!((provider.seen().len(), provider.last().nth), (2, 0));
}

/// Every way in which a provider may read a request on a connection that is used again, and end that
/// without an answer.
#[track_caller]
fn is_sent_once(provider: &Provider, proxy: &Proxy) {
    let large = vec![b'x'; 300_000];
    let prompt = Api::Messages.small(true);
    let requests: [(&str, &str, &[u8]); 9] = [
        ("POST", "/v1/messages", &prompt),
        ("POST", "/v1/files", b""),
        ("POST", "/v1/files", &large),
        ("GET", "/v1/models", b""),
        ("HEAD", "/v1/models", b""),
        ("OPTIONS", "/v1/models", b""),
        ("PUT", "/v1/files/1", b"x"),
        ("PATCH", "/v1/files/1", b"x"),
        ("DELETE", "/v1/files/1", b""),
    ];
    for (method, target, body) in requests {
        // A reset within the time for which a kernel may hold an acknowledgement back (40 ms, and more on
        // a loaded machine) looks like that of a machine that has forgotten the connection.
        for (end, delay_ms) in [(End::Fin, 0), (End::Fin, 60), (End::Reset, 300)] {
            let case = format!("{method} {target}, {end:?} after {delay_ms} ms");
            assert_eq!(proxy.ask("GET", "/v1/models", &KEY, b"").status(), 200, "{case}");
            let before = provider.seen().len();
            let head_delay = Duration::from_millis(delay_ms);
            provider.next(Script { unanswered: Some(end), head_delay, ..Script::default() });
            let mut client = proxy.connect();
            client.request((method, target), &Api::Messages.headers(), body);
            assert_eq!(client.head().status, 502, "{case}");
            assert_eq!(provider.seen().len(), before + 1, "{case}: sent twice");
            assert!(provider.last().nth > 0, "{case}: the connection was not reused");
        }
    }
}

#[test]
fn request_that_was_read_is_sent_once() {
    let (provider, _sandbox, proxy) = scene();
    is_sent_once(&provider, &proxy);
}

#[test]
fn request_that_was_read_through_tls_is_sent_once() {
    let (provider, authority) = (Provider::start(), Authority::new());
    let port = tls(provider.port(), authority.sign("localhost"));
    let url = format!("https://localhost:{port}");
    let sandbox = ["ANTHROPIC", "OPENAI", "GOOGLE"].iter().fold(sandbox(), |sandbox, name| {
        sandbox.set(&format!("TOKENPAK_PROXY_PROVIDERS_{name}_URL"), &url)
    });
    let path = sandbox.write("roots.pem", authority.pem());
    let sandbox = sandbox.set("TOKENPAK_TLS_ROOTS", path.to_str().unwrap());
    let proxy = sandbox.serve();
    is_sent_once(&provider, &proxy);
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

/// A request of a conversation that has had so many turns with a tool.
fn talk(name: &str, turns: usize) -> Vec<u8> {
    let mut body: Value = serde_json::from_slice(&Api::Messages.large(false)).unwrap();
    let history = body["messages"].as_array().unwrap().clone();
    let mut messages = vec![
        json!({"role": "user", "content": format!("I am {name}.")}),
        json!({"role": "assistant", "content": "Welcome."}),
    ];
    for turn in 0..turns {
        messages.extend(history.iter().cloned());
        messages.push(json!({"role": "assistant", "content": format!("Done {turn}.")}));
        messages.push(json!({"role": "user", "content": "Go on."}));
    }
    body["messages"] = messages.into();
    body.to_string().into_bytes()
}

/// The first request of a conversation: nothing of the model is in it.
fn opening(name: &str) -> Vec<u8> {
    let rows: Vec<Value> =
        (0..400).map(|n| json!({"id": n, "name": format!("item {n}")})).collect();
    json!({"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": [
        {"role": "user", "content": [
            {"type": "text", "text": format!("I am {name}.")},
            {"type": "text", "text": serde_json::to_string_pretty(&rows).unwrap()},
        ]},
    ]})
    .to_string()
    .into_bytes()
}

/// A provider that binds a conversation to its bytes refuses a changed one: it goes on as it came, and others
/// do not notice, whoever's they are.
#[test]
fn a_refused_conversation_goes_on_as_it_came_and_no_other_notices() {
    let (provider, sandbox, proxy) = scene();
    let post = |body: &[u8]| proxy.post("/v1/messages", &Api::Messages.headers(), body);
    let skip = |answer: &crate::sandbox::Answer| answer.head.header("x-tokenpak-skip");
    // Another conversation is under way.
    assert!(post(&talk("B", 1)).head.tokens("saved") > 0);
    provider.next(Script::status(400));
    let answer = post(&talk("A", 1));
    assert_eq!((answer.status(), skip(&answer).as_deref()), (200, Some("refused")));
    assert_eq!(answer.head.tokens("saved"), 0, "what was refused has saved nothing");
    let seen = provider.seen();
    assert!(seen.len() == 3 && seen[1].body.len() < seen[2].body.len());
    assert!(seen[2].body == talk("A", 1), "the original, byte for byte");
    for turns in 1..5 {
        let before = provider.seen().len();
        let answer = post(&talk("A", turns));
        assert_eq!(skip(&answer).as_deref(), Some("refused"));
        assert!(provider.last().body == talk("A", turns), "turn {turns} goes as it came");
        assert_eq!(provider.seen().len(), before + 1, "and is sent once");
        let row = sandbox.row(&answer.head.request_id());
        assert_eq!(row.text("skip_reason"), "refused");
        assert!(row.number("tokens_before").is_some_and(|count| count > 1000), "still counted");
        assert_eq!(row.number("tokens_before"), row.number("tokens_after"));
        assert!(post(&talk("B", turns)).head.tokens("saved") > 0, "B goes on as before");
        assert!(post(&talk(&format!("C{turns}"), 1)).head.tokens("saved") > 0, "new ones, too");
    }
    // The same words under another key are another conversation.
    let headers = [("x-api-key", "sk-ant-other"), ("content-type", "application/json")];
    let answer = proxy.post("/v1/messages", &headers, &talk("A", 1));
    assert!(answer.head.tokens("saved") > 0);
}

/// Where several are refused, its parser is what refuses: new ones are not tried for a while.
#[test]
fn a_route_is_paused_for_new_conversations_after_several_refusals() {
    let (provider, _sandbox, proxy) = scene();
    let post = |body: &[u8]| proxy.post("/v1/messages", &Api::Messages.headers(), body);
    let skip = |answer: &crate::sandbox::Answer| answer.head.header("x-tokenpak-skip");
    assert!(post(&talk("under way", 1)).head.tokens("saved") > 0);
    assert!(post(&opening("0")).head.tokens("saved") > 0, "it could be cut");
    for name in ["one", "two", "three"] {
        provider.next(Script::status(400));
        assert_eq!(skip(&post(&talk(name, 1))).as_deref(), Some("refused"));
    }
    assert_eq!(skip(&post(&opening("new"))).as_deref(), Some("refused"));
    assert!(provider.last().body == opening("new"));
    assert!(post(&talk("under way", 2)).head.tokens("saved") > 0, "in the form that it has");
    let chat = proxy.post("/v1/chat/completions", &Api::Chat.headers(), &Api::Chat.large(false));
    assert_eq!(skip(&chat), None, "another route");
}

/// Every format is understood.
#[test]
fn changed_prompts_that_are_refused_are_sent_as_they_were() {
    for api in Api::ALL {
        let (provider, _sandbox, proxy) = scene();
        let body = api.large(false);
        let post = || proxy.post(api.target(false), &api.headers(), &body);
        provider.next(Script::status(400));
        let answer = post();
        let skip = |answer: &crate::sandbox::Answer| answer.head.header("x-tokenpak-skip");
        assert_eq!((answer.status(), skip(&answer).as_deref()), (200, Some("refused")), "{api:?}");
        assert_eq!(answer.body, provider.last().answer, "the second answer is the client's");
        assert_eq!(skip(&post()).as_deref(), Some("refused"), "{api:?}");
        let seen = provider.seen();
        assert_eq!(seen.len(), 3, "{api:?}");
        assert!(seen[0].body.len() < body.len() && seen[1].body == body && seen[2].body == body);
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
