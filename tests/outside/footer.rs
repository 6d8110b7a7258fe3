//! The one line under an answer: where it is, where it never is, and that it does not come back.

use crate::provider::{Authority, Billed, End, Gate, Provider, Script, Tunnel, tls};
use crate::sandbox::{Answer, Proxy, Sandbox};
use crate::support::{Api, sandbox};
use serde_json::{Value, json};

const CHATS: [Api; 2] = [Api::Messages, Api::Chat];

/// The usual scene, with the footer on as it is for everybody who has not switched it off.
fn footed() -> (Provider, Sandbox, Proxy) {
    let provider = Provider::start();
    let sandbox = sandbox().providers(&provider).set("TOKENPAK_STATS_FOOTER", "");
    let proxy = sandbox.serve();
    (provider, sandbox, proxy)
}

/// A request of a chat: no tools, nothing that a program would read.
fn ask(api: Api, stream: bool, more: Value) -> Vec<u8> {
    let mut body: Value = serde_json::from_slice(&api.small(stream)).unwrap();
    let body_map = body.as_object_mut().unwrap();
    body_map.extend(more.as_object().unwrap().clone());
    body.to_string().into_bytes()
}

fn post(proxy: &Proxy, api: Api, stream: bool, more: Value) -> Answer {
    proxy.post(api.target(stream), &api.headers(), &ask(api, stream, more))
}

/// The footer as it stands in JSON, its saving in thousandths of a dollar if there is a price.
fn line(answer: &Answer, money: Option<&str>) -> String {
    let before = answer.head.tokens("before");
    assert_eq!(answer.head.tokens("saved"), 0);
    let money = money.map_or(String::new(), |money| format!(" | {money}"));
    format!(r"\n\n[TokenPak: {before}→{before} tokens | saved 0%{money}]")
}

