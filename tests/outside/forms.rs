//! A conversation keeps its form, whatever happens around it: before a provider that binds reasoning to
//! the bytes before it, and one that caches prompts by their bytes.

use crate::provider::{Keeper, Misfit, Provider};
use crate::sandbox::{Answer, Proxy, Sandbox, wait};
use crate::support::{Api, listing, prose, sandbox};
use serde_json::{Value, json};

/// A client that keeps its history as it was answered, and marks the end of each request for the cache.
struct Session {
    key: (&'static str, &'static str),
    model: &'static str,
    messages: Vec<Value>,
    more: Vec<(&'static str, &'static str)>,
    stays_marked: bool,
}

/// What a turn was answered.
#[derive(Debug)]
struct Turn {
    status: u16,
    /// Of the input, in percent.
    cached: u64,
    saved: i64,
    skip: Option<String>,
    /// So many thoughts were left out.
    dropped: usize,
}

impl Session {
    fn new(name: &'static str) -> Session {
        let first = json!({"role": "user", "content": [{"type": "text", "text": name}]});
        let (key, model) = (("x-api-key", "sk-ant-not-a-key"), "claude-fable-5-1");
        Session { key, model, messages: vec![first], more: Vec::new(), stays_marked: true }
    }

    fn body(&self) -> Vec<u8> {
        let mut messages = self.messages.clone();
        if self.stays_marked {
            let last = messages.last_mut().unwrap();
            let block = last["content"].as_array_mut().unwrap().last_mut().unwrap();
            block["cache_control"] = json!({"type": "ephemeral"});
        }
        json!({"model": self.model, "max_tokens": 1024, "system": prose(900), "messages": messages})
            .to_string()
            .into_bytes()
    }

    /// One turn through the proxy, after which the client has run the tool.
    fn turn(&mut self, proxy: &Proxy) -> Turn {
        let mut headers = Api::Messages.headers();
        headers.retain(|(name, _)| *name != "x-api-key");
        headers.push(self.key);
        headers.extend(self.more.iter());
        let answer = proxy.post("/v1/messages", &headers, &self.body());
        self.take(&answer)
    }

    fn take(&mut self, answer: &Answer) -> Turn {
        let status = answer.status();
        let skip = answer.head.header("x-tokenpak-skip");
        if status != 200 {
            return Turn { status, cached: 0, saved: 0, skip, dropped: 0 };
        }
        let said = answer.json();
        let tokens = |name: &str| said["usage"][name].as_u64().unwrap();
        let read = tokens("cache_read_input_tokens");
        let all = tokens("input_tokens") + read + tokens("cache_creation_input_tokens");
        self.messages.push(json!({"role": "assistant", "content": said["content"]}));
        let id = &said["content"][1]["id"];
        let number = self.messages.len();
        let result = listing(40 + number);
        self.messages.push(json!({"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": id, "content": result}]}));
        let dropped = said["input_transformations"].as_array().map_or(0, Vec::len);
        let saved = answer.head.tokens("saved");
        Turn { status, cached: read * 100 / all, saved, skip, dropped }
    }

    fn turns(&mut self, proxy: &Proxy, turns: usize) {
        for _ in 0..turns {
            let turn = self.turn(proxy);
            assert_eq!(turn.status, 200, "{turn:?}");
        }
    }
}

fn scene(misfit: Misfit) -> (Provider, Sandbox, Proxy) {
    let provider = Provider::start();
    provider.always(Keeper::new(misfit).script());
    let url = json!({"url": provider.url()});
    let sandbox =
        sandbox().config(&json!({"proxy": {"providers": {"anthropic": url}}}).to_string());
    let proxy = sandbox.serve();
    (provider, sandbox, proxy)
}

fn set(sandbox: &Sandbox, proxy: &Proxy, key: &str, value: &str) {
    let said = sandbox.run(&["config", "set", key, value]);
    assert_eq!(said.status, 0, "{}", said.stderr);
    proxy.reload("reloaded");
}

/// What may happen between two turns.
type Event = fn(&Sandbox, &mut Proxy, &mut Session);

