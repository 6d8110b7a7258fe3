//! The hand on a request's upstream socket: who waits for the answer sits in a read, and another thread
//! has to end it.

use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What a request is called that ended with the proxy.
pub(super) const SHUTDOWN: &str = "shutdown";

/// Lets the event loop end an upstream request whose client has left, or which the proxy does not
/// wait for any more: within milliseconds, or tokens that nobody reads are paid for.
#[derive(Default)]
pub(crate) struct Watch {
    is_gone: AtomicBool,
    is_cut: AtomicBool,
    socket: Mutex<Option<Arc<TcpStream>>>,
}

impl Watch {
    /// The client has left: shuts the upstream socket, now or as soon as there is one.
    pub(crate) fn leave(&self) {
        self.is_gone.store(true, Ordering::SeqCst);
        self.shut();
    }

    /// The proxy ends: the same, and the record says so.
    pub(crate) fn cut(&self) {
        if !self.is_gone() {
            self.is_cut.store(true, Ordering::SeqCst);
            self.leave();
        }
    }

    /// What the record calls the end, if it was this one.
    pub(crate) fn reason(&self) -> &'static str {
        if self.is_cut.load(Ordering::SeqCst) { SHUTDOWN } else { "client_gone" }
    }

    fn shut(&self) {
        if let Some(socket) = &*self.socket.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::SeqCst)
    }

    /// The exchange is over; its socket may serve others.
    pub(crate) fn release(&self) {
        *self.socket.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(crate) fn hold(&self, socket: &Arc<TcpStream>) {
        *self.socket.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(socket));
        if self.is_gone() {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}
