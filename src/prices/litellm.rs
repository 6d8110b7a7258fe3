//! From LiteLLM's map of prices (`model_prices_and_context_window.json`) to a list of ours. Pure.
//!
//! The map has a member a model, with fields such as `input_cost_per_token`, in dollars. What tokenpak
//! has no use for (embeddings, pictures, speech) is left out, and so are hosts whose prices go by
//! their region, which a model's name does not say.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::list::{List, check};
use super::plain_name;

/// Letter of the list, and field of the map (dollars per token).
const RATES: &[(char, &str)] = &[
    ('i', "input_cost_per_token"),
    ('o', "output_cost_per_token"),
    ('r', "cache_read_input_token_cost"),
    ('w', "cache_creation_input_token_cost"),
    ('h', "cache_creation_input_token_cost_above_1hr"),
    ('d', "cache_creation_input_token_cost_above_12hr"),
    ('a', "input_cost_per_audio_token"),
    ('b', "output_cost_per_audio_token"),
    ('p', "output_cost_per_image_token"),
];

/// Condition of the list, and what the map puts behind a field.
const TIERS: &[(&str, &str)] = &[
    ("", ""),
    ("flex", "_flex"),
    ("priority", "_priority"),
    ("ultrafast", "_ultrafast"),
    ("batch", "_batches"),
];

/// Hosts that have another name with us; all others have their own.
const HOSTS: &[(&str, &str)] = &[
    ("gemini", "google"),
    ("together_ai", "together"),
    ("fireworks_ai", "fireworks"),
    ("dashscope", "alibaba"),
    ("vercel_ai_gateway", "vercel"),
    ("github_copilot", "github"),
    ("nvidia_nim", "nvidia"),
];

/// Those whose prices go by region.
const REGIONAL: &[&str] = &["bedrock", "vertex", "sagemaker", "azure_ai", "oci", "watsonx"];

/// The rows of a map. An error names the model.
pub(super) fn list(map: &Map<String, Value>, ts: i64) -> Result<List, String> {
    // Of several names that are one to us, the one with the least around it.
    let mut best: BTreeMap<(String, String), (&str, String)> = BTreeMap::new();
    for (key, row) in map {
        let row = row.as_object().ok_or_else(|| format!("{key}: not an object"))?;
        let word = |field| row.get(field).and_then(Value::as_str).unwrap_or_default();
        let Some(host) = host(word("litellm_provider")) else { continue };
        if !matches!(word("mode"), "chat" | "responses" | "completion") {
            continue;
        }
        let Some(spec) = spec(key, row).map_err(|what| format!("{key}: {what}"))? else { continue };
        let name = plain_name(key).into_owned();
        if !name.bytes().all(|byte| byte.is_ascii_graphic()) || name != crate::name::cut(&name) {
            continue;
        }
        let place = (name, host.to_owned());
        let is_better = |known: &(&str, String)| key.len() < known.0.len();
        if best.get(&place).is_none_or(is_better) {
            best.insert(place, (key, spec));
        }
    }
    if best.is_empty() {
        return Err("no prices in it".to_owned());
    }
    let rows = best.into_iter().map(|((name, host), (_, spec))| format!("{name} {host} {spec}"));
    Ok(List::new(rows.collect()).plausible()?.without_known(ts))
}

fn host(provider: &str) -> Option<&str> {
    let is_plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    let is_left = provider.is_empty()
        || !provider.bytes().all(is_plain)
        || REGIONAL.iter().any(|start| provider.starts_with(start));
    let named = HOSTS.iter().find(|(theirs, _)| *theirs == provider);
    (!is_left).then(|| named.map_or(provider, |(_, ours)| *ours))
}

