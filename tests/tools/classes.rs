//! Prints the character classes of the o200k split, as `src/tokens/classes.txt` holds them.
//!
//! Taken from the Unicode tables of regex-syntax, which the oracle's own splitter is built on.
//! `char::is_uppercase` and its kin are no substitute: they are other properties (Other_Uppercase).

use regex_syntax::{
    ParserBuilder,
    hir::{Class, HirKind},
};

/// Name in the file, and the set it stands for. No two overlap; what none of them holds is "other".
const CLASSES: &[(&str, &str)] = &[
    ("upper", r"[\p{Lu}\p{Lt}]"),
    ("lower", r"\p{Ll}"),
    ("caseless", r"[\p{Lm}\p{Lo}]"),
    ("mark", r"\p{M}"),
    ("number", r"\p{N}"),
    ("newline", r"[\r\n]"),
    ("space", r"[\s--[\r\n]]"),
];

const COLUMNS_MAX: usize = 100;

fn main() {
    println!("# Character classes of the o200k split, Unicode 16.0.0; ranges in hexadecimal.");
    println!("# Written by tests/tools/classes.rs; do not edit.");
    for (name, pattern) in CLASSES {
        let mut line = (*name).to_string();
        for range in ranges(pattern) {
            if line.len() + 1 + range.len() > COLUMNS_MAX {
                println!("{line}");
                line = (*name).to_string();
            }
            line = format!("{line} {range}");
        }
        println!("{line}");
    }
}

fn ranges(pattern: &str) -> Vec<String> {
    let hir = ParserBuilder::new().build().parse(pattern).expect("the patterns above are valid");
    let HirKind::Class(Class::Unicode(class)) = hir.kind() else {
        panic!("not a class: {pattern}")
    };
    let range = |start: char, end: char| match (start as u32, end as u32) {
        (start, end) if start == end => format!("{start:X}"),
        (start, end) => format!("{start:X}-{end:X}"),
    };
    class.ranges().iter().map(|each| range(each.start(), each.end())).collect()
}
