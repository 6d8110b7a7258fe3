//! An answer between its arrival and its copying: may it have a footer, and how is it put in?

use std::io::{self, Cursor, Read};

use super::mishap::caught;
use super::relay::Body;
use super::upstream::{Framing, ReplyHead};
use crate::footer;
use crate::footer::amend::{Edit, Line, Passage};
use crate::wire::Format;
use crate::wire::answer::{Reading, Tap};

/// A longer plain answer is no chat, and is not kept to be changed.
const PLAIN_BYTES_MAX: u64 = 1024 * 1024;

/// The first room for a plain answer, whatever it announces: that has not come, and a server that stops
/// there must not take more.
const PLAIN_BYTES_FIRST: usize = 4 * 1024;

/// What is to be done with an answer.
pub(super) struct Wishes {
    /// `None`: nothing is read of the answer.
    pub(super) format: Option<Format>,
    pub(super) is_stream: bool,
    /// Nothing speaks against a footer so far.
    pub(super) wants_footer: bool,
    /// The chunk with the usage is not for the client.
    pub(super) drops_usage: bool,
}

/// An answer that is ready to be copied.
pub(super) struct Dressed<'a> {
    pub(super) body: Body<'a>,
    pub(super) framing: Framing,
    pub(super) passage: Passage<'a>,
    /// What was read already, and what became of the footer, where the copying will not tell.
    pub(super) reading: Option<Reading>,
    pub(super) footer: Option<footer::Refusal>,
}

/// Puts the footer into a plain answer, which must be whole for that, and prepares a stream for it.
pub(super) fn dress<'a>(
    wishes: &Wishes,
    head: &ReplyHead,
    mut body: impl Read + 'a,
    framing: Framing,
    line: Line<'a>,
) -> Dressed<'a> {
    let is_plain = head.header("content-encoding").is_none();
    let tap =
        || wishes.format.filter(|_| is_plain).map(|format| Tap::new(format, wishes.is_stream));
    let as_it_comes = |body, footer| Dressed {
        body: Body::Comes(body),
        framing,
        passage: Passage::new(tap(), None),
        reading: None,
        footer,
    };
    let Some(format) = wishes.format.filter(|_| wishes.wants_footer || wishes.drops_usage) else {
        return as_it_comes(Box::new(body), None);
    };
    if wishes.is_stream {
        let footer = wishes.wants_footer.then(|| (footer::Stream::new(format), line));
        // What is changed has another length.
        let framing = if framing == Framing::Close { framing } else { Framing::Chunks };
        let passage = Passage::new(tap(), Edit::new(footer, wishes.drops_usage));
        let body = Body::Comes(Box::new(body));
        return Dressed { body, framing, passage, reading: None, footer: None };
    }
    if !wishes.wants_footer
        || matches!(framing, Framing::Length(length) if length > PLAIN_BYTES_MAX)
    {
        return as_it_comes(Box::new(body), wishes.wants_footer.then_some("large"));
    }
    let mut bytes = Vec::with_capacity(PLAIN_BYTES_FIRST);
    let begun = body.by_ref().take(1).read_to_end(&mut bytes);
    if begun.is_ok() && bytes.first().is_some_and(u8::is_ascii_whitespace) {
        // Some providers send blank lines while they think, so that nobody gives the answer up.
        return as_it_comes(Box::new(Cursor::new(bytes).chain(body)), Some("kept-waiting"));
    }
    let read = begun.and_then(|_| body.by_ref().take(PLAIN_BYTES_MAX - 1).read_to_end(&mut bytes));
    let added = match read {
        Ok(_) if bytes.len() as u64 == PLAIN_BYTES_MAX => Err("large"),
        Err(error) => {
            let rest = Cursor::new(bytes).chain(Broken(Some(error)));
            return as_it_comes(Box::new(rest), Some("unfinished"));
        }
        Ok(_) => {
            let add = || {
                let mut tap = Tap::new(format, false);
                tap.feed(&bytes);
                let reading = tap.finish();
                let edited = footer::add(format, &bytes, &line(reading.usage.as_ref()));
                edited.map(|edited| (edited, reading))
            };
            caught(add).unwrap_or(Err("unreadable"))
        }
    };
    match added {
        Err(why) => as_it_comes(Box::new(Cursor::new(bytes).chain(body)), Some(why)),
        Ok((edited, reading)) => Dressed {
            framing: match framing {
                Framing::Length(_) => Framing::Length(edited.len() as u64),
                other => other,
            },
            body: Body::Whole(edited),
            passage: Passage::new(None, None),
            reading: Some(reading),
            footer: Some(footer::ADDED),
        },
    }
}

/// A body that has broken off: whoever reads on learns it, too.
struct Broken(Option<io::Error>);

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}
