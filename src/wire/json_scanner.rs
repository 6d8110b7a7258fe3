//! Takes a few members out of JSON as it passes, in constant memory.
//!
//! An answer can be tens of megabytes (pictures, echoed instructions), while what we want of it is
//! a few hundred bytes at known paths. So the text is neither kept nor checked: this reader knows
//! strings, brackets and keys only, has no recursion, and may be fed at any split. Arrays do not
//! count in a path: `choices`, `finish_reason` means that of any choice.

use memchr::memchr2;

/// A member that is wanted: the keys that lead to it, and what its value is handed on as.
pub(super) struct Wanted<F> {
    pub(super) path: &'static [&'static str],
    pub(super) field: F,
}

/// A longer value is handed on as nothing. Usage objects with every detail stay below 2 kB.
const VALUE_BYTES_MAX: usize = 16 * 1024;

/// Most usage objects have fewer, so that the buffer is made once.
const VALUE_BYTES_USUAL: usize = 256;

/// Containers on the way to a wanted member. The deepest path needs four.
const LEVELS_MAX: usize = 8;

/// Keys are compared in full; a longer one is none of ours.
const KEY_BYTES_MAX: usize = 24;

/// Which rows of the table are still possible; bit i stands for row i.
type Rows = u16;

#[derive(Clone, Copy, Default)]
struct Level {
    object: bool,
    rows: Rows,
    /// Place in a path of the keys found here, or in the objects directly below.
    at: usize,
}

pub(super) struct JsonScanner<F: 'static> {
    wanted: &'static [Wanted<F>],
    levels: [Level; LEVELS_MAX],
    open: usize,
    /// Open containers below the levels: nothing in them is wanted.
    passed_over: usize,
    started: bool,
    in_string: bool,
    escaped: bool,
    /// The next string is a key.
    key_next: bool,
    in_key: bool,
    key: [u8; KEY_BYTES_MAX],
    key_bytes: usize,
    /// Rows that the value we stand before, or in, may lead to.
    rows: Rows,
    /// The value we stand before is wanted as this row.
    due: Option<usize>,
    taking: Option<usize>,
    taken: Vec<u8>,
    too_long: bool,
}

impl<F: Copy> JsonScanner<F> {
    pub(super) fn new(wanted: &'static [Wanted<F>]) -> JsonScanner<F> {
        JsonScanner {
            wanted,
            levels: [Level::default(); LEVELS_MAX],
            open: 0,
            passed_over: 0,
            started: false,
            in_string: false,
            escaped: false,
            key_next: false,
            in_key: false,
            key: [0; KEY_BYTES_MAX],
            key_bytes: 0,
            rows: Rows::MAX,
            due: None,
            taking: None,
            taken: Vec::new(),
            too_long: false,
        }
    }

    /// Makes ready for another document; the buffer is kept.
    pub(super) fn restart(&mut self) {
        let taken = std::mem::take(&mut self.taken);
        *self = JsonScanner { taken, ..JsonScanner::new(self.wanted) };
    }

    /// Whether exactly the end of a document has been reached: something was opened, nothing is open.
    pub(super) fn complete(&self) -> bool {
        self.started && !self.is_open()
    }

    /// Whether something was opened and not closed: a string, an object, an array.
    pub(super) fn is_open(&self) -> bool {
        self.open > 0 || self.passed_over > 0 || self.in_string
    }

    /// Takes the next bytes; each wanted value is handed on as the JSON that it is.
    pub(super) fn feed(&mut self, bytes: &[u8], found: &mut impl FnMut(F, &[u8])) {
        let mut at = 0;
        while at < bytes.len() {
            if self.in_string {
                at += self.string(&bytes[at..], found);
            } else {
                self.plain(bytes[at], found);
                at += 1;
            }
        }
    }

    /// Reads on in a string; returns the bytes that belong to it.
    fn string(&mut self, bytes: &[u8], found: &mut impl FnMut(F, &[u8])) -> usize {
        let (used, last) = if std::mem::take(&mut self.escaped) {
            (1, None)
        } else {
            memchr2(b'"', b'\\', bytes)
                .map_or((bytes.len(), None), |end| (end + 1, Some(bytes[end])))
        };
        self.take(&bytes[..used]);
        if self.in_key {
            self.extend_key(&bytes[..used]);
        }
        self.escaped = last == Some(b'\\');
        if last == Some(b'"') {
            self.in_string = false;
            self.in_key = false;
            if self.passed_over == 0 {
                self.finish_value(found);
            }
        }
        used
    }

    fn extend_key(&mut self, bytes: &[u8]) {
        let room = &mut self.key[self.key_bytes.min(KEY_BYTES_MAX)..];
        let copied = bytes.len().min(room.len());
        room[..copied].copy_from_slice(&bytes[..copied]);
        self.key_bytes += bytes.len();
    }

