//! Bodies on their way in: large, slow, refused, cut off; and clients that end only their side.

use crate::provider::{Gate, Provider, Script};
use crate::sandbox::Client;
use crate::support::{Api, sandbox, say, scene};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

const POST: &str = "POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nx-api-key: dummy\r\nanthropic-version: 2023-06-01\r\n";
const FILES: &str =
    "POST /v1/files HTTP/1.1\r\nHost: localhost\r\nauthorization: Bearer sk-dummy\r\n";
const MB: usize = 1 << 20;

/// Sends `count` megabytes, as chunks or as they are; false when the other side takes no more.
fn send_mb(client: &mut Client, count: usize, is_chunked: bool) -> bool {
    let piece = match is_chunked {
        true => [format!("{MB:x}\r\n").as_bytes(), &[b'x'; MB], b"\r\n"].concat(),
        false => vec![b'x'; MB],
    };
    (0..count).all(|_| client.send(&piece))
}

#[test]
fn prompt_as_large_as_the_limit_passes() {
    let (provider, _sandbox, proxy) = scene();
    let mut client = proxy.connect();
    for (headers, is_chunked, tail) in [
        (format!("Content-Length: {}\r\n\r\n", 64 * MB), false, ""),
        ("Transfer-Encoding: chunked\r\n\r\n".into(), true, "0\r\n\r\n"),
    ] {
        client.send(format!("{POST}{headers}"));
        assert!(send_mb(&mut client, 64, is_chunked) && client.send(tail));
        let answer = client.answer();
        assert_eq!(
            (answer.status(), answer.head.header("x-tokenpak-skip").as_deref()),
            (200, Some("large"))
        );
        let seen = provider.last();
        assert!(seen.body.len() == 64 * MB && seen.body.iter().all(|byte| *byte == b'x'));
        provider.forget();
    }
}

#[test]
fn prompt_beyond_the_limit_is_refused_while_it_comes() {
    let (provider, _sandbox, proxy) = scene();
    // Announced: refused at once, and the answer is there although the client sends all of it.
    let mut client = proxy.connect();
    client.send(format!("{POST}Content-Length: {}\r\n\r\n", 65 * MB));
    assert!(send_mb(&mut client, 65, false), "cut off while it sends");
    let answer = client.answer();
    assert_eq!(
        (answer.status(), answer.head.header("connection").as_deref()),
        (413, Some("close"))
    );
    assert_eq!(answer.json()["type"], "error");
    assert!(client.closed());
    // In chunks: refused when it has become too large.
    let mut client = proxy.connect();
    client.send(format!("{POST}Transfer-Encoding: chunked\r\n\r\n"));
    assert!(send_mb(&mut client, 70, true), "cut off while it sends");
    assert_eq!(client.answer().status(), 413);
    // A chunk that says beforehand that it will be too large.
    let mut client = proxy.connect();
    client.send(format!("{POST}Transfer-Encoding: chunked\r\n\r\nfffffff\r\n"));
    assert_eq!(client.answer().status(), 413);
    // One that waits for leave to send is told before it has sent anything.
    let mut client = proxy.connect();
    client.send(format!("{POST}Expect: 100-continue\r\nContent-Length: 99999999999\r\n\r\n"));
    assert_eq!((client.answer().status(), client.closed()), (413, true));
    assert!(provider.seen().is_empty());
    assert_eq!(proxy.ask("GET", "/health", &[], b"").status(), 200);
}

/// An upstream that reads a body of any size without keeping it, and answers with its length.
fn counting_upstream() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || count_body(stream));
        }
    });
    port
}

