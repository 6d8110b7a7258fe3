//! Finds the patterns of lines: which words never change, and which do.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::compress::budget::Budget;
use crate::compress::hash::{hash, mix};
use crate::compress::passes::severity::is_severe;

/// Lines of one kind that are worth a pattern.
const USES_MIN: usize = 4;

/// What a pattern must save beyond its own line, in bytes.
const GAIN_BYTES_MIN: usize = 40;

/// Longer lines, and lines with more words, stay as they are.
const LINE_BYTES_MAX: usize = 2000;
const WORDS_MAX: usize = 60;

/// A reader has to count the words of a row.
const SLOTS_MAX: usize = 12;

/// Kinds of lines that a line of a rare kind is compared with.
const NEAR_MAX: usize = 24;

/// One in so many words may differ between lines of different kinds that share a pattern.
const DIFFERING_SHARE: usize = 4;

/// What the name of a pattern and the brackets around it take, in bytes.
const LEGEND_BYTES: usize = 16;

/// What stands still in a line, and what is in between.
#[derive(Debug)]
pub(super) struct Pattern {
    /// The text before each slot, and behind the last: one more than there are slots.
    fixed: Vec<String>,
    /// The words that hold the slots, and what of them stands still.
    slots: Vec<Slot>,
}

/// Where in a line a slot is.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    word: usize,
    /// Bytes of the word before it and behind it, blanks before the word included.
    before: usize,
    behind: usize,
}

impl Pattern {
    /// The parts of a line of this kind that go into the slots.
    pub(super) fn row<'l>(&self, line: &'l str) -> impl Iterator<Item = &'l str> {
        let words: Vec<&str> = words(line).collect();
        self.slots.iter().map(move |slot| {
            let word = words[slot.word];
            &word[slot.before..word.len() - slot.behind]
        })
    }

    /// As it stands in the legend.
    pub(super) fn write(&self, out: &mut String) {
        for (index, fixed) in self.fixed.iter().enumerate() {
            if index > 0 {
                _ = write!(out, "{{{index}}}");
            }
            out.push_str(fixed);
        }
    }

    /// `None` if it has more slots than any of ours.
    pub(super) fn read(text: &str) -> Option<Pattern> {
        let mut fixed = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once(&format!("{{{}}}", fixed.len() + 1)) {
            if fixed.len() == SLOTS_MAX {
                return None;
            }
            fixed.push(before.to_owned());
            rest = behind;
        }
        fixed.push(rest.to_owned());
        Some(Pattern { fixed, slots: Vec::new() })
    }

    /// Appends the line of this kind with these words.
    pub(super) fn fill(&self, row: &str, out: &mut String, budget: &mut Budget) -> Option<()> {
        let slots = self.fixed.len() - 1;
        let mut words = row.split(' ').filter(|_| !row.is_empty());
        budget.push(out, &self.fixed[0])?;
        for fixed in &self.fixed[1..] {
            budget.push(out, words.next()?)?;
            budget.push(out, fixed)?;
        }
        (words.next().is_none() && (slots > 0 || row.is_empty())).then_some(())
    }
}

/// The patterns in the order of their first lines, and for each line the index of its own.
pub(super) fn find(lines: &[&str]) -> (Vec<Pattern>, Vec<Option<usize>>) {
    let mut choice = vec![None; lines.len()];
    let mut patterns = Vec::new();
    for kind in join(lines, kinds(lines)) {
        if let Some(pattern) = pattern(lines, &kind) {
            for line in &kind {
                choice[*line] = Some(patterns.len());
            }
            patterns.push(pattern);
        }
    }
    (patterns, choice)
}

/// The words of a line, each with the blanks before it; blanks at the end are a word.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let blanks = blanks(rest).len();
        let end = blanks + rest[blanks..].bytes().take_while(|byte| !is_blank(*byte)).count();
        let (word, behind) = rest.split_at(end);
        rest = behind;
        (!word.is_empty()).then_some(word)
    })
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

fn has_digit(word: &str) -> bool {
    word.bytes().any(|byte| byte.is_ascii_digit())
}

fn blanks(word: &str) -> &str {
    &word[..word.bytes().take_while(|byte| is_blank(*byte)).count()]
}

fn is_all_blank(word: &str) -> bool {
    word.bytes().all(is_blank)
}

fn may_fold(line: &str) -> bool {
    line.len() <= LINE_BYTES_MAX
        && !line.trim().is_empty()
        && !line.starts_with("[... ")
        && !line.starts_with("{\"template of ")
        && !is_severe(line)
}

