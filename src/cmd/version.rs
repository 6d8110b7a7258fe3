//! `tokenpak version`.

use serde_json::json;

use super::write;
use crate::cli;
use crate::error::Error;
use crate::ledger;

pub(crate) fn run(args: &cli::Version) -> Result<(), Error> {
    match args.json {
        true => write(format!("{:#}\n", object()).as_bytes()),
        false => write(line().as_bytes()),
    }
}

/// The line of `tokenpak version`.
pub(crate) fn line() -> String {
    format!("tokenpak {}\n", env!("CARGO_PKG_VERSION"))
}

fn object() -> serde_json::Value {
    json!({
        "tool": "tokenpak",
        "version": env!("CARGO_PKG_VERSION"),
        "target": format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        "sqlite": ledger::sqlite_version(),
        "tls": "rustls",
        "prices": ledger::PRICES_AS_OF,
        "tokenizer": "o200k_base",
    })
}
