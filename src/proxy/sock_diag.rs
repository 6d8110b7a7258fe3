//! What the kernel knows of sockets on this machine: whose they are, and whether they are open.
//!
//! Asked by sock_diag(7), which finds one socket among any number at once. Where a kernel has no such
//! thing, its table in /proc says the same, and takes longer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, sockopt};
use rustix::process::geteuid;

/// Of linux/netlink.h, linux/sock_diag.h and linux/inet_diag.h.
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const IPPROTO_TCP: u8 = 6;
/// Header and inet_diag_req_v2.
const QUESTION_BYTES: usize = 16 + 56;
/// Where idiag_state, idiag_uid and idiag_inode lie behind the header.
const STATE_AT: usize = 16 + 1;
const UID_AT: usize = 16 + 4 + 48 + 4 * 3;
const INODE_AT: usize = UID_AT + 4;
const TCP_LISTEN: u8 = 10;

/// A connection to the kernel.
pub(crate) struct SockDiag {
    netlink: Option<OwnedFd>,
}

/// One TCP socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    is_listening: bool,
    pub(crate) uid: u32,
    /// 0: it belongs to no file any more.
    pub(crate) inode: u32,
}

impl SockDiag {
    pub(crate) fn new() -> SockDiag {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let opened = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            flags,
            Some(netlink::SOCK_DIAG),
        );
        SockDiag { netlink: opened.ok() }
    }

    /// The connected socket that has these ends; `None` if there is no such socket here.
    pub(crate) fn connected(&self, from: SocketAddr, to: SocketAddr) -> Option<Found> {
        self.find(from, to, false)
    }

    fn find(&self, from: SocketAddr, to: SocketAddr, is_listening: bool) -> Option<Found> {
        // An IPv4 connection may have been made through a socket of either family.
        let families = [AddressFamily::INET, AddressFamily::INET6];
        let found = families.into_iter().find_map(|family| self.ask(family, from, to));
        found.filter(|found| found.is_listening == is_listening)
    }

    fn ask(&self, family: AddressFamily, from: SocketAddr, to: SocketAddr) -> Option<Found> {
        let netlink = self.netlink.as_ref()?;
        let question = question(family, from, to)?;
        rustix::net::send(netlink, &question, SendFlags::empty()).ok()?;
        let mut answer = [0_u8; 512];
        let (_, count) =
            rustix::net::recv(netlink, answer.as_mut_slice(), RecvFlags::empty()).ok()?;
        let is_socket = answer[4..6] == SOCK_DIAG_BY_FAMILY.to_ne_bytes();
        let answer = answer[..count].get(..INODE_AT + 4).filter(|_| is_socket)?;
        let number = |at: usize| Some(u32::from_ne_bytes(answer[at..at + 4].try_into().ok()?));
        let is_listening = answer[STATE_AT] == TCP_LISTEN;
        Some(Found { is_listening, uid: number(UID_AT)?, inode: number(INODE_AT)? })
    }
}

/// The user who listens at this address; `None` if nobody here does, or it cannot be known.
pub(crate) fn listener(address: SocketAddr) -> Option<u32> {
    let any: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let found = SockDiag::new().find(address, SocketAddr::new(any, 0), true);
    found.map(|found| found.uid)
}

/// Whether the client at the other end is another user's. The superuser's is not; nor is one of
/// which this machine does not know whose it is, as in another network namespace (a container).
pub(crate) fn is_other_user(stream: &TcpStream) -> bool {
    let uid = match is_unix(stream) {
        true => sockopt::socket_peercred(stream).ok().map(|peer| peer.uid.as_raw()),
        false => client(stream).map(|client| match client.inode {
            // It was closed, and whose it was is not known any more: nobody reads an answer.
            0 => u32::MAX,
            _ => client.uid,
        }),
    };
    uid.is_some_and(is_another)
}

/// Whether this is a user whom we do not trust with a key.
pub(crate) fn is_another(uid: u32) -> bool {
    uid != 0 && uid != geteuid().as_raw()
}

/// Whether it is a socket in the file system.
pub(crate) fn is_unix(stream: &TcpStream) -> bool {
    sockopt::socket_domain(stream).is_ok_and(|family| family == AddressFamily::UNIX)
}

fn client(stream: &TcpStream) -> Option<Found> {
    let (from, to) = (stream.peer_addr().ok()?, stream.local_addr().ok()?);
    let kernel = SockDiag::new();
    match kernel.connected(from, to) {
        // That our own end is not known either shows that nothing is.
        None if kernel.connected(to, from).is_none() => table(from, to),
        found => found,
    }
}

/// The same from proc_net_tcp(5).
fn table(from: SocketAddr, to: SocketAddr) -> Option<Found> {
    let row = |path: &str, ends: String| -> Option<Found> {
        let text = std::fs::read_to_string(path).ok()?;
        let at = text.find(&ends)?;
        // State, queues, timer, retransmits, uid, timeout, inode.
        let mut words = text[at + ends.len()..].split(' ').filter(|word| !word.is_empty()).skip(4);
        let uid = words.next()?.parse().ok()?;
        Some(Found { is_listening: false, uid, inode: words.nth(1)?.parse().ok()? })
    };
    let ends = |is_v4: bool| Some(format!(" {} {} ", hex(from, is_v4)?, hex(to, is_v4)?));
    let v4 = || row("/proc/net/tcp", ends(true)?);
    v4().or_else(|| row("/proc/net/tcp6", ends(false)?))
}

/// An address as the table has it: words of the machine's order, and the port.
fn hex(address: SocketAddr, is_v4: bool) -> Option<String> {
    let family = if is_v4 { AddressFamily::INET } else { AddressFamily::INET6 };
    let place = place(family, address.ip())?;
    let words = place[..if is_v4 { 4 } else { 16 }].chunks_exact(4);
    let words = words
        .map(|word| format!("{:08X}", u32::from_ne_bytes([word[0], word[1], word[2], word[3]])));
    Some(format!("{}:{:04X}", words.collect::<String>(), address.port()))
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
    use std::net::TcpListener;

    #[test]
    fn kernel_and_its_table_agree_on_whose_a_socket_is() {
        let we = geteuid().as_raw();
        for (listen, connect) in
            [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "::1"), ("[::]:0", "127.0.0.1")]
        {
            let Ok(listener) = TcpListener::bind(listen) else { continue };
            let port = listener.local_addr().unwrap().port();
            let client = TcpStream::connect((connect, port)).unwrap();
            let (here, _) = listener.accept().unwrap();
            let (from, to) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
            let found = table(from, to);
            assert_eq!(found.map(|found| found.uid), Some(we), "{listen}");
            let kernel = SockDiag::new().connected(from, to);
            if kernel.is_none() {
                eprintln!("SKIPPED whose a socket is: this kernel has no sock_diag");
                return;
            }
            assert_eq!(kernel, found, "{listen}");
            assert!(!is_other_user(&here) && !is_unix(&here), "{listen}");
            assert_eq!(super::listener(to), Some(we), "{listen}");
            // A client is no listener, and a listener no client.
            assert_eq!(super::listener(from), None, "{listen}");
            assert_eq!(
                SockDiag::new()
                    .connected(SocketAddr::new(to.ip(), to.port()), SocketAddr::new(to.ip(), 1)),
                None
            );
            drop(listener);
            assert_eq!(super::listener(to), None, "{listen}");
        }
    }

    #[test]
    fn other_users_are_neither_we_nor_the_superuser() {
        let we = geteuid().as_raw();
        assert!(!is_another(we) && !is_another(0) && is_another(we + 1) && is_another(u32::MAX));
    }
}
