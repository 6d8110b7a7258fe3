//! Routes whose provider has refused what compression made of a body: passed through for a while.
//!
//! A route is a provider and a wire format. The credential is no part of it: what a provider's
//! parser refuses does not depend on who asks, and nothing here has to look at a key.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::wire::Format;

/// So many refusals, and the route is passed through.
const REFUSALS_MAX: u32 = 2;
/// For so long, counted from the last refusal; a single one is forgotten after the same time.
const PAUSE: Duration = Duration::from_secs(600);

#[derive(Default)]
pub(crate) struct Refused {
    /// How many routes have been refused: nearly always none, and then nobody takes the lock.
    count: AtomicUsize,
    routes: Mutex<HashMap<(String, &'static str), Refusals>>,
}

struct Refusals {
    count: u32,
    last: Instant,
}

impl Refused {
    /// The provider has answered 400 to a body that we had changed, and otherwise to the original.
    pub(crate) fn note(&self, provider: &str, format: Format, now: Instant) {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        routes.retain(|_, refusals| now - refusals.last < PAUSE);
        let refusals = routes
            .entry((provider.to_owned(), format.name()))
            .or_insert(Refusals { count: 0, last: now });
        refusals.count += 1;
        refusals.last = now;
        self.count.store(routes.len(), Ordering::Relaxed);
    }

    /// Whether bodies for this route are to be left alone.
    pub(crate) fn is_paused(&self, provider: &str, format: Format, now: Instant) -> bool {
        if self.count.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        let refusals = routes.get(&(provider.to_owned(), format.name()));
        refusals.is_some_and(|found| found.count >= REFUSALS_MAX && now - found.last < PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_refusals_pause_a_route_for_ten_minutes() {
        let refused = Refused::default();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let paused = |seconds| refused.is_paused("openai", Format::Chat, after(seconds));
        refused.note("openai", Format::Chat, after(0));
        assert!(!paused(1), "once may be chance");
        refused.note("openai", Format::Chat, after(60));
        assert!(paused(60) && paused(659) && !paused(660));
        assert!(!refused.is_paused("openai", Format::Responses, after(61)));
        assert!(!refused.is_paused("custom", Format::Chat, after(61)));
        // It counts anew, and refusals far apart are not counted together.
        refused.note("openai", Format::Chat, after(700));
        assert!(!paused(701));
        refused.note("openai", Format::Chat, after(1400));
        assert!(!paused(1401));
        refused.note("openai", Format::Chat, after(1401));
        assert!(paused(1402));
    }
}
