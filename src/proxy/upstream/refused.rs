//! What a provider has refused of what compression made: conversations that go on as they came, and routes
//! where new conversations do.
//!
//! A conversation is known by its content, under a secret of this process and with the credential: nothing of
//! either is kept. One that was refused keeps its form from then on, and no other notices. A route is a
//! provider and a wire format: where several different conversations were refused, its parser is what
//! refuses, and new ones are not tried for a while. Those that are under way go on in the form that they have:
//! another one would cost their cache, or be refused itself.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::proxy::request::Head;
use crate::wire::Format;
use crate::wire::history;

/// So many conversations are refused, and new ones are passed through.
const REFUSALS_MAX: usize = 3;
/// For so long, counted from the last refusal; fewer are forgotten after the same time.
const PAUSE: Duration = Duration::from_secs(600);
/// Known at once; beyond, the one goes that has been silent for longest. 200 KB.
const CONVERSATIONS_MAX: usize = 4096;

#[derive(Default)]
pub(crate) struct Refused {
    /// How much is known: nearly always nothing, and then nothing is looked at.
    count: AtomicUsize,
    seed: RandomState,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By the digest of their messages up to one of them: when it was last seen.
    conversations: HashMap<u64, Instant>,
    routes: HashMap<(String, &'static str), Refusals>,
}

struct Refusals {
    /// Digests of the conversations.
    of: Vec<u64>,
    last: Instant,
}

/// A prompt, whose it is, and where it goes.
#[derive(Clone, Copy)]
pub(crate) struct Prompt<'a> {
    pub(crate) provider: &'a str,
    pub(crate) format: Format,
    /// With its credentials.
    pub(crate) head: &'a Head,
    pub(crate) body: &'a [u8],
}

impl Refused {
    /// The provider has answered 400 to this prompt when we had changed it, and otherwise to the original.
    pub(crate) fn note(&self, prompt: &Prompt, now: Instant) {
        let Some(history) = self.history(prompt) else { return };
        let Some(last) = history.digests.last().copied() else { return };
        let mut state = self.lock();
        state.remember(last, now);
        state.routes.retain(|_, refusals| now - refusals.last < PAUSE);
        let route = (prompt.provider.to_owned(), prompt.format.name());
        let refusals = state.routes.entry(route).or_insert(Refusals { of: Vec::new(), last: now });
        refusals.last = now;
        if !refusals.of.contains(&last) && refusals.of.len() < REFUSALS_MAX {
            refusals.of.push(last);
        }
        self.count.store(state.conversations.len(), Ordering::Relaxed);
    }

    /// Whether this prompt has to go as it came: its conversation was refused, or it is a new one on a route
    /// that is paused. From then on it is known.
    pub(crate) fn leaves_alone(&self, prompt: &Prompt, now: Instant) -> bool {
        if self.count.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let Some(history) = self.history(prompt) else { return false };
        let mut state = self.lock();
        let is_known =
            history.digests.iter().any(|digest| state.conversations.contains_key(digest));
        let is_paused = || history.is_new && state.is_paused(prompt.provider, prompt.format, now);
        let leaves = is_known || is_paused();
        if let (true, Some(last)) = (leaves, history.digests.last()) {
            state.remember(*last, now);
            self.count.store(state.conversations.len(), Ordering::Relaxed);
        }
        leaves
    }

    fn history(&self, prompt: &Prompt) -> Option<History> {
        let messages = history::messages(prompt.format, prompt.body)?;
        let is_new = !messages.iter().any(|message| message.is_answer);
        let credentials = prompt.head.credentials();
        let mut digest = credentials.fold(0, |digest, value| self.seed.hash_one((digest, value)));
        let digests = messages.iter().map(|message| {
            digest = self.seed.hash_one((digest, message.json.as_bytes()));
            digest
        });
        Some(History { digests: digests.collect(), is_new })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct History {
    /// Of its messages up to each of them.
    digests: Vec<u64>,
    /// The model has not said anything yet.
    is_new: bool,
}

impl State {
    fn remember(&mut self, digest: u64, now: Instant) {
        if self.conversations.len() >= CONVERSATIONS_MAX
            && !self.conversations.contains_key(&digest)
        {
            let oldest = self.conversations.iter().min_by_key(|(_, seen)| **seen);
            if let Some(oldest) = oldest.map(|(digest, _)| *digest) {
                self.conversations.remove(&oldest);
            }
        }
        self.conversations.insert(digest, now);
    }

    fn is_paused(&self, provider: &str, format: Format, now: Instant) -> bool {
        let refusals = self.routes.get(&(provider.to_owned(), format.name()));
        refusals.is_some_and(|found| found.of.len() >= REFUSALS_MAX && now - found.last < PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::request::HeadReader;
    use std::sync::LazyLock;

    const USER: &str = r#"{"role":"user","content":"#;

    fn head(key: &str) -> Head {
        let text = format!("POST / HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\r\n");
        HeadReader::default().read(text.as_bytes()).unwrap().unwrap().0
    }

    fn prompt(body: &str) -> Prompt<'_> {
        static HEAD: LazyLock<Head> = LazyLock::new(|| head("key"));
        Prompt { provider: "openai", format: Format::Chat, head: &HEAD, body: body.as_bytes() }
    }

    fn first(name: &str) -> String {
        format!(r#"{{"messages":[{USER}"{name}"}}]}}"#)
    }

    fn later(name: &str) -> String {
        format!(
            r#"{{"messages":[{USER}"{name}"}},{{"role":"assistant","content":"a"}},{USER}"b"}}]}}"#
        )
    }

    #[test]
    fn a_refused_conversation_stays_as_it_came_and_no_other() {
        let (refused, now) = (Refused::default(), Instant::now());
        let leaves = |body: &str| refused.leaves_alone(&prompt(body), now);
        refused.note(&prompt(&first("one")), now);
        assert!(leaves(&first("one")) && leaves(&later("one")));
        assert!(!leaves(&first("two")) && !leaves(&later("two")));
        let body = later("one");
        let other = head("another");
        let other = Prompt { head: &other, ..prompt(&body) };
        assert!(!refused.leaves_alone(&other, now), "somebody else's");
        // Nothing of the same conversation twice is several.
        (0..5).for_each(|_| refused.note(&prompt(&first("one")), now));
        assert!(!leaves(&first("three")));
    }

    #[test]
    fn several_refused_conversations_pause_a_route_for_new_ones() {
        let (refused, start) = (Refused::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        let leaves = |body: &str, seconds| refused.leaves_alone(&prompt(body), after(seconds));
        ["a", "b", "c"].iter().for_each(|name| refused.note(&prompt(&first(name)), after(0)));
        assert!(leaves(&first("new"), 1));
        assert!(!leaves(&later("old"), 1), "it is under way");
        let body = first("elsewhere");
        let other = Prompt { provider: "custom", ..prompt(&body) };
        assert!(!refused.leaves_alone(&other, after(1)));
        assert!(!leaves(&first("after the pause"), 600));
        assert!(leaves(&later("new"), 601), "what began so goes on so");
    }

    #[test]
    fn only_so_many_are_known() {
        let (refused, now) = (Refused::default(), Instant::now());
        (0..CONVERSATIONS_MAX + 10)
            .for_each(|n| refused.note(&prompt(&first(&n.to_string())), now));
        assert_eq!(refused.lock().conversations.len(), CONVERSATIONS_MAX);
    }
}
