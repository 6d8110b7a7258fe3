//! Real requests through the running proxy: what is saved, what is left alone, and the prefix law.

use crate::provider::{Provider, Script};
use crate::sandbox::{Client, Head, Proxy, Sandbox};
use crate::support::{Api, sandbox, say, skip};
use serde::de::IgnoredAny;
use serde_json::{Deserializer, Value};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

/// Where the corpus lies if not beside the repository.
const CORPUS: &str = "TOKENPAK_CORPUS";

/// Connections that are used side by side.
const CLIENTS: usize = 4;

/// One request of the corpus.
struct Request {
    name: String,
    api: Api,
    body: Vec<u8>,
}

/// The corpus in the order of its names; `None`, and a line, where it is not.
fn corpus(test: &str) -> Option<Vec<Request>> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus");
    let directory = std::env::var_os(CORPUS).map_or(beside, PathBuf::from);
    let Ok(entries) = fs::read_dir(&directory) else {
        skip(test, &format!("no corpus in {}; {CORPUS} names another place", directory.display()));
        return None;
    };
    let mut requests: Vec<Request> =
        entries.flatten().filter_map(|entry| request(&entry.path())).collect();
    requests.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(!requests.is_empty(), "an empty corpus in {}", directory.display());
    Some(requests)
}

fn request(path: &Path) -> Option<Request> {
    let name = path.file_name()?.to_str()?.strip_suffix(".json")?.to_owned();
    let api = match name.rsplit('.').next()? {
        "anthropic" => Api::Messages,
        "openai-chat" => Api::Chat,
        "openai-responses" => Api::Responses,
        "gemini" => Api::Gemini,
        _ => return None,
    };
    Some(Request { name, api, body: fs::read(path).unwrap() })
}

fn send(client: &mut Client, api: Api, mode: &str, body: &[u8]) -> Head {
    let headers = [api.headers(), vec![("x-tokenpak-mode", mode)]].concat();
    client.request(("POST", api.target(true)), &headers, body);
    let answer = client.answer();
    assert!(answer.status() == 200 && answer.clean, "{}", answer.text());
    answer.head
}

#[test]
fn corpus_is_compressed_and_nothing_else_is_touched() {
    let Some(requests) = corpus("corpus_is_compressed_and_nothing_else_is_touched") else { return };
    let provider = Provider::start();
    provider.always(Script { words: 1, ..Script::default() });
    let modes = ["strict", "hybrid", "aggressive"];
    // Whole sessions come at once, and each once in each mode.
    let same = |_| {
        let sandbox = sandbox().providers(&provider);
        sandbox.set("TOKENPAK_COMPRESSION_UNKNOWN_HISTORY", "same")
    };
    let sandboxes: Vec<Sandbox> = modes.iter().map(same).collect();
    let proxies: Vec<Proxy> = sandboxes.iter().map(Sandbox::serve).collect();
    let mut clients: Vec<Client> = proxies.iter().map(Proxy::connect).collect();
    let mut lines = vec![format!(
        "{:32}{:>9}{:>16}{:>16}{:>16}",
        "prompt tokens", "before", modes[0], modes[1], modes[2]
    )];
    let mut totals = [0; 4];
    for Request { name, api, body } in &requests {
        let mut line = vec![0; 4];
        for (n, mode) in modes.into_iter().enumerate() {
            let head = send(&mut clients[n], *api, mode, body);
            line[0] = head.tokens("before");
            line[n + 1] = head.tokens("after");
            assert_untouched(name, *api, body, &provider.last().body);
            provider.forget();
        }
        assert!(line[1..].iter().all(|after| *after <= line[0]), "{name}: {line:?}");
        totals.iter_mut().zip(&line).for_each(|(total, tokens)| *total += tokens);
        lines.push(row(name, &line));
        let least = [
            ("ci-terminal-1", 60),
            ("json-github", 10),
            ("json-stripe", 10),
            ("agent-claude-code-2", 0),
        ];
        for (_, least) in least.into_iter().filter(|(prefix, _)| name.starts_with(prefix)) {
            assert!(
                100 * (line[0] - line[1]) >= least * line[0],
                "{name}: strict saves less than {least}%"
            );
        }
    }
    lines.push(row("all", &totals));
    say(&lines.join("\n"));
}

