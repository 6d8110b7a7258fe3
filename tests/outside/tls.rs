//! TLS to the provider, whom to believe, and the ways there: straight, by proxy, or not at all.

use crate::provider::{
    Authority, Gate, Provider, Script, Tunnel, self_signed, tls, tls_versions, tls_watched,
};
use crate::sandbox::{Proxy, Sandbox, wait};
use crate::support::{Api, connections_to, sandbox};
use rustls::HandshakeKind;
use std::io::Read;
use std::net::TcpListener;

/// A sandbox whose providers are at `url`, which believes `authority`.
fn believing(authority: &Authority, url: &str) -> Sandbox {
    let sandbox = at(sandbox(), url);
    let path = sandbox.write("roots.pem", authority.pem());
    sandbox.set("TOKENPAK_TLS_ROOTS", path.to_str().unwrap())
}

fn at(sandbox: Sandbox, url: &str) -> Sandbox {
    ["ANTHROPIC", "OPENAI", "GOOGLE"].iter().fold(sandbox, |sandbox, name| {
        sandbox.set(&format!("TOKENPAK_PROXY_PROVIDERS_{name}_URL"), url)
    })
}

/// Every dialect, streamed and not, arrives whole.
#[track_caller]
fn works(provider: &Provider, proxy: &Proxy) {
    for api in Api::ALL {
        for stream in [false, true] {
            let mut client = proxy.connect();
            client.request(("POST", api.target(stream)), &api.headers(), &api.large(stream));
            let answer = client.answer();
            assert_eq!((answer.status(), answer.clean), (200, true), "{}", answer.text());
            assert!(answer.body == provider.last().answer, "{api:?}");
        }
    }
}

#[track_caller]
fn works_once(proxy: &Proxy) {
    let answer = proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(false));
    assert_eq!(answer.status(), 200, "{}", answer.text());
}

/// A 502 in every dialect, whose words hold `reason` and no address.
/// Where a port of the answer is no secret: that of a proxy on the way is told.
const NO_PORT: u16 = u16::MAX;

#[track_caller]
fn fails(proxy: &Proxy, port: u16, reason: &str) {
    fails_as(proxy, port, reason, "upstream-unreachable");
}

#[track_caller]
fn fails_as(proxy: &Proxy, port: u16, reason: &str, code: &str) {
    for api in Api::ALL {
        let answer = proxy.post(api.target(true), &api.headers(), &api.small(true));
        let text = answer.text();
        assert_eq!((answer.status(), answer.clean), (502, true), "{text}");
        let error = answer.head.header("x-tokenpak-error");
        assert_eq!(error.as_deref(), Some(code));
        let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(reason), "{message}");
        for secret in ["not-a-key", "/v1", &port.to_string(), "roots.pem", "elsewhere.test"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[test]
fn provider_with_a_certificate_of_a_private_authority_works() {
    let (provider, authority) = (Provider::start(), Authority::new());
    let port = tls(provider.port(), authority.sign("localhost"));
    let sandbox = believing(&authority, &format!("https://localhost:{port}"));
    let proxy = sandbox.serve();
    works(&provider, &proxy);
    assert_eq!(provider.connections(), 1, "the connection is used again");
    assert_eq!(provider.last().header("host"), Some(format!("localhost:{port}")));
    let upload: Vec<u8> = (0..5_000_000u32).map(|n| (n ^ (n >> 7)) as u8).collect();
    let answer = proxy.post("/v1/files", &Api::Chat.headers(), &upload);
    assert!(answer.body == upload && provider.last().body == upload);
}

#[test]
fn address_in_place_of_a_name_works() {
    let (provider, authority) = (Provider::start(), Authority::new());
    let port = tls(provider.port(), authority.sign("127.0.0.1"));
    let sandbox = believing(&authority, &format!("https://127.0.0.1:{port}"));
    works(&provider, &sandbox.serve());
}

#[test]
fn both_versions_of_tls_are_spoken() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let (provider, authority) = (Provider::start(), Authority::new());
        let port = tls_versions(provider.port(), authority.sign("localhost"), &[version]);
        let sandbox = believing(&authority, &format!("https://localhost:{port}"));
        works(&provider, &sandbox.serve());
        // What is compared is what was written before it was encrypted.
        sandbox.rows(1);
        let traced = sandbox.run(&["trace"]).stdout;
        assert!(traced.contains("bytes, forwarded unchanged (value not recorded)"), "{traced}");
    }
}

