//! What is known of prompts that were rewritten before, for the next turn of the same conversation.
//!
//! What a text becomes depends on it and on what stands before it, so whatever was decided for a
//! prompt holds for every prompt that begins with it. It is found by a key of all bytes so far
//! under a secret of this process; a value holds counts, places, names of passes and hashes, never
//! text. To forget costs time and changes no result.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Cut, Plan, Reach};
use crate::compress::{Mark, Recipe, footprint};
use crate::tokens::Digest;
use crate::wire::Format;
use crate::wire::prompt::{Part, Prompt, Role, ToolResult};

/// What was decided up to the last text of a prompt.
pub(super) struct Known {
    pub(super) mark: Mark,
    pub(super) progress: Progress,
}

/// What comes out of the parts of a prompt, as far as they are done.
#[derive(Clone, Default)]
pub(super) struct Progress {
    pub(super) parts: usize,
    /// Messages that were counted.
    pub(super) messages: u64,
    pub(super) cuts: Vec<Cut>,
    pub(super) per_pass: BTreeMap<&'static str, u64>,
    /// The parts that became something else.
    pub(super) recipes: Vec<(usize, Arc<Recipe>)>,
}

impl Known {
    /// What it takes in memory, with its place among the others: a map keeps up to twice the places
    /// that are in use.
    fn bytes(&self) -> usize {
        let Progress { cuts, recipes, per_pass, .. } = &self.progress;
        let place = 2 * size_of::<(Key, Remembered)>();
        let own = size_of::<Known>() + 2 * size_of::<usize>() + footprint::BLOCK_BYTES;
        // Shared by the turns of a session; each is charged with all of it.
        let block = size_of::<Recipe>() + 2 * size_of::<usize>() + footprint::BLOCK_BYTES;
        let of_recipes = recipes.iter().map(|(_, recipe)| block + recipe.bytes()).sum::<usize>();
        let of_passes = if per_pass.is_empty() { 0 } else { PASSES_BYTES };
        let lists = footprint::of_vec(cuts) + footprint::of_vec(recipes);
        place + own + self.mark.bytes() + lists + of_recipes + of_passes
    }
}

/// Prompts that were rewritten before, as many as fit.
pub(crate) struct Memo {
    digest: Digest,
    bytes_max: usize,
    held: Mutex<MemoState>,
}

#[derive(Default)]
struct MemoState {
    prompts: HashMap<Key, Remembered>,
    bytes: usize,
    /// Counts uses.
    clock: u64,
    hits: u64,
}

struct Remembered {
    known: Arc<Known>,
    bytes: usize,
    used: u64,
}

/// Whose prompts may know of each other.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'m> {
    pub(super) memo: &'m Memo,
    owner: Key,
}

/// The one node of a small map from names to numbers.
const PASSES_BYTES: usize = 320;

/// A digest of everything so far.
type Key = u128;

/// Of nothing.
const START: Key = 1;

impl Memo {
    /// With a key of random numbers, asked for by index.
    pub(crate) fn new(bytes_max: usize, random: impl Fn(usize) -> u64) -> Memo {
        Memo { digest: Digest::new(random), bytes_max, held: Mutex::default() }
    }

    /// `names`: what tells owners apart, such as their credentials.
    pub(crate) fn scope<'a>(&self, names: impl Iterator<Item = &'a [u8]>) -> Scope<'_> {
        let owner = names.fold(START, |key, name| self.digest.after(key, name));
        Scope { memo: self, owner }
    }

    /// The longest known beginning of a prompt with these keys.
    fn longest(&self, keys: &[Key]) -> Option<Arc<Known>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.clock += 1;
        let now = held.clock;
        let found = keys.iter().rev().find(|key| held.prompts.contains_key(key))?;
        let entry = held.prompts.get_mut(found)?;
        entry.used = now;
        let known = Arc::clone(&entry.known);
        held.hits += 1;
        Some(known)
    }

    fn keep(&self, key: Key, known: Known) {
        let bytes = known.bytes();
        if bytes > self.bytes_max {
            return;
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.clock += 1;
        let entry = Remembered { known: Arc::new(known), bytes, used: held.clock };
        held.bytes += bytes;
        if let Some(old) = held.prompts.insert(key, entry) {
            held.bytes -= old.bytes;
        }
        while held.bytes > self.bytes_max {
            held.forget_oldest();
        }
    }
}

