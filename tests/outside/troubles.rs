//! What the log says of providers that cannot be asked: at once, and with a count in place of repetition.

use crate::provider::{Authority, Provider, tls};
use crate::sandbox::{Proxy, Sandbox};
use crate::support::{Api, sandbox};
use std::net::TcpListener;

fn ask(proxy: &Proxy, api: Api) {
    let answer = proxy.post(api.target(false), &api.headers(), &api.small(false));
    assert_eq!(answer.status(), 502, "{}", answer.text());
}

/// The lines about upstreams.
fn told(proxy: &Proxy) -> Vec<String> {
    let log = proxy.output().1;
    log.lines().filter(|line| line.contains("upstream ")).map(str::to_owned).collect()
}

fn at(url: &str, sandbox: Sandbox) -> Sandbox {
    ["ANTHROPIC", "OPENAI"].iter().fold(sandbox, |sandbox, name| {
        sandbox.set(&format!("TOKENPAK_PROXY_PROVIDERS_{name}_URL"), url)
    })
}

#[test]
fn providers_that_cannot_be_reached_are_told_once_and_counted() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    let mut proxy = at(&url, sandbox().set("JOURNAL_STREAM", "8:1")).serve();
    let line = |provider: &str, count: u32| {
        format!(
            "<4>upstream unreachable provider={provider} host=127.0.0.1 \
             error=\"connection refused\" count={count}"
        )
    };
    ask(&proxy, Api::Messages);
    (0..4).for_each(|_| ask(&proxy, Api::Messages));
    ask(&proxy, Api::Chat);
    assert_eq!(proxy.stop(), 0);
    let want = [line("anthropic", 1), line("openai", 1), line("anthropic", 4)];
    assert_eq!(told(&proxy), want, "{}", proxy.output().1);
}

#[test]
fn refused_certificates_are_told_with_their_reason() {
    let provider = Provider::start();
    let port = tls(provider.port(), Authority::new().sign("localhost"));
    let mut proxy = at(&format!("https://localhost:{port}"), sandbox()).serve();
    ask(&proxy, Api::Messages);
    assert_eq!(proxy.stop(), 0);
    let want = "tokenpak: warning: upstream unreachable provider=anthropic host=localhost \
                error=\"its certificate is signed by nobody we trust (unknown issuer); see \
                tls.roots\" count=1";
    assert!(told(&proxy)[0].ends_with(want), "{}", proxy.output().1);
}

#[test]
fn providers_that_do_not_answer_in_time_are_told() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let sandbox = at(&url, sandbox()).set("TOKENPAK_PROXY_FIRST_BYTE_TIMEOUT_S", "1");
    let mut proxy = sandbox.serve();
    let api = Api::Messages;
    assert_eq!(proxy.post(api.target(false), &api.headers(), &api.small(false)).status(), 504);
    assert_eq!(proxy.stop(), 0);
    let want =
        "upstream timeout provider=anthropic host=127.0.0.1 error=\"no answer in time\" count=1";
    assert!(told(&proxy)[0].ends_with(want), "{}", proxy.output().1);
}

/// Clients that leave, and answers of providers, are no trouble of the machine's.
#[test]
fn other_faults_are_not_told_as_such() {
    let (provider, _sandbox, mut proxy) = crate::support::scene();
    provider.next(crate::provider::Script::status(529));
    let api = Api::Messages;
    assert_eq!(proxy.post(api.target(false), &api.headers(), &api.small(false)).status(), 529);
    assert_eq!(proxy.stop(), 0);
    assert_eq!(told(&proxy), [""; 0], "{}", proxy.output().1);
}
