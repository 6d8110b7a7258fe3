//! What collections take in memory: their room, whether it is used or not, and what allocators add.

use std::collections::HashMap;
use std::sync::Arc;

/// What an allocator adds to a block: its size, and up to the next of its sizes.
pub(crate) const BLOCK_BYTES: usize = 16;

pub(crate) fn of_vec<T>(vec: &Vec<T>) -> usize {
    of_block(vec.capacity() * size_of::<T>())
}

/// Two counts stand before the text. Who shares it is charged with all of it.
pub(crate) fn of_text(text: &Arc<str>) -> usize {
    of_block(2 * size_of::<usize>() + text.len())
}

/// Eight places for seven entries, and a byte beside each.
pub(crate) fn of_map<K, V>(map: &HashMap<K, V>) -> usize {
    of_block(map.capacity().div_ceil(7) * 8 * (size_of::<(K, V)>() + 1))
}

fn of_block(bytes: usize) -> usize {
    bytes + if bytes > 0 { BLOCK_BYTES } else { 0 }
}