#[test]
fn footer_is_added_and_nothing_else_is_changed() {
    let (provider, sandbox, proxy) = footed();
    for api in CHATS {
        for stream in [false, true] {
            let answer = post(&proxy, api, stream, json!({}));
            let line = line(&answer, Some("$0.000"));
            let added = match (api, stream) {
                (Api::Messages, false) => format!(r#",{{"type":"text","text":"{line}"}}"#),
                (Api::Messages, true) => format!(
                    "event: content_block_start\ndata: {{\"type\":\"content_block_start\",\"index\":1,\"content_block\":{{\"type\":\"text\",\"text\":\"\"}}}}\n\n\
                     event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":1,\"delta\":{{\"type\":\"text_delta\",\"text\":\"{line}\"}}}}\n\n\
                     event: content_block_stop\ndata: {{\"type\":\"content_block_stop\",\"index\":1}}\n\n"
                ),
                (_, false) => line,
                (_, true) => {
                    let n = provider.seen().len() - 1;
                    format!(
                        "data: {{\"id\":\"chatcmpl-{n:029}\",\"object\":\"chat.completion.chunk\",\"created\":1763800000,\"model\":\"gpt-4o\",\"system_fingerprint\":\"fp_0000000000\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{line}\"}},\"finish_reason\":null}}]}}\n\n"
                    )
                }
            };
            let text = answer.text();
            assert_eq!(text.matches(&added).count(), 1, "{api:?}: {added} is not in {text}");
            let sent = provider.last().answer;
            assert_eq!(text.replace(&added, ""), String::from_utf8(sent).unwrap(), "{api:?}");
            assert!(answer.clean, "the length is that of the changed answer");
            let row = sandbox.row(&answer.head.request_id());
            assert_eq!(row.text("footer"), "added");
            assert!(row.number("output_tokens").is_some(), "the usage is read all the same");
        }
    }
    // The reason for stopping comes after the footer, and without text.
    let text = post(&proxy, Api::Chat, true, json!({})).text();
    let place = |word: &str| text.find(word).unwrap_or_else(|| panic!("no {word} in {text}"));
    assert!(place("[TokenPak: ") < place(r#""finish_reason":"stop""#));
    assert!(place(r#""finish_reason":"stop""#) < place(r#""prompt_tokens""#));
}

#[test]
fn each_guard_refuses_by_its_name() {
    let (provider, sandbox, proxy) = footed();
    let asked = std::cell::RefCell::new(Vec::new());
    let expect = |answer: Answer, want: &'static str| {
        asked.borrow_mut().push((answer.head.request_id(), want, answer.text()));
        assert_eq!(answer.text().contains("TokenPak"), want == "added");
        if want != "added" {
            assert_eq!(answer.body, provider.last().answer, "{want}");
        }
    };
    for (more, want) in [
        (json!({}), "added"),
        (json!({"tools": [{"name": "x"}]}), "tools"),
        (json!({"response_format": {"type": "json_object"}}), "json"),
        (json!({"output_format": {"type": "json_schema"}}), "json"),
        (json!({"logprobs": true}), "logprobs"),
        (json!({"n": 2}), "choices"),
        (json!({"stop": ["END"]}), "stop"),
        (json!({"stop_sequences": ["END"]}), "stop"),
        (json!({"max_tokens": 32}), "max-tokens"),
        (json!({"max_tokens": 33}), "added"),
        (
            json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "{"}]}),
            "prefill",
        ),
    ] {
        for api in CHATS {
            for stream in [false, true] {
                expect(post(&proxy, api, stream, more.clone()), want);
            }
        }
    }
    for api in [Api::Responses, Api::Gemini] {
        expect(proxy.post(api.target(true), &api.headers(), &api.small(true)), "api");
    }
    for api in CHATS {
        expect(proxy.post(api.target(true), &api.headers(), &api.large(true)), "tools");
        let mut headers = api.headers();
        headers.push(("x-tokenpak-footer", "off"));
        expect(proxy.post(api.target(false), &headers, &api.small(false)), "off");
        let mut agent = api.headers();
        agent[0] = ("user-agent", "claude-cli/2.1.4 (external, cli)");
        expect(proxy.post(api.target(false), &agent, &api.small(false)), "agent");
        // aider, of whom only the library's name is in the head; and a name after a library's.
        let commit = "You are an expert that generates concise, one-line Git commit messages.";
        let history = json!([{"role": "user", "content": commit}]);
        expect(post(&proxy, api, false, json!({"messages": history})), "agent");
        agent[0] = ("user-agent", "ls/JS 5.23.2");
        agent.push(("user-agent", "Continue/1.5.47"));
        expect(proxy.post(api.target(false), &agent, &api.small(false)), "agent");
        provider.next(Script::status(429));
        expect(post(&proxy, api, false, json!({})), "status");
        provider.next(
            Script::default().header("content-encoding", "x-odd").body("application/json", "?"),
        );
        expect(post(&proxy, api, false, json!({})), "encoded");
        provider.next(Script::default().body("text/plain", "Hi."));
        expect(post(&proxy, api, false, json!({})), "content-type");
        provider.next(Script::default().body("application/json", "{}"));
        expect(post(&proxy, api, true, json!({})), "content-type");
        provider.next(Script::default().body("Text/Event-Stream; x=y", "data: odd\n\n"));
        expect(post(&proxy, api, true, json!({})), "odd");
        // Answers that do not say what they should.
        provider.next(Script::default().body("application/json", "{\"odd\": "));
        expect(post(&proxy, api, false, json!({})), "odd");
        provider.next(Script::default().body("text/event-stream", "data: odd\n\n"));
        expect(post(&proxy, api, true, json!({})), "odd");
    }
    let text = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"{\"a\":1}"},"finish_reason":"stop"}]}"#;
    provider.next(Script::default().body("application/json", text));
    expect(post(&proxy, Api::Chat, false, json!({})), "json");
    provider.next(Script::default().body("application/json", text.replace("stop", "length")));
    expect(post(&proxy, Api::Chat, false, json!({})), "unfinished");
    for (id, want, text) in asked.into_inner() {
        assert_eq!(sandbox.row(&id).text("footer"), want, "{text}");
    }
}

