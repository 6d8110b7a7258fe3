//! Providers that begin to answer before they have read the request: upload and answer go on together.

use crate::provider::{Authority, tls};
use crate::sandbox::{Client, Proxy, Sandbox};
use crate::support::{Api, sandbox};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

const MB: usize = 1 << 20;
const FILES: &str =
    "POST /v1/files HTTP/1.1\r\nHost: localhost\r\nauthorization: Bearer sk-dummy\r\n";
const EARLY: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

/// A request's body as it comes to the upstream, framing included.
struct Incoming {
    stream: TcpStream,
    piece: Vec<u8>,
    /// Bytes that are still to come; `None` for chunks.
    left: Option<usize>,
    tail: Vec<u8>,
}

impl Incoming {
    /// Reads the next head; `None` at the connection's end.
    fn begin(stream: &TcpStream) -> Option<Incoming> {
        let (mut head, mut stream) = (Vec::new(), stream.try_clone().ok()?);
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).ok()?;
            head.push(byte[0]);
        }
        let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let length = text.split("content-length: ").nth(1);
        let length = length.and_then(|rest| rest.split("\r\n").next()?.parse().ok());
        let left =
            if text.contains("transfer-encoding") { None } else { Some(length.unwrap_or(0)) };
        Some(Incoming { stream, piece: vec![0; 64 * 1024], left, tail: Vec::new() })
    }

    /// The next bytes; none at the body's end, an error at the connection's.
    fn next(&mut self) -> io::Result<&[u8]> {
        if self.left == Some(0) || self.left.is_none() && self.tail.ends_with(b"0\r\n\r\n") {
            return Ok(&[]);
        }
        let count = self.stream.read(&mut self.piece)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left = self.left.map(|left| left - count);
        self.tail.extend_from_slice(&self.piece[count.saturating_sub(5)..count]);
        Ok(&self.piece[..count])
    }

    /// Reads to the end; how much it was.
    fn rest(&mut self) -> io::Result<usize> {
        let mut total = 0;
        loop {
            match self.next()?.len() {
                0 => return Ok(total),
                count => total += count,
            }
        }
    }
}

/// What an upstream does with one request.
type Serve = Arc<dyn Fn(&TcpStream, Incoming) -> io::Result<()> + Send + Sync>;

/// An upstream and the proxy before it. `connections` counts those to the upstream.
struct Scene {
    sandbox: Sandbox,
    proxy: Proxy,
    connections: Arc<AtomicUsize>,
}

fn scene(
    is_tls: bool,
    serve: impl Fn(&TcpStream, Incoming) -> io::Result<()> + Send + Sync + 'static,
) -> Scene {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut port = listener.local_addr().unwrap().port();
    let (connections, serve): (Arc<AtomicUsize>, Serve) = (Arc::default(), Arc::new(serve));
    let count = connections.clone();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            count.fetch_add(1, Ordering::SeqCst);
            let serve = serve.clone();
            thread::spawn(move || {
                let _ = stream.set_nodelay(true);
                while let Some(incoming) = Incoming::begin(&stream) {
                    if serve(&stream, incoming).is_err() {
                        return;
                    }
                }
            });
        }
    });
    let mut sandbox = sandbox();
    if is_tls {
        let authority = Authority::new();
        port = tls(port, authority.sign("localhost"));
        let roots = sandbox.write("roots.pem", authority.pem());
        sandbox = sandbox.set("TOKENPAK_TLS_ROOTS", roots.to_str().unwrap());
    }
    let scheme = if is_tls { "https" } else { "http" };
    let url = format!("{scheme}://localhost:{port}");
    let sandbox = sandbox
        .set("TOKENPAK_PROXY_PROVIDERS_OPENAI_URL", &url)
        .set("TOKENPAK_PROXY_PROVIDERS_ANTHROPIC_URL", &url);
    let proxy = sandbox.serve();
    Scene { sandbox, proxy, connections }
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// How a request says where its body ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Framing {
    Chunks,
    /// Bodies of up to 1 MiB are read whole if they come at once.
    Short,
    /// They are followed by so much that they are passed on as they come.
    Long,
}
use Framing::{Chunks, Long, Short};

