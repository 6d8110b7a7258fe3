//! Where requests go: every rule alone, pairs of rules, and what becomes of the path.

mod generated;

use super::*;

type Fields<'a> = &'a [(&'a str, &'a str)];

/// What is configured.
struct World {
    providers: BTreeMap<String, String>,
    passthrough: Option<&'static str>,
}

const PASS: Option<&str> = Some("https://p.test/pass");

impl World {
    /// The addresses of the built-in providers were set.
    fn moved(passthrough: Option<&'static str>) -> World {
        World { providers: BTreeMap::new(), passthrough }
            .with("anthropic", "https://a.test")
            .with("openai", "https://o.test")
            .with("google", "https://g.test")
            .with("custom", "https://c.test/base/v1")
    }

    /// They were not.
    fn plain(passthrough: Option<&'static str>) -> World {
        let known = PROVIDERS.iter().filter(|provider| !provider.url.is_empty());
        let empty = World { providers: BTreeMap::new(), passthrough };
        known.fold(empty, |world, provider| world.with(provider.name, provider.url))
    }

    fn with(mut self, name: &str, url: &str) -> World {
        self.providers.insert(name.to_owned(), url.to_owned());
        self
    }

    fn pick(&self, method: &str, target: &str, fields: Fields) -> Result<Route, Unrouted> {
        let headers = |each: Each| {
            fields.iter().for_each(|(name, value)| each(name.as_bytes(), value.as_bytes()));
        };
        let upstreams = Upstreams { providers: &self.providers, passthrough_url: self.passthrough };
        let named = fields.iter().find(|(name, _)| *name == "x-tokenpak-provider");
        let named = named.map(|(_, value)| value.as_bytes());
        let asked = Asked { method, target, named, headers: &headers };
        pick(&asked, &upstreams)
    }
}

/// `want` is the URL, or the name of the reason why there is none.
#[track_caller]
fn check(world: World, target: &str, fields: Fields, want: &str) {
    let got = match world.pick("POST", target, fields) {
        Ok(route) => route.url,
        Err(why) => format!("{why:?}"),
    };
    assert_eq!(got, want, "{target} {fields:?}");
}

const NAMED: (&str, &str) = ("x-tokenpak-provider", "custom");
const ANTHROPIC: (&str, &str) = ("authorization", "Bearer sk-ant-dummy");
const OPENAI: (&str, &str) = ("authorization", "Bearer sk-proj-dummy");
const BARE_KEY: (&str, &str) = ("authorization", "Bearer sk-dummy");
const OPENROUTER: (&str, &str) = ("authorization", "Bearer sk-or-dummy");
const OPAQUE: (&str, &str) = ("authorization", "Bearer dummy");
const API_KEY: (&str, &str) = ("x-api-key", "dummy");
const AZURE_KEY: (&str, &str) = ("api-key", "dummy");
const VERSION: (&str, &str) = ("anthropic-version", "2023-06-01");
const GOOG: (&str, &str) = ("x-goog-api-key", "dummy");
const GOOGLE: (&str, &str) = ("x-goog-api-key", "AIza-dummy");

/// Each row a test of its own.
macro_rules! goes {
    ($($name:ident: $world:expr, $target:literal, [$($field:expr),*] => $want:literal;)*) => {
        $(#[test]
        fn $name() {
            check($world, $target, &[$($field),*], $want);
        })*
    };
}

