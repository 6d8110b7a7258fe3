//! Whether the requests of a session extend each other, by what reached the provider.
//!
//! Which request continues which is told by what tokenpak never touches: roles, names and ids of
//! calls, and the model's own words. Then all of the earlier request must stand at the beginning of
//! the later one, byte for byte but for the marks of caches.

use crate::provider::Seen;
use serde_json::{Value, json};

/// A request as far as caches see it.
struct Prompt {
    target: String,
    /// Model, tools and system prompt.
    head: String,
    messages: Vec<String>,
    /// For each message what nobody changes.
    bones: Vec<String>,
}

/// How many requests continue an earlier one, and what is wrong with those that do not extend it.
#[derive(Debug, Default)]
pub(crate) struct Growth {
    pub(crate) continued: usize,
    pub(crate) broken: Vec<String>,
}

/// Looks at each request beside the longest earlier one that it continues.
pub(crate) fn growth(seen: &[Seen]) -> Growth {
    let prompts: Vec<Prompt> = seen.iter().filter_map(Prompt::of).collect();
    let mut growth = Growth::default();
    for (at, later) in prompts.iter().enumerate() {
        let earlier = prompts[..at].iter().filter(|it| later.continues(it));
        // Of those that look alike, a request for a title beside the first prompt, say, the one that it
        // extends.
        let nearness = |it: &&Prompt| (it.messages.len(), later.difference(it).is_none());
        let Some(earlier) = earlier.max_by_key(nearness) else { continue };
        growth.continued += 1;
        growth.broken.extend(later.difference(earlier).map(|what| format!("request {at}: {what}")));
    }
    growth
}

impl Prompt {
    fn of(seen: &Seen) -> Option<Prompt> {
        let mut body: Value = serde_json::from_slice(&seen.body).ok()?;
        unmark(&mut body);
        let list =
            ["messages", "input", "contents"].into_iter().find(|key| body[*key].is_array())?;
        let head =
            ["model", "tools", "system", "instructions", "systemInstruction", "system_instruction"];
        let all = body[list].as_array()?;
        Some(Prompt {
            target: seen.target(),
            head: head.map(|key| body[key].to_string()).join("\n"),
            messages: all.iter().map(Value::to_string).collect(),
            bones: all.iter().map(bones).collect(),
        })
    }

    fn continues(&self, earlier: &Prompt) -> bool {
        self.target == earlier.target
            && self.bones.len() > earlier.bones.len()
            && self.bones.starts_with(&earlier.bones)
    }

    fn difference(&self, earlier: &Prompt) -> Option<String> {
        if self.head != earlier.head {
            return Some("model, tools or system prompt are others".into());
        }
        let mut pairs = self.messages.iter().zip(&earlier.messages).enumerate();
        let (at, (now, then)) = pairs.find(|(_, (now, then))| now != then)?;
        Some(format!("message {at} was {then:.300} and is {now:.300}"))
    }
}

/// Marks move with every turn, and a text that bears one is a list of one text.
fn unmark(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(unmark),
        Value::Object(members) => {
            members.shift_remove("cache_control");
            members.values_mut().for_each(unmark);
            if let Some(Value::String(text)) = members.get("content") {
                let block = json!([{"type": "text", "text": text}]);
                if members.contains_key("role") {
                    members.insert("content".into(), block);
                }
            }
        }
        _ => {}
    }
}

fn bones(message: &Value) -> String {
    let role = message["role"].as_str().unwrap_or_default();
    if matches!(role, "assistant" | "model") {
        return message.to_string();
    }
    let mut bones = format!("{role} {}", message["type"]);
    names(message, &mut bones);
    bones
}

/// Ids of calls in a message, in order.
fn names(value: &Value, bones: &mut String) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| names(item, bones)),
        Value::Object(members) => {
            for (key, value) in members {
                match key.as_str() {
                    "tool_use_id" | "tool_call_id" | "call_id" | "name" => {
                        bones.push_str(&format!(" {value}"));
                    }
                    _ => names(value, bones),
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(body: Value) -> Seen {
        Seen {
            connection: 0,
            nth: 0,
            at: std::time::Instant::now(),
            head: b"POST /v1/messages HTTP/1.1\r\n\r\n".to_vec(),
            body: body.to_string().into_bytes(),
            answer: Vec::new(),
            flooded: 0,
            left: None,
            answered: true,
        }
    }

    #[test]
    fn a_changed_past_is_found_and_a_moved_mark_is_not() {
        let first = json!({"model": "m", "messages": [{"role": "user", "content": "go"}]});
        let result = |text: &str, mark: bool| {
            let mut block = json!({"type": "tool_result", "tool_use_id": "t1", "content": text});
            if mark {
                block["cache_control"] = json!({"type": "ephemeral"});
            }
            json!({"role": "user", "content": [block]})
        };
        let turn = |text: &str, more: usize, mark: bool| {
            let call = json!({"role": "assistant", "content": [{"type": "tool_use", "id": "t1"}]});
            let go = json!({"role": "user", "content": [{"type": "text", "text": "go"}]});
            let mut messages = vec![go, call, result(text, mark)];
            messages
                .extend((0..more).map(|n| json!({"role": "assistant", "content": n.to_string()})));
            json!({"model": "m", "messages": messages})
        };
        let good = [first.clone(), turn("long", 0, true), turn("long", 1, false)].map(seen);
        let found = growth(&good);
        assert_eq!((found.continued, found.broken.len()), (2, 0), "{found:?}");
        let bad = [first.clone(), turn("long", 0, true), turn("short", 1, false)].map(seen);
        let found = growth(&bad);
        assert_eq!((found.continued, found.broken.len()), (2, 1), "{found:?}");
        // A request for a title comes before or behind that for an answer.
        let mut title = first.clone();
        title["tools"] = json!([]);
        for starts in [[&first, &title], [&title, &first]] {
            let mut all = starts.map(|it| seen(it.clone())).to_vec();
            all.push(seen(turn("long", 0, true)));
            let found = growth(&all);
            assert_eq!((found.continued, found.broken.len()), (1, 0), "{found:?}");
        }
        // Another session.
        let other = json!({"model": "m", "messages": [{"role": "user", "content": "go"}]});
        assert_eq!(growth(&[other.clone(), other].map(seen)).continued, 0);
    }
}
