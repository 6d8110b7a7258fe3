//! The short name of the local time zone.
//!
//! SQLite computes local time but does not name the zone. The name comes from the rule that `TZ`
//! holds, or that a zone file ends with (`CET-1CEST,M3.5.0,M10.5.0/3`): of its two names the one
//! whose offset is the one in force. A zone that says otherwise gets its offset as a name.

use crate::name::clean;

/// The zone's name, given its rule and the seconds east of Greenwich that are in force.
pub(crate) fn name(rule: Option<&str>, offset_s: i64) -> String {
    let named = rule.and_then(|rule| {
        let (standard, rest) = part(rule, None)?;
        let summer = part(rest, Some(standard.1 + 3600)).map(|(zone, _)| zone);
        [Some(standard), summer].into_iter().flatten().find(|(_, east)| *east == offset_s)
    });
    match named {
        Some((name, _)) => clean(name).into_owned(),
        None if offset_s == 0 => "UTC".into(),
        None => {
            let sign = if offset_s < 0 { '-' } else { '+' };
            let minutes = offset_s.abs() / 60;
            format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
        }
    }
}

/// The rule at the end of a zone file, between the last two line feeds.
pub(crate) fn rule_of_file(bytes: &[u8]) -> Option<&str> {
    let body = bytes.strip_prefix(b"TZif")?.strip_suffix(b"\n")?;
    let start = body.iter().rposition(|byte| *byte == b'\n')? + 1;
    std::str::from_utf8(&body[start..]).ok()
}

/// A name and the seconds east that follow it, and what is left of the rule. The rule itself
/// counts hours to the west. A summer time may leave its offset out.
fn part(rule: &str, without: Option<i64>) -> Option<((&str, i64), &str)> {
    let (name, rest) = match rule.strip_prefix('<') {
        Some(quoted) => quoted.split_once('>')?,
        None => rule.split_at(rule.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rule.len())),
    };
    let digits = rest.find([',', '<']).unwrap_or(rest.len());
    let end = rest[..digits].find(|c: char| c.is_ascii_alphabetic()).unwrap_or(digits);
    let (offset, rest) = rest.split_at(end);
    if name.len() < 3 {
        return None;
    }
    let east = if offset.is_empty() { without? } else { -seconds(offset)? };
    Some(((name, east), rest))
}

/// `[+-]hh[:mm[:ss]]`
fn seconds(text: &str) -> Option<i64> {
    let (sign, clock) = match text.strip_prefix('-') {
        Some(clock) => (-1, clock),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut total = 0;
    for (part, unit) in clock.splitn(3, ':').zip([3600, 60, 1]) {
        total += i64::from(part.parse::<u8>().ok()?) * unit;
    }
    Some(sign * total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_name_the_zone_in_force() {
        check(Some("CET-1CEST,M3.5.0,M10.5.0/3"), 3600, "CET");
        check(Some("CET-1CEST,M3.5.0,M10.5.0/3"), 7200, "CEST");
        check(Some("EST5EDT,M3.2.0,M11.1.0"), -18000, "EST");
        check(Some("EST5EDT,M3.2.0,M11.1.0"), -14400, "EDT");
        check(Some("IST-5:30"), 19800, "IST");
        check(Some("<+1245>-12:45<+1345>,M9.5.0/2:45,M4.1.0/3:45"), 49500, "+1345");
        check(Some("IST-1GMT0,M10.5.0,M3.5.0/1"), 0, "GMT");
        check(Some("UTC0"), 0, "UTC");
        // What the rule does not explain is shown as it is.
        check(Some("<+01>-1"), 0, "UTC");
        check(Some("CET-1CEST,M3.5.0,M10.5.0/3"), -12600, "-03:30");
        check(Some("Europe/Berln"), 0, "UTC");
        check(Some("C1"), 3600, "+01:00");
        check(Some(""), 0, "UTC");
        check(None, 19800, "+05:30");

        #[track_caller]
        fn check(rule: Option<&str>, offset_s: i64, want: &str) {
            assert_eq!(name(rule, offset_s), want);
        }
    }

    #[test]
    fn a_zone_file_ends_with_its_rule() {
        assert_eq!(rule_of_file(b"TZif2\0\n\x01\n\nCET-1CEST,M3.5.0\n"), Some("CET-1CEST,M3.5.0"));
        assert_eq!(rule_of_file(b"TZif2\0\n\n"), Some(""));
        assert_eq!(rule_of_file(b"TZif"), None);
        assert_eq!(rule_of_file(b"#!/bin/sh\nCET-1\n"), None);
    }
}
