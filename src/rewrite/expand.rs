//! The way back for a whole body, within a limit.

use std::rc::Rc;

use super::calls::Calls;
use super::{place, read, splice, visible};
use crate::compress::{Expander, TooLong};
use crate::wire::Format;
use crate::wire::prompt::{Part, Role};

/// Why a body cannot be expanded.
#[derive(Debug)]
pub(crate) enum Unexpanded {
    /// It is not understood.
    Unreadable,
    /// Its texts stand for more than was asked for.
    TooLong,
}

/// The body with every marker replaced by what it stands for, as long as that is no more than so many bytes.
pub(crate) fn expand(format: Format, body: &[u8], bytes_max: usize) -> Result<Vec<u8>, Unexpanded> {
    let (body, prompt) = read(format, body).ok_or(Unexpanded::Unreadable)?;
    let mut expander = Expander::new(bytes_max);
    let (mut edits, mut calls) = (Vec::new(), Calls::new(body, &prompt));
    for part in &prompt.parts {
        if part.role == Role::Reset {
            expander.reset();
        }
        let Some(text) = part.text(body) else { continue };
        let Some(place) = place(part.role) else {
            visible(part.role, text, |text, source| expander.visible(text, source));
            continue;
        };
        let leading = calls.leading(part.role);
        let expanded =
            expander.text(text, place, leading).map_err(|TooLong| Unexpanded::TooLong)?;
        if let Some(expanded) = expanded {
            edits.push((part, Rc::new(expanded)));
        }
    }
    // The body's order is not the prefix order.
    edits.sort_by_key(|(part, _): &(&Part, Rc<String>)| part.span.start);
    Ok(splice(body, edits.into_iter()))
}
