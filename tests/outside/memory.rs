//! What streams, bodies and a small machine's worth of work take: bounds that guard against growth,
//! with room for a build that is not optimised. The figures are printed.

use crate::exhaustion::{Streams, has_descriptors};
use crate::provider::{Authority, Gate, Provider, Script, tls};
use crate::sandbox::{Client, Proxy, Sandbox, wait};
use crate::static_binary;
use crate::support::{Api, sandbox, say, scene, skip};
use std::path::Path;

const MB: usize = 1 << 20;

/// Opens streams that say little, and sees how much memory one takes, in bytes.
#[track_caller]
fn per_stream(proxy: &Proxy, streams: &Streams, count: usize, body: &[u8]) -> usize {
    let open = || {
        let mut client = proxy.connect();
        client.request(("POST", "/v1/messages"), &Api::Messages.headers(), body);
        assert_eq!(client.head().status, 200);
        client.read_until(": open");
        client
    };
    // All that the first one needs stays for the others.
    let mut clients: Vec<Client> = vec![open()];
    let before = proxy.figure("RssAnon");
    clients.extend((0..count).map(|_| open()));
    let grown = proxy.figure("RssAnon").saturating_sub(before) * 1024;
    streams.end();
    assert!(clients.iter_mut().all(|client| client.body().1), "a stream was cut");
    grown / count
}

#[test]
fn silent_streams_cost_little_whatever_they_were_asked() {
    if !has_descriptors() {
        return;
    }
    let authority = Authority::new();
    let small = Api::Messages.small(true);
    let large = Api::Messages.with_result(true, &"a line of many words\n".repeat(10_000));
    for (what, is_tls, body, most) in [
        ("small prompts", false, &small, 100),
        ("prompts of 200 KB", false, &large, 160),
        ("small prompts through TLS", true, &small, 140),
    ] {
        let streams = Streams::start();
        let (sandbox, url) = match is_tls {
            false => (sandbox(), format!("http://127.0.0.1:{}", streams.port)),
            true => {
                let port = tls(streams.port, authority.sign("localhost"));
                let sandbox = sandbox();
                let roots = sandbox.write("roots.pem", authority.pem());
                let sandbox = sandbox.set("TOKENPAK_TLS_ROOTS", roots.to_str().unwrap());
                (sandbox, format!("https://localhost:{port}"))
            }
        };
        let sandbox = sandbox.set("TOKENPAK_PROXY_PROVIDERS_ANTHROPIC_URL", &url);
        let each = per_stream(&sandbox.serve(), &streams, 100, body) / 1024;
        say(&format!("100 streams, {what}: {each} KB each"));
        assert!(each < most, "{what}: {each} KB");
    }
}

#[test]
fn compression_takes_a_few_times_the_bodys_size() {
    let (provider, _sandbox, proxy) = scene();
    provider.always(Script { words: 1, ..Script::default() });
    let peak_after = |kilobytes: usize| {
        let lines = kilobytes * 1024 / 32;
        let line = |n: usize| format!("{n:7}: part {:3} took {:2} ms\n", n % 977, n % 31);
        let text: String = (0..lines).map(line).collect();
        let body = Api::Messages.with_result(false, &text);
        let answer = proxy.post("/v1/messages", &Api::Messages.headers(), &body);
        assert_eq!(answer.status(), 200);
        provider.forget();
        (body.len(), proxy.peak_memory())
    };
    // All that every request needs: the pages of the vocabulary, too.
    let (_, idle) = peak_after(300);
    for megabytes in [1, 2, 4, 8] {
        let (bytes, peak) = peak_after(megabytes * 1024);
        let grown = peak - idle;
        say(&format!("a prompt of {megabytes} MB: {} kB more memory", grown / 1024));
        assert!(grown < 8 * bytes + 8 * MB, "{megabytes} MB: {grown}");
    }
}

/// A program on one processor, behind a line of shell.
fn on_one_processor(program: &Path, before: &str, provider: &Provider) -> (Sandbox, Sandbox) {
    let own = sandbox();
    let program = program.display();
    // The first of those that this test may use.
    let script = format!(
        "#!/bin/sh\n{before}\nfirst=$(taskset -cp $$ 2>/dev/null | sed 's/.*: *\\([0-9]*\\).*/\\1/')\n\
         [ -n \"$first\" ] && exec taskset -c \"$first\" '{program}' \"$@\"\nexec '{program}' \"$@\"\n"
    );
    let path = own.write("alone", script);
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&path, executable).unwrap();
    let small = r#"{"proxy": {"workers": 16, "max_body_mb": 4, "body_memory_mb": 8}}"#;
    let sandbox = Sandbox::of(Path::new(&path)).providers(provider).config(small);
    // As users have it: on.
    (sandbox.set("TOKENPAK_STATS_FOOTER", ""), own)
}

