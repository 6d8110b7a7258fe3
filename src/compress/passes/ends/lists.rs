//! The long lists of a JSON text: their first elements, their last, and how many are not there.

use super::number;
use crate::json::{self, Reader, Span};
use crate::number::commas;

/// Lists of fewer elements stay whole.
const ELEMENTS_MIN: usize = 6;

/// Texts with longer lists stay whole: their places take more memory than they do.
const ELEMENTS_MAX: usize = 1 << 20;

/// Deeper texts stay whole: reading recurses, and goes over what is in a list once for each level.
const DEPTH_MAX: usize = 32;

/// The minified text with its long lists shortened; `None` if there are none.
///
/// `limit` is what the elements of one list may take, in bytes; those of lists within it get half.
pub(super) fn shorten(minified: &str, limit: usize) -> Option<String> {
    if is_deeper(minified, DEPTH_MAX) {
        return None;
    }
    let mut shortener = Shortener { text: minified, out: String::new(), written: 0 };
    let mut reader = Reader::new(minified);
    shortener.value(&mut reader, limit, DEPTH_MAX)?;
    if shortener.written == 0 {
        return None;
    }
    shortener.out.push_str(&minified[shortener.written..]);
    Some(shortener.out)
}

/// Whether valid JSON has more containers within each other.
fn is_deeper(text: &str, limit: usize) -> bool {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = json::string_end(bytes, at).unwrap_or(bytes.len()),
            b'{' | b'[' if depth == limit => return true,
            b'{' | b'[' => (at, depth) = (at + 1, depth + 1),
            b'}' | b']' => (at, depth) = (at + 1, depth - 1),
            _ => at += 1,
        }
    }
    false
}

struct Shortener<'t> {
    text: &'t str,
    out: String,
    /// Up to here the text has been dealt with.
    written: usize,
}

impl<'t> Shortener<'t> {
    fn value(&mut self, reader: &mut Reader<'t>, limit: usize, depth: usize) -> Option<()> {
        let deeper = depth.checked_sub(1)?;
        match reader.peek() {
            b'{' => reader.object(|reader, _| self.value(reader, limit, deeper)),
            b'[' => self.list(reader, limit, deeper),
            _ => reader.value().map(|_| ()),
        }
    }

    fn list(&mut self, reader: &mut Reader<'t>, limit: usize, depth: usize) -> Option<()> {
        let mut elements: Vec<Span> = Vec::new();
        reader.array(|reader| {
            elements.push(reader.value()?);
            (elements.len() < ELEMENTS_MAX).then_some(())
        })?;
        let bytes: usize = elements.iter().map(Span::len).sum();
        let mut kept = elements.len();
        if elements.len() >= ELEMENTS_MIN && bytes > limit {
            let mut left = limit;
            let fits = |span: &&Span| match left.checked_sub(span.len()) {
                Some(rest) => {
                    left = rest;
                    true
                }
                None => false,
            };
            kept = elements.iter().take_while(fits).count().clamp(2, elements.len() - 1);
        }
        for element in &elements[..kept] {
            self.value(&mut Reader::within(self.text, element), limit / 2, depth)?;
        }
        let gap = elements.len() - kept;
        if gap < 3 {
            for element in &elements[kept..] {
                self.value(&mut Reader::within(self.text, element), limit / 2, depth)?;
            }
            return Some(());
        }
        let last = &elements[elements.len() - 1];
        self.out.push_str(&self.text[self.written..elements[kept].start]);
        let count = |elements: &[Span]| -> usize {
            elements.iter().map(|element| weight(&self.text[element.clone()])).sum()
        };
        let gap = count(&elements[kept..elements.len() - 1]);
        self.out.push_str(&left_out(gap, count(&elements)));
        self.written = last.start;
        self.value(&mut Reader::within(self.text, last), limit / 2, depth)
    }
}

/// How many elements one is: a marker counts as those that it stands for.
fn weight(element: &str) -> usize {
    let count = || number(element.strip_prefix("\"[... ")?.split_once(" of ")?.0);
    count().unwrap_or(1)
}

/// An element that stands for those that are not there.
fn left_out(gap: usize, all: usize) -> String {
    format!("\"[... {} of {} elements left out ...]\",", commas(gap as u64), commas(all as u64))
}
