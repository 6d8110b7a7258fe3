//! `tokenpak config`: what it shows, what it writes, and what it refuses.

use crate::support::{sandbox, skip};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

#[test]
fn values_are_written_shown_and_taken_out() {
    let sandbox = sandbox();
    let run = |arguments: &[&str]| {
        let output = sandbox.run(arguments);
        (output.status, output.stdout)
    };
    assert_eq!(run(&["config", "get", "compression.level"]), (1, String::new()));
    assert_eq!(run(&["config", "set", "compression.level", "aggressive"]), (0, String::new()));
    assert_eq!(run(&["config", "set", "compression.threshold_tokens", "2000"]).0, 0);
    assert_eq!(run(&["config", "get", "compression.level"]), (0, "aggressive\n".into()));
    let list = run(&["config", "list", "--show-origin"]).1;
    assert!(
        list.lines().any(|line| line.starts_with("config.json:3")
            && line.ends_with("compression.level=aggressive")),
        "{list}"
    );
    assert!(
        list.lines().any(|line| line.starts_with("default ") && line.ends_with("proxy.port=8766")),
        "{list}"
    );
    assert!(list.contains("proxy.providers.anthropic.url=https://api.anthropic.com\n"), "{list}");
    assert_eq!(run(&["config", "unset", "compression.level"]).0, 0);
    assert_eq!(
        fs::read_to_string(sandbox.home().join("config.json")).unwrap(),
        "{\n  \"compression\": {\n    \"threshold_tokens\": 2000\n  }\n}\n"
    );
}

#[test]
fn file_keeps_its_order_and_strangers_and_is_private() {
    let before = "{\"zebra\": {\"b\": 1}, \"proxy\": {\"mode\": \"strict\", \"port\": 9}}";
    let sandbox = sandbox().config(before);
    let path = sandbox.home().join("config.json");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(sandbox.run(&["config", "set", "proxy.port", "10"]).status, 0);
    let text: String = fs::read_to_string(&path).unwrap().split_whitespace().collect();
    assert_eq!(text, "{\"zebra\":{\"b\":1},\"proxy\":{\"mode\":\"strict\",\"port\":10}}");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let names: Vec<_> =
        fs::read_dir(sandbox.home()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["config.json"], "nothing is left beside it");
}

#[test]
fn what_cannot_be_is_refused_and_nothing_is_written() {
    let sandbox = sandbox();
    for (arguments, said) in [
        (&["config", "set", "compression.levl", "light"][..], "did you mean compression.level?"),
        (&["config", "set", "compression.level", "medium"], "one of light, balanced, aggressive"),
        (&["config", "set", "proxy.port", "99999"], "not a port"),
        (&["config", "set", "proxy", "{\"port\": 1}"], "an object; set its members one by one"),
        (
            &["config", "set", "proxy.providers.v1.url", "https://host.example"],
            "cannot be a provider's name",
        ),
        (&["config", "unset", "proxy.prot"], "did you mean proxy.port?"),
        (&["config", "get", "proxy.prot"], "did you mean proxy.port?"),
        (&["config", "frob"], "one of list, get, set, unset, path, check"),
        (&["config"], "one of list, get, set, unset, path, check"),
        (&["config", "set", "proxy.port"], "needs VALUE"),
        (&["config", "set"], "needs KEY and VALUE"),
        (&["stop", "--timeout", "soon"], "--timeout: \"soon\" is not a number"),
        (&["serve", "--log", "loud"], "--log: unknown value \"loud\"; one of error, warn"),
    ] {
        let output = sandbox.run(arguments);
        assert_eq!(output.status, 64, "{arguments:?}: {}", output.stderr);
        assert!(output.stderr.contains(said), "{arguments:?}: {}", output.stderr);
        assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
    }
    assert!(!sandbox.home().join("config.json").exists());
}

#[test]
fn broken_file_is_never_overwritten() {
    let sandbox = sandbox().config("{\"proxy\": ");
    assert_eq!(sandbox.run(&["config", "set", "proxy.port", "1"]).status, 78);
    assert_eq!(fs::read_to_string(sandbox.home().join("config.json")).unwrap(), "{\"proxy\": ");
}

