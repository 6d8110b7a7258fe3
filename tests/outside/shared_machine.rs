//! A machine with other users: what they may write, whom they may ask, and what they see.
//!
//! Those who test as the superuser take other users' places; the rest is skipped without that.

use crate::provider::Provider;
use crate::sandbox::{Output, Proxy, Sandbox};
use crate::support::{Api, lacks, sandbox, skip};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Users of the machine; none of them owns anything here.
const ADA: u32 = 65_534;
const EVE: u32 = 4_242;

fn is_root(test: &str) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        skip(test, "only the superuser can take another user's place");
    }
    is_root
}

/// A home of `uid`, and the program run by it, from a place that everybody can reach.
fn home_of(uid: u32) -> Sandbox {
    let home = sandbox();
    let copy = home.home().join("tokenpak");
    // By another process: a file that is open for writing here, or in a child just forked, does not run.
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_tokenpak")).arg(&copy).status();
    assert!(copied.unwrap().success());
    chown(home.home(), Some(uid), Some(uid)).unwrap();
    let runner = as_user(uid);
    home.by(&runner.iter().map(String::as_str).collect::<Vec<_>>()).running(&copy)
}

fn as_user(uid: u32) -> [String; 4] {
    [
        "/usr/bin/setpriv".into(),
        format!("--reuid={uid}"),
        format!("--regid={uid}"),
        "--clear-groups".into(),
    ]
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A file that decides something: where it is, a command that reads it, and the status of a refusal.
struct Guarded {
    name: &'static str,
    content: &'static str,
    command: &'static [&'static str],
    refused: i32,
}

const GUARDED: &[Guarded] = &[
    Guarded { name: "config.json", content: "{}", command: &["config", "list"], refused: 78 },
    Guarded { name: "config.json", content: "{}", command: &["config", "check"], refused: 78 },
    Guarded {
        name: "config.json",
        content: "{}",
        command: &["config", "set", "proxy.mode", "strict"],
        refused: 78,
    },
    Guarded { name: "config.json", content: "{}", command: &["serve", "--port", "x"], refused: 78 },
    Guarded { name: "", content: "", command: &["config", "list"], refused: 78 },
    Guarded { name: "", content: "", command: &["stop"], refused: 78 },
    Guarded { name: "", content: "", command: &["debug", "status"], refused: 78 },
    Guarded { name: "tokenpak.pid", content: "1\n", command: &["stop"], refused: 77 },
    Guarded { name: "tokenpak.pid", content: "1\n", command: &["status"], refused: 77 },
    Guarded {
        name: "debug.json",
        content: r#"{"requests":1,"bodies":true}"#,
        command: &["debug", "status"],
        refused: 77,
    },
];

impl Guarded {
    fn place(&self, home: &Sandbox) -> PathBuf {
        match self.name {
            "" => home.home().to_owned(),
            name => home.write(name, self.content),
        }
    }

    /// Holds a refusal against the rule: one line, which ends with the command that mends it. Then
    /// runs that command, after which nothing is refused.
    #[track_caller]
    fn is_refused(&self, home: &Sandbox, remedy: &str) {
        let output = home.run(self.command);
        assert_eq!(output.status, self.refused, "{:?} {remedy}: {output:?}", self.command);
        assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
        let (_, said) = output.stderr.trim_end().rsplit_once("; ").expect("a remedy");
        assert_eq!(said, remedy);
        assert!(Command::new("sh").args(["-c", said]).status().unwrap().success());
        self.passes(home);
    }

    #[track_caller]
    fn passes(&self, home: &Sandbox) {
        let output = home.run(self.command);
        assert_ne!(output.status, self.refused, "{:?}: {output:?}", self.command);
    }
}

