//! JSON as the providers define it: where a prompt's texts lie, and what an answer says was billed.

pub(crate) mod answer;
pub(crate) mod ask_usage;
pub(crate) mod event_template;
pub(crate) mod framing;
mod json_scanner;
pub(crate) mod prompt;
pub(crate) mod text_only;
mod tier;
mod usage;

use memchr::memmem;
use serde::{Deserialize, Serialize};

pub(crate) use tier::Tier;

use crate::json::{Reader, Span};

/// Searches for words, made ready. Not inlined: each copy takes two kilobytes of the program.
#[inline(never)]
pub(crate) fn finders(words: &'static [&'static str]) -> Vec<memmem::Finder<'static>> {
    words.iter().map(memmem::Finder::new).collect()
}

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
    /// The format that requests to this path have, by its end; a query is ignored. `None` for all
    /// that is only forwarded: token counting, batches, embeddings, unknown paths.
    pub(crate) fn of_path(path: &str) -> Option<Format> {
        let path = path.split('?').next().unwrap_or(path);
        let (_, format) = SUFFIXES.iter().find(|(suffix, _)| path.ends_with(suffix))?;
        // The Assistants API posts single messages here, which is no prompt.
        let is_thread = path.split('/').any(|part| part == "threads");
        (!is_thread).then_some(*format)
    }

    /// The format of a body without a path, by what only one format has; `None` for any other text.
    pub(crate) fn of_body(body: &[u8]) -> Option<Format> {
        let text = std::str::from_utf8(body).ok()?;
        let keys = ["messages", "contents", "input", "system", "anthropic_version", "thinking"];
        let (_, [messages, contents, input, rest @ ..]) = Reader::new(text).members(keys)?;
        let ours = |span: &Span| {
            let names = |word: &[u8]| memmem::find(&body[span.clone()], word).is_some();
            names(b"\"tool_use_id\"") || names(b"\"cache_control\"") || names(b"\"input_schema\"")
        };
        let format = match (&messages, contents, input) {
            (Some(span), ..) if rest.iter().any(Option::is_some) || ours(span) => Format::Messages,
            (Some(_), ..) => Format::Chat,
            (None, Some(_), _) => Format::Gemini,
            (None, None, Some(_)) => Format::Responses,
            (None, None, None) => return None,
        };
        prompt::read(format, body).map(|_| format)
    }

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

/// Some clients percent-encode the colon.
const SUFFIXES: &[(&str, Format)] = &[
    ("/messages", Format::Messages),
    ("/chat/completions", Format::Chat),
    ("/responses", Format::Responses),
    // The same conversation, to be summed up.
    ("/responses/compact", Format::Responses),
    (":generateContent", Format::Gemini),
    ("%3AgenerateContent", Format::Gemini),
    (":streamGenerateContent", Format::Gemini),
    ("%3AstreamGenerateContent", Format::Gemini),
];

/// What the provider says it billed, in tokens. `None` is "not said", never zero.
///
/// One normal form for all providers: `input` includes what was read from or written to the
/// prompt cache, and `output` includes reasoning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Usage {
    pub(crate) input: Option<u64>,
    pub(crate) cache_read: Option<u64>,
    /// All cache writes, those kept for an hour included.
    pub(crate) cache_write: Option<u64>,
    pub(crate) cache_write_1h: Option<u64>,
    pub(crate) output: Option<u64>,
    pub(crate) reasoning: Option<u64>,
    /// Of the cache writes, those kept for twelve hours.
    pub(crate) cache_write_12h: Option<u64>,
    /// Of the input and of the output, what is not text and has prices of its own.
    pub(crate) audio_input: Option<u64>,
    pub(crate) audio_output: Option<u64>,
    pub(crate) image_output: Option<u64>,
    /// Searches of the provider's own tool, which are billed by the piece.
    pub(crate) searches: Option<u64>,
    pub(crate) tier: Tier,
    /// Anthropic's `speed: fast`.
    pub(crate) is_fast: bool,
    /// Served in one country only, for which some ask more.
    pub(crate) is_regional: bool,
    /// What the provider itself says that it bills, in nano-dollars.
    pub(crate) cost_nano: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_goes_by_the_end_of_the_path() {
        for (path, want) in [
            ("/v1/messages", Some(Format::Messages)),
            ("/v1/messages?beta=true", Some(Format::Messages)),
            ("/anthropic/v1/messages", Some(Format::Messages)),
            ("/v1/messages/count_tokens", None),
            ("/v1/messages/batches", None),
            ("/v1/threads/thread_1/messages", None),
            ("/v1/chat/completions", Some(Format::Chat)),
            ("/openai/deployments/x/chat/completions?api-version=1", Some(Format::Chat)),
            ("/v1/completions", None),
            ("/v1/responses", Some(Format::Responses)),
            ("/v1/responses/resp_1/cancel", None),
            ("/v1/responses/compact", Some(Format::Responses)),
            ("/responses/compact?x=1", Some(Format::Responses)),
            ("/compact", None),
            ("/v1/responses/input_tokens", None),
            ("/v1beta/models/gemini-3-pro:generateContent", Some(Format::Gemini)),
            ("/v1beta/models/gemini-3-pro:streamGenerateContent?alt=sse", Some(Format::Gemini)),
            ("/v1beta/models/gemini-3-pro%3AgenerateContent", Some(Format::Gemini)),
            ("/v1beta/models/gemini-3-pro:countTokens", None),
            ("/v1beta/models/gemini-3-pro:batchGenerateContent", None),
            ("/v1/embeddings", None),
            ("/search?next=/v1/messages", None),
            ("/messagesx", None),
            ("", None),
        ] {
            assert_eq!(Format::of_path(path), want, "{path}");
        }
    }
}
