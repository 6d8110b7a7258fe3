//! The disk fails, and nobody but the accounts notices; they say so, and recover.

use crate::provider::Provider;
use crate::sandbox::{Proxy, Sandbox, wait};
use crate::support::{Api, sandbox, scene, skip};
use rusqlite::Connection;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One small prompt that must succeed; its id.
#[track_caller]
fn ask(proxy: &Proxy) -> String {
    let answer = proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(true));
    assert!(answer.status() == 200 && answer.clean, "{}", answer.text());
    answer.head.request_id()
}

/// What /health says of the database.
#[track_caller]
fn health(proxy: &Proxy) -> String {
    let answer = proxy.ask("GET", "/health", &[], b"");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.json()["status"], "ok", "requests are served in any case");
    answer.json()["db"].as_str().unwrap().to_owned()
}

#[track_caller]
fn becomes(proxy: &Proxy, state: &str) {
    wait(&format!("/health to say {state}"), || (health(proxy) == state).then_some(()));
}

#[test]
fn locked_database_is_told_and_recording_resumes() {
    let (_provider, sandbox, proxy) = scene();
    sandbox.row(&ask(&proxy));
    assert_eq!(health(&proxy), "ok");
    let lock = Connection::open(sandbox.database()).unwrap();
    lock.execute_batch("begin exclusive").unwrap();
    let ids: Vec<String> = (0..10).map(|_| ask(&proxy)).collect();
    becomes(&proxy, "failing");
    let says = |words: &str| wait(words, || proxy.output().1.contains(words).then_some(()));
    ["monitor.db", "not recorded until it works"].into_iter().for_each(says);
    // The other commands say what it says.
    for arguments in [&["status"][..], &["status", "--full"]] {
        let said = sandbox.run(arguments).stdout;
        assert!(said.contains("\nhealth: the database fails: nothing is recorded\n"), "{said}");
    }
    assert!(sandbox.run(&["status", "--json"]).stdout.contains("\"db\": \"failing\""));
    let doctor = sandbox.run(&["doctor", "--offline"]);
    assert_eq!(doctor.status, 1);
    assert!(
        doctor.stdout.contains(", but the database fails: nothing is recorded"),
        "{}",
        doctor.stdout
    );
    lock.execute_batch("rollback").unwrap();
    becomes(&proxy, "ok");
    ids.iter().for_each(|id| drop(sandbox.row(id)));
    says("recording again; 0 records lost");
    let (_, log) = proxy.output();
    assert!(!sandbox.run(&["status"]).stdout.contains("health"));
    assert_eq!(log.matches("not recorded until").count(), 1, "said once: {log}");
}

#[test]
fn what_cannot_wait_any_longer_is_lost_and_counted() {
    let (_provider, sandbox, mut proxy) = scene();
    sandbox.row(&ask(&proxy));
    let lock = Connection::open(sandbox.database()).unwrap();
    lock.execute_batch("begin exclusive").unwrap();
    ask(&proxy);
    becomes(&proxy, "failing");
    let mut client = proxy.connect();
    let request =
        "GET /v1/models HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer sk-x\r\n\r\n";
    const REQUESTS: usize = 5_000;
    for _ in 0..REQUESTS {
        client.send(request);
        assert_eq!(client.answer().status(), 200);
    }
    lock.execute_batch("rollback").unwrap();
    becomes(&proxy, "ok");
    assert_eq!(proxy.stop(), 0);
    let (_, log) = proxy.output();
    let lost = log.split(" records were lost").next().and_then(|text| text.rsplit(' ').next());
    let lost: usize = lost.unwrap().parse().expect(&log);
    let kept = sandbox.rows(1).len();
    assert!(lost > 0, "the queue is bounded");
    assert_eq!(kept + lost, REQUESTS + 2, "each is in the file or counted as lost");
}

#[test]
fn records_that_a_stop_cannot_write_are_told() {
    let (_provider, sandbox, mut proxy) = scene();
    sandbox.row(&ask(&proxy));
    let lock = Connection::open(sandbox.database()).unwrap();
    lock.execute_batch("begin exclusive").unwrap();
    (0..7).for_each(|_| drop(ask(&proxy)));
    assert_eq!(proxy.stop(), 0, "a database is no reason to fail");
    let (_, log) = proxy.output();
    assert!(log.contains("7 records were lost"), "{log}");
    lock.execute_batch("rollback").unwrap();
}

#[test]
fn database_deleted_under_us_is_made_again() {
    let (_provider, sandbox, proxy) = scene();
    for harm in [
        |sandbox: &Sandbox| fs::remove_file(sandbox.database()).unwrap(),
        |sandbox: &Sandbox| fs::remove_dir_all(sandbox.database().parent().unwrap()).unwrap(),
    ] {
        sandbox.row(&ask(&proxy));
        harm(&sandbox);
        sandbox.row(&ask(&proxy));
        assert_eq!(health(&proxy), "ok");
    }
}

