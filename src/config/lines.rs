//! From a key of the configuration file to the line it stands on, for error messages.

use std::collections::HashMap;

use serde_json::Value;

use crate::error::json_reason;

/// The content of a file and where its keys stand, or what is wrong with it. Some editors begin
/// a file with a byte order mark; it means nothing.
pub(crate) fn parse(name: &str, text: &str) -> Result<(Value, Origins), String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match serde_json::from_str(text) {
        Ok(value) => Ok((value, Origins::new(name, text))),
        Err(error) => Err(syntax_fault(name, text, &error)),
    }
}

/// The line of every key in one file.
pub(crate) struct Origins {
    name: String,
    lines: HashMap<String, usize>,
    repeated: Vec<(String, usize)>,
}

impl Origins {
    /// Scans `text`, which must be valid JSON; `name` is the file's name in messages.
    fn new(name: &str, text: &str) -> Origins {
        let mut scan = Scan { line: 1, ..Scan::default() };
        let mut rest = text.as_bytes();
        while let Some((&byte, after)) = rest.split_first() {
            rest = match byte {
                b'"' => scan.string(after),
                _ => {
                    scan.punctuation(byte);
                    after
                }
            };
        }
        Origins { name: name.to_owned(), lines: scan.lines, repeated: scan.repeated }
    }

    /// A complaint about each key that is there twice: to JSON the last one counts, and what the
    /// first one says would be dropped in silence.
    pub(crate) fn repeated(&self) -> impl Iterator<Item = String> {
        self.repeated
            .iter()
            .map(|(key, line)| format!("{}:{line}: {key}: there already", self.name))
    }

    /// `config.json:7`, or `config.json` where the key is not known.
    pub(crate) fn of(&self, key: &str) -> String {
        match self.lines.get(key) {
            Some(line) => format!("{}:{line}", self.name),
            None => self.name.clone(),
        }
    }
}

#[derive(Default)]
struct Scan {
    line: usize,
    /// The key that is open in each container around this place.
    open: Vec<Option<String>>,
    string: String,
    lines: HashMap<String, usize>,
    repeated: Vec<(String, usize)>,
}

impl Scan {
    /// Takes a string literal, its opening quote already read; returns what follows it.
    fn string<'a>(&mut self, text: &'a [u8]) -> &'a [u8] {
        let mut end = 0;
        while end < text.len() && text[end] != b'"' {
            end += if text[end] == b'\\' { 2 } else { 1 };
        }
        let end = end.min(text.len());
        self.string = String::from_utf8_lossy(&text[..end]).into_owned();
        &text[(end + 1).min(text.len())..]
    }

    fn punctuation(&mut self, byte: u8) {
        match byte {
            b'\n' => self.line += 1,
            b'{' | b'[' => self.open.push(None),
            b'}' | b']' => drop(self.open.pop()),
            b',' => drop(self.open.last_mut().and_then(Option::take)),
            b':' => {
                if let Some(key) = self.open.last_mut() {
                    *key = Some(std::mem::take(&mut self.string));
                }
                let path: Vec<_> = self.open.iter().flatten().map(String::as_str).collect();
                let (path, is_listed) = (path.join("."), path.len() < self.open.len());
                // Items of a list have the same keys.
                if self.lines.insert(path.clone(), self.line).is_some() && !is_listed {
                    self.repeated.push((path, self.line));
                }
            }
            _ => {}
        }
    }
}

/// The parser's complaint with the place it means.
///
/// serde_json points past the end of the faulty line when a word is cut short: column 0 of the
/// line below. The line before is the one to look at.
fn syntax_fault(name: &str, text: &str, error: &serde_json::Error) -> String {
    let (mut line, mut column) = (error.line(), error.column());
    if column == 0 && line > 1 {
        line -= 1;
        column = text.lines().nth(line - 1).map_or(0, str::len);
    }
    format!("{name}:{line}:{column}: {}", json_reason(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_knows_its_line() {
        let text = "{\n \"proxy\": {\n  \"port\": 1, \"hosts\": [\"a:b\", {\"x\":\n 2}],\n\
                    \"mode\": \"a\\\"}\"\n },\n\"log\": {}}";
        let origins = Origins::new("c.json", text);
        for (key, want) in [
            ("proxy", "c.json:2"),
            ("proxy.port", "c.json:3"),
            ("proxy.hosts", "c.json:3"),
            ("proxy.mode", "c.json:5"),
            ("log", "c.json:7"),
            ("nowhere", "c.json"),
        ] {
            assert_eq!(origins.of(key), want, "{key}");
        }
    }

    #[test]
    fn a_key_that_is_there_twice_is_named_with_its_second_line() {
        check("{\"a\": 1,\n\"a\": 2}", &["c.json:2: a: there already"]);
        check(
            "{\"a\": {\"b\": 1},\n\"a\": {\"b\": 1}}",
            &["c.json:2: a: there already", "c.json:2: a.b: there already"],
        );
        check("{\"a\": [{\"b\": 1}, {\"b\": 2}], \"c\": {\"b\": 3}, \"b\": \"b\"}", &[]);

        #[track_caller]
        fn check(text: &str, want: &[&str]) {
            let (_, origins) = parse("c.json", text).unwrap();
            assert_eq!(origins.repeated().collect::<Vec<_>>(), want);
        }
    }

    #[test]
    fn a_byte_order_mark_means_nothing() {
        let (value, origins) = parse("c.json", "\u{feff}{\n\"a\": 1}").unwrap();
        assert_eq!((value["a"].as_i64(), origins.of("a").as_str()), (Some(1), "c.json:2"));
    }

    #[test]
    fn syntax_fault_names_the_faulty_line() {
        let text = "{\n \"a\": tru\n}\n";
        let error = serde_json::from_str::<serde_json::Value>(text).unwrap_err();
        assert!(syntax_fault("c.json", text, &error).starts_with("c.json:2:"));
    }
}
