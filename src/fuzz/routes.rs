//! Where requests go, whatever they ask for.

use std::collections::BTreeMap;

use super::{below, fuzz, pick};
use crate::route::{self, Asked, Upstreams};

const REQUESTS: u64 = 2000;
const PARTS_MAX: usize = 12;

const PARTS: &[&str] = &[
    "/",
    "//",
    "v1",
    "/v1/messages",
    "/v1/chat/completions",
    "/v1/responses",
    "/v1beta/models/x:generateContent",
    "?key=",
    "?",
    "&",
    "%3A",
    "%",
    "%2e%2e",
    "..",
    "http://",
    "https://127.0.0.1",
    "@",
    ":",
    "#",
    "/project/",
    "p",
    "/anthropic",
    "/openai",
    "/~x",
    "\u{e9}",
    " ",
    "\t",
    "*",
    "[::1]",
    "/api/hello",
];

const VALUES: &[&[u8]] = &[
    b"",
    b"Bearer ",
    b"Bearer sk-dummy",
    b"bearer sk-ant-dummy",
    b"Basic AAAA",
    b"sk-ant-dummy",
    b"\xff\xfe",
    b"anthropic",
    b"openai",
    b"nobody",
    b" Bearer  sk-dummy ",
];

#[test]
fn any_request_has_a_route_or_none() {
    let url = |name: &str| (name.to_owned(), format!("http://{name}.example"));
    let providers = BTreeMap::from(["anthropic", "openai", "google", "p"].map(url));
    fuzz(REQUESTS, |source| {
        let target: String = (0..below(source, PARTS_MAX)).map(|_| *pick(source, PARTS)).collect();
        let values: Vec<&[u8]> = (0..5).map(|_| *pick(source, VALUES)).collect();
        let given = below(source, 32);
        let names = ["authorization", "x-api-key", "x-goog-api-key", "api-key"];
        let headers = |each: route::Each| {
            let all = names.iter().zip(&values).enumerate();
            let some = all.filter(|(at, _)| given >> at & 1 == 1);
            some.for_each(|(_, (name, value))| each(name.as_bytes(), value));
        };
        let named = (given >= 24).then_some(values[4]);
        let asked = Asked { method: "POST", target: &target, named, headers: &headers };
        let upstreams = Upstreams { providers: &providers, passthrough_url: None };
        if let Ok(route) = route::pick(&asked, &upstreams) {
            // Only to an upstream that was set up.
            let is_known = providers.values().any(|url| route.url.starts_with(url.as_str()));
            assert!(is_known, "{target:?} goes to {}", route.url);
        }
        Ok(())
    });
}
