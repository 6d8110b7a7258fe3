//! More clients than is good: the proxy stays bounded, answers the others, and recovers by itself.
//!
//! Bounds on memory and threads are generous; the figures are printed.

use crate::provider::{Gate, Provider, Script};
use crate::sandbox::{Client, Proxy, Sandbox, wait};
use crate::support::{Api, sandbox, say, scene, skip};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

const POST: &str = "POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nx-api-key: dummy\r\nanthropic-version: 2023-06-01\r\n";
const FILES: &str =
    "POST /v1/files HTTP/1.1\r\nHost: localhost\r\nauthorization: Bearer sk-dummy\r\n";

/// Room for a few thousand sockets in this process; false, and said so, where there is none.
pub(crate) fn has_descriptors() -> bool {
    const WANTED: u64 = 6000;
    let files = getrlimit(Resource::Nofile);
    let has = files.maximum.is_none_or(|maximum| maximum >= WANTED);
    match has {
        true => setrlimit(Resource::Nofile, Rlimit { current: files.maximum, ..files }).unwrap(),
        false => skip("thousands of connections", "the limit on descriptors is too low"),
    }
    has
}

#[track_caller]
fn serves(proxy: &Proxy, when: &str) {
    assert_eq!(proxy.ask("GET", "/health", &[], b"").status(), 200, "/health {when}");
    let answer = proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(true));
    assert!(answer.status() == 200 && answer.clean, "{when}: {}", answer.text());
}

/// Prints and bounds what the proxy uses.
#[track_caller]
fn bounded(proxy: &Proxy, when: &str, megabytes: usize, threads: usize) {
    let (peak, now) = (proxy.figure("VmHWM") >> 10, proxy.figure("Threads"));
    say(&format!("{when}: at most {peak} MB of memory, {now} threads"));
    assert!(peak <= megabytes && now <= threads, "{when}: {peak} MB, {now} threads");
}

fn descriptors(proxy: &Proxy) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", proxy.pid())).unwrap().count()
}

#[test]
fn two_thousand_idle_connections_leave_room_for_new_ones() {
    if !has_descriptors() {
        return;
    }
    let (_provider, _sandbox, proxy) = scene();
    let mut idle: Vec<Client> = (0..2000).map(|_| proxy.connect()).collect();
    serves(&proxy, "with 2,000 idle connections");
    // The oldest made room, the youngest are there.
    assert!(idle[..900].iter().all(Client::is_spoken_to), "the oldest are still there");
    let youngest = idle.last_mut().unwrap();
    youngest.send("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(youngest.answer().status(), 200);
    let open = idle.iter().filter(|client| !client.is_spoken_to()).count();
    assert!((900..=1024).contains(&open), "{open} are open");
    bounded(&proxy, "2,000 idle connections", 60, 16);
    drop(idle);
    wait("descriptors to be given back", || (descriptors(&proxy) < 40).then_some(()));
}

#[test]
fn bursts_of_fresh_connections_are_all_answered() {
    if !has_descriptors() {
        return;
    }
    let (_provider, _sandbox, proxy) = scene();
    let proxy = Arc::new(proxy);
    for count in [8, 64, 256] {
        let clients = (0..count).map(|n| {
            let proxy = proxy.clone();
            thread::spawn(move || {
                let target = format!("/v1/files/{n}");
                let answer =
                    proxy.ask("GET", &target, &[("authorization", "Bearer sk-dummy")], b"");
                (answer.status(), answer.json()["target"] == target)
            })
        });
        let answers: Vec<_> =
            clients.collect::<Vec<_>>().into_iter().map(|c| c.join().unwrap()).collect();
        let right = answers.iter().filter(|answer| **answer == (200, true)).count();
        assert_eq!(right, count, "a burst of {count}");
    }
    bounded(&proxy, "bursts up to 256", 150, 300);
}

/// An upstream whose answers begin and stay open until they are let go: one thread for all of them.
pub(crate) struct Streams {
    pub(crate) port: u16,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Streams {
    pub(crate) fn start() -> Streams {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let open: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let streams = open.clone();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut request = Vec::new();
                let mut piece = [0; 4096];
                while !request.ends_with(b"}") {
                    match stream.read(&mut piece) {
                        Ok(count) if count > 0 => request.extend_from_slice(&piece[..count]),
                        _ => break,
                    }
                }
                let is_stream = request.windows(13).any(|text| text == b"\"stream\":true");
                let head =
                    "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\n";
                let _ = match is_stream {
                    true => stream.write_all(
                        format!("{head}transfer-encoding: chunked\r\n\r\n8\r\n: open\n\n\r\n")
                            .as_bytes(),
                    ),
                    false => {
                        stream.write_all(format!("{head}content-length: 2\r\n\r\n{{}}").as_bytes())
                    }
                };
                if is_stream {
                    streams.lock().unwrap().push(stream);
                }
            }
        });
        Streams { port, open }
    }

    pub(crate) fn end(&self) {
        let end = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
        for mut stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.write_all(format!("{:x}\r\n{end}\r\n0\r\n\r\n", end.len()).as_bytes());
        }
    }
}