// Every rule alone, with addresses of one's own.
goes! {
    named: World::moved(None), "/x", [NAMED] => "https://c.test/base/v1/x";
    segment: World::moved(None), "/custom/x", [] => "https://c.test/base/v1/x";
    key_of_anthropic: World::moved(None), "/x", [ANTHROPIC] => "https://a.test/x";
    key_of_openai: World::moved(None), "/x", [OPENAI] => "https://o.test/x";
    bare_key_on_a_path_of_openai: World::moved(None), "/v1/models", [BARE_KEY] => "https://o.test/v1/models";
    bare_key_on_a_path_that_is_new: World::moved(None), "/v1/x", [BARE_KEY] => "https://o.test/v1/x";
    bare_key_below_a_thread: World::moved(None), "/v1/threads/t/messages", [BARE_KEY] => "https://o.test/v1/threads/t/messages";
    bare_key_on_the_version_alone: World::moved(None), "/v1/", [BARE_KEY] => "Unclaimed";
    bare_key_on_a_doubled_slash: World::moved(None), "//v1//messages", [BARE_KEY] => "Unclaimed";
    bare_key_elsewhere: World::moved(None), "/x", [BARE_KEY] => "Unclaimed";
    passthrough: World::moved(PASS), "/x?a=b", [] => "https://p.test/pass/x?a=b";
    key_of_google: World::moved(None), "/x", [GOOGLE] => "https://g.test/x";
    key_of_one_without_address: World::moved(None), "/v1/chat/completions", [OPENROUTER] => "NoAddress(\"openrouter\")";
    key_of_one_with_address: World::moved(None).with("openrouter", "https://r.test"), "/v1/chat/completions", [OPENROUTER] => "https://r.test/v1/chat/completions";
    path_messages: World::moved(None), "/v1/messages", [] => "https://a.test/v1/messages";
    path_below_messages: World::moved(None), "/v1/messages/batches/1", [OPAQUE] => "https://a.test/v1/messages/batches/1";
    path_hello: World::moved(None), "/api/hello", [] => "https://a.test/api/hello";
    path_chat: World::moved(None), "/v1/chat/completions", [OPAQUE] => "https://o.test/v1/chat/completions";
    path_responses: World::moved(None), "/v1/responses/r1/cancel", [API_KEY] => "https://o.test/v1/responses/r1/cancel";
    path_google: World::moved(None), "/v1beta/models/m:x", [GOOG] => "https://g.test/v1beta/models/m:x";
    path_of_none: World::moved(None), "/x", [] => "Unclaimed";
    path_that_only_begins_so: World::moved(None), "/v1/messagesx", [] => "Unclaimed";
}

// A credential of no known owner and addresses that nobody set.
goes! {
    opaque_key_stays_here: World::plain(None), "/v1/messages", [API_KEY, VERSION] => "Unclaimed";
    opaque_token_stays_here: World::plain(None), "/v1/responses", [OPAQUE] => "Unclaimed";
    opaque_google_key_stays_here: World::plain(None), "/v1beta/models/m:x", [GOOG] => "Unclaimed";
    basic_is_no_key_and_stays_here: World::plain(None), "/v1/messages", [("authorization", "Basic dTpw")] => "Unclaimed";
    nothing_goes_by_path: World::plain(None), "/v1/messages", [VERSION] => "https://api.anthropic.com/v1/messages";
    empty_is_nothing: World::plain(None), "/v1/messages", [("x-api-key", ""), ("authorization", "Bearer ")] => "https://api.anthropic.com/v1/messages";
    one_moved_moves_no_other: World::plain(None).with("anthropic", "https://a.test"), "/v1/responses", [OPAQUE] => "Unclaimed";
    moved_takes_all: World::plain(None).with("anthropic", "https://a.test"), "/v1/messages", [BARE_KEY] => "https://a.test/v1/messages";
}

// Each of two rules in its order.
goes! {
    named_before_segment: World::moved(PASS), "/openai/x", [NAMED] => "https://c.test/base/v1/x";
    named_before_key: World::moved(PASS), "/x", [OPENAI, NAMED] => "https://c.test/base/v1/x";
    named_before_two_owners: World::moved(PASS), "/x", [OPENAI, ("x-api-key", "sk-ant-dummy"), NAMED] => "https://c.test/base/v1/x";
    named_before_passthrough: World::moved(PASS), "/x", [OPAQUE, NAMED] => "https://c.test/base/v1/x";
    named_before_path: World::moved(None), "/v1/messages", [NAMED] => "https://c.test/base/v1/messages";
    segment_before_key: World::moved(PASS), "/custom/x", [ANTHROPIC] => "https://c.test/base/v1/x";
    segment_before_passthrough: World::moved(PASS), "/custom/x", [OPENROUTER] => "https://c.test/base/v1/x";
    segment_before_path: World::moved(None), "/custom/v1/messages", [] => "https://c.test/base/v1/messages";
    key_before_passthrough: World::moved(PASS), "/x", [OPENAI] => "https://o.test/x";
    bare_key_before_passthrough: World::moved(PASS), "/v1/files", [BARE_KEY] => "https://o.test/v1/files";
    key_before_path: World::moved(None), "/v1/messages", [OPENAI] => "https://o.test/v1/messages";
    passthrough_before_other_keys: World::moved(PASS), "/v1beta/models/m:x", [GOOGLE] => "https://p.test/pass/v1beta/models/m:x";
    passthrough_before_bare_keys_elsewhere: World::moved(PASS), "/v1/messages", [BARE_KEY] => "https://p.test/pass/v1/messages";
    passthrough_before_path: World::moved(PASS), "/v1/responses", [OPAQUE] => "https://p.test/pass/v1/responses";
    passthrough_before_path_without_key: World::moved(PASS), "/v1/messages", [] => "https://p.test/pass/v1/messages";
    other_key_before_path: World::moved(None), "/v1/messages", [GOOGLE] => "https://g.test/v1/messages";
}