#[test]
fn switches_turn_it_off() {
    let provider = Provider::start();
    let quiet = [
        (sandbox().set("TOKENPAK_STATS_FOOTER", "0"), &[][..]),
        (
            sandbox()
                .set("TOKENPAK_STATS_FOOTER", "")
                .config(r#"{"proxy": {"stats_footer": false}}"#),
            &[][..],
        ),
        (sandbox().set("TOKENPAK_STATS_FOOTER", ""), &["--no-footer"][..]),
    ];
    for (sandbox, flags) in quiet {
        let sandbox = sandbox.providers(&provider);
        let proxy = sandbox.serve_with(flags);
        let mut headers = Api::Chat.headers();
        // Saying "on" is the default, and no permission.
        headers.push(("x-tokenpak-footer", "on"));
        let answer = proxy.post("/v1/chat/completions", &headers, &Api::Chat.small(false));
        assert_eq!(answer.body, provider.last().answer);
        assert_eq!(sandbox.row(&answer.head.request_id()).text("footer"), "off");
        assert_eq!(provider.last().header("x-tokenpak-footer"), None, "consumed");
    }
}

#[test]
fn cut_answers_get_none_and_lose_nothing() {
    let (provider, sandbox, proxy) = footed();
    for api in CHATS {
        let pieces = if api == Api::Chat { 14 } else { 16 };
        // Everywhere: also behind the reason for stopping, while it is held back.
        for cut in 1..=pieces {
            provider.next(Script::cut(cut, End::Fin));
            let answer = post(&proxy, api, true, json!({}));
            assert!(!answer.clean, "{api:?} cut after {cut}");
            let sent = String::from_utf8(provider.last().answer).unwrap();
            let got = answer.text();
            let row = sandbox.row(&answer.head.request_id());
            assert_eq!(row.text("error"), "cut", "{api:?} cut after {cut}");
            if row.text("footer") == "added" {
                // The answer itself had come to its end.
                assert!(api == Api::Messages && sent.contains("end_turn"), "{got}");
            } else {
                assert_eq!(got, sent, "{api:?} cut after {cut}");
            }
        }
        provider.next(Script { short_by: 5, ..Script::default() });
        let answer = post(&proxy, api, false, json!({}));
        assert_eq!((answer.clean, answer.body), (false, provider.last().answer));
    }
}

#[test]
fn only_the_last_chunk_waits() {
    let (provider, _sandbox, proxy) = footed();
    let mut client = proxy.connect();
    for (n, api) in CHATS.into_iter().enumerate() {
        let gate = Gate::default();
        provider.next(Script::gated(24, &gate));
        client.request(("POST", api.target(true)), &api.headers(), &ask(api, true, json!({})));
        provider.wait_seen(n + 1);
        assert_eq!(client.head().status, 200);
        // What comes before the words, and the words: each is read before the next is let go.
        let before = if api == Api::Chat { 1 } else { 3 };
        for k in 1..=before + 24 {
            gate.open(k);
            client.read_until("\n\n");
        }
        gate.open(usize::MAX);
        let rest = String::from_utf8(client.body().0).unwrap();
        assert!(rest.contains("[TokenPak: "), "{api:?}: {rest}");
    }
}

#[test]
fn parts_of_an_event_leave_as_they_come() {
    const TEXTS: [(Api, &str); 4] = [
        (Api::Messages, r#"{"type":"content_block_delta","delta":{"text":"café"}}"#),
        (Api::Chat, r#"{"id":"1","choices":[{"delta":{"content":"café"}}]}"#),
        (Api::Messages, r#"{"note":"café"}"#),
        (Api::Chat, "café"),
    ];
    let (provider, _sandbox, proxy) = footed();
    let mut client = proxy.connect();
    for (n, (api, data)) in TEXTS.into_iter().enumerate() {
        let event = format!("data: {data}\n\n");
        let (first, second) = event.as_bytes().split_at(event.find('é').unwrap() + 1);
        let gate = Gate::default();
        provider.next(Script {
            body: Some(vec![first.to_vec(), second.to_vec()]),
            content_type: Some("text/event-stream".into()),
            gate: Some(gate.clone()),
            ..Script::default()
        });
        client.request(("POST", api.target(true)), &api.headers(), &ask(api, true, json!({})));
        provider.wait_seen(n + 1);
        assert_eq!(client.head().status, 200);
        gate.open(1);
        let mut read = Vec::new();
        while read.len() < first.len() {
            read.extend(client.piece().unwrap().unwrap());
        }
        gate.open(usize::MAX);
        read.extend(client.body().0);
        assert_eq!(String::from_utf8(read).unwrap(), event);
    }
}

#[test]
fn footers_are_taken_out_of_what_comes_in() {
    for on in ["1", "0"] {
        let provider = Provider::start();
        let sandbox = sandbox().providers(&provider).set("TOKENPAK_STATS_FOOTER", on);
        let proxy = sandbox.serve();
        let footer = r"\n\n[TokenPak: 4,231→2,847 tokens | saved 33% | $0.004]";
        let chat = |text: &str| {
            format!(
                r#"{{ "model": "gpt-4o", "messages": [{{"role":"assistant","content":"Hi.{text}"}}, {{"role":"user","content":"Quote it: {footer}"}}] }}"#
            )
        };
        let answer =
            proxy.post("/v1/chat/completions", &Api::Chat.headers(), chat(footer).as_bytes());
        assert_eq!(String::from_utf8(provider.last().body).unwrap(), chat(""));
        // What was taken out is no saving.
        assert_eq!(answer.head.tokens("saved"), 0);
        let spelled = footer.replace('→', "\\u2192");
        proxy.post("/v1/chat/completions", &Api::Chat.headers(), chat(&spelled).as_bytes());
        assert_eq!(String::from_utf8(provider.last().body).unwrap(), chat(""));
        // A message must not become empty.
        let alone = chat(footer).replace("Hi.", "");
        proxy.post("/v1/chat/completions", &Api::Chat.headers(), alone.as_bytes());
        assert_eq!(provider.last().body, alone.as_bytes());
    }
}

/// A client that keeps the conversation as its library gives it.
struct Talk {
    api: Api,
    messages: Vec<Value>,
    /// Puts the texts of an answer's blocks together, as many programs do.
    joins: bool,
}

impl Talk {
    fn turn(&mut self, proxy: &Proxy, n: usize, stream: bool) {
        self.messages.push(json!({"role": "user", "content": format!("Question {n}?")}));
        let answer = post(proxy, self.api, stream, json!({"messages": self.messages}));
        let content = match (self.api, stream) {
            (Api::Chat, false) => answer.json()["choices"][0]["message"]["content"].clone(),
            (Api::Chat, true) => events(&answer)
                .filter_map(|event| {
                    Some(event["choices"][0]["delta"]["content"].as_str()?.to_owned())
                })
                .collect::<String>()
                .into(),
            (_, false) => answer.json()["content"].clone(),
            (_, true) => blocks(&answer),
        };
        let content = match content.as_array().filter(|_| self.joins) {
            Some(list) => {
                list.iter().filter_map(|block| block["text"].as_str()).collect::<String>().into()
            }
            None => content,
        };
        self.messages.push(json!({"role": "assistant", "content": content}));
    }
}

fn events(answer: &Answer) -> impl Iterator<Item = Value> {
    let text = answer.text();
    let data: Vec<Value> = text
        .lines()
        .filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
        .collect();
    data.into_iter()
}

/// The content blocks that a Messages stream builds.
fn blocks(answer: &Answer) -> Value {
    let mut blocks: Vec<Value> = Vec::new();
    for event in events(answer) {
        match event["type"].as_str().unwrap() {
            "content_block_start" => {
                assert_eq!(event["index"], blocks.len());
                blocks.push(event["content_block"].clone());
            }
            "content_block_delta" => {
                let block = &mut blocks[event["index"].as_u64().unwrap() as usize];
                let text = block["text"].as_str().unwrap().to_owned();
                block["text"] = (text + event["delta"]["text"].as_str().unwrap()).into();
            }
            _ => {}
        }
    }
    blocks.into()
}

#[test]
fn ten_turn_chat_sends_the_same_bytes_with_footer_on_and_off() {
    for (api, joins) in [(Api::Chat, false), (Api::Messages, false), (Api::Messages, true)] {
        let talk = |footer: &str| {
            let provider = Provider::start();
            let sandbox = sandbox().providers(&provider).set("TOKENPAK_STATS_FOOTER", footer);
            let proxy = sandbox.serve();
            let mut talk = Talk { api, messages: Vec::new(), joins };
            (0..10).for_each(|n| talk.turn(&proxy, n, n % 2 == 1));
            let rows = sandbox.rows(10);
            let word = if footer == "1" { "added" } else { "off" };
            assert!(rows.iter().all(|row| row.text("footer") == word));
            provider
                .seen()
                .into_iter()
                .map(|seen| String::from_utf8(seen.body).unwrap())
                .collect::<Vec<_>>()
        };
        let (on, off) = (talk("1"), talk("0"));
        assert_eq!(on, off, "{api:?}");
        assert_eq!(on.len(), 10);
        assert!(on.iter().all(|body| !body.contains("TokenPak")));
    }
}

#[test]
fn footer_says_what_was_saved_in_this_requests_money() {
    let (provider, sandbox, proxy) = footed();
    // A typed log is long enough to be cut, and no tool is in sight.
    let log: String = (0..4000).map(|n| format!("line {} of the build log\n", n / 40)).collect();
    let typed = crate::support::prose(900) + "\n```\n" + &log + "```\n";
    let body = |stream| {
        ask(
            Api::Chat,
            stream,
            json!({"messages": [
        {"role": "user", "content": crate::support::prose(900)}, {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": typed}, {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": typed}]}),
        )
    };
    let billed = Billed {
        input: 20_000,
        cache_read: 0,
        cache_write: 0,
        cache_write_1h: 0,
        output: 9,
        reasoning: 0,
    };
    provider.always(Script::default().billed(billed));
    for stream in [false, true] {
        let answer = proxy.post("/v1/chat/completions", &Api::Chat.headers(), &body(stream));
        let (before, after, saved) = (
            answer.head.tokens("before"),
            answer.head.tokens("after"),
            answer.head.tokens("saved"),
        );
        let row = sandbox.row(&answer.head.request_id());
        assert_eq!(
            (row.number("tokens_before"), row.number("tokens_after")),
            (Some(before), Some(after))
        );
        assert!(saved > 1000, "{saved} saved");
        // gpt-4o: $2.50 a million, and our tokens are its own.
        assert_eq!(row.number("saved_nano"), Some(saved * 2500));
        let thousandths = (saved * 2500 + 500_000) / 1_000_000;
        let percent = (saved * 200 + before) / (before * 2);
        let tail = format!("tokens | saved {percent}% | $0.{thousandths:03}]");
        assert!(answer.text().contains(&tail), "{tail} is not in {}", answer.text());
    }
}

#[test]
fn footer_without_a_price_has_no_money() {
    let (_provider, _sandbox, proxy) = footed();
    for stream in [false, true] {
        let answer = post(&proxy, Api::Chat, stream, json!({"model": "local-llama-9"}));
        assert!(answer.text().contains(&line(&answer, None)), "{}", answer.text());
    }
}

/// A proxy whose way to api.openai.com leads to the stand-in.
fn before_openai(provider: &Provider, set: &[(&str, &str)]) -> (Sandbox, Tunnel) {
    let authority = Authority::new();
    let port = tls(provider.port(), authority.sign("api.openai.com"));
    let tunnel = Tunnel::to(port, "HTTP/1.1 200 OK\r\n\r\n");
    let sandbox = sandbox();
    let roots = sandbox.write("roots.pem", authority.pem());
    let sandbox = sandbox
        .set("TOKENPAK_TLS_ROOTS", roots.to_str().unwrap())
        .set("HTTPS_PROXY", &format!("http://127.0.0.1:{}", tunnel.port));
    let sandbox = set.iter().fold(sandbox, |sandbox, (name, value)| sandbox.set(name, value));
    (sandbox, tunnel)
}

#[test]
fn options_asked_for_by_us_stay_with_us() {
    let provider = Provider::start();
    let (sandbox, _tunnel) = before_openai(&provider, &[]);
    let proxy = sandbox.serve();
    let quiet: Vec<u8> = {
        let mut body: Value = serde_json::from_slice(&Api::Chat.small(true)).unwrap();
        body.as_object_mut().unwrap().remove("stream_options");
        body.to_string().into_bytes()
    };
    let answer = proxy.post("/v1/chat/completions", &Api::Chat.headers(), &quiet);
    assert!(provider.last().json()["stream_options"]["include_usage"] == true);
    let sent = String::from_utf8(provider.last().body).unwrap();
    let without = sent.replace(r#","stream_options":{"include_usage":true}"#, "");
    assert_eq!(without.as_bytes(), quiet, "every other byte is the client's");
    let (got, full) = (answer.text(), String::from_utf8(provider.last().answer).unwrap());
    let chunk = full.split_inclusive("\n\n").find(|chunk| chunk.contains("prompt_tokens")).unwrap();
    assert_eq!(got, full.replace(chunk, ""));
    let row = sandbox.row(&answer.head.request_id());
    assert!(row.number("input_tokens").is_some() && row.number("cost_nano").is_some());

    // Who asks for himself gets what he asked for.
    let answer = proxy.post("/v1/chat/completions", &Api::Chat.headers(), &Api::Chat.small(true));
    assert_eq!(answer.body, provider.last().answer);
    // A server that does not know the option answers the client's own bytes.
    for status in [400, 422] {
        provider.next(Script::status(status));
        // A conversation that was refused once is not asked again.
        let body = String::from_utf8(quiet.clone()).unwrap();
        let body = body.replace("Say hello.", &format!("Say {status}.")).into_bytes();
        let answer = proxy.post("/v1/chat/completions", &Api::Chat.headers(), &body);
        assert_eq!((answer.status(), provider.last().body), (200, body));
        assert_eq!(answer.body, provider.last().answer);
    }
}

#[test]
fn usage_is_asked_of_openai_only_and_not_against_the_settings() {
    let provider = Provider::start();
    let quiet = br#"{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
    let is_untouched = |sandbox: &Sandbox, headers: &[(&str, &str)]| {
        sandbox.serve().post("/v1/chat/completions", headers, quiet);
        provider.last().body == quiet
    };
    // A server of somebody else's in the place of OpenAI's.
    let headers = Api::Chat.headers();
    assert!(is_untouched(&sandbox().providers(&provider), &headers));
    let (asking, _tunnel) = before_openai(&provider, &[]);
    assert!(!is_untouched(&asking, &headers));
    let off = [&headers[..], &[("x-tokenpak-mode", "off")]].concat();
    assert!(is_untouched(&asking, &off));
    let (silent, _tunnel) = before_openai(&provider, &[("TOKENPAK_PROXY_ASK_USAGE", "false")]);
    assert!(is_untouched(&silent, &headers));
}
