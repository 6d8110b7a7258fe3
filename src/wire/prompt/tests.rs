use super::*;

#[test]
fn messages_are_read_in_prefix_order() {
    let prompt = check(
        Format::Messages,
        include_str!("../../../fixtures/wire/messages.json"),
        "0 Tools [{\"name\":\"Bash\"}]
         0 System system 1
         0 System system 2
         1 Typed1 typed 1
         2 Assistant thought
         2 Assistant said
         2 Input1 {\"command\":\"ls\"}
         2 Input2 {}
         3 Result1(Read) result 1
         3 Image
         3 Result2.1(Bash)! part 1 of result 2
         3 Result2.2(Bash)! part 2 of result 2
         3 Typed2 typed 2
         3 Other document
         3 Other found
         3 Other future text
         4 Input3 {\"query\":\"q\"}
         4 Reset
         4 Other summary
         5 Result1(?) result 1 again",
    );
    assert_eq!(prompt.model.as_deref(), Some("claude-x"));
    assert!(prompt.stream && prompt.cache_mark && !prompt.edits_history);
    assert_eq!(prompt.messages, 5);
}

#[test]
fn chat_is_read_in_prefix_order() {
    let prompt = check(
        Format::Chat,
        include_str!("../../../fixtures/wire/chat.json"),
        "0 Tools [{\"type\":\"function\"}]
         1 System system
         2 System developer
         3 Typed1 typed 1
         3 Image
         4 Assistant thought
         4 Input1 {\"command\":\"ls\"}
         4 Input2 free text
         5 Result1(patch) result 1
         6 Result2.1(bash) part 1 of result 2
         6 Result2.2(bash) part 2 of result 2
         7 Assistant said
         7 Input3 {}
         8 Result3(old) result 3
         9 Assistant refused
         10 Other unknown role
         11 Typed2 typed 2",
    );
    assert_eq!(prompt.model.as_deref(), Some("gpt-x"));
    assert!(!prompt.stream && !prompt.cache_mark && !prompt.edits_history);
}

#[test]
fn responses_are_read_in_prefix_order() {
    let prompt = check(
        Format::Responses,
        include_str!("../../../fixtures/wire/responses.json"),
        "0 Tools [{\"type\":\"function\"}]
         0 System instructions
         1 System developer
         2 Typed1 typed 1
         2 Image
         3 Assistant thought
         4 Input1 {\"command\":[\"ls\"]}
         5 Input2 free text
         6 Input3 {\"type\":\"exec\",\"command\":[\"cat\",\"x\"]}
         7 Result1(shell) result 1
         8 Result2(patch) list of result 2
         9 Result3(local_shell_call) result 3
         11 Other {}
         11 Other from the provider
         12 Assistant said
         13 Reset
         14 Result1(?) result 1 again
         15 Tools [{\"type\":\"namespace\"}]",
    );
    assert!(prompt.stream && !prompt.edits_history);
    assert_eq!(prompt.messages, 15);
}

#[test]
fn gemini_is_read_in_prefix_order() {
    let prompt = check(
        Format::Gemini,
        include_str!("../../../fixtures/wire/gemini.json"),
        "0 Tools [{\"functionDeclarations\":[]}]
         0 System system
         1 Typed1 typed 1
         1 Image
         1 Image
         2 Assistant thought
         2 Input1 {\"path\":\"x\"}
         2 Input2 {}
         3 Result1(ls) result 1
         3 Other failed
         3 Result2(cat)! result 2
         3 Other {\"name\":\"CET\"}
         4 Other said
         5 Typed2 typed 2",
    );
    assert_eq!(prompt.model, None);
    assert_eq!(prompt.messages, 5);
}

/// Compares the parts, written one a line: message, role, text; `!` is an error, `?` an unknown call.
#[track_caller]
fn check(format: Format, body: &str, want: &str) -> Prompt {
    let compact: String = serde_json::from_str::<serde_json::Value>(body).unwrap().to_string();
    let spaced = read(format, body.as_bytes()).expect("valid");
    let prompt = read(format, compact.as_bytes()).expect("valid");
    let want: Vec<&str> = want.lines().map(str::trim).collect();
    assert_eq!(written(&compact, &prompt), want);
    assert_eq!(spaced.parts.len(), prompt.parts.len(), "white space means nothing");
    prompt
}

fn written(body: &str, prompt: &Prompt) -> Vec<String> {
    let text = |span: &Span| {
        let raw = &body[span.clone()];
        json::decode(raw).map_or(raw.to_owned(), Cow::into_owned)
    };
    let role = |role| match role {
        Role::Typed { number } => format!("Typed{number}"),
        Role::Result(ToolResult { number, part, error, call }) => {
            let part = part.map_or(String::new(), |part| format!(".{part}"));
            let call = call.map_or("?".into(), |call| text(&prompt.calls[call].name));
            format!("Result{number}{part}({call}){}", if error { "!" } else { "" })
        }
        Role::Input { number } => format!("Input{number}"),
        other => format!("{other:?}"),
    };
    let line = |part: &Part| match part.role {
        Role::Image | Role::Reset => format!("{} {:?}", part.message, part.role),
        other => format!("{} {} {}", part.message, role(other), text(&part.span)),
    };
    prompt.parts.iter().map(line).collect()
}

#[test]
fn bodies_that_are_not_understood_are_refused() {
    let good = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    for format in [Format::Messages, Format::Chat] {
        assert!(read(format, good.as_bytes()).is_some());
        for bad in [
            "",
            "null",
            "[]",
            "{}",
            r#"{"messages":[]}"#,
            r#"{"messages":"hi"}"#,
            r#"{"messages":[{"role":"user","content":"hi"}]"#,
            r#"{"messages":[{"role":"user","content":"hi"}]} x"#,
            "\u{feff}{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
            r#"{"messages":[{"role":"user","content":"hi"}],"messages":[]}"#,
            r#"{"messages":[{"role":"user","content":"hi"}],"\u006dodel":"m"}"#,
            r#"{"messages":[{"role":"user","role":"user","content":"hi"}]}"#,
            r#"{"messages":[{"role":"user","content":"hi","content":"ho"}]}"#,
            r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a","text":"b"}]}]}"#,
        ] {
            assert!(read(format, bad.as_bytes()).is_none(), "{bad}");
        }
        assert!(
            read(format, b"{\"messages\":[{\"role\":\"user\",\"content\":\"\xff\"}]}").is_none()
        );
    }
    assert!(read(Format::Responses, good.as_bytes()).is_none());
    assert!(read(Format::Gemini, good.as_bytes()).is_none());
    let both = r#"{"contents":[{"parts":[{"functionCall":{},"function_call":{}}]}]}"#;
    assert!(read(Format::Gemini, both.as_bytes()).is_none());
}

#[test]
fn odd_values_are_passed_over() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for odd in [
        "1e400",
        "9007199254740993",
        r#""\ud800""#,
        r#"{"a":1,"a":2}"#,
        "null",
        r#"["x",1,{"type":7},{"text":[]},[]]"#,
        &deep,
    ] {
        for (format, body) in [
            (
                Format::Messages,
                r#"{"metadata":ODD,"model":ODD,"system":ODD,"tools":ODD,"messages":[ODD,{"role":ODD,"content":ODD},{"role":"user","content":[{"type":"tool_result","content":ODD},{"type":ODD,"source":ODD}]}]}"#,
            ),
            (
                Format::Chat,
                r#"{"x":ODD,"model":ODD,"tools":ODD,"messages":[ODD,{"role":"assistant","content":ODD,"tool_calls":ODD,"function_call":ODD},{"role":"tool","content":ODD}]}"#,
            ),
            (
                Format::Responses,
                r#"{"x":ODD,"model":ODD,"input":[ODD,{"type":ODD,"content":ODD},{"type":"local_shell_call","action":ODD},{"type":"function_call_output","output":ODD}]}"#,
            ),
            (
                Format::Gemini,
                r#"{"x":ODD,"systemInstruction":ODD,"contents":[{"parts":ODD},{"role":ODD,"parts":[{"functionCall":ODD,"functionResponse":{"response":ODD}}]}]}"#,
            ),
        ] {
            let body = body.replace("ODD", odd);
            assert!(
                read(format, body.as_bytes()).is_some(),
                "{format:?} {}",
                &odd[..odd.len().min(40)]
            );
        }
    }
}

#[test]
fn marks_and_edits_of_the_provider_are_seen() {
    let body = |more: &str| format!(r#"{{"messages":[{{"role":"user","content":"hi"}}]{more}}}"#);
    for (more, mark, edits) in [
        ("", false, false),
        (r#","cache_control":{"type":"ephemeral"}"#, true, false),
        (r#","cache_control":null"#, false, false),
        (r#","system":[{"type":"text","text":"s","cache_control":{}}]"#, true, false),
        (r#","tools":[{"name":"t","cache_control":{}}]"#, true, false),
        (r#","tools":[{"name":"t","description":"set \"cache_control\" on"}]"#, false, false),
        (r#","context_management":null"#, false, false),
        (r#","context_management":{"edits":[{"type":"clear_thinking_20251015"}]}"#, false, false),
        (r#","context_management":{"edits":[{"type":"clear_tool_uses_20250919"}]}"#, false, true),
        (
            r#","context_management":{"edits":[{"type":"clear_thinking_20251015"},{"type":"x"}]}"#,
            false,
            true,
        ),
        (r#","context_management":{"edits":[7]}"#, false, true),
        (r#","context_management":{}"#, false, true),
        (r#","context_management":"auto""#, false, true),
    ] {
        let prompt = read(Format::Messages, body(more).as_bytes()).expect("valid");
        assert_eq!((prompt.cache_mark, prompt.edits_history), (mark, edits), "{more}");
    }
    for (more, edits) in [
        ("", false),
        (r#","truncation":"disabled""#, false),
        (r#","truncation":null,"previous_response_id":null"#, false),
        (r#","truncation":"auto""#, true),
        (r#","context_management":[{"type":"compaction"}]"#, true),
        (r#","previous_response_id":"resp_1""#, true),
        (r#","conversation":"conv_1""#, true),
    ] {
        let body = format!(r#"{{"input":"hi"{more}}}"#);
        let prompt = read(Format::Responses, body.as_bytes()).expect("valid");
        assert_eq!(prompt.edits_history, edits, "{more}");
    }
    let body = r#"{"contents":[{"parts":[]}],"cachedContent":"cachedContents/1"}"#;
    assert!(read(Format::Gemini, body.as_bytes()).expect("valid").edits_history);
}

/// In every format, before and behind the messages.
#[test]
fn members_that_bring_in_or_cut_history_are_one_table() {
    for (more, edits) in [
        (r#""thread":{"id":"thread_1"}"#, true),
        (r#""thread_id":"t""#, true),
        (r#""conversation":{"id":"conv_1"}"#, true),
        (r#""conversation_id":"c""#, true),
        (r#""previous_response_id":"resp_1""#, true),
        (r#""previous_interaction_id":"i""#, true),
        (r#""prompt":{"id":"pmpt_1","version":"2"}"#, true),
        (r#""cachedContent":"cachedContents/1""#, true),
        (r#""cached_content":"cachedContents/1""#, true),
        (r#""truncation":"auto""#, true),
        (r#""truncate":"END""#, true),
        (r#""prompt_truncation":"AUTO""#, true),
        (r#""truncate_prompt_tokens":4096"#, true),
        (r#""truncate_prompt_tokens":-1"#, true),
        (r#""context_length_exceeded_behavior":"truncate""#, true),
        (r#""transforms":["middle-out"]"#, true),
        (r#""transforms":"middle-out""#, true),
        (r#""plugins":[{"id":"web"},{"id":"context-compression"}]"#, true),
        (r#""thre\u0061d":{"id":"t"}"#, true),
        (r#""thread":null"#, false),
        (r#""conversation":false"#, false),
        (r#""truncation":"disabled""#, false),
        (r#""truncate":"NONE""#, false),
        (r#""prompt_truncation":"OFF""#, false),
        (r#""context_length_exceeded_behavior":"error""#, false),
        (r#""truncate_prompt_tokens":null"#, false),
        (r#""transforms":[]"#, false),
        (r#""plugins":[]"#, false),
        (r#""plugins":[{"id":"web"}]"#, false),
        (r#""metadata":{"thread":"t","transforms":["middle-out"]}"#, false),
        (r#""prompt_cache_key":"thread""#, false),
        (r#""store":true"#, false),
        (r#""user":"conversation""#, false),
    ] {
        for (format, list) in [
            (Format::Messages, r#""messages":[{"role":"user","content":"hi"}]"#),
            (Format::Chat, r#""messages":[{"role":"user","content":"hi"}]"#),
            (Format::Responses, r#""input":[{"role":"user","content":"hi"}]"#),
            (Format::Gemini, r#""contents":[{"parts":[{"text":"hi"}]}]"#),
        ] {
            for body in [format!("{{{more},{list}}}"), format!("{{{list},{more}}}")] {
                let prompt = read(format, body.as_bytes()).expect("valid");
                assert_eq!(prompt.edits_history, edits, "{format:?} {body}");
            }
        }
    }
}

/// A message that is read while it is passed over, and one whose list is too long for that, or holds what
/// only matters to somebody else.
#[test]
fn long_and_odd_lists_in_messages_are_read_all_the_same() {
    let block = r#"{"type":"text","text":"a"}"#;
    for blocks in [1, FEW, FEW + 1, 3 * FEW] {
        let list = vec![block; blocks].join(",");
        let body = format!(r#"{{"messages":[{{"content":[{list}],"role":"user"}}]}}"#);
        assert_eq!(read(Format::Messages, body.as_bytes()).unwrap().parts.len(), blocks);
    }
    let call = r#"{"id":"1","function":{"name":"f","arguments":"{}"}}"#;
    for calls in [1, FEW, FEW + 1] {
        let list = vec![call; calls].join(",");
        let body = format!(r#"{{"messages":[{{"tool_calls":[{list}],"role":"assistant"}}]}}"#);
        assert_eq!(read(Format::Chat, body.as_bytes()).unwrap().calls.len(), calls);
    }
    let twice = r#"[{"id":"1","id":"2","function":{}}]"#;
    for (role, is_understood) in [("user", true), ("assistant", false)] {
        let body =
            format!(r#"{{"messages":[{{"tool_calls":{twice},"role":"{role}","content":"hi"}}]}}"#);
        assert_eq!(read(Format::Chat, body.as_bytes()).is_some(), is_understood, "{role}");
    }
}
