//! The manual against the program: what one says, the other has, and nothing is in only one.

use crate::sandbox::Sandbox;
use crate::support::sandbox;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const PROGRAM: &str = include_str!("../../man/tokenpak.1");
const SETTINGS: &str = include_str!("../../man/tokenpak-config.5");

/// Variables that are for the program itself, for its build, or only repeated in a hint.
const PRIVATE: &[&str] = &["TOKENPAK_DAEMON_CHILD", "TOKENPAK_TEST_DEADLINES", "OUT_DIR", "USER"];

type Names = BTreeSet<String>;

fn names<'a>(words: impl IntoIterator<Item = &'a str>) -> Names {
    words.into_iter().map(str::to_owned).collect()
}

/// A section of a page, without its heading.
#[track_caller]
fn section(page: &'static str, name: &str) -> &'static str {
    let (_, rest) = page.split_once(&format!(".Sh {name}\n")).expect(name);
    rest.split(".Sh ").next().unwrap_or_default()
}

/// The options that mdoc source names, short ones by their long name.
fn options_in(source: &str) -> Names {
    let words: Vec<&str> = source.split_whitespace().collect();
    let named = words.windows(2).filter(|pair| pair[0].ends_with("Fl"));
    let mut found = Names::new();
    for pair in named {
        let name = match pair[1] {
            "q" => "quiet",
            "n" => "count",
            name => name.trim_start_matches('-'),
        };
        found.insert(format!("--{name}"));
    }
    found
}

/// The options and the commands that a help lists.
fn listed(sandbox: &Sandbox, command: &[&str]) -> (Names, Names) {
    let output = sandbox.run(&[&["help"], command].concat());
    assert_eq!(output.status, 0, "{}", output.stderr);
    let (options, commands) = output.stdout.split_once("Commands:").unwrap_or((&output.stdout, ""));
    let options = options.lines().filter(|line| line.starts_with("  -"));
    let options = options.filter_map(|line| line.split_whitespace().find(|w| w.starts_with("--")));
    let commands = commands.lines().filter(|line| {
        line.strip_prefix("  ").is_some_and(|rest| rest.starts_with(|c: char| c.is_alphabetic()))
    });
    let commands = commands.filter_map(|line| line.split_whitespace().next());
    let mut options = names(options);
    assert!(options.remove("--help"), "{}", output.stdout);
    (options, names(commands))
}

/// The items of a list that is not inside another one: first words, and all their text.
fn items(source: &'static str) -> Vec<(&'static str, String)> {
    let (mut depth, mut found) = (0, Vec::<(&str, String)>::new());
    for line in source.lines() {
        match line.get(..3) {
            Some(".Bl") => depth += 1,
            Some(".El") => depth -= 1,
            _ => {}
        }
        if depth == 1 && line.starts_with(".It ") {
            let head = line.trim_start_matches(".It ").trim_start_matches("Cm ");
            found.push((head, String::new()));
        }
        if let Some((_, text)) = found.last_mut() {
            *text += line;
            *text += "\n";
        }
    }
    found
}

/// A command's lines of the synopsis.
fn synopsis(command: &str) -> &'static str {
    let forms = section(PROGRAM, "SYNOPSIS").split(".Nm\n");
    let mut own = forms.filter(|form| form.lines().next() == Some(&format!(".Cm {command}")));
    own.next().unwrap_or_else(|| panic!("{command} is not in the synopsis"))
}

#[test]
fn every_command_and_option_is_in_the_manual() {
    let sandbox = sandbox();
    let (_, mut commands) = listed(&sandbox, &[]);
    commands.insert("help".to_owned());
    let described = items(section(PROGRAM, "COMMANDS"));
    assert_eq!(names(described.iter().map(|(head, _)| *head)), commands);
    for (command, text) in &described {
        if *command == "help" {
            continue;
        }
        let (mut options, parts) = listed(&sandbox, &[command]);
        for part in &parts {
            assert!(text.contains(&format!(".It Cm {part}")), "{command} {part}");
            options.extend(listed(&sandbox, &[command, part]).0);
        }
        assert_eq!(options_in(text), options, "{command}, described");
        assert_eq!(options_in(synopsis(command)), options, "{command}, in the synopsis");
    }
}