    /// One byte outside of strings.
    fn plain(&mut self, byte: u8, found: &mut impl FnMut(F, &[u8])) {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => return self.take(&[byte]),
            b':' if self.passed_over == 0 => return self.end_key(),
            b',' if self.passed_over == 0 => {
                self.finish_value(found);
                self.next_member();
                return;
            }
            b'}' | b']' => return self.close(byte, found),
            _ => {}
        }
        if let Some(row) = self.due.take() {
            self.too_long = false;
            self.taken.clear();
            self.taken.reserve(VALUE_BYTES_USUAL);
            self.taking = Some(row);
        }
        self.started = true;
        self.take(&[byte]);
        match byte {
            b'"' => {
                self.in_string = true;
                if self.key_next {
                    self.key_next = false;
                    self.in_key = true;
                    self.key_bytes = 0;
                }
            }
            b'{' | b'[' => self.open(byte == b'{'),
            _ => {}
        }
    }

    fn open(&mut self, object: bool) {
        if self.taking.is_some()
            || self.passed_over > 0
            || self.rows == 0
            || self.open == LEVELS_MAX
        {
            self.passed_over += 1;
            return;
        }
        let at = match self.open.checked_sub(1).map(|above| self.levels[above]) {
            Some(above) => above.at + usize::from(above.object),
            None => 0,
        };
        self.levels[self.open] = Level { object, rows: self.rows, at };
        self.open += 1;
        self.next_member();
    }

    fn close(&mut self, byte: u8, found: &mut impl FnMut(F, &[u8])) {
        if self.passed_over > 0 {
            self.passed_over -= 1;
            self.take(&[byte]);
        } else {
            // A number or word may have been the last member.
            self.finish_value(found);
            self.open = self.open.saturating_sub(1);
            self.key_next = false;
            return;
        }
        if self.passed_over == 0 {
            self.finish_value(found);
        }
    }

    /// After `{`, `[` or a comma on a level.
    fn next_member(&mut self) {
        if let Some(level) = self.open.checked_sub(1).map(|top| self.levels[top]) {
            self.key_next = level.object;
            self.rows = level.rows;
            self.due = None;
        }
    }

    /// After the colon: which rows does the key leave, and does it complete one?
    fn end_key(&mut self) {
        let Some(level) = self.open.checked_sub(1).map(|top| self.levels[top]) else { return };
        // The closing quote was copied with the rest.
        let key =
            self.key_bytes.checked_sub(1).and_then(|bytes| self.key.get(..bytes)).unwrap_or(b"");
        self.rows = 0;
        for (row, wanted) in self.wanted.iter().enumerate() {
            let possible = level.rows & (1 << row) != 0;
            if possible && wanted.path.get(level.at).is_some_and(|name| name.as_bytes() == key) {
                self.rows |= 1 << row;
                if wanted.path.len() == level.at + 1 {
                    self.due = Some(row);
                }
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        if self.taking.is_some() {
            self.too_long |= self.taken.len() + bytes.len() > VALUE_BYTES_MAX;
            if self.too_long {
                self.taken.clear();
            } else {
                self.taken.extend_from_slice(bytes);
            }
        }
    }

    fn finish_value(&mut self, found: &mut impl FnMut(F, &[u8])) {
        if let Some(row) = self.taking.take() {
            found(self.wanted[row].field, self.taken.trim_ascii_end());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: &[Wanted<char>] = &[
        Wanted { path: &["usage"], field: 'u' },
        Wanted { path: &["a", "usage"], field: 'a' },
        Wanted { path: &["a", "b"], field: 'b' },
    ];

    #[test]
    fn wanted_members_are_found_at_any_split() {
        check(r#"{"usage": {"x": [1, "}"]}, "z": 1}"#, &["u {\"x\": [1, \"}\"]}"], true);
        check(r#"{"a":{"usage":1,"b":null},"usage":"s"}"#, &["a 1", "b null", "u \"s\""], true);
        check(r#"{"a":[{"b":1},{"b":2}]}"#, &["b 1", "b 2"], true);
        check(r#"[{"usage":{"n":1}},{"usage":{"n":2}}]"#, &["u {\"n\":1}", "u {\"n\":2}"], true);
        check(r#"{"b":1,"x":{"usage":2},"a":{"c":{"b":3}}}"#, &[], true);
        check(r#"{"a":"usage","x":"\"usage\":1","usage":true}"#, &["u true"], true);
        check(r#"{"us\u0061ge":1,"usagewithaverylongtailbehindit":2,"":3}"#, &[], true);
        check(r#"{"a":{"b":"\\"},"usage":"\\\"é"}"#, &[r#"b "\\""#, r#"u "\\\"é""#], true);
        check(r#" {"usage": 12 } "#, &["u 12"], true);
        check(r#"{"usage":{"n":1},"more"#, &["u {\"n\":1}"], false);
        check(r#"{"usage":{"n":1"#, &[], false);
        check("", &[], false);
        check("}}]", &[], false);
    }

    #[test]
    fn depth_and_size_have_no_limit() {
        let deep = format!("{{\"x\":{}{},\"usage\":1}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(read(&[deep.as_bytes()]), (vec!["u 1".to_string()], true));
        let long = format!(r#"{{"a":{{"b":"{}"}},"usage":1}}"#, "x".repeat(VALUE_BYTES_MAX));
        assert_eq!(
            read(&[long.as_bytes()]),
            (vec!["b ".to_string(), "u 1".to_string()], true),
            "too long a value is handed on as nothing"
        );
    }

    #[track_caller]
    fn check(json: &str, want: &[&str], complete: bool) {
        let want: Vec<String> = want.iter().map(|text| text.to_string()).collect();
        let bytes = json.as_bytes();
        for cut in 0..=bytes.len() {
            let (first, second) = bytes.split_at(cut);
            assert_eq!(read(&[first, second]), (want.clone(), complete), "{json} at {cut}");
        }
    }

    fn read(pieces: &[&[u8]]) -> (Vec<String>, bool) {
        let (mut json_scanner, mut found) = (JsonScanner::new(WANTED), Vec::new());
        for piece in pieces {
            json_scanner.feed(piece, &mut |field, value| {
                found.push(format!("{field} {}", String::from_utf8_lossy(value)));
            });
        }
        (found, json_scanner.complete())
    }
}
