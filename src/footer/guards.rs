//! Whether an answer may carry a footer, as far as the request and the answer's head can tell.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::Refusal;
use crate::json::{self, Reader, Span};
use crate::wire::Format;

/// A request and who sent it.
pub(crate) struct Request<'a> {
    /// `None`: not a wire format.
    pub(crate) format: Option<Format>,
    /// As the client sent it.
    pub(crate) body: &'a [u8],
    /// A program whose answers are read by programs.
    pub(crate) is_agent: bool,
    /// The setting, the flag or the request's own header says no.
    pub(crate) is_off: bool,
    /// Our counts of the prompt are known.
    pub(crate) is_counted: bool,
}

/// The head of the answer.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) content_type: &'a [u8],
    pub(crate) is_encoded: bool,
}

/// Programs whose answers are read by programs: their side requests carry no tools, and the titles
/// and commit messages that come back are parsed.
const AGENTS: &[&str] = &[
    "claude-cli",
    "claude-code",
    "codex",
    "opencode",
    "aider",
    "cursor",
    "copilot",
    "qwencode",
    "continue",
];

/// What such programs tell the model where their user agent is a library's. aider does without tools:
/// it looks for edits in the text, and puts what the model says of a diff into the history of git. Words
/// to search for, each of which is a look at the whole body, and how they go on.
const PROMPTS: &[(&str, &[&str])] = &[
    ("commit message", &[""]),
    ("SEARCH/REPLACE", &[""]),
    ("Act as an expert ", &["software developer", "architect engineer", "code analyst"]),
    ("*Briefly* summarize this partial conversation about programming", &[""]),
];

/// To prepare a search takes longer than to look through a small prompt.
static PROMPT_FINDERS: LazyLock<Vec<Finder<'static>>> =
    LazyLock::new(|| PROMPTS.iter().map(|(words, _)| Finder::new(words)).collect());

/// An answer that may be shorter than this in tokens is a label, not a text.
const MAX_TOKENS_MIN: u64 = 32;

/// Members that forbid a footer when they say anything; the last rows are those of local servers.
const FORBIDDEN: &[(&str, Refusal)] = &[
    ("tools", "tools"),
    ("functions", "tools"),
    ("tool_choice", "tools"),
    ("function_call", "tools"),
    ("mcp_servers", "tools"),
    ("output_format", "json"),
    ("output_config", "json"),
    ("json_schema", "json"),
    ("logprobs", "logprobs"),
    ("top_logprobs", "logprobs"),
    ("stop", "stop"),
    ("stop_sequences", "stop"),
    ("modalities", "audio"),
    ("audio", "audio"),
    ("grammar", "json"),
    ("guided_json", "json"),
    ("guided_regex", "json"),
    ("guided_choice", "json"),
    ("guided_grammar", "json"),
    ("structured_outputs", "json"),
];

/// Whether a user agent names a program whose answers are read by programs.
pub(crate) fn is_agent(user_agent: &[u8]) -> bool {
    let begins = |place: &[u8], name: &str| {
        place.get(..name.len()).is_some_and(|part| part.eq_ignore_ascii_case(name.as_bytes()))
    };
    (0..user_agent.len()).any(|at| {
        let (place, first) = (&user_agent[at..], user_agent[at].to_ascii_lowercase());
        AGENTS.iter().any(|name| name.as_bytes()[0] == first && begins(place, name))
    })
}

/// Why the request forbids a footer.
pub(crate) fn request_refusal(request: &Request) -> Option<Refusal> {
    let format = match request.format {
        Some(format @ (Format::Messages | Format::Chat)) => format,
        _ => return Some("api"),
    };
    match std::str::from_utf8(request.body) {
        _ if request.is_off => Some("off"),
        _ if request.is_agent => Some("agent"),
        _ if !request.is_counted => Some("uncounted"),
        Ok(body) => of_body(format, body)
            .unwrap_or(Some("unreadable"))
            .or_else(|| is_agents_prompt(body).then_some("agent")),
        Err(_) => Some("unreadable"),
    }
}

/// Why the answer's head forbids a footer; `None` leaves it to what the answer says.
pub(crate) fn answer_refusal(answer: &Answer) -> Option<Refusal> {
    match () {
        () if answer.status != 200 => Some("status"),
        () if answer.is_encoded => Some("encoded"),
        () if !is_known_type(answer.content_type) => Some("content-type"),
        () => None,
    }
}

/// JSON or events; whatever parameters follow.
fn is_known_type(content_type: &[u8]) -> bool {
    let kind = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    [&b"application/json"[..], b"text/event-stream"]
        .iter()
        .any(|known| kind.eq_ignore_ascii_case(known))
}