#[test]
fn small_requests_pass_beside_512_open_streams() {
    if !has_descriptors() {
        return;
    }
    let streams = Streams::start();
    let url = format!("http://127.0.0.1:{}", streams.port);
    let sandbox = sandbox().set("TOKENPAK_PROXY_PROVIDERS_ANTHROPIC_URL", &url);
    let proxy = sandbox.serve();
    let body = Api::Messages.small(true);
    let mut clients: Vec<Client> = (0..512)
        .map(|_| {
            let mut client = proxy.connect();
            client.request(("POST", "/v1/messages"), &Api::Messages.headers(), &body);
            client
        })
        .collect();
    for client in &mut clients {
        assert_eq!(client.head().status, 200);
        client.read_until(": open");
    }
    for n in 0..50 {
        let small =
            proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(false));
        assert_eq!(small.status(), 200, "request {n}");
        assert_eq!(proxy.ask("GET", "/health", &[], b"").status(), 200);
    }
    bounded(&proxy, "512 open streams", 80, 560);
    streams.end();
    assert!(clients.iter_mut().all(|client| client.body().1), "a stream was cut");
}

/// Sends a byte to each twice a second for as long as any of them takes one.
fn trickle(clients: &mut [Client]) {
    while clients.iter().any(|client| !client.is_spoken_to()) {
        for client in clients.iter_mut().filter(|client| !client.is_spoken_to()) {
            client.send("a");
        }
        thread::sleep(Duration::from_millis(500));
    }
}

#[test]
fn slow_clients_are_sent_away_and_hold_up_nobody() {
    if !has_descriptors() {
        return;
    }
    let provider = Provider::start();
    let deadlines = "head=3000 body=5000 upload=5000";
    let sandbox = sandbox().providers(&provider).deadlines(deadlines);
    let proxy = sandbox.serve();
    let open = |start: &str, count: usize| -> Vec<Client> {
        let client = |_| {
            let mut client = proxy.connect();
            client.send(start);
            client
        };
        (0..count).map(client).collect()
    };
    let half = "x".repeat(100_000);
    let bodies = open(&format!("{POST}Content-Length: 200000\r\n\r\n{half}"), 200);
    let chunks = open(&format!("{POST}Transfer-Encoding: chunked\r\n\r\n30d40\r\n{half}"), 50);
    let uploads = open(&format!("{FILES}Transfer-Encoding: chunked\r\n\r\n30d40\r\n{half}"), 100);
    let silent = open("POST /v1/mess", 200);
    let mut trickling = open(&format!("{POST}x-slow: "), 200);
    serves(&proxy, "with 750 slow clients");
    bounded(&proxy, "750 slow clients", 200, 160);
    let done = &AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(move || {
            trickle(&mut trickling);
            assert!(trickling.iter_mut().all(|client| client.answer().status() == 408));
            done.store(true, Ordering::Relaxed);
        });
        while !done.load(Ordering::Relaxed) {
            serves(&proxy, "while heads trickle in");
            thread::sleep(Duration::from_millis(200));
        }
    });
    for (what, clients) in
        [("silent heads", silent), ("bodies", bodies), ("chunks", chunks), ("uploads", uploads)]
    {
        for mut client in clients {
            assert_eq!((client.answer().status(), client.closed()), (408, true), "{what}");
        }
    }
    serves(&proxy, "after the slow clients");
    let prompts = provider.seen().iter().filter(|seen| seen.body.starts_with(b"xxx")).count();
    assert_eq!(prompts, 0, "half a body went upstream");
}

