//! Turns the vocabulary and the character classes into the tables the counter reads in place.
//!
//! Done at compile time: at run time it would cost every start 50 ms and 5 MB of private memory.
//! `layout.rs` is shared with the counter, so the two cannot disagree. The manual is deflated here, too,
//! which leaves a third of it.

use std::collections::HashMap;
use std::path::Path;
use std::{env, fs};

use layout::{
    BLOCK_BITS, BYTE_NAMES, CASELESS, ENTRY, FILTER_BITS, LOWER, MARK, NAME_BITS, NEWLINE, NO_RANK,
    NUMBER, OTHER, PAIR_NAMES, PAIRS_GROUP, RANK_BITS, SEED_BITS, SLOT_BYTES, SLOTS, SPACE,
    SPELT_BYTES_MAX, UPPER, filter_place, hash, parts, seed_place, slot, spelling, spelt_len, word,
};

mod layout;

const EMPTY: u64 = ENTRY;
const TOKENS: usize = 199_998;
const CHARS: usize = 0x11_0000;
/// About 68,000 are needed.
const SEED_TURNS_MAX: usize = 1_000_000;

fn main() {
    for input in ["build.rs", "layout.rs", "o200k.bin", "classes.txt"] {
        println!("cargo::rerun-if-changed=src/tokens/{input}");
    }
    let vocabulary = fs::read("src/tokens/o200k.bin").expect("the vocabulary is in the repository");
    let tokens = tokens(&vocabulary);
    assert_eq!(tokens.len(), TOKENS, "o200k.bin is damaged");
    let (index, groups) = pairs(&tokens);
    let hashes: Vec<u64> =
        tokens.iter().filter(|token| token.len() > 2).map(|token| hash(token)).collect();
    let seeds = seeds(&hashes);
    write("seeds.bin", &seeds);
    write("slots.bin", &slots(&entries(&tokens, &seeds, &groups)));
    write("filter.bin", &filter(&hashes));
    write("pair_index.bin", &index);
    write("pair_groups.bin", &bytes_of(&groups));

    let text =
        fs::read_to_string("src/tokens/classes.txt").expect("the classes are in the repository");
    let (index, blocks) = blocks(&classes(&text));
    write("class_index.bin", &index);
    write("class_blocks.bin", &blocks);
    println!("cargo::rerun-if-changed=src/prices/table.txt");
    let prices = fs::read("src/prices/table.txt").expect("the prices are in the repository");
    write("prices.z", &miniz_oxide::deflate::compress_to_vec(&prices, 10));
    for page in ["tokenpak.1", "tokenpak-config.5", "tokenpak-db.5", "tokenpak-prices.5"] {
        let path = format!("man/{page}");
        println!("cargo::rerun-if-changed={path}");
        let text = fs::read(path).expect("the manual is in the repository");
        write(&format!("{page}.z"), &miniz_oxide::deflate::compress_to_vec(&text, 10));
    }
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

/// For each group of hashes the seed that leads them to slots of their own (as PtrHash does it). Large
/// groups choose first. One that finds no free places takes those of the fewest others, which choose
/// again.
fn seeds(hashes: &[u64]) -> Vec<u8> {
    let mut groups = vec![Vec::new(); 1 << SEED_BITS];
    for &hash in hashes {
        groups[seed_place(hash)].push(hash);
    }
    let mut waiting: Vec<usize> = (0..groups.len()).collect();
    waiting.sort_by_key(|&group| groups[group].len());
    let mut owners: Vec<Option<usize>> = vec![None; SLOTS];
    let mut seeds = vec![0; groups.len()];
    for turn in 0..SEED_TURNS_MAX {
        let Some(group) = waiting.pop() else { return seeds };
        let slots = |seed: u8| groups[group].iter().map(move |&hash| slot(hash, seed));
        let price = |seed: u8| {
            let mut each: Vec<usize> = slots(seed).collect();
            each.sort_unstable();
            let owners = each.iter().filter_map(|&slot| owners[slot]);
            let apart = each.windows(2).all(|two| two[0] != two[1]);
            apart.then(|| owners.map(|owner| groups[owner].len().pow(2)).sum::<usize>())
        };
        // From another seed each time, so that two groups do not take turns for ever.
        let all = (0..=u8::MAX).map(|seed| seed.wrapping_add((turn * 91) as u8));
        let priced = all.filter_map(|seed| Some((price(seed)?, seed)));
        let cheapest = priced.min_by_key(|(price, _)| *price);
        let (_, seed) = cheapest.expect("two hashes are equal; change the hash");
        for place in slots(seed) {
            if let Some(owner) = owners[place].replace(group) {
                let theirs = groups[owner].iter().map(|&hash| slot(hash, seeds[owner]));
                theirs.filter(|&slot| slot != place).for_each(|slot| owners[slot] = None);
                waiting.push(owner);
            }
        }
        seeds[group] = seed;
    }
    panic!("the seeds find no end; more slots are needed");
}

/// The entries of all slots.
fn entries(tokens: &[&[u8]], seeds: &[u8], pairs: &[u32]) -> Vec<u64> {
    let ranks: HashMap<&[u8], usize> =
        tokens.iter().enumerate().map(|(rank, token)| (*token, rank)).collect();
    let place = |token: &[u8]| slot(hash(token), seeds[seed_place(hash(token))]);
    let pair = |rank: usize| pairs.iter().position(|&pair| pair == rank as u32);
    let name = |token: &[u8]| match *token {
        [byte] => BYTE_NAMES + u32::from(byte),
        [_, _] => PAIR_NAMES + pair(ranks[token]).expect("pairs are in their table") as u32,
        _ => place(token) as u32,
    };
    assert!(PAIR_NAMES as usize + pairs.len() < 1 << NAME_BITS, "too many names");
    let mut entries = vec![EMPTY; SLOTS];
    for (rank, token) in tokens.iter().enumerate().filter(|(_, token)| token.len() > 2) {
        let (left, right) = token.split_at(last_merge(token, &ranks));
        let spelt =
            (token.len() <= SPELT_BYTES_MAX).then(|| spelling(word(token), token.len())).flatten();
        let what = spelt.unwrap_or_else(|| parts(name(left), name(right)));
        assert_eq!(spelt.and(spelt_len(what)), spelt.map(|_| token.len()), "{token:?}");
        entries[place(token)] = what << RANK_BITS | rank as u64;
    }
    entries
}

/// Where a token's two parts meet when it is merged from single bytes. Wherever it comes about in a text
/// it is of these two: until then, nothing around it took part in its merges.
fn last_merge(token: &[u8], ranks: &HashMap<&[u8], usize>) -> usize {
    let mut bounds: Vec<usize> = (0..=token.len()).collect();
    while bounds.len() > 3 {
        let joined = |at: &usize| ranks.get(&token[bounds[*at - 1]..bounds[*at + 1]]);
        let inner = (1..bounds.len() - 1).filter(|at| joined(at).is_some());
        let least = inner.min_by_key(joined).expect("every token can be merged from bytes");
        bounds.remove(least);
    }
    bounds[1]
}

fn filter(hashes: &[u64]) -> Vec<u8> {
    let mut filter = vec![0; 1 << (FILTER_BITS - 3)];
    for &hash in hashes {
        let (byte, bit) = filter_place(hash);
        filter[byte] |= bit;
    }
    filter
}

/// Three bytes each.
fn bytes_of(ranks: &[u32]) -> Vec<u8> {
    ranks.iter().flat_map(|rank| rank.to_le_bytes().into_iter().take(3)).collect()
}

/// Ranks of all strings of two bytes, where every merge begins: the number of each group of sixteen in
/// two bytes, and the groups, equal ones once (most are empty).
fn pairs(tokens: &[&[u8]]) -> (Vec<u8>, Vec<u32>) {
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
    (index, groups.concat())
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
