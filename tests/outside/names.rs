//! Names that clients and providers choose: of any size, and thousands of them.

use crate::provider::{Provider, Script};
use crate::sandbox::Proxy;
use crate::support::{Api, BILLED, sandbox, say, scene};
use serde_json::json;

const MB: usize = 1 << 20;

fn body(model: &str) -> Vec<u8> {
    json!({"model": model, "max_tokens": 8, "messages": [{"role": "user", "content": "Say hello."}]})
        .to_string()
        .into_bytes()
}

#[test]
fn names_are_cut_to_one_length_wherever_they_are_kept() {
    let provider = Provider::start();
    let sandbox = sandbox().providers(&provider).set("TOKENPAK_LOG", "debug");
    assert_eq!(sandbox.run(&["debug", "on"]).status, 0);
    let mut proxy = sandbox.serve();
    let post = |n: usize, size: usize| {
        // Two bytes a character, behind one that shifts them.
        let model = format!("{n:03}{}", "é".repeat(size / 2));
        let long = format!("{n:03}{}", "p".repeat(size.min(10_000)));
        let mut headers = Api::Messages.headers();
        headers[0] = ("user-agent", &long);
        headers.extend([("x-tokenpak-project", &*long), (&*long, "x")]);
        let answer = proxy.post("/v1/messages", &headers, &body(&model));
        assert_eq!(answer.status(), 200, "{}", answer.text());
    };
    post(0, MB);
    let before = proxy.figure("RssAnon");
    (1..50).for_each(|n| post(n, MB));
    sandbox.rows(50);
    let page = proxy.ask("GET", "/metrics", &[], b"");
    let grown = proxy.figure("RssAnon").saturating_sub(before) / 1024;
    say(&format!(
        "50 models with names of 1 MB: {grown} MB more, /metrics {} KB",
        page.body.len() / 1024
    ));
    assert!(page.body.len() < 50 * 9 * 400, "{} bytes of metrics", page.body.len());
    assert!(grown < 24, "{grown} MB");
    let longest = "max(length(CAST(model AS BLOB))), max(length(CAST(project AS BLOB))), \
                   max(length(CAST(client AS BLOB)))";
    assert_eq!(sandbox.ask(&format!("SELECT {longest} FROM requests")), "199|200|200");
    let longest = "max(length(CAST(model AS BLOB))), max(length(CAST(project AS BLOB)))";
    assert_eq!(sandbox.ask(&format!("SELECT {longest} FROM parts")), "199|200");
    assert_eq!(proxy.stop(), 0);
    let log = proxy.output().1;
    assert!(log.lines().all(|line| line.len() < 700), "a line of the log is too long");
    let traces = sandbox.run(&["trace", "-n", "100", "--json"]).stdout;
    assert!(traces.len() < 50 * 3000, "{} bytes of traces", traces.len());
}

#[test]
fn names_in_answers_are_cut_as_well() {
    let (provider, sandbox, proxy) = scene();
    for size in [10_000, MB] {
        let long = "m".repeat(size);
        let answer = json!({"type": "message", "role": "assistant", "model": long, "stop_reason": long,
            "content": [{"type": "text", "text": "hello"}], "usage": {"input_tokens": 3, "output_tokens": 2}});
        provider.next(Script::default().body("application/json", answer.to_string()));
        let request =
            json!({"max_tokens": 8, "messages": [{"role": "user", "content": "Say hello."}]});
        let headers = Api::Messages.headers();
        let answer = proxy.post("/v1/messages", &headers, request.to_string().as_bytes());
        assert_eq!(answer.status(), 200);
        let row = sandbox.row(&answer.head.request_id());
        assert!(row.text("model").len() <= 200, "{}", row.text("model").len());
        let id = answer.head.request_id();
        let trace = sandbox.run(&["trace", "--id", &id, "--json"]).stdout;
        assert!(trace.len() < 3000, "{} bytes", trace.len());
    }
}

