//! Paths to the provider on which packets vanish, as behind a NAT that has forgotten a connection, and
//! paths that live although nothing is said on them.
//!
//! In a network of their own, with limits of seconds; those of a release are read from the kernel.

use crate::provider::{Provider, Script};
use crate::sandbox::{Proxy, Sandbox, wait};
use crate::support::{Api, connections_to, lacks, sandbox, scene, skip};
use std::process::Command;
use std::time::{Duration, Instant};

const TEST: &str = "dead_paths::inside_a_network_of_its_own";
/// The kernel asks after a second, again after another, and gives up within three.
const LIMITS: &str = "path_silent=1000 path_again=1000 path=2000";

#[test]
fn dead_paths_are_given_up_and_silent_ones_are_not() {
    let runs = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        output.is_ok_and(|output| output.status.success())
    };
    if !runs("ip", &["-V"]) {
        return lacks("dead paths", "ip (iproute2) is not here");
    }
    // Root's way, and that of others where they may.
    let mut ways = [&["--net"][..], &["--map-root-user", "--net"]].into_iter();
    let Some(way) = ways.find(|way| runs("unshare", &[way, &["true"][..]].concat())) else {
        return skip("dead paths", "no network of its own may be made here");
    };
    let this = std::env::current_exe().unwrap();
    let mut inside = Command::new("unshare");
    inside.args(way).arg(this).args(["--ignored", "--exact", TEST, "--nocapture"]);
    assert!(inside.status().unwrap().success());
}

/// A provider at an address of its own, and a proxy before it.
fn scene_at(host: &str) -> (Provider, Sandbox, Proxy) {
    let provider = Provider::listen_at(host, 0).unwrap();
    let sandbox = sandbox().providers(&provider).deadlines(LIMITS);
    let proxy = sandbox.serve();
    (provider, sandbox, proxy)
}

fn run(program: &str, arguments: &[&str]) {
    let done = Command::new(program).args(arguments).status().expect(program);
    assert!(done.success(), "{program} {arguments:?}");
}

/// From now on nothing gets to this address; nothing says so either.
fn vanish(host: &str) {
    run("ip", &["route", "add", "blackhole", &format!("{host}/32"), "table", "local"]);
}

/// How long a prompt took, and its status; nobody waits here for what takes the kernel its usual minutes.
/// All of the answer is read: a client that left before would take the provider's connection along.
fn ask(proxy: &Proxy, meanwhile: impl FnOnce()) -> (u16, Duration) {
    let mut client = proxy.connect();
    client.set_patience(Duration::from_secs(30));
    let begun = Instant::now();
    client.request(("POST", "/v1/messages"), &Api::Messages.headers(), &Api::Messages.small(false));
    meanwhile();
    (client.answer().status(), begun.elapsed())
}

#[test]
#[ignore = "run by the test above, where nobody else has the network"]
fn inside_a_network_of_its_own() {
    run("ip", &["link", "set", "lo", "up"]);
    let idle = std::thread::spawn(|| {
        let (provider, _sandbox, proxy) = scene_at("127.0.0.2");
        assert_eq!(ask(&proxy, || ()).0, 200);
        vanish("127.0.0.2");
        let (status, took) = ask(&proxy, || ());
        assert_eq!(status, 504, "idle, after {took:?}");
        assert_eq!(provider.seen().len(), 1);
        took
    });
    let waiting = std::thread::spawn(|| {
        let (provider, sandbox, proxy) = scene_at("127.0.0.3");
        provider.next(Script::hang());
        let (status, took) = ask(&proxy, || {
            provider.wait_seen(1);
            vanish("127.0.0.3");
        });
        assert_eq!(status, 504, "waiting, after {took:?}");
        assert_eq!(provider.seen().len(), 1, "sent twice");
        assert_eq!(sandbox.rows(1)[0].number("status"), Some(504));
        took
    });
    let silent = std::thread::spawn(|| {
        let (provider, _sandbox, proxy) = scene_at("127.0.0.4");
        // Longer than a dead path is waited for.
        provider.next(Script { head_delay: Duration::from_secs(5), ..Script::default() });
        let (status, took) = ask(&proxy, || ());
        assert_eq!(status, 200, "a path that lives was cut after {took:?}");
        took
    });
    let took = [idle, waiting, silent].map(|thread| thread.join().unwrap());
    println!(
        "idle path: 504 after {:?}; waiting: 504 after {:?}; silent: 200 after {:?}",
        took[0], took[1], took[2]
    );
}

#[test]
fn kernel_watches_the_path_of_every_request() {
    let (provider, _sandbox, proxy) = scene();
    provider.next(Script::hang());
    let mut client = proxy.connect();
    client.request(("POST", "/v1/messages"), &Api::Messages.headers(), &Api::Messages.small(false));
    provider.wait_seen(1);
    wait("the connection", || (connections_to(provider.port(), &["01"]) == 1).then_some(()));
    // Its timer is that of keep-alive, and is due within a minute, in hundredths of a second.
    let there = format!("0100007F:{:04X}", provider.port());
    let timer = wait("the last acknowledgement", || {
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        // Others to the same port may still be in TIME-WAIT.
        let mut lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let fields = lines.find(|fields| fields[2] == there && fields[3] == "01")?;
        let timer = fields[5].to_owned();
        timer.starts_with("02:").then_some(timer)
    });
    let due = u32::from_str_radix(&timer[3..], 16).unwrap();
    assert!((4_000..=6_100).contains(&due), "{timer}");
}
