//! Streams: every event at once, every break told, every leaver noticed.

use crate::provider::{End, Framing, Gate, Provider, Script};
use crate::sandbox::wait;
use crate::support::{Api, sandbox, say, scene};
use std::time::{Duration, Instant, SystemTime};

#[test]
fn each_event_leaves_before_the_next_one_comes() {
    let (provider, _sandbox, proxy) = scene();
    let mut client = proxy.connect();
    for (n, api) in Api::ALL.into_iter().enumerate() {
        let gate = Gate::default();
        provider.next(Script::gated(64, &gate));
        client.request(("POST", api.target(true)), &api.headers(), &api.small(true));
        provider.wait_seen(n + 1);
        // The head comes without waiting for an event: none may leave yet.
        assert_eq!(client.head().status, 200);
        let mut read = Vec::new();
        for k in 1.. {
            // One more event is let go only when all before it have been read.
            gate.open(k);
            match client.piece().unwrap() {
                Some(piece) => read.extend(piece),
                None => break,
            }
            while !read.ends_with(b"\n\n") && !read.ends_with(b"\r\n\r\n") {
                read.extend(client.piece().unwrap().unwrap());
            }
        }
        let answer = provider.last().answer;
        assert_eq!(String::from_utf8_lossy(&read), String::from_utf8_lossy(&answer), "{api:?}");
        assert!(answer.split(|b| *b == b'\n').count() > 128, "{api:?}");
    }
}

#[test]
fn events_50_ms_apart_arrive_when_they_are_sent() {
    let (provider, _sandbox, proxy) = scene();
    let gap = Duration::from_millis(50);
    provider.next(Script { words: 64, stamps: true, gap, ..Script::default() });
    let mut client = proxy.connect();
    client.request(("POST", "/v1/messages"), &Api::Messages.headers(), &Api::Messages.small(true));
    client.head();
    let mut delays = Vec::new();
    while let Some(piece) = client.piece().unwrap() {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros();
        let text = String::from_utf8(piece).unwrap();
        let stamps = text
            .split("\"text\":\"")
            .skip(1)
            .filter_map(|rest| rest.get(..16)?.parse::<u128>().ok());
        delays.extend(stamps.map(|stamp| now.saturating_sub(stamp)));
    }
    assert_eq!(delays.len(), 64);
    delays.sort_unstable();
    // A figure to look at; that nothing is held back is shown by the handshake above.
    say(&format!("64 events 50 ms apart: delay p50 {} us, max {} us", delays[32], delays[63]));
}

#[test]
fn events_survive_any_split() {
    let (provider, _sandbox, proxy) = scene();
    let text = "event: ping\r\ndata: {\"x\":\"caf\u{e9} \u{1f600}\"}\r\n\r\n: a comment\n\ndata: one\ndata: two\n\n\
        data: {\"type\":\"message_stop\"}\n\n";
    let pieces = text.bytes().map(|byte| vec![byte]).collect();
    let script = Script { body: Some(pieces), ..Script::default() };
    provider.next(Script { content_type: Some("text/event-stream".into()), ..script });
    let answer = proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(true));
    assert_eq!((answer.text(), answer.clean), (text.to_owned(), true));
}

#[test]
fn client_that_leaves_before_the_answer_ends_the_request() {
    let (provider, sandbox, proxy) = scene();
    provider.always(Script::hang());
    for (n, rude) in [false, true].into_iter().enumerate() {
        let mut client = proxy.connect();
        client.request(
            ("POST", "/v1/messages"),
            &Api::Messages.headers(),
            &Api::Messages.small(true),
        );
        provider.wait_seen(n + 1);
        let left = Instant::now();
        if rude {
            client.reset()
        } else {
            drop(client)
        }
        let noticed = provider.wait_left(n + 1) - left;
        say(&format!(
            "client left before the head: upstream closed after {} us",
            noticed.as_micros()
        ));
        assert_gone(&sandbox.rows(n + 1)[n]);
    }
}

#[test]
fn client_that_leaves_in_a_stream_ends_the_request() {
    let (provider, sandbox, proxy) = scene();
    let gate = Gate::default();
    provider.next(Script::gated(64, &gate));
    let mut client = proxy.connect();
    client.request(("POST", "/v1/messages"), &Api::Messages.headers(), &Api::Messages.large(true));
    gate.open(10);
    client.head();
    client.read_until("\"file \"");
    // The provider has nothing more to say for now: only the client's leaving can end this.
    let left = Instant::now();
    drop(client);
    let noticed = provider.wait_left(1) - left;
    say(&format!("client left in the stream: upstream closed after {} us", noticed.as_micros()));
    let row = &sandbox.rows(1)[0];
    assert_gone(row);
    assert_eq!(row.number("status"), Some(200));
    assert!(row.number("input_tokens").is_some(), "what was seen before the break is kept");
    assert_eq!(row.number("cost_nano"), None);
    // Nothing is left behind: the next one is served.
    let answer = proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(false));
    assert_eq!(answer.status(), 200);
}

#[track_caller]
fn assert_gone(row: &crate::sandbox::Row) {
    assert_eq!(row.text("error"), "client_gone");
}

