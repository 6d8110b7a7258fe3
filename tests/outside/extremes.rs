//! Very large, very deep, very slow: memory stays flat and JSON of any kind passes unharmed.

use crate::provider::{Framing, Provider, Script};
use crate::sandbox::{Proxy, wait};
use crate::support::{Api, say, scene};
use std::time::{Duration, Instant};

const MB: usize = 1 << 20;
const KEY: [(&str, &str); 1] = [("authorization", "Bearer sk-not-a-key")];

/// A first request, after which the proxy has all that it needs to work.
fn warm(proxy: &Proxy) -> usize {
    assert_eq!(
        proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(true)).status(),
        200
    );
    proxy.peak_memory()
}

#[test]
fn answers_of_100_mb_pass_in_flat_memory() {
    let (provider, _sandbox, proxy) = scene();
    let before = warm(&proxy);
    for (framing, target) in [
        (Framing::Sized, "/v1/files"),
        (Framing::Sized, "/v1/messages"),
        (Framing::Chunked, "/v1/files"),
        (Framing::Chunked, "/v1/messages"),
        (Framing::UntilClose, "/v1/files"),
    ] {
        provider.next(Script::flood(100 * MB, framing));
        let mut client = proxy.connect();
        client.request(("POST", target), &KEY, b"{}");
        assert_eq!(client.head().status, 200);
        assert_eq!(client.drain(), (100 * MB, true), "{framing:?} {target}");
    }
    let grown = proxy.peak_memory() - before;
    say(&format!("five answers of 100 MB: memory grew by {} kB", grown / 1024));
    assert!(grown < 8 * MB, "{grown}");
}

#[test]
fn uploads_of_100_mb_pass_in_flat_memory() {
    let (provider, _sandbox, proxy) = scene();
    let before = warm(&proxy);
    provider.always(Script::default().body("application/json", "{}"));
    let piece = vec![b'u'; MB];
    for chunked in [false, true] {
        let mut client = proxy.connect();
        client.send("POST /v1/files HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer sk-x\r\n");
        match chunked {
            true => client.send("transfer-encoding: chunked\r\n\r\n"),
            false => client.send(format!("content-length: {}\r\n\r\n", 100 * MB)),
        };
        for _ in 0..100 {
            match chunked {
                true => client.send([b"100000\r\n", piece.as_slice(), b"\r\n"].concat()),
                false => client.send(&piece),
            };
        }
        if chunked {
            client.send("0\r\n\r\n");
        }
        assert_eq!(client.answer().status(), 200);
        assert!(
            provider.last().body.len() == 100 * MB
                && provider.last().body.iter().all(|b| *b == b'u')
        );
        provider.forget();
    }
    let grown = proxy.peak_memory() - before;
    say(&format!("two uploads of 100 MB: memory grew by {} kB", grown / 1024));
    assert!(grown < 8 * MB, "{grown}");
}

/// Waits until no more is sent, and says how much that was.
fn until_it_stalls(provider: &Provider, n: usize) -> usize {
    let mut last = (0, Instant::now());
    wait("the provider to be held back", || {
        let flooded = provider.wait_seen(n).flooded;
        if flooded != last.0 {
            last = (flooded, Instant::now());
        }
        (flooded > 0 && last.1.elapsed() > Duration::from_millis(500)).then_some(flooded)
    })
}

#[test]
fn reader_that_does_not_read_holds_the_provider_back() {
    let (provider, _sandbox, proxy) = scene();
    let before = warm(&proxy);
    for (n, framing) in [Framing::Sized, Framing::Chunked].into_iter().enumerate() {
        provider.next(Script::flood(200 * MB, framing));
        let mut client = proxy.connect();
        client.request(("GET", "/v1/files"), &KEY, b"");
        let sent = until_it_stalls(&provider, n + 2);
        say(&format!("{framing:?}: a reader that does not read holds {} kB up", sent / 1024));
        // What fits into the buffers of four sockets, and not the answer.
        assert!(sent < 40 * MB, "{sent}");
        assert!(proxy.peak_memory() - before < 8 * MB);
        // When it reads on, nothing is missing.
        assert_eq!(client.head().status, 200);
        assert_eq!(client.drain(), (200 * MB, true));
    }
}

#[test]
fn many_readers_that_do_not_read_cost_little() {
    let (provider, _sandbox, proxy) = scene();
    let before = warm(&proxy);
    provider.always(Script::flood(50 * MB, Framing::Chunked));
    let open = |_| {
        let mut client = proxy.connect();
        client.request(("GET", "/v1/files"), &KEY, b"");
        client
    };
    let clients: Vec<_> = (0..40).map(open).collect();
    wait("all answers to begin", || {
        let seen = provider.seen();
        (seen.iter().filter(|seen| seen.flooded > 0).count() >= 40).then_some(())
    });
    let grown = proxy.peak_memory() - before;
    say(&format!("40 readers that do not read: memory grew by {} kB", grown / 1024));
    assert!(grown < 16 * MB, "{grown}");
    provider.always(Script::default());
    assert_eq!(proxy.ask("GET", "/v1/models", &KEY, b"").status(), 200);
    drop(clients);
}

