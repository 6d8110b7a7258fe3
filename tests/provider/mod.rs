//! A stand-in for the providers: a real server on loopback that answers by script and remembers
//! every request exactly as it came.
//!
//! It knows the four wire formats, counts of tokens, embeddings and models; anything else is echoed.
//! A thread for each connection: with a handful of clients, plain code beats clever code.

// Shared by the tests, the demo and the program, none of which uses all of it.
#![allow(dead_code, unused_imports)]

mod answers;
mod connection;
mod dialects;
mod keeper;
mod script;
mod session;
mod tls;

pub(crate) use connection::headers;
pub(crate) use keeper::{Keeper, Misfit};
pub(crate) use script::{Billed, End, Framing, Gate, Script};
pub(crate) use session::{CLOSING, EDITED, Session};
pub(crate) use tls::{Authority, Identity, Tunnel, self_signed, tls, tls_versions, tls_watched};

use std::collections::VecDeque;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for something that must happen; long, for a loaded machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A request as the stand-in received it, and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Connections are numbered from 0 in the order of their arrival.
    pub(crate) connection: usize,
    /// 0 for the first request on its connection.
    pub(crate) nth: usize,
    pub(crate) at: Instant,
    /// The head's bytes, with its empty line.
    pub(crate) head: Vec<u8>,
    /// The body's bytes without their framing.
    pub(crate) body: Vec<u8>,
    /// The body's bytes that were sent in answer, without their framing.
    pub(crate) answer: Vec<u8>,
    /// Bytes sent of a body that is not kept.
    pub(crate) flooded: usize,
    /// When the other side closed the connection although the answer was not finished.
    pub(crate) left: Option<Instant>,
    /// The whole answer was written.
    pub(crate) answered: bool,
}

impl Seen {
    pub(crate) fn method(&self) -> String {
        self.request_line(0)
    }

    /// The request target, byte for byte but for characters that are not UTF-8.
    pub(crate) fn target(&self) -> String {
        self.request_line(1)
    }

    fn request_line(&self, word: usize) -> String {
        let line = self.head.split(|b| *b == b'\r').next().unwrap();
        let text = line.split(|b| *b == b' ').nth(word).unwrap_or_default();
        String::from_utf8_lossy(text).into_owned()
    }

    /// Names in lower case, values as they came.
    pub(crate) fn headers(&self) -> Vec<(String, Vec<u8>)> {
        headers(&self.head)
    }

    /// Every value of a header, in order.
    pub(crate) fn all(&self, name: &str) -> Vec<Vec<u8>> {
        self.headers().into_iter().filter(|(n, _)| n == name).map(|(_, v)| v).collect()
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.all(name).first().map(|v| String::from_utf8_lossy(v).into_owned())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// The running stand-in. Its threads end with the process.
pub(crate) struct Provider {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Provider {
    /// On a free port of 127.0.0.1.
    pub(crate) fn start() -> Provider {
        Provider::listen(0).expect("loopback has a free port")
    }

    pub(crate) fn listen(port: u16) -> io::Result<Provider> {
        Provider::listen_at("127.0.0.1", port)
    }

    pub(crate) fn listen_at(host: &str, port: u16) -> io::Result<Provider> {
        let listener = TcpListener::bind((host, port))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let state = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let number = state.opened(&stream);
                let state = state.clone();
                thread::spawn(move || {
                    connection::serve(&state, stream, number);
                    state.closed(number);
                });
            }
        });
        Ok(Provider { address, shared })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// What to do with requests for which nothing is queued.
    pub(crate) fn always(&self, script: Script) {
        self.shared.lock().default = script;
    }

    /// What to do with the next request that has no script yet.
    pub(crate) fn next(&self, script: Script) {
        self.shared.lock().queue.push_back(script);
    }

    /// Forgets scripts that nobody came for.
    pub(crate) fn clear(&self) {
        self.shared.lock().queue.clear();
    }

    /// Every request so far, in the order of arrival.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.lock().seen.clone()
    }

    /// Frees the bodies of the requests so far.
    pub(crate) fn forget(&self) {
        self.shared.lock().seen.iter_mut().for_each(|seen| {
            seen.body = Vec::new();
            seen.answer = Vec::new();
        });
    }

