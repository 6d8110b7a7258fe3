//! The proxy's own pages: /health, /metrics and /stats.

use crate::provider::{Gate, Provider, Script};
use crate::sandbox::{Client, Proxy, wait};
use crate::support::{Api, BILLED, lacks, sandbox, scene};
use serde_json::Value;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

fn metrics(proxy: &Proxy) -> String {
    let answer = proxy.ask("GET", "/metrics", &[], b"");
    assert_eq!(answer.status(), 200);
    assert_eq!(
        answer.head.header("content-type").unwrap(),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    answer.text()
}

fn value(text: &str, sample: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {sample} in\n{text}")).parse().unwrap()
}

/// A request of each format, one of them refused.
fn busy(provider: &Provider, proxy: &Proxy) -> i64 {
    provider.always(Script::default().billed(BILLED));
    let mut before = 0;
    for api in Api::ALL {
        before +=
            proxy.post(api.target(true), &api.headers(), &api.large(true)).head.tokens("before");
    }
    provider.next(Script::status(529));
    let (target, headers) = (Api::Chat.target(false), Api::Chat.headers());
    before + proxy.post(target, &headers, &Api::Chat.small(false)).head.tokens("before")
}

#[test]
fn metrics_count_what_was_served() {
    let (provider, _sandbox, proxy) = scene();
    let before = busy(&provider, &proxy) as f64;
    let text = wait("the last request to be counted, and to reach the disk", || {
        Some(metrics(&proxy))
            .filter(|text| text.contains("5xx") && value(text, "tokenpak_in_flight") == 0.0)
            .filter(|text| value(text, "tokenpak_db_bytes") > 10_000.0)
    });
    let sample = |name: &str| value(&text, name);
    let chat = "{provider=\"openai\",model=\"gpt-4o\"";
    assert_eq!(sample(&format!("tokenpak_requests_total{chat},status=\"2xx\"}}")), 1.0);
    assert_eq!(sample(&format!("tokenpak_requests_total{chat},status=\"5xx\"}}")), 1.0);
    let sum = |name: &str| -> f64 {
        let lines = text.lines().filter(|line| line.starts_with(&format!("{name}{{")));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    };
    assert_eq!(sum("tokenpak_requests_total"), 5.0);
    assert_eq!(sum("tokenpak_prompt_tokens_before_total"), before);
    assert!(sum("tokenpak_prompt_tokens_after_total") < before);
    assert_eq!(sum("tokenpak_input_tokens_total"), 4.0 * BILLED.input as f64);
    assert_eq!(sum("tokenpak_output_tokens_total"), 4.0 * BILLED.output as f64);
    assert!(sum("tokenpak_cost_usd_total") > 0.0 && sum("tokenpak_saved_usd_total") > 0.0);
    assert_eq!(sum("tokenpak_skipped_total"), 1.0);
    assert_eq!(sample("tokenpak_proxy_seconds_count"), 5.0);
    assert_eq!(sample("tokenpak_upstream_seconds_count"), 5.0);
    assert_eq!(
        text.lines().filter(|line| line.starts_with("tokenpak_proxy_seconds_bucket")).count(),
        9
    );
    assert_eq!(sample("tokenpak_db_write_errors_total"), 0.0);
    assert!(sample("process_resident_memory_bytes") > 1e6);
    assert!(sample("process_start_time_seconds") > 1.7e9);
    let version = concat!("tokenpak_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}");
    assert_eq!(sample(version), 1.0);
    // Looking is not a request, and the start does not move.
    let again = metrics(&proxy);
    assert_eq!(value(&again, "process_start_time_seconds"), sample("process_start_time_seconds"));
    assert!(!provider.seen().iter().any(|seen| seen.target() == "/metrics"));
}

#[test]
fn metrics_are_what_prometheus_wants() {
    let (provider, _sandbox, proxy) = scene();
    check(&metrics(&proxy));
    busy(&provider, &proxy);
    // Names come from clients.
    let odd = r#"{"model": "a\"b\\c\nd", "messages": [{"role": "user", "content": "hi"}]}"#;
    for n in 0..60 {
        proxy.post(
            "/v1/chat/completions",
            &Api::Chat.headers(),
            odd.replace('a', &format!("m{n}")).as_bytes(),
        );
    }
    let text = wait("the names to run out", || {
        Some(metrics(&proxy)).filter(|text| text.contains("model=\"other\""))
    });
    let requests = text.lines().filter(|line| line.starts_with("tokenpak_requests_total{"));
    let label = |line: &'_ str| line.split("model=").nth(1).map(str::to_owned);
    let mut models: Vec<String> = requests.filter_map(label).collect();
    models.sort_unstable();
    models.dedup();
    // Four of them before, one with two classes of status.
    assert_eq!(models.len(), 52, "{models:#?}");
    check(&text);

    fn check(text: &str) {
        let mut command = Command::new("promtool");
        command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let Ok(mut child) = command.stderr(Stdio::piped()).spawn() else {
            return lacks("metrics_are_what_prometheus_wants", "promtool is not here");
        };
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let said =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.trim().is_empty(), "{said}\n{text}");
    }
}

