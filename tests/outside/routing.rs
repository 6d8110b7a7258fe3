//! Which provider a request goes to: a key reaches nobody but its owner.

use crate::provider::Provider;
use crate::sandbox::{Proxy, Sandbox};
use crate::support::{Api, sandbox};

/// A stand-in for each upstream, so that a request's arrival tells where it went.
struct World {
    anthropic: Provider,
    openai: Provider,
    google: Provider,
    custom: Provider,
    passthrough: Provider,
    proxy: Proxy,
    sandbox: Sandbox,
}

impl World {
    fn new(passthrough: bool) -> World {
        let start = Provider::start;
        let [anthropic, openai, google, custom, pass] =
            [start(), start(), start(), start(), start()];
        let passthrough_url = match passthrough {
            true => format!("\"{}/pass\"", pass.url()),
            false => "null".to_owned(),
        };
        let config = format!(
            r#"{{"proxy": {{"passthrough_url": {passthrough_url}, "providers": {{
                "anthropic": {{"url": "{}"}}, "openai": {{"url": "{}/v1"}}, "google": {{"url": "{}/"}},
                "custom": {{"url": "{}/base/v1"}} }} }} }}"#,
            anthropic.url(),
            openai.url(),
            google.url(),
            custom.url(),
        );
        let sandbox = sandbox().config(&config);
        let proxy = sandbox.serve();
        World { anthropic, openai, google, custom, passthrough: pass, proxy, sandbox }
    }

    /// Sends a request and tells where it arrived: the upstream's name and the target there.
    #[track_caller]
    fn goes(&self, target: &str, headers: &[(&str, &str)]) -> (String, String) {
        let upstreams = [
            ("anthropic", &self.anthropic),
            ("openai", &self.openai),
            ("google", &self.google),
            ("custom", &self.custom),
            ("passthrough", &self.passthrough),
        ];
        let before = upstreams.map(|(_, provider)| provider.seen().len());
        let answer = self.proxy.post(target, headers, b"{}");
        let mut arrived = Vec::new();
        for ((name, provider), before) in upstreams.iter().zip(before) {
            let seen = provider.seen();
            arrived.extend(seen[before..].iter().map(|seen| (name.to_string(), seen.target())));
        }
        assert!(arrived.len() <= 1, "{target} {headers:?}: sent more than once: {arrived:?}");
        match arrived.pop() {
            Some(arrived) => {
                let row = self.sandbox.row(&answer.head.request_id());
                assert_eq!(row.text("provider"), arrived.0, "{target} {headers:?}");
                arrived
            }
            None => ("nobody".into(), answer.status().to_string()),
        }
    }

    #[track_caller]
    fn check(&self, cases: &[Case]) {
        for (target, headers, upstream, there) in cases {
            let want = (upstream.to_string(), there.to_string());
            assert_eq!(self.goes(target, headers), want, "{target} {headers:?}");
        }
    }
}

/// A target, its headers, the upstream that it must reach, and the target there.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str, &'a str);

const ANTHROPIC: (&str, &str) = ("authorization", "Bearer sk-ant-not-a-key");
const OPENAI: (&str, &str) = ("authorization", "Bearer sk-not-a-key");
const OPENROUTER: (&str, &str) = ("authorization", "Bearer sk-or-not-a-key");
const OPAQUE: (&str, &str) = ("authorization", "Bearer not-a-key");
const API_KEY: (&str, &str) = ("x-api-key", "not-a-key");
const VERSION: (&str, &str) = ("anthropic-version", "2023-06-01");
const GOOG: (&str, &str) = ("x-goog-api-key", "not-a-key");

#[test]
fn credential_prefix_chooses() {
    World::new(true).check(&[
        ("/x", &[ANTHROPIC], "anthropic", "/x"),
        ("/x", &[OPENAI], "openai", "/v1/x"),
        ("/x", &[("authorization", "bearer sk-ant-not-a-key")], "anthropic", "/x"),
        ("/x", &[OPAQUE], "passthrough", "/pass/x"),
        ("/x", &[("authorization", "Basic c2stYW50LQ==")], "passthrough", "/pass/x"),
        // Known prefixes beat the path and the headers.
        ("/v1/chat/completions", &[ANTHROPIC], "anthropic", "/v1/chat/completions"),
        ("/v1/messages", &[OPENAI], "openai", "/v1/messages"),
        (
            "/v1beta/models/m:generateContent",
            &[OPENAI],
            "openai",
            "/v1/v1beta/models/m:generateContent",
        ),
        ("/x", &[OPENAI, GOOG], "openai", "/v1/x"),
        ("/x", &[OPENAI, API_KEY, VERSION], "openai", "/v1/x"),
    ]);
}

#[test]
fn key_of_another_service_stays_away_from_openai() {
    World::new(true).check(&[
        ("/x", &[OPENROUTER], "passthrough", "/pass/x"),
        ("/v1/chat/completions", &[OPENROUTER], "passthrough", "/pass/v1/chat/completions"),
    ]);
    World::new(false).check(&[("/v1/chat/completions", &[OPENROUTER], "nobody", "404")]);
}

#[test]
fn credential_header_chooses() {
    World::new(true).check(&[
        ("/x", &[API_KEY, VERSION], "anthropic", "/x"),
        ("/x", &[API_KEY], "passthrough", "/pass/x"),
        ("/x", &[VERSION], "passthrough", "/pass/x"),
        ("/x", &[GOOG], "google", "/x"),
        ("/x?a=b&key=not-a-key", &[], "google", "/x?a=b&key=not-a-key"),
        ("/x?monkey=1", &[], "passthrough", "/pass/x?monkey=1"),
        ("/v1/messages", &[GOOG], "google", "/v1/messages"),
        ("/v1/chat/completions", &[API_KEY, VERSION], "anthropic", "/v1/chat/completions"),
    ]);
}

