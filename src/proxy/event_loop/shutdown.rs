//! How the proxy ends: requests in flight may finish, then they are ended upstream, then their clients
//! are left.

use std::io::Read;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::EventLoop;
use super::connection::Connection;
use crate::proxy::Event;
use crate::proxy::deadlines::deadlines;

/// For requests that were ended to be recorded, and for clients to take the last bytes; then once more
/// without the clients.
const CUT: Duration = Duration::from_secs(2);

/// How far an end has come, and until when.
#[derive(Clone, Copy)]
pub(super) enum End {
    /// Requests in flight may finish.
    Drained(Instant),
    /// They have been ended upstream, and are being recorded.
    Cut(Instant),
    /// Their clients have been left, too.
    Closed(Instant),
}

impl EventLoop<'_> {
    /// The first signal lets requests finish, the second one ends them, a third ends all at once.
    pub(super) fn on_signal(&mut self, mut signals: &UnixStream, end: Option<End>) -> End {
        let _ = signals.read(&mut [0; 16]);
        match end {
            None => self.drain(),
            Some(End::Drained(_)) => self.cut(),
            Some(End::Cut(_) | End::Closed(_)) => End::Closed(Instant::now()),
        }
    }

    /// Stops accepting and lets go of those who wait for nothing.
    fn drain(&mut self) -> End {
        self.context.draining.store(true, Ordering::SeqCst);
        (self.context.report)(&Event::Stopping(self.context.in_flight.load(Ordering::SeqCst)));
        self.listeners.clear();
        for index in 0..self.connections.len() {
            if self.connections[index].as_ref().is_some_and(Connection::is_parked) {
                self.close(index);
            }
        }
        End::Drained(Instant::now() + deadlines().drain)
    }

    /// Ends what is still in flight, so that it is recorded with what was seen of it: a worker that waits
    /// for its provider reads an end.
    fn cut(&mut self) -> End {
        self.connections.iter().flatten().for_each(Connection::cut);
        End::Cut(Instant::now() + CUT)
    }

    /// The same for a worker that waits for its client.
    fn close_busy(&mut self) -> End {
        let busy = self.connections.iter().flatten().filter(|connection| connection.is_busy());
        busy.for_each(|connection| _ = connection.stream.shutdown(Shutdown::Both));
        End::Closed(Instant::now() + CUT)
    }

    /// The next step, once this one has had its time. `None`: nothing is in flight, or the last one is over.
    pub(super) fn go_on_ending(&mut self, end: End) -> Option<End> {
        // In this order: whoever stays is counted there until the request is counted here.
        let is_over = self.context.staying.load(Ordering::SeqCst) == 0
            && self.context.in_flight.load(Ordering::SeqCst) == 0;
        match end {
            _ if is_over => None,
            End::Drained(by) if Instant::now() > by => Some(self.cut()),
            End::Cut(by) if Instant::now() > by => Some(self.close_busy()),
            End::Closed(by) if Instant::now() > by => None,
            end => Some(end),
        }
    }
}