// Two credentials.
goes! {
    two_owners: World::moved(PASS), "/v1/messages", [OPENAI, ("x-api-key", "sk-ant-dummy")] => "TwoOwners";
    two_owners_on_a_path_that_decides_one: World::moved(None), "/v1/models", [BARE_KEY, ("x-api-key", "sk-ant-dummy")] => "TwoOwners";
    two_owners_in_one_header: World::moved(None), "/x", [("authorization", "Bearer sk-ant-dummy, Bearer sk-proj-dummy")] => "TwoOwners";
    two_owners_in_two_of_a_name: World::moved(None), "/x", [ANTHROPIC, OPENAI] => "TwoOwners";
    two_owners_of_which_one_is_in_the_query: World::moved(None), "/x?key=AIza-dummy", [ANTHROPIC] => "TwoOwners";
    two_owners_of_which_neither_has_an_address: World::moved(PASS), "/x", [OPENROUTER, ("x-api-key", "gsk_dummy")] => "TwoOwners";
    known_beside_unknown: World::moved(PASS), "/v1/messages", [BARE_KEY, ("x-api-key", "sk-ant-dummy"), VERSION] => "https://a.test/v1/messages";
    known_beside_empty: World::moved(PASS), "/x", [("authorization", "Bearer"), ("x-api-key", "sk-ant-dummy")] => "https://a.test/x";
    basic_with_a_key_as_name: World::moved(PASS), "/x", [("authorization", "Basic c2stYW50LWR1bW15Og==")] => "https://a.test/x";
    basic_with_a_key_as_password: World::moved(PASS), "/x", [("authorization", "basic dXNlcjpzay1wcm9qLWR1bW15")] => "https://o.test/x";
    basic_beside_anothers_key: World::moved(PASS), "/x", [("authorization", "Basic c2stYW50LWR1bW15Og=="), ("x-api-key", "sk-proj-dummy")] => "TwoOwners";
    same_twice: World::moved(PASS), "/x", [ANTHROPIC, ("x-api-key", "sk-ant-dummy")] => "https://a.test/x";
    two_keys_of_one_owner: World::moved(PASS), "/x", [ANTHROPIC, ("x-api-key", "sk-ant-other")] => "https://a.test/x";
    bare_beside_marked_of_one_owner: World::moved(PASS), "/v1/models", [BARE_KEY, ("x-api-key", "sk-proj-dummy")] => "https://o.test/v1/models";
}

// `api-key` is Azure's.
goes! {
    azure_without_address: World::moved(None), "/openai/deployments/d/chat/completions?api-version=1", [AZURE_KEY] => "Unclaimed";
    azure_without_address_passes: World::moved(PASS), "/openai/deployments/d/chat/completions", [AZURE_KEY] => "https://p.test/pass/openai/deployments/d/chat/completions";
    azure_deployments: World::moved(None).with("azure", "https://z.test"), "/openai/deployments/d/chat/completions", [AZURE_KEY] => "https://z.test/openai/deployments/d/chat/completions";
    azure_deployments_with_a_token: World::moved(None).with("azure", "https://z.test"), "/openai/deployments/d/x", [OPAQUE] => "https://z.test/openai/deployments/d/x";
    azure_v1: World::moved(PASS).with("azure", "https://z.test"), "/openai/v1/responses", [AZURE_KEY] => "https://z.test/openai/v1/responses";
    azure_v1_is_ours_with_openais_key: World::moved(None).with("azure", "https://z.test"), "/openai/v1/responses", [OPENAI] => "https://o.test/v1/responses";
    azure_v1_is_ours_with_openais_key_in_api_key: World::moved(None).with("azure", "https://z.test"), "/openai/v1/responses", [("api-key", "sk-proj-dummy")] => "https://o.test/v1/responses";
    azure_on_any_path: World::moved(None).with("azure", "https://z.test"), "/x", [AZURE_KEY] => "https://z.test/x";
    azure_and_openai: World::moved(None).with("azure", "https://z.test"), "/x", [AZURE_KEY, OPENAI] => "TwoOwners";
    azure_named: World::moved(None).with("azure", "https://z.test"), "/azure/openai/v1/x", [AZURE_KEY] => "https://z.test/openai/v1/x";
}