#[test]
fn a_key_that_is_there_twice_is_a_fault_and_neither_is_dropped() {
    let twice = "{\"proxy\": {\"port\": 1},\n\"proxy\": {\"mode\": \"strict\"}}";
    let sandbox = sandbox().config(twice);
    for arguments in [&["config", "check"][..], &["config", "set", "proxy.port", "2"]] {
        let output = sandbox.run(arguments);
        let fault = "tokenpak: config.json:2: proxy: there already\n";
        assert_eq!((output.status, output.stderr.as_str()), (78, fault), "{arguments:?}");
    }
    assert_eq!(fs::read_to_string(sandbox.home().join("config.json")).unwrap(), twice);
}

/// A configuration that no command would take is not written, by whichever change it would come.
#[test]
fn a_change_that_contradicts_another_setting_is_refused() {
    let far = "proxy.providers.openai.url=http://example.com";
    let open = ["proxy.auth_token=dummy-dummy-dummy", "proxy.bind=0.0.0.0"];
    let named = ["proxy.allow_http=openai,passthrough", far];
    for (before, change, said) in [
        (&[][..], far, "would send keys unencrypted"),
        (&[], "proxy.providers.box.url=http://192.168.1.5:8080", "name box in proxy.allow_http"),
        (&[], "proxy.passthrough_url=http://example.com", "name passthrough in proxy.allow_http"),
        (&["proxy.allow_http=box"], far, "name openai in proxy.allow_http"),
        (&["proxy.allow_http=[\"box\"]"], far, "name openai in proxy.allow_http"),
        (&named, "proxy.allow_http=passthrough", "would send keys unencrypted"),
        (&named, "proxy.allow_http=false", "would send keys unencrypted"),
        (&named, "proxy.allow_http", "would send keys unencrypted"),
        (&["proxy.allow_http=true", far], "proxy.allow_http", "would send keys unencrypted"),
        (&[], "proxy.bind=0.0.0.0", "can be reached from other machines"),
        (&open, "proxy.auth_token", "can be reached from other machines"),
        (&[], "proxy.providers.openai.url=http://localhost:8766", "is tokenpak itself"),
        (&[], "proxy.passthrough_url=http://127.0.0.1:8766/v1", "is tokenpak itself"),
        (&["proxy.providers.openai.url=http://[::1]:9"], "proxy.port=9", "is tokenpak itself"),
        (
            &["proxy.port=9", "proxy.providers.box.url=http://localhost:8766"],
            "proxy.port",
            "is tokenpak itself",
        ),
        (&[], "proxy.allow_http=a/b", "not a provider's name"),
        (&[], "proxy.providers.openai.url=http://localhost:99999", "is not a URL"),
    ] {
        let sandbox = sandbox();
        let run = |change: &str| match change.split_once('=') {
            Some((key, value)) => sandbox.run(&["config", "set", key, value]),
            None => sandbox.run(&["config", "unset", change]),
        };
        for step in before {
            assert_eq!(run(step).status, 0, "{step}");
        }
        let file = || fs::read_to_string(sandbox.home().join("config.json")).unwrap_or_default();
        let was = file();
        let output = run(change);
        assert_eq!(output.status, 64, "{before:?} {change}: {}", output.stderr);
        assert!(output.stderr.contains(said), "{before:?} {change}: {}", output.stderr);
        assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
        assert_eq!(file(), was, "{change}");
        assert_eq!(sandbox.run(&["config", "list"]).status, 0, "{change}");
    }
}

