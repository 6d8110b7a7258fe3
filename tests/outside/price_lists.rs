//! `prices update`, `set`, `unset` and `reprice`: prices that come without a release, and what they make of
//! requests that are stored already.

use crate::provider::{Authority, Billed, Provider, Script, tls};
use crate::sandbox::{Made, Output, Sandbox, wait};
use crate::support::{Api, sandbox};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

/// A row of LiteLLM's map, in dollars per token.
fn row(host: &str, input: f64, output: f64) -> Value {
    json!({"litellm_provider": host, "mode": "chat", "input_cost_per_token": input,
        "output_cost_per_token": output})
}

fn file(sandbox: &Sandbox, name: &str, text: &str) -> String {
    let path = sandbox.home().join(name);
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn list(sandbox: &Sandbox) -> PathBuf {
    sandbox.home().join("prices.list")
}

#[track_caller]
fn fine(output: &Output) -> &str {
    assert_eq!((output.status, output.stderr.as_str()), (0, ""), "{output:?}");
    &output.stdout
}

/// One line on standard error, and the status.
#[track_caller]
fn refused(output: &Output, status: i32, words: &str) {
    assert_eq!((output.status, output.stdout.as_str()), (status, ""), "{output:?}");
    assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
    assert!(output.stderr.starts_with("tokenpak: ") && output.stderr.contains(words), "{output:?}");
}

#[test]
fn a_map_is_taken_over_and_says_what_changed() {
    let sandbox = sandbox();
    let mut map = json!({
        "gpt-9-sol": row("openai", 2e-6, 8e-6),
        "xai/grok-99": row("xai", 1.5e-6, 3e-6),
        "gpt-4o": row("openai", 2.4e-6, 1e-5),
        // As it is built in.
        "o3": row("openai", 2e-6, 8e-6),
        "bedrock/eu/claude-9": row("bedrock", 1e-6, 2e-6),
        "text-embedding-9": {"litellm_provider": "openai", "mode": "embedding", "input_cost_per_token": 1e-8},
    });
    let more = map["gpt-9-sol"].as_object_mut().unwrap();
    more.insert("cache_read_input_token_cost".into(), json!(2e-7));
    more.insert("input_cost_per_token_above_272k_tokens".into(), json!(4e-6));
    more.insert("output_cost_per_token_above_272k_tokens".into(), json!(1.2e-5));
    more.insert("input_cost_per_token_flex".into(), json!(1e-6));
    let path = file(&sandbox, "map.json", &map.to_string());
    let output = sandbox.run(&["prices", "update", &path]);
    assert_eq!(
        fine(&output),
        "gpt-4o at openai: 2.50/10.00 -> 2.40/10.00\ngpt-9-sol at openai: 2.00/8.00\n\
         grok-99 at xai: 1.50/3.00\n2 new, 1 changed, 0 no longer listed\n"
    );
    let text = fs::read_to_string(list(&sandbox)).unwrap();
    let row = "gpt-9-sol openai 2/8 r0.2 [>272000] 4/12 [flex] i1\n";
    assert!(text.contains(row) && text.contains(&format!("# source {path}\n")), "{text}");
    assert!(text.contains("# as of 20") && text.ends_with("# end\n"), "{text}");
    let said = sandbox.run(&["prices", "gpt-9-sol-2027-01-02"]);
    assert!(fine(&said).contains("input $2.00, output $8.00, cache read $0.20"), "{said:?}");
    assert!(said.stdout.contains(&path), "{said:?}");
    // The same again changes nothing, and is silent.
    assert_eq!(fine(&sandbox.run(&["prices", "update", &path])), "");
    // Without a model, it is as it was built in, or unknown.
    let less = json!({"gpt-9-sol": map["gpt-9-sol"]}).to_string();
    let output = sandbox.run_with(&["prices", "update", "-"], less.as_bytes());
    assert_eq!(
        fine(&output),
        "gpt-4o at openai: 2.40/10.00 -> 2.50/10.00\ngrok-99 at xai: 1.50/3.00 -> no price\n\
         0 new, 0 changed, 2 no longer listed\n"
    );
    assert!(fs::read_to_string(list(&sandbox)).unwrap().contains("# source standard input\n"));
    assert_eq!(sandbox.run(&["prices", "grok-99"]).status, 1);
}

#[test]
fn a_list_of_ones_own_is_in_force_with_all_its_conditions() {
    let sandbox = sandbox();
    let text = "# as of 2026-11-30\nhouse-9 house 0.2/0.4 r0.05 [>1000] 0.4/0.8\n# end\n";
    let path = file(&sandbox, "own.list", text);
    fine(&sandbox.run(&["prices", "update", &path]));
    let said = sandbox.run(&["prices", "house-9"]);
    // Another host's price stands for nothing but itself.
    assert_eq!((said.status, said.stdout.contains("no price")), (1, true), "{said:?}");
    let table = sandbox.run(&["prices"]).stdout;
    assert!(table.contains("list prices of 2026-11-30") && table.contains("house-9 *"), "{table}");
    let provider = Provider::start();
    let sandbox = sandbox.set("TOKENPAK_PROXY_PROVIDERS_HOUSE_URL", &provider.url());
    let proxy = sandbox.serve();
    for (input, cost) in [(1000, 1000 * 200 + 10 * 400), (1001, 1001 * 400 + 10 * 800)] {
        provider.next(Script::default().billed(billed(input, 10)));
        let mut body: Value = serde_json::from_slice(&Api::Chat.small(false)).unwrap();
        body["model"] = "house-9".into();
        let target = format!("/house{}", Api::Chat.target(false));
        let answer = proxy.post(&target, &Api::Chat.headers(), body.to_string().as_bytes());
        let row = sandbox.row(&answer.head.request_id());
        assert_eq!((row.number("cost_nano"), row.text("cost_basis")), (Some(cost), "listed"));
    }
}

fn billed(input: u64, output: u64) -> Billed {
    Billed { input, output, cache_read: 0, cache_write: 0, cache_write_1h: 0, reasoning: 0 }
}

/// What is no price list, whatever it is instead: one line, the status, and the prices of before.
#[test]
fn what_is_no_list_changes_nothing() {
    let sandbox = sandbox();
    let good = json!({"gpt-9-sol": row("openai", 2e-6, 8e-6)}).to_string();
    fine(&sandbox.run_with(&["prices", "update", "-"], good.as_bytes()));
    let before = fs::read_to_string(list(&sandbox)).unwrap();
    let map = |input: Value| {
        let mut row = row("openai", 1e-6, 2e-6);
        row["input_cost_per_token"] = input;
        json!({"m-1": row}).to_string()
    };
    let known = |factor: f64| {
        let row = |input: f64| row("openai", input * factor, input * factor);
        json!({"gpt-4o": row(2.5e-6), "gpt-4.1": row(2e-6), "o3": row(2e-6)}).to_string()
    };
    let own = |line: &str| format!("{line}\n# end\n");
    let cases: &[(String, &str)] = &[
        (String::new(), "empty"),
        (" \n".into(), "empty"),
        ("<!DOCTYPE html><html><body>Log in</body></html>".into(), "a web page"),
        ("{}".into(), "no prices in it"),
        ("[]".into(), "line 1"),
        ("null".into(), "line 1"),
        (good[..good.len() - 1].into(), "is it whole?"),
        (good[..good.len() / 2].into(), "is it whole?"),
        (format!("{good}{good}"), "is it whole?"),
        (json!({"m-1": 3}).to_string(), "m-1: not an object"),
        (json!({"m-1": {"price": 3}}).to_string(), "no prices in it"),
        (map(json!(-1e-6)), "m-1: input_cost_per_token: -1e-6 is out of range"),
        (map(json!("1e-6")), "m-1: input_cost_per_token: \"1e-6\" is not a number"),
        (map(json!(3)), "m-1: input_cost_per_token: 3 is out of range"),
        (map(json!(1e300)), "is out of range"),
        // Per thousand tokens.
        (known(1000.0), "in another unit?"),
        (known(0.001), "in another unit?"),
        (own("m-1 x 1/2").replace("# end", ""), "is it whole?"),
        ("m-1 x 1/2\nm-2 x 10/2".into(), "is it whole?"),
        (own("m-1 x 1/-2"), "line 1: m-1: \"1/-2\" is no rate"),
        (own("m-1 x 1/2 q3"), "line 1: m-1: \"q3\" is no rate"),
        (own("m-1 x 1/2 [slow] 1/1"), "unknown condition \"slow\""),
        (own("m-1 x 0.000001/0.000002"), "dollars per million tokens are meant"),
        (own("# nothing"), "no prices in it"),
    ];
    for (text, words) in cases {
        let output = sandbox.run_with(&["prices", "update", "-"], text.as_bytes());
        refused(&output, 65, words);
        assert!(output.stderr.contains("standard input"), "{output:?}");
        assert_eq!(fs::read_to_string(list(&sandbox)).unwrap(), before, "{text}");
    }
    for bytes in [&[0xff, 0xfe, 0][..], &vec![b' '; (16 << 20) + 1]] {
        refused(&sandbox.run_with(&["prices", "update", "-"], bytes), 65, "standard input: ");
    }
    let gone = sandbox.home().join("gone.json").display().to_string();
    refused(&sandbox.run(&["prices", "update", &gone]), 66, "gone.json: no such file");
    let folder = sandbox.home().display().to_string();
    refused(&sandbox.run(&["prices", "update", &folder]), 74, "is a directory");
    assert_eq!(fs::read_to_string(list(&sandbox)).unwrap(), before);
    let left = fs::read_dir(sandbox.home()).unwrap().map(|entry| entry.unwrap().file_name());
    let odd: Vec<_> = left.filter(|name| name.to_string_lossy().contains(".new-")).collect();
    assert!(odd.is_empty(), "{odd:?}");
}

/// Whatever has happened to the file: requests are served and priced as far as is known.
#[test]
fn a_damaged_list_is_said_and_the_built_in_prices_hold() {
    let sandbox = sandbox();
    let path = list(&sandbox);
    for text in ["", "gpt-4o openai 1/", "gpt-4o openai 9/9\n", "\u{0}\u{1}"] {
        fs::write(&path, text).unwrap();
        let said = sandbox.run(&["prices", "gpt-4o"]);
        assert!(said.stdout.contains("input $2.50, output $10.00"), "{said:?}");
        assert!(
            said.stderr.contains("prices.list: ") && said.stderr.lines().count() == 1,
            "{said:?}"
        );
        let doctor = sandbox.run(&["doctor", "--offline"]);
        assert!(doctor.stdout.contains("the built-in prices hold"), "{doctor:?}");
    }
    // What is there is replaced all the same.
    let good = json!({"gpt-4o": row("openai", 2e-6, 8e-6)}).to_string();
    sandbox.run_with(&["prices", "update", "-"], good.as_bytes());
    assert!(sandbox.run(&["prices", "gpt-4o"]).stdout.contains("input $2.00, output $8.00"));
    // A link would choose what is overwritten.
    let other = file(&sandbox, "notes", "mine");
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(&other, &path).unwrap();
    let output = sandbox.run_with(&["prices", "update", "-"], good.as_bytes());
    assert_eq!((output.status, output.stdout.as_str()), (73, ""), "{output:?}");
    assert_eq!(fs::read_to_string(&other).unwrap(), "mine");
}

#[test]
fn own_prices_are_set_and_taken_away() {
    let sandbox = sandbox().config(r#"{"proxy": {"port": 9000}}"#);
    let set = |words: &[&str]| sandbox.run(&[&["prices", "set"], words].concat());
    fine(&set(&["house-4.1", "input=0.95", "output=4", "cache_read=0.1"]));
    let said = |model: &str| sandbox.run(&["prices", model]).stdout;
    assert!(said("house-4.1").contains("input $0.95, output $4.00, cache read $0.10"));
    fine(&set(&["House-4.1", "output=5"]));
    assert!(said("house-4.1").contains("input $0.95, output $5.00, cache read $0.10"));
    let config = fs::read_to_string(sandbox.home().join("config.json")).unwrap();
    let config: Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["proxy"]["port"], 9000);
    assert_eq!(
        config["prices"],
        json!({"House-4.1": {"input": 0.95, "output": 5, "cache_read": 0.1}})
    );
    // The setting leads there.
    let rates = r#"{"input": 1, "output": 2}"#;
    fine(&sandbox.run(&["config", "set", "prices.a.b-1", rates]));
    assert!(said("a.b-1").contains("input $1.00, output $2.00"));
    refused(&sandbox.run(&["config", "set", "prices.a.b-1", "3"]), 64, "tokenpak prices set a.b-1");
    fine(&sandbox.run(&["config", "unset", "prices.a.b-1"]));
    let before = fs::read_to_string(sandbox.home().join("config.json")).unwrap();
    for (words, what) in [
        (&["m-1"][..], "needs prices"),
        (&["m-1", "input"], "not NAME=DOLLARS"),
        (&["m-1", "input=1"], "m-1: needs both input and output"),
        (&["m-1", "input=1", "output=-2"], "out of range"),
        (&["m-1", "input=1", "output=5000"], "out of range"),
        (&["m-1", "input=1", "output=x"], "is not a number"),
        (&["m-1", "input=1", "output="], "is not a number"),
        (&["m-1", "input=1", "output=2", "input=3"], "input: there twice"),
        (&["m-1", "input=1", "output=2", "inptu=3"], "unknown price \"inptu\""),
        (&["m-1", "input=0.0000025", "output=0.00001"], "dollars per million tokens are meant"),
    ] {
        refused(&set(words), 64, what);
        assert_eq!(fs::read_to_string(sandbox.home().join("config.json")).unwrap(), before);
    }
    fine(&sandbox.run(&["prices", "unset", "house-4.1"]));
    assert_eq!(sandbox.run(&["prices", "house-4.1"]).status, 1);
    refused(&sandbox.run(&["prices", "unset", "house-4.1"]), 1, "no price of your own");
}

/// All sums of reports, as text.
fn sums(sandbox: &Sandbox) -> String {
    let of = |table: &str| {
        sandbox.ask(&format!(
            "SELECT sum(requests), sum(cost_nano), sum(saved_nano), sum(no_price), sum(no_usage),
             sum(input_tokens) FROM {table}"
        ))
    };
    let [quarters, parts, days] = ["quarters", "quarter_parts", "day_parts"].map(of);
    assert_eq!((&quarters, &quarters), (&parts, &days));
    let rows = "SELECT count(*), sum(cost_nano), sum(saved_nano),
        coalesce(sum(cost_nano IS NULL AND input_tokens NOT NULL AND output_tokens NOT NULL), 0)
        FROM requests";
    let start: Vec<&str> = quarters.split('|').take(4).collect();
    assert_eq!(start.join("|"), sandbox.ask(rows), "the rows");
    quarters
}

#[test]
fn a_price_that_arrives_prices_stored_requests_in_every_sum() {
    const DAY: i64 = 86_400;
    let sandbox = sandbox();
    let made = |at: i64, model: &'static str, cost_nano| Made {
        model: Some(model),
        cost_nano,
        before: 700,
        ..Made::at(1_795_435_200 + at)
    };
    let rows = (0..20).map(|n| made(n * DAY / 3, "house-9", None));
    let rows = rows.chain([made(0, "other-9", None), made(5, "gpt-4o", Some(1))]);
    sandbox.fill(rows.collect::<Vec<_>>());
    assert_eq!(sums(&sandbox), "22|1|0|21|0|15400");
    // 700 at $1, 50 at $2.
    let output = sandbox.run(&["prices", "set", "house-9", "input=1", "output=2"]);
    assert_eq!(fine(&output), "house-9: 20 requests: no price -> $0.0160\n");
    assert_eq!(sums(&sandbox), format!("22|{}|0|1|0|15400", 20 * 800_000 + 1));
    let basis = "SELECT count(*) FROM requests WHERE cost_basis = 'configured'";
    assert_eq!(sandbox.ask(basis), "20");
    // Another price is for what comes, unless it is said.
    assert_eq!(fine(&sandbox.run(&["prices", "set", "house-9", "input=2"])), "");
    let again = sandbox.run(&["prices", "reprice"]);
    let wanted = "no request has another price now\nother-9: 1 request without a price\n";
    assert_eq!(fine(&again), wanted);
    let since = sandbox.run(&["prices", "reprice", "--since", "2026-11-24"]);
    // Two of them are older: 18 at 700 x $2 and 50 x $2.
    assert!(fine(&since).starts_with("house-9: 18 requests: $0.0144 -> $0.0270\n"), "{since:?}");
    let cost = 2 * 800_000 + 18 * 1_500_000 + 1;
    assert_eq!(sums(&sandbox), format!("22|{cost}|0|1|0|15400"));
    // All of a range: what it costs at the prices in force, or nothing that is known.
    fine(&sandbox.run(&["prices", "unset", "house-9"]));
    let all = sandbox.run(&["prices", "reprice", "--since", "2026-11-01"]);
    assert!(fine(&all).contains("house-9: 20 requests: $0.0286 -> no price\n"), "{all:?}");
    let gpt = 700 * 2500 + 50 * 10_000;
    assert_eq!(sums(&sandbox), format!("22|{gpt}|0|21|0|15400"));
    let day = "SELECT count(*) FROM day_parts WHERE cost_nano NOT NULL";
    assert_eq!(sandbox.ask(day), "1", "no cost of 0 where nothing is known");
    refused(&sandbox.run(&["prices", "reprice", "--since", "frob"]), 64, "--since: frob");
}