/// Lines that differ in words with digits only, in the order of their first ones.
fn kinds(lines: &[&str]) -> Vec<Vec<usize>> {
    let mut kinds: Vec<Vec<usize>> = Vec::new();
    let mut known: HashMap<u64, usize> = HashMap::new();
    for (index, line) in lines.iter().enumerate().filter(|(_, line)| may_fold(line)) {
        if let Some(kind) = kind_of(line) {
            let kind = *known.entry(kind).or_insert(kinds.len());
            if kind == kinds.len() {
                kinds.push(Vec::new());
            }
            kinds[kind].push(index);
        }
    }
    kinds
}

/// The same for lines that differ in words with digits only. `None`: too many words.
pub(crate) fn kind_of(line: &str) -> Option<u64> {
    let (mut kind, mut count) = (0, 0);
    for word in words(line) {
        let (said, differs) = if has_digit(word) { (blanks(word), 1) } else { (word, 0) };
        kind = mix(kind ^ hash(said.as_bytes())) ^ differs;
        count += 1;
    }
    (count <= WORDS_MAX).then_some(kind)
}

/// Joins kinds that differ in a few words, where that is shorter than a pattern for each.
fn join(lines: &[&str], kinds: Vec<Vec<usize>>) -> Vec<Vec<usize>> {
    let mut joined: Vec<Joined> = Vec::new();
    let mut near: HashMap<u64, Vec<usize>> = HashMap::new();
    for kind in kinds {
        let words: Vec<&str> = words(lines[kind[0]]).collect();
        let mut hasher = DefaultHasher::new();
        words.iter().for_each(|word| (blanks(word), is_all_blank(word)).hash(&mut hasher));
        let places = near.entry(hasher.finish()).or_default();
        let best = places
            .iter()
            .rev()
            .take(NEAR_MAX)
            .filter_map(|place| Some((joined[*place].gain(&words, &kind)?, *place)))
            .max_by_key(|(gain, _)| *gain);
        match best {
            Some((_, place)) => joined[place].add(&words, kind),
            None => {
                places.push(joined.len());
                joined.push(Joined { words, differing: 0, lines: kind });
            }
        }
    }
    let mut all: Vec<Vec<usize>> = joined.into_iter().map(|kind| kind.lines).collect();
    all.iter_mut().for_each(|kind| kind.sort_unstable());
    all
}

struct Joined<'l> {
    words: Vec<&'l str>,
    /// The words without digits that differ, a bit each.
    differing: u64,
    lines: Vec<usize>,
}

impl Joined<'_> {
    fn differing(&self, words: &[&str]) -> u64 {
        let differs = |index: &usize| {
            let (one, other) = (self.words[*index], words[*index]);
            one != other && !(has_digit(one) && has_digit(other))
        };
        (0..words.len()).filter(differs).fold(self.differing, |bits, index| bits | 1 << index)
    }

    /// Bytes saved if `kind` joins; `None` if it should not.
    fn gain(&self, words: &[&str], kind: &[usize]) -> Option<usize> {
        if words.len() != self.words.len() {
            return None;
        }
        let differing = self.differing(words);
        if differing.count_ones() as usize * DIFFERING_SHARE > words.len() {
            return None;
        }
        let new = differing & !self.differing;
        let slots: usize = (0..words.len())
            .filter(|index| new >> index & 1 == 1)
            .map(|index| words[index].len())
            .sum();
        let length: usize = words.iter().map(|word| word.len()).sum();
        let is_rare = |count: usize| count < USES_MIN;
        let (mine, its) = (self.lines.len(), kind.len());
        let won = match (is_rare(mine), is_rare(its)) {
            (true, true) => return Some(length.saturating_sub(slots)),
            (false, false) => length + LEGEND_BYTES,
            (true, false) => mine * length,
            (false, true) => its * length,
        };
        won.checked_sub((mine + its) * slots).filter(|gain| *gain > 0)
    }

    fn add(&mut self, words: &[&str], kind: Vec<usize>) {
        self.differing = self.differing(words);
        self.lines.extend(kind);
    }
}