#[test]
fn what_others_may_write_is_refused_with_the_remedy() {
    for guarded in GUARDED {
        for mode in [0o664, 0o620, 0o646, 0o602, 0o666, 0o777] {
            let home = sandbox();
            let path = guarded.place(&home);
            set_mode(&path, if guarded.name.is_empty() { mode | 0o700 } else { mode });
            guarded.is_refused(&home, &format!("chmod go-w {}", path.display()));
        }
        for mode in [0o600, 0o640, 0o644, 0o400, 0o755, 0o700] {
            let home = sandbox();
            let path = guarded.place(&home);
            set_mode(&path, if guarded.name.is_empty() { mode | 0o700 } else { mode });
            guarded.passes(&home);
        }
    }
}

#[test]
fn what_another_user_owns_is_refused_with_the_remedy() {
    if !is_root("what another user owns") {
        return;
    }
    for guarded in GUARDED {
        for (owner, is_refused) in [(EVE, true), (0, false), (ADA, false)] {
            let home = home_of(ADA);
            let path = guarded.place(&home);
            chown(&path, Some(owner), Some(owner)).unwrap();
            set_mode(&path, 0o755);
            match is_refused {
                true => guarded.is_refused(&home, &format!("chown {ADA} {}", path.display())),
                false => guarded.passes(&home),
            }
        }
        // The superuser reads anybody's.
        let home = sandbox();
        let path = guarded.place(&home);
        chown(&path, Some(EVE), Some(EVE)).unwrap();
        guarded.passes(&home);
    }
}

#[test]
fn directory_of_a_configuration_elsewhere_counts_too() {
    let check = |directory: &str, mode: u32, status: i32| {
        let home = sandbox();
        let file = home.write(&format!("{directory}/tp.json"), "{}");
        set_mode(file.parent().unwrap(), mode);
        let output = home.set("TOKENPAK_CONFIG", file.to_str().unwrap()).run(&["config", "list"]);
        assert_eq!(output.status, status, "{mode:o}: {output:?}");
    };
    check("a", 0o755, 0);
    check("b", 0o775, 78);
    check("c", 0o777, 78);
    // Like /tmp: nobody moves what is another's.
    check("d", 0o1777, 0);
}

