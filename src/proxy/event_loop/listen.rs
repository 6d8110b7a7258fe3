//! The sockets that clients come to: those that the settings name, or in their place those that
//! systemd opened and holds while the proxy restarts (sd_listen_fds(3)).
//!
//! From here on a socket in the file system is treated like one of TCP: what the proxy does with a
//! connection is the same for both.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

use crate::config::Config;
use crate::error::Error;
use crate::proxy::WRITE_WAITS_MAX;
use crate::proxy::deadlines::deadlines;

/// Connections that may wait for `accept`; bursts of clients are larger than std's 128.
const BACKLOG: i32 = 4096;
/// Of sd_listen_fds(3): where the descriptors begin.
const FIRST_HANDED: i32 = 3;

/// Open for clients.
pub(crate) struct Listeners {
    pub(in crate::proxy) sockets: Vec<TcpListener>,
    /// Of the first of TCP; there is always one.
    pub(crate) address: SocketAddr,
    /// Another address than the settings say, which other machines reach.
    pub(crate) open_to: Option<IpAddr>,
    /// Keeps the file of `proxy.socket`.
    pub(crate) file: Option<SocketFile>,
}

/// Opens the listening sockets. `handed`: how many descriptors systemd gave to this process; those
/// of TCP take the place of `proxy.bind` and `proxy.port`, others that of `proxy.socket`.
pub(crate) fn listen(config: &Config, handed: usize) -> Result<Listeners, Error> {
    let (mut sockets, files) = take(handed)?;
    if sockets.is_empty() {
        sockets = listen_tcp(config)?;
    }
    let addresses: Vec<SocketAddr> =
        sockets.iter().filter_map(|socket| socket.local_addr().ok()).collect();
    let address =
        *addresses.first().ok_or_else(|| fault("socket", ErrorKind::NotConnected.into()))?;
    let is_open = |ip: &IpAddr| !ip.to_canonical().is_loopback();
    let open_to = addresses.iter().map(SocketAddr::ip).find(is_open);
    let mut file = None;
    if let Some(path) = config.socket.as_deref().filter(|_| files.is_empty()) {
        let (socket, made) =
            listen_file(path).map_err(|error| fault(&path.display().to_string(), error))?;
        sockets.push(socket);
        file = Some(made);
    }
    sockets.extend(files);
    Ok(Listeners { sockets, address, open_to, file })
}

/// For `localhost` also ::1 where the machine has it.
fn listen_tcp(config: &Config) -> Result<Vec<TcpListener>, Error> {
    let first = match config.bind.parse::<IpAddr>() {
        Ok(address) => return Ok(vec![bind(SocketAddr::new(address, config.port))?]),
        Err(_) => bind(SocketAddr::from((Ipv4Addr::LOCALHOST, config.port)))?,
    };
    let port =
        first.local_addr().map_err(|error| Error::system("the listening socket", error))?.port();
    let mut listeners = vec![first];
    match bind(SocketAddr::from((Ipv6Addr::LOCALHOST, port))) {
        Ok(second) => listeners.push(second),
        // Taken by somebody else is an error only if clients could mistake them for us.
        Err(error) if config.port != 0 && error.address_in_use().is_some() => return Err(error),
        Err(_) => {}
    }
    Ok(listeners)
}

fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    let open = || {
        let listener = TcpListener::bind(address)?;
        prepare(&listener)?;
        // Accepted sockets inherit it; without, answers of a few kilobytes wait 40 ms.
        sockopt::set_tcp_nodelay(&listener, true)?;
        Ok(listener)
    };
    open().map_err(|error| Error::listen(address, error))
}

fn prepare(listener: &TcpListener) -> io::Result<()> {
    // A second listen(2) only raises the backlog.
    rustix::net::listen(listener, BACKLOG)?;
    // Accepted sockets inherit it.
    let wait = deadlines().write / WRITE_WAITS_MAX;
    sockopt::set_socket_timeout(listener, sockopt::Timeout::Send, Some(wait))?;
    listener.set_nonblocking(true)
}

/// What systemd handed over, those of TCP first. The descriptors themselves stay open beside ours,
/// as they do in systemd, and no program is started that could inherit them.
fn take(handed: usize) -> Result<(Vec<TcpListener>, Vec<TcpListener>), Error> {
    let (mut tcp, mut files) = (Vec::new(), Vec::new());
    for fd in (FIRST_HANDED..).take(handed) {
        let taken =
            take_one(fd).map_err(|error| fault(&format!("LISTEN_FDS: descriptor {fd}"), error))?;
        let (listener, is_tcp) = taken;
        if is_tcp { tcp.push(listener) } else { files.push(listener) }
    }
    Ok((tcp, files))
}

/// A descriptor of this process by its number, and whether it is of TCP. The kernel copies it as it
/// would another process's, which needs no belief in the number.
fn take_one(fd: i32) -> io::Result<(TcpListener, bool)> {
    let this = pidfd_open(getpid(), PidfdFlags::empty())?;
    let socket = pidfd_getfd(&this, fd, PidfdGetfdFlags::empty())?;
    let family = sockopt::socket_domain(&socket)?;
    let is_tcp = family == AddressFamily::INET || family == AddressFamily::INET6;
    let is_stream = sockopt::socket_type(&socket)? == SocketType::STREAM;
    if !is_stream
        || !sockopt::socket_acceptconn(&socket)?
        || !(is_tcp || family == AddressFamily::UNIX)
    {
        return Err(io::Error::new(ErrorKind::InvalidInput, "not a listening stream socket"));
    }
    let listener = TcpListener::from(socket);
    prepare(&listener)?;
    if is_tcp {
        sockopt::set_tcp_nodelay(&listener, true)?;
    }
    Ok((listener, is_tcp))
}

/// The socket that we made in the file system.
pub(crate) struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl SocketFile {
    /// Takes it away at an orderly end, unless the name is another's by now.
    pub(crate) fn release(&self) {
        if identity(&self.path).is_ok_and(|now| now == self.identity) {
            // If it stays, nobody listens there, and the next proxy replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Listens at a path. A socket that nobody listens at is left over, and is replaced.
fn listen_file(path: &Path) -> io::Result<(TcpListener, SocketFile)> {
    let in_use = || io::Error::from(ErrorKind::AddrInUse);
    // Two that start at once must not both find it left over.
    let directory = File::open(path.parent().unwrap_or(Path::new("/")))?;
    directory.try_lock().map_err(|_| in_use())?;
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::new(ErrorKind::AlreadyExists, "it is there, and is no socket"));
        }
        Ok(_) => match UnixStream::connect(path) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path)?,
            Err(error) => return Err(error),
            Ok(_) => return Err(in_use()),
        },
    }
    let flags = SocketFlags::CLOEXEC;
    let socket: OwnedFd =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    // Before anybody can connect.
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    let listener = TcpListener::from(socket);
    prepare(&listener)?;
    Ok((listener, SocketFile { path: path.to_owned(), identity: identity(path)? }))
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

fn fault(place: &str, error: io::Error) -> Error {
    Error::listen_at(place, error)
}