#[test]
fn events_leave_at_once_through_tls() {
    let (provider, authority) = (Provider::start(), Authority::new());
    let port = tls(provider.port(), authority.sign("localhost"));
    let sandbox = believing(&authority, &format!("https://localhost:{port}"));
    let proxy = sandbox.serve();
    let gate = Gate::default();
    provider.next(Script::gated(20, &gate));
    let mut client = proxy.connect();
    client.request(("POST", "/v1/messages"), &Api::Messages.headers(), &Api::Messages.small(true));
    assert_eq!(client.head().status, 200);
    for open in 1.. {
        gate.open(open);
        match client.piece().unwrap() {
            Some(piece) => assert!(!piece.is_empty()),
            None => break,
        }
    }
    assert!(provider.last().answered);
}

#[test]
fn client_that_leaves_ends_the_request_through_tls() {
    let (provider, authority) = (Provider::start(), Authority::new());
    let port = tls(provider.port(), authority.sign("localhost"));
    let sandbox = believing(&authority, &format!("https://localhost:{port}"));
    let proxy = sandbox.serve();
    provider.next(Script::hang());
    let mut client = proxy.connect();
    client.request(("POST", "/v1/messages"), &Api::Messages.headers(), &Api::Messages.small(true));
    provider.wait_seen(1);
    drop(client);
    provider.wait_left(1);
    assert_eq!(sandbox.rows(1)[0].text("error"), "client_gone");
}

/// Reads the first bytes of a handshake on each connection, and ends it.
fn hangs_up_after_hello() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(4) {
            let _ = stream.unwrap().read(&mut [0; 16 * 1024]);
        }
    });
    port
}

#[test]
fn server_that_hangs_up_in_the_handshake_is_told() {
    let port = hangs_up_after_hello();
    let sandbox = at(sandbox(), &format!("https://localhost:{port}"));
    fails(&sandbox.serve(), port, "");
}

#[test]
fn client_that_leaves_during_the_handshake_ends_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let sandbox = at(sandbox(), &format!("https://localhost:{port}"));
    let proxy = sandbox.serve();
    let mut client = proxy.connect();
    let api = Api::Messages;
    client.request(("POST", api.target(true)), &api.headers(), &api.small(true));
    let (mut stream, _) = listener.accept().unwrap();
    assert!(stream.read(&mut [0; 16 * 1024]).unwrap() > 0, "the handshake has begun");
    drop(client);
    sandbox.rows(1);
    assert_eq!(sandbox.ask("select error from requests"), "client_gone");
}

#[test]
fn answers_cut_through_tls_are_cut_for_the_client() {
    let (provider, authority) = (Provider::start(), Authority::new());
    let port = tls(provider.port(), authority.sign("localhost"));
    let sandbox = believing(&authority, &format!("https://localhost:{port}"));
    let proxy = sandbox.serve();
    provider.next(Script::cut(4, crate::provider::End::Fin));
    let answer = proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(true));
    assert_eq!((answer.status(), answer.clean), (200, false));
}

#[test]
fn stale_connections_through_tls_fail_no_request() {
    let (provider, authority) = (Provider::start(), Authority::new());
    let port = tls(provider.port(), authority.sign("localhost"));
    let sandbox = believing(&authority, &format!("https://localhost:{port}"));
    let proxy = sandbox.serve();
    let mut client = proxy.connect();
    for n in 0..30 {
        let body = Api::Messages.small(n % 2 == 0);
        client.request(("POST", "/v1/messages"), &Api::Messages.headers(), &body);
        assert_eq!(client.answer().status(), 200, "request {n}");
        provider.drop_idle();
        wait("the end to arrive", || (connections_to(port, &["01"]) == 0).then_some(()));
    }
    assert_eq!(provider.seen().len(), 30);
}

#[test]
fn new_connections_take_up_the_session_of_earlier_ones() {
    let authority = Authority::new();
    for version in rustls::ALL_VERSIONS {
        let provider = Provider::start();
        let identity = authority.sign("localhost");
        let (port, handshakes) = tls_watched(provider.port(), identity, &[version]);
        let sandbox = believing(&authority, &format!("https://localhost:{port}"));
        let proxy = sandbox.serve();
        for _ in 0..3 {
            works_once(&proxy);
            provider.drop_idle();
            wait("the end to arrive", || (connections_to(port, &["01"]) == 0).then_some(()));
        }
        let first = [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed];
        assert_eq!(handshakes.lock().unwrap()[..], first, "{version:?}");
    }
}

