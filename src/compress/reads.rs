//! Whether a tool call read a file.
//!
//! An agent quotes what it read to an edit tool, which wants it letter by letter; so in doubt the
//! answer is yes, and savings are left lying. What is surely no file, such as the output of a build or the
//! answer of an API, is what the passes live from.

use std::borrow::Cow;

use super::shell::{PRINTERS, prints_file};
use crate::json::{self, Reader, Span};

/// A tool call: its name, and its arguments as JSON or as free text.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) name: Cow<'a, str>,
    pub(crate) input: Cow<'a, str>,
}

pub(super) const VERBS: &[&str] = &["read", "view", "open", "cat"];

/// Words that say nothing about what else a reading tool might do.
pub(super) const GENERIC: &[&str] = &[
    "file", "files", "text", "content", "contents", "notebook", "fs", "image", "media", "multiple",
    "many", "line", "lines", "range", "tool", "local", "source", "code", "document", "page", "at",
];

/// With these, a path among the arguments is no file whose content comes back.
pub(super) const NOT_READING: &[&str] = &[
    "list",
    "ls",
    "glob",
    "grep",
    "search",
    "find",
    "write",
    "edit",
    "create",
    "dir",
    "directory",
    "tree",
];

const COMMAND_KEYS: &[&str] = &["command", "cmd", "script", "commands"];

const PATH_KEYS: &[&str] = &[
    "path",
    "paths",
    "file",
    "files",
    "file_path",
    "filepath",
    "filePath",
    "filename",
    "file_name",
    "absolute_path",
    "absolutePath",
    "relative_path",
    "target_file",
    "targetFile",
    "notebook_path",
    "relative_workspace_path",
    "uri",
];

/// Whether `text` is, or may be, a file that `call` read. `None`: the call is not in the prompt.
#[cfg(test)]
pub(crate) fn is_read(call: Option<&Call>, text: &str) -> bool {
    call.is_none_or(reads_file) || is_numbered(text)
}

/// Whether a call read a file, or may have, whatever came of it.
pub(crate) fn reads_file(call: &Call) -> bool {
    let words = words(&call.name);
    if names_reading(&words) {
        return true;
    }
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    let arguments = Arguments::read(&call.input);
    if let Some(commands) = arguments.commands {
        let is_any = commands.iter().any(|command| prints_file(command));
        return commands == ["view"] || is_any || prints_file(&commands.join(" "));
    }
    match arguments.paths {
        Some(paths) => !has(NOT_READING) && paths.iter().any(|path| names_file(path)),
        None => program_may_read(&call.input),
    }
}

/// Whether a tool's name says that it reads files and does nothing else.
pub(super) fn names_reading(words: &[String]) -> bool {
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    let is_plain = words.iter().all(|word| {
        let word = word.as_str();
        VERBS.contains(&word) || GENERIC.contains(&word)
    });
    // `get_file_contents` and its like.
    let gets_file = has(&["get", "fetch", "load", "show"]) && has(&["file", "files"]);
    has(VERBS) && is_plain || gets_file
}

/// What a program of Codex's may call without the answer being a file.
const RUNNERS: &[&str] = &[".exec_command(", ".apply_patch("];

/// Whether a program that calls other tools, as Codex writes them in JavaScript, may have read a file: no
/// only where it runs nothing but commands, and no piece of it between quotes prints a file.
fn program_may_read(program: &str) -> bool {
    let runs = |rest: &str| RUNNERS.iter().any(|name| rest.starts_with(name));
    let mut uses = program.split("tools").skip(1).peekable();
    let only_runs = uses.peek().is_some() && uses.all(runs);
    // What it has kept from earlier may be anything.
    let remembers = program.contains("load(") || program.contains("ALL_TOOLS");
    let lines = program.replace("\\n", "\n");
    !only_runs || remembers || lines.split(['"', '\'', '`']).any(prints_file)
}

/// The path of the file that `call` read, if it names one file and does nothing else.
pub(crate) fn path_read(call: &Call) -> Option<String> {
    let arguments = Arguments::read(&call.input);
    let Some(commands) = arguments.commands.filter(|commands| !commands.is_empty()) else {
        let paths = arguments.paths?;
        return (paths.len() == 1).then(|| paths.into_iter().next())?;
    };
    let [command] = commands.as_slice() else { return None };
    if command.contains(['\n', ';', '&', '|', '(', '{', '`', '<', '>', '$']) {
        return None;
    }
    let mut words = command.split_whitespace();
    let is_printer = words.next().is_some_and(|program| PRINTERS.contains(&program));
    let mut files = words.filter(|word| names_file(word) && !word.starts_with(['-', '\'']));
    let path = files.next().filter(|_| is_printer)?;
    files.next().is_none().then(|| path.trim_matches('"').to_owned())
}

/// Of a longer name only the beginning is looked at, in bytes.
const NAME_BYTES_MAX: usize = 200;

