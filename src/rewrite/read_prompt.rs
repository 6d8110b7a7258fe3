//! A body that was read as a prompt: once, for all that is asked of it.

use super::{Plan, Rewritten, Scope, Skip, chat_overhead, read, walk};
use crate::compress::{self, Mode};
use crate::tokens::Counter;
use crate::wire::Format;
use crate::wire::prompt::{Prompt, Role};

pub(crate) struct ReadPrompt<'b> {
    format: Format,
    body: &'b str,
    prompt: Prompt,
}

impl<'b> ReadPrompt<'b> {
    /// `None`: it is not understood.
    pub(crate) fn read(format: Format, body: &'b [u8]) -> Option<ReadPrompt<'b>> {
        let (body, prompt) = read(format, body)?;
        Some(ReadPrompt { format, body, prompt })
    }

    pub(crate) fn is_stream(&self) -> bool {
        self.prompt.stream
    }

    /// See `Prompt::options_at`; `sent` is the length of what the body has become.
    pub(crate) fn options_at(&self, sent: usize) -> Option<usize> {
        self.prompt.options_at(self.body.len(), sent)
    }

    /// Whether it goes out as it came whatever its counts are, so that they can be made later.
    pub(crate) fn stays(&self, plan: &Plan) -> bool {
        plan.mode == Mode::Off || plan.reach.began.is_none() && self.is_below(plan)
    }

    /// What `rewrite` would make of one that stays, `texts` apart. No pass has to run for that, and no
    /// memo is asked.
    pub(crate) fn count(&self, counter: &mut Counter, plan: &Plan) -> Rewritten {
        let off = Plan { mode: Mode::Off, ..*plan };
        let rewritten = walk(counter, (&off, self.format), self.body, &self.prompt, None);
        let is_off = plan.mode == Mode::Off;
        Rewritten { skip: Some(if is_off { Skip::Off } else { Skip::BelowThreshold }), ..rewritten }
    }

    /// Makes it smaller if the plan wants that and it pays.
    pub(crate) fn rewrite(&self, scope: Scope, counter: &mut Counter, plan: &Plan) -> Rewritten {
        walk(counter, (plan, self.format), self.body, &self.prompt, Some(scope))
    }

    /// Whether it stays below the threshold even if every byte is a token, and nothing in it could be
    /// taken for words of ours.
    fn is_below(&self, plan: &Plan) -> bool {
        let ReadPrompt { body, prompt, .. } = self;
        if body.len() as u64 > plan.threshold {
            return false;
        }
        let chat_overhead = chat_overhead(self.format, &prompt.model);
        let is_call = |role: Role| matches!(role, Role::Input { .. });
        let calls = prompt.parts.iter().filter(|part| is_call(part.role)).count();
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
}
