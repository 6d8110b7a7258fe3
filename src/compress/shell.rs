//! Whether a command prints a file that somebody may want to edit.
//!
//! The line is not parsed as a shell would: it is cut at every sign that may end a command, and each piece
//! is looked into for the innermost program that decides, behind whatever runs it elsewhere, as somebody
//! else or for so long. Wrong in doubt towards a file: that leaves savings lying, and no edit fails.

/// Programs that print files.
pub(super) const PRINTERS: &[&str] = &[
    "cat",
    "head",
    "tail",
    "sed",
    "nl",
    "less",
    "more",
    "bat",
    "batcat",
    "tac",
    "type",
    "get-content",
    "gc",
];

/// Words before a program that are not the program.
pub(super) const PREFIXES: &[&str] = &[
    "xargs", "sudo", "env", "time", "command", "exec", "nohup", "bash", "sh", "zsh", "then", "do",
    "else",
];

/// Programs that run another one, which stands somewhere behind them: with limits, as somebody else, in
/// another place.
const WRAPPERS: &[&str] = &[
    "timeout",
    "gtimeout",
    "nice",
    "ionice",
    "chrt",
    "taskset",
    "numactl",
    "prlimit",
    "stdbuf",
    "unbuffer",
    "setsid",
    "script",
    "watch",
    "flock",
    "strace",
    "ltrace",
    "perf",
    "parallel",
    "doas",
    "su",
    "runuser",
    "gosu",
    "setpriv",
    "systemd-run",
    "eval",
    "builtin",
    "busybox",
    "toybox",
    "rtk",
    "find",
    "fd",
    "fdfind",
    "chroot",
    "nsenter",
    "unshare",
    "bwrap",
    "proot",
    "firejail",
    "docker",
    "docker-compose",
    "podman",
    "nerdctl",
    "lxc",
    "incus",
    "distrobox",
    "toolbox",
    "flatpak-spawn",
    "multipass",
    "vagrant",
    "kubectl",
    "oc",
    "k3s",
    "ssh",
    "mosh",
    "sshpass",
    "adb",
    "srun",
    "heroku",
    "fly",
    "flyctl",
    "gcloud",
    "wsl",
    "cmd",
    "powershell",
    "pwsh",
    "fish",
    "dash",
    "ksh",
    "nix",
    "nix-shell",
    "direnv",
    "dotenv",
    "uv",
    "poetry",
    "pipenv",
    "conda",
    "npx",
    "pnpm",
    "yarn",
    "bundle",
];

/// Programs among whose words there is no program, but a pattern or a text.
const SEARCHERS: &[&str] =
    &["grep", "egrep", "fgrep", "rg", "ag", "ack", "echo", "printf", "which", "man"];

/// Programs that print a file if their first word says so.
const SHOWERS: &[(&str, &[&str])] = &[
    ("rtk", &["read"]),
    ("hg", &["cat"]),
    ("svn", &["cat"]),
    ("bzr", &["cat"]),
    ("p4", &["print"]),
    ("jj", &["show"]),
    ("chezmoi", &["cat"]),
    ("gsutil", &["cat"]),
    ("hdfs", &["dfs"]),
];

/// What a script in another language calls to read a file as it is, in lower case.
const READING_CALLS: &[&str] = &[
    ".read()",
    ".readlines(",
    "read_text(",
    "readfile(",
    "readfilesync(",
    "file.read",
    "readalltext(",
    "readalllines(",
    "file_get_contents(",
    "file://",
];

/// Whether one of the commands in a line of shell prints a file that somebody may want to edit.
pub(super) fn prints_file(command: &str) -> bool {
    let separators = ['\n', ';', '&', '|', '(', '{', '`'];
    let mut start = 0;
    let is_printed = command.split(separators).any(|simple| {
        let before = &command[..start];
        let is_piped = before.ends_with('|') && !before.ends_with("||");
        start += simple.len() + 1;
        prints(simple, is_piped)
    });
    is_printed || {
        let lower = command.to_ascii_lowercase();
        READING_CALLS.iter().any(|call| lower.contains(call))
    }
}