fn is_agents_prompt(body: &str) -> bool {
    let body = body.as_bytes();
    PROMPTS.iter().zip(&*PROMPT_FINDERS).any(|((words, ends), finder)| {
        let goes_on = |at: usize| {
            let rest = &body[at + words.len()..];
            ends.iter().any(|end| rest.starts_with(end.as_bytes()))
        };
        finder.find_iter(body).any(goes_on)
    })
}

/// `None`: the body is not understood.
fn of_body(format: Format, body: &str) -> Option<Option<Refusal>> {
    let mut refusal: Option<Refusal> = None;
    let mut last = Last::default();
    let mut has_messages = false;
    let mut reader = Reader::new(body);
    reader.object(|reader, key| {
        if key == "messages" && reader.peek() == b'[' {
            has_messages = true;
            return reader.array(|reader| {
                last = message(format, body, reader)?;
                refusal = refusal.or(last.has_tools.then_some("tools"));
                Some(())
            });
        }
        let value = reader.value()?;
        refusal = refusal.or_else(|| member(key, &body[value]));
        // A key that is spelled with escapes may be any of them.
        (!key.contains('\\')).then_some(())
    })?;
    reader.end()?;
    has_messages.then(|| refusal.or(last.is_assistant.then_some("prefill")))
}

/// What one member of the body forbids.
fn member(key: &str, value: &str) -> Option<Refusal> {
    let is_said = !matches!(value, "null" | "false" | "[]" | "{}");
    match key {
        _ if !is_said => None,
        "response_format" => (!is_text_format(value)).then_some("json"),
        "n" => (value != "1").then_some("choices"),
        "max_tokens" | "max_completion_tokens" => {
            let is_long = value.parse::<u64>().is_ok_and(|tokens| tokens > MAX_TOKENS_MIN);
            (!is_long).then_some("max-tokens")
        }
        _ => FORBIDDEN.iter().find(|(name, _)| *name == key).map(|(_, reason)| *reason),
    }
}

fn is_text_format(value: &str) -> bool {
    let kind = json::members(value, &(0..value.len()), ["type"]);
    kind.and_then(|[kind]| json::decode(&value[kind?])).is_some_and(|kind| kind == "text")
}

/// What a message is, as far as it matters.
#[derive(Default)]
struct Last {
    is_assistant: bool,
    has_tools: bool,
}

