//! The counter against the oracle, on long texts.

use bpe_openai::o200k_base;

use super::{below, fuzz, pick};
use crate::tokens::Counter;

const TEXTS: u64 = 40;
const PARTS_MAX: usize = 400;

/// Pieces that meet each other in ways that no text of a person has.
const PARTS: &[&str] = &[
    "a",
    "Z",
    "the",
    " of",
    "  ",
    "\n",
    "\r\n",
    "\t",
    "1",
    "2026",
    "'s",
    "'LL",
    "\u{e9}",
    "\u{301}",
    "\u{4ef7}",
    "\u{1f600}",
    "\u{200d}",
    "\u{a0}",
    "_",
    "/",
    "//",
    "{\"",
    "\":",
    "[[",
    "====",
    "<|endoftext|>",
    "\u{0}",
    "\u{fffd}",
    "\u{10ffff}",
    "\u{17f}",
    "\u{212a}",
    "QmFz",
    "0x7f",
    "\\u00e9",
    "[... ",
    " ...]",
];

#[test]
fn long_texts_count_as_the_oracle_counts_them() {
    let (oracle, mut counter) = (o200k_base(), Counter::new());
    fuzz(TEXTS, |source| {
        let mut text = String::new();
        for _ in 0..1 + below(source, PARTS_MAX) {
            let part = *pick(source, PARTS);
            let times = if below(source, 8) == 0 { 1 + below(source, 300) } else { 1 };
            text += &part.repeat(times);
        }
        assert_eq!(counter.count(&text), oracle.count(&text), "{text:?}");
        Ok(())
    });
}
