//! Real clients through tokenpak: each works as it does without it, with the set-up that the README
//! shows. `clients.json` is the table of them, `install` gets them, `table` reads it, `run` runs one
//! in a scratch home, `checks` says whether all was as it would be without the proxy.
//!
//! Not part of `cargo test`: `make test-clients` runs it.

#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

#[path = "../provider/mod.rs"]
mod provider;
#[path = "../sandbox/mod.rs"]
mod sandbox;
#[allow(dead_code)] // Shared with the tests from outside, which use more of it.
#[path = "../outside/support.rs"]
mod support;

mod agents;
mod aider;
mod checks;
mod prompts;
mod run;
mod sdks;
mod table;