impl MemoState {
    /// Forgets an eighth of the prompts at once, and one at least: to look for the oldest takes a
    /// walk through all, of which there are thousands if they are short.
    fn forget_oldest(&mut self) {
        let mut uses: Vec<u64> = self.prompts.values().map(|entry| entry.used).collect();
        let last = uses.len() / 8;
        let (_, last, _) = uses.select_nth_unstable(last);
        self.prompts.retain(|_, entry| {
            let is_kept = entry.used > *last;
            self.bytes -= if is_kept { 0 } else { entry.bytes };
            is_kept
        });
    }
}

impl Scope<'_> {
    /// Whether there is any room.
    pub(super) fn holds_any(&self) -> bool {
        self.memo.bytes_max > 0
    }

    /// A key for each part of a prompt: of all that decides what becomes of it and those before.
    pub(super) fn keys(&self, settings: &str, body: &str, prompt: &Prompt) -> Vec<Key> {
        let digest = &self.memo.digest;
        let mut key = digest.after(self.owner, settings.as_bytes());
        let mut keys = Vec::with_capacity(prompt.parts.len());
        // A call may have a long name and many results.
        let mut names: Vec<Option<Key>> = vec![None; prompt.calls.len()];
        for part in &prompt.parts {
            key = about(part).into_iter().fold(key, |key, number| digest.next(key, number));
            if let Role::Result(ToolResult { call: Some(call), .. }) = part.role {
                // The input of the call is a part of its own.
                let name = || body[prompt.calls[call].name.clone()].as_bytes();
                let name = *names[call].get_or_insert_with(|| digest.after(START, name()));
                key = digest.next(key, name);
            }
            key = digest.after(key, body[part.span.clone()].as_bytes());
            keys.push(key);
        }
        keys
    }

    pub(super) fn longest(&self, keys: &[Key]) -> Option<Arc<Known>> {
        self.memo.longest(keys)
    }

    pub(super) fn keep(&self, keys: &[Key], known: Known) {
        if let Some(key) = keys.last() {
            self.memo.keep(*key, known);
        }
    }
}

/// All settings and facts of the whole prompt that decide what becomes of a text.
/// How far a conversation had come is no part of it: what was decided then holds.
pub(super) fn settings(plan: &Plan, format: Format, prompt: &Prompt, floor: u64) -> String {
    let model = prompt.model.as_deref().unwrap_or_default();
    let reach = Reach { known: 0, began: None, floor: Some(floor), ..plan.reach };
    let plan = Plan { reach, ..*plan };
    format!("{plan:?} {format:?} {} {} {model}", prompt.cache_mark, prompt.edits_history)
}

/// What is to be known of a part beside its text, each number below 2^127.
fn about(part: &Part) -> [u128; 3] {
    let (kind, number, place, call): (u64, u64, u64, u64) = match part.role {
        Role::Tools => (1, 0, 0, 0),
        Role::System => (2, 0, 0, 0),
        Role::Typed { number } => (3, number, 0, 0),
        Role::Assistant => (4, 0, 0, 0),
        Role::Input { number } => (5, number, 0, 0),
        Role::Result(ToolResult { number, part, error, call }) => {
            let call = call.map_or(0, |call| call as u64 + 1);
            (if error { 6 } else { 7 }, number, part.unwrap_or(0), call)
        }
        Role::Image => (8, 0, 0, 0),
        Role::Reset => (9, 0, 0, 0),
        Role::Other => (10, 0, 0, 0),
    };
    // All but the kind count what is in a body, which is no longer than memory.
    let pair = |high: u64, low: u64| u128::from(high) << 64 | u128::from(low);
    [pair(kind, number), pair(place, call), u128::from(part.message)]
}

#[cfg(test)]
impl Memo {
    pub(super) fn hits(&self) -> u64 {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).hits
    }

    pub(super) fn bytes(&self) -> usize {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).bytes
    }
}
