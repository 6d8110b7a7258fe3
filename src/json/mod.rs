//! JSON as a client wrote it: where each value lies, byte for byte.
//!
//! Bodies are edited by splicing new string literals into the client's own bytes, so this reader
//! yields spans and builds no tree. It is strict about the grammar and indifferent to the rest:
//! duplicate keys, `1e400`, integers of any length and lone surrogates pass, because nothing is
//! ever written again. It does not recurse, and it allocates only past 64 levels of nesting, one
//! bit a level: a hundred thousand open brackets cost twelve kilobytes.

mod literal;

use std::ops::Range;

pub(crate) use literal::{decode, encode, encoded_len, string_end, unescape};

/// Where a value lies in the text it was read from, in bytes, quotes and brackets included.
pub(crate) type Span = Range<usize>;

/// Reads one value after another. Every method is `None` where the text is not JSON.
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a str) -> Reader<'a> {
        #[cfg(test)]
        walks::note(text.len());
        Reader { text, at: 0 }
    }

    /// A reader of the value at `span`; its spans still count from the start of `text`.
    pub(crate) fn within(text: &'a str, span: &Span) -> Reader<'a> {
        Reader { text: &text[..span.end], at: span.start }
    }

    /// The first byte of what comes next, white space apart; 0 at the end.
    pub(crate) fn peek(&mut self) -> u8 {
        self.at = skip_space(self.text.as_bytes(), self.at);
        self.byte()
    }

    /// Where it stands: behind what was read last, or before what was peeked at.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Passes over the next value, whatever it is.
    pub(crate) fn value(&mut self) -> Option<Span> {
        self.peek();
        let start = self.at;
        let bytes = self.text.as_bytes();
        self.at = match self.byte() {
            b'{' | b'[' => container_end(bytes, start)?,
            _ => scalar_end(bytes, start)?,
        };
        Some(start..self.at)
    }

    /// Reads an object. `member` gets each key as it is spelled, quotes apart, and must read its value.
    pub(crate) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, &'a str) -> Option<()>,
    ) -> Option<()> {
        self.expect(b'{')?;
        if self.peek() == b'}' {
            return self.expect(b'}');
        }
        loop {
            self.peek();
            let start = self.at;
            self.at = string_end(self.text.as_bytes(), start)?;
            let key = &self.text[start + 1..self.at - 1];
            self.expect(b':')?;
            member(self, key)?;
            if self.peek() != b',' {
                return self.expect(b'}');
            }
            self.at += 1;
        }
    }

    /// Reads an object and says where it lies and where the values of the named members are. A
    /// value that is no object has no members.
    ///
    /// `None` if a named key occurs twice or is spelled with escapes: readers disagree about what
    /// such an object means, so we do not claim to know.
    pub(crate) fn members<const N: usize>(
        &mut self,
        keys: [&str; N],
    ) -> Option<(Span, [Option<Span>; N])> {
        self.members_by(keys, |reader, _| reader.value().map(drop))
    }

    /// The same, where `member` reads the value of a named member, which it gets by its index. It may
    /// look into it while it is at it.
    pub(crate) fn members_by<const N: usize>(
        &mut self,
        keys: [&str; N],
        mut member: impl FnMut(&mut Self, usize) -> Option<()>,
    ) -> Option<(Span, [Option<Span>; N])> {
        let mut found = [const { None }; N];
        if self.peek() != b'{' {
            return Some((self.value()?, found));
        }
        let start = self.at;
        self.object(|reader, key| match keys.iter().position(|wanted| *wanted == key) {
            Some(index) => {
                reader.peek();
                let start = reader.at;
                member(reader, index)?;
                found[index].replace(start..reader.at).is_none().then_some(())
            }
            None => {
                reader.value()?;
                (!is_one_of(key, &keys)).then_some(())
            }
        })?;
        Some((start..self.at, found))
    }

    /// The elements of an array that comes next, as `element` reads them. `None` if it is no array, has more
    /// than `most` or is not understood: then it is still to be read.
    pub(crate) fn few<T>(
        &mut self,
        most: usize,
        mut element: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let start = self.at;
        let mut few = Vec::new();
        let all = self.array(|reader| {
            few.push(element(reader)?);
            (few.len() <= most).then_some(())
        });
        if all.is_none() {
            self.at = start;
        }
        all.map(|()| few)
    }

    /// Reads an array. `element` must read one value.
    pub(crate) fn array(&mut self, mut element: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.expect(b'[')?;
        if self.peek() == b']' {
            return self.expect(b']');
        }
        loop {
            element(self)?;
            if self.peek() != b',' {
                return self.expect(b']');
            }
            self.at += 1;
        }
    }

    /// `None` if anything but white space is left.
    pub(crate) fn end(mut self) -> Option<()> {
        self.peek();
        (self.at == self.text.len()).then_some(())
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        if self.peek() != byte {
            return None;
        }
        self.at += 1;
        Some(())
    }

    fn byte(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }
}

