//! Server-sent events, as the HTML standard defines them.
//!
//! `event:`, `id:`, `retry:` and comments are passed over: all providers repeat the event's name in
//! its data. Nearly every event comes whole, has one line of data and ordinary line breaks: such a
//! one is found with one search for each of its lines, and all others byte by byte of their fields.

use memchr::memchr2;

use super::{Part, Piece};

/// How far the current line has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// So many bytes, all of which could still become `data:`.
    Start(usize),
    /// `data:` has been read; one space may follow that does not belong to the data.
    Colon,
    Data,
    /// Another field, or a comment inside an event.
    Other,
    /// A comment between events.
    Comment,
}

const FIELD: &[u8] = b"data:";

/// May stand before the first line of a stream.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

pub(super) struct Events {
    /// So many bytes of a byte order mark have come, and nothing else; `None` behind it.
    mark: Option<usize>,
    line: Line,
    /// The last line has ended in a CR, to which an LF may belong that has not come.
    after_cr: bool,
    /// That line was the empty one behind an event.
    ends_event: bool,
    /// A line of an event has begun, and of its data.
    is_event: bool,
    has_data: bool,
    has_bare_cr: bool,
}

impl Events {
    pub(super) fn new() -> Events {
        Events {
            mark: Some(0),
            line: Line::Start(0),
            after_cr: false,
            ends_event: false,
            is_event: false,
            has_data: false,
            has_bare_cr: false,
        }
    }

    /// The piece that `bytes`, of which there are some, begin with.
    pub(super) fn next<'a>(&mut self, bytes: &'a [u8]) -> Piece<'a> {
        let found = self.line_feed(bytes).or_else(|| self.byte_order_mark(bytes));
        let is_fresh = !self.is_event && self.line == Line::Start(0);
        if let Some(piece) = found.or_else(|| is_fresh.then(|| whole(bytes)).flatten()) {
            return piece;
        }
        if self.line == Line::Start(0) {
            if matches!(bytes[0], b'\n' | b'\r') {
                return self.empty_line(bytes);
            }
            let is_comment = bytes[0] == b':' && !self.is_event;
            self.is_event |= !is_comment;
            self.line = match bytes[0] {
                b':' if is_comment => Line::Comment,
                b':' => Line::Other,
                _ => Line::Start(0),
            };
        }
        match self.line {
            Line::Start(read) => self.start(bytes, read),
            Line::Colon | Line::Data => self.data(bytes),
            Line::Other => Piece { bytes: self.rest_of_line(bytes).1, part: Part::Field },
            Line::Comment => Piece { bytes: self.rest_of_line(bytes).1, part: Part::Between },
        }
    }

    /// What belongs to the break that the bytes before ended with: an LF, or nothing.
    fn line_feed<'a>(&mut self, bytes: &'a [u8]) -> Option<Piece<'a>> {
        if !std::mem::take(&mut self.after_cr) {
            return None;
        }
        let lf = usize::from(bytes[0] == b'\n');
        self.has_bare_cr |= lf == 0;
        let part = match std::mem::take(&mut self.ends_event) {
            true => self.end_event(),
            false if lf == 0 => return None,
            false if self.is_event => Part::Field,
            false => Part::Between,
        };
        Some(Piece { bytes: &bytes[..lf], part })
    }

    fn end_event<'a>(&mut self) -> Part<'a> {
        self.is_event = false;
        self.has_data = false;
        Part::End
    }

    /// A beginning of a mark that is not all here may turn out to be one of a line.
    fn byte_order_mark<'a>(&mut self, bytes: &'a [u8]) -> Option<Piece<'a>> {
        let seen = self.mark.take()?;
        let rest = &BYTE_ORDER_MARK[seen..];
        let same = rest.iter().zip(bytes).take_while(|(mark, byte)| mark == byte).count();
        let part = if same == rest.len() {
            if seen > 0 { self.end_event() } else { Part::Between }
        } else if same == bytes.len() {
            self.mark = Some(seen + same);
            self.is_event = true;
            Part::Field
        } else if seen + same > 0 {
            (self.is_event, self.line) = (true, Line::Other);
            Part::Field
        } else {
            return None;
        };
        (same > 0).then(|| Piece { bytes: &bytes[..same], part })
    }

    fn empty_line<'a>(&mut self, bytes: &'a [u8]) -> Piece<'a> {
        let (_, bytes) = self.rest_of_line(bytes);
        let part = match self.is_event {
            // Not before it is known what the CR is.
            _ if self.after_cr => {
                (self.is_event, self.ends_event) = (true, true);
                Part::Field
            }
            true => self.end_event(),
            false => Part::Between,
        };
        Piece { bytes, part }
    }

    /// A line of which `read` bytes could be the beginning of `data:`.
    fn start<'a>(&mut self, bytes: &'a [u8], read: usize) -> Piece<'a> {
        let rest = &FIELD[read..];
        let same = rest.iter().zip(bytes).take_while(|(field, byte)| field == byte).count();
        if same == rest.len() {
            self.line = Line::Colon;
            let (field, behind) = bytes.split_at(same);
            // Lines of data are joined.
            if std::mem::replace(&mut self.has_data, true) {
                return Piece { bytes: field, part: Part::Data(b"\n") };
            }
            if behind.is_empty() {
                return Piece { bytes: field, part: Part::Data(b"") };
            }
            let Piece { bytes: line, part } = self.data(behind);
            return Piece { bytes: &bytes[..same + line.len()], part };
        }
        let bytes = match same == bytes.len() {
            true => {
                self.line = Line::Start(read + same);
                bytes
            }
            false => {
                self.line = Line::Other;
                self.rest_of_line(bytes).1
            }
        };
        Piece { bytes, part: Part::Field }
    }

    fn data<'a>(&mut self, bytes: &'a [u8]) -> Piece<'a> {
        let may_have_space = self.line == Line::Colon;
        self.line = Line::Data;
        let (data, bytes) = self.rest_of_line(bytes);
        let is_spaced = may_have_space && data.starts_with(b" ");
        Piece { bytes, part: Part::Data(&data[usize::from(is_spaced)..]) }
    }

    /// As much of the current line as has come, without its break and with it.
    fn rest_of_line<'a>(&mut self, bytes: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        let Some(end) = memchr2(b'\n', b'\r', bytes) else { return (bytes, bytes) };
        self.line = Line::Start(0);
        let length = match &bytes[end..] {
            [b'\r', b'\n', ..] => end + 2,
            [b'\r', ..] => {
                self.after_cr = end + 1 == bytes.len();
                self.has_bare_cr |= !self.after_cr;
                end + 1
            }
            _ => end + 1,
        };
        (&bytes[..end], &bytes[..length])
    }

    pub(super) fn is_inside(&self) -> bool {
        let is_ended = self.after_cr && self.ends_event;
        !is_ended && (self.has_data || self.line != Line::Start(0))
    }

    pub(super) fn is_between(&self) -> bool {
        !self.is_event && !self.after_cr && self.line == Line::Start(0)
    }

    pub(super) fn has_bare_cr(&self) -> bool {
        self.has_bare_cr
    }
}

