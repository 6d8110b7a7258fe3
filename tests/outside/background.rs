//! The proxy in the background and as a service: started, found, stopped.

use crate::sandbox::{Client, Sandbox, wait};
use crate::support::{sandbox, skip};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

/// Starts a proxy in the background; its port.
#[track_caller]
fn start(sandbox: &Sandbox) -> u16 {
    let output = sandbox.run(&["serve", "--port", "0", "--daemon"]);
    assert_eq!((output.status, output.stdout.as_str()), (0, ""), "{}", output.stderr);
    assert!(
        output.stderr.starts_with("tokenpak: running in the background, pid "),
        "{}",
        output.stderr
    );
    let port = output.stderr.trim_end().rsplit(':').next().unwrap();
    port.parse().unwrap()
}

#[track_caller]
fn stop(sandbox: &Sandbox) {
    let output = sandbox.run(&["stop"]);
    assert_eq!(output.status, 0, "{}", output.stderr);
    assert!(output.stderr.starts_with("tokenpak: stopped (pid "), "{}", output.stderr);
}

#[test]
fn daemon_answers_when_its_starter_returns_and_ends_when_asked() {
    let sandbox = sandbox();
    let port = start(&sandbox);
    let mut client = Client::connect(port);
    client.request(("GET", "/health"), &[], b"");
    assert_eq!(client.answer().status(), 200);
    let private =
        |name: &str| fs::metadata(sandbox.home().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((private("tokenpak.pid"), private("tokenpak.log")), (0o600, 0o600));
    drop(client);
    stop(&sandbox);
    assert!(!sandbox.home().join("tokenpak.pid").exists());
    let log = fs::read_to_string(sandbox.home().join("tokenpak.log")).unwrap();
    assert!(
        log.contains("listening addr=127.0.0.1:") && log.contains("stopped requests=0"),
        "{log}"
    );
    let output = sandbox.run(&["stop"]);
    assert_eq!(output.status, 3);
    assert_eq!(output.stderr, "tokenpak: not running; there is nothing to stop\n");
}

/// Nothing is read from the log, which may say nothing.
#[test]
fn daemon_is_known_to_serve_at_every_log_level() {
    for level in ["error", "warn", "info", "debug"] {
        let sandbox = sandbox().set("TOKENPAK_LOG", level);
        let mut client = Client::connect(start(&sandbox));
        client.request(("GET", "/health"), &[], b"");
        assert_eq!(client.answer().status(), 200, "{level}");
        drop(client);
        stop(&sandbox);
    }
}

#[test]
fn daemon_starts_on_a_full_disk_and_passes_words_and_status_on() {
    let sandbox = sandbox();
    let disk = sandbox.home().join("full");
    fs::create_dir(&disk).unwrap();
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).arg(&disk).output();
        output.is_ok_and(|output| output.status.success())
    };
    if !run("mount", &["-t", "tmpfs", "-o", "size=16k,nr_inodes=3,mode=700", "tmpfs"]) {
        return skip("daemon_starts_on_a_full_disk", "mounting needs root");
    }
    let sandbox = sandbox.set("TOKENPAK_HOME", disk.to_str().unwrap());
    // With a file for the log and without, no byte fits in.
    for files in [vec!["tokenpak.log", "filler"], vec!["filler", "another"]] {
        for name in ["tokenpak.log", "filler", "another"] {
            let _ = fs::remove_file(disk.join(name));
        }
        files.iter().for_each(|name| drop(fs::File::create(disk.join(name)).unwrap()));
        let _ = fs::write(disk.join("filler"), [0; 64 * 1024]);
        let output = sandbox.run(&["serve", "--port", "0", "--daemon"]);
        assert_eq!(output.status, 0, "{files:?}: {}", output.stderr);
        let line = output.stderr.lines().last().unwrap();
        let pid = line.split_once(", pid ").unwrap().1.split(',').next().unwrap();
        let mut client = Client::connect(line.rsplit(':').next().unwrap().parse().unwrap());
        client.request(("GET", "/health"), &[], b"");
        assert_eq!(client.answer().json()["db"], "failing");
        drop(client);
        // Its words do not go by way of the disk either.
        let port = line.rsplit(':').next().unwrap();
        let second = sandbox.run(&["serve", "--port", port, "--daemon"]);
        assert_eq!(second.status, 69, "{}", second.stderr);
        assert!(second.stderr.contains("address already in use"), "{}", second.stderr);
        let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        wait("the proxy to end", || rustix::process::test_kill_process(pid).err());
    }
    run("umount", &["-l"]);
}