#[test]
fn json_of_every_kind_passes_unharmed() {
    let (provider, _sandbox, proxy) = scene();
    let message = |content: &str| {
        format!("{{\"model\":\"m\",\"messages\":[{{\"role\":\"user\",\"content\":{content}}}]}}")
    };
    let deep = |open: &str, close: &str, n: usize| open.repeat(n) + &close.repeat(n);
    let cases: [(&str, Vec<u8>); 22] = [
        ("100,000 arrays", message(&deep("[", "]", 100_000)).into()),
        ("100,000 objects", message(&(deep("{\"a\":", "}", 100_000).replace(":}", ":1}"))).into()),
        ("100,000 arrays that do not end", message(&"[".repeat(100_000)).into()),
        ("1,000,000 brackets", vec![b'['; 1_000_000]),
        ("duplicate keys", br#"{"model":"a","model":"b","messages":[],"messages":[{"role":"user","content":"x"}]}"#.to_vec()),
        ("1e400", br#"{"messages":[{"role":"user","content":"x"}],"temperature":1e400}"#.to_vec()),
        ("-1e-400", br#"{"messages":[],"x":-1e-400,"y":-0.0,"z":1E+05}"#.to_vec()),
        ("64 bits", br#"{"messages":[],"seed":18446744073709551615,"s":-9223372036854775808}"#.to_vec()),
        ("larger than 64 bits", br#"{"messages":[],"seed":123456789012345678901234567890.5}"#.to_vec()),
        ("a lone surrogate", message(r#""\ud83d and \ude00""#).into()),
        ("surrogates the wrong way round", message(r#""\ude00\ud83d""#).into()),
        ("escaped everything", message(r#""\u0041\/\b\f\n\r\t\"\\""#).into()),
        ("NUL escaped", message(r#""a\u0000b""#).into()),
        ("a byte order mark", [b"\xef\xbb\xbf", message("\"x\"").as_bytes()].concat()),
        ("UTF-16", "{\"messages\":[]}".encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("bytes that are not UTF-8", [b"{\"messages\":\"\xff\xfe\xc0\x80", b"\"}".as_slice()].concat()),
        ("raw control characters", b"{\"messages\":\"a\x01b\nc\"}".to_vec()),
        ("two documents", br#"{"messages":[]}{"messages":[]}"#.to_vec()),
        ("trailing commas and comments", b"{\"messages\":[1,],/* x */}//".to_vec()),
        ("blanks only", b" \r\n\t ".to_vec()),
        ("a long key", format!("{{\"{}\":1,\"messages\":[]}}", "k".repeat(1_000_000)).into()),
        ("100,000 members", format!("{{{}\"messages\":[]}}", (0..100_000).map(|n| format!("\"k{n}\":{n},")).collect::<String>()).into()),
    ];
    let begun = Instant::now();
    for (what, body) in &cases {
        for api in Api::ALL {
            let answer = proxy.post(api.target(false), &api.headers(), body);
            assert_eq!(answer.status(), 200, "{what} {api:?}: {}", answer.text());
            assert!(provider.last().body == *body, "{what} {api:?}: changed");
        }
        provider.forget();
    }
    say(&format!("{} bodies in {} ms", cases.len() * 4, begun.elapsed().as_millis()));
}

#[test]
fn answers_of_every_kind_pass_unharmed() {
    let (provider, _sandbox, proxy) = scene();
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let cases: [(&str, Vec<u8>); 8] = [
        ("100,000 arrays", format!("{{\"x\":{deep},\"usage\":{{\"input_tokens\":1}}}}").into()),
        (
            "duplicate usage",
            br#"{"usage":{"input_tokens":1,"output_tokens":2},"usage":{"input_tokens":3}}"#
                .to_vec(),
        ),
        (
            "huge counts",
            br#"{"usage":{"input_tokens":1e400,"output_tokens":99999999999999999999}}"#.to_vec(),
        ),
        ("negative counts", br#"{"usage":{"input_tokens":-5,"output_tokens":1.5}}"#.to_vec()),
        ("usage of another kind", br#"{"usage":[1,2,{"input_tokens":null}]}"#.to_vec()),
        ("a byte order mark", b"\xef\xbb\xbf{\"usage\":{}}".to_vec()),
        ("not UTF-8", b"{\"text\":\"\xff\xfe\",\"usage\":{}}".to_vec()),
        ("not JSON", b"busy, try later".to_vec()),
    ];
    for (what, body) in cases {
        for api in Api::ALL {
            for kind in ["application/json", "text/event-stream"] {
                provider.next(Script::default().body(kind, body.clone()));
                let answer = proxy.post(api.target(false), &api.headers(), &api.small(false));
                assert_eq!((answer.status(), answer.clean), (200, true), "{what} {api:?}");
                assert!(answer.body == body, "{what} {api:?}: changed");
            }
        }
    }
}

#[test]
fn prompt_of_64_mb_passes_and_a_larger_one_is_refused() {
    let (provider, sandbox, proxy) = scene();
    let head = "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"";
    let tail = "\"}]}";
    let body = |bytes: usize| {
        let text = "word ".repeat(bytes / 5 + 1);
        format!("{head}{}{tail}", &text[..bytes - head.len() - tail.len()]).into_bytes()
    };
    let largest = body(64 * MB);
    let begun = Instant::now();
    let answer = proxy.post("/v1/messages", &Api::Messages.headers(), &largest);
    say(&format!("a prompt of 64 MB took {} ms", begun.elapsed().as_millis()));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert!(provider.last().body == largest, "changed");
    assert_eq!(answer.head.header("x-tokenpak-skip").as_deref(), Some("large"));
    assert_eq!(sandbox.row(&answer.head.request_id()).text("skip_reason"), "large");
    provider.forget();
    let answer = proxy.post("/v1/messages", &Api::Messages.headers(), &body(64 * MB + 1));
    assert_eq!((answer.status(), provider.seen().len()), (413, 1));
}
