//! Asks for the usage of a Chat stream on the client's behalf, and takes the answer to that out
//! again: the client did not ask.

use memchr::memmem;

use crate::json::{Reader, Span};

/// The body with `stream_options.include_usage` behind its `stream`. `None` if it asks for no
/// stream, has options of its own, or is not understood.
pub(crate) fn inject(body: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(body).ok()?;
    let mut reader = Reader::new(text);
    let (_, [stream, options]) = reader.members(["stream", "stream_options"])?;
    reader.end()?;
    let stream = stream.filter(|span| options.is_none() && &text[span.clone()] == "true")?;
    let option = br#","stream_options":{"include_usage":true}"#;
    Some([&body[..stream.end], option, &body[stream.end..]].concat())
}

/// Whether an event's data is the chunk that only the option brings: usage, and no choices.
pub(crate) fn is_usage_chunk(data: &str) -> bool {
    // Nearly every chunk has a choice, and is not read for this.
    let word = memmem::find(data.as_bytes(), b"\"usage\"");
    let read = || Reader::new(data).members(["choices", "usage"]);
    let Some((_, [Some(choices), Some(usage)])) = word.and_then(|_| read()) else { return false };
    let is_empty = |span: Span| data[span].strip_prefix('[').is_some_and(|rest| rest.trim() == "]");
    is_empty(choices) && data[usage].starts_with('{')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn option_is_spliced_into_streamed_requests_without_options() {
        check(
            r#"{ "stream" : true , "x":1.0}"#,
            Some(r#"{ "stream" : true,"stream_options":{"include_usage":true} , "x":1.0}"#),
        );
        check(r#"{"stream":false}"#, None);
        check(r#"{"x":1}"#, None);
        check(r#"{"stream":true,"stream_options":null}"#, None);
        check(r#"{"stream":true,"stream_options":{"include_usage":false}}"#, None);
        check(r#"{"stream":true,"stream":true}"#, None);
        check(r#"{"stream":true}}"#, None);

        #[track_caller]
        fn check(body: &str, want: Option<&str>) {
            let body = inject(body.as_bytes()).map(|body| String::from_utf8(body).unwrap());
            assert_eq!(body.as_deref(), want);
        }
    }

    #[test]
    fn usage_chunk_is_told_from_others() {
        assert!(is_usage_chunk(r#"{"choices":[],"usage":{"prompt_tokens":1}}"#));
        assert!(is_usage_chunk(r#"{"choices": [ ], "usage": {}}"#));
        assert!(!is_usage_chunk(r#"{"choices":[],"usage":null}"#));
        assert!(!is_usage_chunk(r#"{"choices":[{}],"usage":{}}"#));
        assert!(!is_usage_chunk(r#"{"choices":[],"prompt_filter_results":[]}"#));
        assert!(!is_usage_chunk("[DONE]"));
    }
}
