//! A body on its way from client to provider, with an eye on both: a provider that answers early
//! is heard even while the client is silent.

use std::io::{self, Read};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::transport::attempt;
use crate::proxy::deadlines::deadlines;
use crate::proxy::front::client::Upload;

/// What ureq reads a streamed body from.
pub(crate) struct Uploading<'a>(pub(crate) &'a mut Upload);

impl Uploading<'_> {
    /// Waits until the client has sent something, or the provider has answered.
    /// False: neither has, for too long.
    fn wait(&self) -> bool {
        let provider = attempt(|attempt| {
            // Encrypted bytes may be a session ticket rather than an answer.
            attempt.socket.clone().filter(|_| !attempt.is_tls)
        });
        let (Some(provider), false) = (provider, self.0.is_ready()) else {
            return true;
        };
        let mut fds =
            [PollFd::new(self.0.stream(), PollFlags::IN), PollFd::new(&provider, PollFlags::IN)];
        let limit = deadlines().upload;
        let limit =
            Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: i64::from(limit.subsec_nanos()) };
        let ready = poll(&mut fds, Some(&limit));
        if !fds[1].revents().is_empty() {
            attempt(|attempt| attempt.is_refused = true);
        }
        ready != Ok(0)
    }
}

impl Read for Uploading<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if !self.wait() {
            return Err(self.0.give_up());
        }
        if attempt(|attempt| attempt.is_refused) {
            // ureq ends the request, and the answer is read.
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.0.read(out)
    }
}