fn count_body(mut stream: TcpStream) -> Option<()> {
    let (mut head, mut piece) = (Vec::new(), vec![0; 256 * 1024]);
    let end = loop {
        let count = stream.read(&mut piece).ok().filter(|count| *count > 0)?;
        head.extend_from_slice(&piece[..count]);
        if let Some(at) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let text = String::from_utf8_lossy(&head[..end]).to_ascii_lowercase();
    let length = text
        .split("content-length: ")
        .nth(1)
        .and_then(|rest| rest.split("\r\n").next()?.parse().ok());
    let mut got = head.len() - end;
    let mut tail = head[end..].to_vec();
    while length.map_or(!tail.ends_with(b"0\r\n\r\n"), |length: usize| got < length) {
        let count = stream.read(&mut piece).ok().filter(|count| *count > 0)?;
        got += count;
        tail = piece[count.saturating_sub(5)..count].to_vec();
    }
    let answer =
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{got}", got.to_string().len());
    stream.write_all(answer.as_bytes()).ok()
}

#[test]
fn file_of_300_mb_passes_with_flat_memory() {
    let url = format!("http://127.0.0.1:{}", counting_upstream());
    let sandbox = sandbox().set("TOKENPAK_PROXY_PROVIDERS_OPENAI_URL", &url);
    let proxy = sandbox.serve();
    proxy.post("/v1/files", &Api::Chat.headers(), b"warm");
    let before = proxy.figure("VmHWM");
    for is_chunked in [false, true] {
        let mut client = proxy.connect();
        match is_chunked {
            true => client.send(format!("{FILES}Transfer-Encoding: chunked\r\n\r\n")),
            false => client.send(format!("{FILES}Content-Length: {}\r\n\r\n", 300 * MB)),
        };
        assert!(send_mb(&mut client, 300, is_chunked));
        if is_chunked {
            client.send("0\r\n\r\n");
        }
        let answer = client.answer();
        let arrived: usize = answer.text().parse().unwrap();
        assert!(answer.status() == 200 && arrived >= 300 * MB, "{arrived} bytes arrived");
        // The connection serves on: all of the body was read.
        client.request(("POST", "/v1/files"), &Api::Chat.headers(), b"hello");
        assert_eq!(client.answer().text(), "5");
    }
    let more = (proxy.figure("VmHWM") - before) >> 10;
    say(&format!("two uploads of 300 MB: {more} MB more memory"));
    assert!(more < 24, "{more} MB more for a file that is passed on while it comes");
}

#[test]
fn upload_that_goes_wrong_is_told_and_never_looks_complete() {
    let (provider, sandbox, proxy) = scene();
    let mut client = proxy.connect();
    client.send(format!("{FILES}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nnonsense\r\n"));
    assert_eq!((client.answer().status(), client.closed()), (400, true));
    // Left in the middle, with a length and in chunks, in an orderly way and with a reset.
    for framing in
        ["Content-Length: 2000000\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"]
    {
        for request in [FILES, POST] {
            for is_reset in [false, true] {
                let mut client = proxy.connect();
                client.send(format!("{request}{framing}"));
                match is_reset {
                    true => client.reset(),
                    false => drop(client),
                }
            }
        }
    }
    assert_eq!(
        proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(false)).status(),
        200
    );
    assert_eq!(provider.seen().len(), 1, "something incomplete was taken for a request");
    // The four prompts never became a request; the uploads did, and the record says what became of them.
    let rows = sandbox.rows(6);
    assert_eq!(rows.iter().filter(|row| row.text("error") == "client_gone").count(), 4, "{rows:?}");
    assert_eq!(rows.iter().filter(|row| row.text("error") == "bad-request").count(), 1);
}

#[test]
fn request_in_single_bytes_is_whole() {
    let (provider, _sandbox, proxy) = scene();
    let body = Api::Messages.small(false);
    let head = format!("{POST}Content-Length: {}\r\n\r\n", body.len());
    let mut client = proxy.connect();
    for byte in [head.as_bytes(), &body].concat() {
        client.send([byte]);
    }
    assert_eq!(client.answer().status(), 200);
    assert_eq!(provider.last().body, body);
}

