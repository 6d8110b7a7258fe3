//! Whether integers at the starts of a result's lines number the lines, or are data.
//!
//! Ids of rows, counts, sizes and places of matches look like the numbers that tools put before the
//! lines of a file, and to compare lines without them is then to say something false. So here, unlike in
//! `reads`, the answer is yes only where the call shows it. It goes by the call alone, which is the
//! same in what is sent: the way back must decide as the way there did.

use super::reads::{Arguments, Call, GENERIC, NOT_READING, VERBS};
use super::reads::{names_file, names_reading, words};
use super::shell::{PREFIXES, PRINTERS, prints_file};

/// What integers at the starts of lines are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leading {
    LineNumbers,
    Data,
}

/// Words in the names of tools that show the place in a file which they changed or moved to.
const EDITORS: &[&str] = &["edit", "editor", "insert", "replace", "str", "goto", "scroll"];
const PLACES: &[&str] = &["up", "down"];

/// Programs that do nothing to what others print.
const SILENT: &[&str] = &["cd", "pushd", "popd", "export", "set", "source", "true", "echo"];

/// Programs that number the lines of a file: always, or with one of these options.
const NUMBERING: &[(&str, &[&str])] = &[
    ("nl", &[]),
    ("cat", &["n", "b", "--number", "--number-nonblank"]),
    ("bat", &["n", "--number", "--style=numbers", "--style=full"]),
    ("batcat", &["n", "--number", "--style=numbers", "--style=full"]),
    ("less", &["N", "--LINE-NUMBERS"]),
];

impl Leading {
    /// For the result of a call; `None`: it is not in the prompt.
    pub(crate) fn of(call: Option<&Call>) -> Leading {
        match call.is_some_and(numbers_lines) {
            true => Leading::LineNumbers,
            false => Leading::Data,
        }
    }
}

fn numbers_lines(call: &Call) -> bool {
    let words = words(&call.name);
    let is = |word: &String, list: &[&str]| list.contains(&word.as_str());
    let shows_place = words.iter().any(|word| is(word, EDITORS))
        && words.iter().all(|word| is(word, EDITORS) || is(word, PLACES) || is(word, GENERIC));
    if names_reading(&words) || shows_place {
        return true;
    }
    let arguments = Arguments::read(&call.input);
    if let Some(commands) = arguments.commands {
        return commands == ["view"] || shell_numbers_lines(&commands.join(" "));
    }
    match arguments.paths {
        Some(paths) => {
            let reads = |word: &String| VERBS.iter().any(|verb| word.starts_with(verb));
            words.iter().any(reads)
                && !words.iter().any(|word| is(word, NOT_READING))
                && paths.iter().any(|path| names_file(path))
        }
        None => program_numbers_lines(&call.input),
    }
}

/// A program of Codex's that runs one command, and that command.
fn program_numbers_lines(program: &str) -> bool {
    const RUN: &str = ".exec_command(";
    let mut uses = program.split("tools").skip(1);
    uses.next().is_some_and(|rest| rest.starts_with(RUN))
        && uses.next().is_none()
        && program.split(['"', '\'', '`']).any(shell_numbers_lines)
}

/// Whether a line of shell prints files with their lines numbered, and nothing else.
fn shell_numbers_lines(command: &str) -> bool {
    let mut numbers = false;
    let is_plain = command.split(['\n', ';', '&', '|', '(', '{', '`']).all(|simple| {
        let mut words = simple.split_whitespace().map(|word| word.trim_matches(['"', '\'']));
        let program = words.find(|word| {
            let is_before = word.contains('=') || word.starts_with(['-', '>']);
            !is_before && !PREFIXES.contains(word)
        });
        let program = program.map_or("", |program| program.rsplit('/').next().unwrap_or(program));
        numbers |= NUMBERING.iter().any(|(name, options)| {
            *name == program && (options.is_empty() || words.any(|word| is_one(word, options)))
        });
        // What is left of `2>&1` is a number.
        program.bytes().all(|byte| byte.is_ascii_digit())
            || SILENT.contains(&program)
            || PRINTERS.contains(&program)
    });
    is_plain && numbers && prints_file(command)
}

