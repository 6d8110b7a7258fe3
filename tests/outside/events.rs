//! Event streams in every shape that providers give them, and how their ends are judged.

use crate::provider::{End, Framing, Gate, Script};
use crate::sandbox::{Answer, Proxy};
use crate::support::{Api, BILLED, say, scene};
use std::time::Instant;

const SSE: &str = "text/event-stream";

/// One streamed request; the answer.
#[track_caller]
fn stream(proxy: &Proxy, api: Api) -> Answer {
    proxy.post(api.target(true), &api.headers(), &api.small(true))
}

/// The bytes of a whole stream, as the stand-in sends them.
#[track_caller]
fn usual(provider: &crate::provider::Provider, proxy: &Proxy, api: Api) -> Vec<u8> {
    provider.next(Script::default().billed(BILLED));
    assert!(stream(proxy, api).clean);
    provider.last().answer
}

#[test]
fn streams_of_every_format_survive_any_split_and_are_read() {
    let (provider, sandbox, proxy) = scene();
    // Rows are written together, and so read at the end.
    let mut asked = Vec::new();
    for api in Api::ALL {
        let text = String::from_utf8(usual(&provider, &proxy, api)).unwrap();
        // Characters of two, three and four bytes, to be cut in the middle.
        let text = text.replace("build", "b\u{fc}\u{20ac}\u{1f600}ld");
        let shapes = [
            ("LF", text.clone()),
            ("CRLF", text.replace('\n', "\r\n")),
            ("comments", text.replace("data: ", ": keep-alive\ndata: ")),
            ("no blank behind the colon", text.replace("data: ", "data:")),
            ("pings", text.replace("data: ", "event: ping\ndata: {\"type\":\"ping\"}\n\ndata: ")),
            ("ids and retries", text.replace("data: ", "id: 7\nretry: 100\ndata: ")),
            ("a byte order mark", format!("\u{feff}\n{text}")),
            ("empty lines", text.replace("\n\n", "\n\n\n\n")),
        ];
        for (what, text) in shapes {
            for size in [1, 2, 3, 7, 64, 1000, usize::MAX] {
                if size == 1 && what != "LF" && what != "CRLF" {
                    continue;
                }
                let bytes = text.as_bytes();
                let pieces = bytes.chunks(size.min(bytes.len())).map(<[u8]>::to_vec).collect();
                for framing in [Framing::Chunked, Framing::Sized, Framing::UntilClose] {
                    if framing != Framing::Chunked && size != 7 {
                        continue;
                    }
                    let script = Script { body: Some(vec![]), framing, ..Script::default() };
                    let script = Script { content_type: Some(SSE.into()), ..script };
                    provider.next(Script { body: Some(Vec::clone(&pieces)), ..script });
                    let answer = stream(&proxy, api);
                    assert!(answer.clean && answer.body == bytes, "{api:?} {what} by {size}");
                    if framing == Framing::Chunked {
                        asked.push((answer.head.request_id(), api, what, size));
                    }
                }
            }
        }
        provider.forget();
    }
    for (id, api, what, size) in asked {
        let row = sandbox.row(&id);
        assert_eq!(row.text("error"), "", "{api:?} {what} by {size}");
        let input = Some(BILLED.input as i64);
        assert_eq!(row.number("input_tokens"), input, "{api:?} {what} by {size}");
    }
}

#[test]
fn data_of_many_lines_and_megabytes_passes() {
    let (provider, _sandbox, proxy) = scene();
    let long = format!("data: {{\"x\":\"{}\"}}\n\n", "y".repeat(5_000_000));
    let lines = format!("data: {{\ndata:  \"type\":\ndata: \"message_stop\"}}\n\n{long}");
    for api in Api::ALL {
        provider.next(Script::default().body(SSE, lines.clone()));
        let answer = stream(&proxy, api);
        assert!(answer.clean && answer.text() == lines, "{api:?}");
    }
}

#[test]
fn encoded_streams_pass_as_they_are() {
    let (provider, sandbox, proxy) = scene();
    let bytes: Vec<u8> = [b"\x1f\x8b\x08".to_vec(), (0..=255).collect()].concat();
    for framing in [Framing::Chunked, Framing::Sized, Framing::UntilClose] {
        for coding in ["gzip", "br", "zstd", "deflate"] {
            let script = Script { framing, ..Script::default() };
            provider.next(script.body(SSE, bytes.clone()).header("content-encoding", coding));
            let headers = [Api::Chat.headers(), vec![("accept-encoding", coding)]].concat();
            let answer = proxy.post("/v1/chat/completions", &headers, &Api::Chat.small(true));
            assert!(answer.clean && answer.body == bytes, "{framing:?} {coding}");
            assert_eq!(answer.head.header("content-encoding").as_deref(), Some(coding));
            let row = sandbox.row(&answer.head.request_id());
            assert_eq!((row.text("error"), row.number("input_tokens")), ("", None));
        }
    }
}