    /// The latest request.
    #[track_caller]
    pub(crate) fn last(&self) -> Seen {
        self.seen().pop().expect("no request has reached the provider")
    }

    /// Waits until `n` requests have come.
    #[track_caller]
    pub(crate) fn wait_seen(&self, n: usize) -> Seen {
        self.shared.wait("a request", |state| state.seen.get(n - 1).cloned())
    }

    /// Waits for request number `n`, counted from 1, for as long as it takes.
    pub(crate) fn wait_next(&self, n: usize) -> Seen {
        let state = self.shared.lock();
        let state = self.shared.changed.wait_while(state, |state| state.seen.len() < n).unwrap();
        state.seen[n - 1].clone()
    }

    /// Waits until the other side has left request number `n`, counted from 1, before its answer ended.
    #[track_caller]
    pub(crate) fn wait_left(&self, n: usize) -> Instant {
        self.shared.wait("the proxy to close a connection", |state| state.seen.get(n - 1)?.left)
    }

    /// Connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.lock().connections.len()
    }

    /// Waits until no connection has a request or half of one.
    #[track_caller]
    pub(crate) fn wait_idle(&self) {
        self.shared.wait("all connections to close", |state| {
            state.connections.iter().all(|connection| connection.closed).then_some(())
        });
    }

    /// Resets every open connection as soon as none has a request, as a crashed machine does.
    #[track_caller]
    pub(crate) fn reset_idle(&self) {
        self.shared.wait("idle connections", |state| {
            let mut open = state.connections.iter().filter(|c| c.stream.is_some());
            open.all(|c| !c.busy).then_some(())
        });
        for connection in self.shared.lock().connections.iter_mut() {
            if let Some(stream) = connection.stream.take() {
                // Its thread wakes up and closes; with no time to linger the last close resets.
                let zero = Some(Duration::ZERO);
                let _ = rustix::net::sockopt::set_socket_linger(&stream, zero);
                let _ = stream.shutdown(Shutdown::Read);
            }
        }
        self.wait_idle();
    }

    /// Closes every open connection as soon as none has a request, as a server's idle timeout does.
    #[track_caller]
    pub(crate) fn drop_idle(&self) {
        self.shared.wait("idle connections", |state| {
            let mut open = state.connections.iter_mut().filter(|c| c.stream.is_some());
            open.all(|c| !c.busy).then_some(())
        });
        self.drop_used();
    }

    /// Closes the connections that have served a request and have none at this moment.
    pub(crate) fn drop_used(&self) {
        let mut state = self.shared.lock();
        for connection in state.connections.iter_mut().filter(|c| c.served && !c.busy) {
            if let Some(stream) = connection.stream.take() {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }
}

/// A connection that is known to the stand-in; `stream` is gone once it is closed.
#[derive(Debug)]
struct Connection {
    stream: Option<TcpStream>,
    busy: bool,
    served: bool,
    /// Its thread has ended.
    closed: bool,
}

#[derive(Debug, Default)]
struct State {
    default: Script,
    queue: VecDeque<Script>,
    seen: Vec<Seen>,
    connections: Vec<Connection>,
}

/// What the connections' threads and the test share.
#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    #[track_caller]
    fn wait<T>(&self, what: &str, mut found: impl FnMut(&mut State) -> Option<T>) -> T {
        let until = Instant::now() + DEADLINE;
        let mut state = self.lock();
        loop {
            if let Some(value) = found(&mut state) {
                return value;
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited {DEADLINE:?} in vain for {what}");
            state = self.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    fn opened(&self, stream: &TcpStream) -> usize {
        let stream = stream.try_clone().ok();
        let connection = Connection { stream, busy: false, served: false, closed: false };
        self.change(|state| {
            state.connections.push(connection);
            state.connections.len() - 1
        })
    }

    fn closed(&self, number: usize) {
        self.change(|state| {
            state.connections[number].stream = None;
            state.connections[number].busy = false;
            state.connections[number].closed = true;
        });
    }

    fn busy(&self, number: usize, busy: bool) {
        self.change(|state| {
            state.connections[number].busy = busy;
            state.connections[number].served |= !busy;
        });
    }

    fn script(&self) -> Script {
        let mut state = self.lock();
        state.queue.pop_front().unwrap_or_else(|| state.default.clone())
    }
}
