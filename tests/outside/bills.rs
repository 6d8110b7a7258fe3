//! No session gets dearer: real ones through the running proxy, every request of them, with the cache
//! marks moved as a coding agent moves them.

#[path = "../money/mod.rs"]
mod simulator;

use crate::provider::{Provider, Script};
use crate::sandbox::{Client, Proxy, Sandbox};
use crate::support::{Api, sandbox, say, skip};
use bpe_openai::o200k_base;
use simulator::{Block, Blocks, CACHES, Cache, READS, Session, bill};
use std::path::{Path, PathBuf};

/// Where the corpus lies if not beside the repository.
const CORPUS: &str = "TOKENPAK_CORPUS";

const MODES: [&str; 3] = ["strict", "hybrid", "aggressive"];

/// The requests of a session that are played through; `make bench` plays them all.
const REQUESTS_MAX: usize = 40;

/// One of each wire format and kind of cache, short ones before long ones.
const SESSIONS: &[(&str, Api)] = &[
    ("agent-swe-1.openai-chat", Api::Chat),
    ("agent-claude-code-2.anthropic", Api::Messages),
    ("json-scan-1.anthropic", Api::Messages),
    ("json-stripe-1.openai-responses", Api::Responses),
    ("log-server-1.anthropic", Api::Messages),
    ("agent-claude-code-1.anthropic", Api::Messages),
    ("agent-pi-1.openai-chat", Api::Chat),
];

#[test]
fn no_session_of_the_corpus_gets_dearer() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let folder = std::env::var_os(CORPUS).map_or(beside, PathBuf::from);
    let provider = Provider::start();
    provider.always(Script { words: 1, ..Script::default() });
    let sandbox = sandbox().providers(&provider);
    let proxy = sandbox.serve();
    let mut lines = vec![format!(
        "{:32}{:>14}{:>14}{:>14}",
        "bill, % (worst case)", MODES[0], MODES[1], MODES[2]
    )];
    for (name, api) in SESSIONS {
        let Ok(body) = std::fs::read(folder.join(format!("{name}.json"))) else {
            skip(&format!("the bill of {name}"), "it is not in the corpus");
            continue;
        };
        let mut scene = Scene { provider: &provider, proxy: &proxy, api: *api };
        lines.push(scene.session(name, &Session::of(&body)));
    }
    say(&lines.join("\n"));
}

/// Sessions of all kinds of agents; what happens meanwhile is the same for all.
const INTERRUPTED: &[(&str, Api)] = &[
    ("agent-claude-code-1.anthropic", Api::Messages),
    ("agent-claude-code-2.anthropic", Api::Messages),
    ("agent-claude-code-5.anthropic", Api::Messages),
    ("agent-claude-code-6.anthropic", Api::Messages),
    ("agent-codex-1.openai-responses", Api::Responses),
    ("agent-openhands-1.openai-chat", Api::Chat),
    ("agent-pi-1.openai-chat", Api::Chat),
    ("agent-reads-1.anthropic", Api::Messages),
    ("agent-swe-1.openai-chat", Api::Chat),
    ("agent-swe-3.openai-chat", Api::Chat),
    ("agent-swe-4.openai-chat", Api::Chat),
    ("json-scan-1.anthropic", Api::Messages),
    ("log-server-1.anthropic", Api::Messages),
];

/// What may happen between two turns of a conversation.
type Event = fn(&Sandbox, &mut Proxy, &mut Vec<u8>);

/// Spread over each session, in this order.
const EVENTS: &[Event] = &[
    // Other settings, which are for new conversations.
    |sandbox, proxy, _| set(sandbox, proxy, "compression.level", "light"),
    |sandbox, proxy, _| {
        proxy.stop();
        *proxy = sandbox.serve();
    },
    // Another model.
    |_, _, model| model.extend_from_slice(b"-2"),
    |sandbox, proxy, _| set(sandbox, proxy, "compression.enabled", "false"),
    |sandbox, proxy, _| set(sandbox, proxy, "compression.enabled", "true"),
];

fn set(sandbox: &Sandbox, proxy: &Proxy, key: &str, value: &str) {
    let said = sandbox.run(&["config", "set", key, value]);
    assert_eq!(said.status, 0, "{}", said.stderr);
    proxy.reload("reloaded");
}

#[test]
fn no_session_gets_dearer_through_what_happens_to_it() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let folder = std::env::var_os(CORPUS).map_or(beside, PathBuf::from);
    let mut lines = vec![format!("{:32}{:>14}", "bill with events, %", "worst case")];
    for (name, api) in INTERRUPTED {
        let Ok(body) = std::fs::read(folder.join(format!("{name}.json"))) else {
            skip(&format!("the bill of {name}"), "it is not in the corpus");
            continue;
        };
        let worst = interrupted(*api, &Session::of(&body));
        assert!(worst <= 100.0, "{name} costs {worst:.2} % of what it did");
        lines.push(format!("{name:32}{worst:>14.1}"));
    }
    say(&lines.join("\n"));
}

