//! Bodies of which nothing will be changed, as is known before anything is counted.

use super::{Plan, Rewritten, Skip, chat_overhead, read, walk};
use crate::compress::{self, Mode};
use crate::tokens::Counter;
use crate::wire::Format;
use crate::wire::prompt::{Prompt, Role};

/// A body that goes out as it came whatever its counts are, so that they can be made later.
pub(crate) struct Untouched<'b> {
    body: &'b str,
    prompt: Prompt,
}

impl<'b> Untouched<'b> {
    /// `None`: it is not understood, or only counting will tell.
    pub(crate) fn read(plan: &Plan, format: Format, body: &'b [u8]) -> Option<Untouched<'b>> {
        let is_off = plan.mode == Mode::Off;
        if !is_off && (body.len() as u64 > plan.threshold || plan.reach.began.is_some()) {
            return None;
        }
        let (body, prompt) = read(format, body)?;
        let is_sure = is_off || is_below(plan, format, body, &prompt);
        is_sure.then_some(Untouched { body, prompt })
    }

    pub(crate) fn is_stream(&self) -> bool {
        self.prompt.stream
    }

    /// What `rewrite` would have made of it, `texts` apart. No pass has to run for that, and no memo is asked.
    pub(crate) fn count(&self, counter: &mut Counter, plan: &Plan, format: Format) -> Rewritten {
        let off = Plan { mode: Mode::Off, ..*plan };
        let rewritten = walk(counter, (&off, format), self.body, &self.prompt, None);
        let is_off = plan.mode == Mode::Off;
        Rewritten { skip: Some(if is_off { Skip::Off } else { Skip::BelowThreshold }), ..rewritten }
    }
}

/// Whether a prompt stays below the threshold even if every byte is a token, and nothing in it could
/// be taken for words of ours.
fn is_below(plan: &Plan, format: Format, body: &str, prompt: &Prompt) -> bool {
    let chat_overhead = chat_overhead(format, &prompt.model);
    let calls = prompt.parts.iter().filter(|part| matches!(part.role, Role::Input { .. })).count();
    let has_picture = prompt.parts.iter().any(|part| part.role == Role::Image);
    let frames = chat_overhead.fixed
        + chat_overhead.tools
        + chat_overhead.message * prompt.messages
        + chat_overhead.call * calls as u64;
    // Spelled plainly, or hidden behind an escape.
    let has = |word: &str| memchr::memmem::find(body.as_bytes(), word.as_bytes()).is_some();
    !has_picture
        && body.len() as u64 + frames <= plan.threshold
        && !has(compress::MARKER_START)
        && !has("\\u")
}
