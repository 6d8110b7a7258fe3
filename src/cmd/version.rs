//! `tokenpak version`.

use serde_json::json;

use super::print;
use crate::cli;
use crate::error::Error;
use crate::ledger;

pub(crate) fn run(args: &cli::Version) -> Result<(), Error> {
    match args.json {
        true => print(&format!("{:#}\n", object())),
        false => print(&line()),
    }
}

/// It does not tell its version itself; a test compares this with the lock file.
const TLS: &str = "rustls 0.23.46";

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
        "tls": TLS,
        "prices": crate::prices::as_of(),
        "tokenizer": "o200k_base",
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn tls_is_the_one_that_is_built_in() {
        let (name, version) = super::TLS.split_once(' ').unwrap();
        let entry = format!("name = \"{name}\"\nversion = \"{version}\"\n");
        assert!(include_str!("../../Cargo.lock").contains(&entry), "{entry}");
    }
}
