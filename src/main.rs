//! Parse, dispatch, print the error, exit status.

mod compress;
mod json;
mod tokens;
mod wire;

fn main() {}
