//! Half-sent bodies that fill the connections or the memory: the slowest go first, and what is complete
//! is served.

use crate::exhaustion::limited;
use crate::provider::Provider;
use crate::sandbox::{Client, Proxy, wait};
use crate::support::{Api, sandbox, scene};
use std::thread;
use std::time::Duration;

const POST: &str = "POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nx-api-key: dummy\r\nanthropic-version: 2023-06-01\r\n";

/// Requests whose bodies have begun; each has so many bytes of what it announces.
fn half_sent(proxy: &Proxy, count: usize, begun: usize) -> Vec<Client> {
    let open = |_| {
        let mut client = proxy.connect();
        let start = "x".repeat(begun);
        client.send(format!("{POST}Content-Length: 200000\r\n\r\n{start}"));
        client
    };
    (0..count).map(open).collect()
}

/// Sends a piece of each body ten times a second.
fn drip(clients: &mut [Client], piece: usize, times: usize) {
    for _ in 0..times {
        for client in clients.iter_mut().filter(|client| !client.is_spoken_to()) {
            client.send(vec![b'x'; piece]);
        }
        thread::sleep(Duration::from_millis(100));
    }
}

#[track_caller]
fn serves(proxy: &Proxy, count: usize, when: &str) {
    for n in 0..count {
        let answer =
            proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(n % 2 == 0));
        assert_eq!((answer.status(), answer.clean), (200, true), "request {n}, {when}");
    }
}

#[test]
fn bodies_that_drip_make_room_for_complete_requests() {
    let provider = Provider::start();
    // (64 - 24) / 2 connections.
    let sandbox = limited(64, &provider);
    let proxy = sandbox.serve();
    for begun in [0, 1, 30_000] {
        let mut bodies = half_sent(&proxy, 40, begun);
        serves(&proxy, 25, "among bodies that have just begun");
        bodies.extend(half_sent(&proxy, 20, begun));
        // Never silent for long, and soon older than what has only begun.
        drip(&mut bodies, 1, 15);
        serves(&proxy, 25, "among bodies that drip");
        bodies.extend(half_sent(&proxy, 20, begun));
        drip(&mut bodies, 1, 15);
        let together: Vec<Client> = (0..10)
            .map(|_| {
                let mut client = proxy.connect();
                let body = Api::Messages.small(true);
                client.request(("POST", "/v1/messages"), &Api::Messages.headers(), &body);
                client
            })
            .collect();
        for mut client in together {
            assert_eq!(client.answer().status(), 200, "ten at once among bodies that drip");
        }
        let told = bodies.iter_mut().filter(|body| body.is_spoken_to());
        let statuses: Vec<u16> = told.filter_map(|body| Some(body.try_head()?.status)).collect();
        assert!(
            statuses.len() >= 20 && statuses.iter().all(|status| *status == 503),
            "{statuses:?}"
        );
    }
    let prompts = provider.seen().iter().filter(|seen| seen.body.starts_with(b"x")).count();
    assert_eq!(prompts, 0, "half a body went upstream");
}

#[test]
fn the_slowest_of_all_bodies_goes_first() {
    let provider = Provider::start();
    let sandbox = limited(64, &provider);
    let proxy = sandbox.serve();
    // The slow ones are the younger, and have the longer beginning.
    let mut fast = half_sent(&proxy, 10, 0);
    let mut slow = half_sent(&proxy, 10, 20_000);
    for _ in 0..40 {
        drip(&mut fast, 4000, 1);
        drip(&mut slow, 10, 1);
    }
    serves(&proxy, 1, "where all places are taken");
    let gone = |clients: &[Client]| clients.iter().filter(|client| client.is_spoken_to()).count();
    wait("a slow body to make room", || (gone(&slow) >= 1).then_some(()));
    // Each of them holds its place.
    let idle: Vec<Client> = (0..5).map(|_| proxy.connect()).collect();
    wait("slow bodies to make room", || (gone(&slow) >= 5).then_some(()));
    assert_eq!(gone(&fast), 0, "a fast one had to go before a slow one");
    drop(idle);
    for client in &mut fast {
        client.send(vec![b'x'; 200_000 - 40 * 4000]);
        assert_eq!(client.answer().status(), 200);
    }
}

#[test]
fn slow_upload_is_let_be_where_there_is_room() {
    let (provider, _sandbox, proxy) = scene();
    let body = Api::Messages.small(false);
    let mut client = proxy.connect();
    client.send(format!("{POST}Content-Length: {}\r\n\r\n", body.len()));
    let (start, end) = body.split_at(40);
    for byte in start {
        assert!(client.send([*byte]) && !client.is_spoken_to());
        thread::sleep(Duration::from_millis(100));
    }
    serves(&proxy, 1, "beside a slow upload");
    client.send(end);
    assert_eq!(client.answer().status(), 200);
    assert_eq!(provider.last().body, body);
}

#[test]
fn bodies_that_drip_give_their_memory_to_complete_ones() {
    let provider = Provider::start();
    let sandbox = sandbox().providers(&provider).config(r#"{"proxy": {"body_memory_mb": 1}}"#);
    let proxy = sandbox.serve();
    for _ in 0..2 {
        // 200 KB each are set aside for them: no more than five fit.
        let mut bodies = half_sent(&proxy, 12, 1);
        let mut waiting = proxy.connect();
        let large = Api::Messages.with_result(false, &"a line of words\n".repeat(10_000));
        waiting.request(("POST", "/v1/messages"), &Api::Messages.headers(), &large);
        while !waiting.is_spoken_to() {
            drip(&mut bodies, 1, 1);
        }
        assert_eq!(waiting.answer().status(), 200);
        let told: Vec<u16> = bodies
            .iter_mut()
            .filter(|body| body.is_spoken_to())
            .filter_map(|body| Some(body.try_head()?.status))
            .collect();
        assert!(!told.is_empty() && told.iter().all(|status| *status == 503), "{told:?}");
    }
}
