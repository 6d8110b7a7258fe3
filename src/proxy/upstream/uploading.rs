//! A body on its way from client to provider while the answer is on its way back: one worker has an eye
//! on both, so that neither waits for the other.
//!
//! Only the head is written beforehand; the body is sent by whoever waits for the answer.

use std::io::{self, Read};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::read_buffer::PIECE_BYTES_MAX;
use crate::proxy::chunk::{CHUNK_HEAD_BYTES, frame};
use crate::proxy::event_loop::upload::{Fault, Upload};

/// What the client sends; whoever answers it wants to know how far it has come.
pub(crate) type SharedUpload = Arc<Mutex<Upload>>;

pub(crate) fn locked(upload: &Mutex<Upload>) -> MutexGuard<'_, Upload> {
    upload.lock().unwrap_or_else(PoisonError::into_inner)
}

const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// What is left of a body that is read while it is sent.
pub(super) struct Uploading {
    upload: SharedUpload,
    client: Arc<TcpStream>,
    is_chunked: bool,
    piece: Vec<u8>,
}

impl Uploading {
    pub(super) fn new(upload: SharedUpload, is_chunked: bool) -> Uploading {
        let client = Arc::clone(locked(&upload).stream());
        Uploading { upload, client, is_chunked, piece: Vec::new() }
    }

    pub(super) fn client(&self) -> &Arc<TcpStream> {
        &self.client
    }

    /// Why the client's body could not be read to its end.
    pub(super) fn fault(&self) -> Option<Fault> {
        locked(&self.upload).fault()
    }

    /// The client has sent nothing for too long; the error that says so.
    pub(super) fn give_up(&mut self) -> io::Error {
        locked(&self.upload).give_up()
    }

    /// Takes what the client has sent.
    pub(super) fn receive(&self) -> io::Result<()> {
        locked(&self.upload).receive()
    }

    /// Whether there is more at hand.
    pub(super) fn is_ready(&self) -> bool {
        locked(&self.upload).has_bytes()
    }

    /// The next piece as it is sent, and whether it is the last; `None` if the client has to send first.
    pub(super) fn next(&mut self) -> io::Result<Option<(&[u8], bool)>> {
        let mut upload = locked(&self.upload);
        if !upload.is_ready()? {
            return Ok(None);
        }
        self.piece.resize(CHUNK_HEAD_BYTES + PIECE_BYTES_MAX + 2 + LAST_CHUNK.len(), 0);
        let count = upload.read(&mut self.piece[CHUNK_HEAD_BYTES..][..PIECE_BYTES_MAX])?;
        let is_last = upload.is_ready()? && !upload.has_bytes();
        if !self.is_chunked {
            return Ok(Some((&self.piece[CHUNK_HEAD_BYTES..][..count], is_last)));
        }
        let framed = if count == 0 { 0 } else { frame(&mut self.piece, count).len() };
        let last = if is_last { LAST_CHUNK } else { b"" };
        self.piece[framed..framed + last.len()].copy_from_slice(last);
        Ok(Some((&self.piece[..framed + last.len()], is_last)))
    }
}