#[test]
fn body_that_finds_no_memory_in_time_is_told_so() {
    let provider = Provider::start();
    let sandbox = sandbox().providers(&provider).config(r#"{"proxy": {"body_memory_mb": 1}}"#);
    let sandbox = sandbox.deadlines("body=3000");
    let proxy = sandbox.serve();
    let open = || {
        let mut client = proxy.connect();
        client.send(format!("{POST}Content-Length: 900000\r\n\r\n"));
        client
    };
    // Slow, but never so slow that it would have to make room.
    let (mut slow, mut waiting) = (open(), open());
    let done = &AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(move || {
            // Bounded, for the case that the other fails.
            for _ in (0..430).take_while(|_| !done.load(Ordering::Relaxed)) {
                assert!(
                    slow.send([b'x'; 2000]) && !slow.is_spoken_to(),
                    "the first has to make room"
                );
                thread::sleep(Duration::from_millis(100));
            }
        });
        serves(&proxy, "while there is no memory for large bodies");
        let answer = waiting.answer();
        done.store(true, Ordering::Relaxed);
        let retry = answer.head.header("retry-after");
        assert_eq!((answer.status(), retry.as_deref()), (503, Some("1")));
    });
    let again = proxy.post("/v1/messages", &Api::Messages.headers(), &vec![b'x'; 900_000]);
    assert_eq!(again.status(), 200, "the memory is free again");
}

/// The program under a limit on descriptors from its start.
pub(crate) fn limited(descriptors: usize, provider: &Provider) -> Sandbox {
    let own = sandbox();
    let script = format!(
        "#!/bin/sh\nulimit -n {descriptors}\nexec {} \"$@\"\n",
        env!("CARGO_BIN_EXE_tokenpak")
    );
    let path = own.write("limited", script);
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&path, executable).unwrap();
    let limited = Sandbox::of(Path::new(&path)).providers(provider);
    // The script is read when it starts, from the first sandbox.
    std::mem::forget(own);
    limited
}

#[test]
fn few_descriptors_mean_few_connections_not_failures() {
    let provider = Provider::start();
    let sandbox = limited(64, &provider);
    let proxy = sandbox.serve();
    let idle: Vec<Client> = (0..200).map(|_| proxy.connect()).collect();
    for n in 0..50 {
        let answer =
            proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(n % 2 == 0));
        assert_eq!(answer.status(), 200, "request {n}");
    }
    serves(&proxy, "with 64 descriptors");
    assert!(descriptors(&proxy) < 64);
    drop(idle);
}

#[test]
fn one_connection_too_many_is_told_so() {
    let provider = Provider::start();
    let sandbox = limited(64, &provider);
    let proxy = sandbox.serve();
    let gate = Gate::default();
    provider.always(Script::gated(3, &gate));
    // (64 - 24) / 2 connections, all at work.
    let mut busy: Vec<Client> = (0..20).map(|_| proxy.connect()).collect();
    for client in &mut busy {
        client.request(
            ("POST", "/v1/messages"),
            &Api::Messages.headers(),
            &Api::Messages.small(true),
        );
    }
    provider.wait_seen(20);
    let mut late = proxy.connect();
    let answer = late.answer();
    assert_eq!((answer.status(), answer.head.header("retry-after").as_deref()), (503, Some("1")));
    gate.open_all();
    assert!(busy.iter_mut().all(|client| client.answer().clean));
    // A connection makes room a moment after its answer has come.
    drop(busy);
    wait("room", || (proxy.ask("GET", "/health", &[], b"").status() == 200).then_some(()));
}

