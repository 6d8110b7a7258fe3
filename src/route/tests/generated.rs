//! Every carrier with every key on every path under every setting. What is expected is said here once
//! more, as a rule in the words of the manual and by none of the code that is tested.

use super::*;

/// A key, and whose it is: a name, `?` if nobody can tell, nothing if there is no key.
const KEYS: &[(&str, &str)] = &[
    ("sk-ant-api03-dummy", "anthropic"),
    ("sk-ant-oat01-dummy", "anthropic"),
    ("SK-ANT-dummy", "anthropic"),
    ("sk-proj-dummy", "openai"),
    ("sk-svcacct-dummy", "openai"),
    ("sk-dummy", "bare"),
    ("sk-or-v1-dummy", "openrouter"),
    ("gsk_dummy", "groq"),
    ("xai-dummy", "xai"),
    ("AIzaDummy", "google"),
    ("AQ.dummy", "google"),
    ("pplx-dummy", "perplexity"),
    ("r8_dummy", "replicate"),
    ("hf_dummy", "huggingface"),
    ("nvapi-dummy", "nvidia"),
    ("fw_dummy", "fireworks"),
    ("csk-dummy", "cerebras"),
    ("tgp_v1_dummy", "together"),
    ("ghp_dummy", "github"),
    ("eyJhbGciOiJub25lIn0.e30.dummy", "?"),
    ("ollama", "?"),
    ("x/sk-ant-dummy", "?"),
    ("", ""),
];

/// Where a key is put: a header's name and a form, or the query's.
const CARRIERS: &[(&str, &str)] = &[
    ("authorization", "Bearer KEY"),
    ("authorization", "bearer KEY"),
    ("authorization", "BEARER   KEY"),
    ("authorization", "Bearer\tKEY"),
    ("authorization", "Bearer \t KEY "),
    ("authorization", "Bearer \"KEY\""),
    ("authorization", "\"Bearer KEY\""),
    ("authorization", "'KEY'"),
    ("authorization", "Bearer: KEY"),
    ("authorization", "Bearer=KEY"),
    ("authorization", "Token KEY"),
    ("authorization", "token token=\"KEY\""),
    ("authorization", "ApiKey KEY"),
    ("authorization", "Basic KEY"),
    ("authorization", "KEY"),
    ("authorization", "\tKEY"),
    ("authorization", "Bearer <KEY>"),
    ("authorization", "Bearer %22KEY"),
    ("x-api-key", "KEY"),
    ("x-api-key", "Bearer KEY"),
    ("x-api-key", "Bearer/KEY"),
    ("x-api-key", "Bearer_KEY"),
    ("x-api-key", "Bearer-+KEY"),
    ("x-api-key", " \"KEY\""),
    ("api-key", "KEY"),
    ("api-key", "'KEY'"),
    ("x-goog-api-key", "KEY"),
    ("x-goog-api-key", "Bearer KEY"),
    ("?", "key=KEY"),
    ("?", "alt=sse&key=KEY"),
    ("?", "k%65y=KEY&x=1"),
    ("?", "key=+KEY"),
    ("?", "Api_key=KEY"),
    ("?", "api-key=KEY"),
    ("?", "access_token=KEY"),
    ("?", "key=%"),
];

/// A path; who alone has it; and whether OpenAI has it.
const PATHS: &[(&str, &str, bool)] = &[
    ("/v1/messages", "anthropic", false),
    ("/v1/messages/count_tokens", "anthropic", false),
    ("/api/hello", "anthropic", false),
    ("/v1/chat/completions", "openai", true),
    ("/v1/responses", "openai", true),
    ("/v1/models", "", true),
    ("/v1/embeddings", "", true),
    ("/v1/rerank", "", false),
    ("/v1beta/models/m:generateContent", "google", false),
    ("/v1/messages-and-more", "", true),
    ("/user/balance", "", false),
    ("/", "", true),
];

struct Setting {
    passthrough: bool,
    moved: bool,
    /// All other owners have an address.
    all: bool,
}

/// Where a request goes that names no provider: the manual's list.
fn expected(owner: &str, path: (&str, &str, bool), setting: &Setting) -> String {
    let (_, paths_owner, is_openais) = path;
    let owner = match owner {
        "bare" if is_openais => "openai",
        "bare" => "?",
        owner => owner,
    };
    let is_built_in = |name: &str| ["anthropic", "openai", "google"].contains(&name);
    match owner {
        "anthropic" | "openai" => owner.to_owned(),
        "azure" => "azure".to_owned(),
        _ if setting.passthrough => "passthrough".to_owned(),
        "?" | "" if paths_owner.is_empty() => "nobody".to_owned(),
        "?" if setting.moved => paths_owner.to_owned(),
        "?" => "nobody".to_owned(),
        "" => paths_owner.to_owned(),
        owner if setting.all || is_built_in(owner) => owner.to_owned(),
        _ => "nobody".to_owned(),
    }
}