/// Streams that end with their connection: events, whether that is an end, and what is recorded.
fn endings(api: Api) -> Vec<(&'static str, bool, &'static str)> {
    let mut all = match api {
        Api::Messages => vec![
            ("data: {\"type\":\"message_stop\"}\n\n", true, ""),
            (
                "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n",
                true,
                "overloaded_error",
            ),
            ("data: {\"type\":\"message_stop\"}", true, ""),
            (
                "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":5}}\n\n",
                true,
                "cut?",
            ),
            ("data: {\"type\":\"message_st", false, "cut"),
        ],
        Api::Chat => vec![
            ("data: [DONE]\n\n", true, ""),
            ("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n", true, ""),
            ("data: {\"choices\":[{\"delta\":{},\"finish_reason\":null}]}\n\n", true, "cut?"),
            ("data: {\"choices\":[{\"delta\":{\"content\":\"[DONE]\"}}]}\n\n", true, "cut?"),
            ("data: [DON", false, "cut"),
        ],
        Api::Responses => vec![
            ("data: {\"type\":\"response.completed\",\"response\":{}}\n\n", true, ""),
            ("data: {\"type\":\"response.incomplete\",\"response\":{}}\n\n", true, ""),
            ("data: {\"type\":\"response.failed\",\"response\":{}}\n\n", true, "provider_error"),
            ("data: {\"type\":\"error\",\"code\":\"x\"}\n\n", true, "x"),
            (
                "data: {\"type\":\"response.output_text.done\",\"text\":\"response.completed\"}\n\n",
                true,
                "cut?",
            ),
            ("data: {\"type\":\"response.comp", false, "cut"),
        ],
        Api::Gemini => vec![
            ("data: {\"candidates\":[{\"finishReason\":\"STOP\"}]}\n\n", true, ""),
            ("data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}\n\n", true, ""),
            ("data: {\"candidates\":[{\"content\":{}}]}\n\n", true, "cut?"),
            ("data: {\"candidates\":[{\"fini", false, "cut"),
        ],
    };
    all.extend([("data: {\"x\":1}\n", false, "cut"), (": only a comment\n\n", true, "cut?")]);
    all
}

/// Answers that end with their connection, to requests in no format that is known: content type, status,
/// body, and whether that is an end.
const UNKNOWN: &[(&str, u16, &str, bool)] = &[
    ("application/json", 200, "{\"data\": [1, 2]}", true),
    ("application/json; charset=utf-8", 200, "{\"data\": [1, {\"a\": \"}\"", false),
    ("application/json", 200, "{\"data\": \"half a te", false),
    ("application/json", 200, "[{}, {}", false),
    ("application/json", 200, "{}\n{}\n", true),
    ("application/json", 200, "7", true),
    ("application/json", 200, "", true),
    ("application/problem+json", 503, "{\"data\": [", true),
    ("application/x-ndjson", 200, "{\"a\": 1}\n{\"b\"", true),
    ("text/plain", 200, "{", true),
    ("text/html", 503, "<p>[", true),
    ("text/event-stream", 200, "event: a\ndata: {}\n\n", true),
    ("text/event-stream", 200, "event: a\ndata: {}\n\nevent: b\ndata: {\"x", false),
    ("text/event-stream", 200, ": waiting\n\n", true),
];

#[test]
fn answers_in_no_known_format_are_judged_by_what_is_left_open() {
    let (provider, sandbox, proxy) = scene();
    for method in ["GET", "POST"] {
        for (kind, status, body, clean) in UNKNOWN {
            let script = Script { framing: Framing::UntilClose, ..Script::status(*status) };
            provider.next(script.body(kind, *body));
            let answer = proxy.ask(method, "/v1/files/1", &Api::Chat.headers(), b"");
            let case = format!("{method} {kind} {status} {body:?}");
            assert_eq!((answer.clean, answer.text().as_str()), (*clean, *body), "{case}");
            let row = sandbox.row(&answer.head.request_id());
            assert_eq!(row.text("error"), if *clean { "" } else { "cut" }, "{case}");
        }
    }
}

#[test]
fn streams_without_a_length_are_judged_by_their_end_marks() {
    let (provider, sandbox, proxy) = scene();
    let mut asked = Vec::new();
    for api in Api::ALL {
        for (end, clean, error) in endings(api) {
            for break_ in ["\n", "\r\n"] {
                let wire = format!("data: {{\"x\":\"caf\u{e9}\"}}\n\n{end}").replace('\n', break_);
                let script = Script { framing: Framing::UntilClose, ..Script::default() };
                provider.next(script.body(SSE, wire.clone()));
                let answer = stream(&proxy, api);
                assert_eq!((answer.clean, answer.text()), (clean, wire), "{api:?} {end:?}");
                asked.push((answer.head.request_id(), error, format!("{api:?} {end:?}")));
            }
        }
    }
    for (id, error, what) in asked {
        let row = sandbox.row(&id);
        assert_eq!((row.text("error"), row.number("status")), (error, Some(200)), "{what}");
    }
}

