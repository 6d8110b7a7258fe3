//! Where requests go: every rule alone, every pair of rules, and what becomes of the path.

use super::*;

type Headers<'a> = &'a [(&'a str, &'a str)];

#[track_caller]
fn check(target: &str, headers: Headers, want: Option<(&str, &str)>) {
    check_with(None, target, headers, want);
}

#[track_caller]
fn check_with(
    passthrough_url: Option<&str>,
    target: &str,
    headers: Headers,
    want: Option<(&str, &str)>,
) {
    let providers = BTreeMap::from(
        [
            ("anthropic", "https://a.test"),
            ("openai", "https://o.test"),
            ("google", "https://g.test"),
            ("custom", "https://c.test/base/v1"),
        ]
        .map(|(name, url)| (name.to_owned(), url.to_owned())),
    );
    let header = |name: &str| {
        headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_bytes())
    };
    let asked = Asked { method: "POST", target, header: &header };
    let upstreams = Upstreams { providers: &providers, passthrough_url };
    let route = pick(&asked, &upstreams);
    let got = route.as_ref().map(|route| (route.provider.as_str(), route.url.as_str()));
    assert_eq!(got, want, "{target} {headers:?}");
}

#[test]
fn first_rule_that_matches_decides() {
    let key = |value| [("authorization", value)];
    check("/x", &key("Bearer sk-ant-dummy"), Some(("anthropic", "https://a.test/x")));
    check("/x", &key("Bearer sk-dummy"), Some(("openai", "https://o.test/x")));
    check("/x", &key("Bearer sk-or-dummy"), None);
    check("/v1/chat/completions", &key("Bearer sk-or-dummy"), None);
    check("/x", &key("Bearer opaque"), None);
    let anthropic = [("x-api-key", "dummy"), ("anthropic-version", "2023-06-01")];
    check("/v1/models", &anthropic, Some(("anthropic", "https://a.test/v1/models")));
    check("/v1/models", &anthropic[..1], None);
    check("/v1beta/m:x", &[("x-goog-api-key", "k")], Some(("google", "https://g.test/v1beta/m:x")));
    check("/v1/m?key=k", &[], Some(("google", "https://g.test/v1/m?key=k")));
    check(
        "/v1/messages/count_tokens",
        &[],
        Some(("anthropic", "https://a.test/v1/messages/count_tokens")),
    );
    check("/v1/responses", &key("Bearer opaque"), Some(("openai", "https://o.test/v1/responses")));
    check("/elsewhere", &[], None);
}

#[test]
fn request_may_name_its_provider() {
    let openai = ("authorization", "Bearer sk-dummy");
    check("/custom/v1/x", &[openai], Some(("custom", "https://c.test/base/v1/x")));
    check("/custom", &[openai], Some(("custom", "https://c.test/base/v1/")));
    check("/custom?x=1", &[], Some(("custom", "https://c.test/base/v1/?x=1")));
    check("/x", &[openai, ("x-tokenpak-provider", "google")], Some(("google", "https://g.test/x")));
    check("/x", &[openai, ("x-tokenpak-provider", "nobody")], None);
    check("/p/shop/openai/v1/x", &[], Some(("openai", "https://o.test/v1/x")));
    check("/p/shop/v1/x", &[openai], Some(("openai", "https://o.test/v1/x")));
}

#[test]
fn absolute_target_does_not_choose_the_host() {
    let openai = [("authorization", "Bearer sk-dummy")];
    check("http://elsewhere.test/v1/x", &openai, Some(("openai", "https://o.test/v1/x")));
    check(
        "/v1/x?u=http://y.test/",
        &openai,
        Some(("openai", "https://o.test/v1/x?u=http://y.test/")),
    );
}

const PASS: &str = "https://p.test/pass";
const NAMED: (&str, &str) = ("x-tokenpak-provider", "custom");
const ANTHROPIC: (&str, &str) = ("authorization", "Bearer sk-ant-dummy");
const OPENAI: (&str, &str) = ("authorization", "Bearer sk-dummy");
const OPENROUTER: (&str, &str) = ("authorization", "Bearer sk-or-dummy");
const OPAQUE: (&str, &str) = ("authorization", "Bearer dummy");
const API_KEY: (&str, &str) = ("x-api-key", "dummy");
const VERSION: (&str, &str) = ("anthropic-version", "2023-06-01");
const GOOG: (&str, &str) = ("x-goog-api-key", "dummy");

