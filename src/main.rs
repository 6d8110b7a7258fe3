//! Parse, dispatch, print the error, exit status.

mod tokens;
mod wire;

fn main() {}
