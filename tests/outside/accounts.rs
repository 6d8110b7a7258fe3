//! Root gives commands for a service of another account: what it leaves behind is the service's.

use crate::provider::{Gate, Provider, Script};
use crate::sandbox::{Sandbox, wait};
use crate::support::{Api, sandbox, skip};
use rustix::process::geteuid;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// Of `nobody` on every system; it has nothing else to do with these tests.
const UID: u32 = 65_534;
const GID: u32 = 12_345;

/// A home that belongs to another account than root, in which a service has run; `None` unless we are
/// root.
fn service(test: &str) -> Option<(Provider, Sandbox)> {
    if !geteuid().is_root() {
        skip(test, "another account needs root");
        return None;
    }
    let provider = Provider::start();
    let sandbox = sandbox().providers(&provider);
    give(sandbox.home());
    Some((provider, sandbox))
}

fn give(path: &Path) {
    chown(path, Some(UID), Some(GID)).unwrap();
}

/// All that is in a directory, and below it.
fn all(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(all(&path));
        }
        found.push(path);
    }
    found
}

#[track_caller]
fn is_the_services(sandbox: &Sandbox, after: &str) {
    for path in all(sandbox.home()) {
        let file = fs::metadata(&path).unwrap();
        assert_eq!((file.uid(), file.gid()), (UID, GID), "{} after {after}", path.display());
    }
}

#[test]
fn whatever_root_writes_in_a_services_home_is_the_services() {
    let Some((provider, sandbox)) =
        service("whatever_root_writes_in_a_services_home_is_the_services")
    else {
        return;
    };
    let run = |arguments: &[&str]| {
        let output = sandbox.run(arguments);
        assert_eq!(output.status, 0, "{arguments:?}: {}", output.stderr);
        is_the_services(&sandbox, &arguments.join(" "));
    };
    run(&["config", "set", "proxy.mode", "strict"]);
    run(&["config", "set", "log.level", "debug"]);
    run(&["config", "unset", "proxy.mode"]);
    run(&["debug", "on", "--requests", "5", "--bodies"]);
    run(&["service", "install"]);
    run(&["service", "install", "--force"]);
    // A whole life: pid file, log, database and its companions, bodies.
    let mut proxy = sandbox.serve();
    let ask = || {
        let answer =
            proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(true));
        sandbox.row(&answer.head.request_id());
    };
    ask();
    assert!(sandbox.home().join("debug").exists());
    is_the_services(&sandbox, "a request with bodies");
    run(&["stats", "--oneline"]);
    run(&["trace", "--last"]);
    run(&["doctor", "--offline"]);
    // A damaged database is moved aside, and the new one is like the old one.
    fs::set_permissions(sandbox.database(), fs::Permissions::from_mode(0o640)).unwrap();
    fs::write(sandbox.database(), "no database at all ".repeat(2000)).unwrap();
    let _ = fs::remove_file(sandbox.home().join(".ocp/monitor.db-wal"));
    let _ = provider;
    wait("a new database", || {
        ask();
        let bytes = fs::read(sandbox.database()).ok()?;
        bytes.starts_with(b"SQLite format 3\0").then_some(())
    });
    is_the_services(&sandbox, "a damaged database");
    for name in ["monitor.db", "monitor.db-wal", "monitor.db-shm"] {
        let file = fs::metadata(sandbox.home().join(".ocp").join(name)).unwrap();
        assert_eq!(file.mode() & 0o777, 0o640, "{name}");
    }
    // Killed: its log of changes is read by whoever comes next.
    proxy.kill();
    run(&["stats", "--oneline"]);
}

