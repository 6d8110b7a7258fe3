//! Parse, dispatch, print the error, exit status.

mod cmd;
mod ledger;
mod report;
mod wire;

fn main() {}
