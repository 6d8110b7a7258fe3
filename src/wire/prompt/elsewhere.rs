//! Members of a request by which the model reads another history than the body holds: what the provider
//! keeps and puts before it, and what it cuts out of it. Nothing may point at such a history.

use super::{elements, is_set, text_at};
use crate::json::{Span, is_one_of};

/// When a member has that effect.
enum When {
    /// With any value but `null` and `false`.
    Set,
    /// With any but these words, which switch it off.
    Unless(&'static [&'static str]),
    /// With a list of anything.
    Listed,
    /// With a list of plugins of which one cuts.
    CuttingPlugin,
}

/// Whatever the format: servers borrow from each other. What is not here has no such effect, or has a
/// meaning of its own in a format (Messages' `context_management`).
const MEMBERS: [(&str, When); 21] = [
    // Kept by the provider.
    ("thread", When::Set),
    ("thread_id", When::Set),
    ("conversation", When::Set),
    ("conversation_id", When::Set),
    ("previous_response_id", When::Set),
    ("previous_interaction_id", When::Set),
    ("parent_message_id", When::Set),
    ("assistant_id", When::Set),
    ("chat_id", When::Set),
    // A stored template, with messages of its own.
    ("prompt", When::Set),
    ("prompt_id", When::Set),
    ("cachedContent", When::Set),
    ("cached_content", When::Set),
    // Cut by the provider.
    ("context_management", When::Set),
    ("truncation", When::Unless(&["disabled", "none"])),
    ("truncate", When::Unless(&["NONE", "none"])),
    ("prompt_truncation", When::Unless(&["OFF"])),
    ("truncate_prompt_tokens", When::Set),
    ("context_length_exceeded_behavior", When::Unless(&["error"])),
    ("transforms", When::Listed),
    ("plugins", When::CuttingPlugin),
];

/// Whether this member of the top level is one, with this value.
pub(super) fn is_elsewhere(body: &str, key: &str, value: Span) -> bool {
    let Some((_, when)) = MEMBERS.iter().find(|(name, _)| *name == key) else {
        // Spelled with escapes by nobody who means well.
        return is_one_of(key, &MEMBERS.map(|(name, _)| name));
    };
    let value = Some(value);
    if !is_set(body, &value) || value.as_ref().is_some_and(|span| &body[span.clone()] == "false") {
        return false;
    }
    match when {
        When::Set => true,
        When::Unless(words) => {
            !text_at(body, &value).is_some_and(|word| words.contains(&word.as_ref()))
        }
        When::Listed => holds(body, &value, |_| true),
        When::CuttingPlugin => holds(body, &value, |plugin| plugin.contains("compress")),
    }
}

/// Whether a list has an element like this, or is none.
fn holds(body: &str, list: &Option<Span>, is_it: impl Fn(&str) -> bool) -> bool {
    let is_list = list.as_ref().is_some_and(|span| body[span.clone()].starts_with('['));
    let mut found = !is_list;
    let read = elements(body, list, |reader| {
        let span = reader.value()?;
        found |= is_it(&body[span]);
        Some(())
    });
    found || read.is_none()
}
