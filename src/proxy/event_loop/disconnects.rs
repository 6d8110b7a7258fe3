//! Has a client that ended its side of the connection left, or does it still wait for its answer?
//!
//! A FIN says only that nothing more will be sent: `close` and `shutdown` look the same from here,
//! and a provider must neither be paid for an answer that nobody reads nor cut off under a client
//! that reads on. For a client on this machine the kernel knows: a socket that was closed belongs to
//! no file any more, so its inode is 0 (sock_diag(7)). A client elsewhere is taken to have left, as
//! nginx does.

use std::net::TcpStream;

use crate::proxy::sock_diag::{self, SockDiag};

/// Asks the kernel about clients' sockets.
pub(crate) struct DisconnectDetector {
    kernel: SockDiag,
}

impl DisconnectDetector {
    pub(crate) fn new() -> DisconnectDetector {
        DisconnectDetector { kernel: SockDiag::new() }
    }

    /// Whether the client behind `stream`, which has ended its side, is gone.
    pub(crate) fn has_left(&self, stream: &TcpStream) -> bool {
        if sock_diag::is_unix(stream) {
            // Of these the end is told apart: whoever closes hangs up as well.
            return false;
        }
        let (Ok(client), Ok(here)) = (stream.peer_addr(), stream.local_addr()) else { return true };
        self.kernel.connected(client, here).is_none_or(|found| found.inode == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Shutdown, TcpListener};

    #[test]
    fn half_closed_clients_are_told_from_those_that_left() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (here, _) = listener.accept().unwrap();
            let disconnects = DisconnectDetector::new();
            let (from, to) = (here.peer_addr().unwrap(), here.local_addr().unwrap());
            if disconnects.kernel.connected(from, to).is_none() && address.starts_with('1') {
                eprintln!("SKIPPED half-closed clients: this kernel has no sock_diag");
                return;
            }
            assert!(!disconnects.has_left(&here), "{address}: connected");
            client.shutdown(Shutdown::Write).unwrap();
            assert!(!disconnects.has_left(&here), "{address}: half closed");
            drop(client);
            assert!(disconnects.has_left(&here), "{address}: closed");
        }
    }
}