/// Each row a test of its own: target, headers, and where that goes if there is a passthrough URL.
macro_rules! goes {
    ($($name:ident: $target:literal, [$($header:expr),*] => $provider:literal, $url:literal;)*) => {
        $(#[test]
        fn $name() {
            check_with(Some(PASS), $target, &[$($header),*], Some(($provider, $url)));
        })*
    };
}

// Every rule alone.
goes! {
    rule_named: "/x", [NAMED] => "custom", "https://c.test/base/v1/x";
    rule_segment: "/custom/x", [] => "custom", "https://c.test/base/v1/x";
    rule_prefix_anthropic: "/x", [ANTHROPIC] => "anthropic", "https://a.test/x";
    rule_prefix_openai: "/x", [OPENAI] => "openai", "https://o.test/x";
    rule_prefix_of_nobody: "/x", [OPENROUTER] => "passthrough", "https://p.test/pass/x";
    rule_key_header_anthropic: "/x", [API_KEY, VERSION] => "anthropic", "https://a.test/x";
    rule_key_header_google: "/x", [GOOG] => "google", "https://g.test/x";
    rule_key_in_query: "/x?a=b&key=dummy", [] => "google", "https://g.test/x?a=b&key=dummy";
    rule_path_messages: "/v1/messages", [] => "anthropic", "https://a.test/v1/messages";
    rule_path_below_messages: "/v1/messages/batches/1", [] => "anthropic", "https://a.test/v1/messages/batches/1";
    rule_path_chat: "/v1/chat/completions", [] => "openai", "https://o.test/v1/chat/completions";
    rule_path_responses: "/v1/responses/r1/cancel", [] => "openai", "https://o.test/v1/responses/r1/cancel";
    rule_path_hello: "/api/hello", [] => "anthropic", "https://a.test/api/hello";
    rule_path_google: "/v1beta/models/m:x", [] => "google", "https://g.test/v1beta/models/m:x";
    rule_passthrough: "/x?a=b", [] => "passthrough", "https://p.test/pass/x?a=b";
}

// Every pair of rules: the first named wins.
goes! {
    named_before_segment: "/openai/x", [NAMED] => "custom", "https://c.test/base/v1/x";
    named_before_prefix: "/x", [OPENAI, NAMED] => "custom", "https://c.test/base/v1/x";
    named_before_key_header: "/x", [GOOG, NAMED] => "custom", "https://c.test/base/v1/x";
    named_before_query_key: "/x?key=dummy", [NAMED] => "custom", "https://c.test/base/v1/x?key=dummy";
    named_before_path: "/v1/messages", [NAMED] => "custom", "https://c.test/base/v1/messages";
    named_before_passthrough: "/unknown", [OPAQUE, NAMED] => "custom", "https://c.test/base/v1/unknown";
    segment_before_prefix: "/custom/x", [ANTHROPIC] => "custom", "https://c.test/base/v1/x";
    segment_before_key_header: "/custom/x", [API_KEY, VERSION] => "custom", "https://c.test/base/v1/x";
    segment_before_query_key: "/custom/x?key=dummy", [] => "custom", "https://c.test/base/v1/x?key=dummy";
    segment_before_path: "/custom/v1/messages", [] => "custom", "https://c.test/base/v1/messages";
    segment_before_passthrough: "/custom/unknown", [OPENROUTER] => "custom", "https://c.test/base/v1/unknown";
    prefix_before_key_header: "/x", [OPENAI, GOOG] => "openai", "https://o.test/x";
    prefix_before_both_key_headers: "/x", [OPENAI, API_KEY, VERSION] => "openai", "https://o.test/x";
    prefix_before_query_key: "/x?key=dummy", [ANTHROPIC] => "anthropic", "https://a.test/x?key=dummy";
    prefix_before_path: "/v1/messages", [OPENAI] => "openai", "https://o.test/v1/messages";
    prefix_before_passthrough: "/unknown", [OPENAI] => "openai", "https://o.test/unknown";
    key_header_before_query_key: "/x?key=dummy", [API_KEY, VERSION] => "anthropic", "https://a.test/x?key=dummy";
    key_header_before_path: "/v1/chat/completions", [API_KEY, VERSION] => "anthropic", "https://a.test/v1/chat/completions";
    google_header_before_path: "/v1/messages", [GOOG] => "google", "https://g.test/v1/messages";
    key_header_before_passthrough: "/unknown", [GOOG] => "google", "https://g.test/unknown";
    query_key_before_path: "/v1/messages?key=dummy", [] => "google", "https://g.test/v1/messages?key=dummy";
    query_key_before_passthrough: "/unknown?key=dummy", [] => "google", "https://g.test/unknown?key=dummy";
    path_before_passthrough: "/v1/responses", [OPAQUE] => "openai", "https://o.test/v1/responses";
    path_with_opaque_api_key: "/v1/messages", [API_KEY] => "anthropic", "https://a.test/v1/messages";
    nobodys_prefix_before_path: "/v1/chat/completions", [OPENROUTER] => "passthrough", "https://p.test/pass/v1/chat/completions";
    nobodys_prefix_before_key_header: "/x", [OPENROUTER, GOOG] => "passthrough", "https://p.test/pass/x";
}

