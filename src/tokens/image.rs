//! Tokens of a picture, from its size, which stands in its first bytes; its base64 is never
//! tokenised, nor decoded as a whole.

/// What a picture counts whose size is not known.
const UNKNOWN: u64 = 1000;
/// Larger is a damaged picture, or no picture.
const PIXELS_MAX: u64 = 100_000;
/// Segments of a JPEG before its size: previews and colour profiles come in some.
const SEGMENTS_MAX: usize = 256;

/// How a provider counts pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Anthropic: by area, the long edge at most so many pixels, and so many tokens at most.
    Area { edge_max: u64, tokens_max: u64 },
    /// OpenAI's gpt-4o and its like: tiles of 512 pixels, after fitting the long edge into 2,048
    /// and the short one into 768.
    Tiles,
    /// OpenAI's later models: patches of 32 pixels.
    Patches,
    /// Gemini: a small picture is one tile, a larger has tiles of 768 pixels.
    LargeTiles,
}

/// The tokens of a picture; `block` is the JSON of the part that holds it, or its address.
pub(crate) fn tokens(rule: Rule, block: &str) -> u64 {
    let size = size(block).filter(|edges| edges.iter().all(|edge| (1..=PIXELS_MAX).contains(edge)));
    match (rule, size) {
        (Rule::Tiles, _) if is_low_detail(block) => 85,
        (_, None) => UNKNOWN,
        (rule, Some([width, height])) => rule.tokens(width.max(height), width.min(height)),
    }
}

impl Rule {
    fn tokens(self, long: u64, short: u64) -> u64 {
        match self {
            Rule::Area { edge_max, tokens_max } => {
                let edge = long.min(edge_max);
                (edge * (short * edge / long) / 750).clamp(1, tokens_max)
            }
            Rule::Tiles => {
                let (edge, other) = (long.min(2048), short * long.min(2048) / long);
                let (edge, other) = match other {
                    0..=768 => (edge, other),
                    _ => (edge * 768 / other, 768),
                };
                85 + 170 * edge.div_ceil(512) * other.max(1).div_ceil(512)
            }
            Rule::Patches => (long.div_ceil(32) * short.div_ceil(32)).min(1536) * 6 / 5,
            Rule::LargeTiles if long <= 384 => 258,
            Rule::LargeTiles => 258 * long.div_ceil(768) * short.div_ceil(768),
        }
    }
}

fn is_low_detail(block: &str) -> bool {
    let words = block.find("\"detail\"").map(|at| &block[at + "\"detail\"".len()..]);
    words.is_some_and(|rest| rest.trim_start_matches([' ', ':']).starts_with("\"low\""))
}

/// Width and height in pixels.
fn size(block: &str) -> Option<[u64; 2]> {
    type SizeReader = fn(&[u8]) -> Option<[u64; 2]>;
    // How the base64 of each format begins, behind a quote or the comma of a `data:` address.
    let formats: [(&str, SizeReader); 4] =
        [("iVBORw0KGgo", png), ("/9j/", jpeg), ("R0lGOD", gif), ("UklGR", webp)];
    let start = block.find(";base64,").map(|at| at + ";base64,".len());
    let quoted = || block.match_indices('"').map(|(at, _)| at + 1);
    start.into_iter().chain(quoted()).find_map(|at| {
        let data = &block[at..];
        let (_, read) = formats.iter().find(|(beginning, _)| data.starts_with(beginning))?;
        Some(read(data.as_bytes()))
    })?
}

fn png(data: &[u8]) -> Option<[u64; 2]> {
    let size: [u8; 8] = decoded(data, 16)?;
    let [width, height] = [number(&size[..4]), number(&size[4..])];
    Some([width, height])
}

fn gif(data: &[u8]) -> Option<[u64; 2]> {
    let [a, b, c, d] = decoded(data, 6)?;
    Some([number(&[b, a]), number(&[d, c])])
}

/// Three layouts: with loss, without, and the extended one.
fn webp(data: &[u8]) -> Option<[u64; 2]> {
    let [kind, b @ ..]: [u8; 15] = decoded(data, 15)?;
    match kind {
        b' ' => Some([number(&[b[11] & 0x3f, b[10]]), number(&[b[13] & 0x3f, b[12]])]),
        b'L' => {
            let bits = number(&[b[8], b[7], b[6], b[5]]);
            Some([(bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1])
        }
        b'X' => Some([number(&[b[10], b[9], b[8]]) + 1, number(&[b[13], b[12], b[11]]) + 1]),
        _ => None,
    }
}

/// The size stands in the first frame header; what comes before is passed over undecoded.
fn jpeg(data: &[u8]) -> Option<[u64; 2]> {
    let mut at = 2;
    for _ in 0..SEGMENTS_MAX {
        let [mark, kind, b @ ..]: [u8; 9] = decoded(data, at)?;
        match kind {
            _ if mark != 0xff => return None,
            0xff => at += 1,
            0xc4 | 0xc8 | 0xcc => at += 2 + number(&b[..2]) as usize,
            0xc0..=0xcf => return Some([number(&b[5..7]), number(&b[3..5])]),
            _ => at += 2 + number(&b[..2]) as usize,
        }
    }
    None
}

/// Big-endian.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Bytes of what base64 stands for, from any place in it.
fn decoded<const N: usize>(base64: &[u8], start: usize) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    for (at, byte) in bytes.iter_mut().enumerate() {
        let bit = (start + at) * 8;
        let [first, second] = [digit(base64, bit / 6)?, digit(base64, bit / 6 + 1)?];
        *byte = ((u16::from(first) << 6 | u16::from(second)) >> (4 - bit % 6)) as u8;
    }
    Some(bytes)
}

