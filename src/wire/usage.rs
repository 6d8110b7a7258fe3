//! From each provider's own words for billed tokens to the one normal form, [`Usage`].
//!
//! The traps: Anthropic's `input_tokens` is only what the cache did not serve, everybody else's
//! includes the cached part; Gemini counts thoughts beside the candidates, OpenAI inside the
//! output, and xAI's Chat dialect beside it although the field is OpenAI's.

use serde::{Deserialize, Serialize};

use super::{Format, Tier, Usage};
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

/// What a model did within an answer that is billed beside its usage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Turn {
    /// `None`: the model that answers.
    pub(crate) model: Option<String>,
    pub(crate) usage: Usage,
}

/// Anthropic's `iterations` that are not in the top level: all but those of the message itself.
pub(super) fn turns(usage: &[u8]) -> Vec<Turn> {
    let mut turns = Vec::new();
    let counts = Counts::read(usage);
    let list = counts.as_ref().and_then(|usage| usage.json("/iterations"));
    if let Some(list) = list {
        // What cannot be read ends the list; the usage stands all the same.
        let _ = Reader::new(list).array(|reader| {
            let json = list[reader.value()?].as_bytes();
            let counts = Counts::read(json)?;
            if counts.word("/type") != Some("message") {
                let usage = messages(None, Some(&counts))?;
                turns.push(Turn { model: counts.word("/model").map(str::to_owned), usage });
            }
            Some(())
        });
    }
    turns
}

/// The plain values in a usage object and in the objects in it, with the keys that lead to them.
struct Counts<'u> {
    text: &'u str,
    /// Keys from the outermost, empty where there are fewer, and the value's own JSON.
    values: Vec<([&'u str; 3], &'u str)>,
}

/// Values that a usage object has, the largest known.
const COUNTS_USUAL: usize = 16;

impl<'u> Counts<'u> {
    /// `None` if it is no object, or no JSON.
    fn read(json: &'u [u8]) -> Option<Counts<'u>> {
        let text = std::str::from_utf8(json).ok().filter(|text| !text.is_empty())?;
        let mut counts = Counts { text, values: Vec::with_capacity(COUNTS_USUAL) };
        let mut reader = Reader::new(text);
        counts.members(&mut reader, ["", "", ""], 0)?;
        reader.end()?;
        Some(counts)
    }

    fn members(&mut self, reader: &mut Reader<'u>, path: [&'u str; 3], depth: usize) -> Option<()> {
        reader.object(|reader, key| {
            let mut path = path;
            path[depth] = key;
            if reader.peek() == b'{' && depth < 2 {
                return self.members(reader, path, depth + 1);
            }
            let value = reader.value()?;
            self.values.push((path, &self.text[value]));
            Some(())
        })
    }

    /// The value behind `/KEY`, `/OUTER/KEY` and so on. Of one that comes twice the last word counts.
    fn json(&self, pointer: &str) -> Option<&'u str> {
        let mut path = [""; 3];
        for (slot, key) in path.iter_mut().zip(pointer.split('/').skip(1)) {
            *slot = key;
        }
        self.values.iter().rev().find(|(at, _)| *at == path).map(|(_, value)| *value)
    }

    /// A string that needs no unescaping.
    fn word(&self, pointer: &str) -> Option<&'u str> {
        self.json(pointer)?.strip_prefix('"')?.strip_suffix('"')
    }

    /// Dollars, as nano-dollars.
    fn dollars(&self, pointer: &str) -> Option<i64> {
        let dollars: f64 = self.json(pointer)?.parse().ok()?;
        (0.0..1e9).contains(&dollars).then(|| (dollars * 1e9).round() as i64)
    }

    /// The tokens of a kind in one of Google's lists: `[{"modality": "AUDIO", "tokenCount": 5}]`.
    fn of_modality(&self, pointer: &str, kind: &str) -> Option<u64> {
        let list = self.json(pointer)?;
        let mut found = None;
        Reader::new(list).array(|reader| {
            let part = reader.value()?;
            let part = Counts::read(list[part].as_bytes())?;
            if part.word("/modality") == Some(kind) {
                found = sum(&[found, count(&part, "/tokenCount")]);
            }
            Some(())
        })?;
        found
    }
}

/// A whole number, which some servers write as 12.0.
fn count(usage: &Counts, pointer: &str) -> Option<u64> {
    let text = usage.json(pointer)?;
    let whole = text.split_once('.').filter(|(_, rest)| rest.bytes().all(|byte| byte == b'0'));
    whole.map_or(text, |(whole, _)| whole).parse().ok()
}

