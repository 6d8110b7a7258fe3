//! Which headers are one connection's own and do not go on to the next, in either direction.

/// Headers that belong to one connection and not to the message (RFC 9110 7.6.1), the ones that
/// the next hop writes itself, and `Expect`, which we have answered.
const HOP_BY_HOP: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
    "host",
    "content-length",
    "expect",
];

/// Whether a header belongs to one connection and not to the message.
pub(crate) fn is_hop_by_hop(name: &[u8]) -> bool {
    HOP_BY_HOP.iter().any(|hop| hop.as_bytes().eq_ignore_ascii_case(name))
}

/// Whether a header is one of those between us and our clients.
pub(crate) fn is_ours(name: &[u8]) -> bool {
    const OURS: &[u8] = b"x-tokenpak-";
    name.get(..OURS.len()).is_some_and(|start| start.eq_ignore_ascii_case(OURS))
}

/// Headers that `Connection` declares to be the hop's own. In order, so that as many words as a head has
/// room for cost no more than to read them.
pub(crate) struct Named(Vec<Vec<u8>>);

impl Named {
    pub(crate) fn of<'a>(words: impl Iterator<Item = &'a [u8]>) -> Named {
        // What nearly all say, and what is the hop's own anyway.
        let usual = |word: &&[u8]| {
            !word.eq_ignore_ascii_case(b"close") && !word.eq_ignore_ascii_case(b"keep-alive")
        };
        let mut named: Vec<_> = words.filter(usual).map(<[u8]>::to_ascii_lowercase).collect();
        named.sort_unstable();
        Named(named)
    }

    pub(crate) fn has(&self, name: &[u8]) -> bool {
        let small = || name.iter().map(u8::to_ascii_lowercase);
        self.0.binary_search_by(|word| word.iter().copied().cmp(small())).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_hop_are_found_in_any_spelling() {
        let words: [&[u8]; 5] = [b"close", b"X-One", b"", b"x-two", b"Keep-Alive"];
        let named = Named::of(words.into_iter());
        for (name, want) in [("x-one", true), ("X-TWO", true), ("x-three", false), ("close", false)]
        {
            assert_eq!(named.has(name.as_bytes()), want, "{name}");
        }
        assert!(!Named::of([&b"close"[..]].into_iter()).has(b"close"));
    }

    /// As many headers and words as a head has room for: the work must grow with their sum, not their product.
    #[test]
    fn hostile_connection_lists_are_read_once() {
        let words: Vec<String> = (0..25_000).map(|n| format!("x{n}")).collect();
        let mut named = None;
        let info = allocation_counter::measure(|| {
            named = Some(Named::of(words.iter().map(String::as_bytes)));
        });
        assert!(info.count_total < 25_100 && info.bytes_max < 2_000_000, "{info:?}");
        let named = named.unwrap();
        let info = allocation_counter::measure(|| {
            assert_eq!((0..2000).filter(|n| named.has(format!("y{n}").as_bytes())).count(), 0);
        });
        assert!(info.count_total <= 4_100, "{info:?}");
    }
}
