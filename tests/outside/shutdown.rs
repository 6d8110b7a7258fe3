//! How it ends, and what is on disk then.

use crate::provider::{Gate, Script};
use crate::sandbox::{Row, wait};
use crate::support::{Api, BILLED, say, scene};
use std::net::TcpStream;
use std::time::Instant;

#[test]
fn sigterm_lets_streams_finish_and_flushes() {
    let (provider, sandbox, mut proxy) = scene();
    let gate = Gate::default();
    provider.next(Script::gated(12, &gate));
    let mut client = proxy.connect();
    client.request(("POST", "/v1/messages"), &Api::Messages.headers(), &Api::Messages.small(true));
    gate.open(4);
    client.head();
    let mut idle = proxy.connect();
    proxy.terminate();
    // It refuses new connections, and lets go of those that have nothing to do.
    wait("the door to close", || TcpStream::connect(("127.0.0.1", proxy.port())).err());
    assert!(idle.closed());
    gate.open_all();
    let (body, clean) = client.body();
    assert!(clean && body == provider.last().answer, "the stream was not finished");
    assert!(client.closed());
    assert_eq!(proxy.wait(), 0);
    // It is over, so nothing needs to be waited for: the row is there.
    let row = &sandbox.rows(1)[0];
    assert_eq!((row.text("error"), row.number("status")), ("", Some(200)));
    let (stdout, stderr) = proxy.output();
    assert_eq!(stdout, "");
    assert!(stderr.contains(" stopping signal=TERM in_flight=1\n"), "{stderr}");
    assert!(stderr.contains("stopped"), "{stderr}");
}

#[test]
fn status_says_that_it_is_stopping() {
    let (provider, sandbox, mut proxy) = scene();
    let gate = Gate::default();
    provider.next(Script::gated(12, &gate));
    let mut client = proxy.connect();
    client.request(("POST", "/v1/messages"), &Api::Messages.headers(), &Api::Messages.small(true));
    gate.open(2);
    client.head();
    proxy.terminate();
    wait("the door to close", || TcpStream::connect(("127.0.0.1", proxy.port())).err());
    let status = sandbox.run(&["status"]);
    assert_eq!(status.status, 0, "{}", status.stderr);
    assert!(
        status.stdout.contains("\nhealth: it is stopping, and lets requests finish\n"),
        "{}",
        status.stdout
    );
    assert!(sandbox.run(&["status", "--json"]).stdout.contains("\"health\": \"draining\""));
    let doctor = sandbox.run(&["doctor", "--offline"]).stdout;
    assert!(doctor.contains(&format!("is closed: pid {} is stopping", proxy.pid())), "{doctor}");
    gate.open_all();
    assert_eq!(proxy.wait(), 0);
}

#[test]
fn sigterm_ends_an_idle_proxy_at_once() {
    let (_provider, sandbox, mut proxy) = scene();
    let _idle = proxy.connect();
    let begun = Instant::now();
    assert_eq!(proxy.stop(), 0);
    say(&format!("an idle proxy ends {} ms after SIGTERM", begun.elapsed().as_millis()));
    // A second life in the same home.
    let proxy = sandbox.serve();
    assert_eq!(proxy.ask("GET", "/", &[], b"").status(), 200);
}

#[test]
fn second_sigterm_does_not_wait() {
    let (provider, _sandbox, mut proxy) = scene();
    provider.next(Script::hang());
    let mut client = proxy.connect();
    client.request(("POST", "/v1/messages"), &Api::Messages.headers(), &Api::Messages.small(true));
    provider.wait_seen(1);
    proxy.terminate();
    wait("the door to close", || TcpStream::connect(("127.0.0.1", proxy.port())).err());
    proxy.terminate();
    assert_eq!(proxy.wait(), 0);
    assert_eq!(client.head().status, 503);
}

/// A second signal, as the end of the time for it, cuts what is in flight; the record says so.
#[test]
fn what_the_end_cuts_is_recorded_with_what_was_seen() {
    let (provider, sandbox, mut proxy) = scene();
    let gate = Gate::default();
    let mut clients = Vec::new();
    for api in Api::ALL {
        provider.next(Script::gated(12, &gate).billed(BILLED));
        let mut client = proxy.connect();
        client.request(("POST", api.target(true)), &api.headers(), &api.small(true));
        clients.push(client);
        provider.wait_seen(clients.len());
    }
    gate.open(4);
    clients.iter_mut().for_each(|client| drop(client.head()));
    // One that the provider has not answered yet, and one that does not take its answer.
    provider.next(Script::hang());
    let mut waiting = proxy.connect();
    waiting.request(("POST", "/v1/messages"), &Api::Messages.headers(), &Api::Messages.small(true));
    provider.wait_seen(5);
    provider.next(Script { words: 5_000, word_bytes: 4_000, ..Script::default() });
    let mut lazy = proxy.connect();
    lazy.request(("POST", "/v1/messages"), &Api::Messages.headers(), &Api::Messages.small(true));
    lazy.head();
    proxy.terminate();
    wait("the door to close", || TcpStream::connect(("127.0.0.1", proxy.port())).err());
    proxy.terminate();
    assert_eq!(proxy.wait(), 0);
    for mut client in clients {
        assert!(!client.body().1, "a cut answer does not look whole");
    }
    assert_eq!(waiting.head().status, 503);
    let rows = sandbox.rows(6);
    let error = |row: &Row| row.text("error").to_owned();
    assert_eq!(rows.iter().map(error).collect::<Vec<_>>(), ["shutdown"; 6]);
    // What the provider tells at the beginning is known; of Messages, the lazy one has begun as well.
    let begun = |row: &&Row| row.text("api") == "messages" && row.number("ttfb_ms").is_some();
    let seen = |row: &Row| (row.number("status"), row.number("input_tokens"));
    let seen = rows.iter().filter(begun).map(seen).collect::<Vec<_>>();
    assert!(seen.contains(&(Some(200), Some(9_000))), "{seen:?}");
    let unanswered = rows.iter().filter(|row| row.number("status") == Some(503)).count();
    assert_eq!(unanswered, 1);
}

#[test]
fn kill_loses_no_row_that_had_its_time() {
    let (_provider, sandbox, mut proxy) = scene();
    let mut client = proxy.connect();
    for n in 1..=5 {
        client.request(
            ("POST", "/v1/messages"),
            &Api::Messages.headers(),
            &Api::Messages.small(true),
        );
        let answered = client.answer();
        let begun = Instant::now();
        // Seen by another process: on disk.
        let row = sandbox.row(&answered.head.request_id());
        assert_eq!(row.number("status"), Some(200));
        say(&format!("row {n} was there {} ms after its answer", begun.elapsed().as_millis()));
    }
    let metrics = proxy.ask("GET", "/metrics", &[], b"").text();
    assert!(metrics.contains("\ntokenpak_ledger_delay_seconds_count 5\n"), "{metrics}");
    proxy.kill();
    assert_eq!(sandbox.rows(5).len(), 5);
    // The database has survived, and is written on.
    let proxy = sandbox.serve();
    proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(false));
    assert_eq!(sandbox.rows(6).len(), 6);
}
