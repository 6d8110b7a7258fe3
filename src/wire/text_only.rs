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
    "web_search",
    "web_fetch",
    "code_execution",
    "code_interpreter",
    "computer",
    "mcp",
];

const TYPE: &[u8] = b"\"type\"";

/// Keys that bring in what the body does not show, unless their value is null.
const KEYS: &[&str] = &[
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
        match rest.get(1) {
            Some(b't') => value(rest, TYPE).is_some_and(is_type),
            Some(first) => KEYS.iter().any(|key| {
                key.as_bytes()[1] == *first
                    && value(rest, key.as_bytes()).is_some_and(|value| !value.starts_with(b"null"))
            }),
            None => false,
        }
    };
    !memchr_iter(b'"', body).any(is_foreign)
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

        #[track_caller]
        fn check(body: &str, want: bool) {
            assert_eq!(is_text_only(body.as_bytes()), want, "{body}");
        }
    }
}