/// A request with a name of its own: its target, its headers and its body.
type Named = fn(&str) -> (String, Vec<(&'static str, String)>, Vec<u8>);

fn key() -> Vec<(&'static str, String)> {
    let headers = Api::Messages.headers().into_iter();
    headers.map(|(name, value)| (name, value.to_owned())).collect()
}

/// Every place where a client puts a name.
const KINDS: &[(&str, Named)] = &[
    ("model", |name| ("/v1/messages".into(), key(), body(name))),
    ("project", |name| {
        (
            "/v1/messages".into(),
            [key(), vec![("x-tokenpak-project", name.into())]].concat(),
            body("m"),
        )
    }),
    ("project in the path", |name| (format!("/p/{name}/v1/messages"), key(), body("m"))),
    ("client", |name| {
        (
            "/v1/messages".into(),
            [key(), vec![("user-agent", format!("{name}/1.0"))]].concat(),
            body("m"),
        )
    }),
    ("provider", |name| {
        (
            "/v1/messages".into(),
            [key(), vec![("x-tokenpak-provider", name.into())]].concat(),
            body("m"),
        )
    }),
    ("provider in the path", |name| (format!("/{name}/v1/messages"), key(), body("m"))),
    ("mode", |name| {
        ("/v1/messages".into(), [key(), vec![("x-tokenpak-mode", name.into())]].concat(), body("m"))
    }),
    ("path", |name| (format!("/v1/files/{name}"), key(), Vec::new())),
    ("credential", |name| {
        let headers = vec![("x-api-key", name.to_owned()), ("anthropic-version", "1".to_owned())];
        ("/v1/messages".into(), headers, body("m"))
    }),
    ("model in the path", |name| {
        let target = format!("/v1beta/models/{name}:generateContent");
        (target, vec![("x-goog-api-key", "dummy".to_owned())], Api::Gemini.small(false))
    }),
];

/// So many requests of a kind, each with another name, on one connection.
fn flood(proxy: &Proxy, named: Named, names: std::ops::Range<usize>) {
    let mut client = proxy.connect();
    for n in names {
        let (target, headers, body) = named(&format!("name-{n}-{}", "y".repeat(150)));
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, &**value)).collect();
        client.request(("POST", &target), &headers, &body);
        let answer = client.answer();
        assert!(answer.clean, "{target}");
        if answer.head.header("connection").as_deref() == Some("close") {
            client = proxy.connect();
        }
    }
}

#[test]
fn thousands_of_names_leave_metrics_and_memory_as_they_were() {
    let (provider, sandbox, proxy) = scene();
    for script in [Script::default().billed(BILLED), Script::status(404)] {
        provider.always(script);
        for (what, named) in KINDS {
            flood(&proxy, *named, 0..400);
            let before = proxy.figure("RssAnon");
            flood(&proxy, *named, 400..1200);
            provider.forget();
            let grown = proxy.figure("RssAnon").saturating_sub(before);
            assert!(grown < 6 * 1024, "{what}: {grown} KB for 800 names");
        }
    }
    let page = proxy.ask("GET", "/metrics", &[], b"").text();
    let samples = page.lines().filter(|line| !line.starts_with('#')).count();
    say(&format!("24,000 names: {samples} samples, {} KB of metrics", page.len() / 1024));
    // 50 models and the others of three providers: seven sums and some status classes each.
    assert!(samples <= 153 * 9 + 80, "{samples} samples");
    assert!(page.len() < 1024 * 1024 / 2, "{} bytes", page.len());
    let learnt: usize = sandbox.ask("SELECT count(*) FROM calibration").parse().unwrap();
    assert!(learnt <= 1000, "{learnt} models are learnt");
    let kept: usize = sandbox.ask("SELECT count(*) FROM traces").parse().unwrap();
    assert!(kept <= 100, "{kept} traces");
}
