//! One request as `tokenpak trace` prints it, for people and for programs. A line is left out where
//! nothing is known.

use std::fmt::Write;

use serde_json::{Value, json};

use super::text::dollars;
use crate::footer;
use crate::ledger::Traced;
use crate::name::clean;
use crate::number::commas;
use crate::number::usd;
use crate::trace::{Credential, Fate, Headers};

/// A whole request; `zone` is the name of the time zone at its time.
pub(crate) fn full(traced: &Traced, zone: &str) -> String {
    let mut text = format!(
        "request {}  {} {zone}  {} {}  {}  {} ms\n",
        traced.id,
        traced.at,
        clean(&traced.trace.method),
        clean(&traced.trace.path),
        traced.status.map_or("no answer".to_owned(), |status| status.to_string()),
        commas(traced.total_ms)
    );
    let mut line = |name: &str, what: &str| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {name:<13}  {}", clean(what));
    };
    line("id", &traced.request_id);
    if let Some(error) = &traced.error {
        line("error", error);
    }
    line("client", &client(traced));
    let trace = &traced.trace;
    line("route", &format!("{} ({}) -> {}", traced.provider, trace.route_by, trace.upstream));
    if trace.credentials.is_empty() {
        line("authorization", "none received");
    }
    for each in &trace.credentials {
        line("authorization", &credential(each));
    }
    if let Some(all) = &trace.headers {
        line("headers", &headers(all));
    }
    compression(traced, &mut line);
    if traced.input.is_some() || traced.output.is_some() || trace.stop.is_some() {
        line("usage", &usage(traced));
    }
    if trace.dropped_thoughts > 0 {
        let count = commas(trace.dropped_thoughts.into());
        line("thoughts lost", &format!("{count}: what stood before them had changed"));
    }
    if let Some(why) = &trace.cache_miss {
        line("cache missed", why);
    }
    if let Some(cost) = traced.cost_nano {
        let saved =
            traced.saved_nano.map_or(String::new(), |nano| format!(", saved {}", dollars(nano)));
        line("money", &format!("cost {}{saved}", dollars(cost)));
    }
    match traced.footer.as_deref() {
        None => {}
        Some(word) if word == footer::Outcome::Added.name() => line("footer", "added"),
        Some(why) => line("footer", &format!("not added: {}", why_no_footer(why))),
    }
    line("time", &time(traced));
    text
}

/// A request in one line.
pub(crate) fn brief(traced: &Traced) -> String {
    let tokens = match (traced.tokens_before, traced.tokens_after) {
        (Some(before), Some(after)) => format!("  {} -> {}", commas(before), commas(after)),
        _ => String::new(),
    };
    let error = traced.error.as_ref().map_or(String::new(), |error| format!("  {}", clean(error)));
    format!(
        "{}  {}  {} {}  {}  {} ms{tokens}{error}\n",
        traced.id,
        traced.at,
        clean(&traced.trace.method),
        clean(&traced.trace.path),
        traced.status.map_or("-".to_owned(), |status| status.to_string()),
        commas(traced.total_ms)
    )
}

/// All that is known, with raw numbers; unknown is `null`.
pub(crate) fn object(traced: &Traced) -> Value {
    let mut object = json!({
        "id": traced.id,
        "request_id": traced.request_id,
        "ts": traced.ts,
        "provider": traced.provider,
        "api": traced.api,
        "model": traced.model,
        "client": traced.client,
        "status": traced.status,
        "error": traced.error,
        "stream": traced.stream,
        "tokens_before": traced.tokens_before,
        "tokens_after": traced.tokens_after,
        "skip_reason": traced.skip,
        "input_tokens": traced.input,
        "cache_read_tokens": traced.cache_read,
        "cache_write_tokens": traced.cache_write,
        "output_tokens": traced.output,
        "cost_usd": traced.cost_nano.map(usd),
        "saved_usd": traced.saved_nano.map(usd),
        "footer": traced.footer,
        "proxy_us": traced.proxy_us,
        "ttfb_ms": traced.ttfb_ms,
        "total_ms": traced.total_ms,
    });
    if let (Value::Object(object), Ok(Value::Object(how))) =
        (&mut object, serde_json::to_value(&traced.trace))
    {
        object.extend(how);
    }
    object
}

