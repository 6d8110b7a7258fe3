//! Whether an answer's text is for a reader: not blank, not JSON, not one block of code.

use super::Refusal;
use crate::json;

/// A longer text that begins like JSON or code is not looked at to its end, and gets no footer.
const SUSPECT_BYTES_MAX: usize = 256 * 1024;

/// A text as it comes. Nearly every one shows with its first letter what it is, and is not kept.
#[derive(Debug, Default)]
pub(super) enum TextTail {
    #[default]
    Blank,
    Text,
    /// Begins like JSON or like a code block.
    Suspect(String),
}

impl TextTail {
    pub(super) fn feed(&mut self, text: &str) {
        match self {
            TextTail::Text => {}
            TextTail::Blank => match text.trim_start().bytes().next() {
                None => {}
                Some(b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n' | b'`') => {
                    *self = TextTail::Suspect(text.to_owned());
                }
                Some(_) => *self = TextTail::Text,
            },
            TextTail::Suspect(kept) => {
                if kept.len() <= SUSPECT_BYTES_MAX {
                    kept.push_str(text);
                }
            }
        }
    }

    /// Whether more of the text would change the verdict.
    pub(super) fn is_decided(&self) -> bool {
        matches!(self, TextTail::Text)
    }

    /// Why there can be no footer under it.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        match self {
            TextTail::Blank => Some(Refusal::NoText),
            TextTail::Text => None,
            TextTail::Suspect(text) if text.len() > SUSPECT_BYTES_MAX => Some(Refusal::Large),
            TextTail::Suspect(text) if json::is_value(text) => Some(Refusal::Json),
            TextTail::Suspect(text) if is_code(text.trim()) => Some(Refusal::Code),
            TextTail::Suspect(_) => None,
        }
    }
}

/// One fenced block and nothing else: people pipe such answers into files.
fn is_code(text: &str) -> bool {
    const FENCE: &str = "```";
    let inner = text.strip_prefix(FENCE).and_then(|rest| rest.strip_suffix(FENCE));
    inner.is_some_and(|inner| !inner.contains(FENCE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_told_from_json_and_code_at_any_split() {
        check("The build failed.", None);
        check("  \n é", None);
        check("", Some("no-text"));
        check(" \n ", Some("no-text"));
        check(" {\"a\": [1]}\n", Some("json"));
        check("42", Some("json"));
        check("true", Some("json"));
        check("\"yes\"", Some("json"));
        check("true enough", None);
        check("[1] is a footnote", None);
        check("```json\n{}\n```\n", Some("code"));
        check("```sh\nls\n```\nlists files", None);
        check("```sh\nls\n```\nand\n```sh\ncd\n```", None);
        check("-1.", None);

        #[track_caller]
        fn check(text: &str, want: Option<&str>) {
            for cut in (0..=text.len()).filter(|cut| text.is_char_boundary(*cut)) {
                let mut prose = TextTail::default();
                prose.feed(&text[..cut]);
                prose.feed(&text[cut..]);
                assert_eq!(prose.refusal().map(Refusal::name), want, "{text:?} cut at {cut}");
            }
        }
    }
}