/// A line of the table: tokens before, then tokens after and the share saved for each mode.
fn row(name: &str, tokens: &[i64]) -> String {
    let before = tokens[0];
    let cell = |after: &i64| {
        format!("{after:>9} {:>5.1}%", 100.0 * (before - after) as f64 / before as f64)
    };
    format!("{name:32}{before:>9}{}", tokens[1..].iter().map(cell).collect::<String>())
}

/// Every value is equal but texts where a change is allowed.
#[track_caller]
fn assert_untouched(name: &str, api: Api, body: &[u8], sent: &[u8]) {
    let [body, sent] = [body, sent].map(|bytes| serde_json::from_slice::<Value>(bytes).unwrap());
    let list = if api == Api::Responses { "input" } else { "messages" };
    let mut paths = Vec::new();
    differences(&body, &sent, &mut Vec::new(), &mut paths);
    for path in paths {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let allowed = match (api, &path[..]) {
            (_, [first, at, rest @ ..]) if *first == list => {
                may_change(api, &body[*first][at.parse::<usize>().unwrap()], rest)
            }
            _ => false,
        };
        assert!(allowed, "{name}: changed at {}", path.join("."));
    }
}

/// Tool results, and what a person sent (under COMPRESSION.md S14, which is tested elsewhere).
fn may_change(api: Api, message: &Value, path: &[&str]) -> bool {
    let role = message["role"].as_str().unwrap_or_default();
    match (api, path) {
        (Api::Responses, ["output"]) => true,
        (Api::Responses, ["content", _, "text"]) => role == "user",
        (Api::Chat, ["content", ..]) => role == "tool" || role == "user",
        (Api::Messages, ["content", at, rest @ ..]) if role == "user" => {
            let block = &message["content"][at.parse::<usize>().unwrap()];
            match block["type"].as_str() {
                Some("tool_result") => block["is_error"] != true && rest[0] == "content",
                Some("text") => rest == ["text"],
                _ => false,
            }
        }
        (Api::Messages, ["content"]) => role == "user",
        _ => false,
    }
}

/// The paths at which two values differ; a difference in shape counts for its whole value.
fn differences(a: &Value, b: &Value, at: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    let mut each = |key: String, a: &Value, b: &Value| {
        at.push(key);
        differences(a, b, at, found);
        at.pop();
    };
    match (a, b) {
        (Value::Object(x), Value::Object(y)) if x.keys().eq(y.keys()) => {
            x.iter().zip(y.values()).for_each(|((key, a), b)| each(key.clone(), a, b));
        }
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
            x.iter().zip(y).enumerate().for_each(|(n, (a, b))| each(n.to_string(), a, b));
        }
        _ if a != b => found.push(at.clone()),
        _ => {}
    }
}

#[test]
fn each_turn_extends_the_turn_before() {
    let Some(requests) = corpus("each_turn_extends_the_turn_before") else { return };
    let mut lines = Vec::new();
    for request in requests.iter().filter(|request| request.name.starts_with("agent-")) {
        let session = Session::of(request.api, &request.body);
        // The default mode at every cut; the others at every third, which leaves none of their passes out.
        for (mode, step) in [("strict", 3), ("hybrid", 1), ("aggressive", 3)] {
            let cuts = session.cuts.iter().copied().step_by(step).collect::<Vec<_>>();
            prefix_law(request, &session, (mode, &cuts));
            let cuts = cuts.len();
            lines.push(format!("prefix law: {:32} {mode:10} {cuts:>4} cuts hold", request.name));
        }
    }
    say(&lines.join("\n"));
}

