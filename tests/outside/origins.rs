//! What web pages, webviews and extensions may send, and where.

use crate::entrance::{KEY, proxy_with, status};
use crate::provider::{Provider, Tunnel};
use crate::support::sandbox;

/// Origins of pages, and of programs that show pages of their own.
const ORIGINS: &[(&str, bool)] = &[
    ("https://e.test", false),
    ("http://localhost:3000", false),
    ("null", false),
    ("file://", false),
    ("app://obsidian.md", true),
    ("vscode-webview://1abc", true),
    ("chrome-extension://abc", true),
    ("moz-extension://abc", true),
    ("tauri://localhost", true),
];

/// Whoever shows a page is asked by the browser first, and neither the question nor the answer is
/// ours: the provider has the say, and it is the one that the key will go to.
#[test]
fn preflights_that_announce_a_key_are_forwarded_and_others_refused() {
    let pass = Provider::start();
    let (provider, _sandbox, proxy) =
        proxy_with(&format!("\"passthrough_url\": \"{}\"", pass.url()));
    for (origin, _) in ORIGINS {
        for (announced, path, want) in [
            ("x-api-key", "/v1/messages", 200),
            ("X-Api-Key, anthropic-version, content-type", "/v1/messages", 200),
            ("content-type,authorization", "/v1/chat/completions", 200),
            ("x-goog-api-key", "/v1beta/models/m:generateContent", 200),
            ("content-type", "/v1/messages", 403),
            ("x-api-keys", "/v1/messages", 403),
            ("", "/v1/messages", 403),
        ] {
            let before = provider.seen().len();
            let mut client = proxy.connect();
            let headers = [
                ("origin", *origin),
                ("access-control-request-method", "POST"),
                ("access-control-request-headers", announced),
            ];
            client.request(("OPTIONS", path), &headers, b"");
            let head = client.head();
            assert_eq!(head.status, want, "{origin} {announced}");
            let ours = head.headers.iter().any(|(name, _)| name.starts_with("access-control"));
            assert!(!ours, "no grant is ours: {head:?}");
            assert_eq!(provider.seen().len() - before, usize::from(want == 200), "{origin}");
            if want == 200 {
                let seen = provider.last();
                assert_eq!((seen.method().as_str(), seen.target().as_str()), ("OPTIONS", path));
                assert_eq!(seen.header("origin").as_deref(), Some(*origin));
                let asks = seen.header("access-control-request-headers");
                assert_eq!(asks.as_deref(), Some(announced));
            }
        }
    }
    assert!(pass.seen().is_empty());
}

/// A model server on this machine takes any key, so a page may not make one up.
#[test]
fn a_key_that_was_made_up_opens_no_local_model() {
    let models = Provider::start();
    let (provider, _sandbox, proxy) = proxy_with(&format!(
        r#""passthrough_url": "{0}", "providers": {{"local": {{"url": "{0}"}}, "groq": {{"url": "{0}"}}}}"#,
        models.url()
    ));
    let keys = [
        "authorization: Bearer dummy",
        "authorization: Bearer sk-ant-dummy",
        "x-api-key: dummy",
        "api-key: x",
        "x-goog-api-key: AIza-dummy",
        "authorization: Bearer gsk_dummy",
    ];
    for (origin, is_app) in ORIGINS {
        for key in keys {
            for line in [
                "POST /local/v1/chat/completions",
                "POST /local/v1/chat/completions?key=x",
                "POST /groq/v1/x",
            ] {
                let headers = format!(
                    "Host: localhost\r\nOrigin: {origin}\r\n{key}\r\nContent-Length: 0\r\n"
                );
                assert_eq!(status(&proxy, line, &headers), 403, "{line} {headers}");
            }
        }
        let named = format!(
            "Host: localhost\r\nOrigin: {origin}\r\n{KEY}X-TokenPak-Provider: local\r\nContent-Length: 0\r\n"
        );
        assert_eq!(status(&proxy, "POST /v1/responses", &named), 403, "{named}");
        let unknown = format!(
            "Host: localhost\r\nOrigin: {origin}\r\nauthorization: Bearer x\r\nContent-Length: 0\r\n"
        );
        assert_eq!(
            status(&proxy, "POST /v1/messages", &unknown),
            403,
            "the passthrough is here: {origin}"
        );
        let asks = format!(
            "Host: localhost\r\nOrigin: {origin}\r\nAccess-Control-Request-Headers: authorization\r\n"
        );
        assert_eq!(status(&proxy, "OPTIONS /local/v1/chat/completions", &asks), 403, "{origin}");
        // A relay under a provider's name: a page must have a key of that provider.
        let made_up = format!(
            "Host: localhost\r\nOrigin: {origin}\r\nx-api-key: dummy\r\nContent-Length: 0\r\n"
        );
        let want = if *is_app { 200 } else { 403 };
        assert_eq!(status(&proxy, "POST /anthropic/v1/messages", &made_up), want, "{origin}");
    }
    assert!(models.seen().is_empty());
    assert!(provider.seen().len() >= 5);
    // A program is no page.
    let plain = "Host: localhost\r\nauthorization: Bearer dummy\r\nContent-Length: 0\r\n";
    assert_eq!(status(&proxy, "POST /local/v1/chat/completions", plain), 200);
}

/// To a public address a page may send what it has: only the right key opens anything there.
#[test]
fn pages_with_a_key_reach_providers_elsewhere() {
    let tunnel = Tunnel::to(0, "HTTP/1.1 403 Forbidden\r\n\r\n");
    let sandbox = sandbox().set("HTTPS_PROXY", &format!("http://127.0.0.1:{}", tunnel.port));
    let sandbox = sandbox.config(
        r#"{"proxy": {"providers": {"deepseek": {"url": "https://api.example.com"}, "box": {"url": "https://192.168.1.5"}, "ollama": {"url": "https://ollama"}}}}"#,
    );
    let proxy = sandbox.serve();
    for (origin, _) in ORIGINS {
        for (line, extra, want) in [
            ("POST /v1/x", "authorization: Bearer sk-dummy", 502),
            ("POST /v1/messages?key=AIza-dummy", "accept: */*", 502),
            ("POST /deepseek/v1/x", "authorization: Bearer dummy", 502),
            ("OPTIONS /deepseek/v1/x", "access-control-request-headers: authorization", 502),
            ("OPTIONS /v1/messages", "access-control-request-headers: x-api-key", 502),
            ("POST /deepseek/v1/x", "authorization: Basic dTpw", 403),
            ("POST /deepseek/v1/x", "accept: */*", 403),
            ("POST /box/v1/x", "authorization: Bearer sk-dummy", 403),
            ("OPTIONS /box/v1/x", "access-control-request-headers: authorization", 403),
            ("POST /ollama/v1/x", "authorization: Bearer sk-dummy", 403),
            // Refused for another reason, which it may know.
            ("POST /nowhere", "authorization: Bearer dummy", 404),
        ] {
            let headers =
                format!("Host: localhost\r\nOrigin: {origin}\r\n{extra}\r\nContent-Length: 0\r\n");
            assert_eq!(status(&proxy, line, &headers), want, "{line} {headers}");
        }
    }
}
