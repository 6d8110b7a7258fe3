//! Results inside a small JSON value: harnesses put what a program printed into an object beside its exit
//! status, or into a list of parts, and send that as one string.
//!
//! Codex: `{"output": ..., "metadata": {"exit_code": 0}}`; MCP clients: `[{"type": "text", "text": ...}]`;
//! many others: `{"stdout": ..., "stderr": ...}`. The names do not matter: a small value whose strings
//! have lines wraps them. It is read in the body's own spelling, where its quotes are escaped, and nothing
//! of it is decoded.

use memchr::memchr;

use crate::json::{self, Reader, Span};

/// A value with more strings, numbers and words than this is data, not a wrapper.
const LEAVES_MAX: usize = 24;
const DEPTH_MAX: usize = 6;

/// Members that say of a result that it is an error. As MCP and Anthropic spell them.
const ERROR_KEYS: [&[u8]; 2] = [b"isError", b"is_error"];

/// The texts in a wrapper.
#[derive(Debug, Default)]
pub(super) struct Wrapper {
    /// Where they are, quotes included, in the order of the body.
    pub(super) texts: Vec<Span>,
    /// It says itself that it is an error.
    pub(super) is_error: bool,
}

impl Wrapper {
    /// What stands between the texts of a wrapper with this inside.
    pub(super) fn rest(&self, inside: Span) -> impl Iterator<Item = Span> {
        let starts = std::iter::once(inside.start).chain(self.texts.iter().map(|text| text.end));
        let ends = self.texts.iter().map(|text| text.start).chain([inside.end]);
        starts.zip(ends).map(|(start, end)| start..end)
    }
}

/// Whether a string in a wrapper is a text: it has lines, or is JSON, or begins with words of ours. What
/// takes its place must look so, too, or the wrapper would not be found again.
pub(crate) fn is_text(text: &str) -> bool {
    text.contains('\n') || text.starts_with(['{', '['])
}

/// Whether a text is no wrapper; what takes its place must be none either.
pub(crate) fn is_bare(text: &str) -> bool {
    if !text.trim_ascii_start().starts_with(['{', '[']) {
        return true;
    }
    let mut literal = Vec::new();
    json::encode(text, &mut literal);
    let literal = String::from_utf8(literal).unwrap_or_default();
    in_literal(&literal, &(0..literal.len())).is_none()
}

/// The wrapper that the string literal at `span` holds.
pub(super) fn in_literal(body: &str, span: &Span) -> Option<Wrapper> {
    let inside = span.start + 1..span.end - 1;
    let mut scanner = Scanner {
        bytes: &body.as_bytes()[..inside.end],
        at: inside.start,
        leaves: 0,
        found: Wrapper::default(),
    };
    scanner.space();
    // Most results are no JSON.
    if !matches!(scanner.byte(), b'{' | b'[') {
        return None;
    }
    scanner.value(0)?;
    scanner.space();
    let is_whole = scanner.at == inside.end && !scanner.found.texts.is_empty();
    is_whole.then_some(scanner.found)
}

/// The same of JSON that is no string in the body.
pub(super) fn in_value(body: &str, span: &Span) -> Option<Wrapper> {
    let mut tree = Tree { body, leaves: 0, found: Wrapper::default() };
    tree.value(&mut Reader::within(body, span), 0)?;
    Some(tree.found)
}

struct Tree<'a> {
    body: &'a str,
    leaves: usize,
    found: Wrapper,
}

impl Tree<'_> {
    fn value(&mut self, reader: &mut Reader, depth: usize) -> Option<()> {
        match reader.peek() {
            _ if depth > DEPTH_MAX => None,
            b'{' => reader.object(|reader, key| {
                self.found.is_error |=
                    reader.peek() == b't' && ERROR_KEYS.contains(&key.as_bytes());
                self.value(reader, depth + 1)
            }),
            b'[' => reader.array(|reader| self.value(reader, depth + 1)),
            _ => {
                let span = reader.value()?;
                if json::decode(&self.body[span.clone()]).is_some_and(|text| is_text(&text)) {
                    self.found.texts.push(span);
                }
                self.leaves += 1;
                (self.leaves <= LEAVES_MAX).then_some(())
            }
        }
    }
}

