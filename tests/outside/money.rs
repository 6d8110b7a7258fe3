//! One bill, computed by hand, and every surface that shows it.

use crate::provider::{Billed, End, Provider, Script};
use crate::sandbox::{Proxy, Sandbox};
use crate::support::{Api, sandbox, scene};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

/// Of each sum of the calibration this part fades with a request.
const FADE: i64 = 72;

/// Requests and what they must have cost and saved, in nano-dollars.
struct Bill<'a> {
    provider: &'a Provider,
    sandbox: &'a Sandbox,
    proxy: &'a Proxy,
    lines: Vec<Line>,
}

/// A request as it must stand everywhere. `None`: unknown.
#[derive(Clone, Debug, Default)]
struct Line {
    model: String,
    before: i64,
    after: i64,
    input: Option<i64>,
    output: Option<i64>,
    cost: Option<i64>,
    saved: Option<i64>,
    is_error: bool,
}

fn billed(input: u64, cache_read: u64, cache_write: u64, output: u64) -> Billed {
    Billed { input, cache_read, cache_write, cache_write_1h: 0, output, reasoning: 0 }
}

impl Bill<'_> {
    /// Sends one request and writes down what is known by hand; `saved` is told how many of our
    /// tokens were cut.
    fn line(
        &mut self,
        (api, model, body): (Api, &str, &[u8]),
        script: Script,
        (cost, basis): (Option<i64>, &str),
        saved: impl Fn(i64) -> i64,
    ) -> i64 {
        let mut body: Value = serde_json::from_slice(body).unwrap();
        body["model"] = model.into();
        let bill = script.billed;
        let (is_error, is_cut) =
            (script.status >= 400 || script.cut.is_some(), script.cut.is_some());
        self.provider.next(script);
        let stream = body["stream"] == true;
        let body = body.to_string().into_bytes();
        let answer = self.proxy.post(api.target(stream), &api.headers(), &body);
        let head = &answer.head;
        let (before, after) = (head.tokens("before"), head.tokens("after"));
        assert_eq!(head.tokens("saved"), before - after);
        let row = self.sandbox.row(&head.request_id());
        let known = bill.filter(|_| !is_error || is_cut);
        let line = Line {
            model: model.to_owned(),
            before,
            after,
            input: known.map(|bill| bill.input as i64),
            output: known.filter(|_| !is_cut).map(|bill| bill.output as i64),
            cost,
            saved: cost.map(|_| saved(before - after)),
            is_error,
        };
        let column = |name| row.number(name);
        assert_eq!((column("tokens_before"), column("tokens_after")), (Some(before), Some(after)));
        assert_eq!((column("input_tokens"), column("output_tokens")), (line.input, line.output));
        assert_eq!(
            (column("cost_nano"), column("saved_nano")),
            (line.cost, line.saved),
            "{line:?}"
        );
        assert_eq!(row.text("basis"), basis, "{line:?}");
        self.lines.push(line);
        after
    }

    fn sum(&self, value: impl Fn(&Line) -> Option<i64>) -> i64 {
        self.lines.iter().filter_map(value).sum()
    }
}

fn nothing(cut: i64) -> i64 {
    assert_eq!(cut, 0, "nothing was to be cut");
    0
}

