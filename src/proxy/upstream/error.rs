//! What can go wrong on the way to a provider and back.

use std::io;

use super::certificate;

/// Why a request could not be sent, or why nothing more of its answer comes.
#[derive(Debug)]
pub(crate) enum TransportError {
    HostNotFound,
    ConnectTimeout,
    ReadTimeout,
    /// A proxy on the way does not let us through: its status, or what else is wrong with it.
    TunnelRefused(String),
    /// It cannot be sent as it is.
    Unsendable,
    Io(io::Error),
}

impl TransportError {
    /// In words that hold no path, key or name from a certificate.
    pub(super) fn words(&self) -> String {
        let text = match self {
            TransportError::ConnectTimeout | TransportError::ReadTimeout => "connection timed out",
            TransportError::HostNotFound => "the name is not known",
            TransportError::Io(error) => match error
                .get_ref()
                .and_then(|inner| inner.downcast_ref())
            {
                Some(rustls::Error::InvalidCertificate(error)) => {
                    return format!("its certificate {}; see tls.roots", certificate::words(error));
                }
                Some(rustls::Error::InvalidMessage(_)) => "it does not speak TLS",
                Some(rustls::Error::AlertReceived(_)) => "it refuses our TLS",
                Some(_) => "TLS failed",
                None if error.kind() == io::ErrorKind::UnexpectedEof => "the connection was closed",
                // Words of ours.
                None if error.kind() == io::ErrorKind::Other => return error.to_string(),
                None => return crate::error::reason(error),
            },
            TransportError::TunnelRefused(_) | TransportError::Unsendable => {
                "the request could not be sent"
            }
        };
        text.to_owned()
    }

    /// For those who only read.
    pub(super) fn into_io(self) -> io::Error {
        match self {
            TransportError::Io(error) => error,
            other => io::Error::other(other.words()),
        }
    }

    /// Whether a connection was ended by the other side.
    pub(super) fn has_died(&self) -> bool {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        matches!(
            self.kind(),
            Some(ConnectionReset | ConnectionAborted | BrokenPipe | UnexpectedEof)
        )
    }

    /// Whether the kernel has given a path up on which nothing comes back.
    pub(super) fn has_vanished(&self) -> bool {
        self.kind().is_some_and(is_vanished)
    }

    fn kind(&self) -> Option<io::ErrorKind> {
        match self {
            TransportError::Io(error) => Some(error.kind()),
            _ => None,
        }
    }
}

/// The kernel's words for a path on which nothing comes back; the latter two if a router has said so.
pub(super) fn is_vanished(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{HostUnreachable, NetworkUnreachable, TimedOut};
    matches!(kind, TimedOut | HostUnreachable | NetworkUnreachable)
}

impl From<io::Error> for TransportError {
    fn from(error: io::Error) -> TransportError {
        TransportError::Io(error)
    }
}
