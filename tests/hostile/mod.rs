//! Prompts that are made to cost more than they weigh: a table of families, each of any size.
//!
//! Used by `make bench TABLES=hostile`, by the proofs of compression and by the tests from outside. A
//! family is a way in which two sizes that a client or a web page chooses could multiply, or in which a
//! text claims to stand for more than it is.

mod bodies;
mod decoders;
mod passes;
mod walks;

/// The name, the path that it is sent to, and a body of about so many bytes.
pub(crate) type Family = (&'static str, &'static str, fn(usize) -> String);

/// All of them.
pub(crate) fn families() -> impl Iterator<Item = Family> {
    [decoders::FAMILIES, passes::FAMILIES, walks::FAMILIES].into_iter().flatten().copied()
}

/// Texts that look as if a decoder had something to do, of about so many bytes: to be mixed.
pub(crate) fn marked(bytes: usize) -> Vec<String> {
    decoders::texts(bytes)
}
