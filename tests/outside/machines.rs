//! Several proxies behind a balancer are as one.

use crate::provider::{Provider, Script};
use crate::sandbox::{Client, Proxy, Sandbox, wait};
use crate::support::{Api, BILLED, lacks, sandbox};
use serde_json::Value;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

struct Balancer(Child);

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Debian's haproxy before some proxies: one request to each in turn. `None`: it is not here.
fn balance(sandbox: &Sandbox, proxies: &[Proxy]) -> Option<(Balancer, u16)> {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let servers: String = proxies
        .iter()
        .map(|proxy| format!("  server node{0} 127.0.0.1:{0}\n", proxy.port()))
        .collect();
    let config = format!(
        "defaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n\
         listen tokenpak\n  bind 127.0.0.1:{port}\n  balance roundrobin\n{servers}"
    );
    let config = sandbox.write("haproxy.cfg", config);
    let binary = ["/usr/sbin/haproxy", "haproxy"];
    let start = |name: &&str| {
        let mut command = Command::new(name);
        command.arg("-db").arg("-f").arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().ok()
    };
    let child = Balancer(binary.iter().find_map(start)?);
    wait("haproxy to listen", || TcpStream::connect(("127.0.0.1", port)).ok());
    Some((child, port))
}

/// The turns of one session: each repeats what was said, and adds to it.
fn turns() -> Vec<Vec<u8>> {
    let whole: Value = serde_json::from_slice(&Api::Messages.large(true)).unwrap();
    let mut messages = whole["messages"].as_array().unwrap().clone();
    let mut turns = Vec::new();
    for turn in 0..6 {
        let mut body = whole.clone();
        body["messages"] = messages.clone().into();
        turns.push(body.to_string().into_bytes());
        let result = crate::support::listing(30 + turn);
        messages.extend([
            serde_json::json!({"role": "assistant", "content": [
                {"type": "tool_use", "id": format!("t{turn}"), "name": "list", "input": {}}]}),
            serde_json::json!({"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": format!("t{turn}"), "content": result}]}),
        ]);
    }
    turns
}

fn say(port: u16, body: &[u8]) {
    let mut client = Client::connect(port);
    client.request(("POST", "/v1/messages"), &Api::Messages.headers(), body);
    assert_eq!(client.answer().status(), 200);
}

fn report(arguments: &[&str]) -> Value {
    let all: Vec<&str> = ["stats", "--json"].iter().chain(arguments).copied().collect();
    let output = sandbox().run(&all);
    assert_eq!((output.status, output.stderr.as_str()), (0, ""));
    let mut report: Value = serde_json::from_str(&output.stdout).unwrap();
    report["at"].take();
    // How long things took is nobody's promise.
    if let Some(windows) = report["windows"].as_array_mut() {
        for window in windows {
            window["added_latency_p50_us"].take();
            window["added_latency_p95_us"].take();
        }
    }
    report
}

#[test]
fn two_proxies_behind_haproxy_are_as_one() {
    let provider = Provider::start();
    provider.always(Script::default().billed(BILLED));
    // What a written row teaches of the model is for the next request: here none is written before the last.
    let home = |_| {
        let home = sandbox().providers(&provider).set("TOKENPAK_STORAGE_FLUSH_MS", "60000");
        home.set("TOKENPAK_COMPRESSION_UNKNOWN_HISTORY", "same")
    };
    let homes: Vec<Sandbox> = (0..3).map(home).collect();
    let mut proxies: Vec<Proxy> = homes[..2].iter().map(Sandbox::serve).collect();
    let Some((balancer, port)) = balance(&homes[0], &proxies) else {
        return lacks("two_proxies_behind_haproxy_are_as_one", "haproxy is not here");
    };
    turns().iter().for_each(|turn| say(port, turn));
    let balanced: Vec<Vec<u8>> = provider.seen().into_iter().map(|seen| seen.body).collect();
    drop(balancer);

    proxies.push(homes[2].serve());
    turns().iter().for_each(|turn| say(proxies[2].port(), turn));
    let seen = provider.seen().into_iter().skip(balanced.len());
    let alone: Vec<Vec<u8>> = seen.map(|seen| seen.body).collect();
    // As bytes they would fill the screen.
    assert!(balanced == alone, "what went upstream differs");
    assert!(alone[5].len() < turns()[5].len(), "and they are compressed");

    proxies.iter_mut().for_each(|proxy| assert_eq!(proxy.stop(), 0));
    for (home, rows) in homes.iter().zip([3, 3, 6]) {
        assert_eq!(home.rows(rows).len(), rows, "each has had its turns");
    }
    let files: Vec<String> =
        homes.iter().map(|home| home.database().display().to_string()).collect();
    for by in [&[][..], &["--by", "model,status"], &["--daily"]] {
        let both = [&["--db", &files[0], "--db", &files[1]], by].concat();
        let one = [&["--db", files[2].as_str()], by].concat();
        assert_eq!(report(&both), report(&one), "{by:?}");
    }
}
