//! Asks for the usage of a Chat stream on the client's behalf, and takes the answer to that out
//! again: the client did not ask.

use memchr::memmem;

use crate::json::{Reader, Span};

/// The body with `stream_options.include_usage` at a place that `Prompt::options_at` gives: behind its
/// `"stream":true`. `None` if that is not there.
pub(crate) fn inject(body: &[u8], at: usize) -> Option<Vec<u8>> {
    let (before, behind) = body.split_at_checked(at)?;
    let option = br#","stream_options":{"include_usage":true}"#;
    before.ends_with(b"true").then(|| [before, option, behind].concat())
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
    use crate::wire::{Format, prompt};

    #[test]
    fn option_is_spliced_into_streamed_requests_without_options() {
        check(
            r#" "stream" : true , "x":1.0"#,
            Some(r#" "stream" : true,"stream_options":{"include_usage":true} , "x":1.0"#),
        );
        check(r#""stream":false"#, None);
        check(r#""x":1"#, None);
        check("", None);
        check(r#""stream":true,"stream_options":null"#, None);
        check(r#""stream_options":{"include_usage":false},"stream":true"#, None);
        check(r#""stream":true,"stream_opti\u006fns":{}"#, None);
        check(r#""stream":true,"stream":true"#, None);
        check(r#""stream":true}"#, None);
        assert_eq!(inject(b"{}", 1), None);
        assert_eq!(inject(b"{}", 9), None);

        const MESSAGES: &str = r#""messages":[{"role":"user","content":"Hello"}]"#;

        #[track_caller]
        fn check(members: &str, want: Option<&str>) {
            for (front, back) in [(MESSAGES, ""), ("", MESSAGES)] {
                let comma = ",".repeat(usize::from(!members.is_empty()));
                let (front, back) = match front.is_empty() {
                    true => (String::new(), format!("{comma}{back}")),
                    false => (format!("{front}{comma}"), String::new()),
                };
                let body = format!("{{{front}{members}{back}}}");
                let prompt = prompt::read(Format::Chat, body.as_bytes());
                // As it is sent: its messages have become shorter.
                let sent = body.replace("Hello", "Hi");
                let at = prompt.and_then(|prompt| prompt.options_at(body.len(), sent.len()));
                let asking = at.and_then(|at| inject(sent.as_bytes(), at));
                let asking = asking.map(|body| String::from_utf8(body).unwrap());
                let want = want.map(|members| format!("{{{front}{members}{back}}}"));
                assert_eq!(asking, want.map(|want| want.replace("Hello", "Hi")), "{body}");
            }
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
