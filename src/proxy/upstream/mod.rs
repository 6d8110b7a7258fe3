//! The provider's side: the ways to it, and its answers as they come back.
//!
//! `forward` sends a request and waits for its answer. It gets the bytes of the head from `request_head`,
//! where ureq-proto writes them, and a connection from `connector`: an idle one from `pool`, or a new one,
//! made by `dial` (names, a `forward_proxy`) and `tls` (`roots`: whom we believe). A
//! `connection` moves bytes over its `socket` and keeps what has come in a `read_buffer`; bodies that
//! still come from the client are sent by `uploading`. `body` reads answers with `reply` and `unframe`,
//! which are pure.

mod body;
mod certificate;
mod connection;
mod connector;
mod dial;
mod error;
pub(super) mod failure;
pub(super) mod fetch;
pub(super) mod forward;
mod forward_proxy;
mod hop_by_hop;
mod place;
mod pool;
pub(super) mod probe;
mod read_buffer;
pub(super) mod refused;
mod reply;
pub(super) mod request_head;
mod roots;
mod socket;
mod tls;
mod unacknowledged;
mod unframe;
pub(super) mod uploading;

use body::{Reader, ReceiveError};
pub(super) use body::{Reply, Source, finish_sending, is_late};
use forward_proxy::{ForwardProxy, forward_proxy};
pub(super) use hop_by_hop::{Named, is_hop_by_hop, is_ours};
use pool::ConnectionPool;
pub(super) use read_buffer::{PIECE_BYTES_MAX, first_piece, next_piece};
pub(super) use reply::{Framing, ReplyHead};
use roots::load as load_roots;
use tls::Settings as Tls;
