//! The strings in the arguments of a tool call: files that were written, lines that were replaced.

use std::borrow::Cow;
use std::sync::Arc;

use crate::json::{self, Reader, Span};

/// Arguments nest this deep at most; what is deeper is not looked at.
const DEPTH_MAX: usize = 6;

/// Keys that lead to a string are no longer than this together, in bytes: they are kept with each string,
/// and stand in each marker that points at it.
const KEY_BYTES_MAX: usize = 200;

/// Calls `each` with every string of an input and the keys that lead to it, dots between them. An
/// input that is no JSON, or is one string, is free text and has no key.
pub(super) fn strings<'b>(
    input: Cow<'b, str>,
    mut each: impl FnMut(Option<Arc<str>>, Cow<'b, str>),
) {
    match input {
        Cow::Borrowed(text) if text.starts_with(['{', '[']) => walk(text, &mut each),
        Cow::Owned(text) if text.starts_with(['{', '[']) && json::is_value(&text) => {
            walk(&text, &mut |key, text| each(key, Cow::Owned(text.into_owned())));
        }
        text => each(None, text),
    }
}

fn walk<'b>(text: &'b str, each: &mut impl FnMut(Option<Arc<str>>, Cow<'b, str>)) {
    let mut key = String::new();
    // What is not valid after all ends the walk; what was found before is there all the same.
    let _ = value(text, 0..text.len(), &mut key, DEPTH_MAX, each);
}

fn value<'b>(
    text: &'b str,
    span: Span,
    key: &mut String,
    depth: usize,
    each: &mut impl FnMut(Option<Arc<str>>, Cow<'b, str>),
) -> Option<()> {
    let mut reader = Reader::within(text, &span);
    match reader.peek() {
        b'"' => {
            if let Some(decoded) = json::decode(&text[span]) {
                each(Some(key.as_str().into()), decoded);
            }
        }
        b'{' if depth > 0 => reader.object(|reader, name| {
            let inner = reader.value()?;
            below(key, name, |key| value(text, inner, key, depth - 1, each))
        })?,
        b'[' if depth > 0 => {
            let mut index = 0;
            reader.array(|reader| {
                let inner = reader.value()?;
                index += 1;
                below(key, &index.to_string(), |key| value(text, inner, key, depth - 1, each))
            })?;
        }
        _ => {}
    }
    Some(())
}

fn below(
    key: &mut String,
    name: &str,
    inner: impl FnOnce(&mut String) -> Option<()>,
) -> Option<()> {
    let length = key.len();
    if length + 1 + name.len() > KEY_BYTES_MAX {
        return Some(());
    }
    if length > 0 {
        key.push('.');
    }
    key.push_str(name);
    let result = inner(key);
    key.truncate(length);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_named_by_their_keys() {
        check(r#"{"path":"a","content":"x\ny"}"#, &[("path", "a"), ("content", "x\ny")]);
        check(
            r#"{"edits":[{"new":"a"},{"new":"b"}],"n":1,"o":null}"#,
            &[("edits.1.new", "a"), ("edits.2.new", "b")],
        );
        check(r#"["bash","-lc"]"#, &[("1", "bash"), ("2", "-lc")]);
        check("*** Begin Patch", &[("", "*** Begin Patch")]);
        check(r#"{"a":"\ud800","b":"c"}"#, &[("b", "c")]);
        check(&format!("{}\"deep\"{}", "[".repeat(9), "]".repeat(9)), &[]);
        check(&format!(r#"{{"{}":{{"a":"b"}},"c":"d"}}"#, "k".repeat(200)), &[("c", "d")]);

        #[track_caller]
        fn check(input: &str, want: &[(&str, &str)]) {
            for input in [Cow::Borrowed(input), Cow::Owned(input.to_owned())] {
                let mut found = Vec::new();
                strings(input, |key, text| found.push((key.unwrap_or_default(), text)));
                let found: Vec<_> = found.iter().map(|(key, text)| (&**key, &**text)).collect();
                assert_eq!(found, want);
            }
        }
    }
}
