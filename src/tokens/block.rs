//! Sixty-four bytes of text at a time: which pieces of ASCII begin where, all at once.
//!
//! `split` looks at a character, decides, looks at the next, and the processor mispredicts a branch
//! or two a piece, which costs more than all else. Here each class of characters becomes a word
//! with a bit per byte, and the rules become shifts and masks of such words. What they cannot tell
//! (other scripts, contractions, rare white space) ends the block; `split` then takes one piece.
//!
//! The classes come from vector instructions that every x86-64 and every 64-bit ARM has. With plain
//! arithmetic on words of eight bytes a block takes 62 ns instead of 22.

use wide::u8x16;

/// What is looked at.
pub(crate) const BYTES: usize = 64;
/// What the rest of a block is filled with where the text ends.
pub(crate) const NO_TEXT: u8 = 0xff;

/// Whether a block may hold a piece: with anything but ASCII in its first three bytes, nothing is sure.
#[inline(always)]
pub(crate) fn may_begin(text: &[u8]) -> bool {
    text.first_chunk().is_some_and(|[one, two, three]| (one | two | three).is_ascii())
}

/// Pieces that follow one another from the start of a block.
pub(crate) struct Pieces {
    /// Where a piece starts, the one after the last included; without the first, which starts at 0.
    pub(crate) starts: u64,
    /// Starts of pieces that may be more than one token.
    pub(crate) open: u64,
    /// How many others there are.
    pub(crate) tokens: usize,
    /// Where the last one ends; 0 if there is none.
    pub(crate) end: usize,
}

/// The pieces that surely end within the block, which must begin where a piece begins.
/// So many bytes are text; if that is not all, the text ends there.
pub(crate) fn pieces(block: &[u8; BYTES], len: usize) -> Pieces {
    let classes = Classes::new(block, len);
    let starts = classes.starts() & classes.sure() & !1;
    if starts == 0 {
        return Pieces { starts, open: 0, tokens: 0, end: 0 };
    }
    let end = 63 - starts.leading_zeros() as usize;
    let all = (starts | 1) & !(1 << end);
    // Every byte is a token, and so is every number of up to three digits.
    let open = all & !classes.digit & !(starts >> 1);
    Pieces { starts, open, tokens: (all & !open).count_ones() as usize, end }
}

/// A bit per byte of the block, the first byte lowest.
struct Classes {
    /// The byte after the text, if that ends in the block.
    end: u64,
    /// Bytes of characters beyond ASCII.
    wide: u64,
    letter: u64,
    upper: u64,
    digit: u64,
    /// The space character alone.
    blank: u64,
    newline: u64,
    /// White space, blanks and newlines included.
    white: u64,
    other: u64,
    slash: u64,
    apostrophe: u64,
}

impl Classes {
    fn new(block: &[u8; BYTES], len: usize) -> Classes {
        let end = 1u64.checked_shl(len as u32).unwrap_or(0);
        let block = Block::new(block);
        let upper = block.within(b'A', b'Z');
        let letter = upper | block.within(b'a', b'z');
        let digit = block.within(b'0', b'9');
        let blank = block.within(b' ', b' ');
        let white = blank | block.within(b'\t', b'\r');
        let newline = block.either(b'\n', b'\r');
        let wide = block.wide();
        Classes {
            end,
            wide: wide & end.wrapping_sub(1),
            letter,
            upper,
            digit,
            blank,
            newline,
            white,
            other: !(letter | digit | white | wide),
            slash: block.within(b'/', b'/'),
            apostrophe: block.within(b'\'', b'\''),
        }
    }

    /// The rules of `split` for ASCII.
    fn starts(&self) -> u64 {
        let Classes { letter, upper, digit, blank, newline, white, other, .. } = *self;
        // Punctuation of which the last character is not the beginning of a word.
        let closed = other & (other | blank) << 1;
        let word = letter & !(letter << 1) & (digit | newline | closed) << 1;
        let hump = upper & (letter & !upper) << 1;
        let punctuation = other & !(other << 1) & !(blank << 1);
        let space = white & !(white << 1) & !(newline & other << 1);
        let last_space = white & !newline & !((white | self.end) >> 1);
        let line = !newline & newline << 1;
        word | hump | punctuation | space | last_space | line | numbers(digit) | self.end
    }

    /// The starts that no byte outside of the block, and none that `starts` does not know the rules
    /// for, can change.
    fn sure(&self) -> u64 {
        let Classes { end, wide, letter, newline, white, .. } = *self;
        let beyond = wide >> 1 | if end == 0 { 1 << 63 } else { 0 };
        let below = |bits: u64| (bits & bits.wrapping_neg()).wrapping_sub(1);
        // What follows decides whether a space is the last one.
        let known = below(beyond) & (end << 1).wrapping_sub(1);
        let contraction = self.apostrophe & letter << 1 & letter >> 1;
        let tail = self.slash & newline << 1;
        // Space before a newline belongs to that, from the first newline on.
        let trailing = white & !newline & (newline >> 1 | beyond);
        let before = !white & below(trailing);
        let run = u64::MAX.checked_shr(before.leading_zeros().wrapping_sub(1)).unwrap_or(u64::MAX);
        known & below(contraction | tail) & run
    }
}

/// Where groups of up to three digits start.
fn numbers(digit: u64) -> u64 {
    let mut group = digit & !(digit << 1);
    let mut starts = group;
    let fourth = digit & digit << 1 & digit << 2;
    loop {
        group = group << 3 & fourth;
        if group == 0 {
            return starts;
        }
        starts |= group;
    }
}

struct Block([u8x16; 4]);

impl Block {
    fn new(block: &[u8; BYTES]) -> Block {
        let (parts, _) = block.as_chunks::<16>();
        Block(std::array::from_fn(|at| u8x16::from(parts[at])))
    }

    /// The bytes from `first` to `last`.
    #[inline(always)]
    fn within(&self, first: u8, last: u8) -> u64 {
        let (first, width) = (u8x16::splat(first), u8x16::splat(last - first));
        self.bits(|part| {
            let above = part - first;
            above.min(width).simd_eq(above)
        })
    }

    /// The bytes that are one of two.
    #[inline(always)]
    fn either(&self, one: u8, two: u8) -> u64 {
        self.bits(|part| part.simd_eq(u8x16::splat(one)) | part.simd_eq(u8x16::splat(two)))
    }

    /// The bytes that are not ASCII.
    #[inline(always)]
    fn wide(&self) -> u64 {
        self.bits(|part| part)
    }

    /// The highest bit of each byte.
    #[inline(always)]
    fn bits(&self, of: impl Fn(u8x16) -> u8x16) -> u64 {
        let bits = |at: usize| u64::from(of(self.0[at]).to_bitmask() as u16);
        bits(0) | bits(1) << 16 | bits(2) << 32 | bits(3) << 48
    }
}
