//! The part of the proxy that a new reading of the settings replaces while requests go on.
//!
//! A request keeps the settings that it began with. Every thread holds a reference of its own and
//! looks at one number to see whether there are others: no lock on the way of a request.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Upstream;
use crate::config::Config;
use crate::error::Error;

/// Settings, and the ways to the providers that they describe.
pub(crate) struct Setup {
    pub(crate) config: Config,
    pub(crate) upstream: Upstream,
    generation: u64,
}

impl Setup {
    /// The port must be the one that we listen on: an upstream there would be ourselves.
    pub(crate) fn new(config: Config) -> Result<Setup, Error> {
        Ok(Setup { upstream: Upstream::new(&config)?, config, generation: 0 })
    }
}

/// The settings in force.
pub(crate) struct Setups {
    generation: AtomicU64,
    current: Mutex<Arc<Setup>>,
}

impl Setups {
    pub(super) fn new(setup: Setup) -> Setups {
        Setups { generation: AtomicU64::new(0), current: Mutex::new(Arc::new(setup)) }
    }

    pub(super) fn current(&self) -> Arc<Setup> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts others in force, for every request that has not begun yet.
    pub(super) fn replace(&self, setup: Setup) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = current.generation + 1;
        *current = Arc::new(Setup { generation, ..setup });
        self.generation.store(generation, Ordering::Release);
    }

    /// Exchanges a thread's own reference if other settings are in force.
    pub(super) fn refresh(&self, known: &mut Arc<Setup>) {
        if self.generation.load(Ordering::Acquire) != known.generation {
            *known = self.current();
        }
    }
}
