//! The program as a process: started, listened to, ended.

use super::{Answer, Client, Output};
use crate::provider::DEADLINE;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Instant;

/// What a process has written to one of its outputs so far.
#[derive(Default)]
struct Written {
    state: Mutex<(String, bool)>,
    changed: Condvar,
}

impl Written {
    fn follow(mut pipe: impl Read + Send + 'static) -> (Arc<Written>, JoinHandle<()>) {
        let written = Arc::new(Written::default());
        let state = written.clone();
        let reader = thread::spawn(move || {
            let mut piece = [0; 4096];
            loop {
                let n = pipe.read(&mut piece).unwrap_or(0);
                let mut guard = state.state.lock().unwrap();
                guard.0.push_str(&String::from_utf8_lossy(&piece[..n]));
                guard.1 = n == 0;
                state.changed.notify_all();
                if n == 0 {
                    return;
                }
            }
        });
        (written, reader)
    }

    fn text(&self) -> String {
        self.state.lock().unwrap().0.clone()
    }

    /// Waits until `found` finds something, or the output ends.
    #[track_caller]
    fn wait<T>(&self, what: &str, found: impl Fn(&str, bool) -> Option<T>) -> T {
        let until = Instant::now() + DEADLINE;
        let mut state = self.state.lock().unwrap();
        loop {
            if let Some(value) = found(&state.0, state.1) {
                return value;
            }
            let left = until.saturating_duration_since(Instant::now());
            let (text, ended) = &*state;
            assert!(
                !ended && !left.is_zero(),
                "waited for {what} in vain; standard error says:\n{text}"
            );
            state = self.changed.wait_timeout(state, left).unwrap().0;
        }
    }
}

/// A running `tokenpak serve`; it is killed at the end if it still runs.
pub(crate) struct Proxy {
    child: Child,
    stdout: Arc<Written>,
    stderr: Arc<Written>,
    readers: Vec<JoinHandle<()>>,
    port: u16,
}

impl Proxy {
    #[track_caller]
    pub(super) fn start(command: &mut Command) -> Proxy {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (stdout, out) = Written::follow(child.stdout.take().unwrap());
        let (stderr, err) = Written::follow(child.stderr.take().unwrap());
        let mut proxy = Proxy { child, stdout, stderr, readers: vec![out, err], port: 0 };
        proxy.port = proxy.stderr.wait("the proxy to listen", |text, _| listening_port(text));
        proxy
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Stops it where it is; what others do from now on comes all at once when it goes on.
    pub(crate) fn pause(&self) {
        kill_process(Pid::from_child(&self.child), Signal::STOP).unwrap();
    }

    pub(crate) fn go_on(&self) {
        kill_process(Pid::from_child(&self.child), Signal::CONT).unwrap();
    }

    /// A figure of `/proc/PID/status`: `Threads`, or `VmRSS` in kilobytes.
    #[track_caller]
    pub(crate) fn figure(&self, name: &str) -> usize {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}:")));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).expect(name)
    }

    /// The most memory it has ever had, in bytes.
    pub(crate) fn peak_memory(&self) -> usize {
        self.figure("VmHWM") * 1024
    }

    /// Standard output and standard error so far.
    pub(crate) fn output(&self) -> (String, String) {
        (self.stdout.text(), self.stderr.text())
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.port)
    }

    /// One request on a connection of its own.
    #[track_caller]
    pub(crate) fn ask(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut client = self.connect();
        client.request((method, target), headers, body);
        client.answer()
    }

    #[track_caller]
    pub(crate) fn post(&self, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.ask("POST", target, headers, body)
    }

    /// Asks it to end, as an init system does.
    pub(crate) fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
    }

    /// Asks it to read its settings again, and waits until it has said `words` about that.
    #[track_caller]
    pub(crate) fn reload(&self, words: &str) {
        let before = self.stderr.text().len();
        kill_process(Pid::from_child(&self.child), Signal::HUP).unwrap();
        self.stderr.wait(words, |text, _| text[before..].contains(words).then_some(()));
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The same from a thread that only looks on, and without waiting for the end.
    pub(crate) fn kill_now(&self) {
        kill_process(Pid::from_child(&self.child), Signal::KILL).unwrap();
    }

    /// Waits for its end; the exit status.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> i32 {
        self.stderr.wait("the proxy to end", |_, ended| ended.then_some(()));
        let status = self.child.wait().unwrap();
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        status.code().unwrap_or(-1)
    }

    #[track_caller]
    pub(crate) fn stop(&mut self) -> i32 {
        self.terminate();
        self.wait()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Shown with the test that fails.
            let state = self.child.try_wait();
            eprintln!("the proxy ({state:?}) wrote:\n{}", self.stderr.text());
        }
        self.kill();
    }
}

/// The banner's first line on a terminal, a line of key=value pairs elsewhere.
fn listening_port(stderr: &str) -> Option<u16> {
    let line = stderr
        .split_inclusive('\n')
        .find(|line| line.contains("listening ") && line.ends_with('\n'))?;
    let address = line.split(['=', '/', ' ']).find_map(|word| word.parse::<SocketAddr>().ok())?;
    Some(address.port())
}

/// Runs a command to its end.
pub(super) fn run(mut command: Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // Beside the reading below; the program may write before it has read everything.
    let writer = thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    let _ = writer.join();
    Output {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
