//! What is held back of an answer, and for how long: a footer may not cost a client its answer.

use crate::provider::{Framing, Gate, Provider, Script};
use crate::sandbox::{Proxy, Sandbox};
use crate::support::{Api, sandbox};
use std::time::Duration;

const PART: &str = "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hello.\"},\"finish_reason\":null}]}\n\n";
const FINISH: &str =
    "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const USAGE: &str = "data: {\"id\":\"x\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

fn footed() -> (Provider, Sandbox, Proxy) {
    let provider = Provider::start();
    let sandbox = sandbox().providers(&provider).set("TOKENPAK_STATS_FOOTER", "");
    let proxy = sandbox.serve();
    (provider, sandbox, proxy)
}

fn stream(pieces: Vec<String>) -> Script {
    let body = pieces.into_iter().map(String::into_bytes).collect();
    Script {
        body: Some(body),
        content_type: Some("text/event-stream".to_owned()),
        framing: Framing::Chunked,
        ..Script::default()
    }
}

/// The provider says nothing at all behind the reason for stopping: the client has it all the same.
#[test]
fn a_finish_is_let_go_where_nothing_follows() {
    let (provider, sandbox, proxy) = footed();
    let gate = Gate::default();
    let pieces = [PART, FINISH, DONE].map(str::to_owned).to_vec();
    provider.next(Script { gate: Some(gate.clone()), ..stream(pieces) });
    let mut client = proxy.connect();
    client.request(("POST", "/v1/chat/completions"), &Api::Chat.headers(), &Api::Chat.small(true));
    gate.open(2);
    assert_eq!(client.head().status, 200);
    // The gate stays shut until it has come.
    client.read_until("\"stop\"");
    gate.open_all();
    client.read_until("[DONE]");
    let row = &sandbox.rows(1)[0];
    assert_eq!((row.text("footer"), row.number("status")), ("kept-waiting", Some(200)));
    assert_eq!(row.text("error"), "");
}

/// A provider that pings for ever: each ping passes at once, and the finish within its time.
#[test]
fn pings_pass_while_a_finish_is_held_and_do_not_hold_it() {
    let (provider, sandbox, proxy) = footed();
    let mut pieces = vec![PART.to_owned(), FINISH.to_owned()];
    pieces.extend((0..600).map(|at| format!(": ping {at}\n\n")));
    pieces.push(DONE.to_owned());
    let gate = Gate::default();
    let gap = Duration::from_millis(10);
    provider.next(Script { gate: Some(gate.clone()), gap, ..stream(pieces) });
    let mut client = proxy.connect();
    client.request(("POST", "/v1/chat/completions"), &Api::Chat.headers(), &Api::Chat.small(true));
    client.head();
    gate.open(3);
    // Before the gate lets anything else through.
    client.read_until(": ping 0\n");
    gate.open(590);
    client.read_until("\"stop\"");
    gate.open_all();
    client.read_until("[DONE]");
    assert_eq!(sandbox.rows(1)[0].text("footer"), "kept-waiting");
}

/// Events that come in a flood behind the finish are passed on, not collected.
#[test]
fn a_flood_behind_a_finish_is_passed_on() {
    let (provider, sandbox, proxy) = footed();
    let empty =
        "data: {\"id\":\"x\",\"choices\":[],\"filler\":\"0123456789012345678901234567890\"}\n\n";
    let cases = [
        ("events", empty.repeat(2000), "large"),
        ("one event", format!("data: {{\"id\":\"{}", "x".repeat(200_000)), "large"),
        ("comments", ": 0123456789012345678901234567890\n\n".repeat(4000), ""),
        ("one comment", format!(": {}", "x".repeat(200_000)), "odd"),
    ];
    for (at, (what, flood, footer)) in cases.into_iter().enumerate() {
        let gate = Gate::default();
        let pieces = vec![PART.to_owned(), FINISH.to_owned(), flood.clone(), DONE.to_owned()];
        provider.next(Script { gate: Some(gate.clone()), ..stream(pieces) });
        let mut client = proxy.connect();
        client.request(
            ("POST", "/v1/chat/completions"),
            &Api::Chat.headers(),
            &Api::Chat.small(true),
        );
        client.head();
        gate.open(3);
        let tail = &flood[flood.len() - 20..];
        let mut all = String::new();
        while !(all.ends_with(tail) || all.contains(FINISH) && all.len() >= flood.len()) {
            all += &String::from_utf8(client.piece().unwrap().expect("a piece")).unwrap();
        }
        gate.open_all();
        while let Some(piece) = client.piece().unwrap() {
            all += &String::from_utf8(piece).unwrap();
        }
        let row = &sandbox.rows(at + 1)[at];
        if footer.is_empty() {
            assert!(["added", "kept-waiting"].contains(&row.text("footer")), "{what}");
            continue;
        }
        assert_eq!(row.text("footer"), footer, "{what}");
        // A comment passes what is held.
        let parts = match what {
            "one comment" => {
                assert!(all.contains(FINISH), "{what}");
                assert_eq!(all.len(), [PART, FINISH, &flood, DONE].concat().len(), "{what}");
                continue;
            }
            _ => [PART, FINISH, &flood, DONE].concat(),
        };
        assert_eq!(all, parts, "{what}");
    }
}

/// Half an event, and a plain answer that does not come to its end, wait for nobody either.
#[test]
fn half_an_event_and_half_a_plain_answer_are_let_go() {
    let (provider, sandbox, proxy) = footed();
    let plain = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"Hi."},"finish_reason":"stop"}]}"#;
    let halves = |text: &str| {
        let (first, second) = text.split_at(20);
        vec![first.to_owned(), second.to_owned()]
    };
    let scripts = [
        (true, stream(halves(FINISH))),
        (false, Script { content_type: Some("application/json".into()), ..stream(halves(plain)) }),
    ];
    for (at, (is_stream, script)) in scripts.into_iter().enumerate() {
        let gate = Gate::default();
        provider.next(Script { gate: Some(gate.clone()), ..script });
        let mut client = proxy.connect();
        client.request(
            ("POST", "/v1/chat/completions"),
            &Api::Chat.headers(),
            &Api::Chat.small(is_stream),
        );
        gate.open(1);
        client.head();
        client.read_until(if is_stream { "\"x\"" } else { "\"index\"" });
        gate.open_all();
        client.read_until("\"stop\"");
        drop(client);
        let row = &sandbox.rows(at + 1)[at];
        let footer = if is_stream { "colocated" } else { "kept-waiting" };
        assert_eq!(row.text("footer"), footer);
    }
}

