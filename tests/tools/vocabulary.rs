//! Turns a `.tiktoken` vocabulary on standard input into the blob of `src/tokens/` on standard
//! output.
//!
//! The input is a line per token, base64 and rank; the blob is, in rank order, one length byte
//! and the token's bytes. How to run it stands in `src/tokens/README.md`.

use std::io::{self, Read, Write};

fn main() -> io::Result<()> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    let mut blob = Vec::new();
    for (rank, line) in text.lines().enumerate() {
        let (token, number) = line.split_once(' ').expect("a line is token, space, rank");
        assert_eq!(number, rank.to_string(), "ranks must count up from 0");
        let token = base64(token);
        blob.push(u8::try_from(token.len()).expect("a token of more than 255 bytes"));
        blob.extend(token);
    }
    io::stdout().write_all(&blob)
}

/// Written here because it is shorter than the reason for a dependency would be.
fn base64(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (mut bits, mut held) = (0u32, 0);
    for digit in text.bytes().take_while(|&byte| byte != b'=') {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => panic!("not base64: {text}"),
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    bytes
}