// What is cut off first, and how the rest is joined.
goes! {
    project_then_segment: "/p/shop/custom/x", [OPENAI] => "custom", "https://c.test/base/v1/x";
    project_is_no_segment: "/p/custom/x", [OPENAI] => "openai", "https://o.test/x";
    segment_is_no_project: "/custom/p/shop/x", [] => "custom", "https://c.test/base/v1/p/shop/x";
    project_and_nothing: "/p/shop", [OPENAI] => "openai", "https://o.test/";
    project_and_query: "/p/shop?a=b", [OPENAI] => "openai", "https://o.test/?a=b";
    project_without_name: "/p//x", [OPENAI] => "openai", "https://o.test/p//x";
    segment_with_version: "/custom/v1/x", [] => "custom", "https://c.test/base/v1/x";
    segment_with_two_versions: "/custom/v1/v1/x", [] => "custom", "https://c.test/base/v1/v1/x";
    segment_with_other_version: "/custom/v1beta/x", [] => "custom", "https://c.test/base/v1/v1beta/x";
    segment_with_version_alone: "/custom/v1", [] => "custom", "https://c.test/base/v1";
    segment_with_version_and_query: "/custom/v1?a=b", [] => "custom", "https://c.test/base/v1?a=b";
    segment_is_a_whole_one: "/customs/x", [] => "passthrough", "https://p.test/pass/customs/x";
    segment_counts_in_its_own_case: "/Custom/x", [] => "passthrough", "https://p.test/pass/Custom/x";
    segment_encoded_is_none: "/%63ustom/x", [] => "passthrough", "https://p.test/pass/%63ustom/x";
    two_slashes_stay: "//x//y", [OPENAI] => "openai", "https://o.test//x//y";
    two_slashes_hide_the_segment: "//custom/x", [] => "passthrough", "https://p.test/pass//custom/x";
    dots_stay: "/custom/../openai/x", [] => "custom", "https://c.test/base/v1/../openai/x";
    escapes_stay: "/a%2Fb%20c?d=%26", [OPENAI] => "openai", "https://o.test/a%2Fb%20c?d=%26";
    empty_query_stays: "/x?", [OPENAI] => "openai", "https://o.test/x?";
    key_elsewhere_in_query: "/x?monkey=1&k=key=2", [] => "passthrough", "https://p.test/pass/x?monkey=1&k=key=2";
    absolute_then_project: "http://e.test/p/shop/custom/x", [] => "custom", "https://c.test/base/v1/x";
    absolute_without_path: "http://e.test?a=b", [OPENAI] => "openai", "https://o.test/?a=b";
    scheme_of_the_key_in_any_case: "/x", [("authorization", "bEARER sk-ant-dummy")] => "anthropic", "https://a.test/x";
    other_scheme_has_no_prefix: "/x", [("authorization", "Basic sk-ant-dummy")] => "passthrough", "https://p.test/pass/x";
}

#[test]
fn unknown_name_goes_nowhere() {
    check_with(Some(PASS), "/v1/messages", &[ANTHROPIC, ("x-tokenpak-provider", "nobody")], None);
    check_with(None, "/v1/chat/completions", &[OPENROUTER], None);
    check_with(None, "/x", &[OPAQUE], None);
}

#[test]
fn url_in_the_address_is_no_credential_for_pages() {
    for (name, target, has, is_header) in [
        ("authorization", "/", true, true),
        ("x-api-key", "/", true, true),
        ("x-goog-api-key", "/", true, true),
        ("cookie", "/", false, false),
        ("cookie", "/?key=dummy", true, false),
    ] {
        let header = |asked: &str| (asked == name).then_some(&b"dummy"[..]);
        let asked = Asked { method: "POST", target, header: &header };
        assert_eq!(
            (has_credential(&asked), has_key_header(&asked)),
            (has, is_header),
            "{name} {target}"
        );
    }
}
