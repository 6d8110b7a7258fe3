//! What real clients have turned up, each in its smallest form; `tests/clients` runs them whole.

use crate::support::{Api, scene};

#[test]
fn clients_are_recorded_by_their_own_name() {
    let (_provider, sandbox, proxy) = scene();
    let name = |agents: &[&'static str]| {
        let mut headers = Api::Chat.headers();
        headers.retain(|(name, _)| *name != "user-agent");
        headers.extend(agents.iter().map(|agent| ("user-agent", *agent)));
        let answer = proxy.post(Api::Chat.target(false), &headers, &Api::Chat.small(false));
        sandbox.row(&answer.head.request_id()).text("client").to_owned()
    };
    // Gemini CLI: the model would make a client of each.
    let gemini = "GeminiCLI-tui/0.61.0/gemini-2.5-flash (linux; x64; terminal)";
    assert_eq!(name(&[gemini]), "GeminiCLI-tui/0.61.0");
    // Continue sets a second one, after that of its library.
    assert_eq!(name(&["ls/JS 5.23.2", "Continue/1.5.47"]), "Continue/1.5.47");
    assert_eq!(name(&["OpenAI/Python 2.20.0"]), "OpenAI/Python");
    assert_eq!(name(&[]), "");
}