#[test]
fn log_that_is_opened_again_is_the_services() {
    let Some((_provider, sandbox)) = service("log_that_is_opened_again_is_the_services") else {
        return;
    };
    let output = sandbox.run(&["serve", "--port", "0", "--daemon"]);
    assert_eq!(output.status, 0, "{}", output.stderr);
    is_the_services(&sandbox, "serve --daemon");
    let log = sandbox.home().join("tokenpak.log");
    fs::rename(&log, sandbox.home().join("tokenpak.log.1")).unwrap();
    let pid = fs::read_to_string(sandbox.home().join("tokenpak.pid")).unwrap();
    let pid = rustix::process::Pid::from_raw(pid.lines().next().unwrap().parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    wait("a new log", || log.exists().then_some(()));
    is_the_services(&sandbox, "a new log");
    assert_eq!(sandbox.run(&["stop"]).status, 0);
}

/// Owner, group and mode of a file stay what they were, whoever replaces it and in whatever folder.
#[test]
fn replaced_files_keep_owner_group_and_mode() {
    let Some((_provider, sandbox)) = service("replaced_files_keep_owner_group_and_mode") else {
        return;
    };
    let unit = ".config/systemd/user/tokenpak.service";
    sandbox.run(&["service", "install"]);
    sandbox.run(&["debug", "on"]);
    for (name, arguments) in [
        ("config.json", &["config", "set", "proxy.mode", "strict"][..]),
        ("config.json", &["config", "unset", "proxy.mode"]),
        ("debug.json", &["debug", "on"]),
        (unit, &["service", "install", "--force"]),
    ] {
        let path = sandbox.home().join(name);
        if name == "config.json" {
            fs::write(&path, "{\"proxy\": {\"mode\": \"hybrid\"}}").unwrap();
        }
        for (uid, gid, mode) in [(0, GID, 0o640), (1, 2, 0o604), (UID, 0, 0o600), (UID, GID, 0o644)]
        {
            chown(&path, Some(uid), Some(gid)).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let output = sandbox.run(arguments);
            assert_eq!(output.status, 0, "{}", output.stderr);
            let file = fs::metadata(&path).unwrap();
            let found = (file.uid(), file.gid(), file.mode() & 0o7777);
            assert_eq!(found, (uid, gid, mode), "{arguments:?}");
        }
    }
    assert!(!all(sandbox.home()).iter().any(|path| path.to_string_lossy().contains(".new-")));
}

/// An account that may write a file but not give it away leaves it its owner, too.
#[test]
fn file_of_another_account_is_written_in_its_place() {
    const TEST: &str = "file_of_another_account_is_written_in_its_place";
    let Some((_provider, sandbox)) = service(TEST) else { return };
    let sandbox =
        sandbox.by(&["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]);
    if sandbox.run(&["version"]).status != 0 {
        return skip(TEST, "the program cannot be run by another account here");
    }
    assert_eq!(sandbox.run(&["service", "install"]).status, 0);
    let path = sandbox.home().join(".config/systemd/user/tokenpak.service");
    fs::write(&path, "").unwrap();
    chown(&path, Some(0), Some(GID)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let output = sandbox.run(&["service", "install", "--force"]);
    assert_eq!(output.status, 0, "{}", output.stderr);
    let file = fs::metadata(&path).unwrap();
    assert_eq!((file.uid(), file.gid(), file.mode() & 0o777), (0, GID, 0o666));
    assert!(fs::read_to_string(&path).unwrap().contains("ExecStart="));
}

/// Root can read and write all; the report is about who will have to.
#[test]
fn doctor_of_root_sees_with_the_services_eyes() {
    let Some((provider, sandbox)) = service("doctor_of_root_sees_with_the_services_eyes") else {
        return;
    };
    sandbox.run(&["config", "set", "proxy.mode", "strict"]);
    sandbox.run(&["debug", "on"]);
    let roots = sandbox.write("roots.pem", crate::provider::Authority::new().pem());
    give(&roots);
    let sandbox = sandbox.set("TOKENPAK_TLS_ROOTS", roots.to_str().unwrap());
    let mut proxy = sandbox.serve();
    let gate = Gate::default();
    provider.next(Script::gated(1, &gate));
    gate.open_all();
    let answer = proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(true));
    sandbox.row(&answer.head.request_id());
    let doctor = || sandbox.run(&["doctor", "--offline"]);
    let well = doctor();
    assert!(well.stdout.contains("ok    files       open to uid 65534"), "{}", well.stdout);
    assert!(!well.stdout.contains("FAIL"), "{}", well.stdout);
    proxy.kill();
    for (name, mode) in [
        ("config.json", 0o600),
        ("config.json", 0o004),
        ("roots.pem", 0o600),
        ("debug.json", 0o644),
        ("tokenpak.pid", 0o644),
        (".ocp/monitor.db", 0o644),
        (".ocp/monitor.db-wal", 0o600),
        (".ocp", 0o755),
    ] {
        let path = sandbox.home().join(name);
        let before = fs::metadata(&path).unwrap();
        let owner = if mode == 0o004 { UID } else { 0 };
        chown(&path, Some(owner), Some(owner)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let ill = doctor();
        assert_eq!(ill.status, 1, "{name}: {}", ill.stdout);
        let words = format!("{name}: uid 65534, who has ");
        assert!(ill.stdout.contains(&words), "{name}: {}", ill.stdout);
        chown(&path, Some(before.uid()), Some(before.gid())).unwrap();
        fs::set_permissions(&path, before.permissions()).unwrap();
    }
    assert!(!doctor().stdout.contains("FAIL"));
}