/// The same for a command without separators; `is_piped`: it reads what another one wrote.
fn prints(simple: &str, is_piped: bool) -> bool {
    let mut words = simple.split_whitespace().map(|word| word.trim_matches(QUOTES));
    let (mut is_fed, mut is_wrapped) = (is_piped, false);
    let program = words.find(|word| {
        // What `xargs` is fed with are names of files.
        is_fed &= *word != "xargs";
        let is_prefix = PREFIXES.contains(word);
        is_wrapped |= is_prefix;
        !word.contains('=') && !word.starts_with(['-', '}']) && !is_prefix
    });
    let Some(program) = program else { return false };
    let mut name = name_of(program);
    let mut words: Vec<&str> = words.collect();
    if shows_file(&name, &words) {
        return true;
    }
    if !PRINTERS.contains(&name.as_str()) {
        is_wrapped |= WRAPPERS.contains(&name.as_str()) || words.contains(&"--");
        let inner = is_wrapped.then(|| innermost(&words)).flatten();
        let Some(at) = inner.filter(|_| !SEARCHERS.contains(&name.as_str())) else { return false };
        name = name_of(words[at]);
        words = words.split_off(at + 1);
        if shows_file(&name, &words) {
            return true;
        }
        if !PRINTERS.contains(&name.as_str()) {
            return false;
        }
    }
    let mut operands: Vec<&str> = words.into_iter().filter(|word| may_be_path(word)).collect();
    if name == "sed" && operands.first().is_some_and(|word| is_script(word)) {
        operands.remove(0);
    }
    match operands.is_empty() {
        true => !is_fed,
        false => !operands.iter().all(|path| is_log(path)),
    }
}

const QUOTES: [char; 2] = ['"', '\''];

/// A program without its folder, as Windows takes it: in any case, with its ending or without.
fn name_of(program: &str) -> String {
    let name = program.rsplit(['/', '\\']).next().unwrap_or(program).to_lowercase();
    name.strip_suffix(".exe").map(str::to_owned).unwrap_or(name)
}

/// Where among the words behind a wrapper the program stands that it runs, if that may print a file.
fn innermost(words: &[&str]) -> Option<usize> {
    let at = words.iter().position(|word| {
        let name = name_of(word);
        let shows = SHOWERS.iter().any(|(program, _)| *program == name);
        PRINTERS.contains(&name.as_str()) || shows || name == "git"
    })?;
    let is_pattern = |word: &&str| SEARCHERS.contains(&name_of(word).as_str());
    (!words[..at].iter().any(is_pattern)).then_some(at)
}

/// Whether these words of this program name a file of some revision, or of some store.
fn shows_file(program: &str, words: &[&str]) -> bool {
    if program == "git" {
        let is_blob =
            |word: &&str| word.contains(':') && !word.starts_with("-") && !word.starts_with(":!");
        let mut verbs = words.iter().skip_while(|word| **word != "show" && **word != "cat-file");
        return verbs.next().is_some_and(|verb| *verb == "cat-file" || verbs.any(is_blob));
    }
    let verb = words.iter().find(|word| !word.starts_with('-'));
    SHOWERS
        .iter()
        .any(|(name, verbs)| *name == program && verb.is_some_and(|it| verbs.contains(it)))
}

/// Whether an argument of such a program may be a path: no option, no count, no redirection.
fn may_be_path(word: &str) -> bool {
    let is_count = word.trim_start_matches('+').bytes().all(|byte| byte.is_ascii_digit());
    !word.starts_with('-') && !word.contains(['>', '<']) && !is_count
}

/// Whether this is a range of lines to print, as in `sed -n 1,20p`.
fn is_script(word: &str) -> bool {
    let range = word.trim_end_matches('p');
    range.len() < word.len()
        && range.bytes().all(|byte| byte.is_ascii_digit() || b",$".contains(&byte))
}

