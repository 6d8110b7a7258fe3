//! The counter against `bpe-openai`: equal on every input, in pieces and in number.
//!
//! Inputs come from a generator with a fixed seed, so that a failure repeats.

use std::fmt::Write;
use std::path::Path;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use bpe_openai::{Tokenizer, o200k_base};

use super::merge::Merger;
use super::{Counter, block, split, table};

/// What the split decides on, and what it might confuse: all kinds of letters (titlecase, modifier,
/// caseless), marks, digits, all white space, letters that fold to ASCII, bytes of every class.
const EDGES: &str = concat!(
    "abzABZstmdrevlSTMDREVL019'''///!?.,;-_=+*#@(){}[]<>|\\\"`~^&%$ \u{0}\u{7f}\u{1c}\u{200b}",
    "\t\n\r\n\r  \u{b}\u{c}\u{85}\u{a0}\u{1680}\u{2000}\u{2003}\u{200a}\u{2028}\u{2029}\u{202f}",
    "\u{205f}\u{3000}\u{feff}\u{fffd}éßÉñÑµªºſ\u{212a}kKåÅ\u{212b}ǅǈᾼʰʼˈאبงกकि漢字日本ひカㅎ한",
    "\u{300}\u{301}\u{5b0}\u{93f}\u{20dd}\u{fe0f}\u{e0100}\u{1f3fb}\u{10400}\u{10428}\u{1d400}",
    "\u{1d41a}²½٣५Ⅷ〇🙂🇩🇪👩\u{200d}💻€“”’‘—…·×÷",
);

/// Strings that meet the split's rules, between broken bars.
const FRAGMENTS: &str = concat!(
    "<|endoftext|>¦<|endofprompt|>¦'s¦'LL¦'re¦'Ve¦'ſ¦'ſt¦'\u{212a}¦don't¦I'D¦'d'¦''s¦ the¦The¦",
    "HTTPServer¦fooBar¦漢A¦A漢¦漢Aa¦\u{301}ABC¦\u{301}Abc¦!\u{301}¦ \u{301}¦\r\n¦\n\n¦ \n¦\n ¦  ¦",
    "   \n   ¦\t\t¦//\r\n/¦!\n/x¦ /¦ \u{a0}¦\u{3000}x¦12¦1234567¦3.14¦2024-01-02T03:04:05Z¦0x7fff¦",
    "½½½½¦{\"a\":¦[[¦====¦----¦…¦\\u00e9¦0123456789abcdef¦QmFzZTY0¦    ¦            ",
);

/// xorshift64*: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as usize % limit
    }

    fn fragment(&mut self) -> &'static str {
        let at = self.below(FRAGMENTS.split('¦').count());
        FRAGMENTS.split('¦').nth(at).unwrap()
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.below(256) as u8).collect()
    }

    fn char(&mut self) -> char {
        let limit = [0x80, 0x800, 0x3000, 0x1_0000, 0x2_0000, 0x11_0000][self.below(6)];
        char::from_u32(self.below(limit) as u32).unwrap_or('\u{fffd}')
    }

    /// One of the generated kinds of text.
    fn text(&mut self, edges: &[char], tokens: &Tokenizer) -> String {
        let parts = 1 + self.below(24);
        match self.below(10) {
            0 => String::from_utf8_lossy(&self.bytes(parts * 4)).into_owned(),
            1 => (0..parts).map(|_| self.char()).collect(),
            2 => (0..parts).map(|_| self.fragment()).collect(),
            3 => self.tokens(parts, tokens),
            4 => self.runs(parts / 4 + 1, edges),
            // Long enough for blocks, and nearly all of it theirs.
            5 | 6 => (0..parts * 8).map(|_| self.ascii()).collect(),
            7 => (0..parts)
                .map(|_| format!("{}{}", self.fragment(), edges[self.below(edges.len())]))
                .collect(),
            _ => (0..parts).map(|_| edges[self.below(edges.len())]).collect(),
        }
    }

    /// Characters in the order of their classes, so that neighbours often are of one.
    fn ascii(&mut self) -> char {
        const ASCII: &str =
            "      \n\n\r\t\u{b}\u{1c}\u{7f}!-(.//__''0123459ABCDEIORSTUVLabcdedrstvelm";
        let edge = self.below(400) == 0;
        if edge { 'é' } else { char::from(ASCII.as_bytes()[self.below(ASCII.len())]) }
    }

    /// Tokens end to end: merges that nearly happen.
    fn tokens(&mut self, count: usize, of: &Tokenizer) -> String {
        let ranks = of.bpe.num_tokens();
        let bytes: Vec<u8> = (0..count)
            .flat_map(|_| of.bpe.token_bytes(self.below(ranks) as u32).iter().copied())
            .collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn runs(&mut self, count: usize, edges: &[char]) -> String {
        let run = |random: &mut Self| {
            let char = edges[random.below(edges.len())];
            let limit = [4, 40, 400][random.below(3)];
            let len = 1 + random.below(limit);
            String::from_iter(std::iter::repeat_n(char, len))
        };
        (0..count).map(|_| run(self)).collect()
    }
}

