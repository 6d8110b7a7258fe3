//! Whether a request is nothing but text that we see: then its bill teaches how the provider counts.
//!
//! Pictures, documents, what the provider's own tools fetch and history that it keeps are billed,
//! but not in the body. The search is for words, not by structure: one false alarm in a schema
//! costs one lesson, and it runs when the answer is over.

use memchr::memmem;

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

/// Keys that bring in what the body does not show, unless their value is null.
const KEYS: &[&str] = &[
    "\"previous_response_id\"",
    "\"conversation\"",
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

/// Whether all that the provider will bill as input is text in this body.
pub(crate) fn is_text_only(body: &[u8]) -> bool {
    let is_foreign = |value: &[u8]| {
        let word = value.strip_prefix(b"\"");
        word.is_some_and(|word| TYPES.iter().any(|kind| word.starts_with(kind.as_bytes())))
    };
    let is_said = |key: &&str| values(body, key).any(|value| !value.starts_with(b"null"));
    !values(body, "\"type\"").any(is_foreign) && !KEYS.iter().any(is_said)
}

/// What follows each place where the word is a key. In a text its quotes would be escaped.
fn values<'a>(body: &'a [u8], key: &'a str) -> impl Iterator<Item = &'a [u8]> {
    memmem::find_iter(body, key).filter_map(move |at| {
        let rest = body[at + key.len()..].trim_ascii_start();
        rest.strip_prefix(b":").map(<[u8]>::trim_ascii_start)
    })
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