/// The event that begins here, if it is all here with one line of data and usual line breaks.
fn whole(bytes: &[u8]) -> Option<Piece<'_>> {
    let (mut at, mut data) = (0, None);
    loop {
        let end = at + memchr2(b'\n', b'\r', &bytes[at..])?;
        let next = match &bytes[end..] {
            [b'\n', ..] => end + 1,
            [b'\r', b'\n', ..] => end + 2,
            _ => return None,
        };
        let line = &bytes[at..end];
        if let Some(text) = line.strip_prefix(FIELD) {
            let text = text.strip_prefix(b" ").unwrap_or(text);
            if data.replace(text).is_some() {
                return None;
            }
        } else if line.is_empty() {
            return data.map(|data| Piece { bytes: &bytes[..next], part: Part::Whole(data) });
        } else if at == 0 && line.starts_with(b":") {
            return None;
        }
        at = next;
    }
}

#[cfg(test)]
mod tests {
    use super::super::StreamFormat;
    use super::super::tests::check;
    use super::*;

    #[test]
    fn events_are_found_at_any_split_and_line_break() {
        same("data: a\n\n", &["a"], false);
        same("event: x\ndata:a\n\ndata:  b\n\n", &["a", " b"], false);
        same("data: one\ndata: two\n\n", &["one\ntwo"], false);
        same(": comment\n\nid: 7\n\nretry: 5\n\n", &[], false);
        same(": comment\ndata: a\n: inside\n\n", &["a"], false);
        same("data: é😀\n\n", &["é😀"], false);
        same("data:\n\ndatax: no\n\ndata\n\n", &[""], false);
        same("data: a\nevent: late\n\n\n\ndata: b\n\n", &["a", "b"], false);
        same("data: a\n\ndata: b\n", &["a", "b (open)"], true);
        same("data: a\n\ndat", &["a"], true);
        same("data: a\n\nevent: x\n", &["a"], false);
        same("\u{feff}data: a\n\n\u{feff}data: b\n\n", &["a"], false);
        same("\u{fefe}data: a\n\ndata: b\n\n", &["b"], false);

        #[track_caller]
        fn same(stream: &str, want: &[&str], inside: bool) {
            for line_break in ["\n", "\r\n"] {
                let stream = stream.replace('\n', line_break);
                check(StreamFormat::Events, &stream, want, inside);
            }
            // With CR alone the last break is known only when something follows.
            if !inside {
                let stream = stream.replace('\n', "\r") + ":\r";
                check(StreamFormat::Events, &stream, want, false);
            }
        }
    }

    #[test]
    fn an_event_that_ends_in_cr_is_complete_whatever_follows() {
        let mut events = Events::new();
        let piece = |bytes: &'static [u8], part| Piece { bytes, part };
        assert_eq!(events.next(b"data:"), piece(b"data:", Part::Data(b"")));
        assert_eq!(events.next(b" a\r\n"), piece(b" a\r\n", Part::Data(b"a")));
        assert_eq!(events.next(b"\r"), piece(b"\r", Part::Field));
        assert!(!events.is_inside() && !events.is_between() && !events.has_bare_cr());
        assert_eq!(events.next(b"\n"), piece(b"\n", Part::End));
        assert!(events.is_between() && !events.has_bare_cr());

        let whole = b"data: b\n\nevent: c\ndata:d\n\n";
        assert_eq!(events.next(whole), piece(b"data: b\n\n", Part::Whole(b"b")));
        assert_eq!(events.next(&whole[9..]), piece(&whole[9..], Part::Whole(b"d")));
        assert_eq!(events.next(b"id: 1\r"), piece(b"id: 1\r", Part::Field));
        assert_eq!(events.next(b"\rx"), piece(b"\r", Part::End));
        assert!(events.has_bare_cr());
    }
}
