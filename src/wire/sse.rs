//! Server-sent events, found in a byte stream as it passes.
//!
//! Nothing is collected: an event's data is handed on in the pieces in which it arrived, so an
//! event of any size costs no memory, and a stream may be cut anywhere, inside a character too.
//! `event:`, `id:`, `retry:` and comments are passed over: all providers repeat the event's name
//! in its data.

use memchr::memchr2;

/// What a stream of events is made of.
pub(super) enum Piece<'a> {
    /// All the data of one event.
    Whole(&'a [u8]),
    /// Some data of an event; more of it or `End` follows.
    Part(&'a [u8]),
    /// The event whose parts came before is complete.
    End,
}

/// How far the current line has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// So many bytes, all of which could still become `data:`.
    Start(usize),
    /// `data:` has been read; one space may follow that does not belong to the data.
    Colon,
    Data,
    /// Another field, or a comment.
    Other,
}

const FIELD: &[u8] = b"data:";

/// May stand before the first line of a stream.
pub(super) const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

pub(super) struct Events {
    /// So many bytes of a byte order mark have come, and nothing else; `None` behind it.
    mark: Option<usize>,
    line: Line,
    /// The last byte was a CR: an LF that follows belongs to it.
    after_cr: bool,
    /// The current event has handed out data in parts.
    in_parts: bool,
}

impl Events {
    pub(super) fn new() -> Events {
        Events { mark: Some(0), line: Line::Start(0), after_cr: false, in_parts: false }
    }

    /// Takes the next bytes of the stream and hands on the data in them.
    pub(super) fn feed(&mut self, mut bytes: &[u8], sink: &mut impl FnMut(Piece<'_>)) {
        while let (Some(seen), Some(byte)) = (self.mark, bytes.first()) {
            let is_mark = *byte == BYTE_ORDER_MARK[seen];
            self.mark = Some(seen + 1).filter(|seen| is_mark && *seen < BYTE_ORDER_MARK.len());
            if is_mark {
                bytes = &bytes[1..];
            } else if seen > 0 {
                self.line = Line::Other;
            }
        }
        if bytes.is_empty() {
            return;
        }
        if std::mem::take(&mut self.after_cr) && bytes.first() == Some(&b'\n') {
            bytes = &bytes[1..];
        }
        while let Some(end) = memchr2(b'\n', b'\r', bytes) {
            let (line, rest) = (&bytes[..end], after_break(&bytes[end..]));
            let fresh = self.line == Line::Start(0);
            if fresh && line.is_empty() {
                self.end_event(sink);
            } else if fresh && !self.in_parts && starts_with_break(rest) && line.starts_with(FIELD)
            {
                let data = &line[FIELD.len()..];
                sink(Piece::Whole(data.strip_prefix(b" ").unwrap_or(data)));
            } else {
                self.part(line, sink);
                self.line = Line::Start(0);
            }
            self.after_cr = rest.is_empty() && bytes.ends_with(b"\r");
            bytes = rest;
        }
        self.part(bytes, sink);
    }

    /// Whether the stream stands inside an event: its blank line has not come.
    pub(super) fn inside(&self) -> bool {
        self.in_parts || self.line != Line::Start(0)
    }

    /// Whether exactly the end of an event has been reached.
    pub(super) fn is_between(&self) -> bool {
        !self.inside() && !self.after_cr
    }

    fn end_event(&mut self, sink: &mut impl FnMut(Piece<'_>)) {
        if std::mem::take(&mut self.in_parts) {
            sink(Piece::End);
        }
    }

    /// Some bytes of a line, without its break.
    fn part(&mut self, mut bytes: &[u8], sink: &mut impl FnMut(Piece<'_>)) {
        if let Line::Start(read) = self.line {
            let more = bytes.len().min(FIELD.len() - read);
            let matches = bytes[..more] == FIELD[read..read + more];
            self.line = match read + more {
                _ if !matches => Line::Other,
                read if read < FIELD.len() => Line::Start(read),
                _ => {
                    if self.in_parts {
                        sink(Piece::Part(b"\n"));
                    }
                    self.in_parts = true;
                    Line::Colon
                }
            };
            bytes = &bytes[more..];
        }
        if self.line == Line::Colon && !bytes.is_empty() {
            bytes = bytes.strip_prefix(b" ").unwrap_or(bytes);
            self.line = Line::Data;
        }
        if self.line == Line::Data && !bytes.is_empty() {
            sink(Piece::Part(bytes));
        }
    }
}

/// What follows the line break (LF, CRLF or CR) that `bytes` begins with.
fn after_break(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\r\n").unwrap_or(&bytes[1..])
}

fn starts_with_break(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(b'\n' | b'\r'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_at_any_split_and_line_break() {
        check("data: a\n\n", &["a"], false);
        check("event: x\ndata:a\n\ndata:  b\n\n", &["a", " b"], false);
        check("data: one\ndata: two\n\n", &["one\ntwo"], false);
        check(": comment\n\nid: 7\n\nretry: 5\n\n", &[], false);
        check("data: é😀\n\n", &["é😀"], false);
        check("data:\n\ndatax: no\n\ndata\n\n", &[""], false);
        check("data: a\nevent: late\n\n\n\ndata: b\n\n", &["a", "b"], false);
        check("data: a\n\ndata: b\n", &["a", "b (open)"], true);
        check("data: a\n\ndat", &["a"], true);
        check("\u{feff}data: a\n\n\u{feff}data: b\n\n", &["a"], false);
        check("\u{fefe}data: a\n\ndata: b\n\n", &["b"], false);
    }

    /// `want`: each event's data; one that is not complete has ` (open)` behind it.
    #[track_caller]
    fn check(stream: &str, want: &[&str], inside: bool) {
        for line_break in ["\n", "\r\n", "\r"] {
            let stream = stream.replace('\n', line_break);
            let bytes = stream.as_bytes();
            for cut in 0..=bytes.len() {
                assert_eq!(
                    read(&[&bytes[..cut], &bytes[cut..]]),
                    (strings(want), inside),
                    "{stream:?} at {cut}"
                );
            }
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(read(&single), (strings(want), inside), "{stream:?} byte by byte");
        }
    }

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| text.to_string()).collect()
    }

    fn read(pieces: &[&[u8]]) -> (Vec<String>, bool) {
        let (mut events, mut open, mut found) = (Events::new(), Vec::new(), Vec::new());
        for piece in pieces {
            events.feed(piece, &mut |piece| match piece {
                Piece::Whole(data) => found.push(data.to_vec()),
                Piece::Part(data) => open.extend_from_slice(data),
                Piece::End => found.push(std::mem::take(&mut open)),
            });
        }
        if !open.is_empty() {
            open.extend_from_slice(b" (open)");
            found.push(open);
        }
        let texts = found.into_iter().map(|data| String::from_utf8(data).unwrap()).collect();
        (texts, events.inside())
    }
}