/// The words of a tool's name, lower case, without the server that it belongs to.
pub(super) fn words(name: &str) -> Vec<String> {
    let name = name.rsplit("__").next().unwrap_or(name);
    let name = name.rsplit(['.', '/', ':']).next().unwrap_or(name);
    let end = (0..=name.len().min(NAME_BYTES_MAX)).rfind(|at| name.is_char_boundary(*at));
    let name = &name[..end.unwrap_or(0)];
    let mut words = Vec::new();
    for part in name.split(['_', '-', ' ']) {
        let mut word = String::new();
        let mut was_upper = true;
        for character in part.chars() {
            if character.is_uppercase() && !was_upper {
                words.push(std::mem::take(&mut word));
            }
            was_upper = character.is_uppercase();
            word.extend(character.to_lowercase());
        }
        words.push(word);
    }
    words.retain(|word| !word.is_empty() && !word.bytes().all(|byte| byte.is_ascii_digit()));
    words
}

/// What of a call's arguments says what it does. `None` where there is no such argument.
#[derive(Default)]
pub(super) struct Arguments {
    pub(super) commands: Option<Vec<String>>,
    /// Not even the arguments could be read if this is `None`.
    pub(super) paths: Option<Vec<String>>,
}

impl Arguments {
    pub(super) fn read(input: &str) -> Arguments {
        let mut commands = None;
        let mut paths = Vec::new();
        let complete = Reader::new(input).object(|reader, key| {
            let span = reader.value()?;
            if COMMAND_KEYS.contains(&key) {
                commands.get_or_insert_with(Vec::new).extend(strings(input, &span));
            } else if PATH_KEYS.contains(&key) {
                paths.extend(strings(input, &span));
            }
            Some(())
        });
        Arguments { commands, paths: complete.map(|()| paths) }
    }
}

/// A string, or the strings of an array, as they are; a command given as words is one command.
fn strings(input: &str, span: &Span) -> Vec<String> {
    let decoded = |span: Span| json::decode(&input[span]).map(Cow::into_owned);
    if !input[span.clone()].starts_with('[') {
        return decoded(span.clone()).into_iter().collect();
    }
    let mut found = Vec::new();
    // An array that breaks off is no harm: what was found counts.
    let _ = Reader::within(input, span).array(|reader| {
        found.extend(decoded(reader.value()?));
        Some(())
    });
    found
}

/// Whether a path ends in something with an extension, and asks no server anything.
pub(super) fn names_file(path: &str) -> bool {
    let last = path.rsplit(['/', '\\']).next().unwrap_or(path);
    !path.contains('?') && last.trim_matches('.').contains('.')
        || last.len() > 1 && last.starts_with('.')
}

/// How many lines are looked at for numbers; tools put a line or two before them.
const NUMBERED_LINES: usize = 20;

