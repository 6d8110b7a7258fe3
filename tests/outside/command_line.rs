//! The verbs as they are typed: what they print, and how they fail.

use crate::provider::Provider;
use crate::sandbox::Output;
use crate::support::{Api, sandbox};
use serde_json::Value;
use std::net::TcpListener;
use std::process::Command;

/// Nothing but one clear line, and the right status.
#[track_caller]
fn fails(output: Output, status: i32, parts: &[&str]) {
    let stderr = &output.stderr;
    assert_eq!(output.status, status, "{stderr}");
    assert_eq!(output.stdout, "");
    assert!(stderr.starts_with("tokenpak: ") && stderr.ends_with('\n'), "{stderr:?}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    for part in parts {
        assert!(stderr.contains(part), "{part:?} is missing: {stderr}");
    }
}

#[test]
fn wrong_usage_is_64_with_a_hint() {
    let sandbox = sandbox();
    fails(sandbox.run(&["stat"]), 64, &["stat", "did you mean stats?"]);
    fails(sandbox.run(&["xyzzy"]), 64, &["unknown command xyzzy"]);
    fails(sandbox.run(&["serve", "--prot", "1"]), 64, &["--prot", "did you mean --port?"]);
    fails(sandbox.run(&["stats", "--jsn"]), 64, &["--jsn", "did you mean --json?"]);
    fails(sandbox.run(&["serve", "--port"]), 64, &["--port"]);
    fails(sandbox.run(&["serve", "--port", "http"]), 64, &["http"]);
    fails(sandbox.run(&["serve", "--port", "99999"]), 64, &["99999"]);
    fails(
        sandbox.run(&["serve", "--mode=maximal"]),
        64,
        &["maximal", "strict", "hybrid", "aggressive"],
    );
    fails(
        sandbox.run(&["compress", "--level", "most"]),
        64,
        &["most", "light", "balanced", "aggressive"],
    );
    fails(sandbox.run(&["count", "--frob"]), 64, &["--frob"]);
    let nothing = sandbox.run(&[]);
    assert_eq!((nothing.status, nothing.stdout.as_str()), (64, ""));
    assert!(nothing.stderr.starts_with("Usage: tokenpak <command>"), "{}", nothing.stderr);
    assert!(nothing.stderr.contains("serve") && nothing.stderr.contains("stats"));
}

#[test]
fn help_and_version_go_to_standard_output() {
    let sandbox = sandbox();
    let version = concat!("tokenpak ", env!("CARGO_PKG_VERSION"), "\n");
    for arguments in [&["--version"][..], &["-V"], &["version"], &["stats", "--version"]] {
        let output = sandbox.run(arguments);
        assert_eq!(
            (output.status, output.stdout.as_str(), output.stderr.as_str()),
            (0, version, "")
        );
    }
    for arguments in [&["--help"][..], &["-h"], &["help"], &["serve", "-h"], &["help", "stats"]] {
        let output = sandbox.run(arguments);
        assert_eq!((output.status, output.stderr.as_str()), (0, ""), "{arguments:?}");
        assert!(output.stdout.len() > 100, "{arguments:?}: {}", output.stdout);
        assert!(output.stdout.lines().all(|line| line.len() <= 80), "{}", output.stdout);
    }
    assert!(sandbox.run(&["serve", "--help"]).stdout.contains("--port"));
}

#[test]
fn configuration_faults_are_78_with_their_place() {
    let check = |config: &str, parts: &[&str]| {
        fails(sandbox().config(config).run(&["serve", "--port", "0"]), 78, parts);
    };
    check("{\n\"proxy\": {\n\"port\": 99999\n}\n}", &["config.json:3: ", "proxy.port", "99999"]);
    check(
        "{\n\"proxy\": {\n\"prot\": 1\n}\n}",
        &["config.json:3: ", "proxy.prot", "did you mean proxy.port?"],
    );
    check("{\"compression\": {\"level\": \"medium\"}}", &["config.json:1: ", "medium", "balanced"]);
    check("{\"compression\": {\"enabled\": 7}}", &["config.json:1: ", "compression.enabled"]);
    check("{\n\"proxy\": {\n\"port\": tru\n}\n}", &["config.json:3"]);
    check("{\"proxy\": 7}", &["config.json:1: ", "proxy"]);
    check("[]", &["config.json"]);
    check("", &["config.json"]);
    // All faults at once, a line each.
    let two = "{\"proxy\": {\n\"port\": 0.5,\n\"mode\": \"x\"}}";
    let output = sandbox().config(two).run(&["serve"]);
    assert_eq!((output.status, output.stderr.lines().count()), (78, 2), "{}", output.stderr);
    let variable = sandbox().set("TOKENPAK_PORT", "http").run(&["serve"]);
    fails(variable, 78, &["TOKENPAK_PORT: ", "http"]);
    let home = sandbox();
    let missing = home.run(&["serve", "--port", "0", "--config", "nowhere.json"]);
    assert!([66, 78].contains(&missing.status), "{}", missing.stderr);
    assert!(missing.stderr.contains("nowhere.json"), "{}", missing.stderr);
    // A directory cannot be read as a file, not even by root.
    home.write("dir/x", "");
    fails(home.run(&["serve", "--port", "0", "--config", "dir"]), 78, &["dir"]);
}