/// `None`: it has no price per token.
fn spec(key: &str, row: &Map<String, Value>) -> Result<Option<String>, String> {
    let mut limits: Vec<u64> = row.keys().filter_map(|field| limit(field)).collect();
    limits.sort_unstable();
    limits.dedup();
    let mut spec = String::new();
    for (tier, ending) in TIERS {
        for limit in [0].iter().chain(&limits) {
            let above =
                if *limit > 0 { format!("_above_{}k_tokens", limit / 1000) } else { String::new() };
            let rates = rates(row, &format!("{above}{ending}"))?;
            let over = if *limit > 0 { format!(">{limit}") } else { String::new() };
            add(&mut spec, [tier, over.as_str()], &rates);
        }
    }
    for (from, rates) in steps(row)? {
        let over = if from > 0 { format!(">{from}") } else { String::new() };
        add(&mut spec, ["", over.as_str()], &rates);
    }
    // Without a price of its own for thoughts, they are output.
    let reasoning = row.get("output_cost_per_reasoning_token").filter(|rate| !rate.is_null());
    let is_else = reasoning.is_some_and(|rate| row.get("output_cost_per_token") != Some(rate));
    if spec.is_empty() || spec.starts_with('[') || is_else || !spec.contains('/') {
        return Ok(None);
    }
    spec.insert_str(spec.find('[').unwrap_or(spec.len()), &searches(key, row)?);
    for (factor, condition) in [("us", "us"), ("fast", "speed")] {
        let factor = row.get("provider_specific_entry").and_then(|entry| entry.get(factor));
        if let Some(factor) = factor.and_then(Value::as_f64) {
            add(&mut spec, [condition, ""], &format!(" x{factor}"));
        }
    }
    let spec = spec.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    Ok(check(&spec).is_ok().then_some(spec))
}

/// Adds a section, if there is anything in it.
fn add(spec: &mut String, conditions: [&str; 2], rates: &str) {
    if rates.is_empty() {
        return;
    }
    let conditions: Vec<&str> = conditions.into_iter().filter(|word| !word.is_empty()).collect();
    if !conditions.is_empty() {
        spec.push_str(&format!(" [{}]", conditions.join(",")));
    }
    spec.push_str(rates);
}

/// The limit that a field is for, in tokens: `input_cost_per_token_above_200k_tokens`.
fn limit(field: &str) -> Option<u64> {
    field
        .split("_above_")
        .filter_map(|part| part.split_once("k_tokens"))
        .find_map(|(number, _)| number.parse::<u64>().ok().map(|thousands| thousands * 1000))
}

/// The rates of the fields with this ending.
fn rates(row: &Map<String, Value>, ending: &str) -> Result<String, String> {
    let mut found = Vec::new();
    for (letter, field) in RATES {
        // A write that costs nothing is one that is not told from other input.
        let is_said = |rate: &String| rate != "0" || !"whd".contains(*letter);
        if let Some(rate) = dollars(row, &format!("{field}{ending}"), 1e6)?.filter(is_said) {
            found.push((*letter, rate));
        }
    }
    let (start, rest) = match &*found {
        [('i', input), ('o', output), rest @ ..] => (format!(" {input}/{output}"), rest),
        all => (String::new(), all),
    };
    Ok(start + &rest.iter().map(|(letter, rate)| format!(" {letter}{rate}")).collect::<String>())
}

/// Alibaba's steps by the prompt's length: where each begins, and its rates.
fn steps(row: &Map<String, Value>) -> Result<Vec<(u64, String)>, String> {
    let steps = row.get("tiered_pricing").and_then(Value::as_array);
    let steps = steps.into_iter().flatten().filter_map(Value::as_object);
    steps
        .filter(|_| !row.contains_key("input_cost_per_token"))
        .map(|step| {
            let from = step.get("range").and_then(|range| range.get(0)).and_then(Value::as_f64);
            Ok((from.unwrap_or(0.0) as u64, rates(step, "")?))
        })
        .collect()
}

/// Dollars per thousand searches. Google asks per request for what is older than Gemini 3.
fn searches(key: &str, row: &Map<String, Value>) -> Result<String, String> {
    let Some(sizes) = row.get("search_context_cost_per_query").and_then(Value::as_object) else {
        return Ok(String::new());
    };
    let rate = dollars(sizes, "search_context_size_medium", 1e3)?;
    let name = plain_name(key);
    let letter =
        if name.starts_with("gemini-1") || name.starts_with("gemini-2") { 'g' } else { 's' };
    Ok(rate.map_or(String::new(), |rate| format!(" {letter}{rate} ")))
}

/// A field as a decimal number, times a factor.
fn dollars(row: &Map<String, Value>, field: &str, factor: f64) -> Result<Option<String>, String> {
    const DOLLARS_MAX: f64 = 4000.0;
    let Some(value) = row.get(field).filter(|value| !value.is_null()) else { return Ok(None) };
    let number = value.as_f64().ok_or_else(|| format!("{field}: {value} is not a number"))?;
    let dollars = number * factor;
    if !(0.0..DOLLARS_MAX).contains(&dollars) {
        return Err(format!("{field}: {value} is out of range; it is in dollars per token"));
    }
    let text = format!("{dollars:.6}");
    Ok(Some(text.trim_end_matches('0').trim_end_matches('.').to_owned()))
}
