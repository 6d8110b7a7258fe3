//! The project's own figures, a table each: `make bench`, or `bench [--binary FILE] [TABLE...] [FILE...]`.
//!
//! One program, so that the product's modules are named in one place. Times are processor time of
//! this thread or the shortest of several runs, which leaves out what else the machine does; growth
//! is given as the exponent of a power: 1 is in proportion, 0 is not at all.

// The product's own modules and the tests' sandbox, of which this uses a part.
#![allow(dead_code, unused_imports, unreachable_pub)]
#![allow(clippy::unwrap_used)] // In the sandbox: a figure that cannot be taken is a failure.

#[path = "../../src/compress/mod.rs"]
mod compress;
#[path = "../../src/footer/mod.rs"]
mod footer;
#[path = "../../src/json/mod.rs"]
mod json;
#[path = "../../src/ledger/mod.rs"]
mod ledger;
#[path = "../../src/name.rs"]
mod name;
#[path = "../../src/number.rs"]
mod number;
#[path = "../../src/ownership.rs"]
mod ownership;
#[path = "../../src/prices/mod.rs"]
mod prices;
#[path = "../../src/rewrite/mod.rs"]
mod rewrite;
#[path = "../../src/route/mod.rs"]
mod route;
#[path = "../../src/safe_path.rs"]
mod safe_path;
#[path = "../../src/tokens/mod.rs"]
mod tokens;
#[path = "../../src/trace/mod.rs"]
mod trace;
#[path = "../../src/wire/mod.rs"]
mod wire;

#[path = "../hostile/mod.rs"]
mod hostile_prompts;
#[path = "../money/mod.rs"]
mod money;
#[path = "../provider/mod.rs"]
mod provider;
#[path = "../sandbox/mod.rs"]
mod sandbox;

mod books;
mod counting;
mod hostile;
mod measure;
mod memory;
mod reports;
mod savings;
mod sessions;
mod speed;
mod start;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What the tables work on.
struct Means {
    /// The built program, for what is measured from outside.
    binary: PathBuf,
    corpus: Vec<measure::Request>,
    /// Texts named on the command line.
    texts: Vec<String>,
}

/// Prints a table. False: a figure that must hold does not.
type Print = fn(&Means) -> bool;

/// By the names to ask for them.
const TABLES: &[(&str, Print)] = &[
    ("counting", counting::table),
    ("savings", savings::table),
    ("bills", savings::bills),
    ("speed", speed::table),
    ("hostile", hostile::table),
    ("sessions", sessions::table),
    ("memory", memory::table),
    ("ledger", books::table),
    ("reports", reports::table),
    ("start", start::table),
];

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let binary = match arguments.iter().position(|argument| argument == "--binary") {
        Some(at) => arguments.drain(at..arguments.len().min(at + 2)).nth(1).map(PathBuf::from),
        None => None,
    };
    let is_table = |name: &String| TABLES.iter().any(|(table, _)| table == name);
    let (wanted, texts): (Vec<String>, Vec<String>) = arguments.into_iter().partition(is_table);
    if let Some(name) = texts.iter().find(|name| !Path::new(name).is_file()) {
        let tables: Vec<&str> = TABLES.iter().map(|(table, _)| *table).collect();
        eprintln!("bench: {name}: neither a file nor a table ({})", tables.join(" "));
        return ExitCode::from(64);
    }
    let corpus = measure::corpus();
    if corpus.is_empty() {
        println!("SKIPPED what needs ../shared/corpus; TOKENPAK_CORPUS names another place\n");
    }
    // It is started in homes of its own, where a path from here leads nowhere.
    let binary = binary.unwrap_or_else(beside);
    let binary = binary.canonicalize().unwrap_or(binary);
    let means = Means { binary, corpus, texts };
    let mut is_held = true;
    for (name, print) in TABLES {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            is_held &= print(&means);
            println!();
        }
    }
    if is_held { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The program that was built into the folder above this one's.
fn beside() -> PathBuf {
    let here = std::env::current_exe().unwrap_or_default();
    here.ancestors().nth(2).unwrap_or(&here).join("tokenpak")
}
