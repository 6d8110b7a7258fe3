//! Where connections come from: listeners, which rest while there are no descriptors.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::SocketFlags;

use super::connection::Connection;
use super::{EventLoop, LISTENERS};

impl EventLoop<'_> {
    pub(super) fn listen(&mut self) {
        let add = |(index, listener): (usize, &TcpListener)| {
            let data = EventData::new_u64(LISTENERS + index as u64);
            let added = epoll::add(&self.epoll, listener, data, EventFlags::IN);
            matches!(added, Ok(()) | Err(Errno::EXIST))
        };
        self.is_resting =
            !self.listeners.iter().enumerate().map(add).fold(true, |all, ok| all & ok);
    }

    pub(super) fn accept(&mut self, index: usize) {
        while let Some(listener) = self.listeners.get(index) {
            match rustix::net::accept_with(listener, SocketFlags::CLOEXEC) {
                Ok(stream) => self.welcome(TcpStream::from(stream)),
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(Errno::MFILE | Errno::NFILE) if self.make_room() => {}
                // No descriptor left: the next tick tries again.
                Err(_) => {
                    self.listeners.iter().for_each(|it| _ = epoll::delete(&self.epoll, it));
                    self.is_resting = true;
                    return;
                }
            }
        }
    }

    fn welcome(&mut self, stream: TcpStream) {
        let is_full = self.connections.len() - self.free.len() >= self.connections_max;
        if is_full && !self.make_room() {
            return self.turn_away(&stream, None);
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.connections.push(None);
            self.connections.len() - 1
        });
        self.serial = (self.serial + 1) & 0x7fff_ffff;
        let token = u64::from(self.serial) << 32 | index as u64;
        let connection = Connection::new(Arc::new(stream), Arc::clone(&self.epoll), token);
        let flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
        match epoll::add(&self.epoll, &connection.stream, EventData::new_u64(token), flags) {
            Ok(()) => self.connections[index] = Some(connection),
            Err(_) => self.free.push(index),
        }
        self.note_crowding();
        // A request that has come with its connection is a worker's before the next one needs room.
        if is_full {
            self.turn(index);
        }
    }
}
