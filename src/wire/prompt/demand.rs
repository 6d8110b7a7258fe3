//! What a request demands of its answer that one more line of text would break.

use crate::json;

/// The demands, each of which is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demand {
    /// Tools are offered, or were used: programs read what comes.
    Tools,
    Json,
    Logprobs,
    Stop,
    Audio,
    /// Several answers.
    Choices,
    /// A label rather than a text.
    MaxTokens,
    /// The answer goes on from a beginning that the client wrote.
    Prefill,
    /// A key is spelled with escapes, and may be any of them.
    Escaped,
}

impl Demand {
    /// The word for the ledger.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Demand::Tools => "tools",
            Demand::Json => "json",
            Demand::Logprobs => "logprobs",
            Demand::Stop => "stop",
            Demand::Audio => "audio",
            Demand::Choices => "choices",
            Demand::MaxTokens => "max-tokens",
            Demand::Prefill => "prefill",
            Demand::Escaped => "unreadable",
        }
    }
}

/// An answer that may be shorter than this in tokens is a label, not a text.
const MAX_TOKENS_MIN: u64 = 32;

/// Members that demand something when they say anything; the last rows are those of local servers.
const MEMBERS: &[(&str, Demand)] = &[
    ("tools", Demand::Tools),
    ("functions", Demand::Tools),
    ("tool_choice", Demand::Tools),
    ("function_call", Demand::Tools),
    ("mcp_servers", Demand::Tools),
    ("output_format", Demand::Json),
    ("output_config", Demand::Json),
    ("json_schema", Demand::Json),
    ("logprobs", Demand::Logprobs),
    ("top_logprobs", Demand::Logprobs),
    ("stop", Demand::Stop),
    ("stop_sequences", Demand::Stop),
    ("modalities", Demand::Audio),
    ("audio", Demand::Audio),
    ("grammar", Demand::Json),
    ("guided_json", Demand::Json),
    ("guided_regex", Demand::Json),
    ("guided_choice", Demand::Json),
    ("guided_grammar", Demand::Json),
    ("structured_outputs", Demand::Json),
];

/// What has been found, in the order of the body. The first demand is the one that is told.
#[derive(Default)]
pub(super) struct Demands {
    first: Option<Demand>,
    is_escaped: bool,
    ends_with_model: bool,
    /// The body says how it is to be streamed.
    has_stream_options: bool,
}

impl Demands {
    /// A member of the body.
    pub(super) fn member(&mut self, key: &str, value: &str) {
        self.is_escaped |= key.contains('\\');
        self.has_stream_options |= key == "stream_options";
        if self.first.is_none() {
            self.first = of_member(key, value);
        }
    }

    /// A message, by its role: more follow, or not.
    pub(super) fn message(&mut self, role: &str, has_tools: bool) {
        self.ends_with_model = role == "assistant";
        if has_tools || matches!(role, "tool" | "function") {
            self.tools();
        }
    }

    pub(super) fn tools(&mut self) {
        self.first = self.first.or(Some(Demand::Tools));
    }

    /// What the whole body demands.
    pub(super) fn demand(&self) -> Option<Demand> {
        match self.is_escaped {
            true => Some(Demand::Escaped),
            false => self.first.or(self.ends_with_model.then_some(Demand::Prefill)),
        }
    }

    /// Whether it may be asked to say what its stream costs.
    pub(super) fn has_no_options(&self) -> bool {
        !self.has_stream_options && !self.is_escaped
    }
}

fn of_member(key: &str, value: &str) -> Option<Demand> {
    let is_said = !matches!(value, "null" | "false" | "[]" | "{}");
    match key {
        _ if !is_said => None,
        "response_format" => (!is_text_format(value)).then_some(Demand::Json),
        "n" => (value != "1").then_some(Demand::Choices),
        "max_tokens" | "max_completion_tokens" => {
            let is_long = value.parse::<u64>().is_ok_and(|tokens| tokens > MAX_TOKENS_MIN);
            (!is_long).then_some(Demand::MaxTokens)
        }
        _ => MEMBERS.iter().find(|(name, _)| *name == key).map(|(_, demand)| *demand),
    }
}

fn is_text_format(value: &str) -> bool {
    let kind = json::members(value, &(0..value.len()), ["type"]);
    kind.and_then(|[kind]| json::decode(&value[kind?])).is_some_and(|kind| kind == "text")
}