/// The real Prometheus scrapes it and answers a question about it.
#[test]
fn prometheus_scrapes_it() {
    let (provider, sandbox, proxy) = scene();
    busy(&provider, &proxy);
    let target = format!("127.0.0.1:{}", proxy.port());
    let config = format!(
        "scrape_configs:\n  - job_name: tokenpak\n    scrape_interval: 1s\n    static_configs: \
         [{{ targets: [\"{target}\"] }}]\n"
    );
    let config = sandbox.write("prometheus.yml", config);
    let mut command = Command::new("prometheus");
    command.arg(format!("--config.file={}", config.display()));
    command.arg(format!("--storage.tsdb.path={}", sandbox.home().join("tsdb").display()));
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    command.arg(format!("--web.listen-address=127.0.0.1:{port}")).current_dir(sandbox.home());
    let Ok(child) = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn() else {
        return lacks("prometheus_scrapes_it", "prometheus is not here");
    };
    let _child = Killed(child);
    wait("prometheus to listen", || TcpStream::connect(("127.0.0.1", port)).ok());
    wait("a scrape", || {
        let mut client = Client::connect(port);
        let query = "/api/v1/query?query=sum(tokenpak_requests_total)";
        client.request(("GET", query), &[], b"");
        let answer = client.answer();
        // Until it is ready it says so with another status.
        let value = (answer.status() == 200)
            .then(|| answer.json()["data"]["result"][0]["value"][1].clone())?;
        (value == "5").then_some(())
    });
}

struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_page_and_its_json_are_the_report() {
    let (provider, sandbox, proxy) = scene();
    busy(&provider, &proxy);
    sandbox.rows(5);
    let page = proxy.ask("GET", "/stats", &[], b"");
    assert_eq!(
        (page.status(), page.head.header("content-type").unwrap().as_str()),
        (200, "text/html; charset=utf-8")
    );
    let policy = page.head.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'unsafe-inline'"), "{policy}");
    assert_eq!(page.head.header("cache-control").unwrap(), "no-store");
    let html = page.text();
    assert!(html.contains("claude-sonnet-4-5") && html.contains("<svg"), "{html}");
    assert!(!html.contains("<script") && html.len() <= 12 * 1024, "{} bytes", html.len());
    let mut client = proxy.connect();
    client.request(("HEAD", "/stats"), &[], b"");
    assert_eq!(client.head().header("content-length").unwrap(), page.body.len().to_string());
    // Had there been a body, it would be taken for the next answer.
    client.request(("GET", "/health"), &[], b"");
    assert_eq!(client.answer().json()["status"], "ok");

    let json = proxy.ask("GET", "/stats", &[("accept", "application/json")], b"");
    let mut here: Value = serde_json::from_str(&json.text()).unwrap();
    let mut there: Value = serde_json::from_str(&sandbox.run(&["stats", "--json"]).stdout).unwrap();
    for report in [&mut here, &mut there] {
        report["at"].take();
    }
    assert_eq!(here, there);
    assert!(!provider.seen().iter().any(|seen| seen.target() == "/stats"));
}

#[test]
fn pages_that_are_off_go_upstream() {
    let provider = Provider::start();
    let sandbox = sandbox().providers(&provider).set("TOKENPAK_PROXY_ENDPOINTS", "off");
    let proxy = sandbox.serve();
    for path in ["/metrics", "/stats"] {
        provider.next(Script::status(418));
        // A key of one provider's alone: others would be OpenAI's only on its paths.
        let headers = [("authorization", "Bearer sk-proj-test")];
        assert_eq!(proxy.ask("GET", path, &headers, b"").status(), 418, "{path}");
    }
}

#[test]
fn health_is_503_while_draining_and_tells_of_a_failing_database() {
    let (provider, _sandbox, proxy) = scene();
    let health = proxy.ask("GET", "/health", &[], b"");
    assert_eq!(health.status(), 200);
    let body = health.json();
    assert_eq!((&body["status"], &body["db"]), (&"ok".into(), &"ok".into()));
    assert!(body["uptime_s"].is_u64() && body["version"] == env!("CARGO_PKG_VERSION"), "{body}");

    let gate = Gate::default();
    provider.next(Script::gated(4, &gate));
    let mut stream = proxy.connect();
    stream.request(("POST", "/v1/messages"), &Api::Messages.headers(), &Api::Messages.small(true));
    provider.wait_seen(1);
    // A question that has begun is let in; new connections are not.
    let mut late = proxy.connect();
    late.send("GET /health HTTP/1.1\r\n");
    // One thread reads all: an answer to somebody later means that this was read.
    proxy.ask("GET", "/", &[], b"");
    proxy.terminate();
    wait("the door to close", || std::net::TcpStream::connect(("127.0.0.1", proxy.port())).err());
    late.send("Host: localhost\r\n\r\n");
    let answer = late.answer();
    assert_eq!((answer.status(), &answer.json()["status"]), (503, &"draining".into()));
    gate.open_all();

    let broken = sandbox().set("TOKENPAK_DB", "/proc/tokenpak/monitor.db");
    let proxy = broken.serve();
    wait("the database to fail", || {
        let body = proxy.ask("GET", "/health", &[], b"");
        (body.status() == 200 && body.json()["db"] == "failing").then_some(())
    });
    assert!(value(&metrics(&proxy), "tokenpak_db_write_errors_total") >= 1.0);
    assert_eq!(proxy.ask("GET", "/stats", &[], b"").status(), 503);
}
