//! Who makes room when there are as many connections as may be, or bodies wait for memory.
//!
//! Bodies are told apart by their pace: what came of them lately. Half-sent ones that get a byte now and
//! then are never silent, and would hold their places for as long as they like. While there is room for
//! all, a slow upload is let be.

use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::net::{RecvFlags, SendFlags};

use super::connection::Connection;
use super::phase::Phase;
use super::{EventLoop, NO_MEMORY, Next, local};
use crate::proxy::local::ErrorContext;
use crate::proxy::request::Refusal;

const TOO_MANY: Refusal = Refusal { status: 503, why: "too many connections" };

/// A connection gets so long to show what it is about.
const FRESH: Duration = Duration::from_secs(1);
/// A body gets longer where it is memory that is missing: many that come at once are read in turn.
const BODY_FRESH: Duration = Duration::from_secs(2);

impl EventLoop<'_> {
    /// Beyond three quarters of what there may be.
    pub(super) fn note_crowding(&self) {
        let count = self.connections.len() - self.free.len();
        self.context.is_crowded.store(count * 4 > self.connections_max * 3, Ordering::Relaxed);
    }

    /// Closes the connection that is missed least, if there is one that no worker has.
    pub(super) fn make_room(&mut self) -> bool {
        self.take_back_released();
        let dispensable = self.connections.iter().enumerate().filter_map(|(index, connection)| {
            let connection = connection.as_ref()?;
            Some((rank(connection)?, connection.since, index))
        });
        let Some((.., index)) = dispensable.min() else { return false };
        if let Some(Connection { phase: Phase::Body { head, .. }, stream, .. }) =
            &self.connections[index]
        {
            let (asked_by, stream) = (ErrorContext::of(head), Arc::clone(stream));
            self.turn_away(&stream, Some(asked_by));
        }
        self.close(index);
        true
    }

    /// One connection too many. What it has sent is read first: a close with bytes unread resets the
    /// connection, and takes the answer with it. `asked_by` is known if its head has come.
    pub(super) fn turn_away(&mut self, stream: &TcpStream, asked_by: Option<ErrorContext>) {
        let come = rustix::net::recv(stream, &mut self.scratch[..], RecvFlags::DONTWAIT);
        let start = &self.scratch[..come.map_or(0, |(_, count)| count)];
        let asked_by = asked_by.unwrap_or_else(|| ErrorContext::of_start(start));
        let answer = local::refusal(&asked_by, TOO_MANY, &self.context.ids.next());
        let answer = local::fit(&answer, &asked_by, false);
        let _ = rustix::net::send(stream, &answer, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
        let _ = stream.shutdown(Shutdown::Write);
    }

    /// For each body that waits for memory one of the slowest goes.
    pub(super) fn free_memory(&mut self) {
        let slow = self.connections.iter().enumerate().filter_map(|(index, connection)| {
            let connection = connection.as_ref()?;
            let is_reading = matches!(connection.phase, Phase::Body { is_blocked: false, .. });
            (is_reading && connection.is_slow(BODY_FRESH)).then_some((connection.pace, index))
        });
        // Nearly always nobody waits, and then nobody is looked at.
        let waiting = self.blocked.len();
        let mut slow: Vec<_> = if waiting == 0 { Vec::new() } else { slow.collect() };
        slow.sort_unstable();
        for (_, index) in slow.into_iter().take(waiting) {
            if let Next::Close = self.refuse(index, NO_MEMORY) {
                self.close(index);
            }
        }
    }
}

/// The lowest goes first, and of equals the one that has waited longest: what is answered or idle, parts
/// of heads, slow bodies by their pace, what is fresh, and the slowest of the other bodies.
fn rank(connection: &Connection) -> Option<(u8, usize)> {
    let is_fresh = connection.since.elapsed() < FRESH;
    match &connection.phase {
        Phase::Busy => None,
        Phase::Draining { .. } => Some((0, 0)),
        Phase::Head(_) | Phase::Skipping(_) if is_fresh => Some((3, 0)),
        Phase::Head(_) if connection.is_parked() => Some((0, 0)),
        Phase::Head(_) | Phase::Skipping(_) => Some((1, 0)),
        Phase::Body { .. } if connection.is_slow(FRESH) => Some((2, connection.pace)),
        Phase::Body { .. } => Some((4, connection.pace)),
    }
}
