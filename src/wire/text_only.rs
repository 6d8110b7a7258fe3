//! Whether a request is nothing but text that we see: then its bill teaches how the provider counts.
//!
//! Pictures, documents, what the provider's own tools fetch and history that it keeps are billed,
//! but not in the body. The search is for words, not by structure: one false alarm in a schema
//! costs one lesson, and it runs when the request has left.

use memchr::memchr_iter;

/// Values of `"type"` that stand for more than their text; a longer word that begins so as well
/// (`web_search_20250305`, `image_url`).
const TYPES: &[&str] = &[
    "image",
    "input_image",
    "document",
    "file",
    "input_file",
    "audio",
    "input_audio",
    "video",
    "search_result",
    "container_upload",
    "item_reference",
    "compaction",
    // What the provider's own tools put in, and did: their definitions and instructions are not here.
    "web_search",
    "web_fetch",
    "code_execution",
    "code_interpreter",
    "computer",
    "mcp",
    "server_tool_use",
    "bash",
    "text_editor",
    "memory",
    "advisor",
    "shell",
    "local_shell",
    "apply_patch",
    "program",
    // Tools whose definitions come later, from elsewhere.
    "tool_search",
    "tool_reference",
    "skill",
    // Thoughts that only the provider can read.
    "redacted_thinking",
];

const TYPE: &[u8] = b"\"type\"";

/// Keys that bring in what the body does not show, or leave out what it does, unless their value is null,
/// false, or a schema's: a tool may have a parameter of that name.
const KEYS: &[&str] = &[
    "\"defer_loading\"",
    "\"container\"",
    "\"skills\"",
    "\"thread\"",
    "\"thread_id\"",
    "\"encrypted_content\"",
    "\"previous_interaction_id\"",
    "\"previous_response_id\"",
    "\"conversation\"",
    "\"thread\"",
    "\"transforms\"",
    "\"plugins\"",
    "\"truncate_prompt_tokens\"",
    "\"context_management\"",
    "\"mcp_servers\"",
    "\"web_search_options\"",
    "\"cachedContent\"",
    "\"cached_content\"",
    "\"inlineData\"",
    "\"inline_data\"",
    "\"fileData\"",
    "\"file_data\"",
    "\"googleSearch\"",
    "\"google_search\"",
    "\"urlContext\"",
    "\"url_context\"",
    "\"codeExecution\"",
    "\"code_execution\"",
];

/// Whether all that the provider will bill as input is text in this body. In a text the quotes of a
/// key would be escaped, so one search for quotes finds all keys.
pub(crate) fn is_text_only(body: &[u8]) -> bool {
    let is_foreign = |at: usize| {
        let rest = &body[at..];
        let is_type = |value: &[u8]| {
            let word = value.strip_prefix(b"\"");
            word.is_some_and(|word| TYPES.iter().any(|kind| word.starts_with(kind.as_bytes())))
        };
        // Most quotes end a text, and no key begins like what follows it.
        let Some(first) = rest.get(1) else { return false };
        (*first == b't' && value(rest, TYPE).is_some_and(is_type))
            || KEYS.iter().any(|key| {
                key.as_bytes()[1] == *first
                    && value(rest, key.as_bytes()).is_some_and(|value| !is_nothing(value))
            })
    };
    !memchr_iter(b'"', body).any(is_foreign)
}

/// Whether a value turns something off, or describes a parameter.
fn is_nothing(value: &[u8]) -> bool {
    let inside = value.strip_prefix(b"{").map(<[u8]>::trim_ascii_start);
    let is_schema = inside.is_some_and(|inside| {
        ["\"type\"", "\"description\"", "\"anyOf\""]
            .iter()
            .any(|key| inside.starts_with(key.as_bytes()))
    });
    is_schema || value.starts_with(b"null") || value.starts_with(b"false")
}