/// The last word is cumulative and overrules the first field by field; it is never added.
fn messages(first: Option<&Counts>, last: Option<&Counts>) -> Option<Usage> {
    let either = |pointer: &str| {
        let of = |usage: Option<&Counts>| usage.and_then(|usage| count(usage, pointer));
        of(last).or_else(|| of(first))
    };
    // A count of nothing at the end does not take back what the beginning said.
    let prompt = |pointer: &str| {
        let of = |usage: Option<&Counts>| usage.and_then(|usage| count(usage, pointer));
        of(last).filter(|count| *count > 0).or_else(|| of(first)).or_else(|| of(last))
    };
    let word = |pointer: &str| {
        let of = |usage: Option<&Counts<'_>>| {
            usage.and_then(|usage| usage.word(pointer)).map(str::to_owned)
        };
        of(last).or_else(|| of(first))
    };
    last.or(first)?;
    let cache_read = prompt("/cache_read_input_tokens");
    let write_1h = prompt("/cache_creation/ephemeral_1h_input_tokens");
    let write_5m = prompt("/cache_creation/ephemeral_5m_input_tokens");
    let cache_write = prompt("/cache_creation_input_tokens").or_else(|| sum(&[write_5m, write_1h]));
    let uncached = prompt("/input_tokens");
    Some(Usage {
        input: uncached.and_then(|_| sum(&[uncached, cache_read, cache_write])),
        cache_read,
        cache_write,
        cache_write_1h: write_1h,
        output: last.and_then(|usage| count(usage, "/output_tokens")),
        reasoning: last.and_then(|usage| count(usage, "/output_tokens_details/thinking_tokens")),
        searches: some(either("/server_tool_use/web_search_requests")),
        tier: word("/service_tier").map_or(Tier::Standard, |word| Tier::of(&word)),
        is_fast: word("/speed").as_deref() == Some("fast"),
        // Any country; `global` and `not_available` are no such promise.
        is_regional: word("/inference_geo").as_deref() == Some("us"),
        ..Usage::default()
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
    // Google's OpenAI interface says its thoughts in the total only.
    let known = sum(&[input, completion]);
    let only_in_total = total.zip(known).filter(|_| reasoning.is_none());
    let thoughts = only_in_total.map_or(0, |(total, known)| total.saturating_sub(known));
    let output = match completion {
        Some(_) if beside => with_reasoning,
        Some(completion) => Some(completion.saturating_add(thoughts)),
        None => None,
    };
    Usage {
        input,
        // The second name is DeepSeek's.
        cache_read: count(usage, "/prompt_tokens_details/cached_tokens")
            .or_else(|| count(usage, "/prompt_cache_hit_tokens"))
            // Moonshot's.
            .or_else(|| count(usage, "/cached_tokens")),
        cache_write: count(usage, "/prompt_tokens_details/cache_write_tokens"),
        output: output.filter(|_| ended),
        reasoning,
        audio_input: some(count(usage, "/prompt_tokens_details/audio_tokens")),
        audio_output: some(count(usage, "/completion_tokens_details/audio_tokens")),
        cost_nano: own_cost(usage),
        ..Usage::default()
    }
}

fn responses(usage: &Counts) -> Usage {
    Usage {
        input: count(usage, "/input_tokens"),
        cache_read: count(usage, "/input_tokens_details/cached_tokens"),
        cache_write: count(usage, "/input_tokens_details/cache_write_tokens"),
        cache_write_12h: count(
            usage,
            "/input_tokens_details/cache_write_tokens_details/ttl_12h_tokens",
        ),
        output: count(usage, "/output_tokens"),
        reasoning: count(usage, "/output_tokens_details/reasoning_tokens"),
        cost_nano: own_cost(usage),
        ..Usage::default()
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
        output: ended.then(|| output.unwrap_or(0)),
        reasoning: thoughts,
        audio_input: usage.of_modality("/promptTokensDetails", "AUDIO"),
        audio_output: usage.of_modality("/candidatesTokensDetails", "AUDIO"),
        image_output: usage.of_modality("/candidatesTokensDetails", "IMAGE"),
        tier: usage.word("/trafficType").map_or(Tier::Standard, Tier::of),
        ..Usage::default()
    }
}

/// What the provider itself says that it bills, in nano-dollars: OpenRouter's `cost`, to which a key of one's
/// own adds what the provider behind it asks, and xAI's ticks, of which a dollar has ten thousand million.
fn own_cost(usage: &Counts) -> Option<i64> {
    let ticks = count(usage, "/cost_in_usd_ticks").and_then(|ticks| i64::try_from(ticks / 10).ok());
    let upstream = match usage.json("/is_byok") {
        Some("true") => usage.dollars("/cost_details/upstream_inference_cost").unwrap_or(0),
        _ => 0,
    };
    ticks.or_else(|| usage.dollars("/cost").map(|cost| cost.saturating_add(upstream)))
}

/// None of a kind is the same as no word of it.
fn some(count: Option<u64>) -> Option<u64> {
    count.filter(|count| *count > 0)
}

/// The sum of what was said; `None` if nothing was.
fn sum(counts: &[Option<u64>]) -> Option<u64> {
    counts.iter().flatten().copied().reduce(u64::saturating_add)
}