const EVENTS: &[(&str, Event)] = &[
    ("nothing", |_, _, _| {}),
    ("level light", |sandbox, proxy, _| set(sandbox, proxy, "compression.level", "light")),
    ("level aggressive", |sandbox, proxy, _| {
        set(sandbox, proxy, "compression.level", "aggressive")
    }),
    ("mode strict", |sandbox, proxy, _| set(sandbox, proxy, "proxy.mode", "strict")),
    ("switched off", |sandbox, proxy, _| set(sandbox, proxy, "compression.enabled", "false")),
    ("threshold", |sandbox, proxy, _| {
        set(sandbox, proxy, "compression.threshold_tokens", "1000000");
    }),
    ("preserve json", |sandbox, proxy, _| set(sandbox, proxy, "compression.preserve_json", "true")),
    ("SIGHUP", |_, proxy, _| proxy.reload("reloaded")),
    ("restart", |sandbox, proxy, _| {
        proxy.stop();
        *proxy = sandbox.serve();
    }),
    ("kill -9", |sandbox, proxy, session| {
        // Of both users.
        let forms = 2 * (session.messages.len() - 2);
        let count = || sandbox.ask("SELECT count(*) FROM forms").parse::<usize>().ok();
        wait("the form", || count().filter(|count| *count >= forms));
        proxy.kill();
        *proxy = sandbox.serve();
    }),
    ("restart with other settings", |sandbox, proxy, _| {
        proxy.stop();
        assert_eq!(sandbox.run(&["config", "set", "compression.level", "light"]).status, 0);
        *proxy = sandbox.serve();
    }),
    ("restart switched off", |sandbox, proxy, _| {
        proxy.stop();
        assert_eq!(sandbox.run(&["config", "set", "compression.enabled", "false"]).status, 0);
        *proxy = sandbox.serve();
    }),
    ("header off", |_, _, session| session.more.push(("x-tokenpak-mode", "off"))),
    ("header strict", |_, _, session| session.more.push(("x-tokenpak-mode", "strict"))),
    ("other model", |_, _, session| session.model = "claude-opus-5-5"),
    ("three others resumed", |_, proxy, _| {
        for name in ["one", "two", "three"] {
            let mut other = elsewhere(name, proxy);
            let turn = other.turn(proxy);
            assert_eq!(turn.status, 200, "{turn:?}");
        }
    }),
];

/// A session of three turns that a provider has had without us. Its signatures are the same, as they
/// are made of bytes: so it may go on anywhere.
fn elsewhere(name: &'static str, _: &Proxy) -> Session {
    let provider = Provider::start();
    provider.always(Keeper::new(Misfit::Refuse).script());
    let off = sandbox().providers(&provider).set("TOKENPAK_COMPACT", "0");
    let proxy = off.serve();
    let mut session = Session::new(name);
    session.turns(&proxy, 4);
    session
}

#[test]
fn conversations_keep_their_form_through_every_event() {
    for misfit in [Misfit::Refuse, Misfit::Drop, Misfit::Allow] {
        for (name, event) in EVENTS {
            let (provider, sandbox, mut proxy) = scene(misfit);
            let mut users = [Session::new("first"), Session::new("second")];
            users[1].key = ("x-api-key", "sk-ant-not-another-key");
            users.iter_mut().for_each(|user| user.turns(&proxy, 4));
            event(&sandbox, &mut proxy, &mut users[0]);
            let seen = provider.seen().len();
            let turns: Vec<Turn> =
                (0..2).flat_map(|_| [0, 1]).map(|user| users[user].turn(&proxy)).collect();
            let asked = provider.seen().len() - seen;
            for turn in &turns {
                let words = format!("{misfit:?} after {name}: {turn:?}");
                assert_eq!(turn.status, 200, "{words}");
                assert!(turn.cached >= 65 && turn.saved > 0 && turn.dropped == 0, "{words}");
            }
            assert_eq!(asked, 4, "{misfit:?} after {name}: each turn is sent once");
        }
    }
}

#[test]
fn unknown_history_stays_as_it_came() {
    for misfit in [Misfit::Refuse, Misfit::Drop] {
        let (provider, sandbox, mut proxy) = scene(misfit);
        let mut session = elsewhere("resumed", &proxy);
        let history = session.messages.len() - 1;
        for round in 1..=3 {
            let sent = session.body();
            let turn = session.turn(&proxy);
            assert_eq!((turn.status, turn.dropped), (200, 0), "{turn:?}");
            assert!(turn.saved > 0, "what is added is compressed: {turn:?}");
            assert_eq!(provider.seen().len(), round);
            let (sent, got): (Value, Value) =
                (serde_json::from_slice(&sent).unwrap(), provider.last().json());
            let of = |body: &Value| body["messages"].as_array().unwrap()[..history].to_vec();
            assert_eq!(of(&sent), of(&got));
            if round == 2 {
                proxy.stop();
                proxy = sandbox.serve();
            }
        }
    }
    // Nothing is gained where nothing is added, and the reason is told.
    let (_provider, sandbox, proxy) = scene(Misfit::Refuse);
    let mut session = elsewhere("told", &proxy);
    let last = session.messages.last_mut().unwrap();
    last["content"][0]["content"] = json!("done");
    let turn = session.turn(&proxy);
    assert_eq!((turn.status, turn.skip.as_deref()), (200, Some("unknown-history")));
    assert_eq!(sandbox.rows(1)[0].text("skip_reason"), "unknown-history");
}

