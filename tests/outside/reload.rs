//! SIGHUP: new settings under running streams, and a new log.

use crate::provider::{Gate, Provider, Script};
use crate::sandbox::{Client, Proxy, Sandbox, wait};
use crate::support::{Api, sandbox};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// `config.json` with this provider, and more.
fn settings(provider: &Provider, more: Value) -> String {
    let mut settings = json!({"proxy": {"providers": {"anthropic": {"url": provider.url()}}}});
    for (name, value) in more.as_object().unwrap() {
        settings["proxy"][name] = value.clone();
    }
    settings.to_string()
}

fn ask(client: &mut Client, stream: bool) {
    let body = Api::Messages.small(stream);
    client.request(("POST", "/v1/messages"), &Api::Messages.headers(), &body);
}

/// A proxy with a client that it has served.
fn in_use(provider: &Provider) -> (Sandbox, Proxy, Client) {
    let sandbox = sandbox().config(&settings(provider, json!({})));
    let proxy = sandbox.serve();
    let mut client = proxy.connect();
    ask(&mut client, false);
    assert_eq!(client.answer().status(), 200);
    (sandbox, proxy, client)
}

#[test]
fn settings_change_under_a_running_stream() {
    let (old, new) = (Provider::start(), Provider::start());
    let sandbox = sandbox().config(&settings(&old, json!({})));
    let proxy = sandbox.serve();
    let gate = Gate::default();
    old.next(Script::gated(12, &gate));
    let mut streaming = proxy.connect();
    ask(&mut streaming, true);
    gate.open(4);
    streaming.head();
    let mut parked = proxy.connect();
    ask(&mut parked, false);
    assert_eq!((parked.answer().status(), old.seen().len(), new.seen().len()), (200, 2, 0));

    sandbox.write("config.json", settings(&new, json!({"mode": "strict", "ask_usage": false})));
    proxy.reload("reloaded mode=strict");
    // On the connection that was there before, and on a new one.
    ask(&mut parked, false);
    assert_eq!((parked.answer().status(), old.seen().len(), new.seen().len()), (200, 2, 1));
    let answer = proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(false));
    assert_eq!((answer.status(), new.seen().len()), (200, 2));
    assert_eq!(sandbox.row(&answer.head.request_id()).text("mode"), "strict");

    gate.open_all();
    let (body, clean) = streaming.body();
    let first = old.seen().into_iter().find(|seen| seen.json()["stream"] == true).unwrap();
    assert!(clean && body == first.answer, "the stream was not finished");
    // Where it was, the next one is not.
    ask(&mut streaming, false);
    assert_eq!((streaming.answer().status(), new.seen().len()), (200, 3));
}

#[test]
fn token_is_asked_for_once_it_is_set() {
    let provider = Provider::start();
    let (sandbox, proxy, mut client) = in_use(&provider);
    sandbox.write("config.json", settings(&provider, json!({"auth_token": "dummy-dummy-dummy"})));
    proxy.reload("reloaded ");
    ask(&mut client, false);
    assert_eq!(client.answer().status(), 401);
    sandbox.write("config.json", settings(&provider, json!({})));
    proxy.reload("reloaded ");
    ask(&mut client, false);
    assert_eq!(client.answer().status(), 200);
}

#[test]
fn bad_settings_change_nothing() {
    let provider = Provider::start();
    let sandbox = sandbox().config(&settings(&provider, json!({})));
    let proxy = sandbox.serve();
    for (text, said) in [
        (
            "{\"proxy\": {\n\"mode\": \"frob\", \"prot\": 1}}",
            "config.json:2: proxy.mode: unknown value \"frob\"",
        ),
        ("{\"proxy\": ", "config.json:1:10: "),
        (
            "{\"proxy\": {\"providers\": {\"openai\": {\"url\": \"http://host.example\"}}}}",
            "unencrypted",
        ),
        ("{\"tls\": {\"roots\": \"gone.pem\"}}", "tls.roots: "),
    ] {
        sandbox.write("config.json", text);
        proxy.reload("the settings stay as they were: ");
        let stderr = proxy.output().1;
        let last = stderr.lines().last().unwrap();
        assert!(last.contains(said), "{last}");
        let mut client = proxy.connect();
        ask(&mut client, false);
        assert_eq!(client.answer().status(), 200, "{last}");
    }
    let own =
        format!("{{\"proxy\": {{\"passthrough_url\": \"http://localhost:{}\"}}}}", proxy.port());
    sandbox.write("config.json", own);
    proxy.reload("is tokenpak itself");
    assert!(!proxy.output().1.contains("reloaded"), "{}", proxy.output().1);
    assert_eq!(provider.seen().len(), 4);
}

