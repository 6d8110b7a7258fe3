//! `tokenpak config`: shows and changes settings.

use std::path::Path;

use serde_json::Value;

use super::{prices, print};
use crate::cli::{self, ConfigCommand};
use crate::config::{self, Edit, Environment};
use crate::error::{Error, say, say_lines};
use crate::instance;
use crate::name::clean;

/// What the command line makes of a lone dash.
const STANDARD_INPUT: &str = "/dev/stdin";

pub(crate) fn run(args: &cli::Config) -> Result<(), Error> {
    let around = Environment::of_process();
    match &args.what {
        ConfigCommand::List(args) => list(&around, args.show_origin),
        ConfigCommand::Get(args) => get(&around, &args.key),
        ConfigCommand::Set(args) => match config::price_of(&args.key) {
            Some(model) => set_price(&around, model, &args.value),
            None => set(&around, &args.key, &args.value),
        },
        ConfigCommand::Unset(args) => match config::price_of(&args.key) {
            Some(model) => prices::set::unset(&around, model),
            None => unset(&around, &args.key),
        },
        ConfigCommand::Path(_) => print(&format!("{}\n", config::path(&around).0.display())),
        ConfigCommand::Check(args) => {
            for warning in config::check(&around, args.file.as_deref().map(Path::new))? {
                say(format_args!("tokenpak: warning: {warning}"));
            }
            Ok(())
        }
    }
}

fn list(around: &Environment, with_origin: bool) -> Result<(), Error> {
    let values = config::values(around)?;
    let width = values.iter().map(|value| value.origin.to_string().len()).max().unwrap_or(0);
    let mut text = String::new();
    for value in &values {
        if with_origin {
            text += &format!("{:<width$}  ", value.origin.to_string());
        }
        text += &format!("{}={}\n", value.key, clean(value.shown().unwrap_or("null")));
    }
    print(&text)
}

fn get(around: &Environment, key: &str) -> Result<(), Error> {
    let values = config::values(around)?;
    let value = values.iter().find(|value| value.key == key);
    let value = value.ok_or_else(|| config::unknown(key))?;
    match value.shown() {
        Some(text) => print(&format!("{}\n", clean(text))),
        None => Err(Error::answer(format!("{key} has no value"))),
    }
}

/// The value on standard input, which no list of processes and no shell's history shows.
fn from_input() -> Result<String, Error> {
    let mut text = String::from_utf8(super::read(None)?)
        .map_err(|_| Error::input("standard input", None, "not UTF-8"))?;
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}

/// What `prices set` does, from an object of rates.
fn set_price(around: &Environment, model: &str, value: &str) -> Result<(), Error> {
    match serde_json::from_str(value) {
        Ok(Value::Object(rates)) => prices::set::set(around, model, rates),
        _ => Err(Error::usage(format!(
            "prices.{model}: not an object of prices; use: tokenpak prices set {model} input=DOLLARS output=DOLLARS"
        ))),
    }
}

/// The value is read as JSON, else as plain text.
fn set(around: &Environment, key: &str, value: &str) -> Result<(), Error> {
    let read;
    let value = match value {
        STANDARD_INPUT => {
            read = from_input()?;
            &read
        }
        value => value,
    };
    let value = match serde_json::from_str(value) {
        // Digits are no number where they are a secret: a long one would lose some.
        Ok(value @ (Value::String(_) | Value::Null)) => value,
        Ok(value) if !config::is_secret(key) => value,
        _ => Value::String(value.to_owned()),
    };
    let variable = config::may_set(around, key, &value)?;
    let mut edit = Edit::open(&config::path(around).0)?;
    edit.set(key, value.clone())?;
    refuse_faults(around, &edit, key, Some(&value))?;
    edit.save()?;
    remarks(around, key, variable);
    Ok(())
}

fn unset(around: &Environment, key: &str) -> Result<(), Error> {
    // A key that is none may be in the file, and this is the way to get it out.
    let variable = config::may_set(around, key, &Value::Null).unwrap_or_default();
    let mut edit = Edit::open(&config::path(around).0)?;
    if !edit.unset(key) {
        return match config::is_known(key) {
            true => Ok(()),
            false => Err(config::unknown(key)),
        };
    }
    refuse_faults(around, &edit, key, None)?;
    edit.save()?;
    remarks(around, key, variable);
    Ok(())
}

/// A change after which no command would take the file is not written.
fn refuse_faults(
    around: &Environment,
    edit: &Edit,
    key: &str,
    value: Option<&Value>,
) -> Result<(), Error> {
    let faults = config::faults_of_change(around, edit, key, value);
    match faults.is_empty() {
        true => Ok(()),
        false => Err(Error::usage(faults.join("; "))),
    }
}

/// What stands between the file and the effect.
fn remarks(around: &Environment, key: &str, variable: Option<String>) {
    if let Some(name) = variable {
        // Only what may be shown of it.
        let value = match config::is_secret(key) {
            true => String::new(),
            false => around.variable(&name).map_or(String::new(), |value| format!("={value}")),
        };
        say(format_args!("tokenpak: note: {name}{value} overrides {key}"));
    }
    if let Some(running) = instance::running(&around.home()) {
        let pid = running.pid;
        match config::needs_restart(key) {
            true => say(format_args!(
                "tokenpak: note: the running proxy (pid {pid}) keeps its {key} until it is restarted"
            )),
            false => say(format_args!(
                "tokenpak: note: the running proxy (pid {pid}) reads this after: kill -HUP {pid}"
            )),
        }
    }
    // One that was wrong before may need more than one change.
    if let Err(faults) = config::load(around, None, &[]) {
        say_lines(format_args!(
            "tokenpak: warning: no command takes the configuration as it is now\n{faults}"
        ));
    }
    if key.starts_with("compression.") && key != "compression.memo_mb" || key == "proxy.mode" {
        say(format_args!(
            "tokenpak: note: this is for new conversations; those under way keep their form, and off \
             cuts nothing more"
        ));
    }
}