/// The highest share of the bill that a session has to which all of the events happen.
fn interrupted(api: Api, session: &Session) -> f64 {
    let provider = Provider::start();
    provider.always(Script { words: 1, ..Script::default() });
    let entry = format!("{{\"url\": \"{}\"}}", provider.url());
    let providers = format!("\"anthropic\": {entry}, \"openai\": {entry}");
    let sandbox = sandbox().config(&format!("{{\"proxy\": {{\"providers\": {{{providers}}}}}}}"));
    let mut proxy = sandbox.serve();
    let ends = &session.cuts[..session.cuts.len().min(REQUESTS_MAX)];
    let bodies: Vec<Vec<u8>> = ends.iter().map(|end| session.request(*end)).collect();
    let mut count = |text: &str| o200k_base().count(text) as u64;
    let mut blocks = Blocks::new(&mut count);
    let plain: Vec<Vec<Block>> = bodies.iter().map(|body| blocks.of(body)).collect();
    let (mut model, mut sent, mut next) = (Vec::new(), Vec::new(), 0);
    for (turn, body) in bodies.iter().enumerate() {
        // The first of them no earlier than after a few turns.
        if turn > 2 && next < EVENTS.len() && turn * (EVENTS.len() + 1) >= bodies.len() * (next + 1)
        {
            EVENTS[next](&sandbox, &mut proxy, &mut model);
            next += 1;
        }
        let body = with_model(body, &model);
        let mut client = proxy.connect();
        client.request(("POST", api.target(true)), &api.headers(), &body);
        assert_eq!(client.answer().status(), 200);
        sent.push(blocks.of(&provider.last().body));
        provider.forget();
    }
    worst(session.marks, &plain, &sent)
}

/// The body with more behind the name of its model.
fn with_model(body: &[u8], more: &[u8]) -> Vec<u8> {
    let mut parts = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(body);
    let model = parts.as_mut().ok().and_then(|parts| parts.remove("model"));
    let model = model.and_then(|model| model.as_str().map(str::to_owned)).unwrap();
    let text = String::from_utf8(body.to_vec()).unwrap();
    let longer = format!("{model}{}", String::from_utf8_lossy(more));
    text.replacen(&format!("\"{model}\""), &format!("\"{longer}\""), 1).into_bytes()
}

struct Scene<'s> {
    provider: &'s Provider,
    proxy: &'s Proxy,
    api: Api,
}

impl Scene<'_> {
    /// A line of the table; no share may be over 100 %.
    #[track_caller]
    fn session(&mut self, name: &str, session: &Session) -> String {
        let ends = &session.cuts[..session.cuts.len().min(REQUESTS_MAX)];
        let bodies: Vec<Vec<u8>> = ends.iter().map(|end| session.request(*end)).collect();
        let mut count = |text: &str| o200k_base().count(text) as u64;
        let mut blocks = Blocks::new(&mut count);
        let plain: Vec<Vec<Block>> = bodies.iter().map(|body| blocks.of(body)).collect();
        let mut line = format!("{name:32}");
        let mut client = self.proxy.connect();
        for mode in MODES {
            let sent: Vec<Vec<Block>> =
                bodies.iter().map(|body| blocks.of(&self.sent(&mut client, mode, body))).collect();
            let worst = worst(session.marks, &plain, &sent);
            assert!(worst <= 100.0, "{name} in {mode} costs {worst:.2} % of what it did");
            line += &format!("{worst:>14.1}");
        }
        line
    }

    /// What reaches the provider.
    fn sent(&self, client: &mut Client, mode: &str, body: &[u8]) -> Vec<u8> {
        // Whose key it is decides whose conversation: each mode has its own, or all had the first one's form.
        let key = format!("-{mode}");
        let owned: Vec<(&str, String)> = self
            .api
            .headers()
            .into_iter()
            .map(|(name, value)| match name {
                "authorization" | "x-api-key" => (name, format!("{value}{key}")),
                _ => (name, value.to_owned()),
            })
            .chain([("x-tokenpak-mode", mode.to_owned())])
            .collect();
        let headers: Vec<(&str, &str)> =
            owned.iter().map(|(name, value)| (*name, value.as_str())).collect();
        client.request(("POST", self.api.target(true)), &headers, body);
        assert_eq!(client.answer().status(), 200);
        let sent = self.provider.last().body;
        self.provider.forget();
        sent
    }
}

/// The highest share of the bill without tokenpak, in per cent, of all caches and prices.
fn worst(marks: bool, plain: &[Vec<Block>], sent: &[Vec<Block>]) -> f64 {
    let caches = CACHES.iter().filter(|(_, cache)| matches!(cache, Cache::Marks { .. }) == marks);
    let shares = caches.flat_map(|(_, cache)| {
        let (plain, sent) = (bill(*cache, plain), bill(*cache, sent));
        READS.map(|read| 100.0 * sent.cost(*cache, read) as f64 / plain.cost(*cache, read) as f64)
    });
    shares.fold(0.0, f64::max)
}