#[test]
fn database_damaged_under_us_is_moved_aside() {
    let (_provider, sandbox, proxy) = scene();
    sandbox.row(&ask(&proxy));
    let spoilt = "no database at all ".repeat(2000);
    fs::write(sandbox.database(), &spoilt).unwrap();
    let _ = fs::remove_file(sandbox.home().join(".ocp/monitor.db-wal"));
    // Requests go on meanwhile, and one of them is the first in the new file.
    wait("a row in a new file", || {
        ask(&proxy);
        let bytes = fs::read(sandbox.database()).ok()?;
        bytes.starts_with(b"SQLite format 3\0").then_some(())
    });
    becomes(&proxy, "ok");
    sandbox.row(&ask(&proxy));
    let aside = fs::read_dir(sandbox.home().join(".ocp")).unwrap().flatten();
    let aside: Vec<PathBuf> = aside
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().contains(".corrupt-"))
        .collect();
    assert!(!aside.is_empty(), "never deleted");
    assert!(proxy.output().1.contains("moved to"), "{}", proxy.output().1);
}

#[test]
fn two_proxies_share_one_file() {
    let provider = Provider::start();
    let sandbox = sandbox().providers(&provider);
    let (first, second) = (sandbox.serve(), sandbox.serve());
    let mut ids = Vec::new();
    for _ in 0..50 {
        ids.push(ask(&first));
        ids.push(ask(&second));
    }
    assert_eq!(sandbox.rows(100).len(), 100);
    ids.iter().for_each(|id| drop(sandbox.row(id)));
    assert_eq!((health(&first), health(&second)), ("ok".into(), "ok".into()));
}

/// A small file system of its own; unmounted at the end.
struct Disk(PathBuf);

impl Disk {
    /// Before the proxy starts, where its database will be. `None` where nobody may mount.
    fn mount(sandbox: &Sandbox, size: &str) -> Option<Disk> {
        let place = sandbox.home().join(".ocp");
        fs::create_dir_all(&place).unwrap();
        let options = format!("size={size},mode=700");
        run("mount", &["-t", "tmpfs", "-o", &options, "tmpfs"], &place).then_some(Disk(place))
    }

    fn remount(&self, how: &str) -> bool {
        run("mount", &["-o", &format!("remount,{how}")], &self.0)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run("umount", &["-l"], &self.0);
    }
}

fn run(program: &str, arguments: &[&str], place: &Path) -> bool {
    let output = Command::new(program).args(arguments).arg(place).output();
    output.is_ok_and(|output| output.status.success())
}

#[test]
fn full_disk_is_told_and_recording_resumes() {
    let provider = Provider::start();
    let sandbox = sandbox().providers(&provider);
    let Some(disk) = Disk::mount(&sandbox, "1m") else {
        return skip("full_disk_is_told_and_recording_resumes", "mounting needs root");
    };
    let proxy = sandbox.serve();
    // There is little room from the beginning.
    assert!(proxy.output().1.contains("low disk path="), "{}", proxy.output().1);
    sandbox.row(&ask(&proxy));
    let filler = disk.0.join("filler");
    // As full as it gets.
    let mut room = 1 << 20;
    let mut fill = fs::OpenOptions::new().create(true).append(true).open(&filler).unwrap();
    while room > 0 {
        use std::io::Write;
        if fill.write_all(&vec![0; room]).is_err() {
            room /= 2;
        }
    }
    wait("the disk to be full", || {
        ask(&proxy);
        (health(&proxy) == "failing").then_some(())
    });
    wait("the log to say so", || proxy.output().1.contains("full").then_some(()));
    let id = ask(&proxy);
    fs::remove_file(&filler).unwrap();
    becomes(&proxy, "ok");
    sandbox.row(&id);
    drop(proxy);
}

#[test]
fn read_only_disk_is_told_and_recording_resumes() {
    let provider = Provider::start();
    let sandbox = sandbox().providers(&provider);
    let Some(disk) = Disk::mount(&sandbox, "4m") else {
        return skip("read_only_disk_is_told_and_recording_resumes", "mounting needs root");
    };
    // Read-only from the start: it serves, and says that it does not record.
    assert!(disk.remount("ro"));
    let proxy = sandbox.serve();
    let id = ask(&proxy);
    becomes(&proxy, "failing");
    assert!(disk.remount("rw"));
    becomes(&proxy, "ok");
    sandbox.row(&id);
    drop(proxy);
}

#[test]
fn reports_are_read_from_a_read_only_disk() {
    let provider = Provider::start();
    let sandbox = sandbox().providers(&provider);
    let Some(disk) = Disk::mount(&sandbox, "4m") else {
        return skip("reports_are_read_from_a_read_only_disk", "mounting needs root");
    };
    let mut proxy = sandbox.serve();
    sandbox.row(&ask(&proxy));
    assert_eq!(proxy.stop(), 0);
    let report = || sandbox.run(&["stats", "--oneline"]);
    let before = report();
    assert!(disk.remount("ro"));
    let after = report();
    assert_eq!((after.status, &after.stdout), (0, &before.stdout), "{}", after.stderr);
    assert!(after.stdout.starts_with("1 req, "), "{}", after.stdout);
    assert_eq!(sandbox.run(&["trace", "--last"]).status, 0);
    // Nor is it in the way of one that was killed, whose last rows are in the log.
    assert!(disk.remount("rw"));
    let mut proxy = sandbox.serve();
    sandbox.row(&ask(&proxy));
    proxy.kill();
    assert!(disk.remount("ro"));
    let killed = report();
    assert!(killed.status == 0 && killed.stdout.starts_with("2 req, "), "{}", killed.stderr);
}