/// Rates are nano-dollars per token: dollars per million tokens times a thousand.
#[test]
fn every_surface_agrees_with_the_bill_by_hand() {
    let provider = Provider::start();
    let own = r#"{"prices": {"house-llama": {"input": 0.2, "output": 0.4, "cache_read": 0.05}}}"#;
    let sandbox = sandbox().providers(&provider).config(own).set("TOKENPAK_STATS_FOOTER", "1");
    let proxy = sandbox.serve();
    let mut bill =
        Bill { provider: &provider, sandbox: &sandbox, proxy: &proxy, lines: Vec::new() };
    let script = |billed| Script::default().billed(billed);
    let (small, flow) = (Api::Messages.small(false), Api::Messages.small(true));

    // Cached, written for five minutes and for an hour: 1,000 at $3, 6,000 at $0.30, 1,500 at
    // $3.75, 500 at $6, 77 of output at $15.
    let cached = Billed { cache_write_1h: 500, ..billed(9000, 6000, 2000, 77) };
    let cost = 1000 * 3000 + 6000 * 300 + 1500 * 3750 + 500 * 6000 + 77 * 15_000;
    let sonnet = (Api::Messages, "claude-sonnet-4-5-20250929", &small[..]);
    bill.line(sonnet, script(cached), (Some(cost), "usage"), nothing);
    // The same streamed.
    let streamed = (Api::Messages, "claude-sonnet-4-5", &flow[..]);
    bill.line(streamed, script(cached), (Some(cost), "usage"), nothing);
    // Over 200,000 tokens every one is dearer.
    let tier = 200_001 * 6000 + 10 * 22_500;
    bill.line(streamed, script(billed(200_001, 0, 0, 10)), (Some(tier), "usage"), nothing);
    // No price, and a price of one's own: 900 at $0.20, 100 at $0.05, 10 at $0.40.
    let chat = Api::Chat.small(true);
    bill.line(
        (Api::Chat, "local-llama", &chat),
        script(billed(1000, 0, 0, 10)),
        (None, "usage"),
        nothing,
    );
    let cost = 900 * 200 + 100 * 50 + 10 * 400;
    bill.line(
        (Api::Chat, "house-llama", &chat),
        script(billed(1000, 100, 0, 10)),
        (Some(cost), "usage"),
        nothing,
    );
    // A failure, and an answer that breaks off.
    bill.line(sonnet, Script::status(529), (None, "estimate"), nothing);
    let broken = Script { billed: Some(billed(700, 0, 0, 9)), ..Script::cut(6, End::Reset) };
    bill.line(streamed, broken, (None, "usage"), nothing);

    // Cut prompts. Anthropic's older tokenizer starts at 1.18 billed tokens for one of ours, here at
    // $5. The cut lies behind the system prompt, in the second half.
    let large = Api::Messages.large(true);
    let opus = (Api::Messages, "claude-opus-4-5", &large[..]);
    let plain = script(billed(12_000, 0, 0, 20));
    let cost = 12_000 * 5000 + 20 * 25_000;
    bill.line(opus, plain, (Some(cost), "estimate"), |cut| some(cut) * 5900);
    // Half of it read: the cut is in what is written, at $6.25.
    let cost = 6000 * 500 + 6000 * 6250 + 20 * 25_000;
    let half = script(billed(12_000, 6000, 6000, 20));
    bill.line(opus, half, (Some(cost), "estimate"), |cut| some(cut) * 7375);
    // All of it read, at $0.50.
    let read = script(billed(12_000, 12_000, 0, 20));
    bill.line(opus, read, (Some(12_000 * 500 + 20 * 25_000), "estimate"), |cut| some(cut) * 590);
    // OpenAI's tokens are ours.
    let large_chat = Api::Chat.large(true);
    let gpt = (Api::Chat, "gpt-4o", &large_chat[..]);
    let cost = 10_000 * 2500 + 10 * 10_000;
    bill.line(gpt, script(billed(10_000, 0, 0, 10)), (Some(cost), "estimate"), |cut| {
        some(cut) * 2500
    });

    calibrate(&mut bill);
    compare(&bill);
}

#[track_caller]
fn some(cut: i64) -> i64 {
    assert!(cut > 1000, "a large part was to be cut, not {cut}");
    cut
}

/// Twenty requests teach that this model bills 13 tokens where we count 10; then one is cut.
fn calibrate(bill: &mut Bill) {
    let model = "claude-haiku-4-5";
    let dense = Api::Messages.dense(false);
    let (mut billed_sum, mut counted_sum) = (0, 0);
    for _ in 0..20 {
        // The prompt's size is known after the first request; here any size will do.
        let script = Script::default().billed(billed(23_000, 0, 0, 1));
        let cost = 23_000 * 1000 + 5000;
        let after =
            bill.line((Api::Messages, model, &dense), script, (Some(cost), "usage"), nothing);
        billed_sum = billed_sum - billed_sum / FADE + 23_000;
        counted_sum = counted_sum - counted_sum / FADE + after;
    }
    // A row more, so that what the twentieth taught is in force.
    let other = (Api::Chat, "local-llama", &Api::Chat.small(true)[..]);
    bill.line(other, Script::default().billed(billed(10, 0, 0, 1)), (None, "usage"), nothing);
    let sql = "SELECT requests, billed_tokens, counted_tokens FROM calibration WHERE model = ?";
    let learnt = open(bill.sandbox).query_row(sql, [model], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
    });
    assert_eq!(learnt.unwrap(), (20, billed_sum, counted_sum));

    let large = Api::Messages.large(false);
    let script = Script::default().billed(billed(15_000, 0, 0, 1));
    let cost = 15_000 * 1000 + 5000;
    bill.line((Api::Messages, model, &large), script, (Some(cost), "calibrated"), |cut| {
        // To the nearest nano-dollar.
        let pico = i128::from(some(cut)) * 1_000_000 * i128::from(billed_sum);
        let unit = i128::from(counted_sum) * 1000;
        ((pico + unit / 2) / unit) as i64
    });
}

