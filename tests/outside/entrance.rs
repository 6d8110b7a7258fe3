//! Who is let in: names, origins, tokens, our own pages, and upgrades.

use crate::provider::Provider;
use crate::sandbox::{Client, Proxy, Sandbox};
use crate::support::{Api, sandbox, scene, skip};

pub(crate) const KEY: &str = "authorization: Bearer sk-dummy\r\n";

/// The status of a request that consists of this line and these headers.
#[track_caller]
pub(crate) fn status(proxy: &Proxy, line: &str, headers: &str) -> u16 {
    let mut client = proxy.connect();
    client.send(format!("{line} HTTP/1.1\r\n{headers}\r\n"));
    client.head().status
}

/// A proxy with these settings before a stand-in.
pub(crate) fn proxy_with(proxy: &str) -> (Provider, Sandbox, Proxy) {
    let provider = Provider::start();
    let sandbox = sandbox().providers(&provider).config(&format!("{{\"proxy\": {{{proxy}}}}}"));
    let proxy = sandbox.serve();
    (provider, sandbox, proxy)
}

#[test]
fn host_must_be_a_name_of_ours() {
    let (_provider, _sandbox, proxy) = proxy_with(r#""hosts": ["tunnel.test", "10.1.2.3"]"#);
    for (host, want) in [
        ("localhost", 200),
        ("LocalHost", 200),
        ("localhost:", 200),
        ("localhost:8766", 200),
        ("127.0.0.1", 200),
        ("127.0.0.1:1", 200),
        ("[::1]", 200),
        ("[::1]:8766", 200),
        ("tunnel.test", 200),
        ("TUNNEL.test:443", 200),
        ("10.1.2.3:80", 200),
        ("", 421),
        ("localhost.", 421),
        ("localhost.e.test", 421),
        ("e.test", 421),
        ("e.test:443", 421),
        ("127.0.0.1.e.test", 421),
        ("127.0.0.2", 421),
        ("2130706433", 421),
        ("0.0.0.0", 421),
        ("[::ffff:127.0.0.1]", 421),
        ("localhost\tx", 400),
        ("[2001:db8::1]:80", 421),
        ("tunnel.test.", 421),
        ("x.tunnel.test", 421),
        ("under_score.test", 421),
        ("%6cocalhost", 421),
        // What is no host at all (RFC 9110 7.2).
        ("bad host", 400),
        ("localhost e.test", 400),
        ("local\thost", 400),
        ("localhost, e.test", 400),
        ("localhost,e.test", 400),
        ("user@localhost", 400),
        ("user:word@localhost:80", 400),
        ("localhost:8766@e.test", 400),
        ("http://localhost", 400),
        ("localhost/", 400),
        ("localhost/v1", 400),
        ("localhost?x", 400),
        ("localhost#x", 400),
        ("localhost\\e.test", 400),
        ("localhost:port", 400),
        ("localhost:80x", 400),
        ("localhost:-1", 400),
        ("localhost:+80", 400),
        ("localhost:99999", 400),
        ("localhost:80:80", 400),
        ("::1", 400),
        ("[::1", 400),
        ("::1]", 400),
        ("[localhost]", 400),
        ("[::1]x", 400),
        ("[]", 400),
        ("\"localhost\"", 400),
        ("<localhost>", 400),
        ("localhost%", 400),
        ("localhost%zz", 400),
        ("l\u{f6}calhost", 400),
        ("localhost\u{7f}", 400),
    ] {
        let headers = format!("Host: {host}\r\n{KEY}");
        assert_eq!(status(&proxy, "GET /v1/models", &headers), want, "Host: {host}");
        // Our own pages are for this machine only, whatever it is called outside.
        if want != 200 {
            let own = status(&proxy, "GET /health", &format!("Host: {host}\r\n"));
            assert_eq!(own, want, "Host: {host}");
        }
    }
}

/// The authority of an absolute target chooses nothing, but it must be one.
#[test]
fn absolute_targets_have_a_host_that_is_one() {
    let (provider, _sandbox, proxy) = scene();
    for (authority, want) in [
        ("localhost", 200),
        ("e.test:80", 200),
        ("[::1]:1", 200),
        ("e.test:", 200),
        ("user@localhost", 400),
        ("sk-dummy:x@e.test:80", 400),
        ("e.test:port", 400),
        ("e.test,localhost", 400),
        ("[::1", 400),
    ] {
        let before = provider.seen().len();
        let line = format!("GET http://{authority}/v1/models");
        assert_eq!(status(&proxy, &line, &format!("Host: localhost\r\n{KEY}")), want, "{line}");
        assert_eq!(provider.seen().len() - before, usize::from(want == 200), "{line}");
        // What counts is Host, since no browser sends a whole address to what it takes for a server.
        let foreign = status(&proxy, &line, &format!("Host: e.test\r\n{KEY}"));
        assert_eq!(foreign, if want == 200 { 421 } else { 400 }, "{line}");
    }
}

const EVIL: &str = "Origin: https://e.test\r\n";

#[test]
fn foreign_pages_are_refused_unless_they_bring_a_key() {
    let (provider, _sandbox, proxy) = proxy_with(r#""hosts": ["tunnel.test"]"#);
    let own = proxy.port();
    let ours = |host: &str| format!("Origin: http://{host}:{own}\r\n");
    for (line, headers, want) in [
        ("POST /v1/messages", EVIL, 403),
        ("POST /v1/messages", "Origin: null\r\n", 403),
        ("POST /v1/messages", "Origin: \r\n", 403),
        ("POST /v1/messages", "Origin: file://\r\n", 403),
        ("POST /v1/messages", "Origin: http://localhost.e.test\r\n", 403),
        ("POST /v1/messages", "Sec-Fetch-Site: cross-site\r\n", 403),
        ("POST /v1/messages", "Sec-Fetch-Site: Cross-Site\r\n", 403),
        ("OPTIONS /v1/messages", EVIL, 403),
        ("GET /", EVIL, 403),
        ("GET /health", EVIL, 403),
        ("GET /health", "Sec-Fetch-Site: cross-site\r\n", 403),
        ("GET /health", "Origin: https://e.test\r\nauthorization: Bearer sk-dummy\r\n", 403),
        // A page of another server on this machine is as foreign as any.
        ("POST /v1/messages", "Origin: http://localhost:3000\r\n", 403),
        ("POST /v1/messages", "Origin: http://127.0.0.1:1\r\n", 403),
        ("POST /v1/messages", "Origin: http://localhost\r\n", 403),
        ("POST /v1/messages", "Origin: http://[::1]:3000\r\n", 403),
        ("POST /v1/messages", "Origin: https://127.0.0.1\r\n", 403),
        ("POST /v1/messages", "Sec-Fetch-Site: same-site\r\n", 403),
        ("GET /health", "Origin: http://localhost:3000\r\n", 403),
        ("POST /v1/messages", &format!("Origin: https://localhost:{own}\r\n"), 403),
        ("POST /v1/messages", &format!("{}{EVIL}", ours("localhost")), 403),
        // Nor does a browser's own password for a page prove anything, or a key that is empty.
        ("POST /v1/messages", "Origin: https://e.test\r\nauthorization: Basic dTpw\r\n", 403),
        ("POST /v1/messages", "Origin: https://e.test\r\nx-api-key: \r\n", 403),
        ("POST /v1/messages", &ours("localhost"), 200),
        ("POST /v1/messages", &ours("127.0.0.1"), 200),
        ("POST /v1/messages", &ours("[::1]"), 200),
        ("POST /v1/messages", "Origin: http://tunnel.test\r\n", 200),
        ("POST /v1/messages", "Origin: https://tunnel.test:8443\r\n", 200),
        ("POST /v1/messages", "Sec-Fetch-Site: same-origin\r\n", 200),
        ("POST /v1/messages", "Sec-Fetch-Site: none\r\n", 200),
        ("POST /v1/x", "Origin: https://e.test\r\nauthorization: Bearer sk-dummy\r\n", 200),
        ("POST /v1/x", "Origin: null\r\nx-api-key: sk-ant-dummy\r\n", 200),
        ("POST /v1/x", "Origin: vscode-webview://x\r\nx-goog-api-key: AIza-dummy\r\n", 200),
    ] {
        let headers = format!("Host: localhost\r\n{headers}Content-Length: 0\r\n");
        assert_eq!(status(&proxy, line, &headers), want, "{line} {headers}");
    }
    assert!(provider.seen().iter().all(|seen| seen.target() != "/health"));
}

#[test]
fn refusals_keep_the_connection_where_the_body_has_an_end() {
    let (_provider, _sandbox, proxy) = scene();
    let mut client = proxy.connect();
    let chunked = "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let sized = "Content-Length: 5\r\n\r\nhello";
    for (n, framing) in [sized, chunked, "\r\n", sized].into_iter().enumerate() {
        client.send(format!("POST /v1/messages HTTP/1.1\r\nHost: e.test\r\n{framing}"));
        assert_eq!(client.answer().status(), 421, "{n}");
        client.send(format!("POST /v1/x HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\n{framing}"));
        assert_eq!(client.answer().status(), 403, "{n}");
        client.send(format!("POST /nowhere HTTP/1.1\r\nHost: localhost\r\n{framing}"));
        assert_eq!(client.answer().status(), 404, "{n}");
        client.send(format!("POST /v1/<\\> HTTP/1.1\r\nHost: localhost\r\n{KEY}{framing}"));
        assert!([200, 400].contains(&client.answer().status()), "{n}");
        client.send("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(client.answer().status(), 200, "{n}");
    }
    // A client that waits for leave to send may send nothing at all: nobody can tell what is next.
    client.send(
        "POST /v1/x HTTP/1.1\r\nHost: e.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
    );
    assert_eq!((client.answer().status(), client.closed()), (421, true));
}

#[test]
fn refusals_speak_the_clients_dialect() {
    let (_provider, _sandbox, proxy) = scene();
    for api in Api::ALL {
        let mut client = proxy.connect();
        client.send(format!(
            "POST {} HTTP/1.1\r\nHost: e.test\r\nContent-Length: 0\r\n\r\n",
            api.target(false)
        ));
        let answer = client.answer();
        assert_eq!(
            answer.head.header("x-tokenpak-error").as_deref(),
            Some("wrong-host"),
            "{api:?}"
        );
        let message = answer.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert!(message.starts_with("tokenpak: "), "{api:?}: {message}");
    }
}

#[test]
fn websocket_is_refused_at_once_and_other_upgrades_are_ignored() {
    let (provider, _sandbox, proxy) = scene();
    let ask = |connection: &str, upgrade: &str| {
        let mut client = proxy.connect();
        client.send(format!(
            "GET /v1/responses HTTP/1.1\r\nHost: localhost\r\n{KEY}Connection: {connection}\r\nUpgrade: {upgrade}\r\n\
            HTTP2-Settings: AAMAAABkAAQAAP__\r\nsec-websocket-key: eA==\r\n\r\n"
        ));
        let answer = client.answer();
        if answer.status() == 426 {
            assert_eq!(answer.head.header("upgrade").as_deref(), Some("HTTP/1.1"));
            client.send("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
            assert_eq!(client.answer().status(), 200, "the connection goes on");
        }
        answer.status()
    };
    for (connection, upgrade) in [
        ("Upgrade", "websocket"),
        ("upgrade", "WebSocket"),
        ("keep-alive, Upgrade", "websocket"),
        ("UPGRADE,x", "WEBSOCKET"),
        ("Upgrade", "h2c, websocket"),
    ] {
        assert_eq!(ask(connection, upgrade), 426, "{connection}: {upgrade}");
    }
    assert!(provider.seen().is_empty());
    for (connection, upgrade) in
        [("Upgrade, HTTP2-Settings", "h2c"), ("Upgrade", "TLS/1.2"), ("upgrade", "websockets")]
    {
        assert_eq!(ask(connection, upgrade), 200, "{connection}: {upgrade}");
        for name in ["upgrade", "http2-settings", "connection"] {
            assert_eq!(provider.last().header(name), None, "{upgrade}: {name}");
        }
    }
}

#[test]
fn somebody_is_there() {
    let (provider, _sandbox, proxy) = scene();
    let mut client = proxy.connect();
    for _ in 0..3 {
        client.send("HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(client.head().status, 200);
        client.skip_body();
        client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(client.answer().status(), 200);
        client.send("HEAD /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(client.head().status, 200);
        client.skip_body();
    }
    assert!(provider.seen().is_empty());
    client.send(format!("HEAD / HTTP/1.1\r\nHost: localhost\r\n{KEY}\r\n"));
    assert_eq!(client.head().status, 200);
    assert_eq!(provider.last().method(), "HEAD");
    // Pipelined, local and forwarded answers keep their order.
    let mut client = proxy.connect();
    let own = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let other = format!("GET /v1/files/x HTTP/1.1\r\nHost: localhost\r\n{KEY}\r\n");
    client.send([own, &other].concat().repeat(20));
    for n in 0..20 {
        assert_eq!(client.answer().json()["status"], "ok", "{n}");
        assert_eq!(client.answer().json()["target"], "/v1/files/x", "{n}");
    }
}

#[test]
fn localhost_is_both_families() {
    let (_provider, _sandbox, proxy) = scene();
    let Some(mut client) = Client::connect_v6(proxy.port()) else {
        return skip("localhost over IPv6", "this machine has no ::1");
    };
    client.request(("GET", "/v1/models"), &[("authorization", "Bearer sk-dummy")], b"");
    assert_eq!(client.answer().status(), 200);
    assert_eq!(proxy.ask("GET", "/health", &[], b"").status(), 200);
}

#[test]
fn open_bind_needs_a_token() {
    for bind in ["0.0.0.0", "::", "192.0.2.1"] {
        let output = sandbox().run(&["serve", "--port", "0", "--bind", bind]);
        assert_eq!(output.status, 78, "{bind}: {}", output.stderr);
        assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
        let start = format!("tokenpak: proxy.bind: {bind} ");
        assert!(
            output.stderr.starts_with(&start) && output.stderr.contains("proxy.auth_token"),
            "{}",
            output.stderr
        );
    }
    for bind in ["localhost", "127.0.0.1", "127.0.0.2"] {
        let provider = Provider::start();
        let sandbox = sandbox().providers(&provider);
        sandbox.serve_with(&["--bind", bind]);
    }
    for bad in ["secret token", "a/b", "a?b", ""] {
        let config = format!(r#"{{"proxy": {{"auth_token": "{bad}"}}}}"#);
        let output = sandbox().config(&config).run(&["serve", "--port", "0"]);
        assert_eq!(output.status, 78, "{bad:?}");
        assert!(bad.is_empty() || !output.stderr.contains(bad), "{}", output.stderr);
    }
}

const TOKEN: &str = "dummy-token-7f3a";

#[test]
fn token_comes_in_three_forms_and_goes_no_further() {
    let provider = Provider::start();
    let sandbox = sandbox().providers(&provider).set("TOKENPAK_PROXY_AUTH_TOKEN", TOKEN);
    let proxy = sandbox.serve_with(&["--bind", "0.0.0.0"]);
    let ask =
        |line: &str, headers: &str| status(&proxy, line, &format!("Host: any.test\r\n{headers}"));
    let own =
        |line: &str, headers: &str| status(&proxy, line, &format!("Host: localhost\r\n{headers}"));
    let bearer = format!("authorization: Bearer {TOKEN}\r\n");
    let header = format!("x-tokenpak-token: {TOKEN}\r\n");
    assert_eq!(ask("GET /v1/models", &format!("{KEY}{header}")), 200);
    assert_eq!(ask("GET /v1/models", &format!("X-TokenPak-Token: {TOKEN}\r\n{KEY}")), 200);
    assert_eq!(ask(&format!("GET /t/{TOKEN}/v1/models"), KEY), 200);
    assert_eq!(ask(&format!("GET http://any.test/t/{TOKEN}/v1/models"), KEY), 200);
    assert_eq!(ask(&format!("GET /t/{TOKEN}/p/shop/openai/v1/models?a=b"), KEY), 200);
    assert_eq!(provider.last().target(), "/v1/models?a=b");
    assert_eq!(ask(&format!("GET /t/{TOKEN}"), ""), 200);
    assert_eq!(ask(&format!("HEAD /t/{TOKEN}/"), ""), 200);
    assert_eq!(own("GET /health", &bearer), 200);
    assert_eq!(own("GET /health", &header), 200);
    assert_eq!(own(&format!("GET /t/{TOKEN}/health"), ""), 200);
    // With the token of the proxy as the key of the provider, only the latter is missing.
    assert_eq!(ask("GET /openai/v1/models", &format!("{header}{bearer}")), 200);
    assert_eq!(provider.last().header("authorization"), None);
    let seen = provider.seen();
    assert_eq!(seen.len(), 6);
    assert!(seen.iter().all(|seen| !String::from_utf8_lossy(&seen.head).contains(TOKEN)));

    let short = &TOKEN[..TOKEN.len() - 1];
    for (line, headers) in [
        ("GET /v1/models".to_owned(), KEY.to_owned()),
        ("GET /v1/models".to_owned(), format!("{KEY}x-tokenpak-token: wrong\r\n")),
        ("GET /v1/models".to_owned(), format!("{KEY}x-tokenpak-token: {short}\r\n")),
        ("GET /v1/models".to_owned(), format!("{KEY}x-tokenpak-token: {TOKEN}x\r\n")),
        ("GET /v1/models".to_owned(), format!("{KEY}x-tokenpak-token:\r\n")),
        ("GET /v1/models".to_owned(), bearer.clone()),
        (format!("GET /t/{short}/v1/models"), KEY.to_owned()),
        (format!("GET /t/{TOKEN}x/v1/models"), KEY.to_owned()),
        (format!("GET /v1/t/{TOKEN}/models"), KEY.to_owned()),
        ("GET /health".to_owned(), String::new()),
        ("GET /".to_owned(), String::new()),
        ("CONNECT e.test:443".to_owned(), String::new()),
    ] {
        assert_eq!(ask(&line, &headers), 401, "{line} {headers}");
    }
    assert_eq!(provider.seen().len(), 6, "a request without the token went on");
    let shown = sandbox.run(&["config", "list"]).stdout;
    assert!(shown.contains("proxy.auth_token=set\n"), "{shown}");
    let text = [proxy.output().0, proxy.output().1, shown].concat();
    assert!(!text.contains(TOKEN), "{text}");
}

#[test]
fn missing_token_is_told_in_the_clients_dialect() {
    let (_provider, _sandbox, proxy) = proxy_with(&format!(r#""auth_token": "{TOKEN}""#));
    for api in Api::ALL {
        let answer = proxy.post(api.target(false), &api.headers(), &api.small(false));
        assert_eq!(answer.status(), 401, "{api:?}");
        assert_eq!(answer.head.header("x-tokenpak-error").as_deref(), Some("unauthorized"));
        assert!(answer.head.header("www-authenticate").is_some());
        let error = answer.json()["error"].clone();
        assert!(error["message"].as_str().unwrap_or_default().starts_with("tokenpak: "), "{error}");
        match api {
            Api::Gemini => assert_eq!(
                (&error["code"], &error["status"]),
                (&401.into(), &"UNAUTHENTICATED".into())
            ),
            _ => assert_eq!(error["type"], "authentication_error"),
        }
        let (path, token) =
            (format!("/t/{TOKEN}{}", api.target(false)), ("x-tokenpak-token", TOKEN));
        assert!(
            proxy.post(&path, &api.headers(), &api.large(false)).head.tokens("saved") > 0,
            "{api:?}"
        );
        let headers = [api.headers(), vec![token]].concat();
        assert_eq!(
            proxy.post(api.target(true), &headers, &api.small(true)).status(),
            200,
            "{api:?}"
        );
    }
}

#[test]
fn own_pages_are_for_whom_the_settings_name() {
    let health =
        |proxy: &Proxy, host: &str| status(proxy, "GET /health", &format!("Host: {host}\r\n"));
    let hosts = r#""hosts": ["tunnel.test"]"#;
    let (_provider, _sandbox, proxy) = proxy_with(hosts);
    assert_eq!((health(&proxy, "localhost"), health(&proxy, "tunnel.test")), (200, 404));
    let (_provider, _sandbox, proxy) = proxy_with(&format!(r#"{hosts}, "endpoints": "all""#));
    assert_eq!((health(&proxy, "localhost"), health(&proxy, "tunnel.test")), (200, 200));
    let (_provider, _sandbox, proxy) = proxy_with(&format!(r#"{hosts}, "endpoints": "off""#));
    assert_eq!((health(&proxy, "localhost"), health(&proxy, "tunnel.test")), (404, 404));
    let upstream = Provider::start();
    let (_provider, _sandbox, proxy) =
        proxy_with(&format!(r#""endpoints": "off", "passthrough_url": "{}""#, upstream.url()));
    assert_eq!(health(&proxy, "localhost"), 200);
    assert_eq!(upstream.last().target(), "/health");
}

#[test]
fn process_leaves_no_core_and_takes_all_descriptors() {
    let (_provider, _sandbox, proxy) = scene();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", proxy.pid())).unwrap();
    let of = |name: &str| -> Vec<String> {
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).expect(name);
        line.split_whitespace().take(2).map(str::to_owned).collect()
    };
    assert_eq!(of("Max core file size"), ["0", "0"]);
    let files = of("Max open files");
    assert_eq!(files[0], files[1], "soft and hard");
}
