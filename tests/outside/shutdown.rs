//! How it ends, and what is on disk then.

use crate::provider::{Gate, Script};
use crate::sandbox::wait;
use crate::support::{Api, say, scene};
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
    assert!(stderr.contains("stopped"), "{stderr}");
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
    proxy.wait();
    assert!(client.try_head().is_none() || !client.body().1);
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
    proxy.kill();
    assert_eq!(sandbox.rows(5).len(), 5);
    // The database has survived, and is written on.
    let proxy = sandbox.serve();
    proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(false));
    assert_eq!(sandbox.rows(6).len(), 6);
}
