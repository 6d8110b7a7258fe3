//! What the units forbid, held against a whole life of the proxy: every system call, kind of socket and
//! file written. A restriction that contradicts the program would only show where systemd runs.

use crate::provider::{Authority, Provider, tls};
use crate::sandbox::{Proxy, Sandbox};
use crate::support::{Api, lacks, sandbox, skip};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

/// SQLite asks for these only as root, which the units do not run as.
const OF_ROOT: [&str; 2] = ["fchown", "chown"];

#[test]
fn whole_life_keeps_to_what_the_system_unit_allows() {
    const TEST: &str = "whole_life_keeps_to_what_the_system_unit_allows";
    let runs = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        output.is_ok_and(|output| output.status.success())
    };
    if !runs("strace", &["-V"]) || !runs("systemd-analyze", &["--version"]) {
        return lacks(TEST, "strace or systemd-analyze is not here");
    }
    if !runs("strace", &["-o", "/dev/null", "/bin/true"]) {
        return skip(TEST, "no program may be traced here");
    }
    let (home, calls) = life();
    let unit = home.run(&["service", "install", "--print", "--system"]).stdout;
    let allowed = allowed(&unit);
    let families = listed(&unit, "RestrictAddressFamilies=");
    for line in calls.lines() {
        // `4121  openat(AT_FDCWD, "/etc/hosts", O_RDONLY) = 3`; other lines tell of signals and ends.
        let line = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
        let Some((call, rest)) = line.split_once('(') else { continue };
        if !call.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            continue;
        }
        assert!(allowed.contains(call) || OF_ROOT.contains(&call), "SystemCallFilter: {line}");
        if call == "socket" || call == "socketpair" {
            let family = rest.split(',').next().unwrap();
            assert!(families.contains(family), "RestrictAddressFamilies: {line}");
        }
        let is_code = rest.contains("PROT_EXEC");
        assert!(!(is_code && rest.contains("PROT_WRITE")), "MemoryDenyWriteExecute: {line}");
        assert!(!(is_code && call.ends_with("mprotect")), "MemoryDenyWriteExecute: {line}");
        if let Some(path) = written(call, rest) {
            let is_ours = Path::new(path).starts_with(home.home()) || path == "/dev/null";
            assert!(is_ours, "ProtectSystem: {line}");
        }
    }
}

/// A start, an answer through TLS and one that fails, every page, new settings and an orderly end; what
/// the kernel was asked meanwhile.
fn life() -> (Sandbox, String) {
    let (provider, authority) = (Provider::start(), Authority::new());
    let port = tls(provider.port(), authority.sign("localhost"));
    let home = sandbox();
    let roots = home.write("roots.pem", authority.pem()).display().to_string();
    let calls = home.home().join("calls").display().to_string();
    let home = home
        .set("TOKENPAK_TLS_ROOTS", &roots)
        .set("TOKENPAK_PROXY_PROVIDERS_ANTHROPIC_URL", &format!("https://localhost:{port}"))
        .set("TOKENPAK_PROXY_PROVIDERS_OPENAI_URL", "http://127.0.0.1:9");
    let traced = home.by(&["/usr/bin/env", "strace", "-f", "-qq", "-o", &calls]);
    let mut proxy = traced.serve();
    let ask = |proxy: &Proxy, api: Api| {
        proxy.post(api.target(true), &api.headers(), &api.large(true)).status()
    };
    assert_eq!(ask(&proxy, Api::Messages), 200);
    assert_eq!(ask(&proxy, Api::Chat), 502);
    // The pages show what is on disk.
    traced.rows(2);
    for page in ["/health", "/metrics", "/stats"] {
        assert_eq!(proxy.ask("GET", page, &[], b"").status(), 200);
    }
    let pid = fs::read_to_string(traced.home().join("tokenpak.pid")).unwrap();
    let pid = Pid::from_raw(pid.lines().next().unwrap().parse().unwrap()).unwrap();
    kill_process(pid, Signal::HUP).unwrap();
    crate::sandbox::wait("new settings", || proxy.output().1.contains("reloaded").then_some(()));
    assert_eq!(ask(&proxy, Api::Messages), 200);
    traced.rows(3);
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(proxy.wait(), 0);
    let calls = fs::read_to_string(calls).unwrap();
    assert!(calls.contains("accept4(") && calls.contains("exit_group("));
    (traced.by(&[]), calls)
}

/// The path that a call writes, makes or removes.
fn written<'a>(call: &str, arguments: &'a str) -> Option<&'a str> {
    let opens = matches!(call, "open" | "openat" | "creat")
        && ["O_WRONLY", "O_RDWR", "O_CREAT"].iter().any(|flag| arguments.contains(flag));
    let changes = ["mkdir", "unlink", "rename", "link", "symlink", "chmod", "truncate"];
    if !opens && !changes.iter().any(|name| call.trim_end_matches("at") == *name) {
        return None;
    }
    arguments.split('"').nth(1)
}

/// The words behind `name` in the unit.
fn listed<'a>(unit: &'a str, name: &str) -> BTreeSet<&'a str> {
    let line = unit.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split(' ').collect()
}

/// The system calls that the unit's filters leave, by systemd's own groups.
fn allowed(unit: &str) -> BTreeSet<String> {
    let output = Command::new("systemd-analyze").args(["--no-pager", "syscall-filter"]).output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut group = "";
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        match line.strip_prefix("    ") {
            Some(call) => groups.entry(group).or_default().push(call.trim()),
            None => group = line.trim(),
        }
    }
    let mut all = BTreeSet::new();
    for filter in unit.lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")) {
        match filter.strip_prefix('~') {
            Some(denied) => {
                let denied: Vec<_> = denied.split(' ').map(|name| members(&groups, name)).collect();
                all.retain(|call| denied.iter().all(|group| !group.contains(call)));
            }
            None => filter.split(' ').for_each(|name| all.extend(members(&groups, name))),
        }
    }
    assert!(all.len() > 100 && !all.contains("chroot"), "{all:?}");
    all
}

fn members(groups: &BTreeMap<&str, Vec<&str>>, name: &str) -> BTreeSet<String> {
    match groups.get(name) {
        Some(list) => list.iter().flat_map(|each| members(groups, each)).collect(),
        None => [name.to_owned()].into(),
    }
}