#[test]
fn early_refusal_of_an_upload_comes_through_tls() {
    let (provider, authority) = (Provider::start(), Authority::new());
    let port = tls(provider.port(), authority.sign("localhost"));
    let sandbox = believing(&authority, &format!("https://localhost:{port}"));
    let proxy = sandbox.serve();
    let prompt = Api::Messages.with_result(false, &"word ".repeat(2 << 20));
    let headers = [Api::Messages.headers(), vec![("x-tokenpak-mode", "off")]].concat();
    for status in [413, 429] {
        provider.next(Script { early: true, ..Script::status(status) });
        let answer = proxy.post("/v1/messages", &headers, &prompt);
        assert_eq!((answer.status(), answer.clean), (status, true), "{}", answer.text());
    }
    works_once(&proxy);
}

#[test]
fn nobody_else_is_believed() {
    let (provider, authority) = (Provider::start(), Authority::new());
    let port = tls(provider.port(), Authority::new().sign("localhost"));
    let sandbox = believing(&authority, &format!("https://localhost:{port}"));
    fails(&sandbox.serve(), port, "signed by nobody we trust");
    // The lists that come with the program and with the system do not know it either.
    for roots in ["bundled", "system"] {
        let sandbox = at(crate::support::sandbox(), &format!("https://localhost:{port}"));
        let file = sandbox.write("system.pem", authority.pem());
        let sandbox =
            sandbox.set("TOKENPAK_TLS_ROOTS", roots).set("SSL_CERT_FILE", file.to_str().unwrap());
        fails(&sandbox.serve(), port, "signed by nobody we trust");
    }
    assert!(provider.seen().is_empty());
}

#[test]
fn systems_list_may_be_named_by_the_environment() {
    let (provider, authority) = (Provider::start(), Authority::new());
    let port = tls(provider.port(), authority.sign("localhost"));
    let sandbox = at(sandbox(), &format!("https://localhost:{port}"));
    let file = sandbox.write("system.pem", authority.pem());
    let sandbox =
        sandbox.set("TOKENPAK_TLS_ROOTS", "system").set("SSL_CERT_FILE", file.to_str().unwrap());
    works(&provider, &sandbox.serve());
}

#[test]
fn certificate_for_another_name_is_refused() {
    let (provider, authority) = (Provider::start(), Authority::new());
    let port = tls(provider.port(), authority.sign("elsewhere.test"));
    let sandbox = believing(&authority, &format!("https://localhost:{port}"));
    fails(&sandbox.serve(), port, "is for another name");
    assert!(provider.seen().is_empty());
}

#[test]
fn certificate_that_has_expired_is_refused() {
    let (provider, authority) = (Provider::start(), Authority::new());
    let port = tls(provider.port(), authority.sign_until("localhost", 2021));
    let sandbox = believing(&authority, &format!("https://localhost:{port}"));
    fails(&sandbox.serve(), port, "has expired on 2021-01-01; see tls.roots");
    assert!(provider.seen().is_empty());
    let port = tls(provider.port(), authority.sign_between("localhost", [2080, 2090]));
    let sandbox = at(sandbox, &format!("https://localhost:{port}"));
    fails(&sandbox.serve(), port, "is not valid yet, but from 2080-01-01 on; see tls.roots");
    assert!(provider.seen().is_empty());
}

/// A sandbox that believes the one certificate that the server has, or another one.
fn pinning(pem: &str, port: u16) -> Sandbox {
    let sandbox = at(sandbox(), &format!("https://localhost:{port}"));
    let path = sandbox.write("roots.pem", pem);
    sandbox.set("TOKENPAK_TLS_ROOTS", path.to_str().unwrap())
}

#[test]
fn servers_own_certificate_may_be_what_is_believed() {
    let signed = Authority::new().sign("localhost");
    for identity in [
        self_signed("localhost", [2020, 2090], true),
        self_signed("localhost", [2020, 2090], false),
        // Of an authority that the file does not name.
        signed,
    ] {
        let (provider, pem) = (Provider::start(), identity.pem.clone());
        let port = tls(provider.port(), identity);
        works(&provider, &pinning(&pem, port).serve());
        // Beside others, and as the system's list.
        let file = format!("{}{pem}", Authority::new().pem());
        let sandbox = pinning(&file, port);
        let path = sandbox.home().join("roots.pem").display().to_string();
        let sandbox = sandbox.set("TOKENPAK_TLS_ROOTS", "system").set("SSL_CERT_FILE", &path);
        works_once(&sandbox.serve());
    }
}

