//! What happened to one exchange, for people who look for a fault. Secrets never enter it.
//!
//! Of a credential there is its scheme, its length, and whether what went upstream was equal to what
//! came, byte for byte. The path has no query, and there is no value of any header. Kept in the
//! ledger beside the request's row for the last `KEPT` requests; tokens and money are in that row.

mod path;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::name::cut;
use crate::route::{CREDENTIAL_HEADERS, QUERY_KEY, SCHEMES, query_keys as keys};
pub(crate) use path::path;

/// How many requests are remembered so.
pub(crate) const KEPT: usize = 100;

/// How a request was passed on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Trace {
    pub(crate) method: Cow<'static, str>,
    /// As received, without its query, and only in plain words; see `path`.
    pub(crate) path: String,
    /// What named the provider.
    pub(crate) route_by: Cow<'static, str>,
    /// Scheme, host and port.
    pub(crate) upstream: String,
    pub(crate) credentials: Vec<Credential>,
    /// Tokens saved by each pass.
    pub(crate) passes: Vec<(String, u64)>,
    /// Microseconds from the end of the head until the body was there and a worker had it.
    pub(crate) read_us: Option<u64>,
    /// Microseconds of counting and compressing, which go text by text and are one step.
    pub(crate) pack_us: Option<u64>,
    /// Why the answer ended, in the provider's word.
    pub(crate) stop: Option<String>,
    /// Thinking blocks that the provider did not show to the model, since what stood before them was
    /// not what it had been.
    pub(crate) dropped_thoughts: u32,
    /// Why the provider's cache was missed, in its word.
    pub(crate) cache_miss: Option<String>,
    /// While debug was on.
    pub(crate) headers: Option<Headers>,
    /// Both bodies were written to disk.
    pub(crate) bodies: bool,
}

/// What is said of a credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Credential {
    /// The header's name, or `key=` in the query.
    pub(crate) name: Cow<'static, str>,
    /// Of an `Authorization`, if it is one of those that everybody knows.
    pub(crate) scheme: Option<Cow<'static, str>>,
    /// Length of the value, the scheme left out.
    pub(crate) bytes: usize,
    pub(crate) fate: Fate,
}

/// What became of something between the client and the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fate {
    Unchanged,
    Changed,
    /// The request went upstream, and this did not.
    Dropped,
    /// Nothing went upstream.
    NotSent,
}

/// Names of headers by what became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Headers {
    pub(crate) unchanged: Vec<String>,
    pub(crate) replaced: Vec<String>,
    pub(crate) dropped: Vec<String>,
    pub(crate) added: Vec<String>,
}

/// A request's target and headers, as they came or as they were sent. Few of them are looked for, so
/// they are gone through each time rather than listed.
pub(crate) struct Side<'a, H> {
    pub(crate) target: &'a str,
    pub(crate) headers: H,
}

/// Names and values in order.
pub(crate) trait Fields<'a>: Iterator<Item = (&'a [u8], &'a [u8])> + Clone {}

impl<'a, H: Iterator<Item = (&'a [u8], &'a [u8])> + Clone> Fields<'a> for H {}

impl<'a> Side<'a, Sent<'a>> {
    /// What was written to the connection, up to the empty line; `None` if that was never reached.
    pub(crate) fn of_wire(bytes: &'a [u8]) -> Option<Self> {
        let mut lines = Lines(bytes);
        let target = std::str::from_utf8(lines.next()?).ok()?.split(' ').nth(1)?;
        let headers = Sent(lines);
        lines.any(<[u8]>::is_empty).then_some(Side { target, headers })
    }
}

impl<'a, H: Fields<'a>> Side<'a, H> {
    fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let is_it = move |(other, _): &(&[u8], &[u8])| other.eq_ignore_ascii_case(name.as_bytes());
        self.headers.clone().filter(is_it).map(|(_, value)| value)
    }

    fn names(&self) -> impl Iterator<Item = String> {
        let readable = |name| Some(std::str::from_utf8(name).ok()?.to_ascii_lowercase());
        self.headers.clone().filter_map(move |(name, _)| readable(name))
    }
}

/// The headers of a head as it was sent.
#[derive(Clone)]
pub(crate) struct Sent<'a>(Lines<'a>);

impl<'a> Iterator for Sent<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let line = self.0.next().filter(|line| !line.is_empty())?;
            if let Some(colon) = memchr::memchr(b':', line) {
                return Some((&line[..colon], line[colon + 1..].trim_ascii()));
            }
        }
    }
}

/// Lines without their ends; the last one must have one.
#[derive(Clone, Copy)]
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = memchr::memchr(b'\n', self.0)?;
        let line = &self.0[..end];
        self.0 = &self.0[end + 1..];
        line.strip_suffix(b"\r").or(Some(line))
    }
}

/// Every credential that came, and whether it was sent as it came.
pub(crate) fn credentials<'a>(
    received: &Side<'a, impl Fields<'a>>,
    sent: Option<&Side<'a, impl Fields<'a>>>,
) -> Vec<Credential> {
    let mut found = Vec::new();
    for name in CREDENTIAL_HEADERS {
        let fate = || fate(received.values(name), sent.map(|sent| sent.values(name)));
        found.extend(received.values(name).map(|value| {
            let (scheme, secret) = scheme(value);
            let scheme = scheme.map(Cow::Borrowed);
            Credential { name: name.into(), scheme, bytes: secret.len(), fate: fate() }
        }));
    }
    let fate = || fate(keys(received.target), sent.map(|sent| keys(sent.target)));
    found.extend(keys(received.target).map(|value| Credential {
        name: QUERY_KEY.into(),
        scheme: None,
        bytes: value.len(),
        fate: fate(),
    }));
    found
}

