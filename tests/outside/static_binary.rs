//! The static binary where there is nothing but itself: in an empty root, and under an emulator.
//!
//! `make test-static` names it in `TOKENPAK_TEST_STATIC`, and with another machine's the program that
//! runs it in `TOKENPAK_TEST_EMULATOR`. Only root may change the root.

use crate::provider::{Authority, Provider, tls};
use crate::sandbox::Sandbox;
use crate::support::{Api, sandbox, say, skip};
use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

pub(crate) fn binary() -> Option<PathBuf> {
    env::var_os("TOKENPAK_TEST_STATIC").map(PathBuf::from)
}

fn emulator() -> Option<String> {
    env::var("TOKENPAK_TEST_EMULATOR").ok().filter(|name| !name.is_empty())
}

/// A home that is the whole file system of the program, which is all there is in it.
fn empty_root(test: &str) -> Option<Sandbox> {
    let Some(binary) = binary().filter(|_| emulator().is_none()) else {
        skip(test, "only make test-static has a static binary of this machine");
        return None;
    };
    let chroot = Path::new("/usr/sbin/chroot");
    if !rustix::process::geteuid().is_root() || !chroot.exists() {
        skip(test, "only root may change the root");
        return None;
    }
    let home = sandbox();
    fs::copy(&binary, home.home().join("tokenpak")).unwrap();
    let root = home.home().display().to_string();
    let inside = home.by(&["/usr/sbin/chroot", &root]).running(Path::new("/tokenpak"));
    Some(inside.set("TOKENPAK_HOME", "/").set("HOME", "/"))
}

fn at(sandbox: Sandbox, url: &str) -> Sandbox {
    sandbox.set("TOKENPAK_PROXY_PROVIDERS_ANTHROPIC_URL", url)
}

#[test]
fn nothing_else_is_needed_for_addresses_localhost_and_utc() {
    let Some(alone) = empty_root("nothing_else_is_needed") else { return };
    let version = alone.run(&["--version"]);
    assert_eq!((version.status, version.stderr.as_str()), (0, ""));
    assert_eq!(alone.run_with(&["count"], b"hello world").stdout, "2\n");
    assert!(alone.run(&["man"]).stdout.contains(".Dt TOKENPAK 1"));
    for host in ["127.0.0.1", "localhost"] {
        let provider = Provider::start();
        let home = empty_root("nothing_else_is_needed").unwrap();
        let home = at(home, &format!("http://{host}:{}", provider.port())).set("TZ", "UTC");
        let mut proxy = home.serve();
        let api = Api::Messages;
        assert_eq!(proxy.post(api.target(true), &api.headers(), &api.large(true)).status(), 200);
        assert_eq!(home.rows(1)[0].number("status"), Some(200));
        let stats = home.run(&["stats", "--daily", "--since", "today"]);
        assert!(stats.stdout.contains(" (UTC)"), "{}{}", stats.stdout, stats.stderr);
        assert!(home.run(&["status"]).stdout.contains("1 requests, 0 errors"));
        assert_eq!(proxy.stop(), 0);
    }
}

#[test]
fn names_certificates_and_local_days_need_a_file_each() {
    let Some(home) = empty_root("names_certificates_and_local_days") else { return };
    let (provider, authority) = (Provider::start(), Authority::new());
    let port = tls(provider.port(), authority.sign("provider.test"));
    home.write("etc/hosts", "127.0.0.1 provider.test\n");
    home.write("etc/resolv.conf", "nameserver 127.0.0.1\n");
    let zone = Path::new("/usr/share/zoneinfo/Asia/Kolkata");
    let local = zone.exists();
    if local {
        home.write("usr/share/zoneinfo/Asia/Kolkata", fs::read(zone).unwrap());
    } else {
        skip("local days in an empty root", "tzdata is not here");
    }
    let home = at(home, &format!("https://provider.test:{port}")).set("TZ", "Asia/Kolkata");
    let ask = |home: &Sandbox, nth: usize| {
        let proxy = home.serve();
        let api = Api::Messages;
        let answer = proxy.post(api.target(true), &api.headers(), &api.large(true));
        home.rows(nth);
        answer
    };
    // The roots in the binary know everybody but us: the certificate was read and judged.
    let answer = ask(&home, 1);
    assert_eq!(answer.status(), 502);
    assert!(answer.text().contains("certificate"), "{}", answer.text());
    home.write("roots.pem", authority.pem());
    let home = home.set("TOKENPAK_TLS_ROOTS", "/roots.pem");
    let answer = ask(&home, 2);
    assert_eq!(answer.status(), 200, "{}", answer.text());
    if local {
        let stats = home.run(&["stats", "--daily", "--since", "today"]).stdout;
        assert!(stats.contains(" (IST)") && stats.contains("\ntotal"), "{stats}");
    }
}

/// One that is not of this machine is started, asked once, and reports.
#[test]
fn binary_of_another_machine_works_under_an_emulator() {
    let (Some(binary), Some(emulator)) = (binary(), emulator()) else {
        return skip("binary_of_another_machine", "only make test-static TARGET=... has one");
    };
    let provider = Provider::start();
    let home = at(sandbox(), &format!("http://localhost:{}", provider.port()));
    let home = home.by(&[&emulator]).running(&binary);
    assert_eq!(home.run_with(&["count"], b"hello world").stdout, "2\n");
    let mut proxy = home.serve();
    let api = Api::Messages;
    let answer = proxy.post(api.target(true), &api.headers(), &api.large(true));
    assert_eq!(answer.status(), 200);
    assert!(answer.head.tokens("after") < answer.head.tokens("before"), "and it compresses");
    home.rows(1);
    assert!(home.run(&["stats", "--daily", "--since", "today"]).stdout.contains("\ntotal"));
    assert_eq!(proxy.stop(), 0);
}

/// No larger than promised, no library, and quick; the times are printed and judged by nobody.
#[test]
fn binary_is_small_and_needs_no_library() {
    let Some(binary) = binary() else {
        return skip("binary_is_small", "only make test-static has it");
    };
    let file = fs::read(&binary).unwrap();
    assert!(file.len() <= 6_000_000, "{} bytes", file.len());
    assert!(fs::metadata(&binary).unwrap().permissions().mode() & 0o111 != 0);
    // The program header that names the loader of a dynamic program.
    let loaders: [&[u8]; 2] = [b"/lib/ld-", b"/lib64/ld-"];
    let head = &file[..4096];
    assert!(loaders.iter().all(|name| memchr::memmem::find(head, name).is_none()));
    if emulator().is_some() {
        return;
    }
    let start = Instant::now();
    assert!(Command::new(&binary).arg("--version").output().unwrap().status.success());
    let version = start.elapsed();
    let provider = Provider::start();
    let home = at(sandbox(), &provider.url()).running(&binary);
    let start = Instant::now();
    let proxy = home.serve();
    let api = Api::Messages;
    assert_eq!(proxy.post(api.target(false), &api.headers(), &api.small(false)).status(), 200);
    say(&format!(
        "static binary: {} bytes; --version {version:?}, start to first answer {:?}",
        file.len(),
        start.elapsed()
    ));
}
