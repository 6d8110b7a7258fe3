//! The answers that are our own, against every method, version and fate of the connection; and own pages
//! that are asked for with a body.

use crate::exhaustion::limited;
use crate::provider::{Framing, Gate, Provider, Script};
use crate::sandbox::{Client, Proxy, Sandbox};
use crate::support::{Api, sandbox, scene};
use serde_json::Value;
use std::net::TcpListener;

/// What leads to an answer of ours: its name, the target, header lines, and the status that GET gets.
/// 0: whatever it is.
const CASES: &[(&str, &str, &str, u16)] = &[
    ("health", "/health", "Host: localhost\r\n", 200),
    ("metrics", "/metrics", "Host: localhost\r\n", 200),
    ("page", "/stats", "Host: localhost\r\n", 0),
    ("report", "/stats", "Host: localhost\r\naccept: application/json\r\n", 0),
    ("greeting", "/", "Host: localhost\r\n", 200),
    ("wrong host", "/v1/messages", "Host: e.test\r\n", 421),
    ("wrong host, own page", "/health", "Host: e.test\r\n", 421),
    ("bad host", "/v1/messages", "Host: bad host\r\n", 400),
    ("two hosts", "/v1/messages", "Host: localhost\r\nHost: localhost\r\n", 400),
    ("foreign page", "/v1/chat/completions", "Host: localhost\r\nOrigin: null\r\n", 403),
    ("no provider", "/nowhere", "Host: localhost\r\n", 404),
    ("unknown provider", "/v1/x", "Host: localhost\r\nx-tokenpak-provider: none\r\n", 404),
    ("unreachable", "/dead/v1/models", "Host: localhost\r\n", 502),
    ("unreachable, prompt", "/dead/v1/chat/completions", "Host: localhost\r\n", 502),
    ("late", "/late/v1/models", "Host: localhost\r\n", 504),
    ("bad target", "/late/v1/<\\>", "Host: localhost\r\n", 0),
    ("websocket", "/v1/responses", "Host: localhost\r\nUpgrade: websocket\r\n", 0),
    ("unknown expectation", "/v1/responses", "Host: localhost\r\nExpect: x\r\n", 417),
    ("two lengths", "/v1/x", "Host: localhost\r\nContent-Length: 0\r\nContent-Length: 0\r\n", 400),
];

fn scene_of_troubles() -> (Provider, Sandbox, Proxy) {
    let provider = Provider::start();
    provider.always(Script::hang());
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = free.local_addr().unwrap().port();
    drop(free);
    let late = provider.url();
    let sandbox = sandbox().providers(&provider).config(&format!(
        r#"{{"proxy": {{"first_byte_timeout_s": 1, "providers":
        {{"dead": {{"url": "http://127.0.0.1:{dead}"}}, "late": {{"url": "{late}"}}}}}}}}"#
    ));
    let proxy = sandbox.serve();
    (provider, sandbox, proxy)
}