#[test]
fn path_chooses_for_keyless_and_opaque_requests() {
    World::new(true).check(&[
        ("/v1/messages", &[], "anthropic", "/v1/messages"),
        ("/v1/messages/count_tokens", &[OPAQUE], "anthropic", "/v1/messages/count_tokens"),
        ("/v1/chat/completions", &[], "openai", "/v1/chat/completions"),
        ("/v1/responses", &[OPAQUE], "openai", "/v1/responses"),
        ("/v1beta/models/m:generateContent", &[], "google", "/v1beta/models/m:generateContent"),
        ("/v1/embeddings", &[], "passthrough", "/pass/v1/embeddings"),
    ]);
}

#[test]
fn request_itself_may_name_the_provider() {
    let custom = ("x-tokenpak-provider", "custom");
    World::new(true).check(&[
        ("/v1/chat/completions", &[OPENAI, custom], "custom", "/base/v1/chat/completions"),
        ("/custom/v1/chat/completions", &[OPENAI], "custom", "/base/v1/chat/completions"),
        ("/openai/v1/x", &[ANTHROPIC], "openai", "/v1/x"),
        // The header beats the segment, and the segment is gone all the same.
        ("/openai/v1/x", &[OPAQUE, custom], "custom", "/base/v1/x"),
        ("/x", &[("x-tokenpak-provider", "nobody")], "nobody", "404"),
        // Only a whole first segment counts.
        ("/customer/v1", &[OPENAI], "openai", "/v1/customer/v1"),
        ("/v1/custom", &[OPENAI], "openai", "/v1/custom"),
    ]);
}

#[test]
fn project_is_cut_before_the_provider() {
    World::new(true).check(&[
        ("/p/shop/custom/v1/x", &[OPENAI], "custom", "/base/v1/x"),
        ("/p/shop/v1/messages?beta=true", &[], "anthropic", "/v1/messages?beta=true"),
        ("/p/custom/v1/x", &[OPENAI], "openai", "/v1/x"),
    ]);
}

#[test]
fn base_url_and_path_are_joined_with_one_version() {
    World::new(true).check(&[
        ("/v1/chat/completions?a=1", &[OPENAI], "openai", "/v1/chat/completions?a=1"),
        ("/chat/completions", &[OPENAI], "openai", "/v1/chat/completions"),
        ("/v1", &[OPENAI], "openai", "/v1"),
        ("/v1x/y", &[OPENAI], "openai", "/v1/v1x/y"),
        ("/v1/v1/x", &[OPENAI], "openai", "/v1/v1/x"),
        ("//x", &[GOOG], "google", "//x"),
        ("/custom/x", &[OPENAI], "custom", "/base/v1/x"),
    ]);
}

#[test]
fn request_without_a_provider_is_explained() {
    let world = World::new(false);
    for (target, headers) in
        [("/x", vec![]), ("/x", vec![OPAQUE]), ("/v1/embeddings", vec![API_KEY])]
    {
        let answer = world.proxy.post(target, &headers, b"{}");
        assert_eq!(answer.status(), 404, "{target}");
        assert!(answer.text().contains("tokenpak: "), "{}", answer.text());
        assert!(answer.text().contains("passthrough_url"), "the next step: {}", answer.text());
        assert!(!answer.text().contains("not-a-key"));
        assert!(answer.head.header("x-tokenpak-error").is_some());
    }
    let named = [("x-tokenpak-provider", "nobody"), OPENAI];
    let text = world.proxy.post("/x", &named, b"{}").text();
    assert!(text.contains("no provider has the name"), "the key is not at fault: {text}");
}

#[test]
fn clients_look_whether_somebody_is_there() {
    let world = World::new(true);
    for method in ["HEAD", "GET"] {
        let mut client = world.proxy.connect();
        client.request((method, "/"), &[], b"");
        assert_eq!(client.head().status, 200, "{method}");
    }
    assert!(world.passthrough.seen().is_empty());
}

#[test]
fn absolute_target_never_chooses_the_upstream() {
    let world = World::new(false);
    let elsewhere = Provider::start();
    let mut client = world.proxy.connect();
    let target = format!("{}/v1/messages", elsewhere.url());
    client.request(("POST", &target), &Api::Messages.headers(), b"{}");
    let answer = client.answer();
    assert!(elsewhere.seen().is_empty());
    assert!(answer.status() >= 400 || world.anthropic.last().target() == "/v1/messages");
}

#[test]
fn provider_names_that_are_paths_are_refused() {
    for name in ["v1", "v1beta", "p", "t", "health", "metrics", "stats"] {
        let url = "http://127.0.0.1:9";
        let config = format!(
            "{{\"proxy\": {{\n\"providers\": {{\"{name}\": {{\"url\": \"{url}\"}} }} }} }}"
        );
        let output = sandbox().config(&config).run(&["serve", "--port", "0"]);
        assert_eq!(output.status, 78, "{name}: {}", output.stderr);
        assert!(output.stderr.starts_with("tokenpak: config.json:2: "), "{}", output.stderr);
        assert!(output.stderr.contains(name), "{}", output.stderr);
    }
}
