//! Routes whose provider has refused what compression made of several conversations: new ones are
//! passed through for a while.
//!
//! A route is a provider and a wire format. The credential is no part of it: what a provider's
//! parser refuses does not depend on who asks, and nothing here has to look at a key.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::route::Route;
use crate::wire::Format;

/// So many conversations, and the route is passed through: what one brings from elsewhere says nothing of
/// others.
const REFUSALS_MAX: usize = 3;
/// For so long, counted from the last refusal; fewer are forgotten after the same time.
const PAUSE: Duration = Duration::from_secs(600);

#[derive(Default)]
pub(crate) struct Refused {
    /// How many routes have been refused: nearly always none, and then nobody takes the lock.
    count: AtomicUsize,
    routes: Mutex<HashMap<(String, &'static str), Refusals>>,
}

struct Refusals {
    /// By what the conversations are told apart.
    conversations: Vec<u128>,
    last: Instant,
}

impl Refused {
    /// The provider has answered 400 to a body that we had changed, and otherwise to the original.
    pub(crate) fn note(
        &self,
        (provider, format): (&str, Format),
        conversation: u128,
        now: Instant,
    ) {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        routes.retain(|_, refusals| now - refusals.last < PAUSE);
        let refusals = routes
            .entry((provider.to_owned(), format.name()))
            .or_insert(Refusals { conversations: Vec::new(), last: now });
        let known = &mut refusals.conversations;
        if known.len() < REFUSALS_MAX && !known.contains(&conversation) {
            known.push(conversation);
        }
        refusals.last = now;
        self.count.store(routes.len(), Ordering::Relaxed);
    }

    /// Whether new conversations on this route are to be left alone.
    pub(crate) fn is_paused(&self, route: &Route, now: Instant) -> bool {
        let format = route.format.filter(|_| self.count.load(Ordering::Relaxed) > 0);
        format.is_some_and(|format| self.is_paused_for(&route.provider, format, now))
    }

    fn is_paused_for(&self, provider: &str, format: Format, now: Instant) -> bool {
        let routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        let refusals = routes.get(&(provider.to_owned(), format.name()));
        refusals.is_some_and(|found| {
            found.conversations.len() == REFUSALS_MAX && now - found.last < PAUSE
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_of_three_conversations_pause_a_route_for_ten_minutes() {
        let refused = Refused::default();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let paused = |seconds| refused.is_paused_for("openai", Format::Chat, after(seconds));
        let note = |name, seconds| refused.note(("openai", Format::Chat), name, after(seconds));
        note(1, 0);
        (1..40).for_each(|second| note(2, second));
        assert!(!paused(40), "two may be chance, however often they come");
        note(3, 60);
        assert!(paused(60) && paused(659) && !paused(660));
        assert!(!refused.is_paused_for("openai", Format::Responses, after(61)));
        assert!(!refused.is_paused_for("custom", Format::Chat, after(61)));
        // It counts anew, and refusals far apart are not counted together.
        note(4, 700);
        note(5, 701);
        assert!(!paused(702));
        note(6, 1400);
        assert!(!paused(1401));
        note(7, 1401);
        note(8, 1402);
        assert!(paused(1403));
    }
}