/// One answer, and then another one on the same connection, or its end.
#[track_caller]
fn check(
    proxy: &Proxy,
    (name, target, lines, want): (&str, &str, &str, u16),
    (method, version, fate): (&str, &str, &str),
) {
    let case = format!("{name}: {method} HTTP/{version}, {fate}");
    let mut client: Client = proxy.connect();
    client.send(format!("{method} {target} HTTP/{version}\r\n{lines}Connection: {fate}\r\n\r\n"));
    let head = client.head();
    if want != 0 && method == "GET" {
        assert_eq!(head.status, want, "{case}");
    }
    assert!(head.header("content-length").is_some_and(|length| length != "0"), "{case}");
    match method {
        "HEAD" => client.skip_body(),
        _ => {
            let (body, clean) = client.body();
            assert!(clean && !body.is_empty(), "{case}");
        }
    }
    let says = |word: &str| head.all("connection").iter().any(|said| said == word.as_bytes());
    if says("close") {
        // With a body behind an answer to HEAD, there would be something left to read.
        return assert!(client.closed(), "{case}");
    }
    assert_eq!(fate, "keep-alive", "{case}");
    assert!(version == "1.1" || says("keep-alive"), "{case}: an old client is not told");
    client.send("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let next = client.try_head().unwrap_or_else(|| panic!("{case}: closed"));
    assert_eq!((next.status, client.body().1), (200, true), "{case}");
}

#[test]
fn every_answer_of_ours_fits_its_request() {
    let (_provider, _sandbox, proxy) = scene_of_troubles();
    std::thread::scope(|scope| {
        for case in CASES {
            let proxy = &proxy;
            scope.spawn(move || {
                for method in ["GET", "HEAD", "POST", "OPTIONS"] {
                    for version in ["1.1", "1.0"] {
                        for fate in ["keep-alive", "close"] {
                            check(proxy, *case, (method, version, fate));
                        }
                    }
                }
            });
        }
    });
}

#[test]
fn connection_of_a_client_lives_on_after_errors_to_head() {
    let (_provider, _sandbox, proxy) = scene_of_troubles();
    for version in ["1.1", "1.0"] {
        let mut client = proxy.connect();
        for (name, target, lines, want) in
            CASES.iter().filter(|case| matches!(case.3, 200 | 404 | 421 | 502))
        {
            client.send(format!(
                "HEAD {target} HTTP/{version}\r\n{lines}Connection: keep-alive\r\n\r\n"
            ));
            assert_eq!(client.head().status, *want, "{name}");
            client.skip_body();
        }
    }
}

#[test]
fn token_is_asked_for_without_a_body_too() {
    let provider = Provider::start();
    let config = r#"{"proxy": {"auth_token": "a-token-of-some-length"}}"#;
    let sandbox = sandbox().providers(&provider).config(config);
    let proxy = sandbox.serve();
    for method in ["GET", "HEAD", "POST", "OPTIONS"] {
        for version in ["1.1", "1.0"] {
            let mut client = proxy.connect();
            for _ in 0..2 {
                client.send(format!(
                    "{method} /v1/messages HTTP/{version}\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n"
                ));
                assert_eq!(client.head().status, 401, "{method} {version}");
                match method {
                    "HEAD" => client.skip_body(),
                    _ => assert!(client.body().1),
                }
            }
        }
    }
}

#[test]
fn answers_to_what_is_not_even_a_request_speak_the_dialect_of_its_path() {
    let (_provider, _sandbox, proxy) = scene();
    for api in Api::ALL {
        for (lines, want) in [
            ("Host: a\r\nHost: b\r\n", 400),
            ("Host: bad host\r\n", 400),
            ("Host: localhost\r\nContent-Length: +1\r\n", 400),
            ("Host: localhost\r\nExpect: magic\r\n", 417),
            ("Host: localhost\r\nContent-Length: 99999999999\r\n", 413),
            ("Host: localhost\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n", 400),
        ] {
            let mut client = proxy.connect();
            client.send(format!("POST {} HTTP/1.1\r\n{lines}\r\n", api.target(true)));
            let answer = client.answer();
            assert_eq!(answer.status(), want, "{api:?} {lines}");
            assert!(answer.head.header("x-tokenpak-error").is_some(), "{api:?} {lines}");
            let error = answer.json();
            assert!(error["error"]["message"].as_str().unwrap().starts_with("tokenpak: "));
            match api {
                Api::Messages => assert_eq!(error["type"], "error", "{lines}"),
                Api::Gemini => assert_eq!(error["error"]["code"], want, "{lines}"),
                _ => assert!(error["error"]["type"].is_string(), "{lines}"),
            }
        }
    }
}

#[test]
fn body_of_a_question_to_us_is_read_and_dropped() {
    let (_provider, _sandbox, proxy) = scene();
    let long = "x".repeat(500_000);
    let next = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for target in ["/health", "/metrics", "/stats", "/"] {
        for body in ["", "hello", &long, next] {
            let sized = format!("Content-Length: {}\r\n\r\n{body}", body.len());
            let chunked = match body {
                "" => "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
                _ => format!(
                    "Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\nx: y\r\n\r\n",
                    body.len()
                ),
            };
            for framed in [&sized, &chunked] {
                for is_pipelined in [false, true] {
                    let mut client = proxy.connect();
                    let behind = if is_pipelined { next } else { "" };
                    client.send(format!(
                        "GET {target} HTTP/1.1\r\nHost: localhost\r\n{framed}{behind}"
                    ));
                    assert!(client.answer().clean, "{target}");
                    if !is_pipelined {
                        client.send(next);
                    }
                    let answer = client.answer();
                    assert_eq!((answer.status(), answer.clean), (200, true), "{target}");
                    assert_eq!(
                        answer.json()["status"],
                        "ok",
                        "{target}: the answer to what was a body"
                    );
                    assert!(!client.is_spoken_to(), "{target}: one answer too many");
                }
            }
        }
    }
}

#[test]
fn client_that_waits_to_be_asked_for_the_body_of_a_question_to_us_is_asked() {
    let (_provider, _sandbox, proxy) = scene();
    let next = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for target in ["/health", "/metrics", "/stats", "/"] {
        for (framing, body) in [
            ("Content-Length: 5", "hello"),
            ("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"),
        ] {
            for waits in [true, false] {
                let case = format!("{target} {framing}, waits: {waits}");
                let mut client = proxy.connect();
                let head = format!(
                    "GET {target} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n{framing}\r\n\r\n"
                );
                if waits {
                    client.send(head);
                    assert_eq!(client.head().status, 100, "{case}");
                    client.send(body);
                } else {
                    client.send(head + body);
                }
                let mut answer = client.answer();
                // What has come already need not be asked for, but may be.
                if answer.status() == 100 {
                    answer = client.answer();
                }
                assert!(answer.clean && answer.status() != 100, "{case}");
                client.send(next);
                let answer = client.answer();
                assert_eq!((answer.status(), answer.clean), (200, true), "{case}");
                assert_eq!(answer.json()["status"], "ok", "{case}");
                assert!(!client.is_spoken_to(), "{case}: one answer too many");
            }
        }
    }
}

#[test]
fn answers_that_end_by_close_are_judged_where_their_content_can_tell() {
    let (provider, _sandbox, proxy) = scene();
    let kinds = [
        "",
        "application/json",
        "application/problem+json",
        "text/html",
        "text/plain",
        "text/event-stream",
    ];
    let bodies = ["", "{", "[oops", "{\"a\": 1}", "<p>[</p>", "data: {}\n\n"];
    for status in [200, 201, 400, 401, 429, 500, 503, 529] {
        for (kind, body) in kinds.into_iter().flat_map(|kind| bodies.map(|body| (kind, body))) {
            for framing in [Framing::UntilClose, Framing::Sized, Framing::Chunked] {
                let is_json = kind.contains("json") && status < 300;
                if is_json && !["", "{", "[oops", "{\"a\": 1}"].contains(&body) {
                    continue;
                }
                let is_open = match kind {
                    "text/event-stream" => !body.is_empty() && !body.ends_with("\n\n"),
                    _ => is_json && ["{", "[oops"].contains(&body),
                };
                let script = Script { framing, ..Script::status(status) };
                provider.next(script.body(kind, body).header("retry-after", "7"));
                let answer = proxy.post("/v1/messages", &Api::Messages.headers(), b"{}");
                let case = format!("{status} {kind:?} {body:?} {framing:?}");
                assert_eq!((answer.status(), answer.text().as_str()), (status, body), "{case}");
                assert_eq!(answer.clean, !(is_open && framing == Framing::UntilClose), "{case}");
                assert_eq!(answer.head.header("retry-after").as_deref(), Some("7"), "{case}");
            }
        }
    }
}

#[test]
fn headers_that_only_we_may_send_do_not_pass() {
    let (provider, _sandbox, proxy) = scene();
    provider.next(
        Script::default()
            .header("x-tokenpak-tokens-saved", "999999")
            .header("X-TokenPak-Error", "forged")
            .header("x-tokenpak-skip", "forged")
            .header("x-tokenpaker", "kept"),
    );
    let answer = proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(false));
    assert_eq!(answer.head.header("x-tokenpaker").as_deref(), Some("kept"));
    assert_eq!(answer.head.header("x-tokenpak-error"), None);
    assert!(answer.head.headers.iter().all(|(_, value)| value != b"999999" && value != b"forged"));
}