#[test]
fn settings_that_need_a_restart_are_named_and_kept() {
    let provider = Provider::start();
    let sandbox = sandbox().config(&settings(&provider, json!({})));
    let proxy = sandbox.serve();
    let mut new: Value = serde_json::from_str(&settings(
        &provider,
        json!({"bind": "127.0.0.1", "workers": 3, "body_memory_mb": 32, "mode": "strict"}),
    ))
    .unwrap();
    new["storage"] = json!({"path": "other.db"});
    new["compression"] = json!({"memo_mb": 1});
    sandbox.write("config.json", new.to_string());
    proxy.reload("reloaded mode=strict");
    let stderr = proxy.output().1;
    let said: Vec<&str> = stderr
        .lines()
        .filter_map(|line| {
            line.split_once("warning: ")?
                .1
                .strip_suffix(" stays as it was; a new value needs a restart")
        })
        .collect();
    assert_eq!(
        said,
        [
            "proxy.bind",
            "proxy.workers",
            "proxy.body_memory_mb",
            "compression.memo_mb",
            "storage.path"
        ]
    );
    let mut client = proxy.connect();
    ask(&mut client, false);
    let answer = client.answer();
    assert_eq!(sandbox.row(&answer.head.request_id()).text("mode"), "strict");
    assert!(!sandbox.home().join("other.db").exists());
}

#[test]
fn flags_stay_in_force() {
    let provider = Provider::start();
    let sandbox = sandbox().config(&settings(&provider, json!({"mode": "hybrid"})));
    let proxy = sandbox.serve_with(&["--mode", "aggressive"]);
    sandbox.write("config.json", settings(&provider, json!({"mode": "strict"})));
    proxy.reload("reloaded mode=aggressive");
}

#[test]
fn log_level_changes() {
    let provider = Provider::start();
    let (sandbox, mut quiet, _client) = in_use(&provider);
    quiet.stop();
    assert!(!quiet.output().1.contains("request provider="), "{}", quiet.output().1);
    let proxy = sandbox.serve();
    let mut new: Value = serde_json::from_str(&settings(&provider, json!({}))).unwrap();
    new["log"] = json!({"level": "debug"});
    sandbox.write("config.json", new.to_string());
    proxy.reload("reloaded ");
    let mut client = proxy.connect();
    ask(&mut client, false);
    assert_eq!(client.answer().status(), 200);
    wait("the request's line", || proxy.output().1.contains("request provider=").then_some(()));
}

#[test]
fn log_that_was_moved_away_is_begun_anew() {
    let sandbox = sandbox();
    let output = sandbox.run(&["serve", "--port", "0", "--daemon"]);
    assert_eq!(output.status, 0, "{}", output.stderr);
    let (log, moved) = (sandbox.home().join("tokenpak.log"), sandbox.home().join("tokenpak.log.1"));
    fs::rename(&log, &moved).unwrap();
    hang_up(&sandbox);
    let text = |path| fs::read_to_string(path).unwrap_or_default();
    wait("the new log", || text(&log).contains("reloaded mode=hybrid").then_some(()));
    let file = fs::metadata(&log).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    assert_ne!(file.ino(), fs::metadata(&moved).unwrap().ino());
    assert_eq!(sandbox.run(&["stop"]).status, 0);
    assert!(text(&log).contains("stopped requests=0"), "{}", text(&log));
    assert!(!text(&moved).contains("stopped"), "{}", text(&moved));
    assert!(text(&moved).contains("listening addr="), "{}", text(&moved));
}

/// Signals the proxy that runs in the background.
#[track_caller]
fn hang_up(sandbox: &Sandbox) {
    let text = fs::read_to_string(sandbox.home().join("tokenpak.pid")).unwrap();
    let pid = text.lines().next().unwrap().parse().unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::HUP).unwrap();
}

#[test]
fn systemd_is_told_about_the_beginning_and_the_end_of_a_reload() {
    let home = sandbox();
    let path = home.home().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let sandbox = sandbox().set("NOTIFY_SOCKET", path.to_str().unwrap());
    let proxy = sandbox.serve();
    let next = || {
        let mut text = [0; 100];
        let n = socket.recv(&mut text).unwrap();
        String::from_utf8_lossy(&text[..n]).into_owned()
    };
    assert_eq!(next(), "READY=1");
    for (text, said) in [("{}", "reloaded "), ("{", "the settings stay as they were: ")] {
        sandbox.write("config.json", text);
        proxy.reload(said);
        let begin = next();
        let us = begin.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        assert!(us.parse::<u64>().unwrap() > 0);
        assert_eq!(next(), "READY=1");
    }
}
