//! Requests as raw bytes, with what any proxy must make of them: a table, and the loop that sends it.
//!
//! The tests send it to tokenpak. `cargo run --example wire-cases PORT` sends it to whatever listens
//! there, so that other proxies can be measured by the same cases. Rules: RFC 9110 and 9112, and where
//! they leave a choice, the strict one.

// Shared by the tests and the program, neither of which uses all of it.
#![allow(dead_code)]

mod cases;

pub(crate) use cases::all;

use crate::sandbox::Client;

/// One connection: what is sent, and what comes back.
pub(crate) struct Case {
    pub(crate) group: &'static str,
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    /// The status of each answer; 100 is one.
    pub(crate) answers: Vec<u16>,
    pub(crate) end: End,
    /// The answers have no body: HEAD.
    pub(crate) bodiless: bool,
}

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum End {
    /// It serves another request.
    Open,
    Closed,
    /// Either.
    Any,
}

/// A request that is in order, whatever was before it.
const AFTER: &str =
    "GET /v1/files/after HTTP/1.1\r\nHost: localhost\r\nauthorization: Bearer sk-dummy\r\n\r\n";

impl Case {
    /// Sends the case and compares; what is wrong, if anything. Other proxies may refuse with
    /// another status of the same kind (`is_exact` false).
    pub(crate) fn run(&self, client: &mut Client, is_exact: bool) -> Result<(), String> {
        client.send(&self.bytes);
        for (n, want) in self.answers.iter().enumerate() {
            let head = client.try_head().ok_or(format!("closed instead of answer {n} ({want})"))?;
            let alike = head.status == *want || !is_exact && head.status / 200 == want / 200;
            if !alike {
                return Err(format!("answer {n} is {} instead of {want}", head.status));
            }
            if self.bodiless {
                client.skip_body();
            }
            if !client.body().1 {
                return Err(format!("answer {n} is cut short"));
            }
        }
        match self.end {
            End::Any => Ok(()),
            End::Closed if client.closed() => Ok(()),
            End::Closed => Err("one answer more, or the connection stays open".to_owned()),
            End::Open => {
                client.send(AFTER);
                match client.try_head().map(|head| head.status) {
                    Some(200) => Ok(()),
                    other => Err(format!("the next request got {other:?}")),
                }
            }
        }
    }
}
