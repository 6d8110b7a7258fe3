//! Pass 2: white space outside the strings of a text that is one JSON object or array.
//!
//! Nothing is decoded, so the spelling of numbers, escapes and keys stays as it was, and a text
//! that is anything else beside JSON stays whole.

use std::borrow::Cow;

use crate::json;

pub(crate) fn minify(text: &str) -> Cow<'_, str> {
    let is_container = text.trim_start().starts_with(['{', '[']);
    if !is_container || !json::is_value(text) {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        at = match bytes[at] {
            b'"' => json::string_end(bytes, at).unwrap_or(bytes.len()),
            b' ' | b'\n' | b'\r' | b'\t' => {
                at += 1;
                continue;
            }
            _ => at + 1,
        };
        out.push_str(&text[start..at]);
    }
    if out.len() == text.len() { Cow::Borrowed(text) } else { Cow::Owned(out) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_goes_and_spelling_stays() {
        check("{ \"a\" : 1.0,\n\t\"b\": [ 1e400, 2 ] }\r\n", "{\"a\":1.0,\"b\":[1e400,2]}");
        check(
            r#"[ "a \" b", "\u00e9\/", "\ud800", 9007199254740993 ]"#,
            r#"["a \" b","\u00e9\/","\ud800",9007199254740993]"#,
        );
        check(r#"{ "a": 1, "a": 2 }"#, r#"{"a":1,"a":2}"#);
        check("[\u{a0}]", "[\u{a0}]");
        check("not json {", "not json {");
        check("{ \"a\": 1 }\n{ \"a\": 2 }", "{ \"a\": 1 }\n{ \"a\": 2 }");
        check("\u{feff}{ }", "\u{feff}{ }");
        check(" 12 ", " 12 ");
        check("", "");

        #[track_caller]
        fn check(text: &str, want: &str) {
            assert_eq!(minify(text), want);
            assert!(matches!(minify(want), Cow::Borrowed(_)), "a second run must change nothing");
        }
    }
}
