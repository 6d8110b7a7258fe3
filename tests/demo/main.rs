//! What tokenpak does, on one screen: `make demo`.
//!
//! A provider stand-in and the real program on free ports of this machine, in a scratch home; no key,
//! no network, nothing left behind. Every figure is read from what went over the wire.

#![allow(clippy::unwrap_used)] // A demonstration that cannot go on has failed.

mod data;
#[path = "../provider/mod.rs"]
mod provider;
#[path = "../sandbox/mod.rs"]
mod sandbox;

use data::Step;
use provider::{Provider, Script, Seen};
use sandbox::{Client, Head, Sandbox};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// The widest line that is printed.
const COLUMNS: usize = 79;

fn main() {
    let binary = std::env::args().nth(1).expect("usage: demo PATH-OF-TOKENPAK");
    let binary =
        Path::new(&binary).canonicalize().expect("the program has to be built first: make");
    let provider = Provider::start();
    provider.always(Script { words: 29, gap: Duration::from_millis(60), ..Script::default() });
    let sandbox = Sandbox::of(&binary).providers(&provider);
    let proxy = sandbox.serve();

    let steps = data::steps();
    let body = data::request(&steps).to_string();
    println!(
        "tokenpak between a coding agent and a stand-in for its provider. No key, no network.\n"
    );
    println!(
        "agent      POST http://127.0.0.1:{}/v1/messages   {} bytes",
        proxy.port(),
        grouped(body.len())
    );
    let mut client = proxy.connect();
    let head = send(&mut client, &body);
    let seen = provider.wait_seen(1);
    println!(
        "provider   POST {}/v1/messages   {} bytes\n",
        provider.url(),
        grouped(seen.body.len())
    );

    let arrived = results(&seen.json());
    table(&sandbox, &head, &steps, &arrived);
    excerpt(&steps, &arrived);
    print!("The answer, word by word as it comes:\n  ");
    print_answer(&mut client);
    println!("\n{}\n", next_turn(&mut client, &provider, &seen, data::request(&steps)));

    sandbox.row(&head.request_id());
    sandbox.rows(2);
    println!("$ tokenpak stats");
    for line in sandbox.run(&["stats"]).stdout.lines().filter(|line| !line.is_empty()) {
        println!("{line}");
    }
}

/// Sends a request as the agent would; the answer's head is read, its body not yet.
fn send(client: &mut Client, body: &str) -> Head {
    let headers = [
        ("x-api-key", "sk-ant-not-a-key"),
        ("anthropic-version", "2023-06-01"),
        ("content-type", "application/json"),
        ("user-agent", "demo-agent/1.0"),
    ];
    client.request(("POST", "/v1/messages"), &headers, body.as_bytes());
    client.head()
}

/// The texts of the tool results in a request.
fn results(request: &Value) -> Vec<String> {
    let messages = request["messages"].as_array().unwrap().iter();
    let blocks = messages.filter_map(|message| message["content"].as_array()).flatten();
    let results = blocks.filter(|block| block["type"] == "tool_result");
    results.map(|block| block["content"].as_str().unwrap().to_owned()).collect()
}

/// What each tool result weighed before and after, and the whole prompt.
fn table(sandbox: &Sandbox, head: &Head, steps: &[Step], arrived: &[String]) {
    let count = |text: &str| {
        sandbox.run_with(&["count"], text.as_bytes()).stdout.trim().parse::<i64>().unwrap()
    };
    let row = |what: &str, before: i64, after: i64| {
        let share = 100.0 * (before - after) as f64 / before as f64;
        println!(
            "{what:40}{:>12}{:>12}{share:>8.0}%",
            grouped(before as usize),
            grouped(after as usize)
        );
    };
    println!("{:40}{:>12}{:>12}{:>9}", "tokens", "sent", "arrived", "saved");
    for (step, arrived) in steps.iter().zip(arrived) {
        row(&format!("  {}", step.what), count(&step.result), count(arrived));
    }
    row("the whole prompt, as tokenpak counts", head.tokens("before"), head.tokens("after"));
}

/// The beginning of what was cut most, before and after.
fn excerpt(steps: &[Step], arrived: &[String]) {
    let pairs = steps.iter().zip(arrived);
    let (step, arrived) =
        pairs.max_by_key(|(step, arrived)| step.result.len() - arrived.len()).unwrap();
    println!("\nThe largest cut, {}. Sent:", step.what);
    let before: Vec<char> = step.result.escape_debug().collect();
    for line in before.chunks(COLUMNS - 2).take(5) {
        println!("  {}", line.iter().collect::<String>());
    }
    println!("Arrived:");
    for line in arrived.lines().take(9) {
        println!("  {}", line.chars().take(COLUMNS - 2).collect::<String>());
    }
    println!();
}

/// Prints each word when it is there.
fn print_answer(client: &mut Client) {
    let mut column = 2;
    while let Ok(Some(piece)) = client.piece() {
        let piece = String::from_utf8_lossy(&piece).into_owned();
        for data in piece.lines().filter_map(|line| line.strip_prefix("data: ")) {
            let event: Value = serde_json::from_str(data).unwrap_or_default();
            let word = event["delta"]["text"].as_str().unwrap_or_default();
            if column + word.len() > COLUMNS {
                print!("\n  ");
                column = 2;
            }
            column += word.len();
            print!("{word}");
            let _ = std::io::stdout().flush();
        }
    }
    println!();
}

/// The agent's next request repeats the first and adds to it: so must what arrives.
fn next_turn(client: &mut Client, provider: &Provider, first: &Seen, mut request: Value) -> String {
    let messages = request["messages"].as_array_mut().unwrap();
    messages
        .push(json!({"role": "assistant", "content": "The lock file is older than the manifest."}));
    messages.push(json!({"role": "user", "content": "Then renew it, please."}));
    provider.next(Script::default());
    send(client, &request.to_string());
    client.body();
    let second = provider.wait_seen(2).body;
    // All of the first request but its end, `],"tools":...`, where the new messages go in.
    let messages = first.body.windows(10).rposition(|window| window == b"],\"tools\":").unwrap();
    let same = first.body.iter().zip(&second).take_while(|(a, b)| a == b).count().min(messages);
    let verdict = if same == messages { "all the same" } else { "NOT the same" };
    format!(
        "The next turn begins with the {} bytes of this one, {verdict}:\nthe provider's prompt cache holds.",
        grouped(same)
    )
}

/// With commas between thousands.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|g| str::from_utf8(g).unwrap()).collect();
    groups.join(",")
}
