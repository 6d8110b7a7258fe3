//! Connections between two requests.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::connection::{Connection, Key};
use crate::proxy::deadlines::deadlines;

/// The time since the machine started, its sleep included: what a connection's other side has lived through.
fn now() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// Connections to one host, each with the time since the machine's start at which it fell idle; the one
/// used last comes last.
type Idle = Vec<(Connection, Duration)>;

/// Connections that wait for their next request.
pub(crate) struct ConnectionPool {
    /// By host, of which there are few.
    idle: Mutex<Vec<(Key, Idle)>>,
    per_host_max: usize,
}

impl ConnectionPool {
    pub(crate) fn new(per_host_max: usize) -> ConnectionPool {
        ConnectionPool { idle: Mutex::default(), per_host_max }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Key, Idle)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn put(&self, mut connection: Connection) {
        connection.buffer.end_input();
        let now = now();
        let mut idle = self.idle();
        match idle.iter_mut().find(|(key, _)| *key == connection.key) {
            Some((_, list)) if list.len() < self.per_host_max => list.push((connection, now)),
            Some(_) => {}
            None => idle.push((connection.key.clone(), vec![(connection, now)])),
        }
    }

    /// The connection used last, of those that are still open.
    pub(super) fn take(&self, key: &Key) -> Option<Connection> {
        loop {
            let newest = {
                let mut idle = self.idle();
                let (_, list) = idle.iter_mut().find(|(known, _)| known == key)?;
                list.pop()?
            };
            let (mut connection, since) = newest;
            if now().saturating_sub(since) < deadlines().upstream_idle && connection.is_open() {
                connection.begin();
                return Some(connection);
            }
        }
    }

    /// Closes what has been idle for too long; how long until there is more of that, if anything is left.
    pub(crate) fn expire(&self) -> Option<Duration> {
        self.expire_at(now())
    }

    fn expire_at(&self, now: Duration) -> Option<Duration> {
        let is_old = |since: &Duration| now.saturating_sub(*since) >= deadlines().upstream_idle;
        let mut old = Vec::new();
        let mut idle = self.idle();
        for (_, list) in idle.iter_mut() {
            // The oldest come first.
            let count = list.iter().take_while(|(_, since)| is_old(since)).count();
            old.extend(list.drain(..count));
            if list.is_empty() {
                *list = Vec::new();
            }
        }
        let oldest = idle.iter().filter_map(|(_, list)| Some(list.first()?.1)).min();
        // To close them takes time, which nobody has to wait for.
        drop(idle);
        drop(old);
        Some((oldest? + deadlines().upstream_idle).saturating_sub(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::upstream::connection::Stream;
    use crate::proxy::upstream::socket::Socket;
    use std::net::{TcpListener, TcpStream};
    use std::sync::Arc;
    use ureq_proto::http::uri::Authority;

    #[test]
    fn idle_connections_are_closed_by_time_alone() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (pool, begun) = (ConnectionPool::new(3), now());
        let mut ends = Vec::new();
        for host in ["a.test", "a.test", "a.test", "a.test", "b.test"] {
            let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            ends.push(listener.accept().unwrap().0);
            let stream = Stream::Plain(Socket::new(Arc::new(stream)));
            pool.put(Connection::new(stream, (false, Authority::from_static(host))));
        }
        let count = || pool.idle().iter().map(|(_, list)| list.len()).sum::<usize>();
        assert_eq!(count(), 4, "as many for a host as there may be");
        let left = pool.expire_at(begun + deadlines().upstream_idle / 2).unwrap();
        assert!(
            left > deadlines().upstream_idle / 3
                && left <= deadlines().upstream_idle
                && count() == 4,
            "{left:?}"
        );
        assert_eq!((pool.expire_at(now() + deadlines().upstream_idle), count()), (None, 0));
        use std::io::Read;
        for mut end in ends {
            assert_eq!(end.read(&mut [0]).unwrap(), 0, "closed");
        }
        // One that was closed meanwhile is not taken, and the next is.
        assert!(pool.take(&(false, Authority::from_static("a.test"))).is_none());
    }
}
