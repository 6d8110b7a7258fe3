//! `tokenpak completions`: scripts for shells, made from the commands and their help.
//!
//! Words come from the one declaration of the command line, so that a new option is completed
//! without anybody thinking of it.

use std::fmt::Write;

use super::write;
use crate::cli::{self, COMMANDS};
use crate::error::Error;

pub(crate) fn run(args: &cli::Completions) -> Result<(), Error> {
    let commands = commands()?;
    let script = match args.shell.as_str() {
        "bash" => bash(&commands),
        "zsh" => zsh(&commands),
        "fish" => fish(&commands),
        other => {
            let what = format!("unknown shell {other}; one of bash, zsh, fish");
            return Err(Error::usage(what));
        }
    };
    write(script.as_bytes())
}

/// A command as it is typed (`config set`), and the words that may follow.
struct Command {
    name: String,
    words: Vec<String>,
}

fn commands() -> Result<Vec<Command>, Error> {
    let mut all = Vec::new();
    for (name, parts) in COMMANDS.iter().filter(|(name, _)| *name != "help") {
        let mut words: Vec<String> = parts.iter().map(|part| part.to_string()).collect();
        words.extend(options(&[name])?);
        all.push(Command { name: name.to_string(), words });
        for part in *parts {
            all.push(Command { name: format!("{name} {part}"), words: options(&[name, part])? });
        }
    }
    let names = COMMANDS.iter().map(|(name, _)| name.to_string()).collect();
    all.push(Command { name: "help".to_owned(), words: names });
    all.push(Command {
        name: "completions".to_owned(),
        words: ["bash", "zsh", "fish"].map(str::to_owned).to_vec(),
    });
    Ok(all)
}

/// The long options of a command, as its help lists them.
fn options(command: &[&str]) -> Result<Vec<String>, Error> {
    let help = cli::help(command)?;
    let listed = help.lines().filter(|line| line.starts_with("  -"));
    let option =
        |line: &str| line.split([' ', ',']).find(|word| word.starts_with("--")).map(str::to_owned);
    Ok(listed.filter_map(option).collect())
}

fn names() -> String {
    COMMANDS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" ")
}

/// The arms of a `case` over the words typed so far.
fn arms(commands: &[Command], indent: &str) -> String {
    let mut text = String::new();
    for Command { name, words } in commands {
        let _ = writeln!(text, "{indent}'{name}') words='{}' ;;", words.join(" "));
    }
    text
}

fn bash(commands: &[Command]) -> String {
    format!(
        "# tokenpak completion for bash
_tokenpak() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} words=''
    local typed=${{COMP_WORDS[1]}}
    case $typed in {divided}) [ \"$COMP_CWORD\" -gt 2 ] && typed=\"$typed ${{COMP_WORDS[2]}}\" ;; esac
    if [ \"$COMP_CWORD\" -eq 1 ]; then
        words='{names} --help --version'
    else
        case $typed in
{arms}        esac
    fi
    COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))
}}
complete -o default -F _tokenpak tokenpak
",
        divided = divided(),
        names = names(),
        arms = arms(commands, "        "),
    )
}

fn zsh(commands: &[Command]) -> String {
    format!(
        "#compdef tokenpak
_tokenpak() {{
    local words_=('') typed=${{words[2]}} list
    case $typed in {divided}) (( CURRENT > 3 )) && typed=\"$typed ${{words[3]}}\" ;; esac
    if (( CURRENT == 2 )); then
        list='{names} --help --version'
    else
        case $typed in
{arms}        esac
    fi
    words_=(${{=list}})
    compadd -- $words_
    _files
}}
if [ \"$funcstack[1]\" = _tokenpak ]; then _tokenpak \"$@\"; else compdef _tokenpak tokenpak; fi
",
        divided = divided(),
        names = names(),
        arms = arms(commands, "        ").replace(" words=", " list="),
    )
}

fn fish(commands: &[Command]) -> String {
    let mut text = String::from("# tokenpak completion for fish\n");
    let _ = writeln!(text, "complete -c tokenpak -n __fish_use_subcommand -fa '{}'", names());
    for Command { name, words } in commands {
        let typed: Vec<String> =
            name.split(' ').map(|word| format!("__fish_seen_subcommand_from {word}")).collect();
        let condition = typed.join("; and ");
        for word in words {
            let _ = match word.strip_prefix("--") {
                Some(option) => writeln!(text, "complete -c tokenpak -n '{condition}' -l {option}"),
                None => writeln!(text, "complete -c tokenpak -n '{condition}' -fa {word}"),
            };
        }
    }
    text
}

/// The commands that are divided into others, as a pattern of the shell.
fn divided() -> String {
    let divided = COMMANDS.iter().filter(|(_, parts)| !parts.is_empty());
    divided.map(|(name, _)| *name).collect::<Vec<_>>().join("|")
}