#[test]
fn later_versions_of_the_first_http_are_understood() {
    let (provider, _sandbox, proxy) = scene();
    for version in ["1.2", "1.3", "1.9"] {
        provider.next(Script::raw_open(format!(
            "HTTP/{version} 200 OK\r\ncontent-length: 2\r\n\r\nok"
        )));
        let answer = proxy.ask("GET", "/v1/models", &[("authorization", "Bearer sk-x")], b"");
        assert_eq!((answer.status(), answer.text().as_str()), (200, "ok"), "{version}");
    }
    assert_eq!(provider.connections(), 1, "and kept");
}

/// What goes wrong before a request has a worker, or for want of one: its name, the framing of the request,
/// what comes of its body, and the answer.
const PRESSURES: &[Trouble] = &[
    ("busy", "Content-Length: 2\r\n", "{}", 503, "busy"),
    ("late body", "Content-Length: 20\r\n", "{", 408, "request-timeout"),
    ("late chunk", "Transfer-Encoding: chunked\r\n", "5\r\n{", 408, "request-timeout"),
    ("announced too large", "Content-Length: 9999999\r\n", "{", 413, "body-too-large"),
    ("two framings", "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "", 400, "bad-request"),
    ("odd expectation", "Content-Length: 2\r\nExpect: x\r\n", "{}", 417, "bad-request"),
];

#[test]
fn refusals_under_pressure_speak_the_dialect_and_leave_head_without_a_body() {
    let provider = Provider::start();
    let gate = Gate::default();
    provider.always(Script::gated(3, &gate));
    let sandbox = sandbox()
        .providers(&provider)
        .deadlines("queue=300 body=300")
        .config(r#"{"proxy": {"workers": 1, "max_body_mb": 1}}"#);
    let proxy = sandbox.serve();
    let mut busy = proxy.connect();
    let small = Api::Messages.small(true);
    busy.request(("POST", "/v1/messages"), &Api::Messages.headers(), &small);
    provider.wait_seen(1);
    std::thread::scope(|scope| {
        for pressure in PRESSURES {
            for api in Api::ALL {
                let proxy = &proxy;
                scope.spawn(move || {
                    under_pressure(proxy, api, "POST", pressure);
                    under_pressure(proxy, api, "HEAD", pressure);
                });
            }
        }
    });
    gate.open_all();
    assert!(busy.answer().clean);
    assert_eq!(provider.seen().len(), 1, "nothing else was sent");
}

#[test]
fn heads_without_end_and_late_providers_are_told_in_the_dialect_too() {
    let provider = Provider::start();
    provider.always(Script::hang());
    let sandbox =
        sandbox().providers(&provider).config(r#"{"proxy": {"first_byte_timeout_s": 1}}"#);
    let proxy = sandbox.serve();
    let long = format!("Content-Length: 2\r\nx-long: {}\r\n", "x".repeat(70_000));
    let many = format!("Content-Length: 2\r\n{}", "x-one: more\r\n".repeat(300));
    let troubles = [
        ("long head", long.as_str(), "{}", 431, "bad-request"),
        ("many headers", &many, "{}", 431, "bad-request"),
        ("late provider", "Content-Length: 2\r\n", "{}", 504, "upstream-timeout"),
    ];
    std::thread::scope(|scope| {
        for (trouble, api) in troubles.iter().flat_map(|it| Api::ALL.map(|api| (it, api))) {
            let proxy = &proxy;
            scope.spawn(move || {
                under_pressure(proxy, api, "POST", trouble);
                under_pressure(proxy, api, "HEAD", trouble);
            });
        }
    });
}

#[test]
fn one_connection_too_many_is_told_in_its_dialect() {
    let provider = Provider::start();
    let gate = Gate::default();
    provider.always(Script::gated(3, &gate));
    // Room for twenty connections, and all of them are at work.
    let sandbox = limited(64, &provider);
    let proxy = sandbox.serve();
    let mut busy: Vec<Client> = (0..20).map(|_| proxy.connect()).collect();
    for client in &mut busy {
        let small = Api::Messages.small(true);
        client.request(("POST", "/v1/messages"), &Api::Messages.headers(), &small);
    }
    provider.wait_seen(20);
    let trouble = ("too many", "Content-Length: 2\r\n", "{}", 503, "busy");
    for method in ["POST", "HEAD"] {
        for api in Api::ALL {
            // What has come with the connection is read, and nothing is waited for.
            proxy.pause();
            let asked = ask_under_pressure(&proxy, api, method, &trouble);
            proxy.go_on();
            told_under_pressure(asked, (api, method), &trouble);
        }
    }
    gate.open_all();
    assert!(busy.iter_mut().all(|client| client.answer().clean));
}

type Trouble<'a> = (&'a str, &'a str, &'a str, u16, &'a str);

#[track_caller]
fn under_pressure(proxy: &Proxy, api: Api, method: &str, trouble: &Trouble) {
    let client = ask_under_pressure(proxy, api, method, trouble);
    told_under_pressure(client, (api, method), trouble);
}

fn ask_under_pressure(
    proxy: &Proxy,
    api: Api,
    method: &str,
    (_, framing, body, ..): &Trouble,
) -> Client {
    let mut client = proxy.connect();
    let target = api.target(false);
    let lines = api.headers().into_iter().map(|(name, value)| format!("{name}: {value}\r\n"));
    let lines = lines.collect::<String>();
    client.send(format!(
        "{method} {target} HTTP/1.1\r\nHost: localhost\r\n{lines}{framing}\r\n{body}"
    ));
    client
}

#[track_caller]
fn told_under_pressure(
    mut client: Client,
    (api, method): (Api, &str),
    (name, _, _, status, code): &Trouble,
) {
    let case = format!("{name}: {method} {api:?}");
    let head = client.head();
    let got = (head.status, head.header("x-tokenpak-error"));
    // What is no prompt waits for a worker before anybody looks at its body.
    let waits = method == "HEAD" && matches!(*name, "late chunk" | "announced too large");
    let (status, code) = if waits { (503, "busy") } else { (*status, *code) };
    assert_eq!((got.0, got.1.as_deref()), (status, Some(code)), "{case}");
    let retry = head.header("retry-after");
    assert_eq!(retry.as_deref(), (got.0 == 503).then_some("1"), "{case}");
    if method == "HEAD" {
        client.skip_body();
        // All that may follow is the end, or nothing.
        if head.all("connection").iter().any(|said| said == b"close") {
            assert!(client.closed(), "{case}");
        }
        return;
    }
    let (body, clean) = client.body();
    let json: Value = serde_json::from_slice(&body).unwrap_or_default();
    assert!(
        clean
            && json["error"]["message"].as_str().is_some_and(|text| text.starts_with("tokenpak: ")),
        "{case}: {json}"
    );
    match api {
        Api::Messages => {
            assert!(json["type"] == "error" && json["error"]["type"].is_string(), "{case}: {json}")
        }
        Api::Gemini => assert!(
            json["error"]["code"] == status && json["error"]["status"].is_string(),
            "{case}: {json}"
        ),
        Api::Chat | Api::Responses => assert!(json["error"]["type"].is_string(), "{case}: {json}"),
    }
}