#[test]
fn leave_to_send_is_given_where_the_body_is_wanted() {
    let (provider, _sandbox, proxy) = scene();
    for (request, framing, body) in [
        (POST, "Content-Length: 2\r\n", "{}"),
        (POST, "Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n"),
        (FILES, "Content-Length: 2\r\n", "{}"),
        (FILES, "Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n"),
    ] {
        let mut client = proxy.connect();
        client.send(format!("{request}EXPECT: 100-Continue\r\n{framing}\r\n"));
        assert_eq!(client.head().status, 100, "{framing}");
        client.send(body);
        assert_eq!(client.answer().status(), 200, "{framing}");
        assert_eq!(
            (provider.last().body, provider.last().header("expect")),
            (b"{}".to_vec(), None)
        );
        client.send("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(client.answer().status(), 200, "the connection goes on");
    }
    // Without a body there is nothing to invite, and nobody to wait.
    let mut client = proxy.connect();
    client.send("GET /v1/models HTTP/1.1\r\nHost: localhost\r\nauthorization: Bearer sk-dummy\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.head().status, 200);
    // Large, and outside the wire formats: the worker invites.
    let mut client = proxy.connect();
    client.send(format!("{FILES}Expect: 100-continue\r\nContent-Length: {}\r\n\r\n", 3 * MB));
    assert_eq!(client.head().status, 100);
    assert!(send_mb(&mut client, 3, false));
    assert_eq!(client.answer().body.len(), 3 * MB);
}

#[test]
fn client_that_ends_its_side_gets_all_its_answers() {
    let (provider, _sandbox, proxy) = scene();
    // A stream that begins only after the client has ended its side.
    let gate = Gate::default();
    provider.always(Script::gated(5, &gate));
    let mut client = proxy.connect();
    let body = Api::Messages.small(true);
    client.send(format!("{POST}Content-Length: {}\r\n\r\n", body.len()));
    client.send(&body);
    provider.wait_seen(1);
    client.finish_sending();
    // Longer than it takes to notice that somebody has left.
    thread::sleep(std::time::Duration::from_millis(300));
    gate.open_all();
    let answer = client.answer();
    assert!(answer.status() == 200 && answer.clean, "{}", answer.text());
    assert!(client.closed());
    provider.always(Script::default());
    // Several at once, then the end.
    let mut client = proxy.connect();
    client.send(format!("{FILES}Content-Length: 5\r\n\r\nhello").repeat(5));
    client.finish_sending();
    for n in 0..5 {
        assert_eq!(client.answer().text(), "hello", "{n}");
    }
    assert!(client.closed());
    // An upload whose end is the end of the sending, too.
    let mut client = proxy.connect();
    client.send(format!("{FILES}Content-Length: {}\r\n\r\n", 3 * MB));
    assert!(send_mb(&mut client, 3, false));
    client.finish_sending();
    assert_eq!(client.answer().body.len(), 3 * MB);
    // Our own answers.
    let mut client = proxy.connect();
    client.send("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client.finish_sending();
    assert_eq!((client.answer().status(), client.closed()), (200, true));
}

#[test]
fn client_that_ends_its_side_and_then_leaves_is_noticed() {
    let (provider, sandbox, proxy) = scene();
    provider.always(Script::hang());
    let mut client = proxy.connect();
    client.send(format!("{POST}Content-Length: 2\r\n\r\n{{}}"));
    provider.wait_seen(1);
    client.finish_sending();
    thread::sleep(std::time::Duration::from_millis(50));
    drop(client);
    provider.wait_left(1);
    assert_eq!(sandbox.rows(1)[0].text("error"), "client_gone");
}

#[test]
fn memory_for_bodies_is_shared_and_given_back() {
    let provider = Provider::start();
    let sandbox = sandbox().providers(&provider).config(r#"{"proxy": {"body_memory_mb": 8}}"#);
    let proxy = sandbox.serve();
    // 60 MB in bodies of 3 MB, two of which fit at a time: all are served.
    let clients: Vec<_> = (0..20)
        .map(|_| {
            let mut client = proxy.connect();
            thread::spawn(move || {
                client.send(format!("{POST}Content-Length: {}\r\n\r\n", 3 * MB));
                assert!(send_mb(&mut client, 3, false));
                client.answer().status()
            })
        })
        .collect();
    assert!(clients.into_iter().all(|client| client.join().unwrap() == 200));
    let peak = proxy.figure("VmHWM") >> 10;
    say(&format!("60 MB of bodies within 8 MB: at most {peak} MB of memory"));
    assert!(peak < 80, "{peak} MB");
    // More than there will ever be memory for.
    let mut client = proxy.connect();
    client.send(format!("{POST}Content-Length: {}\r\n\r\n", 8 * MB));
    assert_eq!(client.answer().status(), 413);
    // Bodies that stop in the middle make room for those that do not.
    let mut stopped: Vec<Client> = (0..4).map(|_| proxy.connect()).collect();
    for client in &mut stopped {
        client.send(format!("{POST}Content-Length: {}\r\n\r\nhello", 3 * MB));
    }
    let small = proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.large(false));
    assert_eq!(small.status(), 200, "a small one always has room");
    let mut client = proxy.connect();
    client.send(format!("{POST}Content-Length: {}\r\n\r\n", 3 * MB));
    assert!(send_mb(&mut client, 3, false));
    assert_eq!(client.answer().status(), 200);
    let refused = stopped.iter_mut().filter(|client| client.is_spoken_to()).count();
    assert!(refused >= 1, "nobody made room");
    let answer = stopped.iter_mut().find(|client| client.is_spoken_to()).map(Client::answer);
    let answer = answer.expect("one was refused");
    assert_eq!((answer.status(), answer.head.header("retry-after").as_deref()), (503, Some("1")));
}
