//! Whether an answer may carry a footer, as far as the request and the answer's head can tell.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::Refusal;
use crate::wire::Format;
use crate::wire::prompt::Demand;

/// A request and who sent it.
pub(crate) struct Request<'a> {
    /// `None`: not a wire format.
    pub(crate) format: Option<Format>,
    /// As the client sent it.
    pub(crate) body: &'a [u8],
    /// What is known of the answer from reading it.
    pub(crate) demand: Option<Demand>,
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
    match request.format {
        Some(Format::Messages | Format::Chat) => {}
        Some(Format::Responses | Format::Gemini) | None => return Some(Refusal::Api),
    }
    match () {
        () if request.is_off => Some(Refusal::Off),
        () if request.is_agent => Some(Refusal::Agent),
        () if !request.is_counted => Some(Refusal::Uncounted),
        () if request.demand.is_some() => request.demand.map(Refusal::Demanded),
        () => is_agents_prompt(request.body).then_some(Refusal::Agent),
    }
}

/// Why the answer's head forbids a footer; `None` leaves it to what the answer says.
pub(crate) fn answer_refusal(answer: &Answer) -> Option<Refusal> {
    match () {
        () if answer.status != 200 => Some(Refusal::Status),
        () if answer.is_encoded => Some(Refusal::Encoded),
        () if !is_known_type(answer.content_type) => Some(Refusal::ContentType),
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

fn is_agents_prompt(body: &[u8]) -> bool {
    PROMPTS.iter().zip(&*PROMPT_FINDERS).any(|((words, ends), finder)| {
        let goes_on = |at: usize| {
            let rest = &body[at + words.len()..];
            ends.iter().any(|end| rest.starts_with(end.as_bytes()))
        };
        finder.find_iter(body).any(goes_on)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::prompt;

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
        both(r#""to\u006fls":[{}]"#, Some("uncounted"));
        both(r#""st\u006fp":"END""#, Some("unreadable"));
        both(r#""system":"Write one-line Git commit messages.""#, Some("agent"));
        both(r#""system":"Act as an expert software developer.\nAlways""#, Some("agent"));
        both(r#""system":"Act as an expert gardener.""#, None);
        both(r#""temperature":0.5,"stream":true"#, None);

        #[track_caller]
        fn both(members: &str, want: Option<&str>) {
            let comma = if members.is_empty() { "" } else { "," };
            for body in
                [format!("{{{BODY}{comma}{members}}}"), format!("{{{members}{comma}{BODY}}}")]
            {
                for format in [Format::Messages, Format::Chat] {
                    assert_eq!(refusal_of(format, &body), want, "{body}");
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
        check(Chat, r#"{"role":"user","role":"tool"}"#, Some("uncounted"));
        check(Chat, r#"{"role":"user""#, Some("uncounted"));

        #[track_caller]
        fn check(format: Format, messages: &str, want: Option<&str>) {
            let body = format!(r#"{{"messages":[{messages}]}}"#);
            assert_eq!(refusal_of(format, &body), want, "{body}");
        }
    }

    /// By what is read of the body.
    fn refusal_of(format: Format, body: &str) -> Option<&'static str> {
        let prompt = prompt::read(format, body.as_bytes());
        let is_counted = prompt.is_some();
        let demand = prompt.and_then(|prompt| prompt.demand);
        let (format, body) = (Some(format), body.as_bytes());
        let request = Request { format, body, demand, is_counted, ..plain() };
        request_refusal(&request).map(Refusal::name)
    }

    #[test]
    fn other_apis_agents_and_answers_are_refused() {
        let body = format!("{{{BODY}}}");
        let request = || Request { body: body.as_bytes(), ..plain() };
        let check = |request: Request, answer: Answer, want| {
            let refusal = request_refusal(&request).or_else(|| answer_refusal(&answer));
            assert_eq!(refusal.map(Refusal::name), want);
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
    }

    fn plain() -> Request<'static> {
        Request {
            format: Some(Format::Chat),
            body: b"",
            demand: None,
            is_agent: false,
            is_off: false,
            is_counted: true,
        }
    }

    fn ok() -> Answer<'static> {
        Answer { status: 200, content_type: b"application/json; charset=utf-8", is_encoded: false }
    }
}
