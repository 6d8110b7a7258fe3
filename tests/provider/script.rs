//! What the stand-in shall do with a request: a realistic answer by default, a fault on demand.

use super::keeper::Keeper;
use super::session::Session;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// How the end of an answer is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Framing {
    /// `Content-Length` for plain answers, chunks for streams: what providers do.
    Usual,
    Sized,
    Chunked,
    /// No length at all: the answer ends with the connection.
    UntilClose,
}

/// How a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum End {
    /// An orderly close at the wrong place.
    Fin,
    /// A reset, as from a crashed machine.
    Reset,
}

/// What the provider says it billed, in tokenpak's normal form: `input` includes what was read from
/// or written to the cache, `output` includes reasoning. Each dialect tells it in its own way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Billed {
    pub(crate) input: u64,
    pub(crate) cache_read: u64,
    /// Only the Messages dialect tells cache writes.
    pub(crate) cache_write: u64,
    pub(crate) cache_write_1h: u64,
    pub(crate) output: u64,
    pub(crate) reasoning: u64,
}

/// What to do with one request. `Script::default()` is a provider on a good day.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) status: u16,
    /// Sent besides `content-type` and the framing, in this order; repeats stay repeats.
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    /// The body in place of the dialect's own, in pieces that are written one by one.
    pub(crate) body: Option<Vec<Vec<u8>>>,
    pub(crate) content_type: Option<String>,
    /// Words of the answer; in a stream each is an event.
    pub(crate) words: usize,
    /// The length of each word; 0 takes them from a sentence.
    pub(crate) word_bytes: usize,
    /// Each word is the time at which it was written, in microseconds since 1970.
    pub(crate) stamps: bool,
    /// Between two pieces.
    pub(crate) gap: Duration,
    pub(crate) head_delay: Duration,
    /// Bytes before the head: interim answers.
    pub(crate) interim: Vec<u8>,
    pub(crate) framing: Framing,
    /// The answer stops after so many pieces.
    pub(crate) cut: Option<(usize, End)>,
    /// `Content-Length` promises so many bytes more than are sent.
    pub(crate) short_by: usize,
    /// No answer at all, until the other side leaves.
    pub(crate) hang: bool,
    /// No answer either: the request is read, `head_delay` passes, and the connection ends.
    pub(crate) unanswered: Option<End>,
    /// The answer is written before the body is read, and the connection closed after it.
    pub(crate) early: bool,
    /// With `early`: nothing more is read, and the connection stays open until the other side leaves.
    pub(crate) deaf: bool,
    /// With `early`: closed at once with the body unread, which resets the connection.
    pub(crate) abrupt: bool,
    /// The connection is closed without a word after the answer, as an idle timeout would.
    pub(crate) close_after: bool,
    /// A second request on the same connection is read and never answered: it came too late.
    pub(crate) drop_reused: bool,
    /// The answer as bytes, head included; then the connection is closed, unless `raw_open`.
    pub(crate) raw: Option<Vec<u8>>,
    pub(crate) raw_open: bool,
    /// A body of so many bytes that nobody keeps: `Seen::flooded` tells how far it is.
    pub(crate) flood: Option<usize>,
    pub(crate) billed: Option<Billed>,
    /// The model works through a task with the client's tools.
    pub(crate) session: Option<Session>,
    pub(crate) gate: Option<Gate>,
    /// Answers by what it has seen before.
    pub(crate) keeper: Option<Keeper>,
}

impl Default for Script {
    fn default() -> Script {
        Script {
            status: 200,
            headers: Vec::new(),
            body: None,
            content_type: None,
            words: 12,
            word_bytes: 0,
            stamps: false,
            gap: Duration::ZERO,
            head_delay: Duration::ZERO,
            interim: Vec::new(),
            framing: Framing::Usual,
            cut: None,
            short_by: 0,
            hang: false,
            unanswered: None,
            early: false,
            deaf: false,
            abrupt: false,
            close_after: false,
            drop_reused: false,
            raw: None,
            raw_open: false,
            flood: None,
            billed: None,
            session: None,
            gate: None,
            keeper: None,
        }
    }
}

impl Script {
    /// A refusal with the body that its provider would send.
    pub(crate) fn status(status: u16) -> Script {
        Script { status, ..Script::default() }
    }

    pub(crate) fn raw(bytes: impl Into<Vec<u8>>) -> Script {
        Script { raw: Some(bytes.into()), ..Script::default() }
    }

    /// Bytes as an answer, after which the connection waits for the next request.
    pub(crate) fn raw_open(bytes: impl Into<Vec<u8>>) -> Script {
        Script { raw_open: true, ..Script::raw(bytes) }
    }

    pub(crate) fn flood(bytes: usize, framing: Framing) -> Script {
        Script { flood: Some(bytes), framing, ..Script::default() }
    }

    pub(crate) fn session(session: Session) -> Script {
        Script { session: Some(session), ..Script::default() }
    }

    pub(crate) fn hang() -> Script {
        Script { hang: true, ..Script::default() }
    }

    pub(crate) fn cut(pieces: usize, end: End) -> Script {
        Script { cut: Some((pieces, end)), ..Script::default() }
    }

    /// A stream whose pieces leave one by one, each when the gate lets it.
    pub(crate) fn gated(words: usize, gate: &Gate) -> Script {
        Script { words, gate: Some(gate.clone()), ..Script::default() }
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Script {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Script {
        self.content_type = Some(content_type.to_owned());
        self.body = Some(vec![body.into()]);
        self
    }

    /// A body of `n` numbered events, each a piece.
    pub(crate) fn body_pieces(mut self, content_type: &str, n: usize) -> Script {
        self.content_type = Some(content_type.to_owned());
        let event = |k| format!("data: {{\"piece\":{k}}}\n\n").into_bytes();
        self.body = Some((0..n).map(event).collect());
        self
    }

    pub(crate) fn billed(mut self, billed: Billed) -> Script {
        self.billed = Some(billed);
        self
    }
}

/// Holds the pieces of an answer back until the test lets them go: order without clocks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate(Arc<(Mutex<usize>, Condvar)>);

impl Gate {
    /// So many pieces, counted from the first, may leave.
    pub(crate) fn open(&self, pieces: usize) {
        let (open, changed) = &*self.0;
        let mut open = open.lock().unwrap();
        *open = pieces.max(*open);
        changed.notify_all();
    }

    /// Every piece may leave.
    pub(crate) fn open_all(&self) {
        self.open(usize::MAX);
    }

    /// Waits a little for piece number `piece`; false when it may not leave yet.
    pub(crate) fn wait_briefly(&self, piece: usize) -> bool {
        let (open, changed) = &*self.0;
        let shut = |open: &mut usize| *open <= piece;
        let (open, _) = changed
            .wait_timeout_while(open.lock().unwrap(), Duration::from_millis(5), shut)
            .unwrap();
        *open > piece
    }
}
