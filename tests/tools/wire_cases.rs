//! Sends the raw requests of `tests/wire` to a proxy and says what it makes of them:
//!
//!     cargo run --example provider -- --port 9001
//!     cargo run --example wire-cases -- PORT-OF-THE-PROXY
//!
//! The proxy must forward to the stand-in. Another status of the same kind (400 for 505) passes.

#![allow(clippy::unwrap_used)] // A development tool: a wrong value may end it where it stands.

#[path = "../provider/mod.rs"]
mod provider;
#[path = "../sandbox/mod.rs"]
mod sandbox;
#[path = "../wire/mod.rs"]
mod wire;

use sandbox::Client;
use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::time::Duration;

/// How long a proxy may think; a case that should be answered and is not has failed.
const PATIENCE: Duration = Duration::from_secs(5);

fn main() {
    let port =
        std::env::args().nth(1).and_then(|port| port.parse().ok()).expect("usage: wire-cases PORT");
    // A wait in vain is a failed case, not a failed program.
    std::panic::set_hook(Box::new(|_| {}));
    let mut groups: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for case in wire::all() {
        let outcome = catch_unwind(|| {
            let mut client = Client::connect(port);
            client.set_patience(PATIENCE);
            case.run(&mut client, false)
        });
        let outcome = outcome.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        let (cases, passes) = groups.entry(case.group).or_default();
        *cases += 1;
        *passes += usize::from(outcome.is_ok());
        if let Err(what) = outcome {
            println!("FAILED {}: {}: {what}", case.group, case.name);
        }
    }
    for (group, (cases, passes)) in &groups {
        println!("{group:<14} {passes:>4} of {cases:>4}");
    }
    let sum = |of: fn(&(usize, usize)) -> usize| groups.values().map(of).sum::<usize>();
    println!("{:<14} {:>4} of {:>4}", "all", sum(|group| group.1), sum(|group| group.0));
}
