//! The command line as it is typed: read, or explained.
//!
//! argh knows `--option value` only. `normalise` turns what people type (`--option=value`, `-nX`
//! stays theirs) into that, and `explain` turns argh's complaints into our one line.

use argh::FromArgs;

use super::{COMMANDS, Command, Top};
use crate::config::nearest;
use crate::error::Error;

/// What the command line asks for.
pub(crate) enum Invocation {
    Run(Command),
    /// Text for standard output: help.
    Print(String),
    Version,
    /// No command at all: the help, as a complaint.
    Nothing(String),
}

/// Reads the arguments, the program's name left out.
pub(crate) fn parse(arguments: &[String]) -> Result<Invocation, Error> {
    if arguments.is_empty() {
        return Ok(Invocation::Nothing(help(&[])?));
    }
    let arguments = normalise(arguments);
    let options = arguments.iter().take_while(|argument| *argument != "--");
    if options.clone().any(|argument| argument == "-V" || argument == "--version") {
        return Ok(Invocation::Version);
    }
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // argh keeps the word for itself, so the command is ours.
    if let ["help", rest @ ..] = words.as_slice() {
        return Ok(Invocation::Print(help(rest)?));
    }
    match Top::from_args(&["tokenpak"], &words) {
        Ok(top) => Ok(Invocation::Run(top.command)),
        Err(exit) if exit.status.is_ok() => Ok(Invocation::Print(wrap(&exit.output))),
        Err(exit) => Err(Error::usage(explain(&words, &exit.output))),
    }
}

/// The help of the program, or of the command that these words name.
pub(crate) fn help(words: &[&str]) -> Result<String, Error> {
    let command = command_of(words)?;
    let words: Vec<&str> = command.iter().copied().chain(["--help"]).collect();
    match Top::from_args(&["tokenpak"], &words) {
        Err(exit) if exit.status.is_ok() => Ok(wrap(&exit.output)),
        _ => Err(Error::usage("there is no help for this; try: tokenpak --help")),
    }
}

/// Those of the first words that name a command. A word that should, but does not, is an error.
fn command_of<'w>(words: &'w [&'w str]) -> Result<&'w [&'w str], Error> {
    let Some(first) = words.first() else { return Ok(&[]) };
    let names = || COMMANDS.iter().map(|(name, _)| *name);
    let Some((_, parts)) = COMMANDS.iter().find(|(name, _)| name == first) else {
        return Err(Error::usage(unknown("command", first, names())));
    };
    match words.get(1) {
        Some(second) if parts.contains(second) => Ok(&words[..2]),
        // A model may stand there as well.
        Some(_) if *first == "prices" => Ok(&words[..1]),
        Some(second) if !parts.is_empty() && !second.starts_with('-') => {
            let what = format!("{first} command");
            Err(Error::usage(unknown(&what, second, parts.iter().copied())))
        }
        _ => Ok(&words[..1]),
    }
}

/// Breaks argh's long usage line before an option, for terminals of 80 columns.
fn wrap(help: &str) -> String {
    const COLUMNS: usize = 79;
    let mut out = String::with_capacity(help.len() + 16);
    for line in help.lines() {
        let mut column = 0;
        for word in line.split_inclusive(" [") {
            if column + word.len() > COLUMNS && column > 0 {
                out.truncate(out.trim_end_matches(" [").len());
                out.push_str("\n         [");
                column = 10;
            }
            out.push_str(word);
            column += word.len();
        }
        out.push('\n');
    }
    out
}

/// `--option=value` becomes two arguments, up to `--`.
fn normalise(arguments: &[String]) -> Vec<String> {
    let end = arguments.iter().position(|argument| argument == "--").unwrap_or(arguments.len());
    let mut out = Vec::with_capacity(arguments.len());
    for argument in &arguments[..end] {
        match argument.split_once('=') {
            Some((option, value)) if option.starts_with("--") => {
                out.extend([option.to_owned(), value.to_owned()]);
            }
            // argh takes a lone dash for an option.
            _ if argument == "-" => out.push("/dev/stdin".to_owned()),
            _ => out.push(argument.clone()),
        }
    }
    out.extend_from_slice(&arguments[end..]);
    out
}

/// argh's complaint in one line of ours, with the next step where there is one.
fn explain(words: &[&str], complaint: &str) -> String {
    if let Some(option) = words.first().filter(|word| word.starts_with('-')) {
        return format!("unknown option {option}; try: tokenpak --help");
    }
    let command = match command_of(words) {
        Ok(command) => command.join(" "),
        Err(error) => return error.words(),
    };
    let line = complaint.lines().next().unwrap_or_default().trim_end_matches('.');
    if let Some(option) = line.strip_prefix("Unrecognized argument: ") {
        return unknown_option(&command, option);
    }
    if line.starts_with("No value provided") {
        let option = line.split('\'').nth(1).unwrap_or(line);
        return format!("{option} of {command} needs a value");
    }
    if line.starts_with("Error parsing option") {
        // All that is parsed here are numbers.
        let mut quoted = line.split('\'').skip(1).step_by(2);
        let (option, value) = (quoted.next().unwrap_or(line), quoted.next().unwrap_or_default());
        return format!("{option}: \"{value}\" is not a number");
    }
    // The names stand below the first line of the complaint.
    let missing = complaint.lines().skip(1).map(str::trim).take_while(|name| !name.is_empty());
    let missing = missing.map(str::to_uppercase).collect::<Vec<_>>();
    if line.starts_with("Required positional arguments") {
        let missing = missing.join(" and ");
        return format!("{command} needs {missing}; try: tokenpak {command} --help");
    }
    if let Some((_, parts)) =
        COMMANDS.iter().find(|(name, parts)| *name == command && !parts.is_empty())
    {
        return format!("{command} needs one of {}", parts.join(", "));
    }
    format!("{command}: {}; try: tokenpak {command} --help", line.to_lowercase())
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    match nearest(name, known.clone()) {
        Some(near) => format!("unknown {what} {name}; did you mean {near}?"),
        None => format!("unknown {what} {name}; one of {}", known.collect::<Vec<_>>().join(", ")),
    }
}

fn unknown_option(command: &str, option: &str) -> String {
    if !option.starts_with('-') {
        return format!("unexpected argument {option} for {command}");
    }
    let words: Vec<&str> = command.split(' ').collect();
    let help = help(&words).unwrap_or_default();
    let known = help.split_whitespace().filter(|word| word.starts_with("--"));
    match nearest(option, known) {
        Some(near) => format!("unknown option {option} for {command}; did you mean {near}?"),
        None => format!("unknown option {option} for {command}; try: tokenpak {command} --help"),
    }
}