/// A setting as the manual has it: what stands in its parentheses.
fn documented() -> BTreeMap<String, Vec<String>> {
    let source = section(SETTINGS, "SETTINGS").replace(".It Xo\n.Cm ", ".It Cm ");
    let source = source.replace("\n.Pq ", " Pq ");
    let heads = source.lines().filter_map(|line| line.strip_prefix(".It Cm "));
    heads
        .map(|head| {
            let (key, facts) = head.split_once(" Pq ").unwrap_or((head, ""));
            let facts = facts.split("; ").filter(|fact| !fact.is_empty());
            (key.to_owned(), facts.map(str::to_owned).collect())
        })
        .collect()
}

#[test]
fn every_setting_is_in_the_manual_with_its_default() {
    // What the sandbox itself sets is no default.
    let sandbox = sandbox();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tokenpak"));
    let output = command.args(["config", "list"]).env_clear().env("HOME", sandbox.home()).output();
    let list = String::from_utf8(output.unwrap().stdout).unwrap();
    let real: BTreeMap<&str, &str> = list.lines().filter_map(|line| line.split_once('=')).collect();
    let documented = documented();
    for (key, default) in &real {
        if let Some(url) = key.strip_prefix("proxy.providers.") {
            let name = url.trim_end_matches(".url");
            assert!(SETTINGS.contains(&format!(".Lk {default}\nfor\n.Cm {name} ")), "{key}");
            continue;
        }
        if *key == "prices" {
            continue;
        }
        let facts = documented.get(*key).unwrap_or_else(|| panic!("{key} is not in the manual"));
        match *default {
            "null" => assert!(["none", "the mode's own"].contains(&facts[0].as_str()), "{key}"),
            default => assert_eq!(facts[0], default, "{key}"),
        }
    }
    for key in documented.keys().filter(|key| *key != "proxy.providers.NAME.url") {
        assert!(real.contains_key(key.as_str()), "{key} is in the manual only");
    }
}

#[test]
fn ranges_and_short_variables_are_as_the_manual_says() {
    let mut ranges = 0;
    for (key, facts) in documented() {
        for fact in &facts[facts.len().min(1)..] {
            if let Some(variable) = fact.strip_prefix("Ev ") {
                let list =
                    sandbox().set(variable, &facts[0]).run(&["config", "list", "--show-origin"]);
                let line = list.stdout.lines().find(|line| line.contains(&format!("{key}=")));
                let line = line.unwrap_or_else(|| panic!("{key}: {}", list.stderr));
                assert!(line.starts_with(&format!("env {variable} ")), "{line}");
                continue;
            }
            let (low, high) = fact.split_once(" to ").unwrap_or_else(|| panic!("{key}: {fact}"));
            let (low, high): (i64, i64) = (low.parse().unwrap(), high.parse().unwrap());
            let set =
                |value: i64| sandbox().run(&["config", "set", &key, &value.to_string()]).status;
            assert_eq!((set(low), set(high)), (0, 0), "{key}");
            assert_eq!((set(low - 1), set(high + 1)), (64, 64), "{key}");
            ranges += 1;
        }
    }
    assert!(ranges >= 10, "only {ranges} ranges were found");
}

/// The variables after `Ev` on any line of a page.
fn variables_in(page: &str) -> Names {
    let mut found = Names::new();
    for line in page.lines() {
        let mut words = line.split_whitespace();
        if !words.by_ref().any(|word| word.trim_start_matches('.') == "Ev") {
            continue;
        }
        let upper = |word: &&str| {
            word.len() > 1 && word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
        };
        found.extend(words.filter(upper).map(str::to_owned));
    }
    found
}

