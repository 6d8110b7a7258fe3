//! One run of a client in a scratch home: straight to the stand-in, or through tokenpak.

use crate::provider::{Provider, Seen};
use crate::sandbox::Row;
use crate::support::sandbox;
use crate::table::{ADDRESS, Client};
use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Where a client sends its requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Way {
    /// To the stand-in: how it is without tokenpak.
    Direct,
    /// Through tokenpak in this mode; `off` is without compression.
    Mode(&'static str),
}

/// What every client is tried with, the way without tokenpak first.
pub(crate) const WAYS: [Way; 5] = [
    Way::Direct,
    Way::Mode("off"),
    Way::Mode("strict"),
    Way::Mode("hybrid"),
    Way::Mode("aggressive"),
];

/// What a client is to do.
pub(crate) struct Task<'a> {
    pub(crate) client: &'a Client,
    /// Behind the options of its set-up.
    pub(crate) arguments: &'a [&'a str],
    /// Put into the folder in which it works: name and text.
    pub(crate) files: &'a [(&'a str, &'a str)],
    /// Scripts for the stand-in and more in the folder, both of which are new for every run.
    pub(crate) prepare: &'a dyn Fn(&Provider, &Path),
    /// Then it is killed, with all that it has started.
    pub(crate) seconds_max: u64,
}

impl<'a> Task<'a> {
    pub(crate) fn of(client: &'a Client, arguments: &'a [&'a str]) -> Task<'a> {
        Task { client, arguments, files: &[], prepare: &|_, _| {}, seconds_max: 120 }
    }
}

/// What a run left behind. In the texts the scratch home is called `HOME`, the port `PORT`.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) way: Way,
    /// `None` for one that was killed.
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// What reached the stand-in.
    pub(crate) seen: Vec<Seen>,
    /// The ledger's rows; none for `Way::Direct`.
    pub(crate) rows: Vec<Row>,
    /// What the folder in which it worked holds then: path to text.
    pub(crate) files: BTreeMap<String, String>,
}

/// Runs it once: a home of its own, dummy keys, an environment with nothing else in it.
#[track_caller]
pub(crate) fn run(task: &Task, way: Way) -> Ran {
    let provider = Provider::start();
    let sandbox = sandbox().providers(&provider);
    // As users have it: on.
    let sandbox = sandbox.set("TOKENPAK_STATS_FOOTER", "");
    let (sandbox, mut proxy) = match way {
        Way::Direct => (sandbox, None),
        Way::Mode(mode) => {
            let sandbox = match mode {
                "off" => sandbox.set("TOKENPAK_COMPACT", "false"),
                _ => sandbox.set("TOKENPAK_MODE", mode),
            };
            let proxy = sandbox.serve();
            (sandbox, Some(proxy))
        }
    };
    // The stand-in listens on IPv4 alone, tokenpak on both.
    let (host, port) = match &proxy {
        None => ("127.0.0.1", provider.port()),
        Some(proxy) => ("localhost", proxy.port()),
    };
    let home = sandbox.home().join("home");
    let work = home.join("work");
    fs::create_dir_all(&work).unwrap();
    (task.prepare)(&provider, &work);
    let (status, stdout, stderr) = started(task, &home, &format!("http://{host}:{port}"));
    let mut rows = Vec::new();
    if let Some(proxy) = &mut proxy {
        // It writes all records before it ends.
        assert_eq!(proxy.stop(), 0, "tokenpak: {}", proxy.output().1);
        rows = sandbox.rows(0);
    }
    let place = home.display().to_string();
    let plain = |text: String| {
        let text = text.replace(&place, "HOME").replace("localhost:", "127.0.0.1:");
        text.replace(&format!("127.0.0.1:{port}"), "127.0.0.1:PORT")
    };
    let mut files = BTreeMap::new();
    gather(&work, "", &mut files);
    let (stdout, stderr) = (plain(stdout), plain(stderr));
    Ran { way, status, stdout, stderr, seen: provider.seen(), rows, files }
}

/// Its exit status and what it wrote.
#[track_caller]
fn started(task: &Task, home: &Path, address: &str) -> (Option<i32>, String, String) {
    let Task { client, .. } = task;
    let here = |text: &str| {
        // Where no scheme stands, host and port do.
        let bare = |text: &str| text.trim_start_matches("http://").to_owned();
        text.replace(ADDRESS, address).replace(&bare(ADDRESS), &bare(address))
    };
    let work = home.join("work");
    for (name, lines) in client.files.iter().chain(&client.test_files) {
        write(&home.join(name), &here(&(lines.join("\n") + "\n")));
    }
    for (name, text) in task.files {
        write(&work.join(name), text);
    }
    let path = client.path().expect("whoever runs a client has looked for it");
    // Scripts find the packages of their client beside them.
    if let Some(modules) =
        client.folder().map(|it| it.join("node_modules")).filter(|it| it.is_dir())
    {
        symlink(modules, home.join("node_modules")).unwrap();
    }
    let mut command = Command::new(path);
    command.env_clear().env("HOME", home).env("LANG", "C.UTF-8").env("TMPDIR", home);
    // Some clients bring the Node that they need.
    let own = client.folder().map(|it| it.join("node_modules/.bin")).into_iter();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::env::join_paths(own.chain(std::env::split_paths(&path))).unwrap();
    command.env("PATH", paths);
    command.envs(client.keys.iter().map(|key| (key, dummy(key))));
    command.envs(client.env.iter().map(|(name, value)| (name, here(value))));
    command.envs(&client.test_env).env("TOKENPAK_TEST_URL", address);
    command.args(client.options.iter().map(|text| here(text))).args(task.arguments);
    let [stdout, stderr] = ["stdout", "stderr"].map(|name| home.join(name));
    // Files rather than pipes: whoever outlives the client cannot hold us up.
    command.stdin(Stdio::null()).current_dir(&work).process_group(0);
    command.stdout(fs::File::create(&stdout).unwrap());
    command.stderr(fs::File::create(&stderr).unwrap());
    let status = ended(command.spawn().unwrap(), Duration::from_secs(task.seconds_max));
    let read = |path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    (status, read(stdout), read(stderr))
}

/// Reads a folder, but for what is hidden: a client's own notes are its own business.
fn gather(folder: &Path, above: &str, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(['.', '_']) {
            continue;
        }
        let path = format!("{above}{name}");
        if entry.path().is_dir() {
            gather(&entry.path(), &format!("{path}/"), files);
        } else {
            let bytes = fs::read(entry.path()).unwrap();
            files.insert(path, String::from_utf8_lossy(&bytes).into_owned());
        }
    }
}

/// Its exit status; `None` if it had to be killed. Nothing that it has started lives on.
fn ended(mut child: Child, limit: Duration) -> Option<i32> {
    let until = Instant::now() + limit;
    let group = Pid::from_child(&child);
    let mut status = None;
    while status.is_none() && Instant::now() < until {
        status = child.try_wait().unwrap();
        thread::sleep(Duration::from_millis(10));
    }
    // Its children are in its group, which may outlive it.
    let _ = kill_process_group(group, Signal::KILL);
    if status.is_none() {
        let _ = child.wait();
    }
    status.and_then(|status| status.code())
}

/// A key that opens nothing, of the shape that its library may look for.
fn dummy(key: &str) -> &'static str {
    match key.split('_').next() {
        Some("ANTHROPIC") => "sk-ant-dummy",
        Some("GEMINI") => "AIza-dummy",
        _ => "sk-dummy",
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}
