//! A worker that stays with its client for the next request.
//!
//! Some clients send their next request as soon as they have an answer. Through the event loop
//! that costs two wake-ups and a change of the registration each way; so for such a client, and
//! for as long as it takes one, the worker reads itself, by the event loop's own rules. All that
//! takes longer, and all that does not end as a request, goes back to the event loop as it is.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::net::RecvFlags;

use super::admit::admit;
use super::client::{Client, ReadyRequest};
use super::connection::{Connection, Step};
use super::phase::Leftover;
use crate::proxy::Context;
use crate::proxy::setup::Setup;

/// A read of a worker that stays may take so long.
const STAY: Duration = Duration::from_millis(8);
/// From a request's first byte to its last, or the event loop goes on with it.
const REQUEST_TIME: Duration = Duration::from_millis(50);
/// What is received at once of heads, and of bodies that fit behind them.
const READ_BYTES: usize = 16 * 1024;

/// The client's next request, if it comes at once. Otherwise the connection has been given back.
pub(super) fn next(
    (context, setup): (&Context, &Setup),
    client: &Client,
    room: &mut Vec<u8>,
) -> Option<Box<ReadyRequest>> {
    // Before it is asked whether the proxy ends, which waits for whoever is counted.
    context.staying.fetch_add(1, Ordering::SeqCst);
    let job = stay((context, setup), client, room);
    context.staying.fetch_sub(1, Ordering::SeqCst);
    job
}

fn stay(
    (context, setup): (&Context, &Setup),
    client: &Client,
    room: &mut Vec<u8>,
) -> Option<Box<ReadyRequest>> {
    if !may_wait(context) || client.link.wait(&client.stream, STAY).is_err() {
        client.go(None);
        return None;
    }
    client.link.quiet(&client.stream);
    let mut connection = Connection::of(client);
    room.resize(READ_BYTES, 0);
    let job = read((context, setup), &mut connection, room);
    match job {
        Ok(job) => {
            let rest = connection.rest();
            if !rest.is_empty() {
                client.link.leave(Leftover::head(rest));
            }
            context.in_flight.fetch_add(1, Ordering::AcqRel);
            Some(job)
        }
        Err(why) => {
            let is_waiting = matches!(why, Unfinished::Waiting);
            client.go(Some(connection.left(is_waiting)));
            None
        }
    }
}

/// Nobody may wait because of a worker that waits for its client: there must be more of them, and room
/// for more clients.
pub(super) fn may_wait(context: &Context) -> bool {
    let threads = context.threads.threads.load(Ordering::Relaxed);
    threads < context.workers_max
        && !context.is_draining()
        && !context.is_crowded.load(Ordering::Relaxed)
}

/// Why a connection goes back to the event loop without a request.
enum Unfinished {
    /// There is something to do that is the event loop's.
    Ready,
    /// All that has come was looked at.
    Waiting,
}

/// Reads one request, or leaves it to the event loop.
fn read(
    (context, setup): (&Context, &Setup),
    connection: &mut Connection,
    scratch: &mut [u8],
) -> Result<Box<ReadyRequest>, Unfinished> {
    let began = Instant::now();
    loop {
        match connection.advance() {
            Ok(Step::Wait) => {}
            Ok(Step::Blocked) => return Err(Unfinished::Ready),
            Ok(Step::Head(head)) => match admit(context, setup, connection, head) {
                Some(job) => return Ok(job),
                // The event loop reads large bodies: what a worker has had, the C library keeps for it.
                None if connection.is_large(&context.large) => return Err(Unfinished::Ready),
                None => continue,
            },
            Ok(Step::Request(job)) => return Ok(job),
            Err(refusal) => connection.refuse(refusal, &context.ids.next()),
        }
        if !connection.is_reading() || began.elapsed() > REQUEST_TIME {
            return Err(Unfinished::Ready);
        }
        // An end or a fault is the event loop's to see again.
        match connection.receive_with(RecvFlags::empty(), scratch) {
            Ok(count) if count > 0 => {}
            _ => return Err(Unfinished::Waiting),
        }
    }
}
