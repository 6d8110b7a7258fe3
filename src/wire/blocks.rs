//! A stream of events cut into its blocks, for those who change it.
//!
//! Unlike `sse`, which lets every byte pass, this holds an event back until its blank line has
//! come: the client could not have read it earlier. A comment is handed on with its line.

use std::borrow::Cow;

use memchr::memchr;

/// An event that is longer is none of those that we change; from there on nothing is.
const BLOCK_BYTES_MAX: usize = 256 * 1024;

/// The beginning of a block whose end has not come.
#[derive(Default)]
pub(crate) struct Blocks {
    held: Vec<u8>,
    /// Where the current line begins, and how far it has been searched for its end.
    line: usize,
    searched: usize,
}

impl Blocks {
    /// Takes the next bytes and hands on each block that is complete, with its blank line. False:
    /// the stream has something else than blocks, and what is held back must pass.
    pub(crate) fn feed(&mut self, bytes: &[u8], mut sink: impl FnMut(&[u8])) -> bool {
        self.held.extend_from_slice(bytes);
        let mut start = 0;
        while let Some(at) = memchr(b'\n', &self.held[self.searched..]) {
            let end = self.searched + at + 1;
            let line = &self.held[self.line..end];
            let is_comment = self.line == start && line.starts_with(b":");
            if is_comment || matches!(line, b"\n" | b"\r\n") {
                sink(&self.held[start..end]);
                start = end;
            }
            (self.line, self.searched) = (end, end);
        }
        self.held.drain(..start);
        self.line -= start;
        self.searched = self.held.len();
        self.held.len() <= BLOCK_BYTES_MAX
    }

    /// What is held back.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        (self.line, self.searched) = (0, 0);
        std::mem::take(&mut self.held)
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

        #[track_caller]
        fn check(stream: &str, want: &[&str], rest: &str) {
            for cut in 0..=stream.len() {
                let (mut blocks, mut found) = (Blocks::default(), Vec::new());
                let (first, second) = stream.as_bytes().split_at(cut);
                for part in [first, second] {
                    let mut keep =
                        |block: &[u8]| found.push(String::from_utf8(block.into()).unwrap());
                    assert!(blocks.feed(part, &mut keep));
                }
                assert_eq!(found, want, "{stream:?} cut at {cut}");
                assert_eq!(blocks.take(), rest.as_bytes());
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
        assert!(blocks.feed(&vec![b'x'; BLOCK_BYTES_MAX], |_| {}));
        assert!(!blocks.feed(b"x", |_| {}));
        assert_eq!(blocks.take().len(), BLOCK_BYTES_MAX + 1);
    }
}