#[test]
fn unknown_history_without_anything_at_stake_is_compressed_whole() {
    let (_provider, _sandbox, proxy) = scene(Misfit::Refuse);
    let mut session = elsewhere("plain", &proxy);
    session.stays_marked = false;
    for message in &mut session.messages {
        let blocks = message["content"].as_array_mut().unwrap();
        blocks.retain(|block| block["type"] != "thinking");
    }
    let turn = session.turn(&proxy);
    assert_eq!((turn.status, turn.skip), (200, None));
    assert!(turn.saved > 5000, "{}", turn.saved);
}

#[test]
fn history_that_was_ours_and_is_forgotten_is_sent_as_it_was() {
    let (provider, sandbox, mut proxy) = scene(Misfit::Refuse);
    let mut session = Session::new("forgotten");
    session.turns(&proxy, 4);
    proxy.stop();
    std::fs::remove_file(sandbox.database()).unwrap();
    proxy = sandbox.serve();
    let seen = provider.seen().len();
    assert_eq!(session.turn(&proxy).status, 200);
    assert_eq!(provider.seen().len(), seen + 2, "as it came, and as it was");
    let turn = session.turn(&proxy);
    assert!(turn.status == 200 && turn.saved > 0 && turn.cached > 70, "{turn:?}");
    assert_eq!(provider.seen().len(), seen + 3);
}

#[test]
fn thoughts_that_were_left_out_are_told_and_cost_no_second_turn() {
    // Ours, forgotten: as it was from the next turn on.
    let (provider, sandbox, mut proxy) = scene(Misfit::Drop);
    let mut session = Session::new("forgotten");
    session.turns(&proxy, 4);
    proxy.stop();
    std::fs::remove_file(sandbox.database()).unwrap();
    proxy = sandbox.serve();
    assert_eq!(
        session.turn(&proxy).dropped,
        3,
        "it stays as it came; the first was before any cut"
    );
    for _ in 0..3 {
        let turn = session.turn(&proxy);
        // What it thought in between, before what nobody had sent before, fits nothing any more.
        assert!(turn.status == 200 && turn.dropped == 1 && turn.saved > 0, "{turn:?}");
    }
    assert_eq!(provider.seen().len(), 8);
    // Another's, taken for ours: as it came from the next turn on, over a restart too.
    let (_provider, sandbox, mut proxy) = scene(Misfit::Drop);
    set(&sandbox, &proxy, "compression.unknown_history", "same");
    let mut session = elsewhere("another's", &proxy);
    assert_eq!(session.turn(&proxy).dropped, 3);
    sandbox.rows(1);
    let told = sandbox.run(&["trace", "--json"]).stdout;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert!(told["dropped_thoughts"].as_u64() > Some(0), "{told}");
    let said = sandbox.run(&["trace"]).stdout;
    assert!(said.contains("thoughts lost"), "{said}");
    let said = sandbox.run(&["doctor", "--offline"]).stdout;
    assert!(said.contains("left thoughts out of 1 of the last 1 requests"), "{said}");
    proxy.stop();
    proxy = sandbox.serve();
    for _ in 0..3 {
        let turn = session.turn(&proxy);
        assert_eq!((turn.dropped, turn.saved, turn.skip.as_deref()), (1, 0, Some("refused")));
    }
    // What was never changed is not our doing, and goes on.
    let mut short = elsewhere("short", &proxy);
    short.messages.truncate(3);
    short.messages[2]["content"][0]["content"] = json!("done");
    short.messages[0]["content"][0]["text"] = json!("changed by its client");
    assert_eq!(short.turn(&proxy).dropped, 1);
    let turn = short.turn(&proxy);
    assert_eq!((turn.skip, turn.saved > 0), (None, true));
}

