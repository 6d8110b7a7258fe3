//! The provider's side: the ways to it, and its answers as they come back.
//!
//! `connect` finds a connection, ureq sends on it (`forward`), `body` reads what comes; `reply` and
//! `unframe` are pure.

mod body;
mod connect;
mod dial;
mod environment;
pub(super) mod fetch;
pub(super) mod forward;
pub(super) mod probe;
mod read_buffer;
mod reason;
pub(super) mod refused;
mod reply;
mod roots;
mod tls;
pub(super) mod transport;
mod unacknowledged;
mod unframe;
pub(super) mod uploading;

pub(super) use body::{Reader, ReceiveError, Reply, Source, Unfinished, finish_sending, is_late};
pub(super) use connect::{Connection, Connector, Pool, Unresolved};
pub(super) use environment::{ForwardProxy, forward_proxy};
pub(super) use read_buffer::{PIECE_BYTES_MAX, first_piece, next_piece};
use reason::words;
pub(super) use reply::{Framing, ReplyHead};
pub(super) use roots::load as load_roots;
pub(super) use tls::Settings as Tls;
