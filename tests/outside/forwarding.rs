//! A request's way up: what arrives is what was sent, but for what was compressed.

use crate::provider::{Script, headers};
use crate::support::{Api, BILLED, scene};

#[test]
fn answers_come_back_unchanged_and_are_recorded() {
    let (provider, sandbox, proxy) = scene();
    provider.always(Script::default().billed(BILLED));
    let mut client = proxy.connect();
    for api in Api::ALL {
        for stream in [false, true] {
            let (name, upstream, model) = api.names();
            let body = api.large(stream);
            client.request(("POST", api.target(stream)), &api.headers(), &body);
            let answer = client.answer();
            let seen = provider.last();
            assert_eq!((answer.status(), answer.clean), (200, true), "{api:?} {}", answer.text());
            assert_eq!(answer.text(), String::from_utf8_lossy(&seen.answer), "{api:?} {stream}");
            assert!(answer.head.header("content-type").is_some());
            assert_eq!(seen.target(), api.target(stream));

            let (before, after) = (answer.head.tokens("before"), answer.head.tokens("after"));
            assert!(seen.body.len() < body.len() && after < before, "{api:?}: nothing was cut");
            assert_eq!(answer.head.tokens("saved"), before - after);
            assert_eq!(answer.head.header("x-tokenpak-skip"), None, "{api:?}");

            let row = sandbox.row(&answer.head.request_id());
            let texts = ["api", "provider", "model", "client", "error", "skip_reason", "mode"];
            let texts = texts.map(|column| row.text(column));
            assert_eq!(texts, [name, upstream, model, "test-client/1.0", "", "", "hybrid"]);
            assert_eq!(row.number("stream"), Some(stream as i64), "{api:?}");
            assert_eq!(row.number("status"), Some(200), "{api:?}");
            assert_eq!(row.number("tokens_before"), Some(before), "{api:?}");
            assert_eq!(row.number("tokens_after"), Some(after), "{api:?}");
            assert_usage(api, &|column| row.number(column));
        }
    }
    assert_eq!(provider.seen().len(), 8);
}

/// The provider's own figures in the normal form.
#[track_caller]
fn assert_usage(api: Api, number: &dyn Fn(&str) -> Option<i64>) {
    let messages = api == Api::Messages;
    assert_eq!(number("input_tokens"), Some(BILLED.input as i64), "{api:?}");
    assert_eq!(number("cache_read_tokens"), Some(BILLED.cache_read as i64), "{api:?}");
    assert_eq!(number("output_tokens"), Some(BILLED.output as i64), "{api:?}");
    // What a dialect does not tell is unknown, not zero.
    assert_eq!(number("cache_write_tokens"), messages.then_some(BILLED.cache_write as i64));
    assert_eq!(number("cache_write_1h_tokens"), messages.then_some(BILLED.cache_write_1h as i64));
    assert_eq!(number("reasoning_tokens"), (!messages).then_some(BILLED.reasoning as i64));
    assert!(number("cost_nano").is_some_and(|nano| nano > 0), "{api:?}: a priced model");
    assert!(number("saved_nano").is_some_and(|nano| nano > 0), "{api:?}: something was saved");
}

#[test]
fn uncompressed_request_arrives_byte_for_byte() {
    let (provider, _sandbox, proxy) = scene();
    let body = b"{ \"model\":\"claude-x\",\"a\":1.0, \"a\":1e400,\"big\":9007199254740993,\n\
        \"s\":\"\\u00e9\\/\\ud83d\\ude00\",\t\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}] }\r\n";
    let kept: &[u8] =
        b"Authorization: Bearer sk-ant-not-a-key\r\nX-Odd:  caf\xe9 \r\nX-Two: a\r\nx-two: b\r\n\
        X-Empty:\r\nAnthropic-Beta: one,two\r\nAccept: text/event-stream\r\nCookie: a=b; c=d\r\n";
    let dropped = b"Connection: keep-alive, X-Private\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\n\
        TE: trailers\r\nProxy-Connection: keep-alive\r\nx-tokenpak-footer: off\r\n\
        X-TokenPak-Mode: off\r\nx-tokenpak-unknown: 1\r\n";
    let mut client = proxy.connect();
    client.send(b"POST /v1/messages?a=%2F&b=//..&c='| HTTP/1.1\r\nHost: localhost\r\n");
    client.send([kept, dropped].concat());
    client.send(format!("Content-Length: {}\r\n\r\n", body.len()));
    client.send(body);
    assert_eq!(client.answer().status(), 200);

    let seen = provider.last();
    assert_eq!(seen.target(), "/v1/messages?a=%2F&b=//..&c='|");
    assert_eq!(String::from_utf8_lossy(&seen.body), String::from_utf8_lossy(body));
    let mut want = headers(&[b"\n", kept].concat());
    want.push(("content-length".into(), body.len().to_string().into()));
    want.push(("host".into(), format!("127.0.0.1:{}", provider.port()).into()));
    let (mut want, mut got) = (want, seen.headers());
    // Order counts within a name only.
    want.sort_by(|a, b| a.0.cmp(&b.0));
    got.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(got, want, "{}", String::from_utf8_lossy(&seen.head));
}

