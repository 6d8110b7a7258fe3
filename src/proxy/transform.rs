//! An answer between its arrival and its copying: may it have a footer, and how is it put in?

use std::io::{self, Cursor, Read};
use std::time::{Duration, Instant};

use super::catch_panic::catch_panic;
use super::relay::{Body, is_judged};
use super::upstream::{Framing, ReplyHead, Source, is_late};
use crate::footer;
use crate::footer::response_filter::{Edit, FooterLine, HOLD_TIME_MAX, ResponseFilter};
use crate::wire::Format;
use crate::wire::answer::{Reading, UsageObserver};
use crate::wire::framing::StreamFormat;

/// A longer plain answer is no chat, and is not kept to be changed.
const PLAIN_BYTES_MAX: u64 = 1024 * 1024;

/// The first room for a plain answer, whatever it announces: that has not come, and a server that stops
/// there must not take more.
const PLAIN_BYTES_FIRST: usize = 4 * 1024;

/// What is to be done with an answer.
pub(super) struct TransformOptions {
    /// `None`: nothing is read of the answer.
    pub(super) format: Option<Format>,
    /// `None`: the answer is one body.
    pub(super) stream: Option<StreamFormat>,
    /// Nothing speaks against a footer so far.
    pub(super) wants_footer: bool,
    /// The chunk with the usage is not for the client.
    pub(super) drops_usage: bool,
}

/// An answer that is ready to be copied.
pub(super) struct ResponseBody<'a> {
    pub(super) body: Body<'a>,
    pub(super) framing: Framing,
    pub(super) filter: ResponseFilter<'a>,
    /// What was read already, and what became of the footer, where the copying will not tell.
    pub(super) reading: Option<Reading>,
    pub(super) footer: Option<footer::Outcome>,
}

/// Puts the footer into a plain answer, which must be whole for that, and prepares a stream for it.
pub(super) fn transform<'a>(
    options: &TransformOptions,
    head: &ReplyHead,
    mut body: impl Source + 'a,
    framing: Framing,
    line: FooterLine<'a>,
) -> ResponseBody<'a> {
    let is_plain = head.header("content-encoding").is_none();
    let observer = || match options.format.filter(|_| is_plain) {
        Some(format) => Some(UsageObserver::new(format)),
        None => (is_plain && is_judged(head, framing)).then(UsageObserver::of_end),
    };
    let as_it_comes = |body, footer: Option<footer::Refusal>| ResponseBody {
        body: Body::Comes(body),
        framing,
        filter: match options.stream {
            Some(stream) => ResponseFilter::of_stream(stream, observer(), None),
            None => ResponseFilter::of_body(observer()),
        },
        reading: None,
        footer: footer.map(footer::Outcome::Refused),
    };
    let Some(format) = options.format.filter(|_| options.wants_footer || options.drops_usage)
    else {
        return as_it_comes(Box::new(body), None);
    };
    if let Some(stream) = options.stream {
        let footer = options.wants_footer.then(|| (footer::Stream::new(format), line));
        // What is changed has another length.
        let framing = if framing == Framing::Close { framing } else { Framing::Chunks };
        let edit = Edit::new(footer, options.drops_usage);
        let filter = ResponseFilter::of_stream(stream, observer(), edit);
        let body = Body::Comes(Box::new(body));
        return ResponseBody { body, framing, filter, reading: None, footer: None };
    }
    if !options.wants_footer
        || matches!(framing, Framing::Length(length) if length > PLAIN_BYTES_MAX)
    {
        return as_it_comes(Box::new(body), options.wants_footer.then_some(footer::Refusal::Large));
    }
    let mut bytes = Vec::with_capacity(PLAIN_BYTES_FIRST);
    let added = match read_plain(&mut body, &mut bytes) {
        Ok(Some(refusal)) => Err(refusal),
        Err(error) => {
            let rest = Cursor::new(bytes).chain(Broken(Some(error)));
            return as_it_comes(Box::new(rest), Some(footer::Refusal::Unfinished));
        }
        Ok(None) => {
            let add = || {
                let mut observer = UsageObserver::new(format);
                observer.feed(&bytes);
                let reading = observer.finish();
                let edited = footer::add(format, &bytes, &line(reading.usage.as_ref()));
                edited.map(|edited| (edited, reading))
            };
            catch_panic(add).unwrap_or(Err(footer::Refusal::Unreadable))
        }
    };
    match added {
        Err(why) => as_it_comes(Box::new(Cursor::new(bytes).chain(body)), Some(why)),
        Ok((edited, reading)) => ResponseBody {
            framing: match framing {
                Framing::Length(_) => Framing::Length(edited.len() as u64),
                other => other,
            },
            body: Body::Whole(edited),
            filter: ResponseFilter::of_body(None),
            reading: Some(reading),
            footer: Some(footer::Outcome::Added),
        },
    }
}

/// Reads a plain answer to its end; or until it may not be held back any longer, and why.
fn read_plain(body: &mut impl Source, bytes: &mut Vec<u8>) -> io::Result<Option<footer::Refusal>> {
    let since = Instant::now();
    let mut piece = [0; PLAIN_BYTES_FIRST];
    let refusal = loop {
        let left = HOLD_TIME_MAX.saturating_sub(since.elapsed());
        if left.is_zero() {
            break Some(footer::Refusal::KeptWaiting);
        }
        body.limit(Some(left));
        let room = (PLAIN_BYTES_MAX as usize - bytes.len()).min(piece.len());
        match body.read(&mut piece[..room]) {
            Ok(0) => break None,
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted || is_late(&error) => {}
            Err(error) => return Err(error),
        }
        // Some providers send blank lines while they think, so that nobody gives the answer up.
        if bytes.first().is_some_and(u8::is_ascii_whitespace) {
            break Some(footer::Refusal::KeptWaiting);
        }
        if bytes.len() as u64 == PLAIN_BYTES_MAX {
            break Some(footer::Refusal::Large);
        }
    };
    body.limit(None);
    Ok(refusal)
}

/// A body that has broken off: whoever reads on learns it, too.
struct Broken(Option<io::Error>);

impl Source for Broken {
    fn limit(&mut self, _: Option<Duration>) {}
}

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}
