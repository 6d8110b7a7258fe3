//! Which provider a request goes to: a key reaches nobody but its owner.

use crate::provider::{Provider, Tunnel};
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
const OPENAI: (&str, &str) = ("authorization", "Bearer sk-proj-not-a-key");
const BARE: (&str, &str) = ("authorization", "Bearer sk-not-a-key");
const OPENROUTER: (&str, &str) = ("authorization", "Bearer sk-or-not-a-key");
const OPAQUE: (&str, &str) = ("authorization", "Bearer not-a-key");
const API_KEY: (&str, &str) = ("x-api-key", "not-a-key");
const VERSION: (&str, &str) = ("anthropic-version", "2023-06-01");
const GOOG: (&str, &str) = ("x-goog-api-key", "not-a-key");
const GOOGLE: (&str, &str) = ("x-goog-api-key", "AIza-not-a-key");

#[test]
fn key_chooses_its_owner() {
    World::new(true).check(&[
        ("/x", &[ANTHROPIC], "anthropic", "/x"),
        ("/x", &[OPENAI], "openai", "/v1/x"),
        ("/x", &[("authorization", "bearer sk-ant-not-a-key")], "anthropic", "/x"),
        ("/x", &[("x-api-key", "sk-ant-not-a-key")], "anthropic", "/x"),
        ("/x", &[OPAQUE], "passthrough", "/pass/x"),
        ("/x", &[("authorization", "Basic bmFtZTp3b3Jk")], "passthrough", "/pass/x"),
        // The name `sk-ant-`, as curl -u writes it.
        ("/x", &[("authorization", "Basic c2stYW50LTo=")], "anthropic", "/x"),
        // Known prefixes beat the path.
        ("/v1/chat/completions", &[ANTHROPIC], "anthropic", "/v1/chat/completions"),
        ("/v1/messages", &[OPENAI], "openai", "/v1/messages"),
        ("/v1/messages", &[BARE, VERSION], "passthrough", "/pass/v1/messages"),
        ("/x", &[OPENAI, GOOG], "openai", "/v1/x"),
        ("/x", &[OPENAI, API_KEY, VERSION], "openai", "/v1/x"),
        ("/x", &[GOOGLE], "passthrough", "/pass/x"),
    ]);
    World::new(false).check(&[
        ("/x", &[GOOGLE], "google", "/x"),
        ("/x?a=b&key=AIza-not-a-key", &[], "google", "/x?a=b&key=AIza-not-a-key"),
        ("/v1/messages", &[GOOGLE], "google", "/v1/messages"),
        ("/v1/messages", &[BARE, VERSION], "anthropic", "/v1/messages"),
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
fn passthrough_url_takes_what_is_nobodys_on_every_path_alike() {
    World::new(true).check(&[
        ("/v1/messages", &[], "passthrough", "/pass/v1/messages"),
        ("/v1/messages/count_tokens", &[OPAQUE], "passthrough", "/pass/v1/messages/count_tokens"),
        ("/v1/chat/completions", &[API_KEY], "passthrough", "/pass/v1/chat/completions"),
        ("/v1/embeddings", &[], "passthrough", "/pass/v1/embeddings"),
        ("/x?monkey=1", &[], "passthrough", "/pass/x?monkey=1"),
    ]);
}

#[test]
fn path_chooses_for_keyless_and_opaque_requests() {
    World::new(false).check(&[
        ("/v1/messages", &[], "anthropic", "/v1/messages"),
        ("/v1/messages/count_tokens", &[OPAQUE], "anthropic", "/v1/messages/count_tokens"),
        ("/v1/chat/completions", &[], "openai", "/v1/chat/completions"),
        ("/v1/responses", &[OPAQUE], "openai", "/v1/responses"),
        ("/v1beta/models/m:generateContent", &[GOOG], "google", "/v1beta/models/m:generateContent"),
        ("/v1/embeddings", &[], "nobody", "404"),
    ]);
}

#[test]
fn keys_of_two_owners_go_nowhere_unless_the_request_says_where() {
    let world = World::new(true);
    let both = [OPENAI, ("x-api-key", "sk-ant-not-a-key")];
    for api in Api::ALL {
        let answer = world.proxy.post(api.target(false), &both, &api.small(false));
        assert_eq!(answer.status(), 400, "{api:?}");
        let code = answer.head.header("x-tokenpak-error");
        assert_eq!(code.as_deref(), Some("two-providers"), "{api:?}");
        let text = answer.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert!(text.contains("different providers") && !text.contains("not-a-key"), "{text}");
    }
    let named = [both[0], both[1], ("x-tokenpak-provider", "custom")];
    world.check(&[
        ("/v1/messages", &both, "nobody", "400"),
        ("/v1/messages", &named, "custom", "/base/v1/messages"),
        ("/anthropic/v1/messages", &both, "anthropic", "/v1/messages"),
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
        ("/p/shop/v1/messages?beta=true", &[ANTHROPIC], "anthropic", "/v1/messages?beta=true"),
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
        ("//x", &[ANTHROPIC], "anthropic", "//x"),
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

/// Where `Bearer`, spaces, quotes and percent signs may stand.
const CARRIERS: &[(&str, &str)] = &[
    ("authorization", "Bearer KEY"),
    ("authorization", "bEARER  KEY"),
    ("authorization", "Bearer\tKEY"),
    ("authorization", "Bearer \"KEY\""),
    ("authorization", "Token KEY"),
    ("authorization", "token token='KEY'"),
    ("authorization", "Basic KEY"),
    ("authorization", "KEY"),
    ("Authorization", "BearerKEY"),
    ("x-api-key", "KEY"),
    ("X-API-Key", "Bearer KEY"),
    ("api-key", "KEY"),
    ("x-goog-api-key", "KEY"),
    ("?", "key=KEY"),
    ("?", "a=b&k%65y=KEY"),
];

/// Keys and their owners: `?` if nobody is known to own it.
const KEYS: &[(&str, &str)] = &[
    ("sk-ant-oat01-not-a-key", "anthropic"),
    ("sk-proj-not-a-key", "openai"),
    ("sk-svcacct-not-a-key", "openai"),
    ("sk-not-a-key", "bare"),
    ("sk-or-v1-not-a-key", "openrouter"),
    ("gsk_not-a-key", "groq"),
    ("xai-not-a-key", "xai"),
    ("AIzaNot-a-key", "google"),
    ("hf_not-a-key", "huggingface"),
    ("eyJub3QtYS1rZXk", "?"),
];

const PATHS: &[(&str, &str)] = &[
    ("/v1/messages", "anthropic"),
    ("/v1/chat/completions", "openai"),
    ("/v1/models", ""),
    ("/v1beta/models/m:generateContent", "google"),
    ("/unknown", ""),
];

/// The manual's list in short. The addresses of all built-in providers were set here.
fn owner_in(path: (&str, &str), owner: &str, passthrough: bool, carrier: &str) -> String {
    let is_openais = ["/v1/chat/completions", "/v1/models"].contains(&path.0);
    let to = match owner {
        "anthropic" | "openai" => owner,
        "bare" if is_openais => "openai",
        "?" if carrier == "api-key" => "azure",
        _ if passthrough => "passthrough",
        "google" | "groq" => owner,
        "bare" if carrier == "api-key" => path.1,
        "bare" | "?" => path.1,
        _ => "",
    };
    (if to.is_empty() { "nobody" } else { to }).to_owned()
}

/// All upstreams record what arrives: a key where it belongs, unchanged, and nowhere else.
#[test]
fn no_key_goes_astray_whatever_carries_it() {
    let names = ["anthropic", "openai", "google", "groq", "azure", "passthrough"];
    let mut rows = 0;
    for passthrough in [false, true] {
        let upstreams = names.map(|_| Provider::start());
        let providers: Vec<String> = names[..5]
            .iter()
            .zip(&upstreams)
            .map(|(name, provider)| format!("\"{name}\": {{\"url\": \"{}\"}}", provider.url()))
            .collect();
        let url = if passthrough { format!("\"{}\"", upstreams[5].url()) } else { "null".into() };
        let config = format!(
            "{{\"proxy\": {{\"passthrough_url\": {url}, \"providers\": {{{}}}}}}}",
            providers.join(",")
        );
        let proxy = sandbox().config(&config);
        let proxy = proxy.serve();
        let mut client = proxy.connect();
        for (carrier, form) in CARRIERS {
            for (key, owner) in KEYS {
                for path in PATHS {
                    let value = form.replace("KEY", key);
                    let (target, header) = match *carrier {
                        "?" => (format!("{}?{value}", path.0), None),
                        name => (path.0.to_owned(), Some((name, value.as_str()))),
                    };
                    let before = upstreams.each_ref().map(|upstream| upstream.seen().len());
                    client.request(("POST", &target), header.as_slice(), b"{}");
                    let status = client.answer().status();
                    let mut there = Vec::new();
                    for ((name, upstream), before) in names.iter().zip(&upstreams).zip(before) {
                        for seen in &upstream.seen()[before..] {
                            assert_eq!(seen.target(), target);
                            let sent = header.map(|(name, _)| seen.all(&name.to_lowercase()));
                            assert_eq!(sent, header.map(|(_, value)| vec![value.into()]));
                            there.push(*name);
                        }
                    }
                    let want = owner_in(*path, owner, passthrough, carrier);
                    let got = if there.is_empty() { "nobody".into() } else { there.join("+") };
                    assert_eq!(got, want, "{target} {header:?} {passthrough}");
                    assert_eq!(status == 404, want == "nobody", "{target} {header:?}");
                    rows += 1;
                }
            }
        }
        upstreams.iter().for_each(Provider::forget);
    }
    assert_eq!(rows, 2 * CARRIERS.len() * KEYS.len() * PATHS.len());
}

/// Where nothing is configured, only what belongs to the three public addresses goes there. How far
/// it comes tells the proxy on the way: each connection names its host.
#[test]
fn public_addresses_get_their_own_keys_and_no_others() {
    let tunnel = Tunnel::to(0, "HTTP/1.1 403 Forbidden\r\n\r\n");
    let address = format!("http://127.0.0.1:{}", tunnel.port);
    let sandbox = sandbox().set("HTTPS_PROXY", &address);
    let proxy = sandbox.serve();
    let azure = "/openai/deployments/d/chat/completions?api-version=2024-10-21";
    for (target, fields, want) in [
        ("/v1/messages", &[ANTHROPIC][..], "api.anthropic.com"),
        ("/v1/messages", &[("x-api-key", "sk-ant-not-a-key"), BARE, VERSION], "api.anthropic.com"),
        ("/v1/models", &[BARE], "api.openai.com"),
        ("/v1/responses", &[OPENAI], "api.openai.com"),
        ("/v1beta/models/m:x?key=AIza-not-a-key", &[], "generativelanguage.googleapis.com"),
        (
            "/v1beta/models/m:x",
            &[("x-goog-api-key", "AQ.not-a-key")],
            "generativelanguage.googleapis.com",
        ),
        ("/v1/messages", &[VERSION], "api.anthropic.com"),
        ("/v1/messages", &[API_KEY, VERSION], ""),
        ("/v1/messages", &[BARE, VERSION], ""),
        ("/v1/messages", &[("authorization", "Basic bm90LWEta2V5")], ""),
        ("/v1/chat/completions", &[OPAQUE], ""),
        ("/v1/chat/completions", &[OPENROUTER], ""),
        ("/v1/chat/completions", &[("authorization", "Bearer gsk_not-a-key")], ""),
        ("/v1/responses", &[("authorization", "Bearer eyJub3QtYS1rZXk")], ""),
        ("/v1beta/models/m:generateContent", &[GOOG], ""),
        ("/v1beta/models/m:generateContent?key=not-a-key", &[], ""),
        (azure, &[("api-key", "not-a-key")], ""),
    ] {
        let before = tunnel.heads().len();
        let status = proxy.post(target, fields, b"{}").status();
        let heads = tunnel.heads();
        let hosts: Vec<&str> = heads[before..]
            .iter()
            .filter_map(|head| head.strip_prefix("CONNECT ")?.split(':').next())
            .collect();
        let all: Vec<&str> = Some(want).into_iter().filter(|want| !want.is_empty()).collect();
        assert_eq!(hosts, all, "{target} {fields:?}");
        assert_eq!(status, if want.is_empty() { 404 } else { 502 }, "{target} {fields:?}");
    }
}
