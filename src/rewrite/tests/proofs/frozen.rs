//! What is sent is frozen: a conversation that goes on over an update finds its prompt still cached.

use super::*;

/// A hash over what is sent of all fixtures, for strict, hybrid and aggressive.
const FROZEN: [u64; 3] =
    [10_274_488_100_983_656_969, 5_811_139_087_007_045_655, 6_127_452_498_536_557_921];

const BODIES: &[(Format, &str)] = &[
    (Format::Messages, include_str!("../../../../fixtures/wire/messages.json")),
    (Format::Chat, include_str!("../../../../fixtures/wire/chat.json")),
    (Format::Responses, include_str!("../../../../fixtures/wire/responses.json")),
    (Format::Gemini, include_str!("../../../../fixtures/wire/gemini.json")),
    (Format::Messages, include_str!("../../../../fixtures/laws/s21-clear-tool-uses.json")),
    (Format::Responses, include_str!("../../../../fixtures/laws/s21-truncation.json")),
];

#[test]
fn what_is_sent_is_frozen() {
    let hashes = MODES.map(|mode| {
        let plan = Plan { threshold: 0, ..Plan::of(mode) };
        let mut counter = Counter::new();
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for (format, body) in bodies() {
            for byte in sent(&mut counter, &plan, format, &body).bytes() {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        hash
    });
    assert_eq!(
        hashes, FROZEN,
        "what is sent has changed: every running session will pay for its whole prompt once. If that \
         is meant, say so in CHANGELOG.md under \"Changed\" and put the new hashes here"
    );
}

/// What the passes' fixtures hold, over and over until it is worth compressing.
fn texts() -> Vec<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/compress");
    let entries = folder.read_dir().expect("it is in the repository");
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "in"));
    paths.sort();
    let texts = paths.iter().map(|path| std::fs::read_to_string(path).expect("a text"));
    texts.map(|text| text.repeat(2000 / text.len().max(1) + 1)).collect()
}

/// The bodies as they are, and every text as a result that comes twice, in each format.
fn bodies() -> Vec<(Format, String)> {
    let mut bodies: Vec<(Format, String)> =
        BODIES.iter().map(|(format, body)| (*format, (*body).to_owned())).collect();
    for format in FORMATS {
        for command in ["npm test", "cat a.json"] {
            let call = |text: &String| {
                let call = session::Call {
                    tool: "Bash",
                    input: json!({"command": command}),
                    texts: vec![text.clone()],
                    error: false,
                };
                session::Turn { calls: vec![call.clone(), call], ..session::Turn::default() }
            };
            let turns: Vec<session::Turn> = texts().iter().map(call).collect();
            bodies.push((format, session::body(format, &session::preamble(1200), &turns)));
        }
    }
    bodies
}