fn digit(base64: &[u8], at: usize) -> Option<u8> {
    match *base64.get(at)? {
        byte @ b'A'..=b'Z' => Some(byte - b'A'),
        byte @ b'a'..=b'z' => Some(byte - b'a' + 26),
        byte @ b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLAUDE: Rule = Rule::Area { edge_max: 1568, tokens_max: 1600 };

    fn base64(bytes: &[u8]) -> String {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let digits = |three: &[u8]| {
            let number = number(three) << (8 * (3 - three.len()));
            (0..=three.len())
                .map(move |at| char::from(DIGITS[(number >> (18 - 6 * at) & 63) as usize]))
                .collect::<String>()
        };
        bytes.chunks(3).map(digits).collect()
    }

    /// Headers as the formats define them, all of 640 by 480 pixels.
    fn pictures() -> Vec<Vec<u8>> {
        let jpeg = [
            &b"\xff\xd8\xff\xe0\x00\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0"[..],
            b"\xff\xe1\x10\x00",
            &[0xc0; 0xffe],
            b"\xff\xdb\x00\x04..\xff\xff\xc2\x00\x11\x08\x01\xe0\x02\x80\x03",
        ];
        vec![
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\x80\0\0\x01\xe0\x08".to_vec(),
            b"GIF89a\x80\x02\xe0\x01....".to_vec(),
            b"RIFF....WEBPVP8 ....\x30\x01\0\x9d\x01\x2a\x80\x02\xe0\x01...".to_vec(),
            b"RIFF....WEBPVP8L....\x2f\x7f\xc2\x77\x00.......".to_vec(),
            b"RIFF....WEBPVP8X....\x10\0\0\0\x7f\x02\0\xdf\x01\0...".to_vec(),
            jpeg.concat(),
        ]
    }

    #[test]
    fn sizes_are_read_from_the_first_bytes() {
        for picture in pictures() {
            let data = base64(&picture);
            for block in [
                format!(r#"{{"type":"image","source":{{"type":"base64","data":"{data}"}}}}"#),
                format!(r#"{{"image_url":{{"url":"data:image/x;base64,{data}"}}}}"#),
                format!(r#"{{ "inlineData" : {{ "data" : "{data}" }} }}"#),
            ] {
                assert_eq!(size(&block), Some([640, 480]), "{block:.90}");
            }
            // Cut anywhere, or not base64, it is a picture of unknown size and nothing worse.
            for len in 0..data.len().min(60) {
                let size = size(&format!(r#"{{"data":"{}"}}"#, &data[..len]));
                assert!(size.is_none() || size == Some([640, 480]));
            }
            assert_eq!(size(&format!(r#"{{"data":"{}"}}"#, data.replace('A', "\\"))), None);
        }
    }

    #[test]
    fn providers_count_pictures_by_their_own_rules() {
        for (rule, size, want) in [
            (CLAUDE, [640, 480], 409),
            (CLAUDE, [1092, 1092], 1589),
            (CLAUDE, [100_000, 100], 2),
            (CLAUDE, [4000, 4000], 1600),
            (Rule::Tiles, [1024, 1024], 765),
            (Rule::Tiles, [4096, 8192], 1105),
            (Rule::Tiles, [100, 100], 255),
            (Rule::Patches, [1024, 1024], 1228),
            (Rule::Patches, [5000, 5000], 1843),
            (Rule::LargeTiles, [384, 384], 258),
            (Rule::LargeTiles, [385, 100], 258),
            (Rule::LargeTiles, [1536, 769], 1032),
        ] {
            let [width, height] = size;
            assert_eq!(
                rule.tokens(width.max(height), width.min(height)),
                want,
                "{rule:?} {size:?}"
            );
        }
        assert_eq!(tokens(CLAUDE, r#"{"source":{"type":"url","url":"https://x/y.png"}}"#), UNKNOWN);
        assert_eq!(tokens(Rule::Tiles, r#"{"image_url":{"url":"x", "detail": "low"}}"#), 85);
    }
}