#[test]
fn chunked_request_arrives_with_a_length() {
    let (provider, _sandbox, proxy) = scene();
    let body = Api::Messages.small(false);
    let mut client = proxy.connect();
    client.send(
        "POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n",
    );
    for piece in body.chunks(37) {
        client.send([format!("{:x};ext=1\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat());
    }
    client.send("0\r\nx-trailer: 1\r\n\r\n");
    assert_eq!(client.answer().status(), 200);
    assert_eq!(provider.last().body, body);
    assert_eq!(provider.last().header("content-length"), Some(body.len().to_string()));
    assert_eq!(provider.last().header("x-trailer"), None);
}

#[test]
fn compression_changes_the_tool_result_and_nothing_else() {
    let (provider, _sandbox, proxy) = scene();
    for api in Api::ALL {
        // Strict: other modes may also write a listing as a table.
        let headers = [api.headers(), vec![("x-tokenpak-mode", "strict")]].concat();
        let body = String::from_utf8(api.large(false)).unwrap();
        // Odd spelling on both sides of the text that is cut.
        let body = body.replacen(
            '{',
            "{ \"x\" : 1.0,\"y\":12345678901234567890, \"x\":\"\\u00e9\\/\",",
            1,
        );
        let body = format!("{},\n \"z\":[ 1E5 , -0.0 ]\t}}", &body[..body.len() - 1]);
        proxy.post(api.target(false), &headers, body.as_bytes());
        let sent = String::from_utf8(provider.last().body).unwrap();
        let cut = body.find("[\\n  {").expect("the listing's beginning");
        let rest = body.rfind("]\"").expect("the listing's end");
        assert!(sent.len() < body.len(), "{api:?}: nothing was cut");
        assert_eq!(sent[..cut], body[..cut], "{api:?}: changed before the result");
        assert!(sent.ends_with(&body[rest + 1..]), "{api:?}: changed behind the result");
        assert_eq!(candidate(&sent, cut), candidate(&body, cut), "{api:?}: values were lost");
    }
}

/// The JSON value inside the string literal whose content begins at `at`.
fn candidate(body: &str, at: usize) -> serde_json::Value {
    let literal = serde_json::Deserializer::from_str(&body[at - 1..]);
    let text = literal.into_iter::<String>().next().unwrap().unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn large_answers_and_requests_pass_whole() {
    let (provider, _sandbox, proxy) = scene();
    provider.always(Script { words: 40, word_bytes: 100_000, ..Script::default() });
    for stream in [false, true] {
        let answer =
            proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(stream));
        assert!(answer.clean && answer.body.len() > 4_000_000);
        assert!(answer.body == provider.last().answer, "the answer differs");
    }
    provider.always(Script::default());
    let upload: Vec<u8> =
        (0..20_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let answer = proxy.post("/v1/files", &Api::Chat.headers(), &upload);
    assert!(answer.body == upload && provider.last().body == upload, "the upload differs");
}

#[test]
fn unknown_paths_and_methods_are_transparent() {
    let (provider, sandbox, proxy) = scene();
    let key = [("authorization", "Bearer sk-not-a-key"), ("content-type", "text/x-odd; a=b")];
    let cases = [
        ("GET", "/v1/models", ""),
        ("POST", "/v1/embeddings", "{\"input\":  \"x\"}"),
        ("DELETE", "/v1/files/file-1", ""),
        ("PATCH", "/v1/x", "[1,  2]"),
        ("OPTIONS", "/v1/chat/completions", ""),
        ("REPORT", "/v1/odd;x=1/a%20b/../c", "not json {"),
        ("PUT", "/v1/chat/completions", "{}"),
    ];
    for (n, (method, target, body)) in cases.into_iter().enumerate() {
        let answer = proxy.ask(method, target, &key, body.as_bytes());
        let seen = provider.wait_seen(n + 1);
        assert_eq!((seen.method(), seen.target()), (method.to_owned(), target.to_owned()));
        assert_eq!(String::from_utf8_lossy(&seen.body), body);
        assert_eq!((answer.status(), &answer.body), (200, &seen.answer), "{method} {target}");
        assert_eq!(
            sandbox.row(&answer.head.request_id()).text("api"),
            "other",
            "{method} {target}"
        );
    }
    let count = proxy.post(
        "/v1/messages/count_tokens",
        &Api::Messages.headers(),
        &Api::Messages.large(false),
    );
    assert_eq!(provider.last().body, Api::Messages.large(false), "counted as it is");
    assert_eq!(sandbox.row(&count.head.request_id()).text("api"), "other");
}

#[test]
fn connection_serves_many_requests_in_order() {
    let (_provider, _sandbox, proxy) = scene();
    let mut client = proxy.connect();
    let request = |n: usize| {
        format!(
            "GET /v1/files/{n} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer sk-x\r\n\r\n"
        )
    };
    client.send((0..20).map(request).collect::<String>());
    for n in 0..20 {
        assert_eq!(client.answer().json()["target"], format!("/v1/files/{n}"));
    }
    let old = "GET /v1/files/x HTTP/1.0\r\nhost: localhost\r\nauthorization: Bearer sk-x\r\n\r\n";
    client.send(old);
    let answer = client.answer();
    assert!(answer.status() == 200 && client.closed(), "HTTP/1.0 closes unless asked otherwise");
    assert_eq!(answer.head.header("transfer-encoding"), None);
}
