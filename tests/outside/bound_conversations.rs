//! Conversations that a provider binds to the bytes of their history, as Claude's newest models do: begun here,
//! begun elsewhere, and side by side.

use crate::provider::{Keeper, Misfit};
use crate::sandbox::{Answer, Client};
use crate::support::{Api, listing, scene};
use serde_json::{Value, json};

/// A client that works with a tool, and sends back what it got.
struct Session {
    messages: Vec<Value>,
}

impl Session {
    fn new(name: &str) -> Session {
        Session {
            messages: vec![json!({"role": "user", "content": format!("I am {name}. List all.")})],
        }
    }

    /// One more turn by way of this port; the next one has a large result.
    fn turn(&mut self, port: u16) -> Answer {
        let body = json!({"model": "claude-opus-5-5", "max_tokens": 100, "messages": self.messages,
            "tools": [{"name": "list_issues", "input_schema": {"type": "object"}}]});
        let mut client = Client::connect(port);
        let body = body.to_string().into_bytes();
        client.request(("POST", "/v1/messages"), &Api::Messages.headers(), &body);
        let answer = client.answer();
        if answer.status() == 200 {
            let said = answer.json()["content"].clone();
            let result = json!({"type": "tool_result", "tool_use_id": said[1]["id"],
                "content": listing(150 + self.messages.len())});
            self.messages.push(json!({"role": "assistant", "content": said}));
            self.messages.push(json!({"role": "user", "content": [result]}));
        }
        answer
    }
}

fn skip(answer: &Answer) -> Option<String> {
    answer.head.header("x-tokenpak-skip")
}

#[test]
fn a_session_resumed_from_elsewhere_costs_no_refusal_and_no_other_session_anything() {
    let (provider, _sandbox, proxy) = scene();
    provider.always(Keeper::new(Misfit::Refuse).script());
    let (mut here, mut elsewhere) = (Session::new("one"), Session::new("two"));
    for _ in 0..3 {
        assert_eq!(here.turn(proxy.port()).status(), 200);
        assert_eq!(elsewhere.turn(provider.port()).status(), 200);
    }
    let mut refusals = 0;
    for turn in 0..4 {
        let before = provider.seen().len();
        let answer = elsewhere.turn(proxy.port());
        assert_eq!(answer.status(), 200, "turn {turn}: {}", answer.text());
        assert!(answer.head.tokens("saved") > 0, "turn {turn}: of what is new");
        refusals += provider.seen().len() - before - 1;
        // The other one goes on in its form, sent once a turn.
        let before = provider.seen().len();
        let answer = here.turn(proxy.port());
        assert_eq!((answer.status(), skip(&answer)), (200, None), "turn {turn}");
        assert!(answer.head.tokens("saved") > 0, "turn {turn}");
        assert_eq!(provider.seen().len(), before + 1, "turn {turn}");
    }
    assert_eq!(refusals, 0, "what came from elsewhere stays as it came");
    let mut new = Session::new("three");
    assert!((0..3).all(|_| skip(&new.turn(proxy.port())).as_deref() != Some("refused")));
}
