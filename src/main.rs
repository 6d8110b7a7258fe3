//! Parse, dispatch, print the error, exit status.

mod json;
mod tokens;
mod wire;

fn main() {}