/// The value behind this key, if that is what stands here.
fn value<'a>(rest: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let rest = rest.strip_prefix(key)?.trim_ascii_start();
    rest.strip_prefix(b":").map(<[u8]>::trim_ascii_start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_text_teaches() {
        check(r#"{"messages":[{"content":[{"type":"text","text":"an \"image\""}]}]}"#, true);
        check(r#"{"content":"{\"type\":\"image\"}"}"#, true);
        check(r#"{"tools":[{"input_schema":{"type":"object","image":{"type":"string"}}}]}"#, true);
        check(r#"{"previous_response_id": null, "conversation":null}"#, true);
        check(r#"{"content":[{"type" : "image_url","image_url":{}}]}"#, false);
        check(r#"{"content":[{"type":"document","source":{}}]}"#, false);
        check(r#"{"tools":[{"type":"web_search_20250305"}]}"#, false);
        check(r#"{"previous_response_id": "resp_1"}"#, false);
        check(r#"{"parts":[{"inlineData":{}}]}"#, false);

        check(r#"{"tools":[{"name":"t","defer_loading":false}],"container":null}"#, true);
        let schema = r#"{"tools":[{"input_schema":{"properties":{"container":{"type":"string"},"thread": { "description":"which"}}}}]}"#;
        check(schema, true);

        #[track_caller]
        fn check(body: &str, want: bool) {
            assert_eq!(is_text_only(body.as_bytes()), want, "{body}");
        }
    }
    /// What requests hold that their bill counts otherwise than we do. Each row is one thing alone in an
    /// otherwise plain request.
    #[test]
    fn requests_that_are_counted_otherwise_teach_nothing() {
        const ODD: &[(&str, &str)] = &[
            ("deferred tools", r#""tools":[{"name":"t","defer_loading":true}]"#),
            ("deferred tools", r#""tools":[{"name":"t","defer_loading" : true}]"#),
            (
                "deferred tools, looked up",
                r#""tools":[{"type":"tool_search_tool_regex_20251119"}]"#,
            ),
            ("deferred tools, found", r#""content":[{"type":"tool_reference","tool_name":"t"}]"#),
            ("deferred tools, found", r#""content":[{"type":"tool_search_tool_result"}]"#),
            ("OpenAI's deferred tools", r#""input":[{"type":"tool_search_output"}]"#),
            ("a thread", r#""thread":{"id":"thread_1"}"#),
            ("a thread", r#""thread_id":"thread_1""#),
            ("a conversation", r#""conversation":"conv_1""#),
            ("an earlier response", r#""previous_response_id":"resp_1""#),
            ("an earlier interaction", r#""previous_interaction_id":"i_1""#),
            ("a container", r#""container":"container_1""#),
            ("a container with skills", r#""container":{"id":"c","skills":[{"skill_id":"pdf"}]}"#),
            ("skills", r#""skills":[{"type":"anthropic","skill_id":"xlsx"}]"#),
            ("code execution", r#""tools":[{"type":"code_execution_20250825"}]"#),
            ("code execution, its result", r#""content":[{"type":"code_execution_tool_result"}]"#),
            (
                "code execution, a shell's",
                r#""content":[{"type":"bash_code_execution_tool_result"}]"#,
            ),
            (
                "code execution, an editor's",
                r#""content":[{"type":"text_editor_code_execution_tool_result"}]"#,
            ),
            (
                "OpenAI's code",
                r#""tools":[{"type":"code_interpreter","container":{"type":"auto"}}]"#,
            ),
            ("Google's code", r#""tools":[{"codeExecution":{}}]"#),
            ("an advisor", r#""tools":[{"type":"advisor_20260301"}]"#),
            ("an advisor's result", r#""content":[{"type":"advisor_tool_result"}]"#),
            ("a shell", r#""tools":[{"type":"shell"}]"#),
            ("a shell's result", r#""input":[{"type":"shell_call_output"}]"#),
            ("a local shell's result", r#""input":[{"type":"local_shell_call_output"}]"#),
            ("a patch's result", r#""input":[{"type":"apply_patch_call_output"}]"#),
            ("a program", r#""input":[{"type":"program_output"}]"#),
            ("bash", r#""tools":[{"type":"bash_20250124","name":"bash"}]"#),
            ("an editor", r#""tools":[{"type":"text_editor_20250728"}]"#),
            ("memory", r#""tools":[{"type":"memory_20250818"}]"#),
            ("a call of a tool of theirs", r#""content":[{"type":"server_tool_use"}]"#),
            ("a search", r#""tools":[{"type":"web_search_20250305"}]"#),
            ("a search's result", r#""content":[{"type":"web_search_tool_result"}]"#),
            ("what was fetched", r#""content":[{"type":"web_fetch_tool_result"}]"#),
            ("MCP", r#""mcp_servers":[{"url":"https://a"}]"#),
            ("MCP", r#""content":[{"type":"mcp_tool_result"}]"#),
            ("edits of the history", r#""context_management":{"edits":[]}"#),
            ("a compaction", r#""content":[{"type":"compaction"}]"#),
            ("hidden thoughts", r#""content":[{"type":"redacted_thinking","data":"x"}]"#),
            ("hidden thoughts", r#""input":[{"type":"reasoning","encrypted_content":"x"}]"#),
            ("a picture", r#""content":[{"type":"image"}]"#),
            ("a file", r#""content":[{"type":"input_file"}]"#),
            ("sound", r#""content":[{"type":"input_audio"}]"#),
            ("what is cached elsewhere", r#""cachedContent":"cachedContents/1""#),
        ];
        let plain = r#""messages":[{"role":"user","content":"hello"}]"#;
        assert!(is_text_only(format!("{{{plain}}}").as_bytes()));
        for (what, member) in ODD {
            for body in [format!("{{{member},{plain}}}"), format!("{{{plain}, {member}}}")] {
                assert!(!is_text_only(body.as_bytes()), "{what}: {body}");
            }
            // Spoken of within a text, it is none.
            let quoted = serde_json::to_string(member).unwrap();
            let body = format!(r#"{{"messages":[{{"role":"user","content":{quoted}}}]}}"#);
            assert!(is_text_only(body.as_bytes()), "{what}: {body}");
        }
    }
}
