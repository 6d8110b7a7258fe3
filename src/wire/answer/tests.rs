use super::*;
use crate::wire::framing::{Splitter, StreamFormat};

/// input, cache_read, cache_write, cache_write_1h, output, reasoning
type Counts = [Option<u64>; 6];

const NO: Option<u64> = None;

#[test]
fn messages_are_read() {
    let billed = [Some(2861), Some(2000), Some(800), Some(300), Some(412), Some(90)];
    check(
        "answer-messages.json",
        Format::Messages,
        Some("claude-sonnet-4-5-20250929"),
        Some(billed),
    );
    check(
        "answer-messages.sse",
        Format::Messages,
        Some("claude-sonnet-4-5-20250929"),
        Some(billed),
    );
    // A server tool raises the input after the start.
    let raised = [Some(10_500), Some(0), Some(0), NO, Some(60), NO];
    check("answer-messages-tool.sse", Format::Messages, Some("claude-opus-5"), Some(raised));
    let unknown_end = [Some(25), NO, NO, NO, NO, NO];
    check(
        "answer-messages-error.sse",
        Format::Messages,
        Some("claude-haiku-4-5"),
        Some(unknown_end),
    );
}

#[test]
fn chat_and_its_dialects_are_read() {
    let openai = [Some(1200), Some(1024), Some(64), NO, Some(300), Some(120)];
    check("answer-chat.json", Format::Chat, Some("gpt-5.6-sol"), Some(openai));
    check("answer-chat.sse", Format::Chat, Some("gpt-5.6-sol"), Some(openai));
    check("answer-chat-no-usage.sse", Format::Chat, Some("gpt-4o"), None);
    check(
        "answer-chat-xai.sse",
        Format::Chat,
        Some("grok-4"),
        Some([Some(50), Some(7), NO, NO, Some(109), Some(100)]),
    );
    check(
        "answer-chat-deepseek.sse",
        Format::Chat,
        Some("deepseek-chat"),
        Some([Some(90), Some(64), NO, NO, Some(12), NO]),
    );
    check(
        "answer-chat-mistral.json",
        Format::Chat,
        Some("mistral-large-4"),
        Some([Some(33), Some(16), NO, NO, Some(5), NO]),
    );
}

#[test]
fn responses_are_read() {
    let billed = [Some(1500), Some(1408), Some(50), NO, Some(220), Some(192)];
    check("answer-responses.json", Format::Responses, Some("gpt-6.1-sol"), Some(billed));
    check("answer-responses.sse", Format::Responses, Some("gpt-6.1-sol"), Some(billed));
    check("answer-responses-failed.sse", Format::Responses, Some("gpt-6.1-sol"), None);
}

#[test]
fn gemini_is_read() {
    let billed = [Some(140), Some(96), NO, NO, Some(75), Some(55)];
    check("answer-gemini.json", Format::Gemini, Some("gemini-3-pro"), Some(billed));
    check("answer-gemini.sse", Format::Gemini, Some("gemini-3-pro"), Some(billed));
    check("answer-gemini-array.json", Format::Gemini, Some("gemini-3-pro"), Some(billed));
    let blocked = [Some(12), NO, NO, NO, Some(0), NO];
    check("answer-gemini-blocked.sse", Format::Gemini, Some("gemini-3-pro"), Some(blocked));
}