#[test]
fn link_to_a_configuration_is_followed_to_what_it_may_be() {
    let home = sandbox();
    let real = home.write("real/tp.json", r#"{"proxy": {"mode": "strict"}}"#);
    symlink(&real, home.home().join("config.json")).unwrap();
    assert_eq!(home.run(&["config", "get", "proxy.mode"]).stdout, "strict\n");
    for (path, mode) in [(real.as_path(), 0o666), (real.parent().unwrap(), 0o777)] {
        let before = fs::metadata(path).unwrap().permissions();
        set_mode(path, mode);
        assert_eq!(home.run(&["config", "list"]).status, 78, "{}", path.display());
        fs::set_permissions(path, before).unwrap();
    }
    assert_eq!(home.run(&["config", "list"]).status, 0);
}

#[test]
fn certificates_that_others_may_write_vouch_for_nobody() {
    let home = sandbox();
    let roots = home.write("roots.pem", crate::provider::Authority::new().pem());
    let home = home.set("TOKENPAK_TLS_ROOTS", roots.to_str().unwrap());
    let mut proxy = home.serve();
    assert_eq!(proxy.stop(), 0);
    set_mode(&roots, 0o666);
    let output = home.run(&["serve", "--port", "0"]);
    assert_eq!(output.status, 78, "{output:?}");
    assert!(output.stderr.contains("chmod go-w "), "{}", output.stderr);
}

#[test]
fn file_of_roots_on_a_read_only_mount_is_fine() {
    let home = sandbox();
    let file = home.write("volume/tp.json", "{}");
    let volume = file.parent().unwrap();
    // As a volume of a container has them.
    set_mode(&file, 0o666);
    set_mode(volume, 0o777);
    let path = file.to_str().unwrap();
    let home = home.set("TOKENPAK_CONFIG", path);
    assert_eq!(home.run(&["config", "list"]).status, 78);
    let at = volume.display();
    let mount =
        format!("mount --bind {at} {at} && mount -o remount,ro,bind {at} && exec \"$0\" \"$@\"");
    let runner = ["/usr/bin/env", "unshare", "-m", "/bin/sh", "-c", &mount];
    let can = Command::new("unshare").args(["-m", "mount", "-t", "tmpfs", "none", "/mnt"]).output();
    if !can.is_ok_and(|output| output.status.success()) {
        return skip("a read-only mount", "nothing may be mounted here");
    }
    let output = home.by(&runner).run(&["config", "list"]);
    assert_eq!(output.status, 0, "{output:?}");
}

/// What else a name may lead to.
#[derive(Clone, Copy, Debug)]
enum Odd {
    Link,
    Dangling,
    Fifo,
    Directory,
}

const ODD: [Odd; 4] = [Odd::Link, Odd::Dangling, Odd::Fifo, Odd::Directory];

impl Odd {
    fn make(self, home: &Sandbox, name: &str) {
        let path = home.home().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match self {
            Odd::Link => symlink(home.write("victim", "precious"), path).unwrap(),
            Odd::Dangling => symlink(home.home().join("victim"), path).unwrap(),
            Odd::Directory => fs::create_dir(path).unwrap(),
            Odd::Fifo => {
                assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
            }
        }
    }

    /// Nothing was written or made where a link leads.
    #[track_caller]
    fn is_untouched(self, home: &Sandbox) {
        let victim = fs::read(home.home().join("victim")).ok();
        let want = matches!(self, Odd::Link).then(|| b"precious".to_vec());
        assert_eq!(victim, want, "{self:?}");
    }
}

#[track_caller]
fn one_line(output: &Output, status: i32, what: impl std::fmt::Debug) {
    assert_eq!(output.status, status, "{what:?}: {output:?}");
    assert_eq!(output.stderr.lines().count(), 1, "{what:?}: {output:?}");
}

#[test]
fn odd_files_are_refused_and_hold_nobody_up() {
    for odd in ODD {
        let home = sandbox();
        odd.make(&home, "tokenpak.log");
        let output = home.run(&["serve", "--port", "0", "--daemon"]);
        let status = if matches!(odd, Odd::Directory) { 73 } else { 77 };
        one_line(&output, status, ("log", odd));
        odd.is_untouched(&home);

        let home = sandbox();
        odd.make(&home, "tokenpak.pid");
        let mut proxy = home.serve();
        assert!(proxy.output().1.contains("tokenpak.pid: "), "{odd:?}: {}", proxy.output().1);
        for verb in ["stop", "status"] {
            one_line(&home.run(&[verb]), 77, ("pid", odd));
        }
        assert_eq!(proxy.stop(), 0);
        odd.is_untouched(&home);

        let home = sandbox();
        odd.make(&home, "debug.json");
        one_line(&home.run(&["debug", "status"]), 77, ("switch", odd));
        odd.is_untouched(&home);
    }
}

#[test]
fn odd_database_is_refused_and_requests_go_on() {
    for odd in ODD {
        let provider = Provider::start();
        let home = sandbox().providers(&provider);
        odd.make(&home, ".ocp/monitor.db");
        let mut proxy = home.serve();
        let api = Api::Messages;
        assert_eq!(proxy.post(api.target(false), &api.headers(), &api.small(false)).status(), 200);
        for verb in ["stats", "doctor"] {
            let output = home.run(&[verb]);
            assert_ne!(output.status, 0, "{odd:?}: {output:?}");
        }
        assert_eq!(proxy.stop(), 0);
        assert!(proxy.output().1.contains("monitor.db: "), "{odd:?}: {}", proxy.output().1);
        odd.is_untouched(&home);
        assert!(!home.home().join(".ocp/monitor.db-wal").exists());
    }
}

#[test]
fn links_further_up_are_fine() {
    let provider = Provider::start();
    let real = sandbox();
    let home = sandbox();
    let state = home.home().join("state");
    symlink(real.home(), &state).unwrap();
    let home = home.providers(&provider).set("TOKENPAK_HOME", state.to_str().unwrap());
    assert_eq!(home.run(&["debug", "on", "--bodies"]).status, 0);
    let mut proxy = home.serve();
    let api = Api::Messages;
    proxy.post(api.target(false), &api.headers(), &api.small(false));
    real.rows(1);
    assert_eq!(home.run(&["status"]).status, 0);
    assert_eq!(home.run(&["stats", "-q"]).status, 0);
    assert_eq!(fs::read_dir(real.home().join("debug")).unwrap().count(), 2);
    assert_eq!(proxy.stop(), 0);
    let daemon = home.run(&["serve", "--port", "0", "--daemon"]);
    assert_eq!(daemon.status, 0, "{daemon:?}");
    assert_eq!(home.run(&["stop"]).status, 0);
    assert!(real.home().join("tokenpak.log").is_file());
}

#[test]
fn configuration_that_is_no_file_is_refused() {
    for odd in [Odd::Fifo, Odd::Directory, Odd::Dangling] {
        let home = sandbox();
        odd.make(&home, "tp.json");
        let path = home.home().join("tp.json").display().to_string();
        let output = home.set("TOKENPAK_CONFIG", &path).run(&["config", "list"]);
        one_line(&output, 78, odd);
    }
    // A pipe that the caller hands over is one that it wants read.
    let checked = sandbox().run_with(&["config", "check", "-"], b"{\"proxy\": {\"prot\": 1}}");
    assert!(checked.stderr.contains("did you mean proxy.port?"), "{checked:?}");
}

#[test]
fn process_is_no_other_programs_to_read() {
    if !is_root("a process that is not dumpable") {
        return;
    }
    let home = home_of(ADA);
    let proxy = home.serve();
    let of_process = |name: &str| format!("/proc/{}/{name}", proxy.pid());
    // What belongs to the superuser in spite of the process's user is that of one that is sealed.
    assert_eq!(fs::metadata(of_process("mem")).unwrap().uid(), 0);
    assert_eq!(proxy.figure("Uid"), ADA as usize);
    let cat = |uid: u32, name: &str| {
        let [program, words @ ..] = as_user(uid);
        let output = Command::new(program).args(words).args(["cat", &of_process(name)]).output();
        output.unwrap().status.success()
    };
    for secret in ["environ", "maps", "mem", "auxv"] {
        assert!(!cat(ADA, secret), "{secret}");
    }
    // What is open to all still is, and commands of that user need no more.
    assert!(cat(ADA, "status"));
    let status = home.run(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    assert!(status["memory"]["resident_bytes"].as_u64().unwrap() > 1_000_000, "{status}");
    let [program, words @ ..] = as_user(ADA);
    let count = "echo some words | \"$0\" count -";
    let binary = home.home().join("tokenpak");
    let output = Command::new(program).args(words).args(["sh", "-c", count]).arg(binary).output();
    assert!(output.unwrap().stdout.ends_with(b"3\n"));
    assert_eq!(home.run(&["service", "install", "--print"]).status, 0);
    assert_eq!(home.run(&["stop"]).status, 0);
}

/// Asks as `uid`, through a socket that is made by it; the status of the answer.
fn ask_as(uid: u32, address: &str, proxy: &Proxy, request: &str) -> String {
    let [program, words @ ..] = as_user(uid);
    let script = "exec 3<>/dev/tcp/$0/$1; printf '%b' \"$2\" >&3; cat <&3";
    let mut command = Command::new(program);
    command.args(words).args(["bash", "-c", script, address, &proxy.port().to_string(), request]);
    let output = command.output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn plain(line: &str) -> String {
    format!("{line} HTTP/1.1\\r\\nhost: localhost\\r\\nconnection: close\\r\\n\\r\\n")
}

#[test]
fn other_users_are_refused_where_the_settings_say_so() {
    if !is_root("other users at the port") {
        return;
    }
    let provider = Provider::start();
    let home = home_of(ADA).providers(&provider);
    let config = r#"{"proxy": {"same_user": true}}"#;
    home.write("config.json", config);
    let proxy = home.serve();
    let everything = [
        "GET /health",
        "GET /metrics",
        "GET /stats",
        "GET /",
        "GET /v1/models",
        "OPTIONS /v1/messages",
    ];
    for address in ["127.0.0.1", "::1"] {
        for line in everything {
            let is_open = matches!(line, "GET /health" | "GET /metrics");
            for uid in [0, ADA, EVE] {
                let answer = ask_as(uid, address, &proxy, &plain(line));
                let is_refused = answer.contains("x-tokenpak-error: other-user");
                assert_eq!(is_refused, uid == EVE && !is_open, "{address} {uid} {line}: {answer}");
                assert_eq!(answer.starts_with("HTTP/1.1 403 "), is_refused, "{answer}");
            }
        }
    }
    for api in Api::ALL {
        let request = format!(
            "POST {} HTTP/1.1\\r\\nhost: localhost\\r\\ncontent-length: 2\\r\\n\\r\\n{{}}",
            api.target(false)
        );
        let request = request.replacen("\\r\\n\\r\\n", "\\r\\nconnection: close\\r\\n\\r\\n", 1);
        let before = provider.seen().len();
        let answer = ask_as(EVE, "127.0.0.1", &proxy, &request);
        assert!(
            answer.starts_with("HTTP/1.1 403 ") && answer.contains("proxy.same_user"),
            "{answer}"
        );
        assert_eq!(provider.seen().len(), before);
    }
    // Without the setting all users are alike; it is read anew like others.
    home.write("config.json", "{}");
    proxy.reload("reloaded ");
    let answer = ask_as(EVE, "127.0.0.1", &proxy, &plain("GET /"));
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[test]
fn another_users_process_on_the_port_is_named() {
    if !is_root("another user's process") {
        return;
    }
    let theirs = home_of(EVE);
    let trap = theirs.serve();
    let port = trap.port().to_string();
    let ours = home_of(ADA).set("TOKENPAK_PORT", &port);
    let named = format!("another user, uid {EVE}, who would get your keys");
    let doctor = ours.run(&["doctor", "--offline"]);
    assert_eq!(doctor.status, 1, "{doctor:?}");
    let line = doctor.stdout.lines().find(|line| line.contains("port ")).unwrap();
    assert!(line.starts_with("FAIL") && line.contains(&named), "{line}");
    let status = ours.run(&["status"]);
    assert_eq!(status.status, 3);
    assert!(
        status.stderr.contains(&named) && !status.stderr.contains("TOKENPAK_HOME"),
        "{status:?}"
    );
    for arguments in [&["serve"][..], &["serve", "--daemon"]] {
        let serve = ours.run(arguments);
        assert_eq!(serve.status, 69);
        assert!(serve.stderr.contains(&named), "{serve:?}");
    }
    // Its owner, another home of the same user and the superuser see it otherwise.
    let doctor = theirs.set("TOKENPAK_PORT", &port).run(&["doctor", "--offline"]);
    assert!(!doctor.stdout.contains("another user"), "{doctor:?}");
    let alike = home_of(EVE).set("TOKENPAK_PORT", &port).run(&["status"]);
    assert!(alike.stderr.contains("set TOKENPAK_HOME to ask it"), "{alike:?}");
}

#[test]
fn token_has_sixteen_characters_and_comes_from_standard_input() {
    let home = sandbox();
    let set = |value: &str, input: &str| {
        home.run_with(&["config", "set", "proxy.auth_token", value], input.as_bytes())
    };
    for short in ["", "x", "dummy", "fifteen-letters"] {
        for output in [set(short, ""), set("-", short), set("-", &format!("{short}\n"))] {
            assert_eq!(output.status, 64, "{short:?}: {output:?}");
            assert!(output.stderr.contains("16 to 256"), "{output:?}");
            assert!(short.len() < 5 || !output.stderr.contains(short), "{output:?}");
        }
    }
    let stored = || {
        let text = fs::read_to_string(home.home().join("config.json")).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        value["proxy"]["auth_token"].as_str().unwrap().to_owned()
    };
    // All of these are texts, though some could be read as numbers that end otherwise.
    for token in ["sixteen-letters-", "12345678901234567890123456789", "1e30000000000000"] {
        assert_eq!(set(token, "").status, 0);
        assert_eq!(stored(), token);
        home.run(&["config", "unset", "proxy.auth_token"]);
        assert_eq!(set("-", &format!("{token}\n")).status, 0);
        assert_eq!(stored(), token);
    }
    // One line end goes, no more.
    assert_eq!(set("-", "sixteen-letters-\n\n").status, 64);
    let output = home.run_with(&["config", "set", "compression.threshold_tokens", "-"], b"77\n");
    assert_eq!(output.status, 0, "{output:?}");
    assert_eq!(home.run(&["config", "get", "compression.threshold_tokens"]).stdout, "77\n");
}

/// Asks through a socket in the file system.
fn ask_at(path: &Path, request: &str) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn get(path: &str, more: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: any.example\r\n{more}connection: close\r\n\r\n")
}

#[test]
fn socket_in_the_file_system_serves_like_the_port() {
    let provider = Provider::start();
    let home = sandbox().providers(&provider).config(r#"{"proxy": {"socket": "tp.sock"}}"#);
    let path = home.home().join("tp.sock");
    let mut proxy = home.serve();
    let found = fs::symlink_metadata(&path).unwrap();
    assert_eq!(found.permissions().mode() & 0o777, 0o600);
    assert!(found.file_type().is_socket());
    let foreign = ask_at(&path, &get("/stats", "origin: https://page.example\r\n"));
    assert!(foreign.starts_with("HTTP/1.1 403 "), "{foreign}");
    for api in Api::ALL {
        for stream in [false, true] {
            let body = api.large(stream);
            let headers = api.headers();
            let headers = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
            let head = format!(
                "POST {} HTTP/1.1\r\nhost: x\r\n{}content-length: {}\r\nconnection: close\r\n\r\n",
                api.target(stream),
                headers.collect::<String>(),
                body.len()
            );
            let answer = ask_at(&path, &(head + std::str::from_utf8(&body).unwrap()));
            assert!(answer.starts_with("HTTP/1.1 200 "), "{api:?}: {answer}");
            assert!(answer.contains("x-tokenpak-tokens-saved: "), "{api:?}");
        }
    }
    assert_eq!(provider.seen().len(), 8);
    home.rows(8);
    for page in ["/health", "/metrics", "/stats"] {
        let answer = ask_at(&path, &get(page, ""));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{page}: {answer}");
    }
    // The port beside it.
    assert_eq!(proxy.ask("GET", "/health", &[], b"").status(), 200);
    assert_eq!(proxy.stop(), 0);
    assert!(!path.exists());
}

#[test]
fn socket_left_over_is_replaced_and_nothing_else_is() {
    let with_socket =
        |home: &Sandbox| home.write("config.json", r#"{"proxy": {"socket": "tp.sock"}}"#);
    let home = sandbox();
    with_socket(&home);
    let path = home.home().join("tp.sock");
    let mut killed = home.serve();
    killed.kill();
    assert!(path.exists(), "a socket is left over");
    let mut proxy = home.serve();
    assert!(ask_at(&path, &get("/health", "")).starts_with("HTTP/1.1 200 "));
    // Somebody listens there.
    let second = home.run(&["serve", "--port", "0"]);
    one_line(&second, 69, "in use");
    assert!(second.stderr.contains("tp.sock: address already in use"), "{second:?}");
    // What has its name at the end is another's.
    fs::remove_file(&path).unwrap();
    let other = UnixListener::bind(&path).unwrap();
    assert_eq!(proxy.stop(), 0);
    assert!(path.exists());
    drop(other);
    for odd in ODD {
        let home = sandbox();
        with_socket(&home);
        odd.make(&home, "tp.sock");
        one_line(&home.run(&["serve", "--port", "0"]), 69, odd);
        assert!(fs::symlink_metadata(home.home().join("tp.sock")).is_ok());
        odd.is_untouched(&home);
    }
}

#[test]
fn client_that_hangs_up_on_its_socket_is_noticed() {
    let provider = Provider::start();
    let home = sandbox().providers(&provider).config(r#"{"proxy": {"socket": "tp.sock"}}"#);
    let _proxy = home.serve();
    let path = home.home().join("tp.sock");
    let body = r#"{"model":"claude-sonnet-4-5","max_tokens":9,"messages":[{"role":"user","content":"x"}]}"#;
    let request = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: sk-ant-test-a\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    // Half closed it still waits, and has its answer.
    let mut half = UnixStream::connect(&path).unwrap();
    half.write_all(request.as_bytes()).unwrap();
    half.shutdown(std::net::Shutdown::Write).unwrap();
    let mut start = [0; 12];
    half.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
}

/// Serves on what systemd's own helper opens.
fn activated(home: Sandbox, listen: &[&str]) -> Sandbox {
    let mut runner = vec!["/usr/bin/systemd-socket-activate"];
    listen.iter().for_each(|at| runner.extend(["-l", at]));
    // It hands on no other variables.
    let variables = ["TOKENPAK_HOME", "TOKENPAK_PROXY_AUTH_TOKEN", "TOKENPAK_PORT", "HOME"];
    variables.iter().for_each(|name| runner.extend(["-E", name]));
    home.by(&runner)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn sockets_of_systemd_take_the_place_of_our_own() {
    if !Path::new("/usr/bin/systemd-socket-activate").exists() {
        return lacks("socket activation", "systemd-socket-activate is not here");
    }
    let port = free_port();
    let home = sandbox().set("TOKENPAK_PORT", &port.to_string());
    let path = home.home().join("handed.sock");
    let [v4, v6] = [format!("127.0.0.1:{port}"), format!("[::1]:{port}")];
    let home = activated(home, &[&v4, &v6, path.to_str().unwrap()]);
    let mut command = home.command_for(&["serve"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    // The first client starts the proxy, and is served by it.
    let first = crate::sandbox::wait("the helper", || TcpStream::connect(&v4).ok());
    let ask = |mut stream: TcpStream| {
        stream
            .write_all(get("/health", "").replace("any.example", "localhost").as_bytes())
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(ask(first).starts_with("HTTP/1.1 200 "));
    assert!(ask(TcpStream::connect(&v6).unwrap()).starts_with("HTTP/1.1 200 "));
    assert!(ask_at(&path, &get("/health", "")).starts_with("HTTP/1.1 200 "));
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success(), "{said}");
    assert!(said.contains(&format!("listening addr={v4}")) && !said.contains("warning"), "{said}");
    // The file is systemd's to remove.
    assert!(path.exists());
}

#[test]
fn socket_of_systemd_that_is_open_to_all_needs_a_token() {
    if !Path::new("/usr/bin/systemd-socket-activate").exists() {
        return lacks("an open socket", "systemd-socket-activate is not here");
    }
    let run = |home: Sandbox| {
        let port = free_port();
        let home = activated(home, &[&format!("0.0.0.0:{port}")]);
        let mut command = home.command_for(&["serve"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let wake = || TcpStream::connect(("127.0.0.1", port)).ok();
        let mut stream = crate::sandbox::wait("the helper", wake);
        let _ = stream.write_all(get("/v1/models", "").as_bytes());
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        let _ = kill_process(Pid::from_child(&child), Signal::TERM);
        (child.wait().unwrap().code(), answer)
    };
    let (status, answer) = run(sandbox());
    assert_eq!((status, answer.as_str()), (Some(78), ""));
    let (status, answer) = run(sandbox().set("TOKENPAK_PROXY_AUTH_TOKEN", "sixteen-letters-"));
    assert_eq!(status, Some(0));
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
}

#[test]
fn descriptors_that_are_not_ours_to_serve_on_are_told() {
    let run = |set: &str, redirect: &str| {
        let script = format!("export {set}; exec \"$0\" \"$@\" {redirect}");
        let home = sandbox().by(&["/bin/sh", "-c", &script]);
        // Ends the start, behind the look at the descriptors.
        home.write("plain", "");
        home.set("TOKENPAK_PROXY_SOCKET", "plain").run(&["serve", "--port", "0"])
    };
    let told = [
        ("3<&-", "descriptor 3: not a listening stream socket"),
        ("3</dev/null", "descriptor 3: socket operation on non-socket"),
        ("3</etc", "descriptor 3: socket operation on non-socket"),
    ];
    for (redirect, words) in told {
        let output = run("LISTEN_FDS=1 LISTEN_PID=$$", redirect);
        one_line(&output, 69, redirect);
        assert!(output.stderr.to_lowercase().contains(words), "{output:?}");
    }
    // Those of another process, none, and nonsense: as if nothing were said.
    for set in [
        "LISTEN_FDS=1 LISTEN_PID=1",
        "LISTEN_FDS=1",
        "LISTEN_FDS=x LISTEN_PID=$$",
        "LISTEN_FDS=0 LISTEN_PID=$$",
    ] {
        let output = run(set, "");
        assert!(output.stderr.contains("is no socket"), "{set}: {output:?}");
        assert!(!output.stderr.contains("LISTEN"), "{output:?}");
    }
}

#[test]
fn unit_of_the_sockets_goes_with_the_other_one() {
    let home = sandbox().config(r#"{"proxy": {"port": 9123, "socket": "tp.sock"}}"#);
    let unit = |name: &str| home.home().join(".config/systemd/user").join(name);
    let install = |more: &[&str]| home.run(&[&["service", "install"], more].concat());
    assert_eq!(install(&["--same-user"]).status, 0);
    let [service, socket] =
        ["tokenpak.service", "tokenpak.socket"].map(|name| fs::read_to_string(unit(name)).unwrap());
    assert!(service.contains("Environment=TOKENPAK_PROXY_SAME_USER=true\n"), "{service}");
    assert_eq!(install(&["--print", "--socket"]).stdout, socket);
    let path = home.home().join("tp.sock");
    for line in [
        "ListenStream=127.0.0.1:9123",
        &format!("ListenStream={}", path.display()),
        "SocketMode=0600",
    ] {
        assert!(socket.lines().any(|found| found == line), "{line}: {socket}");
    }
    if Command::new("systemd-analyze").arg("--version").output().is_ok() {
        let verify = Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(unit("tokenpak.socket"))
            .output();
        let verify = verify.unwrap();
        assert_eq!(String::from_utf8_lossy(&verify.stderr), "");
        assert!(verify.status.success());
    }
    // An edited one of either kind keeps both as they are.
    fs::write(unit("tokenpak.socket"), format!("{socket}# mine\n")).unwrap();
    assert_eq!(install(&["--same-user"]).status, 64);
    assert_eq!(install(&["--force"]).status, 0);
    assert!(!fs::read_to_string(unit("tokenpak.service")).unwrap().contains("SAME_USER"));
    fs::write(unit("tokenpak.socket"), "[Socket]\n").unwrap();
    assert_eq!(home.run(&["service", "uninstall"]).status, 64);
    assert!(unit("tokenpak.service").exists());
    assert_eq!(home.run(&["service", "uninstall", "--force"]).status, 0);
    assert!(!unit("tokenpak.service").exists() && !unit("tokenpak.socket").exists());
    assert_eq!(install(&["--system", "--same-user", "--print"]).status, 64);
    let home = sandbox().config(r#"{"proxy": {"port": 0}}"#);
    assert_eq!(home.run(&["service", "install"]).status, 64);
}
