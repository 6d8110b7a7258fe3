//! Parse, dispatch, print the error, exit status.

mod cmd;
mod compress;
mod json;
mod ledger;
mod pack;
mod report;
mod tokens;
mod wire;

fn main() {}
