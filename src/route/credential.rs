//! What a request's credentials say about their owners, wherever they stand.
//!
//! The words of a value are gone through, not its grammar: what matters is that no key with a known
//! beginning passes for something else because of a scheme, quotes, spaces, letters in another case
//! or percent signs around it. Looked at in place, never copied.

use super::Asked;
use super::providers::{self, AZURE, BARE, PROVIDERS, Provider};

/// Headers that hold credentials.
pub(crate) const HEADERS: [&str; 4] = ["authorization", "x-api-key", "api-key", "x-goog-api-key"];

/// Names under which keys stand in a query, in any case.
const QUERY_NAMES: [&str; 4] = ["key", "api_key", "api-key", "access_token"];

/// The name of the credential in a query.
pub(crate) const QUERY_KEY: &str = "key= in the query";

/// First words of an `Authorization` that are no part of the secret.
pub(crate) const SCHEMES: [&str; 6] =
    ["Bearer", "Basic", "Digest", "Token", "Negotiate", "AWS4-HMAC-SHA256"];

/// Schemes whose credentials a browser sends by itself: that one comes proves nothing of a page.
const AMBIENT: [&str; 4] = ["Basic", "Digest", "Negotiate", "NTLM"];

/// An owner, and the header that said so.
pub(super) type Owner = (&'static Provider, &'static str);

/// What one walk over a request's head finds.
#[derive(Default)]
pub(crate) struct Credentials {
    /// The first owner that a beginning tells.
    owner: Option<Owner>,
    /// Another one is told as well.
    differ: bool,
    /// Where a key stands that begins with `BARE` and nothing more.
    bare: Option<&'static str>,
    /// There is an `api-key` that nobody else is known to own.
    has_api_key: bool,
    /// There is a credential of any kind.
    pub(crate) is_any: bool,
    /// There is a key in a header, where a browser puts none by itself.
    pub(crate) has_key_header: bool,
    pub(crate) has_query_key: bool,
    /// A preflight (Fetch, "CORS-preflight request"): the request it asks for brings a credential.
    pub(crate) is_announced: bool,
}

impl Credentials {
    pub(crate) fn of(asked: &Asked) -> Self {
        let mut found = Credentials::default();
        let may_announce = asked.method == "OPTIONS";
        (asked.headers)(&mut |name, value| {
            let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
            if let Some(name) = HEADERS.into_iter().find(|name| is(name)) {
                found.value(name, value);
            } else if may_announce && is("access-control-request-headers") {
                let mut names = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
                found.is_announced |= names.any(is_header);
            }
        });
        for key in query_keys(asked.target) {
            found.value(QUERY_KEY, key.as_bytes());
        }
        found
    }

    /// The owner, where the path and what is configured are known; an error if there are two.
    pub(super) fn owner(&self, is_openais: bool, has_azure: bool) -> Result<Option<Owner>, ()> {
        let bare = self.bare.filter(|_| is_openais);
        let bare = bare.and_then(|at| Some((providers::known("openai")?, at)));
        let azure = (self.has_api_key && has_azure).then(|| providers::known(AZURE));
        let azure = azure.flatten().map(|azure| (azure, "api-key"));
        let mut all = [self.owner, bare, azure].into_iter().flatten();
        let first = all.next();
        let is_other = |(owner, _): Owner| first.is_some_and(|(one, _)| one.name != owner.name);
        if self.differ || all.any(is_other) { Err(()) } else { Ok(first) }
    }

    /// Whether `api-key` brings what may be a key of Azure's.
    pub(super) fn has_api_key(&self) -> bool {
        self.has_api_key
    }

    fn key(&mut self, key: Key, name: &'static str) {
        match key {
            Key::Of(owner) => {
                self.differ |= self.owner.is_some_and(|(known, _)| known.name != owner.name);
                self.owner = self.owner.or(Some((owner, name)));
            }
            Key::Bare => self.bare = self.bare.or(Some(name)),
        }
    }

    fn value(&mut self, name: &'static str, value: &[u8]) {
        let mut is_ambient = false;
        let (mut is_any, mut is_known) = (false, false);
        let mut has_words = false;
        for word in (Words { rest: Decoded(value), is_inside: false }) {
            let may_be_scheme = !has_words && name == "authorization";
            has_words = true;
            if let Some(key) = word.key() {
                (is_any, is_known) = (true, true);
                self.key(key, name);
            } else if may_be_scheme && word.is_one_of(&AMBIENT) {
                is_ambient = true;
            } else if !(may_be_scheme && word.is_one_of(&SCHEMES)) {
                is_any = true;
            }
        }
        if is_ambient {
            let text = basic(value);
            let parts = text.split(|byte| *byte == b':');
            parts.filter_map(|part| Decoded(part).key()).for_each(|key| self.key(key, name));
        }
        // A value in other letters than ours has no word, and is one all the same.
        let is_sign = |byte: u8| byte.is_ascii_whitespace() || b"\"'`,;:=".contains(&byte);
        is_any |= !has_words && !value.iter().all(|byte| is_sign(*byte));
        self.is_any |= is_any;
        self.has_query_key |= is_any && name == QUERY_KEY;
        self.has_key_header |= is_any && !is_ambient && name != QUERY_KEY;
        self.has_api_key |= is_any && !is_known && name == "api-key";
    }
}