/// Whether a path is a log: programs write those, and nobody edits them.
fn is_log(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    path.starts_with("/var/log/")
        || ["stdout", "stderr", "syslog"].contains(&name)
        || name.ends_with(".log")
        || name.contains(".log.")
}

#[cfg(test)]
mod tests {
    use super::prints_file;

    const FILES: &[&str] = &[
        "timeout 5 cat package.json",
        "timeout -k 1 5s cat a.py",
        "nice -n 10 cat a.py",
        "ionice -c 3 head -50 a.py",
        "sudo -u www-data cat /etc/app.yaml",
        "doas cat a.py",
        "env -i FOO=1 cat a.py",
        "env -u FOO sed -n 1,20p a.py",
        "stdbuf -oL tail -n 40 a.py",
        "rtk read package.json",
        "rtk -v read a.py",
        "rtk cat a.py",
        "docker exec web cat /app/a.py",
        "docker exec -it -w /app web sed -n '1,20p' a.py",
        "docker compose exec -T web cat a.py",
        "podman run --rm image cat /a.py",
        "kubectl exec pod -c app -- cat /etc/app.yaml",
        "kubectl -n prod exec deploy/api -- head -n 20 a.py",
        "ssh host cat a.py",
        "ssh -p 22 user@host 'cat a.py'",
        "ssh host \"sudo cat /etc/hosts\"",
        "find . -name a.py -exec cat {} +",
        "find . -name a.py -exec sed -n 1,20p {} \\;",
        "ls *.py | xargs -n 1 cat",
        "ls *.py | xargs -I{} sh -c 'cat {}'",
        "git show HEAD:package.json",
        "git -C /x --no-pager show main:src/a.py",
        "git cat-file -p HEAD:a.py",
        "git show :a.py",
        "timeout 5 git show HEAD~2:a.py",
        "hg cat -r 3 a.py",
        "svn cat a.py",
        "cmd /c type a.py",
        "cmd.exe /C \"type a.py\"",
        "powershell -NoProfile -Command Get-Content a.py",
        "pwsh -c \"gc a.py\"",
        "powershell.exe -Command \"[IO.File]::ReadAllText('a.py')\"",
        "wsl cat /mnt/a.py",
        "op run -- cat a.py",
        "mise exec -- cat a.py",
        "python3 -c \"print(open('a.py').read())\"",
        "node -e \"console.log(require('fs').readFileSync('a.js','utf8'))\"",
        "ruby -e 'puts File.read(\"a.rb\")'",
        "curl -s file:///a.py",
        "su - user -c 'cat a.py'",
        "busybox cat a.py",
        "bash -c \"timeout 5 cat a.py\"",
        "nohup setsid cat a.py",
        "chroot /mnt cat /etc/hosts",
        "flock /tmp/x cat a.py",
    ];

    const NO_FILES: &[&str] = &[
        "timeout 60 npm test",
        "sudo -u postgres psql -c 'select 1'",
        "docker exec web npm test",
        "docker logs web",
        "docker exec web tail -n 50 /var/log/app.log",
        "kubectl get pods -o wide",
        "kubectl exec pod -- ls /app",
        "ssh host uptime",
        "ssh host tail -n 50 /var/log/syslog",
        "find . -name '*.py'",
        "find . -type f -exec grep -l cat {} +",
        "git show HEAD --stat",
        "git show abc123",
        "git log --oneline -- src",
        "git diff HEAD~1 -- a.py",
        "timeout 5 make | tail -n 20",
        "powershell -Command Get-Process",
        "cmd /c dir",
        "rtk git status",
        "rtk ls",
        "npx tsc --noEmit",
        "grep -rn type src",
        "sudo grep cat /etc/hosts",
        "python3 manage.py test",
        "uv run pytest -q",
    ];

    #[test]
    fn a_file_is_one_behind_any_wrapper() {
        for command in FILES {
            assert!(prints_file(command), "{command}");
        }
        for command in NO_FILES {
            assert!(!prints_file(command), "{command}");
        }
    }
}
