//! Defaults under a limit on memory: of a control group, where this machine lets a test make one, and on
//! address space.

use crate::provider::Provider;
use crate::sandbox::{Client, Sandbox, wait};
use crate::support::{Api, sandbox, say, skip};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const MB: u64 = 1 << 20;

/// A control group with a limit on memory; it goes when all that was in it has ended.
struct Group(PathBuf);

impl Group {
    /// Of whichever version there is; or why there is none.
    fn new(bytes: u64) -> Result<Group, String> {
        let name = format!("tokenpak-test-{}", std::process::id());
        let tops =
            [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];
        let mut why = "no control groups with memory".to_owned();
        for (top, file) in tops {
            let group = Group(Path::new(top).join(&name));
            let made = fs::create_dir(&group.0).and_then(|()| {
                // The kernel makes the file, where this is a control group.
                fs::OpenOptions::new().write(true).open(group.0.join(file))
            });
            match made.and_then(|mut file| file.write_all(bytes.to_string().as_bytes())) {
                Ok(()) => return Ok(group),
                Err(error) => why = format!("{top}: {error}"),
            }
        }
        Err(why)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

/// The program behind a line of shell.
fn behind(line: &str, provider: &Provider) -> (Sandbox, Sandbox) {
    let own = sandbox();
    let program = env!("CARGO_BIN_EXE_tokenpak");
    let path = own.write("limited", format!("#!/bin/sh\n{line}\nexec {program} \"$@\"\n"));
    fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    (Sandbox::of(&path).providers(provider), own)
}

/// 60 requests of 600 KB at once are served or refused, and the process lives.
#[track_caller]
fn survives(line: &str, limit: &str, bodies: &str) {
    let provider = Provider::start();
    let (sandbox, _own) = behind(line, &provider);
    let mut proxy = sandbox.serve();
    let body = Api::Messages.with_result(true, &"a line of many words\n".repeat(28_000));
    assert!(body.len() > 600_000);
    let mut clients: Vec<Client> = (0..60).map(|_| proxy.connect()).collect();
    std::thread::scope(|scope| {
        let ask = |client: &mut Client| {
            client.request(("POST", "/v1/messages"), &Api::Messages.headers(), &body);
            client.set_patience(std::time::Duration::from_secs(90));
            client.answer().status()
        };
        let asked = clients.iter_mut().map(|client| scope.spawn(move || ask(client)));
        let statuses: Vec<u16> =
            asked.collect::<Vec<_>>().into_iter().map(|one| one.join().unwrap()).collect();
        let served = statuses.iter().filter(|status| **status == 200).count();
        say(&format!(
            "{limit}: {served} of 60 requests of 600 KB served, at most {} MB",
            proxy.peak_memory() as u64 / MB
        ));
        assert!(served > 0 && statuses.iter().all(|it| matches!(it, 200 | 503)), "{statuses:?}");
    });
    let small = || proxy.post("/v1/messages", &Api::Messages.headers(), &Api::Messages.small(true));
    wait("the proxy to be itself again", || (small().status() == 200).then_some(()));
    let listed = sandbox.run(&["config", "list", "--show-origin"]).stdout;
    let line = listed.lines().find(|line| line.contains("proxy.body_memory_mb")).unwrap();
    assert!(line.starts_with(&format!("default below {limit} ")), "{line}");
    assert!(line.ends_with(&format!("proxy.body_memory_mb={bodies}")), "{line}");
    // It is the proxy's limit that counts, wherever the question is asked.
    let full = sandbox.run(&["status", "--full"]).stdout;
    assert!(full.contains(&format!("{bodies} MB for bodies (default below {limit})")), "{full}");
    // What the user says is taken as it is.
    sandbox.write("config.json", r#"{"proxy": {"body_memory_mb": 77, "workers": 500}}"#);
    let listed = sandbox.run(&["config", "list", "--show-origin"]).stdout;
    for said in ["proxy.body_memory_mb=77", "proxy.workers=500"] {
        let line = listed.lines().find(|line| line.ends_with(said)).expect(said);
        assert!(line.starts_with("config.json:1"), "{line}");
    }
    assert_eq!(proxy.stop(), 0);
}

#[test]
fn control_group_of_64_mb_needs_no_settings() {
    match Group::new(64 * MB) {
        Ok(group) => {
            let line = format!("echo $$ > {}/cgroup.procs || exit 9", group.0.display());
            survives(&line, "the control group's limit of 64 MB", "8");
        }
        Err(why) => skip("control_group_of_64_mb", &why),
    }
}

#[test]
fn address_space_of_256_mb_needs_no_settings() {
    survives("ulimit -v 262144 || exit 9", "the limit on address space of 256 MB", "32");
}
