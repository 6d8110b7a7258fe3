//! One rule at a time, on bodies that are as small as the rule allows.

use super::*;

fn pretty() -> String {
    let rows: Vec<Value> = (0..60).map(|row| json!({"row": row, "name": "n"})).collect();
    serde_json::to_string_pretty(&rows).expect("plain data")
}

fn log() -> String {
    (0..80).map(|line| format!("{line} of the log\n")).collect()
}

/// The passes that were kept, in alphabetical order.
#[track_caller]
fn passes(plan: &Plan, format: Format, body: &str) -> Vec<&'static str> {
    let rewritten = rewrite(&mut Counter::new(), plan, format, body.as_bytes());
    assert!(!matches!(rewritten.skip, Some(Skip::Unreadable)), "{body}");
    rewritten.per_pass.into_keys().collect()
}

fn aggressive() -> Plan {
    Plan::of(Mode::Aggressive)
}

#[test]
fn every_format_is_compressed() {
    for format in FORMATS {
        let turns =
            [bash("npm test", &pretty()), bash("npm test", &log()), bash("npm test", &log())];
        assert_eq!(
            passes(&aggressive(), format, &body(format, &turns)),
            ["json-minify", "json-tables", "repeat"]
        );
    }
}

#[test]
fn errors_are_left_alone() {
    for format in [Format::Messages, Format::Gemini] {
        let failed = |text: &str| Turn { error: true, ..bash("npm test", text) };
        let turns = [
            failed(&pretty()),
            failed(&log()),
            failed(&log()),
            failed("[... the text below is as it came ...]\n\u{1b}[m"),
        ];
        let body = body(format, &turns);
        assert_eq!(sent(&mut Counter::new(), &aggressive(), format, &body), body);
    }
    let flag = |flag: &str| {
        let block = json!({"type": "tool_result", "tool_use_id": "x", "content": "[... the text below is as it came ...]\nx"});
        let block = block.to_string().replace("\"type\"", &format!("{flag}\"type\""));
        format!(r#"{{"messages":[{{"role":"user","content":[{block}]}}]}}"#)
    };
    for (text, is_error) in [
        ("", false),
        ("\"is_error\":false,", false),
        ("\"is_error\":null,", false),
        ("\"is_error\":true,", true),
        ("\"is_error\":\"false\",", true),
        ("\"is_error\":1,", true),
    ] {
        let rewritten =
            rewrite(&mut Counter::new(), &aggressive(), Format::Messages, flag(text).as_bytes());
        assert_eq!(rewritten.body.is_none(), is_error, "{text}");
    }
}

#[test]
fn files_that_were_read_are_left_alone() {
    let call = |tool, command, text: &str| Turn { tool, ..bash(command, text) };
    for format in FORMATS {
        for (tool, command) in
            [("Read", ""), ("Bash", "cat a.json"), ("str_replace_editor", "view")]
        {
            let one = [call(tool, command, &pretty())];
            assert!(passes(&aggressive(), format, &body(format, &one)).is_empty(), "{tool}");
            let two = [call(tool, command, &pretty()), call(tool, command, &pretty())];
            assert_eq!(passes(&aggressive(), format, &body(format, &two)), ["repeat"], "{tool}");
        }
    }
    let orphan =
        json!({"messages": [{"role": "tool", "tool_call_id": "gone", "content": pretty()}]});
    assert!(passes(&aggressive(), Format::Chat, &orphan.to_string()).is_empty());
}

#[test]
fn nothing_is_pointed_at_where_the_provider_edits_history() {
    let turns = [bash("npm test", &log()), bash("npm test", &log())];
    for (format, more) in [
        (
            Format::Messages,
            r#","context_management":{"edits":[{"type":"clear_tool_uses_20250919"}]}}"#,
        ),
        (Format::Responses, r#","truncation":"auto"}"#),
    ] {
        let body = body(format, &turns);
        assert_eq!(passes(&aggressive(), format, &body), ["repeat"]);
        let edited = format!("{}{more}", &body[..body.len() - 1]);
        assert!(passes(&aggressive(), format, &edited).is_empty());
        let near = [bash("npm test", &log()), bash("npm test", &log()[12..])];
        let body = super::body(format, &near);
        assert_eq!(passes(&aggressive(), format, &body), ["line-runs"]);
        let edited = format!("{}{more}", &body[..body.len() - 1]);
        assert!(passes(&aggressive(), format, &edited).is_empty());
    }
    for format in [Format::Messages, Format::Responses] {
        let after = Turn { compaction: true, ..bash("npm test", &log()) };
        let turns = [bash("npm test", &log()), after, bash("npm test", &log())];
        let sent = sent(&mut Counter::new(), &aggressive(), format, &body(format, &turns));
        assert_eq!(sent.matches("the same as all of").count(), 1);
        assert!(
            sent.contains("the same as all of tool result 1 above"),
            "counted from the compaction"
        );
    }
}

/// A source file of some lines, and as a tool shows it.
fn source(lines: std::ops::Range<usize>) -> (String, String) {
    let line = |line| format!("    let value_{line} = compute({line}, \"{line}\");");
    let plain: Vec<String> = lines.map(line).collect();
    let shown = plain.iter().zip(1..).map(|(line, number)| format!("{number:6}\u{2192}{line}\n"));
    let shown = shown.collect();
    (plain.join("\n"), shown)
}

/// Write, then read; read again when lines were put in front; the same where calls are parallel.
#[test]
fn what_a_tool_wrote_or_read_is_pointed_at() {
    let (plain, shown) = source(0..40);
    let (_, moved) = source(20..60);
    for format in FORMATS {
        let wrote = Turn {
            tool: "Write",
            input: json!({"file_path": "/a.rs", "content": plain}),
            ..bash("", "ok")
        };
        let read = |text: &str| Turn {
            tool: "Read",
            input: json!({"file_path": "/a.rs"}),
            ..bash("", text)
        };
        for (turns, want) in [
            (vec![wrote, read(&shown)], "lines 2-39 of \\\"content\\\" in tool call 1 above"),
            (vec![read(&shown), read(&moved)], "lines numbered 22-39 of tool result 1 above"),
        ] {
            let one_by_one = body(format, &turns);
            for body in [one_by_one.clone(), parallel(format, &turns).unwrap_or(one_by_one)] {
                let sent = sent(&mut Counter::new(), &Plan::of(Mode::Hybrid), format, &body);
                assert!(sent.contains(want), "{format:?} {want}\n{}", &sent[sent.len() - 3000..]);
                let strict = Plan::of(Mode::Strict);
                assert_eq!(passes(&strict, format, &body), ["numbers"]);
            }
        }
    }
}

/// The same with both calls in one message of the model, where the format has that.
fn parallel(format: Format, turns: &[Turn]) -> Option<String> {
    let list = match format {
        Format::Messages | Format::Chat => "messages",
        Format::Responses => "input",
        Format::Gemini => return None,
    };
    let mut whole: Value = serde_json::from_str(&body(format, turns)).ok()?;
    let all = whole[list].as_array_mut()?;
    let at = all.len() - 4;
    match format {
        Format::Messages => {
            for (first, second) in [(at, at + 2), (at + 1, at + 3)] {
                let more = all[second]["content"].as_array()?.clone();
                all[first]["content"].as_array_mut()?.extend(more);
            }
            all.truncate(at + 2);
        }
        Format::Chat => {
            let more = all[at + 2]["tool_calls"].as_array()?.clone();
            all[at]["tool_calls"].as_array_mut()?.extend(more);
            all.remove(at + 2);
        }
        _ => all.swap(at + 1, at + 2),
    }
    Some(whole.to_string())
}

#[test]
fn what_a_person_typed_stays_unless_it_is_large_and_the_level_allows() {
    let typed = |text: &str| Turn { typed: Some(text.to_owned()), ..bash("ls", "a") };
    for format in FORMATS {
        let recording = typed(&"\u{1b}[31mred\u{1b}[0m\n".repeat(50));
        let turns = [typed(&pretty()), typed(&log()), typed(&log()), typed("[1,  2]"), recording];
        let body = body(format, &turns);
        assert!(passes(&Plan::of(Mode::Strict), format, &body).is_empty());
        assert_eq!(
            passes(&Plan::of(Mode::Hybrid), format, &body),
            ["json-minify", "json-tables", "repeat"]
        );
    }
}

#[test]
fn levels_and_settings_can_be_set_apart_from_the_mode() {
    let plan = Plan::of(Mode::Strict);
    assert_eq!((plan.level, plan.threshold), (Level::Light, 4500));
    let plan = Plan::of(Mode::Hybrid);
    assert_eq!((plan.level, plan.threshold), (Level::Balanced, 4500));
    let plan = Plan::of(Mode::Aggressive);
    assert_eq!((plan.level, plan.threshold), (Level::Aggressive, 0));
    let body = body(Format::Chat, &[bash("npm test", &pretty())]);
    let keep = Plan { preserve_json: true, ..aggressive() };
    assert!(passes(&keep, Format::Chat, &body).is_empty());
    let far = Plan { threshold: 1_000_000, ..Plan::of(Mode::Strict) };
    let rewritten = rewrite(&mut Counter::new(), &far, Format::Chat, body.as_bytes());
    assert_eq!(rewritten.skip, Some(Skip::BelowThreshold));
    assert!(
        rewritten.before > 0 && rewritten.before == rewritten.after && rewritten.body.is_none()
    );
}

#[test]
fn each_reason_to_send_what_came_is_named() {
    let plain = body(Format::Chat, &[bash("npm test", "ok")]);
    let gain = body(Format::Chat, &[bash("npm test", &pretty())]);
    for (plan, body, want) in [
        (Plan::of(Mode::Off), &gain, Some("off")),
        (Plan::of(Mode::Hybrid), &plain, Some("nothing-to-gain")),
        (Plan { threshold: 90_000, ..Plan::of(Mode::Hybrid) }, &gain, Some("below-threshold")),
        (Plan::of(Mode::Hybrid), &"{".to_owned(), Some("unreadable")),
        (Plan::of(Mode::Hybrid), &gain, None),
    ] {
        let rewritten = rewrite(&mut Counter::new(), &plan, Format::Chat, body.as_bytes());
        assert_eq!(rewritten.skip.map(Skip::name), want);
        assert_eq!(rewritten.body.is_some(), want.is_none());
        assert_eq!(rewritten.before > 0, want != Some("unreadable"));
    }
}

/// Bodies without the long preamble, so that the floor bites.
fn small(mark: bool) -> String {
    let call = json!({"type": "tool_use", "id": "a", "name": "Bash", "input": {"command": "ls"}});
    let mut result = json!({"type": "tool_result", "tool_use_id": "a", "content": pretty()});
    if mark {
        result["cache_control"] = json!({"type": "ephemeral"});
    }
    json!({"messages": [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]})
        .to_string()
}

#[test]
fn a_cached_prompt_is_not_cut_below_what_can_be_cached() {
    assert_eq!(
        passes(&aggressive(), Format::Messages, &small(false)),
        ["json-minify", "json-tables"]
    );
    assert!(passes(&aggressive(), Format::Messages, &small(true)).is_empty());
    let call =
        json!([{"id": "a", "function": {"name": "Bash", "arguments": "{\"command\":\"ls\"}"}}]);
    let chat = |before: usize| {
        json!({"messages": [{"role": "user", "content": "word ".repeat(before)},
            {"role": "assistant", "tool_calls": call},
            {"role": "tool", "tool_call_id": "a", "content": pretty()}]})
        .to_string()
    };
    assert!(passes(&aggressive(), Format::Chat, &chat(1)).is_empty());
    assert_eq!(passes(&aggressive(), Format::Chat, &chat(1000)), ["json-minify", "json-tables"]);
}

#[test]
fn where_cache_marks_stand_changes_nothing_else() {
    let turns = random_session(&mut Random(7), 20);
    let mark = r#","cache_control":{"type":"ephemeral"}"#;
    let plain = body(Format::Messages, &turns);
    let unmarked = plain.replace(mark, "");
    let mut counter = Counter::new();
    let want = sent(&mut counter, &aggressive(), Format::Messages, &plain).replace(mark, "");
    assert_ne!(want, unmarked, "something was cut");
    let ends: Vec<usize> = unmarked.match_indices("\"is_error\":").map(|(at, _)| at - 1).collect();
    for end in ends {
        let moved = format!("{}{mark}{}", &unmarked[..end], &unmarked[end..]);
        let sent = sent(&mut counter, &aggressive(), Format::Messages, &moved);
        assert_eq!(sent.matches(mark).count(), 1);
        assert_eq!(sent.replace(mark, ""), want);
    }
}

#[test]
fn all_other_bytes_are_the_clients_own() {
    let text = pretty().replace('\n', "\\n").replace('"', "\\\"").replace("name", "n\\u0061me");
    let long = "word ".repeat(1500);
    let body = |text: &str| {
        format!(
            "\r\n{{ \"temperature\" : 1.0, \"seed\":9007199254740993,\"x\":1e400, \"x\":[ ],\n\
             \"messages\":[ {{\"role\":\"\\u0075ser\",\"content\":\"{long}\\u00e9 \\/\"}},\
             {{\"role\":\"assistant\",\"content\":\"\\ud83d\",\"tool_calls\":[{{\"id\":\"a\",\"function\":\
             {{\"name\":\"Bash\",\"arguments\":\"{{ \\\"command\\\":\\\"ls\\\" }}\"}}}}]}},\
             {{\"content\" :{text}, \"tool_call_id\":\"a\", \"role\":\"tool\",\"z\":\"\\ud800\"}} ],\"model\":\"m\" }} \n"
        )
    };
    let before = body(&format!("\"{text}\""));
    let rows: Vec<Value> = (0..60).map(|row| json!({"row": row, "name": "n"})).collect();
    let minified = json!(rows).to_string();
    let after = body(&json!(minified).to_string());
    let light = Plan { level: Level::Light, ..aggressive() };
    assert_eq!(sent(&mut Counter::new(), &light, Format::Chat, &before), after);
}

#[test]
fn text_that_is_no_text_is_left_alone() {
    // A lone surrogate cannot be decoded: the result is no candidate, the rest of the body is.
    let long = "word ".repeat(1500);
    let result = |text: &str| {
        format!(
            r#"{{"role":"assistant","tool_calls":[{{"id":"a","function":{{"name":"Bash","arguments":"{{\"command\":\"ls\"}}"}}}}]}},{{"role":"tool","tool_call_id":"a","content":{text}}}"#
        )
    };
    let lone = json!(pretty()).to_string().replace("\"n\\\"", "\\ud800\\\"");
    let good = json!(pretty()).to_string();
    let body = format!(
        r#"{{"messages":[{{"role":"user","content":"{long}"}},{},{}]}}"#,
        result(&lone),
        result(&good)
    );
    let sent = sent(&mut Counter::new(), &aggressive(), Format::Chat, &body);
    assert!(sent.contains(&lone) && !sent.contains(&good) && sent.len() < body.len());
}

#[test]
fn images_and_base64_are_not_read_as_text() {
    let image = |data: &str| {
        let source = json!({"type": "base64", "media_type": "image/png", "data": data});
        json!({"messages": [{"role": "user", "content": [{"type": "image", "source": source}]}]})
            .to_string()
    };
    let count = |body: &str| {
        rewrite(&mut Counter::new(), &aggressive(), Format::Messages, body.as_bytes()).before
    };
    assert_eq!(count(&image("aW1n")), 1000 + 8 + 4);
    assert_eq!(count(&image(&"aW1n".repeat(10_000))), 1000 + 8 + 4);
}

/// Tokens saved in strict, hybrid and aggressive. A change here is a
/// change of what users get, and moves the bytes that their providers have cached.
#[test]
fn the_corpus_saves_what_it_saved() {
    let mut counter = Counter::new();
    let mut all = Vec::new();
    for (name, format, body) in corpus() {
        let saved = MODES.map(|mode| {
            let rewritten = rewrite(&mut counter, &Plan::of(mode), format, body.as_bytes());
            rewritten.before - rewritten.after
        });
        if saved != [0; 3] {
            all.push((name.split('.').next().unwrap_or_default().to_owned(), saved));
        }
    }
    let want = [
        ("agent-claude-code-1", [5238, 14905, 15089]),
        ("agent-claude-code-2", [7954, 8330, 8330]),
        ("agent-claude-code-5", [4958, 5026, 5026]),
        ("agent-claude-code-6", [1490, 6095, 6095]),
        ("agent-openhands-1", [1594, 2901, 3344]),
        ("agent-pi-1", [105, 12279, 12279]),
        ("agent-reads-1", [0, 1243, 1243]),
        ("agent-swe-1", [0, 1529, 1570]),
        ("agent-swe-3", [0, 2758, 2799]),
        ("ci-terminal-1", [81974, 89479, 100163]),
        ("ci-terminal-2", [2384, 2384, 36213]),
        ("diff-review-1", [0, 352, 18553]),
        ("json-github-1", [3275, 7847, 7847]),
        ("json-scan-1", [11863, 25676, 30356]),
        ("json-stripe-1", [3789, 4283, 5422]),
        ("log-auth-1", [21604, 29235, 45410]),
        ("log-auth-2", [3488, 10953, 23140]),
        ("log-server-1", [0, 40721, 49009]),
        ("mcp-atlassian-1", [3423, 4479, 5335]),
        ("mcp-browser-1", [0, 5227, 23042]),
        ("tool-build-1", [0, 22101, 43945]),
        ("tool-grep-1", [0, 0, 8711]),
    ];
    if !all.is_empty() {
        assert_eq!(all, want.map(|(name, saved)| (name.to_owned(), saved)));
    }
}
