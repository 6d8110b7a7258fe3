//! `tokenpak man`: the manual for hosts onto which only the binary was copied.

use super::write;
use crate::cli;
use crate::error::Error;

/// The pages, as deflated mdoc source: `tokenpak man | man -l -` formats them.
const PAGES: &[(&str, &[u8])] = &[
    ("tokenpak", include_bytes!(concat!(env!("OUT_DIR"), "/tokenpak.1.z"))),
    ("tokenpak-config", include_bytes!(concat!(env!("OUT_DIR"), "/tokenpak-config.5.z"))),
    ("tokenpak-db", include_bytes!(concat!(env!("OUT_DIR"), "/tokenpak-db.5.z"))),
    ("tokenpak-prices", include_bytes!(concat!(env!("OUT_DIR"), "/tokenpak-prices.5.z"))),
];

pub(crate) fn run(args: &cli::Man) -> Result<(), Error> {
    let wanted = args.page.as_deref().unwrap_or("tokenpak");
    match PAGES.iter().find(|(name, _)| *name == wanted) {
        Some((_, page)) => {
            let text = miniz_oxide::inflate::decompress_to_vec(page);
            write(&text.expect("what the build deflated"))
        }
        None => {
            let names: Vec<&str> = PAGES.iter().map(|(name, _)| *name).collect();
            Err(Error::usage(format!("no page {wanted}; one of {}", names.join(", "))))
        }
    }
}