/// Processor time so far, in hundredths of a second.
fn ticks(proxy: &Proxy) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", proxy.pid())).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn accept_recovers_from_want_of_descriptors_without_spinning() {
    let (provider, _sandbox, proxy) = scene();
    let gate = Gate::default();
    provider.always(Script::gated(3, &gate));
    let ask = || {
        let mut client = proxy.connect();
        client.request(
            ("POST", "/v1/messages"),
            &Api::Messages.headers(),
            &Api::Messages.small(true),
        );
        client
    };
    let mut busy: Vec<Client> = (0..4).map(|_| ask()).collect();
    provider.wait_seen(4);
    // Not one more: every connection is at work, so none can make room.
    let pid = Pid::from_raw(proxy.pid() as i32);
    let old = getrlimit(Resource::Nofile);
    let none = Rlimit { current: Some(3), ..old };
    if let Err(error) = prlimit(pid, Resource::Nofile, none) {
        return skip("descriptors run out", &error.to_string());
    }
    busy.extend((0..4).map(|_| ask()));
    let before = ticks(&proxy);
    thread::sleep(Duration::from_secs(2));
    let spent = ticks(&proxy) - before;
    say(&format!(
        "two seconds without descriptors: {spent} hundredths of a second of processor time"
    ));
    assert!(spent < 100, "it spins");
    assert_eq!(provider.seen().len(), 4);
    prlimit(pid, Resource::Nofile, old).unwrap();
    gate.open_all();
    for client in &mut busy {
        let answer = client.answer();
        assert!(answer.status() == 200 && answer.clean);
    }
    serves(&proxy, "with descriptors again");
}

#[test]
fn connections_that_break_leave_nothing_behind() {
    if !has_descriptors() {
        return;
    }
    let (_provider, _sandbox, proxy) = scene();
    serves(&proxy, "at first");
    let before = descriptors(&proxy);
    for round in 0..3 {
        let starts = [
            "",
            "GET /v1/mo",
            &format!("{POST}Content-Length: 99\r\n\r\nx"),
            &format!("{FILES}Content-Length: 9999999\r\n\r\nx"),
        ];
        for n in 0..200 {
            let mut client = proxy.connect();
            client.send(starts[n % 4]);
            if n % 8 < 4 {
                client.reset();
            }
        }
        serves(&proxy, &format!("after round {round}"));
    }
    wait("descriptors to be given back", || (descriptors(&proxy) <= before + 4).then_some(()));
}

#[test]
fn flood_on_one_connection_is_read_as_it_is_answered() {
    let (_provider, _sandbox, proxy) = scene();
    proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(true));
    let before = proxy.figure("VmRSS");
    let mut flood = TcpStream::connect(("127.0.0.1", proxy.port())).unwrap();
    flood.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let request =
        "GET /v1/files/x HTTP/1.1\r\nHost: localhost\r\nauthorization: Bearer sk-dummy\r\n\r\n";
    let requests = request.repeat(1000);
    // 80 MB of requests, until nobody takes any more; no answer is read.
    let sent = (0..1000).take_while(|_| flood.write_all(requests.as_bytes()).is_ok()).count();
    assert!(sent < 1000, "everything was read ahead");
    serves(&proxy, "beside a flood");
    let more = proxy.figure("VmRSS").saturating_sub(before) >> 10;
    say(&format!(
        "a flood of requests on one connection: {more} MB more memory, {sent} thousand were taken"
    ));
    assert!(more < 32, "{more} MB");
}
