//! No session gets dearer: real ones through the running proxy, every request of them, with the cache
//! marks moved as a coding agent moves them.

#[path = "../money/mod.rs"]
mod simulator;

use crate::provider::{Provider, Script};
use crate::sandbox::{Client, Proxy};
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
        let headers = [self.api.headers(), vec![("x-tokenpak-mode", mode)]].concat();
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