/// What stands in Base64 behind the first word of a value (RFC 7617): a name and a password.
fn basic(value: &[u8]) -> Vec<u8> {
    let coded = value.trim_ascii().split(u8::is_ascii_whitespace).next_back().unwrap_or_default();
    let (mut out, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for byte in coded {
        let sextet = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => continue,
        };
        (bits, held) = (bits << 6 | u32::from(sextet), held + 6);
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    out
}

/// Whether a header holds a credential.
fn is_header(name: &[u8]) -> bool {
    HEADERS.iter().any(|header| name.eq_ignore_ascii_case(header.as_bytes()))
}

/// Values of `key` in a target's query, as they stand there.
pub(crate) fn query_keys(target: &str) -> impl Iterator<Item = &str> {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let is = |name: &str, other: &str| {
        let name = Decoded(name.as_bytes()).map(|byte| byte.to_ascii_lowercase());
        name.eq(other.bytes())
    };
    let is_key = move |name: &str| QUERY_NAMES.iter().any(|other| is(name, other));
    pairs.filter(move |(name, _)| is_key(name)).map(|(_, value)| value)
}

/// Bytes, those that are written as `%XX` decoded.
#[derive(Clone)]
struct Decoded<'a>(&'a [u8]);

impl Iterator for Decoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let (byte, length) = match *self.0 {
            [b'%', high, low, ..] => match (digit(high), digit(low)) {
                (Some(high), Some(low)) => ((high * 16 + low) as u8, 3),
                _ => (b'%', 1),
            },
            [byte, ..] => (byte, 1),
            [] => return None,
        };
        self.0 = &self.0[length..];
        Some(byte)
    }
}

/// What begins as keys do.
enum Key {
    Of(&'static Provider),
    /// As those of several providers.
    Bare,
}

impl Decoded<'_> {
    /// The key that begins here. A scheme that lacks its space, or has a sign for it, hides none: a
    /// query says a space as `+`.
    fn key(&self) -> Option<Key> {
        let past = |scheme: &&str| {
            let is_there = self.begins_with(scheme);
            let mut rest = self.clone();
            rest.by_ref().take(scheme.len()).for_each(drop);
            while rest.clone().next().is_some_and(|byte| b"-_.~+/".contains(&byte)) {
                rest.next();
            }
            is_there.then_some(rest)
        };
        self.key_at_once().or_else(|| SCHEMES.iter().find_map(past)?.key_at_once())
    }

    fn key_at_once(&self) -> Option<Key> {
        let owns = |provider: &&Provider| provider.keys.iter().any(|key| self.begins_with(key));
        let bare = || self.begins_with(BARE).then_some(Key::Bare);
        PROVIDERS.iter().find(owns).map(Key::Of).or_else(bare)
    }

    fn begins_with(&self, start: &str) -> bool {
        let mut bytes = self.clone();
        start.bytes().all(|want| bytes.next().is_some_and(|byte| byte.eq_ignore_ascii_case(&want)))
    }

    /// Whether the word that begins here is one of these.
    fn is_one_of(&self, words: &[&str]) -> bool {
        let is_it = |word: &&&str| {
            let next = self.clone().nth(word.len());
            self.begins_with(word) && next.is_none_or(|byte| !is_inner(byte))
        };
        words.iter().find(is_it).is_some()
    }
}

/// The beginnings of the words of a value.
struct Words<'a> {
    rest: Decoded<'a>,
    is_inside: bool,
}

impl<'a> Iterator for Words<'a> {
    type Item = Decoded<'a>;

    fn next(&mut self) -> Option<Decoded<'a>> {
        loop {
            let here = self.rest.clone();
            let byte = self.rest.next()?;
            let was_inside = self.is_inside;
            self.is_inside = if was_inside { is_inner(byte) } else { byte.is_ascii_alphanumeric() };
            if self.is_inside && !was_inside {
                return Some(here);
            }
        }
    }
}

/// What a word goes on with: the characters of keys, of Base64 and of JSON web tokens.
fn is_inner(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~+/".contains(&byte)
}
