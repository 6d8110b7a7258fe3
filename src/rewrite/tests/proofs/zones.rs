//! S1 to S14 by name: each place that must stay holds the very text that is compressed elsewhere.

use super::walker;
use super::*;

/// A fixture, the paths at which it may change, and for each rule paths at which it must not.
struct Zones {
    format: Format,
    fixture: &'static str,
    open: &'static [&'static str],
    closed: &'static [(&'static str, &'static [&'static str])],
}

const MESSAGES: Zones = Zones {
    format: Format::Messages,
    fixture: include_str!("../../../../fixtures/laws/zones-messages.json"),
    open: &["messages.2.content.1.content.0.text"],
    closed: &[
        (
            "S1",
            &[
                "messages.1.content.0.thinking",
                "messages.1.content.0.signature",
                "messages.1.content.1.data",
            ],
        ),
        (
            "S2",
            &[
                "messages.1.content.2.text",
                "messages.1.content.3.input.note",
                "messages.1.content.6.input.query",
            ],
        ),
        ("S4", &["tools.0.description", "tools.0.input_schema.description"]),
        ("S5", &["system.0.text"]),
        (
            "S7",
            &[
                "messages.0.content.1.source.data",
                "messages.0.content.2.source.data",
                "messages.0.content.2.title",
                "messages.0.content.3.content.0.text",
                "messages.0.content.4.file_id",
                "messages.1.content.7.content.0.url",
                "messages.1.content.7.content.0.encrypted_content",
                "messages.2.content.1.content.1.source.data",
                "messages.2.content.1.content.2.tool_name",
                "container",
            ],
        ),
        ("S8", &["messages.2.content.0.content", "messages.2.content.2.content"]),
        ("S9", &["unknown.DATA"]),
        ("S13", &["metadata.user_id", "stop_sequences.0", "betas.0"]),
        ("S14", &["messages.0.content.0.text"]),
    ],
};

const CHAT: Zones = Zones {
    format: Format::Chat,
    fixture: include_str!("../../../../fixtures/laws/zones-chat.json"),
    open: &["messages.4.content", "messages.6.content.0.text"],
    closed: &[
        (
            "S2",
            &[
                "messages.3.content",
                "messages.3.refusal",
                "messages.3.reasoning_content",
                "messages.3.tool_calls.0.function.arguments",
                "messages.3.tool_calls.1.custom.input",
            ],
        ),
        ("S4", &["tools.0.function.description", "tools.0.function.parameters.description"]),
        ("S5", &["messages.0.content", "messages.1.content.0.text"]),
        (
            "S7",
            &[
                "messages.2.content.1.image_url.url",
                "messages.2.content.2.input_audio.data",
                "messages.2.content.3.file.file_data",
            ],
        ),
        ("S8", &["messages.5.content"]),
        (
            "S13",
            &[
                "response_format.json_schema.schema.description",
                "stop.0",
                "metadata.note",
                "prompt_cache_key",
                "prediction.content",
            ],
        ),
        ("S14", &["messages.2.content.0.text"]),
    ],
};

const RESPONSES: Zones = Zones {
    format: Format::Responses,
    fixture: include_str!("../../../../fixtures/laws/zones-responses.json"),
    open: &["input.6.output", "input.10.output.0.text", "input.15.output.0.stdout"],
    closed: &[
        ("S2", &["input.4.content.0.text", "input.5.arguments", "input.7.input"]),
        ("S4", &["tools.0.description", "tools.0.parameters.description"]),
        ("S5", &["instructions", "input.0.content"]),
        ("S7", &["input.1.content.1.image_url", "input.1.content.2.file_data"]),
        ("S8", &["input.8.output"]),
        (
            "S11",
            &[
                "input.2.id",
                "input.3.encrypted_content",
                "input.3.summary.0.text",
                "input.11.output.image_url",
                "input.12.output",
                "input.13.action.query",
            ],
        ),
        ("S13", &["metadata.note", "prompt_cache_key", "text.format.schema.description"]),
        ("S14", &["input.1.content.0.text"]),
    ],
};