/// Whoever is told that the proxy is there can ask for a report at once.
#[test]
fn first_report_finds_a_database() {
    for _ in 0..10 {
        let sandbox = sandbox();
        start(&sandbox);
        let report = sandbox.run(&["stats", "--oneline"]);
        assert_eq!(report.status, 0, "{}", report.stderr);
        stop(&sandbox);
    }
    let home = sandbox();
    let path = home.home().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let sandbox = sandbox().set("NOTIFY_SOCKET", path.to_str().unwrap());
    let process = sandbox.serve();
    socket.recv(&mut [0; 100]).unwrap();
    let report = sandbox.run(&["stats", "--oneline"]);
    assert_eq!(report.status, 0, "{}", report.stderr);
    drop(process);
    // A file that is just being made is not a stranger's.
    let young = crate::support::sandbox();
    young.write(".ocp/monitor.db", "");
    let report = young.run(&["stats", "--oneline"]);
    assert_eq!(report.status, 66, "{}", report.stderr);
}

#[test]
fn second_proxy_says_who_has_the_port() {
    let sandbox = sandbox();
    let port = start(&sandbox).to_string();
    for arguments in [&["serve", "--port", &port][..], &["serve", "--port", &port, "--daemon"]] {
        let output = sandbox.run(arguments);
        assert_eq!(output.status, 69, "{}", output.stderr);
        assert!(
            output.stderr.contains("address already in use (by a running tokenpak, pid "),
            "{}",
            output.stderr
        );
        assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
    }
    stop(&sandbox);
}

#[test]
fn foreign_listener_is_not_taken_for_ours() {
    let sandbox = sandbox();
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let output = sandbox.run(&["serve", "--port", &port.local_addr().unwrap().port().to_string()]);
    assert_eq!(output.status, 69);
    assert!(output.stderr.ends_with("address already in use\n"), "{}", output.stderr);
}

#[test]
fn daemon_that_cannot_start_passes_words_and_status_on() {
    let output = sandbox().config("{\"proxy\": {\"prot\": 1}}").run(&["serve", "--daemon"]);
    assert_eq!(output.status, 78, "{}", output.stderr);
    assert!(output.stderr.contains("did you mean proxy.port?"), "{}", output.stderr);
}

#[test]
fn file_of_a_killed_proxy_deceives_nobody() {
    let sandbox = sandbox();
    let mut proxy = sandbox.serve();
    proxy.kill();
    assert!(sandbox.home().join("tokenpak.pid").exists());
    assert_eq!(sandbox.run(&["stop"]).status, 3);
    let mut proxy = sandbox.serve();
    assert!(!proxy.output().1.contains("warning"), "{}", proxy.output().1);
    assert_eq!(proxy.stop(), 0);
}

#[test]
fn second_proxy_in_one_home_serves_and_says_that_it_is_not_found() {
    let sandbox = sandbox();
    let first = sandbox.serve();
    let mut second = sandbox.serve();
    let said = second.output().1;
    assert!(said.contains(&format!("tokenpak.pid: pid {} has it", first.pid())), "{said}");
    assert_eq!(second.stop(), 0);
    stop(&sandbox);
}

#[test]
fn files_that_are_links_are_not_followed() {
    let sandbox = sandbox();
    let victim = sandbox.write("victim", "precious");
    symlink(&victim, sandbox.home().join("tokenpak.pid")).unwrap();
    symlink(&victim, sandbox.home().join("tokenpak.log")).unwrap();
    let mut proxy = sandbox.serve();
    assert!(proxy.output().1.contains("symbolic link"), "{}", proxy.output().1);
    assert_eq!(proxy.stop(), 0);
    assert_eq!(sandbox.run(&["serve", "--port", "0", "--daemon"]).status, 77);
    assert_eq!(fs::read_to_string(victim).unwrap(), "precious");
}

#[test]
fn systemd_is_told_about_start_and_end() {
    let home = sandbox();
    let path = home.home().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let sandbox = sandbox().set("NOTIFY_SOCKET", path.to_str().unwrap());
    let mut proxy = sandbox.serve();
    let next = || {
        let mut text = [0; 100];
        let n = socket.recv(&mut text).unwrap();
        String::from_utf8_lossy(&text[..n]).into_owned()
    };
    assert_eq!(next(), "READY=1");
    proxy.terminate();
    assert_eq!(next(), "STOPPING=1");
    assert_eq!(proxy.wait(), 0);
}