#[test]
fn new_tokens_of_a_login_find_its_conversations_and_other_keys_do_not() {
    let (provider, sandbox, mut proxy) = scene(Misfit::Refuse);
    let mut session = Session::new("login");
    session.key = ("authorization", "Bearer sk-ant-oat01-not-a-token");
    session.turns(&proxy, 4);
    proxy.stop();
    proxy = sandbox.serve();
    session.key.1 = "Bearer sk-ant-oat01-not-another";
    let seen = provider.seen().len();
    let turn = session.turn(&proxy);
    assert!(turn.status == 200 && turn.saved > 0 && turn.cached > 65, "{turn:?}");
    assert_eq!(provider.seen().len(), seen + 1);
    let (provider, _sandbox, proxy) = scene(Misfit::Refuse);
    let mut session = Session::new("key");
    session.turns(&proxy, 4);
    session.key.1 = "sk-ant-not-another-key";
    let seen = provider.seen().len();
    assert_eq!(session.turn(&proxy).status, 200);
    assert_eq!(provider.seen().len(), seen + 2, "nobody knows it: as it came, and as if ours");
}

#[test]
fn forms_do_not_wait_as_long_as_rows() {
    let provider = Provider::start();
    provider.always(Keeper::new(Misfit::Refuse).script());
    let sandbox = sandbox().providers(&provider).set("TOKENPAK_STORAGE_FLUSH_MS", "60000");
    let mut proxy = sandbox.serve();
    let mut session = Session::new("slow disk");
    session.turns(&proxy, 3);
    let count = |table| sandbox.ask(&format!("SELECT count(*) FROM {table}"));
    wait("the forms", || (count("forms") == "5").then_some(()));
    assert_eq!(count("requests"), "0", "rows wait as long as they are told to");
    proxy.kill();
    proxy = sandbox.serve();
    let turn = session.turn(&proxy);
    assert!(turn.status == 200 && turn.saved > 0 && turn.dropped == 0, "{turn:?}");
    assert_eq!(provider.seen().len(), 4);
}

#[test]
fn one_refused_conversation_is_no_other() {
    let (provider, _sandbox, proxy) = scene(Misfit::Refuse);
    let mut mine = Session::new("mine");
    mine.turns(&proxy, 4);
    let mut refused = Session::new("refused");
    refused.turns(&proxy, 1);
    provider.next(crate::provider::Script::status(400));
    let turn = refused.turn(&proxy);
    assert_eq!((turn.status, turn.skip.as_deref()), (200, Some("refused")));
    let seen = provider.seen().len();
    for round in 1..=3 {
        let turn = refused.turn(&proxy);
        assert_eq!((turn.status, turn.saved, turn.skip.as_deref()), (200, 0, Some("refused")));
        let turn = mine.turn(&proxy);
        assert!(turn.status == 200 && turn.saved > 0 && turn.cached > 70, "{turn:?}");
        assert_eq!(provider.seen().len(), seen + 2 * round);
    }
}

#[test]
fn whoever_goes_back_finds_the_form_of_then() {
    let (provider, sandbox, mut proxy) = scene(Misfit::Refuse);
    let mut session = Session::new("back");
    session.turns(&proxy, 5);
    proxy.stop();
    assert_eq!(sandbox.run(&["config", "set", "compression.level", "light"]).status, 0);
    proxy = sandbox.serve();
    for length in [9, 7, 5, 3] {
        session.messages.truncate(length);
        session.messages[length - 1]["content"][0]["content"] = json!(listing(70 + length));
        let seen = provider.seen().len();
        let turn = session.turn(&proxy);
        assert!(turn.status == 200 && turn.saved > 0 && turn.cached > 50, "{length}: {turn:?}");
        assert_eq!(provider.seen().len(), seen + 1, "{length}");
        session.messages.truncate(length);
    }
}

#[test]
fn key_is_private_and_no_part_of_the_database() {
    use std::os::unix::fs::PermissionsExt;
    let (_provider, sandbox, mut proxy) = scene(Misfit::Refuse);
    Session::new("private").turns(&proxy, 2);
    assert_eq!(proxy.stop(), 0);
    let path = sandbox.database().with_file_name("forms.key");
    let file = std::fs::metadata(&path).unwrap();
    assert_eq!((file.permissions().mode() & 0o777, file.len()), (0o600, 144));
    let (key, database) =
        (std::fs::read(path).unwrap(), std::fs::read(sandbox.database()).unwrap());
    assert!(memchr::memmem::find(&database, &key[..16]).is_none());
    assert!(memchr::memmem::find(&database, b"private").is_none(), "and no text");
}
