//! How much of what was sent the other side has not acknowledged: the program's one question to the
//! kernel that has no safe wrapper.
//!
//! Whether a request may be sent again hangs on it. Socket diagnosis (sock_diag(7)) knows it as well, but not
//! of a socket that was reset, which is when it is wanted; no crate that is in use here offers `TCP_INFO`.

#![allow(unsafe_code)]

use std::ffi::c_int;
use std::net::TcpStream;

use rustix::ioctl::{Getter, Opcode, ioctl};

/// `SIOCOUTQ` of tcp(7), which has the number of the terminals' `TIOCOUTQ` on every machine.
const UNACKNOWLEDGED: Opcode = libc::TIOCOUTQ as Opcode;

/// Bytes; `None` if the kernel does not say. It still knows when the connection has been reset.
pub(super) fn unacknowledged(socket: &TcpStream) -> Option<u64> {
    // SAFETY: of a TCP socket, which the type says it is, this reads one int and changes nothing.
    let bytes = unsafe { ioctl(socket, Getter::<UNACKNOWLEDGED, c_int>::new()) };
    u64::try_from(bytes.ok()?).ok()
}