/// All else is checked as ever: that the certificate is in the file makes up for its issuer alone.
#[test]
fn servers_own_certificate_is_checked_as_any_other() {
    let years = [2020, 2090];
    for (name, span, is_authority, reason) in [
        ("elsewhere.test", years, true, "is for another name"),
        ("elsewhere.test", years, false, "is for another name"),
        ("localhost", [2020, 2021], true, "has expired on 2021-01-01"),
        ("localhost", [2020, 2021], false, "has expired on 2021-01-01"),
        ("localhost", [2080, 2090], true, "is not valid yet"),
    ] {
        let provider = Provider::start();
        let identity = self_signed(name, span, is_authority);
        let pem = identity.pem.clone();
        let port = tls(provider.port(), identity);
        fails(&pinning(&pem, port).serve(), port, reason);
        assert!(provider.seen().is_empty(), "{name} {span:?} {is_authority}");
    }
    let authority = Authority::new();
    let provider = Provider::start();
    for (identity, reason) in [
        (authority.sign_until("localhost", 2021), "has expired on 2021-01-01"),
        (authority.sign("elsewhere.test"), "is for another name"),
    ] {
        let pem = identity.pem.clone();
        let port = tls(provider.port(), identity);
        fails(&pinning(&pem, port).serve(), port, reason);
    }
    // Another certificate of the same name, and one that is believed but shown by nobody.
    for is_authority in [true, false] {
        let [shown, believed] = [(); 2].map(|()| self_signed("localhost", years, is_authority));
        let port = tls(provider.port(), shown);
        fails(&pinning(&believed.pem, port).serve(), port, "its certificate is");
    }
    assert!(provider.seen().is_empty());
}

#[test]
fn plain_server_where_tls_is_expected_is_told() {
    let (provider, authority) = (Provider::start(), Authority::new());
    let port = provider.port();
    let sandbox = believing(&authority, &format!("https://localhost:{port}"));
    // It takes our greeting for a request line, waits for more of it, and is left.
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = plain.local_addr().unwrap().port();
    let sandbox = at(sandbox, &format!("https://localhost:{port}"));
    std::thread::spawn(move || {
        for mut stream in plain.incoming().flatten() {
            use std::io::Write;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        }
    });
    fails(&sandbox.serve(), port, "does not speak TLS");
}

#[test]
fn server_with_tls_where_plain_http_is_expected_is_told() {
    let (provider, authority) = (Provider::start(), Authority::new());
    let port = tls(provider.port(), authority.sign("localhost"));
    let sandbox = at(sandbox(), &format!("http://localhost:{port}"));
    let why = "localhost gave an answer that cannot be read: it is not HTTP";
    fails_as(&sandbox.serve(), port, why, "upstream-bad-answer");
}

#[test]
fn roots_that_cannot_be_read_are_refused_at_start() {
    for (what, text) in
        [("missing", None), ("empty", Some("")), ("no certificate", Some("just some text\n"))]
    {
        let sandbox = sandbox();
        let path = sandbox.home().join("roots.pem");
        if let Some(text) = text {
            sandbox.write("roots.pem", text);
        }
        let sandbox = sandbox.set("TOKENPAK_TLS_ROOTS", path.to_str().unwrap());
        let output = sandbox.run(&["serve", "--port", "0"]);
        assert_eq!(output.status, 78, "{what}: {}", output.stderr);
        assert!(output.stderr.contains("tls.roots: "), "{what}: {}", output.stderr);
    }
    // A path in the file counts from the file's home.
    let (provider, authority) = (Provider::start(), Authority::new());
    let port = tls(provider.port(), authority.sign("localhost"));
    let sandbox = at(sandbox(), &format!("https://localhost:{port}"));
    sandbox.write("certs/own.pem", authority.pem());
    let sandbox = sandbox.config("{\"tls\": {\"roots\": \"certs/own.pem\"}}");
    works(&provider, &sandbox.serve());
}

