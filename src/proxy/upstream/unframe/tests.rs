//! Bodies as tables, each at every split and for outputs of any size.

use super::*;

/// Unframes `pieces`; the body, what was left over, and whether it came to its end.
fn unframe(
    framing: Framing,
    pieces: &[&[u8]],
    room: usize,
) -> Result<(Vec<u8>, usize, bool), Malformed> {
    let (mut unframer, mut body, mut left) = (Unframer::new(framing), Vec::new(), 0);
    let mut out = vec![0; room];
    for piece in pieces {
        let mut at = 0;
        loop {
            let (used, filled) = unframer.take(&piece[at..], &mut out)?;
            body.extend_from_slice(&out[..filled]);
            at += used;
            if used == 0 {
                break;
            }
        }
        left += piece.len() - at;
    }
    Ok((body, left, unframer == Unframer::Finished))
}

#[test]
fn bodies_are_unframed_at_any_split() {
    check(Framing::Length(5), "hello", "hello", 0, true);
    check(Framing::Length(5), "hello!!", "hello", 2, true);
    check(Framing::Length(5), "hell", "hell", 0, false);
    check(Framing::Length(0), "x", "", 1, true);
    check(Framing::None, "", "", 0, true);
    check(Framing::Close, "anything", "anything", 0, false);
    check(Framing::Chunks, "5\r\nhello\r\n0\r\n\r\n", "hello", 0, true);
    check(Framing::Chunks, "0\r\n\r\nHTTP", "", 4, true);
    check(
        Framing::Chunks,
        "2;a=\"b c\"\r\nhe\r\n003 ; x\r\nllo\r\n00\r\nT: 1\r\nU: 2\r\n\r\n",
        "hello",
        0,
        true,
    );
    check(
        Framing::Chunks,
        "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n",
        "01234567890123456789",
        0,
        true,
    );
    check(Framing::Chunks, "5\r\nhello\r\n0\r\n", "hello", 0, false);
    check(Framing::Chunks, "5\r\nhello\r\n", "hello", 0, false);
    check(Framing::Chunks, "5\r\nhel", "hel", 0, false);
    let long = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(5000));
    check(Framing::Chunks, &long, "hello", 0, true);

    #[track_caller]
    fn check(framing: Framing, text: &str, want: &str, left: usize, done: bool) {
        let bytes = text.as_bytes();
        for cut in (0..=bytes.len()).step_by(bytes.len() / 300 + 1) {
            for room in [1, 3, 4096] {
                let got = unframe(framing, &[&bytes[..cut], &bytes[cut..]], room).unwrap();
                assert_eq!(got, (want.as_bytes().to_vec(), left, done), "{text:?} {cut} {room}");
            }
        }
    }
}

#[test]
fn chunks_with_no_one_meaning_are_errors() {
    for text in [
        "5\nhello\r\n0\r\n\r\n",
        "x\r\n",
        "\r\n",
        "-1\r\n",
        "+5\r\n",
        "0x5\r\n",
        " 5\r\n",
        "5 5\r\n",
        "5\r\nhelloX",
        "5\r\nhello\rX",
        "fffffffffffffffff\r\n",
        "5;a\nhello",
        "0\r\na\n",
    ] {
        for cut in 0..=text.len() {
            let (first, second) = text.as_bytes().split_at(cut);
            assert!(unframe(Framing::Chunks, &[first, second], 64).is_err(), "{text:?} at {cut}");
        }
    }
    let endless = format!("5;{}", "x".repeat(CHUNK_LINE_BYTES_MAX as usize + 1));
    assert!(unframe(Framing::Chunks, &[endless.as_bytes()], 64).is_err());
}