/// Where the values of the named members of the object at `span` lie; see `Reader::members`.
pub(crate) fn members<const N: usize>(
    text: &str,
    span: &Span,
    keys: [&str; N],
) -> Option<[Option<Span>; N]> {
    Reader::within(text, span).members(keys).map(|(_, found)| found)
}

/// Whether a key spelled with escapes means one of `keys`.
pub(crate) fn is_one_of(key: &str, keys: &[&str]) -> bool {
    key.bytes().any(|byte| byte == b'\\')
        && unescape(key).is_some_and(|plain| keys.iter().any(|wanted| *wanted == plain))
}

/// Whether the whole text is one value.
pub(crate) fn is_value(text: &str) -> bool {
    let mut reader = Reader::new(text);
    reader.value().and_then(|_| reader.end()).is_some()
}

#[inline(always)]
fn skip_space(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(at) {
        at += 1;
    }
    at
}

fn scalar_end(bytes: &[u8], start: usize) -> Option<usize> {
    let word = |word: &[u8]| bytes[start..].starts_with(word).then_some(start + word.len());
    match bytes.get(start)? {
        b'"' => string_end(bytes, start),
        b't' => word(b"true"),
        b'f' => word(b"false"),
        b'n' => word(b"null"),
        _ => number_end(bytes, start),
    }
}

fn number_end(bytes: &[u8], start: usize) -> Option<usize> {
    let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
    let digits = |from: usize| {
        let count = bytes[from.min(bytes.len())..].iter().take_while(|byte| byte.is_ascii_digit());
        from + count.count()
    };
    let whole = start + usize::from(byte(start) == b'-');
    let mut at = if byte(whole) == b'0' { whole + 1 } else { digits(whole) };
    if at == whole {
        return None;
    }
    if byte(at) == b'.' {
        let fraction = at + 1;
        at = digits(fraction);
        if at == fraction {
            return None;
        }
    }
    if matches!(byte(at), b'e' | b'E') {
        let exponent = at + 1 + usize::from(matches!(byte(at + 1), b'+' | b'-'));
        at = digits(exponent);
        if at == exponent {
            return None;
        }
    }
    Some(at)
}

/// The first byte after the object or array that opens at `start`.
fn container_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut nesting = Nesting::default();
    let mut at = start;
    loop {
        // A value is expected here.
        match bytes.get(at)? {
            open @ (b'{' | b'[') => {
                let is_object = *open == b'{';
                nesting.push(is_object);
                at = skip_space(bytes, at + 1);
                let close = if is_object { b'}' } else { b']' };
                if bytes.get(at) != Some(&close) {
                    at = if is_object { key_end(bytes, at)? } else { at };
                    continue;
                }
            }
            _ => at = scalar_end(bytes, at)?,
        }
        // A value has ended, or a container is about to: close all that closes here.
        loop {
            at = skip_space(bytes, at);
            let is_object = nesting.top();
            match (bytes.get(at)?, is_object) {
                (b'}', true) | (b']', false) => {
                    at += 1;
                    if nesting.pop() {
                        return Some(at);
                    }
                }
                (b',', _) => {
                    at = skip_space(bytes, at + 1);
                    at = if is_object { key_end(bytes, at)? } else { at };
                    break;
                }
                _ => return None,
            }
        }
    }
}

/// The start of the value whose key opens at `start`.
fn key_end(bytes: &[u8], start: usize) -> Option<usize> {
    let colon = skip_space(bytes, string_end(bytes, start)?);
    (bytes.get(colon) == Some(&b':')).then(|| skip_space(bytes, colon + 1))
}

/// Which of the open containers are objects, a bit each; full words move to `below`.
#[derive(Default)]
struct Nesting {
    bits: u64,
    depth: u32,
    below: Vec<u64>,
}

impl Nesting {
    fn push(&mut self, is_object: bool) {
        if self.depth == u64::BITS {
            self.below.push(self.bits);
            self.depth = 0;
        }
        self.bits = self.bits << 1 | u64::from(is_object);
        self.depth += 1;
    }

    /// True when the outermost container is closed.
    fn pop(&mut self) -> bool {
        self.bits >>= 1;
        self.depth -= 1;
        if self.depth == 0
            && let Some(bits) = self.below.pop()
        {
            self.bits = bits;
            self.depth = u64::BITS;
        }
        self.depth == 0
    }

    fn top(&self) -> bool {
        self.bits & 1 == 1
    }
}

/// Counts how often this thread reads a text of one length from its beginning, by which tests tell how
/// often a body is walked.
#[cfg(test)]
pub(crate) mod walks {
    use std::cell::Cell;

    thread_local! {
        /// The length, in bytes, and the count.
        static WATCHED: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
    }

    pub(super) fn note(length: usize) {
        let (watched, count) = WATCHED.get();
        WATCHED.set((watched, count + usize::from(length == watched)));
    }

    /// How many walks `work` takes through texts of this length.
    pub(crate) fn count(length: usize, work: impl FnOnce()) -> usize {
        WATCHED.set((length, 0));
        work();
        WATCHED.replace((0, 0)).1
    }
}

#[cfg(test)]
mod tests;
