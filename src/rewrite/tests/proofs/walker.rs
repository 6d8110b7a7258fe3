//! Two bodies side by side, byte by byte: which strings differ, and where they stand.
//!
//! Its own reader of JSON, in the fewest lines, so that a fault of the product's cannot hide here.

/// A string that differs: where it stands, and both spellings.
#[derive(Debug)]
pub(super) struct Change<'a> {
    pub(super) path: Vec<String>,
    pub(super) old: &'a str,
    pub(super) new: &'a str,
}

/// The strings that differ between two bodies. Anything else that differs is a failure.
#[track_caller]
pub(super) fn changes<'a>(old: &'a str, new: &'a str) -> Vec<Change<'a>> {
    if old == new {
        return Vec::new();
    }
    let mut walker = Walker { old, new, path: Vec::new(), found: Vec::new() };
    walker.value();
    walker.blank();
    assert!(walker.old.is_empty() && walker.new.is_empty(), "something stands behind the body");
    walker.found
}

struct Walker<'a> {
    old: &'a str,
    new: &'a str,
    path: Vec<String>,
    found: Vec<Change<'a>>,
}

impl<'a> Walker<'a> {
    fn value(&mut self) {
        self.blank();
        match self.old.as_bytes()[0] {
            b'"' => self.string(),
            b'{' => self.list('}', |walker, _| walker.member()),
            b'[' => self.list(']', |walker, at| {
                walker.path.push(at.to_string());
                walker.value();
                walker.path.pop();
            }),
            _ => {
                let ends = |byte: u8| b",]} \t\r\n".contains(&byte);
                let end = self.old.bytes().position(ends).unwrap_or(self.old.len());
                self.same(end);
            }
        }
    }

    fn string(&mut self) {
        let (old, new) = (string_len(self.old), string_len(self.new));
        let (old, new) = (take(&mut self.old, old), take(&mut self.new, new));
        if old != new {
            self.found.push(Change { path: self.path.clone(), old, new });
        }
    }

    fn list(&mut self, close: char, mut element: impl FnMut(&mut Self, usize)) {
        self.same(1);
        for at in 0.. {
            self.blank();
            if self.old.starts_with(close) {
                return self.same(1);
            }
            if at > 0 {
                self.same(1);
                self.blank();
            }
            element(self, at);
        }
    }

    fn member(&mut self) {
        let key = &self.old[..string_len(self.old)];
        self.path.push(key[1..key.len() - 1].to_owned());
        self.same(key.len());
        self.blank();
        self.same(1);
        self.value();
        self.path.pop();
    }

    fn blank(&mut self) {
        let rest = self.old.trim_start_matches([' ', '\t', '\r', '\n']);
        self.same(self.old.len() - rest.len());
    }

    /// Both go on with the same bytes.
    fn same(&mut self, len: usize) {
        let at = self.path.join(".");
        let (old, new) = (take(&mut self.old, len), take(&mut self.new, len));
        assert_eq!(old, new, "changed at {at}");
    }
}

fn take<'a>(text: &mut &'a str, len: usize) -> &'a str {
    let (head, tail) = text.split_at_checked(len).unwrap_or((text, ""));
    *text = tail;
    head
}

/// The length of the string literal with which a text begins, quotes included.
fn string_len(text: &str) -> usize {
    let mut bytes = text.bytes().enumerate().skip(1);
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}
