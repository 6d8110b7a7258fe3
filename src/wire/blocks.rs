//! A stream of events cut into its blocks, for those who change it.
//!
//! Unlike `sse`, which lets every byte pass, this holds an event back until its blank line has
//! come, or until its beginning shows that nobody changes it (`is_settled`): then the rest leaves as
//! it comes. A comment is handed on with its line.

use std::borrow::Cow;

use memchr::{memchr, memchr_iter, memmem};

use super::sse::BYTE_ORDER_MARK;

/// As much of a stream is held back at most. An event that is longer is none of those that we change;
/// from there on nothing is.
pub(crate) const HOLD_BYTES_MAX: usize = 64 * 1024;

/// The beginning of a block whose end has not come.
#[derive(Default)]
pub(crate) struct Blocks {
    held: Vec<u8>,
    /// How much of it has left already.
    gone: usize,
    /// Where the current line begins, and how far it has been searched for its end.
    line: usize,
    searched: usize,
    /// The last byte was a CR, and an LF must follow.
    after_cr: bool,
    /// The stream's first bytes have been looked at.
    has_begun: bool,
}

impl Blocks {
    /// Takes the next bytes and hands on each block that is complete, with its blank line and the
    /// number of its bytes that have left. False: the stream has something else than blocks, and
    /// what is held back must pass.
    pub(crate) fn feed(&mut self, bytes: &[u8], mut sink: impl FnMut(&[u8], usize)) -> bool {
        // The same whether they came at once or one by one.
        let fine = self.bare_cr(bytes).unwrap_or(bytes.len());
        self.held.extend_from_slice(&bytes[..fine]);
        let mut start = self.mark_bytes();
        if start > 0 {
            sink(&self.held[..start], 0);
            (self.line, self.searched) = (start, start);
        }
        let mut is_fine = fine == bytes.len();
        while let Some(at) = memchr(b'\n', &self.held[self.searched..]) {
            let end = self.searched + at + 1;
            let line = &self.held[self.line..end];
            let is_comment = self.line == start && line.starts_with(b":");
            if end - start > HOLD_BYTES_MAX {
                is_fine = false;
                break;
            }
            if is_comment || matches!(line, b"\n" | b"\r\n") {
                sink(&self.held[start..end], std::mem::take(&mut self.gone));
                start = end;
            }
            (self.line, self.searched) = (end, end);
        }
        self.held.drain(..start);
        self.line = self.line.saturating_sub(start);
        self.searched = self.held.len();
        self.held.extend_from_slice(&bytes[fine..]);
        is_fine && self.held.len() <= HOLD_BYTES_MAX
    }

    /// Where a CR shows that no LF follows. Lines may end in CR alone, too; nobody does that, and we do
    /// not cut such streams into blocks.
    fn bare_cr(&mut self, bytes: &[u8]) -> Option<usize> {
        let is_bare = |at: &usize| bytes.get(*at).is_some_and(|next| *next != b'\n');
        let first = self.after_cr.then_some(0);
        let mut behind = first.into_iter().chain(memchr_iter(b'\r', bytes).map(|at| at + 1));
        let found = behind.find(is_bare);
        self.after_cr = bytes.ends_with(b"\r") || bytes.is_empty() && self.after_cr;
        found
    }

    /// The length of a byte order mark before the first line.
    fn mark_bytes(&mut self) -> usize {
        let may_be = self.held.len() < BYTE_ORDER_MARK.len();
        if self.has_begun || may_be && BYTE_ORDER_MARK.starts_with(&self.held) {
            return 0;
        }
        self.has_begun = true;
        if self.held.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 }
    }

    /// Whether some of it is held back.
    pub(crate) fn is_holding(&self) -> bool {
        self.held.len() > self.gone
    }

    /// The beginning of a block whose end has not come.
    pub(crate) fn begun(&self) -> &[u8] {
        &self.held
    }

    /// What of it has not left yet, and leaves now.
    pub(crate) fn let_go(&mut self) -> &[u8] {
        let from = std::mem::replace(&mut self.gone, self.held.len());
        &self.held[from..]
    }

    /// What is held back, and how much of it has left.
    pub(crate) fn take(&mut self) -> (Vec<u8>, usize) {
        (self.line, self.searched) = (0, 0);
        (std::mem::take(&mut self.held), std::mem::take(&mut self.gone))
    }
}

