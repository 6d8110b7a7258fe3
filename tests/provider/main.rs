//! The stand-in as a program, to point tokenpak or a client at by hand.
//!
//!     cargo run --example provider -- --words 40 --gap-ms 50
//!
//! Prints its address, then a line for each request.

#![allow(clippy::unwrap_used)] // A development tool: a wrong value may end it where it stands.

#[path = "mod.rs"]
mod provider;

use provider::{Provider, Script, Session};
use std::path::PathBuf;
use std::time::Duration;

const USAGE: &str =
    "usage: provider [--port N] [--words N] [--word-bytes N] [--gap-ms N] [--delay-ms N]
                [--status CODE] [--stamps] [--hang] [--bodies]
                [--session DIRECTORY]";

fn main() {
    let mut script = Script::default();
    let (mut port, mut bodies) = (0, false);
    let mut args = std::env::args().skip(1);
    while let Some(option) = args.next() {
        let mut number =
            || args.next().and_then(|v| v.parse::<u64>().ok()).unwrap_or_else(|| usage());
        match option.as_str() {
            "--port" => port = number() as u16,
            "--words" => script.words = number() as usize,
            "--word-bytes" => script.word_bytes = number() as usize,
            "--gap-ms" => script.gap = Duration::from_millis(number()),
            "--delay-ms" => script.head_delay = Duration::from_millis(number()),
            "--status" => script.status = number() as u16,
            "--stamps" => script.stamps = true,
            "--hang" => script.hang = true,
            "--bodies" => bodies = true,
            // Writes the task's project into the directory; let the client work there.
            "--session" => {
                let project = args.next().map(PathBuf::from).unwrap_or_else(|| usage());
                script.session = Some(Session::create(&project));
            }
            _ => usage(),
        }
    }
    let provider = Provider::listen(port).unwrap_or_else(|err| {
        eprintln!("provider: 127.0.0.1:{port}: {err}");
        std::process::exit(1);
    });
    provider.always(script);
    println!("{}", provider.url());
    for n in 1.. {
        let seen = provider.wait_next(n);
        println!("{n} {} {} {} bytes", seen.method(), seen.target(), seen.body.len());
        if bodies {
            println!("{}", String::from_utf8_lossy(&seen.body));
        }
    }
}

fn usage() -> ! {
    eprintln!("{USAGE}");
    std::process::exit(64);
}
