//! Prompts that claim to be more than they are: the proxy goes on, serves others meanwhile, and what it
//! sends can be undone.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::scope;

use crate::hostile_prompts::{families, marked};
use crate::provider::{Provider, Script};
use crate::sandbox::{Proxy, Sandbox};
use crate::static_binary;
use crate::support::{Api, sandbox, say, skip};

const MODES: [&str; 3] = ["strict", "hybrid", "aggressive"];

/// Below the threshold of a prompt, and of a result; of the usual size; and more than that.
const SIZES: [usize; 3] = [600, 30_000, 400_000];

/// As large as prompts that providers take; sent in one mode.
const LARGE_BYTES: usize = 4_000_000;
/// What a debug build is asked to take instead: with the former it would need half of all tests' time.
const LARGE_BYTES_DEBUG: usize = 1_500_000;

/// Hostile prompts for each ordinary one beside them.
const HOSTILE_SHARE: usize = 8;

/// Connections that send hostile prompts at once.
const CLIENTS: usize = 4;

/// Addresses that the process may take, in KB. With glibc, each thread that is to allocate would reserve 64 MB
/// of them.
const LIMIT_KB: usize = 256 * 1024;

fn limited(program: &Path, provider: &Provider) -> (Sandbox, Sandbox) {
    let own = sandbox();
    let program = program.display();
    let script = format!("#!/bin/sh\nulimit -v {LIMIT_KB} || exit 9\nexec '{program}' \"$@\"\n");
    let path = own.write("limited", script);
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&path, executable).unwrap();
    (Sandbox::of(&path).providers(provider), own)
}

#[test]
fn hostile_prompts_leave_a_small_machine_up_and_others_served() {
    survives(Path::new(env!("CARGO_BIN_EXE_tokenpak")), LARGE_BYTES_DEBUG);
}

#[test]
fn static_binary_survives_them_too() {
    match static_binary::binary() {
        Some(binary) => survives(&binary, LARGE_BYTES),
        None => skip("static_binary_survives", "only make test-static has a static binary"),
    }
}

fn survives(program: &Path, large: usize) {
    let provider = Provider::start();
    provider.always(Script { words: 1, ..Script::default() });
    let (sandbox, _script) = limited(program, &provider);
    let proxy = sandbox.serve();
    let mut prompts = Vec::new();
    for (name, path, body) in families() {
        for mode in MODES {
            prompts.extend(SIZES.map(|size| (name, path, body, size, mode)));
        }
        prompts.push((name, path, body, large, "hybrid"));
    }
    let (next, served) = (AtomicUsize::new(0), AtomicUsize::new(0));
    // One that is due already is enough.
    let (told, due) = std::sync::mpsc::sync_channel(1);
    scope(|scope| {
        let (prompts, next, served, provider, proxy) =
            (&prompts, &next, &served, &provider, &proxy);
        for told in vec![told; CLIENTS] {
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some((name, path, body, size, mode)) = prompts.get(at) else { break };
                    let headers =
                        [("authorization", "Bearer sk-not-a-key"), ("x-tokenpak-mode", *mode)];
                    let answer = proxy.post(path, &headers, body(*size).as_bytes());
                    assert_eq!(answer.status(), 200, "{name}, {size} bytes, {mode}");
                    provider.forget();
                    if at.is_multiple_of(HOSTILE_SHARE) {
                        let _ = told.try_send(());
                    }
                }
            });
        }
        // Somebody else, whose prompts are large, too.
        scope.spawn(move || {
            for () in due {
                ordinary(proxy);
                served.fetch_add(1, Ordering::Relaxed);
            }
        });
    });
    ordinary(&proxy);
    let (served, peak) = (served.into_inner(), proxy.peak_memory() >> 20);
    say(&format!(
        "{} hostile prompts, {served} ordinary ones beside them: at most {peak} MB of memory",
        prompts.len()
    ));
    assert!(served > 0);
}

fn ordinary(proxy: &Proxy) {
    let text = "2026-11-30 10:00:00 INFO a line of a log that is like many others\n".repeat(20_000);
    let body = Api::Messages.with_result(false, &text);
    let answer = proxy.post("/v1/messages", &Api::Messages.headers(), &body);
    assert_eq!(answer.status(), 200);
}

#[test]
fn expansion_has_a_limit_that_can_be_raised() {
    let sandbox = sandbox();
    // 40 KB that stand for 40 MB, twice over.
    let line = "a".repeat(20_000);
    let text = format!(
        "{line}\n[... the line above 2000 more times ...]\n{line}\n[... the line above 2000 more times ...]"
    );
    let expand = |options: &[&str]| {
        let arguments = [&["compress", "--text", "--expand"], options].concat();
        sandbox.run_with(&arguments, text.as_bytes())
    };
    let refused = expand(&[]);
    let said = "tokenpak: standard input: stands for more than 64 MB; --expand-max allows more\n";
    assert_eq!((refused.status, refused.stdout.as_str(), refused.stderr.as_str()), (65, "", said));
    let whole = expand(&["--expand-max", "80"]);
    assert_eq!((whole.status, whole.stdout.len()), (0, 2 * 2001 * 20_001 - 1));
    for wrong in ["0", "-1", "4001", "x", "18446744073709551615"] {
        let answer = expand(&["--expand-max", wrong]);
        assert_eq!(answer.status, 64, "{wrong}: {}", answer.stderr);
        assert!(answer.stderr.starts_with("tokenpak: --expand-max: not a number from 1 to 4000"));
    }
}

#[test]
fn what_is_made_of_hostile_texts_can_be_undone() {
    let sandbox = sandbox();
    for text in marked(110_000) {
        for mode in ["strict", "hybrid"] {
            let short = sandbox.run_with(&["compress", "--text", "--mode", mode], text.as_bytes());
            assert_eq!(short.status, 0, "{}", short.stderr);
            let back =
                sandbox.run_with(&["compress", "--text", "--expand"], short.stdout.as_bytes());
            assert_eq!(back.status, 0, "{}", back.stderr);
            assert!(back.stdout == text, "{mode}: {:?} does not come back", &text[..60]);
        }
    }
}
