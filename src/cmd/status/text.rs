//! The same for people: three lines, or a page.

use super::{Facts, Health};
use crate::cmd::stats::Today;
use crate::ledger::Reason;
use crate::name::clean;
use crate::number::{commas, saved_percent};
use crate::route;

/// Whether it runs, how, and the sums of the day.
pub(super) fn brief(facts: &Facts) -> String {
    let today = match &facts.today {
        Ok(today) => format!(
            "{} requests, {} errors, {}",
            count(today.sums.requests),
            count(today.sums.errors),
            change(today.sums.tokens_before, today.sums.tokens_after, "prompt tokens")
        ),
        Err(error) => error.words(),
    };
    format!("{}{}\ntoday: {today}\n", first_line(facts), compression(facts))
}

/// Everything.
pub(super) fn full(facts: &Facts) -> String {
    let plan = facts.settings.as_ref().map_or(String::new(), |all| {
        format!(" | level: {} | threshold: {}", clean(&all.level), commas(all.threshold_tokens))
    });
    let today = match &facts.today {
        Ok(today) => prompts(today),
        Err(error) => format!("today: {}\n", error.words()),
    };
    format!(
        "{}{}{plan}\n\n{today}\nroutes\n{}{}",
        first_line(facts),
        compression(facts),
        routes(facts),
        places(facts)
    )
}

fn first_line(facts: &Facts) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let health = facts.health.as_ref();
    let up = health.map_or(String::new(), |health| format!("up {}, ", span(health.uptime_s)));
    let mut text =
        format!("tokenpak {version} running, pid {}, {up}http://{}\n", facts.pid, facts.address);
    let stopping = facts.is_stopping.then_some("it is stopping, and lets requests finish");
    if let Some(fault) = health.and_then(Health::fault).or(stopping) {
        text += &format!("health: {fault}\n");
    }
    text
}

/// `compression: enabled | mode: hybrid`
fn compression(facts: &Facts) -> String {
    match &facts.settings {
        Some(all) => {
            let enabled = if all.compression { "enabled" } else { "disabled" };
            format!("compression: {enabled} | mode: {}", clean(&all.mode))
        }
        None => "compression: not known; tokenpak.pid does not say".to_owned(),
    }
}

/// `6d 02h`, of two units the larger ones.
fn span(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (1.., ..) => format!("{days}d {:02}h", hours % 24),
        (_, 1.., _) => format!("{hours}h {:02}m", minutes % 60),
        (_, _, 1..) => format!("{minutes}m {:02}s", seconds % 60),
        _ => format!("{seconds}s"),
    }
}

fn count(number: i64) -> String {
    commas(u64::try_from(number).unwrap_or(0))
}

/// `188,410 -> 121,004 tokens (saved 36%)`
fn change(before: Option<i64>, after: Option<i64>, what: &str) -> String {
    let (Some(before), Some(after)) = (before, after) else { return format!("no {what} known") };
    let [before, after] = [before, after].map(|tokens| u64::try_from(tokens).unwrap_or(0));
    let saved = saved_percent(before, after);
    format!("{} -> {} {what} (saved {saved}%)", commas(before), commas(after))
}

fn prompts(today: &Today) -> String {
    let reasons = &today.reasons.prompts;
    let (done, skipped): (Vec<&Reason>, Vec<&Reason>) =
        reasons.iter().partition(|reason| reason.name.is_none());
    let sum = |list: &[&Reason]| list.iter().map(|reason| reason.requests).sum::<i64>();
    let mut text = format!("today, {} requests ({})\n", count(today.sums.requests), today.zone);
    let tokens = match done.first() {
        Some(reason) => {
            format!("    {}", change(Some(reason.before), Some(reason.after), "tokens"))
        }
        None => String::new(),
    };
    text += &format!("  {:<20} {:>6}{tokens}\n", "compressed", count(sum(&done)));
    text += &format!("  {:<20} {:>6}\n", "passed unchanged", count(sum(&skipped)));
    for reason in skipped {
        let name = reason.name.as_deref().unwrap_or_default();
        text += &format!("      {:<20} {:>4}\n", skip(name), count(reason.requests));
    }
    text + &format!("  {:<20} {:>6}\n", "errors", count(today.sums.errors))
}

