//! How far a request has come, and what of one a worker leaves to the event loop.

use std::time::Instant;

use super::memory::BodyBuffer;
use crate::proxy::request::body::BodyReader;
use crate::proxy::request::{Head, HeadReader};

pub(crate) enum Phase {
    Head(HeadReader),
    Body {
        head: Box<Head>,
        reader: BodyReader,
        body: BodyBuffer,
        arrived: Instant,
        /// Nothing is read until there is memory for it.
        is_blocked: bool,
        /// It is no prompt: what has come may be passed on before the rest.
        may_stream: bool,
    },
    /// A worker has it.
    Busy,
    /// Answered before its body was read, which is thrown away.
    Skipping(BodyReader),
    /// Answered and half closed: what the client still sends is thrown away.
    Draining {
        until: Instant,
        bytes: usize,
    },
}

/// What a worker has received of a request that it leaves to the event loop.
pub(super) struct Leftover {
    pub(super) phase: Phase,
    pub(super) buffer: Vec<u8>,
    /// There is nothing to do before the client sends more.
    pub(super) is_waiting: bool,
}

impl Leftover {
    /// Bytes of a request that nobody has looked at.
    pub(super) fn head(buffer: Vec<u8>) -> Leftover {
        let is_waiting = buffer.is_empty();
        Leftover { phase: Phase::Head(HeadReader::default()), buffer, is_waiting }
    }
}
