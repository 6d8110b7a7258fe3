//! Turns the vocabulary and the character classes into the tables the counter reads in place.
//!
//! Done at compile time: at run time it would cost every start 50 ms and 5 MB of private memory.
//! `layout.rs` is shared with the counter, so the two cannot disagree.

use std::path::Path;
use std::{env, fs};

use layout::{
    BLOCK_BITS, CASELESS, ENTRY, FILTER_BITS, LOWER, MARK, NEWLINE, NO_RANK, NUMBER, OTHER,
    PAIRS_GROUP, RANK_BITS, SLOT_BYTES, SLOTS, SLOTS_BEYOND, SPACE, UPPER, filter_place,
    fingerprint, hash, slot,
};

mod layout;

const EMPTY: u64 = ENTRY;
const TOKENS: usize = 199_998;
const CHARS: usize = 0x11_0000;

fn main() {
    for input in ["build.rs", "layout.rs", "o200k.bin", "classes.txt"] {
        println!("cargo::rerun-if-changed=src/tokens/{input}");
    }
    let vocabulary = fs::read("src/tokens/o200k.bin").expect("the vocabulary is in the repository");
    let tokens = tokens(&vocabulary);
    assert_eq!(tokens.len(), TOKENS, "o200k.bin is damaged");
    write("ranks.bin", &slots(&ranks(&tokens)));
    write("filter.bin", &filter(&tokens));
    let (index, groups) = pairs(&tokens);
    write("pair_index.bin", &index);
    write("pair_groups.bin", &groups);

    let text =
        fs::read_to_string("src/tokens/classes.txt").expect("the classes are in the repository");
    let (index, blocks) = blocks(&classes(&text));
    write("class_index.bin", &index);
    write("class_blocks.bin", &blocks);
}

fn write(name: &str, bytes: &[u8]) {
    let folder = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    fs::write(Path::new(&folder).join(name), bytes).expect("OUT_DIR is writable");
}

/// The last one is padded: it is read as the others are, eight bytes at once.
fn slots(entries: &[u64]) -> Vec<u8> {
    let bytes = entries.iter().flat_map(|entry| entry.to_le_bytes().into_iter().take(SLOT_BYTES));
    bytes.chain([0]).collect()
}

/// The tokens in rank order; each is stored behind a byte with its length.
fn tokens(mut blob: &[u8]) -> Vec<&[u8]> {
    let mut tokens = Vec::with_capacity(TOKENS);
    while let Some((&len, rest)) = blob.split_first() {
        let (token, rest) = rest.split_at(usize::from(len));
        tokens.push(token);
        blob = rest;
    }
    tokens
}

/// Open addressing with linear probing. Low ranks are the frequent tokens and come first, so they
/// sit at home.
fn ranks(tokens: &[&[u8]]) -> Vec<u64> {
    let mut slots = vec![EMPTY; SLOTS + SLOTS_BEYOND];
    for (rank, token) in tokens.iter().enumerate() {
        let hash = hash(token);
        let entry = fingerprint(hash) | rank as u64;
        let mut at = slot(hash);
        while slots[at] != EMPTY {
            assert_ne!(
                slots[at] >> RANK_BITS,
                entry >> RANK_BITS,
                "two tokens share slot and fingerprint"
            );
            at += 1;
        }
        slots[at] = entry;
    }
    assert_eq!(slots.last(), Some(&EMPTY), "a look-up would not end");
    slots
}

fn filter(tokens: &[&[u8]]) -> Vec<u8> {
    let mut filter = vec![0; 1 << (FILTER_BITS - 3)];
    for token in tokens {
        let (byte, bit) = filter_place(hash(token));
        filter[byte] |= bit;
    }
    filter
}

/// Ranks of all strings of two bytes, three bytes each: where every merge begins. In groups of
/// sixteen, equal ones once (most are empty), and before them the number of each group, two bytes.
fn pairs(tokens: &[&[u8]]) -> (Vec<u8>, Vec<u8>) {
    let mut ranks = vec![NO_RANK; 1 << 16];
    for (rank, token) in tokens.iter().enumerate() {
        if let [first, second] = **token {
            ranks[usize::from(first) << 8 | usize::from(second)] = rank as u32;
        }
    }
    let mut index = Vec::new();
    let mut groups: Vec<&[u32]> = Vec::new();
    for group in ranks.chunks(PAIRS_GROUP) {
        let known = groups.iter().position(|&each| each == group);
        let at = known.unwrap_or_else(|| {
            groups.push(group);
            groups.len() - 1
        });
        index.extend((at as u16).to_le_bytes());
    }
    let ranks = groups.concat().into_iter();
    (index, ranks.flat_map(|rank| rank.to_le_bytes().into_iter().take(3)).collect())
}

/// The class of every code point.
fn classes(text: &str) -> Vec<u8> {
    let mut classes = vec![OTHER; CHARS];
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split(' ');
        let class = match words.next() {
            Some("upper") => UPPER,
            Some("lower") => LOWER,
            Some("caseless") => CASELESS,
            Some("mark") => MARK,
            Some("number") => NUMBER,
            Some("newline") => NEWLINE,
            Some("space") => SPACE,
            _ => panic!("classes.txt: no class: {line}"),
        };
        for range in words {
            let (start, end) = range.split_once('-').unwrap_or((range, range));
            classes[hex(start)..=hex(end)].fill(class);
        }
    }
    classes
}

fn hex(text: &str) -> usize {
    usize::from_str_radix(text, 16).expect("classes.txt holds hexadecimal numbers")
}

/// Equal blocks once, and for each block of code points which one it is. The first is ASCII.
fn blocks(classes: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut index = Vec::new();
    let mut blocks: Vec<&[u8]> = Vec::new();
    for block in classes.chunks(1 << BLOCK_BITS) {
        let known = blocks.iter().position(|&each| each == block);
        let at = known.unwrap_or_else(|| {
            blocks.push(block);
            blocks.len() - 1
        });
        index.push(u8::try_from(at).expect("more than 256 blocks of classes"));
    }
    // Padded to what a byte can name, so that the reader needs no bounds check.
    let mut bytes = blocks.concat();
    bytes.resize(256 << BLOCK_BITS, OTHER);
    (index, bytes)
}