/// Whether this is one of the options: a long one, or a letter among short ones.
fn is_one(word: &str, options: &[&str]) -> bool {
    let letters = word.strip_prefix('-').filter(|letters| !letters.starts_with('-'));
    options.iter().any(|option| match option.len() {
        1 => letters.is_some_and(|letters| letters.contains(option)),
        _ => word == *option,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_calls_that_surely_show_line_numbers_have_them() {
        let shell = |command: &str| ("Bash", format!(r#"{{"command":"{command}"}}"#));
        let tool = |name, input: &str| (name, input.to_owned());
        for (name, input) in [
            tool("Read", r#"{"file_path":"/a/b"}"#),
            tool("read_file", r#"{"path":"/a/b.py"}"#),
            tool("fs_read", "{}"),
            tool("readfile", r#"{"path":"/a/b.py"}"#),
            tool("mcp__fs__read_text_file", r#"{"path":"/a"}"#),
            tool("get_file_contents", r#"{"path":"/a"}"#),
            tool("view_range_of", r#"{"path":"/a.rs"}"#),
            tool("str_replace_based_edit_tool", r#"{"command":"view","path":"/a"}"#),
            shell("cat -n a.py"),
            shell("cd /x && cat -An a.py 2>&1"),
            shell("nl -ba a.py | sed -n 1,40p"),
            shell("cat a.py | nl | head -50"),
            shell("sudo bat --number a.py"),
            shell("cat -n a.py; echo ---; cat -n b.py"),
            tool("shell", r#"{"command":["bash","-lc","nl -ba a.py"]}"#),
            tool("shell", r#"{"command":["cat","-n","a.py"]}"#),
            tool("exec", r#"text((await tools.exec_command({"cmd":"cat -n a.py"})).output)"#),
            tool("edit", r#"{"search":"a","replace":"b"}"#),
            tool("scroll_down", "{}"),
        ] {
            check(name, &input, Leading::LineNumbers);
        }
        for (name, input) in [
            shell("sqlite3 app.db 'select id, name from t'"),
            shell("psql -c 'select 1'"),
            shell("cat a.psv"),
            shell("head -50 rows.psv"),
            shell("cat -n build.log"),
            shell("sqlite3 a.db .dump | nl"),
            shell("make 2>&1 | cat -n"),
            shell("wc -l *.py"),
            shell("cat a.py | sort | uniq -c"),
            shell("grep -n x a.py"),
            shell("cat -n a.py | grep x; sqlite3 a.db 'select * from t'"),
            shell("ls -s"),
            shell("du -a src"),
            shell("ps aux"),
            shell("nl <(sqlite3 a.db .dump)"),
            shell("cat -n $(git ls-files)a.py"),
            tool("Grep", r#"{"pattern":"x","path":"/a.py","-n":true}"#),
            tool("read_query", r#"{"query":"select * from t"}"#),
            tool("query_csv", r#"{"path":"a.csv"}"#),
            tool("list_threads", r#"{"path":"a.b"}"#),
            tool("read_dir", r#"{"path":"/a.d"}"#),
            tool("text", "{}"),
            tool("who_knows", "broken"),
            tool("exec", r#"text(await tools.exec_command({"cmd":"sqlite3 a.db .dump"}))"#),
            tool("exec", r#"tools.exec_command({cmd:"nl a.py"}); tools.exec_command({cmd:"x"})"#),
        ] {
            check(name, &input, Leading::Data);
        }
        assert_eq!(Leading::of(None), Leading::Data);

        #[track_caller]
        fn check(name: &str, input: &str, want: Leading) {
            let call = Call { name: name.into(), input: input.into() };
            assert_eq!(Leading::of(Some(&call)), want, "{name} {input}");
        }
    }
}