// What is cut off first, and how the rest is joined.
goes! {
    project_then_segment: World::moved(PASS), "/p/shop/custom/x", [OPENAI] => "https://c.test/base/v1/x";
    project_is_no_segment: World::moved(PASS), "/p/custom/x", [OPENAI] => "https://o.test/x";
    segment_is_no_project: World::moved(PASS), "/custom/p/shop/x", [] => "https://c.test/base/v1/p/shop/x";
    project_and_nothing: World::moved(PASS), "/p/shop", [OPENAI] => "https://o.test/";
    project_and_query: World::moved(PASS), "/p/shop?a=b", [OPENAI] => "https://o.test/?a=b";
    project_without_name: World::moved(PASS), "/p//x", [OPENAI] => "https://o.test/p//x";
    project_before_bare_key: World::moved(None), "/p/shop/v1/responses", [BARE_KEY] => "https://o.test/v1/responses";
    segment_and_nothing: World::moved(None), "/custom", [OPENAI] => "https://c.test/base/v1/";
    segment_and_query: World::moved(None), "/custom?x=1", [] => "https://c.test/base/v1/?x=1";
    segment_with_version: World::moved(None), "/custom/v1/x", [] => "https://c.test/base/v1/x";
    segment_with_two_versions: World::moved(None), "/custom/v1/v1/x", [] => "https://c.test/base/v1/v1/x";
    segment_with_other_version: World::moved(None), "/custom/v1beta/x", [] => "https://c.test/base/v1/v1beta/x";
    segment_with_version_alone: World::moved(None), "/custom/v1", [] => "https://c.test/base/v1";
    segment_with_version_and_query: World::moved(None), "/custom/v1?a=b", [] => "https://c.test/base/v1?a=b";
    segment_is_a_whole_one: World::moved(PASS), "/customs/x", [] => "https://p.test/pass/customs/x";
    segment_counts_in_its_own_case: World::moved(PASS), "/Custom/x", [] => "https://p.test/pass/Custom/x";
    segment_encoded_is_none: World::moved(PASS), "/%63ustom/x", [] => "https://p.test/pass/%63ustom/x";
    two_slashes_stay: World::moved(PASS), "//x//y", [OPENAI] => "https://o.test//x//y";
    two_slashes_hide_the_segment: World::moved(PASS), "//custom/x", [] => "https://p.test/pass//custom/x";
    dots_stay: World::moved(PASS), "/custom/../openai/x", [] => "https://c.test/base/v1/../openai/x";
    escapes_stay: World::moved(PASS), "/a%2Fb%20c?d=%26", [OPENAI] => "https://o.test/a%2Fb%20c?d=%26";
    empty_query_stays: World::moved(PASS), "/x?", [OPENAI] => "https://o.test/x?";
    key_elsewhere_in_query: World::plain(None), "/v1/messages?monkey=1&k=key=2", [] => "https://api.anthropic.com/v1/messages?monkey=1&k=key=2";
    absolute_then_project: World::moved(None), "http://e.test/p/shop/custom/x", [] => "https://c.test/base/v1/x";
    absolute_without_path: World::moved(None), "http://e.test?a=b", [OPENAI] => "https://o.test/?a=b";
    absolute_target_does_not_choose: World::moved(None), "http://e.test/v1/x", [OPENAI] => "https://o.test/v1/x";
    url_in_the_query_does_not_choose: World::moved(None), "/v1/x?u=http://e.test/", [OPENAI] => "https://o.test/v1/x?u=http://e.test/";
    version_of_openais_address: World::moved(None).with("openai", "https://o.test/v1"), "/chat/completions", [BARE_KEY] => "https://o.test/v1/chat/completions";
    no_version_anywhere: World::plain(None), "/chat/completions", [BARE_KEY] => "Unclaimed";
    name_of_nobody: World::moved(PASS), "/v1/messages", [ANTHROPIC, ("x-tokenpak-provider", "nobody")] => "UnknownName";
    name_that_is_empty: World::moved(PASS), "/v1/messages", [ANTHROPIC, ("x-tokenpak-provider", "")] => "UnknownName";
}