/// A reason of the ledger in words that need no manual.
fn skip(name: &str) -> String {
    match name {
        "off" => "compression off".to_owned(),
        "encoded" => "content-encoding".to_owned(),
        "large" => "too large".to_owned(),
        "refused" => "refused by provider".to_owned(),
        other => clean(&other.replace('-', " ")).into_owned(),
    }
}

fn routes(facts: &Facts) -> String {
    let mut text = String::new();
    let settings = facts.likely();
    for (name, url) in &settings.providers {
        let keys = route::known(name).map_or(&[][..], |known| known.keys);
        let by = match keys {
            [] => format!("path /{name}/..."),
            keys => format!("keys {}...", keys.join("..., ")),
        };
        let (name, url, by) = (clean(name), clean(url), clean(&by));
        text += &format!("  {name:<11} {url:<45} {by}\n");
    }
    if let Some(url) = &settings.passthrough_url {
        let url = clean(url);
        text += &format!("  {:<11} {url:<45} all other requests\n", "passthrough");
    }
    text
}

/// Settings, files and memory, a label each.
fn places(facts: &Facts) -> String {
    let settings = facts.likely();
    let found = if settings.config_exists { "" } else { " (not found, using defaults)" };
    let rows = facts
        .today
        .as_ref()
        .map_or("? rows".to_owned(), |today| format!("{} rows", count(today.rows)));
    let errors = facts.count("tokenpak_db_write_errors_total");
    let errors =
        errors.map_or(String::new(), |errors| format!(", {} write errors", commas(errors)));
    let overrides = match settings.overrides.as_slice() {
        [] => "none".to_owned(),
        list => indented(list),
    };
    let differences = match facts.differences().as_slice() {
        [] => String::new(),
        list => format!(
            "differs here  {}\n              (other settings than the proxy's, by this shell or a \
             changed file)\n",
            indented(list)
        ),
    };
    let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    let memory = facts.memory.map_or("not known".to_owned(), |(now, peak)| {
        format!("{} now, {} peak", megabytes(now * 1024), megabytes(peak * 1024))
    });
    let [now, max, peak] = ["tokenpak_workers", "tokenpak_workers_max", "tokenpak_workers_peak"]
        .map(|name| facts.count(name));
    let workers = match (now, max, peak) {
        (Some(now), Some(max), Some(peak)) => format!("; workers {now} of {max}, peak {peak}"),
        _ => String::new(),
    };
    format!(
        "footer        {}\n\
         config        {}{found}\n\
         overrides     {overrides}\n\
         database      {}\n              {rows}, {}{errors}\n\
         forms         of {} messages, {} under other settings (those are for new conversations)\n\
         memory        {memory}{workers}\n              {} MB for bodies ({})\n{differences}",
        footers(facts),
        clean(&settings.config.to_string_lossy()),
        clean(&settings.database.to_string_lossy()),
        megabytes(facts.database_bytes),
        commas(facts.forms.0),
        commas(facts.forms.1),
        settings.body_memory_mb,
        clean(&settings.body_memory_by),
    )
}

/// A line each, below the first.
fn indented(list: &[String]) -> String {
    list.iter().map(|line| clean(line)).collect::<Vec<_>>().join("\n              ")
}

/// `on; added to 5 of 26 replies (not: tools 18, json 2)`
fn footers(facts: &Facts) -> String {
    let switch = match &facts.settings {
        Some(all) if all.footer => "on",
        Some(_) => "off",
        None => "not known",
    };
    let Ok(today) = &facts.today else { return switch.to_owned() };
    let all: i64 = today.reasons.footers.iter().map(|reason| reason.requests).sum();
    let mut added = 0;
    let mut not = Vec::new();
    for reason in &today.reasons.footers {
        match reason.name.as_deref() {
            Some("added") => added = reason.requests,
            name => {
                not.push(format!("{} {}", clean(name.unwrap_or("unknown")), count(reason.requests)))
            }
        }
    }
    let not = if not.is_empty() { String::new() } else { format!(" (not: {})", not.join(", ")) };
    format!("{switch}; added to {} of {} replies{not}", count(added), count(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_two_units() {
        let at = |seconds| span(seconds);
        assert_eq!([at(5), at(65), at(3 * 3600 + 420)], ["5s", "1m 05s", "3h 07m"]);
        assert_eq!(at(6 * 86_400 + 2 * 3600 + 59), "6d 02h");
    }
}
