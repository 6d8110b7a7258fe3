//! `tokenpak man`: the manual for hosts onto which only the binary was copied.

use super::write;
use crate::cli;
use crate::error::Error;

/// The pages, as mdoc source: `tokenpak man | man -l -` formats them.
const PAGES: &[(&str, &str)] = &[
    ("tokenpak", include_str!("../../man/tokenpak.1")),
    ("tokenpak-config", include_str!("../../man/tokenpak-config.5")),
    ("tokenpak-db", include_str!("../../man/tokenpak-db.5")),
];

pub(crate) fn run(args: &cli::Man) -> Result<(), Error> {
    let wanted = args.page.as_deref().unwrap_or("tokenpak");
    match PAGES.iter().find(|(name, _)| *name == wanted) {
        Some((_, page)) => write(page.as_bytes()),
        None => {
            let names: Vec<&str> = PAGES.iter().map(|(name, _)| *name).collect();
            Err(Error::usage(format!("no page {wanted}; one of {}", names.join(", "))))
        }
    }
}