#[test]
fn unknown_variable_is_warned_about() {
    let provider = Provider::start();
    let sandbox = sandbox().providers(&provider).set("TOKENPAK_PROT", "1");
    let proxy = sandbox.serve();
    let stderr = proxy.output().1;
    assert!(stderr.contains("TOKENPAK_PROT") && stderr.contains("TOKENPAK_PORT"), "{stderr}");
}

#[test]
fn taken_port_is_69() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = sandbox().run(&["serve", "--port", &port]);
    fails(output, 69, &[&format!("127.0.0.1:{port}: "), "address already in use"]);
}

#[test]
fn compress_filters_a_request() {
    let sandbox = sandbox();
    let body = Api::Messages.large(true);
    let piped = sandbox.run_with(&["compress", "--mode", "strict"], &body);
    assert_eq!((piped.status, piped.stderr.as_str()), (0, ""));
    let [before, after] = [&body[..], piped.stdout.as_bytes()]
        .map(|bytes| -> Value { serde_json::from_slice(bytes).unwrap() });
    assert!(piped.stdout.len() < body.len() && before != after);
    assert_eq!(before["system"], after["system"]);
    let path = sandbox.write("request.json", &body);
    let from_file = sandbox.run(&["compress", "request.json", "--mode=strict", "--report"]);
    assert_eq!((from_file.status, &from_file.stdout), (0, &piped.stdout));
    assert!(from_file.stderr.contains("saved"), "{}", from_file.stderr);
    let small = Api::Messages.small(false);
    let same = sandbox.run_with(&["compress"], &small);
    assert_eq!(same.stdout.as_bytes(), small, "nothing to gain: the same bytes");
    // What the proxy sends is what the filter shows.
    let provider = Provider::start();
    let sandbox = sandbox.providers(&provider);
    let proxy = sandbox.serve_with(&["--mode", "strict"]);
    proxy.post("/v1/messages", &Api::Messages.headers(), &body);
    assert_eq!(String::from_utf8(provider.last().body).unwrap(), piped.stdout);
    drop(path);
}

#[test]
fn compress_takes_a_text_for_the_result_of_a_tool() {
    let sandbox = sandbox();
    let text = format!("start\n{}end\n", "waiting for a lock of the build directory\n".repeat(200));
    let strict = ["compress", "--text", "--report", "--mode", "strict"];
    let short = sandbox.run_with(&strict, text.as_bytes());
    assert!(short.status == 0 && short.stdout.len() < text.len() / 5, "{}", short.stdout);
    let before = sandbox.run_with(&["count"], text.as_bytes()).stdout.trim().to_owned();
    let after = sandbox.run_with(&["count"], short.stdout.as_bytes()).stdout.trim().to_owned();
    let sum = format!("{before} -> {after} tokens");
    assert!(short.stderr.replace(',', "").starts_with(&sum), "{sum}: {}", short.stderr);
    let back = sandbox.run_with(&["compress", "--text", "--expand"], short.stdout.as_bytes());
    assert_eq!((back.status, back.stdout), (0, text));
    let small = sandbox.run_with(&["compress", "--text"], "as it is\n".as_bytes());
    assert_eq!((small.status, small.stdout.as_str()), (0, "as it is\n"));
    fails(sandbox.run_with(&["compress", "--text"], b"\xff"), 65, &["not UTF-8"]);
}

#[test]
fn filters_refuse_bad_input_with_its_place() {
    let sandbox = sandbox();
    sandbox.write("bad.json", "{\"model\": \"x\",\n \"messages\": [1 2]}");
    fails(sandbox.run(&["compress", "bad.json"]), 65, &["bad.json:2:"]);
    fails(sandbox.run_with(&["compress"], b"hello"), 65, &[":1:"]);
    fails(sandbox.run(&["compress", "nowhere.json"]), 66, &["nowhere.json"]);
    fails(sandbox.run(&["count", "nowhere.txt"]), 66, &["nowhere.txt"]);
}

#[test]
fn count_counts_like_wc() {
    let sandbox = sandbox();
    sandbox.write("a.txt", "hello world");
    sandbox.write("b.txt", "tokens, and more tokens\n");
    for input in [sandbox.run_with(&["count"], b"hello world"), sandbox.run(&["count", "a.txt"])] {
        assert_eq!((input.status, input.stdout.as_str(), input.stderr.as_str()), (0, "2\n", ""));
    }
    let both = sandbox.run_with(&["count", "a.txt", "-", "b.txt"], b"one two three");
    assert_eq!(both.status, 0);
    assert_eq!(both.stdout, "      2 a.txt\n      3 /dev/stdin\n      6 b.txt\n     11 total\n");
}

