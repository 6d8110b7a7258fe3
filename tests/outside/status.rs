//! `status`: whether it runs, and what it says about itself and the day.

use crate::provider::Provider;
use crate::support::{Api, sandbox, scene};
use serde_json::Value;

#[test]
fn nothing_that_runs_is_3() {
    let sandbox = sandbox().set("TOKENPAK_PORT", "9");
    let output = sandbox.run(&["status"]);
    assert_eq!((output.status, output.stdout.as_str()), (3, ""));
    assert_eq!(
        output.stderr,
        "tokenpak: not running on 127.0.0.1:9; start it with: tokenpak serve\n"
    );
    let output = sandbox.run(&["status", "-q"]);
    assert_eq!((output.status, output.stdout, output.stderr), (3, String::new(), String::new()));
    let output = sandbox.run(&["status", "--json"]);
    assert_eq!((output.status, output.stderr.as_str()), (3, ""));
    let object: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(object["running"], false);
}

#[test]
fn proxy_of_another_home_is_not_taken_for_ours() {
    let other = sandbox();
    let proxy = other.serve();
    let port = proxy.port().to_string();
    let output = sandbox().set("TOKENPAK_PORT", &port).run(&["status"]);
    assert_eq!(output.status, 3);
    assert!(output.stderr.contains("of another one answers on 127.0.0.1:"), "{}", output.stderr);
}

#[test]
fn three_lines_say_how_it_runs_and_what_it_did_today() {
    let (_provider, sandbox, proxy) = scene();
    let large = proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.large(false));
    let small = proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(false));
    sandbox.rows(2);
    let output = sandbox.run(&["status"]);
    assert_eq!((output.status, output.stderr.as_str()), (0, ""));
    let lines: Vec<&str> = output.stdout.lines().collect();
    let first = format!("tokenpak {} running, pid {}, up ", env!("CARGO_PKG_VERSION"), proxy.pid());
    assert!(lines[0].starts_with(&first), "{}", lines[0]);
    assert!(lines[0].ends_with(&format!(", http://127.0.0.1:{}", proxy.port())), "{}", lines[0]);
    assert_eq!(lines[1], "compression: enabled | mode: hybrid");
    let sum = |what| large.head.tokens(what) + small.head.tokens(what);
    let (before, after) = (sum("before"), sum("after"));
    assert!(after < before);
    let today = lines[2].replace(',', "");
    let want = format!("today: 2 requests 0 errors {before} -> {after} prompt tokens (saved ");
    assert!(today.starts_with(&want), "{today}");
    assert_eq!(lines.len(), 3);
    let output = sandbox.run(&["status", "-q"]);
    assert_eq!((output.status, output.stdout, output.stderr), (0, String::new(), String::new()));
}

#[test]
fn flags_of_the_proxy_are_shown_and_not_the_settings_of_this_shell() {
    let sandbox = sandbox();
    let _proxy = sandbox.serve_with(&["--mode", "strict"]);
    let output = sandbox.run(&["status"]).stdout;
    assert!(output.contains("compression: enabled | mode: strict\n"), "{output}");
}

#[test]
fn routes_and_overrides_are_those_of_the_proxy() {
    let (provider, here) = (Provider::start(), sandbox());
    let there = sandbox().set("TOKENPAK_HOME", &here.home().display().to_string());
    let there = there.set("TOKENPAK_PROXY_PROVIDERS_MINE_URL", &provider.url());
    let proxy = there.serve_with(&["--mode", "aggressive", "--no-footer"]);
    let text = here.run(&["status", "--full"]).stdout;
    for part in [
        format!("  mine        {} ", provider.url()),
        format!("TOKENPAK_PROXY_PROVIDERS_MINE_URL={}\n", provider.url()),
        " --mode aggressive\n".to_owned(),
        " --no-footer\n".to_owned(),
        "differs here  mode: hybrid\n".to_owned(),
    ] {
        assert!(text.contains(&part), "{part}:\n{text}");
    }
    let object: Value = serde_json::from_str(&here.run(&["status", "--json"]).stdout).unwrap();
    assert_eq!(object["providers"]["mine"], provider.url());
    assert!(object["differs_here"].as_array().unwrap().contains(&"mode: hybrid".into()));
    // A changed file counts when it has been read.
    here.run(&["config", "set", "proxy.passthrough_url", "https://example.test"]);
    let differs = "passthrough: https://example.test";
    assert!(here.run(&["status", "--full"]).stdout.contains(differs));
    proxy.reload("reloaded");
    let text = here.run(&["status", "--full"]).stdout;
    assert!(text.contains("  passthrough https://example.test ") && !text.contains(differs));
    let same = there.run(&["status", "--full"]).stdout;
    assert!(same.contains("differs here  mode: hybrid\n"), "the flag remains: {same}");
}

