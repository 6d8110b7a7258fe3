//! Pieces of a body as chunks (RFC 9112 7.1), framed in the buffer that they were read into.

/// `f000` and CRLF before a chunk; leading zeros are allowed.
pub(super) const CHUNK_HEAD_BYTES: usize = 6;

/// Puts a chunk's head and end around the `count` bytes behind the buffer's first `CHUNK_HEAD_BYTES`; they
/// are fewer than 65,536.
pub(super) fn frame(out: &mut [u8], count: usize) -> &[u8] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (at, shift) in [12, 8, 4, 0].into_iter().enumerate() {
        out[at] = DIGITS[(count >> shift) & 15];
    }
    out[4..CHUNK_HEAD_BYTES].copy_from_slice(b"\r\n");
    let end = CHUNK_HEAD_BYTES + count;
    out[end..end + 2].copy_from_slice(b"\r\n");
    &out[..end + 2]
}
