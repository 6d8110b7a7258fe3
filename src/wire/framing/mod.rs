//! How a stream is cut into events: one interface, and a file for each framing.
//!
//! A stream is cut once, and what is found is shown to all who want it: what reads the usage, what
//! puts a footer in, what learns which events repeat. Nothing is collected: an event that came in
//! several reads is handed on in as many parts, so it may have any size, and a stream may be cut
//! anywhere, inside a character too.

mod events;
mod json_lines;

use events::Events;
use json_lines::JsonLines;

/// The framings of streams. Any other content is one body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamFormat {
    /// Server-sent events, `text/event-stream`.
    Events,
    /// One JSON value in each line, `application/x-ndjson` and its other names.
    JsonLines,
}

const CONTENT_TYPES: &[(&[u8], StreamFormat)] = &[
    (b"text/event-stream", StreamFormat::Events),
    (b"application/x-ndjson", StreamFormat::JsonLines),
    (b"application/ndjson", StreamFormat::JsonLines),
    (b"application/jsonl", StreamFormat::JsonLines),
    (b"application/x-jsonlines", StreamFormat::JsonLines),
];

impl StreamFormat {
    /// By the value of `content-type`, whose parameters say nothing; `None` for what is no stream.
    pub(crate) fn of_content_type(value: &[u8]) -> Option<StreamFormat> {
        let is_end = |byte: &u8| matches!(byte, b';' | b',') || byte.is_ascii_whitespace();
        let kind = value.trim_ascii_start().split(is_end).next()?;
        let found = CONTENT_TYPES.iter().find(|(name, _)| kind.eq_ignore_ascii_case(name))?;
        Some(found.1)
    }
}

/// The next bytes of a stream, and what they are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    /// As they came, line breaks included. All pieces together are the stream.
    pub(crate) bytes: &'a [u8],
    pub(crate) part: Part<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    /// A whole event with this data.
    Whole(&'a [u8]),
    /// Some of an event, with some of its data; more of it or `End` follows.
    Data(&'a [u8]),
    /// Some of an event that is no data: a name, a number, a comment in it.
    Field,
    /// The event whose parts came before is complete. May have no bytes.
    End,
    /// What stands between events: a comment, an empty line, a byte order mark.
    Between,
}

/// Cuts one stream into its events.
pub(crate) struct Splitter(Kind);

enum Kind {
    Events(Events),
    JsonLines(JsonLines),
}

impl Splitter {
    pub(crate) fn new(format: StreamFormat) -> Splitter {
        Splitter(match format {
            StreamFormat::Events => Kind::Events(Events::new()),
            StreamFormat::JsonLines => Kind::JsonLines(JsonLines::default()),
        })
    }

    /// The piece that `bytes` begin with; there is one as long as there are bytes. Those behind it
    /// are to be shown again, next.
    pub(crate) fn next<'a>(&mut self, bytes: &'a [u8]) -> Option<Piece<'a>> {
        if bytes.is_empty() {
            return None;
        }
        Some(match &mut self.0 {
            Kind::Events(events) => events.next(bytes),
            Kind::JsonLines(lines) => lines.next(bytes),
        })
    }

    /// Whether the stream stands inside an event, some of which has said something.
    pub(crate) fn is_inside(&self) -> bool {
        match &self.0 {
            Kind::Events(events) => events.is_inside(),
            Kind::JsonLines(lines) => lines.is_inside(),
        }
    }

    /// Whether the stream stands exactly between two events.
    pub(crate) fn is_between(&self) -> bool {
        match &self.0 {
            Kind::Events(events) => events.is_between(),
            Kind::JsonLines(lines) => !lines.is_inside(),
        }
    }

    /// Whether a line has ended in CR alone, which is allowed and which no provider does.
    pub(crate) fn has_bare_cr(&self) -> bool {
        match &self.0 {
            Kind::Events(events) => events.has_bare_cr(),
            Kind::JsonLines(_) => false,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    #[test]
    fn streams_are_told_by_their_type() {
        let events = Some(StreamFormat::Events);
        let lines = Some(StreamFormat::JsonLines);
        for (value, want) in [
            ("text/event-stream", events),
            ("Text/Event-Stream; charset=utf-8", events),
            ("text/event-stream charset=utf-8", events),
            ("application/x-ndjson", lines),
            ("application/jsonl;charset=utf-8", lines),
            ("application/json", None),
            ("text/event-streams", None),
            ("", None),
        ] {
            assert_eq!(StreamFormat::of_content_type(value.as_bytes()), want, "{value}");
        }
    }

    /// Each event's data, one that is not complete with ` (open)` behind it; and whether the stream
    /// stands inside one. What the pieces must be however a stream is cut is checked on the way.
    pub(crate) fn events_of(format: StreamFormat, parts: &[&[u8]]) -> (Vec<String>, bool) {
        let mut splitter = Splitter::new(format);
        let (mut found, mut open, mut bytes) = (Vec::new(), None, Vec::new());
        for part in parts {
            let mut rest = *part;
            while let Some(piece) = splitter.next(rest) {
                assert!(rest.starts_with(piece.bytes));
                assert!(!piece.bytes.is_empty() || piece.part == Part::End);
                rest = &rest[piece.bytes.len()..];
                bytes.extend_from_slice(piece.bytes);
                match piece.part {
                    Part::Whole(data) => {
                        assert_eq!(open, None);
                        found.push(data.to_vec());
                    }
                    Part::Data(data) => open.get_or_insert_with(Vec::new).extend_from_slice(data),
                    Part::End => found.extend(open.take()),
                    Part::Between => assert_eq!(open, None),
                    Part::Field => {}
                }
            }
        }
        assert_eq!(bytes, parts.concat(), "nothing is missing");
        if let Some(mut data) = open {
            data.extend_from_slice(b" (open)");
            found.push(data);
        }
        let texts = found.into_iter().map(|data| String::from_utf8(data).unwrap()).collect();
        (texts, splitter.is_inside())
    }

    /// The same at any cut, and byte by byte.
    #[track_caller]
    pub(crate) fn check(format: StreamFormat, stream: &str, want: &[&str], inside: bool) {
        let want = (want.iter().map(|text| text.to_string()).collect(), inside);
        let bytes = stream.as_bytes();
        for cut in 0..=bytes.len() {
            let (first, second) = bytes.split_at(cut);
            assert_eq!(events_of(format, &[first, second]), want, "{stream:?} cut at {cut}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(events_of(format, &single), want, "{stream:?} byte by byte");
    }
}
