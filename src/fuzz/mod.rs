//! Generated input for what reads the bytes of strangers.
//!
//! A usual run takes the same few inputs every time. `TOKENPAK_FUZZ_SECONDS=n` (`make fuzz SECONDS=n`) takes
//! other ones for so long, in each target; a failure prints its seed, and `TOKENPAK_FUZZ_SEED=x` takes that
//! one alone. The heads of requests have a driver of their own (src/proxy/request/properties.rs).

mod answers;
mod counter;
mod routes;
mod sessions;

use std::time::Duration;

use arbtest::arbitrary::{Result, Unstructured};
use arbtest::arbtest;

/// Bytes of choices: the least, and the most.
const SIZES: [u64; 2] = [200, 4000];

fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    let digits = value.strip_prefix("0x");
    digits.map_or_else(|| value.parse(), |digits| u64::from_str_radix(digits, 16)).ok()
}

/// Tries a property on `usual` inputs, or for as long as was asked for.
fn fuzz(usual: u64, mut property: impl FnMut(&mut Unstructured) -> Result<()>) {
    if let Some(seed) = number("TOKENPAK_FUZZ_SEED") {
        return arbtest(property).seed(seed).run();
    }
    if let Some(seconds) = number("TOKENPAK_FUZZ_SECONDS") {
        let [least, most] = SIZES.map(|size| size as u32);
        let test = arbtest(property).size_min(least).size_max(most);
        return test.budget(Duration::from_secs(seconds)).run();
    }
    for at in 0..usual {
        let [least, most] = SIZES;
        let size = least + at * 1237 % (most - least);
        // The seed of arbtest: how many bytes, and where to begin; never 0 there.
        let begin = (at + 1).wrapping_mul(0x9e37_79b9) & 0xffff_ffff | 1;
        arbtest(&mut property).seed(size | begin << 32).run();
    }
}

/// From 0 up to, but not including, `limit`; 0 where choices have run out.
fn below(source: &mut Unstructured, limit: usize) -> usize {
    source.int_in_range(0..=limit.max(1) - 1).unwrap_or(0)
}

fn pick<'t, T>(source: &mut Unstructured, choices: &'t [T]) -> &'t T {
    &choices[below(source, choices.len())]
}

/// A place between two characters.
fn cut(source: &mut Unstructured, text: &str) -> usize {
    let at = below(source, text.len() + 1);
    (at..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}
