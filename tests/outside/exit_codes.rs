//! Every exit status that the manual lists, reached in the way in which a user would reach it.

use crate::sandbox::{Output, Sandbox};
use crate::support::sandbox;
use std::collections::BTreeSet;
use std::fs::File;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

/// A status, and a command that ends with it and says these words.
type Case = (i32, fn(Sandbox) -> Output, &'static str);

const CASES: &[Case] = &[
    (0, |home| home.run(&["version"]), "tokenpak "),
    (1, |home| home.run(&["config", "get", "compression.level"]), ""),
    (3, |home| home.run(&["stop"]), "not running"),
    (64, |home| home.run(&["stat"]), "did you mean stats?"),
    (65, |home| home.run_with(&["compress"], b"{]"), "standard input:1:2: "),
    (66, |home| home.run(&["stats"]), "monitor.db: not there yet"),
    (69, taken_port, "address already in use"),
    (70, killed_child, "the proxy ended as it began (signal: 25"),
    (73, home_below_a_file, "cannot write"),
    (74, |home| home.run(&["count", "."]), "cannot read .: is a directory"),
    (77, linked_log, "tokenpak.log: it is a symbolic link"),
    (78, |home| home.config("{\"port\": 1}").run(&["serve"]), "config.json:1: port: unknown key"),
];

#[test]
fn every_status_of_the_manual_is_reached() {
    for (status, run, words) in CASES {
        let output = run(sandbox());
        let said = format!("{}{}", output.stdout, output.stderr);
        assert_eq!(output.status, *status, "{said}");
        assert!(said.contains(words), "{status}: {said}");
    }
    let manual = include_str!("../../man/tokenpak.1");
    let (_, list) = manual.split_once("\n.Sh EXIT STATUS\n").unwrap();
    let list = list.split("\n.El\n").next().unwrap();
    let listed: BTreeSet<i32> =
        list.lines().filter_map(|line| line.strip_prefix(".It ")?.parse().ok()).collect();
    assert_eq!(listed, CASES.iter().map(|(status, ..)| *status).collect());
}

fn taken_port(home: Sandbox) -> Output {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    home.run(&["serve", "--port", &taken.local_addr().unwrap().port().to_string()])
}

/// No file may grow in this shell: the first byte that the proxy writes ends it, without a word.
fn killed_child(home: Sandbox) -> Output {
    let limited = home.by(&["/bin/sh", "-c", "ulimit -f 0; exec \"$0\" \"$@\""]);
    limited.run(&["serve", "--port", "0", "--daemon"])
}

fn home_below_a_file(home: Sandbox) -> Output {
    let path = home.write("file", "").join("home").display().to_string();
    home.set("HOME", &path).run(&["service", "install"])
}

/// Whoever made the link chooses what would be written to.
fn linked_log(home: Sandbox) -> Output {
    symlink("elsewhere", home.home().join("tokenpak.log")).unwrap();
    home.run(&["serve", "--port", "0", "--daemon"])
}

#[test]
fn full_standard_error_changes_no_status() {
    let home = sandbox();
    let run = |arguments: &[&str], variable: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tokenpak"));
        command.args(arguments).env("TOKENPAK_HOME", home.home()).env(variable, "1");
        let full = File::options().write(true).open("/dev/full").unwrap();
        let status = command.stdout(Stdio::null()).stderr(full).status().unwrap();
        status.code()
    };
    assert_eq!(run(&["count", "nowhere.txt"], "A"), Some(66));
    // A warning that nobody can read is no reason to end.
    assert_eq!(run(&["config", "list"], "TOKENPAK_PROT"), Some(0));
    assert_eq!(run(&["config", "set", "compression.level", "light"], "A"), Some(0));
    assert_eq!(run(&["config", "unset", "compression.level"], "A"), Some(0));
    assert_eq!(run(&["stat"], "A"), Some(64));
}
