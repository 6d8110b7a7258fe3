//! `tokenpak prices update`: a newer price list, taken over as a whole or not at all.

use std::fmt::Write;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use super::{arrived, dollars, now, print, settings};
use crate::cli;
use crate::config::{self, Environment};
use crate::error::Error;
use crate::name::clean;
use crate::ownership;
use crate::prices::{List, Terms, read_list, resolve};
use crate::proxy;
use crate::report::calendar;

/// LiteLLM's map, as its makers keep it.
const MAP_URL: &str =
    "https://raw.githubusercontent.com/BerriAI/litellm/main/model_prices_and_context_window.json";

/// Four times what the largest map has today. More is another thing, and would not fit into memory.
const LIST_BYTES_MAX: u64 = 16 * 1024 * 1024;

pub(super) fn run(args: &cli::PricesUpdate) -> Result<(), Error> {
    let around = Environment::of_process();
    config::check_home(&around)?;
    let ts = now();
    let source = args.source.as_deref().unwrap_or(MAP_URL);
    let (name, bytes) = match source.contains("://") {
        true => fetch(source)?,
        false => read(source)?,
    };
    if bytes.len() as u64 > LIST_BYTES_MAX {
        return Err(Error::input(&name, None, format!("more than {} MB", LIST_BYTES_MAX >> 20)));
    }
    let list = read_list(&bytes, ts).map_err(|what| Error::input(&name, None, what))?;
    let list = list.from(&name, &calendar::date(ts.div_euclid(86_400)));
    let path = config::price_list(&around.home());
    let old = std::fs::read_to_string(&path).ok().and_then(|text| List::parse(&text).ok());
    save(&path, &list)?;
    print(&changes(&old.unwrap_or_default(), &list, ts))?;
    arrived(&around)
}

/// The name by which a source is kept, and what it says.
fn read(source: &str) -> Result<(String, Vec<u8>), Error> {
    let path = Path::new(source);
    let is_input = matches!(source, "-" | "/dev/stdin");
    let name = if is_input { "standard input".to_owned() } else { source.to_owned() };
    let failed =
        |error| Error::read(if is_input { Path::new("standard input") } else { path }, error);
    let bytes = match is_input {
        true => limited(io::stdin().lock()),
        false => File::open(path).and_then(limited),
    };
    Ok((name, bytes.map_err(failed)?))
}

/// The same of an address, whose query is nobody's business.
fn fetch(url: &str) -> Result<(String, Vec<u8>), Error> {
    let name = url.split(['?', '#']).next().unwrap_or_default().to_owned();
    let config = settings(None, &[])?;
    let bytes = proxy::fetch(&config, url, LIST_BYTES_MAX);
    bytes.map(|bytes| (name.clone(), bytes)).map_err(|what| Error::fetch(&name, what))
}

fn limited(source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(LIST_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn save(path: &Path, list: &List) -> Result<(), Error> {
    let failed = |error| Error::create(path, error);
    ownership::make_directory(path.parent().unwrap_or(Path::new("/"))).map_err(failed)?;
    // What others planted here is theirs to choose the place of.
    if path.symlink_metadata().is_ok_and(|found| !found.is_file()) {
        return Err(failed(ErrorKind::AlreadyExists.into()));
    }
    ownership::replace(path, list.text().as_bytes(), 0o600).map_err(failed)
}

/// A line for every price that is another one now, and how many there are.
fn changes(old: &List, new: &List, ts: i64) -> String {
    let (mut text, mut counts) = (String::new(), [0_u32; 3]);
    let mut line = |kind: usize, (name, host): (&str, &str), what: String| {
        counts[kind] += 1;
        // Writing to a string does not fail.
        let _ = writeln!(text, "{} at {host}: {what}", clean(name));
    };
    for (name, host, spec) in new.rows() {
        match old.spec(name, host) {
            Some(before) if before == spec => {}
            None => line(0, (name, host), said(spec, ts)),
            Some(before) => {
                let (before, after) = (said(before, ts), said(spec, ts));
                let what = match before == after {
                    true => format!("{after}, other conditions"),
                    false => format!("{before} -> {after}"),
                };
                line(1, (name, host), what);
            }
        }
    }
    for (name, host, spec) in old.rows().filter(|(name, host, _)| !new.has(name, host)) {
        let what = match new.spec(name, host) {
            None => format!("{} -> no price", said(spec, ts)),
            Some(after) if after == spec => continue,
            Some(after) => format!("{} -> {}", said(spec, ts), said(after, ts)),
        };
        line(2, (name, host), what);
    }
    let [new, other, gone] = counts;
    match counts {
        [0, 0, 0] => text,
        _ => format!("{text}{new} new, {other} changed, {gone} no longer listed\n"),
    }
}

/// Input and output, in dollars per million tokens.
fn said(spec: &str, ts: i64) -> String {
    let rates = resolve(spec, &Terms { ts, ..Terms::default() }).unwrap_or_default();
    format!("{}/{}", dollars(rates.input()), dollars(rates.output()))
}
