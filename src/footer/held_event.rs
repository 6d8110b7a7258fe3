//! An event whose end has not come: it is held back until it shows that nobody changes it.

use memchr::{memchr, memmem};

/// As much of a stream is held back at most, in bytes. An event that is longer is none of those that we
/// change; from there on nothing is.
pub(super) const HOLD_BYTES_MAX: usize = 64 * 1024;

/// What has come of it.
#[derive(Default)]
pub(super) struct HeldEvent {
    pub(super) bytes: Vec<u8>,
    pub(super) data: Vec<u8>,
    pub(super) has_data: bool,
    /// How many of its bytes have left already.
    pub(super) gone: usize,
}

impl HeldEvent {
    pub(super) fn extend(&mut self, bytes: &[u8], data: Option<&[u8]>) {
        self.bytes.extend_from_slice(bytes);
        self.data.extend_from_slice(data.unwrap_or_default());
        self.has_data |= data.is_some();
    }

    /// Nothing is held, and the buffers are kept.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.data.clear();
        (self.has_data, self.gone) = (false, 0);
    }

    /// What of it has not left yet, and leaves now.
    pub(super) fn let_go(&mut self) -> &[u8] {
        let from = std::mem::replace(&mut self.gone, self.bytes.len());
        &self.bytes[from..]
    }

    pub(super) fn is_settled(&self) -> bool {
        is_settled(&self.bytes, &self.data)
    }
}

/// Where the beginning of an event is looked at.
const SETTLED_BYTES: usize = 4 * 1024;

/// A text that has begun behind one of these is in no event that ends an answer.
const TEXTS: [&[u8]; 2] = [b"content\":", b"arguments\":"];

/// With these begin the data of all events that are changed, in whatever order they are written.
const FIRST_KEYS: &[&[u8]] = &[
    b"choices",
    b"content_block",
    b"created",
    b"delta",
    b"id",
    b"index",
    b"message",
    b"model",
    b"object",
    b"provider",
    b"service_tier",
    b"system_fingerprint",
    b"type",
    b"usage",
];

/// Whether the beginning of an event, and of its data, shows that it is none that is changed or waits:
/// it brings text, or is of no format that we know.
pub(super) fn is_settled(begun: &[u8], data: &[u8]) -> bool {
    let begun = &begun[..begun.len().min(SETTLED_BYTES)];
    let has_text = |key: &&[u8]| {
        memmem::find_iter(begun, key).any(|at| {
            let value = begun[at + key.len()..].trim_ascii_start();
            matches!(value, [b'"', first, ..] if *first != b'"')
        })
    };
    memmem::find(begun, b"content_block_delta").is_some()
        || TEXTS.iter().any(has_text)
        || is_foreign(&data[..data.len().min(SETTLED_BYTES)])
}

/// Data that is neither an object as providers write them nor `[DONE]`.
fn is_foreign(data: &[u8]) -> bool {
    let line = data.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii_start();
    let Some(inner) = line.strip_prefix(b"{") else {
        return !line.is_empty() && !line.starts_with(b"[");
    };
    match inner.trim_ascii_start() {
        [] => false,
        [b'"', key @ ..] => memchr(b'"', key).is_some_and(|end| !FIRST_KEYS.contains(&&key[..end])),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_left_early_does_not_leave_again() {
        let mut held = HeldEvent::default();
        held.extend(b"data: a", Some(b"a"));
        assert_eq!(held.let_go(), b"data: a");
        held.extend(b"b", Some(b"b"));
        assert_eq!((&*held.data, held.gone), (&b"ab"[..], 7));
        assert_eq!(held.let_go(), b"b");
        held.clear();
        assert_eq!(held.let_go(), b"");
    }

    #[test]
    fn beginnings_that_settle_the_matter_are_told() {
        check("event: content_block_delta", true);
        check(r#"data: {"id":"1","choices":[{"index":0,"delta":{"content":"a"#, true);
        check(r#"data: {"id": "1", "choices": [{"delta": {"content": "a"#, true);
        check(r#"data: {"id":"1","choices":[{"delta":{"reasoning_content":"a"#, true);
        check(r#"data: {"id":"1","choices":[{"delta":{"content":""},"finish"#, false);
        check(r#"data: {"id":"1","choices":[{"delta":{"content":""#, false);
        check(r#"data: {"id":"1","choices":[{"delta":{},"finish_reason":"stop"#, false);
        check("event: message_delta\n", false);
        check(r#"data: {"type":"message_delta","delta":{"stop"#, false);
        check("data: caf", true);
        check("data: [DON", false);
        check(r#"data: {"text":"caf"#, true);
        check(r#"data: {"te"#, false);
        for begun in ["", "da", "data:", "data: ", "data: {", "event: x", "event: x\ndata: {\""] {
            check(begun, false);
        }

        #[track_caller]
        fn check(begun: &str, want: bool) {
            let data = begun.split_once("data:").map_or("", |(_, data)| data);
            assert_eq!(is_settled(begun.as_bytes(), data.as_bytes()), want, "{begun}");
        }
    }
}