const FILLER: usize = 3 * MB;

/// Begins an upload of `total` bytes, and of what its kind adds.
fn begin(proxy: &Proxy, framing: Framing, total: usize) -> Client {
    let mut client = proxy.connect();
    match framing {
        Chunks => client.send(format!("{FILES}Transfer-Encoding: chunked\r\n\r\n")),
        Short => client.send(format!("{FILES}Content-Length: {total}\r\n\r\n")),
        Long => client.send(format!("{FILES}Content-Length: {}\r\n\r\n", total + FILLER)),
    };
    client
}

fn send(client: &mut Client, framing: Framing, bytes: &[u8]) {
    match framing {
        Chunks => client.send(chunk(bytes)),
        Short | Long => client.send(bytes),
    };
}

fn end(client: &mut Client, framing: Framing) {
    match framing {
        Chunks => client.send("0\r\n\r\n"),
        Short => true,
        Long => client.send(vec![0; FILLER]),
    };
}

/// With TLS and without, in chunks and with a length.
const WAYS: [(bool, Framing); 6] =
    [(false, Long), (false, Short), (false, Chunks), (true, Long), (true, Short), (true, Chunks)];

#[test]
fn each_piece_of_an_upload_is_answered_before_the_next_is_sent() {
    for (is_tls, framing) in WAYS {
        let scene = scene(is_tls, |mut stream, mut incoming| {
            stream.write_all(EARLY.as_bytes())?;
            loop {
                match incoming.next()? {
                    [] => return stream.write_all(b"0\r\n\r\n"),
                    piece => stream.write_all(&chunk(piece))?,
                }
            }
        });
        let mut client = begin(&scene.proxy, framing, 7 * 8);
        assert_eq!(client.head().status, 200);
        for n in 0..8 {
            let piece = format!("piece-{n}");
            send(&mut client, framing, piece.as_bytes());
            client.read_until(&piece);
        }
        end(&mut client, framing);
        assert!(client.body().1, "{is_tls} {framing:?}");
        assert_eq!(scene.sandbox.rows(1)[0].text("error"), "");
        // All of it was sent, so the connection serves another request.
        let next = scene.proxy.ask("GET", "/v1/models", &Api::Chat.headers(), b"");
        assert_eq!((next.status(), scene.connections.load(Ordering::SeqCst)), (200, 1));
    }
}

#[test]
fn interim_answers_do_not_end_an_upload() {
    for (is_tls, framing) in WAYS {
        let scene = scene(is_tls, |mut stream, mut incoming| {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n")?;
            incoming.rest()?;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        });
        let mut client = begin(&scene.proxy, framing, 5 * 4);
        for _ in 0..4 {
            // Time for them to come; too little of it proves less, and fails nothing.
            thread::sleep(Duration::from_millis(20));
            send(&mut client, framing, b"hello");
        }
        end(&mut client, framing);
        let answer = client.answer();
        assert_eq!((answer.status(), answer.text().as_str()), (200, "ok"), "{is_tls} {framing:?}");
    }
}

#[test]
fn refusals_end_an_upload_while_the_client_pauses() {
    for (is_tls, framing) in WAYS {
        let scene = scene(is_tls, |mut stream, mut incoming| {
            let status = String::from_utf8_lossy(incoming.next()?).into_owned();
            // Its chunk has a line before it.
            let status = status.trim_end().rsplit("\r\n").next().unwrap_or_default().to_owned();
            write!(stream, "HTTP/1.1 {status} No\r\ncontent-length: 2\r\n\r\nno")?;
            // It hears no more than the end.
            incoming.rest().map(drop)
        });
        // Each waits for a short body a while.
        let statuses = ["413", "503", "302", "400", "429", "500"];
        let statuses = &statuses[..if framing == Short { 2 } else { 6 }];
        for status in statuses {
            let mut client = begin(&scene.proxy, framing, MB);
            send(&mut client, framing, status.as_bytes());
            let answer = client.answer();
            assert_eq!(
                (answer.status().to_string().as_str(), answer.text().as_str()),
                (*status, "no")
            );
            assert!(client.closed());
        }
        let connections = scene.connections.load(Ordering::SeqCst);
        assert_eq!(connections, statuses.len(), "none of them serves another");
    }
}

