//! `tokenpak trace`: how the last requests were passed on. Works with and without a running proxy.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{print, settings, stats};
use crate::cli;
use crate::config::Environment;
use crate::debug;
use crate::error::Error;
use crate::ledger::{self, Traced, Which};
use crate::name::clean;
use crate::report;
use crate::rewrite::cuts::{Changed, cuts};
use crate::trace::KEPT;
use crate::wire::Format;

pub(crate) fn run(args: &cli::Trace) -> Result<(), Error> {
    let which = which(args)?;
    let config = settings(None, &[])?;
    let found = ledger::traces(&config.database, &which)
        .map_err(|fault| Error::ledger(fault.exit_code(), fault.to_string()))?;
    if let (Which::Named(name), []) = (&which, found.as_slice()) {
        return Err(Error::answer(format!("{name}: not among the last {KEPT} requests")));
    }
    let text = match found.as_slice() {
        all if args.count.is_some() && args.json => {
            let all: Vec<Value> = all.iter().map(report::trace_object).collect();
            format!("{}\n", json!({ "requests": all }))
        }
        all if args.count.is_some() => all.iter().map(report::trace_brief).collect(),
        [] => return Err(Error::answer("no request yet")),
        [one, ..] if args.json => object(one, args.diff.then_some(&config.home))?,
        [one, ..] => {
            let diff = if args.diff { diff(&changed(one, &config.home)?) } else { String::new() };
            report::trace_full(one, &stats::zone_name(&Environment::of_process(), one.offset_s))
                + &bodies(one, &config.home)
                + &diff
        }
    };
    print(&text)
}

fn which(args: &cli::Trace) -> Result<Which<'_>, Error> {
    match (&args.id, args.count) {
        (Some(_), _) if args.last => Err(Error::usage("--last and --id exclude each other")),
        (Some(_), Some(_)) => Err(Error::usage("-n and --id exclude each other")),
        (None, Some(_)) if args.last => Err(Error::usage("--last and -n exclude each other")),
        (None, Some(_)) if args.diff => {
            Err(Error::usage("--diff is of one request; name its --id"))
        }
        (None, Some(count)) if !(1..=KEPT as u32).contains(&count) => {
            Err(Error::usage(format!("-n {count}: 1 to {KEPT} requests are known")))
        }
        (Some(id), None) => Ok(Which::Named(id)),
        (None, count) => Ok(Which::Last(count.unwrap_or(1))),
    }
}

fn object(one: &Traced, home: Option<&std::path::PathBuf>) -> Result<String, Error> {
    let mut object = report::trace_object(one);
    if let Some(home) = home {
        let changed = changed(one, home)?;
        let cuts = changed.iter().flat_map(|text| {
            text.cuts.iter().map(|cut| {
                json!({ "text": text.name, "line": cut.line, "before": cut.before,
                    "after": cut.after })
            })
        });
        object["cuts"] = cuts.collect();
    }
    Ok(format!("{object}\n"))
}

/// Where the bodies are, while they are there.
fn bodies(one: &Traced, home: &Path) -> String {
    let files = debug::files(home, &one.request_id);
    match one.trace.bodies && files.iter().all(|file| file.exists()) {
        true => format!(
            "  {:<13}  {}\n  {:<13}  {}\n",
            "received",
            files[0].display(),
            "sent",
            files[1].display()
        ),
        false => String::new(),
    }
}

/// What was changed in the prompt, by the bodies on disk.
fn changed(one: &Traced, home: &Path) -> Result<Vec<Changed>, Error> {
    if !one.trace.bodies {
        let text = "its bodies were not recorded; before a request: tokenpak debug on --bodies";
        return Err(Error::answer(format!("{}: {text}", one.id)));
    }
    let [received, sent] = debug::files(home, &one.request_id);
    let read = |path: &Path| fs::read(path).map_err(|error| Error::read(path, error));
    let (received, sent) = (read(&received)?, read(&sent)?);
    if received == sent {
        return Ok(Vec::new());
    }
    let format = Format::of_path(&one.trace.path).filter(|_| one.api != "other");
    let changed = format.and_then(|format| cuts(format, &received, &sent));
    changed.ok_or_else(|| {
        Error::answer(format!("{}: its bodies cannot be compared text by text", one.id))
    })
}

/// Lines as received behind `-`, lines as sent behind `+`.
fn diff(changed: &[Changed]) -> String {
    if changed.is_empty() {
        return "\nthe prompt was not changed\n".to_owned();
    }
    let mut text = String::new();
    for one in changed {
        for cut in &one.cuts {
            // Writing to a string does not fail.
            let _ = writeln!(text, "\n{}, line {}", clean(&one.name), cut.line);
            for line in &cut.before {
                let _ = writeln!(text, "-{line}");
            }
            for line in &cut.after {
                let _ = writeln!(text, "+{line}");
            }
        }
    }
    text
}