/// What became of each header.
pub(crate) fn headers<'a>(
    received: &Side<'a, impl Fields<'a>>,
    sent: &Side<'a, impl Fields<'a>>,
) -> Headers {
    let mut all = Headers::default();
    for name in received.names() {
        let list = match fate(received.values(&name), Some(sent.values(&name))) {
            Fate::Unchanged => &mut all.unchanged,
            Fate::Dropped | Fate::NotSent => &mut all.dropped,
            Fate::Changed => &mut all.replaced,
        };
        list.push(cut(&name).to_owned());
    }
    let is_new = |name: &String| received.values(name).next().is_none();
    all.added = sent.names().filter(is_new).map(|name| cut(&name).to_owned()).collect();
    all
}

/// A request's method: nearly all have one of these.
pub(crate) fn method(method: &str) -> Cow<'static, str> {
    const USUAL: [&str; 4] = ["POST", "GET", "HEAD", "OPTIONS"];
    match USUAL.into_iter().find(|usual| *usual == method) {
        Some(usual) => usual.into(),
        None => cut(method).to_owned().into(),
    }
}

/// Scheme, host and port of a URL; not the name and password that it may hold.
pub(crate) fn origin(url: &str) -> String {
    let scheme_end = url.find(':').filter(|at| url[*at..].starts_with("://"));
    let (scheme, rest) = scheme_end.map_or(("", url), |at| (&url[..at], &url[at + 3..]));
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    [scheme, "://", host.rsplit('@').next().unwrap_or_default()].concat()
}

fn fate<T: PartialEq>(
    came: impl Iterator<Item = T>,
    went: Option<impl Iterator<Item = T>>,
) -> Fate {
    let Some(went) = went else { return Fate::NotSent };
    let mut went = went.peekable();
    match went.peek().is_some() {
        false => Fate::Dropped,
        true if came.eq(went) => Fate::Unchanged,
        true => Fate::Changed,
    }
}

/// A known scheme and what follows it, or all of a value: a first word that is none of them may be
/// the key itself, and is not written down.
fn scheme(value: &[u8]) -> (Option<&'static str>, &[u8]) {
    let space = memchr::memchr(b' ', value).unwrap_or(0);
    let (word, rest) = value.split_at(space);
    let known = SCHEMES.into_iter().find(|name| name.as_bytes().eq_ignore_ascii_case(word));
    match known {
        Some(name) => (Some(name), rest.trim_ascii_start()),
        None => (None, value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: &str = "POST /v1/messages?beta=true&key=dummy HTTP/1.1\r\nHost: there\r\n\
        Authorization: Bearer sk-dummy\r\nX-Api-Key: other\r\nAccept: */*\r\n\r\n{}";

    fn received() -> Side<'static, impl Fields<'static>> {
        const HEADERS: [(&str, &str); 5] = [
            ("host", "here"),
            ("authorization", "Bearer sk-dummy"),
            ("x-api-key", "dummy"),
            ("x-goog-api-key", "dummy"),
            ("accept", "*/*"),
        ];
        let bytes =
            |(name, value): (&'static str, &'static str)| (name.as_bytes(), value.as_bytes());
        Side { target: "/v1/messages?beta=true&key=dummy", headers: HEADERS.into_iter().map(bytes) }
    }

    #[test]
    fn credentials_are_compared_and_forgotten() {
        let sent = Side::of_wire(SENT.as_bytes()).unwrap();
        let found = credentials(&received(), Some(&sent));
        let said = |found: &[Credential]| -> Vec<(String, usize, Fate)> {
            let each = found.iter();
            each.map(|credential| (credential.name.to_string(), credential.bytes, credential.fate))
                .collect()
        };
        assert_eq!(
            said(&found),
            [
                ("authorization".to_owned(), 8, Fate::Unchanged),
                ("x-api-key".to_owned(), 5, Fate::Changed),
                ("x-goog-api-key".to_owned(), 5, Fate::Dropped),
                (QUERY_KEY.to_owned(), 5, Fate::Unchanged),
            ]
        );
        assert_eq!(found[0].scheme.as_deref(), Some("Bearer"));
        let none = credentials(&received(), None::<&Side<Sent>>);
        assert!(none.iter().all(|credential| credential.fate == Fate::NotSent));
        assert!(!format!("{found:?}").contains("dummy"));
    }

    #[test]
    fn only_known_words_are_schemes() {
        assert_eq!(scheme(b"bearer  x"), (Some("Bearer"), &b"x"[..]));
        assert_eq!(scheme(b"sk-dummy x"), (None, &b"sk-dummy x"[..]));
        assert_eq!(scheme(b"dummy"), (None, &b"dummy"[..]));
        assert_eq!(scheme(b""), (None, &b""[..]));
    }

    #[test]
    fn headers_are_told_by_what_became_of_them() {
        let sent = Side::of_wire(SENT.as_bytes()).unwrap();
        let all = headers(&received(), &sent);
        assert_eq!(all.unchanged, ["authorization", "accept"]);
        assert_eq!(all.replaced, ["host", "x-api-key"]);
        assert_eq!(all.dropped, ["x-goog-api-key"]);
        assert!(all.added.is_empty());
        assert!(Side::of_wire(b"POST / HTTP/1.1\r\nhost: x\r\n").is_none());
    }

    #[test]
    fn origins_have_no_secrets() {
        assert_eq!(origin("http://me:dummy@localhost:1/v1?key=dummy"), "http://localhost:1");
    }
}
