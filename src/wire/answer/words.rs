//! The words in which providers say why: short ones, which are written down. What was written for people
//! may say anything, and is not.

use std::borrow::Cow;

use crate::json::{Reader, Span};

/// A longer word is none.
pub(super) const WORD_BYTES_MAX: usize = 40;

/// A string of one short word: no provider ends for another reason, and it is written down.
pub(super) fn is_word(json: &[u8]) -> bool {
    let word = json.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    word.is_some_and(|word| {
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
        (1..=WORD_BYTES_MAX).contains(&word.len()) && word.iter().all(is_plain)
    })
}

/// What an error's JSON says of its type: the most telling word that is one.
pub(super) fn error_name(json: &[u8]) -> Option<Cow<'static, str>> {
    let text = std::str::from_utf8(json).ok()?;
    let mut found: [Option<Span>; 4] = Default::default();
    // What breaks off may have said it.
    let _ = Reader::new(text).object(|reader, key| {
        let at = ["type", "status", "code", "error_type"].iter().position(|name| *name == key);
        let value = reader.value()?;
        at.into_iter().for_each(|at| found[at] = Some(value.clone()));
        Some(())
    });
    found.into_iter().flatten().find_map(|span| word_of(text[span].as_bytes()))
}

/// Why the cache was missed, by what is said of it: Anthropic's `{"cache_miss_reason": {"type": "..."}}`, or
/// the same in other wrappings. `None`: it was not, or that is not known yet.
pub(super) fn miss_reason(json: &[u8], depth: usize) -> Option<Cow<'static, str>> {
    const KEYS: [&str; 4] = ["cache_miss_reason", "cache_miss", "reason", "type"];
    let text = std::str::from_utf8(json).ok()?;
    if !text.starts_with('{') {
        return word_of(json).filter(|_| text.starts_with('"'));
    }
    let (_, found) = Reader::new(text).members(KEYS).filter(|_| depth < KEYS.len())?;
    // What there is of a reason is only said within what is there about it.
    let at = found.into_iter().zip(KEYS).find(|(span, _)| span.is_some());
    at.filter(|(_, key)| depth > 0 || *key != "type")
        .and_then(|(span, _)| miss_reason(text[span?].as_bytes(), depth + 1))
}

/// A short word, or a number as `error_502`; nothing that was written for people, which may say
/// anything.
pub(super) fn word_of(json: &[u8]) -> Option<Cow<'static, str>> {
    const DIGITS_MAX: usize = 6;
    let text = std::str::from_utf8(json).ok()?;
    let is_number =
        (1..=DIGITS_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    match text.trim_matches('"') {
        _ if is_number => Some(format!("error_{text}").into()),
        "error" | "" => None,
        word => is_word(json).then(|| word.to_owned().into()),
    }
}