#[test]
fn no_database_is_not_made() {
    let sandbox = sandbox();
    refused(&sandbox.run(&["prices", "reprice"]), 66, "not there yet");
    fine(&sandbox.run(&["prices", "set", "m-1", "input=1", "output=2"]));
    assert!(!sandbox.database().exists());
}

/// What a row keeps is enough: a price that comes later makes the same money as one that was there.
#[test]
fn later_prices_make_the_same_money_as_earlier_ones() {
    let provider = Provider::start();
    let sandbox = sandbox().providers(&provider);
    let mut proxy = sandbox.serve();
    let mut ids = Vec::new();
    let bodies = [Api::Messages.large(false), Api::Messages.small(false)];
    for (n, body) in bodies.iter().cycle().take(4).enumerate() {
        let mut body: Value = serde_json::from_slice(body).unwrap();
        body["model"] = "claude-sonnet-4-5".into();
        let cached = Billed {
            cache_read: 3000,
            cache_write: 2000,
            cache_write_1h: 500,
            ..billed(12_000, 20)
        };
        let script = Script::default().billed(cached);
        provider.next(match n {
            // Searches, and another model's turn within the answer.
            3 => script.body("application/json", json!({"type": "message", "role": "assistant",
                "model": "claude-sonnet-4-5", "content": [{"type": "text", "text": "ok"}],
                "stop_reason": "end_turn", "usage": {"input_tokens": 100, "output_tokens": 20,
                "server_tool_use": {"web_search_requests": 3}, "iterations": [
                {"type": "message", "input_tokens": 100, "output_tokens": 20},
                {"type": "advisor_message", "model": "claude-opus-4-5", "input_tokens": 50, "output_tokens": 9}]}})
                .to_string()),
            _ => script,
        });
        let answer =
            proxy.post("/v1/messages", &Api::Messages.headers(), body.to_string().as_bytes());
        ids.push(answer.head.request_id());
    }
    ids.iter().for_each(|id| drop(sandbox.row(id)));
    assert_eq!(proxy.stop(), 0);
    let money = || -> Vec<_> {
        let row = |id: &String| {
            let row = sandbox.row(id);
            (row.number("cost_nano"), row.number("saved_nano"), row.text("cost_basis").to_owned())
        };
        ids.iter().map(row).collect()
    };
    let (first, all) = (money(), sums(&sandbox));
    assert!(first.iter().all(|(cost, ..)| cost.is_some()) && first[0].1 > Some(0), "{first:?}");
    // Taken away, all of it, and found again.
    sandbox.ask(
        "UPDATE requests SET cost_nano = NULL, saved_nano = NULL, cost_basis = NULL RETURNING 1",
    );
    for table in ["quarters", "quarter_parts", "day_parts"] {
        sandbox.ask(&format!(
            "UPDATE {table} SET cost_nano = NULL, saved_nano = NULL, no_price = requests RETURNING 1"
        ));
    }
    let output = sandbox.run(&["prices", "reprice"]);
    assert!(
        fine(&output).starts_with("claude-sonnet-4-5: 4 requests: no price -> $"),
        "{output:?}"
    );
    assert_eq!((money(), sums(&sandbox)), (first, all));
}

