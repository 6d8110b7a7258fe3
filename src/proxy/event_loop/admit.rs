//! Who answers a request, decided by its head: we ourselves, a worker at once, or a worker after
//! the body.

use super::client::ReadyRequest;
use super::connection::Connection;
use super::local::{self, ErrorContext};
use crate::proxy::Context;
use crate::proxy::local::guard;
use crate::proxy::request::body::TOO_LARGE;
use crate::proxy::request::{Framing, Head};
use crate::proxy::setup::Setup;
use crate::wire::Format;

/// Outside the wire formats, bodies over this are passed on while they come, and those below it only if
/// they do not come at once: what is there as a whole can be sent on a connection that may be stale.
const WHOLE_BODY_BYTES_MAX: u64 = 1024 * 1024;

/// Answers a head, begins its body, or makes a request of it whose body is read by the worker.
pub(super) fn admit(
    context: &Context,
    setup: &Setup,
    connection: &mut Connection,
    mut head: Box<Head>,
) -> Option<Box<ReadyRequest>> {
    let config = &setup.config;
    let is_other_user = || connection.link.is_other_user(&connection.stream);
    match guard::admit(context, config, (&connection.stream, &is_other_user), &mut head) {
        Ok(None) => {}
        Ok(Some(answer)) => {
            connection.answer(&head, &answer);
            return None;
        }
        Err(refusal) => {
            let answer = local::refusal(&ErrorContext::of(&head), refusal, &context.ids.next());
            connection.answer(&head, &answer);
            return None;
        }
    }
    let memory = &context.memory;
    let max = (config.max_body_mb as u64 * 1024 * 1024).min(memory.body_max() as u64);
    let is_prompt = head.method() == "POST" && Format::of_path(head.target()).is_some();
    match head.framing {
        Framing::Length(length) if is_prompt && length > max => {
            let asked_by = ErrorContext::of(&head);
            let answer = local::refusal(&asked_by, TOO_LARGE, &context.ids.next());
            connection.last_answer(&answer, &asked_by);
            None
        }
        Framing::Length(length) if is_prompt || length <= WHOLE_BODY_BYTES_MAX.min(max) => {
            connection.begin_body(head, (max, !is_prompt), memory);
            None
        }
        Framing::Chunked if is_prompt => {
            connection.begin_body(head, (max, false), memory);
            None
        }
        _ => Some(Box::new(connection.upload(head))),
    }
}