#[test]
fn client_that_sends_all_before_it_reads_gets_its_answer() {
    for (is_tls, framing) in [(false, Long), (false, Chunks), (true, Long), (true, Chunks)] {
        let scene = scene(is_tls, |mut stream, mut incoming| {
            let reader = thread::spawn(move || incoming.rest());
            stream.write_all(EARLY.as_bytes())?;
            for _ in 0..24 {
                stream.write_all(&chunk(&[b'a'; MB]))?;
            }
            reader.join().unwrap()?;
            stream.write_all(b"0\r\n\r\n")
        });
        let mut client = begin(&scene.proxy, framing, 24 * MB);
        for _ in 0..24 {
            send(&mut client, framing, &[b'x'; MB]);
        }
        end(&mut client, framing);
        assert_eq!(client.head().status, 200);
        assert_eq!(client.drain(), (24 * MB, true), "{is_tls} {framing:?}");
    }
}

#[test]
fn prompt_is_sent_to_its_end_although_the_answer_has_begun() {
    for is_tls in [false, true] {
        let (go, may_go) = mpsc::channel::<()>();
        let may_go = std::sync::Mutex::new(may_go);
        let scene = scene(is_tls, move |mut stream, mut incoming| {
            stream.write_all(EARLY.as_bytes())?;
            // Nothing is read before the client has the answer's head.
            let _ = may_go.lock().unwrap().recv();
            let count = incoming.rest()?.to_string();
            stream.write_all(&chunk(count.as_bytes()))?;
            stream.write_all(b"0\r\n\r\n")
        });
        let mut client = scene.proxy.connect();
        let body = vec![b'x'; 48 * MB];
        client.request(("POST", "/v1/messages"), &Api::Messages.headers(), &body);
        assert_eq!(client.head().status, 200);
        go.send(()).unwrap();
        let (body, clean) = client.body();
        assert_eq!((String::from_utf8(body).unwrap(), clean), ((48 * MB).to_string(), true));
    }
}

#[test]
fn upload_goes_on_behind_a_whole_answer() {
    for (is_tls, framing) in WAYS {
        let (tell, told) = mpsc::channel();
        let tell = std::sync::Mutex::new(tell);
        let scene = scene(is_tls, move |mut stream, mut incoming| {
            stream.write_all(b"HTTP/1.1 201 Made\r\ncontent-length: 2\r\n\r\nok")?;
            let _ = tell.lock().unwrap().send(incoming.rest().is_ok());
            Ok(())
        });
        let mut client = begin(&scene.proxy, framing, 10);
        assert_eq!(client.answer().text(), "ok");
        send(&mut client, framing, b"hello");
        send(&mut client, framing, b"again");
        end(&mut client, framing);
        assert_eq!(told.recv_timeout(Duration::from_secs(30)), Ok(true), "{is_tls} {framing:?}");
        assert_eq!(scene.sandbox.rows(1)[0].text("error"), "");
    }
}

#[test]
fn client_that_leaves_between_upload_and_answer_ends_both() {
    for (is_tls, framing) in WAYS {
        let (tell, told) = mpsc::channel();
        let tell = std::sync::Mutex::new(tell);
        let scene = scene(is_tls, move |mut stream, mut incoming| {
            stream.write_all(EARLY.as_bytes())?;
            stream.write_all(&chunk(b"begun"))?;
            let _ = tell.lock().unwrap().send(incoming.rest().is_ok());
            Ok(())
        });
        let mut client = begin(&scene.proxy, framing, 10);
        send(&mut client, framing, b"hello");
        assert_eq!(client.head().status, 200);
        client.read_until("begun");
        drop(client);
        assert_eq!(told.recv_timeout(Duration::from_secs(30)), Ok(false), "taken for whole");
        assert_eq!(scene.sandbox.rows(1)[0].text("error"), "client_gone");
    }
}
