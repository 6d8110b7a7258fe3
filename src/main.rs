//! Parse, dispatch, print the error, exit status.

mod wire;

fn main() {}
