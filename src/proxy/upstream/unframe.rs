//! An answer's bytes to its body, without the framing. Pure.
//!
//! More forgiving than the request reader in what is around the chunks (long extensions, blanks,
//! leading zeros), and as strict in their sizes: a size that two programs could read differently is
//! a broken answer.

use super::reply::{Framing, Malformed};

/// A chunk-size line with its extension.
const CHUNK_LINE_BYTES_MAX: u32 = 16 * 1024;
/// All trailers, which are as much as a head may be.
const TRAILERS_BYTES_MAX: u32 = super::reply::HEAD_BYTES_MAX as u32;

/// Takes the framing off a body as it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unframer {
    Length(u64),
    Close,
    /// Before or in the digits of a chunk's size.
    Size(Option<u64>),
    /// In blanks behind a size.
    Blank(u64),
    /// In an extension, of so many bytes.
    Extension(u64, u32),
    /// The size's line has ended with CR.
    SizeEnd(u64),
    Chunk(u64),
    ChunkEnd,
    ChunkEndLf,
    /// In a trailer line of so many bytes, with so many in all trailers.
    Trailer(u32, u32),
    TrailerLf(u32, u32),
    Finished,
}

impl Unframer {
    pub(crate) fn new(framing: Framing) -> Unframer {
        match framing {
            Framing::None | Framing::Length(0) => Unframer::Finished,
            Framing::Length(length) => Unframer::Length(length),
            Framing::Chunks => Unframer::Size(None),
            Framing::Close => Unframer::Close,
        }
    }

    /// Moves the body's bytes from `input` to `out`: how many of `input` were taken, and how many
    /// of `out` are filled.
    pub(crate) fn take(
        &mut self,
        input: &[u8],
        out: &mut [u8],
    ) -> Result<(usize, usize), Malformed> {
        let (mut used, mut filled) = (0, 0);
        while used < input.len() && *self != Unframer::Finished {
            let left = match self {
                Unframer::Length(left) | Unframer::Chunk(left) => *left,
                Unframer::Close => u64::MAX,
                _ => {
                    match self.step(input[used]) {
                        Ok(next) => *self = next,
                        // What came before is delivered first.
                        Err(_) if filled > 0 => break,
                        Err(error) => return Err(error),
                    }
                    used += 1;
                    continue;
                }
            };
            let room = (input.len() - used).min(out.len() - filled);
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(room);
            if count == 0 {
                break;
            }
            out[filled..filled + count].copy_from_slice(&input[used..used + count]);
            used += count;
            filled += count;
            self.passed(count as u64);
        }
        Ok((used, filled))
    }

    fn passed(&mut self, count: u64) {
        *self = match *self {
            Unframer::Length(left) if left == count => Unframer::Finished,
            Unframer::Length(left) => Unframer::Length(left - count),
            Unframer::Chunk(left) if left == count => Unframer::ChunkEnd,
            Unframer::Chunk(left) => Unframer::Chunk(left - count),
            other => other,
        };
    }

    /// One byte of what is around the chunks.
    fn step(self, byte: u8) -> Result<Unframer, Malformed> {
        const BAD: Malformed = Malformed("its chunks are malformed");
        let digit = char::from(byte).to_digit(16).map(u64::from);
        match (self, byte, digit) {
            (Unframer::Size(size), _, Some(digit)) => {
                let size = size.unwrap_or(0);
                // The last digit that fits leaves room for every sum.
                if size >> 56 != 0 { Err(BAD) } else { Ok(Unframer::Size(Some(size << 4 | digit))) }
            }
            (
                Unframer::Size(Some(size)) | Unframer::Blank(size) | Unframer::Extension(size, _),
                b'\r',
                _,
            ) => Ok(Unframer::SizeEnd(size)),
            (Unframer::Size(Some(size)) | Unframer::Blank(size), b' ' | b'\t', _) => {
                Ok(Unframer::Blank(size))
            }
            (Unframer::Size(Some(size)) | Unframer::Blank(size), b';', _) => {
                Ok(Unframer::Extension(size, 0))
            }
            (Unframer::Extension(size, bytes), byte, _) if byte != b'\n' => match bytes {
                CHUNK_LINE_BYTES_MAX => Err(BAD),
                _ => Ok(Unframer::Extension(size, bytes + 1)),
            },
            (Unframer::SizeEnd(0), b'\n', _) => Ok(Unframer::Trailer(0, 0)),
            (Unframer::SizeEnd(size), b'\n', _) => Ok(Unframer::Chunk(size)),
            (Unframer::ChunkEnd, b'\r', _) => Ok(Unframer::ChunkEndLf),
            (Unframer::ChunkEndLf, b'\n', _) => Ok(Unframer::Size(None)),
            (Unframer::Trailer(bytes, all), b'\r', _) => Ok(Unframer::TrailerLf(bytes, all)),
            (Unframer::Trailer(bytes, all), byte, _) if byte != b'\n' => match all {
                TRAILERS_BYTES_MAX => Err(BAD),
                _ => Ok(Unframer::Trailer(bytes + 1, all + 1)),
            },
            (Unframer::TrailerLf(0, _), b'\n', _) => Ok(Unframer::Finished),
            (Unframer::TrailerLf(_, all), b'\n', _) => Ok(Unframer::Trailer(0, all)),
            _ => Err(BAD),
        }
    }
}

#[cfg(test)]
mod tests;