/// JSON in the inside of a string literal, whose quotes and backslashes have a backslash before them.
struct Scanner<'a> {
    /// Up to the literal's closing quote.
    bytes: &'a [u8],
    at: usize,
    leaves: usize,
    found: Wrapper,
}

impl Scanner<'_> {
    fn byte(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    fn starts_with(&self, start: &[u8]) -> bool {
        self.bytes[self.at..].starts_with(start)
    }

    fn space(&mut self) {
        loop {
            self.at += match self.byte() {
                b' ' => 1,
                b'\\' if [b"\\n", b"\\t", b"\\r"].iter().any(|it| self.starts_with(*it)) => 2,
                _ => return,
            }
        }
    }

    /// `None`: no JSON, or no wrapper.
    fn value(&mut self, depth: usize) -> Option<()> {
        match self.byte() {
            _ if depth > DEPTH_MAX => None,
            b'{' => self.list(b'}', depth, Scanner::member),
            b'[' => self.list(b']', depth, Scanner::value),
            b'\\' => {
                let (span, is_text) = self.string()?;
                if is_text {
                    self.found.texts.push(span);
                }
                self.leaf()
            }
            _ => {
                let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
                let length = self.bytes[self.at..].iter().take_while(|byte| is_part(byte)).count();
                self.at += length;
                if length == 0 { None } else { self.leaf() }
            }
        }
    }

    fn leaf(&mut self) -> Option<()> {
        self.leaves += 1;
        (self.leaves <= LEAVES_MAX).then_some(())
    }

    /// What stands between brackets.
    fn list(
        &mut self,
        close: u8,
        depth: usize,
        mut item: impl FnMut(&mut Self, usize) -> Option<()>,
    ) -> Option<()> {
        self.at += 1;
        self.space();
        if self.byte() == close {
            self.at += 1;
            return Some(());
        }
        loop {
            self.space();
            item(self, depth + 1)?;
            self.space();
            self.at += 1;
            match self.bytes.get(self.at - 1)? {
                b',' => {}
                byte if *byte == close => return Some(()),
                _ => return None,
            }
        }
    }

    fn member(&mut self, depth: usize) -> Option<()> {
        let (key, _) = self.string()?;
        self.space();
        if self.byte() != b':' {
            return None;
        }
        self.at += 1;
        self.space();
        let key = &self.bytes[key.start + 2..key.end - 2];
        self.found.is_error |= ERROR_KEYS.contains(&key) && self.starts_with(b"true");
        self.value(depth)
    }

    /// Passes over a string; where it is, and whether it is a text.
    fn string(&mut self) -> Option<(Span, bool)> {
        let start = self.at;
        if !self.starts_with(b"\\\"") {
            return None;
        }
        self.at += 2;
        let mut is_text = matches!(self.byte(), b'{' | b'[');
        loop {
            self.at += memchr(b'\\', &self.bytes[self.at..])?;
            let next = |more: usize| self.bytes.get(self.at + more).copied();
            self.at += match (next(1)?, next(2)) {
                (b'"', _) => {
                    self.at += 2;
                    return Some((start..self.at, is_text));
                }
                // A backslash of the wrapper's own, and what it escapes.
                (b'\\', Some(b'\\')) if next(3)? != b'u' => 4,
                (b'\\', Some(letter)) if letter != b'\\' => {
                    is_text |= letter == b'n';
                    3
                }
                (b'/', _) => 2,
                (b'u', _) => self.character()?,
                // A line break in a string is no JSON.
                _ => return None,
            }
        }
    }

    /// The length of an escape by number, unless it means what would have to be understood.
    fn character(&self) -> Option<usize> {
        let digits = std::str::from_utf8(self.bytes.get(self.at + 2..self.at + 6)?).ok()?;
        let character = u32::from_str_radix(digits, 16).ok()?;
        (character >= 0x20 && !matches!(character, 0x22 | 0x5c)).then_some(6)
    }
}
