//! A session's last request, and from it all requests that its client sent, marks where it set them.

use serde_json::{Value, json};

/// A session: each of its requests extends the one before.
pub(crate) struct Session {
    body: Value,
    /// The key of the list of messages.
    list: &'static str,
    /// How many messages each request had.
    pub(crate) cuts: Vec<usize>,
    /// Whether the client marks what is to be cached; then it does so in every request.
    pub(crate) marks: bool,
}

impl Session {
    pub(crate) fn of(body: &[u8]) -> Session {
        let body: Value = serde_json::from_slice(body).expect("a request body");
        let list = ["messages", "input", "contents"].into_iter().find(|key| body[*key].is_array());
        let list = list.expect("a request body has messages");
        let messages = body[list].as_array().expect("seen above");
        // The model speaks where the list says so; then the client asked before.
        let asked = |at: &usize| !is_answer(&messages[at - 1]) && is_answer(&messages[*at]);
        let mut cuts: Vec<usize> = (1..messages.len()).filter(asked).collect();
        cuts.push(messages.len());
        let marks = body.to_string().contains("\"cache_control\"");
        Session { body, list, cuts, marks }
    }

    /// The request with the first `end` messages. Marks stand as coding agents set them: on the
    /// last block of the system prompt and of each of the last two messages that are not the model's.
    pub(crate) fn request(&self, end: usize) -> Vec<u8> {
        let mut body = self.body.clone();
        let messages = body[self.list].as_array_mut().expect("seen when it was read");
        messages.truncate(end);
        if self.marks {
            messages.iter_mut().for_each(unmark);
            let own = messages.iter_mut().rev().filter(|message| message["role"] == "user");
            own.take(2).for_each(mark);
        }
        serde_json::to_vec(&body).expect("it came from JSON")
    }
}

fn is_answer(message: &Value) -> bool {
    let is = |key: &str, what: &[&str]| message[key].as_str().is_some_and(|it| what.contains(&it));
    is("role", &["assistant", "model"])
        || is("type", &["function_call", "reasoning", "custom_tool_call", "local_shell_call"])
}

fn unmark(message: &mut Value) {
    for block in message["content"].as_array_mut().into_iter().flatten() {
        if let Some(members) = block.as_object_mut() {
            members.shift_remove("cache_control");
        }
    }
}

fn mark(message: &mut Value) {
    if let Some(text) = message["content"].as_str() {
        message["content"] = json!([{"type": "text", "text": text}]);
    }
    let last = message["content"].as_array_mut().and_then(|blocks| blocks.last_mut());
    if let Some(block) = last {
        block["cache_control"] = json!({"type": "ephemeral"});
    }
}