#[test]
fn unencrypted_providers_must_be_this_machine() {
    for url in [
        "http://api.example.com",
        "http://gpu-box:8080",
        "http://192.168.1.5",
        "http://127.evil.test",
    ] {
        let sandbox = at(sandbox(), url);
        let output = sandbox.run(&["serve", "--port", "0"]);
        assert_eq!(output.status, 78, "{url}: {}", output.stderr);
        assert!(output.stderr.contains("proxy.allow_http"), "{url}: {}", output.stderr);
    }
    for url in ["http://127.0.0.1:9", "http://localhost", "http://[::1]:9"] {
        at(sandbox(), url).serve();
    }
    // By name, if somebody says so.
    at(sandbox(), "http://gpu-box:8080").set("TOKENPAK_PROXY_ALLOW_HTTP", "true").serve();
}

const TARGET: &str = "https://provider.test";

#[test]
fn proxy_of_the_environment_is_used() {
    let (provider, authority) = (Provider::start(), Authority::new());
    let port = tls(provider.port(), authority.sign("provider.test"));
    for variable in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"] {
        let tunnel = Tunnel::to(port, "HTTP/1.1 200 Connection established\r\nx: y\r\n\r\n");
        let address = format!("http://127.0.0.1:{}", tunnel.port);
        let sandbox = believing(&authority, TARGET).set(variable, &address);
        works(&provider, &sandbox.serve());
        let heads = tunnel.heads();
        assert_eq!(heads.len(), 1, "one way for all requests: {heads:?}");
        assert_eq!(
            heads[0],
            "CONNECT provider.test:443 HTTP/1.1\r\nhost: provider.test:443\r\n\r\n"
        );
    }
}

#[test]
fn proxy_gets_its_own_credential_and_no_other() {
    let (provider, authority) = (Provider::start(), Authority::new());
    let port = tls(provider.port(), authority.sign("provider.test"));
    let tunnel = Tunnel::to(port, "HTTP/1.1 200 OK\r\n\r\n");
    let address = format!("http://user:pass@127.0.0.1:{}", tunnel.port);
    let sandbox = believing(&authority, TARGET).set("HTTPS_PROXY", &address);
    works(&provider, &sandbox.serve());
    let head = &tunnel.heads()[0];
    assert!(head.contains("\r\nproxy-authorization: Basic dXNlcjpwYXNz\r\n"), "{head}");
    assert!(!head.contains("not-a-key"));
    assert_eq!(provider.last().header("proxy-authorization"), None);
}

#[test]
fn proxy_that_refuses_is_told() {
    let authority = Authority::new();
    for (answer, reason) in [
        ("HTTP/1.1 403 Forbidden\r\n\r\n", "refuses it (403)"),
        ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "refuses it (407)"),
        ("HTTP/1.1 \x1b[2 Odd\r\n\r\n", "refuses it (it does not speak HTTP)"),
        ("SSH-2.0\r\n\r\n", "refuses it (it does not speak HTTP)"),
    ] {
        let tunnel = Tunnel::to(0, answer);
        let address = format!("http://user:secret@127.0.0.1:{}", tunnel.port);
        for variable in ["HTTPS_PROXY", "all_proxy"] {
            let sandbox = believing(&authority, TARGET).set(variable, &address);
            let proxy = sandbox.serve();
            fails(
                &proxy,
                NO_PORT,
                &format!("the proxy 127.0.0.1:{} ({variable}) {reason}", tunnel.port),
            );
            assert!(!proxy.output().1.contains("secret"), "{}", proxy.output().1);
        }
    }
}

/// Whatever goes wrong on the way through a proxy, its name is told.
#[test]
fn faults_behind_a_proxy_name_it() {
    let (provider, authority) = (Provider::start(), Authority::new());
    let named = |port: u16, why: &str| {
        format!("the proxy 127.0.0.1:{port} (HTTPS_PROXY) is on the way: {why}")
    };
    let serve = |port: u16| {
        let address = format!("http://127.0.0.1:{port}");
        believing(&authority, TARGET).set("HTTPS_PROXY", &address).serve()
    };
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    fails(&serve(closed), NO_PORT, &named(closed, "connection refused"));
    // It answers in the place of the provider.
    for (identity, reason) in [
        (Authority::new().sign("provider.test"), "its certificate is signed by nobody we trust"),
        (authority.sign("localhost"), "its certificate is for another name"),
    ] {
        let port = tls(provider.port(), identity);
        let tunnel = Tunnel::to(port, "HTTP/1.1 200 OK\r\n\r\n");
        fails(&serve(tunnel.port), NO_PORT, &named(tunnel.port, reason));
    }
    assert!(provider.seen().is_empty());
}

