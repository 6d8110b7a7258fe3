//! From each provider's own words for billed tokens to the one normal form, [`Usage`].
//!
//! The traps: Anthropic's `input_tokens` is only what the cache did not serve, everybody else's
//! includes the cached part; Gemini counts thoughts beside the candidates, OpenAI inside the
//! output, and xAI's Chat dialect beside it although the field is OpenAI's.

use super::{Format, Usage};
use crate::json::Reader;

/// Reads what an answer said: `first` when a Messages stream began, `last` the last word.
/// `ended`: the answer was seen to its end.
///
/// The numbers of output that come before the end of a stream are preliminary and nobody's bill:
/// they are not reported, so that a broken answer is not priced as if it had been a short one.
pub(super) fn read(format: Format, first: &[u8], last: &[u8], ended: bool) -> Option<Usage> {
    let (first, last) = (Counts::read(first), Counts::read(last));
    match format {
        Format::Messages => messages(first.as_ref(), last.as_ref()),
        Format::Chat => last.map(|usage| chat(&usage, ended)),
        Format::Responses => last.as_ref().map(responses),
        Format::Gemini => last.map(|usage| gemini(&usage, ended)),
    }
}

/// The whole numbers in a usage object and in the objects in it, with the keys that lead to them.
struct Counts<'u>(Vec<(&'u str, &'u str, u64)>);

impl<'u> Counts<'u> {
    /// `None` if it is no object, or no JSON.
    fn read(json: &'u [u8]) -> Option<Counts<'u>> {
        let text = std::str::from_utf8(json).ok().filter(|text| !text.is_empty())?;
        let mut found = Vec::with_capacity(COUNTS_USUAL);
        let mut reader = Reader::new(text);
        reader.object(|reader, key| {
            if reader.peek() == b'{' {
                return reader
                    .object(|reader, inner| number(text, reader, (key, inner), &mut found));
            }
            number(text, reader, ("", key), &mut found)
        })?;
        reader.end()?;
        Some(Counts(found))
    }
}

/// Numbers that a usage object has, the largest known.
const COUNTS_USUAL: usize = 16;

/// Notes the next value if it is a count.
fn number<'u>(
    text: &str,
    reader: &mut Reader<'u>,
    (outer, inner): (&'u str, &'u str),
    found: &mut Vec<(&'u str, &'u str, u64)>,
) -> Option<()> {
    let value = reader.value()?;
    found.extend(text[value].parse().ok().map(|count| (outer, inner, count)));
    Some(())
}

/// The count at `/KEY` or `/OUTER/KEY` below a usage object. Of one that comes twice the last word
/// counts.
fn count(usage: &Counts, pointer: &str) -> Option<u64> {
    let (outer, key) = pointer.strip_prefix('/')?.split_once('/').unwrap_or(("", &pointer[1..]));
    let is_it = |(at, name, _): &&(&str, &str, u64)| *at == outer && *name == key;
    usage.0.iter().rev().find(is_it).map(|(.., count)| *count)
}

/// The last word is cumulative and overrules the first field by field; it is never added.
fn messages(first: Option<&Counts>, last: Option<&Counts>) -> Option<Usage> {
    let either = |pointer: &str| {
        let of = |usage: Option<&Counts>| usage.and_then(|usage| count(usage, pointer));
        of(last).or_else(|| of(first))
    };
    last.or(first)?;
    let cache_read = either("/cache_read_input_tokens");
    let write_1h = either("/cache_creation/ephemeral_1h_input_tokens");
    let write_5m = either("/cache_creation/ephemeral_5m_input_tokens");
    let cache_write = either("/cache_creation_input_tokens").or_else(|| sum(&[write_5m, write_1h]));
    let uncached = either("/input_tokens");
    Some(Usage {
        input: uncached.and_then(|_| sum(&[uncached, cache_read, cache_write])),
        cache_read,
        cache_write,
        cache_write_1h: write_1h,
        output: last.and_then(|usage| count(usage, "/output_tokens")),
        reasoning: last.and_then(|usage| count(usage, "/output_tokens_details/thinking_tokens")),
    })
}

/// Some servers send the usage so far with every chunk.
fn chat(usage: &Counts, ended: bool) -> Usage {
    let input = count(usage, "/prompt_tokens");
    let completion = count(usage, "/completion_tokens");
    let reasoning = count(usage, "/completion_tokens_details/reasoning_tokens");
    // xAI counts reasoning beside the completion; only the total tells.
    let with_reasoning = sum(&[completion, reasoning]);
    let total = count(usage, "/total_tokens");
    let beside = total.is_some() && total == sum(&[input, with_reasoning]);
    let output = if beside { completion.and(with_reasoning) } else { completion };
    Usage {
        input,
        // The second name is DeepSeek's.
        cache_read: count(usage, "/prompt_tokens_details/cached_tokens")
            .or_else(|| count(usage, "/prompt_cache_hit_tokens")),
        cache_write: count(usage, "/prompt_tokens_details/cache_write_tokens"),
        cache_write_1h: None,
        output: output.filter(|_| ended),
        reasoning,
    }
}

fn responses(usage: &Counts) -> Usage {
    Usage {
        input: count(usage, "/input_tokens"),
        cache_read: count(usage, "/input_tokens_details/cached_tokens"),
        cache_write: count(usage, "/input_tokens_details/cache_write_tokens"),
        cache_write_1h: None,
        output: count(usage, "/output_tokens"),
        reasoning: count(usage, "/output_tokens_details/reasoning_tokens"),
    }
}

/// Google leaves out what is zero, so an answer that ended without candidates had none.
fn gemini(usage: &Counts, ended: bool) -> Usage {
    let prompt = count(usage, "/promptTokenCount");
    let thoughts = count(usage, "/thoughtsTokenCount");
    let output = sum(&[count(usage, "/candidatesTokenCount"), thoughts]);
    Usage {
        // What its own tools fetched is billed as input too, and not in the prompt's count.
        input: prompt.and_then(|_| sum(&[prompt, count(usage, "/toolUsePromptTokenCount")])),
        cache_read: count(usage, "/cachedContentTokenCount"),
        cache_write: None,
        cache_write_1h: None,
        output: ended.then(|| output.unwrap_or(0)),
        reasoning: thoughts,
    }
}

/// The sum of what was said; `None` if nothing was.
fn sum(counts: &[Option<u64>]) -> Option<u64> {
    counts.iter().flatten().copied().reduce(u64::saturating_add)
}
