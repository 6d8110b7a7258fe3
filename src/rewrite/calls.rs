//! Which results are files that their calls read. A call is looked at once, however many results it has.

use std::borrow::Cow;

use crate::compress::{self, Call, Leading};
use crate::json::{self, Span};
use crate::wire::prompt::{Prompt, Role, ToolResult};

pub(super) struct Calls<'b> {
    body: &'b str,
    prompt: &'b Prompt,
    /// As far as it is known, by the index of the call.
    known: Vec<Known>,
}

#[derive(Clone, Copy, Default)]
struct Known {
    reads_file: Option<bool>,
    leading: Option<Leading>,
    language: Option<Option<&'static str>>,
}

impl<'b> Calls<'b> {
    pub(super) fn new(body: &'b str, prompt: &'b Prompt) -> Calls<'b> {
        Calls { body, prompt, known: vec![Known::default(); prompt.calls.len()] }
    }

    /// Whether a text is, or may be, a file that was read; and its language, if that is known.
    pub(super) fn file_read(&mut self, role: Role, text: &str) -> (bool, Option<&'static str>) {
        let Role::Result(result) = role else { return (false, None) };
        let Some(call) = result.call else { return (true, None) };
        let mut known = self.known[call];
        let is_read = *known
            .reads_file
            .get_or_insert_with(|| compress::reads_file(&call_of(self.body, self.prompt, call)))
            || compress::is_numbered(text);
        let language = || {
            let path = compress::path_read(&call_of(self.body, self.prompt, call));
            path.as_deref().and_then(compress::language)
        };
        let language = is_read.then(|| *known.language.get_or_insert_with(language)).flatten();
        self.known[call] = known;
        (is_read, language)
    }

    /// What integers at the starts of a text's lines are.
    pub(super) fn leading(&mut self, role: Role) -> Leading {
        let Role::Result(ToolResult { call: Some(call), .. }) = role else { return Leading::Data };
        let of_call = || Leading::of(Some(&call_of(self.body, self.prompt, call)));
        *self.known[call].leading.get_or_insert_with(of_call)
    }
}

/// A call as its tool sees it.
pub(super) fn call_of<'b>(body: &'b str, prompt: &Prompt, call: usize) -> Call<'b> {
    let call = &prompt.calls[call];
    let content = |span: &Span| match &body[span.clone()] {
        raw if raw.starts_with('"') => json::decode(raw).unwrap_or_default(),
        raw => Cow::Borrowed(raw),
    };
    Call { name: content(&call.name), input: content(&call.input) }
}
