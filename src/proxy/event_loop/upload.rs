//! A body on its way through: read from the client while it is sent upstream.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use super::client_connection::ClientConnection;
use super::memory::BodyBuffer;
use super::phase::Leftover;
use crate::proxy::deadlines::deadlines;
use crate::proxy::request::body::BodyReader;
use crate::proxy::request::{Head, Refusal};

const READ_BYTES: usize = 64 * 1024;

/// A body that was answered without being wanted, and is read all the same so that the connection
/// can serve another request.
pub(super) const SKIP_BYTES_MAX: u64 = 1024 * 1024;
/// What a client that `expects_continue` waits for.
pub(super) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

const LATE: Refusal = Refusal { status: 408, why: "the request's body did not come in time" };

/// A body on its way through: read from the client while it is sent upstream.
pub(crate) struct Upload {
    stream: Arc<TcpStream>,
    link: Arc<ClientConnection>,
    reader: BodyReader,
    received: Vec<u8>,
    /// Decoded, and not yet taken.
    ready: Vec<u8>,
    taken: usize,
    /// The share of the memory of what came before the worker read, until it is taken.
    share: Option<BodyBuffer>,
    /// The client waits for `100 Continue`.
    must_invite: bool,
    /// Why it could not be read to its end.
    fault: Option<Fault>,
}

/// Why a body could not be read to its end.
#[derive(Clone, Copy)]
pub(crate) enum Fault {
    /// The client left in the middle.
    Gone,
    Refused(Refusal),
}

impl Upload {
    pub(crate) fn new(
        stream: &Arc<TcpStream>,
        link: &Arc<ClientConnection>,
        head: &Head,
        buffered: Vec<u8>,
    ) -> Upload {
        Upload {
            stream: Arc::clone(stream),
            link: Arc::clone(link),
            reader: BodyReader::new(head.framing, u64::MAX),
            must_invite: head.expects_continue && buffered.is_empty(),
            received: buffered,
            ready: Vec::new(),
            taken: 0,
            share: None,
            fault: None,
        }
    }

    /// A body of which some has come: decoded in `body`, and not yet in `received`.
    pub(super) fn resume(
        (stream, link): (&Arc<TcpStream>, &Arc<ClientConnection>),
        reader: BodyReader,
        mut body: BodyBuffer,
        received: Vec<u8>,
    ) -> Upload {
        let mut ready = std::mem::take(&mut body.bytes);
        ready.shrink_to_fit();
        Upload {
            stream: Arc::clone(stream),
            link: Arc::clone(link),
            reader,
            must_invite: false,
            received,
            ready,
            taken: 0,
            share: Some(body),
            fault: None,
        }
    }

    /// Whether all of it has come, wanted or not, so that the connection can serve another request.
    pub(crate) fn has_come(&mut self) -> bool {
        while !self.reader.is_done() && !self.received.is_empty() && self.fault.is_none() {
            let _ = self.decode();
        }
        self.reader.is_done()
    }

    /// Why the request came to nothing, if that was its body's fault.
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.fault
    }

    pub(crate) fn stream(&self) -> &Arc<TcpStream> {
        &self.stream
    }

    /// Asks a client that waits for it to send, and says whether reading needs nothing that has not come.
    pub(crate) fn is_ready(&mut self) -> io::Result<bool> {
        self.invite()?;
        while self.taken == self.ready.len() && !self.reader.is_done() {
            if self.received.is_empty() {
                return Ok(false);
            }
            self.decode()?;
        }
        Ok(true)
    }

    /// Whether some of what has come was not read.
    pub(crate) fn has_bytes(&self) -> bool {
        self.taken < self.ready.len()
    }

    fn invite(&mut self) -> io::Result<()> {
        match std::mem::take(&mut self.must_invite) {
            true => (&*self.stream).write_all(CONTINUE),
            false => Ok(()),
        }
    }

    /// Nothing has come for too long; the error that says so.
    pub(crate) fn give_up(&mut self) -> io::Error {
        self.fault = Some(Fault::Refused(LATE));
        io::ErrorKind::TimedOut.into()
    }

    /// Waits for more.
    pub(crate) fn receive(&mut self) -> io::Result<()> {
        self.invite()?;
        self.link.wait(&self.stream, deadlines().upload)?;
        self.received.resize(READ_BYTES, 0);
        let count = (&*self.stream).read(&mut self.received);
        self.received.truncate(*count.as_ref().unwrap_or(&0));
        self.fault = match &count {
            Ok(count) if *count > 0 => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Some(Fault::Refused(LATE)),
            _ => Some(Fault::Gone),
        };
        Err(io::ErrorKind::InvalidData.into())
    }

    fn decode(&mut self) -> io::Result<()> {
        self.ready.clear();
        self.ready.shrink_to(READ_BYTES);
        self.share = None;
        self.taken = 0;
        let fed = self.reader.feed(&self.received, &mut self.ready).map_err(|refusal| {
            self.fault = Some(Fault::Refused(refusal));
            io::Error::new(io::ErrorKind::InvalidData, refusal.why)
        })?;
        if fed < self.received.len() {
            self.link.leave(Leftover::head(self.received[fed..].to_vec()));
        }
        self.received.clear();
        Ok(())
    }
}

impl Read for Upload {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.ready.len() {
            if self.reader.is_done() {
                return Ok(0);
            }
            while self.received.is_empty() {
                self.receive()?;
            }
            self.decode()?;
        }
        let count = out.len().min(self.ready.len() - self.taken);
        out[..count].copy_from_slice(&self.ready[self.taken..self.taken + count]);
        self.taken += count;
        Ok(count)
    }
}