#[test]
fn a_preflight_goes_where_its_path_says() {
    let world = World::moved(PASS);
    let asks = |names| [("origin", "app://x"), ("access-control-request-headers", names)];
    let url = |names, target| world.pick("OPTIONS", target, &asks(names)).unwrap().url;
    assert_eq!(url("content-type, X-Api-Key", "/v1/messages"), "https://a.test/v1/messages");
    assert_eq!(url("authorization", "/v1/responses"), "https://o.test/v1/responses");
    assert_eq!(url("authorization", "/v1/models"), "https://p.test/pass/v1/models");
    assert_eq!(url("content-type", "/v1/messages"), "https://p.test/pass/v1/messages");
    let posted = world.pick("POST", "/v1/messages", &asks("x-api-key")).unwrap().url;
    assert_eq!(posted, "https://p.test/pass/v1/messages", "only a preflight");
}

/// The settings of `routes.txt`: what is built in, and a passthrough URL.
#[test]
fn cases_that_once_went_astray() {
    let world = || World::plain(PASS);
    let key = ("x-api-key", "sk-ant-dummy");
    let to = |target: &str, fields: Fields, want: &str| check(world(), target, fields, want);
    to("/v1/messages", &[BARE_KEY, key, VERSION], "https://api.anthropic.com/v1/messages");
    to("/v1/messages", &[BARE_KEY, VERSION], "https://p.test/pass/v1/messages");
    check(World::plain(None), "/v1/messages", &[BARE_KEY, VERSION], "Unclaimed");
    for token in ["gsk_dummy", "xai-dummy", "eyJdummy"] {
        let key = format!("Bearer {token}");
        for path in ["/v1/chat/completions", "/v1/models"] {
            let want = format!("https://p.test/pass{path}");
            to(path, &[("authorization", &key)], &want);
        }
    }
    let path = "/openai/deployments/d/chat/completions?api-version=2024-10-21";
    to(path, &[AZURE_KEY], &format!("https://p.test/pass{path}"));
    check(World::plain(None), path, &[AZURE_KEY], "Unclaimed");
}

#[test]
fn no_beginning_of_keys_hides_another() {
    let all: Vec<_> = PROVIDERS
        .iter()
        .flat_map(|provider| provider.keys.iter().map(move |key| (provider.name, *key)))
        .collect();
    for (name, key) in &all {
        for (other, longer) in &all {
            let hides = longer.to_lowercase().starts_with(&key.to_lowercase());
            assert!(!hides || (name, key) == (other, longer), "{key} hides {longer}");
        }
    }
}

#[test]
fn the_manual_has_every_beginning() {
    let manual = include_str!("../../../man/tokenpak-config.5");
    let (_, selection) = manual.split_once(".Sh PROVIDER SELECTION").unwrap();
    let words: Vec<&str> = selection.split([' ', ',', ';', '\n']).collect();
    for provider in PROVIDERS {
        assert!(words.contains(&provider.name), "{}", provider.name);
        for word in provider.keys.iter().chain(provider.paths) {
            assert!(words.contains(word), "{word}");
        }
    }
}

#[test]
fn credentials_are_told_from_what_browsers_send() {
    for (name, value, target, any, in_header) in [
        ("authorization", "Bearer x", "/", true, true),
        ("x-api-key", "x", "/", true, true),
        ("api-key", "x", "/", true, true),
        ("x-goog-api-key", "x", "/", true, true),
        ("authorization", "Basic dTpw", "/", true, false),
        ("authorization", "negotiate x", "/", true, false),
        ("authorization", "Bearer", "/", false, false),
        ("authorization", " ", "/", false, false),
        ("x-api-key", "\"\"", "/", false, false),
        ("x-api-key", "\u{43a}", "/", true, true),
        ("cookie", "x", "/", false, false),
        ("cookie", "x", "/?key=x", true, false),
        ("cookie", "x", "/?key=", false, false),
        ("cookie", "x", "/?k%65y=x", true, false),
    ] {
        let headers = |each: Each| each(name.as_bytes(), value.as_bytes());
        let found =
            Credentials::of(&Asked { method: "POST", target, named: None, headers: &headers });
        assert_eq!(
            (found.is_any, found.has_key_header),
            (any, in_header),
            "{name} {value} {target}"
        );
    }
}
