//! The key of the digests, in a file of its own: the database is copied and shown to others, and
//! whoever had both could try prompts out.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;

use crate::ownership;
use crate::safe_path;
use crate::tokens::Digest;

const NAME: &str = "forms.key";

/// Numbers that make a key.
const WORDS: usize = Digest::KEY_WORDS;

/// The key, and whether it will be the same at the next start.
pub(super) fn open(database: &Path, random: impl Fn() -> u64) -> (Digest, bool) {
    let fresh: [u64; WORDS] = std::array::from_fn(|_| random());
    let path = database.with_file_name(NAME);
    let kept = read(&path).or_else(|| {
        // Another proxy may have been faster.
        let _ = write(&path, &fresh);
        read(&path)
    });
    let key = kept.unwrap_or(fresh);
    (Digest::new(|at| key[at]), kept.is_some())
}

fn read(path: &Path) -> Option<[u64; WORDS]> {
    let mut file = safe_path::open_own(path).ok()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).ok()?;
    let (words, rest) = bytes.as_chunks::<8>();
    let words: &[[u8; 8]; WORDS] = words.try_into().ok().filter(|_| rest.is_empty())?;
    Some(words.map(u64::from_le_bytes))
}

fn write(path: &Path, key: &[u64; WORDS]) -> std::io::Result<()> {
    ownership::make_directory(path.parent().unwrap_or(Path::new("")))?;
    let bytes: Vec<u8> = key.iter().flat_map(|word| word.to_le_bytes()).collect();
    // Whole under its name at once, or not at all.
    let new = path.with_extension(format!("key-{}", std::process::id()));
    let mut file = ownership::create_new(&new, 0o600, None)?;
    let written = file.write_all(&bytes).and_then(|()| fs::hard_link(&new, path));
    fs::remove_file(&new)?;
    written
}