/// Cut anywhere, with every line end, byte order mark and comments: the same footer in the same place.
#[test]
fn the_footer_does_not_depend_on_how_a_stream_was_cut() {
    let (provider, sandbox, proxy) = footed();
    let text = [PART, ": ping\n\n", FINISH, USAGE, DONE].concat();
    let mut rows = 0;
    for text in [text.clone(), text.replace('\n', "\r\n"), format!("\u{feff}{text}")] {
        let mut want: Option<String> = None;
        let bytes = text.as_bytes();
        for cut in (0..=bytes.len() + 1).step_by(17).chain([bytes.len() + 1]) {
            let pieces = match cut {
                cut if cut > bytes.len() => bytes.chunks(1).map(<[u8]>::to_vec).collect(),
                cut => [&bytes[..cut], &bytes[cut..]]
                    .into_iter()
                    .filter(|piece| !piece.is_empty())
                    .map(<[u8]>::to_vec)
                    .collect(),
            };
            provider.next(Script { body: Some(pieces), ..stream(Vec::new()) });
            let answer =
                proxy.post("/v1/chat/completions", &Api::Chat.headers(), &Api::Chat.small(true));
            let got = answer.text();
            rows += 1;
            let row = sandbox.row(&answer.head.request_id());
            assert_eq!(row.text("footer"), "added", "{rows}: cut at {cut}: {got}");
            assert_eq!(
                (row.number("input_tokens"), row.number("output_tokens")),
                (Some(9), Some(2))
            );
            assert_eq!(*want.get_or_insert(got.clone()), got, "cut at {cut}");
        }
    }
}
