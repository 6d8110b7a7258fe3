//! Parse, dispatch, print the error, exit status.

mod compress;
mod json;
mod pack;
mod tokens;
mod wire;

fn main() {}
