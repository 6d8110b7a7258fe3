//! JSON as the providers define it: where a prompt's texts lie, and what an answer says was billed.

pub(crate) mod answer;
mod skim;
mod sse;
mod usage;

/// The wire formats that tokenpak understands. A request in any other shape is forwarded untouched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Anthropic Messages, `/messages`.
    Messages,
    /// OpenAI Chat Completions, `/chat/completions`.
    Chat,
    /// OpenAI Responses, `/responses`.
    Responses,
    /// Gemini `:generateContent` and `:streamGenerateContent`.
    Gemini,
}

impl Format {
    /// The name in the ledger's `api` column.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Format::Messages => "messages",
            Format::Chat => "chat",
            Format::Responses => "responses",
            Format::Gemini => "gemini",
        }
    }
}

/// What the provider says it billed, in tokens. `None` is "not said", never zero.
///
/// One normal form for all providers: `input` includes what was read from or written to the
/// prompt cache, and `output` includes reasoning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) input: Option<u64>,
    pub(crate) cache_read: Option<u64>,
    /// All cache writes, those kept for an hour included.
    pub(crate) cache_write: Option<u64>,
    pub(crate) cache_write_1h: Option<u64>,
    pub(crate) output: Option<u64>,
    pub(crate) reasoning: Option<u64>,
}