#[test]
fn small_machine_serves_as_many_as_it_can_and_refuses_the_others() {
    serves_as_many_as_it_can(Path::new(env!("CARGO_BIN_EXE_tokenpak")), "");
}

/// With glibc, each thread that is to allocate reserves 64 MB of addresses.
#[test]
fn static_binary_does_so_in_32_mb_of_addresses() {
    match static_binary::binary() {
        Some(binary) => serves_as_many_as_it_can(&binary, "ulimit -v 32768 || exit 9"),
        None => skip("static_binary_does_so", "only make test-static has a static binary"),
    }
}

fn serves_as_many_as_it_can(program: &Path, before: &str) {
    let provider = Provider::start();
    let (sandbox, _script) = on_one_processor(program, before, &provider);
    // A release does not know them, and waits.
    let sandbox = sandbox.deadlines("queue=2000");
    let proxy = sandbox.serve();
    let gate = Gate::default();
    provider.always(Script::gated(3, &gate));
    let ask = || {
        let mut client = proxy.connect();
        let body = Api::Messages.large(true);
        client.request(("POST", "/v1/messages"), &Api::Messages.headers(), &body);
        client
    };
    let mut streams: Vec<Client> = (0..16).map(|_| ask()).collect();
    provider.wait_seen(16);
    // More than the memory for bodies at once, and nobody free for any of them.
    let mut late: Vec<Client> = (0..40).map(|_| ask()).collect();
    for client in &mut late {
        let answer = client.answer();
        let retry = answer.head.header("retry-after");
        assert_eq!((answer.status(), retry.as_deref()), (503, Some("1")), "{}", answer.text());
    }
    assert_eq!(provider.seen().len(), 16, "what was refused was not sent");
    gate.open_all();
    assert!(streams.iter_mut().all(|client| client.answer().clean), "a stream was cut");
    announced_answers_take_no_memory(&provider, &proxy, &sandbox);
    let too_large = vec![b'x'; 4 * MB + 1];
    assert_eq!(proxy.post("/v1/messages", &Api::Messages.headers(), &too_large).status(), 413);
    // As soon as a worker is free.
    let served =
        || proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.large(true));
    wait("a free worker", || (served().status() == 200).then_some(()));
    let (peak, threads) = (proxy.peak_memory() / MB, proxy.figure("Threads"));
    say(&format!("16 workers, 8 MB for bodies: at most {peak} MB of memory, {threads} threads"));
    assert!(peak <= 32 && threads <= 24, "{peak} MB, {threads} threads");
}

/// Answers of 1 MB that stop behind their first bytes, for all workers at once.
fn announced_answers_take_no_memory(provider: &Provider, proxy: &Proxy, sandbox: &Sandbox) {
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1048576\r\n\r\n";
    provider.always(Script::raw_open(format!("{head}{{\"id\": \"")));
    let before = provider.seen().len();
    let ask = |_| {
        let mut client = proxy.connect();
        let body = Api::Messages.small(false);
        client.request(("POST", "/v1/messages"), &Api::Messages.headers(), &body);
        client
    };
    let waiting: Vec<Client> = (0..16).map(ask).collect();
    provider.wait_seen(before + 16);
    assert_eq!(proxy.ask("GET", "/health", &[], b"").status(), 200);
    drop(waiting);
    let gone = || sandbox.rows(0).iter().filter(|row| row.text("error") == "client_gone").count();
    wait("the workers to be free", || (gone() == 16).then_some(()));
    provider.always(Script::default());
}

/// What lasts more than a minute each, made short.
#[test]
fn whoever_is_silent_for_too_long_is_let_go() {
    let provider = Provider::start();
    let sandbox = sandbox().providers(&provider).deadlines("keep_alive=1500 write=1500");
    let proxy = sandbox.serve();
    provider.next(Script::flood(200 * MB, crate::provider::Framing::Chunked));
    let mut deaf = proxy.connect();
    deaf.request(("GET", "/v1/files"), &[("authorization", "Bearer sk-not-a-key")], b"");
    let mut idle = proxy.connect();
    idle.request(("GET", "/health"), &[], b"");
    assert_eq!(idle.answer().status(), 200);
    // Without a second request.
    assert!(idle.closed(), "an idle connection stays for ever");
    // Nothing was taken of the answer.
    provider.wait_left(1);
    assert_eq!(sandbox.rows(1)[0].text("error"), "client_gone");
    assert_eq!(proxy.ask("GET", "/health", &[], b"").status(), 200);
}