#[test]
fn what_came_before_a_break_is_kept() {
    let whole = fixture("answer-messages.sse");
    let text = String::from_utf8(whole).unwrap();
    let broken = &text[..text.find("event: message_delta").unwrap() + 40];
    let reading = read(Format::Messages, true, &[broken.as_bytes()]);
    assert!(!reading.ended && reading.inside);
    let usage = reading.usage.unwrap();
    assert_eq!((usage.input, usage.cache_read, usage.output), (Some(2861), Some(2000), None));

    let text = String::from_utf8(fixture("answer-gemini.sse")).unwrap();
    let broken = &text[..text.find("\n\n").unwrap() + 2];
    let reading = read(Format::Gemini, true, &[broken.as_bytes()]);
    assert!(!reading.ended && !reading.inside, "between two events, but no end mark");
    assert_eq!(reading.usage.map(|usage| (usage.input, usage.output)), Some((Some(128), None)));

    let text = String::from_utf8(fixture("answer-chat.json")).unwrap();
    let reading = read(Format::Chat, false, &[&text.as_bytes()[..text.len() - 2]]);
    assert!(!reading.ended && reading.inside);
    assert_eq!(reading.usage.and_then(|usage| usage.input), Some(1200));
}

#[test]
fn text_that_speaks_of_usage_is_not_usage() {
    let event = r#"{"choices":[{"delta":{"content":"\"usage\":{\"prompt_tokens\":9}"},
            "finish_reason":null}],"usage":null}"#;
    let event = &event.replace('\n', "");
    let reading = read(Format::Chat, true, &[format!("data: {event}\n\n").as_bytes()]);
    assert_eq!(reading, Reading::default());
    let nested = r#"{"choices":[{"delta":{"usage":{"prompt_tokens":9}},"finish_reason":null}]}"#;
    let reading = read(Format::Chat, true, &[format!("data: {nested}\n\n").as_bytes()]);
    assert_eq!(reading, Reading::default());
    let words = tables(Format::Chat).1;
    let says = |text: &str| words.iter().any(|word| says_something(text.as_bytes(), word));
    assert!(!says(event), "such an event must cost a search only");
    assert!(says(nested) && says(r#"{"usage" : { }"#));
}

#[test]
fn done_ends_a_chat_at_any_split() {
    check("data: [DONE]\n\n", true);
    check("data:[DONE]\r\n\r\n", true);
    check("data: {}\n\ndata: [DONE] \n", true);
    check("data: [DONE]", true);
    check("data: [DON", false);
    check("data: [DONE]]\n\n", false);
    check("data: \"[DONE]\"\n\n", false);
    check("event: [DONE]\n\n", false);

    #[track_caller]
    fn check(stream: &str, ended: bool) {
        for cut in 0..=stream.len() {
            let (first, second) = stream.as_bytes().split_at(cut);
            let reading = read(Format::Chat, true, &[first, second]);
            assert_eq!(reading.ended, ended, "{stream:?} cut at {cut}");
        }
    }
}

/// Why the answer in a fixture ended.
fn stop(name: &str) -> Option<&'static str> {
    match name {
        "answer-messages.json" => Some("tool_use"),
        "answer-messages-error.sse" | "answer-gemini-blocked.sse" => None,
        "answer-chat-no-usage.sse" => Some("length"),
        "answer-responses-failed.sse" => Some("failed"),
        name if name.starts_with("answer-messages") => Some("end_turn"),
        name if name.starts_with("answer-chat") => Some("stop"),
        name if name.starts_with("answer-responses") => Some("completed"),
        _ => Some("STOP"),
    }
}

/// What went wrong in it.
fn error(name: &str) -> Option<&'static str> {
    match name {
        "answer-messages-error.sse" => Some("overloaded_error"),
        "answer-responses-failed.sse" => Some("server_error"),
        _ => None,
    }
}

