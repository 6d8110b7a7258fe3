//! Events of a stream that repeat an earlier one but for their texts: nearly all of them.
//!
//! An event that was read and came to nothing is kept as its fixed pieces. The next one that has the
//! same pieces around other texts comes to nothing, too, and costs a comparison. What varies are
//! values of a few keys that no reader of ours looks at, so a value cannot make the difference.

use memchr::memchr;

use crate::json::string_end;

/// Keys whose values vary from event to event. A value is a string or a whole number.
const KEYS: &[&[u8]] = &[
    b"\"content\":",
    b"\"text\":",
    b"\"delta\":",
    b"\"reasoning_content\":",
    b"\"thinking\":",
    b"\"partial_json\":",
    b"\"arguments\":",
    b"\"obfuscation\":",
    b"\"sequence_number\":",
];

/// Longer events are read.
const EVENT_BYTES_MAX: usize = 4 * 1024;

/// Some streams do not repeat themselves, and are not learnt from for ever.
const LESSONS_MAX: u32 = 64;

/// What repeats. Nothing, as long as nothing was learnt.
#[derive(Default)]
pub(crate) struct EventTemplate {
    /// The event's bytes before its first varying value, and behind each.
    pieces: Vec<Vec<u8>>,
    lessons: u32,
}

impl EventTemplate {
    /// Takes an event to heart, its blank line included, that has come to nothing.
    pub(crate) fn learn(&mut self, event: &[u8]) {
        if event.len() > EVENT_BYTES_MAX || self.lessons == LESSONS_MAX {
            return;
        }
        self.lessons += 1;
        self.pieces.clear();
        let (mut start, mut at) = (0, 0);
        while let Some(quote) = memchr(b'"', &event[at..]).map(|found| at + found) {
            at = quote + 1;
            let Some(key) = KEYS.iter().find(|key| event[quote..].starts_with(key)) else {
                continue;
            };
            let blank = event[quote + key.len()..].iter().take_while(|byte| **byte == b' ').count();
            let value = quote + key.len() + blank;
            if let Some(end) = value_end(event, value) {
                self.pieces.push(event[start..value].to_vec());
                (start, at) = (end, end);
            }
        }
        if !self.pieces.is_empty() {
            self.pieces.push(event[start..].to_vec());
        }
    }

    /// How many of the first bytes are whole events that repeat what was learnt.
    /// Not inlined: inside a larger loop it takes a tenth more instructions.
    #[inline(never)]
    pub(crate) fn count(&mut self, bytes: &[u8]) -> usize {
        let mut all = 0;
        while let Some(length) = self.first(&bytes[all..]) {
            all += length;
            self.lessons = 0;
        }
        all
    }

    fn first(&self, bytes: &[u8]) -> Option<usize> {
        let (first, rest) = self.pieces.split_first()?;
        let mut at = bytes.starts_with(first).then_some(first.len())?;
        for piece in rest {
            let end = value_end(bytes, at)?;
            // As readable as the event that was learnt.
            let value = &bytes[at..end];
            if !value.is_ascii() {
                std::str::from_utf8(value).ok()?;
            }
            at = bytes[end..].starts_with(piece).then_some(end + piece.len())?;
        }
        Some(at)
    }
}

fn value_end(bytes: &[u8], start: usize) -> Option<usize> {
    match bytes.get(start)? {
        b'"' => string_end(bytes, start),
        b'1'..=b'9' => {
            let digits = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit());
            Some(start + digits.count())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str =
        "data: {\"id\":\"1\",\"delta\":{\"content\":\"a\"},\"end\":null,\"obfuscation\":\"x\"}\n\n";

    #[test]
    fn events_that_differ_in_their_texts_repeat() {
        check(&EVENT.replace("\"a\"", "\"\\\"é\\n\""), true);
        check(&EVENT.replace("\"a\"", "\"\"").replace("\"x\"", "\"12\""), true);
        check(&EVENT.replace("\"a\"", "1"), true);
        for (from, to) in [
            ("\"a\"", "null"),
            ("\"a\"", "[\"a\"]"),
            ("\"a\"", "\"\\x\""),
            ("\"a\"", "\"a\",\"b\":\"c\""),
            ("\"1\"", "\"2\""),
            ("null", "\"stop\""),
            ("\n\n", "\n"),
            ("data: ", "data:"),
            ("}\n", "} \n"),
        ] {
            check(&EVENT.replace(from, to), false);
        }

        #[track_caller]
        fn check(event: &str, want: bool) {
            let mut event_template = EventTemplate::default();
            assert_eq!(event_template.count(event.as_bytes()), 0, "nothing was learnt");
            event_template.learn(EVENT.as_bytes());
            let stream = format!("{event}{EVENT}{event}");
            let all = if want { stream.len() } else { 0 };
            assert_eq!(event_template.count(stream.as_bytes()), all, "{event}");
            let cut = &stream.as_bytes()[..stream.len() - 1];
            let whole = if want { event.len() + EVENT.len() } else { 0 };
            assert_eq!(event_template.count(cut), whole, "cut: {event}");
        }
    }

    #[test]
    fn what_is_no_text_is_not_taken_for_one() {
        let mut event_template = EventTemplate::default();
        let event = EVENT.replace("\"a\"", "\"\u{fffd}\"");
        event_template.learn(event.as_bytes());
        let broken: Vec<u8> =
            EVENT.bytes().map(|byte| if byte == b'a' { 0xff } else { byte }).collect();
        assert_eq!(event_template.count(&broken), 0);
        // An event without any text does not vary.
        event_template.learn(b"data: {\"usage\":null}\n\n");
        assert_eq!(event_template.count(b"data: {\"usage\":null}\n\n"), 0);
    }

    #[test]
    fn streams_that_never_repeat_are_not_learnt_from_for_ever() {
        let mut event_template = EventTemplate::default();
        for number in 0..=LESSONS_MAX {
            event_template.learn(EVENT.replace("\"1\"", &format!("\"{number}\"")).as_bytes());
        }
        let last = |number: u32| EVENT.replace("\"1\"", &format!("\"{number}\""));
        assert_eq!(event_template.count(last(LESSONS_MAX).as_bytes()), 0);
        let event = last(LESSONS_MAX - 1);
        assert_eq!(event_template.count(event.as_bytes()), event.len());
    }
}