#[test]
fn half_closed_client_still_gets_its_answer_or_a_clean_refusal() {
    let (provider, _sandbox, proxy) = scene();
    let mut client = proxy.connect();
    provider.next(Script { head_delay: Duration::from_millis(300), ..Script::default() });
    client.request(("POST", "/v1/messages"), &Api::Messages.headers(), &Api::Messages.small(false));
    client.finish_sending();
    // Either reading of a half close is right; a broken answer is not.
    if let Some(head) = client.try_head() {
        assert!(head.status == 200 && client.body().1);
    }
}

#[test]
fn broken_answer_breaks_for_the_client_too() {
    let (provider, sandbox, proxy) = scene();
    let sized = |short_by| Script { framing: Framing::Sized, short_by, ..Script::default() };
    let cases = [
        ("stream cut by a close", Script::cut(5, End::Fin), true),
        ("stream cut by a reset", Script::cut(5, End::Reset), true),
        ("stream without its last chunk", Script::cut(usize::MAX, End::Fin), true),
        ("sized stream, too short", sized(9), true),
        ("plain answer, too short", sized(9), false),
        ("plain answer cut in the middle", Script::cut(1, End::Fin), false),
        ("plain answer reset in the middle", Script::cut(1, End::Reset), false),
    ];
    for (what, script, stream) in cases {
        let early = matches!(script.cut, Some((0..10, _)));
        provider.next(script);
        let body = Api::Messages.small(stream);
        let mut client = proxy.connect();
        client.request(("POST", "/v1/messages"), &Api::Messages.headers(), &body);
        let answer = client.answer();
        assert_eq!((answer.status(), answer.clean), (200, false), "{what}");
        assert!(client.closed(), "{what}");
        let seen = provider.last().answer;
        assert!(seen.starts_with(&answer.body), "{what}: not what the provider sent");
        let row = sandbox.row(&answer.head.request_id());
        assert!(!matches!(row.text("error"), "" | "client_gone"), "{what}: {:?}", row);
        // Where the usage came before the break, it is kept and priced.
        assert!(!early || row.number("cost_nano").is_none(), "{what}");
    }
    let answer = proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(true));
    assert!(answer.clean, "the proxy lives on");
}

#[test]
fn answer_that_ends_with_its_connection_is_judged_by_its_end_mark() {
    let (provider, sandbox, proxy) = scene();
    for api in Api::ALL {
        let whole = Script { framing: Framing::UntilClose, ..Script::default() };
        provider.next(whole.clone());
        let answer = proxy.post(api.target(true), &api.headers(), &api.small(true));
        assert!(answer.clean && answer.body == provider.last().answer, "{api:?}");
        assert_eq!(sandbox.row(&answer.head.request_id()).text("error"), "", "{api:?}");
        // Ends in the middle of an event: nobody may take that for a whole answer.
        let half = vec![b"data: {\"type\":\"ping\"}\n\ndata: {\"type\":\"pi".to_vec()];
        let script = Script { body: Some(half), ..whole };
        provider.next(Script { content_type: Some("text/event-stream".into()), ..script });
        let answer = proxy.post(api.target(true), &api.headers(), &api.small(true));
        assert!(!answer.clean, "{api:?}");
        assert!(!sandbox.row(&answer.head.request_id()).text("error").is_empty(), "{api:?}");
    }
}

#[test]
fn many_streams_run_at_once() {
    let (provider, _sandbox, proxy) = scene();
    let gate = Gate::default();
    provider.always(Script::gated(20, &gate));
    let open = |_| {
        let mut client = proxy.connect();
        client.request(
            ("POST", "/v1/messages"),
            &Api::Messages.headers(),
            &Api::Messages.small(true),
        );
        client
    };
    let mut clients: Vec<_> = (0..200).map(open).collect();
    gate.open(1);
    for client in &mut clients {
        assert_eq!(client.head().status, 200);
        client.read_until("message_start");
    }
    // All are held at once, and a small request still gets through.
    provider.next(Script::default());
    let answer = proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(false));
    assert_eq!(answer.status(), 200);
    gate.open_all();
    assert!(clients.iter_mut().all(|client| client.body().1));
    wait("all answers", || provider.seen().iter().all(|seen| seen.answered).then_some(()));
}

/// Some providers send them for as long as they think; a footer must not keep them from a client
/// that would give up in silence.
#[test]
fn blank_lines_before_a_plain_answer_leave_as_they_come() {
    let provider = Provider::start();
    let sandbox = sandbox().providers(&provider).set("TOKENPAK_STATS_FOOTER", "1");
    let proxy = sandbox.serve();
    let answer = r#"{"choices":[{"message":{"content":"Hello."},"finish_reason":"stop"}]}"#;
    let gate = Gate::default();
    provider.next(Script {
        body: Some(["\n", "\n", answer].map(|piece| piece.as_bytes().to_vec()).to_vec()),
        content_type: Some("application/json".into()),
        framing: Framing::Chunked,
        gate: Some(gate.clone()),
        ..Script::default()
    });
    let mut client = proxy.connect();
    let api = Api::Chat;
    client.request(("POST", api.target(false)), &api.headers(), &api.small(false));
    for blank in 1..=2 {
        gate.open(blank);
        if blank == 1 {
            assert_eq!(client.head().status, 200);
        }
        assert_eq!(client.piece().unwrap().unwrap(), b"\n");
    }
    gate.open_all();
    assert_eq!(String::from_utf8(client.body().0).unwrap(), answer);
}
