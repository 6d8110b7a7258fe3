//! Why a request has no answer.

use crate::proxy::event_loop::upload::Fault;
use crate::proxy::request::Refusal;

/// Why there is no answer.
pub(crate) enum Failure {
    /// The target or a header is not what the upstream could be sent.
    Refused(&'static str),
    /// The client's body broke off or was malformed while it was passed on.
    Client(Refusal),
    /// The client left meanwhile.
    ClientGone,
    Unreachable(String),
    /// What came is not HTTP, or not as it has to be.
    BadAnswer(&'static str),
    TimedOut,
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Failure {
        match fault {
            Fault::Gone => Failure::ClientGone,
            Fault::Refused(refusal) => Failure::Client(refusal),
        }
    }
}
