//! JSON lines: each line that is not blank is an event, and its data is all of it but the LF: a CR
//! before that is a blank to JSON. A line break inside a JSON string is escaped, so no JSON has to be
//! read to find the ends.

use memchr::memchr;

use super::{Part, Piece};

#[derive(Default)]
pub(super) struct JsonLines {
    /// Some of a line has come that is not blank.
    is_inside: bool,
}

impl JsonLines {
    /// The piece that `bytes`, of which there are some, begin with.
    pub(super) fn next<'a>(&mut self, bytes: &'a [u8]) -> Piece<'a> {
        let end = memchr(b'\n', bytes);
        let (bytes, line) = match end {
            Some(end) => (&bytes[..=end], &bytes[..end]),
            None => (bytes, bytes),
        };
        let is_begun = std::mem::replace(&mut self.is_inside, false);
        let part = match end {
            _ if !is_begun && line.trim_ascii().is_empty() => Part::Between,
            Some(0) => Part::End,
            Some(_) if !is_begun => Part::Whole(line),
            // The break is the next piece, or has yet to come.
            _ => {
                self.is_inside = true;
                return Piece { bytes: line, part: Part::Data(line) };
            }
        };
        Piece { bytes, part }
    }

    pub(super) fn is_inside(&self) -> bool {
        self.is_inside
    }
}

#[cfg(test)]
mod tests {
    use super::super::StreamFormat;
    use super::super::tests::check;

    #[test]
    fn lines_are_found_at_any_split() {
        let check = |stream, want: &[&str], inside| {
            check(StreamFormat::JsonLines, stream, want, inside);
        };
        check("{\"a\":1}\n", &["{\"a\":1}"], false);
        check("{\"a\":\"\\n\u{e9}\"}\n\n \n[2]\n", &["{\"a\":\"\\n\u{e9}\"}", "[2]"], false);
        check("{}\n{\"b\":", &["{}", "{\"b\": (open)"], true);
        check("{}", &["{} (open)"], true);
        check("\n\n", &[], false);
        check("", &[], false);
        // What is between two line breaks is data of that line, whatever it is.
        check("data: {}\n: x\n", &["data: {}", ": x"], false);
    }
}