#[test]
fn proxies_that_are_not_known_are_named_by_what_would_need_them() {
    let (provider, authority) = (Provider::start(), Authority::new());
    let port = tls(provider.port(), authority.sign("localhost"));
    for (variable, value, kind) in [
        ("ALL_PROXY", "socks5://user:secret@127.0.0.1:9", "socks5"),
        ("all_proxy", "socks5h://127.0.0.1:9", "socks5h"),
        ("HTTPS_PROXY", "socks4://127.0.0.1:9", "socks4"),
        ("https_proxy", "https://127.0.0.1:9", "https"),
        ("ALL_PROXY", "ftp://127.0.0.1:9", "ftp"),
        ("ALL_PROXY", "not a proxy", "another"),
    ] {
        let proxy = believing(&authority, TARGET).set(variable, value).serve();
        let reason = format!("{variable} names a proxy of the kind {kind}; only http://host:port");
        fails(&proxy, 9, &reason);
        assert!(!proxy.output().1.contains("secret"), "{}", proxy.output().1);
        // Those that need none do not mind.
        let local = believing(&authority, &format!("https://localhost:{port}"));
        works_once(&local.set(variable, value).serve());
        let exempt = believing(&authority, TARGET).set(variable, value);
        fails(&exempt.set("NO_PROXY", "a.test, provider.test").serve(), 9, "the name is not known");
    }
    assert_eq!(provider.seen().len(), 6);
}

/// Which variable counts: for `https` its own before the one for all, and none of `http`'s.
#[test]
fn proxy_variables_are_for_their_scheme() {
    let (provider, authority) = (Provider::start(), Authority::new());
    let port = tls(provider.port(), authority.sign("provider.test"));
    let dead = "http://127.0.0.1:9";
    let tunnel = Tunnel::to(port, "HTTP/1.1 200 OK\r\n\r\n");
    let alive = format!("http://127.0.0.1:{}", tunnel.port);
    for variable in ["http_proxy", "HTTP_PROXY"] {
        let proxy = believing(&authority, TARGET).set(variable, &alive).serve();
        fails(&proxy, tunnel.port, "the name is not known");
        let plain = at(sandbox(), &provider.url()).set(variable, dead);
        works_once(&plain.set("HTTPS_PROXY", dead).serve());
    }
    assert_eq!(tunnel.heads(), [""; 0]);
    for [first, second] in [["HTTPS_PROXY", "ALL_PROXY"], ["https_proxy", "all_proxy"]] {
        let sandbox = believing(&authority, TARGET).set(first, &alive).set(second, dead);
        works_once(&sandbox.serve());
        let sandbox = believing(&authority, TARGET).set(first, "").set(second, &alive);
        works_once(&sandbox.serve());
    }
}

#[test]
fn some_hosts_need_no_proxy() {
    let (provider, authority) = (Provider::start(), Authority::new());
    let port = tls(provider.port(), authority.sign("localhost"));
    let tunnel = Tunnel::to(port, "HTTP/1.1 200 OK\r\n\r\n");
    let address = format!("http://127.0.0.1:{}", tunnel.port);
    // This machine never does.
    let sandbox =
        believing(&authority, &format!("https://localhost:{port}")).set("HTTPS_PROXY", &address);
    works(&provider, &sandbox.serve());
    for exempt in ["provider.test", ".test", "*"] {
        let sandbox =
            believing(&authority, TARGET).set("HTTPS_PROXY", &address).set("NO_PROXY", exempt);
        fails(&sandbox.serve(), tunnel.port, "the name is not known");
    }
    assert_eq!(tunnel.heads(), [""; 0]);
}

#[test]
fn way_that_leads_back_to_us_is_refused_at_start() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    for host in ["127.0.0.1", "localhost", "[::1]"] {
        let own = format!("http://{host}:{free}");
        let refused = |sandbox: Sandbox, what: &str| {
            let output = sandbox.run(&["serve", "--port", &free]);
            assert_eq!(output.status, 78, "{own}: {}", output.stderr);
            assert!(output.stderr.contains(what), "{own}: {}", output.stderr);
        };
        refused(sandbox().set("HTTPS_PROXY", &own), "HTTPS_PROXY");
        refused(sandbox().set("TOKENPAK_PROXY_PASSTHROUGH_URL", &own), "passthrough_url");
        refused(at(sandbox(), &format!("{own}/v1")), "is tokenpak itself");
    }
}