#[test]
fn count_goes_on_after_a_file_that_is_not_there() {
    let sandbox = sandbox();
    sandbox.write("a.txt", "hello world");
    sandbox.write("dir/x", "");
    let output = sandbox.run(&["count", "nowhere.txt", "a.txt", "dir"]);
    assert_eq!(output.stdout, "      2 a.txt\n      2 total\n");
    let complaints: Vec<&str> = output.stderr.lines().collect();
    assert_eq!((output.status, complaints.len()), (74, 2), "{complaints:?}");
    assert!(complaints[0].contains("nowhere.txt: no such file"), "{complaints:?}");
    assert!(complaints[1].contains("dir"), "{complaints:?}");
    assert_eq!(sandbox.run(&["count", "a.txt", "nowhere.txt"]).status, 66);
}

#[test]
fn count_takes_any_bytes() {
    // Each fault is one replacement character, as a reader of the text sees it.
    let output = sandbox().run_with(&["count"], b"a\xffb");
    let same = sandbox().run_with(&["count"], "a\u{fffd}b".as_bytes());
    assert_eq!((output.status, &output.stdout), (0, &same.stdout));
    assert_eq!(sandbox().run_with(&["count"], b"").stdout, "0\n");
    assert_eq!(sandbox().run_with(&["count"], b"<|endoftext|>").stdout, "7\n");
}

#[test]
fn count_says_what_is_an_estimate() {
    let text = "word ".repeat(100);
    let count = |model: &str| sandbox().run_with(&["count", "--model", model], text.as_bytes());
    let exact = count("gpt-5.1");
    assert_eq!((exact.stdout.as_str(), exact.stderr.as_str()), ("101\n", ""));
    for (model, tokens) in [
        ("claude-sonnet-4-5", "119\n"),
        ("claude-opus-5", "157\n"),
        ("gemini-3-pro", "120\n"),
        ("gpt-4", "101\n"),
        ("gpt-3.5-turbo", "101\n"),
    ] {
        let output = count(model);
        assert_eq!((output.status, output.stdout.as_str()), (0, tokens), "{model}");
        assert!(output.stderr.contains("estimate") && output.stderr.contains(model), "{model}");
        assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
    }
}

#[test]
fn count_takes_a_request_as_one() {
    let body = |model: &str| {
        format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hello world"}}]}}"#)
    };
    // Three for the answer, three for the message, two for its words.
    let chat = sandbox().run_with(&["count"], body("gpt-4o").as_bytes());
    assert_eq!((chat.stdout.as_str(), chat.stderr.as_str()), ("8\n", ""));
    let claude = sandbox().run_with(&["count"], body("claude-sonnet-4-5").as_bytes());
    assert_eq!(claude.stdout, "8\n", "o200k tokens, whatever the request's model");
    assert!(claude.stderr.contains("estimate"), "{}", claude.stderr);
    // A picture counts by its size, however long its base64 is.
    let picture = |bytes: usize| {
        let data = format!("iVBORw0KGgoAAAANSUhEUgAAAoAAAAHgCAYA{}", "A".repeat(bytes));
        format!(
            r#"{{"model":"gpt-4o","messages":[{{"role":"user","content":[{{"type":"image_url",
            "image_url":{{"url":"data:image/png;base64,{data}"}}}}]}}]}}"#
        )
    };
    for bytes in [0, 100_000] {
        let output = sandbox().run_with(&["count"], picture(bytes).as_bytes());
        assert_eq!(output.stdout, format!("{}\n", 3 + 3 + 85 + 170 * 2), "{bytes}");
    }
}

#[test]
fn closed_pipe_is_success() {
    // As in `tokenpak --help | head`: nobody reads any more.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_tokenpak"));
    let output = command.arg("--help").stdout(writer.try_clone().unwrap()).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tokenpak"));
    let output = command.args(["count", "Cargo.toml"]).stdout(writer).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn keys_are_not_sent_in_the_clear_unless_allowed() {
    let name = "TOKENPAK_PROXY_PROVIDERS_OPENAI_URL";
    for url in
        ["http://api.example.test", "http://127.0.0.1.example.test", "http://127.example.test"]
    {
        let output = sandbox().set(name, url).run(&["serve", "--port", "0"]);
        fails(output, 78, &["allow_http", url]);
    }
    for url in ["http://localhost:9", "http://127.0.0.2/v1", "http://[::1]", "http://[::1]:9/v1"] {
        sandbox().set(name, url).serve();
    }
    for allowed in ["true", "\"openai\"", "[\"custom\", \"openai\"]", "\"1\""] {
        let sandbox = sandbox().set(name, "http://api.example.test");
        sandbox.config(&format!("{{\"proxy\": {{\"allow_http\": {allowed}}}}}")).serve();
    }
    for other in ["false", "\"anthropic\"", "[]", "null", "[\"OpenAI\"]"] {
        let sandbox = sandbox().set(name, "http://api.example.test");
        let config = format!("{{\"proxy\": {{\"allow_http\": {other}}}}}");
        fails(
            sandbox.config(&config).run(&["serve", "--port", "0"]),
            78,
            &["openai in proxy.allow_http"],
        );
    }
}