fn pieces(text: &str) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let end = (start < text.len()).then(|| split::piece_end(text, start))?;
        Some(&text.as_bytes()[std::mem::replace(&mut start, end)..end])
    })
}

/// The same as blocks see it, wherever in the text they begin.
fn check_blocks(text: &str) {
    let starts: Vec<usize> = pieces(text)
        .scan(0, |at, piece| Some(std::mem::replace(at, *at + piece.len())))
        .chain([text.len()])
        .collect();
    for (index, &start) in starts.iter().enumerate() {
        let mut block = [block::NO_TEXT; block::BYTES];
        let rest = &text.as_bytes()[start..];
        let len = rest.len().min(block.len());
        block[..len].copy_from_slice(&rest[..len]);
        let found = block::pieces(&block, len);
        let ends = starts[index..].iter().map(|end| end - start).skip(1);
        let want = ends.take_while(|&end| end <= found.end).fold(0, |bits, end| bits | 1 << end);
        assert_eq!(found.starts, want, "{:?}", String::from_utf8_lossy(&block[..len]));
    }
}

#[track_caller]
fn check(counter: &mut Counter, text: &str) {
    let want = o200k_base().count(text);
    if counter.count(text) != want {
        let pieces = pieces(text).map(String::from_utf8_lossy);
        let wrong = pieces
            .filter(|piece| Counter::new().count(piece) != o200k_base().count(piece.as_ref()));
        panic!(
            "{} instead of {want} tokens: {text:?}; wrong: {:?}",
            counter.count(text),
            wrong.collect::<Vec<_>>()
        );
    }
}

#[track_caller]
fn check_split(text: &str) {
    if !pieces(text).eq(o200k_base().split(text).map(str::as_bytes)) {
        let pieces: Vec<_> = pieces(text).map(String::from_utf8_lossy).collect();
        let want: Vec<_> = o200k_base().split(text).collect();
        assert_eq!(pieces, want);
    }
    check_blocks(text);
}

/// A merge that makes no progress shall fail and not hang.
fn within(limit: Duration, test: impl FnOnce() + Send + 'static) {
    let (done, wait) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        test();
        done.send(()).unwrap();
    });
    if let Err(RecvTimeoutError::Timeout) = wait.recv_timeout(limit) {
        panic!("not done in {limit:?}");
    }
    thread.join().unwrap();
}