fn world(setting: &Setting) -> World {
    let passthrough = setting.passthrough.then_some("https://p.test");
    let world = match setting.moved {
        true => World::moved(passthrough),
        false => World::plain(passthrough),
    };
    let owners = KEYS.iter().map(|(_, owner)| *owner).filter(|owner| owner.len() > 4);
    let owners = owners.filter(|owner| !world_has(owner)).chain(["xai", "groq", "azure"]);
    let owners: Vec<&str> = owners.filter(|_| setting.all).collect();
    owners.iter().fold(world, |world, name| world.with(name, &format!("https://{name}.test")))
}

fn world_has(name: &str) -> bool {
    ["anthropic", "openai", "google"].contains(&name)
}

fn settings() -> impl Iterator<Item = Setting> {
    (0..8).map(|bits| Setting { passthrough: bits & 1 > 0, moved: bits & 2 > 0, all: bits & 4 > 0 })
}

/// Puts a key into its place: the target, and the header if there is one. In queries as it is, and
/// with every character encoded.
fn carried(carrier: (&str, &str), key: &str, path: &str) -> Vec<(String, Option<String>)> {
    let (name, form) = carrier;
    let encoded: String = key.bytes().map(|byte| format!("%{byte:02x}")).collect();
    match name {
        "?" => [key, encoded.as_str()]
            .map(|key| (format!("{path}?{}", form.replace("KEY", key)), None))
            .to_vec(),
        _ => vec![(path.to_owned(), Some(form.replace("KEY", key)))],
    }
}

/// Whose the credential is that a carrier makes of a key.
fn owner_of(
    carrier: (&str, &str),
    key: &(&'static str, &'static str),
    setting: &Setting,
) -> &'static str {
    let (name, form) = carrier;
    let owner = match key.1 {
        // Words and signs around a key that is empty are a value.
        "" if form.starts_with("token token") || form.starts_with("ApiKey") => "?",
        "" if name != "authorization" && form.starts_with("Bearer") => "?",
        "" if form.contains('+') => "?",
        _ if !form.contains("KEY") => "?",
        owner => owner,
    };
    match owner {
        "?" if name == "api-key" && setting.all => "azure",
        owner => owner,
    }
}

#[test]
fn every_key_goes_to_its_owner_whatever_carries_it() {
    let mut rows = 0;
    for setting in settings() {
        let world = world(&setting);
        for carrier in CARRIERS {
            for key in KEYS {
                for path in PATHS {
                    for (target, header) in carried(*carrier, key.0, path.0) {
                        let fields = header.as_deref().map(|value| (carrier.0, value));
                        let got = match world.pick("POST", &target, fields.as_slice()) {
                            Ok(route) => route.provider,
                            Err(_) => "nobody".to_owned(),
                        };
                        let want = expected(owner_of(*carrier, key, &setting), *path, &setting);
                        let Setting { passthrough, moved, all } = setting;
                        assert_eq!(
                            got, want,
                            "{target} {fields:?} passthrough={passthrough} moved={moved} all={all}"
                        );
                        rows += 1;
                    }
                }
            }
        }
    }
    println!("{rows} rows");
    assert!(rows > 50_000, "{rows}");
}

/// Whatever else is there, a request that names its provider goes there, and one with the keys of two
/// goes nowhere.
#[test]
fn two_keys_and_names() {
    let setting = Setting { passthrough: true, moved: true, all: true };
    let world = world(&setting);
    let known: Vec<_> =
        KEYS.iter().filter(|(_, owner)| owner.len() > 2 && *owner != "bare").collect();
    for one in &known {
        for other in &known {
            for place in [("x-api-key", "KEY"), ("authorization", "Bearer KEY"), ("?", "key=KEY")] {
                let (target, header) = carried(place, other.0, "/x").swap_remove(0);
                let first = ("x-goog-api-key", one.0);
                let second = header.as_deref().map(|value| (place.0, value));
                let fields: Vec<_> = [first].into_iter().chain(second).collect();
                let got = world.pick("POST", &target, &fields);
                assert_eq!(got.is_ok(), one.1 == other.1, "{target} {fields:?}");
                let named: Vec<_> = [NAMED].into_iter().chain(fields.iter().copied()).collect();
                assert_eq!(world.pick("POST", &target, &named).unwrap().provider, "custom");
                let segment = format!("/custom{target}");
                assert_eq!(world.pick("POST", &segment, &fields).unwrap().provider, "custom");
            }
        }
    }
}
