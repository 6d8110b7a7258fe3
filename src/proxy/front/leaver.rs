//! Has a client that ended its side of the connection left, or does it still wait for its answer?
//!
//! A FIN says only that nothing more will be sent: `close` and `shutdown` look the same from here,
//! and a provider must neither be paid for an answer that nobody reads nor cut off under a client
//! that reads on. For a client on this machine the kernel knows: a socket that was closed belongs to
//! no file any more, so its inode is 0 (sock_diag(7)). A client elsewhere is taken to have left, as
//! nginx does.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};

/// Of linux/netlink.h, linux/sock_diag.h and linux/inet_diag.h.
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const IPPROTO_TCP: u8 = 6;
/// Header and inet_diag_req_v2.
const QUESTION_BYTES: usize = 16 + 56;
/// Where idiag_inode lies behind the header, the fixed part and the five counters before it.
const INODE_AT: usize = 16 + 4 + 48 + 4 * 4;

/// Asks the kernel about clients' sockets.
pub(crate) struct Leavers {
    netlink: Option<OwnedFd>,
}

impl Leavers {
    pub(crate) fn new() -> Leavers {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let opened = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            flags,
            Some(netlink::SOCK_DIAG),
        );
        Leavers { netlink: opened.ok() }
    }

    /// Whether the client behind `stream`, which has ended its side, is gone.
    pub(crate) fn has_left(&self, stream: &TcpStream) -> bool {
        let (Ok(client), Ok(here)) = (stream.peer_addr(), stream.local_addr()) else { return true };
        // A client may have made an IPv4 connection through a socket of either family.
        let families = [AddressFamily::INET, AddressFamily::INET6];
        !families.into_iter().any(|family| self.inode(family, client, here).is_some_and(|n| n != 0))
    }

    /// The inode of the socket that has these ends; `None` if there is no such socket.
    fn inode(&self, family: AddressFamily, from: SocketAddr, to: SocketAddr) -> Option<u32> {
        let netlink = self.netlink.as_ref()?;
        let question = question(family, from, to)?;
        rustix::net::send(netlink, &question, SendFlags::empty()).ok()?;
        let mut answer = [0_u8; 512];
        let (_, count) =
            rustix::net::recv(netlink, answer.as_mut_slice(), RecvFlags::empty()).ok()?;
        let is_socket = answer[4..6] == SOCK_DIAG_BY_FAMILY.to_ne_bytes();
        let inode = answer[..count].get(INODE_AT..INODE_AT + 4).filter(|_| is_socket)?;
        Some(u32::from_ne_bytes(inode.try_into().ok()?))
    }
}

fn question(family: AddressFamily, from: SocketAddr, to: SocketAddr) -> Option<Vec<u8>> {
    let [source, target] = [place(family, from.ip())?, place(family, to.ip())?];
    let mut out = Vec::with_capacity(QUESTION_BYTES);
    out.extend_from_slice(&(QUESTION_BYTES as u32).to_ne_bytes());
    out.extend_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    out.extend_from_slice(&NLM_F_REQUEST.to_ne_bytes());
    out.extend_from_slice(&[0; 8]);
    // Every state, no extras.
    out.extend_from_slice(&[family.as_raw() as u8, IPPROTO_TCP, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    out.extend_from_slice(&from.port().to_be_bytes());
    out.extend_from_slice(&to.port().to_be_bytes());
    out.extend_from_slice(&source);
    out.extend_from_slice(&target);
    // Any interface, any cookie.
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&[0xff; 8]);
    Some(out)
}

/// An address as sockets of this family name it.
fn place(family: AddressFamily, address: IpAddr) -> Option<[u8; 16]> {
    match (address, family == AddressFamily::INET) {
        (IpAddr::V4(address), true) => {
            let mut place = [0; 16];
            place[..4].copy_from_slice(&address.octets());
            Some(place)
        }
        (IpAddr::V4(address), false) => Some(address.to_ipv6_mapped().octets()),
        (IpAddr::V6(address), false) => Some(address.octets()),
        (IpAddr::V6(_), true) => None,
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
            let leavers = Leavers::new();
            if leavers
                .inode(AddressFamily::INET, here.peer_addr().unwrap(), here.local_addr().unwrap())
                .is_none()
                && address.starts_with('1')
            {
                eprintln!("SKIPPED half-closed clients: this kernel has no sock_diag");
                return;
            }
            assert!(!leavers.has_left(&here), "{address}: connected");
            client.shutdown(Shutdown::Write).unwrap();
            assert!(!leavers.has_left(&here), "{address}: half closed");
            drop(client);
            assert!(leavers.has_left(&here), "{address}: closed");
        }
    }
}