fn open(sandbox: &Sandbox) -> Connection {
    Connection::open_with_flags(sandbox.database(), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

/// The views that people query, and the report.
fn compare(bill: &Bill) {
    let total = Line {
        before: bill.sum(|line| Some(line.before)),
        after: bill.sum(|line| Some(line.after)),
        input: Some(bill.sum(|line| line.input)),
        output: Some(bill.sum(|line| line.output)),
        cost: Some(bill.sum(|line| line.cost)),
        saved: Some(bill.sum(|line| line.saved)),
        ..Line::default()
    };
    let errors = bill.lines.iter().filter(|line| line.is_error).count();
    for view in [
        "daily",
        "hourly",
        "by_model",
        "by_provider",
        "by_project",
        "by_client",
        "by_mode",
        "by_status",
    ] {
        let sql = format!(
            "SELECT sum(requests), sum(errors), sum(tokens_before), sum(tokens_after), sum(tokens_saved),
             sum(input_tokens), sum(output_tokens), sum(round(cost_usd * 1e9)), sum(round(saved_usd * 1e9)) FROM {view}"
        );
        let sums = open(bill.sandbox).query_row(&sql, [], |row| {
            (0..9)
                .map(|column| row.get::<_, f64>(column).map(|sum| sum as i64))
                .collect::<Result<Vec<_>, _>>()
        });
        let want = [
            bill.lines.len() as i64,
            errors as i64,
            total.before,
            total.after,
            total.before - total.after,
            total.input.unwrap(),
            total.output.unwrap(),
            total.cost.unwrap(),
            total.saved.unwrap(),
        ];
        assert_eq!(sums.unwrap(), want, "{view}");
    }
    let json: Value = serde_json::from_str(&bill.sandbox.run(&["stats", "--json"]).stdout).unwrap();
    let all = &json["windows"][3];
    assert_eq!((&all["requests"], &all["errors"]), (&json!(bill.lines.len()), &json!(errors)));
    assert_eq!(
        (&all["tokens_before"], &all["tokens_after"]),
        (&json!(total.before), &json!(total.after))
    );
    let nano = |name: &str| (all[name].as_f64().unwrap() * 1e9).round() as i64;
    assert_eq!(
        (Some(nano("cost_usd")), Some(nano("saved_usd"))),
        (total.cost, total.saved),
        "{json}"
    );
    compare_traces(bill);
    compare_metrics(bill, &total, errors);
    let by_model = "SELECT sum(cost_nano) FROM requests WHERE model = 'claude-opus-4-5'";
    let opus: i64 = open(bill.sandbox).query_row(by_model, [], |row| row.get(0)).unwrap();
    let by_hand = bill.sum(|line| line.cost.filter(|_| line.model == "claude-opus-4-5"));
    assert_eq!(opus, by_hand);
}

/// Request by request.
fn compare_traces(bill: &Bill) {
    let output = bill.sandbox.run(&["trace", "-n", "100", "--json"]).stdout;
    let traced: Value = serde_json::from_str(&output).unwrap();
    let traced = traced["requests"].as_array().unwrap();
    assert_eq!(traced.len(), bill.lines.len());
    for (traced, line) in traced.iter().zip(&bill.lines) {
        let nano = |name: &str| traced[name].as_f64().map(|usd| (usd * 1e9).round() as i64);
        let number = |name: &str| traced[name].as_i64();
        assert_eq!(traced["model"], line.model);
        assert_eq!(
            (number("tokens_before"), number("tokens_after")),
            (Some(line.before), Some(line.after))
        );
        assert_eq!((number("input_tokens"), number("output_tokens")), (line.input, line.output));
        assert_eq!((nano("cost_usd"), nano("saved_usd")), (line.cost, line.saved), "{traced}");
    }
}

/// What Prometheus would add up; this proxy has served nothing else.
fn compare_metrics(bill: &Bill, total: &Line, errors: usize) {
    let answer = bill.proxy.ask("GET", "/metrics", &[], b"");
    let text = String::from_utf8(answer.body).unwrap();
    let sum = |name: &str, label: &str| -> f64 {
        let samples = text.lines().filter(|line| line.starts_with(&format!("{name}{{")));
        let samples = samples.filter(|line| line.contains(label));
        samples.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    };
    let tokens = |name: &str| sum(&format!("tokenpak_{name}_tokens_total"), "") as i64;
    let before = sum("tokenpak_prompt_tokens_before_total", "") as i64;
    let after = sum("tokenpak_prompt_tokens_after_total", "") as i64;
    assert_eq!((before, after), (total.before, total.after), "{text}");
    let billed = (Some(tokens("input")), Some(tokens("output")));
    assert_eq!(billed, (total.input, total.output), "{text}");
    let nano = |name: &str| Some((sum(name, "") * 1e9).round() as i64);
    let money = (nano("tokenpak_cost_usd_total"), nano("tokenpak_saved_usd_total"));
    assert_eq!(money, (total.cost, total.saved), "{text}");
    // A cut answer began with 200.
    let cut = bill.lines.iter().filter(|line| line.is_error && line.input.is_some()).count();
    let fine = bill.lines.len() - errors + cut;
    let requests = |label: &str| sum("tokenpak_requests_total", label) as usize;
    assert_eq!(requests("status=\"2xx\""), fine, "{text}");
    assert_eq!(requests(""), bill.lines.len(), "{text}");
}

#[test]
fn headers_say_what_was_done_and_are_not_sent_on() {
    let (provider, sandbox, proxy) = scene();
    for api in Api::ALL {
        for stream in [false, true] {
            let mut headers = api.headers();
            headers.push(("x-tokenpak-project", "shop"));
            headers.push(("x-tokenpak-footer", "on"));
            headers.push(("X-Tokenpak-Mode", "off"));
            let answer = proxy.post(api.target(stream), &headers, &api.large(stream));
            let head = &answer.head;
            assert!(head.tokens("before") > 1000 && head.tokens("saved") == 0, "{api:?}");
            assert_eq!(head.tokens("before"), head.tokens("after"));
            assert_eq!(head.header("x-tokenpak-skip").as_deref(), Some("off"));
            assert_eq!(head.request_id().len(), 16);
            let sent = provider.last();
            assert!(sent.headers().iter().all(|(name, _)| !name.starts_with("x-tokenpak-")));
            assert_eq!(sent.body, api.large(stream), "mode off changes nothing");
            assert_eq!(sandbox.row(&head.request_id()).text("project"), "shop");
            // In the path, for clients that can set nothing but a base URL.
            let target = format!("/p/garden{}", api.target(stream));
            // Another conversation: with compression off, nothing of this one is changed.
            let body = String::from_utf8(api.large(stream)).unwrap();
            let body = body.replace("List the open issues.", "List them.").into_bytes();
            let answer = proxy.post(&target, &api.headers(), &body);
            assert!(
                answer.head.tokens("saved") > 1000
                    && answer.head.header("x-tokenpak-skip").is_none()
            );
            assert_eq!(provider.last().target(), api.target(stream));
            assert_eq!(sandbox.row(&answer.head.request_id()).text("project"), "garden");
        }
    }
}

#[test]
fn failures_of_our_own_bear_the_headers_too() {
    // Nobody listens there.
    let home = sandbox().set("TOKENPAK_PROXY_PROVIDERS_ANTHROPIC_URL", "http://127.0.0.1:9");
    let proxy = home.serve();
    let answer = proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.large(false));
    assert_eq!(answer.status(), 502, "{}", answer.text());
    assert!(answer.clean && answer.head.header("x-tokenpak-error").is_some());
    assert!(answer.head.tokens("before") > 1000 && answer.head.tokens("saved") > 1000);
    let row = home.row(&answer.head.request_id());
    assert_eq!((row.text("footer"), row.number("cost_nano")), ("status", None));
}

#[test]
fn prices_says_what_applies_and_why() {
    let home = sandbox().config(r#"{"prices": {"Local-Llama": {"input": 0, "output": 0.5}}}"#);
    let prices = |model: &str| home.run(&["prices", model]);
    let output = prices("us.anthropic.claude-sonnet-4-5-20250929-v1:0");
    assert_eq!((output.status, output.stderr.as_str()), (0, ""));
    for part in [
        "the price of claude-sonnet-4-5 (at anthropic, list prices of 2026-",
        "input $3.00, output $15.00, cache read $0.30, cache write $3.75, cache write for an hour $6.00",
        "over 200,000 input tokens",
        "a counted token is 1.180 billed ones (start value, nothing learnt yet)",
    ] {
        assert!(output.stdout.contains(part), "{part} is not in {}", output.stdout);
    }
    let output = prices("local-llama-70b");
    assert!(
        output.stdout.contains("the price of local-llama (configuration)"),
        "{}",
        output.stdout
    );
    // Another version is another model, and not nearly the same one.
    let output = prices("claude-opus-5-9");
    assert_eq!((output.status, output.stderr.as_str()), (1, ""));
    assert!(output.stdout.starts_with("claude-opus-5-9: no price; "), "{}", output.stdout);
    let table = home.run(&["prices"]);
    assert_eq!(table.status, 0);
    assert!(
        table
            .stdout
            .lines()
            .any(|line| line.starts_with("local-llama ") && line.contains(" configured "))
    );
    assert!(table.stdout.lines().all(|line| line.len() <= 100), "{}", table.stdout);
    let bad = sandbox().config(r#"{"prices": {"m": {"input": 1}}}"#).run(&["prices"]);
    assert_eq!(bad.status, 78);
    assert!(bad.stderr.contains("prices: m: needs both input and output"), "{}", bad.stderr);
}

#[test]
fn spending_without_a_price_is_loud() {
    let provider = Provider::start();
    let sandbox = sandbox().providers(&provider);
    let proxy = sandbox.serve();
    let ask = |model: &str| {
        let mut body: Value = serde_json::from_slice(&Api::Chat.small(false)).unwrap();
        body["model"] = model.into();
        let body = body.to_string().into_bytes();
        let answer = proxy.post("/v1/chat/completions", &Api::Chat.headers(), &body);
        sandbox.row(&answer.head.request_id());
    };
    let says = |arguments: &[&str]| {
        let output = sandbox.run(&[&["stats", "-q"], arguments].concat());
        (output.status, output.stdout.lines().next().unwrap_or_default().to_owned())
    };
    ask("gpt-4o");
    assert_eq!(says(&["--alert-cost", "100"]), (0, String::new()));
    assert_eq!(says(&["--alert-unpriced"]), (0, String::new()));
    ask("house-model");
    let want = "ALERT 1 request without a known price, most of house-model; set it: ";
    for arguments in
        [&["--alert-cost", "100"][..], &["--alert-unpriced"], &["--alert-unpriced", "--daily"]]
    {
        let (status, line) = says(arguments);
        assert!(status == 1 && line.starts_with(want), "{arguments:?}: {status} {line}");
    }
    assert_eq!(says(&["--alert-errors", "50"]), (0, String::new()), "that was not asked");
    let json = sandbox.run(&["stats", "--json", "--alert-unpriced"]).stdout;
    let json: Value = serde_json::from_str(&json).unwrap();
    let alert = json!({"alert": "unpriced", "model": "house-model", "requests": 1});
    assert_eq!(json["alerts"], json!([alert]));
    let metrics = proxy.ask("GET", "/metrics", &[], b"").text();
    let line = |model: &str, count: u32| {
        let labels = format!("provider=\"openai\",model=\"{model}\"");
        metrics.contains(&format!("tokenpak_unpriced_requests_total{{{labels}}} {count}\n"))
    };
    assert!(line("house-model", 1) && line("gpt-4o", 0), "{metrics}");
}