fn message(format: Format, body: &str, reader: &mut Reader) -> Option<Last> {
    let (_, [role, content, calls, call]) =
        reader.members(["role", "content", "tool_calls", "function_call"])?;
    let text = |span: &Option<Span>| json::decode(&body[span.clone()?]);
    let role = text(&role).unwrap_or_default();
    let is_said = |span: &Option<Span>| {
        span.as_ref().is_some_and(|span| !matches!(&body[span.clone()], "null" | "[]"))
    };
    let mut has_tools = matches!(&*role, "tool" | "function") || is_said(&calls) || is_said(&call);
    if format == Format::Messages
        && let Some(content) = content.filter(|span| body[span.clone()].starts_with('['))
    {
        Reader::within(body, &content).array(|reader| {
            let (_, [kind]) = reader.members(["type"])?;
            has_tools |= text(&kind).is_some_and(|kind| kind.contains("tool"));
            Some(())
        })?;
    }
    Some(Last { is_assistant: role == "assistant", has_tools })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#""model":"m","messages":[{"role":"user","content":"hi"}]"#;

    #[test]
    fn requests_that_forbid_a_footer_are_refused() {
        both("", None);
        both(r#""tools":[{}]"#, Some("tools"));
        both(r#""tools":[],"stop":null,"n":1,"logprobs":false"#, None);
        both(r#""functions":[{}]"#, Some("tools"));
        both(r#""tool_choice":"auto""#, Some("tools"));
        both(r#""mcp_servers":[{}]"#, Some("tools"));
        both(r#""response_format":{"type":"text"}"#, None);
        both(r#""response_format":{"type":"json_object"}"#, Some("json"));
        both(r#""response_format":"json""#, Some("json"));
        both(r#""output_format":{"type":"json_schema"}"#, Some("json"));
        both(r#""output_config":{"effort":"low"}"#, Some("json"));
        both(r#""json_schema":{"a":1}"#, Some("json"));
        both(r#""guided_choice":["a","b"]"#, Some("json"));
        both(r#""logprobs":true"#, Some("logprobs"));
        both(r#""n":2"#, Some("choices"));
        both(r#""stop":"END""#, Some("stop"));
        both(r#""stop_sequences":["END"]"#, Some("stop"));
        both(r#""max_tokens":32"#, Some("max-tokens"));
        both(r#""max_tokens":33"#, None);
        both(r#""max_completion_tokens":16"#, Some("max-tokens"));
        both(r#""max_tokens":"many""#, Some("max-tokens"));
        both(r#""to\u006fls":[{}]"#, Some("unreadable"));
        both(r#""system":"Write one-line Git commit messages.""#, Some("agent"));
        both(r#""system":"Act as an expert software developer.\nAlways""#, Some("agent"));
        both(r#""system":"Act as an expert gardener.""#, None);
        both(r#""temperature":0.5,"stream":true"#, None);

        #[track_caller]
        fn both(members: &str, want: Option<Refusal>) {
            let comma = if members.is_empty() { "" } else { "," };
            for body in
                [format!("{{{BODY}{comma}{members}}}"), format!("{{{members}{comma}{BODY}}}")]
            {
                for format in [Format::Messages, Format::Chat] {
                    let request =
                        Request { format: Some(format), body: body.as_bytes(), ..plain() };
                    assert_eq!(request_refusal(&request), want, "{body}");
                }
            }
        }
    }

    #[test]
    fn histories_with_tools_and_prefills_are_refused() {
        use Format::{Chat, Messages};
        check(Chat, r#"{"role":"tool","content":"1"},{"role":"user"}"#, Some("tools"));
        check(Chat, r#"{"role":"assistant","tool_calls":[{}]},{"role":"user"}"#, Some("tools"));
        check(Chat, r#"{"role":"assistant","tool_calls":[],"content":""},{"role":"user"}"#, None);
        let result = r#"{"role":"user","content":[{"type":"tool_result"}]},{"role":"user"}"#;
        check(Messages, result, Some("tools"));
        check(Messages, r#"{"role":"user","content":[{"type":"text"}]}"#, None);
        check(Messages, r#"{"role":"user"},{"role":"assistant","content":"{"}"#, Some("prefill"));
        check(Chat, r#"{"role":"user","role":"tool"}"#, Some("unreadable"));
        check(Chat, r#"{"role":"user""#, Some("unreadable"));

        #[track_caller]
        fn check(format: Format, messages: &str, want: Option<Refusal>) {
            let body = format!(r#"{{"messages":[{messages}]}}"#);
            let request = Request { format: Some(format), body: body.as_bytes(), ..plain() };
            assert_eq!(request_refusal(&request), want, "{body}");
        }
    }

    #[test]
    fn other_apis_agents_and_answers_are_refused() {
        let body = format!("{{{BODY}}}");
        let request = || Request { body: body.as_bytes(), ..plain() };
        let check = |request: Request, answer: Answer, want| {
            assert_eq!(request_refusal(&request).or_else(|| answer_refusal(&answer)), want);
        };
        check(request(), ok(), None);
        check(Request { format: Some(Format::Responses), ..request() }, ok(), Some("api"));
        check(Request { format: None, ..request() }, ok(), Some("api"));
        check(Request { is_off: true, ..request() }, ok(), Some("off"));
        check(Request { is_counted: false, ..request() }, ok(), Some("uncounted"));
        for agent in [
            "claude-cli/2.1 (external)",
            "Codex_CLI/1",
            "GitHubCopilot/1.1",
            "Cursor/3",
            "QwenCode/0.24.4 (linux; x64)",
            "ls/JS 5.23.2 Continue/1.5.47",
        ] {
            assert!(is_agent(agent.as_bytes()), "{agent}");
        }
        assert!(!is_agent(b"OpenAI/Python 2.0") && !is_agent(b"curso") && !is_agent(b""));
        check(Request { is_agent: true, ..request() }, ok(), Some("agent"));
        check(request(), Answer { status: 201, ..ok() }, Some("status"));
        check(request(), Answer { is_encoded: true, ..ok() }, Some("encoded"));
        check(request(), Answer { content_type: b"text/html", ..ok() }, Some("content-type"));
        check(request(), Answer { content_type: b"text/event-stream", ..ok() }, None);
        check(Request { body: b"\xff", ..request() }, ok(), Some("unreadable"));
    }

    fn plain() -> Request<'static> {
        Request {
            format: Some(Format::Chat),
            body: b"",
            is_agent: false,
            is_off: false,
            is_counted: true,
        }
    }

    fn ok() -> Answer<'static> {
        Answer { status: 200, content_type: b"application/json; charset=utf-8", is_encoded: false }
    }
}