/// The pattern of some lines with equally many words; `None` if it would save too little.
fn pattern(lines: &[&str], kind: &[usize]) -> Option<Pattern> {
    if kind.len() < USES_MIN {
        return None;
    }
    let first: Vec<&str> = words(lines[kind[0]]).collect();
    let mut slots: Vec<Option<Slot>> = vec![None; first.len()];
    for line in &kind[1..] {
        let mut count = 0;
        for (index, word) in words(lines[*line]).enumerate() {
            let one = *first.get(index)?;
            if blanks(one) != blanks(word) || is_all_blank(one) != is_all_blank(word) {
                return None;
            }
            if one != word {
                slots[index] = Some(narrow(one, word, slots[index], index));
            }
            count += 1;
        }
        if count != first.len() {
            return None;
        }
    }
    let slots: Vec<Slot> = slots.into_iter().flatten().collect();
    let pattern = Pattern { fixed: fixed(&first, &slots), slots };
    let length: usize = pattern.fixed.iter().map(String::len).sum();
    let won = kind.len() * length.saturating_sub(pattern.slots.len() + 3);
    let clear = !pattern.fixed.iter().any(|fixed| has_slot_name(fixed));
    let pays = won > length + LEGEND_BYTES + pattern.slots.len() * 3 + GAIN_BYTES_MIN;
    (clear && pays && pattern.slots.len() <= SLOTS_MAX).then_some(pattern)
}

fn has_slot_name(fixed: &str) -> bool {
    fixed
        .match_indices('{')
        .any(|(at, _)| fixed[at + 1..].starts_with(|digit: char| digit.is_ascii_digit()))
}

/// What two words have in common at both ends, in whole numbers and names; of a URL nothing.
fn narrow(one: &str, other: &str, known: Option<Slot>, word: usize) -> Slot {
    let blank = blanks(one).len();
    let whole = Slot { word, before: blank, behind: 0 };
    if one.contains("://") || other.contains("://") {
        return whole;
    }
    let limit = known.unwrap_or(Slot { word, before: usize::MAX, behind: usize::MAX });
    let (a, b) = (one.as_bytes(), other.as_bytes());
    let before = a.iter().zip(b).take_while(|(a, b)| a == b).count().min(limit.before);
    let behind = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
    let behind = behind.min(limit.behind);
    let mut slot = Slot { word, before: boundary(a, before).max(blank), behind };
    slot.behind = a.len() - boundary_behind(a, a.len() - behind);
    let is_opened =
        |word: &str| word.get(slot.before..word.len() - slot.behind).is_some_and(is_opened);
    if slot.behind > 0 && (is_opened(one) || is_opened(other)) {
        // `06[NET]` and `09[MGR]` are clearer than `06[NET` and `09[MGR`.
        slot.behind -= 1;
    }
    let shortest = a.len().min(b.len());
    if slot.before + slot.behind >= shortest { whole } else { slot }
}

/// Whether a bracket is opened and not closed.
fn is_opened(part: &str) -> bool {
    [('[', ']'), ('(', ')'), ('<', '>'), ('{', '}')]
        .iter()
        .any(|(open, close)| part.matches(*open).count() > part.matches(*close).count())
}

/// The last place up to `at` that is not inside a number, a name or a character.
fn boundary(word: &[u8], at: usize) -> usize {
    let is_inner = |at: usize| {
        at > 0
            && at < word.len()
            && is_letter(word[at - 1])
            && is_letter(word[at])
            && (word[at - 1].is_ascii_digit() || !word[at].is_ascii_digit())
    };
    (0..=at).rev().find(|at| !is_inner(*at)).unwrap_or(0)
}

/// The first place from `at` on that is not inside one.
fn boundary_behind(word: &[u8], at: usize) -> usize {
    let is_inner = |at: usize| {
        at > 0
            && at < word.len()
            && is_letter(word[at - 1])
            && is_letter(word[at])
            && (!word[at - 1].is_ascii_digit() || word[at].is_ascii_digit())
    };
    (at..=word.len()).find(|at| !is_inner(*at)).unwrap_or(word.len())
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn fixed(words: &[&str], slots: &[Slot]) -> Vec<String> {
    let mut fixed = vec![String::new()];
    let mut slots = slots.iter().peekable();
    for (index, word) in words.iter().enumerate() {
        let Some(slot) = slots.next_if(|slot| slot.word == index) else {
            if let Some(last) = fixed.last_mut() {
                last.push_str(word);
            }
            continue;
        };
        if let Some(last) = fixed.last_mut() {
            last.push_str(&word[..slot.before]);
        }
        fixed.push(word[word.len() - slot.behind..].to_owned());
    }
    fixed
}
