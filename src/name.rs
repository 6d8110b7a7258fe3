//! Texts that others choose: models, projects, programs, paths, words of providers. They are cut where
//! they come in, and made harmless where they are shown.
//!
//! A name keeps its value in memory and in the ledger. What is printed for people or programs goes
//! through `clean`, which leaves a terminal nothing to obey, a log no line to forge, and a reader no
//! character that cannot be seen or that turns the rest of the line around.

use std::borrow::Cow;
use std::fmt::Write;

/// Longer names are cut. The ledger's, the metrics' and the traces' are the same.
pub(crate) const NAME_BYTES_MAX: usize = 200;

/// As much of a name as is kept: whole characters.
pub(crate) fn cut(text: &str) -> &str {
    let mut end = text.len().min(NAME_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Characters beyond ASCII that show nothing or reorder what stands around them: Unicode's
/// Default_Ignorable_Code_Point, the separators of lines and paragraphs, and the annotations.
const HIDDEN: &[(u32, u32)] = &[
    (0x80, 0x9f),
    (0xad, 0xad),
    (0x34f, 0x34f),
    (0x61c, 0x61c),
    (0x115f, 0x1160),
    (0x17b4, 0x17b5),
    (0x180b, 0x180f),
    (0x200b, 0x200f),
    (0x2028, 0x202e),
    (0x2060, 0x206f),
    (0x3164, 0x3164),
    (0xfe00, 0xfe0f),
    (0xfeff, 0xfeff),
    (0xffa0, 0xffa0),
    (0xfff0, 0xfffb),
    (0x1bca0, 0x1bca3),
    (0x1d173, 0x1d17a),
    (0xe0000, 0xe0fff),
];

fn is_hidden(c: char) -> bool {
    let code = c as u32;
    match c {
        ' '..='~' => false,
        _ if c.is_ascii() => true,
        _ => HIDDEN.iter().any(|(first, last)| (*first..=*last).contains(&code)),
    }
}

/// A text for one line: what does not show as itself is written as JSON writes it, `\n`, `\u001b`.
/// A backslash stays one, so that a path reads as it is.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_hidden(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a string does not fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            c => out.push(c),
        }
    }
    out.into()
}

/// A whole output, whose line ends and tabs are our own. JSON stays JSON, and means the same: in a
/// string of it there is no line end as such.
pub(crate) fn clean_lines(text: &str) -> Cow<'_, str> {
    let is_ours = |c| c == '\n' || c == '\t';
    if !text.chars().any(|c| is_hidden(c) && !is_ours(c)) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for piece in text.split_inclusive(is_ours) {
        let end = piece.len() - usize::from(piece.ends_with(is_ours));
        out.push_str(&clean(&piece[..end]));
        out.push_str(&piece[end..]);
    }
    out.into()
}

/// A value of a `key=value` line: in quotes where it could pass for more than one.
pub(crate) fn field(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| !is_hidden(c) && !c.is_whitespace() && !"\"=\\".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.into();
    }
    let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", clean(&quoted)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_between_characters() {
        assert_eq!(cut("gpt-4o"), "gpt-4o");
        assert_eq!(cut(&"x".repeat(300)).len(), 200);
        for lead in 0..4 {
            let name = "x".repeat(lead) + &"\u{1f600}".repeat(1000);
            let kept = cut(&name);
            assert!((197..=200).contains(&kept.len()) && name.starts_with(kept), "{lead}");
        }
    }

    #[test]
    fn nothing_hidden_is_left() {
        for (text, want) in [
            ("claude-sonnet-4-5", "claude-sonnet-4-5"),
            ("modèle 模型 🙂 a\\b", "modèle 模型 🙂 a\\b"),
            ("x\n<6>listening addr=1.2.3.4:5", "x\\n<6>listening addr=1.2.3.4:5"),
            ("x\r\ty", "x\\r\\ty"),
            ("\u{1b}]0;title\u{7}", "\\u001b]0;title\\u0007"),
            ("\u{1b}]8;;http://a\u{1b}\\b", "\\u001b]8;;http://a\\u001b\\b"),
            ("\u{1b}[2J\u{1b}[31m", "\\u001b[2J\\u001b[31m"),
            ("\u{9b}2J\u{85}\u{90}", "\\u009b2J\\u0085\\u0090"),
            ("a\u{7f}\0\u{8}", "a\\u007f\\u0000\\u0008"),
            ("\u{202e}gpt\u{2066}\u{200f}\u{61c}", "\\u202egpt\\u2066\\u200f\\u061c"),
            ("g\u{200b}p\u{ad}t\u{feff}\u{3164}", "g\\u200bp\\u00adt\\ufeff\\u3164"),
            ("a\u{2028}b\u{2029}c", "a\\u2028b\\u2029c"),
            ("\u{e0041}", "\\udb40\\udc41"),
        ] {
            assert_eq!(clean(text), want);
            assert_eq!(clean(want), want, "a second run must change nothing");
            let json = serde_json::to_string(text).unwrap();
            let shown = clean_lines(&json).into_owned();
            assert!(!shown.chars().any(is_hidden), "{shown}");
            assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text, "the same value");
        }
    }

    #[test]
    fn every_hidden_character_is_escaped_and_letters_are_not() {
        for c in (0..=0x10_ffff).filter_map(char::from_u32) {
            let text = c.to_string();
            let shown = clean(&text);
            assert_eq!(shown != text, is_hidden(c), "{c:?}");
            assert!(!c.is_control() || shown.is_ascii(), "{c:?}");
        }
    }

    #[test]
    fn lines_of_an_output_stay_lines() {
        check("a\tb\n\u{1b}[1mc\n", "a\tb\n\\u001b[1mc\n");
        check("no end", "no end");
        check("\r\n\n", "\\r\n\n");
        check("", "");

        #[track_caller]
        fn check(text: &str, want: &str) {
            assert_eq!(clean_lines(text), want);
        }
    }

    #[test]
    fn fields_pass_for_one_value() {
        check("gpt-4o", "gpt-4o");
        check("", "\"\"");
        check("x status=200", "\"x status=200\"");
        check("say \"hi\" \\", r#""say \"hi\" \\""#);
        check("x\nlistening addr=1", "\"x\\nlistening addr=1\"");
        check("x\u{a0}y", "\"x\u{a0}y\"");
        check("\u{1b}\\", r#""\u001b\\""#);

        #[track_caller]
        fn check(text: &str, want: &str) {
            assert_eq!(field(text), want);
        }
    }
}