/// Whether the first lines carry running numbers, as files are shown by tools that read them.
pub(crate) fn is_numbered(text: &str) -> bool {
    let mut numbers = text.lines().take(NUMBERED_LINES).filter_map(|line| {
        let line = line.trim_start();
        let digits = line.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = line[..digits].parse().ok()?;
        let rest = &line[digits..];
        let is_separated =
            ["\u{2192}", ":", "\t", "|", " |"].iter().any(|mark| rest.starts_with(mark));
        is_separated.then_some(number)
    });
    let (mut last, mut run) = (numbers.next(), 1);
    for number in numbers {
        run = if last.and_then(|last| last.checked_add(1)) == Some(number) { run + 1 } else { 1 };
        if run == 3 {
            return true;
        }
        last = Some(number);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_calls_are_told_from_others() {
        for (name, input, want) in [
            ("Read", r#"{"file_path":"/a/Makefile"}"#, true),
            ("mcp__fs__read_text_file", r#"{"path":"/a/hosts"}"#, true),
            ("read_multiple_files", "{}", true),
            ("functions.readFile", "{}", true),
            ("open", r#"{"path":"setup.py"}"#, true),
            ("view", "not json", true),
            ("get_file_contents", r#"{"path":"README"}"#, true),
            ("str_replace_based_edit_tool", r#"{"command":"view","path":"/a"}"#, true),
            ("str_replace_based_edit_tool", r#"{"command":"create","path":"/a.py"}"#, false),
            ("Bash", r#"{"command":"cat a.json"}"#, true),
            ("Bash", r#"{"command":"cd /x && FOO=1 sudo /bin/head -n 3 a"}"#, true),
            ("Bash", r#"{"command":"git diff | tail -n 3"}"#, false),
            ("Bash", r#"{"command":"make 2>&1 | tail -50"}"#, false),
            ("Bash", r#"{"command":"make | sed -n '1,20p'"}"#, false),
            ("Bash", r#"{"command":"make || tail -n 3 a.py"}"#, true),
            ("Bash", r#"{"command":"make | tail -n 3 - a.py"}"#, true),
            ("Bash", r#"{"command":"cat a.py | head -3"}"#, true),
            ("Bash", r#"{"command":"head -3 < a.py"}"#, true),
            ("Bash", r#"{"command":"ls *.py | xargs cat"}"#, true),
            ("Bash", r#"{"command":"for f in *; do cat $f; done"}"#, true),
            ("Bash", r#"{"command":"cat /var/log/messages"}"#, false),
            ("Bash", r#"{"command":"tail -n 400 build.log log/app.log.1 2>/dev/null"}"#, false),
            ("Bash", r#"{"command":"cat build.log a.py"}"#, true),
            ("Bash", r#"{"command":"cat changelog catalog.py"}"#, true),
            ("Read", r#"{"file_path":"build.log"}"#, true),
            ("Bash", r#"{"command":"npm ci; sed -n 1,20p x"}"#, true),
            ("shell", r#"{"command":["bash","-lc","cat a.json"]}"#, true),
            ("shell", r#"{"command":["cat","a.json"]}"#, true),
            ("shell", r#"{"command":["git","show","HEAD:a.json"]}"#, true),
            ("Bash", r#"{"command":"npm ci"}"#, false),
            ("Bash", r#"{"command":"git log --format=cat","path":"a.py"}"#, false),
            ("Bash", r#"{"command":"concat a.json","description":"cat"}"#, false),
            ("shell", r#"{"command":["git","diff","a.json"]}"#, false),
            ("fetch_source", r#"{"target_file":"/a/b.rs"}"#, true),
            ("loader", r#"{"paths":["/a/b.rs"]}"#, true),
            ("loader", r#"{"path":".env"}"#, true),
            ("loader", r#"{"path":"/a/b"}"#, false),
            ("grep_file", r#"{"path":"/a/b.rs"}"#, false),
            ("Write", r#"{"file_path":"/a/b.rs"}"#, false),
            ("list_dir", r#"{"path":"/a/b.d"}"#, false),
            ("issue_read", r#"{"path":"/repos/x/y/issues?per_page=3"}"#, false),
            ("issue_read", r#"{"path":"/repos/x/y.z?per_page=3"}"#, false),
            ("get_weather", r#"{"city":"Bern"}"#, false),
            ("get_weather", "{broken", true),
            ("Bash", r#"{"cmd":42}"#, false),
            ("exec", r#"text((await tools.exec_command({"cmd":"npm ci"})).output);"#, false),
            ("exec", "const r = await tools.exec_command({cmd: 'cat build.log'}); text(r)", false),
            ("exec", "text(await tools.apply_patch(\"*** Begin Patch\"))", false),
            ("exec", r#"text((await tools.exec_command({"cmd":"cat -n a.py"})).output);"#, true),
            ("exec", r#"text(await tools.exec_command({cmd: "cd x\ncat a.py"}))"#, true),
            ("exec", r#"text(await tools.exec_command({cmd: "bash -c \"cat a.py\""}))"#, true),
            ("exec", "text(await tools.exec_command({cmd: `sed -n '1,9p' ${f}`}))", true),
            ("exec", "text(await tools.exec_command({cmd: load('cmd')}))", true),
            ("exec", "text(await tools.mcp__fs__read_file('a.py'))", true),
            ("exec", "const {exec_command} = tools; exec_command('ls')", true),
            ("exec", "text(load('file'))", true),
        ] {
            let call = Call { name: name.into(), input: input.into() };
            assert_eq!(is_read(Some(&call), "text"), want, "{name} {input}");
        }
        assert!(is_read(None, "text"), "nobody knows which call");
    }

    #[test]
    fn the_one_file_that_was_read_is_known() {
        for (name, input, want) in [
            ("Read", r#"{"file_path":"a/b.rs","limit":5}"#, Some("a/b.rs")),
            ("Bash", r#"{"command":"cat src/a.py"}"#, Some("src/a.py")),
            ("Bash", r#"{"command":"sed -n '1,40p' src/a.py"}"#, Some("src/a.py")),
            ("Bash", r#"{"command":"cat a.py b.py"}"#, None),
            ("Bash", r#"{"command":"cat a.py | grep x"}"#, None),
            ("Bash", r#"{"command":"make a.py"}"#, None),
            ("read_many", r#"{"paths":["a.py","b.py"]}"#, None),
            ("Read", "{}", None),
        ] {
            let call = Call { name: name.into(), input: input.into() };
            assert_eq!(path_read(&call).as_deref(), want, "{name} {input}");
        }
    }

    #[test]
    fn numbered_lines_are_a_file() {
        let call = Call { name: "run".into(), input: "{}".into() };
        for (text, want) in [
            ("     9\u{2192}a\n    10\u{2192}\n    11\u{2192}b", true),
            ("[File: setup.py]\n1:import re\n2:\n3:x", true),
            ("7\ta\n8\tb\n9\tc", true),
            ("1:a\n2:b", false),
            ("12:30 start\n12:31 go\n12:32 end", false),
            ("1 a\n2 b\n3 c", false),
            ("99999999999999999999:a\n18446744073709551615:b\n1:c", false),
        ] {
            assert_eq!(is_read(Some(&call), text), want, "{text}");
        }
    }
}