/// What is wrong already stands in the way of no change that mends it, or has nothing to do with it.
#[test]
fn a_file_that_is_wrong_can_be_mended_step_by_step() {
    let sandbox = sandbox().config(
        r#"{"proxy": {"bind": "0.0.0.0", "passthrough_url": "http://a.example", "providers": {"b": {"url": "http://b.example"}}}}"#,
    );
    for (arguments, faults) in [
        (&["config", "set", "proxy.mode", "strict"][..], 3),
        (&["config", "unset", "proxy.passthrough_url"], 2),
        (&["config", "set", "proxy.providers.b.url", "https://b.example"], 1),
        (&["config", "unset", "proxy.bind"], 0),
    ] {
        let output = sandbox.run(arguments);
        let said =
            output.stderr.lines().filter(|line| line.starts_with("tokenpak: proxy.")).count();
        assert_eq!((output.status, said), (0, faults), "{arguments:?}: {}", output.stderr);
        assert_eq!(sandbox.run(&["config", "list"]).status == 0, faults == 0, "{arguments:?}");
    }
}

/// A variable of this shell hides neither what the file will say without it nor what it needs.
#[test]
fn variables_do_not_hide_a_contradiction() {
    let url = "http://example.com";
    let own = sandbox().set("TOKENPAK_PROXY_PROVIDERS_OPENAI_URL", "https://other.example");
    assert_eq!(own.run(&["config", "set", "proxy.providers.openai.url", url]).status, 64);
    let token = sandbox().set("TOKENPAK_PROXY_AUTH_TOKEN", "dummy-dummy-dummy");
    assert_eq!(token.run(&["config", "set", "proxy.bind", "0.0.0.0"]).status, 0);
}

/// The user database is asked where `HOME` is not set, not the current directory, in which cron and
/// a shell differ.
#[test]
fn without_home_the_users_own_is_taken() {
    let uid = rustix::process::getuid().as_raw().to_string();
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let mut users = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let Some(user) = users.find(|user| user.get(2) == Some(&uid.as_str())) else {
        return skip("the home of a user without HOME", "this user is not in /etc/passwd");
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_tokenpak"));
    command.args(["config", "path"]).env_clear().current_dir("/tmp");
    let path = String::from_utf8(command.output().unwrap().stdout).unwrap();
    assert_eq!(path, format!("{}/.tokenpak/config.json\n", user[5].trim_end_matches('/')));
}

#[test]
fn variable_that_overrides_is_announced() {
    let sandbox = sandbox().set("TOKENPAK_MODE", "strict");
    let output = sandbox.run(&["config", "set", "proxy.mode", "hybrid"]);
    assert_eq!(output.status, 0);
    assert!(
        output.stderr.contains("note: TOKENPAK_MODE=strict overrides proxy.mode\n"),
        "{}",
        output.stderr
    );
    let list = sandbox.run(&["config", "list", "--show-origin"]).stdout;
    assert!(list.contains("env TOKENPAK_MODE"), "{list}");
}

#[test]
fn check_names_every_fault_with_its_line() {
    let sandbox = sandbox();
    let path = sandbox.write("other.json", "{\"proxy\": {\n\"port\": 99999,\n\"prot\": 1}}");
    let output = sandbox.run(&["config", "check", path.to_str().unwrap()]);
    assert_eq!(output.status, 78);
    assert_eq!(
        output.stderr,
        "tokenpak: other.json:2: proxy.port: 99999 is not a port (1 to 65535)\n\
         tokenpak: other.json:3: proxy.prot: unknown key; did you mean proxy.port?\n"
    );
    sandbox.write("other.json", "{\"proxy\": {\"port\": 99}}");
    let output = sandbox.run(&["config", "check", path.to_str().unwrap()]);
    assert_eq!((output.status, output.stdout, output.stderr), (0, String::new(), String::new()));
    assert_eq!(sandbox.run(&["config", "check", "gone.json"]).status, 78);
    assert_eq!(sandbox.run(&["config", "check"]).status, 0, "no file is no fault");
}

#[test]
fn path_is_where_the_file_is_or_would_be() {
    let sandbox = sandbox();
    let want = format!("{}\n", sandbox.home().join("config.json").display());
    assert_eq!(sandbox.run(&["config", "path"]).stdout, want);
    let sandbox = sandbox.set("TOKENPAK_CONFIG", "/srv/tp.json");
    assert_eq!(sandbox.run(&["config", "path"]).stdout, "/srv/tp.json\n");
}