fn client(traced: &Traced) -> String {
    let name = traced.client.as_deref().unwrap_or("not named");
    format!("{name}, {}", if traced.stream { "streaming" } else { "not streaming" })
}

fn credential(credential: &Credential) -> String {
    let Credential { name, scheme, bytes, fate } = credential;
    // `authorization  Bearer, 57 bytes`: the header's name stands before it already.
    let what = match scheme {
        Some(scheme) => scheme,
        None if name == "authorization" => "no known scheme",
        None => name,
    };
    let fate = match fate {
        Fate::Unchanged => "forwarded unchanged",
        Fate::Changed => "forwarded CHANGED",
        Fate::Dropped => "NOT forwarded",
        Fate::NotSent => "not sent: nothing went upstream",
    };
    format!("{what}, {} bytes, {fate} (value not recorded)", commas(*bytes as u64))
}

fn headers(headers: &Headers) -> String {
    let Headers { unchanged, replaced, dropped, added } = headers;
    let received = unchanged.len() + replaced.len() + dropped.len();
    let mut text = format!("{received} received, {} forwarded unchanged", unchanged.len());
    for (what, names) in [("replaced", replaced), ("dropped", dropped), ("added", added)] {
        if !names.is_empty() {
            let _ = write!(text, ", {what}: {}", names.join(" "));
        }
    }
    text
}

/// What became of the prompt, then a line for each pass.
fn compression(traced: &Traced, line: &mut impl FnMut(&str, &str)) {
    let (Some(before), Some(after)) = (traced.tokens_before, traced.tokens_after) else {
        if let Some(why) = &traced.skip {
            line("compressed", &format!("no: {why}"));
        }
        return;
    };
    match &traced.skip {
        Some(why) => return line("compressed", &format!("no: {why}, {} tokens", commas(before))),
        None => line("compressed", &format!("{} -> {} tokens", commas(before), commas(after))),
    }
    let passes = &traced.trace.passes;
    let width = passes.iter().map(|(pass, _)| pass.len()).max().unwrap_or(0);
    for (pass, saved) in passes {
        line("", &format!("  {pass:<width$} {:>9}", format!("-{}", commas(*saved))));
    }
}

fn usage(traced: &Traced) -> String {
    let said = |tokens: Option<u64>| tokens.map_or("unknown".to_owned(), commas);
    let cache = match (traced.cache_read, traced.cache_write) {
        (None, None) => String::new(),
        (read, write) => format!(
            " (cache read {}, write {})",
            commas(read.unwrap_or(0)),
            commas(write.unwrap_or(0))
        ),
    };
    let stop = traced.trace.stop.as_ref().map_or(String::new(), |stop| format!(", stop {stop}"));
    format!("input {}{cache}, output {}{stop}", said(traced.input), said(traced.output))
}

/// The ledger's word, where it does not explain itself.
fn why_no_footer(word: &str) -> &str {
    match word {
        "tools" => "the request offers tools",
        "agent" => "the client is an agent",
        "off" => "it is off",
        "api" => "not in this format",
        "status" => "the answer is not 200",
        other => other,
    }
}

/// In milliseconds: the steps in the proxy, what they are together, and the provider's.
fn time(traced: &Traced) -> String {
    let ms = |us: u64| format!("{:.1}", us as f64 / 1000.0);
    let step =
        |name: &str, us: Option<u64>| us.map_or(String::new(), |us| format!("{name} {}, ", ms(us)));
    let Traced { trace, proxy_us, ttfb_ms, total_ms, .. } = traced;
    let first = ttfb_ms.map_or(String::new(), |ms| format!(", first byte {} ms", commas(ms)));
    format!(
        "{}{}in the proxy {} ms{first}, all {} ms",
        step("read", trace.read_us),
        step("count and compress", trace.pack_us),
        ms(*proxy_us),
        commas(*total_ms)
    )
}
