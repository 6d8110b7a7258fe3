//! Names for requests: 16 characters, unique across proxies, in the order of arrival.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// Eight characters of time, four of this process, four of a counter.
pub(crate) struct Ids {
    process: u64,
    next: AtomicU32,
}

impl Ids {
    pub(crate) fn new() -> Ids {
        // Each RandomState has keys of its own from the system's random source.
        Ids { process: RandomState::new().build_hasher().finish(), next: AtomicU32::new(0) }
    }

    pub(crate) fn next(&self) -> String {
        let ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis());
        let mut id = [0; 16];
        write(&mut id[..8], ms as u64);
        write(&mut id[8..12], self.process);
        write(&mut id[12..], u64::from(self.next.fetch_add(1, Ordering::Relaxed)));
        let mut text = String::with_capacity(id.len());
        text.extend(id.map(char::from));
        text
    }
}

/// The low digits of `number` in base 36.
fn write(place: &mut [u8], mut number: u64) {
    for byte in place.iter_mut().rev() {
        *byte = DIGITS[(number % 36) as usize];
        number /= 36;
    }
}