/// Pieces of some hundred kilobytes, where a merge can go quadratic: the limit on time is what a
/// busy machine cannot exceed with a linear one.
#[test]
fn long_pieces_are_counted_exactly_and_in_linear_time() {
    let mut random = Random(11);
    let mut letters = |alphabet: &str| -> String {
        let alphabet: Vec<char> = alphabet.chars().collect();
        (0..200_000).map(|_| alphabet[random.below(alphabet.len())]).collect()
    };
    let mut texts: Vec<String> = [
        "ab",
        "aaaaaaaaab",
        "etaoinshrdlu",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        "!#$%&()*+,-./:;<=>?@[]^_{|}~",
        " \t\r",
        "  \n",
        "-=",
        "漢字日本語中文",
        "กขคงจฉชซฌญฎฏฐฑฒณ",
        "👩\u{200d}💻👍🏽\u{fe0f}🇩🇪",
        "\u{300}\u{301}\u{308}\u{20dd}",
    ]
    .map(&mut letters)
    .into();
    texts.extend(
        ["a", " ", "\n", "=", "-=", "\u{3000}", "哈", "🙂", "\u{301}"]
            .map(|run| run.repeat(500_000)),
    );
    for text in texts {
        within(Duration::from_secs(20), move || check(&mut Counter::new(), &text));
    }
}

/// Every string, keys included, of the request bodies next to the repository; and each body as it
/// stands.
#[test]
fn corpus_is_counted_exactly() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["../shared/corpus", "../../shared/corpus"].map(|folder| root.join(folder));
    let Some(files) = folders.iter().find_map(|folder| folder.read_dir().ok()) else {
        println!("skipped: no ../shared/corpus");
        return;
    };
    let mut counter = Counter::new();
    for file in files {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        check_split(&text);
        check(&mut counter, &text);
        let Ok(body) = serde_json::from_str(&text) else { continue };
        each_string(&body, &mut |string| check(&mut counter, string));
    }
}

fn each_string(value: &serde_json::Value, see: &mut impl FnMut(&str)) {
    match value {
        serde_json::Value::String(string) => see(string),
        serde_json::Value::Array(items) => items.iter().for_each(|item| each_string(item, see)),
        serde_json::Value::Object(members) => members.iter().for_each(|(key, member)| {
            see(key);
            each_string(member, see);
        }),
        _ => {}
    }
}

#[test]
fn special_token_text_is_ordinary_text() {
    for (text, want) in
        [("", 0), ("hello world", 2), ("<|endoftext|>", 7), ("a<|endofprompt|>b", 9)]
    {
        assert_eq!(Counter::new().count(text), want, "{text}");
        check(&mut Counter::new(), text);
    }
}

#[test]
fn every_token_is_one() {
    let bpe = &o200k_base().bpe;
    let mut merger = Merger::new();
    for rank in 0..bpe.num_tokens() as u32 {
        let token = bpe.token_bytes(rank);
        assert!(token.len() == 1 || table::rank(token) == rank, "{token:?}");
        assert_eq!(merger.count(token), 1, "cannot be reached by merging: {token:?}");
    }
}

#[test]
fn every_character_is_cut_as_the_oracle_cuts() {
    let mut counter = Counter::new();
    let mut text = String::new();
    for char in '\0'..=char::MAX {
        text.clear();
        text.push(char);
        check(&mut counter, &text);
        text.clear();
        writeln!(text, "a{char}b A{char}1{char}").unwrap();
        check_split(&text);
    }
}

/// `TOKENPAK_TEST_INPUTS` says how many; a million before a release.
#[test]
fn generated_text_is_counted_exactly() {
    let inputs = std::env::var("TOKENPAK_TEST_INPUTS").map_or(40_000, |text| text.parse().unwrap());
    within(Duration::from_secs(120 + inputs / 100), move || {
        let edges: Vec<char> = EDGES.chars().collect();
        let mut random = Random(0x6f32_3030_6b5f_6261);
        let mut counter = Counter::new();
        for _ in 0..inputs {
            let text = random.text(&edges, o200k_base());
            check_split(&text);
            check(&mut counter, &text);
        }
    });
}