#[test]
fn user_unit_is_written_kept_and_removed() {
    let sandbox = sandbox();
    let path = sandbox.home().join(".config/systemd/user/tokenpak.service");
    let output = sandbox.run(&["service", "install"]);
    assert_eq!(output.status, 0, "{}", output.stderr);
    assert!(output.stdout.contains("systemctl --user enable --now tokenpak"), "{}", output.stdout);
    let unit = fs::read_to_string(&path).unwrap();
    assert!(unit.contains(" serve\n") && unit.contains("Type=notify"), "{unit}");
    assert_eq!(sandbox.run(&["service", "install", "--print"]).stdout, unit);
    fs::write(&path, format!("{unit}# mine\n")).unwrap();
    let refused = sandbox.run(&["service", "install"]);
    assert_eq!(refused.status, 64);
    assert!(refused.stderr.contains("--force"), "{}", refused.stderr);
    assert_eq!(sandbox.run(&["service", "install", "--force"]).status, 0);
    assert_eq!(fs::read_to_string(&path).unwrap(), unit);
    // What somebody has changed stays, whatever it was.
    let changes: [(&str, &str); 4] = [
        ("serve\n", "serve --port 9000\n"),
        ("\n[Service]", "\n\n[Service]"),
        ("# ", "#"),
        ("[Unit]", ""),
    ];
    for (old, new) in changes {
        fs::write(&path, unit.replacen(old, new, 1)).unwrap();
        let refused = sandbox.run(&["service", "uninstall"]);
        assert_eq!(refused.status, 64, "{}", refused.stderr);
        assert!(
            refused.stderr.contains("--force removes it") && path.exists(),
            "{}",
            refused.stderr
        );
    }
    assert_eq!(sandbox.run(&["service", "uninstall", "--force"]).status, 0);
    assert!(!path.exists());
    assert_eq!(sandbox.run(&["service", "install"]).status, 0);
    assert_eq!(sandbox.run(&["service", "uninstall"]).status, 0);
    assert!(!path.exists());
    assert_eq!(sandbox.run(&["service", "uninstall"]).status, 66);
}

/// systemd's own opinion of the units.
#[test]
fn units_pass_systemd_analyze() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        return crate::support::lacks("units_pass_systemd_analyze", "systemd-analyze is not here");
    }
    for arguments in
        [&["service", "install", "--print"][..], &["service", "install", "--print", "--system"]]
    {
        // The program must exist where the unit says, and not below a user's home.
        let unit = sandbox().run(arguments).stdout;
        let sandbox = sandbox();
        let unit = unit.lines().map(|line| match line.starts_with("ExecStart=") {
            true => "ExecStart=/bin/true serve",
            false => line,
        });
        let text = unit.collect::<Vec<_>>().join("\n") + "\n";
        let path = sandbox.write("tokenpak.service", text);
        let verify = Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(&path)
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&verify.stderr), "", "{arguments:?}");
        assert!(verify.status.success(), "{arguments:?}");
        if arguments.contains(&"--system") {
            let security = Command::new("systemd-analyze")
                .args(["security", "--offline=true", "--threshold=15", "--no-pager"])
                .arg(&path)
                .output()
                .unwrap();
            assert!(security.status.success(), "{}", String::from_utf8_lossy(&security.stdout));
        }
    }
}

#[test]
fn completions_come_from_the_binary() {
    let sandbox = sandbox();
    assert_eq!(sandbox.run(&["completions", "ksh"]).status, 64);
    for shell in ["bash", "zsh", "fish"] {
        let script = sandbox.run(&["completions", shell]).stdout;
        assert!(script.contains("serve") && script.contains("show-origin"), "{script}");
    }
}

#[test]
fn bash_completes_commands_and_options() {
    let sandbox = sandbox();
    let script = sandbox.write("complete.bash", sandbox.run(&["completions", "bash"]).stdout);
    for (words, want) in [
        ("tokenpak st", "stop status stats"),
        ("tokenpak config li", "list"),
        ("tokenpak config list --s", "--show-origin"),
        ("tokenpak serve --da", "--daemon"),
    ] {
        let typed: Vec<&str> = words.split(' ').collect();
        let ask = format!(
            ". {}; COMP_WORDS=({words}); COMP_CWORD={}; _tokenpak; echo ${{COMPREPLY[@]}}",
            script.display(),
            typed.len() - 1
        );
        let output = Command::new("bash").args(["-c", &ask]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), want, "{words}");
    }
}

#[test]
fn stop_waits_no_longer_than_it_is_told() {
    let provider = crate::provider::Provider::start();
    let sandbox = crate::support::sandbox().providers(&provider);
    let proxy = sandbox.serve();
    let mut client = proxy.connect();
    // Half a request keeps nobody: only what a worker carries does.
    client
        .send(b"POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n12345");
    let output = sandbox.run(&["stop", "--timeout", "20"]);
    assert_eq!(output.status, 0, "{}", output.stderr);
    wait("the file to go", || (!sandbox.home().join("tokenpak.pid").exists()).then_some(()));
}