#[test]
fn every_variable_is_in_the_manual() {
    let documented: Names = &variables_in(PROGRAM) | &variables_in(SETTINGS);
    let mut read = Names::new();
    for path in sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))) {
        let text = fs::read_to_string(&path).unwrap();
        for opening in ["variable(\"", "env::var(\"", "env::var_os(\"", ".short(\"", "\"TOKENPAK_"]
        {
            for (at, _) in text.match_indices(opening) {
                let rest = &text[at..].split_once('"').unwrap().1;
                read.insert(rest.split('"').next().unwrap_or_default().to_owned());
            }
        }
    }
    // Beginnings of names and examples of long ones, of which there are as many as settings.
    let whole = |name: &str| !name.is_empty() && !name.ends_with(['_', '}']) && !name.contains(' ');
    let long = |name: &str| name.starts_with("TOKENPAK_PROXY_") || name == "TOKENPAK_PROT";
    read.retain(|name| whole(name) && !long(name) && !PRIVATE.contains(&name.as_str()));
    assert!(read.len() > 12, "{read:?}");
    let missing: Vec<_> = read.difference(&documented).collect();
    assert!(missing.is_empty(), "not in the manual: {missing:?}");
    for name in documented.iter().filter(|name| name.starts_with("TOKENPAK_")) {
        // A placeholder, which stands for a key.
        if name.contains("SECTION_KEY") || name == "TOKENPAK_CONFIG" || name == "TOKENPAK_" {
            continue;
        }
        let said = sandbox().set(name, "").set(name, "x").run(&["config", "list"]).stderr;
        assert!(!said.contains("unknown variable"), "{name}: {said}");
    }
}

/// The source files below a folder, without those of tests.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let test = |path: &PathBuf| {
        ["tests", "properties", "fuzz"].iter().any(|name| path.file_stem() == Some(name.as_ref()))
    };
    let (folders, files): (Vec<_>, Vec<_>) =
        entries.filter(|path| !test(path)).partition(|path| path.is_dir());
    let rust = files.into_iter().filter(|path| path.extension().is_some_and(|end| end == "rs"));
    rust.chain(folders.iter().flat_map(|folder| sources(folder))).collect()
}

#[test]
fn every_exit_status_is_in_the_manual() {
    let error = include_str!("../../src/error.rs");
    let (_, status) = error.split_once("fn status(&self) -> u8 {").unwrap();
    let status = status.split("\n    }\n").next().unwrap();
    let number = |word: &str| word.trim_end_matches([',', ';']).parse::<u8>().is_ok();
    let real = status.split_whitespace().filter(|word| number(word));
    let mut real = names(real.map(|word| word.trim_end_matches(',')));
    // Success, and what should not happen.
    assert!(error.contains("const BUG: u8 = 70;"));
    real.extend(names(["0", "70"]));
    let heads =
        section(PROGRAM, "EXIT STATUS").lines().filter_map(|line| line.strip_prefix(".It "));
    assert_eq!(names(heads), real);
}

#[test]
fn every_page_is_in_the_program_and_refers_to_pages_that_are() {
    let sandbox = sandbox();
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/man"));
    let mut pages = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(sandbox.run(&["man", name]).stdout, text, "{name}");
        let words: Vec<&str> = text.split_whitespace().collect();
        for pair in words.windows(3).filter(|pair| pair[0] == ".Xr") {
            let file = folder.join(format!("{}.{}", pair[1], pair[2]));
            assert!(!pair[1].starts_with("tokenpak") || file.exists(), "{name}: {pair:?}");
        }
        pages += 1;
    }
    assert_eq!(pages, 4);
    assert_eq!(sandbox.run(&["man"]).stdout, PROGRAM);
    assert_eq!(sandbox.run(&["man", "frob"]).status, 64);
}

#[test]
fn readme_is_short() {
    // What is longer belongs into the manual.
    assert!(include_str!("../../README.md").lines().count() < 150);
}