/// Reads a fixture whole, cut in two at every byte, and byte by byte, with each line break.
#[track_caller]
fn check(name: &str, format: Format, model: Option<&str>, counts: Option<Counts>) {
    let streamed = name.ends_with(".sse");
    let want = Reading {
        usage: counts.map(|[input, cache_read, cache_write, cache_write_1h, output, reasoning]| {
            Usage {
                input,
                cache_read,
                cache_write,
                cache_write_1h,
                output,
                reasoning,
                searches: (name == "answer-messages-tool.sse").then_some(1),
                ..Usage::default()
            }
        }),
        model: model.map(str::to_string),
        stop: stop(name).map(str::to_string),
        error: error(name).map(Cow::Borrowed),
        ended: true,
        dropped: 0,
        turns: Vec::new(),
        cache_miss: None,
        inside: false,
    };
    let text = String::from_utf8(fixture(name)).unwrap();
    let dressed = if streamed { dressings(&text) } else { vec![text] };
    let breaks = ["\n", "\r\n", "\r"];
    for text in dressed.iter().flat_map(|text| breaks.map(|end| text.replace('\n', end))) {
        let bytes = text.as_bytes();
        for cut in 0..=bytes.len() {
            let (first, second) = bytes.split_at(cut);
            assert_eq!(read(format, streamed, &[first, second]), want, "{name} cut at {cut}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(read(format, streamed, &single), want, "{name} byte by byte");
    }
}

/// The same stream with what may stand around and in its events.
fn dressings(text: &str) -> Vec<String> {
    vec![
        text.to_owned(),
        format!("\u{feff}{text}"),
        text.replace("\n\n", "\n\n: ping\n\nretry: 5\n\n"),
        text.replace("data: ", "id: 7\n: in it\ndata:"),
        text.replace("data: {", "data: {\ndata:  "),
    ]
}

/// Streams that break off say the same however their bytes came.
#[test]
fn every_beginning_of_a_stream_reads_the_same_at_any_split() {
    for (name, format) in [
        ("answer-messages.sse", Format::Messages),
        ("answer-messages-tool.sse", Format::Messages),
        ("answer-messages-error.sse", Format::Messages),
        ("answer-chat.sse", Format::Chat),
        ("answer-chat-xai.sse", Format::Chat),
        ("answer-chat-error.sse", Format::Chat),
        ("answer-responses.sse", Format::Responses),
        ("answer-responses-failed.sse", Format::Responses),
        ("answer-gemini.sse", Format::Gemini),
        ("answer-gemini-blocked.sse", Format::Gemini),
    ] {
        let text = String::from_utf8(fixture(name)).unwrap();
        for text in dressings(&text) {
            for end in (0..=text.len()).filter(|end| end % 7 == 0 || text.len() - end < 40) {
                let bytes = &text.as_bytes()[..end];
                let want = read(format, true, &[bytes]);
                let single: Vec<&[u8]> = bytes.chunks(1).collect();
                assert_eq!(read(format, true, &single), want, "{name}, {end} bytes");
                let odd: Vec<&[u8]> = bytes.chunks(1 + end % 61).collect();
                assert_eq!(read(format, true, &odd), want, "{name}, {end} bytes");
            }
        }
    }
}

#[test]
fn errors_inside_an_answer_are_told_by_their_type() {
    const CHAT: Format = Format::Chat;
    const RESPONSES: Format = Format::Responses;
    let long = format!(r#"{{"error":{{"message":"{}","type":"x"}}}}"#, "m".repeat(20_000));
    for (format, json, want) in [
        (
            Format::Messages,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"O"}}"#,
            Some("overloaded_error"),
        ),
        (Format::Messages, r#"{"type":"error"}"#, Some("provider_error")),
        (Format::Messages, r#"{"type":"message","content":[],"error":null}"#, None),
        (
            CHAT,
            r#"{"error":{"code":502,"message":"P"},"choices":[{"delta":{},"finish_reason":"error"}]}"#,
            Some("error_502"),
        ),
        (CHAT, r#"{"choices":[{"finish_reason":"error"}]}"#, Some("provider_error")),
        (
            CHAT,
            r#"{"choices":[{"error":{"code":429},"finish_reason":"error"}]}"#,
            Some("error_429"),
        ),
        (CHAT, r#"{"error":{"type":"server_error","code":"x"}}"#, Some("server_error")),
        (CHAT, r#"{"error":{"type":null,"code":"content_filter"}}"#, Some("content_filter")),
        (CHAT, r#"{"error":"said to Ada: no"}"#, Some("provider_error")),
        (CHAT, r#"{"error":{"type":"[31m red","message":"m"}}"#, Some("provider_error")),
        (CHAT, r#"{"object":"error","type":"BadRequestError","code":400}"#, Some("error_400")),
        (CHAT, &long, Some("provider_error")),
        (CHAT, r#"{"choices":[{"finish_reason":"stop"}],"error":null}"#, None),
        (CHAT, r#"{"choices":[{"finish_reason":"stop"}],"error":{}}"#, None),
        (CHAT, r#"{"choices":[{"message":{"content":""error": {}"}}]}"#, None),
        (RESPONSES, r#"{"type":"error","code":"rate_limit","message":"m"}"#, Some("rate_limit")),
        (RESPONSES, r#"{"code":"rate_limit","type":"error","error":null}"#, Some("rate_limit")),
        (
            RESPONSES,
            r#"{"type":"response.failed","response":{"error":{"code":"server_error"}}}"#,
            Some("server_error"),
        ),
        (
            RESPONSES,
            r#"{"type":"response.failed","response":{"status":"failed"}}"#,
            Some("provider_error"),
        ),
        (RESPONSES, r#"{"status":"failed","error":{"code":"vector"}}"#, Some("vector")),
        (RESPONSES, r#"{"status":"completed","error":null,"usage":{}}"#, None),
        (
            RESPONSES,
            r#"{"type":"response.completed","response":{"status":"completed","error":null}}"#,
            None,
        ),
        (
            Format::Gemini,
            r#"{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}"#,
            Some("UNAVAILABLE"),
        ),
        (Format::Gemini, r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#, None),
    ] {
        for streamed in [true, false] {
            let body = if streamed { format!("data: {json}\n\n") } else { json.to_owned() };
            let all = read(format, streamed, &[body.as_bytes()]);
            assert_eq!(all.error.as_deref(), want, "{streamed} {json}");
            assert!(want.is_none() || all.ended, "{json}: nothing comes behind an error");
            let single: Vec<&[u8]> = body.as_bytes().chunks(1).collect();
            assert_eq!(read(format, streamed, &single), all, "{json} byte by byte");
        }
    }
    let array = br#"[{"candidates":[]},{"error":{"status":"INTERNAL"}}]"#;
    assert_eq!(read(Format::Gemini, false, &[array]).error.as_deref(), Some("INTERNAL"));
}

fn fixture(name: &str) -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/wire/").to_string() + name;
    std::fs::read(&path).unwrap_or_else(|err| panic!("{path}: {err}"))
}

#[test]
fn json_lines_say_what_events_say() {
    let lines = [
        r#"{"model":"m","choices":[{"delta":{"content":"usage"},"finish_reason":null}]}"#,
        r#"{"model":"m","choices":[{"delta":{},"finish_reason":"stop"}]}"#,
        r#"{"model":"m","choices":[],"usage":{"prompt_tokens":2,"completion_tokens":1}}"#,
    ];
    let events: String = lines.iter().map(|line| format!("data: {line}\n\n")).collect();
    let want = read(Format::Chat, true, &[events.as_bytes()]);
    assert_eq!((want.stop.as_deref(), want.ended), (Some("stop"), true));
    for end in ["\n", "\r\n", "\n\n"] {
        let stream: String = lines.iter().map(|line| format!("{line}{end}")).collect();
        for cut in 0..=stream.len() {
            let (first, second) = stream.as_bytes().split_at(cut);
            let parts = [first, second];
            assert_eq!(read_stream(StreamFormat::JsonLines, Format::Chat, &parts), want, "{cut}");
        }
    }
}

fn read(format: Format, streamed: bool, pieces: &[&[u8]]) -> Reading {
    if streamed {
        return read_stream(StreamFormat::Events, format, pieces);
    }
    let mut observer = UsageObserver::new(format);
    pieces.iter().for_each(|piece| observer.feed(piece));
    observer.finish()
}

#[test]
fn thoughts_that_were_left_out_are_counted() {
    const LOST: &str =
        r#"{"type":"thinking_dropped","path":"m","reason":"prefix_binding_mismatch"}"#;
    const OTHERS: &str =
        r#"{"path":"m","reason":"model_binding_mismatch","type":"thinking_dropped"}"#;
    const SHOWN: &str =
        r#"{"reason":"prefix_binding_mismatch","type":"thinking_mismatch_allowed"}"#;
    for (list, want) in [
        (String::new(), 0),
        (LOST.to_owned(), 1),
        (OTHERS.to_owned(), 0),
        (SHOWN.to_owned(), 0),
        (format!("{LOST},{OTHERS},{LOST}"), 2),
        ([LOST; 400].join(","), 400),
    ] {
        let whole = format!(
            r#"{{"type":"message","usage":{{"input_tokens":1}},"input_transformations":[{list}]}}"#
        );
        assert_eq!(read(Format::Messages, false, &[whole.as_bytes()]).dropped, want, "{list}");
        let begin = format!(
            "event: message_start\ndata: {{\"type\":\"message_start\",\"message\":{{\
             \"usage\":{{}},\"input_transformations\":[{list}]}}}}\n\n"
        );
        let end = format!(
            "event: message_delta\ndata: {{\"type\":\"message_delta\",\"usage\":{{}},\
             \"input_transformations\":[{list}]}}\n\n"
        );
        for stream in [begin.clone(), end.clone(), format!("{begin}{end}")] {
            assert_eq!(read(Format::Messages, true, &[stream.as_bytes()]).dropped, want, "{list}");
        }
    }
}

fn read_stream(stream: StreamFormat, format: Format, pieces: &[&[u8]]) -> Reading {
    let (mut observer, mut splitter) = (UsageObserver::new(format), Splitter::new(stream));
    for mut bytes in pieces.iter().copied() {
        while let Some(piece) = splitter.next(bytes) {
            observer.piece(&piece);
            bytes = &bytes[piece.bytes.len()..];
        }
    }
    observer.finish_stream(splitter.is_inside())
}
/// Why a cache was missed, in all places and wrappings; nothing else is taken for that.
#[test]
fn the_reason_for_a_missed_cache_is_read() {
    let anthropic =
        r#"{"cache_miss_reason":{"type":"tools_changed","cache_missed_input_tokens":9}}"#;
    for (diagnostics, want) in [
        (anthropic, Some("tools_changed")),
        (
            r#"{"cache_miss_reason": {"cache_missed_input_tokens": 9, "type": "model_changed"}}"#,
            Some("model_changed"),
        ),
        (r#"{"cache_miss_reason":"messages_changed"}"#, Some("messages_changed")),
        (r#"{"cache_miss_reason":null}"#, None),
        (r#"{"type":"something"}"#, None),
        (r#"{"cache_miss_reason":{"type":"written for people, at length"}}"#, None),
        (r#"{"cache_miss_reason":{"type":7}}"#, None),
        ("null", None),
        ("[]", None),
        ("{}", None),
    ] {
        let usage = r#""usage":{"input_tokens":9,"output_tokens":1}"#;
        let body = format!(
            r#"{{"type":"message","diagnostics":{diagnostics},"stop_reason":"end_turn",{usage}}}"#
        );
        let stream = format!(
            "data: {{\"type\":\"message_start\",\"message\":{body}}}\n\ndata: {{\"type\":\"message_stop\"}}\n\n"
        );
        let responses = format!(
            r#"{{"object":"response","status":"completed","prompt_cache_diagnostics":{diagnostics},{usage}}}"#
        );
        for (format, text, streamed) in [
            (Format::Messages, &body, false),
            (Format::Messages, &stream, true),
            (Format::Responses, &responses, false),
        ] {
            let reading = read(format, streamed, &[text.as_bytes()]);
            assert_eq!(reading.cache_miss.as_deref(), want, "{text}");
        }
    }
}
