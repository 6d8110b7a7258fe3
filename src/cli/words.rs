//! What is typed and what is said back: options in other spellings, and complaints in one line.

use super::{COMMANDS, command_of, help};
use crate::config::nearest;

/// Breaks argh's long usage line before an option, for terminals of 80 columns.
pub(super) fn wrap(help: &str) -> String {
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
pub(super) fn normalise(arguments: &[String]) -> Vec<String> {
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
pub(super) fn explain(words: &[&str], complaint: &str) -> String {
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
    // The names stand below the first line of the complaint.
    let missing: Vec<&str> = complaint.lines().skip(1).map(str::trim).collect();
    let missing = missing.into_iter().take_while(|name| !name.is_empty()).collect::<Vec<_>>();
    if line.starts_with("Required positional arguments") {
        let missing = missing.join(" and ").to_uppercase();
        return format!("{command} needs {missing}; try: tokenpak {command} --help");
    }
    if let Some((_, parts)) =
        COMMANDS.iter().find(|(name, parts)| *name == command && !parts.is_empty())
    {
        return format!("{command} needs one of {}", parts.join(", "));
    }
    format!("{command}: {}; try: tokenpak {command} --help", line.to_lowercase())
}

pub(super) fn unknown<'a>(
    what: &str,
    name: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> String {
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
