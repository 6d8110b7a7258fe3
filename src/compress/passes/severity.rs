//! Which lines are about something going wrong: they stay as they are, whatever else is said more
//! briefly.
//!
//! Words decide, wherever they stand and however they go on, in doubt for the line: `IOException`,
//! `errors: 0` and `failover` all count.

/// In lower case; the first three characters are letters.
const WORDS: &[&str] = &[
    "error",
    "err!",
    "exception",
    "warn",
    "fatal",
    "fail",
    "panic",
    "traceback",
    "critical",
    "emerg",
    "abort",
    "severe",
    "segfault",
    "segmentation fault",
    "stack trace",
    "stacktrace",
    "caused by",
    "unhandled",
    "uncaught",
    "core dumped",
    "out of memory",
    "assertion",
];

/// How the lines of a stack trace begin, blanks apart.
const FRAMES: &[&str] = &["at ", "File \"", "... ", "thread '", "goroutine ", "raise ", "E   "];

/// By its first letter, which second letters some word has, a bit each; and by the second, which third.
/// Letters go by their lower five bits, upper case or lower; what is no letter may pass for one.
const SECONDS: [u32; 32] = followers(0);
const THIRDS: [u32; 32] = followers(1);

const fn followers(at: usize) -> [u32; 32] {
    let mut followers = [0; 32];
    let mut index = 0;
    while index < WORDS.len() {
        let word = WORDS[index].as_bytes();
        followers[letter(word[at])] |= 1 << letter(word[at + 1]);
        index += 1;
    }
    followers
}

const fn letter(byte: u8) -> usize {
    byte as usize & 31
}

/// Whether a line reports an error or a warning, or is part of a stack trace.
pub(crate) fn is_severe(line: &str) -> bool {
    is_frame(line) || has_word(line.as_bytes())
}

fn has_word(bytes: &[u8]) -> bool {
    bytes.windows(3).enumerate().any(|(at, three)| {
        let [first, second, third] = [three[0], three[1], three[2]].map(letter);
        SECONDS[first] >> second & THIRDS[second] >> third & 1 == 1
            && WORDS.iter().any(|word| {
                bytes
                    .get(at..at + word.len())
                    .is_some_and(|part| part.eq_ignore_ascii_case(word.as_bytes()))
            })
    })
}

/// A line of a stack trace, or one that klog marks with the first letter of its level.
fn is_frame(line: &str) -> bool {
    let margin = line.bytes().take_while(|byte| matches!(byte, b' ' | b'\t' | b'|')).count();
    let start = &line[margin..];
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let first = start.as_bytes().first();
    let begins = |frame: &&str| frame.as_bytes().first() == first && start.starts_with(*frame);
    FRAMES.iter().any(begins)
        || start.strip_prefix('#').is_some_and(|rest| is_numbered_frame(&rest[digits(rest)..]))
        || line
            .strip_prefix(['E', 'W', 'F'])
            .is_some_and(|rest| digits(rest) == 4 && rest[4..].starts_with(' '))
}

/// What follows the number of a frame, as PHP and gdb write it; a step of a Docker build does not.
fn is_numbered_frame(rest: &str) -> bool {
    const STARTS: &[&str] = &[" /", " {main}", " [internal function]", "  0x", "  "];
    STARTS.iter().any(|start| rest.starts_with(start))
        || (rest.starts_with(' ') && ["->", "): ", "::"].iter().any(|part| rest.contains(part)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_about_errors_are_known() {
        for line in [
            "2026-11-22 ERROR x",
            "java.io.IOException: x",
            "\tat com.example.A.b(A.java:1)",
            "  File \"a.py\", line 1, in <module>",
            "Traceback (most recent call last):",
            "test a ... FAILED",
            "thread 'main' panicked at src/main.rs:1:1",
            "#3 /srv/app/index.php(54): A->b()",
            "#0  0x0000 in main ()",
            "W0412 10:00:00.000000 1 a.go:1] x",
            "npm Warn x",
        ] {
            assert!(is_severe(line), "{line}");
        }
        for line in
            ["", "e", "2026-11-22 INFO ready", "#12 0.512 ok", "E04 x", "#1 5 7", "an er ror"]
        {
            assert!(!is_severe(line), "{line}");
        }
    }
}