const GEMINI: Zones = Zones {
    format: Format::Gemini,
    fixture: include_str!("../../../../fixtures/laws/zones-gemini.json"),
    open: &[
        "contents.2.parts.0.functionResponse.response.output",
        "contents.2.parts.0.functionResponse.response.other",
    ],
    closed: &[
        (
            "S2",
            &[
                "contents.1.parts.0.text",
                "contents.1.parts.1.text",
                "contents.1.parts.3.functionCall.args.note",
            ],
        ),
        (
            "S4",
            &[
                "tools.0.functionDeclarations.0.description",
                "tools.0.functionDeclarations.0.parameters.description",
            ],
        ),
        ("S5", &["systemInstruction.parts.0.text"]),
        (
            "S7",
            &[
                "contents.1.parts.6.executableCode.code",
                "contents.1.parts.7.codeExecutionResult.output",
            ],
        ),
        (
            "S8",
            &[
                "contents.2.parts.1.functionResponse.response.output",
                "contents.2.parts.1.functionResponse.response.error",
                "contents.2.parts.2.functionResponse.response.output",
            ],
        ),
        (
            "S12",
            &[
                "contents.0.parts.1.inlineData.data",
                "contents.0.parts.2.fileData.fileUri",
                "contents.1.parts.2.text",
                "contents.1.parts.2.thoughtSignature",
                "contents.1.parts.3.thoughtSignature",
            ],
        ),
        (
            "S13",
            &[
                "generationConfig.responseSchema.description",
                "generationConfig.stopSequences.0",
                "labels.note",
            ],
        ),
        ("S14", &["contents.0.parts.0.text"]),
    ],
};

#[test]
fn every_untouchable_place_stays_in_every_format() {
    for zones in [MESSAGES, CHAT, RESPONSES, GEMINI] {
        let rows: Vec<Value> =
            (0..40).map(|row| json!({"row": row, "name": "n", "x": null})).collect();
        let data = serde_json::to_string_pretty(&rows).expect("plain data");
        // What a person typed is no data, whatever it looks like; a short answer is none either.
        let prose = format!("Why this?\n{}", "[INFO] waiting for the lock\n".repeat(40));
        let body = filled(
            zones.fixture,
            &[("DATA", &data), ("PROSE", &prose), ("SMALL", "{ \"a\" :  1 }")],
        );
        for mode in MODES {
            let plan = Plan { threshold: 0, ..Plan::of(mode) };
            let sent = sent(&mut Counter::new(), &plan, zones.format, &body);
            check(&zones, &body, &sent);
        }
    }
}

/// The fixture with its words replaced, also where they stand in JSON in a string.
fn filled(fixture: &str, words: &[(&str, &str)]) -> String {
    let mut body = fixture.to_owned();
    for (word, text) in words {
        let literal = json!(text).to_string();
        let nested = json!(literal).to_string();
        body = body.replace(&format!("\\\"{word}\\\""), &nested[1..nested.len() - 1]);
        body = body.replace(&format!(":\"{word}\""), &format!(":{literal}"));
        body = body.replace(&format!("[\"{word}\""), &format!("[{literal}"));
    }
    body
}

#[track_caller]
fn check(zones: &Zones, body: &str, sent: &str) {
    let changes = walker::changes(body, sent);
    let changed: Vec<String> = changes.iter().map(|change| change.path.join(".")).collect();
    assert_eq!(changed, zones.open, "{:?}", zones.format);
    for (rule, paths) in zones.closed {
        for path in *paths {
            // The text is there: otherwise this shows nothing.
            let value: Value =
                serde_json::from_str(&body.replace("1e400", "1")).expect("a fixture");
            let at = path.split('.').fold(&value, |value, key| match value {
                Value::Array(items) => &items[key.parse::<usize>().expect("an index")],
                _ => &value[key],
            });
            assert!(at.as_str().is_some_and(|text| text.len() > 10), "{rule}: nothing at {path}");
        }
    }
}