/// The running proxy takes a price at once, and one that somebody writes into a file when it reads it.
#[test]
fn a_running_proxy_takes_new_prices_and_prices_what_it_has_stored() {
    let provider = Provider::start();
    let sandbox = sandbox().providers(&provider);
    let proxy = sandbox.serve();
    let send = |model: &str| {
        provider.next(Script::default().billed(billed(1000, 10)));
        let mut body: Value = serde_json::from_slice(&Api::Chat.small(false)).unwrap();
        body["model"] = model.into();
        let headers = Api::Chat.headers();
        proxy.post(Api::Chat.target(false), &headers, body.to_string().as_bytes()).head.request_id()
    };
    let cost = |id: &str| sandbox.row(id).number("cost_nano");
    let first = send("house-9");
    assert_eq!(cost(&first), None);
    let output = sandbox.run(&["prices", "set", "house-9", "input=1", "output=2"]);
    assert_eq!(output.status, 0, "{output:?}");
    assert_eq!(cost(&first), Some(1_020_000));
    wait("the price in the running proxy", || {
        (cost(&send("house-9")) == Some(1_020_000)).then_some(())
    });
    // By hand, and read again: rows of before are priced without a further word.
    let other = send("farm-9");
    assert_eq!(cost(&other), None);
    let map = json!({"farm-9": row("openai", 1e-6, 1e-6)});
    let text = map.to_string();
    let output = sandbox.run_with(&["prices", "update", "-"], text.as_bytes());
    assert_eq!(output.status, 0, "{output:?}");
    assert_eq!(cost(&other), Some(1_010_000));
    let third = send("barn-9");
    assert_eq!(cost(&third), None);
    let config = sandbox.home().join("config.json");
    fs::write(&config, r#"{"prices": {"barn-9": {"input": 1, "output": 1}}}"#).unwrap();
    proxy.reload("reloaded");
    wait("the stored request's price", || (cost(&third) == Some(1_010_000)).then_some(()));
}

/// From the web: what has gone wrong on the way is a line, and the prices of before hold.
#[test]
fn a_list_comes_from_an_address_or_not_at_all() {
    let provider = Provider::start();
    let sandbox = sandbox().set("TOKENPAK_PROXY_FIRST_BYTE_TIMEOUT_S", "1");
    let url = format!("{}/maps/prices.json?key=dummy", provider.url());
    let update = || sandbox.run(&["prices", "update", &url]);
    let map = json!({"gpt-9-sol": row("openai", 2e-6, 8e-6)}).to_string();
    provider.next(Script::default().body("application/json", map.clone()));
    assert_eq!(
        fine(&update()),
        "gpt-9-sol at openai: 2.00/8.00\n1 new, 0 changed, 0 no longer listed\n"
    );
    let asked = provider.last();
    assert!(
        asked.headers().iter().all(|(name, _)| !name.contains("auth") && !name.contains("key"))
    );
    let before = fs::read_to_string(list(&sandbox)).unwrap();
    assert!(before.contains("/maps/prices.json\n") && !before.contains("dummy"), "{before}");
    let page = "<html>Log in to the network</html>";
    let half = map[..map.len() / 2].to_owned();
    for (script, status, words) in [
        (Script::status(404), 69, "/maps/prices.json: it answers 404"),
        (Script::status(302), 69, "it answers 302"),
        (Script::status(500), 69, "it answers 500"),
        (Script::hang(), 69, "it did not answer in time"),
        (Script::raw("no HTTP at all"), 69, "prices.json: "),
        (
            Script::raw(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{half}", map.len())),
            69,
            "it broke off",
        ),
        (Script::default().body("text/html", page), 65, "a web page, and no price list"),
        (Script::default().body("application/json", half.clone()), 65, "is it whole?"),
        (Script::default().body("application/json", ""), 65, "empty"),
        (Script::default().body("text/plain", " ".repeat((16 << 20) + 1)), 65, "more than 16 MB"),
    ] {
        provider.next(script);
        let output = update();
        refused(&output, status, words);
        assert!(!output.stderr.contains("dummy"), "{output:?}");
        assert_eq!(fs::read_to_string(list(&sandbox)).unwrap(), before);
    }
    let gone = "http://127.0.0.1:9/prices.json";
    refused(&sandbox.run(&["prices", "update", gone]), 69, "connection refused");
    refused(&sandbox.run(&["prices", "update", "http://example.org/p"]), 69, "only https://");
    refused(&sandbox.run(&["prices", "update", "ftp://example.org/p"]), 69, "only https://");
}

/// With TLS: a certificate that is believed, and one that is nobody's.
#[test]
fn a_list_comes_by_tls_from_whom_is_believed() {
    let provider = Provider::start();
    let authority = Authority::new();
    let port = tls(provider.port(), authority.sign("localhost"));
    let url = format!("https://localhost:{port}/prices.json");
    let map = json!({"gpt-9-sol": row("openai", 2e-6, 8e-6)}).to_string();
    let sandbox = sandbox();
    let output = sandbox.run(&["prices", "update", &url]);
    refused(&output, 69, "signed by nobody we trust");
    assert!(!list(&sandbox).exists());
    let roots = sandbox.write("roots.pem", authority.pem());
    let sandbox = sandbox.set("TOKENPAK_TLS_ROOTS", roots.to_str().unwrap());
    provider.next(Script::default().body("application/json", map));
    assert!(fine(&sandbox.run(&["prices", "update", &url])).starts_with("gpt-9-sol at openai"));
}
