//! A mistake of ours must not fail a request that works without us: what looks into prompts runs
//! here, and the request goes on without it if it panics. Where the mistake is was said by then, by
//! the hook that `main` sets.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// What `run` gives; `None` if it panics. Whatever it was changing is then in doubt, and is for the
/// caller to replace.
pub(super) fn catch_panic<T>(run: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(run)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_gives_nothing_and_ends_here() {
        assert_eq!(catch_panic(|| 1), Some(1));
        assert_eq!(
            catch_panic(|| if true { panic!("a fault, made for this test") } else { 1 }),
            None
        );
    }
}