/// Where the first event ends, its blank line included; `None` if that has not come. A blank line at the
/// beginning may end an event whose other lines have come before.
pub(crate) fn event_end(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [b'\n', ..] => return Some(1),
        [b'\r', b'\n', ..] => return Some(2),
        _ => {}
    }
    memchr_iter(b'\n', bytes).find_map(|at| match &bytes[at + 1..] {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

/// Where the beginning of a block is looked at.
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

/// Whether the beginning of a block shows that the block is none that is changed or waits: it
/// brings text, or is of no format that we know.
pub(crate) fn is_settled(begun: &[u8]) -> bool {
    let begun = &begun[..begun.len().min(SETTLED_BYTES)];
    let has_text = |key: &&[u8]| {
        memmem::find_iter(begun, key).any(|at| {
            let value = begun[at + key.len()..].trim_ascii_start();
            matches!(value, [b'"', first, ..] if *first != b'"')
        })
    };
    memmem::find(begun, b"content_block_delta").is_some()
        || TEXTS.iter().any(has_text)
        || is_foreign(begun)
}

/// Data that is neither an object as providers write them nor `[DONE]`.
fn is_foreign(begun: &[u8]) -> bool {
    let mut lines = begun.split(|byte| *byte == b'\n');
    let Some(data) = lines.find_map(|line| line.strip_prefix(b"data:")) else { return false };
    let data = data.trim_ascii_start();
    let Some(inner) = data.strip_prefix(b"{") else {
        return !data.is_empty() && !data.starts_with(b"[");
    };
    match inner.trim_ascii_start() {
        [] => false,
        [b'"', key @ ..] => memchr(b'"', key).is_some_and(|end| !FIRST_KEYS.contains(&&key[..end])),
        _ => true,
    }
}

/// The data of a block; `None` if it has none, or is not text.
pub(crate) fn data(block: &[u8]) -> Option<Cow<'_, str>> {
    let block = std::str::from_utf8(block).ok()?;
    let lines = block.lines().filter_map(|line| line.strip_prefix("data:"));
    let mut lines = lines.map(|line| line.strip_prefix(' ').unwrap_or(line));
    let first = lines.next()?;
    let rest: Vec<&str> = lines.collect();
    Some(match rest.is_empty() {
        true => Cow::Borrowed(first),
        false => Cow::Owned(format!("{first}\n{}", rest.join("\n"))),
    })
}

/// How the block's lines end.
pub(crate) fn line_break(block: &[u8]) -> &'static str {
    if block.ends_with(b"\r\n") { "\r\n" } else { "\n" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_at_any_split() {
        check("data: a\n\ndata: b\n\n", &["data: a\n\n", "data: b\n\n"], "");
        check("event: x\r\ndata: a\r\n\r\n", &["event: x\r\ndata: a\r\n\r\n"], "");
        check(": ping\ndata: a\n\n\n", &[": ping\n", "data: a\n\n", "\n"], "");
        check("data: a\n: inside\n\ndata: b", &["data: a\n: inside\n\n"], "data: b");
        check("data: a\r", &[], "data: a\r");
        check("\u{feff}data: a\n\n", &["\u{feff}", "data: a\n\n"], "");

        #[track_caller]
        fn check(stream: &str, want: &[&str], rest: &str) {
            for cut in (0..=stream.len())
                .filter(|cut| *cut == 0 || *cut > 3 || !stream.starts_with('\u{feff}'))
            {
                let (mut blocks, mut found) = (Blocks::default(), Vec::new());
                let (first, second) = stream.as_bytes().split_at(cut);
                for part in [first, second] {
                    let mut keep =
                        |block: &[u8], _| found.push(String::from_utf8(block.into()).unwrap());
                    assert!(blocks.feed(part, &mut keep));
                }
                assert_eq!(found, want, "{stream:?} cut at {cut}");
                assert_eq!(blocks.take().0, rest.as_bytes());
            }
        }
    }

    #[test]
    fn data_is_put_together() {
        assert_eq!(data(b"event: x\ndata: {\"a\":1}\n\n").as_deref(), Some("{\"a\":1}"));
        assert_eq!(data(b"data:1\r\ndata: 2\r\n\r\n").as_deref(), Some("1\n2"));
        assert_eq!(data(b": ping\n"), None);
    }

    #[test]
    fn endless_event_is_given_up() {
        let mut blocks = Blocks::default();
        assert!(blocks.feed(&vec![b'x'; HOLD_BYTES_MAX], |_, _| {}));
        assert!(!blocks.feed(b"x", |_, _| {}));
        assert_eq!(blocks.take().0.len(), HOLD_BYTES_MAX + 1);
        assert!(!Blocks::default().feed(b"data: a\r\rdata: b\r\r", |_, _| {}));
    }

    #[test]
    fn what_left_early_does_not_leave_again() {
        let mut blocks = Blocks::default();
        let mut found = Vec::new();
        assert!(blocks.feed(b"data: a", |_, _| {}));
        assert_eq!(blocks.let_go(), b"data: a");
        assert!(blocks.feed(b"b", |_, _| {}));
        assert_eq!(blocks.begun(), b"data: ab");
        assert_eq!(blocks.let_go(), b"b");
        assert!(blocks.feed(b"c\n\ndata: d\n\n", |block, gone| found.push((block.to_vec(), gone))));
        assert_eq!(found, [(b"data: abc\n\n".to_vec(), 8), (b"data: d\n\n".to_vec(), 0)]);
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
            assert_eq!(is_settled(begun.as_bytes()), want, "{begun}");
        }
    }
}