/// Every cut goes through the proxy; what arrives must be what the whole session begins with.
fn prefix_law(request: &Request, session: &Session, (mode, cuts): (&str, &[usize])) {
    let providers: Vec<Provider> = (0..CLIENTS).map(|_| Provider::start()).collect();
    let entry = |(n, provider): (usize, &Provider)| {
        format!("\"w{n}\": {{\"url\": \"{}\"}}", provider.url())
    };
    let entries: Vec<String> = providers.iter().enumerate().map(entry).collect();
    let sandbox =
        sandbox().config(&format!("{{\"proxy\": {{\"providers\": {{{}}}}}}}", entries.join(", ")));
    let sandbox = sandbox.set("TOKENPAK_COMPRESSION_UNKNOWN_HISTORY", "same");
    let proxy = sandbox.serve();
    let sent = |client: &mut Client, worker: usize, body: &[u8]| {
        let target = format!("/w{worker}{}", request.api.target(true));
        let headers = [request.api.headers(), vec![("x-tokenpak-mode", mode)]].concat();
        client.request(("POST", &target), &headers, body);
        assert_eq!(client.answer().status(), 200);
        let arrived = providers[worker].last().body;
        providers[worker].forget();
        arrived
    };
    let whole = sent(&mut proxy.connect(), 0, &request.body);
    let work = |worker: usize| {
        let mut client = proxy.connect();
        for k in cuts.iter().skip(worker).step_by(CLIENTS) {
            let arrived = sent(&mut client, worker, &session.until(*k));
            let kept = arrived.len() - session.tail().len();
            assert!(
                arrived[kept..] == *session.tail(),
                "{} {mode} cut {k}: the tail differs",
                request.name
            );
            let same = arrived[..kept].iter().zip(&whole).take_while(|(a, b)| a == b).count();
            assert!(
                same == kept,
                "{} {mode} cut {k}: differs at byte {same} of {kept}",
                request.name
            );
        }
    };
    thread::scope(|scope| {
        for worker in 0..CLIENTS {
            scope.spawn(move || work(worker));
        }
    });
}

/// A session's last request, which can be cut back to the earlier ones without changing a byte.
struct Session<'a> {
    body: &'a [u8],
    /// Where each message ends.
    ends: Vec<usize>,
    /// Lengths at which the session once was sent: the next message is the assistant's.
    cuts: Vec<usize>,
}

impl Session<'_> {
    fn of(api: Api, body: &[u8]) -> Session<'_> {
        let list = if api == Api::Responses { "\"input\":[" } else { "\"messages\":[" };
        let text = str::from_utf8(body).unwrap();
        let mut at = text.find(list).unwrap() + list.len();
        let (mut ends, mut roles) = (Vec::new(), Vec::new());
        loop {
            let mut one = Deserializer::from_str(&text[at..]).into_iter::<IgnoredAny>();
            one.next().unwrap().unwrap();
            let end = at + one.byte_offset();
            let message: Value = serde_json::from_str(&text[at..end]).unwrap();
            // Of the items of the Responses API only messages have a role: calls and reasoning are the
            // assistant's, and what a call gave is not.
            let is_output = message["type"].as_str().is_some_and(|kind| kind.ends_with("_output"));
            let other = if is_output { "tool" } else { "assistant" };
            roles.push(message["role"].as_str().unwrap_or(other).to_owned());
            ends.push(end);
            if body[end] == b']' {
                break;
            }
            at = end + 1;
        }
        let asked = |k: &usize| {
            roles[k - 1] != "assistant" && roles[k - 1] != "system" && roles[*k] == "assistant"
        };
        let cuts = (1..roles.len()).filter(asked).collect();
        Session { body, ends, cuts }
    }

    /// The request of the first `messages` messages.
    fn until(&self, messages: usize) -> Vec<u8> {
        [&self.body[..self.ends[messages - 1]], self.tail()].concat()
    }

    /// What follows the last message.
    fn tail(&self) -> &[u8] {
        &self.body[*self.ends.last().unwrap()..]
    }
}