#[test]
fn reset_is_never_an_end() {
    let (provider, sandbox, proxy) = scene();
    for framing in [Framing::UntilClose, Framing::Chunked, Framing::Sized] {
        for target in ["/v1/messages", "/v1/files"] {
            // All events but the last are sent; the reset takes the place of an end.
            let script = Script { framing, ..Script::cut(6, End::Reset) };
            let gate = Gate::default();
            provider.next(Script { gate: Some(gate.clone()), ..script }.body_pieces(SSE, 9));
            let mut client = proxy.connect();
            client.request(("POST", target), &Api::Messages.headers(), &Api::Messages.small(true));
            gate.open(5);
            assert_eq!(client.head().status, 200);
            client.read_until("\"piece\":4");
            gate.open_all();
            let (_, clean) = client.body();
            assert!(!clean && client.closed(), "{framing:?} {target}");
        }
    }
    let rows = sandbox.rows(6);
    assert!(rows.iter().all(|row| row.text("error") == "cut"), "{rows:?}");
}

#[test]
fn plain_answers_without_a_length_are_judged_by_their_last_bracket() {
    let (provider, sandbox, proxy) = scene();
    for (body, clean, error) in [
        ("{\"usage\":{\"input_tokens\":1}}", true, ""),
        ("{\"usage\":{\"input_tokens\":1}}\n", true, ""),
        ("{\"usage\":{\"input_tokens\":1}", false, "cut"),
        ("{\"text\":\"half", false, "cut"),
    ] {
        let script = Script { framing: Framing::UntilClose, ..Script::default() };
        provider.next(script.body("application/json", body));
        let answer =
            proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(false));
        assert_eq!((answer.clean, answer.text().as_str()), (clean, body));
        assert_eq!(sandbox.row(&answer.head.request_id()).text("error"), error, "{body}");
    }
}

#[test]
fn head_of_a_stream_comes_before_its_first_event() {
    let (provider, _sandbox, proxy) = scene();
    for framing in [Framing::Chunked, Framing::Sized, Framing::UntilClose] {
        let gate = Gate::default();
        provider.next(Script { framing, ..Script::gated(5, &gate) });
        let mut client = proxy.connect();
        client.request(
            ("POST", "/v1/messages"),
            &Api::Messages.headers(),
            &Api::Messages.small(true),
        );
        assert_eq!(client.head().status, 200, "{framing:?}");
        gate.open_all();
        assert!(client.body().1, "{framing:?}");
    }
}

#[test]
fn client_that_leaves_in_its_request_sends_nothing_up() {
    let (provider, sandbox, proxy) = scene();
    let body = Api::Messages.large(true);
    for part in ["", "POST", "POST /v1/messages HTTP/1.1\r\nhost: localhost\r\n"] {
        let mut client = proxy.connect();
        client.send(part);
    }
    for sent in [0, 1, body.len() / 2, body.len() - 1] {
        let mut client = proxy.connect();
        client.send("POST /v1/messages HTTP/1.1\r\nhost: localhost\r\nx-api-key: sk-ant-x\r\n");
        client.send(format!("anthropic-version: x\r\ncontent-length: {}\r\n\r\n", body.len()));
        client.send(&body[..sent]);
        if sent % 2 == 1 {
            client.reset();
        }
    }
    let answer = stream(&proxy, Api::Messages);
    assert!(answer.clean);
    assert_eq!((provider.seen().len(), sandbox.rows(1).len()), (1, 1), "half a request is none");
}

#[test]
fn client_that_leaves_is_noticed_in_every_format_and_pays_for_what_it_saw() {
    let (provider, sandbox, proxy) = scene();
    for (n, api) in Api::ALL.into_iter().enumerate() {
        let gate = Gate::default();
        provider.next(Script::gated(64, &gate).billed(BILLED));
        let mut client = proxy.connect();
        client.request(("POST", api.target(true)), &api.headers(), &api.small(true));
        gate.open(8);
        assert_eq!(client.head().status, 200);
        // The provider falls silent; only the client's leaving can end this.
        client.read_until("\"The ");
        let left = Instant::now();
        drop(client);
        let noticed = provider.wait_left(n + 1) - left;
        say(&format!("{api:?}: upstream closed {} us after the client left", noticed.as_micros()));
        let row = &sandbox.rows(n + 1)[n];
        assert_eq!((row.text("error"), row.number("status")), ("client_gone", Some(200)));
        if api == Api::Messages {
            assert_eq!(row.number("input_tokens"), Some(BILLED.input as i64), "said at the start");
        }
    }
}