#[test]
fn everything_is_shown_when_asked_for() {
    let (_provider, sandbox, proxy) = scene();
    proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.large(false));
    proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(false));
    let mut off = Api::Messages.headers();
    off.push(("x-tokenpak-mode", "off"));
    let other = String::from_utf8(Api::Messages.large(false)).unwrap();
    proxy.post(
        "/v1/messages",
        &off,
        other.replace("List the open issues.", "List them.").as_bytes(),
    );
    sandbox.rows(3);
    let text = sandbox.run(&["status", "--full"]).stdout;
    for part in [
        " | mode: hybrid | level: balanced | threshold: 4,500\n",
        "today, 3 requests (UTC)\n",
        "  compressed                1    ",
        "  passed unchanged          2\n",
        "      below threshold         1\n",
        "      compression off         1\n",
        "  errors                    0\n",
        "  anthropic   http://127.0.0.1:",
        " keys sk-ant-...\n",
        "footer        off; added to 0 of 3 replies (not: off ",
        "config.json (not found, using defaults)\n",
        "TOKENPAK_STATS_FOOTER=0\n",
        "              3 rows, ",
        ", 0 write errors\n",
        "; workers ",
        " of 640, peak ",
    ] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
    let output = sandbox.run(&["status", "--json"]);
    let object: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!((object["running"].as_bool(), &object["schema"]), (Some(true), &1.into()));
    assert_eq!(object["pid"], proxy.pid());
    assert_eq!(object["settings"]["threshold_tokens"], 4500);
    assert_eq!(object["today"]["requests"], 3);
    assert_eq!(object["today"]["prompts"]["compressed"], 1);
    assert_eq!(object["today"]["prompts"]["below-threshold"], 1);
    assert_eq!(object["today"]["footers"]["off"], 3);
    assert_eq!(object["database"]["rows"], 3);
    assert!(object["memory"]["peak_bytes"].as_u64() >= object["memory"]["resident_bytes"].as_u64());
    assert!(object["workers"]["peak"].as_u64().unwrap() >= 1);
}

#[test]
fn secrets_are_not_shown() {
    let provider = Provider::start();
    let sandbox =
        sandbox().providers(&provider).set("TOKENPAK_PROXY_AUTH_TOKEN", "canary-not-a-key");
    let _proxy = sandbox.serve();
    for arguments in [&["status", "--full"][..], &["status", "--json"], &["doctor"]] {
        let output = sandbox.run(arguments);
        assert!(output.status < 2, "{}", output.stderr);
        assert!(!output.stdout.contains("canary"), "{}", output.stdout);
    }
}

#[test]
fn proxy_without_pages_runs_all_the_same() {
    let sandbox = sandbox().set("TOKENPAK_PROXY_ENDPOINTS", "off");
    let _proxy = sandbox.serve();
    let output = sandbox.run(&["status"]);
    assert_eq!(output.status, 0, "{}", output.stderr);
    assert!(output.stdout.contains("compression: enabled | mode: hybrid"), "{}", output.stdout);
    assert_eq!(sandbox.run(&["status", "--full"]).status, 0);
}
